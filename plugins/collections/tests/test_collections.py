"""Typed collections: the same behaviours for every kind of model, for programs that wait and asynchronous ones."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pouchdb_collections import Change, ModelError, NewerVersion, OtherKind
from pouchdb_collections.codec import Codec

import pouchdb
from pouchdb_core.errors import BadRequest, Conflict, NotFound


@dataclasses.dataclass(frozen=True)
class Plain:
    name: str
    born: dt.datetime
    key: uuid.UUID
    tags: list[str] = dataclasses.field(default_factory=list)
    id: str | None = None
    rev: str | None = None


class Struct(msgspec.Struct, rename="camel", kw_only=True):
    name: str
    born: dt.datetime
    key: uuid.UUID
    tags: list[str] = []
    id: str | None = None
    rev: str | None = None


MODELS: list[Any] = [Plain, Struct]
try:
    import pydantic
except ImportError:
    MODELS.append(pytest.param(None, marks=pytest.mark.skip(reason="pydantic is missing: NO TEST of its models")))
else:

    class Pydantic(pydantic.BaseModel):
        name: str
        born: dt.datetime
        key: uuid.UUID
        tags: list[str] = []
        id: str | None = None
        rev: str | None = None

    MODELS.append(Pydantic)

BORN = dt.datetime(1952, 3, 11, 12, 30, tzinfo=dt.timezone.utc)
KEY = uuid.UUID("12345678-1234-5678-1234-567812345678")


@pytest.fixture(params=MODELS, ids=["dataclass", "msgspec", "pydantic"])
def model(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def env() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["collections", "find"]) as environment:
        yield environment


@pytest.fixture
def db(env: Any) -> Any:
    return env["people"]


def person(model: Any, name: str = "Ann", **more: Any) -> Any:
    return model(name=name, born=BORN, key=KEY, **more)


# -- one object --------------------------------------------------------------------------------------


def test_an_object_comes_back_as_it_went(db: Any, model: Any) -> None:
    people = db.collection(model)
    stored = people.put(person(model, id="ann"))
    assert isinstance(stored, model)
    assert stored.rev.startswith("1-")
    assert people.get("ann") == stored
    assert (stored.born, stored.key) == (BORN, KEY)
    doc = db.get("ann")
    assert {name: doc[name] for name in ("type", "name", "key")} == {
        "type": model.__name__,
        "name": "Ann",
        "key": str(KEY),
    }
    assert dt.datetime.fromisoformat(doc["born"].replace("Z", "+00:00")) == BORN
    assert not {"id", "rev"} & set(doc)


def test_one_without_an_id_gets_one(db: Any, model: Any) -> None:
    stored = db.collection(model).put(person(model))
    assert db.collection(model).get(stored.id) == stored


def test_an_edit_needs_the_newest_revision(db: Any, model: Any) -> None:
    people = db.collection(model)
    first = people.put(person(model, id="ann"))
    second = people.put(person(model, "Anna", id="ann", rev=first.rev))
    assert (second.name, second.rev[:2]) == ("Anna", "2-")
    with pytest.raises(Conflict):
        people.put(first)
    with pytest.raises(Conflict):
        people.put(person(model, id="ann"))


def test_what_the_model_does_not_know_stays(db: Any, model: Any) -> None:
    people = db.collection(model)
    first = people.put(person(model, id="ann"))
    result = db.put({**db.get("ann"), "shoes": 38})
    result = db.put_attachment("ann", "photo", b"bytes", "image/png", result.rev)
    people.put(person(model, "Anna", id="ann", rev=result.rev))
    doc = db.get("ann")
    assert (doc.name, doc.shoes, set(doc["_attachments"])) == ("Anna", 38, {"photo"})
    assert db.get_attachment("ann", "photo").data == b"bytes"
    assert first.rev != doc["_rev"]


def test_removing(db: Any, model: Any) -> None:
    people = db.collection(model)
    people.remove(people.put(person(model, id="a")))
    people.put(person(model, id="b"))
    people.remove("b")
    assert list(people) == []
    with pytest.raises(NotFound):
        people.get("a")
    db.put({"_id": "other", "type": "else"})
    with pytest.raises(OtherKind):
        people.remove("other")


def test_many_at_once(db: Any, model: Any) -> None:
    people = db.collection(model)
    people.put(person(model, id="b"))
    stored = people.put_all([person(model, id="a"), person(model, id="b"), person(model)])
    assert (stored[1]["name"], stored[1]["id"]) == ("conflict", "b")
    assert stored[0] == people.get("a")
    assert len(list(people)) == 3


def test_a_model_without_id_and_revision(db: Any) -> None:
    @dataclasses.dataclass
    class Setting:
        value: int

    settings = db.collection(Setting)
    assert settings.put(Setting(1), id="volume") == Setting(1)
    assert settings.put(Setting(2), id="volume", rev=db.get("volume")["_rev"]) == Setting(2)
    assert settings.get("volume") == Setting(2)


def test_fields_of_other_names(db: Any) -> None:
    class Note(msgspec.Struct, kw_only=True):
        key: str | None = msgspec.field(default=None, name="_id")
        revision: str | None = None
        type: str = "Note"

    notes = db.collection(Note, id="key", rev="revision")
    stored = notes.put(Note(key="a"))
    assert stored == Note(key="a", revision=db.get("a")["_rev"], type="Note")


# -- what is wrong -----------------------------------------------------------------------------------


def test_documents_that_do_not_fit(db: Any, model: Any) -> None:
    people = db.collection(model)
    db.put({"_id": "odd", "type": model.__name__, "name": 5, "born": "yesterday", "key": str(KEY)})
    with pytest.raises(ModelError, match=rf"'odd' does not fit {model.__name__}: .*") as raised:
        people.get("odd")
    assert raised.value.details["id"] == "odd"
    db.put({"_id": "other", "type": "tree"})
    with pytest.raises(OtherKind, match="'other' is no"):
        people.get("other")


def test_objects_of_another_class(db: Any, model: Any) -> None:
    with pytest.raises(BadRequest, match="the collection holds"):
        db.collection(model).put({"name": "Ann"})
    with pytest.raises(BadRequest, match="but the id 'b' was given"):
        db.collection(model).put(person(model, id="a"), id="b")


@pytest.mark.parametrize("wrong", [dict, int, str])
def test_classes_that_are_no_models(db: Any, wrong: Any) -> None:
    with pytest.raises(BadRequest, match="a collection needs a dataclass"):
        db.collection(wrong)


def test_unknown_options(db: Any) -> None:
    with pytest.raises(BadRequest, match="unexpected keyword argument 'kindly'"):
        db.collection(Plain, kindly="x")


# -- many --------------------------------------------------------------------------------------------


def test_collections_of_one_database(db: Any, model: Any) -> None:
    people, others = db.collection(model), db.collection(model, kind="other")
    people.put_all([person(model, f"p{n}", id=f"{n:04}") for n in range(0, 1200, 2)])
    others.put_all([person(model, f"o{n}", id=f"{n:04}") for n in range(1, 1200, 2)])
    db.put({"_id": "_design/x"})
    assert [each.name for each in people] == [f"p{n}" for n in range(0, 1200, 2)]
    assert len(list(others)) == 600
    assert len(list(db.collection(model, kind=None))) == 1200


def test_find(db: Any, model: Any) -> None:
    people = db.collection(model)
    people.create_index("name")
    people.put_all([person(model, name, id=name) for name in ("Ann", "Bob", "Cid")])
    db.put({"_id": "tree", "type": "tree", "name": "Bob"})
    assert [each.name for each in people.find({"name": {"$gte": "Bob"}})] == ["Bob", "Cid"]
    assert [each.name for each in people.find({}, limit=1)] == ["Ann"]
    plan = db.explain({"selector": people.codec.selector({"name": "Bob"})})
    assert plan["index"]["type"] == "json"


def test_query(db: Any, model: Any) -> None:
    people = db.collection(model)
    people.put_all([person(model, name, id=name) for name in ("Ann", "Bob")])
    db.put({"_id": "tree", "type": "tree", "name": "Zed"})
    db.put({"_id": "_design/v", "views": {"name": {"map": "function (doc) { emit(doc.name, 1); }"}}})
    rows = people.query("v/name", descending=True)
    assert [(row.key, row.value, row.document.name) for row in rows] == [("Bob", 1, "Bob"), ("Ann", 1, "Ann")]


def test_changes(db: Any, model: Any) -> None:
    people = db.collection(model)
    stored = people.put(person(model, id="a"))
    db.put({"_id": "tree", "type": "tree"})
    gone = people.put(person(model, id="b"))
    people.remove(gone)
    changes = list(people.changes())
    assert changes[0] == Change("a", 1, False, stored)
    assert [(each.id, each.deleted, each.document) for each in changes[1:]] == [("b", True, None)]
    assert list(people.changes(since=changes[-1].seq)) == []
    feed = people.follow(since=0)
    assert next(feed).document == stored
    feed.close()


# -- conflicts ---------------------------------------------------------------------------------------


def conflicting(env: Any, model: Any) -> Any:
    """Return a collection with one object that was edited at two places."""
    here, there = env["here"], env["there"]
    first = here.collection(model).put(person(model, id="a", tags=["first"]))
    here.replicate_to(there)
    here.collection(model).put(person(model, id="a", rev=first.rev, tags=["here"]))
    there.collection(model).put(person(model, id="a", rev=first.rev, tags=["there"]))
    there.replicate_to(here)
    return here.collection(model)


def test_conflicts_are_objects(env: Any, model: Any) -> None:
    people = conflicting(env, model)
    [revisions] = list(people.conflicts())
    assert {tuple(each.tags) for each in revisions} == {("here",), ("there",)}
    assert revisions[0] == people.get("a")

    def merge(found: list[Any]) -> Any:
        return person(model, id="a", tags=sorted(tag for each in found for tag in each.tags))

    assert people.resolve("a", merge).tags == ["here", "there"]
    assert list(people.conflicts()) == []
    assert len(people.revisions("a")) == 1


# -- versions ----------------------------------------------------------------------------------------


def split(doc: dict[str, Any]) -> dict[str, Any]:
    first, _, last = doc.pop("name").partition(" ")
    return {**doc, "first": first, "last": last}


def shout(doc: dict[str, Any]) -> dict[str, Any]:
    return {**doc, "last": doc["last"].upper()}


@dataclasses.dataclass
class Named:
    first: str
    last: str
    id: str | None = None
    rev: str | None = None


def test_old_documents_are_read_as_new_ones(db: Any) -> None:
    db.put({"_id": "a", "type": "Named", "name": "Ann Bee", "shoes": 38})
    db.put({"_id": "b", "type": "Named", "version": 2, "first": "Bob", "last": "Cee"})
    people = db.collection(Named, migrations=[split, shout])
    assert [(each.first, each.last) for each in people] == [("Ann", "BEE"), ("Bob", "CEE")]
    assert db.get("a").name == "Ann Bee"
    people.put(people.get("b"))
    assert db.get("b").version == 3
    assert people.migrate() == 1
    doc = db.get("a")
    assert (doc.version, doc.last, doc.shoes, "name" in doc) == (3, "BEE", 38, False)
    assert people.migrate() == 0


def test_a_newer_document_is_not_read(db: Any) -> None:
    db.put({"_id": "a", "type": "Named", "version": 3, "first": "A", "last": "B"})
    with pytest.raises(NewerVersion, match="version 3; 2 is the newest"):
        db.collection(Named, migrations=[split]).get("a")
    db.put({"_id": "b", "type": "Named", "version": "x", "first": "A", "last": "B"})
    with pytest.raises(ModelError, match="invalid version"):
        db.collection(Named, migrations=[split]).get("b")


def test_migrations_do_not_change_what_they_get(db: Any) -> None:
    doc = db.put({"_id": "a", "type": "Named", "name": "Ann Bee"}) and db.get("a")
    db.collection(Named, migrations=[split]).codec.load(doc)
    assert doc.name == "Ann Bee"


# -- asynchronous ------------------------------------------------------------------------------------


def test_the_same_asynchronously(model: Any) -> None:
    async def main() -> None:
        async with pouchdb.setup(":memory:", async_=True, plugins=["collections", "find"]) as env:
            db: Any = env["people"]
            people = db.collection(model)
            first = await people.put(person(model, id="ann"))
            second = await people.put(person(model, "Anna", id="ann", rev=first.rev))
            assert await people.get("ann") == second
            assert await people.get("ann", first.rev) == first
            with pytest.raises(Conflict):
                await people.put(first)
            await people.put_all([person(model, name, id=name) for name in ("Bob", "Cid")])
            assert [each.name async for each in people] == ["Bob", "Cid", "Anna"]
            await people.create_index("name")
            assert [each.name for each in await people.find({"name": {"$gt": "Bob"}})] == ["Cid"]
            await db.put({"_id": "_design/v", "views": {"name": {"map": "function (doc) { emit(doc.name, 1); }"}}})
            assert [row.document.name for row in await people.query("v/name", limit=1)] == ["Anna"]
            await people.remove("Bob")
            await people.remove(await people.get("Cid"))
            changes = [each async for each in people.changes()]
            assert [(each.id, each.deleted) for each in changes] == [("ann", False), ("Bob", True), ("Cid", True)]
            following = people.follow(since=0)
            assert (await anext(following)).id == "ann"
            await following.aclose()
            assert [each async for each in people.conflicts()] == []
            assert (await people.resolve("ann", lambda found: person(model, "Ada", id="ann"))).name == "Ada"
            assert await people.migrate() == 0

    asyncio.run(main())


def test_conflicts_and_versions_asynchronously() -> None:
    async def main() -> None:
        async with pouchdb.setup(":memory:", async_=True, plugins=["collections"]) as env:
            db: Any = env["people"]
            await db.put({"_id": "a", "type": "Named", "name": "Ann Bee"})
            people = db.collection(Named, migrations=[split])
            assert await people.migrate() == 1
            assert (await db.get("a")).version == 2
            other = {**await db.get("a"), "_rev": "2-" + "f" * 32, "_revisions": {"start": 2, "ids": ["f" * 32]}}
            await db.bulk_docs([other], new_edits=False)
            [revisions] = [each async for each in people.conflicts()]
            assert len(revisions) == 2

    asyncio.run(main())


@pytest.mark.parametrize("model", MODELS)
def test_values_of_queries_are_those_of_the_model(model: Any) -> None:
    with pouchdb.setup(":memory:", plugins=["collections", "find"]) as env:
        db = env["people"]
        people = db.collection(model)
        for year in (1, 1990):
            people.put(model(name=f"n{year}", born=BORN.replace(year=year), key=KEY, id=str(year)))
        by = {"$and": [{"born": {"$gt": BORN}}, {"key": {"$in": [KEY]}}]}
        assert [each.name for each in people.find(by)] == ["n1990"]
        map_ = "function (doc) { emit([doc.key, doc.born]); }"
        db.put({"_id": "_design/d", "views": {"born": {"map": map_}}})
        found = people.query("d/born", startkey=[KEY, BORN], endkey=[KEY, {}])
        assert [row.document.name for row in found] == ["n1990"]
        with pytest.raises(BadRequest, match="object is not JSON serializable"):
            people.find({"name": object()})

        async def main() -> None:
            async with pouchdb.setup(":memory:", async_=True, plugins=["collections", "find"]) as env:
                some = env["people"].collection(model)
                await some.put(model(name="x", born=BORN, key=KEY, id="x"))
                assert [each.name for each in await some.find({"key": KEY})] == ["x"]
                assert repr(some) == f"<AsyncCollection of {model.__name__} in 'people'>"

        asyncio.run(main())


@pytest.mark.parametrize("model", MODELS)
def test_whether_an_object_is_there_is_one_read(model: Any) -> None:
    with pouchdb.setup(":memory:", plugins=["collections"]) as env:
        people = env["people"].collection(model)
        ann = people.put(model(name="Ann", born=BORN, key=KEY, id="ann"))
        env["people"].put({"_id": "car", "type": "Car"})
        # A scan would meet a document that does not fit.
        env["people"].put({"_id": "odd", "type": model.__name__})
        assert ("ann" in people, "bob" in people, "car" in people, 5 in people) == (True, False, False, False)
        assert (ann in people, model(name="Ann", born=BORN, key=KEY) in people) == (True, False)
        edited = people.put(model(name="Eve", born=BORN, key=KEY, id="ann", rev=ann.rev))
        assert (ann in people, edited in people) == (False, True)
        assert repr(people) == f"<Collection of {model.__name__} in 'people'>"


@pytest.mark.parametrize("kind", ["Owner", None])
def test_errors_say_what_a_document_is(kind: str | None) -> None:
    with pouchdb.setup(":memory:", plugins=["collections"]) as env:
        people = env["people"].collection(Plain, migrations=[dict])
        env["people"].put({"_id": "x", "type": kind} if kind else {"_id": "x"})
        with pytest.raises(OtherKind) as caught:
            people.get("x")
        assert caught.value.message == f"the document 'x' is not of the kind 'Plain': its type is {kind!r}"
        for id, version in (("y", 9), ("z", "2")):
            env["people"].put({"_id": id, "type": "Plain", "version": version})
        with pytest.raises(NewerVersion, match="the document 'y' has version 9; 2 is the newest known here"):
            people.get("y")
        with pytest.raises(ModelError, match="the document 'z' has an invalid version: '2'"):
            people.get("z")


# -- pure --------------------------------------------------------------------------------------------


@given(
    name=st.text(),
    born=st.datetimes(timezones=st.just(dt.timezone.utc)),
    key=st.uuids(),
    tags=st.lists(st.text()),
)
def test_every_object_comes_back(name: str, born: dt.datetime, key: uuid.UUID, tags: list[str]) -> None:
    for model in (Plain, Struct):
        codec: Codec[Any] = pouchdb_codec(model)
        made = model(name=name, born=born, key=key, tags=tags, id="a", rev="1-a")
        doc = codec.dump(made)
        assert (doc["_id"], doc["_rev"]) == ("a", "1-a")
        assert codec.load(doc) == made


def pouchdb_codec(model: Any) -> Codec[Any]:
    return Codec(model, id="id", rev="rev", kind="x", kind_member="type", migrations=(), version_member="version")
