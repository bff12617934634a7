"""Whatever index is used, a query answers what reading every document answers; and a second evaluator agrees."""

from __future__ import annotations

import itertools
from typing import Any

import reference
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pouchdb_find import FindError, predicate
from pouchdb_find.selectors import normalize
from strategies import databases, documents, indexes, selectors

import pouchdb

numbers = itertools.count()
environment = pouchdb.setup(":memory:", plugins=["find"])


def wanted(docs: dict[str, dict], selector: dict) -> set[str]:
    rewritten = reference.rewritten(selector)
    return {id for id, doc in docs.items() if reference.matches(rewritten, {**doc, "_id": id})}


@settings(max_examples=600, deadline=None)
@given(documents, selectors)
@example({"a": []}, {"a": {"$nin": [[]]}})
@example({"a": [1]}, {"a": {"$in": [[1]]}})
@example({"a": 2**53}, {"a": {"$gt": 2**53}})
def test_the_two_evaluators_agree(doc: dict, selector: dict) -> None:
    try:
        matches = predicate(selector)
    except FindError:
        # A condition without a field, such as {"$not": {}}.
        return
    assert normalize(selector) == reference.rewritten(selector)
    assert matches({**doc, "_id": "k"}) == reference.matches(reference.rewritten(selector), {**doc, "_id": "k"})


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(databases, indexes, selectors, st.booleans())
def test_every_plan_answers_what_the_full_scan_answers(
    docs: dict[str, dict], fields: list[list[str]], selector: dict, conflicts: bool
) -> None:
    try:
        normalize(selector)
    except FindError:
        return
    db = environment[f"db{next(numbers)}"]
    try:
        db.bulk_docs([{**doc, "_id": id} for id, doc in docs.items()])
        expected = wanted(docs, selector)
        if reference.rewritten(selector) in ({"$and": []}, {"$or": []}):
            # CouchDB does not run these.
            expected = set()
        scan = db.find(selector=selector, limit=100)
        assert {doc["_id"] for doc in scan["docs"]} == expected
        for number, names in enumerate(fields):
            db.create_index({"index": {"fields": names}, "ddoc": f"i{number}"})
        # Edits come to the indexes too.
        edited = db.get(next(iter(docs)))
        db.put(edited)
        found = db.find(selector=selector, limit=100, conflicts=conflicts)
        ids = [doc["_id"] for doc in found["docs"]]
        assert len(ids) == len(set(ids))
        assert set(ids) == expected, db.explain(selector=selector)
        for number, names in enumerate(fields):
            hinted = db.find(selector=selector, limit=100, use_index=f"i{number}")
            assert {doc["_id"] for doc in hinted["docs"]} == expected
            if not names:
                continue
            for way in ("asc", "desc"):
                _check_sorted(db, docs, selector, names, way, expected)
    finally:
        environment.destroy(db.name)


def _check_sorted(
    db: Any, docs: dict[str, dict], selector: dict, names: list[str], way: str, expected: set[str]
) -> None:
    """Sorted by all fields of an index: those that have them, in order."""
    sort = [{name: way} for name in names]

    def keys(id: str) -> list[Any]:
        return [reference.get({**docs[id], "_id": id}, name) for name in names]

    there = [id for id in expected if not any(each in (reference.MISSING, reference.BAD) for each in keys(id))]
    there.sort(key=lambda id: reference.key([*keys(id), id]), reverse=way == "desc")
    for size in (100, 2):
        pages: list[str] = []
        bookmark = None
        while True:
            answer = db.find(selector=selector, sort=sort, limit=size, bookmark=bookmark)
            pages += [doc["_id"] for doc in answer["docs"]]
            bookmark = answer.get("bookmark")
            if not answer["docs"]:
                break
        # Which of several indexes is read decides about equals only.
        assert sorted(pages) == sorted(there)
        assert [reference.key(keys(id)) for id in pages] == [reference.key(keys(id)) for id in there]


def test_the_remainder_of_an_integer_that_no_float_holds() -> None:
    selector = {"n": {"$mod": [1, 0]}}
    doc = {"_id": "k", "n": 2**53 + 1}
    assert predicate(selector)(doc)
    assert reference.matches(reference.rewritten(selector), doc)
