"""Running a query: documents are read in order, tested, and yielded one by one."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from pouchdb_core.jsontext import dump, load, load_record
from pouchdb_core.results import Record, record
from pouchdb_core.views.collation import Encode
from pouchdb_find.definitions import definitions
from pouchdb_find.errors import FindError
from pouchdb_find.fields import parse_field, projection
from pouchdb_find.find_request import NO_BOOKMARK, FindRequest
from pouchdb_find.mango_index import encode_of
from pouchdb_find.matching import compiled
from pouchdb_find.planner import Plan, planned, searches
from pouchdb_find.selectors import Selector, conjuncts, single
from pouchdb_find.sources import Batch, DocumentSource, IndexSource, Source, TextSource, UnionSource
from pouchdb_find.spans import Position
from pouchdb_find.text_definitions import text_definitions

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["Results", "needles"]

FIRST, MOST = 100, 1000
"""Documents read at a time: at first, and later."""
THRESHOLD = 10
"""Documents examined for each one found, beyond which there is a warning."""
SCANNED = (
    "The number of documents examined is high in proportion to the number of results returned. "
    "Consider adding a more specific index to improve this."
)


class Results:
    """The documents that a query finds: iterate over it, once.

    The plan is made and its indexes are brought up to date by ``__init__``, which raises the errors of the
    query. ``bookmark``, ``warning`` and ``execution_stats`` are final when the iteration has ended. Documents that
    are written meanwhile may be seen before or after the change, and more than once only if they move in the order.
    """

    def __init__(self, database: SyncPouchDB, request: FindRequest) -> None:
        started = perf_counter()
        self.request = request
        self._encode: Encode = encode_of(database)
        designs = database.design_documents()
        after, index = _unpacked(request)
        texts = text_definitions(database, designs) if searches(request.selector) else ()
        self.plan: Plan = planned(request, definitions(designs), self._encode, wanted=index, texts=texts)
        self.keys_examined = self.docs_examined = self.returned = 0
        self._complete = False
        self._position: Position | None = None
        self._source: Source | None = None if self.plan.empty else self._open(database, designs, after)
        self._batch: Batch | None = None
        """The first one, until it is iterated over."""
        if self._source is not None:
            self._batch = self._source.batch(self._size())
        self._seconds = perf_counter() - started

    def _open(self, database: SyncPouchDB, designs: Sequence[Record], after: Position | None) -> Source:
        request, plan = self.request, self.plan
        descending, conflicts = request.descending, request.conflicts
        if plan.definition is not None:
            source = IndexSource(
                database,
                designs,
                plan,
                self._encode,
                descending=descending,
                update=request.update,
                conflicts=conflicts,
                after=after,
            )
            if after is not None and len(after) != len(source.reading.columns):
                raise _invalid(request.bookmark)
            return source
        if plan.text is not None:
            if after is not None and not (len(after) == 2 and after[0].isdigit()):
                raise _invalid(request.bookmark)
            return TextSource(database, plan, update=request.update, conflicts=conflicts, after=after)
        if plan.union:
            return UnionSource(
                database,
                designs,
                plan.union,
                self._encode,
                update=request.update,
                conflicts=conflicts,
                after=after,
            )
        return DocumentSource(database, request.selector, descending=descending, conflicts=conflicts, after=after)

    # -- documents ---------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Record]:
        """Yield documents, with the requested fields only."""
        project = projection(self.request.fields) if self.request.fields else None
        for doc in self._found():
            if project is not None:
                yield record(project(doc))
            else:
                yield doc if type(doc) is Record else record(doc)

    def json(self) -> Iterator[bytes]:
        """Yield documents as JSON text, as a server sends them."""
        if self.request.fields:
            project = projection(self.request.fields)
            for doc in self._found():
                yield dump(project(doc))
        else:
            for doc in self._found():
                # As in CouchDB: the fields that identify a document come first.
                yield dump({"_id": doc.pop("_id"), "_rev": doc.pop("_rev"), **doc})

    def _found(self) -> Iterator[dict[str, Any]]:
        started = perf_counter()
        request, source = self.request, self._source
        skip, left = request.skip, request.limit
        if source is None or left == 0:
            return
        test = compiled(request.selector, self._encode)
        wanted = needles(request.selector)
        first, others = (wanted[0], wanted[1:]) if wanted else (b"", [])
        size = self._size()
        # Most documents found by an index are yielded; most of those scanned are not.
        parse = load_record if isinstance(source, IndexSource) else load
        try:
            while True:
                batch, self._batch = self._batch or source.batch(size), None
                documents, positions, keys, last = batch
                self.keys_examined += keys
                examined = self.docs_examined
                for number, (id, rev, body) in enumerate(documents):
                    if first not in body or (others and any(needle not in body for needle in others)):
                        continue
                    doc: dict[str, Any] = parse(body)
                    doc["_id"], doc["_rev"] = id, rev
                    if not test(doc):
                        continue
                    self.docs_examined = examined + number + 1
                    if left == 0:
                        # There are more, but they were not requested.
                        return
                    self._position = (id,) if positions is None else positions[number]
                    if skip:
                        skip -= 1
                        continue
                    if left is not None:
                        left -= 1
                    self.returned += 1
                    self._seconds += perf_counter() - started
                    yield doc
                    started = perf_counter()
                self.docs_examined = examined + len(documents)
                if last:
                    self._complete = True
                    return
                if left == 0:
                    return
                size = min(size * 4, MOST)
        finally:
            self._seconds += perf_counter() - started

    def _size(self) -> int:
        """Return how many documents are read at first."""
        left, skip = self.request.limit, self.request.skip
        return FIRST if self._judges() or left is None else min(max(left + skip, 1), MOST)

    def _judges(self) -> bool:
        """Return whether some documents that are read may not match."""
        source = self._source
        if isinstance(source, IndexSource):
            return bool(source.reading.filtered)
        return any(single(each)[0] != "_id" for each in conjuncts(self.request.selector))

    # -- fields next to them -----------------------------------------------------------------------

    @property
    def bookmark(self) -> str | None:
        """Where to continue after the last document; None if nothing was searched."""
        if self._source is None:
            return None
        if self._position is None:
            return self.request.bookmark or NO_BOOKMARK
        return _packed(self.plan, self.request, self._position)

    @property
    def warning(self) -> str | None:
        """What could be better about the query."""
        if self.plan.empty:
            return None
        warnings = list(self.plan.warnings)
        if self._complete and self.docs_examined / max(self.returned, 1) > THRESHOLD:
            warnings.append(SCANNED)
        return "\n".join(warnings) or None

    @property
    def execution_stats(self) -> Record:
        """How much was read; the time is that of the query only, in milliseconds."""
        return Record(
            total_keys_examined=self.keys_examined,
            total_docs_examined=self.docs_examined,
            total_quorum_docs_examined=0,
            results_returned=self.returned,
            execution_time_ms=round(self._seconds * 1e3, 3),
        )

    def closing(self) -> Record:
        """Return the fields of a result next to its documents; to be called after these were yielded."""
        answer = Record()
        if self.bookmark is not None:
            answer["bookmark"] = self.bookmark
        if self.request.execution_stats and not self.plan.empty:
            answer["execution_stats"] = self.execution_stats
        if self.warning is not None:
            answer["warning"] = self.warning
        return answer


def needles(selector: Selector) -> list[bytes]:
    """Return text that the stored JSON of every matching document contains, so that others need not be parsed."""
    found = []
    for condition in conjuncts(selector):
        name, argument = single(condition)
        if name[:1] == "$" or not name or argument == {"$exists": False}:
            continue
        path = parse_field(name)
        if path[0] in ("_id", "_rev"):
            continue
        operator, wanted = single(argument)
        # Other text may be stored in two ways: with its characters, or as escapes.
        if (
            operator == "$eq"
            and isinstance(wanted, str)
            and (path[-1] + wanted).isascii()
            and not path[-1][-1:].isdigit()
        ):
            found.append(dump({path[-1]: wanted})[1:-1])
        elif path[0].isascii():
            found.append(dump(path[0]) + b":")
    return found


# -- bookmarks -----------------------------------------------------------------------------------


def _packed(plan: Plan, request: FindRequest, position: Position) -> str:
    *keys, id = position
    used = plan.definition or plan.text
    index = None if used is None else [used.ddoc, used.name]
    value = [1, index, request.descending, [base64.b64encode(key).decode() for key in keys], id]
    text = json.dumps(value, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _unpacked(request: FindRequest) -> tuple[Position | None, tuple[str, str] | None]:
    """Return the position of a bookmark, and the index that it belongs to. Raises FindError."""
    text = request.bookmark
    if text is None:
        return None, None
    try:
        value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        version, index, descending, keys, id = value
        position = (*(base64.b64decode(key, validate=True) for key in keys), id)
        ddoc, name = ("", "") if index is None else index
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _invalid(text) from None
    if version != 1 or not all(isinstance(each, str) for each in (ddoc, name, id)):
        raise _invalid(text)
    if descending != request.descending:
        raise FindError("invalid_bookmark", "the bookmark was made for the other direction of sort: begin without one")
    return position, (ddoc, name)


def _invalid(text: Any) -> FindError:
    return FindError("invalid_bookmark", f"Invalid bookmark value: {json.dumps(text)[:100]}; begin without one")
