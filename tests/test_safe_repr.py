"""Integers of more digits than Python writes: what is wrong is an error of ours, whatever the value is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import PouchDBError
from pouchdb_core.safe_repr import safe_repr

BIG = 10**5000
"""5,001 digits; Python writes 4,300 at most unless the program allows more."""


class Raises:
    def __repr__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize("value", [None, True, 5, -1.5, "it's", [1, {"a": (2,)}], 10**4000, "x" * 500, list(range(50))])
def test_it_is_repr_where_python_has_one(value: Any) -> None:
    assert safe_repr(value) == repr(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (BIG, "<an integer of about 5,001 digits>"),
        (-BIG, "<a negative integer of about 5,001 digits>"),
        (10**1_000_000, "<an integer of about 1,000,001 digits>"),
        ([1, BIG], "[1, <an integer of about 5,001 digits>]"),
        ({"a": {"b": BIG}}, "{'a': {'b': <an integer of about 5,001 digits>}}"),
        (("x", BIG, None), "('x', <an integer of about 5,001 digits>, None)"),
    ],
    # pytest would write the integers.
    ids=["positive", "negative", "very long", "in a list", "in objects", "in a tuple"],
)
def test_it_is_abridged_where_python_has_none(value: Any, text: str) -> None:
    assert safe_repr(value) == text


def test_a_value_without_a_text_has_its_type() -> None:
    assert "Raises" in safe_repr(Raises())


CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "revision": lambda env, db: db.get("a", rev=BIG),
    "revision in a list": lambda env, db: db.put({"_id": "a", "_rev": [BIG]}),
    "id": lambda env, db: db.get(BIG),
    "document": lambda env, db: db.put(BIG),
    "_id": lambda env, db: db.put({"_id": BIG}),
    "_deleted": lambda env, db: db.put({"_id": "z", "_deleted": BIG}),
    "name of a field": lambda env, db: db.put({"_id": "z", BIG: 1}),
    "content type": lambda env, db: db.put({"_id": "z", "_attachments": {"x": {"data": b"", "content_type": BIG}}}),
    "name of an attachment": lambda env, db: db.get_attachment("a", BIG),
    "start": lambda env, db: db.put(
        {"_id": "q", "_rev": "1-a", "_revisions": {"start": BIG, "ids": ["a"]}}, new_edits=False
    ),
    "limit": lambda env, db: db.all_docs(limit=-BIG),
    "descending": lambda env, db: db.all_docs(descending=BIG),
    "keys": lambda env, db: db.all_docs(keys=BIG),
    "since": lambda env, db: db.changes(since=-BIG),
    "style": lambda env, db: db.changes(style=BIG),
    "heartbeat": lambda env, db: db.changes(heartbeat=-BIG),
    "selector": lambda env, db: db.changes(selector=BIG),
    "view": lambda env, db: db.query(BIG),
    "update": lambda env, db: db.query("d/v", update=BIG),
    "reduce": lambda env, db: db.query("d/v", reduce=BIG),
    "source of a map": lambda env, db: db.query("d/big"),
    "language": lambda env, db: db.query("l/v"),
    "collation": lambda env, db: db.query("c/v"),
    "bulk_get": lambda env, db: db.bulk_get([BIG]),
    "revs_limit": lambda env, db: db.revs_limit(-BIG),
    "security": lambda env, db: db.put_security({"admins": BIG}),
    "user": lambda env, db: db.as_user({"name": BIG}),
    "database": lambda env, db: env[BIG],
    "target": lambda env, db: env.replicate("db", BIG),
    "batch_size": lambda env, db: env.replicate("db", "t", batch_size=-BIG),
    "checkpoint": lambda env, db: env.replicate("db", "t", checkpoint=BIG),
    "prefix": lambda env, db: pouchdb.setup(":memory:", prefix=BIG),
    "directory": lambda env, db: pouchdb.setup(BIG),
    "js_limits": lambda env, db: pouchdb.setup(":memory:", js_limits=BIG),
}


@pytest.fixture
def database(caplog: pytest.LogCaptureFixture) -> Any:
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        database = environment["db"]
        view = {"map": "function (doc) { emit(1); }"}
        database.bulk_docs(
            [
                {"_id": "a"},
                {"_id": "_design/d", "views": {"v": view, "big": {"map": BIG}}},
                {"_id": "_design/l", "language": BIG, "views": {"v": view}},
                {"_id": "_design/c", "views": {"v": {**view, "options": {"collation": BIG}}}},
            ]
        )
        yield database


@pytest.mark.parametrize("name", CALLS)
def test_the_error_is_the_one_it_should_be(database: Any, name: str) -> None:
    with pytest.raises(PouchDBError):
        CALLS[name](database.environment, database)
