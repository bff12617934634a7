"""Replication ids: stable, and different for whatever chooses other documents."""

from __future__ import annotations

import functools
import itertools
import linecache
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from pouchdb_core.replication.replication_id import filter_source, replication_id


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "_local/py1-fc07ab63217857b33b369aea71e499cf"),
        ({"doc_ids": ["b", "a"]}, "_local/py1-8b8ae864108653669462002d28a256f7"),
        ({"filter": "ddoc/mine", "query_params": {"b": 1, "a": [2]}}, "_local/py1-b5122a8154cee5d2697eca8fea262387"),
        ({"selector": {"type": "x", "n": {"$gt": 1}}}, "_local/py1-31400b12d4ae45eae348770955b49ee0"),
        ({"winning_revs_only": True}, "_local/py1-e43212f49c17d2da1dd98358c0637e99"),
    ],
    ids=["plain", "doc_ids", "filter", "selector", "winning_revs_only"],
)
def test_golden_vectors(options: dict[str, Any], expected: str) -> None:
    """They must never change: a change makes every replication start over."""
    assert replication_id("5ou7ce", "7a79e7", **options) == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"doc_ids": ["a", "b", "a"]}, {"doc_ids": ("b", "a")}),
        ({"query_params": {"a": 1, "b": 2}}, {"query_params": {"b": 2, "a": 1}}),
        ({"query_params": {}}, {"query_params": None}),
        ({"selector": {"a": {"$gt": 1, "$lt": 5}, "b": 2}}, {"selector": {"b": 2, "a": {"$lt": 5, "$gt": 1}}}),
    ],
)
def test_the_order_of_members_does_not_matter(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert replication_id("s", "t", **first) == replication_id("s", "t", **second)


def test_what_chooses_other_documents_is_another_replication() -> None:
    ids = [
        replication_id("s", "t"),
        replication_id("t", "s"),
        replication_id("s", "t2"),
        replication_id("s", "t", doc_ids=[]),
        replication_id("s", "t", doc_ids=["a"]),
        replication_id("s", "t", doc_ids=["a", "b"]),
        replication_id("s", "t", filter="a/b"),
        replication_id("s", "t", filter="a/c"),
        replication_id("s", "t", query_params={"a": 1}),
        replication_id("s", "t", query_params={"a": "1"}),
        replication_id("s", "t", query_params={"a": {"b": 1}}),
        replication_id("s", "t", query_params={"a": [["b", 1]]}),
        replication_id("s", "t", selector={"$or": [{"a": 1}, {"b": 1}]}),
        replication_id("s", "t", selector={"$or": [{"b": 1}, {"a": 1}]}),
        replication_id("s", "t", winning_revs_only=True),
    ]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("params", [{1: "a", "b": 2}, {"x": object}, {"x": float("nan")}, {"s": "\ud800"}])
def test_strange_parameters_are_no_crash(params: Any) -> None:
    assert replication_id("s", "t", query_params=params).startswith("_local/py1-")


def by_type(wanted: str) -> Callable[[Any], bool]:
    def choose(doc: Any) -> bool:
        return bool(doc.get("type") == wanted)

    return choose


def plain(doc: Any) -> bool:
    return True


def with_default(doc: Any, *, wanted: int = 3) -> bool:
    return bool(doc["n"] == wanted)


class Chooser:
    def __init__(self, wanted: int) -> None:
        self.wanted = wanted

    def __call__(self, doc: Any) -> bool:
        return bool(doc["n"] == self.wanted)

    def method(self, doc: Any) -> bool:
        return bool(doc["n"] == self.wanted)


@dataclass
class Rule:
    wanted: int

    def __call__(self, doc: Any) -> bool:
        return bool(doc["n"] == self.wanted)


one, two = lambda doc: doc["a"], lambda doc: doc["b"]
shared: Any = Chooser(1)
looped: Any = Chooser(1)
looped.me = looped

FILTERS: dict[str, Callable[[], Any]] = {
    "name": lambda: "ddoc/name",
    "function": lambda: plain,
    "closure over a": lambda: by_type("a"),
    "closure over b": lambda: by_type("b"),
    "default": lambda: with_default,
    "partial": lambda: functools.partial(with_default, wanted=4),
    "partial of another": lambda: functools.partial(with_default, wanted=5),
    "first lambda of a line": lambda: one,
    "second lambda of the line": lambda: two,
    "object with 1": lambda: Chooser(1),
    "object with 2": lambda: Chooser(2),
    "method of an object with 1": lambda: Chooser(1).method,
    "method of an object with 2": lambda: Chooser(2).method,
    "dataclass with 1": lambda: Rule(1),
    "dataclass with 2": lambda: Rule(2),
    "built-in": lambda: bool,
    "made by exec": lambda: _made("doc['n'] == 1"),
    "made by exec otherwise": lambda: _made("doc['n'] == 2"),
    "recursive": lambda: looped,
}


def _made(code: str) -> Any:
    namespace: dict[str, Any] = {}
    exec(f"def chosen(doc): return {code}", namespace)
    return namespace["chosen"]


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_is_the_same_each_time_it_is_made(name: str) -> None:
    assert filter_source(FILTERS[name]()) == filter_source(FILTERS[name]())
    assert " at 0x" not in str(filter_source(FILTERS[name]()))


def test_filters_that_choose_differently_are_different() -> None:
    for (first, make), (second, other) in itertools.combinations(FILTERS.items(), 2):
        assert filter_source(make()) != filter_source(other()), f"{first} and {second}"


def test_functions_that_exec_made_do_not_have_the_source_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Since Python 3.13 `python -c` has its source known under the name that exec() gives, too."""
    program = "run(program)\n"
    monkeypatch.setitem(linecache.cache, "<string>", (len(program), None, [program], "<string>"))
    test_filters_that_choose_differently_are_different()


def test_no_filter() -> None:
    assert filter_source(None) is None
