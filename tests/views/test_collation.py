"""The order of strings: by code point, or ICU's where a design document asks for it and PyICU is there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import NotSupported, QueryParseError
from pouchdb_core.views import collation

Design = Callable[..., Any]

MAP = "function (doc) { emit(doc.k, 1); }"


class Collator:
    """Sorts regardless of case first, as ICU does; its keys too separate levels by a one and end by a zero."""

    def getSortKey(self, text: str) -> bytes:  # PyICU's name
        return text.casefold().encode() + b"\x01" + text.swapcase().encode() + b"\x00"

    @classmethod
    def createInstance(cls, locale: Any) -> Collator:
        return cls()


@pytest.fixture(params=["stands in", "PyICU"])
def icu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "PyICU":
        pytest.importorskip("icu", reason="PyICU is NOT INSTALLED, only what stands in for it is tested; it needs ICU")
    else:
        module: Any = ModuleType("icu")
        module.Collator, module.Locale, module.ICU_VERSION = Collator, str, "1"
        monkeypatch.setitem(sys.modules, "icu", module)
    collation._icu.cache_clear()
    yield
    collation._icu.cache_clear()


@pytest.fixture
def no_icu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "icu", None)
    collation._icu.cache_clear()
    yield
    collation._icu.cache_clear()


def store(database: SyncPouchDB, *keys: Any) -> None:
    database.bulk_docs([{"_id": f"{n:02}", "k": key} for n, key in enumerate(keys)])


def keys_of(database: SyncPouchDB, view: str, **options: Any) -> list[Any]:
    return [row.key for row in database.query(view, **options).rows]


STRINGS = ["B", "a", "b", "A", "", "ab", "aB"]
BY_ICU = ["", "a", "A", "ab", "aB", "b", "B"]


def test_strings_in_the_order_of_icu(database: SyncPouchDB, design: Design, icu: None) -> None:
    icu_view = {"map": MAP, "reduce": "_count", "options": {"collation": "icu"}}
    design("app", views={"icu": icu_view, "plain": {"map": MAP, "reduce": "_count"}})
    raw_view = {**icu_view, "options": {"collation": "raw"}}
    design("all", options={"collation": "icu"}, views={"a": {"map": MAP}, "raw": raw_view})
    store(database, *STRINGS)
    for view in ("app/icu", "all/a"):
        assert keys_of(database, view, reduce=False) == BY_ICU
        assert keys_of(database, view, reduce=False, descending=True) == BY_ICU[::-1]
        assert keys_of(database, view, reduce=False, startkey="A", endkey="b") == ["A", "ab", "aB", "b"]
        assert keys_of(database, view, reduce=False, keys=["b", "a"]) == ["b", "a"]
        with pytest.raises(QueryParseError, match="No rows can match"):
            database.query(view, reduce=False, startkey="b", endkey="A")
    # Raw or not, strings among themselves are in one order.
    for view in ("app/plain", "all/raw"):
        assert keys_of(database, view, reduce=False) == sorted(STRINGS)
    assert [(row.key, row.value) for row in database.query("app/icu", group=True).rows] == [(key, 1) for key in BY_ICU]


def test_strings_inside_of_arrays_and_objects(database: SyncPouchDB, design: Design, icu: None) -> None:
    design("app", views={"icu": {"map": MAP, "reduce": "_count", "options": {"collation": "icu"}}})
    keys: list[Any] = [None, 1, "", "a", "A", "b", [], ["a"], ["a", 1], ["A"], ["A", "b"], ["b"]]
    keys += [{}, {"a": "a"}, {"a": "A"}]
    store(database, *keys[::-1])
    assert keys_of(database, "app/icu", reduce=False) == keys
    answer = database.query("app/icu", startkey=[], endkey=[{}], group_level=1)
    assert [(row.key, row.value) for row in answer.rows] == [
        ([], 1),
        (["a"], 2),
        (["A"], 2),
        (["b"], 1),
    ]
    assert keys_of(database, "app/icu", reduce=False, key=["A", "b"]) == [["A", "b"]]
    for wrong in ({1: 2}, object(), float("nan")):
        with pytest.raises(QueryParseError):
            database.query("app/icu", key=wrong)


def test_lone_surrogates_have_a_place(database: SyncPouchDB, design: Design, icu: None) -> None:
    design("app", views={"icu": {"map": MAP, "options": {"collation": "icu"}}})
    keys = ["\ud800", "a", "\U0001f600", "a\udfffb"]
    store(database, *keys)
    assert set(keys_of(database, "app/icu")) == set(keys)
    assert keys_of(database, "app/icu", key="\U0001f600") == ["\U0001f600"]


def test_without_icu_a_view_that_needs_it_is_refused_and_no_other(
    database: SyncPouchDB, design: Design, no_icu: None
) -> None:
    views = {"icu": {"map": MAP, "options": {"collation": "icu"}}, "plain": {"map": MAP}}
    design("app", views={**views, "odd": {"map": MAP, "options": {"collation": "odd"}}})
    store(database, "b", "a")
    for _ in range(2):
        with pytest.raises(NotSupported, match="collation 'icu' needs PyICU"):
            database.query("app/icu")
        with pytest.raises(NotSupported, match="no collation 'odd'; there are: codepoint, default, icu, raw"):
            database.query("app/odd")
        assert keys_of(database, "app/plain") == ["a", "b"]
    design("all", options={"collation": "icu"}, views={"a": {"map": MAP}})
    with pytest.raises(NotSupported, match="PyICU"):
        database.query("all/a")
    design("raw", options={"collation": "raw"}, views={"a": {"map": MAP}})
    assert keys_of(database, "raw/a") == ["a", "b"]


RAW = [-1, 0, 2.5, 10, False, None, True, {}, {"a": 1}, {"a": 1, "b": 0}, {"a": None}, {"b": 1}]
RAW += [[], [1], [1, "x"], [None], [{}], [[]], ["a"], ["a", 1], ["b"], "", "A", "B", "a", "aa", "b", "é", "\U0001f600"]


def test_raw_collation_is_the_order_of_terms(database: SyncPouchDB, design: Design) -> None:
    """``couch_mrview``: raw compares keys as Erlang compares terms."""
    raw = {"map": MAP, "reduce": "_count", "options": {"collation": "raw"}}
    design("app", views={"raw": raw, "plain": {"map": MAP, "options": {"collation": "default"}}})
    design("all", options={"collation": "raw"}, views={"raw": {"map": MAP, "reduce": "_count"}})
    store(database, *RAW[::-1])
    for view in ("app/raw", "all/raw"):
        assert keys_of(database, view, reduce=False) == RAW
        assert keys_of(database, view, reduce=False, descending=True) == RAW[::-1]
        assert keys_of(database, view, reduce=False, startkey={}, endkey=[[]]) == RAW[7:18]
        assert keys_of(database, view, reduce=False, startkey="") == RAW[21:]
        assert keys_of(database, view, reduce=False, endkey=False, inclusive_end=False) == RAW[:4]
        assert keys_of(database, view, reduce=False, keys=[None, "b", 10]) == [None, "b", 10]
        with pytest.raises(QueryParseError, match="No rows can match"):
            database.query(view, reduce=False, startkey="a", endkey=[])
        rows = [(row.key, row.value) for row in database.query(view, startkey=[], endkey="", group_level=1).rows]
        assert rows == [([], 1), ([1], 2), ([None], 1), ([{}], 1), ([[]], 1), (["a"], 2), (["b"], 1), ("", 1)]
    assert keys_of(database, "app/plain")[:4] == [None, False, True, -1]


def test_raw_collation_refuses_what_is_no_key(database: SyncPouchDB, design: Design) -> None:
    design("app", views={"raw": {"map": MAP, "options": {"collation": "raw"}}})
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    for wrong in ({1: 2}, object(), float("nan"), deep):
        with pytest.raises(QueryParseError):
            database.query("app/raw", key=wrong)


def test_an_index_of_another_icu_is_built_again(
    database: SyncPouchDB, design: Design, monkeypatch: pytest.MonkeyPatch
) -> None:
    design("app", views={"icu": {"map": MAP, "options": {"collation": "icu"}}})
    store(database, "B", "a")
    module: Any = ModuleType("icu")
    module.Collator, module.Locale = Collator, str
    monkeypatch.setitem(sys.modules, "icu", module)
    for version, key, order in (
        ("1", Collator.getSortKey, ["a", "B"]),
        ("2", lambda self, text: text.encode() + b"\x00", ["B", "a"]),
    ):
        monkeypatch.setattr(Collator, "getSortKey", key)
        module.ICU_VERSION = version
        collation._icu.cache_clear()
        assert keys_of(database, "app/icu") == order
    collation._icu.cache_clear()
