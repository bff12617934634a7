"""Everything that is SQLite's own: files, connections, threads, processes, locks, errors.

``File`` has one connection per thread; ``memory.Memory`` is one connection behind one lock. Both
offer the same few calls to ``store``.
"""

from __future__ import annotations

import ctypes
import errno
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

__all__ = ["Connections", "Durability", "File", "Held", "WriteLock", "file_error", "storage_error"]

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
DURABILITY: dict[Durability, tuple[tuple[str, Any], ...]] = {
    # macOS leaves what was synced in the drive's cache unless asked for more; elsewhere fullfsync does nothing.
    "full": (("synchronous", "FULL"), ("fullfsync", 1)),
    "normal": (("synchronous", "NORMAL"),),
}

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


class Held:
    """A connection that closes with the last reference to this: in a thread-local, with its thread.

    sqlite3's own object is in a cycle with its cache of statements, so it would wait for the
    collector. A caller keeps this, not what it takes from it, as long as it uses the connection:
    Python crashes when a connection is closed under its reader.

    In a forked child it does nothing: SQLite forbids carrying a connection over a fork, closing it
    included, and Python ends the parent's other threads there, and their thread-locals with them.
    """

    __slots__ = ("_pid", "connection", "execute", "executemany", "rollback")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._pid = os.getpid()
        self.connection = connection
        self.execute, self.executemany = connection.execute, connection.executemany
        self.rollback = connection.rollback

    # The defaults are for the end of the interpreter, when the module is empty.
    def __del__(self, _getpid: Any = os.getpid, _keep: Any = ctypes.pythonapi.Py_IncRef) -> None:
        if self._pid == _getpid():
            self.connection.close()
        else:
            _keep(ctypes.py_object(self.connection))


class WriteLock:
    """The write lock of one process, and the transaction of the thread that holds it."""

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

    @property
    @abstractmethod
    def database(self) -> peewee.SqliteDatabase:
        """peewee's database, for the schema."""

    @abstractmethod
    def _connection(self) -> Held:
        """Return the calling thread's connection. Raises what ``check`` does."""

    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Execute one statement."""
        self.all(sql, params)

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Return the first row, or None."""
        try:
            connection = self._connection()
            return connection.execute(sql, params).fetchone()
        except (sqlite3.Error, peewee.DatabaseError) as error:
            raise self._failed(error) from error

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        """Return all rows."""
        try:
            connection = self._connection()
            return connection.execute(sql, params).fetchall()
        except (sqlite3.Error, peewee.DatabaseError) as error:
            raise self._failed(error) from error

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute one statement for each row of parameters."""
        try:
            connection = self._connection()
            connection.executemany(sql, rows)
        except (sqlite3.Error, peewee.DatabaseError) as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> ServerError:
        """Return an error of SQLite as one of ours; inside a write nothing of the transaction is kept.

        A full disk makes SQLite roll back by itself. If someone caught the error and went on, the
        rest would be committed statement by statement, so it goes into a transaction that is doomed.
        """
        ours = storage_error(error, self._what)
        writing = self._writing
        if writing.thread == threading.get_ident():
            writing.doomed = writing.doomed or ours
            with suppress(sqlite3.Error, peewee.DatabaseError, DatabaseClosed):
                held = self._connection()
                if not held.connection.in_transaction:
                    held.execute("BEGIN")
        return ours

    def begin(self) -> bool:
        """Take the write lock and start a transaction; False when this thread has one already, which is joined.

        Each call needs one of ``commit`` or ``rollback``, also a joining one.
        """
        writing = self._lock()
        # SQLite's own lock polls with growing pauses; threads of one process queue here instead.
        writing.lock.acquire()
        thread = threading.get_ident()
        if writing.thread == thread:
            return False
        try:
            self.check()
            # A deferred transaction that reads first fails at once with "database is locked" when
            # it writes, busy timeout or not: always take the lock at the beginning.
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
        except (sqlite3.Error, peewee.DatabaseError) as error:
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
                connection = self._connection()
                if writing.doomed is not None:
                    connection.rollback()
                    raise writing.doomed
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                connection.rollback()
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
                with suppress(DatabaseClosed):
                    connection = self._connection()
                    connection.rollback()
        except sqlite3.Error as error:
            raise storage_error(error, self._what) from error
        finally:
            writing.lock.release()

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
    def _lock(self) -> WriteLock:
        """Return the write lock of this process."""

    @abstractmethod
    def check(self) -> None:
        """Raise DatabaseClosed, or NotFound if the database is no longer the one that was opened."""

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
            held = self._connection()
            held.connection.backup(copy)
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
        self._writing, self._local = self._database.writing, self._database._state
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
        if _inode(self._path) != self._made:
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
        self.first, self._state = None, type(self._state)()
        return self._state
