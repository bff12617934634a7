"""Making, listing and deleting indexes; design documents as CouchDB and PouchDB write them."""

from __future__ import annotations

from typing import Any

import pytest
from pouchdb_find import FindError
from pouchdb_find.couch_names import couch_name

import pouchdb
from pouchdb_core.errors import BadRequest, NotFound


def test_created_then_exists(db: Any) -> None:
    request = {"index": {"fields": ["age", "name"]}, "name": "an", "ddoc": "ix"}
    assert db.create_index(request) == {"id": "_design/ix", "name": "an", "result": "created"}
    assert db.create_index(request) == {"id": "_design/ix", "name": "an", "result": "exists"}
    ddoc = db.get("_design/ix")
    assert {key: value for key, value in ddoc.items() if key != "_rev"} == {
        "_id": "_design/ix",
        "language": "query",
        "views": {
            "an": {
                "map": {"fields": {"age": "asc", "name": "asc"}, "partial_filter_selector": {}},
                "reduce": "_count",
                "options": {"def": {"fields": ["age", "name"]}},
            }
        },
    }


def test_another_definition_under_the_same_name_replaces(db: Any) -> None:
    db.create_index({"index": {"fields": ["a"]}, "name": "n", "ddoc": "d"})
    assert db.create_index({"index": {"fields": ["b"]}, "name": "n", "ddoc": "d"}).result == "created"
    assert [each["def"] for each in db.get_indexes().indexes[1:]] == [{"fields": [{"b": "asc"}]}]


@pytest.mark.parametrize(
    ("request_", "ddoc", "name"),
    [
        ({"index": {"fields": ["foo"]}}, "idx-554633436b968d9fb74e870e766c0b77", None),
        ({"index": {"fields": ["foo", "bar"]}}, "idx-4f47a070f299b9515faa307a8e8176c2", None),
        ({"index": {"fields": [{"foo": "desc"}]}}, "idx-4fea92f60c87f79e30fde1df9cf580d5", None),
        ({"index": {"fields": ["foo"], "name": "x"}}, "idx-9d7f4e19066dbe232060be9e28674efc", "x"),
        ({"index": {"fields": ["foo"], "ddoc": "x"}}, "x", "idx-a221b6dc5af3cb1105e809ab1c32be99"),
        ({"fields": ["foo"], "name": "y"}, "idx-c042f27d3a7b45f47d4f3c73465c395f", "y"),
        ({"fields": ["foo"]}, "idx-554633436b968d9fb74e870e766c0b77", None),
        ({"type": "json", "index": {"fields": ["foo"]}}, "idx-663d6c2f527552fb0ae6cec2d44946e1", None),
        (
            {"index": {"fields": ["foo"], "partial_filter_selector": {"a": {"$gt": 1}}}},
            "idx-2e4f2733d81e6bab59f1a0c2f01864d7",
            None,
        ),
        (
            {"index": {"partial_filter_selector": {"a": 1}, "fields": ["foo"]}},
            "idx-33697cad45e78f2925dc3ccf659722e7",
            None,
        ),
        ({"index": {"fields": ["a.b"]}}, "idx-0f41584340aa787e28985bf07cb49019", None),
    ],
)
def test_the_name_is_the_one_that_pouchdb_makes(db: Any, request_: Any, ddoc: str, name: str | None) -> None:
    """Written down from pouchdb-find 9.0.0."""
    made = db.create_index(request_)
    assert (made.id, made.name) == (f"_design/{ddoc}", name or ddoc)


def test_the_name_is_the_one_that_couchdb_makes() -> None:
    """The example of CouchDB's documentation, from before databases had partitions."""
    import hashlib

    from pouchdb_find.couch_names import _Atom, _term

    index = {"fields": ["foo"]}
    options = [("ddoc", _Atom("auto_name")), ("def", index), ("name", "foo-index"), ("type", "json"), ("w", 2)]
    term = b"\x83" + _term((index, [(_Atom(name), value) for name, value in options]))
    assert hashlib.sha1(term, usedforsecurity=False).hexdigest() == "a5f4711fc9448864a13c81dc71e660b524d7410c"
    assert len(couch_name({"index": {"fields": [1, -5, 2**40, 1.5, None, True, [1, 2], {}]}})) == 40


@pytest.mark.parametrize(
    "request_",
    [
        {"index": {"fields": ["foo"], "name": "n", "ddoc": "d", "type": "json"}},
        {"fields": ["foo"], "name": "n", "ddoc": "d"},
        {"index": {"fields": [{"foo": "asc"}]}, "name": "n", "ddoc": "_design/d"},
    ],
)
def test_the_liberties_of_pouchdb(db: Any, request_: Any) -> None:
    assert db.create_index(request_) == {"id": "_design/d", "name": "n", "result": "created"}


def test_keywords(db: Any) -> None:
    assert db.create_index({"fields": ["foo"]}, name="n", ddoc="d") == {
        "id": "_design/d",
        "name": "n",
        "result": "created",
    }


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ({}, "missing_required_key"),
        ({"index": {}}, "missing_required_key"),
        ({"index": {"fields": "a"}}, "invalid_sort_json"),
        ({"index": {"fields": [5]}}, "invalid_sort_field"),
        ({"index": {"fields": [{"a": "desc"}, {"b": "asc"}]}}, "unsupported_mixed_sort"),
        ({"index": {"fields": ["a..b"]}}, "invalid_field_name"),
        ({"index": {"fields": ["a"]}, "type": "odd"}, "invalid_index"),
        ({"index": {"fields": ["a"]}, "name": 5}, "invalid_string"),
        ({"index": {"fields": ["a"], "selector": {"b": 1}}}, "invalid_key"),
        ({"index": {"fields": ["a"]}, "odd": 1}, "invalid_key"),
        ({"index": {"fields": ["a"], "partial_filter_selector": {"b": {"$odd": 1}}}}, "invalid_operator"),
        ({"index": 5}, "invalid_index"),
        (5, "bad_request"),
    ],
)
def test_bad_requests(db: Any, request_: Any, name: str) -> None:
    with pytest.raises(FindError) as caught:
        db.create_index(request_)
    assert (caught.value.status, caught.value.name) == (400, name)
    assert db.get_indexes().total_rows == 1


def test_a_design_document_of_another_language_is_left_alone(db: Any) -> None:
    db.put({"_id": "_design/d", "views": {"v": {"map": "function (doc) {}"}}})
    with pytest.raises(FindError, match="must be 'query'") as caught:
        db.create_index({"index": {"fields": ["a"]}, "ddoc": "d"})
    assert caught.value.name == "invalid_ddoc_lang"


def test_list_and_delete(db: Any) -> None:
    db.create_index({"index": {"fields": ["a"]}, "ddoc": "d", "name": "one"})
    db.create_index({"index": {"fields": [{"b": "desc"}]}, "ddoc": "d", "name": "two"})
    assert db.get_indexes() == {
        "total_rows": 3,
        "indexes": [
            {"ddoc": None, "name": "_all_docs", "type": "special", "def": {"fields": [{"_id": "asc"}]}},
            {"ddoc": "_design/d", "name": "one", "type": "json", "def": {"fields": [{"a": "asc"}]}},
            {"ddoc": "_design/d", "name": "two", "type": "json", "def": {"fields": [{"b": "desc"}]}},
        ],
    }
    assert db.delete_index(db.get_indexes().indexes[1]) == {"ok": True}
    assert list(db.get("_design/d").views) == ["two"]
    assert db.delete_index(ddoc="d", name="two") == {"ok": True}
    with pytest.raises(NotFound, match="deleted"):
        db.get("_design/d")
    for ddoc, name in (("d", "two"), ("nope", "x")):
        with pytest.raises(NotFound, match="missing"):
            db.delete_index(ddoc=ddoc, name=name)
    for wrong in ({}, {"ddoc": "d"}, {"name": "x"}, {"ddoc": None, "name": "_all_docs"}):
        with pytest.raises(BadRequest, match="delete_index needs"):
            db.delete_index(wrong)


def test_deleting_frees_the_tables(db: Any) -> None:
    db.bulk_docs([{"a": i} for i in range(10)])
    db.create_index({"index": {"fields": ["a"]}, "ddoc": "d", "name": "n"})
    db.find(selector={"a": 5})
    store = db.adapter.indexes()
    assert [row[1] for row in store.entries()] == ["mango"]
    db.delete_index(ddoc="d", name="n")
    assert store.entries() == []


def test_what_other_programs_wrote_is_read(db: Any) -> None:
    """PouchDB leaves partial_filter_selector out; a broken view or a text index is passed over."""
    db.bulk_docs([{"_id": "a", "n": 1}, {"_id": "b", "n": 2}])
    views = {
        "ours": {"map": {"fields": {"n": "asc"}}, "reduce": "_count", "options": {"def": {"fields": ["n"]}}},
        "text": {"map": {"fields": [{"name": "x", "type": "string"}]}},
        "broken": {"map": {"fields": {"a..b": "asc"}}},
        "wrong": {"map": {"fields": {"a": "asc"}, "partial_filter_selector": {"x": {"$odd": 1}}}},
        "odd": 5,
        "source": {"map": "function (doc) {}"},
    }
    db.put({"_id": "_design/other", "language": "query", "views": views})
    db.put({"_id": "_design/none", "language": "query"})
    db.put({"_id": "_design/strange", "language": "query", "views": []})
    assert [each.name for each in db.get_indexes().indexes] == ["_all_docs", "ours"]
    answer = db.find(selector={"n": 2})
    assert [doc["_id"] for doc in answer["docs"]] == ["b"]
    assert "warning" not in answer
    assert db.view_cleanup() == {"ok": True}


def test_replicated_indexes_work(environment: Any, people: Any) -> None:
    people.create_index({"index": {"fields": ["city"]}, "ddoc": "c", "name": "n"})
    other = environment["other"]
    people.replicate_to(other)
    assert other.get("_design/c") == people.get("_design/c")
    answer = other.find(selector={"city": "Oslo"})
    assert [doc["_id"] for doc in answer["docs"]] == ["m01", "m03"]
    assert "warning" not in answer


def test_an_index_follows_edits_deletions_and_purges(people: Any) -> None:
    people.create_index({"index": {"fields": ["city"]}, "ddoc": "c", "name": "n"})

    def found() -> list[str]:
        return [doc["_id"] for doc in people.find(selector={"city": "Rome"})["docs"]]

    assert found() == ["m00", "m02", "m05"]
    people.put({**people.get("m00"), "city": "Oslo"})
    people.remove(people.get("m02"))
    people.put({"_id": "m99", "city": "Rome"})
    assert found() == ["m05", "m99"]
    people.purge("m05", people.get("m05")._rev)
    assert found() == ["m99"]


def test_an_index_survives_its_environment(tmp_path: Any) -> None:
    environment = pouchdb.setup(str(tmp_path), plugins=["find"])
    db = environment["db"]
    db.bulk_docs([{"_id": f"{i}", "n": i} for i in range(10)])
    db.create_index({"index": {"fields": ["n"]}})
    environment.close()
    environment = pouchdb.setup(str(tmp_path), plugins=["find"])
    answer = environment["db"].find(selector={"n": {"$gt": 7}}, update=False)
    assert [doc["n"] for doc in answer["docs"]] == [8, 9]
    environment.close()


def test_ids_with_a_nul_are_replaced(db: Any) -> None:
    db.put({"_id": "a\0b", "n": 1})
    db.create_index({"index": {"fields": ["n"]}})
    db.put({**db.get("a\0b"), "n": 2})
    assert db.find(selector={"n": 1})["docs"] == []
    assert len(db.find(selector={"n": 2})["docs"]) == 1


def test_a_design_document_whose_id_none_can_have(db: Any) -> None:
    with pytest.raises(BadRequest, match="surrogate"):
        db.create_index({"index": {"fields": ["a"]}, "ddoc": "\ud800"})
