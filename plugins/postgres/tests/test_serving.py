"""``pouchdb serve`` on databases in PostgreSQL: several processes and hosts are one server to their clients."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pouchdb

pytest.importorskip("click")
pytest.importorskip("pouchdb_server")

ADMIN = {"Authorization": "Basic " + base64.b64encode(b"adm:pw").decode()}
PATIENCE = 60
"""Seconds to wait on a busy machine."""


class Serving:
    """The command, and a client of it."""

    def __init__(self, place: str, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pouchdb", "serve", place, "--port", "0", "--admin", "adm", *options],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "POUCHDB_ADMIN_PASSWORD": "pw"},
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found is not None, line
        self.url = found.group()

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] = ADMIN) -> Any:
        """Return the answer; each request has a connection of its own, so any worker may get it."""
        return self.respond(method, path, body, headers)[0]

    def respond(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[Any, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {**headers, "Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return json.loads(response.read()), response.headers

    def wait(self, database: str, id: str) -> None:
        """Wait until a document is in a database, by its feed."""
        since: Any = 0
        while True:
            answer = self.ask("GET", f"/{database}/_changes?feed=longpoll&since={since}&timeout=20000")
            if any(row["id"] == id for row in answer["results"]):
                return
            assert answer["results"], f"{id} did not come"
            since = answer["last_seq"]

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.communicate(timeout=PATIENCE)


@pytest.fixture
def serving(url: str) -> Iterator[Callable[..., Serving]]:
    started: list[Serving] = []

    def start(*options: str) -> Serving:
        started.append(Serving(url, *options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.end()


def test_a_server_of_a_place(serving: Callable[..., Serving], url: str) -> None:
    server = serving()
    server.ask("PUT", "/notes")
    server.ask("PUT", "/notes/a", {"v": 1})
    server.ask("PUT", "/notes/_design/d", {"views": {"v": {"map": "function (doc) { emit(doc.v); }"}}})
    assert [row["key"] for row in server.ask("GET", "/notes/_design/d/_view/v")["rows"]] == [1]
    answers: list[Any] = []
    since = server.ask("GET", "/notes")["update_seq"]
    path = f"/notes/_changes?feed=longpoll&since={since}&timeout=30000"
    waiting = threading.Thread(target=lambda: answers.append(server.ask("GET", path)))
    waiting.start()
    # The command is another process.
    done = subprocess.run(
        [sys.executable, "-m", "pouchdb", "--directory", url, "put", "notes", '{"_id": "b", "v": 2}'], check=False
    )
    assert done.returncode == 0
    waiting.join(PATIENCE)
    assert [row["id"] for row in answers[0]["results"]] == ["b"]
    found = server.ask("POST", "/notes/_find", {"selector": {"v": {"$gt": 1}}})
    assert [doc["_id"] for doc in found["docs"]] == ["b"]
    copied = server.ask("POST", "/_replicate", {"source": "notes", "target": "copy", "create_target": True})
    assert copied["history"][0]["docs_written"] == 3
    # The checkpoint counts for the next server as well: it has the same identity.
    server.end()
    again = serving().ask("POST", "/_replicate", {"source": "notes", "target": "copy"})
    assert again.get("no_changes") is True


def test_sessions_and_identity_are_those_of_the_place(serving: Callable[..., Serving], url: str) -> None:
    one, other = serving("--workers", "2"), serving()
    assert one.ask("GET", "/")["uuid"] == other.ask("GET", "/")["uuid"]
    _, headers = one.respond("POST", "/_session", {"name": "adm", "password": "pw"}, {})
    cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
    for server in (one, one, one, one, other):
        assert server.ask("GET", "/_session", headers=cookie)["userCtx"]["name"] == "adm"
    one.ask("PUT", "/_node/_local/_config/admins/second", "secret")
    _, headers = one.respond("POST", "/_session", {"name": "second", "password": "secret"}, {})
    cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
    assert [one.ask("GET", "/_session", headers=cookie)["userCtx"]["name"] for _ in range(6)] == ["second"] * 6
    one.end()
    third = serving()
    assert third.ask("GET", "/_session", headers=cookie)["userCtx"]["roles"] == ["_admin"]
    third.ask("DELETE", "/_node/_local/_config/admins/second")
    assert third.ask("GET", "/_session", headers=cookie)["userCtx"]["name"] is None


def test_one_host_runs_the_replications_and_another_one_takes_over(serving: Callable[..., Serving]) -> None:
    servers = [serving("--workers", "2"), serving()]
    for path in ("/source", "/target", "/_replicator"):
        servers[0].ask("PUT", path)
    # Whoever has the lock hears of a database that another host made.
    job = {"source": "source", "target": "target", "continuous": True, "user_ctx": {"roles": ["_admin"]}}
    servers[1].ask("PUT", "/_replicator/job", job)
    servers[1].ask("PUT", "/source/first", {})
    servers[1].wait("target", "first")
    counts = [len(each.ask("GET", "/_scheduler/jobs")["jobs"]) for each in servers]
    assert sorted(counts) == [0, 1]
    runs, left = servers[counts.index(1)], servers[counts.index(0)]
    runs.end()
    left.ask("PUT", "/source/second", {})
    left.wait("target", "second")
    assert len(left.ask("GET", "/_scheduler/jobs")["jobs"]) == 1


def test_who_loses_the_lock_stops(url: str, postgres: Any, open_place: Callable[..., Any]) -> None:
    from pouchdb_server import create_app
    from pouchdb_server.serve import inner

    place, other = open_place(url, "server"), open_place(url)
    for name in ("source", "target"):
        place[name].put({"_id": name})
    place["_replicator"].put({"_id": "job", "source": "source", "target": "target", "continuous": True})
    server = inner(create_app(place))
    server.start()
    try:
        supervisor = server.supervisor
        assert supervisor is not None
        assert supervisor.wait_for(lambda: [row["info"] for row in supervisor.jobs()] != [], PATIENCE)
        lock = other.shared.lock("server/replicator")
        assert not lock.acquire()
        while not lock.acquire():
            postgres.run(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 "
                "AND granted AND pid <> pg_backend_pid()"
            )
        supervisor.wake()
        assert supervisor.wait_for(lambda: not supervisor.jobs() and not supervisor.follows("_replicator"), PATIENCE)
        lock.release()
        supervisor.wake()
        assert supervisor.wait_for(lambda: len(supervisor.jobs()) == 1, PATIENCE)
    finally:
        server.close()


# -- what is shared ----------------------------------------------------------------------------------------


def test_texts(url: str, open_place: Callable[..., Any]) -> None:
    one, other = open_place(url).shared, open_place(url).shared
    assert one.text("x/a") is None
    with pytest.raises(ZeroDivisionError):
        one.change("x/a", lambda text: str(1 // 0))
    assert one.text("x/a") is None
    assert one.change("x/a", lambda text: f"{text} one") == "None one"
    assert other.change("x/a", lambda text: f"{text} and \0 ü") == "None one and \0 ü"
    assert one.text("x/a") == "None one and \0 ü"
    assert one.text("x/b") is None
    threads = [
        threading.Thread(target=lambda each=each: each.change("x/n", lambda text: str(int(text or 0) + 1)))
        for each in (one, other) * 5
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one.text("x/n") == "10"


def test_the_identity_is_kept(url: str, open_place: Callable[..., Any]) -> None:
    first = open_place(url)
    assert re.fullmatch("[0-9a-f]{32}", first.uuid)
    assert open_place(url).uuid == first.uuid
    assert open_place(f"{url}_b").uuid != first.uuid
    assert list(first) == []


def test_files_need_no_sharing(tmp_path: Any) -> None:
    with pouchdb.setup(tmp_path) as files:
        assert files.shared is None


def test_a_lock_goes_with_its_connection(url: str, postgres: Any, open_place: Callable[..., Any]) -> None:
    one, other = open_place(url).shared.lock("x/l"), open_place(url).shared.lock("x/l")
    assert one.acquire()
    assert one.acquire()
    assert not other.acquire()
    third = open_place(url).shared.lock("x/m")
    assert third.acquire()
    third.release()
    one.release()
    assert other.acquire()
    postgres.run(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
    )
    assert other.acquire()
    assert not one.acquire()
    other.release()


HOLDER = """
import os, sys, time
import pouchdb

lock = pouchdb.setup(sys.argv[1]).shared.lock("x/l")
assert lock.acquire()
if os.fork() == 0:
    # It ends with the pipe of the test.
    print(os.getpid(), flush=True)
    sys.stdin.read()
    os._exit(0)
time.sleep(600)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on this platform")
def test_a_forked_child_does_not_keep_a_lock(url: str, open_place: Callable[..., Any]) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", HOLDER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        mine = open_place(url).shared.lock("x/l")
        assert not mine.acquire()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        os.kill(child, 0)
        # The server notices by itself that the connection is gone.
        while not mine.acquire():
            threading.Event().wait(0.02)
        mine.release()
