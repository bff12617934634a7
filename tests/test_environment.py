"""Environments: opening, listing, destroying, views, events, the end."""

from __future__ import annotations

import copy
import gc
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB, hookimpl
from pouchdb_core.adapters.sqlite.sqlite_adapter import MemoryAdapter
from pouchdb_core.errors import BadRequest, DatabaseClosed, NotFound, PouchDBError
from pouchdb_core.requests import UserContext


class Heard:
    """Listens to events of an emitter."""

    def __init__(self, emitter: Any, *events: str) -> None:
        self.events: list[tuple[Any, ...]] = []
        for event in events:
            emitter.on(event, lambda *args, event=event: self.events.append((event, *args)))


# -- opening ---------------------------------------------------------------------------------------


def test_each_call_gives_a_new_object(environment: SyncEnvironment) -> None:
    one, two = environment["notes"], environment.PouchDB("notes")
    assert one is not two
    assert one != two
    assert one == one
    assert len({one, two, environment.PouchDB(name="notes")}) == 3
    one.put({"_id": "a"})
    assert list(two) == ["a"]
    assert isinstance(one, pouchdb.SyncPouchDB)
    assert isinstance(one, pouchdb.AbstractPouchDB)
    assert isinstance(environment, pouchdb.AbstractEnvironment)
    assert environment.POUCHDB_VERSION
    assert environment.prefix == ""
    assert isinstance(one, environment.PouchDB)
    assert not isinstance(environment, environment.PouchDB)
    assert repr(one) == f"<pouchdb.SyncPouchDB object at 0x{id(one):x} {one.name!r}, {one.adapter.name}>"
    assert repr(environment).startswith(f"<pouchdb.SyncEnvironment object at 0x{id(environment):x} in ")
    assert repr(one.as_user({"name": "eve"})).endswith(", as user 'eve'>")
    one.close()
    assert repr(one).endswith(", closed>")


@pytest.mark.parametrize("kind", [pouchdb.SyncPouchDB, pouchdb.AsyncPouchDB])
def test_databases_are_made_by_environments_only(kind: type) -> None:
    with pytest.raises(TypeError, match="setup"):
        kind("notes")
    with pytest.raises(TypeError, match="setup"):
        kind()


@pytest.mark.parametrize("kind", [pouchdb.SyncEnvironment, pouchdb.AsyncEnvironment])
def test_environments_are_made_by_setup_only(kind: type) -> None:
    with pytest.raises(TypeError, match="setup"):
        kind()


def test_an_asynchronous_environment_says_how_it_is_listed() -> None:
    with pytest.raises(TypeError, match="names"):
        list(pouchdb.setup(":memory:", async_=True))  # type: ignore[call-overload]


@pytest.mark.parametrize("name", [34234, None, "", b"notes", ["notes"], "lone \ud800 surrogate"])
def test_bad_names(environment: SyncEnvironment, name: Any) -> None:
    for call in (environment.PouchDB, environment.destroy, environment.__getitem__, environment.__delitem__):
        with pytest.raises(BadRequest, match="invalid DB name") as caught:
            call(name)
        assert caught.value.status == 400
    assert list(environment) == []


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"colour": "green"}, BadRequest, r"unknown option 'colour'; there are: .*auto_compaction"),
        ({"adapter": "websql"}, NotFound, r"Adapter is missing: 'websql'; there are: .*memory, sqlite"),
        ({"prefix": 5}, BadRequest, "prefix must be a string"),
    ],
)
def test_bad_options(environment: SyncEnvironment, options: Any, kind: type[PouchDBError], text: str) -> None:
    with pytest.raises(kind, match=text):
        environment.PouchDB("notes", **options)
    with pytest.raises(kind, match=text):
        environment.destroy("notes", **options)
    assert list(environment) == []


def test_names_of_a_scheme_nobody_opens(environment: SyncEnvironment) -> None:
    with pytest.raises(NotFound, match="Adapter is missing: no plug-in opens gopher:// databases"):
        environment["gopher://example.org/notes"]


def test_options_of_the_environment_are_defaults(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[], auto_compaction=True, durability="normal") as env:
        assert env["notes"].info().auto_compaction is True
        assert env.PouchDB("other", auto_compaction=False).info().auto_compaction is False
        # What an adapter does not know is not meant for it.
        assert env.PouchDB("memory", adapter="memory").info().auto_compaction is True


def test_options_said_later_apply_to_an_open_database(environment: SyncEnvironment) -> None:
    db = environment["test"]
    assert not db.info().auto_compaction
    again = environment.PouchDB("test", auto_compaction=True, revs_limit=7, deterministic_revs=False)
    for each in (db, again, environment["test"]):
        assert each.info().auto_compaction
        assert each.revs_limit() == 7
    one = db.put({"_id": "a"}).rev
    db.put({"_id": "a", "_rev": one})
    with pytest.raises(NotFound):
        db.get("a", rev=one)
    db.remove(db.get("a"))
    with pytest.raises(BadRequest, match="auto_compaction must be true or false"):
        environment.PouchDB("test", auto_compaction="no")
    assert db.info().auto_compaction
    assert not environment.PouchDB("test", auto_compaction=False).info().auto_compaction


def test_durability_is_not_changed_behind_the_back_of_an_open_database(tmp_path: Path) -> None:
    """Somebody relies on it."""
    with pouchdb.setup(tmp_path, plugins=[]) as environment:
        db = environment["test"]
        assert environment.PouchDB("test", durability="full").name == "test"
        with pytest.raises(BadRequest, match="is open with durability 'full': close it first"):
            environment.PouchDB("test", durability="normal")
        with pytest.raises(BadRequest, match="must be 'full' or 'normal'"):
            environment.PouchDB("test", durability="none")
        for each in (db, environment["test"]):
            each.close()
        del each
        gc.collect()
        assert environment.PouchDB("test", durability="normal").put({"_id": "a"}).ok


def test_options_of_a_call_must_fit_the_adapter(environment: SyncEnvironment) -> None:
    with pytest.raises(BadRequest, match="unknown option 'durability'"):
        environment.PouchDB("notes", adapter="memory", durability="full")


def test_a_store_stays_open_while_another_thread_opens_and_closes(environment: SyncEnvironment) -> None:
    """Closing the last object must not take the store from one that is just being made."""
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(60):
                db = environment["notes"]
                db.put({"_id": f"{number}-{turn}"})
                db.close()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failed == []
    assert len(environment["notes"]) == 240


# -- views -----------------------------------------------------------------------------------------


def test_as_user_leaves_the_environment_alone(environment: SyncEnvironment) -> None:
    view = environment.as_user({"name": "ada", "roles": ["editor"]})
    assert view is not environment
    assert (view.user, environment.user) == (UserContext("ada", ("editor",)), None)
    assert (view.uuid, view.directory, view.engine) == (environment.uuid, environment.directory, environment.engine)
    assert view["notes"].user == UserContext("ada", ("editor",))
    assert environment["notes"].user is None
    assert view.asUser(None)["notes"].user is None


@pytest.mark.parametrize(
    "user",
    ["ada", 5, ["ada"], {"name": 5}, {"name": "ada", "roles": "admin"}, {"roles": [5]}, {"roles": None}],
)
def test_users_that_are_none(environment: SyncEnvironment, user: Any) -> None:
    for subject in (environment, environment["notes"]):
        with pytest.raises(BadRequest, match="user"):
            subject.as_user(user)


def test_users_of_couchdb(environment: SyncEnvironment) -> None:
    assert environment.as_user({"db": "notes", "name": None, "roles": ["_admin"]}).user == UserContext(
        None, ("_admin",)
    )
    assert environment.as_user({}).user == UserContext()
    assert environment.as_user(UserContext("ada")).user == UserContext("ada")


def test_views_of_a_database_are_the_same_object_for_everybody_else(environment: SyncEnvironment) -> None:
    db = environment["notes"]
    heard = Heard(db, "closed")
    view = db.as_user({"name": "ada"}).with_purpose("index")
    assert (view.user, view.purpose, db.user, db.purpose) == (UserContext("ada"), "index", None, "api")
    view.on("closed", lambda: heard.events.append(("through the view",)))
    view.close()
    assert db.closed
    assert heard.events == [("closed",), ("through the view",)]


def test_a_view_keeps_the_store_of_an_object_that_nobody_holds(environment: SyncEnvironment) -> None:
    view = environment["notes"].as_user({"name": "ada"})
    heard = Heard(view, "destroyed")
    gc.collect()
    environment["notes"].close()
    assert view.put({"_id": "a"}).ok
    environment.destroy("notes")
    assert heard.events == [("destroyed",)]
    with pytest.raises(DatabaseClosed, match="database is destroyed"):
        view.get("a")


def test_copies_are_views(environment: SyncEnvironment) -> None:
    opened = Heard(environment, "created")
    db = environment["notes"]
    again = copy.copy(db)
    assert again.adapter is db.adapter
    assert copy.copy(environment).engine is environment.engine
    assert opened.events == [("created", "notes")]
    again.close()
    assert db.closed


def test_defaults(environment: SyncEnvironment) -> None:
    view = environment.defaults(auto_compaction=True)
    assert view["notes"].info().auto_compaction is True
    assert view.defaults(auto_compaction=False)["other"].info().auto_compaction is False
    assert environment.options == {}
    with pytest.raises(BadRequest, match="unknown option 'colour'"):
        environment.defaults(colour="green")
    with pytest.raises(BadRequest, match="prefix must be a string"):
        environment.defaults(prefix=5)
    # A default that the adapter of one database does not know is not meant for it.
    assert environment.defaults(durability="normal").PouchDB("third", adapter="memory").info().adapter == "memory"
    assert environment.defaults(adapter="memory")["fourth"].info().adapter == "memory"


def test_a_prefix_makes_a_corner_of_its_own(environment: SyncEnvironment) -> None:
    view = environment.defaults(prefix="my-").as_user({"name": "ada"})
    environment["notes"], environment["my-"]
    db = view["notes"]
    assert (db.name, view.prefix) == ("my-notes", "my-")
    assert list(environment) == ["my-", "my-notes", "notes"]
    assert list(view) == view.names() == ["notes"]
    assert "notes" in view
    assert "my-notes" not in view
    assert view.get("my-notes") is None
    assert [each.name for each in view.values()] == ["my-notes"]
    assert view.PouchDB("notes", prefix="").name == "notes"
    del view["notes"]
    assert list(environment) == ["my-", "notes"]
    assert db.closed
    assert len(view) == 0


# -- mapping ---------------------------------------------------------------------------------------


def test_the_mapping_of_names_to_databases(environment: SyncEnvironment) -> None:
    assert isinstance(environment, Mapping)
    assert (len(environment), list(environment)) == (0, [])
    for name in ("b", "é", "10", "9", "a/b", "B", "_users", "a%2Fb", "日本", "..", "con", "a b", "x" * 300):
        assert environment[name].name == name
    names = sorted(environment)
    assert list(environment) == list(environment.keys()) == environment.names() == names
    assert len(environment) == len(names) == 13
    assert [db.name for db in environment.values()] == names
    assert [(name, db.name) for name, db in environment.items()] == [(name, name) for name in names]
    del environment["a/b"]
    assert "a/b" not in environment
    assert "a%2Fb" in environment
    del environment["never existed"]
    assert len(environment) == 12


def test_asking_never_makes_a_database(environment: SyncEnvironment) -> None:
    assert "notes" not in environment
    assert 5 not in environment
    assert environment.get("notes") is None
    assert environment.get("notes", "default") == "default"
    assert list(environment) == []
    environment["notes"].put({"_id": "a"})
    found: SyncPouchDB = environment.get("notes")
    assert list(found) == ["a"]


def test_environments_are_equal_to_themselves_only(environment: SyncEnvironment) -> None:
    with pouchdb.setup(":memory:", plugins=[]) as other:
        assert environment != other
        assert environment == environment
        assert len({environment, other}) == 2
        assert environment != {}


def test_two_directories_at_once(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path / "one", plugins=[]) as one, pouchdb.setup(tmp_path / "two", plugins=[]) as two:
        one["notes"].put({"_id": "a"})
        assert list(two) == []
        two["notes"].put({"_id": "b"})
        assert (list(one["notes"]), list(two["notes"])) == (["a"], ["b"])
        assert one.uuid != two.uuid


def test_databases_of_another_adapter_are_found_by_name(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[]) as env:
        env.PouchDB("both", adapter="memory").put({"_id": "memory"})
        env.PouchDB("both", adapter="sqlite").put({"_id": "file"})
        env.PouchDB("quick", adapter="memory").put({"_id": "memory"})
        assert list(env) == ["both", "quick"]
        assert list(env["quick"]) == ["memory"]
        # Where there are two the usual one is meant.
        assert list(env["both"]) == ["file"]
        del env["quick"], env["both"]
        assert list(env) == ["both"]
        assert list(env["both"]) == ["memory"]


class Lasting(MemoryAdapter):
    """Pretends to have databases that nobody opened yet."""

    name = "lasting"

    @classmethod
    def names(cls, place: Any) -> list[str]:
        return ["from before"]


def test_databases_of_a_plugins_adapter_are_found_by_name(tmp_path: Path) -> None:
    class Brings:
        @hookimpl
        def pouchdb_adapters(self) -> list[type[Lasting]]:
            return [Lasting]

    with pouchdb.setup(tmp_path, plugins=[Brings()]) as env:
        assert list(env) == ["from before"]
        assert env["from before"].info().adapter == "lasting"
        assert env["new"].info().adapter == "sqlite"


# -- destroying ------------------------------------------------------------------------------------


def test_the_ways_to_destroy(environment: SyncEnvironment) -> None:
    ways: list[Any] = [
        lambda: environment.destroy("notes"),
        lambda: environment.destroy(name="notes"),
        lambda: environment.destroy(name_="notes"),
        lambda: environment.__delitem__("notes"),
    ]
    for destroy in ways:
        environment["notes"].put({"_id": "a"})
        assert destroy() is None
        assert list(environment) == []
    assert environment["notes"].destroy() == {"ok": True}
    assert list(environment) == []
    environment.destroy("notes")
    with pytest.raises(BadRequest):
        environment.destroy()
    assert list(environment["notes"]) == []


def test_other_objects_of_a_destroyed_database_say_so(environment: SyncEnvironment) -> None:
    one, two = environment["notes"], environment["notes"]
    other = environment["other"]
    heard = [Heard(db, "destroyed", "closed") for db in (one, two, other)]
    one.destroy()
    assert [each.events for each in heard] == [[("destroyed",)], [("destroyed",)], []]
    for db in (one, two):
        assert db.closed
        with pytest.raises(DatabaseClosed, match="database is destroyed"):
            db.info()
        db.close()
    assert other.put({"_id": "a"}).ok
    # A new one of the name has nothing to do with them.
    assert environment["notes"].put({"_id": "b"}).ok
    with pytest.raises(DatabaseClosed):
        two.get("b")


def test_a_database_that_cannot_be_destroyed_is_not_said_to_be(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[]) as env:
        db = env["notes"]
        db.put({"_id": "a"})
        heard = Heard(db, "destroyed")
        # A directory where a journal would be cannot be removed as one.
        in_the_way = tmp_path / "notes.pouchdb-wal"
        db.adapter.close()
        in_the_way.mkdir()
        for _ in range(2):
            with pytest.raises(PouchDBError) as caught:
                db.destroy()
            assert caught.value.status == 500
        with pytest.raises(DatabaseClosed, match="closed to be destroyed, which failed: open it again"):
            db.get("a")
        assert heard.events == []
        in_the_way.rmdir()
        assert env["notes"].get("a")["_id"] == "a"
        assert env["notes"].destroy().ok
        assert list(env) == []


def test_events_of_the_environment(environment: SyncEnvironment) -> None:
    heard = Heard(environment, "created", "destroyed", "destroy")
    environment["notes"]
    environment["notes"].as_user(None)
    assert heard.events == [("created", "notes"), ("created", "notes")]
    del heard.events[:]
    environment.destroy("notes")
    environment.destroy("never existed")
    assert heard.events == [
        ("destroyed", "notes"),
        ("destroy", "notes"),
        ("destroyed", "never existed"),
        ("destroy", "never existed"),
    ]
    del heard.events[:]
    environment.as_user({"name": "ada"}).defaults(prefix="p-")["x"].destroy()
    assert heard.events == [("created", "p-x"), ("destroyed", "p-x"), ("destroy", "p-x")]
    environment.remove_all_listeners()
    environment["notes"]
    assert len(heard.events) == 3


def test_a_listener_that_raises_stops_nothing(environment: SyncEnvironment, caplog: pytest.LogCaptureFixture) -> None:
    def broken(name: str) -> None:
        raise RuntimeError(name)

    environment.on("created", broken).on("destroyed", broken)
    assert environment["notes"].destroy().ok
    assert len(caplog.records) == 2
    assert list(environment) == []


# -- the end ---------------------------------------------------------------------------------------


def test_closing_a_database(environment: SyncEnvironment) -> None:
    db, other = environment["notes"], environment["notes"]
    heard = Heard(db, "closed")
    db.put({"_id": "a"})
    assert db.close() is None
    db.close()
    assert heard.events == [("closed",)]
    with pytest.raises(DatabaseClosed, match="database is closed"):
        db.get("a")
    assert list(other) == ["a"]
    other.close()
    # What is in memory outlives its objects too.
    assert list(environment["notes"]) == ["a"]


def test_closing_an_environment(environment: SyncEnvironment) -> None:
    db, other, destroyed = environment["notes"], environment["other"], environment["gone"]
    destroyed.destroy()
    heard = [Heard(each, "closed") for each in (db, other, destroyed)]
    environment.as_user({"name": "ada"}).close()
    environment.close()
    assert environment.closed
    assert [each.events for each in heard] == [[("closed",)], [("closed",)], []]
    assert db.closed
    calls: list[Any] = [db.info, lambda: environment["notes"], lambda: environment.destroy("notes"), other.all_docs]
    for call in calls:
        with pytest.raises(DatabaseClosed, match="closed"):
            call()
    assert list(environment) == (["notes", "other"] if environment.directory else [])


def test_an_environment_closes_at_the_end_of_its_block(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[]) as env:
        db = env["notes"]
    assert env.closed
    assert db.closed


def test_closing_in_many_threads_closes_once(environment: SyncEnvironment) -> None:
    databases = [environment["notes"] for _ in range(4)]
    heard = [Heard(db, "closed") for db in databases]
    start = threading.Barrier(8)

    def close() -> None:
        start.wait(60)
        environment.close()

    threads = [threading.Thread(target=close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert environment.closed
    assert [each.events for each in heard] == [[("closed",)]] * 4
