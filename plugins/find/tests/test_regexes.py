"""Regular expressions end."""

from __future__ import annotations

import time

import pytest
from pouchdb_find import FindError, matches, regexes
from pouchdb_find.regexes import literal_prefix, matcher


@pytest.mark.parametrize("source", ["(a+)+$", "(a|aa)+$", "(.*)*x", "(a|a)*b", "([a-z]+)*[0-9]"])
def test_catastrophic_expressions_are_linear(source: str) -> None:
    started = time.monotonic()
    assert not matcher(source)("a" * 5000 + "!")
    # Backtracking would take longer than the universe is old.
    assert time.monotonic() - started < 60


def test_what_backtracks_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regexes, "SECONDS", 0.05)
    with pytest.raises(FindError, match="took longer") as caught:
        matches({"a": {"$regex": "(?=(a+)+$)"}}, {"a": "a" * 3000 + "!"})
    assert (caught.value.status, caught.value.name) == (400, "bad_arg")


def test_slow_looks_have_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regexes, "SLOW", -1.0)
    monkeypatch.setattr(regexes, "BUDGET", 0.0)
    with pytest.raises(FindError, match="again and again"):
        matcher("(?=x)")("abc")
    monkeypatch.setattr(regexes, "BUDGET", 60.0)
    search = matcher("(?=x)")
    assert [search("abc"), search("axc")] == [False, True]


@pytest.mark.parametrize(
    ("source", "prefix"),
    [
        ("^abc", "abc"),
        ("^ab*", "a"),
        ("^ab?c", "a"),
        ("^ab+", "a"),
        ("^ab{2}", "a"),
        ("^a\\.b", "a.b"),
        ("^a\\.*", "a"),
        ("^a\\\\", "a\\"),
        ("^a\\d", "a"),
        ("^a|b", ""),
        ("abc", ""),
        ("^(ab)", ""),
        ("^", ""),
        ("^é(x|y)", ""),
        ("^éx[yz]", "éx"),
        ("(?i)^abc", ""),
    ],
)
def test_literal_prefix(source: str, prefix: str) -> None:
    assert literal_prefix(source) == prefix
