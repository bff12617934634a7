"""Callbacks: every place where one may stand, what it gets, when it is called (spec: plugins 9.3)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import pouchdb
from pouchdb import AsyncEnvironment, AsyncPouchDB
from pouchdb_core.errors import BadRequest

Call = Callable[[AsyncEnvironment, AsyncPouchDB, Callable[..., Any]], Any]

# Where a callback may stand, and what it is called with.
PLACES: dict[str, tuple[Call, Any]] = {
    "after the documented ones": (lambda env, db, f: db.put({"_id": "n"}, None, None, f), "n"),
    "by keyword": (lambda env, db, f: db.put({"_id": "n"}, callback=f), "n"),
    "put(doc, cb)": (lambda env, db, f: db.put({"_id": "n"}, f), "n"),
    "put(doc, id, cb)": (lambda env, db, f: db.put({}, "n", f), "n"),
    "put(JSON text, cb)": (lambda env, db, f: db.put('{"_id": "n"}', f), "n"),
    "post(doc, cb)": (lambda env, db, f: db.post({"_id": "n"}, f), "n"),
    "get(id, cb)": (lambda env, db, f: db.get("a", f), "a"),
    "get(id, rev, cb)": (lambda env, db, f: db.get("a", None, f), "a"),
    "get(id, cb, option=)": (lambda env, db, f: db.get("a", f, conflicts=True), "a"),
    "get(cb, id=)": (lambda env, db, f: db.get(f, id="a"), "a"),
    "remove(doc, cb)": (lambda env, db, f: db.remove(db.sync_view["a"], f), "a"),
    "remove(id, rev, cb)": (lambda env, db, f: db.remove("a", db.sync_view["a"]._rev, f), "a"),
    "all_docs(cb)": (lambda env, db, f: db.all_docs(f), None),
    "allDocs(cb, option=)": (lambda env, db, f: db.allDocs(f, limit=1), None),
    "bulk_docs(docs, cb)": (lambda env, db, f: db.bulk_docs([{"_id": "n"}], f), None),
    "put_attachment(id, name, data, cb)": (lambda env, db, f: db.put_attachment("n", "t", b"x", f), "n"),
    "put_attachment(id, name, data, type, cb)": (lambda env, db, f: db.put_attachment("n", "t", b"x", "a/b", f), "n"),
    "putAttachment(..., rev, cb)": (lambda env, db, f: db.putAttachment("n", "t", b"x", "a/b", None, f), "n"),
    "resolve(id, function, cb)": (lambda env, db, f: db.resolve("a", lambda leaves: leaves[0], f), "a"),
    "info(cb)": (lambda env, db, f: db.info(f), None),
    "revs_limit(cb)": (lambda env, db, f: db.revs_limit(f), None),
    "changes(cb)": (lambda env, db, f: db.changes(f), None),
    "changes(complete=cb)": (lambda env, db, f: db.changes(complete=f), None),
    "replicate_to(other, cb)": (lambda env, db, f: db.replicate_to("other", f), None),
    "replicate_to(other, complete=cb)": (lambda env, db, f: db.replicate_to("other", complete=f), None),
    "env.replicate(source, target, cb)": (lambda env, db, f: env.replicate("test", "other", f), None),
    "db.sync(other, cb)": (lambda env, db, f: db.sync("other", f), None),
    "db.sync(other, callback=cb)": (lambda env, db, f: db.sync("other", callback=f), None),
    "sync(callback=cb, complete=cb)": (lambda env, db, f: db.sync("other", callback=f, complete=f), None),
    "env.sync(a, b, cb)": (lambda env, db, f: env.sync("test", "other", f), None),
    "env.destroy(cb, name=)": (lambda env, db, f: env.destroy(f, name="test"), None),
    "env.destroy(name, cb)": (lambda env, db, f: env.destroy("test", f), None),
    "db.destroy(cb)": (lambda env, db, f: db.destroy(f), None),
    "allDocs(options, cb)": (lambda env, db, f: db.allDocs({"limit": 1}, f), None),
    "allDocs({}, cb)": (lambda env, db, f: db.allDocs({}, f), None),
    "viewCleanup({}, cb)": (lambda env, db, f: db.viewCleanup({}, f), None),
    "info({}, cb)": (lambda env, db, f: db.info({}, f), None),
    "get(id, options, cb)": (lambda env, db, f: db.get("a", {"conflicts": True}, f), "a"),
    "put(doc, options, cb)": (lambda env, db, f: db.put({"_id": "n"}, {"force": True}, f), "n"),
    "bulkDocs(docs, options, cb)": (lambda env, db, f: db.bulkDocs([{"_id": "n"}], {"new_edits": True}, f), None),
    "query(function, options, cb)": (
        lambda env, db, f: db.query(lambda doc: [(doc["_id"], 1)], {"include_docs": True}, f),
        None,
    ),
    "changes(options, cb)": (lambda env, db, f: db.changes({"since": 0}, f), None),
    "sync(other, options, cb)": (lambda env, db, f: db.sync("other", {"batch_size": 10}, f), None),
    "replicateTo(other, options, cb)": (lambda env, db, f: db.replicateTo("other", {"batch_size": 10}, f), None),
    "env.destroy(name, {}, cb)": (lambda env, db, f: env.destroy("test", {}, f), None),
    "db.destroy({}, cb)": (lambda env, db, f: db.destroy({}, f), None),
    "the original's names": (lambda env, db, f: db.get(docid="a", callback=f), "a"),
    "the original's names of attachments": (
        lambda env, db, f: db.putAttachment(docId="n", attachmentId="t", doc=b"x", type="a/b", callback=f),
        "n",
    ),
    "sync(remoteDB=)": (lambda env, db, f: db.sync(remoteDB="other", callback=f), None),
    "plug-in(text, cb)": (lambda env, db, f: db.shout("x", f), None),  # type: ignore[attr-defined]
    "plug-in(function, cb)": (lambda env, db, f: db.apply_all(str, f), None),  # type: ignore[attr-defined]
    "plug-in(callback=)": (lambda env, db, f: db.apply_all(callback=f), None),  # type: ignore[attr-defined]
    "env plug-in(cb)": (lambda env, db, f: env.count_names(f), None),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("place", PLACES)
def test_a_callback_in_every_legal_place(place: str, env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    db.sync_view["a"] = {}
    call, id = PLACES[place]
    got: list[tuple[Any, ...]] = []

    def called(*args: Any) -> None:
        got.append(args)

    answer = call(env, db, called)
    assert "then" in answer
    assert "catch" in answer
    assert got == []
    assert env.context.waitUntilCalled(called, timeout=20)
    env.run(answer, 20)
    env.run(timeout=20)
    assert len(got) == 1, "called once"
    error, value = got[0]
    assert error is None
    assert value is not None
    if id is not None:
        assert id in (value.get("id"), value.get("_id"))


FAILURES: dict[str, tuple[Call, int, str]] = {
    "missing": (lambda env, db, f: db.get("nothing", f), 404, "not_found"),
    "conflict": (lambda env, db, f: db.put({"_id": "a"}, f), 409, "conflict"),
    "a wrong option": (lambda env, db, f: db.get("a", f, revz=True), 400, "bad_request"),
    "changes": (lambda env, db, f: db.changes(f, style="x"), 400, "bad_request"),
    "changes(complete=)": (lambda env, db, f: db.changes(complete=f, colour=1), 400, "bad_request"),
    "live changes": (lambda env, db, f: db.changes(f, live=True, descending=True), 400, "bad_request"),
    "replicate_to itself": (lambda env, db, f: db.replicate_to(db, f), 400, "bad_request"),
    "sync": (lambda env, db, f: db.sync("other", f, colour=1), 400, "bad_request"),
    "a wrong option in an object": (lambda env, db, f: db.allDocs({"limits": 1}, f), 400, "bad_request"),
    "an option twice": (lambda env, db, f: db.allDocs({"limit": 1}, f, limit=2), 400, "bad_request"),
    "an object where none is expected": (lambda env, db, f: db.get("a", "1-x", {}, {}, f), 400, "bad_request"),
    "too many arguments": (lambda env, db, f: db.info(1, 2, 3, f), 400, "bad_request"),
    "too few": (lambda env, db, f: db.putAttachment("a", callback=f), 400, "bad_request"),
    "compact with a wrong option": (lambda env, db, f: db.compact({"colour": 1}, f), 400, "bad_request"),
    "env.destroy()": (lambda env, db, f: env.destroy(f), 400, "bad_request"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_an_error_is_the_first_argument_and_the_only_one(
    failure: str, env: AsyncEnvironment, db: AsyncPouchDB, unhandled: Callable[[], list[str]]
) -> None:
    db.sync_view["a"] = {}
    call, status, name = FAILURES[failure]
    got: list[tuple[Any, ...]] = []

    def called(err: Any, resp: Any = None) -> None:
        got.append((err, resp))

    answer = call(env, db, called)
    assert got == []
    assert env.context.waitUntilCalled(called, timeout=20)
    env.run(timeout=20)
    assert len(got) == 1
    error, value = got[0]
    assert value is None
    assert (error.status, error["status"], error.name, error["name"]) == (status, status, name, name)
    with pytest.raises(pouchdb.PouchDBError):
        env.run(answer)
    del answer, error
    got.clear()
    assert unhandled() == [], "who has a callback was told"


def test_no_callback_runs_before_the_call_has_returned_nor_without_a_spin(
    env: AsyncEnvironment, db: AsyncPouchDB
) -> None:
    result: list[Any] = []
    promise = db.put({"_id": "a"}, lambda err, resp: result.append(resp))
    blocking: Any = db.sync_view
    while "a" not in blocking:
        pass
    assert result == []
    env.run(promise)
    env.run()
    assert [each.id for each in result] == ["a"]


async def test_a_callback_on_a_loop_runs_there_and_later(db: AsyncPouchDB) -> None:
    seen: list[Any] = []
    promise = db.put({"_id": "a"}, lambda err, resp: seen.append(threading.current_thread()))
    while not promise.done:
        pass
    assert seen == []
    await promise
    await db.info()
    assert seen == [threading.main_thread()]


def test_required_places_take_functions_as_they_are(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    with pytest.raises(pouchdb.BadRequest):
        env.run(db.get(print))  # type: ignore[arg-type]
    with pytest.raises(pouchdb.BadRequest):
        env.run(db.put(print))  # type: ignore[arg-type]
    db.sync_view["a"] = {}
    assert env.run(db.apply_all(lambda id: id * 2)) == ["aa"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [5, "name", {}])
def test_what_is_no_function_is_refused_at_once(wrong: Any, db: AsyncPouchDB) -> None:
    with pytest.raises(BadRequest, match="a callback must be callable"):
        db.get("a", callback=wrong)  # type: ignore[call-arg]
    with pytest.raises(BadRequest, match="a callback must be callable"):
        db.on("destroyed", wrong)
    with pytest.raises(BadRequest, match="a callback must be callable"):
        db.live_changes().on("change", wrong)


def test_coroutine_functions_are_refused_because_nobody_would_await_them(
    env: AsyncEnvironment, db: AsyncPouchDB
) -> None:
    async def called(*args: Any) -> None: ...

    for register in (
        lambda: db.get("a", called),  # type: ignore[arg-type]
        lambda: db.on("destroyed", called),
        lambda: env.on("created", called),
        lambda: db.live_changes().on("change", called),
        lambda: db.changes(called),  # type: ignore[call-arg]
    ):
        with pytest.raises(BadRequest, match="coroutine function"):
            register()


def test_what_callbacks_raise_is_logged_and_stops_nothing(
    env: AsyncEnvironment, db: AsyncPouchDB, unhandled: Callable[[], list[str]]
) -> None:
    def fails(*args: Any) -> None:
        raise ValueError("mine")

    got: list[Any] = []
    db.put({"_id": "a"}, fails)
    env.on("test", fails).on("test", got.append)
    env.emit("test", 1)
    db.changes(fails, onChange=fails)
    db.get("a", lambda *args: got.append(args))
    env.run(timeout=20)
    assert got[0] == 1 or got[1] == 1
    assert len(got) == 2
    found = unhandled()
    assert [message for message in found if "raised" in message] == found
    assert len(found) == 4


def test_option_callables_of_changes(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    db.sync_view.bulk_docs([{"_id": id} for id in "abc"])
    for name in ("onChange", "on_change"):
        ids: list[str] = []
        done: list[Any] = []
        options: dict[str, Any] = {name: lambda row, ids=ids: ids.append(row.id)}
        feed = db.changes(complete=lambda *args, done=done: done.append(args), **options)
        assert (ids, done) == ([], [])
        assert env.run(feed).last_seq == 3
        env.run()
        assert ids == ["a", "b", "c"]
        assert [(error, len(result.results)) for error, result in done] == [(None, 3)]


def test_option_callables_of_replicate_and_sync(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    db.sync_view["a"] = {}
    told: list[Any] = []
    env.run(db.replicate_to("other", onChange=told.append))
    env.run()
    assert [each.docs_written for each in told] == [1]
    assert [doc["_id"] for doc in told[0].docs] == ["a"]
    env.run(db.sync("third", on_change=told.append, complete=lambda *args: told.append(args)))
    env.run()
    assert told[1].direction == "push"
    assert told[-1][0] is None
    assert told[-1][1].push.ok
    assert told[-1][1].pull.ok
    assert "status" not in told[-1][1]


class Listener:
    def __init__(self) -> None:
        self.got: list[Any] = []

    def called(self, *args: Any) -> None:
        self.got.append(args)


def test_wait_until_called(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    wait = env.context.waitUntilCalled
    assert env.context.wait_until_called.__func__ is wait.__func__  # type: ignore[attr-defined]
    listener, other = Listener(), Listener()

    def never(*args: Any) -> None: ...

    db.put({"_id": "a"}, listener.called)
    assert wait(listener.called), "a bound method, which is a new object each time"
    assert len(listener.got) == 1
    assert wait(listener.called, timeout=0) is False, "not called since"
    db.get("a", other.called)
    assert wait([never, other.called])
    assert wait([never, listener.called], timeout=0.01) is False
    # Called while somebody else was waited for: at once.
    db.get("a", listener.called)
    env.run()
    assert wait(listener.called, timeout=0)
    # Listeners count, too.
    env.on("test", listener.called)
    env.emit("test")
    assert wait(listener.called, timeout=20)
    feed = db.changes(live=True, onChange=other.called, complete=listener.called)
    assert wait(other.called, timeout=20)
    feed.cancel()
    assert wait(listener.called, timeout=20)
    for nothing in ([], [5], 5, None, "abc", [listener.called, None]):
        with pytest.raises(pouchdb.BadRequest, match="takes a function or a list of functions"):
            wait(nothing)  # type: ignore[arg-type]


class Unhashable(Listener):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unhashable) and self.got is other.got

    def __call__(self, *args: Any) -> None:
        self.got.append(args)


def test_a_busy_callback_does_not_make_another_one_forgotten(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    listener, unhashable = Listener(), Unhashable()

    def busy(*args: Any) -> None: ...

    env.on("once", listener.called).on("once", unhashable).on("busy", busy)
    env.emit("once")
    for _ in range(2000):
        env.emit("busy")
    env.run()
    for each in (listener.called, unhashable, busy):
        assert env.context.waitUntilCalled(each, timeout=1)
        assert env.context.waitUntilCalled(each, timeout=0) is False


def test_waiting_for_a_callback_that_is_registered_later(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    got: list[Any] = []

    def second(err: Any, doc: Any) -> None:
        got.append(doc.n)

    def first(err: Any, resp: Any) -> None:
        db.get("a", second)

    db.put({"_id": "a", "n": 5}, first)
    assert env.context.waitUntilCalled(second, timeout=20)
    assert got == [5]


def test_waiting_within_a_callback(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    got: list[Any] = []

    def outer(err: Any, resp: Any) -> None:
        db.get("a", inner)
        assert env.context.waitUntilCalled(inner, timeout=20)
        got.append("outer")
        # The blocking view works as well, and so does a promise.
        got.append(db.sync_view["a"]._id)
        got.append(env.run(db.get("a"))._id)

    def inner(err: Any, resp: Any) -> None:
        got.append("inner")

    db.put({"_id": "a"}, outer)
    assert env.context.waitUntilCalled(outer, timeout=20)
    assert got == ["inner", "outer", "a", "a"]


def test_chained_listeners_and_emit(env: AsyncEnvironment) -> None:
    got: list[Any] = []
    first, second = got.append, lambda value: got.append(-value)
    assert env.on("test", first).on("test", second) is env
    assert env.emit("test", 2) is True
    assert got == []
    env.run()
    assert got == [2, -2]
    assert env.listeners("test")[0](3) is None
    env.run()
    assert got == [2, -2, 3]
    env.removeListener("test", second)
    assert len(env.listeners("test")) == 1
    env.once("once", first)
    assert env.emit("once", 4) is True
    assert env.emit("once", 5) is False
    env.run()
    assert got[3:] == [4]
    env.remove_all_listeners()
    assert env.emit("test", 2) is False
