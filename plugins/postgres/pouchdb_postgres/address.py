"""The parts of a URL: the server, and which of its databases are ours.

The query of the URL may have any parameter that libpq understands. Three are ours, and are removed from it:
``schema``, where the list of the databases is stored, ``pool_size`` and ``pool_timeout``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from pouchdb_core.errors import BadRequest
from pouchdb_core.safe_repr import safe_repr

__all__ = ["SCHEMES", "Address", "address_of"]

SCHEMES = ("postgresql", "postgres")

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where databases are stored."""

    conninfo: str
    """For libpq; may contain a password."""
    shown: str
    """The same for error messages, without the password."""
    schema: str
    """The schema that lists the databases; their schemas begin with its name."""
    pool_size: int
    """The most connections that this process opens, besides the one that listens."""
    pool_timeout: float
    """Seconds to wait for one of them, or for the server."""


def address_of(url: str) -> Address:
    """Read a URL. Raises BadRequest, which never shows the password."""
    if "#" in url:
        # The text before it may be part of a password: nothing is shown.
        raise BadRequest("the URL of the PostgreSQL server cannot be read: a '#' in a password must be written %23")
    try:
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        given = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError as error:
        raise BadRequest(f"the URL of the PostgreSQL server cannot be read: {error}") from None
    ours = {"schema": "pouchdb", "pool_size": "20", "pool_timeout": "10"}
    theirs = []
    for name, value in given:
        if name in ours:
            ours[name] = value
        else:
            theirs.append((name, value))
    if not _SCHEMA.fullmatch(ours["schema"]) or ours["schema"].startswith("pg_"):
        raise BadRequest(
            f"{shown}: schema must be 1 to 40 small letters, digits and '_', not beginning with a digit or 'pg_'; "
            f"not {safe_repr(ours['schema'])}"
        )
    size = _number("pool_size", ours["pool_size"], shown)
    if size != int(size) or size < 2:
        raise BadRequest(f"{shown}: pool_size must be a whole number from 2 on, not {safe_repr(ours['pool_size'])}")
    libpq = parts._replace(scheme="postgresql", query=urlencode(theirs, quote_via=quote)).geturl()
    return Address(libpq, shown, ours["schema"], int(size), _number("pool_timeout", ours["pool_timeout"], shown))


def _number(name: str, text: str, shown: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text) or float(text) == 0:
        raise BadRequest(f"{shown}: {name} must be a number greater than 0, not {safe_repr(text)}")
    return float(text)
