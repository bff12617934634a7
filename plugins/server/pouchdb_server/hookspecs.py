"""The server's hooks: implement them with ``@hookimpl(optionalhook=True)``, to work without the server too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core import hookspec

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment, SyncPouchDB
    from pouchdb_core.requests import UserContext
    from pouchdb_server.accounts import Account
    from pouchdb_server.messages import Request, Response
    from pouchdb_server.pages.page import Page
    from pouchdb_server.routes import Route

__all__ = [
    "Middleware",
    "pouchdb_http_account",
    "pouchdb_http_authenticate",
    "pouchdb_http_authorise",
    "pouchdb_http_features",
    "pouchdb_http_middleware",
    "pouchdb_http_pages",
    "pouchdb_http_routes",
    "pouchdb_http_session_info",
]

Middleware = Callable[["Request", Callable[["Request"], "Response"]], "Response"]
"""``middleware(request, answer) -> Response``: calls ``answer(request)``, or answers itself."""


@hookspec
def pouchdb_http_routes(environment: SyncEnvironment) -> Iterable[Route]:  # type: ignore[empty-body]
    """Return routes: endpoints of the server, of databases or of documents. Called once, by ``create_app``.

    Two routes with one method and path are an error that names both plug-ins.
    """


@hookspec
def pouchdb_http_features(environment: SyncEnvironment) -> Iterable[str] | None:
    """Return names for the ``features`` of ``GET /``, by which clients see which features they may use: ``["search"]``.

    Called once, by ``create_app``.
    """


@hookspec
def pouchdb_http_pages(environment: SyncEnvironment) -> Iterable[Page] | None:
    """Return pages: modules of JavaScript that ``/_utils/`` shows as tabs of databases or beside them.

    Called once, by ``create_app``. Two pages of one name are an error that names both plug-ins. The policy of the page
    holds for them too: no inline script or style, nothing from another host, no string that becomes markup.
    """


@hookspec(firstresult=True)
def pouchdb_http_authenticate(request: Request) -> UserContext | None:
    """Return the user of a request, None for "not mine". Raises Unauthorized for wrong credentials.

    For other ways to log in, such as a header of a proxy or a signed token; users with names and passwords need only
    ``pouchdb_http_account``. The body is not read yet. Set ``request.authenticated`` to the name of your way,
    which ``GET /_session`` reports.
    """


@hookspec(firstresult=True)
def pouchdb_http_account(environment: SyncEnvironment, name: str) -> Account | None:
    """Return the account of a user name, or None if you have none.

    The server checks passwords (slowing down clients that guess), makes and checks session cookies, and answers
    ``_session`` with it. Called for every request with a name or a cookie, so keep what you read. Administrators of
    the server are not looked up here. Call ``request.server.accounts.expect(password)`` at the start with the
    slowest kind of password you have: then unknown names take as long as known ones.
    """


@hookspec
def pouchdb_http_authorise(request: Request, route: Route | None, database: SyncPouchDB | None) -> None:
    """Refuse a request by raising an error such as Forbidden, Unauthorized or NotFound. All plug-ins are called.

    Called for every request before its body is read, once ``request.user`` is known and has what the route needs;
    also for requests without an endpoint (``route`` is None) and for inner requests (``request.depth`` above 0).
    ``database`` is open on behalf of the user; None on the server level and for a database to be made.
    """


@hookspec
def pouchdb_http_middleware(environment: SyncEnvironment) -> Middleware | None:
    """Return a function around every request, on the handler's thread; the first plug-in's is the outermost.

    It sees requests that have a route, after they were authorised and their bodies read. Called once, by
    ``create_app``.
    """


@hookspec
def pouchdb_http_session_info(request: Request) -> Mapping[str, Any] | None:
    """Return fields for ``info`` of ``GET /_session``, such as ``{"authentication_db": "_users"}``.

    Lists under ``authentication_handlers`` are merged, each name once.
    """
