"""setup(), the two views of one engine, and their likeness."""

from __future__ import annotations

import inspect
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb import AsyncEnvironment, AsyncPouchDB, SyncEnvironment, SyncPouchDB
from pouchdb_core.methods import Operation, camel_case
from pouchdb_core.requests import UserContext
from pouchdb_core.state import Slot

# Both have them, and they answer at once: they touch no storage, open, or are for plug-ins.
AT_ONCE = {
    *("PouchDB", "as_user", "asUser", "defaults", "with_purpose", "new_id", "newId"),
    *("with_context", "set_current_user", "setCurrentUser", "short_name", "ask_guards_again"),
    *("announce_task", "replicators", "is_there"),
    *("register_function", "registerFunction", "state", "store_state"),
    *("design_documents", "directory", "plugin_directory"),
    *("on", "once", "emit", "listeners", "addListener", "add_listener", "removeListener", "remove_listener"),
    *("removeAllListeners", "remove_all_listeners", "setMaxListeners", "set_max_listeners"),
}
# Of mappings, which only the synchronous classes are; and what hooks call.
SYNC_ONLY = {
    *("get_", "keys", "values", "items", "pop", "popitem", "clear", "setdefault"),
    *("open_database", "destroy_database"),
}


@pytest.mark.parametrize("arguments", [{"async_": True}, {"async": True}])
def test_every_spelling_gives_the_same_environment(arguments: dict[str, Any], tmp_path: Path) -> None:
    env = pouchdb.setup(tmp_path, plugins=[], **arguments)
    assert isinstance(env, AsyncEnvironment)
    assert env is pouchdb.setup_async(tmp_path, plugins=[])
    assert env is pouchdb.setup(str(tmp_path), plugins=[], async_=True)
    assert env.sync_view is pouchdb.setup(tmp_path, plugins=[])
    assert env.sync_view.async_view is env
    assert env.async_view is env
    assert env is not pouchdb.setup(tmp_path, plugins=[], async_=True, durability="normal")
    env.sync_view.close()
    assert pouchdb.setup_async(tmp_path, plugins=[]) is not env


def test_positionally_as_in_the_original(tmp_path: Path) -> None:
    assert isinstance(pouchdb.setup(tmp_path, True), AsyncEnvironment)
    assert isinstance(pouchdb.setup(storageDir=tmp_path, **{"async": True}), AsyncEnvironment)


def test_temporary_environments_are_new_each_time() -> None:
    first, second = pouchdb.setup_async(), pouchdb.setup_async()
    assert first is not second
    assert first.directory is not None
    assert first.directory.exists()
    first.run(first.close())
    assert not first.directory.exists()
    second.run(second.close())


def test_light_views_are_new_and_keep_their_user(env: AsyncEnvironment) -> None:
    view = env.as_user({"name": "ada", "roles": []})
    assert view is not env
    assert view.user == UserContext("ada", ())
    assert view["test"].user == UserContext("ada", ())
    assert view.sync_view.async_view is not env
    assert env.user is None
    assert env.defaults(prefix="my-")["a"].name == "my-a"
    assert env["test"].as_user({"name": "bob"}).sync_view.user == UserContext("bob", ())


def test_names_and_classes(env: AsyncEnvironment) -> None:
    db = env["test"]
    assert isinstance(db, AsyncPouchDB)
    assert type(db).__name__ == "AsyncPouchDB"
    assert type(env).__name__ == "AsyncEnvironment"
    assert repr(db).startswith("<pouchdb.AsyncPouchDB object at 0x")
    assert repr(env).startswith("<pouchdb.AsyncEnvironment object at 0x")
    assert isinstance(db.sync_view, SyncPouchDB)
    assert db.environment is env
    assert env["test"] != env["test"]
    assert len({env["test"], env["test"]}) == 2
    assert "test" in env
    assert "nothing" not in env


@pytest.mark.parametrize("env", ["file", "memory"], indirect=True)
async def test_both_views_are_used_at_once(env: AsyncEnvironment) -> None:
    db, blocking = env["test"], env.sync_view["test"]
    blocking["a"] = {"n": 1}
    assert (await db.get("a")).n == 1
    await db.put({"_id": "b", "n": 2})
    assert blocking["b"].n == 2
    heard: list[str] = []
    blocking.on("destroyed", lambda: heard.append("sync"))
    db.on("destroyed", lambda: heard.append("async"))
    await env.destroy("test")
    assert sorted(heard) == ["async", "sync"]


@pytest.mark.parametrize("which", ["database", "environment"])
def test_every_method_is_on_both_with_the_same_signature_and_docstring(which: str, env: AsyncEnvironment) -> None:
    ours: Any = env["test"] if which == "database" else env
    theirs: Any = ours.sync_view
    names = {name for name in dir(theirs) if not name.startswith("_") and callable(getattr(theirs, name, None))}
    if which == "environment":
        names -= {"get"}
    for name in sorted(names - SYNC_ONLY):
        method, blocking = getattr(ours, name), getattr(theirs, name)
        first = (inspect.getdoc(method) or "").splitlines()[:1]
        if name in AT_ONCE:
            continue
        assert isinstance(inspect.getattr_static(type(ours), name), Operation), f"{name} is no operation"
        assert list(inspect.signature(method).parameters.values()) == list(
            inspect.signature(blocking).parameters.values()
        ), name
        assert first == (inspect.getdoc(blocking) or "").splitlines()[:1] != [], name
        if name not in ("destroy",):
            assert inspect.getdoc(method) == inspect.getdoc(blocking), name
        assert hasattr(ours, camel_case(name)), f"{name} has no second spelling"
    extra = {name for name in dir(ours) if not name.startswith("_") and callable(getattr(ours, name, None))} - names
    assert extra <= {"run", "sync_view", "async_view", "get"}, extra


async def test_methods_of_plug_ins_are_promises(env: AsyncEnvironment) -> None:
    db = env["test"]
    assert await db.shout("hi", times=2) == "HIHI"  # type: ignore[attr-defined]
    assert await env.count_names() == 1  # type: ignore[attr-defined]
    assert await env.countNames("x") == 0  # type: ignore[attr-defined]
    await db.put({"_id": "a"})
    assert await db.applyAll(str.upper) == ["A"]  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError):
        await db.fall_over()  # type: ignore[attr-defined]
    with pytest.raises(pouchdb.BadRequest, match=r"shout\(\).*it takes: text, rev, times"):
        await db.shout("hi", volume=3)  # type: ignore[attr-defined]


def test_a_plug_in_cannot_hide_what_instances_have() -> None:
    def sync_view(db: SyncPouchDB) -> None:
        """Clash."""

    class Plugin:
        @pouchdb.hookimpl
        def pouchdb_database_methods(self) -> Any:
            return [pouchdb.operation(sync_view)]

    with pytest.raises(pouchdb.PluginError, match="sync_view"):
        pouchdb.setup_async(":memory:", plugins=[Plugin()])


def test_state_of_plug_ins_belongs_to_the_synchronous_object(env: AsyncEnvironment) -> None:
    slot: Slot[type] = Slot("owner", type)
    assert issubclass(env["test"].state(slot), SyncPouchDB)
    assert issubclass(env["test"].store_state(slot), SyncPouchDB)
    assert issubclass(env.state(slot), SyncEnvironment)


def test_pickles_are_how_to_open_again(tmp_path: Path) -> None:
    env = pouchdb.setup_async(tmp_path, plugins=[])
    assert pickle.loads(pickle.dumps(env)) is env
    db = pickle.loads(pickle.dumps(env["test"].as_user({"name": "ada"})))
    assert isinstance(db, AsyncPouchDB)
    assert db.environment.engine is env.engine
    assert db.user == UserContext("ada", ())
    with pytest.raises(TypeError):
        pickle.dumps(db.info())
    env.run()
    env.sync_view.close()


def test_one_view_is_made_however_many_threads_ask(tmp_path: Path) -> None:
    sync_view = pouchdb.setup(tmp_path, plugins=[])
    found: list[AsyncEnvironment] = []
    threads = [threading.Thread(target=lambda: found.append(sync_view.async_view)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    sync_view.close()


async def test_a_login_holds_for_objects_that_are_there(tmp_path: Path) -> None:
    env = pouchdb.setup(tmp_path, plugins=[])
    ours = env.async_view
    one, two = env["notes"], ours["notes"]
    ada = UserContext("ada", ("editor",))
    ours.set_current_user({"name": "ada", "roles": ["editor"]})
    assert [one.user, two.user, env.user, ours.user, env["other"].user] == [ada] * 5
    assert [one.as_user(None).user, two.as_user({"name": "eve"}).user] == [None, UserContext("eve")]
    people = iter([UserContext("bob"), UserContext()])
    env.set_current_user(lambda: next(people))
    # A function is asked for every request.
    assert [two.user, one.user] == [UserContext("bob"), UserContext()]
    env.set_current_user(None)
    assert [one.user, two.user] == [None, None]
    env.close()
