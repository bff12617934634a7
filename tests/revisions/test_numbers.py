"""Integers of any size beside doubles."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pouchdb_core.revisions.numbers import clamped, is_double, plus

MOST = sys.float_info.max
integers = st.integers() | st.integers(min_value=10**300, max_value=10**420) | st.sampled_from([2**1024, -(2**1024)])
doubles = st.floats(allow_nan=False, allow_infinity=False)


@given(integers, doubles)
def test_a_sum_is_the_nearest_number_that_there_is(whole: int, double: float) -> None:
    exact = Fraction(whole) + Fraction(double)
    for found in (plus(whole, double), plus(double, whole)):
        if isinstance(found, int):
            assert abs(exact - found) <= Fraction(1, 2)
        elif math.isfinite(found):
            assert found == float(whole) + double
        else:
            assert abs(exact) >= Fraction(MOST)


@given(integers, integers)
def test_sums_of_integers_are_exact(a: int, b: int) -> None:
    assert plus(a, b) == a + b


def test_what_is_infinite_stays_so() -> None:
    assert plus(10**400, math.inf) == plus(-math.inf, 10**400) * -1 == math.inf
    assert math.isnan(plus(10**400, math.nan))


@given(integers | doubles)
def test_clamped_is_a_finite_double(number: float) -> None:
    found = clamped(number)
    assert isinstance(found, float)
    assert math.isfinite(found)
    assert found == number if is_double(number) and float(number) == number else abs(found) <= MOST


@pytest.mark.parametrize("value", [10**400, -(10**400), math.inf, -math.inf, math.nan, True, "1", None, [1]], ids=str)
def test_no_doubles(value: Any) -> None:
    assert not is_double(value)


@pytest.mark.parametrize("value", [0, -0.0, 1.5, 2**64, 10**308, MOST], ids=str)
def test_doubles(value: Any) -> None:
    assert is_double(value)
