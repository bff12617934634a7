"""Requests: URLs, credentials, retries, errors."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from urllib3.exceptions import NameResolutionError

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB, hookimpl
from pouchdb_core.adapters.http.address import attachment_path, document_path, parse_address, query_string
from pouchdb_core.adapters.http.failures import failure
from pouchdb_core.errors import (
    BadRequest,
    DatabaseClosed,
    Forbidden,
    NotACouchDB,
    NotFound,
    NotSupported,
    RemoteError,
    TimedOut,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)

Server = Any


@pytest.fixture
def Drop(server: Server) -> Any:
    return type(server).__init__.__globals__["Drop"]


# -- addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id", "path"),
    [
        ("a/b", "a%2Fb"),
        ("a+b", "a%2Bb"),
        ("100%", "100%25"),
        ("é", "%C3%A9"),
        ("a b?c#d", "a%20b%3Fc%23d"),
        ("_design/x/y", "_design/x%2Fy"),
        ("_local/a/b", "_local/a%2Fb"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("a~b-c_d.e", "a~b-c_d.e"),
        ("日本", "%E6%97%A5%E6%9C%AC"),
    ],
)
def test_ids_are_quoted(id: str, path: str) -> None:
    assert document_path(id) == path


def test_slashes_in_names_of_attachments_stay() -> None:
    assert attachment_path("a/b", "c d/é/..") == "a%2Fb/c%20d/%C3%A9/%2E%2E"


def test_values_of_a_query_are_json_unless_they_are_text() -> None:
    query = {"a": True, "b": None, "c": "x&y", "d": ["1-a"], "e": 5}
    assert query_string(query) == "?a=true&c=x%26y&d=%5B%221-a%22%5D&e=5"
    assert query_string({"a": None}) == ""


@pytest.mark.parametrize(
    ("url", "server", "path"),
    [
        ("http://h:5984/db", "http://h:5984", "db"),
        ("https://h/db/", "https://h", "db"),
        ("HTTP://H/couch/db", "http://h/couch", "db"),
        ("http://h/a%2Fb", "http://h", "a%2Fb"),
        ("http://h/a+b", "http://h", "a%2Bb"),
        ("http://h/é", "http://h", "%C3%A9"),
        ("http://[::1]:5984/db", "http://[::1]:5984", "db"),
        ("http://h/100%", "http://h", "100%25"),
    ],
)
def test_urls_are_taken_apart(url: str, server: str, path: str) -> None:
    address = parse_address(url)
    assert (address.server, address.path) == (server, path)
    assert address.username is None


def test_credentials_in_a_url() -> None:
    address = parse_address("http://ad%40min:p%3Aw@h/db")
    assert (address.username, address.password, address.url) == ("ad@min", "p:w", "http://h/db")


@pytest.mark.parametrize(
    "url",
    [
        *("http://h", "http://h/", "http:///db", "http://h/db?x=1", "http://h/db#x", "http://h:x/d"),
        *("http://h/\ud800", "http://u:\ud800@h/d", "http://\ud800/d"),
    ],
)
def test_urls_that_name_no_database_are_refused(env: SyncEnvironment, url: str) -> None:
    with pytest.raises(BadRequest):
        env.PouchDB(url)


@pytest.mark.parametrize("auth", [("\ud800", "x"), {"username": "x", "password": "\udfff"}])
def test_credentials_that_cannot_be_sent_are_refused(env: SyncEnvironment, auth: Any) -> None:
    with pytest.raises(BadRequest, match="surrogate"):
        env.PouchDB("http://h/db", auth=auth)


# -- what is sent ----------------------------------------------------------------------------------


def test_ids_travel_as_they_are(db: SyncPouchDB, server: Server) -> None:
    server.answer = lambda asked: {"_id": "x", "_rev": "1-a"}
    for id, path in (
        ("a/b+%é", "/notes/a%2Fb%2B%25%C3%A9"),
        ("..", "/notes/%2E%2E"),
        ("_design/a", "/notes/_design/a"),
    ):
        db.get(id)
        assert server.last().path == path


def test_connections_are_kept(db: SyncPouchDB, server: Server) -> None:
    ports = set()
    server.answer = lambda asked: {"update_seq": 0}
    original = server._server.get_request

    def get_request() -> Any:
        request, address = original()
        ports.add(address)
        return request, address

    server._server.get_request = get_request
    for _ in range(5):
        db.info()
    assert len(ports) == 1


def test_packed_answers_are_unpacked(db: SyncPouchDB, server: Server, Answer: Any) -> None:
    packed = gzip.compress(json.dumps({"update_seq": 5, "db_name": "notes"}).encode())
    server.answer = lambda asked: Answer(packed, headers={"content-encoding": "gzip"})
    assert db.info()["update_seq"] == 5
    assert "gzip" in server.last().headers["accept-encoding"]


def test_headers_of_the_option_are_sent(env: SyncEnvironment, server: Server) -> None:
    server.answer = lambda asked: {"update_seq": 0}
    env.PouchDB(f"{server.url}/a", headers={"X-One": "1"}, ajax={"headers": {"x-two": "2"}}).info()
    assert (server.last().headers["x-one"], server.last().headers["x-two"]) == ("1", "2")


def test_hook_http_session(server: Server) -> None:
    class Plugin:
        @hookimpl
        def pouchdb_http_session(self, url: str, session: Any) -> None:
            assert "secret" not in url
            session.headers["x-url"] = url
            session.set_auth({"token": "t"})

    server.answer = lambda asked: {"update_seq": 0}
    with pouchdb.setup(":memory:", plugins=[Plugin()]) as env:
        env.PouchDB(server.url.replace("//", "//me:secret@") + "/notes").info()
    assert server.last().headers["x-url"] == f"{server.url}/notes"
    assert server.last().headers["authorization"] == "Bearer t"


def test_the_machines_proxy_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answer = lambda asked: {"update_seq": 7}
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    with pouchdb.setup(":memory:", plugins=[]) as env:
        assert env.PouchDB("http://elsewhere.invalid/notes").info()["update_seq"] == 7
        assert server.last().target == "http://elsewhere.invalid/notes"


def test_a_proxy_of_its_own(env: SyncEnvironment, server: Server) -> None:
    server.answer = lambda asked: {"update_seq": 7}
    proxy = server.url.replace("//", "//u:p@")
    assert env.PouchDB("http://elsewhere.invalid/notes", proxy=proxy).info()["update_seq"] == 7
    assert server.last().headers["proxy-authorization"].startswith("Basic ")


# -- credentials -----------------------------------------------------------------------------------


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def test_credentials_of_the_url_are_no_part_of_the_name(env: SyncEnvironment, server: Server) -> None:
    server.answer = lambda asked: {"update_seq": 0}
    db = env.PouchDB(server.url.replace("//", "//me:s%C3%A9cret@") + "/notes")
    db.info()
    assert server.last().headers["authorization"] == basic("me", "sécret")
    assert db.name == f"{server.url}/notes"
    assert "cret" not in repr(db) + str(db.info())


@pytest.mark.parametrize("auth", [{"username": "me", "password": "pw"}, {"name": "me", "password": "pw"}, ("me", "pw")])
def test_credentials_of_the_option(env: SyncEnvironment, server: Server, auth: Any) -> None:
    server.answer = lambda asked: {"update_seq": 0}
    env.PouchDB(f"{server.url}/notes", auth=auth).info()
    assert server.last().headers["authorization"] == basic("me", "pw")


@pytest.mark.parametrize("auth", ["text", 5, {"username": 5}, {}, {"username": "a", "password": "b", "other": 1}])
def test_other_credentials_are_refused(env: SyncEnvironment, server: Server, auth: Any) -> None:
    with pytest.raises(BadRequest, match="auth is"):
        env.PouchDB(f"{server.url}/notes", auth=auth)


def test_objects_with_other_credentials_are_other_users(env: SyncEnvironment, server: Server) -> None:
    server.answer = lambda asked: {"update_seq": asked.headers.get("authorization", "nobody")}
    url = f"{server.url}/notes"
    told = [env.PouchDB(url, auth=auth).info()["update_seq"] for auth in (("a", "1"), ("b", "2"), None, ("a", "1"))]
    assert told == [basic("a", "1"), basic("b", "2"), "nobody", basic("a", "1")]


def test_a_token_from_a_function_is_renewed_once(env: SyncEnvironment, server: Server, Answer: Any) -> None:
    tokens = iter(["old", "new", "newer"])
    server.answer = lambda asked: (
        {"update_seq": 1}
        if asked.headers["authorization"] == "Bearer new"
        else Answer({"error": "unauthorized", "reason": "expired"}, 401)
    )
    db = env.PouchDB(f"{server.url}/notes", auth=lambda: next(tokens))
    assert db.info()["update_seq"] == 1
    assert db.info()["update_seq"] == 1
    assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer old", "Bearer new", "Bearer new"]


def test_many_requests_renew_together(env: SyncEnvironment, server: Server, Answer: Any) -> None:
    given: list[str] = []

    def token() -> str:
        given.append(f"t{len(given)}")
        return given[-1]

    meet = threading.Barrier(4)

    def answer(asked: Any) -> Any:
        if asked.headers["authorization"] == "Bearer t0":
            meet.wait(10)
            return Answer({"error": "unauthorized", "reason": ""}, 401)
        return {"update_seq": 1}

    server.answer = answer
    db = env.PouchDB(f"{server.url}/notes", auth=token)
    threads = [threading.Thread(target=db.info) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == ["t0", "t1"]


def test_credentials_that_stay_wrong_are_an_error(env: SyncEnvironment, server: Server, Answer: Any) -> None:
    server.answer = lambda asked: Answer({"error": "unauthorized", "reason": "You are nobody."}, 401)
    for auth in (None, ("a", "b"), lambda: "token"):
        with pytest.raises(Unauthorized) as caught:
            env.PouchDB(f"{server.url}/notes", auth=auth).info()
        assert (caught.value.status, caught.value.name, caught.value.reason) == (401, "unauthorized", "You are nobody.")


def test_a_session_logs_in_once_and_again_when_it_ends(env: SyncEnvironment, server: Server, Answer: Any) -> None:
    valid = ["AuthSession=one", "AuthSession=two"]
    logins: list[Any] = []

    def answer(asked: Any) -> Any:
        if asked.path == "/_session":
            logins.append(asked.json())
            cookie = valid[len(logins) - 1]
            return Answer({"ok": True}, headers={"set-cookie": f"{cookie}; Version=1; Path=/; HttpOnly"})
        if asked.headers.get("cookie") != valid[len(logins) - 1] or (len(server.asked) == 4 and len(logins) == 1):
            return Answer({"error": "unauthorized", "reason": "expired"}, 401)
        return {"update_seq": 1}

    server.answer = answer
    db = env.PouchDB(f"{server.url}/notes", auth={"username": "me", "password": "pw", "session": True})
    for _ in range(4):
        db.info()
    assert logins == [{"name": "me", "password": "pw"}] * 2
    env.context.clear_cookies()
    valid.append("AuthSession=three")
    db.info()
    assert len(logins) == 3


@pytest.mark.parametrize("refused", [2, 3, 99])
def test_a_cookie_that_is_too_old_when_it_arrives(
    env: SyncEnvironment, server: Server, Answer: Any, refused: int
) -> None:
    """One that lives for a second, on a busy machine."""
    logins = 0

    def answer(asked: Any) -> Any:
        nonlocal logins
        if asked.path == "/_session":
            logins += 1
            return Answer({"ok": True}, headers={"set-cookie": f"AuthSession={logins}; Path=/"})
        if int(asked.headers["cookie"].partition("=")[2]) <= refused:
            return Answer({"error": "unauthorized", "reason": "expired"}, 401)
        return {"update_seq": 1}

    server.answer = answer
    db = env.PouchDB(f"{server.url}/notes", auth={"username": "me", "password": "pw", "session": True})
    if refused < 4:
        assert db.info()["update_seq"] == 1
        assert logins == refused + 1
    else:
        with pytest.raises(Unauthorized, match="expired"):
            db.info()
        assert logins == 4


def test_cookies_are_shared_by_an_environment(env: SyncEnvironment, server: Server, Answer: Any) -> None:
    server.answer = lambda asked: Answer(
        {"update_seq": asked.headers.get("cookie", "")}, headers={"set-cookie": "a=1; Path=/"}
    )
    env.PouchDB(f"{server.url}/one").info()
    assert env.PouchDB(f"{server.url}/two").info()["update_seq"] == "a=1"
    # With credentials of its own nobody else's session is sent along.
    assert env.PouchDB(f"{server.url}/two", auth=("a", "b")).info()["update_seq"] == ""
    env.context.clear_cookies()
    assert env.PouchDB(f"{server.url}/two").info()["update_seq"] == ""


# -- faults ----------------------------------------------------------------------------------------


def test_an_unreachable_host_is_an_error_that_says_so(env: SyncEnvironment) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for call in (lambda db: db.info(), lambda db: db.put({"_id": "a"}), lambda db: db.get("a")):
        with pytest.raises(Unreachable, match=f"http://127.0.0.1:{port} cannot be reached") as caught:
            call(env.PouchDB(f"http://127.0.0.1:{port}/notes"))
        assert caught.value.status == 503


def test_an_unknown_host() -> None:
    # Made by hand: tests ask no name server.
    error = NameResolutionError("nowhere.invalid", object(), socket.gaierror("unknown"))
    told = failure(error, "http://nowhere.invalid/notes")
    assert isinstance(told, Unreachable)
    assert "no host of this name" in told.reason


def test_reads_are_repeated_when_the_connection_breaks(db: SyncPouchDB, server: Server, Answer: Any, Drop: Any) -> None:
    server.script = [Drop, Answer(b'{"update_seq": 3}', drop_after=5), {"update_seq": 3}]
    assert db.info()["update_seq"] == 3
    assert len(server.asked) == 3


def test_writes_are_not_repeated(db: SyncPouchDB, server: Server, Drop: Any) -> None:
    server.script = [Drop]
    with pytest.raises(Unreachable, match="the connection broke"):
        db.put({"_id": "a"})
    assert len(server.asked) == 1


def test_it_gives_up(env: SyncEnvironment, server: Server, Drop: Any) -> None:
    server.answer = lambda asked: Drop
    with pytest.raises(Unreachable):
        env.PouchDB(f"{server.url}/notes", retries=2).info()
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_gateway_that_fails_is_asked_again(db: SyncPouchDB, server: Server, Answer: Any, status: int) -> None:
    server.script = [Answer(b"<html>bad</html>", status), {"update_seq": 1}]
    assert db.info()["update_seq"] == 1


def test_a_silent_server_times_out(env: SyncEnvironment, server: Server) -> None:
    def silent(asked: Any) -> Any:
        server.ended.wait(10)
        return {}

    server.answer = silent
    with pytest.raises(TimedOut, match="did not answer in time") as caught:
        env.PouchDB(f"{server.url}/notes", timeout=0.05, retries=0).info()
    assert caught.value.status == 504


def test_too_many_requests_are_waited_for(db: SyncPouchDB, server: Server, Answer: Any) -> None:
    refused = Answer({"error": "too_many_requests", "reason": "slow down"}, 429, {"retry-after": "0.05"})
    server.script = [refused, refused, {"ok": True, "id": "a", "rev": "1-a"}]
    start = time.monotonic()
    # It was not carried out, so that a write may be sent again.
    assert db.put({"_id": "a"})["rev"] == "1-a"
    assert time.monotonic() - start >= 0.1


def test_a_long_wait_is_an_error_instead(db: SyncPouchDB, server: Server, Answer: Any) -> None:
    server.answer = lambda asked: Answer({"error": "too_many_requests", "reason": "no"}, 429, {"retry-after": "3600"})
    with pytest.raises(TooManyRequests) as caught:
        db.info()
    assert (caught.value.retry_after, caught.value.reason) == (3600.0, "no")


@pytest.mark.parametrize(
    ("status", "body", "kind", "name", "reason"),
    [
        (404, {"error": "not_found", "reason": "no_db_file"}, NotFound, "not_found", "no_db_file"),
        (403, {"error": "forbidden", "reason": "no entry"}, Forbidden, "forbidden", "no entry"),
        (400, {"error": "query_parse_error", "reason": "x"}, BadRequest, "query_parse_error", "x"),
        (418, {"error": "teapot", "reason": "short"}, RemoteError, "teapot", "short"),
        (500, {"error": "badarg", "reason": None}, RemoteError, "badarg", "the server failed"),
        (405, {"error": "method_not_allowed", "reason": "Only GET"}, NotSupported, "method_not_allowed", "Only GET"),
    ],
)
def test_the_servers_own_errors_are_kept(
    db: SyncPouchDB, server: Server, Answer: Any, status: int, body: Any, kind: Any, name: str, reason: str
) -> None:
    server.answer = lambda asked: Answer(body, status)
    with pytest.raises(kind) as caught:
        db.info()
    assert (caught.value.status, caught.value.name, caught.value.reason) == (status, name, reason)


def test_html_is_no_couchdb(db: SyncPouchDB, server: Server, Answer: Any) -> None:
    html = b"<!doctype html><html><head><title>Welcome to my shop</title></head></html>"
    server.answer = lambda asked: Answer(html, headers={"content-type": "text/html; charset=utf-8"})
    with pytest.raises(NotACouchDB, match=r"answered text/html instead of JSON \(Welcome to my shop\)"):
        db.info()
    server.answer = lambda asked: Answer(html, 404, {"content-type": "text/html"})
    with pytest.raises(NotFound, match="answered 404 with text/html"):
        db.info()


def test_json_of_somebody_else_is_no_couchdb(db: SyncPouchDB, server: Server) -> None:
    server.answer = lambda asked: {"hello": "world"}
    for call in (db.info, db.all_docs, db.changes, lambda: db.put({"_id": "a"})):
        with pytest.raises(NotACouchDB):
            call()


def test_a_redirect_says_where_to(db: SyncPouchDB, server: Server, Answer: Any) -> None:
    server.answer = lambda asked: Answer(b"", 301, {"location": "https://elsewhere.invalid/notes"})
    with pytest.raises(RemoteError, match=r"redirect to https://elsewhere[.]invalid/notes: use that URL") as caught:
        db.info()
    assert (caught.value.status, caught.value.name) == (301, "redirect")


def test_closing_the_environment_ends_waiting(server: Server, Answer: Any) -> None:
    env = pouchdb.setup(":memory:", plugins=[])
    db = env.PouchDB(f"{server.url}/notes")
    asked = threading.Event()

    def answer(_: Any) -> Any:
        asked.set()
        return Answer({"error": "busy", "reason": ""}, 429, {"retry-after": "60"})

    server.answer = answer
    failed: list[BaseException] = []

    def call() -> None:
        try:
            db.info()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    assert asked.wait(10)
    env.close()
    thread.join(10)
    assert not thread.is_alive()
    assert isinstance(failed[0], DatabaseClosed)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_uses_no_socket_of_its_parent(db: SyncPouchDB, server: Server) -> None:
    server.answer = lambda asked: {"update_seq": 4}
    db.info()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if db.info()["update_seq"] == 4 else 2
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert db.info()["update_seq"] == 4


# -- TLS -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: no certificate to test with")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 "
        f"-keyout key -out cert".split(),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "both").write_bytes((folder / "key").read_bytes() + (folder / "cert").read_bytes())
    return folder


def test_a_certificate_that_nobody_vouches_for_is_refused(env: SyncEnvironment, certificate: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"update_seq": 9}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Quiet(HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "both")
    with Quiet(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{server.server_address[1]}/notes"
        with pytest.raises(Unreachable, match=r"TLS failed.*ca_certs"):
            env.PouchDB(url).info()
        assert env.PouchDB(url, ca_certs=str(certificate / "cert")).info()["update_seq"] == 9
        server.shutdown()
        thread.join()


def test_https_to_a_plain_server(env: SyncEnvironment, server: Server) -> None:
    with pytest.raises(Unreachable, match="TLS failed"):
        env.PouchDB(f"https://127.0.0.1:{server.port}/notes", timeout=5).info()


# -- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": True},
        {"timeout": "5"},
        {"retries": -1},
        {"retries": 1.5},
        {"skip_setup": "no"},
        {"headers": ["a"]},
        {"headers": {"a": 1}},
        {"headers": {"a": "b\nc"}},
        {"ajax": 5},
        {"proxy": "host:3128"},
        {"ca_certs": "/nowhere/at/all"},
        {"auto_compaction": True},
    ],
)
def test_options_that_cannot_be_used_are_refused(env: SyncEnvironment, options: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=next(iter(options))):
        env.PouchDB("http://127.0.0.1/notes", **options)


# -- fetch -----------------------------------------------------------------------------------------


def test_fetch_is_below_the_database_or_the_server(env: SyncEnvironment, server: Server, Answer: Any) -> None:
    server.answer = lambda asked: {"path": asked.target}
    db = env.PouchDB(f"{server.url}/prefix/notes")
    assert (
        db.fetch("_design/a/_show/b", query={"x": 1, "y": "z"}).json().path == "/prefix/notes/_design/a/_show/b?x=1&y=z"
    )
    assert db.fetch("/_session").json()["path"] == "/prefix/_session"
    assert db.fetch("", "post", json={"a": [None]}, headers={"X-Y": "z"}).status == 200
    assert server.last().json() == {"a": [None]}
    assert server.last().headers["x-y"] == "z"
    server.answer = lambda asked: Answer(b"teapot", 418, {"content-type": "text/plain"})
    response = db.fetch("x", check=False)
    assert (response.status, response.text, response.headers["Content-Type"]) == (418, "teapot", "text/plain")
    with pytest.raises(RemoteError):
        db.fetch("x")


def test_answers_become_errors_when_they_are_asked(db: SyncPouchDB, server: Server, Answer: Any) -> None:
    def answered(body: bytes, status: int, **headers: str) -> Any:
        server.answer = lambda asked: Answer(body, status, {"content-type": "application/json", **headers})
        return db.fetch("x", check=False)

    redirect = answered(b"", 302, location="/elsewhere")
    assert (redirect.status, redirect.headers["location"], redirect.error()) == (302, "/elsewhere", None)
    assert answered(b"{}", 200).error() is None
    gone = answered(b'{"error":"mine","reason":"because"}', 418).error()
    assert isinstance(gone, RemoteError)
    assert (gone.status, gone.name, gone.message) == (418, "mine", "because")
    missing = answered(b'{"error":"not_found","reason":"missing"}', 404).error()
    assert isinstance(missing, NotFound)
    assert "x" in str(answered(b"<html>", 500).error())
    server.answer = lambda asked: Answer(b"", 302, {"location": "/elsewhere"})
    with pytest.raises(RemoteError, match="redirect"):
        db.fetch("x")


def test_fetch_streams(db: SyncPouchDB, server: Server, Answer: Any) -> None:
    server.answer = lambda asked: Answer(iter([b"a" * 10, b"b" * 10]))
    assert b"".join(db.fetch("x", stream=True).chunks()) == b"a" * 10 + b"b" * 10
    db.fetch("x", stream=True).close()


def test_a_local_database_has_no_server(env: SyncEnvironment) -> None:
    assert env["here"].remote is False
    with pytest.raises(NotSupported):
        env["here"].fetch("x")
