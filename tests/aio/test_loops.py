"""Loops of every kind: one after another, already running, pumped by hand, several at once, closed too soon."""

from __future__ import annotations

import asyncio
import selectors
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb import AsyncEnvironment, AsyncPouchDB


async def work(db: AsyncPouchDB, id: str) -> str:
    """Everything that meets the loop: await, callback, then, feed, replication."""
    called: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    db.put({"_id": id}, lambda err, resp: called.set_result(resp.id))
    assert await called == id
    feed = db.live_changes(since=0, doc_ids=[id])
    async for row in feed:
        assert row.id == id
        break
    feed.cancel()
    assert (await feed).status == "cancelled"
    assert (await db.replicate_to("copy")).ok
    return await db.get(id).then(lambda doc: str(doc._id))


def test_one_environment_under_asyncio_run_again_and_again(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    for n in range(3):
        assert asyncio.run(work(db, str(n))) == str(n)
    assert env.run(db.info()).doc_count == 3


def test_one_object_in_several_loops_in_several_threads(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    results: list[str] = []
    loops: set[int] = set()

    async def main(n: int) -> None:
        here = threading.get_ident()
        loops.add(id(asyncio.get_running_loop()))
        db.on("test", lambda: results.append(f"{n} {threading.get_ident() == here}"))
        results.append(await work(db, str(n)))

    threads = [threading.Thread(target=lambda n=n: asyncio.run(main(n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(results) == ["0", "1", "2", "3"]
    assert len(loops) == 4


async def test_an_event_reaches_each_listener_on_its_own_loop(db: AsyncPouchDB) -> None:
    told: list[bool] = []
    ready, heard = threading.Event(), threading.Event()

    async def elsewhere() -> None:
        here, came = threading.get_ident(), asyncio.Event()

        def listen() -> None:
            told.append(threading.get_ident() == here)
            came.set()

        db.on("test", listen)
        ready.set()
        await asyncio.wait_for(came.wait(), 20)
        heard.set()

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    assert ready.wait(20)
    here = threading.get_ident()
    db.on("test", lambda: told.append(threading.get_ident() == here))
    db.emit("test")
    assert heard.wait(20)
    await db.info()
    thread.join(20)
    assert told == [True, True]


def test_a_loop_that_is_running_already(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    """As in a notebook: every cell is run by the one loop that never ends, and cells leave work behind."""
    loop = asyncio.new_event_loop()
    got: list[Any] = []

    def cell(source: Callable[[], Any]) -> Any:
        async def run() -> Any:
            result = source()
            return await result if hasattr(result, "__await__") else result

        return loop.run_until_complete(run())

    try:
        promise = cell(lambda: [db.put({"_id": "a"})])[0]
        assert cell(lambda: promise).id == "a"
        feed = cell(lambda: [db.live_changes(since=0).on("change", lambda row: got.append(row.id))])[0]
        cell(lambda: db.put({"_id": "b"}))
        while len(got) < 2:
            cell(db.info)
        assert got == ["a", "b"]
        # Blocking calls belong to the blocking view; what would wait for the loop itself says so.
        assert cell(lambda: db.sync_view["a"]._id) == "a"
        with pytest.raises(RuntimeError, match="an event loop is running"):
            cell(lambda: env.run(db.info().then(lambda info: info)))
        feed.cancel()
        assert cell(lambda: feed).status == "cancelled"
    finally:
        loop.close()


class PumpedLoop(asyncio.SelectorEventLoop):
    """A loop inside somebody else's, as those for Qt: their event loop turns it, a bit at a time."""

    def __init__(self) -> None:
        super().__init__(selectors.DefaultSelector())

    def pump(self, done: Callable[[], bool]) -> None:
        asyncio.set_event_loop(self)
        while not done():
            self.call_soon(self.stop)
            self.run_forever()


def test_a_loop_that_is_pumped_by_hand(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    loop = PumpedLoop()
    try:
        task = loop.create_task(work(db, "a"))
        loop.pump(task.done)
        assert task.result() == "a"
        # A slot of the host, between two turns: no loop is running.
        got: list[Any] = []
        db.get("a", lambda err, doc: got.append(doc._id))
        env.run()
        assert got == ["a"]
        task = loop.create_task(work(db, "b"))
        loop.pump(task.done)
        assert task.result() == "b"
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_uvloop(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed: NOT TESTED with it")
    loop = uvloop.new_event_loop()
    try:
        assert loop.run_until_complete(work(db, "a")) == "a"
    finally:
        loop.close()


def test_a_loop_that_is_closed_while_a_call_is_under_way(gate: Any, env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    got: list[Any] = []

    async def leave() -> Any:
        db.put({"_id": "held"}, lambda err, resp: got.append(resp.id))
        awaited = asyncio.ensure_future(_wait(db.put({"_id": "b"})))
        feed = db.live_changes(since=0).on("change", lambda row: got.append(row.seq))
        await asyncio.sleep(0)
        return awaited, feed

    loop = asyncio.new_event_loop()
    awaited, feed = loop.run_until_complete(leave())
    awaited.cancel()
    loop.run_until_complete(asyncio.gather(awaited, return_exceptions=True))
    loop.close()
    gate.open.set()
    # Nothing hangs: what cannot be delivered there is for whoever spins, or for the next loop.
    env.run()
    assert got[0] == "held"

    async def again() -> Any:
        assert (await db.info()).doc_count == 1, "the put that nobody awaited any more was taken back"
        feed.cancel()
        return await feed

    assert asyncio.run(again()).status == "cancelled"


async def _wait(promise: Any) -> Any:
    return await promise


def test_a_feed_goes_on_in_the_next_loop(env: AsyncEnvironment, db: AsyncPouchDB) -> None:
    async def first() -> Any:
        await db.put({"_id": "a"})
        feed = db.live_changes(since=0)
        async for row in feed:
            assert row.id == "a"
            break
        return feed

    async def second(feed: Any) -> None:
        await db.put({"_id": "b"})
        async for row in feed:
            assert row.id == "b"
            break
        feed.cancel()

    feed = asyncio.run(first())
    asyncio.run(asyncio.wait_for(second(feed), 20))


def test_one_loop_a_row(db: AsyncPouchDB) -> None:
    """No ``async for`` moves the feed to the next loop; each row is written when the last loop is closed."""
    feed = db.live_changes()

    async def next_row(id: str) -> Any:
        await db.put({"_id": id})
        return await anext(feed)

    for id in ("a", "b", "c"):
        assert asyncio.run(asyncio.wait_for(next_row(id), 20))["id"] == id
    feed.cancel()


async def test_the_blocking_view_inside_callbacks(db: AsyncPouchDB) -> None:
    got: list[Any] = []

    def changed(row: Any) -> None:
        got.append(db.sync_view[row.id]._rev[:2])
        db.sync_view.put({"_id": "_local/seen", "seq": row.seq})

    feed = db.live_changes().on("change", changed)
    await db.put({"_id": "a"})
    while not got:
        await db.info()
    assert got == ["1-"]
    feed.cancel()


# -- other processes -------------------------------------------------------------------------------


def run(program: str, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def test_a_call_that_nobody_awaited_is_made_before_the_program_ends(tmp_path: Path) -> None:
    program = """
        import sys, pouchdb
        db = pouchdb.setup_async(sys.argv[1], plugins=[])["test"]
        for n in range(20):
            db.put({"_id": str(n)})
    """
    done = run(program, str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(pouchdb.setup(tmp_path, plugins=[])["test"]) == 20


def test_a_call_that_hangs_does_not_hang_the_end_of_the_program(tmp_path: Path) -> None:
    program = """
        import sys, threading, pouchdb, pouchdb_core.aio.calls
        pouchdb_core.aio.calls.EXIT_SECONDS = 0.2
        def hang(db):
            print("hangs", flush=True)
            threading.Event().wait()
        class Plugin:
            @pouchdb.hookimpl
            def pouchdb_database_methods(self):
                return [pouchdb.operation(hang)]
        env = pouchdb.setup_async(sys.argv[1], plugins=[Plugin()])
        env["test"].hang()
        feed = env["test"].live_changes().on("change", print)
        env["other"].replicate_to("third", live=True)
        while "other" not in env: pass
    """
    done = run(program, str(tmp_path))
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "hangs\n")


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="the system cannot fork")
def test_a_forked_child_makes_calls_of_its_own(tmp_path: Path) -> None:
    program = """
        import asyncio, os, sys, threading, warnings, pouchdb
        warnings.simplefilter("ignore", DeprecationWarning)
        enter, leave = threading.Event(), threading.Event()
        def hold(db):
            enter.set()
            leave.wait()
        class Plugin:
            @pouchdb.hookimpl
            def pouchdb_database_methods(self):
                return [pouchdb.operation(hold)]
        env = pouchdb.setup_async(sys.argv[1], plugins=[Plugin()])
        db = env["test"]
        asyncio.run(asyncio.wait_for(db.put({"_id": "a"}), 20))
        # In the middle of a write: its turn must not hold the child's calls.
        held = db.hold()
        enter.wait()
        child = os.fork()
        if child == 0:
            async def main():
                assert (await db.get("a"))._id == "a"
                await db.put({"_id": "child"})
                got = []
                db.get("child", lambda err, doc: got.append(doc._id))
                async for row in db.live_changes(since=0):
                    break
                assert got == ["child"]
            asyncio.run(asyncio.wait_for(main(), 20))
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        leave.set()
        async def main():
            await held
            assert (await db.info()).doc_count == 2
            await env.close()
        asyncio.run(main())
    """
    done = run(program, str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
