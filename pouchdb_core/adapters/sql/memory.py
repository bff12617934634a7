"""A database in memory: one connection behind one re-entrant lock.

peewee would give every thread its own empty database, and SQLite's shared cache locks readers out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee

from pouchdb_core.adapters.sql.sqlite import Connection, Connections, Held

__all__ = ["Memory"]


class Memory(Connections):
    """A database in memory: gone when it is closed; a forked child has its own.

    The ``place`` ``"file:"`` is SQLite's temporary file without a name, for more than memory should hold.
    """

    def __init__(self, what: str, place: str = ":memory:", pragmas: Sequence[tuple[str, Any]] = ()) -> None:
        super().__init__(what)
        self._database = peewee.SqliteDatabase(
            place, pragmas, uri=True, thread_safe=False, check_same_thread=False, factory=Connection
        )
        self._held = Held(self._database.connection())  # type: ignore[no-untyped-call]

    @property
    def path(self) -> None:
        return None

    @property
    def database(self) -> peewee.SqliteDatabase:
        return self._database

    def _connection(self) -> Held:
        self.check()
        return self._held

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        with self._writing.lock:
            return super().one(sql, params)

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        with self._writing.lock:
            return super().all(sql, params)

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._writing.lock:
            super().many(sql, rows)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with self._writing.lock:
            yield

    def backup(self, target: Path) -> None:
        with self._writing.lock:
            super().backup(target)

    def close(self) -> None:
        with self._writing.lock:
            self._closed = True
            self._held.connection.close()
