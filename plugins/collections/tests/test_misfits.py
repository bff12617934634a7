"""Documents of a collection that do not fit its model, where many are read: left out and reported, or an error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from pouchdb_collections import ModelError, NewerVersion

import pouchdb
from pouchdb_core.errors import BadRequest


@dataclass
class Person:
    name: str
    age: int
    id: str | None = None
    rev: str | None = None


def renamed(doc: dict[str, Any]) -> dict[str, Any]:
    return {**doc, "name": doc["name"].title()}


DOCS: list[dict[str, Any]] = [
    {"_id": "ann", "type": "Person", "name": "ann", "age": 1},
    {"_id": "bob", "type": "Person", "name": "bob", "age": "old"},
    {"_id": "cid", "type": "Car", "name": 7},
    {"_id": "dee", "type": "Person", "name": "dee", "age": 2},
    {"_id": "eve", "type": "Person", "name": "eve", "age": 3, "version": 9},
]
DESIGN = {"_id": "_design/by", "views": {"name": {"map": "function (doc) { emit(doc.name); }"}}}
LEFT_OUT = ["bob", "eve"]

READ: dict[str, Callable[[Any], list[str]]] = {
    "iterating": lambda people: [each.id for each in people],
    "find": lambda people: [each.id for each in people.find({"name": {"$gte": "a"}})],
    "query": lambda people: [row.id for row in people.query("by/name")],
    "changes": lambda people: [change.id for change in people.changes()],
}


def filled(env: Any) -> Any:
    env["people"].bulk_docs(DOCS)
    env["people"].put(DESIGN)
    return env["people"]


@pytest.mark.parametrize("how", READ)
def test_they_are_left_out_and_reported(how: str) -> None:
    with pouchdb.setup(":memory:", plugins=["collections", "find"]) as env:
        db, errors = filled(env), list[ModelError]()
        people = db.collection(Person, migrations=[renamed], misfits=errors.append)
        assert READ[how](people) == ["ann", "dee"]
        assert [error.details["id"] for error in errors] == LEFT_OUT
        assert [type(error) for error in errors] == [ModelError, NewerVersion]
        # One that is asked for by its id is an error still.
        with pytest.raises(ModelError, match="'bob' does not fit Person"):
            people.get("bob")


@pytest.mark.parametrize("how", READ)
def test_they_are_errors_if_nobody_takes_them(how: str) -> None:
    with pouchdb.setup(":memory:", plugins=["collections", "find"]) as env, pytest.raises(ModelError, match="'bob'"):
        READ[how](filled(env).collection(Person, migrations=[renamed]))


def test_an_exception_of_the_function_ends_it() -> None:
    def refused(error: ModelError) -> None:
        raise RuntimeError(error.message)

    with pouchdb.setup(":memory:", plugins=["collections", "find"]) as env:
        people = iter(filled(env).collection(Person, misfits=refused))
        assert next(people).id == "ann"
        with pytest.raises(RuntimeError, match="does not fit"):
            next(people)


@pytest.mark.parametrize("wrong", ["skip", True, [], 1])
def test_it_must_be_a_function(wrong: Any) -> None:
    with pouchdb.setup(":memory:", plugins=["collections"]) as env, pytest.raises(BadRequest, match="misfits must be"):
        env["people"].collection(Person, misfits=wrong)


def test_migrating_goes_on() -> None:
    with pouchdb.setup(":memory:", plugins=["collections", "find"]) as env:
        db, errors = filled(env), list[ModelError]()
        people = db.collection(Person, migrations=[renamed], misfits=errors.append)
        assert people.migrate() == 2
        assert [error.details["id"] for error in errors] == ["bob"]
        assert [db[id].get("version") for id in ("ann", "bob", "dee", "eve")] == [2, None, 2, 9]


def in_conflict(env: Any) -> None:
    for id, ages in (("ann", (1, 2)), ("bob", (1, "old"))):
        for age in ages:
            doc = {"_id": id, "_rev": f"1-{age}", "type": "Person", "name": id, "age": age}
            env["people"].bulk_docs([doc], new_edits=False)


def test_conflicts_and_what_follows() -> None:
    with pouchdb.setup(":memory:", plugins=["collections"]) as env:
        in_conflict(env)
        errors = list[ModelError]()
        people = env["people"].collection(Person, misfits=errors.append)
        assert [[each.age for each in revisions] for revisions in people.conflicts()] == [[2, 1]]
        changes = people.follow(since=0)
        assert next(changes).id == "ann"
        env["people"].put({"_id": "dee", "type": "Person", "name": "dee", "age": 2})
        assert next(changes).id == "dee"
        changes.close()
        assert [error.details["id"] for error in errors] == ["bob", "bob"]


def test_asynchronous_programs() -> None:
    async def main() -> None:
        async with pouchdb.setup(":memory:", plugins=["collections", "find"], async_=True) as env:
            await env["people"].bulk_docs(DOCS)
            await env["people"].put(DESIGN)
            errors = list[ModelError]()
            people = env["people"].collection(Person, migrations=[renamed], misfits=errors.append)
            assert [each.id async for each in people] == ["ann", "dee"]
            assert [each.id for each in await people.find({"name": {"$gte": "a"}})] == ["ann", "dee"]
            assert [row.id for row in await people.query("by/name")] == ["ann", "dee"]
            assert [change.id async for change in people.changes()] == ["ann", "dee"]
            assert [error.details["id"] for error in errors] == LEFT_OUT * 4
            assert await people.migrate() == 2
            errors.clear()
            doc = {"_id": "dee", "_rev": "3-x", "type": "Person", "name": "dee", "age": "old"}
            await env["people"].bulk_docs([doc], new_edits=False)
            assert [each async for each in people.conflicts()] == []
            assert [error.details["id"] for error in errors] == ["dee"]
            following = people.follow(since=0)
            assert [(await anext(following)).id] == ["ann"]
            await following.aclose()

    asyncio.run(main())
