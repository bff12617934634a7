"""Writing a database's documents to files that other programs read."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, Literal

from pouchdb.exchange.csv_rows import write_csv
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import dump
from pouchdb_core.safe_repr import safe_repr

__all__ = ["FORMATS", "export_documents"]

PAGE = 200
"""Documents that are in memory at once."""

Format = Literal["jsonl", "json", "docs", "csv"]
FORMATS: tuple[Format, ...] = ("jsonl", "json", "docs", "csv")


def export_documents(
    db: SyncPouchDB,
    file: IO[bytes],
    format: Format = "jsonl",
    *,
    prefix: str = "",
    revs: bool = True,
    attachments: bool = False,
    design: bool = True,
    fields: Sequence[str] | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> int:
    """Write the current revisions of documents in id order; return how many.

    ``jsonl`` is a document per line, ``json`` an array, ``docs`` a ``_bulk_docs`` body, ``csv`` a table of ``fields``
    (by default all, for which the documents are read twice). ``revs`` False leaves out ``_rev``;
    ``attachments`` adds their content in base64, else they are left out; ``design`` False leaves out design
    documents. Memory is constant. It is not a snapshot of a database that is being written: ``backup`` is. Raises
    BadRequest.
    """
    if format not in FORMATS:
        raise BadRequest(f"format is one of {', '.join(FORMATS)}, not {safe_repr(format)}")

    def docs() -> Iterator[dict[str, Any]]:
        for number, doc in enumerate(_documents(db, prefix, attachments, design), 1):
            if not revs:
                del doc["_rev"]
            if not attachments:
                doc.pop("_attachments", None)
            yield doc
            if on_progress is not None and number % PAGE == 0:
                on_progress(number)

    if format == "csv":
        names = list(fields) if fields is not None else _names(docs())
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        try:
            return write_csv(text, docs(), names)
        finally:
            text.detach()
    chosen = docs() if fields is None else (_only(doc, fields) for doc in docs())
    return _write_json(file, chosen, format)


def _documents(db: SyncPouchDB, prefix: str, attachments: bool, design: bool) -> Iterator[dict[str, Any]]:
    start = prefix
    while True:
        rows = db.all_docs(
            startkey=start, endkey=prefix + "\U0010ffff", limit=PAGE, include_docs=True, attachments=attachments
        )["rows"]
        for row in rows:
            # A row whose document was removed since the listing was read has none.
            if row.get("doc") is not None and (design or not row["id"].startswith("_design/")):
                yield dict(row["doc"])
        if len(rows) < PAGE:
            return
        # The smallest string after the last id: that document may be gone by now.
        start = rows[-1]["id"] + "\0"


def _names(docs: Iterator[Mapping[str, Any]]) -> list[str]:
    names: dict[str, None] = {}
    for doc in docs:
        names.update(dict.fromkeys(doc))
    first = [name for name in ("_id", "_rev") if name in names]
    return first + [name for name in names if name not in first]


def _only(doc: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    return {name: doc[name] for name in fields if name in doc}


def _write_json(file: IO[bytes], docs: Iterator[Mapping[str, Any]], format: Format) -> int:
    begin, between, end = {"jsonl": (b"", b"", b""), "json": (b"[\n", b",\n", b"\n]\n")}.get(
        format, (b'{"docs":[\n', b",\n", b"\n]}\n")
    )
    file.write(begin)
    count = 0
    for doc in docs:
        if count:
            file.write(between)
        file.write(dump(doc))
        if format == "jsonl":
            file.write(b"\n")
        count += 1
    file.write(end)
    return count
