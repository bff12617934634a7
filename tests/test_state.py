"""State of plug-ins: typed slots of a database object, of a store, of an environment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import Slot, SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import DatabaseClosed
from pouchdb_core.requests import UserContext
from pouchdb_core.state import Slots


class Cache:
    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


CACHE: Slot[Cache] = Slot("test cache", Cache, Cache.close)


@pytest.fixture(params=["file", "memory"])
def env(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyncEnvironment]:
    with pouchdb.setup(tmp_path if request.param == "file" else ":memory:", plugins=[]) as environment:
        yield environment


def test_state_of_a_database_object_is_its_own(env: SyncEnvironment) -> None:
    one, two = env["notes"], env["notes"]
    cache = one.state(CACHE)
    assert (cache.owner.name, cache.owner.user) == ("notes", None)
    assert one.state(CACHE) is one.as_user({"name": "ada"}).with_purpose("index").state(CACHE) is cache
    assert two.state(CACHE) is not cache
    assert one.state(Slot("test cache", Cache)) is not cache
    one.close()
    assert (cache.closed, two.state(CACHE).closed) == (1, 0)
    with pytest.raises(DatabaseClosed, match="test cache: its database or environment is closed"):
        one.state(CACHE)


def test_state_of_a_store_is_shared_by_its_objects(env: SyncEnvironment) -> None:
    one, two = env["notes"], env["notes"]
    cache = one.store_state(CACHE)
    assert two.store_state(CACHE) is two.as_user({"name": "ada"}).store_state(CACHE) is cache
    assert env["other"].store_state(CACHE) is not cache
    one.close()
    assert cache.closed == 0
    two.close()
    # A file is closed with its last object; what is in memory stays.
    assert cache.closed == (1 if env.directory else 0)
    again = env["notes"].store_state(CACHE)
    assert (again is cache) == (env.directory is None)
    env.destroy("notes")
    assert (cache.closed, again.closed) == (1, 1)


def test_state_of_an_environment_is_shared_by_its_views(env: SyncEnvironment) -> None:
    cache = env.as_user({"name": "ada"}).defaults(prefix="x").state(CACHE)
    assert cache.owner.engine is env.engine
    assert env.state(CACHE) is cache
    assert cache is not env["notes"].state(CACHE)
    env.close()
    assert cache.closed == 1
    with pytest.raises(DatabaseClosed):
        env.state(CACHE)


def test_state_is_built_on_the_programs_own_behalf(env: SyncEnvironment) -> None:
    """Whose request comes first must not decide with whose rights a shared state works."""
    db = env.as_user({"name": "ada"})["notes"].with_purpose("index")
    for owner in (db.state(CACHE).owner, db.store_state(CACHE).owner):
        assert (owner.user, owner.purpose, owner.name) == (None, "api", "notes")
    assert db.user is not None
    assert db.user.name == "ada"


def test_state_stays_on_the_programs_own_behalf_when_somebody_logs_in(env: SyncEnvironment) -> None:
    db = env["notes"]
    owners = [db.state(CACHE).owner, db.store_state(CACHE).owner, env.state(CACHE).owner]
    env.set_current_user({"name": "ada"})
    assert [owner.user for owner in (*owners, owners[0].environment)] == [None] * 4
    assert (db.user, env.user) == (UserContext("ada"), UserContext("ada"))


def test_states_are_closed_from_the_inside_out_and_the_newest_first(env: SyncEnvironment) -> None:
    order: list[str] = []

    def slot(name: str) -> Slot[str]:
        return Slot(name, lambda owner: name, order.append)

    db = env["notes"]
    env.state(slot("environment 1"))
    db.store_state(slot("store 1"))
    db.state(slot("database 1"))
    db.state(slot("database 2"))
    db.store_state(slot("store 2"))
    env.state(slot("environment 2"))
    env.close()
    assert order == ["database 2", "database 1", "store 2", "store 1", "environment 2", "environment 1"]


def test_destroying_closes_the_states_of_all_objects_before_the_files_go(env: SyncEnvironment) -> None:
    seen: list[bool] = []

    class Index:
        def __init__(self, db: SyncPouchDB) -> None:
            self.file = db.directory("index") / "segment"
            self.file.write_text("x")

        def close(self) -> None:
            seen.append(self.file.exists())

    one, two = env["notes"], env["notes"]
    one.state(Slot("index", Index, Index.close))
    index = two.store_state(Slot("index", Index, Index.close))
    env.destroy("notes")
    assert seen == [True, True]
    assert not index.file.exists()


def test_a_state_is_built_once_however_many_threads_want_it(env: SyncEnvironment) -> None:
    built: list[Any] = []
    entered, go_on = threading.Event(), threading.Event()

    def build(owner: Any) -> object:
        entered.set()
        assert go_on.wait(60)
        built.append(owner)
        return object()

    slot = Slot("slow", build)
    objects = [env["notes"] for _ in range(8)]
    got: list[object] = []
    threads = [threading.Thread(target=lambda db=db: got.append(db.store_state(slot))) for db in objects]
    for thread in threads:
        thread.start()
    assert entered.wait(60)
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert len(built) == 1
    assert len(got) == 8
    assert len(set(map(id, got))) == 1


def test_building_one_state_may_ask_for_another() -> None:
    slots = Slots()
    order: list[str] = []
    inner: Slot[str] = Slot("inner", lambda owner: "inner", order.append)
    outer: Slot[str] = Slot("outer", lambda owner: "outer over " + slots.get(inner, owner), order.append)
    assert slots.get(outer, None) == "outer over inner"
    slots.close()
    assert order == ["outer over inner", "inner"]


def test_a_state_that_is_being_closed_may_still_use_older_ones() -> None:
    slots = Slots()
    older: Slot[list[str]] = Slot("older", lambda owner: [])
    newer: Slot[str] = Slot("newer", lambda owner: "newer", lambda state: slots.get(older, None).append(state))
    kept = slots.get(older, None)
    slots.get(newer, None)
    slots.close()
    slots.close()
    assert kept == ["newer"]


def test_a_build_that_fails_is_tried_again() -> None:
    slots, tries = Slots(), iter([1, 0, 1])
    slot = Slot("fragile", lambda owner: 12 // next(tries) if len(owner) else 0)
    assert slots.get(slot, "x") == 12
    slots, tries = Slots(), iter([0, 1])
    with pytest.raises(ZeroDivisionError):
        slots.get(slot, "x")
    assert slots.get(slot, "x") == 12


def test_every_state_is_closed_even_if_one_refuses() -> None:
    slots = Slots()
    order: list[str] = []

    def refuse(state: str) -> None:
        raise RuntimeError("will not")

    slots.get(Slot("a", lambda owner: "a", order.append), None)
    slots.get(Slot("b", lambda owner: "b", refuse), None)
    slots.get(Slot("c", lambda owner: "c", order.append), None)
    with pytest.raises(RuntimeError, match="will not"):
        slots.close()
    assert order == ["c", "a"]


# -- folders ---------------------------------------------------------------------------------------


def test_the_folder_of_a_plugin_belongs_to_the_database(env: SyncEnvironment) -> None:
    db = env["notes"]
    folder = db.directory("search")
    (folder / "segment").write_text("x")
    assert db.directory("search") == env["notes"].directory("search") == folder
    assert env["other"].directory("search") != folder
    assert db.directory("spatial") != folder
    assert list(env) == ["notes", "other"]
    db.destroy()
    assert not folder.exists()
    assert list(env["notes"].directory("search").iterdir()) == []


def test_the_folder_of_a_plugin_survives_reopening(env: SyncEnvironment) -> None:
    db = env["notes"]
    (db.directory("search") / "segment").write_text("x")
    db.close()
    assert (env["notes"].directory("search") / "segment").read_text() == "x"


def test_a_backup_copies_the_folders_of_plugins(env: SyncEnvironment, tmp_path: Path) -> None:
    db = env["notes"]
    db.put({"_id": "a"})
    (db.directory("search") / "segment").write_text("x")
    target = tmp_path / "copy"
    with pouchdb.setup(target, plugins=[]) as other:
        db.backup(target / "notes.pouchdb")
        assert (other["notes"].directory("search") / "segment").read_text() == "x"
        assert list(other["notes"]) == ["a"]


def test_the_folder_of_a_plugin_for_the_environment(env: SyncEnvironment) -> None:
    folder = env.plugin_directory("search")
    (folder / "settings").write_text("x")
    assert env.as_user({"name": "ada"}).plugin_directory("search") == folder
    # No database can be mistaken for it.
    for name in ("search", ".search", ".plugins"):
        assert env[name].directory("search") != folder
        env.destroy(name)
    assert (folder / "settings").read_text() == "x"
    env.close()
    assert folder.exists() == (env.directory is not None)
