"""The original's conventions, row by row, as its programs used them (spec: plugins 9.1-9.8 and 11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb import AsyncEnvironment, AsyncPouchDB, PouchDBError, SyncPouchDB
from pouchdb.context import JSON, Blob


@pytest.fixture
def env(tmp_path: Path) -> Iterator[AsyncEnvironment]:
    env: Any = pouchdb.setup(storageDir=str(tmp_path), **{"async": True})
    yield env
    env.sync_view.close()


@pytest.fixture
def db(env: AsyncEnvironment) -> AsyncPouchDB:
    return env.PouchDB("example")


class Called:
    """Remembers what it was called with; waited for as a bound method."""

    def __init__(self, env: AsyncEnvironment) -> None:
        self._env = env
        self.calls: list[tuple[Any, ...]] = []

    def back(self, *args: Any) -> None:
        self.calls.append(args)

    def wait(self) -> tuple[Any, ...]:
        assert self._env.context.waitUntilCalled(self.back, timeout=20)
        return self.calls[-1]


@pytest.fixture
def called(env: AsyncEnvironment) -> Called:
    return Called(env)


def test_the_example_of_its_documentation(env: AsyncEnvironment) -> None:
    inside: list[Any] = []

    def callback(err: Any, resp: Any) -> None:
        inside.append(resp)

    db = env.PouchDB("example")
    promise = db.post({}, callback)  # type: ignore[call-arg]
    assert inside == []
    assert env.context.waitUntilCalled(callback, timeout=20)
    assert inside[0] == {"ok": True, "id": inside[0].id, "rev": inside[0].rev}
    assert inside[0].rev.startswith("1-")
    assert env.run(promise) == inside[0]

    # "or `then`, with the err argument removed from the callback function"
    def single(resp: Any) -> None:
        inside.append(resp)

    db.post({}).then(single)
    assert env.context.waitUntilCalled(single, timeout=20)
    assert len(inside) == 2
    db.get("nothing")["catch"](single)
    assert env.context.waitUntilCalled(single, timeout=20)
    assert inside[2].status == 404
    db.info().finally_(inside.clear)
    assert env.context.waitUntilCalled(inside.clear, timeout=20)
    env.destroy("example")
    env.run()
    assert "example" not in env


def test_the_error_of_a_callback_reads_by_item_and_by_attribute(db: AsyncPouchDB, called: Called) -> None:
    db.get("nothing", called.back)  # type: ignore[arg-type]
    err, resp = called.wait()
    assert resp is None
    assert (err.status, err["status"], err.name, err["name"]) == (404, 404, "not_found", "not_found")
    assert "name" in err
    assert str(err) == '{"status":404,"name":"not_found","message":"missing"}'


@pytest.mark.parametrize("text", [str, JSON])
def test_documents_as_json_text(text: Callable[[str], str], env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    assert env.run(db.put(text('{"_id": "j", "a": 1}'))).id == "j"
    assert env.run(db.post(text('{"a": 1}'))).ok
    assert env.run(db.bulkDocs(text('{"docs": [{"_id": "x"}]}')))[0].ok
    assert env.run(db.revsDiff(text('{"x": ["2-a", "3-a"]}'))).x.missing == ["2-a", "3-a"]
    doc = env.run(db.get("j"))
    assert env.run(db.remove(text(f'{{"_id": "j", "_rev": "{doc._rev}"}}'))).ok
    with pytest.raises(PouchDBError) as caught:
        env.run(db.put(text('{"_id":')))
    assert caught.value["status"] == 400


def test_arguments_are_left_alone_and_results_are_deep(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    given = {"_id": "a", "items": [{"n": 1}], "_attachments": {"t": {"data": "aGk=", "content_type": "text/plain"}}}
    known = repr(given)
    env.run(db.put(given))
    assert repr(given) == known
    doc = env.run(db.get("a"))
    assert doc["items"][0].n == 1
    assert callable(doc.items)
    assert doc._attachments.t.stub is True
    deep: dict[str, Any] = {"_id": "deep"}
    inner = deep
    for _ in range(50):
        inner["n"] = inner = {}
    env.run(db.put(deep))
    read = env.run(db.get("deep"))
    for _ in range(50):
        read = read.n
    assert read == {}


EVENTS = "on once addListener removeListener removeAllListeners setMaxListeners listeners emit".split()
MEMBERS = [*EVENTS, "then", "catch", "cancel"]


def test_members_of_what_goes_on(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    feed, replication, sync = db.changes(live=True), db.replicate_to("other", live=True), db.sync("third", live=True)
    for handle in (feed, replication, sync, sync.push, sync.pull):
        assert [name for name in MEMBERS if name not in handle or not callable(handle[name])] == []
        assert "nothing" not in handle
        with pytest.raises(KeyError):
            handle["nothing"]
    assert feed.db is feed["db"] is db
    assert replication.cancelled is replication["cancelled"] is False
    assert sync.canceled is sync["canceled"] is False
    assert sync["push"].cancelled is sync["pull"].cancelled is False
    for handle in (feed, replication, sync):
        assert handle["cancel"]() is None
        assert env.run(handle).status == "cancelled"
    assert replication.cancelled
    assert sync.canceled


def test_live_changes_with_option_callables(env: AsyncEnvironment, db: AsyncPouchDB, called: Called) -> None:
    rows = Called(env)
    feed = db.changes(live=True, complete=called.back, onChange=rows.back)
    db.put({"_id": "a"})
    assert rows.wait()[0].changes[0].rev.startswith("1-")
    assert feed["cancel"]() is None
    err, resp = called.wait()
    assert err is None
    assert resp["status"] == "cancelled"


def test_final_values(env: AsyncEnvironment, db: AsyncPouchDB, called: Called) -> None:
    db.put({"_id": "a"})
    changes = env.run(db.changes())
    assert (len(changes.results), changes.last_seq) == (1, 1)
    db.replicate_to("other", called.back)  # type: ignore[call-arg]
    err, result = called.wait()
    assert err is None
    for name in ("ok", "start_time", "end_time", "docs_read", "doc_write_failures", "errors", "last_seq"):
        assert name in result
    assert (result.status, result.docs_written) == ("complete", 1)
    both = env.run(db.sync("other", called.back, complete=called.back))  # type: ignore[call-arg]
    env.run()
    assert (both.push.ok, both.pull.ok) == (True, True)
    assert len(called.calls) == 2, "a function that is given twice is called once"


def test_attachments(env: AsyncEnvironment, db: AsyncPouchDB, called: Called) -> None:
    resp = env.run(db.putAttachment("a", "t", b"one", "text/plain"))
    db.putAttachment("a", "t", Blob(b"two"), "text/plain", resp.rev, called.back)  # type: ignore[call-arg]
    rev = called.wait()[1].rev
    found = env.run(db.getAttachment("a", "t"))
    assert (found["type"], found.data) == ("text/plain", b"two")
    assert env.run(db.removeAttachment("a", "t", rev)).ok
    for call in (db.getAttachment("a", "t"), db.getAttachment("b", "t"), db.removeAttachment("b", "t", "1-a")):
        with pytest.raises(PouchDBError) as caught:
            env.run(call)
        assert caught.value.status == 404


def test_signatures_of_other_methods(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    assert env.run(db.query({"map": lambda doc: [(doc["_id"], 1)]})).rows == []
    env.run(db.put({"_id": "a"}))
    assert env.run(db.query(lambda doc: [(doc["_id"], 1)])).rows == [{"id": "a", "key": "a", "value": 1}]
    assert env.run(db.allDocs()).rows[0].value.rev.startswith("1-")
    assert env.run(db.viewCleanup()) == {"ok": True}
    assert env.run(db.compact()) is None
    assert env.run(db.get("a", rev=None))._id == "a"
    info = env.run(db.info())
    assert (info.db_name, info.doc_count, info.update_seq) == ("example", 1, 1)


def test_destroying(env: AsyncEnvironment, called: Called) -> None:
    for destroy in (
        lambda: env.destroy(called.back, name="x"),  # type: ignore[arg-type]
        lambda: env.destroy("x", called.back),
        lambda: env.destroy("never-existed", callback=called.back),
        lambda: env["x"].destroy(called.back),  # type: ignore[call-arg]
    ):
        env.run(env["x"].post({}))
        destroy()
        assert called.wait() == (None, {"ok": True})
    env.destroy(called.back)  # type: ignore[arg-type]
    err, resp = called.wait()
    assert (err.status, resp) == (400, None)
    assert env.run(env["x"].info()).doc_count == 0


def test_events_of_environments(env: AsyncEnvironment) -> None:
    told: list[tuple[str, str]] = []
    for event in ("created", "destroyed", "destroy"):
        env.on(event, lambda name, event=event: told.append((event, name)))
    env.PouchDB("x")
    env.PouchDB("x")
    assert told == []
    env.run(env.destroy("x"))
    env.run()
    assert told == [("created", "x"), ("created", "x"), ("destroyed", "x"), ("destroy", "x")]


def test_names_that_are_none(env: AsyncEnvironment) -> None:
    for name in (34234, None, "", b"x", [], "\ud800"):
        with pytest.raises(PouchDBError, match="invalid"):
            env.PouchDB(name)  # type: ignore[arg-type]
    with pytest.raises(PouchDBError, match="Adapter is missing") as caught:
        env.PouchDB("x", adapter="nothing")
    assert caught.value.status == 404


def test_helpers_of_the_context(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    assert env.context.getDbSize("example") > 0
    with pytest.raises(KeyError):
        env.context.getDbSize("unknown")
    assert env.context.clearCookies() is None  # type: ignore[func-returns-value]
    assert env.context.inspect(block=True) is None  # type: ignore[func-returns-value]
    assert issubclass(env.context.JSError, pouchdb.BaseError)
    assert env.POUCHDB_VERSION


def test_methods_of_installed_plug_ins(tmp_path: Path) -> None:
    pytest.importorskip("pouchdb_all_dbs", reason="the plug-in all_dbs is not installed")
    env = pouchdb.setup_async(tmp_path, plugins=["all_dbs"])
    called = Called(env)
    assert isinstance(env["a"].sync_view, SyncPouchDB)
    env.allDbs(called.back)  # type: ignore[call-arg]
    assert called.wait() == (None, ["a"])
    env.reset_all_dbs(called.back)  # type: ignore[call-arg]
    assert called.wait() == (None, None)
    assert env.run(env.all_dbs()) == []
    env.sync_view.close()
