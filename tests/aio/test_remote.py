"""Remote databases through the asynchronous interface, against a server: order, feeds, replication, trouble."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pouchdb import AsyncEnvironment, AsyncPouchDB, NotFound
from pouchdb_core.testing.server import couch_server

PROMPT = 2.0
"""Seconds within which what is cancelled is over; a heartbeat or a time-out would be far longer."""


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    pytest.importorskip("pouchdb_server", reason="the plug-in server is not installed: NOT TESTED over HTTP")
    with couch_server() as server:
        yield server


@pytest.fixture
def url(server: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database that does not exist yet."""
    name = f"db{abs(hash(request.node.nodeid))}"
    yield f"{server.url}/{name}"
    server.heal()


@pytest.fixture
def remote(env: AsyncEnvironment, url: str) -> AsyncPouchDB:
    return env[url]


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110  # it comes from a thread
        await asyncio.sleep(0.001)


async def test_documents(remote: AsyncPouchDB) -> None:
    assert remote.remote
    remote.put({"_id": "a", "n": 1})
    doc = await remote.get("a")
    assert doc.n == 1, "a read sees the write before it"
    remote.put({**doc, "n": 2})
    assert (await remote.get("a")).n == 2
    resp = await remote.putAttachment("a", "t", b"hello", "text/plain", (await remote.get("a"))._rev)
    assert (await remote.getAttachment("a", "t")).data == b"hello"
    await remote.bulk_docs([{"_id": f"{n:03}"} for n in range(100)])
    docs = await asyncio.gather(*(remote.get(f"{n:03}") for n in range(100)))
    assert [doc._id for doc in docs] == [f"{n:03}" for n in range(100)]
    assert len((await remote.allDocs()).rows) == 101
    assert len((await remote.changes()).results) == 101
    assert len([row async for row in remote.changes(since=0)]) == 101
    assert (await remote.remove("a", resp.rev)).ok
    assert await remote.get("a").catch(lambda error: error.message) == "deleted"
    assert (await remote.fetch("001")).json()["_id"] == "001"
    with pytest.raises(NotFound):
        await remote.get("nothing")


def test_callbacks(env: AsyncEnvironment, remote: AsyncPouchDB) -> None:
    got: list[Any] = []

    def saved(err: Any, resp: Any = None) -> None:
        got.append(resp.id)
        remote.get("nothing", failed)

    def failed(err: Any, doc: Any = None) -> None:
        got.append((err.status, err["name"], doc))

    remote.put({}, "a", saved)
    assert got == []
    assert env.context.waitUntilCalled(failed, timeout=20)
    assert got == ["a", (404, "not_found", None)]


async def test_destroying_waits_for_the_calls_before_it_however_the_database_is_called(
    server: Any, env: AsyncEnvironment, remote: AsyncPouchDB, url: str
) -> None:
    with_credentials = url.replace("http://", "http://ada:secret@")
    held = server.hold("/slow", "PUT")
    write = remote.put({"_id": "slow"})
    await until(held.hit.is_set)
    destroyed = env.destroy(with_credentials)
    replicated = env.replicate(with_credentials, "copy")
    await asyncio.sleep(0.05)
    assert not destroyed.done
    assert replicated.state == "pending"
    held.end()
    assert (await write).ok
    # A server without accounts refuses the name: what counts is when it was asked.
    await asyncio.gather(_over(destroyed), _over(replicated))
    asked = [(method, path) for method, path in server.requests if path.startswith(f"/{url.rpartition('/')[2]}")]
    assert asked.index(("PUT", f"/{url.rpartition('/')[2]}/slow")) < [method for method, _ in asked].index("DELETE")


async def _over(work: Any) -> Any:
    try:
        return await work
    except Exception as error:
        return error


async def test_a_server_that_does_not_answer_holds_back_no_other_call(
    server: Any, env: AsyncEnvironment, db: AsyncPouchDB, remote: AsyncPouchDB
) -> None:
    await remote.put({"_id": "a"})
    held = server.hold("/a$", "GET", times=None)
    asked = [remote.get("a") for _ in range(20)]
    await until(held.hit.is_set)
    assert (await db.put({"_id": "b"})).ok
    assert (await db.get("b"))._id == "b"
    start = time.monotonic()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asked[0], 0.05)
    asked[-1].cancel()
    assert time.monotonic() - start < PROMPT
    held.end()
    docs = await asyncio.gather(*asked[1:-1])
    assert {doc._id for doc in docs} == {"a"}


async def test_replications_with_a_server_that_does_not_answer_hold_back_no_local_feed(
    server: Any, env: AsyncEnvironment, db: AsyncPouchDB, url: str
) -> None:
    held = server.hold("/_bulk_docs", "POST", times=None)
    live = []
    for n in range(10):
        source = env[f"source{n}"]
        await source.put({"_id": "a"})
        live.append(source.replicate_to(f"{url}-{n}", live=True))
    await until(lambda: held.count == 10)
    feed = db.live_changes()
    await db.put({"_id": "b"})
    async for row in feed:
        assert row.id == "b"
        break
    assert (await db.replicate_to("other")).ok
    start = time.monotonic()
    for each in live:
        each.cancel()
        assert (await each).status == "cancelled"
    assert time.monotonic() - start < PROMPT


async def test_live_changes_and_their_threads(remote: AsyncPouchDB) -> None:
    await remote.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    seen: list[str] = []
    feed = remote.live_changes(since=0)
    assert not readers(), "a feed that nobody reads asks for nothing"
    async for row in feed:
        seen.append(row.id)
        if row.id == "b":
            await remote.put({"_id": "c"})
        if row.id == "c":
            break
    assert sorted(seen) == ["a", "b", "c"]
    assert len(readers()) == 1
    told: list[str] = []
    other = remote.live_changes().on("change", lambda row: told.append(row.id))
    await until(lambda: len(readers()) == 2)
    await remote.put({"_id": "d"})
    await until(lambda: told)
    assert told == ["d"]
    start = time.monotonic()
    for each in (feed, other):
        each.cancel()
        assert (await each).status == "cancelled"
    await until(lambda: not readers())
    assert time.monotonic() - start < PROMPT


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "pouchdb-feed"]


@pytest.mark.parametrize("how", ["await", "async for", "wait_for"])
async def test_cancelling_the_task_that_follows_a_feed(how: str, remote: AsyncPouchDB) -> None:
    await remote.put({"_id": "a"})
    feed = remote.live_changes()

    async def follow() -> None:
        if how == "await":
            await feed
        async for _ in feed:
            pass

    task = asyncio.create_task(follow())
    await until(readers)
    start = time.monotonic()
    if how == "wait_for":
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(task, 0.01)
    else:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (await feed).status == "cancelled"
    await until(lambda: not readers())
    assert time.monotonic() - start < PROMPT


async def test_replication_in_both_directions(env: AsyncEnvironment, db: AsyncPouchDB, remote: AsyncPouchDB) -> None:
    db.put({"_id": "here"})
    remote.put({"_id": "there"})
    result = await db.sync(remote)
    assert (result.push.docs_written, result.pull.docs_written) == (1, 1)
    assert (await env.replicate(remote, "third")).docs_written == 2
    live = db.sync(remote, live=True)
    await db.put({"_id": "b"})
    await remote.put({"_id": "c"})
    await until(lambda: "c" in db.sync_view and "b" in remote.sync_view)

    async def wait() -> None:
        await live

    await until(lambda: live.push.state == live.pull.state == "paused")
    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    start = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await live).status == "cancelled"
    assert time.monotonic() - start < PROMPT
    await until(lambda: not readers())
    # What was done is remembered.
    again = await db.sync(remote)
    assert (again.push.docs_read, again.pull.docs_read) == (0, 0)
    assert not env.engine.live


async def test_trouble_reaches_who_waits(server: Any, env: AsyncEnvironment, remote: AsyncPouchDB) -> None:
    await remote.put({"_id": "a"})
    server.garble("/a$", "GET", times=None)
    got: list[Any] = []
    promise = remote.get("a", lambda err, doc=None: got.append((err, doc)))
    with pytest.raises(Exception, match="JSON"):
        await promise
    await until(lambda: got)
    assert got[0][1] is None
    assert got[0][0]["status"] >= 400
    server.heal()
    # A moment's trouble is nobody's: it is asked again.
    server.fail(503, "/a$", "GET")
    assert (await remote.get("a"))._id == "a"


async def test_closing_the_environment_ends_what_goes_on(env: AsyncEnvironment, db: AsyncPouchDB, url: str) -> None:
    async with env:
        remote = env[url]
        await remote.put({"_id": "a"})
        feed = remote.live_changes().on("change", print)
        replication = db.replicate_from(remote, live=True)
        await until(lambda: replication.state == "paused" and readers())
        start = time.monotonic()
    assert time.monotonic() - start < PROMPT
    assert (await feed).status == "cancelled"
    assert (await replication).status == "cancelled"
    ours = ("pouchdb-call", "pouchdb-remote", "pouchdb-long", "pouchdb-worker", "pouchdb-feed")
    await until(lambda: not [each for each in threading.enumerate() if each.name.startswith(ours)])
