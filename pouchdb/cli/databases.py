"""create, destroy, info, compact, backup: databases as a whole."""

from __future__ import annotations

import platform
import sqlite3
import sys
from pathlib import Path
from typing import Any

import click

from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.output import bytes_text
from pouchdb.cli.status import Failure, Status
from pouchdb.info import __version__
from pouchdb.setup import installed_plugins
from pouchdb_core.errors import Damaged, FileExists

__all__ = ["COMMANDS", "backup", "compact", "create", "destroy", "info"]


@click.command(cls=Command, examples=["pouchdb create notes"])
@click.argument("db")
@click.pass_obj
def create(session: Session, db: str) -> None:
    """Create an empty database."""
    place = session.place(db)
    if place.directory is not None and session.exists(db):
        raise FileExists(f"there is a database {place.name!r} in {place.directory} already")
    database = session.database(db, make=True)
    if database.remote:
        # Opening sends no request to a server. What is no CouchDB answers with something else than JSON.
        database.fetch("", "PUT").json()
    session.output.pairs({"created": database.name})


@click.command(cls=Command, examples=["pouchdb destroy notes --yes"])
@click.argument("db")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
def destroy(session: Session, db: str, yes: bool) -> None:
    """Delete a database with everything in it. This cannot be undone."""
    database = session.database(db, guess=False)
    try:
        what = f"with its {database.info()['doc_count']:,} documents"
    except Damaged as error:
        what = f"({error.message})"
    if not yes:
        if session.output.json or not sys.stdin.isatty():
            raise Failure("destroy asks first, and there is no terminal to answer on", "add --yes", Status.USAGE)
        click.confirm(f"Remove {database.name} {what}?", abort=True, err=True)
    database.destroy()
    session.output.pairs({"destroyed": database.name})


@click.command(
    cls=Command,
    examples=[
        "pouchdb info",
        "pouchdb info notes",
    ],
)
@click.argument("db", required=False)
@click.pass_obj
def info(session: Session, db: str | None) -> None:
    """Show details of a database, or of this installation."""
    if db is None:
        _installation(session)
        return
    database = session.database(db)
    known = database.info()
    if session.output.json:
        session.output.data({**known, "security": database.get_security()})
        return
    told: dict[str, object] = {}
    for name, value in known.items():
        if name == "sizes" and isinstance(value, dict):
            told.update((f"size, {which}", bytes_text(number)) for which, number in value.items() if _number(number))
        elif value not in (None, [], {}):
            told[name] = value
    status = database.sync_status()["replications"]
    told["replications"] = len(status)
    for each in status:
        left = f", {each['pending']} changes to go" if each.get("pending") else ""
        refused = f", {each['denied']} refused" if each.get("denied") else ""
        told[f"  {each.get('source') or '?'} to {each.get('target') or '?'}"] = f"{each['state']}{left}{refused}"
    session.output.pairs(told)


def _number(value: object) -> bool:
    return type(value) is int


def _installation(session: Session) -> None:
    there = session.there
    session.output.pairs(
        {
            "pouchdb": __version__,
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "directory": session.where if session.url else str(session.directory.absolute()),
            "databases": len(session.names()) if there else 0,
            "plug-ins": ", ".join(sorted(name for name, _ in installed_plugins())) or "none",
        }
    )


@click.command(cls=Command, examples=["pouchdb compact notes"])
@click.argument("db")
@click.pass_obj
def compact(session: Session, db: str) -> None:
    """Delete the content of old revisions and free their space."""
    database = session.database(db)
    before = _size(database.info())
    with session.output.errors.status("compacting") if session.output.animated else _Nothing():
        database.compact()
    after = _size(database.info())
    if session.output.json:
        session.output.data({"before": before, "after": after})
    else:
        session.output.line(f"{bytes_text(before)} before, {bytes_text(after)} after")


class _Nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *exception: object) -> None: ...


def _size(info: Any) -> int:
    size = (info.get("sizes") or {}).get("file", info.get("disk_size", 0))
    return size if isinstance(size, int) else 0


@click.command(cls=Command, examples=["pouchdb backup notes copies/notes.pouchdb"])
@click.argument("db")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def backup(session: Session, db: str, file: Path) -> None:
    """Copy a local database to a new file while it is in use.

    FILE may be a directory. The copy is a database: in a directory of databases it is opened by its name.
    """
    database = session.database(db)
    if database.remote:
        raise Failure(
            "a database on a server is not copied as a file",
            "replicate it to a local one (`pouchdb replicate URL NAME`), or `pouchdb dump` it",
        )
    if file.is_dir():
        place = session.place(db)
        assert place.directory is not None, "a local database has one"
        file = file / database.adapter.path.name  # type: ignore[attr-defined]  # of a database in a file
    if not file.parent.is_dir():
        raise Failure(f"there is no directory {file.parent}", exit=Status.NOT_FOUND, error="not_found")
    if file.is_file():
        raise Failure(f"{file} exists", "remove it first, or choose another name", Status.CONFLICT)
    with session.output.errors.status("copying") if session.output.animated else _Nothing():
        database.backup(file)
    session.output.pairs({"file": str(file), "bytes": file.stat().st_size})


COMMANDS = (create, destroy, info, compact, backup)
