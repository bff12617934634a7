"""The JSON values in a file, one by one: lines, an array, objects one after another. No file is read whole.

A big array, or the array in a big ``{"docs": [...]}``, is cut into the text of its elements without being
parsed: each is then parsed by the database's own parser, as everything else is.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from typing import IO, Any, NamedTuple, cast

from pouchdb_core.errors import BadRequest, PouchDBError
from pouchdb_core.jsontext import from_text

__all__ = ["Element", "JsonValues", "unpacked"]

PIECE = 256 * 1024
"""Bytes read at a time."""
WHOLE = 4 * 1024 * 1024
"""Bytes up to which an object is parsed whole before its array ``docs`` or ``rows`` is looked for."""
LONGEST = 512 * 1024 * 1024
"""Bytes of one value."""

QUOTE, BACKSLASH, BRACKET = b'"\\['

_OUTSIDE = re.compile(rb'["\[\]{}]')
_INSIDE = re.compile(rb'["\\]')
_SPACE = re.compile(rb"[ \t\r\n]*")
_MEMBER = re.compile(rb'"(docs|rows|results)"[ \t\r\n]*:[ \t\r\n]*\Z')
_ID = re.compile(rb'"_id"[ \t\r\n]*:')


class Element(NamedTuple):
    """A parsed value, or why it could not be parsed, and its place in the file."""

    value: Any
    place: str
    container: str = ""
    """``docs``, ``rows`` or ``results`` for an element of such an array, ``array`` for one of a plain one."""


def unpacked(file: IO[bytes]) -> IO[bytes]:
    """Return a binary file of the bytes of ``file``, decompressed if it is gzipped; ``file`` needs ``peek``."""
    head = file.peek(2)[:2]  # type: ignore[attr-defined]  # a buffered reader has it
    return cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if head == b"\x1f\x8b" else file


class JsonValues:
    """Iterates over the values of a file. Raises BadRequest where it is not JSON or is incomplete."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._buffer = bytearray()
        self._at = 0
        """Where the next value begins in the buffer."""
        self._ended = False
        self._line = 1

    def __iter__(self) -> Iterator[Element]:
        if self._fill(3) and self._buffer[:3] == b"\xef\xbb\xbf":
            self._at = 3
        first = True
        while (byte := self._next_byte()) is not None:
            if byte == b"[" and first:
                yield from self._elements("array", self._at)
                # An array may be followed by more arrays, one per line: a backup of couchbackup.
                yield from self._lines()
                return
            begin = self._line
            text = self._text(stop_at_array=byte == b"{")
            if text is None:
                yield from self._big_object()
            else:
                yield Element(_parsed(text, f"line {begin}"), f"line {begin}")
                if first and b"\n" not in text:
                    yield from self._lines()
                    return
            first = False

    # -- reading -----------------------------------------------------------------------------------

    def _more(self) -> bool:
        if self._ended:
            return False
        if self._at > PIECE:
            del self._buffer[: self._at]
            self._at = 0
        try:
            piece = self._file.read(PIECE)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadRequest(f"the packed file is damaged or cut off: {error}") from error
        if not piece:
            self._ended = True
            return False
        self._buffer += piece
        if len(self._buffer) - self._at > LONGEST:
            raise BadRequest(f"line {self._line}: a value is longer than {LONGEST:,} bytes")
        return True

    def _fill(self, size: int) -> bool:
        while len(self._buffer) - self._at < size:
            if not self._more():
                return False
        return True

    def _next_byte(self) -> bytes | None:
        """Skip white space; return the byte after it, or None at the end."""
        while True:
            found = _SPACE.match(self._buffer, self._at)
            assert found is not None, "the pattern matches everywhere"
            end = found.end()
            found = None
            self._line += self._buffer.count(b"\n", self._at, end)
            self._at = end
            if end < len(self._buffer):
                return bytes(self._buffer[end : end + 1])
            if not self._more():
                return None

    def _take(self, end: int) -> bytes:
        text = bytes(memoryview(self._buffer)[self._at : end])
        self._line += text.count(b"\n")
        self._at = end
        return text

    def _text(self, *, stop_at_array: bool) -> bytes | None:
        """Return the text of the value that begins here; None for an object that should be cut, not parsed whole."""
        end = self._end(0, stop_at_array=stop_at_array)
        return None if end is None else self._take(self._at + end)

    def _end(self, depth: int, *, stop_at_array: bool = False) -> int | None:
        """Return how far from here ``depth`` brackets close, reading on; a word or number may end with the file."""
        offset, inside = 0, False
        while True:
            position = self._at + offset
            while (found := _found(_INSIDE if inside else _OUTSIDE, self._buffer, position))[0] >= 0:
                position, byte = found[0] + 1, found[1]
                if inside:
                    # The character after a backslash does not end the string, even if it is not read yet.
                    position += byte == BACKSLASH
                    inside = byte == BACKSLASH
                elif byte == QUOTE:
                    inside = True
                else:
                    depth += 1 if byte in b"[{" else -1
                    if depth <= 0:
                        return position - self._at
            offset = max(position, len(self._buffer)) - self._at
            if stop_at_array and offset > WHOLE and self._array_member() is not None:
                return None
            if not self._more():
                if depth or inside or not offset:
                    raise BadRequest(f"the file breaks off in the value that begins in line {self._line}")
                return offset

    # -- arrays ------------------------------------------------------------------------------------

    def _array_member(self) -> tuple[str, int] | None:
        """Return name and place of the array in an object of documents; None where an ``_id`` comes before."""
        depth, inside, position, begin = 0, False, self._at, self._at
        while (found := _found(_INSIDE if inside else _OUTSIDE, self._buffer, position))[0] >= 0:
            place, byte = found
            position = place + 1
            if inside:
                position += byte == BACKSLASH
                inside = byte == BACKSLASH
            elif byte == QUOTE:
                inside = True
            elif byte in b"[{":
                depth += 1
                if depth == 2:
                    before = bytes(memoryview(self._buffer)[begin:place])
                    member = _MEMBER.search(before)
                    if _ID.search(before):
                        return None
                    if byte == BRACKET and member is not None:
                        return member[1].decode(), place
            else:
                depth -= 1
                begin = position
        return None

    def _big_object(self) -> Iterator[Element]:
        found = self._array_member()
        assert found is not None, "it was there"
        yield from self._elements(*found)
        # Anything after the array does not concern documents.
        end = self._end(1)
        assert end is not None, "it was not asked to stop"
        self._take(self._at + end)

    def _elements(self, container: str, place: int) -> Iterator[Element]:
        """Yield the objects of an array whose bracket is at ``place``."""
        self._take(place + 1)
        number = 0
        while True:
            byte = self._next_byte()
            if byte == b"]":
                self._take(self._at + 1)
                return
            if byte == b"," and number:
                self._take(self._at + 1)
                byte = self._next_byte()
            if byte is None:
                raise BadRequest(f"the file breaks off after element {number:,} of the array")
            number += 1
            where = f"element {number:,}"
            if byte not in (b"{", b"["):
                raise BadRequest(f"{where} of the array (line {self._line}) is not a JSON object")
            text = self._text(stop_at_array=False)
            assert text is not None, "only objects at the top are cut"
            yield Element(_parsed(text, where), where, container)

    def _lines(self) -> Iterator[Element]:
        """Yield a value per line; one that is not JSON is an Element with the error, for the caller to judge."""
        while self._next_byte() is not None:
            begin = self._at
            while True:
                end = self._buffer.find(b"\n", begin)
                if end >= 0:
                    break
                begin = len(self._buffer)
                before = self._at
                if not self._more():
                    end = len(self._buffer)
                    break
                begin -= before - self._at
            where = f"line {self._line}"
            yield Element(_tried(self._take(end), where), where)


def _found(pattern: re.Pattern[bytes], buffer: bytearray, position: int) -> tuple[int, int]:
    found = pattern.search(buffer, position)
    return (-1, 0) if found is None else (found.start(), buffer[found.start()])


def _tried(text: bytes, where: str) -> Any:
    try:
        return _parsed(text, where)
    except BadRequest as error:
        return error


def _parsed(text: bytes, where: str) -> Any:
    try:
        return from_text(text)
    except PouchDBError as error:
        raise BadRequest(f"{where} is not JSON: {error.message}") from error
