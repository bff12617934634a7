"""One response of a server: read whole, or as a stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import urllib3

from pouchdb_core.adapters.http.failures import failure, not_json, server_error
from pouchdb_core.errors import BadRequest, PouchDBError, RemoteError, TooManyRequests
from pouchdb_core.jsontext import from_text
from pouchdb_core.results import Record, record

__all__ = ["Response"]

CHUNK = 64 * 1024


class Response:
    """``status``, ``headers`` (names in any case), and the body: ``data``, ``text``, ``json()`` or ``chunks()``.

    A response of a request with ``stream=True`` must be read to its end or closed.
    """

    def __init__(self, raw: urllib3.BaseHTTPResponse, url: str) -> None:
        self.status: int = raw.status
        self.headers: Mapping[str, str] = raw.headers
        self.url = url
        self._raw = raw
        self._data: bytes | None = None
        self._lock = threading.RLock()
        self._over = False

    @property
    def data(self) -> bytes:
        """The whole body."""
        if self._data is None:
            self._data = b"".join(self.chunks())
        return self._data

    @property
    def text(self) -> str:
        """The whole body as text, by the charset in the response's headers."""
        kind = self.headers.get("content-type") or ""
        charset = kind.rpartition("charset=")[2].strip(' ";') if "charset=" in kind else "utf-8"
        try:
            return self.data.decode(charset, "replace")
        except LookupError:
            return self.data.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body parsed, objects as Records. Raises NotACouchDB if it is not JSON."""
        try:
            return _records(from_text(self.data))
        except BadRequest:
            kind = self.headers.get("content-type") or ""
            raise not_json(self.status, kind, self.data, self.url) from None

    def error(self) -> PouchDBError | None:
        """Return the error that the response stands for, as ``fetch`` would raise it; None below status 400.

        With ``check=False`` responses of any status are returned, redirects too: ``if error := response.error()``.
        """
        return self.told() if self.status >= 400 else None

    def told(self, *, any_content: bool = False) -> PouchDBError:
        """Return the error of a response known to be one. ``any_content``: a body that is not JSON is ignored."""
        try:
            answer = self.json() if self.data else None
        except RemoteError:
            answer = None
        if not isinstance(answer, Mapping) and not any_content and self.data:
            return not_json(self.status, self.headers.get("content-type") or "", self.data, self.url)
        error = server_error(self.status, answer)
        if isinstance(error, TooManyRequests) and (seconds := self.retry_after()) is not None:
            error.details["retry_after"] = seconds
        return error

    def retry_after(self) -> float | None:
        """Return the seconds that the server said to wait; None if it did not."""
        told = self.headers.get("retry-after")
        if not told:
            return None
        try:
            return max(0.0, float(told))
        except ValueError:
            pass
        try:
            return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
        except (ValueError, TypeError):
            return None

    def chunks(self, size: int = CHUNK) -> Iterator[bytes]:
        """Yield the body in pieces as they come, at most ``size`` bytes each, decompressed. Raises RemoteError."""
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
        """Return data received, up to ``size`` bytes, waiting for the first; empty at the end. Raises RemoteError."""
        try:
            return self._raw.read1(size, decode_content=True)
        except Exception as error:
            self.close()
            raise failure(error, self.url) from error

    def raw_bytes(self, size: int = CHUNK) -> bytes:
        """Return the next bytes as they were sent, still compressed; empty at the end. Raises RemoteError."""
        try:
            return self._raw.read(size, decode_content=False)
        except Exception as error:
            self.close()
            raise failure(error, self.url) from error

    def shut_down(self) -> None:
        """End a read in another thread at once; may be called from any thread, and repeatedly."""
        with self._lock:
            if self._over:
                return
            self._over = True
        try:
            self._raw.shutdown()
        except (OSError, ValueError, RuntimeError):
            # Over already, or not begun: closing it is enough.
            self._raw.close()

    def close(self) -> None:
        """Release the connection; one with unread data is closed."""
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
