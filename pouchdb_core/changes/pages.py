"""All documents of a database, a page at a time, for plug-ins that must read everything once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from pouchdb_core.changes.raw import RawChange
from pouchdb_core.jsontext import load
from pouchdb_core.requests import Changes
from pouchdb_core.results import Record

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["document_pages", "plain_documents"]

PAGE = 500


def document_pages(
    database: Database, *, design: bool = False, conflicts: bool = False, size: int = PAGE
) -> Iterator[list[Record]]:
    """Yield lists of winning revisions in the order of the changes feed, from at most ``size`` changes each.

    Deleted documents are left out, and design documents unless ``design``. ``conflicts`` adds ``_conflicts``. A page
    is read when it is asked for, so a document that is written meanwhile may come twice, in both versions.
    """
    since: Any = 0
    while True:
        page = database.changes(since=since, limit=size, include_docs=True, conflicts=conflicts)
        yield [
            row["doc"]
            for row in page["results"]
            if row.get("doc") and not row.get("deleted") and (design or not row["id"].startswith("_design/"))
        ]
        if len(page["results"]) < size:
            return
        since = page["last_seq"]


def plain_documents(database: Database, *, design: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the winning revisions in the order of the changes feed as plain dicts, for callers that return only a few.

    Where no plug-in takes part they are parsed from the stored JSON, in half the time that Records take; their
    fields may come in another order. Deleted documents are left out, and design documents unless ``design``.
    """
    if database.remote or not database.feeds_plainly:
        for page in document_pages(database, design=design):
            yield from page
        return
    request = Changes(raw=True, include_docs=True, user=database.user, purpose=database.purpose)
    for change in cast("Iterator[RawChange]", database.plugins.changes(database, request)):
        if change.deleted or (not design and change.id.startswith("_design/")):
            continue
        doc: dict[str, Any] = load(change.text)
        # Indexes include them.
        doc.pop("_conflicts", None)
        doc.pop("_deleted_conflicts", None)
        yield doc
