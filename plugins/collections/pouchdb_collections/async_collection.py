"""A collection of a database, for asynchronous programs: the same calls, to be awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pouchdb_collections.collection import PAGE, Collection
from pouchdb_collections.typed_rows import Change, Row
from pouchdb_core.errors import NotFound

if TYPE_CHECKING:
    from pouchdb_core import Record
    from pouchdb_core.aio import AsyncPouchDB

__all__ = ["AsyncCollection"]

M = TypeVar("M")


class AsyncCollection(Generic[M]):
    """What ``db.collection(Model)`` returns of an asynchronous database; see ``Collection`` for the calls."""

    def __init__(self, db: AsyncPouchDB, model: type[M], **options: Any) -> None:
        """The options are those of ``Collection``. Raises BadRequest for a class that is not a model."""
        self._db: Any = db
        self.codec = Collection(db.sync_view, model, **options).codec

    async def get(self, id: str, rev: str | None = None) -> M:
        """Return the object with an id. Raises NotFound, ModelError."""
        return self.codec.load(await (self._db.get(id) if rev is None else self._db.get(id, rev=rev)))

    async def put(self, value: M, *, id: str | None = None, rev: str | None = None) -> M:
        """Store an object; return it with its new revision. Raises Conflict."""
        doc = self.codec.dump(value, id, rev)
        if "_rev" in doc:
            try:
                doc = self.codec.keeping(doc, await self._db.get(doc["_id"], rev=doc["_rev"]))
            except NotFound:
                # That revision is gone: the write reports it.
                pass
        result = await (self._db.put(doc) if "_id" in doc else self._db.post(doc))
        return self.codec.stored(value, doc, result)

    async def put_all(self, values: Sequence[M]) -> list[M | Record]:
        """Store new objects in one transaction; return each with its revision, or the error as bulk_docs has it."""
        docs = [self.codec.dump(value) for value in values]
        answers = zip(values, docs, await self._db.bulk_docs(docs), strict=True)
        return [
            answer if answer.get("error") else self.codec.stored(value, doc, answer) for value, doc, answer in answers
        ]

    async def remove(self, value: M | str, *, rev: str | None = None) -> None:
        """Delete an object, or the one with an id. Raises NotFound, Conflict, OtherKind."""
        if isinstance(value, str):
            current = await self._db.get(value)
            self.codec.load(current)
            await self._db.remove(value, rev or current["_rev"])
        else:
            doc = self.codec.dump(value, None, rev)
            await self._db.remove(doc["_id"], doc["_rev"])

    async def __aiter__(self) -> AsyncIterator[M]:
        """Iterate over all objects in the order of their ids."""
        async for doc in self._documents():
            for each in self.codec.fitting(self.codec.load, doc):
                yield each

    def __repr__(self) -> str:
        return f"<AsyncCollection of {self.codec.model.__name__} in {self._db.name!r}>"

    async def find(self, selector: Mapping[str, Any], **options: Any) -> list[M]:
        """Return the objects that a Mango selector matches (needs pouchdb-find)."""
        found = await self._db.find({"selector": self.codec.selector(selector), **options})
        return [each for doc in found["docs"] for each in self.codec.fitting(self.codec.load, doc)]

    async def create_index(self, *fields: str) -> None:
        """Make an index that serves ``find`` for these fields (needs pouchdb-find)."""
        await self._db.create_index({"index": {"fields": self.codec.indexed(fields)}})

    async def query(self, view: str, **options: Any) -> list[Row[M]]:
        """Return the rows of a view whose documents are of the collection."""
        found = await self._db.query(view, **{**self.codec.keys(options), "include_docs": True})
        mine = (row for row in found["rows"] if row.get("doc") and self.codec.is_mine(row["doc"]))
        return [each for row in mine for each in self.codec.fitting(self.codec.row, row)]

    async def changes(self, since: int | str = 0, **options: Any) -> AsyncIterator[Change[M]]:
        """Iterate over what has changed: each object as it is now, and the ids of deleted documents of the database."""
        while True:
            page = await self._db.changes(since=since, limit=PAGE, include_docs=True, **options)
            for row in page["results"]:
                for change in self.codec.fitting(self.codec.change, row):
                    yield change
            since = page["last_seq"]
            if len(page["results"]) < PAGE:
                return

    async def follow(self, since: int | str = "now", **options: Any) -> AsyncIterator[Change[M]]:
        """Iterate over changes as they happen; closing the iterator ends the feed."""
        feed = self._db.live_changes(since=since, include_docs=True, **options)
        try:
            async for row in feed:
                for change in self.codec.fitting(self.codec.change, row):
                    yield change
        finally:
            feed.cancel()

    async def conflicts(self) -> AsyncIterator[list[M]]:
        """Iterate over the objects in conflict: of each all live revisions, the winner first."""
        async for doc in await self._db.conflicts():
            if self.codec.is_mine(doc):
                leaves = await self._leaves(doc["_id"])
                for revisions in self.codec.fitting(self.codec.load_all, leaves):
                    yield revisions

    async def revisions(self, id: str) -> list[M]:
        """Return the live revisions of an object, the winner first; more than one means a conflict. Raises NotFound."""
        return self.codec.load_all(await self._leaves(id))

    async def _leaves(self, id: str) -> list[Any]:
        doc = await self._db.get(id, conflicts=True)
        return [doc, *[await self._db.get(id, rev=rev) for rev in doc.get("_conflicts", ())]]

    async def resolve(self, id: str, merge: Callable[[list[M]], M]) -> M:
        """Settle a conflict: ``merge`` gets all live revisions, the winner first, and returns the object to keep.

        It is called on a thread of the database's. Raises NotFound.
        """

        def merged(leaves: list[Any]) -> dict[str, Any]:
            kept = self.codec.dump(merge([self.codec.load(leaf) for leaf in leaves]))
            return self.codec.keeping(kept, leaves[0])

        await self._db.resolve(id, merged)
        return await self.get(id)

    async def migrate(self) -> int:
        """Write all documents of earlier versions in the current version; return how many."""
        count = 0
        old: list[dict[str, Any]] = []
        async for doc in self._documents():
            old += self.codec.fitting(self.codec.renewed, doc)
            if len(old) == PAGE:
                count += await self._written(old)
                old = []
        return count + await self._written(old)

    async def _written(self, docs: list[dict[str, Any]]) -> int:
        return sum(not each.get("error") for each in await self._db.bulk_docs(docs)) if docs else 0

    async def _documents(self) -> AsyncIterator[Any]:
        options: dict[str, Any] = {}
        while True:
            rows = (await self._db.all_docs(include_docs=True, limit=PAGE, **options))["rows"]
            for row in rows:
                if self.codec.is_mine(row["doc"]):
                    yield row["doc"]
            if len(rows) < PAGE:
                return
            options = {"startkey": rows[-1]["id"] + "\0"}
