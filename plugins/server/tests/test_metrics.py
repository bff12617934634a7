"""What the server tells of itself: statistics, the access log, spans."""

from __future__ import annotations

import base64
import logging
import re
import sys

import pytest
from pouchdb_server.metrics.access import MEMBER, QUOTED, _shown
from pouchdb_server.metrics.counters import Histogram
from pouchdb_server.metrics.tracing import tracing
from pouchdb_server.replicator.endpoints import without_credentials
from pouchdb_server.replicator.seat import SEAT

STATS = "/_node/_local/_stats"
ADA = {"Authorization": "Basic " + base64.b64encode(b"ada:sec:ret").decode()}


def test_stats(client, environment):
    before = client.get(STATS).json["couchdb"]
    client.put("/db/a", {"x": 1})
    client.get("/db/a")
    client.get("/db/none")
    client.call("COPY", "/db/a", headers={"Destination": "b"})
    client.post("/db/_bulk_docs", {"docs": [{"_id": "c"}, {"_id": "d"}]})
    client.post("/db/_bulk_get", {"docs": [{"id": "c"}, {"id": "d"}]})
    environment["db"].put({"_id": "by the program"})
    after = client.get(STATS).json["couchdb"]

    def more(*path: str) -> int:
        values = []
        for found in (after, before):
            for part in path:
                found = found.get(part, {})
            values.append(found.get("value", 0))
        return values[0] - values[1]

    assert more("httpd", "requests") == 7
    assert more("httpd_request_methods", "GET") == 3
    assert more("httpd_request_methods", "COPY") == 1
    assert more("httpd_status_codes", "404") == 1
    assert more("httpd_status_codes", "201") == 3
    assert more("httpd", "bulk_requests") == 2
    assert more("database_reads") == 3
    assert more("document_writes") == 5
    assert more("database_writes") == 4
    assert after["open_databases"]["value"] == 1
    time = after["request_time"]
    assert time["type"] == "histogram"
    assert time["value"]["n"] == after["httpd"]["requests"]["value"]
    assert 0 < time["value"]["min"] <= time["value"]["median"] <= time["value"]["max"]
    assert [each[0] for each in time["value"]["percentile"]] == [50, 75, 90, 95, 99, 999]
    assert set(after["httpd"]["requests"]) == {"value", "type", "desc"}


def test_a_part_of_the_stats(client):
    assert client.get(f"{STATS}/couchdb/httpd/requests").json["type"] == "counter"
    assert set(client.get(f"{STATS}/couchdb/httpd_request_methods").json) >= {"GET", "PUT", "COPY"}
    assert client.get("/_node/nonode@nohost/_stats").status == 200
    for path in (f"{STATS}/none", f"{STATS}/couchdb/none/x", "/_node/other/_stats", "/_node/other/_prometheus"):
        assert client.get(path).status == 404


def test_prometheus(client, environment):
    feed = client.open("GET", "/db/_changes?feed=continuous&heartbeat=60000&since=now")
    try:
        answer = client.get("/_node/_local/_prometheus")
    finally:
        feed.close()
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    text = answer.body.decode()
    assert text.endswith("\n")
    names: dict[str, str] = {}
    values: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in names
            names[name] = kind
        elif not line.startswith("# HELP "):
            found = re.fullmatch(r'([a-z_]+)(?:\{[a-z]+="[^"]*"\})? ([-+.0-9e]+)', line)
            assert found is not None, line
            base = re.sub(r"_(sum|count|bucket)$", "", found.group(1))
            assert found.group(1) in names or base in names, line
            values[line.rpartition(" ")[0]] = float(found.group(2))
    assert names["couchdb_httpd_requests_total"] == "counter"
    assert values['couchdb_httpd_request_methods{method="PUT"}'] == 1
    assert values['couchdb_httpd_status_codes{code="201"}'] == 1
    assert values["couchdb_httpd_clients_requesting_changes"] == 1
    assert values['couchdb_couch_replicator_jobs{state="running"}'] == 0
    buckets = [value for name, value in values.items() if name.startswith("pouchdb_request_time_seconds_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == values["pouchdb_request_time_seconds_count"] == values["couchdb_request_time_seconds_count"]


def test_replications_are_counted(client, environment):
    environment["_replicator"].put({"_id": "once", "source": "db", "target": "copy", "create_target": True})
    supervisor = environment.state(SEAT).supervisor("")
    assert supervisor.wait_for(lambda: supervisor.counts().get("completed") == 1, 20)
    found = client.get(f"{STATS}/couch_replicator").json
    assert found["jobs"]["completed"]["value"] == 1
    assert found["jobs_starts"]["value"] == 1


def test_only_administrators_are_told(serve, call):
    client = call(serve(admins={"ada": "sec:ret"}))
    for path in (STATS, f"{STATS}/couchdb", "/_node/_local/_prometheus"):
        assert client.get(path).status == 401
        assert client.call("GET", path, headers=ADA).status == 200


def test_a_histogram():
    empty = Histogram().as_stats()
    assert (empty["n"], empty["median"], empty["min"]) == (0, 0, 0)
    times = Histogram()
    for n in range(1, 1001):
        times.add(n / 1000)
    assert times.quantile(0.5) == pytest.approx(0.5, rel=0.2)
    assert times.quantile(0.99) == pytest.approx(0.99, rel=0.2)
    told = times.as_stats()
    assert told["arithmetic_mean"] == pytest.approx(500.5)
    assert told["standard_deviation"] == pytest.approx(288.7, rel=0.01)
    times.add(10_000)
    assert times.quantile(1) == 10_000
    assert sum(number for _, number in times.as_stats()["histogram"]) == 1001


# -- the access log ----------------------------------------------------------------------------------


@pytest.fixture
def log(caplog):
    """What is written to the access log; the last line may come after the answer."""
    caplog.set_level(logging.INFO, "pouchdb.server.access")

    def lines() -> list[str]:
        return [each.getMessage() for each in caplog.records if each.name == "pouchdb.server.access"]

    return lines


def test_the_access_log(serve, call, log, caplog, environment):
    server = serve(admins={"ada": "sec:ret"})
    client = call(server)
    client.call("PUT", "/db", headers=ADA)
    client.get("/db/none")
    client.call("GET", "/", headers=ADA)
    server.stop()
    first, second, third = log()
    expected = r'127\.0\.0\.1 - ada \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "PUT /db HTTP/1\.1" 201 12 \d+\.\dms'
    assert re.fullmatch(expected, first), first
    assert re.search(r' - - \[.*"GET /db/none HTTP/1\.1" 401 \d+ ', second), second
    assert " ada " in third
    record = next(each for each in caplog.records if each.name == "pouchdb.server.access")
    assert {key: record.access[key] for key in ("user", "method", "path", "status", "bytes")} == {
        "user": "ada",
        "method": "PUT",
        "path": "/db",
        "status": 201,
        "bytes": 12,
    }


@pytest.mark.parametrize(
    "path",
    [
        "/db/http%3A%2F%2Fada%3Asec%3Aret%40host%2Fx",
        "/db/http://ada:sec:ret@host/x",
        "/db/_all_docs?password=sec:ret&limit=1",
        "/db/a?x=1&access_token=sec:ret",
    ],
)
def test_no_password_is_logged(server, client, log, path):
    client.call("GET", path, headers=ADA)
    client.post("/_session", {"name": "ada", "password": "sec:ret"})
    server.stop()
    assert len(log()) == 2
    text = "\n".join(log())
    assert "sec" not in text
    assert ADA["Authorization"][6:] not in text


@pytest.mark.parametrize("text", ["password" * 100_000, "a." * 400_000, "a=" * 400_000, "%3a%2f%2f" * 90_000])
def test_long_lines_take_no_time_by_their_square(text: str) -> None:
    """Otherwise one request with a long URL could keep a server busy for hours."""
    assert QUOTED.sub(r"\1", without_credentials(MEMBER.sub(_shown, text))) == text


def test_nobody_forges_a_line(server, client, log):
    client.get('/db/a%0A127.0.0.1%20-%20ada"%20200')
    server.stop()
    assert all("\n" not in line and line.count('"') == 2 for line in log())


def test_it_is_quiet_by_default(server, client):
    assert not logging.getLogger("pouchdb.server.access").isEnabledFor(logging.INFO)


# -- spans -------------------------------------------------------------------------------------------


@pytest.fixture
def spans(monkeypatch):
    """What OpenTelemetry's own exporter for tests gets."""
    trace = pytest.importorskip("opentelemetry.trace", reason="NO TEST of spans: pip install opentelemetry-sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # The global one can be set only once.
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


def test_spans(spans, serve, call, environment):
    server = serve(admins={"ada": "sec:ret"})
    client = call(server)
    client.call("PUT", "/db", headers=ADA)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client.call("GET", "/db/none", headers={**ADA, "traceparent": parent})
    client.call("GET", "/db/_design/d/_view/v", headers=ADA)
    client.call("GET", "/", headers=ADA)
    client.call("PROPFIND", "/", headers=ADA)
    server.stop()
    put, get, view, root, odd = spans.get_finished_spans()
    assert [each.name for each in (put, get, view, root, odd)] == [
        "PUT /{db}",
        "GET /{db}/{docid}",
        "GET /{db}/_design/{ddoc}/_view/{view}",
        "GET /",
        "PROPFIND",
    ]
    assert dict(get.attributes) == {
        "http.request.method": "GET",
        "url.path": "/db/none",
        "url.scheme": "http",
        "client.address": "127.0.0.1",
        "http.route": "/{db}/{docid}",
        "db.namespace": "db",
        "enduser.id": "ada",
        "http.response.status_code": 404,
    }
    assert get.kind.name == "SERVER"
    assert f"{get.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{get.parent.span_id:016x}" == "b7ad6b7169203331"
    assert put.parent is None
    assert "sec" not in "".join(each.to_json() for each in (put, get, view, root))


def test_spans_of_a_program_are_children(spans, serve, call, environment):
    from opentelemetry import trace

    class Traced:
        from pouchdb_core import hookimpl

        @hookimpl
        def pouchdb_documents_written(self, database):
            with trace.get_tracer("program").start_as_current_span("written"):
                return

    import pouchdb

    with pouchdb.setup(":memory:", plugins=["server", Traced()]) as traced:
        from pouchdb_server.testing import CouchServer

        with CouchServer(traced) as server:
            client = call(server)
            client.put("/db")
            client.put("/db/a", {})
    names = {each.name: each for each in spans.get_finished_spans()}
    assert names["written"].parent.span_id == names["PUT /{db}/{docid}"].context.span_id


def test_it_works_without_opentelemetry(monkeypatch, serve, call):
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
    assert tracing() is None
    assert call(serve()).get("/").status == 200
