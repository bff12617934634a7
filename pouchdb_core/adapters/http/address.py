"""URLs of remote databases: parsed once, quoted by CouchDB's rules."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import encodes

__all__ = ["Address", "attachment_path", "document_path", "parse_address", "query_string"]

_KEPT = "%/:@!$&'()*+,;=~-._"
"""Characters kept in the path that the user wrote: it is already quoted."""
_NOT_IN_HOSTS = re.compile(r"""[\x00-\x20"#<>?@\\^`{|}\x7f]""")
"""Characters that no host has; others may be part of an internationalised name."""
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")


class Address(NamedTuple):
    """Where a database is."""

    server: str
    """URL of the server without a slash at the end; behind a proxy it may have a path."""
    path: str
    """The database's name as it appears in URLs."""
    username: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Address({self.url!r})"

    @property
    def url(self) -> str:
        """The URL of the database, without credentials."""
        return f"{self.server}/{self.path}"

    @property
    def name(self) -> str:
        """The database's name as the server knows it."""
        return unquote(self.path)


def parse_address(url: str) -> Address:
    """Parse a URL. Raises BadRequest without host or database name, or with query or fragment."""
    if not encodes(url):
        raise BadRequest("not the URL of a database: it holds a lone surrogate")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadRequest(f"not the URL of a database: {error}") from None
    if not parts.hostname:
        raise BadRequest("the URL of a database needs a host: http://host:5984/database")
    if wrong := _NOT_IN_HOSTS.search(parts.hostname):
        raise BadRequest(f"not the URL of a database: its host {parts.hostname!r} has the character {wrong[0]!r}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = f"{parts.scheme.lower()}://{host}" + ("" if port is None else f":{port}")
    if parts.query or parts.fragment:
        raise BadRequest(f"the URL of a database has neither ? nor #: write them as %3F and %23 ({place})")
    path = quote(_BAD_ESCAPE.sub("%25", parts.path.rstrip("/")), safe=_KEPT)
    prefix, _, name = path.rpartition("/")
    if not name:
        raise BadRequest(f"the URL of a database ends with its name: {place}/database")
    username = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    return Address(place + prefix, name.replace("+", "%2B"), username, password)


def _part(text: str) -> str:
    # A dot alone would be taken for a relative path, here and on the server.
    return quote(text, safe="") if text not in (".", "..") else text.replace(".", "%2E")


def document_path(id: str) -> str:
    """Return the path of a document below its database: the slash after ``_design`` and ``_local`` stays."""
    for prefix in ("_design/", "_local/"):
        if id.startswith(prefix):
            return prefix + _part(id[len(prefix) :])
    return _part(id)


def attachment_path(id: str, name: str) -> str:
    """Return the path of an attachment below its database.

    Slashes in its name stay, as everywhere, unless a server or proxy would merge two into one, or drop one
    at an end: then each is written as ``%2F``.
    """
    if "" in name.split("/"):
        return document_path(id) + "/" + _part(name)
    return document_path(id) + "/" + "/".join(map(_part, name.split("/")))


def query_string(query: Mapping[str, Any] | None) -> str:
    """Return a query with its question mark, values as JSON unless they are strings; None is left out."""
    if not query:
        return ""
    pairs = [
        f"{quote(name, safe='')}={quote(value if isinstance(value, str) else json.dumps(value), safe='')}"
        for name, value in query.items()
        if value is not None
    ]
    return "?" + "&".join(pairs) if pairs else ""
