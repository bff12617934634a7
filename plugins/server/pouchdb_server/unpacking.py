"""Bodies that come packed with gzip, unpacked while they are read."""

from __future__ import annotations

import zlib
from typing import Any

from pouchdb_core.errors import BadRequest
from pouchdb_server.http_errors import RequestTooLarge

__all__ = ["Unpacked"]

PIECE = 64 * 1024


class Unpacked:
    """What a packed file holds, to be read once. Memory is bounded, however well it was packed.

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
            # What it has may hold more than was asked for before.
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
        """Begin with what follows: a file may be several, one after the other. Tell whether something does."""
        self._packed = self._decoder.unused_data or self._file.read(PIECE)
        if self._packed:
            self._decoder = zlib.decompressobj(wbits=31)
        return bool(self._packed)
