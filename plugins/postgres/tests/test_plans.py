"""What statements read of tables that have grown just now: what they need, by an index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core.views.index_store import Span

COUNT, PAGE = 2000, 10
LONG = "long" * 1000
VIEW = {"_id": "_design/v", "views": {"k": {"map": "function (doc) { emit(doc.n); }"}}}


@pytest.fixture
def store(database: Any) -> Any:
    """The store of a database that was filled faster than autovacuum looks."""
    database.bulk_docs([{"_id": f"d{n:04d}", "n": n} for n in range(COUNT)] + [{"_id": LONG}, {"_id": LONG + "2"}])
    database.put(VIEW)
    assert database.query("v/k", limit=1).total_rows == COUNT + 2
    return database.adapter.store


def tables(store: Any) -> list[str]:
    sql = (
        "SELECT relname::text FROM pg_class WHERE relnamespace = to_regnamespace(?) AND relkind = 'r' "
        "AND (relname LIKE 'documents%' OR relname LIKE 'index_%rows_%') ORDER BY 1"
    )
    return [name for (name,) in store.connections.all(sql, (store.connections.schema,))]


def read_of(store: Any, what: Callable[[], Any]) -> tuple[int, int]:
    """Return how many rows were found by indexes, and how often a table that may be large was read whole."""
    names = [name for name in tables(store) if not name.endswith("_long")]
    assert len(names) == 2, names
    sql = (
        "SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(indexrelid)), 0)::bigint, "
        "(SELECT sum(pg_stat_get_xact_numscans(to_regclass(n)))::bigint FROM unnest(?::text[]) AS n) "
        "FROM pg_index WHERE indrelid = ANY (SELECT to_regclass(n) FROM unnest(?::text[]) AS n)"
    )
    before = store.connections.one(sql, (names, names))
    what()
    after = store.connections.one(sql, (names, names))
    return after[0] - before[0], after[1] - before[1]


def rows_of_view(store: Any) -> tuple[Any, Span]:
    entries = store.connections.all("SELECT number FROM indexes")
    assert len(entries) == 1
    from pouchdb_postgres.index_store import PostgresViewRows

    rows = PostgresViewRows(store.connections, entries[0][0])
    whole = rows.page(0, Span(), descending=False, limit=COUNT)
    span = Span(low=whole[2][0], high=whole[COUNT - 2][0])
    return rows, span


def view_page(store: Any, descending: bool) -> Any:
    rows, span = rows_of_view(store)
    return lambda: rows.page(0, span, limit=PAGE, descending=descending)


def groups(store: Any, descending: bool) -> Any:
    rows, span = rows_of_view(store)
    return lambda: rows.totals_by_key(0, span, limit=PAGE - 1, descending=descending)


def after(store: Any, descending: bool) -> Any:
    rows, span = rows_of_view(store)
    page = rows.page(0, span, limit=500, descending=descending)
    return lambda: rows.page(0, span, limit=PAGE, descending=descending, after=page[-1][:3])


READS: dict[str, Callable[[Any], Callable[[], Any]]] = {
    "a feed": lambda store: lambda: store.scan_seqs(5, COUNT, limit=PAGE),
    "a feed, descending": lambda store: lambda: store.scan_seqs(0, COUNT, limit=PAGE, descending=True),
    "a feed with bodies": lambda store: lambda: store.scan_seqs(5, COUNT, limit=PAGE, bodies=True),
    "a listing": lambda store: lambda: store.scan_ids("d0005", "d1990", limit=PAGE),
    "a listing, descending": lambda store: lambda: store.scan_ids("d1990", "d0005", limit=PAGE, descending=True),
    "a view": lambda store: view_page(store, False),
    "a view, descending": lambda store: view_page(store, True),
    "a view after a row": lambda store: after(store, False),
    "a view after a row, descending": lambda store: after(store, True),
    "groups": lambda store: groups(store, False),
    "groups, descending": lambda store: groups(store, True),
    "one document": lambda store: lambda: store.row("d0100"),
    "documents": lambda store: lambda: store.rows([f"d{n:04d}" for n in range(100, 110)]),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_page_reads_no_more_than_a_page(store: Any, read: Callable[[Any], Callable[[], Any]]) -> None:
    asked = read(store)
    with store.snapshot():
        # Six times: from then on the plan is one for any values.
        for _ in range(6):
            rows, whole = read_of(store, asked)
            # A merge looks one row ahead.
            assert 0 < rows <= PAGE + 3
            assert not whole


def test_rows_of_many_documents_are_removed_by_the_index(store: Any) -> None:
    from pouchdb_postgres.index_store import PostgresViewRows

    ((number,),) = store.connections.all("SELECT number FROM indexes")
    rows = PostgresViewRows(store.connections, number)
    with store.write():
        ids = [f"d{n:04d}" for n in range(20)]
        found, whole = read_of(store, lambda: rows.remove(ids))
        assert 0 < found <= 2 * len(ids)
        assert not whole
        assert rows.page(0, Span(), descending=False, limit=1)[0][1] not in ids
        assert store.connections.one("SHOW enable_bitmapscan") == ("off",)
        # As it was, for the test's last look.
        rows.add([(0, b"x", id, n, b"x", None, None) for n, id in enumerate(ids)])


def test_documents_of_long_and_short_ids_are_read_together(store: Any) -> None:
    # U+0001 takes two bytes, and some characters four.
    edge = ["\U0001f600" * 600, "\1" * 1200, "\1" * 1201, "é" * 1300]
    ids = ["d0001", LONG, "missing", LONG + "2", LONG + "3", "d0002", *edge]
    assert sorted(store.heads(ids)) == sorted([LONG, LONG + "2", "d0001", "d0002"])
    assert store.row(LONG)[1] == LONG
    assert store.rows([LONG + "2"])[LONG + "2"][1] == LONG + "2"
    assert store.row(edge[0]) is None


def test_ids_at_the_edge_of_long(database: Any) -> None:
    edges = {"\U0001f600": (600, 601), "\1": (1200, 1201), "\0": (599, 601), "é": (1200, 1201), "x": (2400, 2401)}
    ids = [character * count for character, counts in edges.items() for count in counts]
    database.bulk_docs([{"_id": id} for id in ids])
    assert sorted(row.id for row in database.all_docs(keys=ids).rows if row.get("value")) == sorted(ids)
    for id in ids:
        assert database.get(id)["_id"] == id
    again = database.bulk_docs([{"_id": id} for id in ids])
    assert [each.name for each in again] == ["conflict"] * len(ids)
