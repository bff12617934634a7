"""Replication and sync as handles: awaited, iterated, cancelled; what they leave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pouchdb import AsyncEnvironment, AsyncPouchDB
from pouchdb_core.errors import BadRequest


def fill(db: AsyncPouchDB, count: int, prefix: str = "") -> None:
    db.sync_view.bulk_docs([{"_id": f"{prefix}{n:05}"} for n in range(count)])


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110  # it comes from a thread
        await asyncio.sleep(0.001)


def checkpoint(db: AsyncPouchDB) -> Any:
    (told,) = db.sync_view.sync_status().replications
    return told.last_seq


@pytest.mark.parametrize("env", ["file", "memory"], indirect=True)
@pytest.mark.parametrize("how", ["to", "from", "env", "names", "objects of both kinds"])
async def test_once(how: str, env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    fill(db, 3)
    other = env["other"]
    handle = {
        "to": lambda: db.replicate_to(other),
        "from": lambda: other.replicateFrom("test"),
        "env": lambda: env.replicate(db, other),
        "names": lambda: env.replicate("test", "other"),
        "objects of both kinds": lambda: env.replicate(db, other.sync_view),
    }[how]()
    assert handle.cancelled is False
    assert handle.state == "pending"
    assert "then" in handle
    result = await handle
    assert (result.ok, result.docs_written, result.status) == (True, 3, "complete")
    assert (await other.info()).doc_count == 3
    assert handle.state == "complete"
    assert checkpoint(db) == 3
    assert await handle.then(lambda each: each.docs_written) == 3


async def test_sync_once_and_its_parts(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    other = env["other"]
    fill(db, 2, "a")
    fill(other, 3, "b")
    handle = db.sync(other)
    assert handle.canceled is False
    assert handle.push.cancelled is handle.pull.cancelled is False
    result = await handle
    assert (result.push.docs_written, result.pull.docs_written) == (2, 3)
    assert (result.push.status, result.pull.status) == ("complete", "complete")
    assert (await handle.push).docs_written == 2


async def test_live_in_both_directions(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    other = env["other"]
    told: list[Any] = []
    handle = db.sync(other, live=True)
    for event in ("change", "active", "paused", "denied", "complete", "error"):
        handle.on(event, lambda *args, event=event: told.append((event, *args)))
    await db.put({"_id": "here"})
    await until(lambda: "here" in other.sync_view)
    await other.put({"_id": "there"})
    await until(lambda: "there" in db.sync_view)
    # What is written is told a moment later.
    await until(lambda: {each[1].direction for each in told if each[0] == "change"} == {"push", "pull"})
    await until(lambda: told[-1][0] == "paused")
    assert handle["cancel"]() is None
    result = await handle
    assert result.status == "cancelled"
    assert (handle.canceled, handle.push.cancelled, handle.pull.cancelled) == (True, True, True)
    await until(lambda: told[-1][0] == "complete")
    assert not env.engine.live
    assert sum(thread.name.startswith("pouchdb") for thread in threading.enumerate()) <= 17


@pytest.mark.parametrize("env", ["file", "memory"], indirect=True)
async def test_idle_is_awaited(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    other = env["other"]
    both, way = db.sync(other, live=True), env.replicate(other, "third", live=True)
    for number in range(5):
        await db.put({"_id": f"a{number}"})
        await other.put({"_id": f"b{number}"})
        assert await both.idle() is True
        assert await way.idle() is True
        counts = [(await each.info()).doc_count for each in (db, other, env["third"])]
        assert counts == [2 * number + 2] * 3
    cancelled: list[str] = []
    way.on("cancel", lambda: cancelled.append("way"))
    for handle in (both, way):
        handle.cancel()
        assert await handle.idle() is False
        await handle
    assert cancelled == ["way"]


async def test_idle_tells_the_error(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    fill(db, 1)

    def broken(doc: Any) -> bool:
        raise ValueError("on purpose")

    for handle in (db.sync("other", live=True, filter=broken), env.replicate(db, "other", live=True, filter=broken)):
        with pytest.raises(ValueError, match="on purpose"):
            await handle.idle()
    once = env.replicate(db, "other")
    assert await once.idle() is True


async def test_iterating_gives_the_changes(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    fill(db, 30)
    assert [change.docs_written async for change in db.replicate_to("other", batch_size=10)] == [10, 20, 30]
    handle = db.sync("third", live=True)
    async for change in handle:
        assert change.direction == "push"
        assert len(change.change.docs) == 30
        break
    handle.cancel()
    await handle


async def test_a_slow_reader_holds_it_back(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    fill(db, 100)
    other = env["other"]
    handle = db.replicate_to(other, batch_size=5)
    async for change in handle:
        for _ in range(20):
            await asyncio.sleep(0)
        assert other.sync_view.info().doc_count - change.docs_written <= 5 * 8
    assert (await handle).docs_written == 100


@pytest.mark.parametrize("how", ["handle", "awaiting task", "iterating task"])
async def test_cancelling_leaves_a_checkpoint_and_nothing_else(
    how: str, env: AsyncEnvironment, db: AsyncPouchDB
) -> None:
    fill(db, 10)
    other = env["other"]
    handle = db.replicate_to(other, live=True)

    async def wait() -> None:
        await handle

    async def read() -> None:
        async for _ in handle:
            pass

    task = asyncio.create_task(read() if how == "iterating task" else wait())
    await until(lambda: handle.state == "paused")
    if how == "handle":
        handle.cancel()
        await task
    else:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    result = await handle
    assert result.status == "cancelled"
    assert checkpoint(db) == 10
    assert not env.engine.live
    assert not db.sync_view._life.live
    assert not db.sync_view.adapter.store.notifier._wakes  # type: ignore[attr-defined]
    assert env.sync_view.active_tasks() == []
    again = await db.replicate_to(other)
    assert again.docs_read == 0


async def test_cancelled_before_its_turn(gate: Any, env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    db.put({"_id": "held"})
    handles = [db.replicate_to("other"), db.sync("third", live=True)]
    for handle in handles:
        handle.cancel()
    gate.open.set()
    for handle in handles:
        assert (await handle).status == "cancelled"
    assert not env.engine.live


async def test_errors_reach_who_waits(
    env: AsyncEnvironment, db: AsyncPouchDB, unhandled: Callable[[], list[str]]
) -> None:
    fill(db, 1)

    def fails(doc: Any) -> bool:
        raise ValueError("mine")

    calls: list[tuple[Callable[[], Any], Any]] = [
        (lambda: db.replicate_to(db), BadRequest),
        (lambda: db.replicate_to(5), BadRequest),  # type: ignore[arg-type]
        (lambda: db.replicate_to("other", colour=1), BadRequest),  # type: ignore[call-arg]
        (lambda: db.sync("other", batch_size=0), BadRequest),
        (lambda: db.sync("other", filter=fails), Exception),
        (lambda: db.replicate_to("other", filter=fails), Exception),
    ]
    for call, kind in calls:
        with pytest.raises(kind):
            await call()
        with pytest.raises(kind):
            async for _ in call():
                pass
        assert await call().catch(lambda error: "caught") == "caught"
        told: list[Any] = []
        call().on("error", told.append)
        await until(lambda told=told: told)
    await db.info()
    assert [each for each in unhandled() if "nobody" in each] == []
    assert not env.engine.live


async def test_both_ends_may_be_in_different_environments(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    import pouchdb

    fill(db, 2)
    async with pouchdb.setup_async(":memory:", plugins=[]) as elsewhere:
        assert (await db.replicate_to(elsewhere["there"])).docs_written == 2
        assert (await elsewhere["there"].info()).doc_count == 2


async def test_plug_ins_see_synchronous_objects(tmp_path: Any) -> None:
    import pouchdb
    from pouchdb import hookimpl

    seen: list[str] = []

    class Watching:
        @hookimpl(wrapper=True)
        def pouchdb_replicate(self, environment: Any, request: Any) -> Any:
            replicator = yield
            for each in (environment, request.source, request.target):
                seen.append(type(each).__name__)
            return replicator

        @hookimpl(wrapper=True)
        def pouchdb_changes(self, database: Any, request: Any) -> Any:
            rows = yield
            if request.purpose == "api":
                # Its own calls block and answer, also on the object of the call.
                seen.append(str(len(database.with_purpose("index").changes().results)))
            return rows

    async with pouchdb.setup_async(":memory:", plugins=[Watching()]) as env:
        db = env["a"]
        await db.put({"_id": "a"})
        await db.replicate_to(env["b"])
        await env.sync("a", "b")
        await db.changes()
    assert seen == ["SyncEnvironment", "SyncPouchDB", "SyncPouchDB"] * 3 + ["1"]


def test_without_a_loop(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    got: list[Any] = []

    def complete(err: Any, result: Any = None) -> None:
        got.append((err, result))

    fill(db, 2)
    handle = db.replicate_to("other", live=True, complete=complete)
    handle.on("paused", print_nothing := (lambda error: None))
    assert env.context.waitUntilCalled(print_nothing, timeout=20)
    handle.cancel()
    assert env.context.waitUntilCalled(complete, timeout=20)
    assert [(err, result.status, result.docs_written) for err, result in got] == [(None, "cancelled", 2)]


async def test_the_environment_closes_what_runs(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    fill(db, 5)
    # Other tests keep processes of JavaScript for the whole run.
    others = {each for each in threading.enumerate() if each.name == "pouchdb-javascript-watchdog"}
    async with env:
        replication = db.replicate_to("other", live=True)
        both = env.sync("test", "third", live=True)
        feed = db.live_changes().on("change", print)
        await until(lambda: both.push.state == both.pull.state == replication.state == "paused")
    assert env.closed
    assert (await replication).status == "cancelled"
    assert (await both).status == "cancelled"
    assert (await feed).status == "cancelled"
    assert not env.engine.live
    await until(lambda: not [each for each in {*threading.enumerate()} - others if each.name.startswith("pouchdb-")])
