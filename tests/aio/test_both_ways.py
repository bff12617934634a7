"""Both ways of a sync at once: a document that one brings while the other reads it moves behind the end of its feed."""

from __future__ import annotations

import asyncio

import pouchdb


def test_a_sync_leaves_no_leaf_on_one_side() -> None:
    asyncio.run(_sync_often())


async def _sync_often() -> None:
    async with pouchdb.setup_async(":memory:") as environment:
        for number in range(150):
            here, there = environment[f"here{number}"], environment[f"there{number}"]
            rev = (await here.put({"_id": "a", "n": 1}))["rev"]
            await here.sync(there)
            await here.put({"_id": "a", "_rev": rev, "n": "here"})
            await there.remove("a", rev)
            await here.sync(there)
            leaves = [len(await each.get("a", open_revs="all")) for each in (here, there)]
            assert leaves == [2, 2], number
