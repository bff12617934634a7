"""Who may do what: the admin party, administrators, sessions, members of databases."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from pouchdb_server import Headers, Request, Response, Route, create_app, hookspecs
from pouchdb_server.accounts import Accounts
from pouchdb_server.settings import Settings
from pouchdb_server.testing import CouchServer

import pouchdb
from pouchdb_core import hookimpl
from pouchdb_core.errors import BadRequest, PluginError
from pouchdb_core.requests import UserContext


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


ADA = basic("ada", "secret")


@pytest.fixture
def guarded(serve, call):
    client = call(serve(admins={"ada": "secret"}))
    assert client.put("/db", headers={"Authorization": ADA}).status == 201
    return client


def test_a_party_on_this_machine(client):
    assert client.get("/_session").json == {
        "ok": True,
        "userCtx": {"name": None, "roles": ["_admin"]},
        "info": {"authentication_handlers": ["cookie", "default"]},
    }
    # A page elsewhere whose name leads here.
    assert client.get("/db", Host="evil.example").status == 403
    for host in ("localhost:1", "127.0.0.1", "[::1]:5984", "a.localhost"):
        assert client.get("/db", Host=host).status == 200


def test_the_party_is_for_this_machine_only(environment):
    accounts = Accounts(environment, Settings())
    request = Request("GET", "/", "", Headers([(b"host", b"localhost")]), peer="192.0.2.1")
    with pytest.raises(pouchdb.Unauthorized):
        accounts.stranger(request)
    assert Accounts(environment, Settings(admin_party="everywhere")).stranger(request).roles == ("_admin",)
    for peer in ("127.0.0.1", "::1", "::ffff:127.0.0.1", ""):
        request.peer = peer
        assert accounts.stranger(request).roles == ("_admin",)


def test_basic(guarded):
    assert guarded.get("/db").json == {"error": "unauthorized", "reason": "You are not authorized to access this db."}
    assert guarded.get("/db", Authorization=ADA).status == 200
    for wrong in (basic("ada", "wrong"), basic("bob", "secret"), "Basic ???"):
        answer = guarded.get("/db", Authorization=wrong)
        assert (answer.status, answer.json["error"]) == (401, "unauthorized")
    assert guarded.get("/").status == 200
    assert guarded.get("/_all_dbs").status == 401
    assert guarded.put("/other").status == 401
    assert guarded.get("/_session", Authorization=ADA).json["info"]["authenticated"] == "default"


def test_passwords_may_be_hashes(environment):
    for name, head in (("sha1", "-pbkdf2-"), ("sha256", "-pbkdf2:sha256-")):
        key = hashlib.pbkdf2_hmac(name, b"secret", b"salt", 10).hex()
        accounts = Accounts(environment, Settings(admins={"ada": f"{head}{key},salt,10"}))
        assert accounts.check("ada", "secret") == UserContext("ada", ("_admin",))
        assert accounts.check("ada", "secret") == UserContext("ada", ("_admin",))
        assert accounts.check("ada", "wrong") is None
    assert Accounts(environment, Settings(admins={"ada": "-pbkdf2-broken"})).check("ada", "x") is None


def test_sessions(guarded):
    answer = guarded.post("/_session", {"name": "ada", "password": "secret"})
    assert answer.json == {"ok": True, "name": "ada", "roles": ["_admin"]}
    header = answer.headers["Set-Cookie"]
    assert "HttpOnly" in header
    cookie = header.partition(";")[0]
    session = guarded.get("/_session", Cookie=cookie).json
    assert session["userCtx"]["name"] == "ada"
    assert session["info"]["authenticated"] == "cookie"
    assert guarded.get("/db", Cookie=cookie).status == 200
    assert guarded.get("/db", Cookie=cookie[:-3] + "AAA").status == 401
    assert guarded.get("/db", Cookie="AuthSession=%%%").status == 400
    form = guarded.post("/_session", "name=ada&password=secret", {"Content-Type": "application/x-www-form-urlencoded"})
    assert form.status == 200
    gone = guarded.delete("/_session")
    assert gone.headers["Set-Cookie"].startswith("AuthSession=;")
    for wrong in ({"name": "ada", "password": "x"}, {"name": "bob", "password": "secret"}):
        assert guarded.post("/_session", wrong).status == 401
    assert guarded.post("/_session", {}).status == 400
    there = guarded.post("/_session?next=/db", {"name": "ada", "password": "secret"})
    assert (there.status, there.headers["Location"]) == (302, "/db")
    refused = guarded.post("/_session?fail=/db", {"name": "ada", "password": "no"})
    assert (refused.status, refused.headers["Location"], refused.json["error"]) == (302, "/db", "unauthorized")
    assert refused.headers["Set-Cookie"].startswith("AuthSession=;")
    assert guarded.post("/_session?fail=//evil.example", {"name": "ada", "password": "no"}).status == 401
    # A name and password by which browsers forget those they know.
    for nobody in ("_:_", "name-without-password"):
        sent = "Basic " + base64.b64encode(nobody.encode()).decode()
        assert guarded.get("/_session", Authorization=sent).json["userCtx"] == {"name": None, "roles": []}
    assert guarded.post("/_session?next=//evil.example", {"name": "ada", "password": "secret"}).status == 200


def test_a_cookie_gets_old(environment, monkeypatch):
    accounts = Accounts(environment, Settings(admins={"ada": "secret"}, session_timeout=600))
    request = Request("GET", "/", "", Headers())
    old = accounts.cookie("ada", now=1000)
    monkeypatch.setattr("pouchdb_server.accounts.time.time", lambda: 1599.0)
    request.headers["cookie"] = f"AuthSession={old}"
    assert accounts.authenticate(request) == UserContext("ada", ("_admin",))
    response = Response({})
    request.scheme = "https"
    accounts.renew(request, response)
    assert "Secure" in dict(response.headers)["set-cookie"]
    monkeypatch.setattr("pouchdb_server.accounts.time.time", lambda: 1601.0)
    assert accounts.authenticate(request) is None


def test_a_session_lasts_as_long_as_it_says(environment, monkeypatch):
    """A cookie has whole seconds: one made late in a second was too old a moment later."""
    accounts = Accounts(environment, Settings(admins={"ada": "secret"}, session_timeout=1))
    request = Request("GET", "/", "", Headers())
    request.headers["cookie"] = f"AuthSession={accounts.cookie('ada', now=1000.99)}"
    for now, good in ((1000.99, True), (1001.01, True), (1001.99, True), (1002.01, False)):
        monkeypatch.setattr("pouchdb_server.accounts.time.time", lambda now=now: now)
        assert (accounts.authenticate(request) is not None) is good, now


class People:
    """A plug-in that knows users: the name is the role."""

    @hookimpl(optionalhook=True)
    def pouchdb_http_authenticate(self, request):
        name = request.headers.get("x-user")
        return None if name is None else UserContext(name, (name,))


@pytest.fixture
def people(call):
    with (
        pouchdb.setup(":memory:", plugins=["server", People()]) as environment,
        CouchServer(environment, admins={"ada": "secret"}) as server,
    ):
        client = call(server)
        client.put("/db", headers={"Authorization": ADA})
        security = {"admins": {"names": ["boss"]}, "members": {"roles": ["staff"]}}
        client.put("/db/_security", security, {"Authorization": ADA})
        yield client


def test_members_and_administrators(people):
    """Also test_hook_http_authenticate: a plug-in says who it is."""
    as_user = lambda method, path, user, body=None: people.call(method, path, body, {"X-User": user}).status  # noqa: E731
    assert as_user("GET", "/db", "staff") == 200
    assert as_user("GET", "/db", "stranger") == 403
    assert people.get("/db").status == 401
    assert as_user("PUT", "/db/a", "staff", {}) == 201
    assert as_user("PUT", "/db/_design/a", "staff", {}) == 403
    assert as_user("PUT", "/db/_design/a", "boss", {}) == 201
    row = people.post("/db/_bulk_docs", {"docs": [{"_id": "_design/b"}, {"_id": "b"}]}, {"X-User": "staff"}).json
    assert (row[0]["error"], row[1]["ok"]) == ("forbidden", True)
    # What is kept beside documents is forbidden, as design documents are, and not a reason to log in again.
    for path, body in (("_security", {}), ("_revs_limit", "5")):
        assert as_user("PUT", f"/db/{path}", "staff", body) == 403
        assert people.put(f"/db/{path}", body).status == 401
    assert as_user("POST", "/db/_compact", "staff", {}) == 401
    assert as_user("PUT", "/db/_revs_limit", "boss", {}) == 400
    assert as_user("DELETE", "/db", "staff") == 401
    # Who is logged in may replicate, with their rights.
    assert people.post("/_replicate", {"source": "db", "target": "to"}).status == 401
    assert as_user("POST", "/_replicate", "stranger", {"source": "db", "target": "db"}) == 403
    assert as_user("POST", "/_replicate", "boss", {"source": "db", "target": "to"}) == 404
    assert as_user("POST", "/_replicate", "boss", {"source": "db", "target": "to", "create_target": True}) == 403
    assert as_user("POST", "/_replicate", "staff", {"source": "db", "target": "db"}) == 200
    people.put("/to", None, {"Authorization": ADA})
    people.put("/to/_security", {"members": {"roles": ["staff"]}}, {"Authorization": ADA})
    live = {"source": "db", "target": "to", "continuous": True}
    id = people.post("/_replicate", live, {"X-User": "staff"}).json["_local_id"]
    assert len(id.removesuffix("+continuous")) == 32
    # What is another's is nobody's to end, but an administrator's by its id.
    assert as_user("POST", "/_replicate", "boss", {**live, "cancel": True}) == 404
    assert as_user("POST", "/_replicate", "staff", {"cancel": True, "_local_id": id}) == 401
    assert as_user("POST", "/_replicate", "staff", {**live, "cancel": True}) == 200
    people.put("/db/_security", {"members": {"names": []}}, {"Authorization": ADA})
    assert people.get("/db").status == 200


class Greets:
    """A plug-in with an endpoint on every level, and something around all of them."""

    @hookimpl(optionalhook=True)
    def pouchdb_http_routes(self, environment):
        return [
            Route("server", "GET", "/_hello", lambda request, database: {"hello": request.query.get("name")}),
            Route("database", "GET", "/_design/{ddoc}/_count", lambda request, database: [len(database)]),
            Route("database", "POST", "/_echo", lambda request, database: Response(request.as_dict(database)["body"])),
        ]

    @hookimpl(optionalhook=True)
    def pouchdb_http_middleware(self, environment):
        def around(request, answer):
            if request.headers.get("x-closed"):
                return Response("closed", 503)
            return answer(request).add("X-Seen", request.method)

        return around


def test_hook_http_routes(call):
    with pouchdb.setup(":memory:", plugins=["server", Greets()]) as environment, CouchServer(environment) as server:
        client = call(server)
        client.put("/db")
        assert client.get("/_hello?name=Ada").json == {"hello": "Ada"}
        assert client.get("/db/_design/a/_count").json == [0]
        assert client.post("/db/_echo", "text").body == b"text"
        assert client.get("/db/_design/a/other").status == 404
        # test_hook_http_middleware
        assert client.get("/db").headers["X-Seen"] == "GET"
        assert client.get("/db", X_Closed="1").status == 503


def test_set_up_errors(environment):
    class Clash:
        @hookimpl(optionalhook=True)
        def pouchdb_http_routes(self):
            return [Route("server", "GET", "/_up", lambda request, database: {})]

    both = r"'Clash-\w+' and 'server'|'server' and 'Clash-\w+'"
    with pouchdb.setup(":memory:", plugins=["server", Clash()]) as clashing, pytest.raises(PluginError, match=both):
        create_app(clashing)
    with (
        pouchdb.setup(":memory:", plugins=[]) as bare,
        pytest.raises(PluginError, match="without the plug-in 'server'"),
    ):
        create_app(bare)
    for wrong in ({"cors": "*"}, {"admins": {"a:b": "x"}}, {"admins": {"a": ""}}):
        with pytest.raises(BadRequest):
            create_app(environment, **wrong)
    assert callable(create_app(environment.async_view))


def test_every_hook_is_documented():
    page = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    for name in hookspecs.__all__:
        if name.startswith("pouchdb_"):
            assert f"`{name}(" in page


def test_cors(serve, call):
    server = serve(cors=["https://app.example"])
    client = call(server)
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
    answer = client.call("OPTIONS", "/db", headers=preflight)
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert client.get("/", Origin="https://app.example").headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert "Access-Control-Allow-Origin" not in client.get("/", Origin="https://evil.example").headers
    everywhere = call(serve(cors=True, admins={"ada": "secret"})).get("/", Origin="https://any.example").headers
    assert everywhere["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in everywhere
    assert "Access-Control-Allow-Origin" not in call(serve()).get("/", Origin="https://any.example").headers
