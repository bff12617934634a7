"""A database on a server answers as one that is here: results, and errors with their class, status, name and text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import pouchdb

INDEX = """function (doc) {
    index('default', doc.text, {store: true});
    index('year', doc.year, {store: true});
    index('tag', doc.tag, {facet: true});
}"""
NOUVEAU = "function (doc) { index('text', 'default', doc.text, {store: true}); index('double', 'year', doc.year); }"
DDOC = {
    "_id": "_design/d",
    "indexes": {
        "words": {"index": INDEX},
        "ä b&c/d": {"analyzer": "standard", "index": INDEX},
        "bad": {"analyzer": "thai", "index": INDEX},
    },
    "nouveau": {"n": {"index": NOUVEAU}},
}
DOCS = [
    {"_id": "fox", "text": "The quick brown fox", "year": 1999, "tag": "animals"},
    {"_id": "roux & ü/%", "text": "A quick café roux & 100% fat", "year": 2010.5, "tag": "food"},
]
STANDARD = "d/ä b&c/d"


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Any, Any]]:
    pytest.importorskip("pouchdb_server", reason="the server is a plug-in of its own")
    from pouchdb_server.testing import couch_server

    with pouchdb.setup(":memory:", plugins=["server", "search"]) as env, couch_server(env) as server:
        env["books"].bulk_docs([*DOCS, DDOC])
        yield env["books"], env.PouchDB(f"{server.url}/books")


def outcome(db: Any, method: str, *arguments: Any, **options: Any) -> Any:
    try:
        return getattr(db, method)(*arguments, **options)
    except pouchdb.PouchDBError as error:
        return type(error), error.status, error.name, error.message, error.details.get("position")


@pytest.mark.parametrize(
    "options",
    [
        {"q": "quick"},
        {"q": "café"},
        {"q": "100% & fat"},
        {"q": "quick", "include_docs": True, "limit": 1},
        {"q": "*:*", "sort": ["-year<number>"], "counts": ["tag"], "ranges": {"year": {"old": "[0 TO 2000]"}}},
        {"q": "quick", "drilldown": [["tag", "food", "animals"]], "highlight_fields": ["default"]},
        {"q": "quick", "group_field": "tag", "group_sort": "-year"},
        {"more_like": {"text": "brown fox", "max_terms": 2}},
        {"q": "quick", "stale": "ok"},
        {"q": "quick", "update": False},
        {"q": "(quick"},
        {"q": "quick AND ü:[a TO"},
        {"q": 5},
        {},
        {"q": "x", "limit": -1},
        {"q": "x", "limit": 201},
        {"q": "x", "skip": "y"},
        {"q": "x", "sort": 5},
        {"q": "quick", "sort": "tag<number>"},
        {"q": "x", "counts": ["year"]},
        {"q": "x", "ranges": {"tag": {"a": "[0 TO 1]"}}},
        {"q": "x", "drilldown": ["tag"]},
        {"q": "x", "stale": "maybe"},
        {"q": "x", "bookmark": "x"},
        {"q": "x", "partition": "a"},
        {"q": "x", "more_like": "missing"},
        {"q": "x", "unknown": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("index", [STANDARD, "d/n"])
def test_searches(both: tuple[Any, Any], index: str, options: dict[str, Any]) -> None:
    here, there = both
    assert outcome(there, "search", index, **options) == outcome(here, "search", index, **options)


@pytest.mark.parametrize("path", ["d", "d/", "", "/", "none/x", "d/bad", 5, None, b"d/words"], ids=repr)
@pytest.mark.parametrize("method", ["search", "search_completions", "search_suggestions"])
def test_names_of_indexes(both: tuple[Any, Any], method: str, path: Any) -> None:
    here, there = both
    arguments = (path,) if method == "search" else (path, "a")
    options = {"q": "a"} if method == "search" else {}
    assert outcome(there, method, *arguments, **options) == outcome(here, method, *arguments, **options)


@pytest.mark.parametrize("text", ["qui", "quikc & browm", "", "100%", 5, None, "caf"], ids=repr)
@pytest.mark.parametrize("options", [{}, {"limit": 1}, {"limit": 0}, {"limit": 1000}, {"field": "tag"}, {"field": 5}])
@pytest.mark.parametrize("method", ["search_completions", "search_suggestions"])
def test_words(both: tuple[Any, Any], method: str, options: dict[str, Any], text: Any) -> None:
    here, there = both
    for index in (STANDARD, "d/words", "d/n"):
        assert outcome(there, method, index, text, **options) == outcome(here, method, index, text, **options)


def test_where_a_query_cannot_be_parsed(both: tuple[Any, Any]) -> None:
    for db in both:
        with pytest.raises(pouchdb.BadRequest) as caught:
            db.search(STANDARD, q="quick AND (")
        assert caught.value.position == 11
