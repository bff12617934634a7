"""Answering a query: the rows of a view, or the results of its reduce function."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import NotFound, QueryParseError
from pouchdb_core.jsontext import load
from pouchdb_core.requests import MISSING, Listing, Query, Read
from pouchdb_core.results import Record, record
from pouchdb_core.views.collate import encode
from pouchdb_core.views.collation import Encode, default_of, encode_of
from pouchdb_core.views.follow import Follower, build_once
from pouchdb_core.views.grouping import Failures, Overflow, Reducer, by_group, by_key, reducer_of, whole
from pouchdb_core.views.index import IndexPlace
from pouchdb_core.views.index_store import EVERYTHING, IndexEntry, Span, ViewRows
from pouchdb_core.views.mapreduce import ViewIndex, ViewKind, view_definition
from pouchdb_core.views.python import PythonFunctions
from pouchdb_core.views.register import indexes
from pouchdb_core.views.servers import Functions, functions_of, server_of

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["query", "span_of"]

PAGE = 1000
FIRST, GROUPS, DOCUMENTS = 200, 50, 32
"""Rows of a streamed answer read at a time: in the first read, for groups, and with documents."""
PAGE_BYTES = 1024 * 1024
"""Approximate size of what is read at a time for a streamed answer."""
EMPTY = "No rows can match your key range, reverse your start_key and end_key or set descending={}"


def query(database: Database, request: Query) -> Record:
    """Answer a query of a local database.

    Raises NotFound, QueryParseError, and FunctionError if no function can run. An error that a function throws
    determines the value of its row, or leaves its document out, and is reported by ``error`` events.
    """
    return _saved(database, request) if request.view is not None else _temporary(database, request)


def _saved(database: Database, request: Query) -> Record:
    id, name = request.view or ("", "")
    designs = database.design_documents()
    ddoc = next((each for each in designs if each["_id"] == id), None)
    if ddoc is None:
        raise NotFound(f"missing: there is no design document {id!r}")
    definition = view_definition(ddoc, name)
    reduce = definition.get("reduce") if request.map_reduce is None else request.map_reduce
    spans = _check(request, reduce is not None, encode_of(default_of(database), ddoc, name))
    # Opened only if needed: a view can be read even if its reduce function is broken.
    reducing = reduce is not None and request.reduce is not False
    follower = indexes(database).follower(database, "views", ddoc, designs=designs)
    index = follower.index
    assert isinstance(index, ViewIndex)
    label = f"{id.removeprefix('_design/')}/{name}"
    failures = Failures(database)

    def read(entry: IndexEntry | None) -> Record:
        if entry is None:
            answer = Record() if reducing else Record(total_rows=0, offset=0)
            answer["rows"] = iter(()) if request.stream else []
        else:
            reading = _Reading(database, request, follower.place.rows, index.number(name), entry, spans)
            reducer = None
            if reducing:
                functions = functions_of(database, ddoc)
                reducer = reducer_of(database, reduce, f"reduce {name}", functions, failures)
            answer = reading.answer(reducer)
        if request.update_seq:
            answer["update_seq"] = entry.seq if entry else 0
        return answer

    answer = None
    if request.update == "true":
        with follower.store.snapshot():
            # It is looked at and read in one state: where each statement takes long, none is for looking alone.
            entry = follower.current()
            if entry is not None and not _failed(entry, name) and _has_rows(entry):
                answer = read(entry)
        if entry is None or _failed(entry, name):
            _update(database, follower, index, name, label)
        elif answer is None:
            index.check_once(name)
    if answer is None:
        with follower.store.snapshot():
            answer = read(follower.entry())
    if reducing:
        # Listeners may read and write, so not in the snapshot.
        _report(answer, failures, request.stream)
    if request.update == "lazy":
        follower.update_later(database, label)
    return answer


def _report(answer: Record, failures: Failures, stream: bool) -> None:
    """Report the errors that functions threw: now, or once the rows are read."""
    if stream:
        answer["rows"] = _reported(answer["rows"], failures)
    else:
        failures.report()


def _reported(rows: Iterator[Record], failures: Failures) -> Iterator[Record]:
    try:
        yield from rows
    finally:
        failures.report()


def _failed(entry: IndexEntry, name: str) -> bool:
    """Return whether a view did not compile when its index was built."""
    return name in (entry.state or {}).get("failed", {})


def _has_rows(entry: IndexEntry) -> bool:
    """Return whether the index of a view has rows, of whatever view: if not, nothing may have been compiled."""
    return any((entry.state or {}).get("totals", ()))


def _update(database: Database, follower: Follower, index: ViewIndex, name: str, label: str) -> None:
    follower.update(database, label)
    entry = follower.entry()
    if entry is not None and _failed(entry, name):
        index.check(name)
        # It compiles now, because the engine is a different one.
        with follower.store.write():
            current = follower.entry()
            if current is not None and current.number == entry.number:
                follower.store.drop(entry.number)
        follower.update(database, label)
    elif entry is None or not _has_rows(entry):
        # An error is raised all the same, as by PouchDB.
        index.check_once(name)


def _temporary(database: Database, request: Query) -> Record:
    """Build the index of a view for this one query, in a separate store that is removed afterwards."""
    # So all rows must be read before that.
    request = replace(request, stream=False)
    ddoc: dict[str, Any] = {"_id": "_design/temp", "views": {"temp": {"map": request.map}}}
    spans = _check(request, request.map_reduce is not None, encode_of(default_of(database), ddoc, "temp"))
    functions: Functions
    if callable(request.map):
        functions = PythonFunctions({}, "temporary view")
    else:
        functions = server_of(database, ddoc).open(database, ddoc)
    store, failures = database.adapter.scratch(), Failures(database)
    try:
        place = IndexPlace(database, store, ViewKind.name, "temp", ddoc)
        index = ViewIndex(place, functions, default_of(database))
        # An error in it is raised before anything is read, even if there is nothing to read.
        index.check("temp")
        entry = build_once(database, index, "temp/temp")
        reading = _Reading(database, request, place.rows, 0, entry, spans)
        reducer = None
        if request.map_reduce is not None and request.reduce is not False:
            reducer = reducer_of(database, request.map_reduce, "reduce temp", functions, failures)
        answer = reading.answer(reducer)
        if request.update_seq:
            answer["update_seq"] = entry.seq
    finally:
        store.close()
    failures.report()
    return answer


def _check(request: Query, reduces: bool, encode: Encode) -> list[Span]:
    """Return the ranges of a query, one for each of ``keys``. Raises QueryParseError."""
    if request.reduce and not reduces:
        raise QueryParseError("Reduce is invalid for map-only views.")
    reduces = reduces and request.reduce is not False
    grouped = request.group or request.group_level is not None
    if grouped and not reduces:
        raise QueryParseError("Invalid use of grouping on a map view.")
    if reduces and request.include_docs:
        raise QueryParseError("{include_docs:true} is invalid for reduce")
    if reduces and request.options.conflicts:
        raise QueryParseError("{conflicts:true} is invalid for reduce")
    if request.keys is None:
        return [span_of(request, encode)]
    if reduces and not (request.group_level or (request.group and request.group_level is None)):
        raise QueryParseError("Multi-key fetches for reduce views must use {group: true}")
    spans = [_span(request, key, key) for key in (_encoded(key, encode) for key in request.keys)]
    # As in CouchDB: reduced rows stay in the order of the keys.
    return spans[::-1] if request.descending and not reduces else spans


def _encoded(key: Any, encode: Encode) -> bytes:
    try:
        return encode(key)
    except ValueError as error:
        raise QueryParseError(f"a key cannot be used: {error}") from None


def span_of(request: Query, encode: Encode = encode) -> Span:
    """Return the range of a query. Raises QueryParseError if no row can be in it."""
    start = None if request.startkey is MISSING else _encoded(request.startkey, encode)
    end = None if request.endkey is MISSING else _encoded(request.endkey, encode)
    span = _span(request, start, end)
    if start is not None and end is not None and (start < end if request.descending else start > end):
        raise QueryParseError(EMPTY.format("false" if request.descending else "true"))
    return span


def _span(request: Query, start: bytes | None, end: bytes | None) -> Span:
    # As in CouchDB, an id without its key has no effect.
    start_id = request.startkey_docid if start is not None else None
    end_id = request.endkey_docid if end is not None else None
    if start is None and end is None:
        return EVERYTHING
    if request.descending:
        return Span(end, end_id, request.inclusive_end, start, start_id, True)
    return Span(start, start_id, True, end, end_id, request.inclusive_end)


class _Reading:
    """One query of an index, in a snapshot."""

    def __init__(
        self,
        database: Database,
        request: Query,
        rows: ViewRows,
        view: int,
        entry: IndexEntry,
        spans: Sequence[Span],
    ) -> None:
        self._database, self._request = database, request
        self._rows, self._view, self._spans = rows, view, spans
        self._total: int = (entry.state or {"totals": {}})["totals"][view] if entry.state else 0

    def answer(self, reducer: Reducer | None) -> Record:
        """Return the rows, or the results of ``reducer``; for a streamed request only some have been read."""
        if reducer is not None:
            answer = Record()
            pages = self._reduced_pages(reducer)
        else:
            answer = Record(total_rows=self._total, offset=self._offset())
            pages = self._mapped_pages()
        if self._request.stream:
            # A short answer shows one state.
            first = next(pages, [])
            answer["rows"] = itertools.chain(first, itertools.chain.from_iterable(pages))
        else:
            answer["rows"] = [row for page in pages for row in page]
        return answer

    def _mapped_pages(self) -> Iterator[list[Record]]:
        request = self._request
        left, skip = request.limit, request.skip
        for span in self._spans:
            if left is not None and left <= 0:
                break
            if skip and len(self._spans) > 1:
                # Counting them is cheaper than returning them.
                count = self._rows.count(self._view, span)
                if count <= skip:
                    skip -= count
                    continue
            for rows in self._range(span, skip, left):
                if left is not None:
                    left -= len(rows)
                if request.include_docs:
                    self._add_documents(rows)
                yield rows
            skip = 0

    def _offset(self) -> int:
        request = self._request
        if not request.offset or not self._spans or (request.keys is None and request.startkey is MISSING):
            return request.skip
        # For several keys: the offset of the first row found.
        found = (span for span in self._spans if self._rows.page(self._view, span, descending=False, limit=1))
        span = self._spans[0] if request.keys is None else next(found, self._spans[0])
        if request.descending:
            before = Span(low=span.high, low_id=span.high_id, with_low=not span.with_high)
        else:
            before = Span(high=span.low, high_id=span.low_id, with_high=not span.with_low)
        return request.skip + self._rows.count(self._view, before)

    def _range(self, span: Span, skip: int, limit: int | None) -> Iterator[list[Record]]:
        """Yield the rows of a range in pages."""
        after = None
        size = self._size
        while limit is None or limit > 0:
            count = size if limit is None else min(size, limit)
            page = self._rows.page(
                self._view, span, descending=self._request.descending, limit=count, skip=skip, after=after
            )
            skip = 0
            keys = _values([row[3] for row in page])
            values = _values([row[4] for row in page])
            if page:
                yield [
                    Record(id=row[1], key=key, value=value) for row, key, value in zip(page, keys, values, strict=True)
                ]
            if len(page) < count:
                break
            if limit is not None:
                limit -= len(page)
            after = page[-1][:3]
            if self._request.stream:
                size = self._next_size(len(page), sum(len(row[3]) + len(row[4] or b"") for row in page))

    @property
    def _size(self) -> int:
        """Return how many rows are read first: few if their size is not known."""
        if not self._request.stream:
            return PAGE
        return DOCUMENTS if self._request.include_docs else FIRST

    def _next_size(self, rows: int, size: int) -> int:
        most = DOCUMENTS if self._request.include_docs else PAGE
        return max(1, min(2 * rows, most, rows * PAGE_BYTES // (size + 1)))

    def _add_documents(self, rows: Sequence[Record]) -> None:
        """Add to each row the document its value names, or its own document; null if there is none."""
        database, request = self._database, self._request
        user, purpose = request.user, request.purpose
        for start in range(0, len(rows), PAGE):
            page = rows[start : start + PAGE]
            wanted: list[tuple[str, str | None]] = []
            for row in page:
                value = row["value"]
                linked, rev = (value.get("_id"), value.get("_rev")) if isinstance(value, dict) else (None, None)
                wanted.append((linked if isinstance(linked, str) else row["id"], rev if isinstance(rev, str) else None))
            ids = tuple(dict.fromkeys(id for id, rev in wanted if rev is None))
            listing = Listing(keys=ids, include_docs=True, options=request.options, user=user, purpose=purpose)
            found = {row["key"]: row.get("doc") for row in database.plugins.list(database, listing)["rows"]}
            seen: set[str] = set()
            for row, (id, rev) in zip(page, wanted, strict=True):
                if rev is not None:
                    row["doc"] = self._revision(id, rev)
                else:
                    doc = found[id]
                    # Every row gets a separate copy of the document, which its reader may change.
                    row["doc"] = doc if doc is None or id not in seen else _copy(doc)
                    seen.add(id)

    def _revision(self, id: str, rev: str) -> Any:
        request = self._request
        read = Read(id, rev, request.options, user=request.user, purpose=request.purpose)
        try:
            return self._database.plugins.read(self._database, read)
        except NotFound:
            return None

    def _reduced_pages(self, reducer: Reducer) -> Iterator[list[Record]]:
        request = self._request
        end = None if request.limit is None else request.skip + request.limit
        rows = itertools.islice(self._groups(reducer), request.skip, end)
        # Fifty at a time: a function may take long for each.
        while page := [_reduced(key, value) for key, value in itertools.islice(rows, GROUPS)]:
            yield page

    def _groups(self, reducer: Reducer) -> Iterator[tuple[Any, Any]]:
        request = self._request
        level = request.group_level
        for span in self._spans:
            if level is None and request.group:
                found = by_key(self._rows, self._view, span, reducer, descending=request.descending)
            elif level:
                found = by_group(self._rows, self._view, span, reducer, level, descending=request.descending)
            else:
                found = whole(self._rows, self._view, span, reducer, descending=request.descending)
            yield from found


def _reduced(key: Any, value: Any) -> Record:
    if isinstance(value, Overflow):
        return Record(key=key, error="reduce_overflow_error", reason=value.reason)
    return Record(key=key, value=_wrapped(value))


def _values(texts: Sequence[bytes | None]) -> list[Any]:
    """Parse many JSON texts at once."""
    text = b"[" + b",".join([b"null" if each is None else each for each in texts]) + b"]"
    values: Any = load(text)
    if b"{" in text:
        return [_wrapped(value) for value in values]
    plain: list[Any] = values
    return plain


def _wrapped(value: Any) -> Any:
    """Convert the objects in a value to Records; nothing else may refer to the value."""
    if isinstance(value, list):
        return [_wrapped(each) for each in value]
    if isinstance(value, Mapping) and not isinstance(value, Record):
        return record(dict(value))
    return value


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return Record({key: _copy(member) for key, member in value.items()})
    return [_copy(member) for member in value] if isinstance(value, list) else value
