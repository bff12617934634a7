"""The order of calls on one database: reads together, writes alone (design, section 6)."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest

import pouchdb
from pouchdb import AsyncEnvironment, AsyncPouchDB
from pouchdb_core.aio.queue import CallOrder, Way
from pouchdb_core.errors import DatabaseClosed, NotFound


async def entered(gate: Any) -> None:
    while not gate.entered.is_set():  # noqa: ASYNC110  # it comes from a thread
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("env", ["file", "memory"], indirect=True)
async def test_a_read_sees_the_writes_that_were_called_before_it(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    for n in range(20):
        db.put({"_id": f"{n:03}"})
        assert (await db.get(f"{n:03}"))._id == f"{n:03}"
    db.put({"_id": "z"})
    rows = db.all_docs()
    db.remove(db.sync_view["000"])
    assert len((await rows).rows) == 21, "nor those that come after it"
    assert (await db.info()).doc_count == 20


async def test_reads_run_together(gate: Any, db: AsyncPouchDB) -> None:
    gate.open.set()
    for n in range(3):
        await db.put({"_id": f"held{n}"})
    gate.together = threading.Barrier(3)
    docs = await asyncio.gather(*(db.get(f"held{n}") for n in range(3)))
    assert [doc._id for doc in docs] == ["held0", "held1", "held2"]


async def test_a_write_waits_for_what_came_before_and_holds_back_what_follows(gate: Any, db: AsyncPouchDB) -> None:
    ended: list[str] = []

    def note(name: str) -> Any:
        return lambda _: ended.append(name)

    gate.open.set()
    await db.put({"_id": "held"})
    gate.together = threading.Barrier(2)
    first = db.get("held").then(note("read"))
    write = db.put({"_id": "w"}).then(note("write"))
    after = db.get("w").then(note("read after"))
    # One read alone cannot pass, so neither can what follows.
    await asyncio.sleep(0.01)
    assert ended == []
    db.sync_view.get("held")
    await asyncio.gather(first, write, after)
    assert ended == ["read", "write", "read after"]


async def test_two_objects_of_one_database_share_the_order(gate: Any, env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    other, elsewhere = env["test"].as_user({"name": "ada"}), env["elsewhere"]
    held = db.put({"_id": "held"})
    await entered(gate)
    read = other.get("held")
    assert (await elsewhere.info()).doc_count == 0, "another database has its own order"
    assert not read.done
    gate.open.set()
    assert (await read)._id == "held"
    assert held.done


async def test_destroying_waits_for_the_calls_before_it(gate: Any, env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    held = db.put({"_id": "held"})
    await entered(gate)
    queued, destroyed, listed = db.put({"_id": "b"}), env.destroy("test"), env.names()
    late = db.get("b")
    gate.open.set()
    assert (await held).ok
    assert (await queued).ok
    assert (await destroyed) == {"ok": True}
    assert await listed == [], "what lists databases waits for what destroys one"
    with pytest.raises(DatabaseClosed):
        await late
    with pytest.raises(NotFound):
        await env["test"].get("b")


async def test_destroying_with_a_prefix_or_by_option(gate: Any, env: AsyncEnvironment) -> None:
    view = env.defaults(prefix="my-")
    db = view["test"]
    for destroy in (lambda: view.destroy("test"), lambda: view.destroy(name="test"), lambda: env.destroy("my-test")):
        db = view["test"]
        gate.open.clear()
        gate.entered.clear()
        db.put({"_id": "held"})
        await entered(gate)
        queued, destroyed = db.put({"_id": "b"}), destroy()
        gate.open.set()
        assert (await queued).ok
        await destroyed


async def test_closing_waits_for_all_calls_before_it(gate: Any, env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    held, other = db.put({"_id": "held"}), env["other"].put({"_id": "a"})
    await entered(gate)
    closed = env.close()
    await other
    assert not env.closed
    gate.open.set()
    await closed
    assert held.done
    assert (await held).ok
    assert env.closed
    for late in (db.get("held"), env.names(), db.destroy(), db.put({})):
        with pytest.raises(DatabaseClosed):
            await late
    assert await env.close() is None, "calling it again does nothing"  # type: ignore[func-returns-value]
    assert await db.close() is None  # type: ignore[func-returns-value]
    feed = db.changes()
    with pytest.raises(DatabaseClosed):
        await feed


async def test_closing_within_the_block_that_closes() -> None:
    async with pouchdb.setup_async(":memory:", plugins=[]) as env:
        await env["a"].put({"_id": "a"})
        await env.close()
    async with env:
        assert env.closed


async def test_closing_the_other_view_refuses_what_waits(gate: Any, env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    held = db.put({"_id": "held"})
    await entered(gate)
    waiting = [db.put({"_id": "b"}), db.get("b"), db.destroy(), env.names()]
    feed = db.changes()
    also_closing = env.close()
    closing = asyncio.get_running_loop().run_in_executor(None, env.sync_view.close)
    for each in waiting:
        with pytest.raises(DatabaseClosed):
            await each
    assert (await feed).status == "cancelled"
    await also_closing
    gate.open.set()
    await closing
    await asyncio.wait([asyncio.ensure_future(_outcome(held))])


async def _outcome(promise: Any) -> Any:
    try:
        return await promise
    except DatabaseClosed as error:
        return error


async def test_handles_take_their_turn_and_then_hold_nothing(db: AsyncPouchDB) -> None:
    db.put({"_id": "a"})
    feed = db.live_changes(since=0)
    replication = db.replicate_to("other", live=True)
    db.put({"_id": "b"})
    changes = db.changes()
    db.put({"_id": "c"})
    assert [row.id for row in (await changes).results] == ["a", "b"], "what it reads is fixed in its turn"
    # Live ones are there, and everything goes on.
    for n in range(3):
        await db.put({"_id": f"n{n}"})
    rows = []
    async for row in feed:
        rows.append(row.id)
        if len(rows) == 6:
            break
    assert rows == ["a", "b", "c", "n0", "n1", "n2"]
    feed.cancel()
    replication.cancel()
    assert (await replication).status == "cancelled"
    assert await asyncio.to_thread(db._asynchronous.order.wait, 20), "no call is under way"


async def test_now_is_the_turn_of_the_call(gate: Any, env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    db.put({"_id": "held"})
    feed = db.live_changes()
    db.put({"_id": "after"})
    gate.open.set()
    async for row in feed:
        assert row.id == "after"
        break


async def test_a_replication_sees_the_writes_before_it(gate: Any, env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    other = env["other"]
    db.put({"_id": "held"})
    other.put({"_id": "there"})
    done = db.sync(other)
    gate.open.set()
    await done
    assert (await other.info()).doc_count == 2
    assert (await db.info()).doc_count == 2


async def test_a_long_read_sees_what_came_before_and_holds_back_no_write(db: AsyncPouchDB) -> None:
    begun, end = threading.Event(), threading.Event()

    def emit_slowly(doc: Any, emit: Any) -> None:
        begun.set()
        assert end.wait(20)
        emit(doc["_id"], None)

    db.put({"_id": "a"})
    building = db.query(emit_slowly)
    assert (await db.put({"_id": "b"})).ok
    assert (await db.get("b"))._id == "b"
    await asyncio.to_thread(begun.wait, 20)
    assert not building.done
    assert (await db.put({"_id": "c"})).ok
    # Only what ends the database waits for it.
    destroyed = db.destroy()
    late = db.info()
    await asyncio.sleep(0.01)
    assert not destroyed.done
    end.set()
    assert "a" in [row.key for row in (await building).rows]
    assert (await destroyed).ok
    with pytest.raises(DatabaseClosed):
        await late


@pytest.mark.parametrize("env", ["file", "memory"], indirect=True)
def test_a_call_within_a_call_is_part_of_it(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    """A function that a call calls may use the database that the call holds: it must not wait for itself."""
    seen: list[Any] = []
    for rev in ("1-a", "1-b"):
        db.sync_view.bulk_docs([{"_id": "a", "_rev": rev}], new_edits=False)

    def merge(docs: list[Any]) -> dict[str, Any]:
        if not seen:
            seen.append(env.run(db.get("a"), 20)._id)
            seen.append(env.run(db.put({"_id": "b"}), 20).id)
            seen.append(env.run(db.replicate_to("other"), 20).ok)
            seen.append(len(env.run(db.changes(), 20).results))
            seen.append(env.run(env["third"].put({"_id": "c"}), 20).id)
            db.get("a", lambda err, doc: seen.append("called back"))
            with pytest.raises(RuntimeError, match="part of a call"):
                env.run()
        return {"merged": True}

    assert env.run(db.resolve("a", merge), 20).ok
    env.run()
    assert seen == ["a", "b", True, 2, "c", "called back"]
    assert env.run(db.get("a")).merged


def test_a_call_within_a_call_does_not_wait_for_what_waits_for_that(
    gate: Any, env: AsyncEnvironment, db: AsyncPouchDB
) -> None:
    """A replication waits for the call on one side, and holds the other side back meanwhile."""
    other = env["other"]
    ids: list[str] = []
    begun, go_on = threading.Event(), threading.Event()
    db.sync_view["a"] = {}

    def merge(docs: list[Any]) -> dict[str, Any]:
        begun.set()
        assert go_on.wait(20)
        ids.append(env.run(other.put({"_id": "b"}), 20).id)
        return {"merged": True}

    resolved = db.resolve("a", merge)
    assert begun.wait(20)
    replicated = db.replicate_to(other)
    go_on.set()
    assert env.run(resolved, 20).ok
    assert env.run(replicated, 20).docs_written == 1
    assert ids == ["b"]


async def test_many_long_reads_leave_threads_for_the_others(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    end = threading.Event()
    begun = threading.Semaphore(0)

    def emit_slowly(doc: Any, emit: Any) -> None:
        begun.release()
        assert end.wait(20)

    await db.put({"_id": "a"})
    building = [db.query(emit_slowly) for _ in range(20)]
    for _ in range(8):
        await asyncio.to_thread(begun.acquire, timeout=20)
    assert (await env["other"].put({"_id": "a"})).ok
    assert (await db.get("a"))._id == "a"
    end.set()
    await asyncio.gather(*building)


def test_more_calls_than_threads(env: AsyncEnvironment, db: AsyncPouchDB, gate: Any) -> None:
    async def work() -> None:
        await asyncio.gather(*(db.put({"_id": str(n)}) for n in range(100)))
        docs = await asyncio.gather(*(db.get(str(n)) for n in range(100)))
        assert [doc._id for doc in docs] == [str(n) for n in range(100)]
        assert sum(thread.name.startswith("pouchdb-call") for thread in threading.enumerate()) <= 8

    env.run(work())


# -- the order by itself ---------------------------------------------------------------------------


class Threads:
    """Starts calls only when the test says so."""

    def __init__(self) -> None:
        self.ready: list[Any] = []
        self.broken = False
        self.order = CallOrder(lambda: None)

    def start(self, call: Any) -> None:
        if self.broken:
            raise RuntimeError("can't start new thread")
        self.ready.append(call)

    def refuse(self, error: BaseException) -> None:
        raise AssertionError(error)

    def submit(self, names: set[str], call: Any, way: Way, refuse: Any = None) -> Any:
        return self.order.submit(names, call, refuse or self.refuse, way=way, start=self.start)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_called_in_whatever_order(seed: int) -> None:
    """Two calls that share a name keep their order, unless both read, or a write follows a long read."""
    chance = random.Random(seed)
    threads = Threads()
    begun: list[tuple[int, set[str], Way]] = []
    calls = []
    cancelled: set[int] = set()
    take_backs = []
    for number in range(40):
        names = set(chance.sample("abc", chance.randint(1, 2)))
        entry = (number, names, chance.choice([*Way, Way.READS]))

        def call(entry: Any = entry) -> None:
            begun.append(entry)

        take_backs.append(threads.submit(names, call, entry[2]))
        calls.append(entry)
        if chance.random() < 0.1:
            victim = chance.randrange(number + 1)
            if victim not in {entry[0] for entry in begun}:
                take_backs[victim]()
                cancelled.add(victim)
        while threads.ready and chance.random() < 0.5:
            threads.ready.pop(chance.randrange(len(threads.ready)))()
    while threads.ready:
        threads.ready.pop(chance.randrange(len(threads.ready)))()
    assert threads.order.outstanding == 0
    made = [entry[0] for entry in begun]
    assert set(range(40)) - cancelled <= set(made)
    place = {number: index for index, number in enumerate(made)}
    for earlier in calls:
        for later in calls[earlier[0] + 1 :]:
            if earlier[1] & later[1] and {earlier[0], later[0]} <= set(place) and keeps(earlier[2], later[2]):
                assert place[earlier[0]] < place[later[0]]


def keeps(earlier: Way, later: Way) -> bool:
    reads = {Way.READS, Way.READS_LONG}
    return not {earlier, later} <= reads and (earlier, later) != (Way.READS_LONG, Way.WRITES)


def test_when_no_thread_can_be_started_calls_are_refused_and_the_next_go_on() -> None:
    threads = Threads()
    refused: list[BaseException] = []
    threads.broken = True
    threads.submit({"a"}, print, Way.WRITES, refused.append)
    assert [str(each) for each in refused] == ["can't start new thread"]
    threads.broken = False
    threads.submit({"a"}, lambda: None, Way.WRITES)
    threads.ready.pop()()
    assert threads.order.wait(0)


def test_a_call_taken_back_lets_the_next_go() -> None:
    threads = Threads()
    made: list[str] = []
    threads.submit({"a"}, lambda: made.append("read"), Way.READS)
    take_back = threads.submit({"a"}, lambda: made.append("write"), Way.WRITES)
    threads.submit({"a"}, lambda: made.append("second read"), Way.READS)
    assert len(threads.ready) == 1
    take_back()
    take_back()
    assert len(threads.ready) == 2
    while threads.ready:
        threads.ready.pop()()
    assert sorted(made) == ["read", "second read"]
    take_back()
    assert threads.order.wait(0)
