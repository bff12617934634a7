"""SQLite's specifics: connections, transactions, locks, errors.

``disk.File`` lends connections of a file, ``memory.Memory`` has one that is used in turns. Both offer
the same few calls to ``store``.

A write by the thread that is in the middle of one (a signal handler, a finalizer, code of an index) is
refused by ``Connections.alone``: it could not wait, and joining would undo it if the other one fails.
Nested transactions of the store itself are savepoints.
"""

from __future__ import annotations

import errno
import sqlite3
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from threading import get_ident
from types import FrameType
from typing import Any, TypeVar

import peewee

from pouchdb_core.adapters.sqlite.connection import NOTHING, Held, too_many
from pouchdb_core.adapters.sqlite.fork import SPOILED, part_at_forks
from pouchdb_core.adapters.write_lock import Holding, Reading, Turn, Turns, Writing
from pouchdb_core.errors import (
    DatabaseBusy,
    DatabaseClosed,
    DiskFull,
    NotADatabase,
    ReadOnlyStorage,
    ReentrantWrite,
    ServerError,
    StorageError,
    TooManyOpenFiles,
)

__all__ = ["APPLICATION_ID", "Connections", "Transaction", "file_error", "storage_error"]

APPLICATION_ID = 0x504F5543
"""Marks our files ("POUC"), so that a SQLite file of another program is refused."""

PAGES = 2500
"""How many free pages are released at a time."""

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
T = TypeVar("T")
RECALLED = 256
"""How much ``recall`` keeps for a connection."""


def storage_error(error: Exception, what: str) -> ServerError:
    """Return a driver's error as one of ours; ``what`` names the database."""
    text = str(error)
    for part, kind in _ERRORS:
        if part in text:
            return kind(f"{what}: {text}")
    return StorageError(f"{what}: {text}")


def file_error(error: OSError, what: str) -> StorageError:
    """Return an error of the operating system as one of ours."""
    text = f"{what}: {error.strerror or error}"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return TooManyOpenFiles(f"{what}: {too_many()}")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(text)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ReadOnlyStorage(text)
    return StorageError(text)


class Transaction(Turn):
    """A write transaction.

    One at a time in the process, and by SQLite's own lock among processes. Inside another one of the
    same thread it is a part of that one, which is undone alone if it fails. Whatever exception is raised
    at any point, the transaction ends: at once, or when the next writer begins.
    """

    __slots__ = ("_before", "_connections", "_held", "_outer", "_parts", "doomed", "over")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._outer: Transaction | None = None
        self._held: Held | None = None
        self._before: Held | None = None
        """What the thread used for reads before: a snapshot."""
        self._parts: list[Transaction] = []
        self.doomed: ServerError | None = None
        """The first error of SQLite in the transaction: nothing of it can be kept."""
        self.over = False

    def enter(self, frame: FrameType) -> Any:
        """Begin, on behalf of a call; return what ``with`` gives."""
        super().__init__(frame)
        connections = self._connections
        turns, bound = connections._turns, connections._bound
        owner = turns.owner
        if owner is not None and (owner.thread != self.thread or turns.recover()):
            owner = None
        if owner is not None and not isinstance(owner, Reading):
            return self._enter_part(owner)
        try:
            if owner is None:
                turns.take(self)
            else:
                turns.interrupt(self, owner)
            connections.check()
            # Only values move until BEGIN: interrupting code finds it either missing or complete.
            held = connections._lend()
            # SQLite's data_version does not count a connection's own commits.
            held.recalled = None
            self._before, self._held = bound.get(self.thread), held
            bound[self.thread] = held
            # A deferred transaction that reads first fails at once with "database is locked" when
            # it writes, busy timeout or not: always take the lock at the beginning.
            held.execute("BEGIN IMMEDIATE")
            return self._begun()
        except BaseException as error:
            self._leave()
            if isinstance(error, sqlite3.Error):
                raise connections._error(error) from error
            raise

    def exit(self, kind: type[BaseException] | None) -> None:
        """Commit, or undo all of it if there was an exception of this kind."""
        if self._outer is not None:
            self._exit_part(self._outer, kind)
            return
        connections = self._connections
        try:
            if kind is None:
                if self._parts:
                    raise StorageError("a part of the transaction was left without its end")
                self._ending()
                if self.doomed is not None:
                    raise self.doomed
                if connections._turns.owner is not self:
                    raise StorageError("the transaction was ended by another thread")
                assert self._held is not None
                self._held.execute("COMMIT")
        except sqlite3.Error as failed:
            raise connections._error(failed) from failed
        finally:
            try:
                self._leave()
            finally:
                if kind is None:
                    self._ended()

    def _leave(self) -> None:
        """Undo what is not committed, and release the turn and the connection."""
        connections, held = self._connections, self._held
        try:
            # A closed connection rolls back by itself.
            if held is not None and held.connection.in_transaction:
                held.rollback()
        except sqlite3.Error:
            connections._drop(held)
            held = None
        finally:
            if self._held is not None:
                self._held.recalled = NOTHING
                self._held = None
                if self._before is None:
                    try:
                        del connections._bound[self.thread]
                    except KeyError:
                        pass
                else:
                    connections._bound[self.thread] = self._before
            connections._turns.give(self)
            self.over = True
        if held is not None:
            connections._give_back(held)

    def abandon(self) -> None:
        if self._outer is None:
            self._leave()

    # -- a part of another one -----------------------------------------------------------------------

    def _enter_part(self, outer: Turn) -> Any:
        if not isinstance(outer, Transaction):
            raise ReentrantWrite(f"{self._connections.what}: this thread is in the middle of reading it")
        try:
            self._outer = outer
            outer._parts.append(self)
            assert outer._held is not None
            outer._held.execute(f"SAVEPOINT part_{len(outer._parts)}")
            return self._begun_in(outer)
        except BaseException as error:
            outer.doomed = outer.doomed or StorageError("a part of the transaction could not begin")
            if isinstance(error, sqlite3.Error):
                raise self._connections._error(error) from error
            raise

    def _exit_part(self, outer: Transaction, kind: type[BaseException] | None) -> None:
        doomed = outer.doomed
        # Until its end is reached: an interrupted end does not count.
        outer.doomed = doomed or StorageError("a part of the transaction could not end")
        name, held = f"part_{len(outer._parts)}", outer._held
        try:
            assert held is not None
            if kind is not None or self.doomed is not None:
                held.execute(f"ROLLBACK TO {name}")
                self._undone(outer)
            held.execute(f"RELEASE {name}")
        except sqlite3.Error as error:
            raise self._connections._error(error) from error
        if self in outer._parts:
            del outer._parts[outer._parts.index(self) :]
        outer.doomed = doomed
        if kind is None and self.doomed is not None:
            raise self.doomed

    # -- what a store adds -----------------------------------------------------------------------------

    def _begun(self) -> Any:
        """Called first in the transaction; returns what ``with`` gives."""

    def _begun_in(self, outer: Transaction) -> Any:
        """Called first in a part."""

    def _ending(self) -> None:
        """Called before the commit."""

    def _undone(self, outer: Transaction) -> None:
        """Called after a part was undone."""

    def _ended(self) -> None:
        """Called after the commit, or after an interrupted one."""


class Connections(ABC):
    """A SQLite database as ``store`` uses it."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._closed = False
        self._turns = Turns()
        self._holding: Turn | None = None
        self._bound: dict[int, Held] = {}
        """The connection of a thread that is in a transaction or a snapshot."""
        self.database: peewee.SqliteDatabase = _Peewee(self)
        """peewee's database, for the schema."""
        part_at_forks(self)

    @abstractmethod
    def _lend(self) -> Held:
        """Return an unused connection, for ``_give_back``. Raises StorageError and what ``check`` does."""

    @abstractmethod
    def _give_back(self, held: Held) -> None:
        """Take back what was lent."""

    @abstractmethod
    def _drop(self, held: Held | None) -> None:
        """Close what was lent and can no longer be used."""

    @abstractmethod
    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Return the first row, or None."""

    @abstractmethod
    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        """Return all rows."""

    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        """Execute one statement."""
        self.all(sql, params)

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute one statement for each row of parameters; inside a transaction only."""
        try:
            self._mine().executemany(sql, rows)
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _mine(self) -> Held:
        """Return the connection of the thread's transaction."""
        held = self._bound.get(get_ident())
        if held is None:
            raise StorageError(f"{self.what}: rows are written in a transaction")
        return held

    @contextmanager
    def _used(self) -> Iterator[Held]:
        """Use a connection: that of the thread's transaction or snapshot, or one that is lent."""
        held = self._bound.get(get_ident())
        if held is not None:
            yield held
            return
        held = self._lend()
        try:
            yield held
        finally:
            self._give_back(held)
            # A traceback must not keep it.
            del held

    def _failed(self, error: Exception) -> ServerError:
        """Return an error of SQLite as one of ours; inside a write nothing of the transaction is kept.

        A full disk makes SQLite roll back by itself. If the caller caught the error and continued, the
        rest would be committed statement by statement, so it goes into a transaction that is doomed.
        """
        ours = self._error(error)
        owner = self._turns.owner
        if isinstance(owner, Transaction) and owner.mine:
            inner = owner._parts[-1] if owner._parts else owner
            inner.doomed = inner.doomed or ours
            held = owner._held
            try:
                if held is not None and not held.connection.in_transaction:
                    # The savepoints are gone, too.
                    owner.doomed = owner.doomed or ours
                    held.execute("BEGIN")
            except sqlite3.Error:
                owner.doomed = owner.doomed or ours
        return ours

    def _error(self, error: Exception) -> ServerError:
        return storage_error(error, self.what)

    def write(self) -> Writing:
        """Hold the write lock in a transaction."""
        return Writing(Transaction(self))

    def alone(self) -> None:
        """Raise ReentrantWrite if the calling thread is in the middle of a transaction."""
        owner = self._turns.record.get(0)
        if isinstance(owner, Transaction) and owner.thread == get_ident() and not self._turns.recover():
            raise ReentrantWrite(f"{self.what}: {ReentrantWrite.default_message}")

    def _turn(self) -> Holding:
        """Keep all writers out; does nothing if the thread already has the turn."""
        return Holding(self._turns)

    def check(self) -> None:
        """Raise DatabaseClosed, or another error that forbids further use of the database."""
        if self._closed:
            raise DatabaseClosed()
        if SPOILED and self.kin() in SPOILED:
            raise StorageError(
                f"{self.what} was in use while this process was forked, and cannot be used in it: "
                "fork when no thread reads or writes, and in a way that Python knows of"
            )

    def hold(self, timeout: float) -> bool:
        owner = self._turns.owner
        if owner is not None and owner.mine and not self._turns.recover():
            # The thread that forks is itself in the middle of something.
            return False
        # The owner of the turn may be waiting for the thread that forks.
        self._holding = Turn(None)
        return self._turns.take(self._holding, max(0.0, timeout))

    def part(self, deadline: float) -> bool:
        return True

    def rejoin(self, *, spoiled: bool, child: bool) -> None:
        holding, self._holding = self._holding, None
        if child:
            # Threads that wait or have a turn do not exist in this process.
            self._turns = Turns()
            mine = None if spoiled else self._bound.get(get_ident())
            self._bound.clear()
            if mine is not None:
                self._bound[get_ident()] = mine
        elif holding is not None:
            self._turns.give(holding)

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

    def renamed(self) -> None:  # noqa: B027  # memory has nothing to record
        """Record that the database was given another identity."""

    def backup(self, target: Path) -> None:
        """Copy a snapshot of the database to ``target``, while others read and write."""
        try:
            with closing(sqlite3.connect(target)) as copy, self._used() as held:
                try:
                    held.connection.backup(copy)
                finally:
                    # A traceback must not keep it.
                    del held
        except sqlite3.Error as error:
            raise storage_error(error, f"backup to {target.name}") from error

    def sizes(self) -> dict[str, int]:
        """Return bytes: ``file`` is the database's size, ``active`` how much of it is in use."""
        page = self.one("PRAGMA page_size")[0]
        pages = self.one("PRAGMA page_count")[0]
        free = self.one("PRAGMA freelist_count")[0]
        return {"file": pages * page, "active": (pages - free) * page}

    def shrink(self) -> None:
        """Return free pages to the file system; writers get their turn in between."""
        for _ in range(0, self.one("PRAGMA freelist_count")[0], PAGES):
            with self._turn():
                self.check()
                try:
                    with self._used() as held:
                        # execute() would free one page: this statement is one that must be stepped to its end.
                        try:
                            held.connection.executescript(f"PRAGMA incremental_vacuum({PAGES})")
                        finally:
                            del held
                except sqlite3.Error as error:
                    raise self._error(error) from error

    def problems(self) -> list[str]:
        """Return what SQLite's own check finds."""
        return [text for (text,) in self.all("PRAGMA integrity_check") if text != "ok"]

    def recall(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return what ``read()`` returns now; it is called once for each key while the database stays as it is.

        ``read`` reads this database and nothing else, in a snapshot. What it returned is kept with the connection,
        whose ``data_version`` (3 us to read) changes when another connection or process commits. Within a write it is
        called every time, as it must see what was written so far.
        """
        known = self._recalled()
        if known is not None and key in known:
            kept: T = known[key]
            return kept
        with self.snapshot():
            known = self._recalled()
            found = read()
            if known is not None:
                if len(known) >= RECALLED:
                    known.clear()
                known[key] = found
        return found

    def _recalled(self) -> dict[Hashable, Any] | None:
        """Return what is kept of the state that a read sees now; None during a write of this thread."""
        bound = self._bound.get(get_ident())
        held = self._lend() if bound is None else bound
        try:
            recalled = held.recalled
            if recalled is None:
                return None
            version = held.execute("PRAGMA data_version").fetchone()[0]
            if version != recalled[0]:
                recalled = held.recalled = (version, {})
            return recalled[1]
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            if bound is None:
                self._give_back(held)
            # A traceback must not keep it.
            del bound, held

    def version(self) -> int:
        """Return a number that grows when another connection has committed something.

        SQLite's ``data_version`` belongs to a connection: each is compared with its previous value.
        """
        try:
            with self._used() as held:
                try:
                    now = held.execute("PRAGMA data_version").fetchone()[0]
                    if now != held.seen:
                        held.seen = now
                        self._version += 1
                finally:
                    del held
        except sqlite3.Error as error:
            raise self._error(error) from error
        return self._version

    _version = 0


class _Peewee(peewee.SqliteDatabase):
    """peewee makes statements of models; we execute them and raise our errors."""

    def __init__(self, connections: Connections) -> None:
        super().__init__(":memory:")
        self._connections = weakref.ref(connections)

    def execute_sql(self, sql: str, params: Any = None, commit: Any = None) -> Any:
        connections = self._connections()
        assert connections is not None
        try:
            return connections._mine().execute(sql, params or ())
        except sqlite3.Error as error:
            raise connections._failed(error) from error
