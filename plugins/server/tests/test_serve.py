"""The server as a process, its limits, and the faults of the one for tests."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit

import pytest

import pouchdb


@pytest.fixture
def command(tmp_path):
    """Start ``python -m pouchdb serve`` on a directory; returns the process and its URL."""
    started = []

    def start(*options: str, **variables: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "pouchdb", "serve", str(tmp_path / "data"), "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables},
        )
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


class Somewhere:
    def __init__(self, url):
        self.url = url


def test_it_serves_a_directory(command, call, tmp_path):
    process, url = command()
    client = call(Somewhere(url))
    assert client.put("/db").status == 201
    assert client.put("/db/a", {"x": 1}).status == 201
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    with pouchdb.setup(tmp_path / "data") as environment:
        assert environment["db"]["a"].x == 1
        assert environment["db"].integrity_check() == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_answered_is_kept(command, call, tmp_path, how):
    """SIGTERM in the middle of writes finishes or refuses them; after SIGKILL the next start is clean."""
    process, url = command()
    client = call(Somewhere(url))
    client.put("/db")
    kept: list[str] = []
    enough = threading.Event()

    def write(worker: int) -> None:
        for number in range(100_000):
            try:
                answer = client.put(f"/db/{worker}-{number}", {"x": number})
            except (OSError, ConnectionError, Exception):
                return
            if answer.status == 201:
                kept.append(answer.json["id"])
            if len(kept) > 40:
                enough.set()

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    assert enough.wait(30)
    process.send_signal(how)
    process.wait(20)
    for thread in threads:
        thread.join(20)
    assert kept
    again, url = command()
    answer = call(Somewhere(url)).post("/db/_all_docs", {"keys": kept}).json
    assert [row["key"] for row in answer["rows"] if "error" in row] == []
    again.send_signal(signal.SIGTERM)
    assert again.wait(20) == 0
    with pouchdb.setup(tmp_path / "data") as environment:
        assert environment["db"].integrity_check() == []


def test_an_administrator_is_needed_to_listen_elsewhere(command, call):
    process, url = command("--host", "0.0.0.0")
    assert process.wait(20) == 2
    assert "needs an administrator" in process.stderr.read()
    process, url = command("--admin", "ada")
    assert process.wait(20) == 2
    process, url = command("--admin", "ada", POUCHDB_ADMIN_PASSWORD="secret")
    client = call(Somewhere(url))
    assert client.put("/db").status == 401
    assert client.put("/db", headers={"Authorization": "Basic YWRhOnNlY3JldA=="}).status == 201


def test_a_port_that_is_taken(command, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        process, _ = command("--port", port)
        assert process.wait(20) == 1
        said = process.stderr.read().splitlines()
        assert said[0] == f"pouchdb: cannot listen on 127.0.0.1:{port}: address already in use", said


def test_a_host_that_is_not_this_machine(command):
    process, _ = command("--host", "192.0.2.1", "--admin", "root", POUCHDB_ADMIN_PASSWORD="x")
    assert process.wait(20) == 1
    said = process.stderr.read().splitlines()
    assert said[0].startswith("pouchdb: cannot listen on 192.0.2.1:0: ")
    assert "--host" in said[1]


def test_wrong_options_are_usage(command):
    for options in (["--port", "70000"], ["--certfile", "nowhere.pem"], ["--fauxton", "nowhere"]):
        process, _ = command(*options)
        assert process.wait(20) == 2, options


def test_commands_are_listed():
    done = subprocess.run([sys.executable, "-m", "pouchdb"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "serve" in done.stderr


def raw(address, *pieces: bytes) -> bytes:
    """Send bytes and return all that comes until the connection is closed."""
    with socket.create_connection(address, timeout=20) as sock:
        try:
            for piece in pieces:
                sock.sendall(piece)
        except ConnectionError:
            pass
        answer = b""
        try:
            while piece := sock.recv(65536):
                answer += piece
        except ConnectionError:
            pass
        return answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 200_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"y" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"nonsense\r\n\r\n", 400),
        (b"PUT /db/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"PUT /db/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n{}", 400),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
        (b"GET /%2e%2e/%2e%2e HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
        (b"GET /db/%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
        (b"GET /db?a=%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200),
        (b"GET /db/_all_docs?a=%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400),
        (b"PUT /db/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\nConnection: close\r\n\r\n", 413),
    ],
    ids=lambda value: value[:30].decode() if isinstance(value, bytes) else str(value),
)
def test_what_no_client_should_send(client, environment, request_, status):
    answer = raw(client.address, request_)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]
    assert list(environment) == ["db"]
    assert client.get("/").status == 200


# -- the server for tests ----------------------------------------------------------------------------


def test_a_dropped_connection_is_not_logged_as_a_mistake_of_the_server(server, client, caplog):
    server.drop("/db")
    with pytest.raises((ConnectionError, OSError)):
        client.get("/db")
    assert client.get("/db").status == 200
    server.stop()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_faults(server, client):
    assert client.get("/db").status == 200
    fault = server.fail(503, "/db/_bulk_docs", "POST", times=2, headers={"Retry-After": "1"})
    for _ in range(2):
        answer = client.post("/db/_bulk_docs", {"docs": []})
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert client.post("/db/_bulk_docs", {"docs": []}).status == 201
    assert fault.count == 2
    server.garble("/db")
    assert client.get("/db").body == b"<html>"
    server.drop("/db")
    with pytest.raises((ConnectionError, OSError)):
        client.get("/db")
    server.cut(10, "_all_docs")
    with pytest.raises(Exception, match=r"IncompleteRead|reset|Connection"):
        client.get("/db/_all_docs")
    assert client.get("/db/_all_docs").status == 200
    held = server.hold("/db")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(client.get("/db").status))
    thread.start()
    assert held.hit.wait(10)
    assert answers == []
    held.end()
    thread.join(10)
    assert answers == [200]
    server.fail(500, times=None)
    assert client.get("/").status == client.get("/db").status == 500
    server.heal()
    assert client.get("/").status == 200
    assert ("POST", "/db/_bulk_docs") in server.requests


def test_a_server_of_its_own(call):
    from pouchdb_core.testing.server import couch_server

    with couch_server() as server:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", server.url)
        assert call(server).put("/db").status == 201
        assert list(server.environment) == ["db"]
        assert urlsplit(server.url).port == server.port
    assert server.environment.closed


def test_two_environments_over_http(server, environment):
    """Our own client is one of those that must work."""
    environment["db"].bulk_docs([{"_id": f"doc{n}"} for n in range(10)])
    with pouchdb.setup(":memory:", plugins=[]) as other:
        there = other[f"{server.url}/db"]
        assert there.info()["doc_count"] == 10
        result = other.sync("here", f"{server.url}/db")
        assert result["pull"]["docs_written"] == 10
        other["here"].put_attachment("file", "a/b.txt", b"hello" * 50_000, "text/plain")
        other["here"].replicate_to(f"{server.url}/db")
    assert environment["db"].get_attachment("file", "a/b.txt")["data"] == b"hello" * 50_000


def test_replicate(client, environment, server):
    environment["db"].bulk_docs([{"_id": f"doc{n}"} for n in range(3)])
    assert client.post("/_replicate", {"source": "db", "target": "copy"}).status == 404
    answer = client.post("/_replicate", {"source": "db", "target": "copy", "create_target": True}).json
    assert answer["ok"]
    assert answer["history"][0]["docs_written"] == 3
    assert client.post("/_replicate", {"source": "db", "target": "copy"}).json["no_changes"]
    assert client.post("/_replicate", {"source": "none", "target": "copy"}).status == 404
    assert client.post("/_replicate", {"source": f"{server.url}/db", "target": "copy", "doc_ids": ["doc1"]}).json["ok"]
    started = client.post("/_replicate", {"source": "db", "target": "live", "create_target": True, "continuous": True})
    assert started.status == 202
    feed = environment["live"].live_changes(since=0)
    assert {next(iter(feed)).id} <= {"doc0", "doc1", "doc2"}
    feed.cancel()
    assert client.post("/_replicate", {"cancel": True, "replication_id": started.json["_local_id"]}).json["ok"]
    again = client.post("/_replicate", {"source": "db", "target": "live", "continuous": True, "doc_ids": ["doc1"]})
    other = {"source": "db", "target": "live", "continuous": True, "cancel": True}
    assert client.post("/_replicate", other).status == 404
    assert client.post("/_replicate", {**other, "doc_ids": ["doc1"]}).json["_local_id"] == again.json["_local_id"]
    assert client.post("/_replicate", {"cancel": True, "replication_id": "none"}).status == 404
    for wrong in (
        {},
        {"source": 1, "target": "x"},
        {"source": "db", "target": {"url": "x", "headers": {"A": "b"}}},
        {"source": "db", "target": {"url": "http://x/y", "headers": {"A": "b\r\nC: d"}}},
        {"source": "db", "target": "copy", "doc_ids": ["a"], "selector": {}},
    ):
        assert client.post("/_replicate", wrong).status == 400
    assert json.loads(client.get("/_scheduler/jobs").body)["total_rows"] >= 0


def test_replicate_tells_what_the_checkpoint_remembers(client, environment):
    db = environment["db"]
    db.bulk_docs([{"_id": f"doc{n}"} for n in range(3)])
    first = client.post("/_replicate", {"source": "db", "target": "copy", "create_target": True}).json
    db.bulk_docs([{"_id": "more"}, {"_id": "yet"}])
    environment["copy"].put({"_id": "more"})
    second = client.post("/_replicate", {"source": "db", "target": "copy"}).json
    [entry, before] = second["history"]
    assert before == first["history"][0]
    assert (before["start_last_seq"], before["recorded_seq"], before["missing_checked"]) == (0, 3, 3)
    assert (entry["start_last_seq"], entry["end_last_seq"], entry["recorded_seq"]) == (3, 5, 5)
    # One of the two was there already.
    assert (entry["missing_checked"], entry["missing_found"], entry["docs_written"]) == (2, 1, 1)
    assert second["session_id"] == entry["session_id"] != before["session_id"]
    assert (second["source_last_seq"], second["replication_id_version"]) == (5, 4)
    third = client.post("/_replicate", {"source": "db", "target": "copy"}).json
    assert third == {**second, "no_changes": True}
    wanted = {"source": "db", "target": "copy", "use_checkpoints": False, "since_seq": 3}
    alone = client.post("/_replicate", wanted).json
    assert [each["start_last_seq"] for each in alone["history"]] == [3]
    assert alone["history"][0]["missing_checked"] == 2


def test_replicate_sends_headers_and_credentials_to_peers(client, environment, serve):
    """CouchDB's form of a peer: {url, headers, auth}."""
    server = serve(admins={"ada": "secret"})
    environment["db"].put({"_id": "a"})
    url = f"{server.url}/there"
    source = {"source": "db", "create_target": True}
    assert client.post("/_replicate", {**source, "target": url}).status == 401
    assert client.post("/_replicate", {**source, "target": {"url": url}}).status == 401
    basic = "Basic " + base64.b64encode(b"ada:secret").decode()
    done = client.post("/_replicate", {**source, "target": {"url": url, "headers": {"Authorization": basic}}})
    assert done.json["history"][0]["docs_written"] == 1
    environment["db"].put({"_id": "b"})
    auth = {"basic": {"username": "ada", "password": "secret"}}
    done = client.post("/_replicate", {**source, "target": {"url": url, "auth": auth}})
    assert done.json["history"][0]["docs_written"] == 1
    assert "secret" not in done.body.decode()
    assert sorted(environment["there"]) == ["a", "b"]


def test_below_a_path_of_another_application(environment):
    """Mounted, it answers there, and what it links leads back there."""
    from pouchdb_server import create_app
    from starlette.applications import Starlette
    from starlette.routing import Mount

    app = Starlette(routes=[Mount("/deep/couch", app=create_app(environment, admin_party="everywhere"))])

    def ask(method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        sent: list[dict[str, object]] = []

        bodies = [body]

        async def receive():
            if not bodies:
                # A client that stays has nothing more to say.
                await asyncio.Event().wait()
            return {"type": "http.request", "body": bodies.pop()}

        async def send(message):
            sent.append(message)

        headers = [(b"host", b"box"), (b"content-length", str(len(body)).encode())]
        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
        asyncio.run(app({**scope, "headers": headers, "client": ("192.0.2.1", 1), "scheme": "https"}, receive, send))
        start, *rest = sent
        told = {name.decode(): value.decode() for name, value in start["headers"]}
        return start["status"], told, b"".join(each["body"] for each in rest)

    status, headers, _ = ask("PUT", "/deep/couch/db")
    assert (status, headers["location"]) == (201, "https://box/deep/couch/db")
    status, headers, _ = ask("PUT", "/deep/couch/db/a%2Fb", b"{}")
    assert (status, headers["location"]) == (201, "https://box/deep/couch/db/a%2Fb")
    assert ask("GET", "/deep/couch/")[0] == 200
    assert ask("GET", "/deep/couch/db/_changes")[2].endswith(b'"pending":0}\n')
    assert ask("GET", "/db")[0] == 404


def test_the_fixture_for_test_suites(tmp_path):
    """A suite of somebody else gets a server for each test, by one line in its conftest.py."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["pouchdb_core.testing.fixtures"]\n')
    (tmp_path / "test_theirs.py").write_text(
        "import json\n"
        "from urllib.request import Request, urlopen\n\n\n"
        "def test_one(couch_server):\n"
        "    urlopen(Request(couch_server.url + '/db', method='PUT')).close()\n"
        "    assert list(couch_server.environment) == ['db']\n\n\n"
        "def test_two(couch_server):\n"
        "    with urlopen(couch_server.url + '/_all_dbs') as answer:\n"
        "        assert json.load(answer) == []\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "2 passed" in done.stdout, done.stdout + done.stderr
