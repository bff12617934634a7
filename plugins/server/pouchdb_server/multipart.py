"""Multipart bodies: read part by part from a file, written piece by piece. Only what is requested is held."""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import unquote

from pouchdb_core.errors import BadRequest
from pouchdb_core.typing import Readable

__all__ = ["MultipartReader", "Part", "boundary_of", "new_boundary", "parameter", "quoted"]

PIECE = 64 * 1024
MOST_HEADERS = 16 * 1024
MOST_PARTS = 10_000
_PARAMETER = r';\s*{}\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))'


def parameter(value: str, name: str) -> str | None:
    """Return a parameter of a header's value, such as the boundary of a Content-Type."""
    found = re.search(_PARAMETER.format(re.escape(name)), value, re.IGNORECASE)
    if found is None:
        return None
    return re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2]


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type names. Raises BadRequest."""
    boundary = parameter(content_type, "boundary")
    if not boundary or len(boundary) > 200:
        raise BadRequest("a multipart body needs a boundary: Content-Type: multipart/related; boundary=...")
    return boundary.encode("latin-1", "replace")


def new_boundary() -> str:
    """Return a boundary that occurs in no content."""
    return secrets.token_hex(16)


def quoted(text: str) -> str:
    """Return text between quotes for a header: as CouchDB, UTF-8 as it is."""
    text = re.sub(r"[\r\n\x00]", "_", text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Part(io.RawIOBase):
    """One part: its headers (names in small letters) and its content as a file, to be read before the next."""

    def __init__(self, reader: MultipartReader, headers: dict[str, str]) -> None:
        super().__init__()
        self._reader, self.headers = reader, headers
        self.ended = False

    @property
    def name(self) -> str | None:
        """The file name in Content-Disposition."""
        value = self.headers.get("content-disposition", "")
        extended = re.search(r"filename\*\s*=\s*utf-8''([^\s;]+)", value, re.IGNORECASE)
        return unquote(extended[1]) if extended else parameter(value, "filename")

    @property
    def field(self) -> str | None:
        """The name of the field of a form."""
        return parameter(self.headers.get("content-disposition", ""), "name")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return at most ``size`` bytes; none at the end of the part. Raises BadRequest for a body that is cut off."""
        if size < 0:
            return b"".join(iter(lambda: self.read(PIECE), b""))
        if self.ended or size == 0:
            return b""
        piece = self._reader._content(size)
        self.ended = not piece
        return piece

    def readinto(self, buffer: Any) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def text(self, most: int) -> bytes:
        """Return all of the content. Raises BadRequest if it is longer than ``most``."""
        pieces, size = [], 0
        while piece := self.read(PIECE):
            size += len(piece)
            if size > most:
                raise BadRequest(f"a part of the body is longer than {most} bytes")
            pieces.append(piece)
        return b"".join(pieces)


class MultipartReader:
    """Reads a multipart body: ``for part in reader``; the unread rest of a part is skipped."""

    def __init__(self, file: BinaryIO | Readable, boundary: bytes) -> None:
        self._file = file
        self._delimiter = b"\r\n--" + boundary
        # The first boundary has no line break before it.
        self._buffer = bytearray(b"\r\n")

    def __iter__(self) -> Iterator[Part]:
        while self._content(PIECE):
            # What is before the first boundary belongs to no part.
            continue
        for _ in range(MOST_PARTS):
            if not self._begin():
                return
            part = Part(self, self._headers())
            yield part
            while part.read(PIECE):
                continue
        raise BadRequest(f"the body has more than {MOST_PARTS} parts")

    def _fill(self) -> None:
        piece = self._file.read(PIECE)
        if not piece:
            raise BadRequest("the multipart body ends in the middle")
        self._buffer += piece

    def _content(self, size: int) -> bytes:
        """Return content before the next boundary, nothing when it is there."""
        buffer, delimiter = self._buffer, self._delimiter
        while True:
            end = buffer.find(delimiter)
            # The beginning of a boundary may be at the end of the buffer.
            sure = end if end >= 0 else len(buffer) - len(delimiter) + 1
            if sure > 0:
                piece = bytes(buffer[: min(size, sure)])
                del buffer[: len(piece)]
                return piece
            if end == 0:
                return b""
            self._fill()

    def _begin(self) -> bool:
        """Step over a boundary; return whether a part follows."""
        del self._buffer[: len(self._delimiter)]
        while len(self._buffer) < 2:
            self._fill()
        if self._buffer.startswith(b"--"):
            return False
        line = self._line(MOST_HEADERS)
        if line.strip(b" \t"):
            raise BadRequest("the multipart body has a boundary with something after it")
        return True

    def _line(self, most: int) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > most:
                raise BadRequest("a part of the multipart body has too long headers")
            self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        size = 0
        while line := self._line(MOST_HEADERS):
            size += len(line)
            if size > MOST_HEADERS:
                raise BadRequest("a part of the multipart body has too long headers")
            name, colon, value = line.partition(b":")
            if not colon:
                raise BadRequest("a part of the multipart body has a header without a colon")
            try:
                headers.setdefault(name.strip().decode("ascii").lower(), value.strip().decode())
            except UnicodeDecodeError:
                raise BadRequest("a part of the multipart body has a header that is not UTF-8") from None
        # The empty line before the content is also the line break before a boundary that follows at once.
        if self._buffer[: len(self._delimiter) - 2] == self._delimiter[2:]:
            self._buffer[:0] = b"\r\n"
        return headers
