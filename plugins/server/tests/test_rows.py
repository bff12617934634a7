"""Rows are streamed: first byte at once, constant memory, as fast as the client takes them, ended when it goes."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pouchdb_server import Route, Rows
from pouchdb_server.rows import PIECE, TOGETHER, Begun, Lists, list_text, together
from pouchdb_server.testing import CouchServer

import pouchdb
from pouchdb_core import hookimpl
from pouchdb_core.errors import NotFound
from pouchdb_core.runner import Idle

MIB = 1024 * 1024


def text(response):
    return response.body if isinstance(response.body, bytes) else b"".join(x for x in response.body if x != Idle(0))


def test_a_short_list_is_whole_and_has_an_etag():
    answer = Rows([{"a": 1}, b'{"b":2}'], {"total_rows": 2}, tail=lambda: {"bookmark": "x"}, etag=True)
    assert answer.body == b'{"total_rows":2,"rows":[\r\n{"a":1},\r\n{"b":2}\r\n],\r\n"bookmark":"x"}\n'
    assert answer.etag
    assert Rows([], name="docs").body == b'{"docs":[\r\n\r\n]}\n'
    assert Rows([]).etag is None


@given(st.lists(st.integers(0, 400).map(lambda n: b"1" * (n * n + 1)), max_size=300))
@settings(max_examples=50, deadline=None)
def test_rows_that_are_passed_on_together_are_the_same_list(texts):
    pieces = list(together(texts))
    assert b"".join(list_text(pieces, {"a": 1})) == b"".join(list_text(texts, {"a": 1}))
    # A client that reads slowly has no more than this in memory, unless one row is longer.
    assert all(len(piece) <= PIECE + 3 * TOGETHER or piece in texts for piece in pieces)


def test_short_rows_are_passed_on_together():
    assert len(list(together([b"{}"] * 1000))) == 10


def test_a_long_list_is_made_while_it_is_read():
    made = []

    def rows():
        try:
            for n in range(20_000):
                made.append(n)
                yield {"id": n, "text": "x" * 100}
        finally:
            made.append("closed")

    answer = Rows(rows(), {"total_rows": 20_000}, etag=True)
    assert not isinstance(answer.body, bytes)
    assert answer.etag is None
    assert len(made) < 10_000
    assert len(json.loads(text(answer))["rows"]) == 20_000
    made.clear()
    answer = Rows(rows())
    answer.body.close()
    assert made[-1] == "closed"


def test_a_body_of_which_nothing_was_sent_closes_what_it_was_made_from():
    """Python 3.13 keeps what a generator that was not begun refers to, until that goes itself."""
    pieces = iter([b"a", b"b", b"c"])
    rest = (piece for piece in pieces)
    body = Begun(next(rest), rest)
    body.close()
    assert list(rest) == []
    assert list(body) == []
    body = Begun(b"", pieces)
    assert list(body) == [b"b", b"c"]
    body.close()


def test_what_is_slow_begins_at_once():
    def rows():
        yield 1
        time.sleep(0.1)
        yield 2
        yield Idle(0)
        yield 3

    answer = Rows(rows())
    assert not isinstance(answer.body, bytes)
    assert json.loads(text(answer)) == {"rows": [1, 2, 3]}


def test_what_fails_before_its_beginning_was_sent_is_an_error():
    closed = []

    def rows():
        try:
            yield 1
            raise NotFound("gone")
        finally:
            closed.append(True)

    with pytest.raises(NotFound):
        Rows(rows())
    assert closed


def test_several_lists():
    answer = Lists([([1, 2], {"total_rows": 2}), ([], {})])
    assert json.loads(answer.body) == {"results": [{"total_rows": 2, "rows": [1, 2]}, {"rows": []}]}


class Endless:
    """A plug-in's list that never ends."""

    def __init__(self):
        self.made, self.ended = 0, False

    @hookimpl(optionalhook=True)
    def pouchdb_http_routes(self, environment):
        def rows():
            try:
                while True:
                    self.made += 1
                    yield {"n": self.made, "text": "x" * 1000}
            finally:
                self.ended = True

        return [Route("database", "GET", "/_endless", lambda request, database: Rows(rows()))]


def test_the_client_sets_the_pace_and_the_end(call):
    plugin = Endless()
    with pouchdb.setup(":memory:", plugins=["server", plugin]) as environment, CouchServer(environment) as server:
        client = call(server)
        client.put("/db")
        with socket.create_connection(client.address, timeout=20) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            connection.sendall(b"GET /db/_endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
            last = -1
            while plugin.made != last:
                last = plugin.made
                time.sleep(0.3)
            # What the buffers of both sides take, and no more.
            assert plugin.made < 30_000
            assert client.get("/db").status == 200
        deadline = time.monotonic() + 20
        while not plugin.ended and time.monotonic() < deadline:
            time.sleep(0.01)
        assert plugin.ended


def test_a_list_that_fails_late_is_cut_off(call, caplog):
    class Fails:
        @hookimpl(optionalhook=True)
        def pouchdb_http_routes(self, environment):
            def rows():
                yield from ({"text": "x" * 1000} for _ in range(2000))
                raise NotFound("gone")

            return [Route("database", "GET", "/_fails", lambda request, database: Rows(rows()))]

    with pouchdb.setup(":memory:", plugins=["server", Fails()]) as environment, CouchServer(environment) as server:
        client = call(server)
        client.put("/db")
        connection = HTTPConnection(*client.address, timeout=20)
        connection.request("GET", "/db/_fails")
        with pytest.raises(Exception, match=r"IncompleteRead|reset"):
            connection.getresponse().read()
        connection.close()
        assert client.get("/db").status == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


# -- memory --------------------------------------------------------------------------------------------

PROGRAM = """
import resource, sys, threading
import pouchdb
from pouchdb_server import service
env = pouchdb.setup(sys.argv[1], plugins=["server"])
it = service(env)

def ask(path, body):
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    response = it.answer(it.request("POST", path, headers=headers, body=body))
    assert response.status == 200, response.body
    if isinstance(response.body, bytes):
        return len(response.body)
    return sum(len(piece) for piece in response.body if isinstance(piece, bytes))

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

ask("/big/_all_docs", b'{"limit": 1}')
ask("/many/_design/v/_view/v", b'{"limit": 1}')
before = peak()
size = ask(sys.argv[2], sys.stdin.buffer.read())
print(size, peak() - before)
"""


@pytest.fixture(scope="module")
def heavy(tmp_path_factory):
    directory = tmp_path_factory.mktemp("heavy")
    with pouchdb.setup(directory, plugins=["server"]) as environment:
        environment["big"].put({"_id": "doc", "list": ["x" * 100] * 10_000})
        many = environment["many"]
        many.put({"_id": "_design/v", "views": {"v": {"map": "function (doc) { emit(doc._id, doc.text); }"}}})
        for start in range(0, 40_000, 5000):
            many.bulk_docs([{"_id": f"{n:06}", "text": "x" * 500} for n in range(start, start + 5000)])
        assert many.query("v/v", limit=1)["total_rows"] == 40_000
    return directory


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes there: NOT TESTED here")
@pytest.mark.parametrize(
    ("path", "body", "least"),
    [
        ("/big/_bulk_get?revs=true&latest=true", {"docs": [{"id": "doc"}] * 200}, 190 * MIB),
        ("/big/_bulk_get", {"docs": [{"id": "doc"}] * 200}, 190 * MIB),
        ("/big/_bulk_get", {"docs": [{}] * 300_000}, 30 * MIB),
        ("/big/_all_docs?include_docs=true", {"keys": ["doc"] * 200}, 190 * MIB),
        ("/big/_all_docs", {"keys": ["none"] * 300_000}, 10 * MIB),
        ("/many/_all_docs?include_docs=true", {}, 20 * MIB),
        ("/many/_design/v/_view/v", {}, 20 * MIB),
        ("/many/_design/v/_view/v?include_docs=true", {}, 40 * MIB),
        ("/many/_changes?include_docs=true", {}, 20 * MIB),
    ],
    ids=["bulk_get stored", "bulk_get", "empty docs", "keys with docs", "keys", "all_docs", "view", "docs", "changes"],
)
def test_lists_take_little_memory(heavy, path, body, least):
    """S16: gigabytes, once."""
    text = json.dumps(body).encode()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(heavy), path], input=text, capture_output=True, timeout=120, check=True
    )
    size, peak = map(int, done.stdout.split())
    assert size >= least
    # Beside the request itself, which is there as a whole and parsed.
    assert peak < 100 * MIB + 40 * len(text), f"{size / MIB:.0f} MiB sent with {peak / MIB:.0f} MiB"


def test_a_view_answers_what_it_did(client, environment):
    """Streamed and whole answers are the same, for all kinds of queries."""
    database = environment["db"]
    view = {"map": "function (doc) { emit([doc.n % 3, doc.n], doc.n); emit(doc.n, null); }", "reduce": "_sum"}
    own = {"map": "function (doc) { emit(doc.n, 1); }", "reduce": "function (k, v, r) { return v.length; }"}
    database.put({"_id": "_design/v", "views": {"v": view, "own": own}})
    database.bulk_docs([{"_id": f"{n:04}", "n": n} for n in range(700)])
    queries = [
        ("v", {"reduce": False}),
        ("v", {"reduce": False, "include_docs": True, "limit": 450, "skip": 3}),
        ("v", {"reduce": False, "descending": True, "startkey": [2], "endkey": 600}),
        ("v", {"reduce": False, "keys": [5, 6, 7, [1, 1], "none"]}),
        ("v", {"group_level": 1, "startkey": [0]}),
        ("own", {"group": True}),
        ("own", {"group": True, "skip": 5, "limit": 333}),
        ("own", {}),
    ]
    for name, options in queries:
        answer = client.post(f"/db/_design/v/_view/{name}", options).json
        assert answer == database.query(f"v/{name}", **options, offset=True), options
    asked = {"queries": [options for name, options in queries if name == "v"]}
    results = client.post("/db/_design/v/_view/v/queries", asked).json["results"]
    assert results == [database.query("v/v", **options, offset=True) for name, options in queries if name == "v"]
