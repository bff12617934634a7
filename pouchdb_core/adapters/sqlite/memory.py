"""A database in memory: one connection, used by one thread at a time.

Every thread would otherwise have its own empty database, and SQLite's shared cache locks readers out.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from threading import get_ident
from typing import Any

from pouchdb_core.adapters.sqlite.connection import NOTHING, Connection, Held
from pouchdb_core.adapters.sqlite.fork import SPOILED
from pouchdb_core.adapters.sqlite.transactions import Connections, T
from pouchdb_core.adapters.write_lock import Reading

__all__ = ["Memory"]


class Memory(Connections):
    """A database in memory: gone when it is closed; a forked child has its own.

    The ``place`` ``"file:"`` is SQLite's temporary file without a name, for more data than memory should hold.
    """

    def __init__(self, what: str, place: str = ":memory:", pragmas: Sequence[tuple[str, Any]] = ()) -> None:
        super().__init__(what)
        connection = sqlite3.connect(place, uri=True, isolation_level=None, check_same_thread=False, factory=Connection)
        self._held = Held(connection)
        try:
            for name, value in pragmas:
                connection.execute(f"PRAGMA {name} = {value}")
        except sqlite3.Error as error:
            raise self._error(error) from error

    @property
    def path(self) -> None:
        return None

    def _lend(self) -> Held:
        self.check()
        return self._held

    def _give_back(self, held: Held) -> None:
        pass

    def _drop(self, held: Held | None) -> None:
        pass

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        turns = self._turns
        owner = turns.record.get(0)
        # The thread already has the turn: in a transaction, a snapshot, or a signal handler.
        turn = None if owner is not None and owner.thread == get_ident() else Reading(sys._getframe())
        try:
            if turn is not None:
                turns.take(turn)
            if self._closed or SPOILED:
                self.check()
            return self._held.execute(sql, params).fetchone()
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            if turn is not None:
                turns.give(turn)

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        turns = self._turns
        owner = turns.record.get(0)
        # The thread already has the turn: in a transaction, a snapshot, or a signal handler.
        turn = None if owner is not None and owner.thread == get_ident() else Reading(sys._getframe())
        try:
            if turn is not None:
                turns.take(turn)
            if self._closed or SPOILED:
                self.check()
            return self._held.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            if turn is not None:
                turns.give(turn)

    def recall(self, key: Hashable, read: Callable[[], T]) -> T:
        with self._turn():
            return super().recall(key, read)

    def snapshot(self) -> AbstractContextManager[None]:
        # No thread writes meanwhile.
        return self._turn()

    def backup(self, target: Path) -> None:
        with self._turn():
            super().backup(target)

    def fill(self, empty: Memory) -> None:
        """Make an empty database a copy of this one."""
        with self._turn():
            try:
                self._held.connection.backup(empty._held.connection)
                empty._held.recalled = NOTHING
            except sqlite3.Error as error:
                raise self._error(error) from error

    def close(self) -> None:
        with self._turn():
            self._closed = True
            self._held.connection.close()
