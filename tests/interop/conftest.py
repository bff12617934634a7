"""Real peers on loopback: PouchDB Server, PouchDB on node, and a proxy that breaks what passes through it."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.hookspecs import hookimpl

NODE = Path(__file__).parent / "node"
numbers = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.interop)


@pytest.fixture(autouse=True)
def known(request: pytest.FixtureRequest) -> None:
    """Expect what a module names in KNOWN to fail, with the reason it gives."""
    reason = getattr(request.module, "KNOWN", {}).get(request.node.name)
    if reason is not None:
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed: NO TEST against PouchDB and PouchDB Server was made")
    if not (NODE / "node_modules" / "pouchdb-server").is_dir():
        pytest.skip("call `make peers` (npm ci in tests/interop/node): NO TEST against PouchDB and its server was made")
    return found


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


class PouchServer:
    """PouchDB Server in a process of its own, with databases in memory or in a folder.

    It is fragile: an error in the middle of an answer ends the process. What it said then is in ``last_words()``.
    """

    def __init__(self, node: str, folder: Path, *, memory: bool) -> None:
        self._node, self._folder, self._memory = node, folder, memory
        self._errors = folder / "errors.txt"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        script = NODE / "node_modules" / "pouchdb-server" / "bin" / "pouchdb-server"
        # -n: no output on the terminal but what it says when it is ready.
        kind = ["--in-memory"] if self._memory else ["--dir", str(self._folder / "data")]
        if not self._memory:
            (self._folder / "data").mkdir(exist_ok=True)
        options = ["--port", str(self.port), "--host", "127.0.0.1", "--no-stdout-logs", *kind]
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(
                # It leaves promises behind that nobody waits for; that must not end it.
                [self._node, "--unhandled-rejections=warn", str(script), *options],
                cwd=self._folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "started" in line:
                break
        else:
            raise RuntimeError(f"PouchDB Server did not start: {self.last_words()}")
        # Nobody reads what it says later; a full pipe would stop it.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def last_words(self) -> str:
        return self._errors.read_text(errors="replace")[-2000:]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture(scope="session")
def shared_server(node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PouchServer]:
    server = PouchServer(node, tmp_path_factory.mktemp("server"), memory=True)
    yield server
    server.kill()


@pytest.fixture
def pouch_server(shared_server: PouchServer) -> Iterator[PouchServer]:
    """The server of all tests; the test during which it dies fails, and the next one gets it back."""
    if not shared_server.alive:
        shared_server.kill()
        shared_server.start()
    yield shared_server
    assert shared_server.alive, f"PouchDB Server died: {shared_server.last_words()}"


@pytest.fixture
def lasting_server(node: str, tmp_path: Path) -> Iterator[PouchServer]:
    """A server of its own that keeps its databases when it is killed."""
    server = PouchServer(node, tmp_path, memory=False)
    yield server
    server.kill()


@pytest.fixture
def url(pouch_server: PouchServer) -> str:
    """The URL of a database that does not exist yet."""
    return f"{pouch_server.url}/test-{os.getpid()}-{next(numbers)}"


@pytest.fixture
def env() -> Iterator[SyncEnvironment]:
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        yield environment


class Making:
    """A plug-in that makes a database on its server when it is opened: elsewhere its first write does."""

    name = "making"

    @hookimpl
    def pouchdb_database_opened(self, database: SyncPouchDB) -> None:
        if database.remote:
            database.adapter.create()


@pytest.fixture
def making_env() -> Iterator[SyncEnvironment]:
    """What the conformance suite runs in: it looks into new databases."""
    with pouchdb.setup(":memory:", plugins=[Making()]) as environment:
        yield environment


@pytest.fixture
def remote(env: SyncEnvironment, url: str) -> SyncPouchDB:
    return env.PouchDB(url)


class Peer:
    """PouchDB on node."""

    def __init__(self, node: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            [node, str(NODE / "peer.js"), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, method: str, *args: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([method, *args]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["ok"]

    def close(self) -> None:
        self._process.communicate(timeout=30)


@pytest.fixture
def peer(node: str, tmp_path: Path) -> Iterator[Peer]:
    folder = tmp_path / "peer"
    folder.mkdir()
    peer = Peer(node, folder)
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def lasting_peer(node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """One for all tests of a module."""
    peer = Peer(node, tmp_path_factory.mktemp("peer"))
    yield peer
    peer.close()


class Proxy:
    """Passes requests on to a server and breaks some: ``fault(method, path)`` names what happens to each.

    ``None``: nothing. ``drop``: the connection closes before the server is asked. ``lose``: after it was
    asked. ``cut``: in the middle of the answer. ``stall``: no answer until the test is over. ``error``: 500,
    ``gateway``: 503 with a page of HTML, ``busy``: 429. ``slow``: the answer drips. ``twice``: the server is
    asked two times, as by a network that repeats itself. ``shuffle``: documents come in another order.
    """

    FAULTS = ("drop", "lose", "cut", "error", "gateway", "busy", "slow", "twice", "shuffle")

    def __init__(self, target: str) -> None:
        self.fault: Callable[[str, str], str | None] = lambda method, path: None
        self.seen: list[tuple[str, str, str | None]] = []
        self.bytes_sent = 0
        self.bytes_received = 0
        self.over = threading.Event()
        self._sockets: set[socket.socket] = set()
        host, _, port = target.removeprefix("http://").partition(":")
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are sent apart; together with delayed acknowledgements that would cost 40 ms an answer.
            disable_nagle_algorithm = True

            def setup(self) -> None:
                proxy._sockets.add(self.request)
                super().setup()

            def finish(self) -> None:
                proxy._sockets.discard(self.request)
                with contextlib.suppress(OSError):
                    super().finish()

            def handle_any(self) -> None:
                try:
                    self._pass_on()
                except (OSError, http.client.HTTPException):
                    self.close_connection = True

            def _pass_on(self) -> None:
                body = self._body()
                proxy.bytes_sent += len(body)
                fault = proxy.fault(self.command, self.path)
                proxy.seen.append((self.command, self.path, fault))
                if fault == "drop":
                    self.close_connection = True
                    return
                if fault == "stall":
                    proxy.over.wait(60)
                    self.close_connection = True
                    return
                if fault in ("error", "gateway", "busy"):
                    self._refuse(fault)
                    return
                for _ in range(2 if fault == "twice" else 1):
                    connection = http.client.HTTPConnection(host, int(port), timeout=60)
                    headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                    connection.request(self.command, self.path, body or None, headers)
                    answer = connection.getresponse()
                    if fault == "twice" and _ == 0:
                        answer.read()
                        connection.close()
                with contextlib.closing(connection):
                    if fault == "shuffle" and "_bulk_get" in self.path and answer.status == 200:
                        self._shuffled(json.loads(answer.read()))
                        return
                    if fault == "lose":
                        answer.read()
                        self.close_connection = True
                        return
                    self._answer(answer, fault)

            def _body(self) -> bytes:
                if self.headers.get("transfer-encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("content-length") or 0))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def _shuffled(self, told: Any) -> None:
                random.Random(len(told["results"])).shuffle(told["results"])
                body = json.dumps(told).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _refuse(self, fault: str) -> None:
                status = {"error": 500, "gateway": 503, "busy": 429}[fault]
                page = b"<html><title>Bad gateway</title></html>"
                body = page if fault == "gateway" else b'{"error":"%b","reason":"on purpose"}' % fault.encode()
                self.send_response(status)
                if fault == "busy":
                    self.send_header("retry-after", "0.02")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _answer(self, answer: http.client.HTTPResponse, fault: str | None) -> None:
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "keep-alive"):
                        self.send_header(name, value)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                size = 37 if fault == "slow" else 65536
                sent = 0
                while piece := answer.read1(size):
                    proxy.bytes_received += len(piece)
                    if fault == "cut" and (sent or len(piece) > 1):
                        piece = piece[: len(piece) // 2]
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b"")
                    self.wfile.flush()
                    sent += len(piece)
                    if fault == "cut":
                        self.close_connection = True
                        return
                    if fault == "slow" and sent > 2000:
                        size = 65536
                self.wfile.write(b"0\r\n\r\n")

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def schedule(self, seed: int, share: float, faults: tuple[str, ...] = FAULTS) -> None:
        """Break about ``share`` of the requests, the same ones each time it is run with this seed."""
        chance = random.Random(seed)
        lock = threading.Lock()

        def fault(method: str, path: str) -> str | None:
            with lock:
                return chance.choice(faults) if chance.random() < share else None

        self.fault = fault

    def count(self, method: str, part: str) -> int:
        return sum(asked == method and part in path for asked, path, _ in self.seen)

    def hang_up(self) -> None:
        for each in tuple(self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self.hang_up()
        self._thread.join()


@pytest.fixture(name="Proxy")
def proxy_class() -> type[Proxy]:
    return Proxy


@pytest.fixture
def proxy(pouch_server: PouchServer) -> Iterator[Proxy]:
    proxy = Proxy(pouch_server.url)
    yield proxy
    proxy.close()


@pytest.fixture
def lasting_proxy(lasting_server: PouchServer) -> Iterator[Proxy]:
    proxy = Proxy(lasting_server.url)
    yield proxy
    proxy.close()


@pytest.fixture
def leaves() -> Callable[[SyncPouchDB], dict[str, Any]]:
    """Return what a database has: every leaf with history, body and attachments, by id and revision."""

    def found(db: SyncPouchDB) -> dict[str, Any]:
        rows = db.changes(style="all_docs")["results"]
        everything = {}
        items = [{"id": row["id"], "rev": each["rev"]} for row in rows for each in row["changes"]]
        for result in db.bulk_get(items, revs=True)["results"]:
            (answer,) = result["docs"]
            doc = answer["ok"]
            for entry in doc.get("_attachments", {}).values():
                entry.pop("revpos", None)
            everything[doc["_id"], doc["_rev"]] = doc
        return everything

    return found
