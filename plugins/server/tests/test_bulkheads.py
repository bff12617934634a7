"""Bulkheads: who comes when all threads are busy waits in a line, of bounded length, fairly among databases."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pouchdb_server import Route
from pouchdb_server.bulkheads import Bulkhead
from pouchdb_server.http_errors import Unavailable
from pouchdb_server.testing import CouchServer
from pouchdb_server.workers import Workers

import pouchdb
from pouchdb_core import hookimpl


@pytest.fixture
def workers():
    workers = Workers()
    yield workers
    workers.close()


def test_the_line_is_first_come_first_served_and_bounded(workers):
    async def main():
        bulkhead = Bulkhead("reads", workers, places=1, share=1, line=4)
        gate, order = threading.Event(), []

        def work(number):
            gate.wait(20)
            order.append(number)
            return number

        running = [asyncio.create_task(bulkhead.run(work, number)) for number in range(5)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert bulkhead.waiting == 4
        with pytest.raises(Unavailable) as refused:
            await bulkhead.run(work, 6)
        assert refused.value.details["headers"]["Retry-After"].isdigit()
        late = asyncio.create_task(bulkhead.run(work, 7, admitted=True))
        gate.set()
        assert await asyncio.gather(*running, late) == [0, 1, 2, 3, 4, 7]
        assert order == [0, 1, 2, 3, 4, 7]
        assert bulkhead.waiting == 0

    asyncio.run(main())


def test_work_on_one_database_leaves_places_for_others(workers):
    async def main():
        bulkhead = Bulkhead("writes", workers, places=3, share=2, line=100)
        gate = threading.Event()
        stuck = [asyncio.create_task(bulkhead.run(gate.wait, 20, of="locked")) for _ in range(50)]
        await asyncio.sleep(0.05)
        assert await asyncio.wait_for(bulkhead.run(lambda: "done", of="free"), 20) == "done"
        gate.set()
        await asyncio.gather(*stuck)
        assert all(share.users == 0 for share in bulkhead._shares.values())

    asyncio.run(main())


def test_who_gives_up_leaves_the_line_and_a_thread_is_free_only_when_it_is(workers):
    async def main():
        bulkhead = Bulkhead("reads", workers, places=1, share=1, line=10)
        gate = threading.Event()
        first = asyncio.create_task(bulkhead.run(gate.wait, 20, of="a"))
        second = asyncio.create_task(bulkhead.run(lambda: "second", of="a"))
        await asyncio.sleep(0.01)
        second.cancel()
        first.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        third = asyncio.create_task(bulkhead.run(lambda: "third", of="b"))
        await asyncio.sleep(0.05)
        assert not third.done()
        gate.set()
        assert await asyncio.wait_for(third, 20) == "third"
        assert (bulkhead.waiting, [share.users for share in bulkhead._shares.values()]) == (0, [0, 0])

    asyncio.run(main())


def test_many_clients_of_a_built_view_are_all_answered(client, environment):
    """S12: more than 32 at a time were refused."""
    database = environment["db"]
    database.put({"_id": "_design/v", "views": {"v": {"map": "function (doc) { emit(doc._id, 1); }"}}})
    database.bulk_docs([{"_id": f"{n}"} for n in range(20)])
    assert client.get("/db/_design/v/_view/v").json["total_rows"] == 20
    with ThreadPoolExecutor(80) as pool:
        answers = list(pool.map(lambda _: client.get("/db/_design/v/_view/v").status, range(400)))
    assert set(answers) == {200}


class Holds:
    """``/db/_hold`` takes until it is let go."""

    def __init__(self):
        self.gate, self.entered = threading.Event(), threading.Semaphore(0)

    @hookimpl(optionalhook=True)
    def pouchdb_http_routes(self, environment):
        def hold(request, database):
            self.entered.release()
            self.gate.wait(20)
            return {}

        def slow(request, database):
            return True

        return [
            Route("database", "GET", "/_hold", hold),
            Route("database", "GET", "/_build", hold, slow=True),
            Route("database", "GET", "/_maybe", hold, slow=slow),
        ]


@pytest.mark.parametrize("path", ["/db/_hold", "/db/_build", "/db/_maybe"])
def test_a_full_line_is_503_and_others_are_answered(call, path):
    plugin = Holds()
    with (
        pouchdb.setup(":memory:", plugins=["server", plugin]) as environment,
        CouchServer(environment, workers=2, slow_workers=2, line=3) as server,
        ThreadPoolExecutor(20) as pool,
    ):
        client = call(server)
        client.put("/db")
        client.put("/other")
        asked = [pool.submit(client.get, path) for _ in range(20)]
        assert plugin.entered.acquire(timeout=20)
        # Nobody waits for those who hold: of another database, and of none.
        assert client.get("/other").status == 200
        assert client.get("/_up").status == 200
        refused = [each.result(20) for each in asked if _done(each)]
        plugin.gate.set()
        answers = [each.result(20) for each in asked]
        assert {answer.status for answer in answers} == {200, 503}
        for answer in [*refused, *answers]:
            if answer.status == 503:
                assert (answer.headers["Retry-After"], answer.json["error"]) == ("5", "service_unavailable")


def _done(future):
    deadline = time.monotonic() + 0.5
    while not future.done() and time.monotonic() < deadline:
        time.sleep(0.01)
    return future.done()


def test_who_does_not_read_an_answer_is_dropped(serve, call, environment):
    server = serve(patience=0.5)
    client = call(server)
    client.put("/db")
    environment["db"].bulk_docs([{"_id": f"{n:04}", "text": "x" * 1000} for n in range(8000)])
    with socket.create_connection(client.address, timeout=20) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /db/_all_docs?include_docs=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
        deadline = time.monotonic() + 20
        while server.server.feeds == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        while server.server.feeds and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.server.feeds == 0


@pytest.mark.parametrize(("path", "size"), [("/db/doc", 10), ("/db/doc", 300_000), ("/db/doc/file", 300_000)])
def test_a_body_that_does_not_go_on_is_given_up(serve, call, path, size):
    client = call(serve(patience=0.5))
    client.put("/db")
    with socket.create_connection(client.address, timeout=20) as connection:
        head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode() + b" " * size)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"error":"timeout"' in answer


def test_what_uvicorn_refuses_is_json(client):
    """S20."""
    with socket.create_connection(client.address, timeout=20) as connection:
        connection.sendall(b"this is no HTTP\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"application/json" in answer
    assert b'"error":"bad_request"' in answer
