"""Indexes in SQLite: the register, the rows of views, and tables of plug-ins (see views/index_store.py).

The views of one index share a table sorted by (view, key, id, n); an index by document finds what to
remove. Spec store, section 8: that reads ranges as fast as one table a view, and the index by document
costs half of what a second table with the keys of each document does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from pouchdb_core.adapters.sql.sql_indexes import SqlIndexStore, SqlTables, SqlViewRows, table_name, where
from pouchdb_core.adapters.sqlite.blank_memory import blank_memory
from pouchdb_core.adapters.sqlite.btree_sizes import Sizes, btree_sizes
from pouchdb_core.adapters.sqlite.sqlite_store import SqliteStore, join_list

if TYPE_CHECKING:
    from pouchdb_core.views.index_store import Position, Span, ViewRow

__all__ = ["SqliteIndexStore", "SqliteTables", "SqliteViewRows", "scratch_store"]

T = TypeVar("T")


class SqliteIndexStore(SqlIndexStore):
    """An ``IndexStore``."""

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(store, store.connections)
        self._connections = store.connections

    def _packed(self, state: Any) -> bytes:
        return orjson.dumps(state)

    def _unpacked(self, state: bytes) -> Any:
        return orjson.loads(state)

    def recall(self, key: Hashable, read: Callable[[], T]) -> T:
        return self._connections.recall(key, read)

    def drop(self, number: int) -> None:
        pattern = table_name(number, "*")
        # Dropping a virtual table drops its backing tables: virtual tables go first.
        while found := self._connections.one(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB ? "
            "ORDER BY sql NOT LIKE 'CREATE VIRTUAL%' LIMIT 1",
            (pattern,),
        ):
            self._connections.run(f'DROP TABLE "{found[0]}"')
        self._connections.run("DELETE FROM indexes WHERE number = ?", (number,))

    def sizes(self, number: int) -> dict[str, int]:
        rows = self._connections.all
        if not rows("SELECT 1 FROM pragma_module_list WHERE name = 'dbstat'"):
            # An option of compiling SQLite.
            return Sizes()._asdict()
        found = Sizes()
        for (name,) in rows(
            "SELECT name FROM sqlite_master WHERE tbl_name GLOB ? AND rootpage > 0", (table_name(number, "*"),)
        ):
            found = found.plus(btree_sizes(rows, name))
        return found._asdict()

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


class SqliteTables(SqlTables):
    """``Tables`` of one index."""

    dialect = "sqlite"


class SqliteViewRows(SqlViewRows, SqliteTables):
    """``ViewRows`` of one index."""

    # A result that is not a number (an infinity less another one) is NULL in SQLite: 9e999 is infinite too.
    TOTALS = (
        "count(*), count(number), ifnull(total(number), 9e999), min(number), max(number), "
        "ifnull(total(number * number), 9e999)"
    )

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
        condition, params = where(view, span, bounded_above=after is None or not descending)
        if after is not None:
            # Instead of the bound it lies within: SQLite seeks by one of two.
            condition, params = where(view, span, bounded_below=descending, bounded_above=not descending)
            if descending:
                condition += " AND (key, id) <= (?, ?) AND NOT (key = ? AND id = ? AND n <= ?)"
                params.extend((*after[:2], *after))
            else:
                condition += " AND (key, id, n) > (?, ?, ?)"
                params.extend(after)
        # Rows of one key and document have a fixed order, as in CouchDB; SQLite sorts no more than these.
        direction = "DESC" if descending else "ASC"
        return self.all(
            f"SELECT key, id, n, json_key, value FROM {{rows}} WHERE {condition} "
            f"ORDER BY key {direction}, id {direction}, n LIMIT ? OFFSET ?",
            (*params, limit, skip),
        )


def scratch_store() -> SqliteIndexStore:
    """Return a store for the index of a temporary view: a separate one, removed when it is closed."""
    # In memory; beyond some megabytes in an unnamed file.
    pragmas = (("journal_mode", "OFF"), ("synchronous", "OFF"), ("cache_size", -16000))
    return SqliteIndexStore(SqliteStore(blank_memory("temporary view", "", "file:", pragmas)))
