"""What is SQLite's own: connections, transactions, locks, errors.

``disk.File`` has one connection per thread, ``memory.Memory`` one behind a lock for all. Both offer
the same few calls to ``store``.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import peewee

from pouchdb_core.adapters.sql.fork import SPOILED, part_at_forks
from pouchdb_core.errors import (
    DatabaseBusy,
    DatabaseClosed,
    DiskFull,
    NotADatabase,
    ReadOnlyStorage,
    ServerError,
    StorageError,
)

__all__ = ["APPLICATION_ID", "Connection", "Connections", "Held", "WriteLock", "file_error", "storage_error"]

APPLICATION_ID = 0x504F5543
"""Marks our files ("POUC"), so that a SQLite file of another program is refused."""

PAGES = 2500
"""How many free pages are given back at a time."""

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


def storage_error(error: Exception, what: str) -> ServerError:
    """Return a driver's error as one of ours; ``what`` says of which database."""
    text = str(error)
    for part, kind in _ERRORS:
        if part in text:
            return kind(f"{what}: {text}")
    return StorageError(f"{what}: {text}")


def file_error(error: OSError, what: str) -> StorageError:
    """Return an error of the operating system as one of ours."""
    text = f"{what}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(text)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ReadOnlyStorage(text)
    return StorageError(text)


class Connection(sqlite3.Connection):
    """A connection that closes without Python 3.13's ResourceWarning, and never in a forked child.

    SQLite forbids closing in the child what the parent opened, should one get there (see ``fork``).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._pid = os.getpid()
        super().__init__(*args, **kwargs)

    # The defaults are for the end of the interpreter, when the module is empty.
    def end(self, _getpid: Any = os.getpid, _keep: Any = ctypes.pythonapi.Py_IncRef) -> None:
        """Close, if it was opened by this process; else keep it for ever."""
        if self._pid == _getpid():
            self.close()
        else:
            _keep(ctypes.py_object(self))

    __del__ = end


_numbers = itertools.count(1)


class Held:
    """A connection that closes with the last reference to this: in a thread-local, with its thread.

    sqlite3's own object is in a cycle with its cache of statements, so it would wait for the
    collector. A caller that has not the write lock keeps this, not what it takes from it, as long
    as it uses the connection: Python crashes when a connection is closed under its reader.
    """

    __slots__ = ("__weakref__", "connection", "execute", "executemany", "number", "rollback")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.number = next(_numbers)
        """Tells it from every connection before."""
        self.execute, self.executemany = connection.execute, connection.executemany
        self.rollback = connection.rollback

    def __del__(self) -> None:
        self.connection.end()


class WriteLock:
    """The write lock of a store in one process, and the transaction of the thread that holds it."""

    __slots__ = ("doomed", "lock", "thread")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.thread = 0
        """The thread whose transaction is open, or 0."""
        self.doomed: ServerError | None = None
        """The first error of SQLite in the transaction."""


class Connections(ABC):
    """A SQLite database as ``store`` uses it."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._closed = False
        self._writing = WriteLock()
        self._held_back = False
        part_at_forks(self)

    @property
    @abstractmethod
    def database(self) -> peewee.SqliteDatabase:
        """peewee's database, for the schema."""

    @abstractmethod
    def _connection(self) -> Held:
        """Return the calling thread's connection. Raises StorageError and what ``check`` does."""

    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Execute one statement."""
        self.all(sql, params)

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Return the first row, or None."""
        connection = self._connection()
        try:
            return connection.execute(sql, params).fetchone()
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            # A traceback must not keep it.
            del connection

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        """Return all rows."""
        connection = self._connection()
        try:
            return connection.execute(sql, params).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            # A traceback must not keep it.
            del connection

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute one statement for each row of parameters."""
        connection = self._connection()
        try:
            connection.executemany(sql, rows)
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            del connection

    def _failed(self, error: Exception) -> ServerError:
        """Return an error of SQLite as one of ours; inside a write nothing of the transaction is kept.

        A full disk makes SQLite roll back by itself. If someone caught the error and went on, the
        rest would be committed statement by statement, so it goes into a transaction that is doomed.
        """
        ours = storage_error(error, self._what)
        writing = self._writing
        if writing.thread == threading.get_ident():
            writing.doomed = writing.doomed or ours
            with suppress(sqlite3.Error, ServerError):
                if not self._connection().connection.in_transaction:
                    self._connection().execute("BEGIN")
        return ours

    def begin(self) -> bool:
        """Take the write lock and start a transaction; False when this thread has one already, which is joined.

        Each call needs one of ``commit`` or ``rollback``, also a joining one.
        """
        writing = self._writing
        # SQLite's own lock polls with growing pauses; threads of one process queue here instead.
        writing.lock.acquire()
        thread = threading.get_ident()
        if writing.thread == thread:
            return False
        try:
            self.check()
            # A deferred transaction that reads first fails at once with "database is locked" when
            # it writes, busy timeout or not: always take the lock at the beginning.
            self._connection().execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            writing.lock.release()
            raise storage_error(error, self._what) from error
        except BaseException:
            writing.lock.release()
            raise
        writing.thread, writing.doomed = thread, None
        return True

    def commit(self, outermost: bool) -> None:
        """End what ``begin`` started; make it last if it was the outermost."""
        writing = self._writing
        try:
            if outermost:
                writing.thread = 0
                if writing.doomed is not None:
                    self._connection().rollback()
                    raise writing.doomed
                self._connection().execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._connection().rollback()
            raise storage_error(error, self._what) from error
        finally:
            writing.lock.release()

    def rollback(self, outermost: bool) -> None:
        """End what ``begin`` started; undo it if it was the outermost."""
        writing = self._writing
        try:
            if outermost:
                writing.thread = 0
                # A closed connection rolls back by itself.
                with suppress(StorageError, DatabaseClosed):
                    self._connection().rollback()
        except sqlite3.Error as error:
            raise storage_error(error, self._what) from error
        finally:
            writing.lock.release()

    @contextmanager
    def write(self) -> Iterator[None]:
        """Do ``begin``, and what ends it."""
        outermost = self.begin()
        try:
            yield
        except BaseException:
            self.rollback(outermost)
            raise
        self.commit(outermost)

    def check(self) -> None:
        """Raise DatabaseClosed, or what else forbids to use the database from now on."""
        if self._closed:
            raise DatabaseClosed()
        if SPOILED and self.kin() in SPOILED:
            raise StorageError(
                f"{self._what} was in use while this process was forked, and cannot be used in it: "
                "fork when no thread reads or writes, and in a way that Python knows of"
            )

    def hold(self, deadline: float) -> bool:
        # Who has the lock may be waiting for the thread that forks.
        self._held_back = self._writing.lock.acquire(timeout=max(0.0, deadline - time.monotonic()))
        return self._held_back

    def part(self, deadline: float) -> bool:
        return True

    def rejoin(self, *, spoiled: bool) -> None:
        if self._held_back:
            self._held_back = False
            if spoiled:
                self._writing.thread = 0
            self._writing.lock.release()
        elif spoiled:
            # The thread that has the old one is not in this process.
            self._writing = WriteLock()

    def kin(self) -> object:
        return self

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
        held = self._connection()
        try:
            with closing(sqlite3.connect(target)) as copy:
                held.connection.backup(copy)
        except sqlite3.Error as error:
            raise storage_error(error, f"backup to {target.name}") from error
        finally:
            del held

    def sizes(self) -> dict[str, int]:
        """Return bytes: ``file`` is what the database takes, ``active`` what of it is in use."""
        page = self.one("PRAGMA page_size")[0]
        pages = self.one("PRAGMA page_count")[0]
        free = self.one("PRAGMA freelist_count")[0]
        return {"file": pages * page, "active": (pages - free) * page}

    def shrink(self) -> None:
        """Give free pages back to the file system; writers get their turn in between."""
        for _ in range(0, self.one("PRAGMA freelist_count")[0], PAGES):
            with self._writing.lock:
                self.check()
                try:
                    # execute() would free one page: this statement is one that must be stepped to its end.
                    self._connection().connection.executescript(f"PRAGMA incremental_vacuum({PAGES})")
                except sqlite3.Error as error:
                    raise storage_error(error, self._what) from error

    def problems(self) -> list[str]:
        """Return what SQLite's own check finds."""
        return [text for (text,) in self.all("PRAGMA integrity_check") if text != "ok"]
