"""Downloads of attachments: read as a file that resumes where a connection broke, digested while it is read."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import zlib
from collections.abc import Mapping
from typing import Any

from pouchdb_core.adapters.http.address import attachment_path
from pouchdb_core.adapters.http.http_session import HttpSession
from pouchdb_core.adapters.http.response import CHUNK, Response
from pouchdb_core.documents.content import Digests, md5_text
from pouchdb_core.errors import RemoteError
from pouchdb_core.safe_repr import safe_repr

__all__ = ["DEFAULT_TYPE", "RemoteAttachment"]

DEFAULT_TYPE = "application/octet-stream"
PACKED = 32 + zlib.MAX_WBITS
"""gzip or zlib, recognized by the first bytes."""
PIECE = 4 * CHUNK
"""Bytes that are read at once: several are read at the same time, and less would mean much switching between them."""
TRIES = 5
"""How often a broken transfer is resumed without progress."""


class RemoteAttachment(io.RawIOBase):
    """An attachment on a server as a seekable binary file; one chunk of it is in memory.

    ``content_type``, ``length`` (None while unknown: a compressed response) and ``digest`` describe it.
    When the connection breaks it asks for the rest (``Range``). Read to its end from the start, ``digests``
    are those of the content, and ``known_as`` has the other digests known for this content: that of the
    compressed bytes where it came compressed, and the server's digest where the server says of which bytes.
    """

    def __init__(self, session: HttpSession, id: str, name: str, rev: str | None, *, packed: bool) -> None:
        super().__init__()
        self._session, self._packed = session, packed
        self._path = attachment_path(id, name)
        self._query = {"rev": rev}
        self._wanted = 0
        self._response = self._begin()
        headers = self._response.headers
        self.content_type: str = headers.get("content-type") or DEFAULT_TYPE
        self.digest: str | None = _digest(headers)
        self._content_md5 = _md5_of(headers.get("content-md5"))
        length = headers.get("content-length")
        self.length: int | None = int(length) if length and self._unpack is None else None
        # Says whether the rest that is requested later belongs to the same content.
        self._etag = headers.get("etag")

    def _begin(self) -> Response:
        """Request all of it."""
        response = self._ask({"accept-encoding": "gzip" if self._packed else "identity"})
        packed = (response.headers.get("content-encoding") or "identity").lower() != "identity"
        self._unpack = zlib.decompressobj(PACKED) if packed else None
        self._restart(0)
        return response

    def _ask(self, headers: Mapping[str, str]) -> Response:
        sent = {"accept": "*/*", **headers}
        return self._session.request("GET", self._path, query=self._query, headers=sent, stream=True)

    def _restart(self, position: int) -> None:
        self._position, self._rest, self._over, self._skip = position, b"", False, 0
        self._whole = position == 0
        self._raw_md5, self._packed_length = hashlib.md5(usedforsecurity=False), 0
        self._digests = Digests()
        self.encoded_length: int | None = None
        """Bytes of the compressed content, once all of it came compressed."""
        self.known_as: tuple[str, ...] = ()

    @property
    def digests(self) -> Digests:
        """Digests of the whole content; it is read again if it was not read from the start. Raises RemoteError."""
        if not (self._over and self._whole):
            self._reopen(0)
            while self._more():
                self._rest = b""
        return self._digests

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._wanted

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Seek; the next read requests the bytes from there."""
        if whence == io.SEEK_END and self.length is None:
            raise io.UnsupportedOperation("the length is not known before the end was read")
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._wanted, io.SEEK_END: self.length or 0}.get(whence)
        if start is None:
            raise ValueError(f"whence must be 0, 1 or 2, not {safe_repr(whence)}")
        if start + offset < 0:
            raise ValueError(f"cannot seek before the start: {start + offset}")
        self._wanted = start + offset
        return self._wanted

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer: fewer bytes only at the end."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        view = memoryview(buffer).cast("B")
        done = 0
        self._go_to_wanted()
        while done < len(view) and (self._rest or self._more()):
            piece = self._rest[: len(view) - done]
            view[done : done + len(piece)] = piece
            self._rest = self._rest[len(piece) :]
            done += len(piece)
            self._position += len(piece)
            self._wanted += len(piece)
        return done

    def _go_to_wanted(self) -> None:
        if self._wanted == self._position:
            return
        if self._wanted < self._position or (self._unpack is None and self._wanted - self._position > CHUNK):
            self._reopen(self._wanted)
        while self._position < self._wanted and (self._rest or self._more()):
            skipped = min(len(self._rest), self._wanted - self._position)
            self._rest = self._rest[skipped:]
            self._position += skipped

    def _reopen(self, position: int) -> None:
        """Continue from a position: by Range where that is possible, else from the start."""
        self._response.close()
        if position == 0 or self._unpack is not None or self._etag is None:
            self._response = self._begin()
            return
        wanted = {"range": f"bytes={position}-", "if-range": self._etag}
        self._response = self._ask({"accept-encoding": "identity", **wanted})
        self._restart(position if self._response.status == 206 else 0)

    def _more(self) -> bool:
        """Get the next bytes into ``_rest``; False at the end."""
        failed = 0
        while not self._over:
            try:
                if self._more_once():
                    return True
            except RemoteError:
                failed += 1
                if failed >= TRIES:
                    raise
                self._resume()
        return bool(self._rest)

    def _more_once(self) -> bool:
        raw = self._response.raw_bytes(PIECE)
        if not raw:
            self._end()
        else:
            if self._unpack is None:
                self._rest = raw
            else:
                self._raw_md5.update(raw)
                self._packed_length += len(raw)
                self._rest = self._decompress(raw)
            self._digests.update(self._rest)
        # What was read before the connection broke is sent again if the server does not know ranges.
        skipped = min(len(self._rest), self._skip)
        self._rest = self._rest[skipped:]
        self._skip -= skipped
        return bool(self._rest)

    def _resume(self) -> None:
        """Resume a broken transfer where it stopped."""
        whole, digests, skip = self._whole, (self._digests, self._raw_md5), self._skip
        reached = self._position
        self._reopen(reached)
        if self._position == reached and not skip:
            # The rest follows what was read, and so do the digests.
            (self._digests, self._raw_md5), self._whole = digests, whole
        else:
            self._skip, self._position = reached - self._position, reached

    def _end(self) -> None:
        self._over = True
        known = []
        if self._unpack is not None:
            self._rest = self._unpack.flush()
            self._digests.update(self._rest)
            if not self._unpack.eof and self._packed_length:
                raise RemoteError(f"attachment {self._path} came packed, and not to its end")
            if self._whole:
                known.append(md5_text(self._raw_md5))
                self.encoded_length = self._packed_length
        self._response.close()
        if self._whole and self.digest is not None and self._content_md5 == self._digests.md5:
            # It gives the content another digest than that of its bytes, and says so.
            known.append(self.digest)
        self.known_as = tuple(known)

    def _decompress(self, raw: bytes) -> bytes:
        assert self._unpack is not None
        try:
            plain = self._unpack.decompress(raw)
            while self._unpack.unused_data:
                # There may be several, one after another.
                raw, self._unpack = self._unpack.unused_data, zlib.decompressobj(PACKED)
                plain += self._unpack.decompress(raw)
            return plain
        except zlib.error as error:
            raise RemoteError(f"attachment {self._path} came damaged: it cannot be unpacked: {error}") from error

    def close(self) -> None:
        # The finalizer closes also what failed to open, which has no response.
        if not self.closed and (response := self.__dict__.get("_response")) is not None:
            response.close()
        super().close()


def _digest(headers: Mapping[str, str]) -> str | None:
    """Return the digest that a server reports: CouchDB's ETag of an attachment is its MD5."""
    return _md5_of(headers.get("etag")) or _md5_of(headers.get("content-md5"))


def _md5_of(header: str | None) -> str | None:
    if header is not None:
        text = header.strip('"')
        try:
            if len(text) == 24 and len(base64.b64decode(text, validate=True)) == 16:
                return f"md5-{text}"
        except (binascii.Error, ValueError):
            return None
    return None
