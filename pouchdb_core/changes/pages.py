"""All documents of a database, a page at a time: for plug-ins that must read everything once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pouchdb_core.results import Record

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["document_pages"]

PAGE = 500


def document_pages(
    database: SyncPouchDB, *, design: bool = False, conflicts: bool = False, size: int = PAGE
) -> Iterator[list[Record]]:
    """Yield lists of winning revisions in the order of the changes feed, from at most ``size`` changes each.

    Deleted documents are left out, and design documents unless ``design``. ``conflicts`` adds ``_conflicts``. A page
    is read when it is asked for, so one that somebody writes meanwhile may come twice, in both versions.
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
