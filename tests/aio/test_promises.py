"""Promises: reading, chaining, cancelling, reporting what nobody handles."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import pouchdb
from pouchdb import AsyncEnvironment, AsyncPouchDB, Promise
from pouchdb_core.errors import BadRequest, NotFound


def test_members_by_item_and_by_attribute(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    promise = db.put({"_id": "a"})
    for name in ("then", "catch", "finally", "finally_", "cancel"):
        assert name in promise
        assert callable(promise[name])
    assert "_lock" not in promise
    assert 5 not in promise
    assert promise["then"](lambda resp: resp.id)
    got: list[Any] = []
    db.get("nothing")["catch"](lambda error: got.append(error.status))
    env.run()
    assert got == [404]


def test_a_forgotten_await_is_told(db: AsyncPouchDB) -> None:
    with pytest.raises(KeyError, match="'title': this is a promise; await it"):
        db.get("a")["title"]
    with pytest.raises(AttributeError, match="Promise"):
        db.get("a").title  # type: ignore[attr-defined]  # noqa: B018


async def test_values_chain(db: AsyncPouchDB) -> None:
    assert await db.put({"_id": "a", "n": 1}).then(lambda resp: resp.id) == "a"
    assert await db.get("a").then(lambda doc: doc.n).then(lambda n: n + 1) == 2
    assert (
        await db.get("a").then(lambda doc: db.put({**doc, "n": 5})).then(lambda _: db.get("a")).then(lambda doc: doc.n)
        == 5
    )
    assert (await db.get("a").then(None)).n == 5
    assert (await db.get("a").catch(lambda error: None)).n == 5
    assert await db.get("a").then(lambda doc: None) is None


async def test_errors_chain(db: AsyncPouchDB) -> None:
    def fail(value: Any) -> None:
        raise ValueError("mine")

    assert await db.get("nothing").then(fail).catch(lambda error: error.status) == 404
    assert await db.get("nothing").then(fail, lambda error: "second") == "second"
    assert await db.info().then(fail, lambda error: "not mine").catch(lambda error: str(error)) == "mine"
    with pytest.raises(ValueError, match="mine"):
        await db.info().then(fail)
    with pytest.raises(NotFound):
        await db.get("nothing").then(lambda doc: doc)
    # An error in the handler of an error is the next one's.
    with pytest.raises(ValueError, match="mine"):
        await db.get("nothing").catch(fail)
    # A handler may return what fails.
    with pytest.raises(NotFound):
        await db.info().then(lambda _: db.get("nothing"))


def test_handlers_are_functions_and_promises_no_values(
    env: AsyncEnvironment, db: AsyncPouchDB, recwarn: pytest.WarningsRecorder
) -> None:
    promise = db.info()
    for wrong in (5, "f", {}):
        with pytest.raises(BadRequest, match="a handler must be callable"):
            promise.then(wrong)  # type: ignore[arg-type]
        with pytest.raises(BadRequest, match="a handler must be callable"):
            promise.catch(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        copy.deepcopy(promise)
    gc.collect()
    assert not recwarn.list, "a half-made copy is no trouble"


async def test_finally(db: AsyncPouchDB) -> None:
    ran: list[int] = []

    def fail() -> None:
        raise ValueError("mine")

    assert (await db.info().finally_(lambda: ran.append(1))).db_name == "test"
    with pytest.raises(NotFound):
        await db.get("nothing")["finally"](lambda: ran.append(2))
    with pytest.raises(ValueError, match="mine"):
        await db.info().finally_(fail)
    # A promise that it returns is waited for, its value is not taken.
    assert (await db.info().finally_(lambda: db.put({"_id": "a"}))).doc_count == 0
    with pytest.raises(NotFound):
        await db.get("nothing").finally_(lambda: db.put({"_id": "b"}))
    assert (await db.info()).doc_count == 2
    assert ran == [1, 2]


async def test_handlers_may_return_coroutines_and_handles(db: AsyncPouchDB) -> None:
    async def double(doc: Any) -> int:
        await asyncio.sleep(0)
        return int(doc.n) * 2

    async def fail(doc: Any) -> None:
        raise ValueError("mine")

    await db.put({"_id": "a", "n": 4})
    assert await db.get("a").then(double) == 8
    with pytest.raises(ValueError, match="mine"):
        await db.get("a").then(fail)
    assert (await db.info().then(lambda _: db.replicate_to("other"))).docs_written == 1
    assert len((await db.info().then(lambda _: db.changes())).results) == 1


def test_a_coroutine_without_a_loop_is_an_error(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    async def work(info: Any) -> None: ...

    with pytest.raises(TypeError, match="no event loop is running"):
        env.run(db.info().then(work))


async def test_a_promise_that_waits_for_itself_is_an_error(db: AsyncPouchDB) -> None:
    chained: list[Promise[Any]] = []
    chained.append(db.info().then(lambda _: chained[0]))
    with pytest.raises(TypeError, match="cannot wait for itself"):
        await chained[0]


async def test_several_tasks_await_one_promise_and_it_can_be_awaited_again(db: AsyncPouchDB) -> None:
    promise = db.put({"_id": "a"})

    async def read() -> Any:
        return await promise

    results = await asyncio.gather(read(), read(), read())
    assert [each.id for each in results] == ["a"] * 3
    assert (await promise).id == "a"
    assert await promise.then(lambda resp: resp.id) == "a"
    failing = db.get("nothing")
    depths = []
    for _ in range(3):
        with pytest.raises(NotFound) as caught:
            await failing
        depths.append(len(caught.traceback))
    assert len(set(depths)) == 1, "the traceback does not grow"


def test_an_unhandled_error_is_reported_once_and_at_once(
    env: AsyncEnvironment, db: AsyncPouchDB, unhandled: Callable[[], list[str]]
) -> None:
    gc.collect()
    gc.disable()
    try:
        promise = db.get("nothing")
        env.run()
        last = weakref.ref(promise)
        del promise
        assert last() is None, "it goes with its last reference"
    finally:
        gc.enable()
    (message,) = unhandled()
    assert message.startswith("nobody handled the error of get(): NotFound")
    assert unhandled() == []


def test_the_end_of_a_chain_reports(
    env: AsyncEnvironment, db: AsyncPouchDB, unhandled: Callable[[], list[str]]
) -> None:
    db.get("nothing").then(lambda doc: doc).then(lambda doc: doc)
    env.run()
    assert len(unhandled()) == 1
    db.info().then(lambda _: 1 / 0)
    env.run()
    assert ["ZeroDivisionError" in each for each in unhandled()] == [True]
    # Handled: by a handler, an await, a callback, a spin.
    db.get("nothing").catch(lambda error: None)
    db.get("nothing").then(lambda doc: 1 / 0, lambda error: None)
    db.get("nothing", lambda err, doc=None: None)
    with pytest.raises(NotFound):
        env.run(db.get("nothing"))
    env.run()
    assert unhandled() == []


async def test_awaited_and_cancelled_promises_report_nothing(
    db: AsyncPouchDB, unhandled: Callable[[], list[str]]
) -> None:
    with pytest.raises(NotFound):
        await db.get("nothing")
    promise = db.get("nothing").then(lambda doc: doc)
    promise.cancel()
    with pytest.raises(asyncio.CancelledError):
        await promise
    db.get("nothing").cancel()
    await db.info()
    del promise
    assert unhandled() == []


def test_an_awaited_error_makes_no_cycle(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    async def work() -> weakref.ref[Any]:
        promises = [db.get("nothing")]
        known = weakref.ref(promises[0])
        try:
            await promises.pop()
        except NotFound:
            pass
        return known

    gc.collect()
    gc.disable()
    try:
        known = env.run(work())
        env.run()
        assert known() is None
    finally:
        gc.enable()


# -- cancelling ------------------------------------------------------------------------------------


async def test_a_call_that_waits_is_not_made(gate: Any, db: AsyncPouchDB) -> None:
    running = db.put({"_id": "held"})
    while not gate.entered.is_set():  # noqa: ASYNC110  # it comes from a thread
        await asyncio.sleep(0)
    queued, after = db.put({"_id": "b"}), db.put({"_id": "c"})
    queued.cancel()
    assert queued.done
    with pytest.raises(asyncio.CancelledError):
        await queued
    gate.open.set()
    assert (await running).ok
    assert (await after).ok
    with pytest.raises(NotFound):
        await db.get("b")
    queued.cancel()
    after.cancel()
    assert (await after).ok, "there is an outcome: too late"


async def test_a_call_that_runs_is_left_to_end(gate: Any, db: AsyncPouchDB) -> None:
    running = db.put({"_id": "held"})
    while not gate.entered.is_set():  # noqa: ASYNC110  # it comes from a thread
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    gate.open.set()
    assert (await db.get("held"))._id == "held"


async def test_cancelling_one_of_two_waiting_tasks_leaves_the_other_its_outcome(gate: Any, db: AsyncPouchDB) -> None:
    db.put({"_id": "held"})
    promise = db.put({"_id": "b"})

    async def read() -> Any:
        return await promise

    first, second = asyncio.create_task(read()), asyncio.create_task(read())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert first.cancelled()
    assert not promise.done
    gate.open.set()
    assert (await second).id == "b"


async def test_cancelling_the_last_waiting_task_takes_the_call_back(gate: Any, db: AsyncPouchDB) -> None:
    db.put({"_id": "held"})
    promise = db.put({"_id": "b"})
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(promise, 0.01)
    assert promise.done
    gate.open.set()
    with pytest.raises(NotFound):
        await db.get("b")


async def test_a_callback_still_wants_the_outcome_when_a_task_is_cancelled(gate: Any, db: AsyncPouchDB) -> None:
    got: list[Any] = []
    db.put({"_id": "held"})
    promise = db.put({"_id": "b"}, lambda err, resp: got.append(resp))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(promise, 0.01)
    gate.open.set()
    assert (await db.get("b"))._id == "b"
    assert [each.id for each in got] == ["b"]


async def test_cancelling_the_end_of_a_chain_cancels_what_only_it_wanted(gate: Any, db: AsyncPouchDB) -> None:
    db.put({"_id": "held"})
    alone, shared = db.put({"_id": "b"}), db.put({"_id": "c"})
    ran: list[Any] = []
    alone.then(ran.append).then(ran.append).cancel()
    one, two = shared.then(lambda resp: resp.id), shared.then(lambda resp: resp.id)
    one.cancel()
    assert alone.done
    assert not shared.done
    gate.open.set()
    assert await two == "c"
    with pytest.raises(NotFound):
        await db.get("b")
    assert ran == []


async def test_handlers_hear_of_a_cancelled_call(gate: Any, db: AsyncPouchDB) -> None:
    db.put({"_id": "held"})
    promise = db.put({"_id": "b"})
    ended: list[Any] = []
    last = promise.finally_(lambda: ended.append("finally"))
    db.put({"_id": "c"}, lambda err, resp=None: ended.append(type(err))).cancel()
    promise.cancel()
    with pytest.raises(asyncio.CancelledError):
        await last
    gate.open.set()
    await db.info()
    assert sorted(map(str, ended)) == ["<class 'asyncio.exceptions.CancelledError'>", "finally"]


def test_run(env: AsyncEnvironment, db: AsyncPouchDB, gate: Any) -> None:
    async def work(n: int) -> int:
        await db.put({"_id": f"w{n}"})
        return (await db.info()).doc_count

    assert env.run(work(1)) == 1
    assert env.run(work(2)) == 2
    assert env.run(db.info()).doc_count == 2
    assert env.run(db.info().then(lambda info: info.doc_count)) == 2
    assert env.run(db.replicate_to("other")).docs_written == 2
    assert env.run(db.sync("other")).push.ok
    assert len(env.run(db.changes()).results) == 2
    assert env.run() is None
    with pytest.raises(NotFound):
        env.run(db.get("nothing"))

    async def late() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        env.run(late())
    held = db.put({"_id": "held"})
    for what in (held, work(3), None, db.changes(live=True)):
        with pytest.raises(TimeoutError):
            env.run(what, timeout=0.01)  # type: ignore[arg-type]
    gate.open.set()
    assert env.run(held).ok


async def test_run_and_waiting_are_refused_where_a_loop_runs(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    async def work() -> None: ...

    def never(*args: Any) -> None: ...

    for call in (
        lambda: env.run(db.info().then(lambda info: info)),
        lambda: env.run(work()),
        lambda: env.run(db.changes(live=True)),
        lambda: env.context.waitUntilCalled(never),
        lambda: db.changes(live=True).wait(),
    ):
        with pytest.raises(RuntimeError, match="an event loop is running"):
            call()


def test_promises_tell_what_they_are(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    promise, failing = db.put({"_id": "a"}), db.get("nothing").then(lambda doc: doc)
    assert repr(db.get("a").then(print)) == "<pouchdb.Promise of get(), pending>"
    env.run()
    assert repr(promise) == "<pouchdb.Promise of put(), fulfilled>"
    assert repr(failing) == "<pouchdb.Promise of get(), failed: NotFound('missing')>"
    failing.cancel()


USER: contextvars.ContextVar[str] = contextvars.ContextVar("USER", default="nobody")


def test_context_variables_come_along(gate: Any, env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    """As with asyncio's own callbacks and to_thread(): tracing and request ids depend on it."""
    seen: list[tuple[str, str]] = []

    def note(what: str) -> Callable[..., None]:
        return lambda *args: seen.append((what, USER.get()))

    db.sync_view["a"] = {}
    gate.on_read = note("hook")

    def register() -> Any:
        USER.set("ada")
        db.get("a", note("callback"))
        db.get("a").then(note("handler"))
        env.on("test", note("listener"))
        return db.live_changes(since=0).on("change", note("change"))

    async def main() -> None:
        feed = contextvars.copy_context().run(register)
        for _ in range(2):
            env.emit("test")
        while len(seen) < 7:  # noqa: ASYNC110  # it comes from a thread
            await asyncio.sleep(0)
        feed.cancel()
        assert USER.get() == "nobody"

    wanted = sorted(["hook", "hook", "callback", "handler", "listener", "listener", "change"])
    env.run(main(), 20)
    assert sorted(seen) == [(what, "ada") for what in wanted]
    seen.clear()
    env.remove_all_listeners()
    # Without a loop, too; and a listener may spin, so that it is called within itself.
    depths: list[int] = []

    def spinning() -> None:
        depths.append(len(depths))
        if len(depths) == 1:
            env.emit("test")
            env.run()

    env.on("test", spinning)
    feed = contextvars.copy_context().run(register)
    env.emit("test")
    while len(seen) < 7:
        env.run(db.info())
    feed.cancel()
    env.run(feed)
    assert depths == [0, 1]
    assert sorted(seen) == [(what, "ada") for what in wanted]


def test_promises_are_public() -> None:
    assert pouchdb.Promise is Promise
