"""What a handler receives and returns: requests and responses that need no web framework.

A plug-in that adds an endpoint needs this module and ``routes``, nothing else.
"""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol
from urllib.parse import parse_qsl, urlencode

from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import dump, from_text
from pouchdb_core.requests import UserContext
from pouchdb_core.runner import Idle
from pouchdb_server.http_errors import UnsupportedMediaType
from pouchdb_server.unpacking import Unpacked

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment, SyncPouchDB
    from pouchdb_server.databases import Databases
    from pouchdb_server.pages.page import Page
    from pouchdb_server.passwords import Password
    from pouchdb_server.processes.siblings import Others
    from pouchdb_server.settings import Settings

__all__ = [
    "Body",
    "Endpoints",
    "Headers",
    "Request",
    "Response",
    "Subscribe",
    "Users",
    "header_text",
    "parsed",
    "target",
]

Subscribe = Callable[[Callable[[], None]], Callable[[], None]]
"""Calls a function whenever there may be more to send, until the function it returns is called."""
Body = Any
"""Any JSON value (a dict, a list...), text, bytes, or an iterator of bytes and ``Idle``."""

ANONYMOUS = UserContext()


LISTS = {"accept": ", ", "cookie": "; ", "if-none-match": ", "}
"""Headers whose values are lists, which may be sent in several headers."""


class Headers(dict[str, str]):
    """Headers by name, in any case; of one that came twice the first is used, unless its value is a list."""

    __slots__ = ()

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__()
        for raw, value in pairs:
            name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
            known = self.setdefault(name, text)
            if known is not text and name in LISTS:
                super().__setitem__(name, known + LISTS[name] + text)

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Headers:
        """Return headers from a mapping of names in any case."""
        made = cls()
        for name, value in given.items():
            dict.__setitem__(made, name.lower(), value)
        return made

    # A request asks for about fifteen: super() takes as long as the look-up.
    def __getitem__(self, name: str) -> str:
        return dict.__getitem__(self, name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and dict.__contains__(self, name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header's value, or ``default``."""
        return dict.get(self, name.lower(), default)


class Users(Protocol):
    """The users of a server, as handlers see them: an ``accounts.Accounts``, which says what each does."""

    @property
    def admins(self) -> Mapping[str, str]: ...
    @property
    def is_party(self) -> bool: ...
    def make_admin(self, name: str, password: str) -> None: ...
    def remove_admin(self, name: str) -> bool: ...
    def authenticate(self, request: Request) -> UserContext | None: ...
    def expect(self, password: Password) -> None: ...
    def cookie(self, name: str) -> str: ...
    def cookie_header(self, request: Request, value: str) -> str: ...


class Endpoints(Protocol):
    """What handles a request, as its handler sees it: a ``service.Service``, which says what each does.

    It is named here, below handlers and gate, because both know requests, and a request knows it.
    """

    environment: SyncEnvironment
    settings: Settings
    databases: Databases
    others: Others
    features: list[str]
    pages: Mapping[str, Page]
    replications: dict[str, Any]
    spawn: Callable[[Callable[[], Any]], None]
    feeds: Callable[[], int]
    is_stopping: Callable[[], bool]

    @property
    def accounts(self) -> Users: ...
    def answer(self, request: Request) -> Response: ...
    def recognise(self, request: Request) -> UserContext | None: ...
    def session_info(self, request: Request) -> dict[str, Any]: ...


class Request:
    """One request, with the fields of CouchDB's request object.

    ``path`` are the decoded parts of the path; ``params`` the named parts of the route's pattern; ``id`` the
    document's id or None; ``user`` the user that sent it. ``body`` is bytes; for a route that
    ``streams`` it is empty, and ``file`` is the body as a binary file.
    """

    def __init__(
        self,
        method: str,
        raw_path: str,
        raw_query: str,
        headers: Headers,
        *,
        path: tuple[str, ...] = (),
        peer: str = "",
        scheme: str = "http",
        root: str = "",
        body: bytes = b"",
        file: BinaryIO | None = None,
    ) -> None:
        self.method, self.raw_path, self.raw_query, self.headers = method, raw_path, raw_query, headers
        self.path = path
        self.peer, self.scheme, self.root = peer, scheme, root
        self.body = body
        self.file = file
        self.params: Mapping[str, str] = {}
        self.id: str | None = None
        self.database_name: str | None = None
        self.user: UserContext = ANONYMOUS
        self.authenticated: str | None = None
        """How the user was recognised: "default" (basic), "cookie", "party", or a plug-in's name for it."""
        self.depth = 0
        """How deep this request is within others: 0 for one that came over HTTP."""
        self.server: Endpoints
        """The service that handles it: its settings, accounts and databases, and ``answer()`` for inner requests."""
        self.environment: SyncEnvironment

    @cached_property
    def uuid(self) -> str:
        """An id for this request, made at first use."""
        return uuid.uuid4().hex

    @cached_property
    def query(self) -> dict[str, str]:
        """The parameters of the URL; of one that came twice the last is used."""
        try:
            return dict(parse_qsl(self.raw_query, keep_blank_values=True, errors="strict", max_num_fields=1000))
        except ValueError:
            raise BadRequest("the query of the URL is not percent-encoded UTF-8, or has too many parameters") from None

    @cached_property
    def cookie(self) -> dict[str, str]:
        """The cookies by name."""
        try:
            return {name: each.value for name, each in SimpleCookie(self.headers.get("cookie", "")).items()}
        except CookieError:
            return {}

    @cached_property
    def form(self) -> dict[str, str]:
        """The fields of a body that is a form, otherwise none."""
        if self.content_type != "application/x-www-form-urlencoded":
            return {}
        try:
            return dict(parse_qsl(self.body.decode("ascii"), keep_blank_values=True, max_num_fields=1000))
        except ValueError:
            raise BadRequest("the body is not a form") from None

    @property
    def requested_path(self) -> list[str]:
        """The parts of the path as the client sent it."""
        return list(self.path)

    @property
    def content_type(self) -> str:
        """The type of the body, without its parameters."""
        value: str = self.headers.get("content-type", "")
        return value.partition(";")[0].strip().lower()

    @property
    def origin(self) -> str:
        """Scheme, host and where the server is mounted, as the client sees them, for links."""
        return f"{self.scheme}://{self.headers.get('host', 'localhost')}{self.root}"

    @property
    def public_origin(self) -> str:
        """As ``origin``, but as seen in front of a proxy that says so: for ``Location``, as in CouchDB.

        Every client can send these headers, so nothing else may depend on them.
        """
        host = self.headers.get("x-forwarded-host") or self.headers.get("host", "localhost")
        secure = self.headers.get("x-forwarded-ssl") == "on" or self.headers.get("x-forwarded-proto") == "https"
        return f"{'https' if secure else self.scheme}://{host}{self.root}"

    def at(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | BinaryIO = b"",
    ) -> Request:
        """Return an inner request of the same user: ``request.server.answer(request.at("GET", "/db/doc"))``.

        ``path`` is percent-encoded and begins at the root of the server; its query may be part of it, or be
        ``query``, a mapping of strings or an encoded string; ``headers`` replaces those of this
        request (Authorization and Cookie are ignored: the user is this request's); ``body`` is bytes, or a
        binary file that is read once.
        """
        given = self.headers if headers is None else Headers.of(headers)
        inner = Request(
            method.upper(),
            *target(path, query),
            given,
            peer=self.peer,
            scheme=self.scheme,
            root=self.root,
        )
        if isinstance(body, bytes):
            inner.body = body
        else:
            inner.file = body
        inner.user, inner.authenticated = self.user, self.authenticated
        inner.depth = self.depth + 1
        inner.server, inner.environment = self.server, self.environment
        return inner

    def accepts(self, *types: str) -> bool:
        """Return whether the client names one of these types; a star is not a name."""
        accepted = self.headers.get("accept", "").lower()
        return any(each in accepted for each in types)

    def json(self, *, required: bool = True, kind: type | tuple[type, ...] = dict) -> Any:
        """Return the body as JSON.

        Raises UnsupportedMediaType unless its type says so, BadRequest for what cannot be parsed or
        is of another ``kind``. Without a body: ``{}`` if it is not ``required``.
        """
        self.check_json()
        if not self.body:
            if not required:
                return {}
            raise BadRequest(NO_JSON)
        value = parsed(self._unpacked())
        if not isinstance(value, kind):
            raise BadRequest("Request body must be a JSON object" if kind is dict else "Request body has a wrong type")
        return value

    def check_json(self) -> None:
        """Refuse the body of a POST whose type is not JSON. Raises UnsupportedMediaType.

        The type is required, also where there is no body, as in CouchDB: every page of the
        web may make a visitor's browser POST without a type, or with the type of a form, and the user is not asked.
        For a PUT any type will do, as in CouchDB: curl by default says that what it sends is a form.
        """
        if self.method == "POST" and self.content_type != "application/json":
            raise UnsupportedMediaType()

    def _unpacked(self) -> bytes:
        encoding: str = self.headers.get("content-encoding", "identity").strip().lower()
        if encoding == "identity":
            return self.body
        if encoding != "gzip":
            raise UnsupportedMediaType("Only gzip and identity content-encodings are supported")
        return Unpacked(io.BytesIO(self.body), self.server.settings.max_body).read()

    def as_dict(self, database: SyncPouchDB | None = None) -> dict[str, Any]:
        """Return the request object that design functions get as ``req``."""
        return {
            "body": self.body.decode("utf-8", "replace") if self.body else "undefined",
            "cookie": self.cookie,
            "form": self.form,
            "headers": {name.title(): value for name, value in self.headers.items()},
            "id": self.id,
            "info": {} if database is None else {**database.info(), "db_name": database.short_name},
            "method": self.method,
            "path": list(self.path),
            "peer": self.peer,
            "query": self.query,
            "raw_path": self.raw_path + (f"?{self.raw_query}" if self.raw_query else ""),
            "requested_path": self.requested_path,
            "secObj": {} if database is None else dict(database.get_security()),
            "userCtx": {
                "db": None if database is None else database.short_name,
                "name": self.user.name,
                "roles": list(self.user.roles),
            },
            "uuid": self.uuid,
        }


class Response:
    """A response.

    ``body`` may be an iterator of bytes; where it has to wait for something it yields ``Idle``, and
    continues when ``wakes`` reports or the time is over: waiting holds no thread. An iterator with a
    ``close`` is closed, whatever the client does. With ``etag`` a client that has it already gets 304.
    """

    def __init__(
        self,
        body: Body = b"",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        content_type: str | None = None,
        etag: str | None = None,
        wakes: Subscribe | None = None,
    ) -> None:
        self.status = status
        self.headers: list[tuple[str, str]] = [] if headers is None else list(headers.items())
        self.content_type = content_type
        self.wakes = wakes
        self.etag = etag
        self.body: bytes | Iterator[bytes | Idle]
        if isinstance(body, bytes):
            self.body = body
        elif isinstance(body, str):
            self.body = body.encode()
            self.content_type = content_type or "text/plain; charset=utf-8"
        # The usual type first: the check for a Mapping takes a twentieth of a get.
        elif body is None or isinstance(body, (dict, list, tuple, bool, int, float, Mapping)):
            self.body = dump(body) + b"\n"
            self.content_type = content_type or "application/json"
        else:
            self.body = iter(body)

    def add(self, name: str, value: str) -> Response:
        """Add a header, in addition to those with the same name."""
        self.headers.append((name, value))
        return self


NO_JSON = "invalid UTF-8 JSON"
"""CouchDB's reason for everything that is not JSON."""


def parsed(text: str | bytes) -> Any:
    """Return the value of a request's JSON text. Raises BadRequest, with CouchDB's reason."""
    try:
        return from_text(text)
    except BadRequest as error:
        raise BadRequest(NO_JSON) from error


def target(path: str, query: Mapping[str, str] | str | None) -> tuple[str, str]:
    """Return path and query of an inner request, both encoded."""
    path, _, own = path.partition("?")
    more = query if isinstance(query, str) else urlencode(dict(query or {}))
    return path, "&".join(part for part in (own, more) if part)


_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")


def header_text(value: str) -> str:
    """Return the value of a header as it may be sent: a value from a document may contain line breaks."""
    # The usual one has none: this is several times faster than looking for them.
    return value if value.isprintable() else _CONTROLS.sub(" ", value)
