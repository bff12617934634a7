"""Attachments on their way: read as a file that picks up where a connection broke, checked by digest."""

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
from pouchdb_core.errors import RemoteError

__all__ = ["DEFAULT_TYPE", "RemoteAttachment"]

DEFAULT_TYPE = "application/octet-stream"
TRIES = 5
"""How often a broken transfer is taken up again without getting further."""


class RemoteAttachment(io.RawIOBase):
    """An attachment on a server as a seekable binary file; one chunk of it is in memory.

    ``content_type``, ``length`` (None while unknown: a packed answer) and ``digest`` describe it.
    When the connection breaks it asks for the rest (``Range``). Read to its end from the start, what
    came is compared with the digest the server told; then ``verified_digest`` is that digest, which
    for content that the server keeps packed is the digest of the packed bytes.
    """

    hashes = True
    """Whoever reads it from start to end need not, if there is a ``verified_digest`` then."""

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
        length = headers.get("content-length")
        self.length: int | None = int(length) if length and self._unpack is None else None
        # Tells whether the rest that is asked for later belongs to the same content.
        self._etag = headers.get("etag")

    def _begin(self) -> Response:
        """Ask for all of it."""
        response = self._ask({"accept-encoding": "gzip" if self._packed else "identity"})
        packed = (response.headers.get("content-encoding") or "identity").lower() != "identity"
        self._unpack = zlib.decompressobj(47) if packed else None
        self._restart(0)
        return response

    def _ask(self, headers: Mapping[str, str]) -> Response:
        sent = {"accept": "*/*", **headers}
        return self._session.request("GET", self._path, query=self._query, headers=sent, stream=True)

    def _restart(self, position: int) -> None:
        self._position, self._rest, self._over, self._skip = position, b"", False, 0
        self._whole = position == 0
        self.verified_digest: str | None = None
        self._raw_md5 = hashlib.md5(usedforsecurity=False)
        self._md5 = hashlib.md5(usedforsecurity=False)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._wanted

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; the next read asks the server for what is there."""
        if whence == io.SEEK_END and self.length is None:
            raise io.UnsupportedOperation("the length is not known before the end was read")
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._wanted, io.SEEK_END: self.length or 0}.get(whence)
        if start is None:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence!r}")
        if start + offset < 0:
            raise ValueError(f"cannot seek before the start: {start + offset}")
        self._wanted = start + offset
        return self._wanted

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer: fewer bytes come at the end only."""
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
        """Go on from a position: by Range where that is possible, else from the start."""
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
            except RemoteError as error:
                failed += 1
                # What came damaged would come so again.
                if failed >= TRIES or error.details.get("damaged"):
                    raise
                self._resume()
        return bool(self._rest)

    def _more_once(self) -> bool:
        raw = self._response.raw_bytes(CHUNK)
        if not raw:
            self._end()
        else:
            if self._unpack is None:
                self._rest = raw
            else:
                self._raw_md5.update(raw)
                self._rest = self._unpack.decompress(raw)
            self._md5.update(self._rest)
        # What was read before the connection broke comes again where the server knows no ranges.
        skipped = min(len(self._rest), self._skip)
        self._rest = self._rest[skipped:]
        self._skip -= skipped
        return bool(self._rest)

    def _resume(self) -> None:
        """Take a broken transfer up again where it was."""
        whole, digests, skip = self._whole, (self._md5, self._raw_md5), self._skip
        reached = self._position
        self._reopen(reached)
        if self._position == reached and not skip:
            # The rest follows what was read, and so do the digests.
            (self._md5, self._raw_md5), self._whole = digests, whole
        else:
            self._skip, self._position = reached - self._position, reached

    def _end(self) -> None:
        self._over = True
        if self._unpack is not None:
            self._rest = self._unpack.flush()
            self._md5.update(self._rest)
        self._response.close()
        if self._whole and self.digest is not None:
            came = {_text(self._md5)} if self._unpack is None else {_text(self._md5), _text(self._raw_md5)}
            if self.digest not in came and self._packed:
                text = f"attachment {self._path} came damaged: its digest is not {self.digest}"
                raise RemoteError(text, damaged=True)
            if self.digest in came:
                self.verified_digest = self.digest

    def close(self) -> None:
        if not self.closed:
            self._response.close()
        super().close()


def _text(md5: Any) -> str:
    return "md5-" + base64.b64encode(md5.digest()).decode("ascii")


def _digest(headers: Mapping[str, str]) -> str | None:
    """Return the digest that a server tells: CouchDB's ETag of an attachment is its MD5."""
    for name in ("content-md5", "etag"):
        text = (headers.get(name) or "").strip('"')
        try:
            if len(text) == 24 and len(base64.b64decode(text, validate=True)) == 16:
                return f"md5-{text}"
        except (binascii.Error, ValueError):
            continue
    return None
