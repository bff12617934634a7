"""Listing documents by id: ``all_docs``, and the documents that have conflicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from pouchdb_core.documents.read import compose, stubs
from pouchdb_core.documents.store import Row, Store
from pouchdb_core.jsontext import dump, encodes, load_record
from pouchdb_core.requests import PLAIN, Listing, ReadOptions
from pouchdb_core.results import Record

__all__ = ["RawDocument", "conflicted", "design_documents", "listing", "plain_documents", "row_document"]

PAGE = 1000
"""Rows read at a time."""
CONFLICTS = ReadOptions(conflicts=True)


class RawDocument(NamedTuple):
    """The winner of a document as JSON text; see ``Listing.raw``."""

    id: str
    rev: str
    body: bytes
    """An object without ``_id`` and ``_rev``; attachments are stubs."""

    def document(self) -> Record:
        """Return the document, parsed again at each call."""
        return _identified(load_record(self.body), self.id, self.rev)

    def json(self) -> bytes:
        """Return the document as JSON text, without parsing it."""
        return _document_text(dump(self.id), self.rev, self.body)


def _document_text(id: bytes, rev: str, body: bytes) -> bytes:
    """Return a document as JSON text from the text of its id and of its body, which is an object."""
    return b'{"_id":%b,"_rev":"%b"%b%b' % (id, rev.encode(), b"" if body == b"{}" else b",", body[1:])


def listing(store: Store, request: Listing) -> Record:
    """Return ``all_docs``: ``{"total_rows", "offset", "rows", "update_seq"?, "last"?}`` of one snapshot."""
    with store.snapshot():
        counters = store.counters()
        rows: list[Any]
        last: str | None = None
        if request.keys is not None:
            rows, offset = _by_keys(store, request), request.skip
        else:
            (rows, last), offset = _by_range(store, request), request.skip
            if request.offset and request.startkey is not None:
                offset += store.count_before(request.startkey, inclusive=False, descending=request.descending)
        answer = Record(total_rows=counters.doc_count, offset=offset, rows=rows)
        if request.update_seq:
            answer["update_seq"] = counters.update_seq
        if request.text:
            answer["last"] = last
        return answer


def _by_range(store: Store, request: Listing) -> tuple[list[Any], str | None]:
    """Return the rows, and the id in the last one."""
    rows: list[Any] = []
    last: str | None = None
    start, include_start, skip = request.startkey, request.inclusive_start, request.skip
    remaining = request.limit
    plain = request.include_docs and request.options is PLAIN and not request.raw
    while remaining is None or remaining > 0:
        limit = PAGE if remaining is None else min(PAGE, remaining)
        page = store.scan_ids(
            start,
            request.endkey,
            include_start=include_start,
            include_end=request.inclusive_end,
            descending=request.descending,
            limit=limit,
            skip=skip,
            bodies=request.include_docs or request.raw,
        )
        if request.raw:
            rows += _raw(store, page, request.options)
        elif request.text:
            rows += [_text(store, row, request.include_docs) for row in page]
        elif plain:
            rows += [
                Record(id=row[1], key=row[1], value=Record(rev=row[2]), doc=doc)
                for row, doc in zip(page, plain_documents(page), strict=True)
            ]
        elif request.include_docs:
            rows.extend(_row(row, compose(store, row, row[2], request.options)) for row in page)
        else:
            # A comprehension: a tenth faster than what extend() takes from a generator.
            rows += [Record(id=row[1], key=row[1], value=Record(rev=row[2])) for row in page]
        if page:
            last = page[-1][1]
        if len(page) < limit:
            break
        start, include_start, skip = last, False, 0
        if remaining is not None:
            remaining -= len(page)
    return rows, last


def _row(row: Row, doc: Record | None) -> Record:
    return Record(id=row[1], key=row[1], value=Record(rev=row[2]), doc=doc)


def _raw(store: Store, rows: Sequence[Row], options: ReadOptions) -> list[RawDocument]:
    if options is not PLAIN and options != PLAIN:
        return [_composed(store, row, options) for row in rows]
    # Without a call for each: that would take as long as parsing a small document.
    return [
        RawDocument(row[1], row[2], body)
        if (body := row[5]) is not None and b'"_attachments"' not in body
        else _composed(store, row, options)
        for row in rows
    ]


def _composed(store: Store, row: Row, options: ReadOptions) -> RawDocument:
    doc = row_document(store, row, options)
    del doc["_id"], doc["_rev"]
    return RawDocument(row[1], row[2], dump(doc))


def _text(store: Store, row: Row, include_docs: bool) -> bytes:
    """Return the row of a document that is there as JSON text: a Record would take several times as long."""
    id = orjson.dumps(row[1])
    if not include_docs:
        # As a string: bytes take a sixth longer to format.
        quoted = id.decode()
        return f'{{"id":{quoted},"key":{quoted},"value":{{"rev":"{row[2]}"}}}}'.encode()
    body = row[5]
    if body is None or b'"_attachments"' in body:
        body = _composed(store, row, PLAIN).body
    doc = _document_text(id, row[2], body)
    return b'{"id":%b,"key":%b,"value":{"rev":"%b"},"doc":%b}' % (id, id, row[2].encode(), doc)


def _by_keys(store: Store, request: Listing) -> list[Any]:
    keys = list(request.keys or ())
    if request.descending:
        keys.reverse()
    keys = keys[request.skip : None if request.limit is None else request.skip + request.limit]
    rows: list[Any] = []
    for start in range(0, len(keys), PAGE):
        page = keys[start : start + PAGE]
        # A lone surrogate cannot be the id of a document, nor be used in SQL.
        texts = [key for key in page if isinstance(key, str) and encodes(key)]
        found = store.rows(texts)
        if request.raw:
            living = [row for key in texts if (row := found.get(key)) is not None and not row[3]]
            rows += _raw(store, living, request.options)
            continue
        if request.text:
            rows += [_text_of(store, key, found, request.include_docs) for key in page]
            continue
        for key in page:
            row = found.get(key) if isinstance(key, str) else None
            if row is None:
                rows.append(Record(key=key, error="not_found"))
            elif row[3]:
                answer = Record(id=key, key=key, value=Record(rev=row[2], deleted=True))
                if request.include_docs:
                    answer["doc"] = None
                rows.append(answer)
            elif request.include_docs:
                rows.append(_row(row, row_document(store, row, request.options)))
            else:
                rows.append(Record(id=key, key=key, value=Record(rev=row[2])))
    return rows


def _text_of(store: Store, key: Any, found: Mapping[str, Row], include_docs: bool) -> bytes:
    """Return the row of a key as JSON text."""
    row = found.get(key) if isinstance(key, str) else None
    if row is None:
        return b'{"key":%b,"error":"not_found"}' % dump(key)
    if row[3]:
        id, doc = orjson.dumps(key), b',"doc":null' if include_docs else b""
        return b'{"id":%b,"key":%b,"value":{"rev":"%b","deleted":true}%b}' % (id, id, row[2].encode(), doc)
    return _text(store, row, include_docs)


def row_document(store: Store, row: Row, options: ReadOptions) -> Record:
    """Build the winner of a row that has its body, deleted or not."""
    if options is not PLAIN:
        return compose(store, row, row[2], options)
    return _complete(load_record(row[5] or b"{}"), row)


def plain_documents(rows: Sequence[Row]) -> Iterator[Record]:
    """Build the winners of rows that have their bodies, deleted or not, without options."""
    return map(_complete, map(load_record, [row[5] or b"{}" for row in rows]), rows)


def _identified(doc: Record, id: str, rev: str) -> Record:
    doc["_id"], doc["_rev"] = id, rev
    return doc


def _complete(doc: Record, row: Row) -> Record:
    """Add the row's values to a parsed body."""
    doc["_id"], doc["_rev"] = row[1], row[2]
    if row[3]:
        doc["_deleted"] = True
    if "_attachments" in doc:
        stubs(doc)
    return doc


def conflicted(store: Store) -> Iterator[Record]:
    """Yield every document that has live conflicts, in id order, with ``_conflicts``."""
    after = ""
    while ids := store.conflicted(after, PAGE):
        for id in ids:
            doc = _with_conflicts(store, id)
            # It may have been resolved since the index was read.
            if doc is not None and "_conflicts" in doc:
                yield doc
        after = ids[-1]


def _with_conflicts(store: Store, id: str) -> Record | None:
    with store.snapshot():
        row = store.row(id)
        return None if row is None or row[3] else compose(store, row, row[2], CONFLICTS)


def design_documents(store: Store) -> list[Record]:
    """Return the winners of all design documents, in id order."""
    rows: list[Any] = []
    start, include_start = "_design/", True
    while page := store.scan_ids(start, "_design0", include_start=include_start, limit=PAGE, bodies=True):
        rows.extend(row_document(store, row, PLAIN) for row in page)
        start, include_start = page[-1][1], False
    return rows
