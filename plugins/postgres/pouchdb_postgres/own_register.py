"""The register of indexes whose files are on this machine: each process has and builds its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pouchdb_core.documents.store import Counters
from pouchdb_core.errors import NotSupported
from pouchdb_core.forks import renew_in_child

if TYPE_CHECKING:
    from pouchdb_core.views.index_store import EntryRow, IndexStore, Tables, ViewRows

__all__ = ["OwnRegister"]

T = TypeVar("T")


class OwnRegister:
    """An ``IndexStore`` in memory, for indexes that have files; its data about documents is the database's."""

    def __init__(self, shared: IndexStore, snapshot: Callable[[], AbstractContextManager[None]]) -> None:
        """``shared`` is the database's own; ``snapshot`` is one of its documents, without the register."""
        self._shared, self.snapshot = shared, snapshot
        self._reset()
        renew_in_child(self._reset)

    def _reset(self) -> None:
        # In a forked child: the files belong to the parent.
        self._lock = threading.RLock()
        self._entries: dict[tuple[str, str], tuple[Any, ...]] = {}
        self._last = 0

    def counters(self) -> Counters:
        return self._shared.counters()

    @contextmanager
    def write(self) -> Iterator[Counters]:
        with self._lock:
            before = dict(self._entries)
            try:
                yield self._shared.counters()
            except BaseException:
                self._entries = before
                raise

    def recall(self, key: Hashable, read: Callable[[], T]) -> T:
        return read()

    def purges(self, after: int, limit: int) -> list[tuple[int, str, list[str]]]:
        return self._shared.purges(after, limit)

    def entries(self) -> list[EntryRow]:
        return sorted(self._entries.values(), key=lambda row: int(row[0]))

    def find(self, kind: str, signature: str) -> EntryRow | None:
        return self._entries.get((kind, signature))

    def add(self, kind: str, signature: str) -> EntryRow:
        self._last += 1
        row = (self._last, kind, signature, 0, 0, 0, None, None, None, 0.0)
        self._entries[kind, signature] = row
        return row

    def save(self, entry: EntryRow) -> None:
        key = (entry[1], entry[2])
        if key in self._entries:
            self._entries[key] = tuple(entry)

    def drop(self, number: int) -> None:
        for key, row in list(self._entries.items()):
            if row[0] == number:
                del self._entries[key]

    def outside(self) -> OwnRegister:
        return self

    def now(self) -> float:
        return self._shared.now()

    def builder(self) -> None:
        return None

    def lives(self, builder: str) -> None:
        return None

    def sizes(self, number: int) -> dict[str, int]:
        """Return zeros: the index knows its files."""
        return {"file": 0, "active": 0, "external": 0}

    def tables(self, number: int) -> Tables:
        raise NotSupported("an index that keeps files has no tables")

    def view_rows(self, number: int) -> ViewRows:
        raise NotSupported("an index that keeps files has no rows")

    def close(self) -> None:
        """It is closed with its database."""
