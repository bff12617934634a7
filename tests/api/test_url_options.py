"""Options that may be the strings of a URL, as plug-ins with queries of their own take them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pouchdb_core.api.options import flag_of, freshness, place_after, place_in, whole_of
from pouchdb_core.errors import QueryParseError


@pytest.mark.parametrize(
    ("stale", "update", "meaning"),
    [
        (None, None, "true"),
        (False, None, "true"),
        ("false", None, "true"),
        (None, True, "true"),
        (None, "true", "true"),
        ("ok", None, "false"),
        (None, False, "false"),
        (None, "false", "false"),
        ("update_after", None, "lazy"),
        (None, "lazy", "lazy"),
    ],
)
def test_when_a_query_brings_its_index_up_to_date(stale: Any, update: Any, meaning: str) -> None:
    assert freshness(stale, update) == meaning


@pytest.mark.parametrize(
    ("stale", "update"), [("ok", False), ("no", None), (1, None), (None, "no"), (None, 1), (None, [])]
)
def test_no_time_to_bring_an_index_up_to_date(stale: Any, update: Any) -> None:
    with pytest.raises(QueryParseError):
        freshness(stale, update)


@pytest.mark.parametrize(("value", "whole"), [(3, 3), ("3", 3), (3.0, 3), (0, 0), (None, 7), (2**70, 2**63 - 1)])
def test_whole_numbers(value: Any, whole: int) -> None:
    assert whole_of({"limit": value}, "limit", 7) == whole


@pytest.mark.parametrize("value", [-1, "-1", 1.5, "x", "", True, [], "9" * 5000, math.nan])
def test_what_is_no_whole_number(value: Any) -> None:
    with pytest.raises(QueryParseError, match="limit"):
        whole_of({"limit": value}, "limit", 7)


def test_flags() -> None:
    assert [flag_of({"a": value}, "a") for value in (True, "true", False, "false")] == [True, True, False, False]
    assert flag_of({}, "a") is False
    for value in ("yes", "", 2, [], {}):
        with pytest.raises(QueryParseError, match="Invalid value for a"):
            flag_of({"a": value}, "a")


def test_bookmarks() -> None:
    assert place_in("search", place_after("search", 25)) == 25
    for bookmark in (place_after("spatial", 25), place_after("search", -1), "x", "", 5, None, "é"):
        with pytest.raises(QueryParseError, match="bookmark"):
            place_in("search", bookmark)
