"""The parts of a URL: the server, and which of its databases are ours.

The query of the URL may have any parameter that libpq understands. Three are ours, and are removed from it:
``schema``, where the list of the databases is stored, ``pool_size`` and ``pool_timeout``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from pouchdb_core.errors import BadRequest
from pouchdb_core.safe_repr import safe_repr

__all__ = ["SCHEMES", "Address", "address_of"]

SCHEMES = ("postgresql", "postgres")

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,39}")
_NAME = re.compile(r"[A-Za-z_]+")
_PERCENT = re.compile(r"%(?:00|(?![0-9A-Fa-f]{2}))")


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
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        raise _unreadable("write the host as in postgresql://host:5432/database, an IPv6 address in []") from None
    _check(url, parts, given)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
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
    # Not by ``geturl``: without a host, as for a socket, it leaves out the two slashes.
    query = urlencode(theirs, quote_via=quote)
    libpq = f"postgresql://{parts.netloc}{parts.path}{'?' if query else ''}{query}"
    return Address(libpq, shown, ours["schema"], int(size), _number("pool_timeout", ours["pool_timeout"], shown))


def _check(url: str, parts: SplitResult, given: Sequence[tuple[str, str]]) -> None:
    """Refuse what a password makes of a URL in which it is not escaped: the rest of it must not be shown anywhere."""
    user, at, hosts = parts.netloc.rpartition("@")
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts.split(",")]
    if "#" in url:
        raise _unreadable("a '#' in a password must be written %23")
    if "@" in user:
        raise _unreadable("an '@' in a password must be written %40")
    if not at and "@" in parts.path:
        raise _unreadable("a '/' in a password must be written %2F")
    if any(not _NAME.fullmatch(name) for name, _ in given):
        raise _unreadable("a parameter has the form name=value; a '?' in a password must be written %3F")
    if not all(port.isdecimal() or not port for port in ports):
        raise _unreadable("the port is no number; a '/' or '?' in a password must be written %2F or %3F")
    if any(int(port or 1) not in range(1, 65536) for port in ports):
        raise _unreadable("a port is a number from 1 to 65535")
    if _PERCENT.search(url) is not None:
        raise _unreadable("after a '%' there are two hexadecimal digits, not 00; in a password it must be written %25")


def _unreadable(why: str) -> BadRequest:
    return BadRequest(f"the URL of the PostgreSQL server cannot be read: {why}")


def _number(name: str, text: str, shown: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text) or float(text) == 0:
        raise BadRequest(f"{shown}: {name} must be a number greater than 0, not {safe_repr(text)}")
    return float(text)
