"""Indexes in PostgreSQL: the register, the rows of views, and tables of plug-ins (views/index_store.py of the core)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.adapters.sql.sql_indexes import SqlIndexStore, SqlTables, SqlViewRows, table_name, where
from pouchdb_core.jsontext import dump, load
from pouchdb_postgres.connections import Connections
from pouchdb_postgres.own_register import OwnRegister
from pouchdb_postgres.schema import sorted_table
from pouchdb_postgres.session import Json
from pouchdb_postgres.snapshots import Snapshot
from pouchdb_postgres.store import PostgresStore

if TYPE_CHECKING:
    from pouchdb_core.views.index_store import EntryRow, Position, Span, ViewRow

__all__ = ["PostgresIndexStore", "PostgresTables", "PostgresViewRows"]

LARGEST = 1e149
"""Greater numbers are not summed by SQL, whose sums and squares must not overflow: PostgreSQL fails then."""


class PostgresIndexStore(SqlIndexStore):
    """An ``IndexStore``."""

    BYTES = PostgresStore.BYTES

    def __init__(self, store: PostgresStore) -> None:
        super().__init__(store, store.connections)
        self._connections = store.connections
        self._outside = OwnRegister(self, self._connections.snapshot)

    def _packed(self, state: Any) -> Json:
        return Json(dump(state))

    def _unpacked(self, state: bytes | str) -> Any:
        return load(state.encode() if isinstance(state, str) else state)

    def snapshot(self) -> Snapshot:
        return self._connections.snapshot(indexes=True)

    def find(self, kind: str, signature: str) -> EntryRow | None:
        moment = self._connections.moment()
        if moment is None or moment.entries is None:
            return super().find(kind, signature)
        row = moment.entries.get((kind, signature))
        return None if row is None else self._entry(row)

    def drop(self, number: int) -> None:
        found = self._connections.all(
            "SELECT relname FROM pg_class WHERE relnamespace = ?::regnamespace AND starts_with(relname, ?) "
            "AND relkind IN ('r', 'p') AND NOT relispartition",
            (f'"{self._connections.schema}"', table_name(number, "")),
        )
        for (name,) in found:
            self._connections.run(f'DROP TABLE "{name}"')
        self._connections.run("DELETE FROM indexes WHERE number = ?", (number,))

    def sizes(self, number: int) -> dict[str, int]:
        # Partitions of a table, and what PostgreSQL keeps beside each for long values.
        total, rows = self._connections.one(
            "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint, "
            "coalesce(sum(pg_table_size(oid)), 0)::bigint "
            "FROM pg_class WHERE relnamespace = ?::regnamespace AND starts_with(relname, ?) AND relkind = 'r'",
            (f'"{self._connections.schema}"', table_name(number, "")),
        )
        return {"file": total, "active": total, "external": rows}

    def tables(self, number: int) -> PostgresTables:
        return PostgresTables(self._connections, number)

    def view_rows(self, number: int) -> PostgresViewRows:
        return PostgresViewRows(self._connections, number)

    def outside(self) -> OwnRegister:
        return self._outside

    def now(self) -> float:
        seconds: float = self._connections.one("SELECT extract(epoch FROM clock_timestamp())::float8")[0]
        return seconds

    def builder(self) -> str:
        return self._connections.server.presence()

    def lives(self, builder: str) -> bool:
        return self._connections.server.is_present(builder)

    def close(self) -> None:
        """It is closed with its database."""


_TYPES = {
    "BLOB": "BYTEA",
    "INTEGER": "BIGINT",
    "REAL": "DOUBLE PRECISION",
    "TEXT": 'TEXT COLLATE "C"',
    "WITHOUT ROWID": "",
}
_TYPE = re.compile(r"\b(?:BLOB|INTEGER|REAL|TEXT|WITHOUT ROWID)\b")
_KEY = re.compile(r"PRIMARY KEY \(([^()]+)\)")
_INDEX = re.compile(r"CREATE INDEX (\w+) ON (\w+) \((\w+)\)\s*$")
_INSERT = re.compile(r"INSERT INTO (\w+) \(([^()]+)\) VALUES \((?:\?, )*\?\)\s*$")
_CREATE = re.compile(r"CREATE TABLE (\S+) \((.*)\)\s*$", re.DOTALL)


class PostgresTables(SqlTables):
    """``Tables`` of one index: the portable SQL of the contract, translated."""

    dialect = "postgresql"

    def __init__(self, connections: Connections, number: int) -> None:
        super().__init__(connections, number)
        self._connections = connections

    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        text = sql.format_map(self._names)
        if text.startswith("CREATE TABLE"):
            self._connections.script(_created(text))
            return
        index = _INDEX.match(text)
        if index is not None and self._is_long(index[2], index[3]):
            # By the hash, for values of any length.
            text = f"CREATE INDEX {index[1]} ON {index[2]} USING hash ({index[3]})"
        self._connections.run(text, params)

    def _is_long(self, table: str, column: str) -> bool:
        """Return whether a column has text or bytes."""
        kind = self._connections.one(
            "SELECT atttypid IN ('text'::regtype, 'bytea'::regtype) FROM pg_attribute "
            "WHERE attrelid = to_regclass(?) AND attname = ?",
            (table, column),
        )
        return bool(kind and kind[0])

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        text = sql.format_map(self._names)
        insert = _INSERT.match(text)
        if insert is not None:
            self._connections.insert(insert[1], insert[2], list(rows))
        else:
            self._connections.many(text, rows)


def _created(sql: str) -> list[str]:
    """Return the statements for a table; a key of text or bytes may have any length (see ``schema``)."""
    text = _TYPE.sub(lambda found: _TYPES[found[0]], sql)
    made, key = _CREATE.match(text), _KEY.search(text)
    if made is None or key is None:
        return [text]
    columns = [name.strip() for name in key[1].split(",")]
    long = [name for name in columns if re.search(rf"\b{re.escape(name)} (?:BYTEA|TEXT)\b", made[2])]
    if not long:
        return [text]
    body = made[2].replace(key[0], "").strip().rstrip(",")
    return sorted_table(made[1], body, long, by=columns)


class PostgresViewRows(SqlViewRows, PostgresTables):
    """``ViewRows`` of one index."""

    # Numbers out of range are left out of SQL: see LARGEST.
    TOTALS = (
        "count(*), count(number), coalesce(sum(number), 0), min(number), max(number), coalesce(sum(number * number), 0)"
    )
    JSON_KEY = "convert_to(min(convert_from(json_key, 'UTF8') COLLATE \"C\"), 'UTF8')"

    def create(self) -> None:
        self.run(
            "CREATE TABLE {rows} (view INTEGER NOT NULL, key BLOB NOT NULL, id TEXT NOT NULL, n INTEGER NOT NULL, "
            "json_key BLOB NOT NULL, value BLOB, number REAL, PRIMARY KEY (view, key, id, n))"
        )
        # By its hash, for any length.
        self.run("CREATE INDEX {rows_by_document} ON {rows} USING hash (id)")

    def add(self, rows: Iterable[ViewRow]) -> None:
        kept = [row if row[6] is None or -LARGEST < row[6] < LARGEST else (*row[:6], None) for row in rows]
        table = table_name(self._names.number, "rows")
        columns = "view, key, id, n, json_key, value, number"
        self._connections.insert(table, columns, kept, searched="view, key, id, n")

    def remove(self, ids: Sequence[str]) -> dict[int, int]:
        gone = "DELETE FROM {rows} WHERE id = ANY(?) RETURNING view"
        sql = f"WITH gone AS ({gone}) SELECT view, count(*) FROM gone GROUP BY view"
        if not ids:
            return {}
        # Many values at once are found by a hash only through a bitmap.
        self._connections.script(["SET LOCAL enable_bitmapscan TO on"])
        found = dict(self.all(sql, (list(ids),)))
        self._connections.script(["SET LOCAL enable_bitmapscan TO off"])
        return found

    def page(
        self, view: int, span: Span, *, descending: bool, limit: int, skip: int = 0, after: Position | None = None
    ) -> list[tuple[bytes, str, int, bytes, bytes | None]]:
        condition, params = where(view, span)
        direction = "DESC" if descending else "ASC"
        order = f"key {direction}, id {direction}, n"
        if after is not None and descending:
            # Rows of one key and document have a fixed order, as in CouchDB: first the rest of those.
            return self._after_descending(condition, params, after, order, limit, skip)
        if after is not None:
            condition += " AND (key, id, n) > (?, ?, ?)"
            params.extend(after)
        return self.all(
            f"SELECT key, id, n, json_key, value FROM {{rows}} WHERE {condition} ORDER BY {order} LIMIT ? OFFSET ?",
            (*params, limit, skip),
        )

    def _after_descending(
        self, condition: str, params: list[Any], after: Position, order: str, limit: int, skip: int
    ) -> list[tuple[bytes, str, int, bytes, bytes | None]]:
        key, id, n = after
        return self.all(
            "SELECT key, id, n, json_key, value FROM {rows} "
            f"WHERE {condition} AND (key, id) <= (?, ?) AND NOT (key = ? AND id = ? AND n <= ?) "
            f"ORDER BY {order} LIMIT ? OFFSET ?",
            (*params, key, id, key, id, n, limit, skip),
        )
