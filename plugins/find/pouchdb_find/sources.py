"""The sources of the documents that a query tests: an index, all documents, or several indexes joined.

A source returns a batch of documents at a time, each with its position in the order of rows. A batch is one snapshot:
its rows and its documents are read together. No transaction is open in between.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from pouchdb_core.documents.listing import RawDocument
from pouchdb_core.jsontext import dump
from pouchdb_core.requests import PLAIN, Listing, ReadOptions
from pouchdb_core.results import Record
from pouchdb_core.views.collation import Encode
from pouchdb_core.views.follow import Follower
from pouchdb_core.views.register import indexes
from pouchdb_find.definitions import Definition
from pouchdb_find.intervals import Intervals, intersect, of_ids
from pouchdb_find.mango_index import KIND, MangoIndex
from pouchdb_find.planner import Plan
from pouchdb_find.selectors import Selector
from pouchdb_find.spans import Position, Range, Reading

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["Batch", "DocumentSource", "IndexSource", "Source", "TextSource", "UnionSource", "follower_of"]

NO_DESIGN_DOCUMENTS: Intervals[str] = [("", "_design/"), ("_design0", None)]
_CONFLICTS = ReadOptions(conflicts=True)
_FIRST_IDS, _MOST_IDS = 1000, 50_000
_HITS = 200
"""Hits that a search returns at a time."""


class Batch(NamedTuple):
    """Some documents in order."""

    documents: Sequence[RawDocument]
    positions: Sequence[Position] | None
    """Where each is in the order of rows; None in the order of ids, where the id is the position."""
    keys: int
    """How many rows of an index were read for them."""
    last: bool
    """There are no more."""


class Source(ABC):
    """Returns documents in order."""

    @abstractmethod
    def batch(self, size: int) -> Batch:
        """Return about ``size`` documents."""


def follower_of(database: SyncPouchDB, designs: Sequence[Record], definition: Definition) -> Follower:
    """Return the object that keeps a definition's index up to date; ``designs`` are the design documents just read."""
    ddoc = next(each for each in designs if each["_id"] == definition.ddoc)
    return indexes(database).follower(database, KIND, ddoc, designs=designs)


def _number(follower: Follower, definition: Definition) -> int:
    index = follower.index
    assert isinstance(index, MangoIndex)
    return index.number(definition.name)


class _Reader:
    """Reads documents on behalf of the database object's user."""

    def __init__(self, database: SyncPouchDB, conflicts: bool) -> None:
        self._database = database
        self._options = _CONFLICTS if conflicts else PLAIN

    def list(self, **options: Any) -> list[RawDocument]:
        database = self._database
        plain = database.lists_plainly
        request = Listing(
            raw=plain,
            include_docs=True,
            options=self._options,
            user=database.user,
            purpose=database.purpose,
            **options,
        )
        rows: list[Any] = database.plugins.list(database, request)["rows"]
        return rows if plain else [_raw(row["doc"]) for row in rows if row.get("doc") is not None]

    def of_ids(self, ids: Sequence[str]) -> dict[str, RawDocument]:
        return {doc.id: doc for doc in self.list(keys=tuple(ids))} if ids else {}


def _raw(doc: Record) -> RawDocument:
    """Return a document that a plug-in changed when it was read as if it were stored so."""
    return RawDocument(
        doc["_id"], doc["_rev"], dump({key: value for key, value in doc.items() if key not in ("_id", "_rev")})
    )


class IndexSource(Source):
    """Documents in the order of an index; with ``update`` its first batch brings the index up to date."""

    def __init__(
        self,
        database: SyncPouchDB,
        designs: Sequence[Record],
        plan: Plan,
        encode: Encode,
        *,
        descending: bool,
        update: bool,
        conflicts: bool,
        after: Position | None,
    ) -> None:
        assert plan.definition is not None
        self.reading = Reading(plan.definition, plan.selector, encode)
        self._database, self._label, self._update = database, plan.definition.label, update
        self._follower = follower_of(database, designs, plan.definition)
        self._number = _number(self._follower, plan.definition)
        self._reader = _Reader(database, conflicts)
        self._ranges: Iterator[Range] = self.reading.after(after, descending)
        self._range = next(self._ranges, None)

    def batch(self, size: int) -> Batch:
        follower = self._follower
        if self._update:
            self._update = False
            with follower.store.snapshot():
                # It is looked at and read in one state: where each statement takes long, none is for looking alone.
                if follower.current() is not None:
                    return self._read(size)
            follower.update(self._database, self._label)
        with follower.store.snapshot():
            return Batch((), (), 0, True) if follower.entry() is None else self._read(size)

    def _read(self, size: int) -> Batch:
        rows: list[Position] = []
        tables = self._follower.place.tables
        while self._range is not None and len(rows) < size:
            wanted = size - len(rows)
            found = self._range.read(tables, self._number, wanted)
            rows += found
            if len(found) < wanted:
                self._range = next(self._ranges, None)
        documents = self._reader.of_ids([row[-1] for row in rows])
        if len(documents) < len(rows):
            rows = [row for row in rows if row[-1] in documents]
        return Batch([documents[row[-1]] for row in rows], rows, len(rows), self._range is None)


class DocumentSource(Source):
    """Documents in the order of their ids, without design documents."""

    def __init__(
        self, database: SyncPouchDB, selector: Selector, *, descending: bool, conflicts: bool, after: Position | None
    ) -> None:
        self._reader = _Reader(database, conflicts)
        self._descending = descending
        intervals = intersect(NO_DESIGN_DOCUMENTS, of_ids(selector))
        if after is not None:
            # The rows read are truncated.
            id = after[-1]
            intervals = intersect([("", id)] if descending else [(id + "\0", None)], intervals)
        # Removed from the end.
        self._left = intervals if descending else intervals[::-1]

    def batch(self, size: int) -> Batch:
        found: list[RawDocument] = []
        while self._left and len(found) < size:
            low, high = self._left.pop()
            if high == low + "\0":
                found += self._points(low, size)
                continue
            wanted = size - len(found)
            rows = self._range(low, high, wanted)
            if len(rows) == wanted:
                last = rows[-1].id
                self._left.append((low, last) if self._descending else (last + "\0", high))
            found += rows
        return Batch(found, None, len(found), not self._left)

    def _range(self, low: str, high: str | None, limit: int) -> list[RawDocument]:
        if not self._descending:
            return self._reader.list(startkey=low or None, endkey=high, inclusive_end=False, limit=limit)
        rows = self._reader.list(startkey=high, endkey=low or None, limit=limit + 1, descending=True)
        # A listing includes its start key.
        return [doc for doc in rows if doc.id != high][:limit]

    def _points(self, first: str, size: int) -> list[RawDocument]:
        """Read single ids together."""
        ids = [first]
        while self._left and len(ids) < size and self._left[-1][1] == self._left[-1][0] + "\0":
            ids.append(self._left.pop()[0])
        documents = self._reader.of_ids(ids)
        return [documents[id] for id in ids if id in documents]


class TextSource(Source):
    """Documents that a text index finds, the best first. Their positions are their indexes among all hits."""

    def __init__(
        self, database: SyncPouchDB, plan: Plan, *, update: bool, conflicts: bool, after: Position | None
    ) -> None:
        assert plan.text is not None
        self._reader = _Reader(database, conflicts)
        self._path, self._words, self._search = plan.text.path, plan.words, getattr(database, "search")  # noqa: B009
        self._place = 0 if after is None else int(after[0])
        # The first page brings the index up to date; the others continue in the same state.
        self._stale = None if update else "ok"

    def batch(self, size: int) -> Batch:
        wanted = min(size, _HITS)
        rows = self._search(self._path, q=self._words, limit=wanted, skip=self._place, stale=self._stale)["rows"]
        self._stale = "ok"
        ids = [row["id"] for row in rows]
        documents = self._reader.of_ids(ids)
        found = [(documents[id], place) for place, id in enumerate(ids, self._place + 1) if id in documents]
        self._place += len(ids)
        positions = [(b"%d" % place, doc.id) for doc, place in found]
        return Batch([doc for doc, _ in found], positions, len(ids), len(ids) < wanted)


class UnionSource(Source):
    """Documents that are in one of several indexes, in the order of ids, each once.

    With ``update`` the first batch brings the indexes up to date.
    """

    def __init__(
        self,
        database: SyncPouchDB,
        designs: Sequence[Record],
        plans: Sequence[Plan],
        encode: Encode,
        *,
        update: bool,
        conflicts: bool,
        after: Position | None,
    ) -> None:
        self._database, self._update = database, update
        self._reader = _Reader(database, conflicts)
        self._parts = [_Part(database, designs, plan, encode, self._reader) for plan in plans]
        self._followers = [part.follower for part in self._parts if part.follower is not None]
        self._after = "" if after is None else after[-1]
        self._ids: list[str] = []
        self._size, self._last = _FIRST_IDS, False

    def batch(self, size: int) -> Batch:
        if self._update:
            self._update = False
            with self._snapshot():
                if all(each.current() is not None for each in self._followers):
                    return self._read(size)
            for each in self._followers:
                each.update(self._database)
        with self._snapshot():
            return self._read(size)

    def _snapshot(self) -> AbstractContextManager[None]:
        """All parts are read in one state."""
        return self._followers[0].store.snapshot() if self._followers else nullcontext()

    def _read(self, size: int) -> Batch:
        keys = 0
        if not self._ids and not self._last:
            keys = self._more()
        ids, self._ids = self._ids[:size], self._ids[size:]
        documents = self._reader.of_ids(ids)
        there = [documents[id] for id in ids if id in documents]
        return Batch(there, None, keys, self._last and not self._ids)

    def _more(self) -> int:
        pages = [part.ids(self._after, self._size) for part in self._parts]
        # Beyond the end of a full page there may be more that precede those of another index.
        ends = [page[-1] for page in pages if len(page) == self._size]
        end = min(ends, default=None)
        self._ids = sorted({id for page in pages for id in page if end is None or id <= end})
        self._last = end is None
        if self._ids:
            self._after = self._ids[-1]
        self._size = min(self._size * 4, _MOST_IDS)
        return sum(map(len, pages))


class _Part:
    """One alternative of a union."""

    def __init__(
        self, database: SyncPouchDB, designs: Sequence[Record], plan: Plan, encode: Encode, reader: _Reader
    ) -> None:
        self.follower: Follower | None = None
        self._reader, self._selector = reader, plan.selector
        if plan.definition is not None:
            self._reading = Reading(plan.definition, plan.selector, encode)
            self.follower = follower_of(database, designs, plan.definition)
            self._number = _number(self.follower, plan.definition)

    def ids(self, after: str, limit: int) -> list[str]:
        if self.follower is not None:
            if self.follower.entry() is None:
                return []
            return self._reading.ids(self.follower.place.tables, self._number, after, limit)
        found: list[str] = []
        intervals = intersect(NO_DESIGN_DOCUMENTS, of_ids(self._selector))
        rest: Intervals[str] = [(after + "\0" if after else "", None)]
        for low, high in intersect(rest, intervals):
            if high == low + "\0":
                found.append(low)
            else:
                rows = self._reader.list(startkey=low, endkey=high, inclusive_end=False, limit=limit - len(found))
                found += [doc.id for doc in rows]
            if len(found) >= limit:
                break
        return found
