"""Spans of requests, where OpenTelemetry is installed; the program chooses where they go."""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pouchdb_server.messages import Request
    from pouchdb_server.routes import Route

__all__ = ["NONE", "Span", "Tracing", "tracing"]

LEVELS = {"server": "", "database": "/{db}", "document": "/{db}/{docid}"}


class Span:
    """The span of one request, or none."""

    def __init__(self, trace: Any = None, span: Any = None) -> None:
        self._trace, self._span = trace, span

    def active(self) -> contextlib.AbstractContextManager[Any]:
        """Make spans that begin in the block, on this thread, children of this one."""
        if self._span is None:
            return contextlib.nullcontext()
        found: contextlib.AbstractContextManager[Any] = self._trace.use_span(self._span, record_exception=False)
        return found

    def end(self, request: Request, route: Route | None, status: int | None) -> None:
        """Record how it ended."""
        span = self._span
        if span is None:
            return
        if span.is_recording():
            if route is not None:
                template = LEVELS[route.level] + (route.path if route.path != "/" or route.level == "server" else "")
                span.update_name(f"{request.method} {template}")
                span.set_attribute("http.route", template)
            if request.database_name is not None:
                span.set_attribute("db.namespace", request.database_name)
            if request.user.name is not None:
                span.set_attribute("enduser.id", request.user.name)
            if status is None:
                span.set_attribute("error.type", "client_gone")
            else:
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_attribute("error.type", str(status))
                    span.set_status(self._trace.Status(self._trace.StatusCode.ERROR))
        span.end()


NONE = Span()


class Tracing:
    """Begins spans, as OpenTelemetry's conventions for HTTP servers name them."""

    def __init__(self, trace: Any, propagate: Any) -> None:
        self._trace, self._propagate = trace, propagate
        self._provider: Any = None
        self._tracer: Any = None

    def begin(self, request: Request) -> Span:
        """Begin the span of a request, within the trace that its headers name."""
        provider = self._trace.get_tracer_provider()
        if provider is not self._provider:
            self._provider = provider
            # Until the program has set up tracing, a span would go nowhere, and cost half as much as the request.
            unset = isinstance(provider, self._trace.ProxyTracerProvider)
            self._tracer = None if unset else provider.get_tracer("pouchdb.server")
        if self._tracer is None:
            return NONE
        span = self._tracer.start_span(
            request.method,
            context=self._propagate.extract(request.headers),
            kind=self._trace.SpanKind.SERVER,
            attributes={
                "http.request.method": request.method,
                "url.path": request.raw_path,
                "url.scheme": request.scheme,
                "client.address": request.peer,
            },
        )
        return Span(self._trace, span)


def tracing() -> Tracing | None:
    """Return what makes spans, or None where OpenTelemetry's API is not installed."""
    try:
        # By name: it is not a dependency.
        trace = importlib.import_module("opentelemetry.trace")
        propagate = importlib.import_module("opentelemetry.propagate")
    except ModuleNotFoundError:
        return None
    return Tracing(trace, propagate)
