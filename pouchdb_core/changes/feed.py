"""The changes feed of a store, as one generator."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Any

from pouchdb_core.changes.filters import Predicate, predicate
from pouchdb_core.documents.listing import row_document
from pouchdb_core.documents.read import compose, tree_of
from pouchdb_core.documents.store import Row, Store
from pouchdb_core.errors import BadRequest, NotFound
from pouchdb_core.requests import PLAIN, Changes
from pouchdb_core.results import Record

__all__ = ["changes"]

PAGE = 1000
"""Rows read at a time; no transaction is open while a row is with the reader."""


def changes(store: Store, request: Changes) -> Generator[Record, None, int]:
    """Yield ``{"id", "seq", "changes": [{"rev"}], "deleted"?, "doc"?}`` in update order, one row a document.

    The feed ends at the update_seq of its start: what is written meanwhile belongs to the next
    one. The generator returns the seq to continue from. Raises BadRequest for a bad ``since``.
    """
    wanted = predicate(request)
    end = store.counters().update_seq
    since = _since(request, end)
    limit = request.limit
    if limit == 0:
        return since
    count, last = 0, since
    with_doc = request.include_docs or wanted is not None
    for row in _rows(store, request, since, end, with_doc):
        change = _change(store, request, row, wanted)
        if change is None:
            last = row[0]
            continue
        yield change
        last = row[0]
        count += 1
        if limit is not None and count >= limit:
            return last
    return end


def _since(request: Changes, end: int) -> int:
    since: Any = request.since
    if request.descending:
        # As CouchDB and PouchDB: the newest come first, wherever the reader was.
        return 0
    if since in ("now", "latest"):
        return end
    if isinstance(since, str) and since.isdecimal():
        since = int(since)
    if type(since) is not int or since < 0:
        raise BadRequest(f"since must be a sequence number or 'now', not {request.since!r}")
    return since


def _rows(store: Store, request: Changes, since: int, end: int, bodies: bool) -> Iterator[Row]:
    if request.doc_ids is not None:
        yield from _of_ids(store, request, since, end, request.doc_ids)
        return
    after, before = since, end + 1
    while True:
        page = store.scan_seqs(after, before, limit=PAGE, descending=request.descending, bodies=bodies)
        yield from page
        if len(page) < PAGE:
            return
        if request.descending:
            before = page[-1][0]
        else:
            after = page[-1][0]


def _of_ids(store: Store, request: Changes, since: int, end: int, ids: Iterable[str]) -> Iterator[Row]:
    """Look the ids up instead of scanning the feed; then give them in feed order."""
    heads = store.heads(list(dict.fromkeys(ids)))
    found = sorted(((head[0], id) for id, head in heads.items()), reverse=request.descending)
    for seq, id in found:
        if since < seq <= end:
            row = store.row(id)
            # Changed or purged meanwhile: then it belongs to the next feed.
            if row is not None and row[0] == seq:
                yield row


def _change(store: Store, request: Changes, row: Row, wanted: Predicate | None) -> Record | None:
    seq, id, rev, deleted, tree, _ = row
    revs = [rev]
    if request.style == "all_docs" and tree is not None:
        revs = tree_of(row).leaves()
    if wanted is not None:
        # CouchDB's rule: with all_docs the filter judges every leaf, and only matching ones are told.
        revs = [each for each in revs if wanted(_leaf(store, row, each))]
        if not revs:
            return None
    change = Record(seq=seq, id=id, changes=[Record(rev=each) for each in revs])
    if deleted:
        change["deleted"] = True
    if request.include_docs:
        change["doc"] = _winner(store, request, row)
    return change


def _leaf(store: Store, row: Row, rev: str) -> Record:
    if rev == row[2]:
        return row_document(store, row, PLAIN)
    return compose(store, row, rev, PLAIN)


def _winner(store: Store, request: Changes, row: Row) -> Record | None:
    try:
        return row_document(store, row, request.options)
    except NotFound:
        # Its attachments went with a purge since the page was read.
        return None
