"""Whatever happened to the documents, an index is what its function says of them now, and queries are naive ones.

The model keeps nothing: it asks the database for its documents, maps them all, sorts with the comparator that
follows CouchDB's rules word by word, and filters lists. Only the questions are the same as the index gets.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pouchdb
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import QueryParseError
from pouchdb_core.views import grouping, query

from .conftest import compare, compare_terms

NAMES = ["a", "b", "c", "d", "ä", "_design/z"]
# Few keys, so that many rows share one or its beginning.
scalars: list[Any] = [None, False, True, -1, 0, 1, 1.5, "", "a", "ä", 2**53 + 1]
arrays: list[Any] = [[], [0], [0, 0], [0, 1], [0, "a"], [0, "a", 2], [1], [1, None], [[0]], ["a", {}]]
keys = st.sampled_from([*scalars, *arrays, *arrays, {}, {"a": 0}, {"a": 1, "b": 0}])
numbers = st.integers(-3, 3) | st.sampled_from([0.5, 2.25])
values = numbers | st.just(None) | st.just({"_id": "a"}) | st.lists(numbers, max_size=2)
emitted = st.lists(st.tuples(keys, values), max_size=3)
stored = st.lists(st.lists(st.tuples(keys, values), max_size=5), min_size=2, max_size=5)
counted = st.lists(st.lists(st.tuples(keys, numbers), max_size=6), min_size=2, max_size=5)

documents = st.sampled_from(NAMES)
edits = st.one_of(
    st.tuples(st.just("put"), documents, emitted),
    st.tuples(st.just("remove"), documents),
    st.tuples(st.just("purge"), documents),
    st.tuples(st.just("conflict"), documents, st.integers(1, 3), st.sampled_from("0af"), emitted),
    st.tuples(st.just("query")),
)

DESIGN = {
    "_id": "_design/app",
    "language": "python",
    "options": {"include_design": True},
    "views": {"rows": {"map": "rows"}, "others": {"map": "conflicts"}},
}


@pytest.fixture(scope="module", params=["as it is", "small pages"])
def shared(request: pytest.FixtureRequest) -> Iterator[SyncEnvironment]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "small pages":
            # So that a handful of rows fill pages, chunks and partial results.
            patch.setattr(query, "PAGE", 2)
            for name in ("PAGE", "CHUNK_ROWS", "TOGETHER", "PARTIALS", "PROBE"):
                patch.setattr(grouping, name, 2)
        yield from _environment()


def _environment() -> Iterator[SyncEnvironment]:
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        environment.register_function("rows", lambda doc: doc.get("rows", ()))
        environment.register_function("conflicts", lambda doc: [(len(doc.get("_conflicts", ())), doc["_id"])])
        yield environment


@contextmanager
def empty(environment: SyncEnvironment) -> Iterator[SyncPouchDB]:
    database = environment["test"]
    try:
        yield database
    finally:
        database.destroy()


def edit(database: SyncPouchDB, kind: str, id: str = "", *more: Any) -> None:
    current = database.get(id) if id and id in database else None
    if kind == "put":
        doc = {"_id": id, "rows": more[0]}
        database.put({**doc, "_rev": current["_rev"]} if current else doc)
    elif kind == "conflict":
        generation, digest, rows = more
        doc = {"_id": id, "_rev": f"{generation}-{digest * 32}", "rows": rows}
        database.bulk_docs([doc], new_edits=False)
    elif kind == "query":
        database.query("app/rows", limit=1)
    elif current and kind == "remove":
        database.remove(current)
    elif current and kind == "purge":
        database.purge(id, current["_rev"])


def in_order(rows: list[Any]) -> list[Any]:
    """Sort (key, id, place, value) as a view does: of one key and document by value."""

    def order(one: Any, other: Any) -> int:
        if found := compare(one[0], other[0]) or compare(one[1], other[1]) or compare_terms(one[3], other[3]):
            return found
        return int(one[2] - other[2])

    return sorted(rows, key=functools.cmp_to_key(order))


def turned(rows: list[Any]) -> list[Any]:
    """Return rows the other way round, but for those of one key and document."""
    return [row for group in reversed(runs(rows)) for row in group]


def runs(rows: list[Any]) -> list[list[Any]]:
    groups: list[list[Any]] = []
    for row in rows:
        if groups and compare(groups[-1][0][0], row[0]) == 0 and groups[-1][0][1] == row[1]:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def model(database: SyncPouchDB) -> list[Any]:
    docs = [row.doc for row in database.all_docs(include_docs=True).rows]
    rows = [(*pair, doc["_id"], n) for doc in docs for n, pair in enumerate(doc.get("rows") or ())]
    return in_order([(key, id, n, value) for key, value, id, n in rows])


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(edits, max_size=25))
def test_an_index_after_any_edits_is_the_map_of_what_is_there(
    shared: SyncEnvironment, history: list[tuple[Any, ...]]
) -> None:
    with empty(shared) as database:
        database.put(DESIGN)
        for step in history:
            edit(database, *step)
        answer = database.query("app/rows")
        assert [(row.key, row.id, row.value) for row in answer.rows] == [
            (key, id, value) for key, id, _, value in model(database)
        ]
        assert answer.total_rows == len(answer.rows)
        docs = [row.doc for row in database.all_docs(include_docs=True, conflicts=True).rows]
        expected = in_order([(len(doc.get("_conflicts", ())), doc["_id"], 0, doc["_id"]) for doc in docs])
        assert [(row.key, row.id, row.value) for row in database.query("app/others").rows] == [
            (key, id, value) for key, id, _, value in expected
        ]
        assert database.integrity_check() == []


# -- questions -------------------------------------------------------------------------------------------

ranges = st.fixed_dictionaries(
    {},
    optional={
        "startkey": keys,
        "endkey": keys,
        "startkey_docid": documents,
        "endkey_docid": documents,
        "inclusive_end": st.booleans(),
        "descending": st.booleans(),
        "skip": st.integers(0, 4),
        "limit": st.integers(0, 6),
    },
) | st.fixed_dictionaries(
    {"keys": st.lists(keys, max_size=3)},
    optional={"descending": st.booleans(), "skip": st.integers(0, 4), "limit": st.integers(0, 6)},
)


def cut(rows: list[Any], options: dict[str, Any]) -> list[Any]:
    return rows[options.get("skip", 0) :][: options.get("limit")]


def selected(rows: list[Any], options: dict[str, Any]) -> list[Any]:
    """Return the rows of a range in their order, before skip and limit."""
    if options.get("descending"):
        rows = turned(rows)
    if "keys" in options:
        keys = options["keys"][::-1] if options.get("descending") else options["keys"]
        return [row for key in keys for row in rows if compare(row[0], key) == 0]
    sign = -1 if options.get("descending") else 1

    def beyond(row: Any, name: str) -> int:
        """Tell whether a row comes after (1), at (0) or before (-1) the start or the end."""
        found = compare(row[0], options[name])
        if not found and f"{name}_docid" in options:
            found = compare(row[1], options[f"{name}_docid"])
        return sign * ((found > 0) - (found < 0))

    if "startkey" in options:
        rows = [row for row in rows if beyond(row, "startkey") >= 0]
    if "endkey" in options:
        last = 0 if options.get("inclusive_end", True) else -1
        rows = [row for row in rows if beyond(row, "endkey") <= last]
    return rows


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(stored, st.lists(ranges, min_size=5, max_size=20))
def test_a_range_is_the_rows_of_a_list(
    shared: SyncEnvironment, docs: list[Any], questions: list[dict[str, Any]]
) -> None:
    with empty(shared) as database:
        database.put(DESIGN)
        database.bulk_docs([{"_id": id, "rows": rows} for id, rows in zip(NAMES, docs, strict=False)])
        everything = model(database)
        for options in questions:
            expected = selected(everything, options)
            try:
                answer = database.query("app/rows", include_docs=True, **options)
            except QueryParseError:
                assert expected == []
                continue
            assert [(row.key, row.id, row.value) for row in answer.rows] == [
                (key, id, value) for key, id, _, value in cut(expected, options)
            ], options
            for row in answer.rows:
                linked = row.value["_id"] if isinstance(row.value, dict) else row.id
                assert row.doc["_id"] == linked


def stats(values: list[Any]) -> Any:
    squares = sum(value * value for value in values)
    return {"sum": sum(values), "count": len(values), "min": min(values), "max": max(values), "sumsqr": squares}


def distinct(rows: list[Any]) -> int:
    return sum(not n or compare(row[0], rows[n - 1][0]) != 0 for n, row in enumerate(rows))


REDUCERS: dict[str, tuple[Any, Callable[[list[Any]], Any]]] = {
    "_sum": ("_sum", lambda rows: sum(row[3] for row in rows)),
    "_count": ("_count", len),
    "_stats": ("_stats", lambda rows: stats([row[3] for row in rows])),
    "_approx_count_distinct": ("_approx_count_distinct", distinct),
    "_first": ("_first", lambda rows: rows[0][3]),
    "_last": ("_last", lambda rows: rows[-1][3]),
    "_top_2": ("_top_2", lambda rows: sorted({row[3] for row in rows})[::-1][:2]),
    "custom": (
        lambda keys, values, rereduce: sum(values) if rereduce else len(values) * 10,
        lambda rows: len(rows) * 10,
    ),
}


def grouped(rows: list[Any], level: int | None) -> Iterator[tuple[Any, list[Any]]]:
    def of(row: Any) -> Any:
        key = row[0]
        return key[:level] if isinstance(key, list) and level is not None else key

    if level == 0:
        if rows:
            yield None, rows
        return
    for _, group in groupby(rows, key=functools.cmp_to_key(lambda a, b: compare(of(a), of(b)))):
        found = list(group)
        yield of(found[0]), found


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    counted,
    st.lists(
        st.tuples(ranges, st.sampled_from(sorted(REDUCERS)), st.sampled_from([None, 0, 1, 1, 2])),
        min_size=5,
        max_size=20,
    ),
)
def test_a_reduction_is_that_of_a_list(
    shared: SyncEnvironment, docs: list[Any], questions: list[tuple[dict[str, Any], str, int | None]]
) -> None:
    with empty(shared) as database:
        database.put(DESIGN)
        database.bulk_docs([{"_id": id, "rows": rows} for id, rows in zip(NAMES, docs, strict=False)])
        everything = model(database)
        for options, name, level in questions:
            reduce, reduced = REDUCERS[name]
            if "keys" in options:
                chosen: dict[str, Any] = {"group": True}
                parts = [selected(everything, {**options, "keys": [key]}) for key in options["keys"]]
                groups = [group for part in parts for group in grouped(part, None)]
            else:
                chosen = {"group": True} if level is None else {"group_level": level}
                groups = list(grouped(selected(everything, options), level))
            if options.get("descending"):
                # The first value is that of the lowest key, whatever the direction that groups come in.
                groups = [(key, turned(rows)) for key, rows in groups]
            try:
                answer = database.query("app/rows", reduce=reduce, **chosen, **options)
            except QueryParseError:
                assert groups == []
                continue
            found = [(row.key, row.value) for row in answer.rows]
            assert found == [(key, reduced(rows)) for key, rows in cut(groups, options)], (options, name, level)
