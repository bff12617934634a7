"""The server's own hooks: implement them with ``@hookimpl(optionalhook=True)``, to work without it too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pouchdb_core import hookspec

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment
    from pouchdb_core.requests import UserContext
    from pouchdb_server.messages import Request, Response
    from pouchdb_server.routes import Route

__all__ = ["Middleware", "pouchdb_http_authenticate", "pouchdb_http_middleware", "pouchdb_http_routes"]

Middleware = Callable[["Request", Callable[["Request"], "Response"]], "Response"]
"""``middleware(request, answer) -> Response``: calls ``answer(request)``, or answers itself."""


@hookspec
def pouchdb_http_routes(environment: SyncEnvironment) -> Iterable[Route]:  # type: ignore[empty-body]
    """Return routes: endpoints of the server, of databases or of documents. Asked once, by ``create_app``.

    Two of one method and path are an error that names both plug-ins.
    """


@hookspec
def pouchdb_http_middleware(environment: SyncEnvironment) -> Middleware | None:
    """Return a function around every request, on the handler's thread; the first plug-in's is the outermost.

    It sees requests that have a route, after they were authenticated. Asked once, by ``create_app``.
    """


@hookspec(firstresult=True)
def pouchdb_http_authenticate(request: Request) -> UserContext | None:
    """Return whose request it is, None for "not mine". Raises Unauthorized for wrong credentials.

    Set ``request.authenticated`` to the name of your way, which ``GET /_session`` tells.
    """
