"""Running the application on uvicorn: with limits that it lacks, and a shutdown that loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pouchdb_core.jsontext import dump
from pouchdb_server.joining import JOIN, Joining
from pouchdb_server.processes.shares import Share
from pouchdb_server.server import ABORT, ASGIApp, Server
from pouchdb_server.settings import Settings

__all__ = ["Protocol", "Running", "configured", "inner", "only_serving", "serve"]

logger = logging.getLogger("pouchdb.server")

GRACE = 10
"""Seconds that requests under way have after SIGTERM."""
FIRST = 30.0
"""Seconds a client may take for the head of a request."""


UNREADABLE = "400 Bad Request", "bad_request", "this is not an HTTP request"
TOO_LONG = "414 URI Too Long", "too_long", "the request uri is too long"
TOO_MANY = "431 Request Header Fields Too Large", "too_long", "the headers of the request are too long"


class Protocol(HttpToolsProtocol):
    """One connection, with limits on the head of a request and on how long its client may be idle.

    Three timeouts: for the head of every request, for a client that does not read the response, and for the rest of a
    refused body. Each closes the connection when it is over.
    """

    limit = 64 * 1024
    patience = 60.0
    linger = 0.0
    """Seconds to wait for one more request on an idle connection when the server stops."""
    is_stopping: Callable[[], bool] = staticmethod(lambda: False)
    share: Share | None = None
    """This process's share of the connections, if there are several processes."""
    is_passed_on = False
    """Whether it comes from another process, which had more."""

    def connection_made(self, transport: Any) -> None:
        share = self.share
        if share is not None:
            # What is encrypted cannot be passed on: its state is in this process.
            may = not self.is_passed_on and self.config.ssl is None
            if may and share.pass_on(transport, len(self.connections)):
                return
        super().connection_made(transport)
        if share is not None:
            share.count(len(self.connections))
        self._joining = Joining(transport)
        self._head = self._unread = 0
        self._in_head = self._in_url = True
        self._head_since = self.loop.time()
        # One timer for all requests of the connection: a timer for each would take a tenth of a request.
        self._head_clock = self.loop.call_later(FIRST, self._look)
        self._write_clock: asyncio.TimerHandle | None = None
        self._rest_clock: asyncio.TimerHandle | None = None
        self._last_clock: asyncio.TimerHandle | None = None
        if self.is_stopping():
            # Accepted before the server stopped listening: it has notified the other connections already.
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        for clock in (self._head_clock, self._write_clock, self._rest_clock, self._last_clock):
            if clock is not None:
                clock.cancel()
        super().connection_lost(exc)
        if self.share is not None:
            self.share.count(len(self.connections))

    # -- receiving -------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        super().data_received(data)
        # The parser reports a header when it has all of it.
        if self._in_head and self._unread > self.limit and not self.transport.is_closing():
            self.send_400_response("")
        if not self._in_head:
            self._unread = 0

    def on_url(self, url: bytes) -> None:
        self._head += len(url)
        if self._head > self.limit:
            self._too_long()
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._in_url = False
        self._head += len(name) + len(value)
        if self._head > self.limit:
            self._too_long()
        super().on_header(name, value)

    def _too_long(self) -> NoReturn:
        # The parser raises its own error for it, which is answered below.
        raise ValueError("the head of the request is too long")

    def send_400_response(self, msg: str) -> None:
        """Refuse a malformed request; one too long with the status that makes CouchDB's replicator request less."""
        if self._head <= self.limit and self._unread <= self.limit:
            status, error, reason = UNREADABLE
        else:
            logger.warning("a request with a head of more than %d bytes was refused", self.limit)
            status, error, reason = TOO_LONG if self._in_url else TOO_MANY
        body = dump({"error": error, "reason": reason}) + b"\n"
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._in_url = True
        self._head = 0
        # The next request of a kept-alive connection has as long as the first.
        self._head_since = self.loop.time()
        scope: Any = self.scope
        scope["extensions"] = {ABORT: self.transport.abort, JOIN: self._joining.hold}

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
        cycle: Any = self.cycle
        # Its task has not begun to run.
        cycle.transport = self._joining
        if self._last_clock is not None:
            # It sends Connection: close to the client, and closes the connection after the response.
            cycle.keep_alive = False

    def on_message_complete(self) -> None:
        if self._rest_clock is not None:
            self._rest_clock.cancel()
            self._rest_clock = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        cycle: Any = self.cycle
        if cycle is not None and cycle.more_body and cycle.response_complete and self._rest_clock is None:
            # The rest of a body that is not read.
            self._rest_clock = self.loop.call_later(self.patience, self.transport.abort)

    def _look(self) -> None:
        """Check whether the head of a request takes too long; if not, check again when it could."""
        left = self._head_since + FIRST - self.loop.time() if self._in_head else FIRST
        if left <= 0:
            self.transport.close()
        else:
            self._head_clock = self.loop.call_later(max(left, 0.01), self._look)

    def shutdown(self) -> None:
        """Close the connection when it is idle; wait for a request that may be on its way just now."""
        if self.linger and self._last_clock is None and self._is_idle():
            self._last_clock = self.loop.call_later(self.linger, self.shutdown)
        else:
            super().shutdown()

    def _is_idle(self) -> bool:
        cycle: Any = self.cycle
        return cycle is None or bool(cycle.response_complete)

    # -- sending --------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_clock is None:
            self._write_clock = self.loop.call_later(self.patience, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_clock is not None:
            self._write_clock.cancel()
            self._write_clock = None


class Running(uvicorn.Server):
    """A uvicorn server that ends feeds before it waits for requests under way."""

    def __init__(
        self,
        config: uvicorn.Config,
        server: Server,
        started: Callable[[int], None] | None = None,
        share: Share | None = None,
    ) -> None:
        super().__init__(config)
        self._server, self._started, self._share = server, started, share

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._share is not None and self.started:
            self._share.take(self._passed_on)
        if self.started and self._started is not None:
            self._started(self.port)

    @property
    def port(self) -> int:
        """The port it listens on."""
        found = self.servers[0].sockets[0].getsockname()
        return found[1] if isinstance(found, tuple) else 0

    def _passed_on(self) -> Any:
        """Make the protocol of a connection that another process has accepted."""
        made: Any = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        made.is_passed_on = True
        return made

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._share is not None:
            self._share.leave()
        self._server.stop()
        await super().shutdown(sockets)


def inner(app: ASGIApp) -> Server:
    """Return the server inside the object that ``create_app`` returned."""
    found: Any = app
    while not isinstance(found, Server):
        found = found.app
    return found


def configured(
    app: ASGIApp,
    settings: Settings,
    host: str,
    port: int,
    *,
    linger: float = 0.0,
    is_stopping: Callable[[], bool] = lambda: False,
    share: Share | None = None,
    **options: Any,
) -> uvicorn.Config:
    """Return uvicorn's configuration for the application.

    ``linger`` is how long an idle connection is kept for one more request when the server stops: where others continue
    at the same address, clients should not notice. ``is_stopping()`` returns whether it stops.
    """
    chosen = {
        "limit": settings.max_headers,
        "patience": settings.patience,
        "linger": linger,
        "is_stopping": staticmethod(is_stopping),
        "share": share,
    }
    protocol = type("Protocol", (Protocol,), chosen)
    return uvicorn.Config(
        app,
        host,
        port,
        interface="asgi3",
        http=protocol,
        ws="none",
        lifespan="on",
        server_header=False,
        access_log=False,
        log_config=None,
        # A proxy's header must not change the peer's address: the party is for this machine.
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=75,
        backlog=1024,
        **options,
    )


@contextlib.contextmanager
def only_serving() -> Iterator[None]:
    """Leave what is there now (modules, plug-ins, routes) out of garbage collections; for a process that only serves.

    Otherwise a large request makes the collector look at all of it, which takes as long as to parse the request.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def serve(
    app: ASGIApp,
    host: str = "127.0.0.1",
    port: int = 5984,
    *,
    started: Callable[[int], None] | None = None,
    **options: Any,
) -> None:
    """Serve until SIGINT or SIGTERM: requests under way end, new ones are refused, nothing is lost.

    ``started(port)`` is called when it listens; ``options`` are uvicorn's, such as ``ssl_certfile``.
    """
    server = inner(app)
    Running(configured(app, server.settings, host, port, **options), server, started).run()
