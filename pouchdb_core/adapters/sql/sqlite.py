"""Everything that is SQLite's own: files, connections, threads, processes, locks, errors.

``File`` has one connection per thread; ``Memory`` is one connection behind one re-entrant lock
(peewee would give every thread its own empty database). Both offer the same few calls to ``store``.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import peewee

from pouchdb_core.errors import (
    DatabaseBusy,
    DatabaseClosed,
    DiskFull,
    NotADatabase,
    NotFound,
    ReadOnlyStorage,
    ServerError,
    StorageError,
)

__all__ = ["Connections", "Durability", "File", "Memory", "storage_error"]

Durability = Literal["full", "normal"]

APPLICATION_ID = 0x504F5543
"""Marks our files ("POUC"), so that a SQLite file of another program is refused."""

BUSY_SECONDS = 60.0
"""How long a writer waits for another process before DatabaseBusy."""

# spec: store, section 4. A checkpoint every 4000 pages instead of 1000 makes bulk writes a quarter faster.
PRAGMAS = (
    ("cache_size", -64000),
    ("mmap_size", 268435456),
    ("wal_autocheckpoint", 4000),
)
SYNCHRONOUS = {"full": "FULL", "normal": "NORMAL"}

# Text of SQLite's result codes; Python 3.10 has no sqlite_errorname.
_ERRORS: tuple[tuple[str, type[ServerError]], ...] = (
    ("disk is full", DiskFull),
    ("not a database", NotADatabase),
    ("malformed", NotADatabase),
    ("readonly", ReadOnlyStorage),
    ("unable to open", ReadOnlyStorage),
    ("locked", DatabaseBusy),
    ("closed database", DatabaseClosed),
)

Row = tuple[Any, ...]


def storage_error(error: Exception, what: str) -> Exception:
    """Return a driver's error as one of ours; ``what`` says of which database."""
    text = str(error)
    for part, kind in _ERRORS:
        if part in text:
            return kind(f"{what}: {text}")
    return StorageError(f"{what}: {text}")


class _Connection(sqlite3.Connection):
    """A connection that closes itself with its thread, without Python 3.13's ResourceWarning."""

    def __del__(self) -> None:
        with suppress(sqlite3.Error):
            self.close()


class Connections(ABC):
    """A SQLite database as ``store`` uses it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._closed = False

    @property
    @abstractmethod
    def database(self) -> peewee.SqliteDatabase:
        """peewee's database, for the schema."""

    @abstractmethod
    def _connection(self) -> sqlite3.Connection:
        """Return the calling thread's connection."""

    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Execute one statement."""
        self.all(sql, params)

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Return the first row, or None."""
        try:
            return self._connection().execute(sql, params).fetchone()
        except (sqlite3.Error, peewee.DatabaseError) as error:
            raise storage_error(error, self._what) from error

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        """Return all rows."""
        try:
            return self._connection().execute(sql, params).fetchall()
        except (sqlite3.Error, peewee.DatabaseError) as error:
            raise storage_error(error, self._what) from error

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute one statement for each row of parameters."""
        try:
            self._connection().executemany(sql, rows)
        except (sqlite3.Error, peewee.DatabaseError) as error:
            raise storage_error(error, self._what) from error

    @abstractmethod
    def begin(self) -> bool:
        """Take the write lock and start a transaction; False when this thread has one already, which is joined.

        Each call needs one of ``commit`` or ``rollback``, also a joining one.
        """

    @abstractmethod
    def commit(self, outermost: bool) -> None:
        """End what ``begin`` started; make it last if it was the outermost."""

    @abstractmethod
    def rollback(self, outermost: bool) -> None:
        """End what ``begin`` started; undo it if it was the outermost."""

    @contextmanager
    def write(self) -> Iterator[None]:
        """Hold the write lock in a transaction; nested calls join it."""
        outermost = self.begin()
        try:
            yield
        except BaseException:
            self.rollback(outermost)
            raise
        self.commit(outermost)

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Make all reads of this thread see one state."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection of every thread."""

    @property
    @abstractmethod
    def path(self) -> Path | None:
        """The file, or None in memory."""

    def backup(self, target: Path) -> None:
        """Copy the database to ``target``: one moment of it, while others read and write."""
        copy = sqlite3.connect(target)
        try:
            self._connection().backup(copy)
        except sqlite3.Error as error:
            raise storage_error(error, f"backup to {target.name}") from error
        finally:
            copy.close()

    def sizes(self) -> dict[str, int]:
        """Return bytes: ``file`` is what the database takes, ``active`` what of it is in use."""
        page = self.one("PRAGMA page_size")[0]
        pages = self.one("PRAGMA page_count")[0]
        free = self.one("PRAGMA freelist_count")[0]
        return {"file": pages * page, "active": (pages - free) * page}

    def shrink(self) -> None:
        """Give free pages back to the file system."""
        self.run("PRAGMA incremental_vacuum")

    def problems(self) -> list[str]:
        """Return what SQLite's own check finds."""
        return [text for (text,) in self.all("PRAGMA integrity_check") if text != "ok"]

    def _begin(self, connection: sqlite3.Connection) -> bool:
        if connection.in_transaction:
            return False
        # A deferred transaction that reads first fails at once with "database is locked" when it
        # writes, busy timeout or not: always take the lock at the beginning.
        connection.execute("BEGIN IMMEDIATE")
        return True

    def _end(self, statement: Literal["COMMIT", "ROLLBACK"]) -> None:
        connection = self._connection()
        try:
            # SQLite rolls back by itself when the disk is full: then there is nothing to end.
            if connection.in_transaction:
                connection.execute(statement)
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise storage_error(error, self._what) from error


class File(Connections):
    """A database in a file, shared by threads and processes.

    After a fork the child forgets the connections it inherited, never closing them (SQLite's
    documentation forbids carrying them over), and opens its own.
    """

    def __init__(self, path: Path, durability: Durability, what: str) -> None:
        super().__init__(what)
        self._path = path
        self._durability = durability
        self._made = _inode(path)
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
        for inherited in self._by_process.values():
            inherited.leak()
        # setdefault: the threads of a child may arrive here together.
        fresh = _PerThread(self._path, self._durability)
        self._database, self._pid = self._by_process.setdefault(pid, fresh), pid

    def _connection(self) -> sqlite3.Connection:
        # The hot path: one comparison tells a fork and a closed store (pid -1) alike.
        if self._pid != os.getpid():
            self._adopt()
        connection: sqlite3.Connection = self._database.connection()  # type: ignore[no-untyped-call]
        return connection

    def begin(self) -> bool:
        lock = self.database.write_lock
        # SQLite's own lock polls with growing pauses; threads of one process queue here instead.
        lock.acquire()
        try:
            if _inode(self._path) != self._made:
                # Another process destroyed it: writing to the unlinked file would lose the document.
                raise NotFound(f"{self._what}: the database was destroyed or replaced while it was open")
            return self._begin(self._connection())
        except (sqlite3.Error, peewee.DatabaseError) as error:
            lock.release()
            raise storage_error(error, self._what) from error
        except BaseException:
            lock.release()
            raise

    def commit(self, outermost: bool) -> None:
        try:
            if outermost:
                self._end("COMMIT")
        finally:
            self._database.write_lock.release()

    def rollback(self, outermost: bool) -> None:
        try:
            if outermost:
                self._end("ROLLBACK")
        finally:
            self._database.write_lock.release()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        connection = self._connection()
        if connection.in_transaction:
            yield
            return
        try:
            connection.execute("BEGIN")
            try:
                yield
            finally:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise storage_error(error, self._what) from error

    def sizes(self) -> dict[str, int]:
        sizes = super().sizes()
        with suppress(FileNotFoundError):
            sizes["file"] = self._path.stat().st_size + Path(f"{self._path}-wal").stat().st_size
        return sizes

    def shrink(self) -> None:
        # What is in the journal first goes to the file, then the journal is emptied too.
        with self._database.write_lock:
            super().shrink()
            self.all("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        if self._closed or self._pid != os.getpid():
            self._closed, self._pid = True, -1
            return
        with self._database.write_lock:
            self._closed, self._pid = True, -1
            self._database.close_all()


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


class _PerThread(peewee.SqliteDatabase):
    """peewee's thread-local connections in one process, remembered so that all can be closed."""

    def __init__(self, path: Path, durability: Durability) -> None:
        super().__init__(
            str(path),
            pragmas=(*PRAGMAS, ("synchronous", SYNCHRONOUS[durability])),
            timeout=BUSY_SECONDS,
            check_same_thread=False,
            factory=_Connection,
        )
        self.write_lock = threading.RLock()
        self._opened: weakref.WeakSet[_Connection] = weakref.WeakSet()

    def _connect(self) -> sqlite3.Connection:
        connection: _Connection = super()._connect()  # type: ignore[misc]  # the stubs lack it
        self._opened.add(connection)
        return connection

    def close_all(self) -> None:
        for connection in list(self._opened):
            connection.close()

    def leak(self) -> None:
        """Let nothing close the connections, the collector and the end of the process included."""
        for connection in list(self._opened):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        self._opened.clear()


class Memory(Connections):
    """A database in memory: gone when it is closed, private to a forked child."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._database = peewee.SqliteDatabase(
            ":memory:", thread_safe=False, check_same_thread=False, factory=_Connection
        )
        self._database.connect()

    @property
    def path(self) -> None:
        return None

    @property
    def database(self) -> peewee.SqliteDatabase:
        return self._database

    def _held(self) -> Any:
        if self._pid != os.getpid():
            # A thread of the parent may have held the lock when it forked.
            self._lock, self._pid = threading.RLock(), os.getpid()
        return self._lock

    def _connection(self) -> sqlite3.Connection:
        if self._closed:
            raise DatabaseClosed()
        connection: sqlite3.Connection = self._database.connection()  # type: ignore[no-untyped-call]
        return connection

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        with self._held():
            return super().one(sql, params)

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        with self._held():
            return super().all(sql, params)

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._held():
            super().many(sql, rows)

    def begin(self) -> bool:
        lock = self._held()
        lock.acquire()
        try:
            return self._begin(self._connection())
        except BaseException:
            lock.release()
            raise

    def commit(self, outermost: bool) -> None:
        try:
            if outermost:
                self._end("COMMIT")
        finally:
            self._lock.release()

    def rollback(self, outermost: bool) -> None:
        try:
            if outermost:
                self._end("ROLLBACK")
        finally:
            self._lock.release()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with self._held():
            yield

    def backup(self, target: Path) -> None:
        with self._held():
            super().backup(target)

    def close(self) -> None:
        with self._held():
            if not self._closed:
                self._closed = True
                self._database.close()
