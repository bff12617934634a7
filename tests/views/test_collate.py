"""The order of keys: bytes must agree with a comparator that follows CouchDB's rules word by word."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pouchdb_core.jsontext import CUT
from pouchdb_core.views.collate import AFTER, encode, encode_raw, encoder, group_of

from .conftest import compare

numbers = (
    st.integers(-(2**63), 2**64 - 1)
    | st.integers(-(2**53) - 5, -(2**53) + 5)
    | st.integers(2**53 - 5, 2**53 + 5)
    | st.integers(2**63 - 1500, 2**63 + 1500)
    | st.integers(-3, 3)
    | st.integers(-(10**320), 10**320)
    | st.integers(-(2**72), 2**72)
    | st.integers(2**1024 - 3, 2**1024 + 3)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(2**53 - 5, 2**60).map(float)
)
texts = st.text(alphabet=st.sampled_from("\0\1\2aAbz~é\ud800\udfff\uffff😀"), max_size=4) | st.text(max_size=3)
scalars = st.none() | st.booleans() | numbers | texts
keys = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)


@settings(deadline=None)
@given(keys, keys)
def test_the_order_of_bytes_is_the_order_of_keys(a: Any, b: Any) -> None:
    first, second = encode(a), encode(b)
    order = compare(a, b)
    assert (first > second) - (first < second) == (order > 0) - (order < 0)


@settings(deadline=None)
@given(st.lists(keys, max_size=12))
def test_sorting_by_bytes_is_sorting_by_the_rules(many: list[Any]) -> None:
    by_bytes = sorted(many, key=encode)
    assert all(compare(a, b) <= 0 for a, b in pairwise(by_bytes))
    assert [encode(key) for key in sorted(many, key=functools.cmp_to_key(compare))] == [encode(key) for key in by_bytes]


@settings(deadline=None)
@given(keys)
def test_no_key_is_the_beginning_of_another(key: Any) -> None:
    assert not encode([key, key]).startswith(encode([key]))
    assert encode([key]) < encode([key, None]) < encode([key])[:-1] + AFTER


@settings(deadline=None)
@given(st.lists(keys, min_size=1, max_size=4), st.lists(keys, max_size=2), st.integers(1, 4))
def test_a_group_is_a_range_of_bytes(key: list[Any], more: list[Any], level: int) -> None:
    start, continues = group_of(encode(key), level)
    assert continues == (len(key) >= level)
    longer = encode(key + more)
    if continues:
        assert start <= longer < start + AFTER
        assert group_of(longer, level) == (start, True)
        assert start == encode(key[:level])[:-1]
    else:
        assert start == encode(key)


@settings(deadline=None)
@given(scalars | st.dictionaries(texts, scalars, max_size=2), st.integers(1, 3))
def test_what_is_no_array_is_a_group_of_its_own(key: Any, level: int) -> None:
    assert group_of(encode(key), level) == (encode(key), False)


@settings(deadline=None)
@given(keys, keys, st.integers(0, 3))
def test_groups_are_those_of_the_first_members(a: Any, b: Any, level: int) -> None:
    def naive(key: Any) -> Any:
        return key[:level] if type(key) is list else key

    assert (group_of(encode(a), level) == group_of(encode(b), level)) == (
        compare(naive(a), naive(b)) == 0 and (type(a) is list) == (type(b) is list)
    ) or (type(a) is type(b) is list and min(len(a), len(b)) < level)


def test_numbers_of_equal_value_are_one_key() -> None:
    assert encode(1) == encode(1.0) == encode(True + 0)
    assert encode(0) == encode(-0.0)
    assert encode(2**60) == encode(float(2**60))
    assert encode(2**53 + 1) > encode(2**53) > encode(2**53 - 1)


def test_tuples_and_mappings_count_as_arrays_and_objects() -> None:
    class Own(dict[str, Any]):
        pass

    assert encode((1, (2,))) == encode([1, [2]])
    assert encode(Own(a=1)) == encode({"a": 1})


@pytest.mark.parametrize(
    "key",
    [float("nan"), float("inf"), float("-inf"), object(), {1: 2}, b"x", 10**40_000],
    ids=["NaN", "infinity", "-infinity", "object", "names that are numbers", "bytes", "huge"],
)
def test_what_is_no_json_is_refused(key: Any) -> None:
    with pytest.raises(ValueError):
        encode(key)


@pytest.mark.parametrize("encoded", [encode, encode_raw, encoder(str.encode)], ids=["encode", "raw", "by text"])
@pytest.mark.parametrize("nest", [lambda key: [key], lambda key: {"a": key}, lambda key: [1, {"a": key}]])
def test_a_key_nested_too_deeply_is_refused(encoded: Callable[[Any], bytes], nest: Callable[[Any], Any]) -> None:
    """One bound, however deep this program lets Python recurse: hypothesis, for one, raises that."""
    before = sys.getrecursionlimit()
    per_level = 2 if isinstance(nest(0), list) and len(nest(0)) == 2 else 1
    key: Any = "x" * 1000
    for _ in range(CUT // per_level):
        key = nest(key)
    sys.setrecursionlimit(20_000)
    try:
        assert encoded(key)
        for deeper in (1, 3000):
            for _ in range(deeper):
                key = nest(key)
            with pytest.raises(ValueError, match=f"deeper than {CUT} levels"):
                encoded(key)
    finally:
        sys.setrecursionlimit(before)
    with pytest.raises(ValueError, match=f"deeper than {CUT} levels"):
        encoded(key)


def test_depth_that_json_readers_allow_is_fine() -> None:
    key: Any = 1
    for _ in range(200):
        key = [key]
    assert encode(key).count(b"\x50") == 200
