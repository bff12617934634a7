"""The part of indexes whose SQL is the same for every database (views/index_store.py has the contracts)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from pouchdb_core.documents.store import Counters

if TYPE_CHECKING:
    from pouchdb_core.views.index_store import EntryRow, Span, TotalsRow

__all__ = ["SqlIndexStore", "SqlTables", "SqlViewRows", "table_name", "where"]

T = TypeVar("T")
_STATE = 6


class _Rows(Protocol):
    """What runs statements, with ``?`` where a parameter goes."""

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any: ...
    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Any]: ...
    def run(self, sql: str, params: Sequence[Any] = ()) -> Any: ...
    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> Any: ...


class _Documents(Protocol):
    """What an index reads of the documents' store."""

    def counters(self) -> Counters: ...
    def write(self) -> AbstractContextManager[Counters]: ...
    def snapshot(self) -> AbstractContextManager[None]: ...
    def purges(self, after: int, limit: int) -> list[tuple[int, str, list[str]]]: ...


class SqlIndexStore:
    """The register of indexes, in a table beside the documents'."""

    BYTES: ClassVar[str] = "{}"
    """A column of JSON text as bytes."""

    def __init__(self, store: _Documents, connections: _Rows) -> None:
        self._store, self._rows = store, connections
        state = self.BYTES.format("state")
        self._columns = f"number, kind, signature, seq, purge_seq, fresh_until, {state}, mark, builder, heartbeat"

    def counters(self) -> Counters:
        return self._store.counters()

    def write(self) -> AbstractContextManager[Counters]:
        return self._store.write()

    def snapshot(self) -> AbstractContextManager[None]:
        return self._store.snapshot()

    def recall(self, key: Hashable, read: Callable[[], T]) -> T:
        return read()

    def purges(self, after: int, limit: int) -> list[tuple[int, str, list[str]]]:
        return self._store.purges(after, limit)

    def entries(self) -> list[EntryRow]:
        return [self._entry(row) for row in self._rows.all(f"SELECT {self._columns} FROM indexes ORDER BY number")]

    def find(self, kind: str, signature: str) -> EntryRow | None:
        row = self._rows.one(f"SELECT {self._columns} FROM indexes WHERE kind = ? AND signature = ?", (kind, signature))
        return None if row is None else self._entry(row)

    def add(self, kind: str, signature: str) -> EntryRow:
        self._rows.run("INSERT INTO indexes (kind, signature) VALUES (?, ?)", (kind, signature))
        entry = self.find(kind, signature)
        assert entry is not None
        return entry

    def save(self, entry: EntryRow) -> None:
        number, _, _, *values = entry
        values[_STATE - 3] = self._packed(values[_STATE - 3])
        self._rows.run(
            "UPDATE indexes SET seq = ?, purge_seq = ?, fresh_until = ?, state = ?, mark = ?, builder = ?, "
            "heartbeat = ? WHERE number = ?",
            (*values, number),
        )

    def _entry(self, row: Sequence[Any]) -> EntryRow:
        return (*row[:_STATE], None if row[_STATE] is None else self._unpacked(row[_STATE]), *row[_STATE + 1 :])

    def _packed(self, state: Any) -> Any:
        """Return the state of an index as a value of its column."""
        raise NotImplementedError

    def _unpacked(self, state: bytes) -> Any:
        raise NotImplementedError


def table_name(number: int, name: str) -> str:
    """Return the name of a table of an index."""
    return f"index_{number}_{name}"


class _Names(dict[str, str]):
    def __init__(self, number: int) -> None:
        self.number = number

    def __missing__(self, name: str) -> str:
        self[name] = table_name(self.number, name)
        return self[name]


class SqlTables:
    """``Tables`` of one index: ``{name}`` in a statement is its table of that name."""

    def __init__(self, connections: _Rows, number: int) -> None:
        self._rows = connections
        self._names = _Names(number)

    def run(self, sql: str, params: Sequence[Any] = ()) -> None:
        self._rows.run(sql.format_map(self._names), params)

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._rows.many(sql.format_map(self._names), rows)

    def one(self, sql: str, params: Sequence[Any] = ()) -> Any:
        return self._rows.one(sql.format_map(self._names), params)

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        return self._rows.all(sql.format_map(self._names), params)


class SqlViewRows(SqlTables):
    """``ViewRows`` of one index: what is read of a range, but for its pages."""

    TOTALS: ClassVar[str]
    """The columns of ``TotalsRow``; sums are infinite or left out where they overflow."""
    JSON_KEY: ClassVar[str] = "json_key"
    """One of the JSON texts of a group of equal keys, which may be written in different ways: 1 and 1.0."""

    def last(self, view: int, span: Span) -> bytes | None:
        condition, params = where(view, span)
        sql = f"SELECT value FROM {{rows}} WHERE {condition} ORDER BY key DESC, id DESC, n DESC LIMIT 1"
        value: bytes | None = self.one(sql, params)[0]
        return value

    def count(self, view: int, span: Span) -> int:
        condition, params = where(view, span)
        count: int = self.one(f"SELECT count(*) FROM {{rows}} WHERE {condition}", params)[0]
        return count

    def distinct(self, view: int, span: Span) -> int:
        condition, params = where(view, span)
        # Grouped in the order of the table: nothing is kept, unlike count(DISTINCT).
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {{rows}} WHERE {condition} GROUP BY key) AS found"
        count: int = self.one(sql, params)[0]
        return count

    def totals(self, view: int, span: Span) -> TotalsRow:
        condition, params = where(view, span)
        totals: TotalsRow = self.one(f"SELECT {self.TOTALS} FROM {{rows}} WHERE {condition}", params)
        return totals

    def totals_by_key(
        self, view: int, span: Span, *, descending: bool, limit: int
    ) -> list[tuple[bytes, bytes, TotalsRow]]:
        condition, params = where(view, span)
        rows = self.all(
            f"SELECT key, {self.JSON_KEY}, {self.TOTALS} FROM {{rows}} WHERE {condition} "
            f"GROUP BY key ORDER BY key {'DESC' if descending else 'ASC'} LIMIT ?",
            (*params, limit),
        )
        return [(key, json_key, totals) for key, json_key, *totals in rows]


def where(view: int, span: Span, *, bounded_below: bool = True, bounded_above: bool = True) -> tuple[str, list[Any]]:
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
