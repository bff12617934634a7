"""Tags: find documents by their tags, and refuse tags that are none."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from pouchdb_core import Slot, SyncPouchDB, hookimpl, operation
from pouchdb_core.errors import Forbidden, PouchDBError
from pouchdb_core.methods import Operation
from pouchdb_core.requests import Guard, Proposed

__all__ = ["tagged"]


class Index:
    """Which tags each document has, as of a point in the changes feed. Kept in memory."""

    def __init__(self, db: SyncPouchDB) -> None:
        self.lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        self.seq = self.purge_seq = 0
        self.tags: dict[str, Sequence[str]] = {}

    def update(self, db: SyncPouchDB) -> None:
        with self.lock:
            # Purged documents are in no feed: begin again.
            if (purge_seq := db.info().purge_seq) != self.purge_seq:
                self.clear()
                self.purge_seq = purge_seq
            feed = db.with_purpose("index").changes(since=self.seq, include_docs=True)
            for row in feed.results:
                self.tags[row.id] = row.doc.get("tags", ())
            self.seq = feed.last_seq


INDEX = Slot("index of tags", Index)


def tagged(db: SyncPouchDB, tag: str) -> list[str]:
    """Return the ids of the documents that have ``tag``, sorted."""
    index = db.store_state(INDEX)
    index.update(db)
    return sorted(id for id, tags in index.tags.items() if tag in tags)


def guard(proposed: Sequence[Proposed]) -> list[PouchDBError | None]:
    return [None if are_tags(each.new.get("tags", [])) else Forbidden("tags are a list of texts") for each in proposed]


def are_tags(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(tag, str) for tag in value)


@hookimpl
def pouchdb_database_methods() -> Iterable[Operation[..., Any]]:
    return [operation(tagged, reads=True)]


@hookimpl
def pouchdb_write_guards() -> Guard:
    return guard
