"""Rows of documents, read page by page: constant memory, whatever the length of the list and the size of documents.

A page is one snapshot of the database, the whole list is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pouchdb_core import SyncPouchDB
from pouchdb_core.api.reading import all_docs_text
from pouchdb_core.results import Record
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
    size, limit = _size(options), options.get("limit")
    count = size.count if limit is None else min(size.count, limit)
    begin = {"skip": options.get("skip", 0), "update_seq": options.get("update_seq", False), "offset": True}
    first = all_docs_text(database, limit=count, **rest, **begin)
    texts, last = first.pop("rows"), first.pop("last")
    # Rows skipped beyond the last are not counted, as in CouchDB.
    first["offset"] = min(first["offset"], first["total_rows"])
    rest.pop("startkey", None)

    def read(count: int, after: str) -> Record:
        return all_docs_text(database, limit=count, after=after, **rest)

    return _rows(read, size, limit, texts, last, ended=len(texts) < count), first


def _size(options: Mapping[str, Any]) -> PageSize:
    if not options.get("include_docs"):
        return PageSize(500, 2000)
    return PageSize(8, 32) if options.get("conflicts") or options.get("attachments") else PageSize(16, 128)


def _rows(
    read: Callable[[int, str], Record],
    size: PageSize,
    left: int | None,
    texts: list[bytes],
    last: str | None,
    ended: bool,
) -> Iterator[bytes]:
    while last is not None:
        rows, length = len(texts), sum(map(len, texts))
        yield from together(texts)
        # Not held while the next page is read.
        del texts
        if left is not None:
            left -= rows
        if ended or left == 0:
            return
        size.read(rows, length)
        count = size.count if left is None else min(size.count, left)
        page = read(count, last)
        texts, last = page["rows"], page["last"]
        ended = len(texts) < count


def by_keys(database: SyncPouchDB, options: Mapping[str, Any]) -> tuple[Iterator[bytes], dict[str, Any]]:
    """Return what ``by_range`` does, for the rows of ``keys`` in their order."""
    keys: list[Any] = options["keys"]
    if options.get("descending"):
        keys = keys[::-1]
    start, limit = options.get("skip", 0), options.get("limit")
    keys = keys[start : None if limit is None else start + limit]
    kept = {name: options[name] for name in ("attachments", "conflicts", "include_docs") if name in options}
    size = _size(kept)
    begin = size.count
    first = all_docs_text(database, keys=keys[:begin], update_seq=options.get("update_seq", False), **kept)
    del first["last"]
    head: dict[str, Any] = {**first, "offset": start}
    texts = head.pop("rows")

    def rows(texts: list[bytes]) -> Iterator[bytes]:
        at = 0
        while texts:
            at += len(texts)
            size.read(len(texts), sum(map(len, texts)))
            yield from together(texts)
            # Not held while the next page is read.
            del texts
            texts = all_docs_text(database, keys=keys[at : at + size.count], **kept)["rows"] if at < len(keys) else []

    return rows(texts), head
