"""What asynchronous programs write: must pass mypy --strict and pyright. Never run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typing_extensions import assert_type

import pouchdb
from pouchdb.setup import setup_async
from pouchdb_core import Record, SyncPouchDB, Table, operation
from pouchdb_core.aio import AsyncFeed, AsyncReplication, AsyncRows, AsyncSync
from pouchdb_core.documents.attachments import Blob
from pouchdb_core.methods import Asynchronous

env = pouchdb.setup("data", async_=True)
assert_type(env, pouchdb.AsyncEnvironment)
assert_type(pouchdb.setup("data", True, "file:///"), pouchdb.AsyncEnvironment)
assert_type(pouchdb.setup(async_=True, plugins=[]), pouchdb.AsyncEnvironment)
assert_type(pouchdb.setup("data", bool(input())), pouchdb.SyncEnvironment | pouchdb.AsyncEnvironment)
assert_type(setup_async("data", plugins=[]), pouchdb.AsyncEnvironment)
assert_type(env.sync_view, pouchdb.SyncEnvironment)
assert_type(env.sync_view.async_view, pouchdb.AsyncEnvironment)
assert_type(env.as_user({"name": "ada"}), pouchdb.AsyncEnvironment)
assert_type(env.on("created", print).once("destroyed", print), pouchdb.AsyncEnvironment)
assert_type(env.context.wait_until_called([print], timeout=1), bool)

db = env["notes"]
assert_type(db, pouchdb.AsyncPouchDB)
assert_type(env.PouchDB("notes", auto_compaction=True), pouchdb.AsyncPouchDB)
assert_type(db.as_user({"name": "ada"}), pouchdb.AsyncPouchDB)
assert_type(db.sync_view, pouchdb.SyncPouchDB)
assert_type(db.sync_view.get("a"), Record)
assert_type(db.sync_view.find({"selector": {}}), Table)
assert_type(db.find(selector={}), pouchdb.Promise[Table])
assert_type(db.get("a"), pouchdb.Promise[Record])
assert_type(env.run(db.get("a")), Record)
assert_type(env.run(db.revs_limit()), int)


def tagged(db: SyncPouchDB, tag: str, *, limit: int | None = None) -> list[Record]:
    return []


class Typed(Asynchronous):
    tagged_documents = taggedDocuments = operation(tagged, reads=True)


async def main() -> None:
    async with env as same:
        assert_type(same, pouchdb.AsyncEnvironment)
    assert_type(await db.get("a"), Record)
    assert_type(await db.get("a", "1-a", revs=True), Record)
    assert_type((await db.get("a")).title, Any)
    assert_type(await db.put({"_id": "a"}), Record)
    assert_type(await db.bulkDocs([{"_id": "a"}], atomic=True), list[Record])
    assert_type(await db.allDocs(include_docs=True), Table)
    assert_type(await db.get_attachment("a", "t"), Blob)
    assert_type(await db.id(), str)
    assert_type(await db.conflicts(), AsyncRows[Record])
    assert_type([doc async for doc in await db.conflicts()], list[Record])
    assert_type(await db.compact(), None)
    assert_type(await env.names(), list[str])
    assert_type(await env.all_dbs(), list[str])
    assert_type(await env.allDbs(), list[str])
    assert_type(env.sync_view.all_dbs(), list[str])
    assert_type(await env.destroy("notes"), Record)
    assert_type(await env.close(), None)
    assert_type(await Typed().tagged_documents("red", limit=5), list[Record])
    assert_type(await Typed().taggedDocuments("red"), list[Record])
    # Chains.
    assert_type(await db.get("a").finally_(lambda: None), Record)
    number: Callable[[Record], int] = lambda doc: len(doc)  # noqa: E731
    await db.get("a").then(number).catch(lambda error: None)
    # What goes on.
    assert_type(db.changes(), AsyncFeed)
    assert_type(await db.changes(limit=5), Record)
    assert_type(db.live_changes().on("change", print), AsyncFeed)
    async for row in db.changes(live=True):
        assert_type(row, Record)
    async for row in db.liveChanges(since=0):
        assert_type(row, Record)
    assert_type(db.replicate_to("other", live=True), AsyncReplication)
    assert_type(await db.replicateFrom("other"), Record)
    assert_type(await env.replicate("a", db), Record)
    assert_type(env.sync("a", "b"), AsyncSync)
    assert_type(db.sync("b").push, AsyncReplication)
    async for change in db.sync("b", live=True):
        assert_type(change, Record)
