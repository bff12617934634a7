"""One answer of a server: read whole, or as it comes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import urllib3

from pouchdb_core.adapters.http.failures import failure, not_json
from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import from_text
from pouchdb_core.results import Record, record

__all__ = ["Response"]

CHUNK = 64 * 1024


class Response:
    """``status``, ``headers`` (names in any case), and the body: ``data``, ``text``, ``json()`` or ``chunks()``.

    A response that was asked for with ``stream=True`` must be read to its end or closed.
    """

    def __init__(self, raw: urllib3.BaseHTTPResponse, url: str) -> None:
        self.status: int = raw.status
        self.headers: Mapping[str, str] = raw.headers
        self.url = url
        self._raw = raw
        self._data: bytes | None = None
        self._lock = threading.Lock()
        self._over = False

    @property
    def data(self) -> bytes:
        """The whole body."""
        if self._data is None:
            self._data = b"".join(self.chunks())
        return self._data

    @property
    def text(self) -> str:
        """The whole body as text, by the charset that the server told."""
        kind = self.headers.get("content-type") or ""
        charset = kind.rpartition("charset=")[2].strip(' ";') if "charset=" in kind else "utf-8"
        try:
            return self.data.decode(charset, "replace")
        except LookupError:
            return self.data.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body parsed, objects as Records. Raises NotACouchDB if it is no JSON."""
        try:
            return _records(from_text(self.data))
        except BadRequest:
            kind = self.headers.get("content-type") or ""
            raise not_json(self.status, kind, self.data, self.url) from None

    def chunks(self, size: int = CHUNK) -> Iterator[bytes]:
        """Yield the body in pieces as they come, at most ``size`` bytes each, unpacked. Raises RemoteError."""
        if self._data is not None:
            yield self._data
            return
        try:
            while piece := self._raw.read(size, decode_content=True):
                yield piece
            self._raw.release_conn()
        except GeneratorExit:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise failure(error, self.url) from error

    def read_some(self, size: int = CHUNK) -> bytes:
        """Return what has come, up to ``size`` bytes, waiting for the first; empty at the end. Raises RemoteError."""
        try:
            return self._raw.read1(size, decode_content=True)
        except Exception as error:
            self.close()
            raise failure(error, self.url) from error

    def raw_bytes(self, size: int = CHUNK) -> bytes:
        """Return the next bytes as they were sent, still packed; empty at the end. Raises RemoteError."""
        try:
            return self._raw.read(size, decode_content=False)
        except Exception as error:
            self.close()
            raise failure(error, self.url) from error

    def shut_down(self) -> None:
        """Have a read in another thread end at once; may be called from any thread, and again."""
        with self._lock:
            if self._over:
                return
            self._over = True
        try:
            self._raw.shutdown()
        except (OSError, ValueError, RuntimeError):
            # Over already, or not begun: closing it is all there is to do.
            self._raw.close()

    def close(self) -> None:
        """Let go of the connection; one with an unread rest is closed."""
        with self._lock:
            self._over = True
        self._raw.close()


def _records(value: Any) -> Any:
    if type(value) is dict:
        return record(value)
    if type(value) is list:
        holder = Record(value=value)
        record(holder)
        return holder["value"]
    return value
