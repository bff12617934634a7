"""Changes: awaited, iterated, by events; back-pressure, cancelling, what is left behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import pouchdb
from pouchdb import AsyncEnvironment, AsyncPouchDB
from pouchdb_core.aio.async_feed import SLICE
from pouchdb_core.errors import BadRequest


def listening(db: AsyncPouchDB) -> int:
    """How many are told of writes to the database."""
    return len(db.sync_view.adapter.store.notifier._wakes)  # type: ignore[attr-defined]


def fill(db: AsyncPouchDB, count: int) -> None:
    db.sync_view.bulk_docs([{"_id": f"{n:05}"} for n in range(count)])


async def until(condition: Callable[[], Any]) -> None:
    # Not in every turn of the loop, which would take the interpreter from the threads that are waited for.
    while not condition():  # noqa: ASYNC110  # it comes from a thread
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("env", ["file", "memory"], indirect=True)
async def test_awaited_and_iterated(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    fill(db, 3 * SLICE + 5)
    result = await db.changes()
    assert len(result.results) == 3 * SLICE + 5
    assert result.last_seq == 3 * SLICE + 5
    assert "status" not in result
    ids = [row.id async for row in db.changes(since=SLICE)]
    assert ids == [f"{n:05}" for n in range(SLICE, 3 * SLICE + 5)]
    assert (await db.changes(return_docs=False)).results == []
    assert [row.id async for row in db.changes(limit=2, descending=True)] == ["00304", "00303"]
    assert (await db.changes(limit=0)).results == []
    assert [row async for row in db.changes(limit=0)] == []


async def test_live_feeds_by_iteration(db: AsyncPouchDB) -> None:
    for feed in (db.live_changes(), db.changes(live=True), db.changes(continuous=True, since="now")):
        number = len(db.sync_view)
        db.put({"_id": f"n{number}"})
        async for row in feed:
            assert row.id == ("n0" if feed.last_seq == 1 else f"n{number}")
            break
        feed.cancel()
        assert [row async for row in feed] == []
        assert (await feed).status == "cancelled"


async def test_limit_ends_a_live_feed(db: AsyncPouchDB) -> None:
    fill(db, 5)
    feed = db.changes(live=True, limit=3)
    assert [row.seq async for row in feed] == [1, 2, 3]
    result = await feed
    assert (result.last_seq, "status" in result) == (3, False)


async def test_events_come_on_the_loop_in_order(db: AsyncPouchDB) -> None:
    fill(db, 2 * SLICE + 1)
    told: list[Any] = []
    threads: set[Any] = set()
    feed = db.changes(live=True)
    assert feed.db is db
    feed.on("change", lambda row: told.append(row.seq))
    feed.on("change", lambda row: threads.add(threading.current_thread()))
    feed.on("complete", told.append)
    assert told == []
    await until(lambda: len(told) == 2 * SLICE + 1)
    await db.put({"_id": "new"})
    await until(lambda: len(told) == 2 * SLICE + 2)
    feed.cancel()
    feed.cancel()
    assert feed.cancelled
    await feed
    await db.info()
    assert told[:-1] == list(range(1, 2 * SLICE + 3))
    assert told[-1] == {"results": [], "last_seq": 2 * SLICE + 2, "status": "cancelled"}
    assert threads == {threading.current_thread()}


def test_without_a_loop(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    got: list[Any] = []
    feed = db.changes(live=True)
    assert "then" in feed
    assert "catch" in feed
    assert "finally" in feed

    def changed(row: Any) -> None:
        got.append(row.id)

    feed.on("change", changed)
    db.put({"_id": "a"})
    assert env.context.waitUntilCalled(changed, timeout=20)
    assert got == ["a"]
    ended: list[Any] = []
    feed.then(ended.append)
    assert feed["cancel"]() is None
    assert feed.wait(20).status == "cancelled"
    env.run()
    assert ended == [{"results": [], "last_seq": 1, "status": "cancelled"}]
    with pytest.raises(TypeError, match="async for"):
        iter(feed)


def test_cancelled_before_it_began(env: AsyncEnvironment, db: AsyncPouchDB, gate: Any) -> None:
    done: list[Any] = []
    db.put({"_id": "held"})
    feed = db.changes(live=True, complete=lambda *args: done.append(args))
    feed.on("change", lambda row: done.append(row))
    feed.once("complete", lambda result: done.append("complete"))
    feed.cancel()
    assert done == []
    assert env.run(feed, 20).status == "cancelled"
    gate.open.set()
    env.run()
    assert "complete" in done
    assert len(done) <= 2


async def test_errors_reach_who_waits(db: AsyncPouchDB, unhandled: Callable[[], list[str]]) -> None:
    fill(db, 2)
    options: list[dict[str, Any]] = [
        {"style": "x"},
        {"colour": 1},
        {"live": True, "descending": True},
        {"filter": lambda doc: 1 / 0},
        {"live": True, "filter": lambda doc: 1 / 0},
    ]
    for each in options:
        kind = ZeroDivisionError if "filter" in each else BadRequest
        with pytest.raises((kind, pouchdb.PouchDBError)):
            await db.changes(**each)
        with pytest.raises((kind, pouchdb.PouchDBError)):
            async for _ in db.changes(**each):
                pass
        told: list[Any] = []
        db.changes(**each).on("error", told.append).on("change", print)
        await until(lambda told=told: told)
        assert isinstance(told[0], (kind, pouchdb.PouchDBError))
        assert await db.changes(**each).catch(lambda error: "caught") == "caught"
        assert unhandled() == []
        # Nobody waits and nobody listens: that is told where everybody looks.
        feed = db.changes(**each)
        feed._want()
        await until(lambda feed=feed: feed.done)
        await db.info()
        await asyncio.sleep(0)
        found = unhandled()
        assert len(found) == 1
        assert "nobody listened" in found[0]
    assert listening(db) == 0


async def test_rows_before_an_error_are_delivered(db: AsyncPouchDB) -> None:
    fill(db, 5)
    seen: list[str] = []

    async def read() -> None:
        async for row in db.changes(filter=lambda doc: 1 / (3 - int(doc["_id"]))):
            seen.append(row.id)

    with pytest.raises((ZeroDivisionError, pouchdb.PouchDBError)):
        await read()
    assert seen == ["00000", "00001", "00002"]


async def test_a_slow_reader_keeps_memory_bounded(db: AsyncPouchDB) -> None:
    fill(db, 10 * SLICE)
    read = 0

    def count(doc: Any) -> bool:
        nonlocal read
        read += 1
        return True

    got = 0
    async for _ in db.changes(filter=count, return_docs=False):
        got += 1
        await asyncio.sleep(0)
        assert read - got <= 2 * SLICE
    assert got == 10 * SLICE


async def test_a_loop_that_is_busy_holds_a_feed_with_listeners_back(db: AsyncPouchDB) -> None:
    fill(db, 10 * SLICE)
    read = threading.Event()
    told: list[int] = []

    def count(doc: Any) -> bool:
        if int(doc["_id"]) >= SLICE - 1:
            read.set()
        assert int(doc["_id"]) - len(told) <= 2 * SLICE
        return True

    feed = db.changes(filter=count, on_change=lambda row: told.append(row.seq), return_docs=False)
    assert read.wait(20)
    assert told == []
    await feed
    assert len(told) == 10 * SLICE


async def test_iterating_and_listening_at_once(db: AsyncPouchDB) -> None:
    fill(db, 2 * SLICE)
    told: list[int] = []
    feed = db.changes(live=True, limit=2 * SLICE).on("change", lambda row: told.append(row.seq))
    assert [row.seq async for row in feed] == told == list(range(1, 2 * SLICE + 1))


async def test_two_readers_share_the_rows(db: AsyncPouchDB) -> None:
    fill(db, 50)
    feed = db.changes(live=True, limit=50)

    async def read() -> list[int]:
        rows = []
        async for row in feed:
            rows.append(row.seq)
            await asyncio.sleep(0)
        return rows

    first, second = await asyncio.gather(read(), read())
    assert sorted(first + second) == list(range(1, 51))


async def test_going_on_after_a_break(db: AsyncPouchDB) -> None:
    fill(db, 10)
    feed = db.live_changes(since=0)
    seen = []
    for _ in range(3):
        async for row in feed:
            seen.append(row.seq)
            if len(seen) % 3 == 0:
                break
    assert seen == list(range(1, 10))
    assert feed.last_seq == 9
    feed.cancel()
    assert (await feed).last_seq == 9, "it tells what the reader got, so that it can go on there"


async def test_a_late_reader_gets_all_rows_or_is_told(db: AsyncPouchDB) -> None:
    fill(db, 2 * SLICE)
    feed = db.changes()
    await feed
    assert len([row async for row in feed]) == 2 * SLICE
    gone = db.changes(return_docs=False)
    await gone
    with pytest.raises(RuntimeError, match="went by already"):
        async for _ in gone:
            pass


async def test_a_feed_made_without_a_loop_moves_to_the_first_one(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    loop = asyncio.get_running_loop()
    made = await loop.run_in_executor(None, lambda: (db.live_changes(since=0), db.changes(), db.live_changes()))
    fill(db, 2)
    rows = []
    async for row in made[0]:
        rows.append(row.id)
        if len(rows) == 2:
            break
    assert rows == ["00000", "00001"]
    assert (await made[1]).last_seq in (0, 2)
    made[0].cancel()
    made[2].cancel()


def test_a_reader_gets_every_row_while_another_thread_spins(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    """A feed made without a loop is delivered by whoever spins, until the reader's loop adopts it."""
    fill(db, 3)
    feed = db.live_changes(since=0)
    env.run()
    over = threading.Event()
    spinner = threading.Thread(target=lambda: db._asynchronous.delivery.spin(over.is_set))
    spinner.start()
    adopt = feed._lane.adopt

    def slowly() -> None:
        # The other thread has all the time it wants, if there is anything for it.
        over.wait(0.1)
        adopt()

    feed._lane.adopt = slowly  # type: ignore[method-assign]

    async def read() -> list[str]:
        rows = []
        async for row in feed:
            rows.append(row.id)
            if len(rows) == 3:
                break
        return rows

    try:
        assert env.run(read(), 20) == ["00000", "00001", "00002"]
    finally:
        over.set()
        db._asynchronous.delivery.notify()
        spinner.join(20)
        feed.cancel()


# -- cancelling, and what is left ------------------------------------------------------------------


async def test_cancelling_the_reading_task_ends_the_feed(db: AsyncPouchDB) -> None:
    async def read(feed: Any) -> None:
        async for _ in feed:
            pass

    for work in (read, _awaiting):
        feed = db.live_changes()
        task = asyncio.create_task(work(feed))
        await asyncio.sleep(0)
        await until(lambda: listening(db))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert feed.cancelled
        await until(lambda feed=feed: feed.done)  # type: ignore[misc]
        assert listening(db) == 0


async def _awaiting(feed: Any) -> None:
    await feed


async def test_one_of_two_waiting_tasks_does_not_end_it(db: AsyncPouchDB) -> None:
    feed = db.live_changes()
    first, second = asyncio.create_task(_awaiting(feed)), asyncio.create_task(_awaiting(feed))
    await db.info()
    first.cancel()
    await asyncio.wait([first])
    assert not feed.cancelled
    feed.cancel()
    await second


async def test_a_feed_that_nobody_has_is_gone(db: AsyncPouchDB) -> None:
    db.put({"_id": "a"})
    gc.collect()
    gc.disable()
    try:
        async for _ in db.live_changes(since=0):
            break
        feed = db.live_changes()
        await db.info()
        known = weakref.ref(feed)
        assert listening(db) >= 1
        del feed
        await until(lambda: listening(db) == 0)
        assert known() is None
    finally:
        gc.enable()


async def test_a_feed_with_a_listener_goes_on_without_its_handle(db: AsyncPouchDB) -> None:
    told: list[str] = []
    db.live_changes().on("change", lambda row: told.append(row.id))
    db.changes().then(lambda result: told.append(result.last_seq))
    gc.collect()
    await db.put({"_id": "a"})
    await until(lambda: len(told) == 2)
    assert sorted(map(str, told)) == ["0", "a"]


async def test_closing_and_destroying_end_feeds(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    done: list[Any] = []
    feed = db.live_changes().on("complete", done.append).on("change", print)
    unstarted = db.live_changes()
    await db.close()
    assert (await feed).status == "cancelled"
    assert (await unstarted).status == "cancelled"
    other = env["other"]
    feed = other.live_changes().on("change", print)
    await env.destroy("other")
    assert (await feed).status == "cancelled"
    assert [each.status for each in done] == ["cancelled"]


async def test_a_thousand_idle_feeds_hold_no_thread(db: AsyncPouchDB) -> None:
    await db.info()
    told: list[str] = []
    feeds = [db.live_changes().on("change", lambda row: told.append(row.id)) for _ in range(1000)]
    await until(lambda: all(feed._rows is not None for feed in feeds))
    await db.put({"_id": "a"})
    await until(lambda: len(told) == 1000)
    for feed in feeds:
        feed.cancel()
    # One that is being read just now ends when that read does.
    await until(lambda: all(feed.done for feed in feeds))
    assert listening(db) == 0
    # Those of the two pools, however many feeds there are.
    assert sum(thread.name.startswith("pouchdb") for thread in threading.enumerate()) <= 17
    assert db.sync_view._life.live == set()


async def test_no_task_is_left_behind(db: AsyncPouchDB) -> None:
    before = asyncio.all_tasks()
    await db.put({"_id": "a"}).then(lambda resp: resp.id)
    async for _ in db.live_changes(since=0):
        break
    await db.replicate_to("other")
    assert asyncio.all_tasks() == before


async def test_awaiting_a_live_feed_without_a_listener_runs_it(db: AsyncPouchDB) -> None:
    feed = db.live_changes(limit=2, since=0)
    fill(db, 3)
    assert await feed == {"results": [], "last_seq": 2}


def test_waiting_for_a_live_feed_without_a_listener_runs_it(db: AsyncPouchDB) -> None:
    feed = db.live_changes(limit=2, since=0)
    fill(db, 3)
    assert feed.wait(20) == {"results": [], "last_seq": 2}
