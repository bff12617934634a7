"""Where replicas are kept: in memory or in files of SQLite, unless a caller brings other stores."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pouchdb_core.adapters.sqlite.sqlite_adapter import MemoryAdapter, SqliteAdapter

if TYPE_CHECKING:
    from replicas.plan import Setup
    from replicas.replica import Replica

__all__ = ["MakeStores", "SqliteStore", "SqliteStores", "Store", "Stores"]


class Store(Protocol):
    """Where one replica is kept; replicas of the kind ``shared`` have one together."""

    adapter: type[Any]
    directory: Path | None
    url: str | None

    def backup(self, replica: Replica, path: Path, *, raw: bool) -> None:
        """Copy the database; ``raw`` behind its back, so that the copy does not know that it is one."""

    def restore(self, replica: Replica, path: Path) -> None:
        """Close the replica's environment, put the copy in the place of its database, and open it."""

    def swap(self, left: Replica, right: Replica) -> None:
        """Close both environments, have the databases of two replicas change places, and open them."""


class Stores(Protocol):
    """The stores of one world."""

    def store(self, place: int, kind: str) -> Store:
        """Make the store of a replica."""

    def remove(self) -> None:
        """Remove them all."""


MakeStores = Callable[["Setup", Path], Stores]
"""Makes the stores of a world; what is in the directory is removed with the world."""


class SqliteStore:
    """Memory, or a directory with a file."""

    url = None

    def __init__(self, directory: Path | None) -> None:
        self.adapter: type[Any] = MemoryAdapter if directory is None else SqliteAdapter
        self.directory = directory
        if directory is not None:
            directory.mkdir()

    def backup(self, replica: Replica, path: Path, *, raw: bool) -> None:
        if raw:
            adapter: Any = replica.db.adapter
            with closing(sqlite3.connect(adapter.path)) as source, closing(sqlite3.connect(path)) as target:
                source.backup(target)
        else:
            replica.db.backup(path)

    def restore(self, replica: Replica, path: Path) -> None:
        shutil.copyfile(path, self._closed(replica))
        replica.open_again()

    def swap(self, left: Replica, right: Replica) -> None:
        paths = [self._closed(left), self._closed(right)]
        spare = paths[0].with_name("spare")
        paths[0].rename(spare)
        paths[1].rename(paths[0])
        spare.rename(paths[1])
        for each in (left, right):
            each.open_again()

    def _closed(self, replica: Replica) -> Path:
        """Close a replica's environment; return its file, which has everything then."""
        adapter: Any = replica.db.adapter
        path: Path = adapter.path
        replica.env.close()
        for rest in path.parent.glob(path.name + "-*"):
            rest.unlink()
        return path


class SqliteStores:
    """The usual stores: ``file`` and ``far`` are files, all else is in memory."""

    def __init__(self, setup: Setup, directory: Path) -> None:
        self._directory = directory

    def store(self, place: int, kind: str) -> Store:
        return SqliteStore(self._directory / f"r{place}" if kind in ("file", "far") else None)

    def remove(self) -> None:
        return
