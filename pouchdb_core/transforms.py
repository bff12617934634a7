"""Documents changed when they are written and read: ``pouchdb_transforms`` applied to whole operations.

A database without a transform does not use this, even if others of its engine do.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pouchdb_core.changes.filters import BatchFilter, judge_of
from pouchdb_core.changes.raw import RawChange
from pouchdb_core.documents.listing import RawDocument
from pouchdb_core.documents.packed import Packed
from pouchdb_core.documents.parse import LOCAL, mapping
from pouchdb_core.errors import NotFound, PluginError, PouchDBError
from pouchdb_core.jsontext import dump
from pouchdb_core.requests import Administer, Changes, Listing, Query, Read, Write
from pouchdb_core.results import Outcome, Record
from pouchdb_core.safe_repr import safe_repr

__all__ = ["Transform", "Transforms"]

MORE = 100
"""How many rows are read at least in place of those that are hidden."""


class Transform:
    """What a plug-in does to the documents of one database; override one method or both.

    Replications move documents as they are stored, in both directions, so a transform leaves those alone unless it
    means the other replicas too: writes have ``request.new_edits`` False (also those of a peer over HTTP), reads have
    ``request.purpose`` ``"replication"``. Indexes (``"index"``) see what ``outgoing`` makes of a document. ``_local/``
    documents are never transformed.
    """

    def incoming(self, doc: Record, request: Write) -> Mapping[str, Any]:
        """Return the document to store in place of ``doc``, before it is checked and gets its revision.

        ``doc`` is a copy, free to be changed. It has an ``_id``; a deletion has ``_deleted``; attachments are as given
        by the caller. A PouchDBError becomes this document's result, the others of the call continue.
        """
        return doc

    def outgoing(self, doc: Record, request: Read | Listing | Query | Changes | Administer) -> Mapping[str, Any] | None:
        """Return what a reader gets in place of ``doc``, a copy; None hides the document from this request."""
        return doc


class Transforms:
    """All transforms of one database: incoming in the order of the plug-ins, outgoing in the opposite one."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self._in = [each for each in transforms if type(each).incoming is not Transform.incoming]
        self._out = [each for each in reversed(transforms) if type(each).outgoing is not Transform.outgoing]
        self.writes = bool(self._in)
        """Whether documents may change when they are written."""
        self.reads = bool(self._out)
        """Whether documents may change when they are read."""

    # -- in ------------------------------------------------------------------------------------------

    def write(
        self, request: Write, new_id: Callable[[], str], write: Callable[[Write], Sequence[Outcome]]
    ) -> Sequence[Outcome]:
        """Write the documents of ``request`` as they are to be stored; one outcome each, in input order."""
        docs: list[Any] = []
        places: list[int] = []
        outcomes: list[Outcome] = [Record()] * len(request.docs)
        for place, given in enumerate(request.docs):
            try:
                docs.append(self._stored(given, request, new_id))
                places.append(place)
            except PouchDBError as error:
                if request.atomic:
                    raise
                outcomes[place] = error
        if docs:
            for place, outcome in zip(places, write(replace(request, docs=docs)), strict=True):
                outcomes[place] = outcome
        return outcomes

    def _stored(self, given: Any, request: Write, new_id: Callable[[], str]) -> Any:
        doc = given.document() if isinstance(given, Packed) else _copy(mapping(given))
        id = doc.get("_id")
        if id is None and "_id" not in doc and request.new_edits:
            id = doc["_id"] = new_id()
        if not isinstance(id, str) or id.startswith(LOCAL):
            # The write reports what is wrong with an id.
            return given
        for transform in self._in:
            try:
                doc = transform.incoming(doc, request)
            except PouchDBError as error:
                error.details.setdefault("id", id)
                raise
            if not isinstance(doc, Mapping):
                raise PluginError(f"{transform!r}: incoming() must return a document, not {safe_repr(doc)}")
            if doc.get("_id") != id:
                raise PluginError(f"{transform!r}: incoming() must not change the _id {id!r}")
            if not isinstance(doc, Record):
                doc = Record(doc)
        return doc

    # -- out -----------------------------------------------------------------------------------------

    def document(self, doc: Record, request: Any) -> Record | None:
        """Return what the reader gets of a document; None if it is hidden."""
        if doc["_id"].startswith(LOCAL):
            return doc
        for transform in self._out:
            shown = transform.outgoing(doc, request)
            if shown is None:
                return None
            if not isinstance(shown, Mapping):
                raise PluginError(f"{transform!r}: outgoing() must return a document or None, not {safe_repr(shown)}")
            doc = shown if isinstance(shown, Record) else Record(shown)
        return doc

    def read(self, request: Read, read: Callable[[Read], Any]) -> Any:
        """Do a read; hidden documents are missing. Raises NotFound."""
        if request.attachment is not None:
            if self.document(read(Read(request.id, request.rev)), request) is None:
                raise NotFound(id=request.id)
            return read(request)
        answer = read(request)
        if request.packed:
            return [self._unpacked(each, request) for each in answer]
        if request.items is not None:
            for result in answer["results"]:
                result["docs"] = [self._result(result["id"], each, request) for each in result["docs"]]
            return answer
        if request.open_revs is None:
            doc = self.document(answer, request)
            if doc is None:
                raise NotFound(id=request.id)
            return doc
        leaves = [self._leaf(each, request) for each in answer]
        if request.open_revs != "all":
            return leaves
        # Hidden ones were not requested.
        leaves = [each for each in leaves if "ok" in each]
        if answer and not leaves:
            raise NotFound(id=request.id)
        return leaves

    def _unpacked(self, found: Packed | Record | None, request: Read) -> Record | None:
        if found is None:
            return None
        return self.document(found.document() if isinstance(found, Packed) else found, request)

    def _leaf(self, answer: Record, request: Read) -> Record:
        if "ok" not in answer:
            return answer
        doc = self.document(answer["ok"], request)
        return Record(missing=answer["ok"]["_rev"]) if doc is None else Record(ok=doc)

    def _result(self, id: str, answer: Record, request: Read) -> Record:
        answer = self._leaf(answer, request)
        if "missing" not in answer:
            return answer
        return Record(error=Record(id=id, rev=answer["missing"], error="not_found", reason="missing"))

    def listing(self, request: Listing, read: Callable[[Listing], Record]) -> Record:
        """List what the reader may see: a row whose document is hidden is left out, and the next ones move up."""
        answer = read(request)
        page = answer["rows"]
        rows = self._rows(request, page)
        if request.keys is None and request.limit is not None:
            read_last = request.limit
            while len(rows) < request.limit and page and len(page) == read_last:
                read_last = max(MORE, request.limit - len(rows))
                page = read(replace(request, startkey=page[-1].id, skip=1, limit=read_last))["rows"]
                rows += self._rows(request, page)
            del rows[request.limit :]
        answer["rows"] = rows
        return answer

    def _rows(self, request: Listing, rows: Sequence[Any]) -> list[Any]:
        shown: list[Any] = []
        for row in rows:
            if isinstance(row, RawDocument):
                doc = self.document(row.document(), request)
                if doc is not None:
                    body = {name: value for name, value in doc.items() if name not in ("_id", "_rev")}
                    shown.append(row._replace(body=dump(body)))
                continue
            if isinstance(row.get("doc"), Record):
                row["doc"] = self.document(row["doc"], request)
                if row["doc"] is None:
                    if request.keys is not None:
                        shown.append(Record(key=row["key"], error="not_found"))
                    continue
            shown.append(row)
        return shown

    def query(self, request: Query, answer: Record) -> Record:
        """Give the rows of a server's view the documents that the reader may see; null for one that is hidden."""
        for row in answer["rows"]:
            if isinstance(row.get("doc"), Record):
                row["doc"] = self.document(row["doc"], request)
        return answer

    def documents(self, request: Administer, docs: Iterator[Record]) -> Iterator[Record]:
        """Yield documents except hidden ones."""
        for doc in docs:
            shown = self.document(doc, request)
            if shown is not None:
                yield shown

    def changes(self, request: Changes, changes: Callable[[Changes], Iterator[Any]]) -> Iterator[Any]:
        """Return the feed: filters judge, and readers get, what the reader may see of each document."""
        wanted = None if isinstance(request.filter, str) else judge_of(request)
        if wanted is not None:
            request = replace(request, filter=self._filter(wanted, request))
        # Asked at once, so that errors of the request are reported at once.
        rows = changes(request)
        return self._feed(request, rows) if request.raw or request.include_docs else rows

    def _filter(self, wanted: BatchFilter, request: Changes) -> BatchFilter:
        def judge(docs: Sequence[Record]) -> Sequence[bool]:
            shown = [self.document(doc, request) for doc in docs]
            verdicts = iter(wanted.judge([doc for doc in shown if doc is not None]))
            return [doc is not None and next(verdicts) for doc in shown]

        made = BatchFilter(judge)
        made.size = wanted.size
        return made

    def _feed(self, request: Changes, rows: Iterator[Any]) -> Generator[Any, None, Any]:
        while True:
            try:
                row = next(rows)
            except StopIteration as stop:
                return stop.value
            if isinstance(row, RawChange):
                yield self._raw(request, row)
            elif isinstance(row, Record) and isinstance(row.get("doc"), Record):
                row["doc"] = self.document(row["doc"], request)
                if row["doc"] is not None:
                    yield row
            else:
                yield row

    def _raw(self, request: Changes, row: RawChange) -> RawChange:
        if row.deleted:
            return row
        doc = self.document(row.document(), request)
        # To an index, hidden documents do not exist.
        return row._replace(deleted=True, text=b"") if doc is None else row._replace(text=dump(doc))


def _copy(value: Any) -> Any:
    """Copy what JSON has; content of attachments is not copied."""
    if isinstance(value, Mapping):
        return Record({key: _copy(member) for key, member in value.items()})
    return [_copy(member) for member in value] if isinstance(value, (list, tuple)) else value
