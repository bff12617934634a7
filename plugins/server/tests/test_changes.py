"""The changes feed: normal, longpoll, continuous, eventsource."""

from __future__ import annotations

import json
import socket
import threading

import pytest
from pouchdb_server.testing import CouchServer


@pytest.fixture
def filled(client):
    client.post("/db/_bulk_docs", {"docs": [{"_id": f"doc{n}", "n": n} for n in range(5)]})
    return client


def ids(answer):
    return [row["id"] for row in answer.json["results"]]


def test_normal(filled):
    answer = filled.get("/db/_changes")
    lines = answer.body.splitlines()
    # One row a line: CouchDB's replicator reads it so.
    assert lines[0] == b'{"results":['
    assert json.loads(lines[1].rstrip(b",")) == answer.json["results"][0]
    assert answer.body.endswith(b"\n")
    assert (answer.json["last_seq"], answer.json["pending"]) == (5, 0)
    assert ids(filled.get("/db/_changes?since=3")) == ["doc3", "doc4"]
    assert ids(filled.get("/db/_changes?since=now")) == []
    assert ids(filled.get("/db/_changes?descending=true&limit=2")) == ["doc4", "doc3"]
    page = filled.get("/db/_changes?limit=2").json
    assert (page["last_seq"], page["pending"]) == (2, 3)
    rows = filled.get("/db/_changes?include_docs=true&style=all_docs").json["results"]
    assert [row["doc"]["n"] for row in rows] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("feed", ["normal", "longpoll", "continuous"])
@pytest.mark.parametrize(("query", "last_seq", "pending"), [("", 1, 0), ("&limit=2", 4, 3), ("&limit=0", 5, 5)])
def test_a_descending_feed_ends_at_its_oldest_row(filled, feed, query, last_seq, pending):
    answer = filled.get(f"/db/_changes?descending=true&feed={feed}{query}")
    told = json.loads(answer.body.splitlines()[-1]) if feed == "continuous" else answer.json
    assert (told["last_seq"], told["pending"]) == (last_seq, pending)


@pytest.mark.parametrize("feed", ["normal", "longpoll", "continuous"])
def test_a_limit_of_0_tells_how_much_there_is(filled, feed):
    """CouchDB's replicator asks so for its progress."""
    answer = filled.get(f"/db/_changes?since=2&limit=0&feed={feed}").json
    assert answer.get("results", []) == []
    assert (answer["last_seq"], answer["pending"]) == (2, 3)


def test_filters(filled):
    filled.put("/db/_design/f", {"filters": {"odd": "function (doc, req) { return doc.n % 2 == req.query.rest; }"}})
    assert ids(filled.get("/db/_changes?filter=f/odd&rest=1")) == ["doc1", "doc3"]
    assert ids(filled.get("/db/_changes?filter=_design")) == ["_design/f"]
    assert ids(filled.post("/db/_changes?filter=_doc_ids", {"doc_ids": ["doc3", "none"]})) == ["doc3"]
    assert ids(filled.get('/db/_changes?filter=_doc_ids&doc_ids=["doc1"]')) == ["doc1"]
    assert filled.get("/db/_changes?filter=_doc_ids").status == 400
    assert filled.post("/db/_changes?filter=_selector", {}).status == 400
    assert filled.get("/db/_changes?filter=none/such").status == 404


def test_bad_parameters(filled):
    for wrong in (
        "feed=sometimes",
        "since=x",
        "limit=-1",
        "style=other",
        "heartbeat=0&feed=longpoll",
        "heartbeat=-1",
        "timeout=x&feed=longpoll",
    ):
        assert filled.get(f"/db/_changes?{wrong}").status == 400, wrong
    assert filled.post("/db/_changes?filter=_selector", "{", {"Content-Type": "application/json"}).status == 400


def test_longpoll_answers_at_once_when_there_is_something(filled):
    assert ids(filled.get("/db/_changes?feed=longpoll&since=3")) == ["doc3", "doc4"]


def test_longpoll_waits_for_a_change(filled, server):
    with filled.open("GET", "/db/_changes?feed=longpoll&since=now") as response:
        # The head is there before the change is.
        assert response.readline() == b'{"results":[\n'
        rev = filled.put("/db/late", {}).json["rev"]
        rest = json.loads(b'{"results":[' + response.read())
    assert rest["results"][0]["changes"] == [{"rev": rev}]
    assert (rest["last_seq"], rest["pending"]) == (6, 0)


def test_longpoll_ends_with_its_timeout(filled):
    answer = filled.get("/db/_changes?feed=longpoll&since=now&timeout=1")
    assert answer.json == {"results": [], "last_seq": 5, "pending": 0}


def test_continuous(filled):
    with filled.open("GET", "/db/_changes?feed=continuous&since=4&heartbeat=20") as response:
        assert json.loads(response.readline())["id"] == "doc4"
        assert response.readline() == b"\n"
        filled.put("/db/late", {})
        line = b"\n"
        while line == b"\n":
            line = response.readline()
        assert json.loads(line)["id"] == "late"


def test_continuous_ends_with_where_to_go_on(filled):
    """The replicator relies on it to open the feed again."""
    rows = filled.get("/db/_changes?feed=continuous&timeout=1").rows
    assert len(rows) == 6
    assert rows[-1] == {"last_seq": 5, "pending": 0}
    rows = filled.get("/db/_changes?feed=live&limit=2&heartbeat=true").rows
    assert rows[-1] == {"last_seq": 2, "pending": 3}


def test_eventsource(filled):
    with filled.open("GET", "/db/_changes?feed=eventsource&heartbeat=20", headers={"Last-Event-ID": "4"}) as response:
        assert response.getheader("Content-Type") == "text/event-stream"
        assert response.getheader("Cache-Control") == "no-cache"
        assert response.readline().startswith(b'data: {"seq":5,"id":"doc4"')
        assert response.readline() == b"id: 5\n"
        assert response.readline() == b"\n"
        assert response.readline() == b"event: heartbeat\n"


def until(holds, seconds=10.0):
    """Wait for something that another thread does soon."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if holds():
            return True
        pause.wait(0.01)
    return False


def test_who_disconnects_frees_everything(filled, server, environment):
    response = filled.open("GET", "/db/_changes?feed=continuous&heartbeat=true&since=now")
    assert until(lambda: server.server.feeds == 1)
    response.close()
    assert until(lambda: server.server.feeds == 0)
    assert until(lambda: all(held.users == 0 for held in server.server.service.databases._held.values()))


def test_who_stops_reading_frees_everything(serve, call, environment):
    server = serve(patience=0.2)
    client = call(server)
    client.put("/db")
    # More than what sockets hold.
    client.post("/db/_bulk_docs", {"docs": [{"_id": f"big{n}", "text": "x" * 1_000_000} for n in range(12)]})
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(client.address)
        sock.sendall(b"GET /db/_changes?feed=continuous&include_docs=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert until(lambda: server.server.feeds == 1)
        assert until(lambda: server.server.feeds == 0)
    assert until(lambda: all(held.users == 0 for held in server.server.service.databases._held.values()))


@pytest.fixture
def thousand():
    """How many feeds to open: a thousand, where this process may have so many sockets."""
    resource = pytest.importorskip("resource", reason="limits of open files are POSIX's")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    yield 1000 if hard >= wanted else 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_feeds_hold_no_threads(filled, server, thousand):
    before = threading.active_count()
    feeds = [filled.open("GET", "/db/_changes?feed=continuous&since=now&heartbeat=true") for _ in range(thousand)]
    try:
        assert until(lambda: server.server.feeds == thousand)
        # Those for requests under way are there anyway.
        assert threading.active_count() - before <= 16
        filled.put("/db/late", {})
        assert all(json.loads(feed.readline())["id"] == "late" for feed in feeds)
        assert filled.get("/db").status == 200
    finally:
        for feed in feeds:
            feed.close()
    assert until(lambda: server.server.feeds == 0)


@pytest.fixture
def selective(filled):
    """A filter that lets one of thousands through."""
    filled.put("/db/_design/f", {"filters": {"last": "function (doc) { return doc._id === 'last'; }"}})
    filled.post("/db/_bulk_docs", {"docs": [{"_id": f"other{n}"} for n in range(2500)]})
    return filled


def test_a_filter_that_lets_nothing_through_gets_on(selective):
    """Who follows it need not begin anew: last_seq tells how far it was looked, also when the time was over before."""
    end = selective.get("/db").json["update_seq"]
    for feed in ("continuous", "longpoll", "normal"):
        seen = [0]
        while seen[-1] < end:
            answer = selective.get(f"/db/_changes?filter=f/last&feed={feed}&timeout=1&since={seen[-1]}").json
            assert answer.get("results", []) == []
            assert answer["last_seq"] > seen[-1]
            assert answer["pending"] == end - answer["last_seq"]
            seen.append(answer["last_seq"])
        assert len(seen) <= 4
    selective.put("/db/last", {})
    rows = selective.get(f"/db/_changes?filter=f/last&feed=continuous&timeout=50&since={end}").rows
    assert [row.get("id") for row in rows] == ["last", None]


def test_long_answers_come_piece_by_piece(filled, monkeypatch):
    # A short answer that takes longer is sent in pieces as well.
    monkeypatch.setattr("pouchdb_server.rows.AT_ONCE", 60.0)
    short = filled.get("/db/_changes?include_docs=true")
    assert short.headers["Content-Length"] == str(len(short.body))
    monkeypatch.setattr("pouchdb_server.rows.WHOLE", 100)
    long = filled.get("/db/_changes?include_docs=true")
    assert long.headers["Transfer-Encoding"] == "chunked"
    assert long.body == short.body


def test_who_goes_away_from_a_long_answer_frees_everything(filled, server, monkeypatch):
    monkeypatch.setattr("pouchdb_server.rows.WHOLE", 100)
    filled.post("/db/_bulk_docs", {"docs": [{"_id": f"big{n}", "text": "x" * 1_000_000} for n in range(12)]})
    response = filled.open("GET", "/db/_changes?include_docs=true")
    response.read(10)
    response.close()
    assert until(lambda: server.server.feeds == 0)
    assert until(lambda: all(held.users == 0 for held in server.server.service.databases._held.values()))


def test_too_many_feeds_are_refused(serve, call):
    server = serve(max_feeds=1)
    client = call(server)
    client.put("/db")
    with client.open("GET", "/db/_changes?feed=continuous&since=now"):
        assert until(lambda: server.server.feeds == 1)
        assert client.get("/db/_changes?feed=continuous").status == 503
        assert client.get("/db").status == 200


def test_a_destroyed_database_ends_its_feeds(filled, server):
    with filled.open("GET", "/db/_changes?feed=continuous&since=now&heartbeat=true"):
        assert until(lambda: server.server.feeds == 1)
        filled.delete("/db")
        assert until(lambda: server.server.feeds == 0)


def test_stopping_ends_feeds(filled, server):
    feed = filled.open("GET", "/db/_changes?feed=continuous&since=now&heartbeat=true")
    assert until(lambda: server.server.feeds == 1)
    server.stop()
    assert server.server.feeds == 0
    feed.close()


@pytest.mark.parametrize("way", ["delete", "program", "stop"])
@pytest.mark.parametrize("feed", ["longpoll", "continuous", "eventsource"])
def test_a_feed_ends_cleanly_with_its_database_and_its_server(environment, call, caplog, feed, way):
    """S18: it was cut off in the middle of its JSON, with a traceback."""
    with CouchServer(environment) as server:
        client = call(server)
        client.put("/db")
        client.put("/db/a", {})
        since = "now" if feed == "longpoll" else "0"
        answer = client.open("GET", f"/db/_changes?feed={feed}&since={since}&heartbeat=30000")
        if feed != "longpoll":
            assert b'"id":"a"' in answer.readline()
        assert until(lambda: server.server.feeds == 1)
        if way == "delete":
            assert client.delete("/db").status == 200
        elif way == "program":
            environment.destroy("db")
        else:
            server.stop()
        # Raises IncompleteRead for a body that was cut off.
        with answer:
            rest = answer.read()
    if feed == "longpoll":
        assert json.loads(rest) == {"results": [], "last_seq": 1, "pending": 0}
    elif feed == "continuous":
        assert json.loads(rest.splitlines()[-1])["last_seq"] == 1
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]


def test_a_request_that_meets_a_deletion_finds_nothing(environment, client):
    adapter = type(environment["db"].adapter)
    real = adapter.read

    def read(self, request):
        environment.destroy("db")
        return real(self, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapter, "read", read)
        answer = client.get("/db/a")
    assert (answer.status, answer.json["reason"]) == (404, "Database does not exist.")


@pytest.mark.parametrize(
    "query", ["feed=eventsource&timeout=1", "feed=eventsource&heartbeat=1", "feed=continuous&heartbeat=1"]
)
def test_no_feed_beats_all_the_time(serve, call, query):
    client = call(serve(min_heartbeat=60_000))
    client.put("/db")
    with client.open("GET", f"/db/_changes?since=now&{query}") as response:
        client.put("/db/a", {})
        # The change comes before any heartbeat.
        assert b'"a"' in response.readline()
