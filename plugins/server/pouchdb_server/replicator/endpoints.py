"""Source and target of a replication as they are written in JSON; their credentials are never shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pouchdb_core.adapters.http.address import parse_address
from pouchdb_core.errors import BadRequest, PouchDBError
from pouchdb_core.urls import is_http

__all__ = ["Endpoint", "endpoint", "without_credentials"]

SECRET = frozenset({"authorization", "cookie", "proxy-authorization", "x-auth-couchdb-token"})
"""Headers that carry credentials, and do not change what is requested."""


@dataclass(frozen=True)
class Endpoint:
    """One side of a replication: a local database's name, or a URL and options for its requests."""

    name: str
    """The name, or the URL without credentials: what may be shown."""
    remote: bool = False
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Options of the database object: ``auth``, ``headers``, ``proxy``."""

    def identity(self) -> list[Any]:
        """Return its identity: a new password or scheme does not make it another endpoint."""
        if not self.remote:
            return [False, self.name]
        parts = urlsplit(self.name)
        auth = self.options.get("auth") or {}
        headers = {key.lower(): value for key, value in (self.options.get("headers") or {}).items()}
        shown = sorted((key, value) for key, value in headers.items() if key not in SECRET)
        return [True, auth.get("username"), parts.hostname, parts.port, parts.path.rstrip("/"), shown]


def endpoint(given: Any, end: str, proxy: str | None = None) -> Endpoint:
    """Return the endpoint of a name, URL or ``{url, auth, headers}``. Raises BadRequest, which names ``end``."""
    headers: Any = None
    auth: Any = None
    if isinstance(given, Mapping):
        headers, auth = given.get("headers"), given.get("auth")
        given = given.get("url")
        if not isinstance(given, str) or not given:
            raise BadRequest(f"The url property must exist in the `{end}` field and must be a non-empty string.")
    if not isinstance(given, str) or not given:
        raise BadRequest(f"`{end}` must be a database's name, its URL or {{url: ..., auth: ..., headers: ...}}")
    if "://" not in given:
        if headers or auth:
            raise BadRequest(f"`{end}` is a database of this server, which needs neither headers nor auth")
        return Endpoint(given)
    if not is_http(given):
        raise BadRequest(f"`{end}` must be a database's name, or a URL that begins with http:// or https://")
    try:
        address = parse_address(given)
    except PouchDBError as error:
        raise BadRequest(f"`{end}`: {without_credentials(error.message)}") from None
    options: dict[str, Any] = {}
    if address.username is not None:
        options["auth"] = {"username": address.username, "password": address.password or ""}
    if auth is not None:
        options["auth"] = _basic(auth, end)
    if headers is not None:
        options["headers"] = _headers(headers, end)
    if proxy is not None:
        options["proxy"] = proxy
    return Endpoint(address.url, True, options)


def _basic(auth: Any, end: str) -> dict[str, str]:
    basic = auth.get("basic") if isinstance(auth, Mapping) else None
    if isinstance(basic, Mapping):
        name, password = basic.get("username"), basic.get("password")
        if isinstance(name, str) and isinstance(password, str):
            return {"username": name, "password": password}
    raise BadRequest(f"`{end}.auth` must be {{basic: {{username: ..., password: ...}}}}")


def _headers(headers: Any, end: str) -> dict[str, str]:
    if not isinstance(headers, Mapping):
        raise BadRequest(f"`{end}.headers` must be an object of texts")
    for name, value in headers.items():
        if not isinstance(value, str) or re.search(r"[\r\n]", name + value):
            raise BadRequest(f"`{end}.headers` must be an object of texts of one line each")
    return dict(headers)


def without_credentials(text: str) -> str:
    """Return a string with user names and passwords removed from its URLs."""
    return _CREDENTIALS.sub(r"\1", text)


# From the beginning of a run of letters only: else a run without "://" takes time by the square of its length.
_CREDENTIALS = re.compile(r"((?<![a-z0-9+.-])[a-z0-9+.-]+://)[^/?#\s]*@", re.IGNORECASE)
