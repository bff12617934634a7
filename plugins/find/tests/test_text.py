"""``$text``: indexes of the plug-in search, which find makes, lists, uses and deletes as CouchDB does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pouchdb_find import FindError

import pouchdb
from pouchdb_core.errors import NotFound, PouchDBError

pytest.importorskip("pouchdb_search", reason="pouchdb-search is not installed: NO TEST of $text was made")

BOOKS = [
    {"_id": "a", "title": "The Foxes", "author": {"name": "Ann Lee"}, "tags": ["wood", "river"], "year": 1999},
    {"_id": "b", "title": "Rivers of Europe", "author": {"name": "Bob Fox"}, "tags": [], "year": 2005},
    {
        "_id": "c",
        "title": "Wood and Fire",
        "author": {"name": "Ann Moe"},
        "tags": ["fire"],
        "year": 2010,
        "draft": True,
    },
    {"_id": "d", "year": 7},
]


@pytest.fixture
def environment() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["find", "search"]) as environment:
        yield environment


@pytest.fixture
def books(environment: Any) -> Any:
    db = environment["books"]
    db.bulk_docs(BOOKS)
    return db


def found(db: Any, text: str, **request: Any) -> list[str]:
    selector = {"$text": text, **request.pop("selector", {})}
    return [doc["_id"] for doc in db.find(selector=selector, **request)["docs"]]


def test_texts_of_all_fields_are_found(books: Any) -> None:
    assert books.create_index({"index": {}, "type": "text", "name": "all", "ddoc": "texts"})["result"] == "created"
    assert books.create_index({"index": {}, "type": "text", "name": "all", "ddoc": "texts"})["result"] == "exists"
    assert sorted(found(books, "ann")) == ["a", "c"]
    assert sorted(found(books, "foxes OR fox")) == ["a", "b"]
    assert sorted(found(books, "wood river")) == ["a", "c"], "either word, as Lucene"
    assert found(books, '"rivers of europe"') == ["b"]
    assert found(books, "fire AND ann") == ["c"]
    assert found(books, "1999") == [], "numbers are no text"
    keywords = 'title:wood OR tags:wood OR title:"Rivers of Europe"'
    assert sorted(found(books, keywords)) == ["a", "b"], "a field by its name has whole texts"
    assert found(books, "nowhere") == []


def test_other_conditions_judge_what_was_found(books: Any) -> None:
    books.create_index({"index": {}, "type": "text"})
    assert found(books, "ann", selector={"year": {"$gt": 2000}}) == ["c"]
    assert found(books, "ann", selector={"_id": "a"}) == ["a"]
    assert found(books, "ann", selector={"draft": {"$exists": False}}) == ["a"]
    answer = books.find(selector={"$and": [{"$text": "ann"}, {"$text": "wood"}, {"year": 1999}]}, fields=["title"])
    assert answer["docs"] == [{"title": "The Foxes"}]
    assert "warning" not in answer


def test_named_fields(books: Any) -> None:
    fields = [
        {"name": "title", "type": "string"},
        {"name": "author.name", "type": "string"},
        {"name": "year", "type": "number"},
    ]
    books.create_index({"index": {"fields": fields}, "type": "text"})
    assert found(books, "fire") == ["c"]
    assert found(books, "river") == [], "tags are not in it"
    assert found(books, "fox") == ["b"]
    assert found(books, "year:[2000 TO 2006]") == ["b"]


@pytest.mark.parametrize(
    ("index", "text", "ids"),
    [
        ({"fields": [{"name": "tags.[]", "type": "string"}]}, "wood", ["a"]),
        ({"default_field": {"enabled": False}}, "wood", []),
        ({"default_field": {"analyzer": "keyword"}}, '"The Foxes"', ["a"]),
        ({"default_field": {"analyzer": "english"}}, "fox", ["a", "b"]),
        ({"partial_filter_selector": {"draft": {"$exists": False}}}, "ann", ["a"]),
    ],
    ids=str,
)
def test_definitions(books: Any, index: Any, text: str, ids: list[str]) -> None:
    books.create_index({"index": index, "type": "text", "ddoc": "texts", "name": "it"})
    assert sorted(found(books, text, use_index="texts")) == ids


def test_a_partial_index_is_used_only_where_it_is_named(books: Any) -> None:
    partial = {"partial_filter_selector": {"draft": True}}
    books.create_index({"index": partial, "type": "text", "ddoc": "drafts"})
    with pytest.raises(FindError) as caught:
        found(books, "ann")
    assert caught.value.name == "no_usable_index"
    assert found(books, "ann", use_index="drafts") == ["c"]


def test_an_index_follows_its_documents(books: Any) -> None:
    books.create_index({"index": {}, "type": "text"})
    books.put({"_id": "e", "title": "ann again"})
    assert "e" not in found(books, "again", update=False)
    assert found(books, "again") == ["e"]
    books.remove(books["e"])
    assert found(books, "again") == []


def test_every_hit_is_found_by_pages_and_bookmarks(environment: Any) -> None:
    db = environment["many"]
    db.bulk_docs([{"_id": f"{n:04}", "text": "word " * (1 + n % 3), "n": n % 2} for n in range(950)])
    db.create_index({"index": {}, "type": "text"})
    assert len(found(db, "word", limit=10_000)) == 950
    assert len(found(db, "word", limit=10_000, selector={"n": 1})) == 475
    ids: list[str] = []
    bookmark = None
    while True:
        answer = db.find(selector={"$text": "word", "n": 0}, limit=70, bookmark=bookmark)
        if not answer["docs"]:
            break
        ids += [doc["_id"] for doc in answer["docs"]]
        bookmark = answer["bookmark"]
    assert len(ids) == len(set(ids)) == 475
    with pytest.raises(FindError) as caught:
        db.find(selector={"n": 0}, bookmark=bookmark)
    assert caught.value.name == "invalid_bookmark"


def test_listed_explained_and_deleted(books: Any) -> None:
    books.create_index({"index": {"fields": ["year"]}, "ddoc": "texts", "name": "years"})
    fields = [{"name": "title", "type": "string"}]
    books.create_index({"index": {"fields": fields}, "type": "text", "ddoc": "texts", "name": "titles"})
    special, titles, years = books.get_indexes()["indexes"]
    assert (special["name"], years["type"]) == ("_all_docs", "json")
    assert (titles["ddoc"], titles["name"], titles["type"]) == ("_design/texts", "titles", "text")
    assert titles["def"]["fields"] == [{"title": "string"}]
    plan = books.explain(selector={"$text": "wood", "year": {"$gt": 1}})
    assert (plan["index"]["name"], plan["index"]["type"]) == ("titles", "text")
    assert (plan.plan.reads, plan.plan.ranges) == ("text index texts/titles", ["$text 'wood'"])
    assert plan.plan.filter == [{"year": {"$gt": 1}}]
    with pytest.raises(NotFound):
        books.delete_index(ddoc="texts", name="titles")
    assert books.delete_index(titles)["ok"]
    assert [each["name"] for each in books.get_indexes()["indexes"]] == ["_all_docs", "years"]
    assert "indexes" not in books["_design/texts"]


def test_what_couchdb_wrote_is_read(books: Any) -> None:
    entry = {
        "index": {
            "default_analyzer": "keyword",
            "default_field": {},
            "partial_filter_selector": {},
            "fields": "all_fields",
            "index_array_lengths": True,
        },
        "analyzer": {"name": "perfield", "default": "keyword", "fields": {"$default": "standard"}},
    }
    books.put({"_id": "_design/theirs", "language": "query", "indexes": {"t": entry}})
    assert sorted(found(books, "ann")) == ["a", "c"]
    books.create_index({"index": {}, "type": "text", "ddoc": "ours", "name": "t"})
    assert books["_design/ours"]["indexes"] == {"t": entry}
    assert [row["id"] for row in books.search("theirs/t", q='title:"Wood and Fire"').rows] == ["c"]


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ({"index": {"fields": ["title"]}, "type": "text"}, "invalid_index_fields_definition"),
        ({"index": {"fields": [{"name": "a", "type": "date"}]}, "type": "text"}, "invalid_index_fields_definition"),
        ({"index": {"fields": []}, "type": "text"}, "invalid_index_fields_definition"),
        ({"index": {"other": 1}, "type": "text"}, "invalid_key"),
        ({"index": {}, "type": "text", "other": 1}, "invalid_key"),
        ({"index": 5, "type": "text"}, "invalid_index"),
        ({"index": {"default_field": 5}, "type": "text"}, "invalid_index"),
        ({"index": {}, "type": "text", "name": 5}, "invalid_string"),
    ],
    ids=str,
)
def test_bad_requests(books: Any, request_: Any, name: str) -> None:
    with pytest.raises(FindError) as caught:
        books.create_index(request_)
    assert caught.value.name == name


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ({"selector": {"$or": [{"$text": "a"}, {"year": 1}]}}, "bad_arg"),
        ({"selector": {"$text": "a"}, "sort": ["year"]}, "no_usable_index"),
        ({"selector": {"$text": "a"}, "use_index": "none", "allow_fallback": False}, "invalid_index"),
        ({"selector": {"$text": "title:["}}, "bad_request"),
    ],
    ids=str,
)
def test_bad_queries(books: Any, request_: Any, name: str) -> None:
    books.create_index({"index": {}, "type": "text"})
    with pytest.raises(PouchDBError) as caught:
        books.find(request_)
    assert (caught.value.status, caught.value.name) == (400, name)


def test_another_index_is_used_with_a_warning(books: Any) -> None:
    books.create_index({"index": {}, "type": "text"})
    assert "no text index" in books.find(selector={"$text": "ann"}, use_index="none")["warning"]


def test_an_unknown_analyzer_is_an_error(books: Any) -> None:
    with pytest.raises(PouchDBError, match="there is no analyzer 'none'"):
        books.create_index({"index": {"default_analyzer": "none"}, "type": "text"})


def test_without_the_plug_in(tmp_path: Any) -> None:
    with pouchdb.setup(":memory:", plugins=["find"]) as environment:
        db: Any = environment["books"]
        with pytest.raises(FindError) as caught:
            db.create_index({"index": {}, "type": "text"})
        assert (caught.value.status, caught.value.name) == (503, "index_service_unavailable")
        db.put({"_id": "_design/t", "language": "query", "indexes": {"t": {"index": {"fields": "all_fields"}}}})
        assert [each["name"] for each in db.get_indexes()["indexes"]] == ["_all_docs"]


def test_over_http(tmp_path: Any) -> None:
    pytest.importorskip("pouchdb_server")
    import urllib3
    from pouchdb_server.testing import couch_server

    http = urllib3.PoolManager()
    with (
        pouchdb.setup(":memory:", plugins=["find", "search", "server"]) as environment,
        couch_server(environment) as server,
    ):
        environment["books"].bulk_docs(BOOKS)
        url = f"{server.url}/books"
        made = http.request("POST", f"{url}/_index", json={"index": {}, "type": "text", "ddoc": "t", "name": "t"})
        assert json.loads(made.data) == {"result": "created", "id": "_design/t", "name": "t"}
        answer = json.loads(http.request("POST", f"{url}/_find", json={"selector": {"$text": "fire"}}).data)
        assert [doc["_id"] for doc in answer["docs"]] == ["c"]
        remote: Any = environment.PouchDB(url)
        assert found(remote, "rivers") == ["b"]
        assert http.request("DELETE", f"{url}/_index/_design/t/text/t").status == 200
    http.clear()
