"""Calls: what no method knows is refused with 400, in every method and both spellings; None is not given.

Options that PouchDB has and this does not, or not yet, are in REFUSED: a clear error, never silence.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import BadRequest, PouchDBError
from pouchdb_core.methods import camel_case

REFUSED: dict[str, Callable[[SyncPouchDB], Any]] = {
    "put: unknown": lambda db: db.put({"_id": "a"}, nonsense=1),
    "put: nothing": lambda db: db.put(),
    "put: too much": lambda db: db.put({"_id": "a"}, "a", None, True),
    "post: unknown": lambda db: db.post({}, nonsense=1),
    "get: unknown": lambda db: db.get("a", nonsense=1),
    "get: update_seq (HTTP only)": lambda db: db.get("a", update_seq=True),
    "remove: unknown": lambda db: db.remove("a", "1-a", nonsense=1),
    "bulk_docs: unknown": lambda db: db.bulk_docs([], nonsense=1),
    "bulk_get: unknown": lambda db: db.bulk_get([], nonsense=1),
    "all_docs: unknown": lambda db: db.all_docs(nonsense=1),
    "all_docs: deleted (internal)": lambda db: db.all_docs(deleted="ok"),
    "all_docs: positional": lambda db: db.all_docs({"limit": 1}),
    "changes: unknown": lambda db: db.changes(nonsense=1),
    "changes: positional": lambda db: db.changes({"since": 1}),
    "put_attachment: too little": lambda db: db.put_attachment("a", "x"),
    "get_attachment: unknown": lambda db: db.get_attachment("a", "x", nonsense=1),
    "remove_attachment: no rev": lambda db: db.remove_attachment("a", "x"),
    "revs_diff: unknown": lambda db: db.revs_diff({}, nonsense=1),
    "purge: too little": lambda db: db.purge(),
    "compact: unknown": lambda db: db.compact(nonsense=1),
    "info: unknown": lambda db: db.info(nonsense=1),
    "destroy: unknown": lambda db: db.destroy(nonsense=1),
    "close: unknown": lambda db: db.close(nonsense=1),
    "open_revs: unknown": lambda db: db.open_revs("a", conflicts=True),
    "resolve: too little": lambda db: db.resolve("a"),
    "get: latest is text": lambda db: db.get("a", latest="true"),
    "get: binary is text": lambda db: db.get("a", binary="false"),
    "get: meta is text": lambda db: db.get("a", meta="false"),
    "bulk_docs: timeout is text": lambda db: db.bulk_docs([], timeout="5s"),
    "compact: interval is text": lambda db: db.compact(interval="5s"),
    "changes: timeout is text": lambda db: db.changes(timeout="5s"),
    "changes: timeout is negative": lambda db: db.changes(timeout=-1),
    "changes: batch_size is text": lambda db: db.changes(batch_size="25"),
    "changes: seq_interval is text": lambda db: db.changes(seq_interval="10"),
}

# What PouchDB's programs give and what has nothing to do here, or only over HTTP.
TAKEN: dict[str, Callable[[SyncPouchDB], Any]] = {
    "bulk_docs: timeout": lambda db: db.bulk_docs([], timeout=5000),
    "compact: interval": lambda db: db.compact(interval=200),
    "changes: timeout": lambda db: db.changes(timeout=30_000),
    "changes: no timeout": lambda db: db.changes(timeout=False),
    "changes: heartbeat": lambda db: db.changes(heartbeat=10_000),
    "changes: no heartbeat": lambda db: db.changes(heartbeat=False),
    "changes: batch_size": lambda db: db.changes(batch_size=25),
    "changes: seq_interval": lambda db: db.changes(seq_interval=10),
    "get: latest alone": lambda db: db.get("a", latest=True),
    "get: binary alone": lambda db: db.get("a", binary=True),
}


@pytest.mark.parametrize("call", TAKEN.values(), ids=TAKEN)
def test_options_that_change_nothing_here(database: SyncPouchDB, call: Callable[[SyncPouchDB], Any]) -> None:
    database.put({"_id": "a", "n": 1})
    call(database)
    assert database.get("a").n == 1


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_unknown_options(database: SyncPouchDB, call: Callable[[SyncPouchDB], Any]) -> None:
    with pytest.raises(BadRequest) as caught:
        call(database)
    assert caught.value.status == 400
    assert not database.closed
    assert database.info().update_seq == 0


def test_the_refusal_names_the_method_and_its_options(database: SyncPouchDB) -> None:
    with pytest.raises(BadRequest, match=r"all_docs\(\).*nonsense.*it takes: include_docs, conflicts"):
        database.all_docs(nonsense=1)  # type: ignore[call-arg]
    with pytest.raises(BadRequest, match=r"open_revs\(\).*nonsense"):
        database.openRevs("a", nonsense=1)  # type: ignore[call-arg]


def test_type_errors_of_a_users_function_stay_what_they_are(database: SyncPouchDB) -> None:
    database.put({"_id": "a"})
    with pytest.raises(TypeError, match="concatenate"):
        database.changes(filter=lambda doc: doc._id + 1)
    with pytest.raises(TypeError, match="has no len"):
        database.resolve("a", lambda leaves: {"n": len(5)})  # type: ignore[arg-type]


CONSTRUCTOR: dict[str, dict[str, Any]] = {
    "unknown": {"nonsense": 1},
    "view_adapter": {"view_adapter": "memory"},
    "skip_setup (HTTP only)": {"skip_setup": True},
    "revs_limit 0": {"revs_limit": 0},
    "revs_limit is text": {"revs_limit": "5"},
    "durability": {"durability": "none"},
}


@pytest.mark.parametrize("options", CONSTRUCTOR.values(), ids=CONSTRUCTOR)
def test_constructor_options(environment: SyncEnvironment, options: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        environment.PouchDB("test", **options)


def methods() -> list[str]:
    names = [name for name in dir(SyncPouchDB) if not name.startswith("_")]
    return [name for name in names if hasattr(inspect.getattr_static(SyncPouchDB, name), "function")]


@pytest.mark.parametrize("name", methods())
def test_every_method_has_both_spellings_and_a_text(name: str) -> None:
    method = inspect.getattr_static(SyncPouchDB, name)
    assert inspect.getattr_static(SyncPouchDB, camel_case(name)) is method
    assert method.__doc__
    assert method.__doc__.splitlines()[0].endswith((".", ":"))


READS: dict[str, Callable[[SyncPouchDB], Any]] = {
    "get": lambda db: db.get("a", None, open_revs=None, revs=None, atts_since=None, meta=None),
    "all_docs": lambda db: db.all_docs(limit=None, skip=None, key=None, keys=None, startkey=None, inclusive_end=None),
    "changes": lambda db: db.changes(since=None, limit=None, filter=None, doc_ids=None, query_params=None, view=None),
    "bulk_get": lambda db: db.bulk_get([{"id": "a", "rev": None, "atts_since": None}], revs=None),
    "get_attachment": lambda db: db.get_attachment("a", "x", None),
}


@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_none_is_not_given(database: SyncPouchDB, call: Callable[[SyncPouchDB], Any]) -> None:
    database.put_attachment("a", "x", b"x")
    assert call(database)


def test_errors_are_data_too(database: SyncPouchDB) -> None:
    with pytest.raises(PouchDBError) as caught:
        database.get("none")
    error: Any = caught.value
    assert (error["status"], error.status, error["name"], error.name) == (404, 404, "not_found", "not_found")
    assert "name" in error
    assert "nope" not in error
    assert str(error) == '{"status":404,"name":"not_found","message":"missing"}'
