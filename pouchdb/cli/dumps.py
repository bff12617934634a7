"""dump and load: a database as lines of JSON, and back."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import click

from pouchdb.cli.command_session import Session
from pouchdb.cli.group import Command
from pouchdb.cli.output import Output, bytes_text, counted
from pouchdb.cli.progress_bar import bar
from pouchdb.cli.status import Failure, Status
from pouchdb_core.dump import dump as write_dump
from pouchdb_core.dump import load as read_dump
from pouchdb_core.errors import BadRequest, FileExists, IncompleteDump, PouchDBError
from pouchdb_core.results import Record

__all__ = ["COMMANDS", "destination", "dump", "load", "progress_bar"]

LISTED = 10


@click.command(cls=Command, examples=["pouchdb dump notes notes.dump.gz"])
@click.argument("db")
@click.argument("file", type=click.Path(path_type=Path), default="-")
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@click.pass_obj
def dump(session: Session, db: str, file: Path, force: bool) -> None:
    """Write everything in a database to a file, as lines of JSON.

    FILE is compressed if its name ends with .gz; without FILE the dump goes to the standard output.

    Everything is in it: revision trees with conflicts and tombstones, attachments, local documents,
    checkpoints, security, what was purged. A database that is loaded from it continues the replications.
    """
    database = session.database(db)
    with destination(session.output, file, force) as out, progress_bar(session.output, "documents") as progress:
        done = write_dump(database, out, progress)
    if str(file) == "-":
        session.output.note(_summary(done))
    else:
        session.output.pairs(Record(done, file=str(file)))


@contextmanager
def destination(output: Output, file: Path, force: bool, what: str = "a dump") -> Iterator[IO[bytes]]:
    """Yield the stream to write to; a file gets its name when it is complete."""
    if str(file) == "-":
        if sys.stdout.isatty():
            raise Failure(f"{what} is long: give it a file, or a pipe", exit=Status.USAGE)
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if not file.parent.is_dir():
        raise Failure(f"there is no directory {file.parent}", exit=Status.NOT_FOUND, error="not_found")
    if file.is_dir():
        raise Failure(f"{file} is a directory: the name of a file is needed", exit=Status.USAGE, error="usage")
    if file.exists() and not force:
        raise Failure(f"{file} exists", "add --force to replace it", Status.CONFLICT)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as raw:
            if file.suffix == ".gz":
                # 6 compresses nearly as well as 9, three times as fast.
                with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6) as packed:
                    yield cast("IO[bytes]", packed)
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def progress_bar(output: Output, unit: str, total: int | None = None) -> Iterator[Any]:
    with bar(output) as shown:
        task = shown.add_task(unit, total=total, count="", state="")

        def progress(done: int, of: int) -> None:
            count = bytes_text(done) if unit == "bytes" else f"{done:,} {unit}"
            shown.update(task, completed=done, total=total or of or None, count=count)

        yield progress


@click.command(
    cls=Command,
    examples=[
        "pouchdb load notes notes.dump.gz",
        "curl https://example.org/notes.dump | pouchdb load notes",
    ],
)
@click.argument("db")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), required=False)
@click.option("--merge", is_flag=True, help="Load into a database that is not empty, as replication would.")
@click.option("--new-identity", is_flag=True, help="Treat it as another database: its replications start over.")
@click.pass_obj
def load(session: Session, db: str, file: Path | None, merge: bool, new_identity: bool) -> int:
    """Load a dump into a new or empty database.

    Without FILE the dump is read from the standard input.

    Dumps of PouchDB (pouchdb-dump) and of couchbackup are read too. Of a dump that is incomplete, what is there is
    loaded; loading the complete dump into the same database continues from there.
    """
    if file is None:
        session.check_name(db, "pouchdb load DB FILE")
        file = Path("-")
    if str(file) != "-" and not file.is_file():
        raise Failure(f"there is no file {file}", exit=Status.NOT_FOUND, error="not_found")
    there = session.exists(db)
    database = session.database(db, make=True)
    total = None if str(file) == "-" else file.stat().st_size
    with (
        sys.stdin.buffer if str(file) == "-" else file.open("rb") as source,
        progress_bar(session.output, "bytes", total) as progress,
    ):
        try:
            done = read_dump(database, source, merge=merge, identity=not new_identity, on_progress=progress)
        except FileExists as error:
            raise Failure(
                f"{database.name}: {error.message}",
                "load into a new database, or add --merge: then documents come in as replication brings them",
                Status.CONFLICT,
                error=error.name,
            ) from error
        except PouchDBError as error:
            result = error.details.get("result")
            if not there and not (result or {}).get("documents"):
                # It was made for a file that is not a dump.
                database.destroy()
            raise _broken(error, database.name, merge) from error
        except KeyboardInterrupt:
            again = " with --merge" if merge else ""
            session.output.note(f"loading the whole dump into {database.name} again{again} goes on from here")
            raise
    if session.output.json:
        session.output.data(done)
    else:
        for refused in done["errors"][:LISTED]:
            session.output.warn(f"{refused.get('id')}: {refused['name']}: {refused['message']}")
        session.output.line(f"{database.name}: {_summary(done)}")
        if done["checkpoints_left_out"]:
            session.output.note(f"{counted(done['checkpoints_left_out'], 'checkpoint')} of another database left out")
    return Status.PARTLY if done["doc_write_failures"] else Status.OK


def _broken(error: PouchDBError, name: str, merge: bool) -> PouchDBError | Failure:
    """Return the message for a dump that cannot be read to its end."""
    result = error.details.get("result")
    if result is None:
        return error
    words = "" if isinstance(error, (IncompleteDump, BadRequest)) else f"{error.name.replace('_', ' ')}: "
    what = f"{name}: {words}{error.message}"
    hint = (
        f"{result['documents']:,} documents are loaded, without local documents and checkpoints; "
        f"load the whole dump into {name} again{' with --merge' if merge else ''} to go on from there"
        if result["documents"]
        else "nothing was loaded"
    )
    return Failure(what, hint, error=error.name, reason=error.message, result=result)


def _summary(done: Record) -> str:
    refused = f", {done['doc_write_failures']:,} refused" if done.get("doc_write_failures") else ""
    return (
        f"{counted(done['documents'], 'document')} ({counted(done['revisions'], 'revision')}), "
        f"{counted(done['attachments'], 'attachment')}, {counted(done['local_documents'], 'local document')}{refused}"
    )


COMMANDS = (dump, load)
