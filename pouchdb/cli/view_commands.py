"""views: the indexes of a database's design documents."""

from __future__ import annotations

import json
from typing import Any

import click

from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.progress_bar import working
from pouchdb.cli.status import Failure, Status
from pouchdb_core.errors import PouchDBError

__all__ = ["COMMANDS", "build", "cleanup", "list_", "views"]


@click.group()
def views() -> None:
    """List, build and clean up the views of design documents."""


@views.command("ls", cls=Command, examples=["pouchdb views ls notes"])
@click.argument("db")
@click.pass_obj
def list_(session: Session, db: str) -> None:
    """List the views and their reduce functions."""
    rows = _views(session.database(db))
    if session.output.json:
        for design, name, view in rows:
            session.output.data({"view": f"{design}/{name}", **view})
    else:
        session.output.table(
            ("view", "reduce"),
            [(f"{design}/{name}", _one_line(view.get("reduce", ""))) for design, name, view in rows],
        )


def _views(database: Any) -> list[tuple[str, str, dict[str, Any]]]:
    rows = database.all_docs(startkey="_design/", endkey="_design0", inclusive_end=False, include_docs=True)["rows"]
    return [
        (row["id"].removeprefix("_design/"), name, view)
        for row in rows
        for name, view in (row["doc"].get("views") or {}).items()
        if isinstance(view, dict)
    ]


def _one_line(source: object) -> str:
    text = source if isinstance(source, str) else json.dumps(source)
    return text if len(text) <= 40 and "\n" not in text else f"{' '.join(text.split())[:37]}..."


@views.command(cls=Command, examples=["pouchdb views build notes by"])
@click.argument("db")
@click.argument("ddoc", required=False)
@click.pass_obj
def build(session: Session, db: str, ddoc: str | None) -> int:
    """Update the indexes of a design document, or of all.

    Later queries then need not wait.
    """
    database = session.database(db)
    first: dict[str, str] = {}
    for design, name, _ in _views(database):
        first.setdefault(design, name)
    chosen = first if ddoc is None else {ddoc: first.get(ddoc, "")}
    if ddoc is not None and not first.get(ddoc):
        raise Failure(f"there are no views in _design/{ddoc}", exit=Status.NOT_FOUND, error="not_found")
    failed = 0
    for design, name in chosen.items():
        try:
            with working(session.output, database):
                # All views of a design document are one index.
                database.query(f"{design}/{name}", reduce=False, limit=0)
        except PouchDBError as error:
            failed += 1
            session.output.warn(f"_design/{design}: {error.message}")
        else:
            session.output.pairs({"built": f"_design/{design}"})
    if not failed:
        return Status.OK
    return Status.FAILED if failed == len(chosen) else Status.PARTLY


@views.command(cls=Command, examples=["pouchdb views cleanup notes"])
@click.argument("db")
@click.pass_obj
def cleanup(session: Session, db: str) -> None:
    """Remove indexes that no design document needs any more."""
    database = session.database(db)
    with working(session.output, database):
        database.view_cleanup()
    session.output.pairs({"cleaned": database.name})


COMMANDS = (views,)
