"""``pouchdb serve --workers``: several processes that are one server."""

from __future__ import annotations

import base64
import contextlib
import ctypes
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pouchdb_server.processes.sockets import SPREADS
from pouchdb_server.testing import CouchServer

import pouchdb

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="which process is which is read from /proc")

spreads = pytest.mark.skipif(not SPREADS, reason="here the next connection goes to any process that is free")
PATIENCE = 60
"""Seconds to wait on a busy machine."""
ADA = {"Authorization": "Basic " + base64.b64encode(b"ada:secret").decode()}


class Process:
    """One connection that stays: all that is asked goes to one process."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.connection = http.client.HTTPConnection(*address, timeout=PATIENCE)
        self.headers: dict[str, str] = {}
        self.call("GET", "/_up")

    def open(self, path: str) -> http.client.HTTPResponse:
        """Return an answer that comes bit by bit."""
        self.connection.request("GET", path, headers=self.headers)
        return self.connection.getresponse()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Process:
        sent = {"Content-Type": "application/json", **self.headers, **headers}
        self.connection.request(method, path, None if body is None else json.dumps(body), sent)
        response = self.connection.getresponse()
        self.status, self.answer_headers, self.body = response.status, response.headers, response.read()
        self.name = (response.headers["x-couch-request-id"] or "")[:8]
        return self

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def get(self, path: str) -> Any:
        return self.call("GET", path).json


class Serving:
    """The command, running; ``processes()`` returns a client of each."""

    def __init__(self, directory: Path, *options: str, **variables: str) -> None:
        command = [sys.executable, "-W", "error", "-m", "pouchdb", "serve", str(directory), "--port", "0"]
        self.errors = directory.parent / "errors.txt"
        with self.errors.open("ab") as errors:
            self.parent = subprocess.Popen(
                [*command, *options], stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **variables}
            )
        assert self.parent.stdout is not None
        self.url = self.parent.stdout.readline().strip().rstrip("/")
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", self.url), self.errors.read_text()
        parts = urlsplit(self.url)
        self.address = (parts.hostname or "", parts.port or 0)
        self._open: list[Process] = []

    @property
    def pids(self) -> set[int]:
        """The processes that serve: multiprocessing has one more, which looks after resources."""
        children = Path(f"/proc/{self.parent.pid}/task/{self.parent.pid}/children").read_text().split()
        return {int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}

    def client(self) -> Process:
        self._open.append(Process(self.address))
        return self._open[-1]

    def processes(self, count: int = 2) -> list[Process]:
        found: dict[str, Process] = {}

        def all_found() -> bool:
            made = self.client()
            found.setdefault(made.name, made)
            return len(found) == count

        until(all_found, f"{count} processes answer")
        return list(found.values())

    def holder(self) -> int:
        """Return which process runs the replications: the one that has the lock open."""

        def look() -> int | None:
            for pid in self.pids:
                with contextlib.suppress(FileNotFoundError):
                    for each in Path(f"/proc/{pid}/fd").iterdir():
                        with contextlib.suppress(FileNotFoundError):
                            if os.readlink(each).endswith("replicator.lock"):
                                return pid
            return None

        return until(look, "one process runs the replications")

    def hang_up(self) -> None:
        """Close all connections."""
        for each in self._open:
            each.connection.close()
        self._open.clear()

    def close(self) -> None:
        self.hang_up()
        if self.parent.poll() is None:
            self.parent.terminate()
        try:
            self.parent.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.parent.kill()
            self.parent.communicate()
            raise


def until(function: Callable[[], Any], what: str) -> Any:
    """Wait until something is true, which another process does; return it."""
    end = time.monotonic() + PATIENCE
    while not (found := function()):
        assert time.monotonic() < end, f"not in {PATIENCE} s: {what}"
        time.sleep(0.02)
    return found


@pytest.fixture
def serving(tmp_path) -> Iterator[Callable[..., Serving]]:
    started: list[Serving] = []

    def start(*options: str, **variables: str) -> Serving:
        started.append(Serving(tmp_path / "data", "--workers", "2", *options, **variables))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[Serving]:
    """One that stays for all tests that end no process."""
    directory = tmp_path_factory.mktemp("house") / "data"
    server = Serving(directory, "--workers", "2", "--admin", "ada", POUCHDB_ADMIN_PASSWORD="secret")
    yield server
    server.close()


@pytest.fixture
def both(house) -> Iterator[list[Process]]:
    """A client of each of two processes; the administrator's."""
    found = house.processes()
    for each in found:
        each.headers = ADA
    yield found
    cleaner = house.client()
    cleaner.headers = ADA
    for name in cleaner.get("/_all_dbs"):
        assert cleaner.call("DELETE", f"/{name}").status == 200


def test_two_processes_are_one_server(both):
    one, two = both
    assert one.call("PUT", "/db").status == 201
    assert two.call("PUT", "/db").status == 412
    assert two.call("PUT", "/db/a", {"x": 1}).status == 201
    assert one.get("/db/a")["x"] == 1
    assert one.get("/_all_dbs") == two.get("/_all_dbs") == ["db"]
    assert one.get("/")["uuid"] == two.get("/")["uuid"]
    assert one.get("/db")["update_seq"] == two.get("/db")["update_seq"]


def shared(clients: list[Process]) -> list[int]:
    """Return how many of the connections each process has."""
    return sorted(Counter(each.name for each in clients).values())


@spreads
@pytest.mark.parametrize("count", [2, 4, 7, 16])
def test_connections_are_shared_equally(house, count):
    """The system's hash alone would give one process all of four in every eighth run."""
    idle(house)
    assert shared([house.client() for _ in range(count)]) == sorted([count // 2, (count + 1) // 2])


@spreads
def test_who_has_fewer_connections_gets_the_next_ones(house):
    idle(house)
    clients = [house.client() for _ in range(8)]
    full = clients[0].name
    for each in clients:
        if each.name != full:
            each.connection.close()
    until(lambda: connections(house) == 4, "the others are closed")
    names = [house.client().name for _ in range(4)]
    assert full not in names


def connections(server: Serving) -> int:
    """Return how many connections the processes of a server have open, as /proc shows them."""
    port = f":{server.address[1]:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(local.endswith(port) and state == "01" for _, local, _, state, *_ in lines)


def idle(server: Serving) -> None:
    """Close all connections to a server."""
    server.hang_up()
    until(lambda: connections(server) == 0, "all connections are closed")


@spreads
def test_connections_for_one_request_each(house):
    """Each is passed on or not, with a request that may be there already; none is lost."""
    answers: list[int] = []

    def ask() -> None:
        for _ in range(60):
            connection = http.client.HTTPConnection(*house.address, timeout=PATIENCE)
            connection.request("GET", "/_up", headers={"Connection": "close"})
            answers.append(connection.getresponse().status)
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert Counter(answers) == {200: 240}


def test_a_session_is_good_everywhere(both):
    one, two = both
    assert one.call("POST", "/_session", {"name": "ada", "password": "secret"}).status == 200
    cookie = one.answer_headers["set-cookie"].partition(";")[0]
    two.headers = {"Cookie": cookie}
    assert two.get("/_session")["userCtx"] == {"name": "ada", "roles": ["_admin"]}


def test_an_administrator_is_one_everywhere_at_once(serving):
    one, two = serving().processes()
    assert one.call("PUT", "/db").status == 201
    assert two.call("GET", "/db").status == 200
    assert one.call("PUT", "/_node/_local/_config/admins/bob", "a password").status == 200
    assert two.call("GET", "/db").status == 401
    two.headers = {"Authorization": "Basic " + base64.b64encode(b"bob:a password").decode()}
    assert two.call("GET", "/db").status == 200


def test_who_guesses_begins_nowhere_anew(both):
    one, two = both
    wrong = {"Authorization": "Basic " + base64.b64encode(b"nobody:wrong").decode()}
    until(lambda: one.call("GET", "/_all_dbs", **wrong).status == 429, "it has to wait")
    tries = 0

    def waits() -> bool:
        nonlocal tries
        tries += 1
        return two.call("GET", "/_all_dbs", **wrong).status == 429

    until(waits, "with the other one, too")
    # By itself it would let ten pass.
    assert tries < 10


@pytest.mark.parametrize("feed", ["continuous", "longpoll", "eventsource"])
def test_a_feed_sees_what_another_process_writes(both, feed):
    one, two = both
    one.call("PUT", "/db")
    response = one.open(f"/db/_changes?feed={feed}&since=0&timeout=50000&heartbeat=1000&limit=1")
    assert two.call("PUT", "/db/a", {}).status == 201
    assert b'"id":"a"' in response.read()


def test_updates_of_databases_are_everybodys(both):
    one, two = both
    response = one.open("/_db_updates?feed=continuous&since=now&timeout=50000&limit=3")
    rows = []
    for step in (("PUT", "/db"), ("PUT", "/db/a", {}), ("DELETE", "/db")):
        assert two.call(*step).status in (200, 201)
        rows.append(json.loads(response.readline()))
    response.read()
    assert [row["type"] for row in rows] == ["created", "updated", "deleted"]
    assert [row["db_name"] for row in rows] == ["db"] * 3


def test_a_database_that_goes_and_comes_again(both):
    one, two = both
    for number in range(10):
        one, two = two, one
        assert one.call("PUT", "/db").status == 201
        assert two.call("PUT", f"/db/doc{number}", {}).status == 201
        assert one.get("/db")["doc_count"] == two.get("/db")["doc_count"] == 1
        assert one.call("DELETE", "/db").status == 200
        assert two.call("GET", f"/db/doc{number}").status == 404
        assert two.call("PUT", f"/db/doc{number}", {}).status == 404
        assert two.get("/_all_dbs") == []


def test_a_feed_ends_with_its_database_in_another_process(both):
    one, two = both
    one.call("PUT", "/db")
    one.call("PUT", "/db/a", {})
    response = one.open("/db/_changes?feed=continuous&heartbeat=1000")
    assert b'"id":"a"' in response.readline()
    assert two.call("DELETE", "/db").status == 200
    rest = [line for line in response.read().splitlines() if line]
    assert "last_seq" in json.loads(rest[-1])


def test_one_of_two_makes_a_database(both):
    """Both are asked at the same time, again and again."""
    statuses: list[list[int]] = []
    for number in range(20):
        together, found = threading.Barrier(2), []

        def make(process: Process, number: int = number, together: Any = together, found: Any = found) -> None:
            together.wait(PATIENCE)
            found.append(process.call("PUT", f"/db{number}").status)

        threads = [threading.Thread(target=make, args=(each,)) for each in both]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        statuses.append(sorted(found))
    assert statuses == [[201, 412]] * 20


def test_statistics_are_those_of_all(both):
    one, two = both
    before = one.get("/_node/_local/_stats/couchdb/httpd_request_methods/DELETE")["value"]
    one.call("DELETE", "/none")
    two.call("DELETE", "/none")
    for each in (one, two):
        assert each.get("/_node/_local/_stats/couchdb/httpd_request_methods/DELETE")["value"] == before + 2
    told = one.call("GET", "/_node/_local/_prometheus").body.decode()
    assert f'couchdb_httpd_request_methods{{method="DELETE"}} {before + 2}' in told


# -- long work ---------------------------------------------------------------------------------------


def test_long_work_is_shown_and_ended_by_all(both):
    with CouchServer() as far:
        far.environment["far"].bulk_docs([{"_id": f"{n:03}"} for n in range(50)])
        one, two = both
        one.call("PUT", "/near")
        held = far.hold("/_bulk_get")
        wanted = {"source": f"{far.url}/far", "target": "near", "continuous": True}
        assert one.call("POST", "/_replicate", wanted).status == 202
        id = one.json["_local_id"]
        assert held.hit.wait(PATIENCE)
        # It runs already: one is enough.
        assert two.call("POST", "/_replicate", wanted).json["_local_id"] == id
        for each in (one, two):
            assert [job["id"] for job in each.get("/_scheduler/jobs")["jobs"]] == [id]
            [task] = each.get("/_active_tasks")
            assert task["type"].startswith("continuous replication")
        assert two.call("POST", "/_replicate", {"replication_id": id, "cancel": True}).status == 200
        held.end()
        for each in (one, two):
            until(lambda each=each: each.get("/_scheduler/jobs")["total_rows"] == 0, "it has ended")
        assert one.call("POST", "/_replicate", {"replication_id": id, "cancel": True}).status == 404


def test_replications_go_on_when_their_process_is_killed(serving):
    with CouchServer() as far:
        source = far.environment["far"]
        source.put({"_id": "first"})
        server = serving()
        one, two = server.processes()
        assert one.call("PUT", "/_replicator").status == 201
        assert two.call("PUT", "/near").status == 201
        job = {"source": f"{far.url}/far", "target": "near", "continuous": True}
        assert two.call("PUT", "/_replicator/pull", job).status == 201
        for each in (one, two):
            until(lambda each=each: each.call("GET", "/near/first").status == 200, "it runs")
            assert [row["state"] for row in each.get("/_scheduler/docs")["docs"]] == ["running"]
            assert each.get("/_scheduler/docs/_replicator/pull")["doc_id"] == "pull"
            assert each.get("/_scheduler/jobs")["total_rows"] == 1
        killed = server.holder()
        os.kill(killed, signal.SIGKILL)
        source.put({"_id": "second"})
        until(lambda: server.client().call("GET", "/near/second").status == 200, "another one runs it")
        assert server.holder() != killed
        until(lambda: len(server.pids) == 2, "the dead one is replaced")


# -- processes come and go ---------------------------------------------------------------------------


class Crowd:
    """Writes documents, each by a connection of its own, until it is told to stop."""

    def __init__(self, server: Serving) -> None:
        self._server = server
        self._stop = threading.Event()
        self.written: list[str] = []
        self.failures: list[Exception | int] = []
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(4)]
        for each in self._threads:
            each.start()

    def _write(self, worker: int) -> None:
        number = 0
        while not self._stop.is_set():
            id, number = f"{worker}-{number}", number + 1
            try:
                one = Process(self._server.address)
                try:
                    status = one.call("PUT", f"/db/{id}", {}).status
                finally:
                    one.connection.close()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(error)
                continue
            (self.written if status == 201 else self.failures).append(id if status == 201 else status)

    def end(self) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()


def test_one_after_the_other_is_replaced_and_nobody_is_refused(serving, tmp_path):
    server = serving()
    server.client().call("PUT", "/db")
    before = server.pids
    crowd = Crowd(server)
    server.parent.send_signal(signal.SIGHUP)
    until(lambda: len(server.pids) == 2 and not server.pids & before, "both are new")
    crowd.end()
    assert crowd.failures == []
    assert {id for id in crowd.written if server.client().call("HEAD", f"/db/{id}").status != 200} == set()
    assert server.parent.poll() is None


def test_the_end_loses_nothing(serving, tmp_path):
    server = serving()
    server.client().call("PUT", "/db")
    crowd = Crowd(server)
    until(lambda: len(crowd.written) > 20, "some are written")
    server.parent.send_signal(signal.SIGTERM)
    assert server.parent.wait(PATIENCE) == 0
    crowd.end()
    with pouchdb.setup(tmp_path / "data") as environment:
        assert set(crowd.written) <= set(environment["db"])
        assert environment["db"].integrity_check() == []


def test_a_feed_does_not_hold_up_the_end(serving):
    server = serving()
    one, two = server.processes()
    one.call("PUT", "/db")
    response = one.open("/db/_changes?feed=continuous&heartbeat=1000")
    two.connection.request("GET", "/_db_updates?feed=longpoll")
    server.parent.send_signal(signal.SIGTERM)
    assert b"last_seq" in response.read()
    assert server.parent.wait(PATIENCE) == 0


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "tgkill"), reason="the C library sends no signals to threads")
def test_a_signal_that_another_thread_gets_ends_them(serving):
    server = serving("--workers", "2")
    pid = server.parent.pid
    threads = [int(each.name) for each in Path(f"/proc/{pid}/task").iterdir()]
    other = next(each for each in threads if each != pid)
    assert ctypes.CDLL(None).tgkill(pid, other, signal.SIGTERM) == 0
    assert server.parent.wait(PATIENCE) == 0


def test_a_process_that_dies_is_replaced(serving):
    server = serving()
    server.client().call("PUT", "/db")
    before = server.pids
    os.kill(min(before), signal.SIGKILL)
    until(lambda: len(server.pids) == 2 and server.pids != before, "there are two again")
    for each in server.processes():
        assert each.call("GET", "/db").status == 200
    assert "is replaced" in server.errors.read_text()


@spreads
def test_the_successor_of_one_that_died_has_its_share(serving):
    server = serving()
    server.processes()
    before = server.pids
    os.kill(min(before), signal.SIGKILL)
    # While the new one starts, those that the system puts into its queue wait for it.
    assert all(server.client().get("/_up") for _ in range(8))
    until(lambda: len(server.pids) == 2 and server.pids != before, "there are two again")
    server.processes()
    idle(server)
    assert shared([server.client() for _ in range(6)]) == [3, 3]


def test_without_their_parent_they_end(serving):
    server = serving()
    pids = server.pids
    server.parent.kill()
    server.parent.wait()

    def is_there(pid: int) -> bool:
        # One that has ended and that nobody waits for is listed until somebody does.
        with contextlib.suppress(FileNotFoundError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        return False

    until(lambda: not any(is_there(pid) for pid in pids), "all have ended")


@pytest.mark.parametrize("options", [["--workers", "2"], []])
def test_a_port_that_is_taken_is_noticed(serving, tmp_path, options):
    """Also beside several processes, whose sockets would share it."""
    server = serving()
    done = subprocess.run(
        [sys.executable, "-m", "pouchdb", "serve", str(tmp_path / "more"), "--port", str(server.address[1]), *options],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert "cannot listen" in done.stderr


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--workers", "2", "--in-memory"], "several --workers need a directory"),
        (["--workers", "0"], "0 is not in the range"),
    ],
)
def test_what_cannot_be_served_by_several(tmp_path, options, why):
    done = subprocess.run(
        [sys.executable, "-m", "pouchdb", "serve", str(tmp_path), *options],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert why in done.stderr
