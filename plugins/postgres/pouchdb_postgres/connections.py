"""One database as SQL: statements on the connection of the calling thread, or on one of the pool."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import psycopg

from pouchdb_core.adapters.write_lock import Writing
from pouchdb_core.documents.store import Counters
from pouchdb_core.errors import PouchDBError, StorageError
from pouchdb_postgres.failures import lost, storage_error
from pouchdb_postgres.lending import Lending
from pouchdb_postgres.session import Server, Session
from pouchdb_postgres.snapshots import Moment, Snapshot
from pouchdb_postgres.transactions import Transaction

__all__ = ["Connections"]

T = TypeVar("T")

COPIED = 5
"""The number of rows from which they are sent by COPY, which takes a third of the time."""
ANALYSED = 500
"""Rows inserted by this process after which it is looked whether a table needs statistics; then four times as many."""
_OUTGROWN = (
    # A part of it has four times the pages of when it was analysed, at least; one that never was has 0 then. Tables
    # without partitions are not read in ranges.
    "SELECT 1 FROM pg_partition_tree(?::regclass) AS t JOIN pg_class AS c ON c.oid = t.relid "
    "WHERE t.isleaf AND pg_relation_size(c.oid) / 8192 > 4 * c.relpages LIMIT 1"
)


def _numbered(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


class Connections(Lending):
    """One database, over the connections of its server. SQL text has ``?`` where a parameter goes."""

    def __init__(self, server: Server, schema: str, what: str) -> None:
        super().__init__(server, schema, what)
        self._texts: dict[str, str] = {}
        self._inserted: dict[str, int] = {}
        self._look_at: dict[str, int] = {}

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

    def insert(self, table: str, columns: str, rows: Sequence[Sequence[Any]], searched: str = "") -> None:
        """Insert rows; inside a transaction only. ``searched`` are the columns by which rows are found: "" are all."""
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
        count = self._inserted[table] = self._inserted.get(table, 0) + len(rows)
        if count >= self._look_at.get(table, ANALYSED):
            self._look_at[table] = 4 * count
            self._analyse(table, searched)

    def _analyse(self, table: str, searched: str) -> None:
        """Have statistics of a table that grows fast: autovacuum comes after a minute, and may be off.

        Without them a range of a large table is taken for a few rows, which are read and sorted for each page.
        """
        if self.one(_OUTGROWN, (table,)) is not None:
            # Without bodies and values, which would take most of the time.
            self.script([f"ANALYZE {table} ({searched})" if searched else f"ANALYZE {table}"])

    def _mine(self) -> Session:
        session = self.mine()
        if session is None:
            raise StorageError(f"{self.what}: rows are written in a transaction")
        return session

    def _asked(self, ask: Callable[[Session], T]) -> T:
        session = self.mine()
        if session is not None:
            if session.reading is not None:
                session = session.reading.begun()
            try:
                return ask(session)
            except psycopg.Error as error:
                raise self._failed(error, session) from error
        return self._with_session(ask)

    def _with_session(self, ask: Callable[[Session], T]) -> T:
        """Query on a pooled connection, and on another one if it turns out to be dead."""
        while True:
            session = self.lend(sys._getframe())
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

    def _failed(self, error: psycopg.Error, session: Session) -> PouchDBError:
        """Return an error of a statement in a transaction as one of ours; the transaction cannot be committed."""
        broken = lost(error, session)
        ours = storage_error(error, self.what, broken=broken)
        owner = self.turns.owner
        if isinstance(owner, Transaction) and owner.mine and owner.session is session:
            return owner.failed(ours, broken=broken)
        return ours

    # -- transactions ------------------------------------------------------------------------------------

    def write(self) -> Writing:
        """Hold the write lock in a transaction; ``with`` returns the counters."""
        return Writing(Transaction(self))

    def snapshot(self, *, indexes: bool = False) -> Snapshot:
        """Make all reads of this thread see one state; ``indexes`` as in ``Snapshot``."""
        return Snapshot(self, indexes=indexes)

    def moment(self) -> Moment | None:
        """Return what the snapshot of the calling thread has read at its beginning; None outside of one."""
        session = self.mine()
        if session is None or session.reading is None:
            return None
        moment: Moment = session.reading.moment()
        return moment

    @property
    def writing(self) -> Counters | None:
        """The counters of the calling thread's transaction."""
        owner = self.turns.owner
        return owner.counters if isinstance(owner, Transaction) and owner.mine else None
