"""The service: all endpoints of an environment, with no network in it.

The server calls it for every request that comes over HTTP; plug-ins and programs call it for inner requests. The
order of all of them: find the route, pass the gate, read the body, run the handler.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core import Slot
from pouchdb_core.errors import BadRequest, DatabaseClosed, NotFound, PluginError, PouchDBError, ServerError
from pouchdb_core.requests import UserContext
from pouchdb_server import hookspecs
from pouchdb_server.accounts import Accounts
from pouchdb_server.databases import MISSING, Databases
from pouchdb_server.finishing import close_body, finish
from pouchdb_server.gate import Gate
from pouchdb_server.http_errors import ClientGone, RequestTooLarge, Unavailable
from pouchdb_server.messages import Headers, Request, Response, target
from pouchdb_server.pages.page import by_name
from pouchdb_server.processes.siblings import SIBLINGS, Others
from pouchdb_server.refusals import error_response
from pouchdb_server.roles import ADMIN
from pouchdb_server.routes import Found, Route, Table, decoded
from pouchdb_server.settings import Settings

if TYPE_CHECKING:
    from pouchdb_core import AbstractEnvironment, SyncEnvironment, SyncPouchDB
    from pouchdb_core.runner import Idle

__all__ = ["MOST_DEPTH", "Call", "Service", "service", "unforeseen"]

logger = logging.getLogger("pouchdb.server")

MOST_DEPTH = 100
"""How deep requests may be nested: a rewrite may lead to a rewrite."""


class Call:
    """One request being handled: its target, and what is held open for it."""

    __slots__ = ("_release", "database", "error", "found", "is_admitted", "is_open", "request", "route")

    def __init__(self, request: Request, found: Found, route: Route | None, error: PouchDBError | None) -> None:
        self.request, self.found, self.route, self.error = request, found, route, error
        self.database: SyncPouchDB | None = None
        self.is_admitted = self.is_open = False
        # Not an ExitStack: that takes a fiftieth of a get, for the one thing that is ever held.
        self._release: Callable[[], None] | None = None

    def hold(self, release: Callable[[], None]) -> None:
        """Call ``release()`` when the call ends."""
        self._release = release

    def close(self) -> None:
        """Release what was held for it."""
        self.is_open = False
        release, self._release = self._release, None
        if release is not None:
            release()


class _Held:
    """A body that is made while it is sent, and what is held open until its end."""

    def __init__(self, body: Iterator[bytes | Idle], call: Call) -> None:
        self._body, self._call = body, call

    def __iter__(self) -> Iterator[bytes | Idle]:
        return self

    def __next__(self) -> bytes | Idle:
        return next(self._body)

    def close(self) -> None:
        """Close it: the rest is not needed."""
        try:
            close_body(self._body)
        finally:
            self._call.close()


def _spawn(function: Callable[[], Any]) -> None:
    threading.Thread(target=function, name="pouchdb-service", daemon=True).start()


class Service:
    """The endpoints of one environment.

    ``environment``, ``settings``, ``accounts`` (of users) and ``databases`` (open ones, by name) are what
    handlers use, as ``request.server``; ``spawn(function)`` calls something in the background, ``feeds()`` counts
    bodies that are being sent, ``is_stopping()`` returns whether feeds have to end.
    Raises PluginError for an environment without the plug-in ``server`` and
    for plug-ins that clash.
    """

    def __init__(
        self,
        environment: SyncEnvironment,
        settings: Settings,
        *,
        spawn: Callable[[Callable[[], Any]], None] = _spawn,
        feeds: Callable[[], int] = lambda: 0,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.environment = environment
        self.settings = settings
        self.spawn, self.feeds, self.is_stopping = spawn, feeds, is_stopping
        plugins = environment.plugins
        if "server" not in plugins.names:
            raise PluginError(
                "the environment was set up without the plug-in 'server': pouchdb.setup(..., plugins=['server', ...])"
            )
        self._hook = plugins.manager.hook
        self.table = Table(_collected(self._hook.pouchdb_http_routes, environment))
        self._middleware = [
            each for _, each in _answers(self._hook.pouchdb_http_middleware, environment) if each is not None
        ]
        features = [each or () for _, each in _answers(self._hook.pouchdb_http_features, environment)]
        self.features: list[str] = sorted({name for names in features for name in names})
        """The features that clients may use, as ``GET /`` reports them."""
        self.pages = by_name(
            (owner, given or ()) for owner, given in _answers(self._hook.pouchdb_http_pages, environment)
        )
        """The pages that plug-ins add at ``/_utils/``, by name."""
        self.accounts = Accounts(environment, settings, self._hook)
        self.databases = Databases(environment, settings.max_databases)
        self.others = Others(environment.state(SIBLINGS), environment.prefix)
        """The other processes that serve the same place."""
        self.gate = Gate(self._hook, self.accounts, self.databases)
        self.replications: dict[str, Any] = {}
        """Continuous replications started by _replicate, by id."""

    # -- inner requests --------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        user: UserContext | None = None,
    ) -> Request:
        """Return a request to be answered here, without HTTP.

        ``path`` is percent-encoded and begins with a slash; it may include its query. ``user`` None is the
        user of the environment's view; a view without one is the program itself, which may do everything.
        """
        made = Request(method.upper(), *target(path, query), Headers.of(headers or {}), body=body)
        made.server, made.environment = self, self.environment
        made.depth = 1
        made.user = user or self.environment.user or UserContext(None, (ADMIN,))
        return made

    def answer(self, request: Request) -> Response:
        """Answer a request on this thread: what the route needs, middleware and hooks apply as over HTTP.

        ``request`` comes from ``request.at(...)`` of a handler's request, or from ``Service.request``. An error
        is a response with the error's status, as over HTTP; a body that is an iterator must be read to its end
        or closed. Requests deeper than 100 within others are 400.
        """
        if request.depth > MOST_DEPTH:
            return finish(request, error_response(BadRequest(f"a request led to more than {MOST_DEPTH} others")))
        call = self.find(request)
        if self.admit(call) is not None:
            return self.refused(call)
        if request.file is not None and call.route is not None and not call.route.streamed(request.content_type):
            most = self.settings.max_body
            request.body, request.file = request.file.read(most + 1), None
            if len(request.body) > most:
                return self.refused(call, RequestTooLarge(f"the body is longer than {most} bytes"))
        response = self.run(call)
        if request.method == "HEAD":
            close_body(response.body)
            response.body = b""
        return response

    # -- the order of every request --------------------------------------------------------------

    def find(self, request: Request) -> Call:
        """Find the route of a request; an error in its path is raised behind the gate."""
        found, route, error = Found({}, {}), None, None
        try:
            request.path = decoded(request.raw_path)
            found = self.table.find(request.path)
            request.params, request.id, request.database_name = found.params, found.id, found.database
            route = found.route(request.method)
        except PouchDBError as problem:
            error = problem
        return Call(request, found, route, error)

    def admit(self, call: Call) -> PouchDBError | None:
        """Let a request pass the gate, on a thread; return the error of a refusal, or of a path without an endpoint."""
        try:
            call.is_open = True
            call.database = self.gate.admit(call.request, call.route, call.hold)
            call.is_admitted = True
        except DatabaseClosed:
            call.error = NotFound(MISSING)
        except PouchDBError as error:
            call.error = error
        except Exception as error:
            call.error = unforeseen(call.request, error)
        return call.error

    def refused(self, call: Call, error: PouchDBError | None = None) -> Response:
        """Return the response to a call that is not run, and end it."""
        why = error or call.error or ServerError()
        call.close()
        return finish(call.request, error_response(why))

    def is_slow(self, call: Call) -> bool:
        """Return whether an admitted call will take long, on a thread."""
        slow = False if call.route is None else call.route.slow
        if isinstance(slow, bool):
            return False
        try:
            return slow(call.request, call.database)
        except PouchDBError:
            # The handler gets the same error, and responds with it.
            return False

    def run(self, call: Call) -> Response:
        """Run the handler of an admitted call, on a thread; the call ends with the response's body."""
        request = call.request
        assert call.route is not None, "a call without a route is refused"
        try:
            response = self._through(request, call.route, call.database, 0)
            if request.authenticated == "cookie" and request.depth == 0:
                self.accounts.renew(request, response)
        except DatabaseClosed:
            # It was deleted meanwhile.
            gone = Unavailable("the server is shutting down") if self.environment.closed else NotFound(MISSING)
            response = error_response(gone)
        except PouchDBError as error:
            response = error_response(error)
        except ClientGone:
            response = error_response(BadRequest("the client went away"))
        except Exception as error:
            response = error_response(unforeseen(request, error))
        finish(request, response)
        if isinstance(response.body, bytes):
            call.close()
        else:
            # A body that is sent piece by piece uses the database until its end.
            response.body = _Held(response.body, call)
            call.is_open = False
        return response

    def close(self) -> None:
        """Release replications and databases; the environment stays open."""
        for each in tuple(self.replications.values()):
            each.cancel()
        self.databases.close()

    def recognise(self, request: Request) -> UserContext | None:
        """Return the user whose credentials a request has. Raises Unauthorized, TooManyRequests."""
        return self.gate.recognise(request)

    def session_info(self, request: Request) -> dict[str, Any]:
        """Return what plug-ins add to ``info`` of ``GET /_session``."""
        info: dict[str, Any] = {"authentication_handlers": ["cookie", "default"]}
        for each in self._hook.pouchdb_http_session_info(request=request):
            more = dict(each or {})
            handlers = [*info["authentication_handlers"], *more.pop("authentication_handlers", ())]
            info.update(more, authentication_handlers=list(dict.fromkeys(handlers)))
        return info

    def _through(self, request: Request, route: Route, database: Any, layer: int) -> Response:
        if layer < len(self._middleware):
            around: hookspecs.Middleware = self._middleware[layer]
            return around(request, lambda passed: self._through(passed, route, database, layer + 1))
        answer = route.handler(request, database)
        return answer if isinstance(answer, Response) else Response(answer)


def _close_all(known: dict[str, Service]) -> None:
    for each in known.values():
        each.close()


_SERVICES: Slot[dict[str, Service]] = Slot("services without a server", lambda environment: {}, _close_all)


def service(environment: AbstractEnvironment) -> Service:
    """Return the endpoints of an environment, to be called without a running server and without network code.

    ``service(env).answer(service(env).request("GET", "/notes/_all_docs"))`` returns a Response. Kept with the
    environment. Raises PluginError.
    """
    view = environment.sync_view
    known = view.state(_SERVICES)
    found = known.get(view.prefix)
    if found is None:
        # Two threads may make one each: the first one stored is kept.
        found = known.setdefault(view.prefix, Service(view.as_user(None), Settings()))
    if view.user is not None:
        found = copy.copy(found)
        found.environment = view
    return found


def unforeseen(request: Request, error: Exception) -> ServerError:
    """Log an unexpected error; return one that reveals nothing of the program's internals."""
    logger.error("%s %s failed (request %s)", request.method, request.raw_path, request.uuid, exc_info=error)
    return ServerError(f"the server failed; its log has the reason under {request.uuid}")


def _answers(hook: Any, environment: Any) -> Iterable[tuple[str, Any]]:
    for implementation in hook.get_hookimpls():
        if implementation.wrapper or implementation.hookwrapper:
            raise PluginError(f"plug-in {implementation.plugin_name!r} wraps {hook.name}: implement it plainly")
        arguments = [environment for _ in implementation.argnames]
        yield implementation.plugin_name, implementation.function(*arguments)


def _collected(hook: Any, environment: Any) -> Iterable[tuple[str, Route]]:
    for owner, routes in _answers(hook, environment):
        for route in routes or ():
            if not isinstance(route, Route):
                raise PluginError(f"plug-in {owner!r} brings {route!r} as a route: make it a pouchdb_server.Route")
            yield owner, route
