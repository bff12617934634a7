"""Rows of documents, read page by page: constant memory, whatever the length of the list and the size of documents.

A page is one snapshot of the database, the whole list is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pouchdb_core import SyncPouchDB
from pouchdb_core.documents.listing import RawDocument
from pouchdb_core.jsontext import dump
from pouchdb_core.requests import Listing
from pouchdb_server.rows import together

__all__ = ["PageSize", "by_keys", "by_range"]

BYTES = 1024 * 1024
"""About how much of a list is read at a time."""


class PageSize:
    """How many rows are read next: about a megabyte of them.

    Begins small and at most doubles: the size of the next documents is not known.
    """

    def __init__(self, first: int, most: int) -> None:
        self.count, self._most = first, most

    def read(self, rows: int, size: int) -> None:
        """Adjust to a page of this many rows and about this many bytes of JSON."""
        self.count = max(1, min(2 * self.count, self._most, rows * BYTES // (size + 1)))


def by_range(database: SyncPouchDB, options: Mapping[str, Any]) -> tuple[Iterator[bytes], dict[str, Any]]:
    """Return the rows of ``all_docs`` as JSON text, and the fields before them; ``options`` are its options.

    Short rows come several at once, with what is between them.

    The first page is read at once. Raises what ``all_docs`` does.
    """
    rest = {name: value for name, value in options.items() if name not in ("skip", "update_seq", "limit")}
    if "key" in rest:
        rest["startkey"] = rest["endkey"] = rest.pop("key")
    docs = rest.get("include_docs", False)
    # Documents without additions are sent as they are stored: their JSON is not parsed.
    raw = docs and database.lists_plainly and not rest.get("conflicts") and not rest.get("attachments")
    size = PageSize(16, 128) if raw else PageSize(8, 32) if docs else PageSize(500, 2000)
    limit = options.get("limit")
    count = size.count if limit is None else min(size.count, limit)
    begin = {"skip": options.get("skip", 0), "update_seq": options.get("update_seq", False), "offset": True}
    first = _page(database, {**rest, **begin, "limit": count}, raw)
    page = first.pop("rows")
    # Rows skipped beyond the last are not counted, as in CouchDB.
    first["offset"] = min(first["offset"], first["total_rows"])
    return _rows(database, rest, raw, size, limit, page, ended=len(page) < count), first


def _rows(
    database: SyncPouchDB,
    options: dict[str, Any],
    raw: bool,
    size: PageSize,
    left: int | None,
    page: list[Any],
    ended: bool,
) -> Iterator[bytes]:
    while page:
        texts = [_raw_row(each) for each in page] if raw else list(map(dump, page))
        last, rows = page[-1].id, len(page)
        del page
        yield from together(texts)
        if left is not None:
            left -= rows
        if ended or left == 0:
            return
        size.read(rows, sum(map(len, texts)))
        count = size.count if left is None else min(size.count, left)
        # From the last one again, which may be deleted by now: skipping one row could skip another document.
        page = _page(database, {**options, "startkey": last, "limit": count + 1}, raw)["rows"]
        ended = len(page) <= count
        if page and page[0].id == last:
            del page[0]
        del page[count:]


def _page(database: SyncPouchDB, options: dict[str, Any], raw: bool) -> Any:
    if not raw:
        return database.all_docs(**options)
    known = {name: value for name, value in options.items() if name not in ("attachments", "conflicts")}
    return database.plugins.list(database, Listing(**known, raw=True, user=database.user, purpose=database.purpose))


def _raw_row(document: RawDocument) -> bytes:
    id = dump(document.id)
    return b'{"id":%b,"key":%b,"value":{"rev":"%b"},"doc":%b}' % (id, id, document.rev.encode(), document.json())


def by_keys(database: SyncPouchDB, options: Mapping[str, Any]) -> tuple[Iterator[bytes], dict[str, Any]]:
    """Return what ``by_range`` does, for the rows of ``keys`` in their order."""
    keys: list[Any] = options["keys"]
    if options.get("descending"):
        keys = keys[::-1]
    start, limit = options.get("skip", 0), options.get("limit")
    keys = keys[start : None if limit is None else start + limit]
    kept = {name: options[name] for name in ("attachments", "conflicts", "include_docs") if name in options}
    size = PageSize(8, 32) if kept.get("include_docs") else PageSize(500, 2000)
    begin = size.count
    first = database.all_docs(keys=keys[:begin], update_seq=options.get("update_seq", False), **kept)
    head: dict[str, Any] = {**first, "offset": start}

    def rows() -> Iterator[bytes]:
        page, at = head.pop("rows"), 0
        while page:
            texts = list(map(dump, page))
            at += len(page)
            size.read(len(page), sum(map(len, texts)))
            del page
            yield from together(texts)
            page = database.all_docs(keys=keys[at : at + size.count], **kept)["rows"] if at < len(keys) else []

    listed = rows()
    return listed, {name: value for name, value in head.items() if name != "rows"}
