"""A server that says what a test tells it to say, and an environment that talks to it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import PouchDBError


@dataclass
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Told:
    """An answer; ``body`` is bytes, something for JSON, or an iterator of pieces that are sent one by one."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop_after: int | None = None
    """Close the connection after so many bytes of the body."""


class Drop(Exception):
    """Close the connection without an answer."""


class Server:
    """Answers by ``answer(asked)``, or by what was put into ``script``, one answer a request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: list[Any] = []
        self.answer: Callable[[Asked], Any] = lambda asked: Told({"error": "not_found", "reason": "missing"}, 404)
        self.ended = threading.Event()
        self._sockets: set[socket.socket] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are sent apart; together with delayed acknowledgements that would cost 40 ms an answer.
            disable_nagle_algorithm = True

            def setup(self) -> None:
                outer._sockets.add(self.request)
                super().setup()

            def finish(self) -> None:
                outer._sockets.discard(self.request)
                super().finish()

            def handle_any(self) -> None:
                try:
                    self._handle()
                except (OSError, Drop):
                    self.close_connection = True

            def _handle(self) -> None:
                asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, self._body())
                outer.asked.append(asked)
                told = outer.script.pop(0) if outer.script else outer.answer(asked)
                if callable(told):
                    told = told(asked)
                if isinstance(told, type) and issubclass(told, Exception):
                    raise told
                if not isinstance(told, Told):
                    told = Told(told)
                self._send(told)

            def _body(self) -> bytes:
                if self.headers.get("transfer-encoding") == "chunked":
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                    return body
                return self.rfile.read(int(self.headers.get("content-length") or 0))

            def _send(self, told: Told) -> None:
                body = told.body
                headers = {name.lower(): value for name, value in told.headers.items()}
                if not isinstance(body, bytes) and not hasattr(body, "__next__"):
                    body = json.dumps(body).encode()
                    headers.setdefault("content-type", "application/json")
                self.send_response(told.status)
                if isinstance(body, bytes):
                    headers.setdefault("content-length", str(len(body)))
                else:
                    headers["transfer-encoding"] = "chunked"
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if isinstance(body, bytes):
                    if self.command != "HEAD":
                        self.wfile.write(body if told.drop_after is None else body[: told.drop_after])
                    if told.drop_after is not None:
                        self.wfile.flush()
                        raise Drop
                    return
                for piece in body:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    self.wfile.flush()
                self.wfile.write(b"0\r\n\r\n")

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_COPY = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def last(self) -> Asked:
        return self.asked[-1]

    def hang_up(self) -> None:
        """Break every connection."""
        for each in tuple(self._sockets):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self.hang_up()
        self._thread.join()


class Couch:
    """The parts of CouchDB that replication asks, over a local database; ``seq`` makes its sequence numbers."""

    def __init__(self, server: Server, backing: SyncPouchDB) -> None:
        self.Told = Told
        self.server, self.db = server, backing
        self.seq: Callable[[int], Any] = lambda number: f"{number}-g1AAAA{number:x}"
        self.before: Callable[[Any], Any] = lambda asked: None
        self.bodies: list[tuple[str, int]] = []
        server.answer = self.answer

    def told(self, status: int, error: str, reason: str = "on purpose") -> Any:
        return self.Told({"error": error, "reason": reason}, status)

    def number(self, since: str | None) -> int:
        if not since or since == "0":
            return 0
        value = json.loads(since)[0] if since.startswith("[") else since.partition("-")[0]
        return int(value)

    def answer(self, asked: Any) -> Any:
        self.bodies.append((asked.path, len(asked.body)))
        refused = self.before(asked)
        return self.plainly(asked) if refused is None else refused

    def plainly(self, asked: Any) -> Any:
        """Return what a server answers if nothing comes before."""
        try:
            return self._answer(asked, asked.path.removeprefix("/notes").strip("/"))
        except PouchDBError as error:
            return self.told(error.status, error.name, error.reason)

    def _answer(self, asked: Any, path: str) -> Any:
        db, query = self.db, asked.query
        if asked.path == "/":
            return {"couchdb": "Welcome", "uuid": "abc", "version": "3.3.3"}
        if path == "":
            info = db.info()
            return {"doc_count": info.doc_count, "doc_del_count": 0, "update_seq": self.seq(info.update_seq)}
        if path == "_changes":
            limit = int(query.get("limit", 1000))
            rows = db.changes(since=self.number(query.get("since")), style=query.get("style", "main_only"))["results"]
            told = rows[:limit]
            last = told[-1]["seq"] if told else self.number(query.get("since"))
            last = last if len(told) < len(rows) or not limit else db.info().update_seq
            return {
                "results": [{**row, "seq": self.seq(row["seq"])} for row in told],
                "last_seq": self.seq(last),
                "pending": len(rows) - len(told),
            }
        if path == "_revs_diff":
            return db.revs_diff(asked.json())
        if path == "_bulk_get":
            return db.bulk_get(asked.json()["docs"], revs=True, latest=True)
        if path == "_all_docs":
            return db.all_docs(keys=asked.json()["keys"], include_docs=True)
        if path == "_bulk_docs":
            body = asked.json()
            return db.bulk_docs(body["docs"], new_edits=body.get("new_edits", True))
        if path.startswith("_local/"):
            id = "_local/" + path.removeprefix("_local/")
            return db.get(id) if asked.method == "GET" else db.put({**asked.json(), "_id": id})
        id, _, attachment = path.partition("/")
        if attachment:
            return self.attachment(id, attachment, asked)
        if asked.method == "PUT":
            return self._put(asked)
        if "open_revs" in query:
            revs = json.loads(query["open_revs"])
            return db.open_revs(id, revs, revs=True)
        return db.get(id)

    def attachment(self, id: str, name: str, asked: Any) -> Any:
        entry = self.db.get(id)["_attachments"][name]
        data = self.db.get_attachment(id, name)["data"]
        return self.Told(data, headers={"etag": f'"{entry["digest"][4:]}"', "content-type": entry["content_type"]})

    def _put(self, asked: Any) -> Any:
        kind = asked.headers["content-type"]
        if not kind.startswith("multipart/related"):
            doc = asked.json()
        else:
            boundary = kind.partition('boundary="')[2].strip('"').encode()
            parts = asked.body.split(b"\r\n--" + boundary)
            doc = json.loads(parts[0].partition(b"\r\n\r\n")[2])
            follows = [name for name, entry in doc["_attachments"].items() if entry.get("follows")]
            for name, part in zip(follows, parts[1:], strict=False):
                entry = doc["_attachments"][name]
                head, _, data = part.partition(b"\r\n\r\n")
                assert f"Content-Length: {len(data)}".encode() in head
                assert entry["length"] == len(data)
                doc["_attachments"][name] = {
                    "content_type": entry["content_type"],
                    "data": data,
                    "revpos": entry["revpos"],
                }
        if asked.query.get("new_edits") == "false":
            failed = self.db.bulk_docs([doc], new_edits=False)
            if failed:
                return self.told(failed[0]["status"], failed[0]["name"], failed[0]["reason"])
            return self.Told({"ok": True, "id": doc["_id"], "rev": doc["_rev"]}, 201)
        return self.db.put(doc)


@pytest.fixture
def Answer() -> type[Told]:
    """The class of answers: test folders are no packages to import from."""
    return Told


@pytest.fixture(name="Couch")
def couch_class() -> type[Couch]:
    return Couch


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncEnvironment]:
    from pouchdb_core.adapters.http import http_session

    # Tests wait for nothing that they need not wait for.
    monkeypatch.setattr(http_session, "FIRST_DELAY", 0.001)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        yield environment


@pytest.fixture
def db(env: SyncEnvironment, server: Server) -> SyncPouchDB:
    return env.PouchDB(f"{server.url}/notes")
