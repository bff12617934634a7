"""get, put, rm, ls: documents one by one."""

from __future__ import annotations

import mimetypes
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import click

from pouchdb.cli.arguments import json_of
from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.output import bytes_text, json_text
from pouchdb.cli.status import Failure, Status, told_entry
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.documents.store import end_of_prefix
from pouchdb_core.errors import NotFound

__all__ = ["COMMANDS", "get", "ls", "put", "rm"]

PAGE = 1000
LISTED = 100
"""Written documents that are listed one by one; of more only the number."""


@click.command(
    cls=Command,
    examples=[
        "pouchdb get notes milk",
        "pouchdb get notes milk --attachment list.txt -o list.txt",
        "pouchdb get http://ada@localhost:5984/notes milk",
    ],
)
@click.argument("db")
@click.argument("id")
@click.option("--rev", help="Print this revision instead of the winner.")
@click.option("--revs", is_flag=True, help="Include the ids of earlier revisions.")
@click.option("--conflicts", is_flag=True, help="Include the revisions in conflict.")
@click.option("--attachment", metavar="NAME", help="Print the content of this attachment instead of the document.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@click.pass_obj
def get(
    session: Session,
    db: str,
    id: str,
    rev: str | None,
    revs: bool,
    conflicts: bool,
    attachment: str | None,
    output: Path | None,
) -> None:
    """Print a document or one of its attachments."""
    database = session.database(db)
    if attachment is not None:
        _attachment(session, database, (id, attachment, rev), output)
        return
    try:
        doc = database.get(id, rev, revs=revs, conflicts=conflicts)
    except NotFound as error:
        raise _missing_revision(database, id, rev, error) from error
    if output is None:
        session.output.document(doc)
    else:
        output.write_text(json_text(doc, indent=2) + "\n", "utf-8")


def _missing_revision(db: SyncPouchDB, id: str, rev: str | None, error: NotFound) -> NotFound | Failure:
    """Return a message about the revision if the document is there without it, else the error."""
    if rev is None or error.message != "missing":
        return error
    try:
        db.open_revs(id, "all")
    except NotFound:
        return error
    return Failure(
        f"{id} has no revision {rev}, or its content is not stored any more",
        f"`pouchdb tree DB {id}` draws those it has",
        Status.NOT_FOUND,
        error=error.name,
    )


def _opened(db: SyncPouchDB, which: tuple[str, str, str | None]) -> Any:
    try:
        return db.open_attachment(*which)
    except NotFound as error:
        id, name, rev = which
        try:
            names = sorted(db.get(id, rev).get("_attachments", {}))
        except NotFound:
            raise _missing_revision(db, id, rev, error) from error
        hint = f"there are: {', '.join(names)}" if names else "it has none"
        raise Failure(f"{id} has no attachment {name!r}", hint, Status.NOT_FOUND, error=error.name) from error


def _attachment(session: Session, db: SyncPouchDB, which: tuple[str, str, str | None], output: Path | None) -> None:
    with _opened(db, which) as content:
        if output is not None:
            with output.open("wb") as file:
                shutil.copyfileobj(content, file)
            session.output.note(f"{bytes_text(output.stat().st_size)} written to {output}")
            return
        if sys.stdout.isatty() and not content.content_type.startswith("text/"):
            raise Failure(
                f"{which[1]} is {content.content_type}, which is nothing for a terminal",
                "write it to a file with --output, or into a pipe",
            )
        shutil.copyfileobj(content, sys.stdout.buffer)
        sys.stdout.buffer.flush()


@click.command(
    cls=Command,
    examples=[
        """pouchdb put notes '{"_id": "milk", "text": "buy milk"}' --create""",
        "pouchdb put notes @note.json --attach photo.jpg",
        "pouchdb get notes milk | pouchdb put copy -",
    ],
)
@click.argument("db")
@click.argument("document", required=False)
@click.option("--id", "given_id", metavar="ID", help="The document's id; a new id is generated if there is none.")
@click.option("--force", is_flag=True, help="Overwrite the stored document, whatever its revision.")
@click.option("--create", is_flag=True, help="Create the database if it does not exist.")
@click.option(
    "--attach",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Attach a file; may be repeated.",
)
@click.pass_obj
def put(
    session: Session,
    db: str,
    document: str | None,
    given_id: str | None,
    force: bool,
    create: bool,
    files: tuple[Path, ...],
) -> int:
    """Write a document, or a list of documents.

    DOCUMENT is JSON, @FILE, or - for the standard input, which is also the default. A document that exists
    already needs the _rev that it was read with, or --force.
    """
    if document is None:
        session.check_name(db, "pouchdb put DB DOCUMENT")
    if not create:
        # Before anything is read: a wrong name is reported at once, not after the standard input has ended.
        session.database(db)
    given = json_of("-" if document is None else document)
    several = isinstance(given, list)
    docs = given if several else [given]
    if not all(isinstance(doc, dict) for doc in docs):
        raise Failure("a document is a JSON object: {...}, or a list of them", exit=Status.USAGE)
    if given_id is not None or files:
        if several:
            raise Failure("--id and --attach are for one document, not for a list", exit=Status.USAGE)
        docs[0].update({} if given_id is None else {"_id": given_id})
    if not several and "_id" not in docs[0] and given_id is None:
        _refuse_listing(docs[0])
    database = session.database(db, make=create)
    if force:
        _borrow(database, docs)
    if several:
        if not docs:
            session.output.note("the list is empty: nothing was written")
        return _told(session, database.bulk_docs(docs))
    with ExitStack() as opened:
        if files:
            _attach(database, docs[0], [(file.name, opened.enter_context(file.open("rb"))) for file in files])
        return _told(session, [database.put(docs[0]) if "_id" in docs[0] else database.post(docs[0])])


def _refuse_listing(given: dict[str, Any]) -> None:
    """Refuse a file of documents that would become a single document."""
    for name in ("docs", "rows", "results"):
        members = given.get(name)
        if isinstance(members, list) and members and all(isinstance(each, dict) for each in members):
            raise Failure(
                f"this is a list of documents in {name!r}, not a document",
                "`pouchdb import` reads such files; with --id it is written as one document",
                Status.USAGE,
            )


def _attach(db: SyncPouchDB, doc: dict[str, Any], files: Sequence[tuple[str, IO[bytes]]]) -> None:
    """Add files to a document, beside what its revision has."""
    kept: dict[str, Any] = {}
    if "_id" in doc and "_rev" in doc:
        try:
            kept = dict(db.get(doc["_id"], doc["_rev"]).get("_attachments", {}))
        except NotFound:
            # The write reports what is wrong.
            kept = {}
    new = {
        name: {"content_type": mimetypes.guess_type(name)[0] or "application/octet-stream", "data": file}
        for name, file in files
    }
    doc["_attachments"] = {**kept, **doc.get("_attachments", {}), **new}


def _borrow(db: SyncPouchDB, docs: list[dict[str, Any]]) -> None:
    """Give each document the current revision."""
    ids = [doc["_id"] for doc in docs if isinstance(doc.get("_id"), str)]
    known = {row["key"]: row for row in db.all_docs(keys=ids)["rows"]} if ids else {}
    for doc in docs:
        row = known.get(doc.get("_id"), {})
        value = row.get("value") or {}
        if value.get("rev") and not value.get("deleted"):
            doc["_rev"] = value["rev"]
        else:
            doc.pop("_rev", None)


def _told(session: Session, results: list[Any]) -> int:
    """Print the outcome of each document; return the status."""
    output = session.output
    failed = [told_entry(each) for each in results if each.get("error")]
    # Of many, only errors are of interest to a person; scripts use JSON.
    many = len(results) > LISTED
    for each in results:
        if many and not output.json and not each.get("error"):
            continue
        if output.json:
            output.data(each)
        elif each.get("error"):
            output.failed(told_entry(each))
        elif output.terminal:
            output.styled((each["id"], "bold"), f"  {each['rev']}")
        else:
            output.table((), [(each["id"], each["rev"])])
    if many and not output.json:
        output.note(f"{len(results) - len(failed):,} written, {len(failed):,} refused")
    if not failed:
        return Status.OK
    return failed[0].exit if len(failed) == len(results) else Status.PARTLY


@click.command(cls=Command, examples=["pouchdb rm notes milk bread"])
@click.argument("db")
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--rev", help="Remove this leaf revision instead of the winner.")
@click.pass_obj
def rm(session: Session, db: str, ids: tuple[str, ...], rev: str | None) -> int:
    """Delete documents. A tombstone stays, so that the deletion replicates."""
    if rev is not None and len(ids) > 1:
        raise Failure("--rev is for one document", exit=Status.USAGE)
    database = session.database(db)
    if len(ids) == 1:
        return _told(session, [database.remove(ids[0], rev if rev is not None else database.get(ids[0])["_rev"])])
    docs = [{"_id": id, "_rev": database.get(id)["_rev"], "_deleted": True} for id in ids]
    return _told(session, database.bulk_docs(docs))


@click.command(
    cls=Command,
    examples=[
        "pouchdb ls",
        "pouchdb ls notes --prefix 2024- --docs",
        "pouchdb ls http://localhost:5984/",
    ],
)
@click.argument("db", required=False)
@click.option("--prefix", default="", help="Only ids that begin with this.")
@click.option("--limit", type=click.IntRange(0), help="At most this many.")
@click.option("--docs", is_flag=True, help="Print the documents too.")
@click.pass_obj
def ls(session: Session, db: str | None, prefix: str, limit: int | None, docs: bool) -> None:
    """List the documents of a database, or the databases of a directory or server."""
    if db is None or _is_server(db):
        _databases(session, db, prefix)
        return
    output = session.output
    rows = _rows(session.database(db), prefix, limit, docs)
    if output.json or docs:
        for row in rows:
            output.document(row["doc"] if docs else {"id": row["id"], "rev": row["value"]["rev"]})
        return
    if not output.terminal:
        output.table((), ((row["id"], row["value"]["rev"]) for row in rows))
        return
    for row in rows:
        output.styled(row["id"], (f"  {row['value']['rev']}", "dim"))


def _rows(db: SyncPouchDB, prefix: str, limit: int | None, docs: bool) -> Iterator[Any]:
    """Yield rows page by page: a listing of any length takes the same memory."""
    start, end, left = prefix, end_of_prefix(prefix), limit
    # Documents may have any size; fewer of them are in memory at once.
    most = 100 if docs else PAGE
    while left is None or left > 0:
        size = most if left is None else min(left, most)
        rows = db.all_docs(startkey=start, endkey=end, inclusive_end=False, limit=size, include_docs=docs)["rows"]
        yield from rows
        if len(rows) < size:
            return
        # The smallest string after the last id: that document may be gone by now.
        start = rows[-1]["id"] + "\0"
        left = None if left is None else left - len(rows)


def _is_server(given: str) -> bool:
    _, separator, rest = given.partition("://")
    return bool(separator) and not rest.partition("/")[2].strip("/")


def _databases(session: Session, server: str | None, prefix: str) -> None:
    output = session.output
    if server is not None:
        # No request is sent for a database of this name: its session reaches the server.
        names = session.database(f"{server.rstrip('/')}/_all_dbs").fetch("/_all_dbs").json()
    else:
        names = session.names()
    found = [name for name in names if name.startswith(prefix)]
    for name in found:
        if output.json:
            output.data(name)
        else:
            output.line(name)
    if not found and server is None:
        output.note(f"no databases in {session.where}")


COMMANDS = (get, put, rm, ls)
