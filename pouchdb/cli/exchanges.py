"""import and export: documents from and to the files of other programs."""

from __future__ import annotations

import dataclasses
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from pouchdb.cli.command_session import Session
from pouchdb.cli.dumps import destination, progress_bar
from pouchdb.cli.group import Command
from pouchdb.cli.output import counted
from pouchdb.cli.status import Failure, Status
from pouchdb.exchange.csv_rows import CELLS, csv_documents
from pouchdb.exchange.exporting import FORMATS, export_documents
from pouchdb.exchange.importing import EXISTING, ImportResult, JsonDocuments, import_documents
from pouchdb.exchange.json_values import unpacked
from pouchdb_core.errors import BadRequest

__all__ = ["COMMANDS", "export", "import_"]

LISTED = 10
SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def _types(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    types: dict[str, str] = {}
    for each in values:
        column, equals, kind = each.rpartition("=")
        if not equals or kind not in CELLS:
            raise click.BadParameter(f"{each}: it must be COLUMN=TYPE, TYPE one of {', '.join(CELLS)}")
        types[column] = kind
    return types


@click.command(
    "import",
    cls=Command,
    examples=[
        "pouchdb import people people.jsonl",
        "pouchdb import people people.csv --id-column email --type zip=text",
        "pouchdb import people update.jsonl --replace",
    ],
)
@click.argument("db")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), required=False)
@click.option("--csv", is_flag=True, help="Read the file as CSV, whatever its name.")
@click.option("--replace", "existing", flag_value="replace", help="If the id exists, replace the stored document.")
@click.option("--skip", "existing", flag_value="skip", help="If the id exists, skip the document.")
@click.option(
    "--conflict", "existing", flag_value="conflict", help="If the id exists, store the document as a conflict."
)
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="COLUMN=TYPE",
    callback=_types,
    help=f"CSV: the type of a column: {', '.join(CELLS)}.",
)
@click.option("--text", is_flag=True, help="CSV: cells are text, unless --type gives them another type.")
@click.option("--delimiter", help="CSV: the character between cells; detected if not given.")
@click.option("--id-column", default="_id", metavar="COLUMN", help="CSV: the column with the document's id.")
@click.pass_obj
def import_(
    session: Session,
    /,
    db: str,
    file: Path | None,
    csv: bool,
    existing: Any,
    types: dict[str, str],
    text: bool,
    delimiter: str | None,
    id_column: str,
) -> int:
    """Import documents from a file of another program.

    Without FILE the standard input is read. The database is created if it does not exist.

    FILE may be JSON lines, a JSON array, {"docs": [...]}, a listing with its documents (_all_docs, a view,
    _changes), CSV, or a backup of couchbackup, pouchdb-dump or couchdb-dump; packed by gzip or not.

    A document with a _rev is stored as that revision, so importing a file twice changes nothing. One without is
    new; if its id exists already, it is refused, unless --replace, --skip or --conflict is given.
    """
    if file is None:
        session.check_name(db, "pouchdb import DB FILE")
        file = Path("-")
    stdin = str(file) == "-"
    if not stdin and not file.is_file():
        raise Failure(f"there is no file {file}", exit=Status.NOT_FOUND, error="not_found")
    is_csv = csv or SUFFIXES.get(_suffix(file)) == "csv"
    if not is_csv and (types or text or delimiter or id_column != "_id"):
        raise Failure("--type, --text, --delimiter and --id-column are for CSV: add --csv", exit=Status.USAGE)
    total = None if stdin else file.stat().st_size
    with _source(file, stdin) as raw, progress_bar(session.output, "bytes", total) as progress:
        packed = unpacked(raw)
        source: Any
        if is_csv:
            source = csv_documents(
                packed, types=types, default="text" if text else "auto", delimiter=delimiter, id_column=id_column
            )
        else:
            source = JsonDocuments(packed)
        # The first document is read before the database is opened, so that a wrong file does not make one.
        documents = iter(source)
        try:
            first = next(documents, None)
        except BadRequest as error:
            what = "the standard input" if stdin else str(file)
            hint = "" if is_csv else "what can be imported: JSON, CSV (--csv), backups: `pouchdb import --help`"
            raise Failure(f"{what} cannot be imported: {error.message}", hint, error=error.name) from error
        database = session.database(db, make=True)

        def shown(result: ImportResult) -> None:
            progress(_position(raw), total or 0)

        try:
            done = import_documents(
                database,
                () if first is None else _chain(first, documents),
                existing=existing or EXISTING[0],
                on_progress=shown,
            )
        except KeyboardInterrupt:
            session.output.note("what was written stays; importing again goes on (documents without a _rev: --skip)")
            raise
    return _told(session, database.name, done, getattr(source, "broken_lines", 0))


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _suffix(file: Path) -> str:
    return Path(file.stem).suffix if file.suffix == ".gz" else file.suffix


@contextmanager
def _source(file: Path, stdin: bool) -> Iterator[IO[bytes]]:
    if not stdin:
        with file.open("rb") as opened:
            yield opened
        return
    # The replacement in a test or an embedding program may be a text stream only.
    binary = getattr(sys.stdin, "buffer", None)
    given = io.BytesIO(sys.stdin.read().encode()) if binary is None else binary
    yield given if hasattr(given, "peek") else io.BufferedReader(given)


def _position(raw: IO[bytes]) -> int:
    try:
        return raw.tell()
    except OSError:
        return 0


def _told(session: Session, name: str, done: ImportResult, broken: int) -> int:
    output = session.output
    if output.json:
        output.data(dataclasses.asdict(done))
    else:
        for error in done.errors[:LISTED]:
            which = f", {error['id']}" if "id" in error else ""
            output.warn(f"{error['place']}{which}: {error['error'].replace('_', ' ')}: {error['reason']}")
        if done.refused > LISTED:
            output.warn(f"... and {done.refused - LISTED:,} more")
        counts = [f"{counted(done.read, 'document')} read", f"{done.written:,} written"]
        counts += [f"{done.unchanged:,} there already"] * bool(done.unchanged)
        counts += [f"{done.skipped:,} skipped"] * bool(done.skipped)
        counts += [f"{done.refused:,} refused"] * bool(done.refused)
        output.line(f"{name}: {', '.join(counts)}")
        if broken:
            output.note(f"{counted(broken, 'incomplete line')} of a resumed backup left out")
        if any(each["error"] == "conflict" for each in done.errors):
            output.note("for documents whose ids exist already, add --replace, --skip or --conflict")
    if not done.refused:
        return Status.OK
    return Status.PARTLY if done.refused < done.read else Status.FAILED


@click.command(
    cls=Command,
    examples=[
        "pouchdb export people people.jsonl.gz",
        "pouchdb export people people.csv --fields _id,name,age --no-rev",
    ],
)
@click.argument("db")
@click.argument("file", type=click.Path(path_type=Path), default="-")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="The format, whatever the file's name.")
@click.option("--prefix", default="", help="Only ids that begin with this.")
@click.option("--fields", metavar="A,B,...", help="Only these fields, in this order.")
@click.option("--no-rev", is_flag=True, help="Leave out _rev, so that they are imported as new documents.")
@click.option("--attachments", is_flag=True, help="Include the content of attachments, in base64.")
@click.option("--no-design", is_flag=True, help="Leave out design documents.")
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@click.pass_obj
def export(
    session: Session,
    /,
    db: str,
    file: Path,
    format_: Any,
    prefix: str,
    fields: str | None,
    no_rev: bool,
    attachments: bool,
    no_design: bool,
    force: bool,
) -> None:
    """Export documents for other programs.

    Without FILE they go to the standard output.

    The file's name decides the format: .jsonl (a document a line), .json (an array), .csv; with .gz it is packed.
    `pouchdb import` reads each of them. History and conflicts are not in it: `pouchdb dump` has everything.
    """
    database = session.database(db)
    chosen: Any = format_ or SUFFIXES.get(_suffix(file), "jsonl")
    with (
        destination(session.output, file, force, "an export") as out,
        progress_bar(session.output, "documents", database.info()["doc_count"]) as progress,
    ):
        count = export_documents(
            database,
            out,
            chosen,
            prefix=prefix,
            revs=not no_rev,
            attachments=attachments,
            design=not no_design,
            fields=None if fields is None else [each.strip() for each in fields.split(",")],
            on_progress=lambda done: progress(done, 0),
        )
    if str(file) == "-":
        session.output.note(counted(count, "document"))
    else:
        session.output.pairs({"file": str(file), "documents": count})


COMMANDS = (import_, export)
