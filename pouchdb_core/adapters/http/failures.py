"""Failures as errors: the server's own, kept word for word, and those of the connection."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Any

import urllib3.exceptions as urllib3_errors

from pouchdb_core.errors import (
    BadRequest,
    Conflict,
    FileExists,
    Forbidden,
    MissingId,
    MissingStub,
    NotACouchDB,
    NotFound,
    NotSupported,
    PouchDBError,
    QueryParseError,
    RemoteError,
    TimedOut,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)

__all__ = ["failure", "is_missing_database", "not_json", "server_error"]

_BY_STATUS: Mapping[int, type[PouchDBError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: NotSupported,
    409: Conflict,
    413: TooLarge,
    429: TooManyRequests,
    501: NotSupported,
}
_BY_NAME: Mapping[str, type[PouchDBError]] = {
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "not_found": NotFound,
    "conflict": Conflict,
    "file_exists": FileExists,
    "missing_id": MissingId,
    "missing_stub": MissingStub,
    "document_too_large": TooLarge,
    "too_large": TooLarge,
    "bad_request": BadRequest,
    "query_parse_error": QueryParseError,
}


def server_error(status: int | None, answer: Any, **details: Any) -> PouchDBError:
    """Return the error that a server reported: its status, name, reason and position, as the class that fits."""
    told = answer if isinstance(answer, Mapping) else {}
    name = told.get("error") if isinstance(told.get("error"), str) else told.get("name")
    name = name if isinstance(name, str) and name else None
    reason = told.get("reason", told.get("message"))
    if status is None:
        status = told["status"] if type(told.get("status")) is int else None
    if type(told.get("position")) is int:
        details["position"] = told["position"]
    kind = _BY_NAME.get(name or "") or _BY_STATUS.get(status or 0)
    error = (kind or RemoteError)(reason if isinstance(reason, str) and reason else None, **details)
    if isinstance(error, (Unauthorized, Forbidden)) and reason is not None and not isinstance(reason, str):
        # A validation function may give any JSON as its message.
        error.message, error.args = reason, (reason,)
    if status is not None:
        error.status = status
    if name is not None:
        error.name = name
    return error


def not_json(status: int, content_type: str, text: bytes, url: str) -> PouchDBError:
    """Return the error for a response that is not JSON: HTML of a proxy, or a server that is not a CouchDB."""
    title = re.search(rb"<title[^>]*>(.*?)</title>", text[:4096], re.IGNORECASE | re.DOTALL)
    words = (title[1] if title else text[:120]).decode("utf-8", "replace").strip()
    kind = content_type.partition(";")[0] or "nothing that says what it is"
    told = f" ({words})" if words else ""
    if status >= 400:
        error = _BY_STATUS.get(status, RemoteError)(f"{url} answered {status} with {kind}{told}")
        error.status = status
        return error
    return NotACouchDB(f"{url} answered {kind} instead of JSON{told}: is it the URL of a CouchDB database?")


def is_missing_database(error: PouchDBError) -> bool:
    """Return whether a 404 is about the database, not about a document in it."""
    if not isinstance(error, NotFound):
        return False
    reason = error.message.lower()
    return "no_db_file" in reason or "database" in reason or reason == "no such db"


def failure(error: BaseException, url: str) -> PouchDBError:
    """Return an error of the HTTP library as one of our errors."""
    place = "/".join(url.split("/", 3)[:3])
    if isinstance(error, urllib3_errors.ProxyError):
        return Unreachable(f"the proxy on the way to {place} failed: {error}")
    if isinstance(error, (urllib3_errors.SSLError, ssl.SSLError)):
        hint = "for a certificate of your own: the option ca_certs (--ca-certs), or the variable SSL_CERT_FILE"
        return Unreachable(f"{place}: TLS failed: {error} ({hint})", tls=True)
    if isinstance(error, urllib3_errors.ReadTimeoutError):
        return TimedOut(f"{place} did not answer in time")
    if isinstance(error, urllib3_errors.NameResolutionError):
        return Unreachable(f"{place}: there is no host of this name")
    if isinstance(error, urllib3_errors.NewConnectionError):
        return Unreachable(f"{place} cannot be reached: {error.__cause__ or error}")
    if isinstance(error, urllib3_errors.ConnectTimeoutError):
        return TimedOut(f"{place} cannot be reached in time")
    if isinstance(error, TimeoutError):
        return TimedOut(f"{place} did not answer in time")
    return Unreachable(f"{place}: the connection broke: {error}", broken=True)
