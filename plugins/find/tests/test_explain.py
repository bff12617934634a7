"""Which index is chosen, and what explain says of it."""

from __future__ import annotations

from typing import Any

import pytest

import pouchdb


@pytest.fixture
def indexed(people: Any) -> Any:
    for fields in (["age"], ["age", "name"], ["city", "age"], ["nest.a.b"]):
        people.create_index({"index": {"fields": fields}, "ddoc": "-".join(fields), "name": "i"})
    return people


@pytest.mark.parametrize(
    ("selector", "sort", "ddoc"),
    [
        ({"age": 30}, None, "age"),
        ({"age": {"$in": [30, 25]}}, None, "age"),
        ({"age": 30, "name": "Ann"}, None, "age-name"),
        ({"age": 30, "name": {"$gt": "A"}}, None, "age-name"),
        ({"age": {"$exists": True}}, None, "age"),
        ({"age": {"$exists": False}}, None, None),
        ({"age": {"$ne": 3}}, None, "age"),
        ({"age": {"$regex": "o"}}, None, "age"),
        ({"city": "Rome"}, None, None),
        ({"city": "Rome"}, ["age"], "city-age"),
        ({"city": {"$gt": "A"}}, ["city", "age"], "city-age"),
        ({"age": {"$gt": 1}}, ["age"], "age"),
        ({"age": {"$gt": 1}}, ["age", "name"], "age-name"),
        ({"age": 1}, ["name"], "age-name"),
        ({"$or": [{"age": 1}, {"age": 2}]}, None, "age"),
        ({"$or": [{"age": 1}, {"name": "x"}]}, None, None),
        ({"$not": {"age": 1}}, None, "age"),
        ({"nest": {"a": {"b": 1}}}, None, "nest.a.b"),
        ({"_id": "m01"}, None, None),
        ({"_id": "m01", "age": 5}, None, "age"),
        ({}, None, None),
        ({"name": "x"}, None, None),
        ({"$and": [{"age": 1}, {"$or": []}]}, None, "age"),
    ],
)
def test_the_index_is_the_one_that_couchdb_takes(indexed: Any, selector: Any, sort: Any, ddoc: str | None) -> None:
    answer = indexed.explain(selector=selector, **({} if sort is None else {"sort": sort}))
    assert answer.index.ddoc == (None if ddoc is None else f"_design/{ddoc}")


def test_members(indexed: Any) -> None:
    answer = indexed.explain(
        {"selector": {"age": {"$gt": 20, "$lte": 30}, "city": "Rome"}, "limit": 5, "fields": ["age"]}
    )
    assert answer.dbname == "db"
    both = {"$and": [{"age": {"$gt": 20}}, {"age": {"$lte": 30}}]}
    assert answer.selector == {"$and": [both, {"city": {"$eq": "Rome"}}]}
    assert (answer.limit, answer.skip, answer.fields) == (5, 0, ["age"])
    assert answer.index["def"] == {"fields": [{"city": "asc"}, {"age": "asc"}]}
    assert answer.range == {"start_key": ["Rome", 20], "end_key": ["Rome", 30, "<MAX>"]}
    assert answer.mrargs.direction == "fwd"
    assert answer.opts.limit == 5
    assert answer.covering is True
    assert answer.selector_hints == [{"type": "json", "indexable_fields": ["age", "city"], "unindexable_fields": []}]


def test_why_others_are_not_used(indexed: Any) -> None:
    indexed.create_index(
        {"index": {"fields": ["age"], "partial_filter_selector": {"city": "Rome"}}, "ddoc": "part", "name": "i"}
    )
    answer = indexed.explain(selector={"age": {"$gt": 20}, "name": {"$regex": "^A"}})
    assert answer.index.ddoc == "_design/age"
    reasons = {each["index"]["ddoc"]: each["analysis"]["reasons"][0]["name"] for each in answer["index_candidates"]}
    assert reasons == {
        None: "unfavored_type",
        "_design/age-name": "too_many_fields",
        "_design/city-age": "field_mismatch",
        "_design/nest.a.b": "field_mismatch",
        "_design/part": "is_partial",
    }
    assert answer.plan.reads == "index age/i"
    assert answer.plan.filter == [{"name": {"$regex": "^A"}}]
    assert answer.plan.ranges == ["age/i: 1 range of (age)", "age $gt 20"]
    assert answer.plan.not_used["part/i"] == "it is partial, and use_index does not name it"


def test_the_order_of_the_others_is_couchdbs(indexed: Any) -> None:
    """As in CouchDB's own tests (23-explain-indexes-test.py): the last design document first, all documents last."""

    def others(**request: Any) -> list[tuple[str | None, bool, str, int]]:
        answer = indexed.explain(**request)
        return [
            (each.index["ddoc"], each.analysis.usable, each.analysis.reasons[0]["name"], each.analysis.ranking)
            for each in answer.index_candidates
        ]

    unfit = [("_design/nest.a.b", False, "field_mismatch"), ("_design/city-age", False, "field_mismatch")]
    assert others(selector={"age": {"$gt": 20}, "name": {"$regex": "^A"}}) == [
        *[(*each, 3) for each in unfit],
        ("_design/age-name", True, "too_many_fields", 1),
        (None, True, "unfavored_type", 2),
    ]
    assert others(selector={"age": 3, "name": "x"}, use_index="age") == [
        *[(*each, 2) for each in unfit],
        ("_design/age-name", True, "excluded_by_user", 1),
        (None, True, "excluded_by_user", 1),
    ]
    assert others(selector={"zip": 1}, sort=["zip"])[-1] == (None, False, "field_mismatch", 1)
    assert others(selector={"_id": "a", "zip": 1}, sort=["zip"])[-1] == (None, False, "sort_order_mismatch", 1)
    assert {each[0] for each in others(selector={"zip": 1})} == {
        "_design/age", "_design/age-name", "_design/city-age", "_design/nest.a.b"
    }


def test_excluded_by_use_index(indexed: Any) -> None:
    answer = indexed.explain(selector={"age": 3, "name": "x"}, use_index="age")
    assert answer.index.ddoc == "_design/age"
    reasons = {each["index"]["ddoc"]: each["analysis"] for each in answer["index_candidates"]}
    assert reasons["_design/age-name"]["reasons"] == [{"name": "excluded_by_user"}]
    assert reasons["_design/age-name"]["usable"] is True


def test_a_sort_without_an_index(indexed: Any) -> None:
    answer = indexed.explain(selector={"name": "x"}, sort=["name"])
    assert answer.index is None
    assert answer.plan.reads == "nothing: no index begins with the fields of the sort"


def test_all_documents(indexed: Any) -> None:
    answer = indexed.explain(selector={"_id": {"$gte": "a", "$lt": "b"}})
    assert answer.index == {"ddoc": None, "name": "_all_docs", "type": "special", "def": {"fields": [{"_id": "asc"}]}}
    assert answer.range == {"start_key": "a", "end_key": "b"}
    assert answer.plan.reads == "documents in a range of ids"
    assert indexed.explain(selector={"x": 1})["plan"]["reads"] == "all documents"


@pytest.mark.parametrize(
    ("selector", "ranges", "filtered"),
    [
        ({"age": {"$in": [1, 2, 3]}}, 4, 1),
        ({"$or": [{"age": 1}, {"age": {"$gt": 5}}]}, 2, 0),
        ({"age": {"$ne": 5}}, 2, 0),
        ({"age": {"$type": "number"}}, 1, 0),
        ({"age": {"$size": 3}}, 1, 1),
        ({"age": {"$beginsWith": "x"}}, 1, 0),
        ({"age": {"$regex": "^x"}}, 1, 1),
    ],
)
def test_what_is_read_of_an_index(indexed: Any, selector: Any, ranges: int, filtered: int) -> None:
    plan = indexed.explain(selector=selector)["plan"]
    assert plan.ranges[0].startswith(f"age/i: {ranges} range")
    assert len(plan.filter) == filtered


def test_the_name_is_that_of_the_view() -> None:
    """A view with a prefix does not show it."""
    with pouchdb.setup(":memory:", plugins=["find"]) as env:
        db: Any = env.defaults(prefix="t1-")["db"]
        assert db.explain({"selector": {}})["dbname"] == "db"
