"""Reads and writes of one database: statements, snapshots, write transactions, commits without an answer.

A write transaction begins with the lock of the row ``counters``, which is held until the commit. So the writers of
all hosts run one at a time, and their writes become visible in the order of its sequence numbers.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from threading import get_ident
from types import FrameType
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from pouchdb_core.adapters.write_lock import Turn, Turns
from pouchdb_core.changes.notify import Notifier
from pouchdb_core.documents.store import Counters
from pouchdb_core.errors import (
    DatabaseBusy,
    DatabaseClosed,
    NotFound,
    PouchDBError,
    ReadOnlyStorage,
    ReentrantWrite,
    StorageError,
    Unreachable,
)
from pouchdb_postgres.failures import GONE, Undone, lost, storage_error
from pouchdb_postgres.session import LOCK_SECONDS, Server, Session

__all__ = ["COUNTERS", "Connections", "Snapshot", "Transaction", "Writing"]

T = TypeVar("T")

COPIED = 5
"""The number of rows from which they are sent by COPY, which takes a third of the time."""
TOKEN, KEPT = 8, 32
"""Bytes of the mark that every commit writes, and how many marks are kept."""
PATIENCE = 30.0
"""Seconds to wait for a server that failed during a commit, to find out the outcome."""

NAMES = (
    "update_seq",
    "doc_count",
    "doc_del_count",
    "purge_seq",
    "ddocs_seq",
    "last_pointer",
    "last_attachment",
    "revs_limit",
)
COUNTERS = ", ".join(NAMES)
_LOCK = f"SELECT {COUNTERS}, commits FROM counters FOR UPDATE"


def _numbered(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


class Connections:
    """One database, over the connections of its server. SQL text has ``?`` where a parameter goes."""

    def __init__(self, server: Server, schema: str, what: str) -> None:
        self.server, self.schema, self.what = server, schema, what
        self.notifier = Notifier()
        self.channel = schema
        """Its channel for NOTIFY."""
        self._closed = False
        self._texts: dict[str, str] = {}
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self.turns = Turns()
        self.bound: dict[int, Session] = {}
        """The connection of a thread that is in a transaction or a snapshot."""
        self.snapshots: dict[int, Snapshot] = {}

    def check_open(self) -> None:
        """Raise DatabaseClosed after ``close()``."""
        if self._closed:
            raise DatabaseClosed()
        if self._pid != os.getpid():
            # Transactions under way belong to threads of another process.
            self._reset()

    def close(self) -> None:
        self._closed = True

    # -- statements --------------------------------------------------------------------------------------

    def _text(self, sql: str) -> str:
        text = self._texts.get(sql)
        if text is None:
            text = self._texts[sql] = _numbered(sql)
        return text

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        """Return the first row, or None."""
        text = self._text(sql)
        return self._asked(lambda session: session.rows.execute(text, params).fetchone())

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        """Return all rows."""
        text = self._text(sql)
        return self._asked(lambda session: session.rows.execute(text, params).fetchall())

    def run(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Execute one statement in a transaction; return how many rows it affected."""
        session, text = self._mine(), self._text(sql)
        try:
            return session.rows.execute(text, params).rowcount
        except psycopg.Error as error:
            raise self._failed(error, session) from error

    def script(self, statements: Sequence[str]) -> None:
        """Execute statements without parameters; inside a transaction only."""
        session = self._mine()
        try:
            session.plain.execute("; ".join(statements), prepare=False)
        except psycopg.Error as error:
            raise self._failed(error, session) from error

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Execute one statement for each row of parameters; inside a transaction only."""
        session, text = self._mine(), self._text(sql)
        try:
            session.rows.executemany(text, rows)
        except psycopg.Error as error:
            raise self._failed(error, session) from error

    def insert(self, table: str, columns: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows; inside a transaction only."""
        if len(rows) < COPIED:
            marks = ", ".join("?" * len(rows[0])) if rows else ""
            for row in rows:
                self.run(f"INSERT INTO {table} ({columns}) VALUES ({marks})", row)
            return
        session = self._mine()
        try:
            with session.plain.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        except psycopg.Error as error:
            raise self._failed(error, session) from error

    def _mine(self) -> Session:
        session = self.bound.get(get_ident())
        if session is None or self._pid != os.getpid():
            raise StorageError(f"{self.what}: rows are written in a transaction")
        return session

    def bind(self, session: Session) -> None:
        """Make this thread use a session that is in its owner's transaction."""
        self.bound[get_ident()] = session

    def unbind(self) -> None:
        """End that."""
        del self.bound[get_ident()]

    def _asked(self, ask: Callable[[Session], T]) -> T:
        session = self.bound.get(get_ident())
        if session is not None and self._pid == os.getpid():
            try:
                return ask(session)
            except psycopg.Error as error:
                raise self._failed(error, session) from error
        return self._with_session(ask)

    def _with_session(self, ask: Callable[[Session], T]) -> T:
        """Query on a pooled connection, and on another one if it turns out to be dead."""
        while True:
            session = self.lend()
            try:
                session.go(self.schema)
                return ask(session)
            except psycopg.Error as error:
                if not lost(error, session):
                    raise storage_error(error, self.what) from error
                if session.fresh:
                    raise storage_error(error, self.what, broken=True) from error
            finally:
                self.server.give_back(session)

    def lend(self) -> Session:
        """Return an unused connection. Raises DatabaseClosed, and what ``Server.lend`` does."""
        self.check_open()
        return self.server.lend()

    def _failed(self, error: psycopg.Error, session: Session) -> PouchDBError:
        """Return an error of a statement in a transaction as one of ours; the transaction cannot be committed."""
        broken = lost(error, session)
        ours = storage_error(error, self.what, broken=broken)
        owner = self.turns.owner
        if isinstance(owner, Transaction) and owner.mine and owner.session is session:
            if broken:
                ours = Undone(f"{ours.message}; nothing was written")
            inner = owner.parts[-1] if owner.parts else owner
            inner.doomed = inner.doomed or ours
            if broken:
                owner.doomed = owner.doomed or ours
        return ours

    # -- transactions ------------------------------------------------------------------------------------

    def write(self) -> Writing:
        """Hold the write lock in a transaction; ``with`` returns the counters."""
        return Writing(Transaction(self))

    def snapshot(self) -> Snapshot:
        """Make all reads of this thread see one state."""
        return Snapshot(self)

    @property
    def writing(self) -> Counters | None:
        """The counters of the calling thread's transaction."""
        owner = self.turns.owner
        return owner.counters if isinstance(owner, Transaction) and owner.mine else None

    def alone(self) -> None:
        """Raise ReentrantWrite if the calling thread is in the middle of a transaction."""
        owner = self.turns.owner
        if owner is not None and owner.mine and self._pid == os.getpid() and not self.turns.recover():
            raise ReentrantWrite(f"{self.what}: {ReentrantWrite.default_message}")


class Writing:
    """A write transaction as a context manager: it commits, or an exception rolls it back."""

    __slots__ = ("_transaction",)

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def __enter__(self) -> Counters:
        return self._transaction.enter(sys._getframe(1))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._transaction.exit(kind)

    def __del__(self) -> None:
        if not self._transaction.over:
            self._transaction.abandon()


class Transaction(Turn):
    """A write transaction.

    Inside of another one of the same thread it is a savepoint of that one, which is rolled back alone when it fails.
    """

    __slots__ = ("_before", "_connections", "_outer", "_was", "counters", "doomed", "known", "over", "parts", "session")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._outer: Transaction | None = None
        self._before: Session | None = None
        """What the thread read with before: a snapshot."""
        self._was: tuple[int, ...] = ()
        self.counters = Counters()
        self.known = b""
        """The marks of earlier commits."""
        self.doomed: PouchDBError | None = None
        """The first error of PostgreSQL in the transaction: it cannot be committed."""
        self.parts: list[Transaction] = []
        self.session: Session | None = None
        self.over = False

    def enter(self, frame: FrameType) -> Counters:
        """Begin, on behalf of a call."""
        super().__init__(frame)
        connections = self._connections
        connections.check_open()
        turns = connections.turns
        owner = turns.owner
        if owner is not None and owner.mine and not turns.recover():
            assert isinstance(owner, Transaction)
            return self._enter_part(owner)
        try:
            if not turns.take(self, LOCK_SECONDS):
                raise DatabaseBusy(f"{connections.what}: {DatabaseBusy.default_message}")
            self._begin()
            return self.counters
        except BaseException:
            self._leave()
            raise

    def _begin(self) -> None:
        """Take the lock, on another connection if the first turns out to be dead."""
        connections = self._connections
        while True:
            session = connections.lend()
            self._before, self.session = connections.bound.get(self.thread), session
            connections.bound[self.thread] = session
            try:
                cursor = session.plain
                cursor.execute(f"{session.at(connections.schema)}BEGIN; {_LOCK}", prepare=False)
                session.path = connections.schema
                while cursor.nextset():
                    pass
                row = cursor.fetchone()
            except psycopg.Error as error:
                if not lost(error, session):
                    raise storage_error(error, connections.what) from error
                if session.fresh:
                    raise Undone(f"{storage_error(error, connections.what).message}; nothing was written") from error
                self._let_go()
                continue
            if row is None:
                raise NotFound(f"{connections.what}: {GONE}")
            *values, self.known = row
            self.counters = Counters(*values)
            self._was = tuple(values)
            return

    def exit(self, kind: type[BaseException] | None) -> None:
        """Commit, or roll back if there was an exception of this kind."""
        if self._outer is not None:
            self._exit_part(self._outer, kind)
            return
        committed = False
        try:
            if kind is None:
                if self.parts:
                    raise StorageError("a part of the transaction was left without its end")
                if self.doomed is not None:
                    raise self.doomed
                if self._connections.turns.owner is not self:
                    raise StorageError("the transaction was ended by another thread")
                self._commit()
                committed = True
        finally:
            self._leave()
            if committed and self.counters.update_seq != self._was[0]:
                self._connections.notifier.notify()

    def _commit(self) -> None:
        session, connections = self.session, self._connections
        assert session is not None
        now = _values(self.counters)
        token = secrets.token_bytes(TOKEN)
        changes = [f"{name} = {new}" for name, new, old in zip(NAMES, now, self._was, strict=True) if new != old]
        # The mark shows afterwards whether the commit took place, should its answer not arrive.
        changes.append(f"commits = substr('\\x{token.hex()}'::bytea || commits, 1, {TOKEN * KEPT})")
        text = f"UPDATE counters SET {', '.join(changes)}; COMMIT"
        if now[0] != self._was[0]:
            # After the commit: inside it the commits of all databases of the server would wait for each other.
            text += f'; NOTIFY "{connections.channel}"'
        try:
            session.plain.execute(text, prepare=False)
        except psycopg.Error as error:
            if not lost(error, session) and session.info.transaction_status != TransactionStatus.IDLE:
                # The server reports that it did not commit.
                raise storage_error(error, connections.what) from error
            self._settle(error, token)

    def _settle(self, error: psycopg.Error, token: bytes) -> None:
        """Find out the outcome of a commit. Returns if it took place; raises Undone if not, Unreachable if unknown."""
        connections = self._connections
        text = storage_error(error, connections.what, broken=True).message
        deadline, pause = time.monotonic() + PATIENCE, 0.05
        marks: bytes | None = None
        while marks is None and time.monotonic() < deadline:
            try:
                marks = self._marks()
            except (Unreachable, DatabaseBusy, ReadOnlyStorage):
                # It restarts, or another server takes its place.
                time.sleep(pause)
                pause = min(2 * pause, 1.0)
        if marks is not None:
            kept = {marks[start : start + TOKEN] for start in range(0, len(marks), TOKEN)}
            if token in kept:
                return
            if not self.known or self.known[:TOKEN] in kept:
                # The earlier mark is there, and this one is not.
                raise Undone(f"{text}; nothing was written")
        raise Unreachable(f"{text}; in the middle of a commit: it is not known whether it was carried out")

    def _marks(self) -> bytes:
        """Return the marks of the newest commits, after the end of the transaction that has the lock."""
        connections = self._connections
        session = connections.server.connect()
        try:
            session.go(connections.schema)
            row = session.rows.execute("SELECT commits FROM counters FOR UPDATE").fetchone()
        except psycopg.Error as error:
            raise storage_error(error, connections.what, broken=lost(error, session)) from error
        finally:
            session.close()
        if row is None:
            raise NotFound(f"{connections.what}: {GONE}")
        marks: bytes = row[0]
        return marks

    def _leave(self) -> None:
        """Roll back what is not committed, and release the lock and the connection."""
        try:
            self._let_go()
        finally:
            self._connections.turns.give(self)
            self.over = True

    def _let_go(self) -> None:
        session, connections = self.session, self._connections
        if session is None:
            return
        self.session = None
        if self._before is None:
            connections.bound.pop(self.thread, None)
        else:
            connections.bound[self.thread] = self._before
        # It rolls back an open transaction; a broken connection is closed.
        connections.server.give_back(session)

    def abandon(self) -> None:
        if self._outer is None:
            self._leave()

    # -- nested transactions ---------------------------------------------------------------------------

    def _enter_part(self, outer: Transaction) -> Counters:
        try:
            self._outer = outer
            outer.parts.append(self)
            assert outer.session is not None
            outer.session.plain.execute(f"SAVEPOINT part_{len(outer.parts)}", prepare=False)
            self.counters = outer.counters
            self._was = _values(self.counters)
            return self.counters
        except BaseException as error:
            outer.doomed = outer.doomed or StorageError("a part of the transaction could not begin")
            if isinstance(error, psycopg.Error):
                raise storage_error(error, self._connections.what) from error
            raise

    def _exit_part(self, outer: Transaction, kind: type[BaseException] | None) -> None:
        doomed = outer.doomed
        # Until its end is reached: an interrupted end does not count.
        outer.doomed = doomed or StorageError("a part of the transaction could not end")
        name, session = f"part_{len(outer.parts)}", outer.session
        undone = kind is not None or self.doomed is not None
        try:
            assert session is not None
            if undone:
                session.plain.execute(f"ROLLBACK TO {name}; RELEASE {name}", prepare=False)
                for counter, value in zip(NAMES, self._was, strict=True):
                    setattr(self.counters, counter, value)
            else:
                session.plain.execute(f"RELEASE {name}", prepare=False)
        except psycopg.Error as error:
            outer.doomed = doomed or self.doomed or storage_error(error, self._connections.what)
            if kind is None:
                raise outer.doomed from error
            return
        if self in outer.parts:
            del outer.parts[outer.parts.index(self) :]
        outer.doomed = doomed
        self.over = True
        if kind is None and self.doomed is not None:
            raise self.doomed


class Snapshot(Turn):
    """A transaction that reads; no effect inside of another one or of a write."""

    __slots__ = ("_connections", "_session")

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._session: Session | None = None

    def __enter__(self) -> None:
        super().__init__(sys._getframe(1))
        connections, thread = self._connections, self.thread
        connections.check_open()
        if thread in connections.bound:
            left = connections.snapshots.get(thread)
            if left is None or connections.bound[thread] is not left._session or not left.lost():
                return
            left.leave()
        while True:
            session = connections.lend()
            try:
                self._session = connections.bound[thread] = session
                connections.snapshots[thread] = self
                text = f"{session.at(connections.schema)}BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
                session.plain.execute(text, prepare=False)
                session.path = connections.schema
                return
            except BaseException as error:
                self.leave()
                if not isinstance(error, psycopg.Error):
                    raise
                if not lost(error, session) or session.fresh:
                    raise storage_error(error, connections.what, broken=lost(error, session)) from error

    def __exit__(self, *exception: object) -> None:
        if self._session is not None:
            self.leave()

    def leave(self) -> None:
        """End the snapshot."""
        connections, session = self._connections, self._session
        self._session = None
        if connections.snapshots.get(self.thread) is self:
            connections.bound.pop(self.thread, None)
            del connections.snapshots[self.thread]
        self.frame = None
        if session is not None:
            if session.info.transaction_status == TransactionStatus.INTRANS:
                try:
                    session.plain.execute("COMMIT", prepare=False)
                except psycopg.Error:
                    # There is nothing to commit.
                    session.close()
            connections.server.give_back(session)


def _values(counters: Counters) -> tuple[int, ...]:
    return tuple(getattr(counters, name) for name in NAMES)
