"""Who keeps whom alive: the rows of the table "Lives" in ARCHITECTURE.md."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment
from pouchdb_core.errors import DatabaseClosed
from pouchdb_core.state import Slot

SOON = 20.0


@pytest.fixture(params=["file", "memory"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "data") if request.param == "file" else ":memory:"


@pytest.fixture
def env(where: str) -> Iterator[SyncEnvironment]:
    with pouchdb.setup(where, plugins=[]) as environment:
        yield environment


def collect() -> None:
    for _ in range(3):
        gc.collect()


# -- environments ------------------------------------------------------------------------------------


def test_a_block_closes_for_its_last_user(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[]) as outer:
        with pouchdb.setup(tmp_path, plugins=[]) as inner:
            assert inner is outer
            with inner, inner.defaults(prefix="a-"):
                pass
        assert outer["notes"].post({})["ok"]
    assert outer.closed
    with pytest.raises(DatabaseClosed):
        outer["notes"]


def test_a_block_leaves_an_environment_open_that_somebody_got_without_one(tmp_path: Path) -> None:
    plain = pouchdb.setup(tmp_path, plugins=[])
    database = plain["notes"]
    for _ in range(3):
        with pouchdb.setup(tmp_path, plugins=[]) as other:
            assert other is plain
    assert database.post({})["ok"]
    # Its own block, or close(), ends it.
    with plain:
        pass
    assert plain.closed


@pytest.mark.parametrize("inner", [False, True])
def test_close_is_for_everybody(tmp_path: Path, inner: bool) -> None:
    with pouchdb.setup(tmp_path, plugins=[]) as one, pouchdb.setup(tmp_path, plugins=[]) as other:
        (other if inner else one).close()
        assert one.closed
        with pouchdb.setup(tmp_path, plugins=[]) as new:
            assert new is not one
            assert new["notes"].post({})["ok"]


def test_a_block_that_raises_counts_as_ended(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[]) as outer:
        with contextlib.suppress(ValueError), pouchdb.setup(tmp_path, plugins=[]):
            raise ValueError
        assert not outer.closed
    assert outer.closed


def test_asynchronous_blocks_are_counted_with_the_others(tmp_path: Path) -> None:
    async def main() -> None:
        async with pouchdb.setup_async(tmp_path, plugins=[]) as one:
            with pouchdb.setup(tmp_path, plugins=[]) as other:
                assert one.sync_view is other
            async with pouchdb.setup_async(tmp_path, plugins=[]):
                pass
            assert (await one["notes"].post({}))["ok"]
        assert one.closed

    asyncio.run(main())


def test_blocks_of_many_threads_close_under_nobody(tmp_path: Path) -> None:
    errors: list[BaseException] = []
    start = threading.Barrier(6)

    def work() -> None:
        start.wait(SOON)
        try:
            for _ in range(40):
                with pouchdb.setup(tmp_path, plugins=[], durability="normal") as environment:
                    environment["notes"].post({})
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []
    with pouchdb.setup(tmp_path, plugins=[]) as environment:
        assert len(environment["notes"]) == 240


def test_a_forgotten_environment_closes_its_stores(where: str) -> None:
    environment = pouchdb.setup(where, plugins=[])
    store = weakref.ref(environment["notes"].adapter)
    del environment
    collect()
    assert store() is None


# -- database objects, stores and what plug-ins keep with them ---------------------------------------


def test_a_forgotten_database_object_leaves_its_store_to_the_next_one(env: SyncEnvironment) -> None:
    closed: list[str] = []
    slot: Slot[str] = Slot("kept", lambda owner: "kept", closed.append)
    env["notes"].store_state(slot)
    store = weakref.ref(env["notes"].adapter)
    collect()
    assert store() is env["notes"].adapter
    assert closed == []
    env.close()
    assert closed == ["kept"]


def test_the_last_object_that_is_closed_closes_the_store(env: SyncEnvironment) -> None:
    closed: list[str] = []
    slot: Slot[str] = Slot("kept", lambda owner: "kept", closed.append)
    one, other = env["notes"], env["notes"]
    one.store_state(slot)
    one.close()
    assert other.post({})["ok"]
    other.close()
    # What is in memory is gone only with its environment.
    assert closed == (["kept"] if env.directory else [])
    assert len(env["notes"]) == 1


# -- feeds and replications --------------------------------------------------------------------------


def test_a_feed_with_a_listener_goes_on_whoever_forgets_what(where: str, heard: Any, tmp_path: Path) -> None:
    """A5: without the database object, without the environment."""
    pouchdb.setup(where, plugins=[])["notes"].live_changes().on("change", heard)
    collect()
    if where == ":memory:":
        # Nobody can write to it any more but who heard of it.
        assert heard.calls == []
        return
    with pouchdb.setup(where, plugins=[]) as other:
        for number in range(60):
            other["notes"].put({"_id": f"{number:02}"})
            if number % 20 == 0:
                collect()
        assert [row["id"] for row in heard.wait(60)] == [f"{number:02}" for number in range(60)]
        other.close()


def test_a_feed_of_a_temporary_object_in_memory(env: SyncEnvironment, heard: Any) -> None:
    env["notes"].live_changes().on("change", heard)
    collect()
    for number in range(60):
        env["notes"].put({"_id": str(number)})
    heard.wait(60)


def test_an_asynchronous_feed_goes_on(env: SyncEnvironment) -> None:
    async def main() -> None:
        got: list[Any] = []
        done = asyncio.Event()

        def hear(row: Any) -> None:
            got.append(row)
            if len(got) == 20:
                done.set()

        env.async_view["notes"].live_changes().on("change", hear)
        await asyncio.sleep(0)
        collect()
        for number in range(20):
            await env.async_view["notes"].put({"_id": str(number)})
        await asyncio.wait_for(done.wait(), SOON)

    asyncio.run(main())


def test_a_forgotten_feed_ends_with_its_environment(env: SyncEnvironment, heard: Any) -> None:
    env["notes"].live_changes().on("change", print).on("complete", heard)
    collect()
    env.close()
    [result] = heard.wait()
    assert result["status"] == "cancelled"
    assert not env.engine.going


def test_a_feed_that_nobody_hears_goes_with_its_last_reference(env: SyncEnvironment) -> None:
    feed = weakref.ref(env["notes"].live_changes())
    collect()
    assert feed() is None


@pytest.mark.parametrize("start", ["replicate", "sync"])
def test_a_forgotten_replication_goes_on(env: SyncEnvironment, heard: Any, start: str) -> None:
    getattr(env, start)("notes", "copy", live=True)
    collect()
    env["copy"].live_changes().on("change", heard)
    for number in range(20):
        env["notes"].put({"_id": str(number)})
        if number % 10 == 0:
            collect()
    heard.wait(20)
    env.close()
    assert not env.engine.going


def test_what_is_over_keeps_nothing(where: str) -> None:
    environment = pouchdb.setup(where, plugins=[])
    feed = environment["notes"].live_changes().on("change", print)
    handle = environment.sync("notes", "copy", live=True)
    feed.cancel()
    handle.cancel()
    feed.wait(SOON)
    handle.push.wait(SOON)
    handle.pull.wait(SOON)
    assert not environment.engine.going
    # What is still to be told is told before.
    told = threading.Event()
    environment.engine.dispatcher.call(told.set)
    assert told.wait(SOON)
    runners = environment.engine._runners
    gone = weakref.ref(environment.engine)
    del feed, handle, environment
    for runner, _ in runners:
        # Their threads let go of what they stepped last.
        runner.close(SOON)
    collect()
    assert gone() is None


# -- the end of the program --------------------------------------------------------------------------

ENDS: dict[str, str] = {
    "a sync": "handle = env['notes'].sync('copy', live=True)",
    "a sync that nobody keeps": "env['notes'].sync('copy', live=True)",
    "a sync at work": """
env['notes'].bulk_docs([{'_id': str(number)} for number in range(3000)])
handle = env['notes'].sync('copy', live=True)
""",
    "sys.exit": "handle = env['notes'].sync('copy', live=True); sys.exit(0)",
    "a server that is not there": "env['notes'].replicate_to('http://127.0.0.1:1/a', live=True, retry=True)",
    "a feed": "env['notes'].live_changes().on('change', heard); env['notes'].post({})",
    "a feed that nobody hears": "feed = env['notes'].live_changes(); env['notes'].post({})",
    "a feed that a daemon iterates": """
begun = threading.Event()
def follow():
    for row in env['notes'].live_changes(since=0):
        begun.set()
threading.Thread(target=follow, daemon=True).start()
env['notes'].post({})
begun.wait()
""",
    "daemons that write": """
begun = threading.Barrier(4)
def write():
    env['notes'].post({})
    begun.wait()
    while True:
        env['notes'].post({})
for _ in range(3):
    threading.Thread(target=write, daemon=True).start()
begun.wait()
""",
    "daemons that read": """
begun = threading.Barrier(4)
env['notes'].post({'_id': 'a'})
def read():
    begun.wait()
    while True:
        env['notes'].get('a')
        env['notes'].all_docs(include_docs=True)
for _ in range(3):
    threading.Thread(target=read, daemon=True).start()
begun.wait()
""",
    "a listener that does not return": """
called = threading.Event()
def listen(row):
    called.set()
    threading.Event().wait()
env['notes'].live_changes(since=0).on('change', listen)
env['notes'].post({})
called.wait()
""",
    "asyncio, a feed": """
async def main():
    env.async_view['notes'].live_changes().on('change', heard)
    await env.async_view['notes'].post({})
asyncio.run(main())
""",
    "asyncio, a sync": """
async def main():
    handle = env.async_view['notes'].sync('copy', live=True)
    await env.async_view['notes'].post({})
    await asyncio.sleep(0)
    return handle
kept = asyncio.run(main())
""",
    "an index that was built": """
env['notes'].put({'_id': '_design/v', 'views': {'v': {'map': 'function (doc) { emit(doc._id); }'}}})
env['notes'].query('v/v')
""",
    "a closed environment": "handle = env['notes'].sync('copy', live=True); env.close()",
    "a block": "with env: handle = env['notes'].sync('copy', live=True)",
}


@pytest.mark.parametrize("storage", ["None", "':memory:'", "sys.argv[1]"], ids=["temporary", "memory", "directory"])
@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS.keys())
def test_the_end_of_a_program_is_silent(tmp_path: Path, storage: str, code: str) -> None:
    program = f"""
import asyncio, sys, threading
import pouchdb
heard = lambda row: None
env = pouchdb.setup({storage}, plugins=[])
{code}
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    if "daemon" not in code and "live" not in code:
        # The journal is folded in, unless a thread is stopped in the middle of reading, as one of a feed may be.
        assert not list(tmp_path.glob("data/*-wal"))


def test_other_errors_of_daemons_are_printed_at_the_end(tmp_path: Path) -> None:
    program = """
import sys, threading
import pouchdb
env = pouchdb.setup(sys.argv[1], plugins=[])
begun, over = threading.Event(), threading.Event()
def work():
    begun.set()
    over.wait()
    raise ValueError("an error of the program")
thread = threading.Thread(target=work, daemon=True)
env["notes"].live_changes().on("complete", lambda result: (over.set(), thread.join()))
thread.start()
begun.wait()
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0
    assert run.stderr.count("ValueError: an error of the program") == 1


def test_what_goes_on_is_told_of_the_end(tmp_path: Path) -> None:
    program = """
import sys
import pouchdb
pouchdb.setup(sys.argv[1], plugins=[])["notes"].live_changes().on("change", print).on("complete", print)
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (
        0,
        "{'results': [], 'last_seq': 0, 'status': 'cancelled'}\n",
        "",
    )
