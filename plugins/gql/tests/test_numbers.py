"""Integers of any size and the greatest doubles, in everything that calculates."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

import pouchdb

HUGE = 10**400
NUMBERS = [HUGE, -HUGE, 1.5, 0, 7, 2**64, 1e308, -1e308, 1.7e308]


@pytest.fixture
def env() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["gql"]) as environment:
        yield environment


def cells(env: Any, query: str, docs: list[Any]) -> list[Any]:
    db = env["numbers"]
    db.bulk_docs(docs)
    answer = db.gql(query)
    db.destroy()
    json.dumps(answer, allow_nan=False)
    return [list(row.values()) for row in answer["rows"]]


@pytest.mark.parametrize(
    "values", [each for n in (1, 2, 3) for each in itertools.combinations(NUMBERS, n)][::3], ids=lambda values: None
)
def test_sums_and_averages(env: Any, values: tuple[Any, ...]) -> None:
    [[total, average]] = cells(env, "select sum(v), avg(v)", [{"v": value} for value in values])
    exact = sum(map(Fraction, values))
    for found, right in ((total, exact), (average, exact / len(values))):
        if found is None:
            # Beyond what a double holds on the way, and none of the integers was.
            assert HUGE not in map(abs, values)
            assert sum(map(abs, values)) > 1.7e308
        else:
            assert abs(Fraction(found) - right) <= max(Fraction(1), abs(right) / 2**40, Fraction(10) ** 293)


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "%", "<", "=", ">="])
def test_arithmetic_never_fails(env: Any, operator: str) -> None:
    numbers = [*NUMBERS, 10**15_000]
    docs = [{"v": a, "w": b} for a in numbers for b in numbers]
    db = env["numbers"]
    db.bulk_docs(docs)
    assert len(db.gql(f"select v {operator} w")["rows"]) == len(docs)


def test_an_integer_meets_a_fraction(env: Any) -> None:
    assert cells(env, "select v + 1.5, v - 1.5, v * 1", [{"v": HUGE}]) == [[HUGE + 2, HUGE - 2, HUGE]]
    assert cells(env, "select v * v", [{"v": 10**15_000}]) == [[None]]
    assert cells(env, "select v + 'x'", [{"v": 10**5000}]) == [["1" + "0" * 5000 + "x"]]


def test_formats_show_all_digits(env: Any) -> None:
    [[shown]] = cells(env, "select v format v '#,##0.00'", [{"v": 10**40 + 1}])
    assert shown == "10" + ",000" * 12 + ",001.00"
    [[shown]] = cells(env, "select v format v '0'", [{"v": 10**5000}])
    assert shown.replace(",", "") == "1" + "0" * 5000
    [[shown]] = cells(env, "select v format v '#,##0.00'", [{"v": 1e308}])
    assert shown.replace(",", "") == "1" + "0" * 308 + ".00"
