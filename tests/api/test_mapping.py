"""A database as a mutable mapping of ids to documents."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

import pouchdb
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import BadRequest, Conflict, DocValidation, Forbidden, NotFound, Unauthorized
from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.methods import operation
from pouchdb_core.results import Record


def test_set_get_and_delete(database: SyncPouchDB) -> None:
    assert isinstance(database, MutableMapping)
    doc: dict[str, Any] = {"n": 1}
    database["a"] = doc
    assert doc == {"n": 1, "_id": "a", "_rev": doc["_rev"]}
    assert doc["_rev"].startswith("1-")
    assert database["a"] == doc
    assert isinstance(database["a"], Record)
    del database["a"]
    assert "a" not in database


def test_set_borrows_the_current_revision(database: SyncPouchDB) -> None:
    database["a"] = {"n": 1}
    database["a"] = {"n": 2}
    assert database["a"]._rev.startswith("2-")
    del database["a"]
    database["a"] = {"n": 3}
    assert database["a"]._rev.startswith("4-")


def test_set_replaces_the_id(database: SyncPouchDB) -> None:
    doc = {"_id": "other", "n": 1}
    database["a"] = doc
    assert doc["_id"] == "a"
    assert list(database) == ["a"]


def test_set_with_a_stale_revision(database: SyncPouchDB) -> None:
    database["a"] = doc = {"n": 1}
    stale = dict(doc)
    database["a"] = doc
    with pytest.raises(Conflict):
        database["a"] = stale


def test_set_of_what_cannot_be_stored(database: SyncPouchDB) -> None:
    for id, doc, error in (("a", {"x": {1}}, BadRequest), ("a", {"_x": 1}, DocValidation), ("_a", {}, BadRequest)):
        with pytest.raises(error):
            database[id] = doc
    assert len(database) == 0


@pytest.mark.parametrize(("id", "message"), [("none", "missing"), ("gone", "deleted")])
def test_key_errors(database: SyncPouchDB, id: str, message: str) -> None:
    database.remove("gone", database.put({"_id": "gone"}).rev)
    text = f'{{"status":404,"name":"not_found","message":"{message}"}}'
    with pytest.raises(KeyError) as caught:
        database[id]
    assert caught.value.args == (text,)
    assert isinstance(caught.value.__cause__, NotFound)
    with pytest.raises(KeyError) as caught:
        del database[id]
    assert caught.value.args == (text,)
    assert database.get_(id) is None
    assert database.get_(id, {"hello": "world"}) == {"hello": "world"}
    assert id not in database


def test_get_with_a_default_finds_documents(database: SyncPouchDB) -> None:
    database["a"] = {"n": 1}
    assert database.get_("a", None).n == 1


def test_length_and_order(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": id} for id in ("b", "_design/d", "a", "é", "Z")])
    database.bulk_docs([{"_id": "gone", "_deleted": True}, {"_id": "_local/l"}])
    assert list(database) == ["Z", "_design/d", "a", "b", "é"]
    assert len(database) == 5
    assert list(database.keys()) == list(database)
    assert [doc._id for doc in database.values()] == list(database)
    assert [(id, doc._id) for id, doc in database.items()] == [(id, id) for id in database]


def test_a_database_is_true_when_it_is_empty_or_not(database: SyncPouchDB) -> None:
    assert bool(database) == bool(len(database))
    database["a"] = {}
    assert database


def test_removing_while_iterating(database: SyncPouchDB) -> None:
    """Also across the pages that are read: nothing is passed over."""
    database.bulk_docs([{"_id": f"{n:05}"} for n in range(2100)])
    seen = []
    for id in database:
        seen.append(id)
        if len(seen) in (1, 999, 1000, 1001, 2000):
            del database[id]
    assert len(seen) == 2100
    assert len(database) == 2095


def test_inherited_methods(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": id, "n": 1} for id in "abcd"])
    assert database.pop("a").n == 1
    assert database.pop("a", None) is None
    with pytest.raises(KeyError):
        database.pop("a")
    assert database.popitem()[0] == "b"
    assert database.setdefault("c", {"n": 2}).n == 1
    new: dict[str, Any] = {"n": 2}
    assert database.setdefault("e", new) is new
    database.clear()
    assert len(database) == 0
    with pytest.raises(KeyError):
        database.popitem()


@pytest.mark.parametrize("key", [5, None, ("a",), b"a", "\ud800", {}], ids=ascii)
def test_what_cannot_be_an_id(database: SyncPouchDB, key: Any) -> None:
    assert key not in database
    with pytest.raises(BadRequest):
        database[key]
    with pytest.raises(BadRequest):
        database[key] = {}


def test_equality_is_identity(environment: SyncEnvironment) -> None:
    one, two = environment["test"], environment["test"]
    assert one == one
    assert one != two
    assert one != {}
    assert len({one, two, one}) == 2


@pytest.mark.parametrize("error", [Unauthorized, Forbidden])
def test_other_errors_are_no_key_errors(error: type[Exception]) -> None:
    class Refuse:
        @hookimpl
        def pouchdb_read(self, database: Any, request: Any) -> None:
            raise error()

    with pouchdb.setup(":memory:", plugins=[Refuse()]) as environment:
        database = environment["test"]
        for read in (lambda: database["a"], lambda: "a" in database, lambda: database.get_("a")):
            with pytest.raises(error):
                read()
        # Whatever is wrong with reading the revision to borrow, the put tells.
        database["a"] = {"n": 1}


def test_update_belongs_to_a_plugin() -> None:
    def update(db: SyncPouchDB, path: str) -> str:
        return f"updated {path}"

    class Plugin:
        @hookimpl
        def pouchdb_database_methods(self) -> Any:
            return [operation(update)]

    with pouchdb.setup(":memory:", plugins=[]) as environment:
        assert not hasattr(environment["test"], "update")
    with pouchdb.setup(":memory:", plugins=[Plugin()]) as environment:
        assert environment["test"].update("x/y") == "updated x/y"  # type: ignore[attr-defined]
