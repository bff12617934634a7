"""Credentials: what identifies the user to a server, and how to renew it when the server no longer accepts it."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import encodes

__all__ = ["Basic", "Credentials", "Login", "Renewing", "are_headers", "credentials"]

Headers = Mapping[str, str]

# Any byte but those that end a header.
_HEADER = re.compile("[\t\x20-\x7e\x80-\xff]*")


class Credentials(Protocol):
    """Identifies the user to a server.

    ``renewals`` is how often they are renewed for one request before its refusal is believed.
    """

    renewals: int

    def headers(self) -> Headers:
        """Return the headers of a request."""

    def renew(self, refused: Headers) -> bool:
        """Get new credentials after the server refused these; False when there are none."""


def are_headers(headers: Any) -> bool:
    """Return whether these are names and values that can be sent as headers."""
    return isinstance(headers, Mapping) and all(
        isinstance(text, str) and _HEADER.fullmatch(text) is not None for pair in headers.items() for text in pair
    )


def _basic(username: str, password: str) -> dict[str, str]:
    if not encodes(username + password):
        raise BadRequest("auth: a name and a password are sent as UTF-8, so they must not hold a lone surrogate")
    token = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    return {"authorization": f"Basic {token}"}


class Basic:
    """The same headers each time: name and password, or a token that does not change."""

    renewals = 0

    def __init__(self, headers: Headers) -> None:
        self._headers = dict(headers)

    def headers(self) -> Headers:
        return self._headers

    def renew(self, refused: Headers) -> bool:
        return False


class Renewing:
    """Credentials from a function, which is called again when the server refuses those it returned last.

    It returns a bearer token, a pair of name and password, or a mapping of headers.
    """

    renewals = 1

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._ask = ask
        self._headers: dict[str, str] | None = None
        self._lock = threading.RLock()

    def headers(self) -> Headers:
        with self._lock:
            if self._headers is None:
                self._headers = _told(self._ask())
            return self._headers

    def renew(self, refused: Headers) -> bool:
        with self._lock:
            # Of many requests that were refused together, only the first calls the function.
            if self._headers is None or self._headers == refused:
                self._headers = _told(self._ask())
            return True


class Login:
    """A session: name and password are sent once, then a cookie, which is renewed when it expires.

    A server that checks passwords slowly on purpose, as CouchDB does, checks it once and not at every request.
    """

    # Name and password were right, so a cookie that is refused is too old, even one just received: the server may let
    # it live for seconds only, and the machine may have been suspended, or have had no time for this program.
    renewals = 3

    def __init__(self, username: str, password: str, log_in: Callable[[str, str], str | None]) -> None:
        self._username, self._password, self._log_in = username, password, log_in
        self._headers: dict[str, str] | None = None
        self._lock = threading.RLock()

    def headers(self) -> Headers:
        with self._lock:
            if self._headers is None:
                self._headers = self._new()
            return self._headers

    def renew(self, refused: Headers) -> bool:
        with self._lock:
            if self._headers is None or self._headers == refused:
                self._headers = self._new()
            return True

    def forget(self) -> None:
        """Log in again with the next request."""
        with self._lock:
            self._headers = None

    def _new(self) -> dict[str, str]:
        cookie = self._log_in(self._username, self._password)
        # A server without sessions, such as one with JWT only, may still accept the password itself.
        return _basic(self._username, self._password) if cookie is None else {"cookie": cookie}


def _bearer(token: str) -> dict[str, str]:
    # Checked here, because an error raised later would show it.
    if not (token and token.isascii() and token.isprintable()):
        raise BadRequest("a bearer token has printable ASCII characters only, at least one")
    return {"authorization": f"Bearer {token}"}


def _told(answer: Any) -> dict[str, str]:
    if isinstance(answer, str):
        return _bearer(answer)
    if isinstance(answer, tuple) and len(answer) == 2:
        return _basic(str(answer[0]), str(answer[1]))
    if isinstance(answer, Mapping):
        headers = {str(name).lower(): str(value) for name, value in answer.items()}
        if not are_headers(headers):
            raise BadRequest("the function given as auth returned headers with line breaks, or beyond Latin-1")
        return headers
    raise BadRequest(
        "the function given as auth must return a bearer token, a pair (name, password) or a mapping of headers, "
        f"not {type(answer).__name__}"
    )


def credentials(auth: Any, log_in: Callable[[str, str], str | None]) -> Credentials | None:
    """Return the credentials for the option ``auth``. Raises BadRequest.

    ``{"username", "password"}`` or a pair: basic, at every request; with ``"session": True`` a cookie
    instead. ``{"token"}``: a bearer token. A function: see Renewing.
    """
    if auth is None:
        return None
    if callable(auth):
        return Renewing(auth)
    if isinstance(auth, (tuple, list)) and len(auth) == 2 and all(isinstance(each, str) for each in auth):
        return Basic(_basic(*auth))
    if isinstance(auth, Mapping):
        known = {"username", "name", "password", "session", "token"}
        if isinstance(auth.get("token"), str) and set(auth) <= known:
            return Basic(_bearer(auth["token"]))
        username, password = auth.get("username", auth.get("name")), auth.get("password", "")
        if isinstance(username, str) and isinstance(password, str) and set(auth) <= known:
            return Login(username, password, log_in) if auth.get("session") else Basic(_basic(username, password))
    raise BadRequest(
        "auth is {'username': ..., 'password': ...}, a pair of them, {'token': ...}, or a function that returns a token"
    )
