"""The changes feed of a store, as one generator."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice, repeat
from typing import Any, cast

from pouchdb_core.changes.filters import BatchFilter, judge_of
from pouchdb_core.changes.raw import is_linear, raw_changes
from pouchdb_core.documents.listing import plain_documents, row_document
from pouchdb_core.documents.read import compose, tree_of
from pouchdb_core.documents.store import Row, Store
from pouchdb_core.errors import BadRequest, Damaged, NotFound
from pouchdb_core.jsontext import encodes
from pouchdb_core.requests import PLAIN, Changes
from pouchdb_core.results import Record
from pouchdb_core.runner import Idle
from pouchdb_core.safe_repr import safe_repr

__all__ = ["changes", "follow"]

PAGE = 1000
"""Rows read at a time; no transaction is open while the reader handles a row."""
LARGEST = 8 * PAGE
"""Rows without bodies in a later read: where the store is on another machine, fewer reads take less time."""
FIRST = 50
"""Rows with bodies in the first read, when their size is not known yet."""
BYTES = 2 * 1024 * 1024
"""Approximate size of the bodies read at a time, in bytes."""


def changes(store: Store, request: Changes) -> Generator[Any, None, int]:
    """Yield ``{"id", "seq", "changes": [{"rev"}], "deleted"?, "doc"?}`` in update order, one row per document.

    The feed ends at the update_seq of its start: later writes belong to the next
    one. The generator returns the seq to continue from: of a descending feed, as in CouchDB, that of the last row
    that was read. Raises BadRequest for a bad ``since``.
    """
    wanted = judge_of(request)
    limit = request.limit
    end, since, pages = _begun(store, request, wanted)
    if limit == 0:
        return end if request.descending else since
    if request.raw:
        yield from cast("Iterator[Record]", raw_changes(store, chain.from_iterable(pages), request.options))
        return end
    if wanted is None and request.style != "all_docs" and request.options == PLAIN:
        return (yield from _plainly(request, pages, end))
    count, last, passed = 0, end if request.descending else since, 0
    for row, revs in _judged(store, request, chain.from_iterable(pages), wanted):
        last = row[0]
        change = _change(store, request, row, revs) if revs else None
        if change is None:
            passed += 1
            if passed == PAGE and request.progress:
                passed = 0
                yield Idle(0.0, last)
            continue
        yield change
        count += 1
        if limit is not None and count >= limit:
            return last
    return last if request.descending else end


def _begun(store: Store, request: Changes, wanted: BatchFilter | None) -> tuple[int, int, Iterator[list[Row]]]:
    """Return (end, since, pages) of a feed, of which the first page is read.

    Both are read in one snapshot: a document written between the two would be after the end. It is a function and not
    part of the generator, because a generator that an exception ended early would keep its snapshot.
    """
    with_doc = request.include_docs or wanted is not None or request.raw
    with store.snapshot():
        end = store.counters().update_seq
        since = _since(request, end)
        if request.limit == 0:
            return end, since, iter(())
        # Without a filter every row that is read is yielded, so no more rows are read than are wanted.
        most = request.limit if wanted is None and not request.raw else None
        pages = _pages(store, request, since, end, with_doc, most)
        return end, since, chain(list(islice(pages, 1)), pages)


def follow(store: Store, request: Changes) -> Generator[Record | Idle, None, int]:
    """Yield the rows of the feed as ``changes`` does, and ``Idle`` whenever there are no more rows for now.

    The caller resumes the generator when something was written; it reads again after each Idle. It ends
    when ``limit`` rows were yielded. A document that changes often is yielded at least in its last
    state: states that were overwritten before they were read are not reported, as in CouchDB.
    """
    if request.descending:
        raise BadRequest("a live feed cannot be descending")
    # Errors of the request are raised now, not when the feed is first stepped.
    judge_of(request)
    return _follow(store, request, _since(request, store.counters().update_seq))


def _follow(store: Store, request: Changes, since: int) -> Generator[Record | Idle, None, int]:
    remaining = request.limit
    while remaining is None or remaining > 0:
        # Two numbers are compared before anything is read, so waking an idle feed costs 5 us.
        if store.counters().update_seq > since:
            feed = changes(store, replace(request, since=since, live=False, progress=True, limit=remaining))
            while True:
                try:
                    row = next(feed)
                except StopIteration as stop:
                    since = stop.value
                    break
                if remaining is not None and not isinstance(row, Idle):
                    remaining -= 1
                yield row
            continue
        # Another process may have destroyed the database: no row would ever follow.
        store.check()
        yield Idle(seq=since)
    return since


def _since(request: Changes, end: int) -> int:
    since: Any = request.since
    if request.descending:
        # As in CouchDB and PouchDB: the newest come first, whatever `since` is.
        return 0
    if since in ("now", "latest"):
        return end
    if isinstance(since, str) and since.isdecimal() and len(since) < 20:
        since = int(since)
    if type(since) is not int or since < 0:
        raise BadRequest(f"since must be a sequence number or 'now', not {safe_repr(request.since)}")
    # There is nothing after the end, however far `since` is beyond it: continue from `end`.
    return min(since, end)


def _pages(
    store: Store, request: Changes, since: int, end: int, bodies: bool, most: int | None = None
) -> Iterator[list[Row]]:
    if request.doc_ids is not None:
        for row in _of_ids(store, request, since, end, request.doc_ids):
            yield [row]
        return
    after, before = since, end + 1
    limit = FIRST if bodies else PAGE
    if most is not None:
        limit = min(limit, most)
    while True:
        page = store.scan_seqs(after, before, limit=limit, descending=request.descending, bodies=bodies)
        yield page
        if len(page) < limit:
            return
        if bodies:
            average = sum(len(row[5] or b"") for row in page) / limit
            limit = max(1, min(PAGE, 4 * limit, int(BYTES / (average + 1))))
        else:
            # Trees are read with the rows; a long history takes 30 KB.
            average = sum(len(row[4]) for row in page if row[4]) / limit
            limit = max(min(PAGE, limit), min(LARGEST, 2 * limit, int(BYTES / (average + 1))))
        if most is not None:
            most -= len(page)
            if most <= 0:
                return
            limit = min(limit, most)
        if request.descending:
            before = page[-1][0]
        else:
            after = page[-1][0]


def _of_ids(store: Store, request: Changes, since: int, end: int, ids: Iterable[str]) -> Iterator[Row]:
    """Look the ids up instead of scanning the feed; yield their rows in feed order."""
    heads = store.heads([id for id in dict.fromkeys(ids) if encodes(id)])
    found = sorted(((head[0], id) for id, head in heads.items()), reverse=request.descending)
    for seq, id in found:
        if since < seq <= end:
            row = store.row(id)
            # Changed or purged meanwhile, so it belongs to the next feed.
            if row is not None and row[0] == seq:
                yield row


def _plainly(request: Changes, pages: Iterator[list[Row]], end: int) -> Generator[Record, None, int]:
    """Yield the rows of the usual feed; return the seq to continue from."""
    remaining, last = request.limit, end
    for page in pages:
        docs = plain_documents(page) if request.include_docs else repeat(None)
        for (seq, id, rev, deleted, _, _), doc in zip(page, docs, strict=False):
            change = Record(seq=seq, id=id, changes=[Record(rev=rev)])
            if deleted:
                change["deleted"] = True
            if doc is not None:
                change["doc"] = doc
            yield change
        if not page:
            continue
        last = page[-1][0]
        # No page has more rows than are wanted.
        if remaining is not None:
            remaining -= len(page)
            if remaining <= 0:
                return last
    return last if request.descending else end


def _judged(
    store: Store, request: Changes, rows: Iterator[Row], wanted: BatchFilter | None
) -> Iterator[tuple[Row, list[str]]]:
    """Yield rows with the revisions to report; the list is empty if none passes the filter.

    CouchDB's rule: with all_docs the filter judges every leaf, and only matching leaves are reported.
    """
    every_leaf = request.style == "all_docs"
    if wanted is None:
        for row in rows:
            yield row, _leaves(row) if every_leaf else [row[2]]
        return
    while chunk := list(islice(rows, wanted.size)):
        found: list[tuple[Row, list[str]]] = []
        unread: set[int] = set()
        docs: list[Record] = []
        for row in chunk:
            revs = _leaves(row) if every_leaf else [row[2]]
            try:
                docs.extend([_leaf(store, row, rev) for rev in revs])
            except NotFound:
                # It was removed since the page was read: the document has changed, and belongs to the next feed.
                revs = []
            except Damaged:
                if request.purpose != "replication":
                    raise
                # That reports it as an error of this document, whatever the filter would return.
                unread.add(row[0])
            found.append((row, revs))
        verdicts = iter(wanted.judge(docs))
        for row, revs in found:
            yield row, [rev for rev in revs if row[0] in unread or next(verdicts)]


def _leaves(row: Row) -> list[str]:
    # Most trees have one branch, and checking that is twenty times faster than building a tree.
    if row[4] is None or is_linear(row[4]):
        return [row[2]]
    try:
        return tree_of(row).leaves()
    except Damaged:
        # Reading the document reports the error; the feed goes on.
        return [row[2]]


def _change(store: Store, request: Changes, row: Row, revs: list[str]) -> Record | None:
    seq, id, _, deleted, _, _ = row
    change = Record(seq=seq, id=id, changes=[Record(rev=each) for each in revs])
    if deleted:
        change["deleted"] = True
    if request.include_docs:
        try:
            change["doc"] = row_document(store, row, request.options)
        except NotFound:
            return None
    return change


def _leaf(store: Store, row: Row, rev: str) -> Record:
    if rev == row[2]:
        return row_document(store, row, PLAIN)
    return compose(store, row, rev, PLAIN)
