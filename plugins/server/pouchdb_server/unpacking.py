"""Bodies compressed with gzip, decompressed while they are read; and bodies compared with what was said of them."""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

from pouchdb_core.documents.content import md5_text
from pouchdb_core.errors import BadRequest, ContentMismatch
from pouchdb_server.http_errors import RequestTooLarge

__all__ = ["Compared", "Limited", "Packed", "Unpacked"]

PIECE = 64 * 1024


class Unpacked:
    """The content of a compressed file, to be read once. Memory is bounded, however well it was compressed.

    Reading raises BadRequest for what is not gzip or is cut off, RequestTooLarge beyond ``most`` bytes.
    """

    def __init__(self, file: Any, most: int | None) -> None:
        self._file, self._most = file, most
        self._decoder = zlib.decompressobj(wbits=31)
        self._packed = b""
        self._total = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return at most ``size`` bytes, none at the end; ``size`` below 0 reads all."""
        if size < 0:
            return b"".join(iter(lambda: self.read(PIECE), b""))
        while size:
            if self._decoder.eof and not self._another():
                break
            # Its buffer may hold more than was requested before.
            piece = self._unpack(size)
            if piece:
                return piece
            if not self._packed and not self._decoder.eof:
                self._packed = self._file.read(PIECE)
                if not self._packed:
                    raise BadRequest("the packed body ends in the middle")
        return b""

    def _unpack(self, size: int) -> bytes:
        try:
            piece = self._decoder.decompress(self._packed, size)
        except zlib.error:
            raise BadRequest("the body is not gzip, as its Content-Encoding says") from None
        self._packed = b"" if self._decoder.eof else self._decoder.unconsumed_tail
        self._total += len(piece)
        if self._most is not None and self._total > self._most:
            raise RequestTooLarge(f"the body unpacks to more than {self._most} bytes")
        return piece

    def _another(self) -> bool:
        """Start the next member: a file may have several, one after the other. Return whether there is one."""
        self._packed = self._decoder.unused_data or self._file.read(PIECE)
        if self._packed:
            self._decoder = zlib.decompressobj(wbits=31)
        return bool(self._packed)


class Limited:
    """A file that may be read up to a number of bytes. Raises RequestTooLarge beyond them."""

    def __init__(self, file: Any, most: int | None) -> None:
        self._file, self._most, self._total = file, most, 0

    def read(self, size: int = -1, /) -> bytes:
        piece: bytes = self._file.read(size)
        self._total += len(piece)
        if self._most is not None and self._total > self._most:
            raise RequestTooLarge(f"an attachment has more than {self._most} bytes")
        return piece


class Compared:
    """A file that has the MD5 of a ``Content-MD5`` header. Raises ContentMismatch at its end if it has not."""

    def __init__(self, file: Any, header: str) -> None:
        self._file, self._wanted = file, f"md5-{header}"
        self._md5 = hashlib.md5(usedforsecurity=False)

    def read(self, size: int = -1, /) -> bytes:
        piece: bytes = self._file.read(size)
        self._md5.update(piece)
        if (size < 0 or (size and not piece)) and md5_text(self._md5) != self._wanted:
            raise ContentMismatch()
        return piece


class Packed:
    """Content that arrives compressed, read decompressed.

    Once it is read, ``known_as`` has the digest of the compressed bytes, by which the sender may identify it, and
    ``encoded_length`` is how many they are.
    """

    def __init__(self, file: Any, most: int | None) -> None:
        self._raw = file
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.encoded_length = 0
        self._unpacked = Unpacked(_Follower(self), most)

    def read(self, size: int = -1, /) -> bytes:
        return self._unpacked.read(size)

    def take(self, size: int) -> bytes:
        """Return the next compressed bytes."""
        piece: bytes = self._raw.read(size)
        self._md5.update(piece)
        self.encoded_length += len(piece)
        return piece

    @property
    def known_as(self) -> tuple[str, ...]:
        return (md5_text(self._md5),)


class _Follower:
    def __init__(self, packed: Packed) -> None:
        self._packed = packed

    def read(self, size: int) -> bytes:
        return self._packed.take(size)
