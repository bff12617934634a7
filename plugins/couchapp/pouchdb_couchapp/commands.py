"""``pouchdb couchapp``: folders as design documents."""

from __future__ import annotations

from pathlib import Path

import click

from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.status import Failure, Status
from pouchdb_couchapp.folders import pulled, pushed, write

__all__ = ["couchapp"]

_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group()
def couchapp() -> None:
    """Store folders as design documents, and the reverse."""


@couchapp.command("push", cls=Command, examples=["pouchdb couchapp push design notes"])
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("db")
@click.pass_obj
def _push(session: Session, /, folder: Path, db: str) -> None:
    """Store a folder as a design document.

    The files are those of CouchApp and couchdb-push: a file is a field, named as the file without its extension; .json
    files hold JSON, others text. A folder is an object, _attachments holds files as they are, and _id the id (without
    it: _design/ and the folder's name). The database is created if it does not exist.
    """
    id, rev, changed = pushed(session.database(db, make=True), folder)
    if session.output.json:
        session.output.data({"ok": True, "id": id, "rev": rev, "changed": changed})
    else:
        session.output.line(f"{id} is stored, revision {rev}" if changed else f"{id} is unchanged, revision {rev}")


@couchapp.command("pull", cls=Command, examples=["pouchdb couchapp pull notes blog blog-design"])
@click.argument("db")
@click.argument("ddoc")
@click.argument("folder", type=_FOLDER, required=False)
@click.option("--force", is_flag=True, help="Write into a folder that has files already.")
@click.pass_obj
def _pull(session: Session, /, db: str, ddoc: str, folder: Path | None, force: bool) -> None:
    """Write a design document as a folder.

    `push` makes the same document of it again.
    """
    name = ddoc.removeprefix("_design/")
    target = Path(name) if folder is None else folder
    if target.is_dir() and any(target.iterdir()) and not force:
        raise Failure(f"{target} has files already", "--force writes into it all the same", Status.USAGE, error="usage")
    count = write(target, pulled(session.database(db), f"_design/{name}"))
    if session.output.json:
        session.output.data({"ok": True, "id": f"_design/{name}", "files": count, "folder": str(target)})
    else:
        session.output.line(f"_design/{name}: {count} file{'' if count == 1 else 's'} in {target}")
