"""conflicts(): rows that are read as they are asked for, without blocking the loop."""

from __future__ import annotations

import threading

import pytest

from pouchdb import AsyncEnvironment, AsyncPouchDB
from pouchdb_core.aio import AsyncRows
from pouchdb_core.errors import BadRequest, DatabaseClosed

COUNT = 250


@pytest.fixture
def torn(db: AsyncPouchDB) -> AsyncPouchDB:
    """Two hundred and fifty documents with a conflict each."""
    docs = [{"_id": f"{n:03}", "_rev": rev} for n in range(COUNT) for rev in ("1-a", "1-b")]
    db.sync_view.bulk_docs(docs, new_edits=False)
    return db


async def test_all_are_read_on_other_threads(torn: AsyncPouchDB, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()
    read = type(torn.sync_view.adapter).conflicts

    def watched(adapter: object) -> object:
        for row in read(adapter):  # type: ignore[arg-type]  # it is one
            threads.add(threading.get_ident())
            yield row

    monkeypatch.setattr(type(torn.sync_view.adapter), "conflicts", watched)
    rows = await torn.conflicts()
    assert isinstance(rows, AsyncRows)
    assert threads == set(), "nothing is read before it is asked for"
    assert [row._id async for row in rows] == [f"{n:03}" for n in range(COUNT)]
    assert threads
    assert threading.get_ident() not in threads
    assert [row async for row in rows] == []


async def test_other_calls_go_on_between_the_slices(torn: AsyncPouchDB) -> None:
    resolved = 0
    async for row in await torn.conflicts():
        await torn.resolve(row._id, row._rev)
        resolved += 1
    assert resolved == COUNT
    assert [row async for row in await torn.conflicts()] == []


async def test_exactly_one_slice(db: AsyncPouchDB) -> None:
    docs = [{"_id": f"{n:03}", "_rev": rev} for n in range(100) for rev in ("1-a", "1-b")]
    await db.bulk_docs(docs, new_edits=False)
    assert len([row async for row in await db.conflicts()]) == 100


def test_without_a_loop(env: AsyncEnvironment, torn: AsyncPouchDB) -> None:
    heard: list[object] = []
    torn.conflicts(lambda error, rows: heard.extend(row._id for row in rows))
    env.run(timeout=20)
    assert len(heard) == COUNT


async def test_errors(env: AsyncEnvironment, torn: AsyncPouchDB) -> None:
    with pytest.raises(BadRequest, match="nonsense"):
        await torn.conflicts(nonsense=1)  # type: ignore[call-arg]
    rows = await torn.conflicts()
    await anext(rows)
    await env.close()
    with pytest.raises(DatabaseClosed):
        async for _ in rows:
            pass
