"""The ASGI application: takes requests from the network to the service, on threads, and sends its responses.

The order of every request: find, gate, body, run, send. No body is read before the user is known, except for
a part that came with the head in the same packet, which is in memory anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from pouchdb_core.errors import PouchDBError
from pouchdb_server.bulkheads import Bulkhead, Bulkheads
from pouchdb_server.finishing import close_body, finish
from pouchdb_server.http_errors import ClientGone, RequestTimeout, Unavailable
from pouchdb_server.incoming import Incoming, Receive, Room
from pouchdb_server.joining import JOIN
from pouchdb_server.messages import Headers, Request, Response, header_text
from pouchdb_server.metrics.observer import Exchange, Observer
from pouchdb_server.metrics.tracing import Span
from pouchdb_server.processes.sharing import share
from pouchdb_server.refusals import error_response
from pouchdb_server.replicator.seat import SEAT
from pouchdb_server.replicator.supervisor import Clocks, Limits, Supervisor
from pouchdb_server.routes import Found
from pouchdb_server.service import Call, Service
from pouchdb_server.settings import Settings
from pouchdb_server.streams import Send, Sender
from pouchdb_server.workers import Workers

if TYPE_CHECKING:
    from pouchdb_core.runner import Idle

__all__ = ["ABORT", "ASGIApp", "Server"]

logger = logging.getLogger("pouchdb.server")

Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

ABORT = "pouchdb.abort"
"""The extension of an ASGI server that drops the connection."""
LARGE = 4 * 1024 * 1024
"""Bytes of a body that takes much memory when it is parsed: only two of them at a time."""
GIVEN_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
SERVER = (b"server", b"pouchdb for Python")
OVERRIDES = ("GET", "HEAD", "POST", "PUT", "DELETE", "COPY")
"""Methods that ``X-HTTP-Method-Override`` of a POST may stand for."""


class Server:
    """One environment as an ASGI application. ``service`` handles the requests, on the threads of ``workers``."""

    def __init__(self, environment: Any, settings: Settings) -> None:
        # Whichever user is logged in in the program: the server's own work is done as the program.
        self.environment = environment.as_user(None)
        self.settings = settings
        self.workers = Workers()
        self._bulkheads = Bulkheads(self.workers, settings.workers, settings.slow_workers, settings.line)
        self.service = Service(
            self.environment,
            settings,
            spawn=self.workers.spawn,
            feeds=lambda: self.feeds,
            is_stopping=lambda: self._stopping,
        )
        self.clocks = Clocks()
        """The clock of the supervisor of replications, if this server provides it."""
        self.lingers = False
        """Whether requests that arrive while it stops are answered: others continue at the same address."""
        self._supervises = False
        self._shared: list[Callable[[], None]] = []
        self._room = Room()
        self._observer = Observer(self.environment)
        self._senders: set[Sender] = set()
        self._stopping = self._closed = False
        self._numbers = itertools.count(1)
        self._prefix = os.urandom(4).hex()

    # -- lifetime ------------------------------------------------------------------------------------

    @property
    def feeds(self) -> int:
        """How many bodies are currently being sent piece by piece."""
        return len(self._senders)

    @property
    def supervisor(self) -> Supervisor | None:
        """What runs the replications of ``_replicator``; None while no server of the environment runs."""
        return cast("Supervisor | None", self.environment.state(SEAT).supervisor(self.environment.prefix))

    def start(self) -> None:
        """Run the replications of the environment's replicator databases, until ``close()``."""
        if not self._supervises and not self._stopping:
            self._supervises = True
            limits = Limits(self.settings.max_jobs, self.settings.replication_interval)
            accounts = self.service.accounts

            def make() -> Supervisor:
                return Supervisor(self.environment, limits, self.clocks, lambda: accounts.nobody)

            self.environment.state(SEAT).take(self.environment.prefix, make)
            if self.service.others.exist:
                self._shared = share(self.service)

    def stop(self) -> None:
        """End feeds and accept no new requests; on the event loop, before it waits for those under way."""
        self._stopping = True
        for sender in tuple(self._senders):
            sender.stop()

    def close(self) -> None:
        """Release threads and databases, and accept no more requests; the environment stays open."""
        self._stopping = self._closed = True
        if self._supervises and not self.environment.closed:
            self._supervises = False
            self.environment.state(SEAT).leave(self.environment.prefix)
        for end in self._shared:
            end()
        self.workers.close()
        self.service.close()

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
        request.server, request.environment = self.service, self.environment
        if not self._supervises:
            # An application that mounts this one need not say that it starts.
            self.start()
        exchange = self._observer.begins(request, send)
        incoming = Incoming(request, receive, self.settings, self._room)
        try:
            response = await self._respond(request, incoming, exchange)
            response.add("x-couchdb-body-time", f"{incoming.seconds * 1000:.0f}")
            await self._send(scope, request, response, receive, exchange)
        finally:
            incoming.close()
            self._observer.ends(exchange)

    async def _respond(self, request: Request, incoming: Incoming, exchange: Exchange) -> Response:
        if self._stopping and not (self.lingers and not self._closed):
            return finish(request, error_response(Unavailable("the server is shutting down")))
        call = self.service.find(request)
        exchange.route = call.route
        if request.method == "OPTIONS" and "OPTIONS" not in call.found.routes and call.found.error is None:
            return finish(request, _options(call.found))
        try:
            return await self._handle(call, incoming, exchange.span)
        except PouchDBError as error:
            response = finish(request, error_response(error))
            if isinstance(error, RequestTimeout):
                # What is left of the body is not waited for.
                response.add("connection", "close")
            return response
        finally:
            if call.is_open:
                await self._bulkheads.reads.run(call.close, admitted=True)

    async def _handle(self, call: Call, incoming: Incoming, span: Span) -> Response:
        route, request, service = call.route, call.request, self.service
        if route is not None and route.instant and service.gate.is_open_to(request):
            return self.service.run(call) if self.service.admit(call) is None else self.service.refused(call)
        threads, of = self._place(call), request.database_name
        if not threads.hashes and service.accounts.must_hash(request):
            # Guessing passwords must not delay users who know theirs.
            await self._admit(self._bulkheads.passwords, call, span)
        if incoming.is_here():
            # With no body to wait for, gate and handler are one step on one thread.
            response = await threads.run(self._whole, call, incoming, span, of=of)
        else:
            if not call.is_admitted:
                await self._admit(self._bulkheads.reads, call, span)
            response = await self._collected(call, incoming, threads, span)
        if response is None:
            # It takes long, which is known only now.
            response = await self._bulkheads.builds.run(self._run, call, span, of=of)
        return response

    async def _admit(self, threads: Bulkhead, call: Call, span: Span) -> None:
        """Let a call pass the gate, on a thread. Raises the error of a refusal."""
        error = await threads.run(self._gate, call, span, of=call.request.database_name)
        if error is not None:
            raise error

    async def _collected(self, call: Call, incoming: Incoming, threads: Bulkhead, span: Span) -> Response | None:
        """Wait for the body, then run the handler; None when it has to run on a thread for long work."""
        request, settings, route = call.request, self.settings, call.route
        assert route is not None, "what has no route is refused at the gate"
        of = request.database_name
        if route.streamed(request.content_type):
            await incoming.collect(settings.max_attachment, None, self._bulkheads.uploads)
            request.file = cast("BinaryIO | None", incoming.file())
            if request.file is None:
                request.body = incoming.taken()
            return await threads.run(self._run, call, span, of=of)
        await incoming.collect(settings.max_body, settings.body_time, self._bulkheads.uploads)
        if incoming.length > LARGE:
            threads = self._bulkheads.large
        return await threads.run(self._with_body, call, incoming, span, of=of)

    def _place(self, call: Call) -> Bulkhead:
        """Return the bulkhead for a call."""
        route, bulkheads = call.route, self._bulkheads
        if route is None:
            return bulkheads.reads
        if route.instant:
            return bulkheads.quick
        if route.hashes:
            return bulkheads.passwords
        if route.slow is True:
            return bulkheads.builds
        return bulkheads.reads if route.reads or call.request.method in ("GET", "HEAD") else bulkheads.writes

    # -- on a thread -----------------------------------------------------------------------------

    def _gate(self, call: Call, span: Span) -> PouchDBError | None:
        with span.active():
            return self.service.admit(call)

    def _run(self, call: Call, span: Span) -> Response:
        with span.active():
            return self.service.run(call)

    def _whole(self, call: Call, incoming: Incoming, span: Span) -> Response | None:
        if not call.is_admitted:
            error = self._gate(call, span)
            if error is not None:
                raise error
        call.request.body = incoming.here(self.settings.max_body)
        return self._unless_slow(call, span)

    def _with_body(self, call: Call, incoming: Incoming, span: Span) -> Response | None:
        call.request.body = incoming.taken()
        return self._unless_slow(call, span)

    def _unless_slow(self, call: Call, span: Span) -> Response | None:
        with span.active():
            return None if self.service.is_slow(call) else self.service.run(call)

    # -- the response ------------------------------------------------------------------------------

    async def _send(self, scope: Scope, request: Request, response: Response, receive: Receive, send: Send) -> None:
        body = response.body
        headers = [_USUAL.get(pair) or _encoded(*pair) for pair in response.headers]
        headers += (SERVER, (b"x-couch-request-id", self._id_of(request)))
        start = {"type": "http.response.start", "status": response.status, "headers": headers}
        if isinstance(body, bytes):
            if body and request.method != "HEAD" and (join := scope.get("extensions", {}).get(JOIN)) is not None:
                join()
            await send(start)
            await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})
            return
        await self._send_pieces(scope, request, start, response, receive, send)

    def _id_of(self, request: Request) -> bytes:
        """Return the id that the client gave the request, if it is one, or a new one."""
        given: str | None = request.headers.get("x-couch-request-id")
        if given is not None and GIVEN_ID.match(given):
            return given.encode("ascii")
        return f"{self._prefix}{next(self._numbers):06x}".encode()

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
            await self._bulkheads.reads.run(close_body, pieces, of=request.database_name, admitted=True)
            return
        if len(self._senders) >= self.settings.max_feeds:
            await self._bulkheads.reads.run(close_body, pieces, of=request.database_name, admitted=True)
            refusal = finish(request, error_response(Unavailable("there are too many feeds")))
            await self._send(scope, request, refusal, receive, send)
            return
        await send(start)
        threads = self._bulkheads.reads if response.wakes is None else self._bulkheads.feeds
        sender = Sender(threads, request.database_name, receive, send, self.settings.patience)
        self._senders.add(sender)
        try:
            if self._stopping:
                sender.stop()
            complete = await sender.send(pieces, response.wakes)
        except Exception as error:
            # The head is sent: the only error left to report is a body that is cut short.
            trace = None if isinstance(error, PouchDBError) else error
            level = logging.WARNING if isinstance(error, PouchDBError) else logging.ERROR
            logger.log(level, "%s %s was cut off: %s", request.method, request.raw_path, error, exc_info=trace)
            complete = False
        finally:
            self._senders.discard(sender)
        if complete:
            await send({"type": "http.response.body", "body": b""})
        elif ABORT in scope.get("extensions", ()):
            # A regular end would mean that the body is complete.
            scope["extensions"][ABORT]()
            with contextlib.suppress(ClientGone, asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(_disconnected(receive), 5)


def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    return name.encode("latin-1"), header_text(value).encode("latin-1", "replace")


_USUAL = {
    (name, value): _encoded(name, value)
    for name, value in (
        ("cache-control", "must-revalidate"),
        ("content-type", "application/json"),
        ("x-couchdb-body-time", "0"),
    )
}
"""Headers of nearly every response, encoded once."""


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


def _request(scope: Scope) -> Request:
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    root = scope.get("root_path", "")
    if root:
        raw_path = raw_path.removeprefix(root.encode())
    client = scope.get("client")
    headers = Headers(scope["headers"])
    method = scope["method"].upper()
    if method == "POST" and headers.get("x-http-method-override") in OVERRIDES:
        # For clients that can send nothing but GET and POST.
        method = headers["x-http-method-override"]
    return Request(
        method,
        raw_path.decode("latin-1"),
        scope["query_string"].decode("latin-1"),
        headers,
        peer="" if client is None else client[0],
        scheme=scope.get("scheme", "http"),
        root=root,
    )


def _options(found: Found) -> Response:
    names = {*found.routes, "OPTIONS"} | ({"HEAD"} if "GET" in found.routes else set())
    return Response(b"", 204, {"allow": ",".join(sorted(names))})
