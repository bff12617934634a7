"""A database in a file: one connection per thread, shared with other processes."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import peewee

from pouchdb_core.adapters.sql.sqlite import Connections, Held, WriteLock, file_error, storage_error
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
    """A database in a file, shared by threads and processes.

    After a fork the child forgets the connections it inherited, never closing them, and opens its own.
    """

    def __init__(self, path: Path, durability: Durability, what: str) -> None:
        super().__init__(what)
        self._path = path.absolute()
        self.durability: Durability = durability
        self._made = _inode(self._path)
        self._by_process: dict[int, _PerThread] = {}
        self._adopt()

    @property
    def path(self) -> Path:
        return self._path

    @property
    def database(self) -> _PerThread:
        if self._pid != os.getpid():
            self._adopt()
        return self._database

    def _adopt(self) -> None:
        """Start afresh in this process."""
        if self._closed:
            raise DatabaseClosed()
        pid = os.getpid()
        # setdefault: the threads of a child may arrive here together.
        self._database = self._by_process.setdefault(pid, _PerThread(self))
        self._writing, self._local = self._database.writing, self._database.local
        self._pid = pid

    def _connection(self) -> Held:
        # The hot path: one comparison tells a fork and a closed store (pid -1) alike.
        if self._pid != os.getpid():
            self._adopt()
        try:
            held: Held = self._local.held
        except AttributeError:
            held = self._local.held = Held(self._database.connection())  # type: ignore[no-untyped-call]
            # The first lives as long as all of them. It keeps the file's inode from being used again,
            # and the journal from being folded in whenever the last thread of the moment ends.
            self._database.first = self._database.first or held
        return held

    def _lock(self) -> WriteLock:
        if self._pid != os.getpid():
            self._adopt()
        return self._writing

    def check(self) -> None:
        if self._closed:
            raise DatabaseClosed()
        if self._made is None or _inode(self._path) != self._made:
            # Another process destroyed it: writing to the unlinked file would lose the document.
            raise NotFound(f"{self._what}: the database was destroyed or replaced while it was open")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        connection = self._connection()
        if connection.connection.in_transaction:
            yield
            return
        try:
            connection.execute("BEGIN")
            try:
                yield
            finally:
                # There is nothing to commit, and SQLite ends a transaction by itself when a read fails badly.
                connection.rollback()
        except sqlite3.Error as error:
            raise storage_error(error, self._what) from error

    def sizes(self) -> dict[str, int]:
        sizes = super().sizes()
        with suppress(FileNotFoundError):
            sizes["file"] = self._path.stat().st_size
            sizes["file"] += Path(f"{self._path}-wal").stat().st_size
        return sizes

    def shrink(self) -> None:
        with self._lock().lock:
            self.check()
            super().shrink()
            # What is in the journal goes to the file, then the journal is emptied too.
            self.all("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        if self._closed or self._pid != os.getpid():
            self._closed, self._pid = True, -1
            return
        with self._writing.lock:
            self._closed, self._pid = True, -1
            # Each connection closes with its last reference: at once, unless a thread is reading through it.
            self._local = self._database.forget()


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise file_error(error, path.name) from error
    return status.st_dev, status.st_ino


class _PerThread(peewee.SqliteDatabase):
    """peewee's thread-local connections in one process."""

    def __init__(self, file: File) -> None:
        super().__init__(
            # mode=rw: never makes a file, above all not in the place of one that was destroyed.
            f"{file.path.as_uri()}?mode=rw",
            uri=True,
            pragmas=(*PRAGMAS, *DURABILITY[file.durability]),
            timeout=BUSY_SECONDS,
            check_same_thread=False,
        )
        self.writing = WriteLock()
        self.first: Held | None = None
        self._file = weakref.ref(file)

    def _connect(self) -> Any:
        file = self._file()
        if file is None:
            raise DatabaseClosed()
        file.check()
        return super()._connect()  # type: ignore[misc]  # the stubs lack it

    def forget(self) -> Any:
        """Let go of the connections of all threads; return the thread-local that has none."""
        self.first, self._state = None, peewee._ConnectionLocal()
        return self._state

    @property
    def local(self) -> Any:
        """Where each thread has its connection."""
        return self._state
