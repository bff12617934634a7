"""The databases that requests use: opened once, never made by reading, closed when they are not needed."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator

from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import DatabaseClosed, FileExists, NotFound

__all__ = ["MISSING", "Databases"]

MISSING = "Database does not exist."


class _Held:
    __slots__ = ("database", "users")

    def __init__(self, database: SyncPouchDB) -> None:
        self.database, self.users = database, 0


def _is_there(database: SyncPouchDB) -> bool:
    try:
        return database.is_there()
    except DatabaseClosed:
        return False


class Databases:
    """Open databases by name, at most about ``most`` of them in addition to those in use."""

    def __init__(self, environment: SyncEnvironment, most: int) -> None:
        self._environment, self._most = environment, most
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many are open."""
        return len(self._held)

    @contextlib.contextmanager
    def use(self, name: str) -> Iterator[SyncPouchDB]:
        """Yield a database that stays open while the block runs. Raises NotFound if there is none of that name."""
        held = self.take(name)
        try:
            yield held.database
        finally:
            self.give_back(held)

    def take(self, name: str) -> _Held:
        """Return a database that stays open until it is released. Raises NotFound."""
        # Another process may have destroyed it, or made it again. Not under the lock: looking at a file lets other
        # threads have the interpreter, and each of them would have to wait for this one.
        known = self._held.get(name)
        is_good = known is not None and _is_there(known.database)
        with self._lock:
            held = self._held.get(name)
            if held is not None and (not is_good if held is known else not _is_there(held.database)):
                self._forget(name)
                held = None
            if held is None:
                # Reading must not create it.
                if name not in self._environment.names():
                    raise NotFound(MISSING)
                held = self._held[name] = _Held(self._environment.PouchDB(name))
            held.users += 1
            self._held.move_to_end(name)
            if len(self._held) > self._most:
                self._close_some()
        return held

    def give_back(self, held: _Held) -> None:
        """Release a database that is not used any more."""
        with self._lock:
            held.users -= 1

    def close(self) -> None:
        """Close all databases."""
        with self._lock:
            for held in self._held.values():
                held.database.close()
            self._held.clear()

    def forget(self, name: str) -> None:
        """Another process has destroyed a database: calls that are using it get an error that says so."""
        with self._lock:
            self._forget(name)

    def create(self, name: str) -> None:
        """Make a database. Raises FileExists."""
        with self._lock:
            made = None if name in self._environment.names() else self._environment.PouchDB(name)
            if made is None or not made.adapter.created:
                # The adapter notices when another process was a moment earlier.
                if made is not None:
                    made.close()
                raise FileExists("The database could not be created, the file already exists.")
            self._forget(name)
            self._held[name] = _Held(made)

    def _forget(self, name: str) -> None:
        held = self._held.pop(name, None)
        if held is not None:
            with contextlib.suppress(DatabaseClosed):
                held.database.close()

    def _close_some(self) -> None:
        for name, held in list(self._held.items()):
            if len(self._held) <= self._most:
                return
            if held.users == 0:
                self._forget(name)
