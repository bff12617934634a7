"""The built-in reduce functions: CouchDB's rules, and partial results that may be cut anywhere."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import FunctionError
from pouchdb_core.jsontext import dump, load
from pouchdb_core.views.collate import encode
from pouchdb_core.views.reduce import BUILTINS, ReduceFunction, Totals, builtin


def run(name: str, values: list[Any], keys: list[Any] | None = None, cuts: tuple[int, ...] = ()) -> Any:
    function = builtin(name, BUILTINS)
    keys = keys if keys is not None else list(range(len(values)))
    places = sorted({0, *(cut for cut in cuts if 0 < cut < len(values)), len(values)})
    partials = [function.reduce(keys[start:end], values[start:end]) for start, end in pairwise(places)]
    partial = partials[0] if len(partials) == 1 else function.rereduce(partials)
    return function.finalize(partial)


integers = st.integers(-(2**40), 2**40)
cuts = st.tuples(st.integers(0, 20), st.integers(0, 20))


@settings(deadline=None)
@given(st.lists(integers, min_size=1, max_size=20), cuts)
def test_sum_and_stats_of_numbers(values: list[int], cuts: tuple[int, ...]) -> None:
    assert run("_sum", values, cuts=cuts) == sum(values)
    assert run("_stats", values, cuts=cuts) == {
        "sum": sum(values),
        "count": len(values),
        "min": min(values),
        "max": max(values),
        "sumsqr": sum(value * value for value in values),
    }
    assert run("_count", values, cuts=cuts) == len(values)


@settings(deadline=None)
@given(st.lists(st.lists(integers, min_size=2, max_size=2), min_size=1, max_size=9), cuts)
def test_arrays_are_summed_member_by_member(values: list[list[int]], cuts: tuple[int, ...]) -> None:
    assert run("_sum", values, cuts=cuts) == [sum(column) for column in zip(*values, strict=True)]
    stats = run("_stats", values, cuts=cuts)
    assert [each["sum"] for each in stats] == [sum(column) for column in zip(*values, strict=True)]


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20).map(sorted), cuts)
def test_distinct_keys_are_counted_across_cuts(keys: list[int], cuts: tuple[int, ...]) -> None:
    assert run("_approx_count_distinct", [None] * len(keys), keys, cuts) == len(set(keys))


@settings(deadline=None)
@given(st.lists(st.integers(0, 9) | st.text(max_size=2), min_size=1, max_size=20), cuts, st.integers(1, 5))
def test_top_and_bottom_are_the_extreme_values_each_once(values: list[Any], cuts: tuple[int, ...], count: int) -> None:
    ordered = sorted(set(values), key=encode)
    assert run(f"_bottom_{count}", values, cuts=cuts) == ordered[:count]
    assert run(f"_top_{count}", values, cuts=cuts) == ordered[::-1][:count]


@settings(deadline=None)
@given(st.lists(integers, min_size=1, max_size=20), cuts)
def test_first_and_last(values: list[int], cuts: tuple[int, ...]) -> None:
    assert run("_first", values, cuts=cuts) == values[0]
    assert run("_last", values, cuts=cuts) == values[-1]


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ([1, 2.5], 3.5),
        ([[1, 2], [3]], [4, 2]),
        ([1, [2, 3]], [3, 3]),
        ([[2, 3], 1], [3, 3]),
        ([{"a": 1}, {"b": 2, "a": 3}], {"a": 4, "b": 2}),
        ([{"a": {"b": [1, 2]}}, {"a": {"b": [1]}}], {"a": {"b": [2, 2]}}),
        ([{}], {}),
        ([[]], [0]),
    ],
    ids=str,
)
def test_sum_of_arrays_and_objects(values: list[Any], total: Any) -> None:
    assert run("_sum", values) == total


@pytest.mark.parametrize(
    "values", [["1"], [None], [True], [1, "x"], [{"a": 1}, 1], [1, {"a": 1}], [["a"]], [{"a": "b"}], [[[1]]]], ids=str
)
def test_sum_refuses_what_is_no_number(values: list[Any]) -> None:
    with pytest.raises(FunctionError, match="_sum function requires") as caught:
        run("_sum", values)
    assert caught.value.name == "builtin_reduce_error"
    assert "caused_by" in caught.value.details


@pytest.mark.parametrize("values", [["1"], [None], [1, [1]], [[1], [1, 2]], [{"sum": 1}], [{"a": 1}]], ids=str)
def test_stats_refuses_what_is_no_number(values: list[Any]) -> None:
    with pytest.raises(FunctionError, match="_stats function requires"):
        run("_stats", values)


def test_stats_takes_statistics_in() -> None:
    before = {"sum": 3, "count": 2, "min": 1, "max": 2, "sumsqr": 5}
    assert run("_stats", [before, 4]) == {"sum": 7, "count": 3, "min": 1, "max": 4, "sumsqr": 21}


def test_totals_answer_only_for_numbers() -> None:
    numbers, mixed = Totals(3, 3, 6.0, 1.0, 3.0, 14.0), Totals(3, 2, 6.0, 1.0, 3.0, 14.0)
    total = builtin("_sum", BUILTINS).answer(numbers)
    assert total == 6
    assert type(total) is int
    assert builtin("_count", BUILTINS).answer(mixed) == 3
    assert builtin("_stats", BUILTINS).answer(numbers) == {"sum": 6, "count": 3, "min": 1, "max": 3, "sumsqr": 14}
    assert builtin("_sum", BUILTINS).answer(mixed) is NotImplemented
    assert builtin("_stats", BUILTINS).answer(mixed) is NotImplemented


@pytest.mark.parametrize("name", ["_sum", "_stats"])
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value]], ids=["numbers", "arrays"])
@pytest.mark.parametrize("values", [[1e308, 1e308], [-1e308, -1e308], [1e308, 1e308, -1e308, -1e308]], ids=str)
def test_what_no_number_can_hold_is_an_error_and_no_infinity(
    database: SyncPouchDB, name: str, wrap: Any, values: list[float]
) -> None:
    database.bulk_docs([{"_id": str(n), "v": wrap(value)} for n, value in enumerate(values)])
    for level in (0, 1):
        [row] = database.query(lambda doc: [([1, doc["_id"]], doc["v"])], reduce=name, group_level=level).rows
        reason = f"The {name} function has a result that is too large for a number"
        assert row.value == {"error": "builtin_reduce_error", "reason": reason}


def test_sums_of_integers_are_exact_whoever_adds(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": str(n), "v": 2**62 + 1} for n in range(5)])
    for reduce, total in (("_sum", 5 * (2**62 + 1)), ("_stats", 5 * (2**62 + 1) ** 2)):
        for wrap in (lambda value: value, lambda value: [value], lambda value: {"a": value}):
            if reduce == "_stats" and isinstance(wrap(1), dict):
                continue
            [row] = database.query(lambda doc, wrap=wrap: [(1, wrap(doc["v"]))], reduce=reduce).rows
            assert str(total) in str(row.value)
            assert load(dump(row.value)) == row.value


def test_whole_sums_are_integers_whoever_adds(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": "a", "v": 1.5}, {"_id": "b", "v": 2.5}])
    assert str(database.query(lambda doc: [(1, doc["v"])], reduce="_sum").rows[0].value) == "4"
    assert str(database.query(lambda doc: [(1, [doc["v"]])], reduce="_sum").rows[0].value) == "[4]"
    assert "'sum': 4," in str(database.query(lambda doc: [(1, [doc["v"]])], reduce="_stats").rows[0].value)


@pytest.mark.parametrize("name", ["_median", "_top_0", "_top_101", "_top_x", "_", "_su", "sum"])
def test_an_unknown_name_is_refused_and_the_known_ones_are_told(name: str) -> None:
    with pytest.raises(FunctionError, match="there are: _approx_count_distinct, _count"):
        builtin(name, BUILTINS)


@pytest.mark.parametrize("rest", ["\n", "\n// adds up", "s", " ", "_of_ones_own"])
@pytest.mark.parametrize("name", ["_sum", "_count", "_stats", "_approx_count_distinct", "_first", "_last"])
def test_a_name_is_known_by_its_beginning(name: str, rest: str) -> None:
    """CouchDB: ``<<"_sum", _/binary>>``."""
    assert builtin(name + rest, BUILTINS) is builtin(name, BUILTINS)


def test_a_whole_name_and_the_longest_beginning_go_first() -> None:
    class Squares(ReduceFunction):
        name = "_sum_of_squares"

        def reduce(self, keys: Any, values: Any) -> Any:
            return self.rereduce([value * value for value in values])

        def rereduce(self, partials: Any) -> Any:
            return sum(partials)

    known = [*BUILTINS, Squares()]
    for name in ("_sum_of_squares", "_sum_of_squares\n"):
        assert builtin(name, known) is known[-1]
    assert builtin("_sum_of", known).name == "_sum"


HUGE = 10**400


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ([HUGE, 1.5], HUGE + 2),
        ([1.5, HUGE], HUGE + 2),
        ([HUGE, -1e100, 0.25], HUGE - int(1e100)),
        ([0.5, 2**64], 2.0**64),
        ([[HUGE], [2.0]], [HUGE + 2]),
        ([{"a": 1.0}, {"a": -HUGE}], {"a": 1 - HUGE}),
    ],
    ids=["huge first", "huge last", "three", "a double holds it", "arrays", "objects"],
)
def test_integers_beyond_all_doubles_meet_doubles(values: list[Any], total: Any) -> None:
    assert run("_sum", values) == total
    if not isinstance(values[0], dict):
        stats = run("_stats", values)
        assert (stats["sum"] if isinstance(stats, dict) else [each["sum"] for each in stats]) == total


def test_a_function_of_ones_own() -> None:
    class Longest(ReduceFunction):
        name = "_longest"

        def reduce(self, keys: Any, values: Any) -> Any:
            return max(map(len, values))

        def rereduce(self, partials: Any) -> Any:
            return max(partials)

    function = builtin("_longest", [*BUILTINS, Longest()])
    assert function.finalize(function.rereduce([function.reduce([1], ["aa"]), function.reduce([2], ["b"])])) == 2
