"""A database in a file: one connection per thread, shared with other processes."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import peewee

from pouchdb_core.adapters.sql.fork import GATE
from pouchdb_core.adapters.sql.sqlite import Connection, Connections, Held, file_error, storage_error
from pouchdb_core.errors import DatabaseClosed, NotFound

__all__ = ["Durability", "File"]

Durability = Literal["full", "normal"]

BUSY_SECONDS = 60.0
"""How long a writer waits for another process before DatabaseBusy."""

# spec: store, section 4. A checkpoint every 4000 pages instead of 1000 makes bulk writes a quarter faster.
PRAGMAS = (
    ("cache_size", -64000),
    ("mmap_size", 268435456),
    ("wal_autocheckpoint", 4000),
)
DURABILITY: dict[Durability, tuple[tuple[str, Any], ...]] = {
    # macOS leaves what was synced in the drive's cache unless asked for more; elsewhere fullfsync does nothing.
    "full": (("synchronous", "FULL"), ("fullfsync", 1)),
    "normal": (("synchronous", "NORMAL"),),
}


class File(Connections):
    """A database in a file, shared by threads and processes."""

    def __init__(self, path: Path, durability: Durability, what: str) -> None:
        self._path = path.absolute()
        self.durability: Durability = durability
        self._made = _inode(self._path)
        self._uuid: Any = None
        self._database = _PerThread(self)
        self._local = self._database.local
        self._in_use: weakref.WeakSet[Held] = weakref.WeakSet()
        self._first: Held | None = None
        self._snapshots = threading.local()
        super().__init__(what)

    @property
    def path(self) -> Path:
        return self._path

    @property
    def database(self) -> peewee.SqliteDatabase:
        return self._database

    def _connection(self) -> Held:
        # Not by AttributeError, which would hold on to a thread-local that a fork waits to see gone.
        held: Held | None = getattr(self._local, "held", None)
        return self._connect() if held is None else held

    def _connect(self) -> Held:
        held: Held | None = getattr(self._snapshots, "held", None)
        if held is not None:
            # A fork let go of it; its snapshot is not over yet.
            return held
        with GATE:
            try:
                held = self._local.held = Held(self._database.connection())  # type: ignore[no-untyped-call]
            except (sqlite3.Error, peewee.DatabaseError) as error:
                raise storage_error(error, self._what) from error
            self._in_use.add(held)
            # The first lives as long as all of them. It keeps the file's inode from being used again while
            # others write, and the journal from being folded in whenever the last thread of the moment ends.
            self._first = self._first or held
        return held

    def _forget(self) -> None:
        """Let go of all connections. Each closes with its last reference: at once, unless it is being read."""
        self._first, self._local = None, self._database.forget()

    def check(self) -> None:
        super().check()
        if self._made is None or _inode(self._path) != self._made:
            # Another process destroyed it: writing to the unlinked file would lose the document.
            raise self._gone()

    def identify(self, connection: sqlite3.Connection) -> None:
        """Raise NotFound if a new connection leads to another database than the first one.

        While there was no connection, another file may have come to the old one's inode.
        """
        try:
            row = connection.execute("SELECT value FROM metadata WHERE key = 'uuid'").fetchone()
        except sqlite3.OperationalError:
            # It is just being made, or not ours: opening will tell.
            return
        if self._uuid not in (None, row):
            raise self._gone()
        self._uuid = row

    def _gone(self) -> NotFound:
        return NotFound(f"{self._what}: the database was destroyed or replaced while it was open")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        held = self._connection()
        if held.connection.in_transaction:
            yield
            return
        self._snapshots.held = held
        try:
            held.execute("BEGIN")
            try:
                yield
            finally:
                # There is nothing to commit, and SQLite ends a transaction by itself when a read fails badly.
                held.rollback()
        except sqlite3.Error as error:
            raise storage_error(error, self._what) from error
        finally:
            # Nor must a traceback keep it.
            self._snapshots.held = None
            del held

    def sizes(self) -> dict[str, int]:
        sizes = super().sizes()
        with suppress(FileNotFoundError):
            sizes["file"] = self._path.stat().st_size
            sizes["file"] += Path(f"{self._path}-wal").stat().st_size
        return sizes

    def shrink(self) -> None:
        super().shrink()
        with self._writing.lock:
            self.check()
            # What is in the journal goes to the file, then the journal is emptied too.
            self.all("PRAGMA wal_checkpoint(TRUNCATE)")

    def part(self, deadline: float) -> bool:
        if self._writing.thread or getattr(self._snapshots, "held", None):
            # The thread that forks is itself in the middle of something.
            return False
        self._forget()
        while self._in_use:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
        return True

    def rejoin(self, *, spoiled: bool) -> None:
        if spoiled:
            self._forget()
            self._snapshots = threading.local()
        super().rejoin(spoiled=spoiled)

    def kin(self) -> object:
        return self._made

    def close(self) -> None:
        with self._writing.lock, GATE:
            self._closed = True
            mine: Held | None = getattr(self._local, "held", None)
            self._forget()
            if mine is not None:
                # This thread is not reading; but the traceback of an error may hold on to it.
                mine.connection.end()


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise file_error(error, path.name) from error
    return status.st_dev, status.st_ino


class _PerThread(peewee.SqliteDatabase):
    """peewee's thread-local connections."""

    def __init__(self, file: File) -> None:
        super().__init__(
            # mode=rw: never makes a file, above all not in the place of one that was destroyed.
            f"{file.path.as_uri()}?mode=rw",
            uri=True,
            pragmas=(*PRAGMAS, *DURABILITY[file.durability]),
            timeout=BUSY_SECONDS,
            check_same_thread=False,
            factory=Connection,
        )
        self._file = weakref.ref(file)

    def _connect(self) -> Any:
        file = self._file()
        if file is None:
            raise DatabaseClosed()
        file.check()
        connection: sqlite3.Connection = super()._connect()  # type: ignore[misc]  # the stubs lack it
        try:
            file.identify(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @property
    def local(self) -> Any:
        """Where each thread has its connection."""
        return self._state

    def forget(self) -> Any:
        """Let go of the connections of all threads; return the thread-local that has none."""
        self._state = peewee._ConnectionLocal()
        return self._state
