"""Write transactions, and commits whose answer is lost.

A write transaction begins with the lock of the row ``counters``, which is held until the commit. So the writers of
all hosts run one at a time, and their writes become visible in the order of its sequence numbers.
"""

from __future__ import annotations

import secrets
import sys
import time
from types import FrameType

import psycopg
from psycopg.pq import TransactionStatus

from pouchdb_core.adapters.sql.sql_store import COUNTERS, NAMES, without_counters
from pouchdb_core.adapters.write_lock import Turn
from pouchdb_core.documents.store import Counters
from pouchdb_core.errors import DatabaseBusy, PouchDBError, ReadOnlyStorage, StorageError, Unreachable
from pouchdb_postgres.failures import Undone, lost, storage_error
from pouchdb_postgres.lending import Lending
from pouchdb_postgres.session import LOCK_SECONDS, Session

__all__ = ["Transaction"]

TOKEN, KEPT = 8, 32
"""Bytes of the mark that every commit writes, and how many marks are kept."""
PATIENCE = 30.0
"""Seconds to wait for a server that failed during a commit, to find out the outcome."""

_LOCK = f"SELECT {COUNTERS}, commits FROM counters FOR UPDATE"


class Transaction(Turn):
    """A write transaction.

    Inside of another one of the same thread it is a savepoint of that one, which is rolled back alone when it fails.
    """

    __slots__ = ("_before", "_connections", "_outer", "_was", "counters", "doomed", "known", "over", "parts", "session")

    def __init__(self, connections: Lending) -> None:
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
            self._before = connections.mine()
            # Until it is in its place, the loan ends with this call.
            self.session = session = connections.lend(sys._getframe(), write=True)
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
                raise without_counters(connections.what)
            *values, self.known = row
            self.counters = Counters(*values)
            self._was = tuple(values)
            session.belongs_to(self.frame)
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
        now = self.counters.values()
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
            raise without_counters(connections.what)
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
        if session.loan is not None:
            session.loan.over = True
        self.session = None
        if self._before is None:
            connections.bound.pop(self.thread, None)
        else:
            connections.bound[self.thread] = self._before
        # It rolls back an open transaction; a broken connection is closed.
        connections.server.give_back(session)

    def failed(self, error: PouchDBError, *, broken: bool) -> PouchDBError:
        """Note an error of one of its statements: it cannot be committed. Returns the error to raise.

        With a broken connection nothing of it is left.
        """
        if broken:
            error = Undone(f"{error.message}; nothing was written")
        inner = self.parts[-1] if self.parts else self
        inner.doomed = inner.doomed or error
        if broken:
            self.doomed = self.doomed or error
        return error

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
            self._was = self.counters.values()
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
                self.counters.restore(self._was)
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
