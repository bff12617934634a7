"""Running the application on uvicorn: with limits that it lacks, and an end that loses nothing."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pouchdb_server.server import ABORT, ASGIApp, Server
from pouchdb_server.settings import Settings

__all__ = ["Protocol", "Running", "configured", "inner", "serve"]

logger = logging.getLogger("pouchdb.server")

GRACE = 10
"""Seconds that requests under way have after SIGTERM."""
FIRST = 30.0
"""Seconds a client may take for the head of a request."""


TOO_LONG = (
    b"HTTP/1.1 414 URI Too Long",
    b'{"error":"too_long","reason":"the request uri is too long"}\n',
)
TOO_MANY = (
    b"HTTP/1.1 431 Request Header Fields Too Large",
    b'{"error":"too_long","reason":"the headers of the request are too long"}\n',
)


class Protocol(HttpToolsProtocol):
    """One connection, with a limit to the head of a request and to the time it takes."""

    limit = 64 * 1024

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head = self._unread = 0
        self._in_head = self._in_url = True
        self._patience = self.loop.call_later(FIRST, self._slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        super().data_received(data)
        # The parser tells of a header when it has all of it.
        if self._in_head and self._unread > self.limit and not self.transport.is_closing():
            self.send_400_response("")
        if not self._in_head:
            self._unread = 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._in_url = False
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > self.limit:
            # The parser passes it on as an error of its own, which is answered below.
            raise ValueError("the head of the request is too long")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request; what is too long by the status that makes CouchDB's replicator ask for less."""
        if self._head <= self.limit and self._unread <= self.limit:
            super().send_400_response(msg)
            return
        logger.warning("a request with a head of more than %d bytes was refused", self.limit)
        head, body = TOO_LONG if self._in_url else TOO_MANY
        length = f"\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head + length.encode() + body)
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = self._in_url = True
        self._head = 0
        scope: Any = self.scope
        scope["extensions"] = {ABORT: self.transport.abort}

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._patience.cancel()
        super().on_headers_complete()

    def _slow(self) -> None:
        if self._in_head:
            self.transport.close()


class Running(uvicorn.Server):
    """A uvicorn server that ends feeds before it waits for what is under way."""

    def __init__(self, config: uvicorn.Config, server: Server, started: Callable[[int], None] | None = None) -> None:
        super().__init__(config)
        self._server, self._started = server, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._started is not None:
            self._started(self.port)

    @property
    def port(self) -> int:
        """The port it listens on."""
        found = self.servers[0].sockets[0].getsockname()
        return found[1] if isinstance(found, tuple) else 0

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._server.stop()
        await super().shutdown(sockets)


def inner(app: ASGIApp) -> Server:
    """Return the server within what ``create_app`` returned."""
    found: Any = app
    while not isinstance(found, Server):
        found = found.app
    return found


def configured(app: ASGIApp, settings: Settings, host: str, port: int, **options: Any) -> uvicorn.Config:
    """Return how uvicorn runs the application."""
    limit = settings.max_headers
    protocol = type("Protocol", (Protocol,), {"limit": limit})
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
        # A page of a proxy may not say who its peer is: the party is for this machine.
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=75,
        backlog=1024,
        **options,
    )


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
