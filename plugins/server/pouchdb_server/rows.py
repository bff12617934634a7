"""The one writer of lists: rows are sent while they are made, in constant memory, as fast as the client takes them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pouchdb_core.jsontext import dump
from pouchdb_core.runner import Idle
from pouchdb_server.finishing import close_body
from pouchdb_server.messages import Response, Subscribe

__all__ = ["PIECE", "Begun", "Lists", "Pieces", "Rows", "etag_of", "list_text", "members", "together"]

WHOLE = 256 * 1024
"""Bytes of a list that is answered in one piece, with its length and an ETag."""
AT_ONCE = 0.05
"""Seconds after which the first rows are sent, however few there are."""
PIECE = 16 * 1024
"""Bytes that are collected before they are passed on: rows are often short."""
NEWLINE = b"\r\n"
TOGETHER = 100
"""Short rows that are passed on as one: each costs as much as to make its JSON."""


class Begun:
    """An iterator whose first piece has been read: yields it, then the rest.

    ``close`` closes the rest, also when nothing was taken: a generator that was not begun never runs its ``finally``.
    """

    def __init__(self, first: bytes | Idle, rest: Iterator[bytes | Idle]) -> None:
        self._first: bytes | Idle = first
        self._rest = rest

    def __iter__(self) -> Iterator[bytes | Idle]:
        return self

    def __next__(self) -> bytes | Idle:
        first, self._first = self._first, b""
        return first or next(self._rest)

    def close(self) -> None:
        """Close it: the rest is not needed."""
        self._first = b""
        close_body(self._rest)


class Pieces(Response):
    """A response of JSON that is made piece by piece: ``Idle`` where there is nothing to send yet.

    A body that is short and made quickly is one piece with its length; ``etag`` adds an ETag of its content. An error
    in a short one becomes the error's response; a long one that fails after its beginning was sent is cut off.
    """

    def __init__(
        self,
        pieces: Iterator[bytes | Idle],
        *,
        etag: bool = False,
        headers: Mapping[str, str] | None = None,
        wakes: Subscribe | None = None,
    ) -> None:
        made, size, ended, began = list[bytes](), 0, False, time.monotonic()
        try:
            while size < WHOLE and time.monotonic() - began < AT_ONCE:
                piece = next(pieces, None)
                if piece is None:
                    ended = True
                    break
                if isinstance(piece, Idle):
                    break
                made.append(piece)
                size += len(piece)
        except BaseException:
            close_body(pieces)
            raise
        first = b"".join(made)
        if ended:
            super().__init__(first, headers=headers, content_type="application/json")
            self.etag = etag_of(first) if etag else None
        else:
            super().__init__(Begun(first, pieces), headers=headers, content_type="application/json", wakes=wakes)


class Rows(Pieces):
    """A list as a response: ``Rows(rows, {"total_rows": 3, "offset": 0})``.

    ``rows`` are JSON values, or bytes that are JSON text already. Nothing is held of them: an iterator is read while
    the client takes what was made, and closed (as a generator) when the client goes away. Where there is nothing to
    send yet they may be ``Idle``. ``head`` are the fields before the rows, whose field is ``name``; ``tail()`` returns
    those after them, and is called when all rows are read.
    """

    def __init__(
        self,
        rows: Iterable[Any],
        head: Mapping[str, Any] | None = None,
        *,
        name: str = "rows",
        tail: Callable[[], Mapping[str, Any]] | None = None,
        newline: bytes = NEWLINE,
        etag: bool = False,
        headers: Mapping[str, str] | None = None,
        wakes: Subscribe | None = None,
    ) -> None:
        text = list_text(rows, head, name=name, tail=tail, newline=newline)
        super().__init__(text, etag=etag, headers=headers, wakes=wakes)


class Lists(Pieces):
    """Several lists as a response, ``{"results": [...]}``: each is ``(rows, head)`` as ``Rows`` takes them."""

    def __init__(self, lists: Iterable[tuple[Iterable[Any], Mapping[str, Any]]]) -> None:
        super().__init__(_lists_text(lists), etag=True)


def members(values: Mapping[str, Any]) -> bytes:
    """Return the fields of an object as JSON text, without the braces."""
    return dump(dict(values))[1:-1]


def etag_of(body: bytes) -> str:
    """Return an ETag of an answer: whatever changes it, purges included, changes this."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def list_text(
    rows: Iterable[Any],
    head: Mapping[str, Any] | None = None,
    *,
    name: str = "rows",
    tail: Callable[[], Mapping[str, Any]] | None = None,
    newline: bytes = NEWLINE,
) -> Iterator[bytes | Idle]:
    """Yield the text of a list, in CouchDB's layout: counters on the first line, then one row per line."""
    rows = iter(rows)
    try:
        before = members(head or {})
        buffer = bytearray(b"{" + before + (b"," if before else b"") + dump(name) + b":[" + newline)
        separator = b""
        for row in rows:
            if isinstance(row, Idle):
                yield bytes(buffer)
                buffer.clear()
                yield row
                continue
            buffer += separator
            buffer += row if isinstance(row, bytes) else dump(row)
            separator = b"," + newline
            if len(buffer) >= PIECE:
                yield bytes(buffer)
                buffer.clear()
        after = b"" if tail is None else members(tail())
        buffer += newline + b"]" + (b"," + newline + after if after else b"") + b"}\n"
        yield bytes(buffer)
    finally:
        close_body(rows)


def together(texts: Sequence[bytes]) -> Iterator[bytes]:
    """Yield rows that are JSON text already with few calls: short ones joined, as ``list_text`` would join them."""
    for start in range(0, len(texts), TOGETHER):
        some = texts[start : start + TOGETHER]
        if sum(map(len, some)) <= PIECE:
            yield (b"," + NEWLINE).join(some)
        else:
            yield from some


def _lists_text(lists: Iterable[tuple[Iterable[Any], Mapping[str, Any]]]) -> Iterator[bytes | Idle]:
    yield b'{"results":[\r\n'
    separator = b""
    for rows, head in lists:
        yield separator
        yield from list_text(rows, head)
        separator = b","
    yield b"]}\n"
