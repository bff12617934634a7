"""What the asynchronous interface costs over the synchronous one: a call, a thousand at once, feeds that wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from .compare import microseconds, table
from .documents import BATCH, anonymous_batches
from .scale import memory

COUNT = 1000
"""Calls a round makes; also how many of them are under way at once."""
ROUNDS = 7
FEEDS = 100


def documents(directory: Path) -> tuple[Any, list[str]]:
    import pouchdb

    env = pouchdb.setup_async(directory, plugins=[], durability="normal")
    results = env["aio"].sync_view.bulk_docs(next(anonymous_batches(BATCH)))
    return env, [each["id"] for each in results]


def per_call(rounds: list[float]) -> float:
    return median(rounds) / COUNT


def blocking(env: Any, ids: list[str], rounds: int) -> Iterator[tuple[str, float]]:
    db = env["aio"].sync_view
    times: dict[str, list[float]] = {"get": [], "put": []}
    for _ in range(rounds):
        start = perf_counter()
        for id in ids:
            db.get(id)
        times["get"].append(perf_counter() - start)
        start = perf_counter()
        for _ in range(COUNT):
            db.post({"n": 1})
        times["put"].append(perf_counter() - start)
    for name, found in times.items():
        yield name, per_call(found)


async def awaited(env: Any, ids: list[str], rounds: int) -> dict[str, float]:
    db = env["aio"]
    times: dict[str, list[float]] = {"get": [], "put": [], "get, 1,000 at once": [], "get, callback": []}
    times["get, asyncio.to_thread"] = []
    for _ in range(rounds):
        start = perf_counter()
        for id in ids:
            await db.get(id)
        times["get"].append(perf_counter() - start)
        start = perf_counter()
        for _ in range(COUNT):
            await db.post({"n": 1})
        times["put"].append(perf_counter() - start)
        start = perf_counter()
        await asyncio.gather(*map(db.get, ids))
        times["get, 1,000 at once"].append(perf_counter() - start)
        start = perf_counter()
        await called_back(db, ids)
        times["get, callback"].append(perf_counter() - start)
        # The least that a blocking call costs in asyncio: no order, no promise, no callbacks.
        start = perf_counter()
        for id in ids:
            await asyncio.to_thread(db.sync_view.get, id)
        times["get, asyncio.to_thread"].append(perf_counter() - start)
    return {name: per_call(found) for name, found in times.items()}


async def called_back(db: Any, ids: list[str]) -> None:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = len(ids)

    def called(error: Any, doc: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    for id in ids:
        db.get(id, called)
    await done


async def feeds(env: Any) -> dict[str, float]:
    """Feeds that wait: threads, memory, and how long a write takes to reach all of them."""
    db = env["feeds"]
    await db.info()
    told = 0
    come = asyncio.Event()

    def changed(row: Any) -> None:
        nonlocal told
        told += 1
        if told % FEEDS == 0:
            come.set()

    threads, before = threading.active_count(), memory("RssAnon")
    open_feeds = [db.live_changes().on("change", changed) for _ in range(FEEDS)]
    await db.put({"_id": "first"})
    await come.wait()
    figures = {"MB": memory("RssAnon") - before}
    times = []
    for n in range(20):
        come.clear()
        start = perf_counter()
        await db.put({"_id": f"n{n}"})
        await come.wait()
        times.append(perf_counter() - start)
    figures["write"] = median(times)
    # Threads without work end after a few seconds: what is left then is what waiting costs.
    await asyncio.sleep(6)
    figures["threads"] = threading.active_count() - threads
    for feed in open_feeds:
        feed.cancel()
    return figures


def aio(directory: Path, rounds: int = ROUNDS) -> None:
    env, ids = documents(directory)
    sync = dict(blocking(env, ids, rounds))
    found = asyncio.run(awaited(env, ids, rounds))
    names = list(found)
    rows = []
    for name in names:
        base = sync[name.split(",")[0]]
        rows.append([name, microseconds(base), microseconds(found[name]), microseconds(found[name] - base)])
    print("Microseconds per call, durability normal.\n")
    print("\n".join(table(["call", "synchronous", "asynchronous", "more"], rows)))
    figures = asyncio.run(feeds(env))
    print(
        f"\n{FEEDS} idle live feeds: {figures['threads']:+.0f} threads, {figures['MB'] * 1024 / FEEDS:.1f} KB each; "
        f"a write reaches all of them in {1000 * figures['write']:.1f} ms.",
    )
    env.sync_view.close()
