"""GET /_node/{node}/_stats and /_prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pouchdb_core.errors import NotFound
from pouchdb_server.messages import Endpoints, Request, Response
from pouchdb_server.metrics.counters import BOUNDS, METHODS, METRICS, QUANTILES, Counts, Histogram
from pouchdb_server.replicator.seat import SEAT

__all__ = ["Metric", "metrics_here", "prometheus", "stats", "stats_of"]

JOBS = ("initializing", "error", "pending", "running", "crashing", "completed", "failed")
BUCKETS = BOUNDS[8::8]
"""Only these of the classes are reported: one for each quadrupling."""


@dataclass(frozen=True)
class Metric:
    """One number, or several with a label; ``path`` is where CouchDB's _stats has it."""

    path: tuple[str, ...]
    kind: str
    description: str
    value: Any
    label: str | None = None
    name: str = field(default="")

    @property
    def full_name(self) -> str:
        """The name in Prometheus."""
        name = self.name or "couchdb_" + "_".join(part for part in self.path if part != "couchdb")
        return name + ("_total" if self.kind == "counter" and self.label is None else "")


def stats(request: Request, database: None) -> dict[str, Any]:
    """GET …/_stats: everything, in CouchDB's tree."""
    _check_node(request)
    tree: dict[str, Any] = {}
    for metric in _metrics(request):
        values = {None: metric.value} if metric.label is None else metric.value
        for last, value in values.items():
            place = tree
            path = metric.path if last is None else (*metric.path, str(last))
            for part in path[:-1]:
                place = place.setdefault(part, {})
            told = value.as_stats() if isinstance(value, Histogram) else value
            place[path[-1]] = {"value": told, "type": metric.kind, "desc": metric.description}
    return tree


def stats_of(request: Request, database: None) -> dict[str, Any]:
    """GET …/_stats/{path}: a part of it. Raises NotFound."""
    found: Any = stats(request, None)
    for part in request.params["rest"].strip("/").split("/"):
        if not isinstance(found, Mapping) or part not in found:
            raise NotFound("unknown statistics")
        found = found[part]
    return found if isinstance(found, dict) else {"value": found}


def prometheus(request: Request, database: None) -> Response:
    """GET …/_prometheus, in its text format."""
    _check_node(request)
    lines: list[str] = []
    for metric in _metrics(request):
        lines.extend(_lines(metric))
    lines.append("")
    return Response("\n".join(lines), content_type="text/plain; version=0.0.4; charset=utf-8")


def _lines(metric: Metric) -> Iterator[str]:
    name = metric.full_name
    if isinstance(metric.value, Histogram):
        yield from _summary("couchdb_request_time_seconds", metric.description, metric.value)
        yield from _buckets("pouchdb_request_time_seconds", metric.description, metric.value)
        return
    yield f"# HELP {name} {metric.description}"
    yield f"# TYPE {name} {metric.kind}"
    if metric.label is None:
        yield f"{name} {metric.value}"
        return
    for value, number in metric.value.items():
        yield f'{name}{{{metric.label}="{value}"}} {number}'


def _summary(name: str, description: str, histogram: Histogram) -> Iterator[str]:
    yield f"# HELP {name} {description}"
    yield f"# TYPE {name} summary"
    for part in QUANTILES:
        yield f'{name}{{quantile="{part}"}} {histogram.quantile(part):.6g}'
    yield f"{name}_sum {histogram.sum:.6g}"
    yield f"{name}_count {histogram.count}"


def _buckets(name: str, description: str, histogram: Histogram) -> Iterator[str]:
    yield f"# HELP {name} {description}"
    yield f"# TYPE {name} histogram"
    for bound in BUCKETS:
        until = sum(number for end, number in zip(BOUNDS, histogram.classes, strict=False) if end <= bound)
        yield f'{name}_bucket{{le="{bound:.6g}"}} {until}'
    yield f'{name}_bucket{{le="+Inf"}} {histogram.count}'
    yield f"{name}_sum {histogram.sum:.6g}"
    yield f"{name}_count {histogram.count}"


def metrics_here(service: Endpoints) -> Counts:
    """Return what this process has counted."""
    environment = service.environment
    supervisor = environment.state(SEAT).supervisor(environment.prefix)
    jobs = Counter({} if supervisor is None else supervisor.counts())
    return environment.state(METRICS).counts(
        jobs,
        feeds=service.feeds(),
        open_databases=len(service.databases),
        starts=0 if supervisor is None else supervisor.starts,
        crashes=0 if supervisor is None else supervisor.crashes,
    )


def _metrics(request: Request) -> list[Metric]:
    counts = sum(request.server.others.ask("metrics"), metrics_here(request.server))
    numbers = counts.numbers
    statuses = {200: 0, 201: 0, **dict(sorted(counts.statuses.items()))}
    methods = {name: counts.methods[name] for name in (*METHODS, "OTHER")}
    return [
        Metric(("couchdb", "httpd", "requests"), "counter", "number of HTTP requests", sum(methods.values())),
        Metric(("couchdb", "httpd", "bulk_requests"), "counter", "number of bulk requests", numbers["bulk_requests"]),
        Metric(("couchdb", "httpd", "view_reads"), "counter", "number of view reads", numbers["view_reads"]),
        Metric(
            ("couchdb", "httpd", "aborted_requests"),
            "counter",
            "number of requests that got no answer, since the client was gone",
            numbers["aborted"],
        ),
        Metric(("couchdb", "httpd", "clients_requesting_changes"), "gauge", "number of open feeds", numbers["feeds"]),
        Metric(("couchdb", "httpd_request_methods"), "counter", "number of HTTP requests by method", methods, "method"),
        Metric(("couchdb", "httpd_status_codes"), "counter", "number of HTTP answers by status", statuses, "code"),
        Metric(("couchdb", "request_time"), "histogram", "length of a request", counts.request_time),
        Metric(("couchdb", "bytes_sent"), "counter", "bytes of bodies that were sent", numbers["bytes_sent"]),
        Metric(
            ("couchdb", "database_reads"),
            "counter",
            "number of times a document was read from a database",
            numbers["reads"],
        ),
        Metric(("couchdb", "database_writes"), "counter", "number of times a database was changed", numbers["batches"]),
        Metric(("couchdb", "document_writes"), "counter", "number of document write operations", numbers["writes"]),
        Metric(("couchdb", "open_databases"), "gauge", "number of open databases", numbers["open_databases"]),
        Metric(
            ("couch_replicator", "jobs"),
            "gauge",
            "replications of documents by state",
            {state: counts.jobs[state] for state in JOBS},
            "state",
        ),
        Metric(
            ("couch_replicator", "jobs_starts"),
            "counter",
            "number of replications that were started",
            numbers["starts"],
        ),
        Metric(
            ("couch_replicator", "jobs_crashes"), "counter", "number of replications that failed", numbers["crashes"]
        ),
        Metric(("uptime_seconds",), "gauge", "seconds since it began to count", int(counts.uptime)),
    ]


def _check_node(request: Request) -> None:
    if request.params["node"] not in ("_local", "nonode@nohost"):
        raise NotFound("no such node")
