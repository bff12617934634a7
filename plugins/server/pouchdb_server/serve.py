"""Running the application on uvicorn: with limits that it lacks, and an end that loses nothing."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pouchdb_server.app import ABORT, ASGIApp, Server
from pouchdb_server.settings import Settings

__all__ = ["Protocol", "Running", "configured", "inner", "serve"]

logger = logging.getLogger("pouchdb.server")

GRACE = 10
"""Seconds that requests under way have after SIGTERM."""
FIRST = 30.0
"""Seconds a client may take for the head of a request."""


class Protocol(HttpToolsProtocol):
    """One connection, with a limit to the head of a request and to the time it takes."""

    limit = 64 * 1024

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head = 0
        self._in_head = True
        self._patience = self.loop.call_later(FIRST, self._slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        # What came with the end of the head counted too; it is at most what one read gives.
        if self._in_head and self._head > self.limit and not self.transport.is_closing():
            logger.warning("a request with a head of more than %d bytes was refused", self.limit)
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
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
