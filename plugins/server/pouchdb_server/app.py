"""The ASGI application: finds the route, reads the body, runs the handler on a thread, sends what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from pouchdb_core.errors import BadRequest, PluginError, PouchDBError, ServerError
from pouchdb_core.requests import UserContext
from pouchdb_core.runner import Idle
from pouchdb_server import hookspecs
from pouchdb_server.accounts import Accounts
from pouchdb_server.databases import Databases
from pouchdb_server.messages import Headers, Request, Response, error_response, header_text
from pouchdb_server.metrics.observer import Exchange, Observer
from pouchdb_server.metrics.tracing import Span
from pouchdb_server.replicator.seat import SEAT
from pouchdb_server.replicator.supervisor import Clocks, Limits, Supervisor
from pouchdb_server.routes import Found, Route, Table, decoded
from pouchdb_server.security import authorise
from pouchdb_server.settings import Settings
from pouchdb_server.streams import ClientGone, IncomingFile, Receive, Send, Sender, declared_length, read_body
from pouchdb_server.workers import Workers

if TYPE_CHECKING:
    from pouchdb_core import AbstractEnvironment, SyncPouchDB

__all__ = ["ASGIApp", "Server", "Unavailable", "create_app"]

logger = logging.getLogger("pouchdb.server")

Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

ABORT = "pouchdb.abort"
"""The extension of an ASGI server that drops the connection."""
SERVER_NAME = "pouchdb for Python"
METHODS = ["DELETE", "GET", "HEAD", "POST", "PUT", "COPY"]
EXPOSED = ["ETag", "Location", "X-Couch-Request-ID", "X-Couch-Update-NewRev", "Content-Range", "Accept-Ranges"]


class Unavailable(PouchDBError):
    status, name, default_message = 503, "service_unavailable", "there is too much to do just now"


def create_app(environment: AbstractEnvironment, **settings: Any) -> ASGIApp:
    """Return an ASGI application that serves the databases of an environment as CouchDB does.

    ``environment`` is either view of one that was set up with the plug-in ``server``; ``settings``
    are those of ``Settings``. Run it with ``pouchdb_server.serve``, or mount it in another
    application. Raises PluginError, BadRequest.
    """
    chosen = Settings(**settings)
    server = Server(environment.sync_view, chosen)
    if not chosen.cors:
        return server
    # Imported when it is needed: Starlette takes a tenth of a second.
    from starlette.middleware.cors import CORSMiddleware

    return cast(
        "ASGIApp",
        CORSMiddleware(
            server,
            allow_origins=["*"] if chosen.cors is True else list(chosen.cors),
            # With credentials for named origins only: any page could use what its visitor may.
            allow_credentials=chosen.cors is not True,
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=EXPOSED,
        ),
    )


class Server:
    """One environment as an ASGI application."""

    def __init__(self, environment: Any, settings: Settings) -> None:
        self.environment = environment
        self.settings = settings
        plugins = environment.engine.plugins
        if "server" not in plugins.names:
            raise PluginError(
                "the environment was set up without the plug-in 'server': pouchdb.setup(..., plugins=['server', ...])"
            )
        self._hook = plugins.manager.hook
        self.table = Table(_collected(self._hook.pouchdb_http_routes, environment))
        self._middleware = [
            each for _, each in _answers(self._hook.pouchdb_http_middleware, environment) if each is not None
        ]
        self.accounts = Accounts(environment, settings)
        self.databases = Databases(environment, settings.max_databases)
        self.workers = Workers(settings.workers)
        self.clocks = Clocks()
        """Where the supervisor of replications takes the time from, if this server brings it."""
        self._supervises = False
        self.replications: dict[str, Any] = {}
        """Continuous replications that were asked for by _replicate, by id."""
        self.configuration: dict[str, dict[str, str]] = {}
        """What was put into _config."""
        self._observer = Observer(environment)
        self._senders: set[Sender] = set()
        self._slow = 0
        self._stopping = False
        self._numbers = itertools.count(1)
        self._prefix = os.urandom(4).hex()

    # -- life ------------------------------------------------------------------------------------

    @property
    def feeds(self) -> int:
        """How many bodies are being sent piece by piece just now."""
        return len(self._senders)

    @property
    def supervisor(self) -> Supervisor | None:
        """What runs the replications of ``_replicator``; None while no server of the environment runs."""
        supervisor: Supervisor | None = self.environment.state(SEAT).supervisor
        return supervisor

    def start(self) -> None:
        """Run the replications of the environment's replicator databases, until ``close()``."""
        if not self._supervises and not self._stopping:
            self._supervises = True
            limits = Limits(self.settings.max_jobs, self.settings.replication_interval)
            self.environment.state(SEAT).take(lambda: Supervisor(self.environment, limits, self.clocks))

    def stop(self) -> None:
        """End feeds and take no new requests; on the event loop, before it waits for those under way."""
        self._stopping = True
        for sender in tuple(self._senders):
            sender.stop()

    def close(self) -> None:
        """Let go of threads and databases; the environment stays open."""
        if self._supervises and not self.environment.closed:
            self._supervises = False
            self.environment.state(SEAT).leave()
        for each in tuple(self.replications.values()):
            each.cancel()
        self.workers.close()
        self.databases.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            with contextlib.suppress(ClientGone):
                await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            kind = (await receive())["type"]
            if kind == "lifespan.shutdown":
                self.stop()
                self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
            self.start()
            await send({"type": "lifespan.startup.complete"})

    # -- one request -----------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request(scope)
        request.server, request.environment = self, self.environment
        if not self._supervises:
            # An application that mounts this one need not tell it that it starts.
            self.start()
        exchange = self._observer.begins(request, send)
        try:
            await self._exchange(scope, request, receive, exchange)
        finally:
            self._observer.ends(exchange)

    async def _exchange(self, scope: Scope, request: Request, receive: Receive, exchange: Exchange) -> None:
        started = time.perf_counter()
        try:
            if self._stopping:
                raise Unavailable("the server is shutting down")
            request.path = decoded(request.raw_path)
            found = self.table.find(request.path)
            method = request.method
            if method == "OPTIONS" and "OPTIONS" not in found.routes:
                route = None
            else:
                route = exchange.route = found.route(method)
            length = declared_length(request.headers)
            if route is not None and length != 0 and route.streamed(request.content_type):
                loop, settings = asyncio.get_running_loop(), self.settings
                request.file = cast("BinaryIO", IncomingFile(receive, loop, settings.max_attachment, settings.patience))
            elif length != 0:
                request.body = await read_body(receive, length, self.settings.max_body)
        except PouchDBError as error:
            answer = _Answer(_finish(request, error_response(error)))
        else:
            read = time.perf_counter() - started
            if route is None:
                answer = _Answer(_finish(request, _options(found)))
            else:
                answer = await self._answer(request, route, found, exchange.span)
            answer.response.add("x-couchdb-body-time", f"{read * 1000:.0f}")
        await self._send(scope, request, answer, receive, exchange)

    async def _answer(self, request: Request, route: Route, found: Found, span: Span) -> _Answer:
        if not route.slow:
            return await self.workers.run(self._handle, request, route, found, span)
        if self._slow >= self.settings.slow_workers:
            return _Answer(_finish(request, error_response(Unavailable())))
        self._slow += 1
        try:
            return await self.workers.run_alone(self._handle, request, route, found, span)
        finally:
            self._slow -= 1

    def _handle(self, request: Request, route: Route, found: Found, span: Span) -> _Answer:
        """Answer a request, on a thread."""
        with span.active(), contextlib.ExitStack() as using:
            try:
                request.params, request.id, request.database_name = found.params, found.id, found.database
                request.user = self._user(request)
                database: SyncPouchDB | None = None
                if found.database is not None and route.opens:
                    database = using.enter_context(self.databases.use(found.database)).as_user(request.user)
                authorise(route, request.user, database)
                response = self._through(request, route, database, 0)
                if request.authenticated == "cookie":
                    self.accounts.renew(request, response)
            except PouchDBError as error:
                response = error_response(error)
            except ClientGone:
                response = error_response(BadRequest("the client went away"))
            except Exception as error:
                logger.exception("%s %s failed", request.method, request.raw_path)
                response = error_response(ServerError(f"{type(error).__name__}: {error}"))
            _finish(request, response)
            # Whoever sends the body piece by piece uses the database until the end.
            return _Answer(response, None if isinstance(response.body, bytes) else using.pop_all().close)

    def recognised(self, request: Request) -> UserContext | None:
        """Return whose request it is, as the plug-ins and the administrators' list know. Raises Unauthorized."""
        user: UserContext | None = self._hook.pouchdb_http_authenticate(request=request)
        return user

    def _user(self, request: Request) -> UserContext:
        user = self.recognised(request)
        if user is None:
            user = self.accounts.stranger(request)
            if user.roles:
                request.authenticated = "party"
        return user

    def _through(self, request: Request, route: Route, database: Any, layer: int) -> Response:
        if layer < len(self._middleware):
            around: hookspecs.Middleware = self._middleware[layer]
            return around(request, lambda passed: self._through(passed, route, database, layer + 1))
        answer = route.handler(request, database)
        return answer if isinstance(answer, Response) else Response(answer)

    async def _send(self, scope: Scope, request: Request, answer: _Answer, receive: Receive, send: Send) -> None:
        response = answer.response
        body = response.body
        headers = [
            (name.encode("latin-1"), header_text(value).encode("latin-1", "replace"))
            for name, value in response.headers
        ]
        headers += (
            (b"server", SERVER_NAME.encode()),
            (b"x-couch-request-id", f"{self._prefix}{next(self._numbers):06x}".encode()),
        )
        start = {"type": "http.response.start", "status": response.status, "headers": headers}
        if isinstance(body, bytes):
            await send(start)
            await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})
            return
        try:
            await self._send_pieces(scope, request, start, response, receive, send)
        finally:
            if answer.done is not None:
                self.workers.run(answer.done)

    async def _send_pieces(
        self,
        scope: Scope,
        request: Request,
        start: MutableMapping[str, Any],
        response: Response,
        receive: Receive,
        send: Send,
    ) -> None:
        pieces = cast("Iterator[bytes | Idle]", response.body)
        if request.method == "HEAD":
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            _close(pieces)
            return
        if len(self._senders) >= self.settings.max_feeds:
            _close(pieces)
            refusal = _finish(request, error_response(Unavailable("there are too many feeds")))
            await self._send(scope, request, _Answer(refusal), receive, send)
            return
        await send(start)
        sender = Sender(self.workers, receive, send, self.settings.patience)
        self._senders.add(sender)
        try:
            if self._stopping:
                sender.stop()
            complete = await sender.send(pieces, response.wakes)
        except Exception:
            # The head is sent: all that is left to tell is that the body is cut short.
            logger.exception("%s %s failed while its body was sent", request.method, request.raw_path)
            complete = False
        finally:
            self._senders.discard(sender)
        if complete:
            await send({"type": "http.response.body", "body": b""})
        elif sender.abandoned and ABORT in scope.get("extensions", ()):
            # A polite end would wait for the client to take what there is.
            scope["extensions"][ABORT]()


class _Answer:
    """A response, and what to do when it was sent."""

    __slots__ = ("done", "response")

    def __init__(self, response: Response, done: Callable[[], None] | None = None) -> None:
        self.response, self.done = response, done


def _finish(request: Request, response: Response) -> Response:
    """Give a response the headers that depend on the request."""
    headers = response.headers
    names = {name.lower() for name, _ in headers}
    content_type = response.content_type
    if content_type == "application/json":
        accept: str | None = request.headers.get("accept")
        if accept is not None and "json" not in accept and "*/*" not in accept and "application/*" not in accept:
            content_type = response.content_type = "text/plain; charset=utf-8"
    if response.etag is not None:
        etag = f'"{response.etag}"'
        headers.append(("etag", etag))
        if response.status == 200 and request.method in ("GET", "HEAD") and _has(request, etag):
            _close(response.body)
            response.status, response.body, content_type = 304, b"", None
    if "cache-control" not in names:
        headers.append(("cache-control", "must-revalidate"))
    if content_type is not None and "content-type" not in names:
        headers.append(("content-type", content_type))
    if isinstance(response.body, bytes) and response.status != 304:
        headers.append(("content-length", str(len(response.body))))
    response.headers = [(name.lower(), value) for name, value in headers]
    return response


def _has(request: Request, etag: str) -> bool:
    known: str = request.headers.get("if-none-match", "")
    if not known:
        return False
    return known.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in known.split(",")]


def _close(body: Any) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _request(scope: Scope) -> Request:
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    root = scope.get("root_path", "")
    if root:
        raw_path = raw_path.removeprefix(root.encode())
    client = scope.get("client")
    return Request(
        scope["method"].upper(),
        raw_path.decode("latin-1"),
        scope["query_string"].decode("latin-1"),
        Headers(scope["headers"]),
        peer="" if client is None else client[0],
        scheme=scope.get("scheme", "http"),
        root=root,
    )


def _options(found: Found) -> Response:
    names = {*found.routes, "OPTIONS"} | ({"HEAD"} if "GET" in found.routes else set())
    return Response(b"", 204, {"allow": ",".join(sorted(names))})


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
