"""Indexes in SQL: the register, the rows of views, and tables of plug-ins (see views/index_store.py).

The views of one index share a table sorted by (view, key, id, n); an index by document finds what to
remove. Spec store, section 8: that reads ranges as fast as one table a view, and the index by document
costs half of what a second table with the keys of each document does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import orjson

from pouchdb_core.adapters.sqlite.memory import Memory
from pouchdb_core.adapters.sqlite.schema import initialise
from pouchdb_core.adapters.sqlite.sqlite_store import SqliteStore, join_list
from pouchdb_core.adapters.sqlite.transactions import Connections
from pouchdb_core.documents.store import Counters

if TYPE_CHECKING:
    from pouchdb_core.views.index_store import EntryRow, Position, Span, TotalsRow, ViewRow

__all__ = ["SqliteIndexStore", "SqliteTables", "SqliteViewRows", "scratch_store"]

_COLUMNS = "number, kind, signature, seq, purge_seq, fresh_until, state, mark, builder, heartbeat"
_STATE = 6


class SqliteIndexStore:
    """An ``IndexStore``."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._connections = store.connections

    def counters(self) -> Counters:
        return self._store.counters()

    def write(self) -> AbstractContextManager[Counters]:
        return self._store.write()

    def snapshot(self) -> AbstractContextManager[None]:
        return self._store.snapshot()

    def purges(self, after: int, limit: int) -> list[tuple[int, str, list[str]]]:
        return self._store.purges(after, limit)

    def entries(self) -> list[EntryRow]:
        return [_entry(row) for row in self._connections.all(f"SELECT {_COLUMNS} FROM indexes ORDER BY number")]

    def find(self, kind: str, signature: str) -> EntryRow | None:
        row = self._connections.one(
            f"SELECT {_COLUMNS} FROM indexes WHERE kind = ? AND signature = ?", (kind, signature)
        )
        return None if row is None else _entry(row)

    def add(self, kind: str, signature: str) -> EntryRow:
        self._connections.run("INSERT INTO indexes (kind, signature) VALUES (?, ?)", (kind, signature))
        entry = self.find(kind, signature)
        assert entry is not None
        return entry

    def save(self, entry: EntryRow) -> None:
        number, _, _, *values = entry
        values[_STATE - 3] = orjson.dumps(values[_STATE - 3])
        self._connections.run(
            "UPDATE indexes SET seq = ?, purge_seq = ?, fresh_until = ?, state = ?, mark = ?, builder = ?, "
            "heartbeat = ? WHERE number = ?",
            (*values, number),
        )

    def drop(self, number: int) -> None:
        pattern = _table(number, "*")
        # Dropping a virtual table drops its backing tables: virtual tables go first.
        while found := self._connections.one(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB ? "
            "ORDER BY sql NOT LIKE 'CREATE VIRTUAL%' LIMIT 1",
            (pattern,),
        ):
            self._connections.run(f'DROP TABLE "{found[0]}"')
        self._connections.run("DELETE FROM indexes WHERE number = ?", (number,))

    def tables(self, number: int) -> SqliteTables:
        return SqliteTables(self._connections, number)

    def view_rows(self, number: int) -> SqliteViewRows:
        return SqliteViewRows(self._connections, number)

    def outside(self) -> SqliteIndexStore:
        return self

    def now(self) -> float:
        return time.time()

    def builder(self) -> None:
        return None

    def lives(self, builder: str) -> None:
        return None

    def close(self) -> None:
        self._connections.close()


def _entry(row: Sequence[Any]) -> EntryRow:
    return (*row[:_STATE], None if row[_STATE] is None else orjson.loads(row[_STATE]), *row[_STATE + 1 :])


def _table(number: int, name: str) -> str:
    return f"index_{number}_{name}"


class SqliteTables:
    """``Tables`` of one index."""

    dialect = "sqlite"

    def __init__(self, connections: Connections, number: int) -> None:
        self._connections = connections
        self._names = _Names(number)

    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        self._connections.run(sql.format_map(self._names), params)

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._connections.many(sql.format_map(self._names), rows)

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        return self._connections.one(sql.format_map(self._names), params)

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        return self._connections.all(sql.format_map(self._names), params)


class _Names(dict[str, str]):
    def __init__(self, number: int) -> None:
        self._number = number

    def __missing__(self, name: str) -> str:
        self[name] = _table(self._number, name)
        return self[name]


# A result that is not a number (an infinity less another one) is NULL in SQLite: 9e999 is infinite too.
_TOTALS = (
    "count(*), count(number), ifnull(total(number), 9e999), min(number), max(number), "
    "ifnull(total(number * number), 9e999)"
)


class SqliteViewRows(SqliteTables):
    """``ViewRows`` of one index."""

    def create(self) -> None:
        self.run(
            "CREATE TABLE {rows} (view INTEGER NOT NULL, key BLOB NOT NULL, id TEXT NOT NULL, n INTEGER NOT NULL, "
            "json_key BLOB NOT NULL, value BLOB, number REAL, PRIMARY KEY (view, key, id, n)) WITHOUT ROWID"
        )
        self.run("CREATE INDEX {rows_by_document} ON {rows} (id, view)")

    def add(self, rows: Iterable[ViewRow]) -> None:
        self.many("INSERT INTO {rows} (view, key, id, n, json_key, value, number) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def remove(self, ids: Sequence[str]) -> dict[int, int]:
        joined, single = join_list(ids)
        counts: dict[int, int] = dict(
            self.all(
                "SELECT r.view, count(*) FROM json_each(?) AS j CROSS JOIN {rows} AS r ON r.id = j.value GROUP BY 1",
                (joined,),
            )
        )
        if counts:
            self.run("DELETE FROM {rows} WHERE id IN (SELECT value FROM json_each(?))", (joined,))
        for id in single:
            for view, count in self.all("SELECT view, count(*) FROM {rows} WHERE id = ? GROUP BY 1", (id,)):
                counts[view] = counts.get(view, 0) + count
            self.run("DELETE FROM {rows} WHERE id = ?", (id,))
        return counts

    def page(
        self, view: int, span: Span, *, descending: bool, limit: int, skip: int = 0, after: Position | None = None
    ) -> list[tuple[bytes, str, int, bytes, bytes | None]]:
        where, params = _where(view, span, bounded_above=after is None or not descending)
        if after is not None:
            # Instead of the bound it lies within: SQLite seeks by one of two.
            where, params = _where(view, span, bounded_below=descending, bounded_above=not descending)
            if descending:
                where += " AND (key, id) <= (?, ?) AND NOT (key = ? AND id = ? AND n <= ?)"
                params.extend((*after[:2], *after))
            else:
                where += " AND (key, id, n) > (?, ?, ?)"
                params.extend(after)
        # Rows of one key and document have a fixed order, as in CouchDB; SQLite sorts no more than these.
        direction = "DESC" if descending else "ASC"
        return self.all(
            f"SELECT key, id, n, json_key, value FROM {{rows}} WHERE {where} "
            f"ORDER BY key {direction}, id {direction}, n LIMIT ? OFFSET ?",
            (*params, limit, skip),
        )

    def last(self, view: int, span: Span) -> bytes | None:
        where, params = _where(view, span)
        row = self.one(f"SELECT value FROM {{rows}} WHERE {where} ORDER BY key DESC, id DESC, n DESC LIMIT 1", params)
        value: bytes | None = row[0]
        return value

    def count(self, view: int, span: Span) -> int:
        where, params = _where(view, span)
        count: int = self.one(f"SELECT count(*) FROM {{rows}} WHERE {where}", params)[0]
        return count

    def distinct(self, view: int, span: Span) -> int:
        where, params = _where(view, span)
        # Grouped in the order of the table: nothing is kept, unlike count(DISTINCT).
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {{rows}} WHERE {where} GROUP BY key)"
        count: int = self.one(sql, params)[0]
        return count

    def totals(self, view: int, span: Span) -> TotalsRow:
        where, params = _where(view, span)
        totals: TotalsRow = self.one(f"SELECT {_TOTALS} FROM {{rows}} WHERE {where}", params)
        return totals

    def totals_by_key(
        self, view: int, span: Span, *, descending: bool, limit: int
    ) -> list[tuple[bytes, bytes, TotalsRow]]:
        where, params = _where(view, span)
        rows = self.all(
            f"SELECT key, json_key, {_TOTALS} FROM {{rows}} WHERE {where} "
            f"GROUP BY key ORDER BY key {'DESC' if descending else 'ASC'} LIMIT ?",
            (*params, limit),
        )
        return [(key, json_key, totals) for key, json_key, *totals in rows]


def _where(view: int, span: Span, *, bounded_below: bool = True, bounded_above: bool = True) -> tuple[str, list[Any]]:
    """Return a range as SQL: at most one condition at each end, so that SQLite can seek."""
    conditions: list[str] = ["view = ?"]
    params: list[Any] = [view]
    for wanted, key, id, inclusive, sign in (
        (bounded_below, span.low, span.low_id, span.with_low, ">"),
        (bounded_above, span.high, span.high_id, span.with_high, "<"),
    ):
        if not wanted or key is None:
            continue
        operator = sign + ("=" if inclusive else "")
        if id is None:
            conditions.append(f"key {operator} ?")
            params.append(key)
        else:
            conditions.append(f"(key, id) {operator} (?, ?)")
            params.extend((key, id))
    return " AND ".join(conditions), params


def scratch_store() -> SqliteIndexStore:
    """Return a store for the index of a temporary view: a separate one, removed when it is closed."""
    # In memory; beyond some megabytes in an unnamed file.
    pragmas = (("journal_mode", "OFF"), ("synchronous", "OFF"), ("cache_size", -16000))
    connections = Memory("temporary view", "file:", pragmas)
    initialise(connections, "")
    return SqliteIndexStore(SqliteStore(connections))
