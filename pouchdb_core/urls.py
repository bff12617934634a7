"""Names that are URLs, and names that were meant to be.

Databases may have any name, so a mistyped URL would quietly be a new local one. Four forms look like that and like
little else: a scheme before a colon and a slash (``http:/host``), a scheme that databases are known by before a colon
alone (``sqlite:file.db``), a host with a port and a path (``localhost:5984/notes``), and a URL after a blank. One
letter before a colon is a drive of Windows. No name that CouchDB allows has a colon.
"""

from __future__ import annotations

import re

__all__ = ["is_http", "mistyped_url", "scheme_of", "shown_url"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ALMOST = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):[/\\]+(.*)", re.DOTALL)
_KNOWN = re.compile(r"(https?|wss?|ftp|file|sqlite3?|postgres|postgresql|couchdbs?):(.*)", re.DOTALL | re.IGNORECASE)
_CREDENTIALS = re.compile(r".*@", re.DOTALL)
"""As long as can be: a password may have a '/' that should have been escaped."""
_HOST = re.compile(r"(localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+):[0-9]{1,5}/.*", re.DOTALL | re.IGNORECASE)


def scheme_of(name: str) -> str | None:
    """Return the scheme of a URL in lower case, as schemes have none (RFC 3986, 3.1); None for other names."""
    found = _SCHEME.match(name)
    return None if found is None else found[1].lower()


def is_http(name: object) -> bool:
    """Return whether it is the URL of an HTTP server."""
    return isinstance(name, str) and scheme_of(name) in ("http", "https")


def mistyped_url(name: str) -> str | None:
    """Return the URL that was probably meant by a name that is none, without its credentials; None if none was."""
    if scheme_of(name) is not None:
        return None
    bare = name.lstrip()
    if bare != name and (scheme := scheme_of(bare)) is not None:
        # With a blank before it, as it is pasted.
        return f"{scheme}://{_CREDENTIALS.sub('', bare.partition('://')[2])}"
    if _HOST.fullmatch(name):
        return f"http://{name}"
    found = _ALMOST.fullmatch(name) or _KNOWN.fullmatch(name)
    return None if found is None else f"{found[1].lower()}://{_CREDENTIALS.sub('', found[2])}"


def shown_url(url: str) -> str:
    """Return what of a URL may be shown, even if it is invalid: not its user, password, query and fragment."""
    scheme, separator, rest = url.partition("://")
    where = re.split(r"[?#]", _CREDENTIALS.sub("", rest))[0]
    # It was the end of a query, in which there was an '@'.
    return f"{scheme}{separator}{'...' if re.search('[&=]', where) else where}"
