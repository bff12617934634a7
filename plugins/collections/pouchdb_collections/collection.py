"""A collection of a database, for programs that wait for answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pouchdb_collections.codec import Codec, Migration, Misfits
from pouchdb_collections.typed_rows import Change, Row
from pouchdb_core.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from pouchdb_core import Record, SyncPouchDB

__all__ = ["PAGE", "Collection", "codec_of"]

M = TypeVar("M")

PAGE = 500
"""Documents that are read at a time."""


def codec_of(model: type[M], options: Mapping[str, Any]) -> Codec[M]:
    """Return the rules for the options of ``db.collection``. Raises BadRequest."""
    rules = {
        "id": "id",
        "rev": "rev",
        "kind": getattr(model, "__name__", None),
        "kind_member": "type",
        "migrations": (),
        "version_member": "version",
        "misfits": None,
    }
    if unknown := set(options) - set(rules):
        raise BadRequest(f"unknown option {sorted(unknown)[0]!r}; there are: {', '.join(sorted(rules))}")
    return Codec(model, **{**rules, **options})


class Collection(Generic[M]):
    """The documents of a database that are objects of one class: ``db.collection(Model)``."""

    def __init__(
        self,
        db: SyncPouchDB,
        model: type[M],
        *,
        id: str = "id",
        rev: str = "rev",
        kind: str | None = "",
        kind_member: str = "type",
        migrations: Sequence[Migration] = (),
        version_member: str = "version",
        misfits: Misfits | None = None,
    ) -> None:
        """``id`` and ``rev`` are fields of the model that hold ``_id`` and ``_rev``, if it has them.

        ``kind`` is what documents have in the field ``kind_member``, by default the class's name; None takes every
        document of the database. ``migrations`` bring documents of earlier versions up to date when they are read: the
        first one those of version 1 to version 2, and so on. ``misfits`` gets the ModelError of each document that is
        of the collection and does not fit, where many are read: it is left out. Without it the error is raised.
        Raises BadRequest for a class that is not a model.
        """
        self._db: Any = db
        chosen = {} if kind == "" else {"kind": kind}
        self.codec = codec_of(
            model,
            {
                "id": id,
                "rev": rev,
                "kind_member": kind_member,
                "migrations": migrations,
                "version_member": version_member,
                "misfits": misfits,
                **chosen,
            },
        )

    # -- one object ------------------------------------------------------------------------------

    def get(self, id: str, rev: str | None = None) -> M:
        """Return the object with an id, at a revision if one is given. Raises NotFound, ModelError."""
        return self.codec.load(self._db.get(id) if rev is None else self._db.get(id, rev=rev))

    def put(self, value: M, *, id: str | None = None, rev: str | None = None) -> M:
        """Store an object; return it with its new revision.

        Without an id it gets one. Fields the stored document has beyond the model are kept. Raises Conflict if it was
        not made from a newest revision.
        """
        doc = self.codec.dump(value, id, rev)
        if "_rev" in doc:
            try:
                doc = self.codec.keeping(doc, self._db.get(doc["_id"], rev=doc["_rev"]))
            except NotFound:
                # That revision is gone: the write reports it.
                pass
        result = self._db.put(doc) if "_id" in doc else self._db.post(doc)
        return self.codec.stored(value, doc, result)

    def put_all(self, values: Sequence[M]) -> list[M | Record]:
        """Store new objects in one transaction; return each with its revision, or the error as bulk_docs has it."""
        docs = [self.codec.dump(value) for value in values]
        answers = zip(values, docs, self._db.bulk_docs(docs), strict=True)
        return [
            answer if answer.get("error") else self.codec.stored(value, doc, answer) for value, doc, answer in answers
        ]

    def remove(self, value: M | str, *, rev: str | None = None) -> None:
        """Delete an object, or the one with an id. Raises NotFound, Conflict, OtherKind."""
        if isinstance(value, str):
            current = self._db.get(value)
            self.codec.load(current)
            self._db.remove(value, rev or current["_rev"])
        else:
            doc = self.codec.dump(value, None, rev)
            self._db.remove(doc["_id"], doc["_rev"])

    # -- many ------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[M]:
        """Iterate over all objects in the order of their ids; other documents of the database are skipped."""
        return (each for doc in self._documents() for each in self.codec.fitting(self.codec.load, doc))

    def __contains__(self, value: object) -> bool:
        """Return whether there is an object with an id, or this very object, as it is stored now."""
        id = self.codec.id_of(value) if isinstance(value, self.codec.model) else value
        if not isinstance(id, str):
            return False
        try:
            doc = self._db.get(id)
        except NotFound:
            return False
        return self.codec.is_mine(doc) and (isinstance(value, str) or self.codec.load(doc) == value)

    def __repr__(self) -> str:
        return f"<Collection of {self.codec.model.__name__} in {self._db.name!r}>"

    def find(self, selector: Mapping[str, Any], **options: Any) -> list[M]:
        """Return the objects that a Mango selector matches (needs pouchdb-find); options are those of ``db.find``.

        The selector has the names of the document's fields; dates, UUIDs and the like are compared as they are stored.
        """
        found = self._db.find({"selector": self.codec.selector(selector), **options})
        return [each for doc in found["docs"] for each in self.codec.fitting(self.codec.load, doc)]

    def create_index(self, *fields: str) -> None:
        """Make an index that serves ``find`` for these fields (needs pouchdb-find)."""
        self._db.create_index({"index": {"fields": self.codec.indexed(fields)}})

    def query(self, view: str, **options: Any) -> list[Row[M]]:
        """Return the rows of a view whose documents are of the collection; keys may be dates, UUIDs and the like."""
        rows = self._db.query(view, **{**self.codec.keys(options), "include_docs": True})["rows"]
        mine = (row for row in rows if row.get("doc") and self.codec.is_mine(row["doc"]))
        return [each for row in mine for each in self.codec.fitting(self.codec.row, row)]

    # -- changes ---------------------------------------------------------------------------------

    def changes(self, since: int | str = 0, **options: Any) -> Iterator[Change[M]]:
        """Iterate over what has changed: each object as it is now, and the ids of deleted documents of the database."""
        while True:
            page = self._db.changes(since=since, limit=PAGE, include_docs=True, **options)
            yield from self._mine(page["results"])
            since = page["last_seq"]
            if len(page["results"]) < PAGE:
                return

    def follow(self, since: int | str = "now", **options: Any) -> Iterator[Change[M]]:
        """Iterate over changes as they happen; closing the iterator ends the feed."""
        feed = self._db.live_changes(since=since, include_docs=True, **options)
        try:
            yield from self._mine(feed)
        finally:
            feed.cancel()

    def _mine(self, rows: Any) -> Iterator[Change[M]]:
        for row in rows:
            yield from self.codec.fitting(self.codec.change, row)

    # -- conflicts and versions ------------------------------------------------------------------

    def conflicts(self) -> Iterator[list[M]]:
        """Iterate over the objects in conflict: of each all live revisions, the winner first."""
        with closing(self._db.conflicts()) as found:
            for doc in found:
                if self.codec.is_mine(doc):
                    yield from self.codec.fitting(self.revisions, doc["_id"])

    def revisions(self, id: str) -> list[M]:
        """Return the live revisions of an object, the winner first; more than one means a conflict. Raises NotFound."""
        doc = self._db.get(id, conflicts=True)
        losers = [self._db.get(id, rev=rev) for rev in doc.get("_conflicts", ())]
        return [self.codec.load(each) for each in (doc, *losers)]

    def resolve(self, id: str, merge: Callable[[list[M]], M]) -> M:
        """Settle a conflict: ``merge`` gets all live revisions, the winner first, and returns the object to keep.

        Like ``db.resolve``, it is called again when the document is edited meanwhile. Raises NotFound.
        """

        def merged(leaves: list[Any]) -> dict[str, Any]:
            kept = self.codec.dump(merge([self.codec.load(leaf) for leaf in leaves]))
            return self.codec.keeping(kept, leaves[0])

        self._db.resolve(id, merged)
        return self.get(id)

    def migrate(self) -> int:
        """Write all documents of earlier versions in the current version; return how many.

        A document that is edited meanwhile is skipped: the edit writes the new version.
        """
        count = 0
        old: list[dict[str, Any]] = []
        for doc in self._documents():
            old += self.codec.fitting(self.codec.renewed, doc)
            if len(old) == PAGE:
                count += self._written(old)
                old = []
        return count + self._written(old)

    def _written(self, docs: list[dict[str, Any]]) -> int:
        return sum(not each.get("error") for each in self._db.bulk_docs(docs)) if docs else 0

    def _documents(self) -> Iterator[Any]:
        options: dict[str, Any] = {}
        while True:
            rows = self._db.all_docs(include_docs=True, limit=PAGE, **options)["rows"]
            yield from (row["doc"] for row in rows if self.codec.is_mine(row["doc"]))
            if len(rows) < PAGE:
                return
            # The next id after the last row's, in the order of code points.
            options = {"startkey": rows[-1]["id"] + "\0"}
