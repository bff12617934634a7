"""Sees every request come and go: counts it, logs it, ends its span."""

from __future__ import annotations

import time
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from pouchdb_server.handlers import bulk, documents, views
from pouchdb_server.metrics import access
from pouchdb_server.metrics.counters import METRICS
from pouchdb_server.metrics.tracing import NONE, Span, tracing

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment
    from pouchdb_server.messages import Request
    from pouchdb_server.routes import Route
    from pouchdb_server.streams import Send

__all__ = ["Exchange", "Observer"]


class Exchange:
    """One request and its response, as far as it was sent. Called in place of ``send``."""

    __slots__ = ("_send", "request", "route", "sent", "span", "started", "status")

    def __init__(self, request: Request, send: Send, span: Span) -> None:
        self.request, self._send, self.span = request, send, span
        self.started = time.perf_counter()
        self.route: Route | None = None
        self.status: int | None = None
        self.sent = 0

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        await self._send(message)
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.sent += len(message.get("body", b""))


class Observer:
    """What one server reports about its requests."""

    def __init__(self, environment: SyncEnvironment) -> None:
        self._metrics = environment.state(METRICS)
        self._tracing = tracing()

    def begins(self, request: Request, send: Send) -> Exchange:
        """A request has arrived."""
        return Exchange(request, send, NONE if self._tracing is None else self._tracing.begin(request))

    def ends(self, exchange: Exchange) -> None:
        """Its response was sent, or the client is gone."""
        request, status = exchange.request, exchange.status
        seconds = time.perf_counter() - exchange.started
        self._metrics.answered(request.method, status, seconds, exchange.sent)
        if exchange.route is not None and status is not None and status < 400:
            counted = COUNTED.get(exchange.route.handler)
            if counted is not None:
                self._metrics.asked_for(**counted(request))
        access.log(request, status, exchange.sent, seconds)
        exchange.span.end(request, exchange.route, status)


COUNTED: dict[Any, Callable[[Request], dict[str, int]]] = {
    documents.get: lambda request: {"reads": 1},
    # Not parsed again: as many as are named.
    bulk.bulk_get: lambda request: {"reads": request.body.count(b'"id"'), "bulk": 1},
    bulk.bulk_docs: lambda request: {"bulk": 1},
    views.query: lambda request: {"views": 1},
    views.queries: lambda request: {"views": 1},
}
"""What the requests of a handler do with a database."""
