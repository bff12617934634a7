"""Over HTTP: what an Apache CouchDB 3.5 answered (couchdb/couchapp.jsonl), lists that stream, hostile functions."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import PouchDBError
from pouchdb_core.javascript import Limits

pytest.importorskip("pouchdb_server")
from pouchdb_server.recordings import Recording  # of an optional plug-in
from pouchdb_server.testing import couch_server

RECORDING = Recording.load(Path(__file__).parent / "couchdb", "couchapp")


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    environment = pouchdb.setup(":memory:", js_limits=Limits(seconds=0.6))
    with couch_server(environment, admins={"admin": "secret"}) as server:
        yield server
    environment.close()


class Client:
    def __init__(self, server: Any) -> None:
        found = re.match(r"http://(?:.*@)?([^:/]+):(\d+)", server.url)
        assert found is not None
        self.host, self.port = found[1], int(found[2])

    def open(self, method: str, path: str, body: Any = None, headers: Any = None) -> Any:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        sent = {"Authorization": "Basic YWRtaW46c2VjcmV0", "Connection": "close", **(headers or {})}
        data = body
        if body is not None and not isinstance(body, (str, bytes)):
            data = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        connection.request(method, path, data, {k: v for k, v in sent.items() if v is not None})
        return connection.getresponse()

    def __call__(self, method: str, path: str, body: Any = None, headers: Any = None) -> tuple[int, Any, bytes]:
        response = self.open(method, path, body, headers)
        data = response.read()
        response.close()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, data


@pytest.fixture(scope="module")
def client(server: Any) -> Client:
    return Client(server)


@pytest.mark.parametrize("scenario", RECORDING.scenarios)
def test_recorded(server: Any, scenario: str) -> None:
    differences = RECORDING.play(scenario, server.url, ("admin", "secret"))
    assert RECORDING.unexpected(scenario, differences) == []


@pytest.fixture
def db(client: Client, request: pytest.FixtureRequest) -> str:
    name = "t-" + re.sub("[^a-z]", "", request.node.name)[:60]
    assert client("PUT", f"/{name}")[0] == 201
    docs = [{"_id": f"d{n:05}", "n": n} for n in range(3000)]
    assert client("POST", f"/{name}/_bulk_docs", {"docs": docs})[0] == 201
    return name


def stored(client: Client, db: str, **members: Any) -> None:
    views = {"v": {"map": "function (doc) { emit(doc.n); }"}}
    assert client("PUT", f"/{db}/_design/t", {"views": views, **members})[0] == 201


def test_a_list_is_sent_while_it_runs(client: Client, db: str) -> None:
    source = """function () {
        var row, n = 0, x = new Array(2001).join('x');
        while ((row = getRow())) { n += 1; send(row.key + x + '\\n'); }
        return 'end ' + n;
    }"""
    stored(client, db, lists={"l": source})
    response = client.open("GET", f"/{db}/_design/t/_list/l/v")
    assert response.read(3) == b"0xx"
    # 6 MB are more than what lies between here and there: the function waits, and others run.
    for _ in range(5):
        assert client("GET", f"/{db}/_design/t/_list/l/v?limit=1")[2].endswith(b"end 1")
    rest = response.read()
    response.close()
    assert rest.endswith(b"\nend 3000")


def test_a_client_that_goes_away_ends_the_function(client: Client, db: str) -> None:
    stored(client, db, lists={"l": "function () { var x = Array(9999).join('x'); while (getRow()) { send(x); } }"})
    for _ in range(12):
        response = client.open("GET", f"/{db}/_design/t/_list/l/v")
        response.read(10)
        response.close()
    assert len(client("GET", f"/{db}/_design/t/_list/l/v?limit=2")[2]) == 2 * 9998


def test_an_error_in_the_middle_is_the_end(client: Client, db: str) -> None:
    stored(client, db, lists={"l": "function () { send('x'); getRow(); throw {forbidden: 'no'}; }"})
    status, _, data = client("GET", f"/{db}/_design/t/_list/l/v")
    assert status == 200
    assert data.startswith(b"x\n{")
    assert json.loads(data[2:])["error"] == "render_error"


@pytest.mark.parametrize("path", ["_list/l/none", "_list/l/t/none", "_rewrite/none"])
def test_a_view_that_is_missing_is_reported_as_by_couchdb(client: Client, db: str, path: str) -> None:
    stored(client, db, lists={"l": "function () {}"}, rewrites=[{"from": "/none", "to": "_list/l/none"}])
    status, _, data = client("GET", f"/{db}/_design/t/{path}")
    assert (status, json.loads(data)) == (404, {"error": "not_found", "reason": "missing_named_view"})


HOSTILE = {
    "endless": "for (;;) {}",
    "memory": "var a = []; for (;;) { a.push(a.length + 'x'); }",
    "recursion": "function f() { return [1].map(f); } f();",
    "thrown": "throw {toString: function () { for (;;) {} }, toJSON: function () { for (;;) {} }};",
    "output": "var s = 'x'; for (;;) { s += s; send(s); }",
    "tampered": "Array.prototype.push = JSON.stringify = Object.prototype.toJSON = function () { for (;;) {} };",
    "finally": "try { for (;;) {} } finally { for (;;) {} }",
    "regexp": "return String(/(a+)+$/.test(new Array(60).join('a') + '!'));",
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_functions(client: Client, db: str, name: str) -> None:
    source = f"function () {{ {HOSTILE[name]} }}"
    good = {"shows": {"good": "function () { return 'good'; }"}}
    members = {"shows": {"f": source}, "lists": {"f": source}, "updates": {"f": source}, "rewrites": source}
    stored(client, db, **members)
    assert client("PUT", f"/{db}/_design/good", good)[0] == 201
    for method, path in (
        ("GET", "_show/f"),
        ("GET", "_list/f/v"),
        ("POST", "_update/f"),
        ("GET", "_rewrite/x"),
    ):
        status, _, data = client(method, f"/{db}/_design/t/{path}")
        assert name in ("tampered", "regexp") or status >= 400 or b'"error"' in data, path
        assert client("GET", f"/{db}/_design/good/_show/good")[2] == b"good"


def test_rights(client: Client, db: str) -> None:
    stored(
        client,
        db,
        shows={"s": "function (doc, req) { return toJSON(req.userCtx.name); }"},
        rewrites=[{"from": "/", "to": "../.."}, {"from": "/sec", "to": "../../_security"}],
    )
    security = {"admins": {"names": ["x"], "roles": []}, "members": {"names": ["x"], "roles": []}}
    assert client("PUT", f"/{db}/_security", security)[0] == 200
    for path in ("_show/s", "_rewrite/", "_rewrite/sec"):
        assert client("GET", f"/{db}/_design/t/{path}", headers={"Authorization": None})[0] == 401
        assert client("GET", f"/{db}/_design/t/{path}")[0] == 200
    assert client("GET", f"/{db}/_design/t/_show/s")[2] == b'"admin"'
    for method, path in (("DELETE", "_rewrite/"), ("PUT", "_rewrite/"), ("PUT", "_rewrite/sec")):
        assert client(method, f"/{db}/_design/t/{path}", {})[0] == 403
    assert client("GET", f"/{db}")[0] == 200


def test_functions_may_rewrite_out_of_their_database(client: Client, db: str) -> None:
    """From CouchDB's own tests (rewrite_js_test.exs): secure rewrites are about rules. Here they may only read."""
    result = "{path: '../../../' + req.query.to, method: req.query.method || 'GET', query: {}}"
    stored(client, db, rewrites=f"function (req) {{ return {result}; }}")
    path = f"/{db}/_design/t/_rewrite/x?to="
    assert len(json.loads(client("GET", f"{path}_uuids")[2])["uuids"]) == 1
    assert json.loads(client("GET", f"{path}_session")[2])["userCtx"]["name"] == "admin"
    assert client("GET", f"{path}_all_dbs", headers={"Authorization": None})[0] == 401
    for to in ("other&method=PUT", "_node/_local/_config/log/level&method=PUT", "_session&method=POST"):
        assert client("GET", path + to)[0] == 403
    assert client("GET", f"{path}{db}&method=DELETE")[0] == 403
    assert client("GET", f"{path}{db}/_design/t/_rewrite/x")[0] == 400
    assert client("GET", f"{path}../nowhere")[0] == 404


def test_etags(client: Client, db: str) -> None:
    stored(client, db, shows={"s": "function (doc) { return 'n ' + doc.n; }"})
    _, headers, _ = client("GET", f"/{db}/_design/t/_show/s/d00001")
    again = client("GET", f"/{db}/_design/t/_show/s/d00001", headers={"If-None-Match": headers["etag"]})
    assert (again[0], again[2]) == (304, b"")
    assert client("GET", f"/{db}/_design/t/_show/s/d00002", headers={"If-None-Match": headers["etag"]})[0] == 200


def test_headers_hold_no_lines_of_their_own(client: Client, db: str) -> None:
    stored(client, db, shows={"s": "function () { return {body: 'x', headers: {'X-A': 'b\\r\\nSet-Cookie: c=d'}}; }"})
    _, headers, data = client("GET", f"/{db}/_design/t/_show/s")
    assert "set-cookie" not in headers
    assert data == b"x"


def test_a_remote_database(server: Any, client: Client, db: str) -> None:
    """The same methods: the server runs the functions, asked with the database's credentials."""
    stored(
        client,
        db,
        shows={
            "s": "function (doc, req) { return {json: [doc && doc._id, req.userCtx.name, req.query, req.method, "
            "req.body]}; }",
            "r": "function () { return {code: 302, headers: {Location: '/x'}}; }",
            "e": "function () { throw ['error', 'mine', 'because']; }",
        },
        lists={"l": "function (head, req) { start({headers: {'Content-Type': 'text/csv'}}); return getRow().id; }"},
        updates={"u": "function (doc, req) { return [{_id: req.id, form: req.form}, 'made']; }"},
        rewrites=[{"from": "/doc/:id", "to": "../../:id"}, {"from": "/l", "to": "_list/l/v"}],
    )
    with pouchdb.setup(":memory:", plugins=["couchapp"]) as environment:
        url = f"http://{client.host}:{client.port}/{db}"
        remote: Any = environment.PouchDB(url, auth={"username": "admin", "password": "secret"})
        shown = remote.show("t/s/d00001", query={"a": "é"})
        assert shown.json == ["d00001", "admin", {"a": "é"}, "GET", "undefined"]
        assert (shown.code, shown.headers["Content-Type"]) == (200, "application/json")
        assert remote.show("t/s", body="x").json[3:] == ["POST", "x"]
        redirect = remote.show("t/r")
        assert (redirect.code, redirect.headers["Location"]) == (302, "/x")
        listed = remote.list("t/l/v", query={"limit": 1})
        assert (listed.body, listed.headers["Content-Type"].partition(";")[0]) == ("d00000", "text/csv")
        made = remote.update("t/u/new one", form={"a": "b"})
        assert (made.code, made.body, made.headers["X-Couch-Id"]) == (201, "made", "new%20one")
        assert remote.get("new one")["form"] == {"a": "b"}
        assert remote.rewrite("t/doc/d00002").json["n"] == 2
        assert remote.rewrite_result_request_object("t/l").path == [db, "_design", "t", "_list", "l", "v"]
        with pytest.raises(PouchDBError) as caught:
            remote.show("t/e")
        assert (caught.value.status, caught.value.name, caught.value.message) == (500, "mine", "because")
        with pytest.raises(PouchDBError) as missing:
            remote.list("t/l/none")
        assert missing.value.status == 404
