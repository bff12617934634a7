"""Numbers: integers beyond all doubles, which Python's index functions can yield; ranges whatever the bounds are."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pouchdb_search.number_ranges import Interval, agreeing

import pouchdb


@pytest.mark.parametrize("huge", [10**400, 10**5000], ids=["400 digits", "5000 digits"])
@pytest.mark.parametrize("analyzed", [False, True])
def test_a_number_beyond_all_doubles_leaves_its_document_out(analyzed: bool, huge: int) -> None:
    errors: list[Any] = []
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        db = environment["numbers"]
        db.on("error", errors.append)
        values: list[Any] = [huge, -huge, 1.5]
        db.bulk_docs([{"_id": f"d{n}", "n": n} for n in range(len(values))])
        environment.register_function("num", lambda doc: [("num", values[doc["n"]])] if "n" in doc else [])
        index = {"index": "num", **({"analyzer": "standard"} if analyzed else {})}
        db.put({"_id": "_design/s", "language": "python", "indexes": {"n": index}})
        assert [row["id"] for row in db.search("s/n", query="num:1.5")["rows"]] == ["d2"]
    assert len(errors) == 2


@pytest.mark.parametrize(
    ("value", "word"),
    [(1e-7, "1e-7"), (1e21, "1e+21"), (0.00001, "0.00001"), (1.0, "1"), (-0.0, "0"), (2**60, "1152921504606847000"),
     ([1e-7, 2.0, None, True], "1e-7,2,,true"), (123456789012345680000, "123456789012345680000")],
)  # fmt: skip
def test_numbers_are_indexed_as_javascript_writes_them(value: Any, word: str) -> None:
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        db = environment["numbers"]
        db.put({"_id": "a", "n": value})
        db.put({"_id": "_design/s", "indexes": {"n": {"index": "function (doc) { index('default', doc.n); }"}}})
        assert [row["id"] for row in db.search("s/n", q=word)["rows"]] == ["a"]
        assert db.search("s/n", q=f"{word}9")["rows"] == []


EDGES = [0.0, 3.0, 2.5, 5e-324, 2.0**51 + 0.5, 2.0**52 - 0.5, 2.0**52, 2.0**53, 2.0**63, 1.2e19, 2.0**64, 1e20, 1e300]
doubles = (
    st.sampled_from([*EDGES, *(-each for each in EDGES)]) | st.floats(allow_nan=False) | st.integers(-9, 9).map(float)
)
nearby = st.sampled_from([-math.inf, math.inf]).flatmap(
    lambda towards: doubles.map(lambda number: math.nextafter(number, towards))
)


def type_of(bound: float) -> str:
    """As tantivy's parser reads its text."""
    if math.isinf(bound):
        return "open"
    if not bound.is_integer() or not -(2.0**63) <= bound <= 2.0**64:
        return "double"
    return "signed" if bound < 2.0**63 else "unsigned"


def holds(interval: Interval, number: float) -> bool:
    above = number > interval.low or (number == interval.low and interval.with_low)
    return above and (number < interval.high or (number == interval.high and interval.with_high))


@given(doubles, doubles, st.booleans(), st.booleans(), doubles | nearby)
def test_intervals_that_agree_hold_the_same_doubles(
    low: float, high: float, with_low: bool, with_high: bool, number: float
) -> None:
    whole = Interval(low, high, with_low, with_high)
    parts = agreeing(whole)
    for each in parts:
        assert len({type_of(each.low), type_of(each.high)} - {"open"}) <= 1, each
    for value in (number, low, high, math.nextafter(low, high), math.nextafter(high, low)):
        if math.isfinite(value):
            assert any(holds(each, value) for each in parts) == holds(whole, value), (parts, value)


def test_ranges_with_bounds_of_any_kind() -> None:
    values = [*EDGES, *(-each for each in EDGES if each)]
    with pouchdb.setup(":memory:", plugins=["search"]) as environment:
        db = environment["numbers"]
        db.bulk_docs([{"_id": f"{n:02}", "n": value} for n, value in enumerate(values)])
        db.put({"_id": "both", "n": 0})
        source = "function (doc) { index('n', doc.n); if (doc._id === 'both') { index('m', -9); index('m', 1e20); } }"
        db.put({"_id": "_design/s", "indexes": {"n": {"analyzer": "standard", "index": source}}})
        for (low, high), left, right in itertools.product(itertools.combinations(sorted(values)[::2], 2), "[{", "]}"):
            whole = Interval(low, high, left == "[", right == "]")
            rows = db.search("s/n", q=f"n:{left}{low!r} TO {high!r}{right}", limit=200)["rows"]
            expected = {f"{n:02}" for n, value in enumerate(values) if holds(whole, value)}
            assert {row["id"] for row in rows} - {"both"} == expected, whole
        assert db.search("s/n", q="m:[0 TO 1.5]")["rows"] == [], "one value is below, the other above"
        assert [row["id"] for row in db.search("s/n", q="m:[0.5 TO 1e20]")["rows"]] == ["both"]
