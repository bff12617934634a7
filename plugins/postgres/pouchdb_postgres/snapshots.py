"""Snapshots: transactions that read, in as few round trips as there are questions.

A snapshot sends nothing before its first statement. The counters, and the register of indexes where it is an index
that is read, come with its BEGIN; within the snapshot they cannot change, so they are not read again. What ends it is
not waited for: see ``Session.end``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg.pq import TransactionStatus

from pouchdb_core.adapters.sql.sql_store import COUNTERS
from pouchdb_core.adapters.write_lock import Turn, holder
from pouchdb_postgres.failures import lost, storage_error
from pouchdb_postgres.lending import Lending
from pouchdb_postgres.session import Session

__all__ = ["Moment", "Snapshot"]

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
MANY = 100
"""The most entries of the register that come with a snapshot; of more each is read when it is asked for."""
_COUNTERS = f"SELECT {COUNTERS} FROM counters"
_ENTRIES = (
    "SELECT number, kind, signature, seq, purge_seq, fresh_until, state, mark, builder, heartbeat "
    f"FROM indexes ORDER BY number LIMIT {MANY + 1}"
)


class Moment(NamedTuple):
    """What a snapshot has read at its beginning."""

    counters: tuple[int, ...] | None
    """Their row."""
    entries: dict[tuple[str, str], tuple[Any, ...]] | None
    """The register of indexes by kind and signature; None if it was not read, or is long."""


class Snapshot(Turn):
    """A transaction that reads; no effect inside of another one or of a write.

    ``indexes``: it is to read an index, whose entry in the register will be asked for.
    """

    __slots__ = ("_begun", "_connections", "_indexes", "_moment", "_session")

    def __init__(self, connections: Lending, *, indexes: bool = False) -> None:
        self._connections, self._indexes = connections, indexes
        self._session: Session | None = None
        self._begun = False
        self._moment: Moment | None = None

    def __enter__(self) -> None:
        super().__init__(holder())
        self._connections.check_open()
        if self._connections.mine() is None:
            self._take()

    def _take(self) -> Session:
        """Have a connection until the end."""
        connections = self._connections
        # Until it is in its place, the loan ends with this call.
        session = connections.lend(sys._getframe())
        try:
            self._session = connections.bound[self.thread] = session
            session.reading = self
            session.belongs_to(self.frame)
        except BaseException:
            self._leave()
            self.frame = None
            raise
        return session

    def begun(self) -> Session:
        """Return the connection, in a transaction."""
        if not self._begun:
            self._begin(())
        assert self._session is not None
        return self._session

    def moment(self) -> Moment:
        """Return what was read at the beginning. Raises NotFound if the database was destroyed by then."""
        if self._moment is None:
            rows, *entries = self._begin((_COUNTERS, _ENTRIES) if self._indexes else (_COUNTERS,))
            found = entries[0] if entries else None
            known = None if found is None or len(found) > MANY else {(row[1], row[2]): row for row in found}
            self._moment = Moment(rows[0] if rows else None, known)
        return self._moment

    def _begin(self, wanted: Sequence[str]) -> list[list[tuple[Any, ...]]]:
        """Begin, if it has not begun, on another connection if the first turns out to be dead.

        Returns the rows of each statement that is ``wanted``.
        """
        connections = self._connections
        while True:
            session = self._session
            assert session is not None
            try:
                if self._begun:
                    text = "; ".join(wanted)
                else:
                    text = f"{session.at(connections.schema)}{_BEGIN}{session.kept(wanted)}"
                cursor = session.plain
                cursor.execute(text, prepare=False)
                session.has_kept()
                session.path, self._begun = connections.schema, True
                found = []
                while True:
                    if cursor.description is not None:
                        found.append(cursor.fetchall())
                    if not cursor.nextset():
                        return found
            except psycopg.Error as error:
                broken = lost(error, session)
                # psycopg deallocates what is prepared after a ROLLBACK or a DROP; ``give_back`` notes it.
                deallocated = isinstance(error, psycopg.errors.InvalidSqlStatementName)
                if self._begun or not (deallocated or (broken and not session.fresh)):
                    raise storage_error(error, connections.what, broken=broken) from error
            self._leave()
            self._take()

    def __exit__(self, *exception: object) -> None:
        self._leave()
        self.frame = None

    def __del__(self) -> None:
        # An exception that is raised right at the beginning of __exit__ leaves it open.
        if self._session is not None and self._session.loan is not None and self._session.loan.mine:
            self._leave()

    def _leave(self) -> None:
        connections, session = self._connections, self._session
        if session is None:
            return
        if session.loan is not None:
            session.loan.over = True
        self._session = None
        session.reading = None
        if connections.bound.get(self.thread) is session:
            connections.bound.pop(self.thread, None)
        if session.origin.here() and session.info.transaction_status == TransactionStatus.INTRANS:
            session.end()
        connections.server.give_back(session)
