"""Over HTTP: the methods against a server, and the server's accounts, sessions, tokens, proxies and rules."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import urllib3

import pouchdb
from pouchdb_core.errors import BadRequest, Conflict, Forbidden, NotFound, PouchDBError, Unauthorized

pytest.importorskip("pouchdb_server", reason="the server is a plug-in of its own")
from pouchdb_auth.auth_sessions import session_id
from pouchdb_server.testing import couch_server

OPEN = {"admins": {"names": [], "roles": ["_admin"]}, "members": {"names": [], "roles": []}}
USER = "org.couchdb.user:"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def server() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["server", "auth"]) as environment:
        environment.auth_settings(iterations=10)
        environment["_users"].put_security(OPEN)
        environment["notes"].put({"_id": "plan"})
        environment["notes"].put_security({"members": {"names": [], "roles": ["staff"]}})
        with couch_server(environment, admins={"root": "secret"}, secret="0123456789abcdef") as running:
            yield running


@pytest.fixture
def client() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["auth"]) as environment:
        yield environment


@pytest.fixture
def remote(server: Any, client: Any) -> Any:
    return client.PouchDB(f"{server.url}/notes", skip_setup=True)


@pytest.fixture
def root(server: Any, client: Any) -> Any:
    return client.PouchDB(server.url.replace("//", "//root:secret@") + "/notes")


class Answer:
    def __init__(self, answer: Any) -> None:
        self.status, self.headers = answer.status, answer.headers
        self.json = json.loads(answer.data) if answer.data else None


@pytest.fixture
def ask(server: Any) -> Iterator[Callable[..., Answer]]:
    http = urllib3.PoolManager()

    def call(method: str, path: str, body: Any = None, headers: Any = None) -> Answer:
        data = body.encode() if isinstance(body, str) else None if body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json", **(headers or {})}
        return Answer(http.request(method, server.url + path, body=data, headers=given, redirect=False, retries=False))

    yield call
    http.clear()


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


# -- the methods, against a server -------------------------------------------------------------------


def test_a_server_without_a_database_of_users_is_named(remote: Any, server: Any) -> None:
    server.environment.destroy("_users")
    with pytest.raises(NotFound, match=rf"{server.url}: its database _users: Database does not exist\."):
        remote.signup("ada", "secret")


def test_the_flow_of_the_original(remote: Any, server: Any) -> None:
    answer = remote.signup("ada", "secret", metadata={"mail": "x"})
    assert answer == {"ok": True, "id": f"{USER}ada", "rev": answer.rev}
    assert remote.getSession().userCtx == {"name": None, "roles": []}
    assert remote.login("ada", "secret") == {"ok": True, "name": "ada", "roles": []}
    session = remote.get_session()
    assert session.userCtx == {"name": "ada", "roles": []}
    assert session.info.authenticated == "cookie"
    assert remote.get_user("ada").mail == "x"
    with pytest.raises(NotFound, match="missing"):
        remote.get_user("bob")
    assert remote.logout() == {"ok": True}
    assert remote.logOut() == {"ok": True}
    assert remote.get_session().userCtx.name is None
    assert (remote.user, server.environment.user) == (None, None)


@pytest.mark.parametrize("name", ["fail/é", "Zoë Ann", "日本", "a%2Fb", "o'neil", "?#&"])
def test_names(remote: Any, name: str) -> None:
    assert remote.signup(name, "pässwörd 日").id == USER + name
    assert remote.login(name, "pässwörd 日").name == name
    assert remote.get_user(name).name == name
    assert remote.change_password(name, "other").ok
    assert remote.get_session().userCtx.name is None
    assert remote.login(name, "other").ok
    assert remote.delete_user(name).ok


def test_errors(remote: Any, server: Any) -> None:
    remote.signup("ada", "secret")
    asked = len(server.requests)
    for call in (
        lambda: remote.signup("", "x"),
        lambda: remote.signup("x", ""),
        lambda: remote.signup("x", "x", metadata={"name": "y"}),
        lambda: remote.login("", "x"),
        lambda: remote.get_user(""),
    ):
        with pytest.raises(PouchDBError) as caught:
            call()
        assert (caught.value.status, caught.value.name) == (400, "authentication_error")
    assert len(server.requests) == asked, "nothing was sent"
    with pytest.raises(Conflict):
        remote.signup("ada", "x")
    with pytest.raises(Forbidden, match="`:` is not allowed"):
        remote.signup("a:b", "x")
    with pytest.raises(Forbidden, match="may not start with underscore"):
        remote.signup("_ada", "x")
    with pytest.raises(Forbidden, match="Only _admin may set roles"):
        remote.signup("eve", "x", roles=["staff"])
    for name, password in (("ada", "wrong"), ("nobody", "x")):
        with pytest.raises(Unauthorized, match=r"^.*Name or password is incorrect\."):
            remote.login(name, password)


def test_a_login_counts_for_all_objects_of_that_server(remote: Any, client: Any, server: Any, root: Any) -> None:
    with pytest.raises(Unauthorized, match="not authorized"):
        remote["plan"]
    root.signup("mia", "pw", roles=["staff"])
    remote.login("mia", "pw")
    other = client.PouchDB(f"{server.url}/notes", skip_setup=True)
    assert other.get("plan")._id == remote["plan"]._id == "plan"
    other.replicate_to("copy")
    assert client["copy"].get("plan")._id == "plan"
    client.context.clearCookies()
    with pytest.raises(Unauthorized):
        remote.get("plan")


def test_two_environments_have_their_own_cookies(remote: Any, server: Any, root: Any) -> None:
    root.signup("mia", "pw", roles=["staff"])
    remote.login("mia", "pw")
    with pouchdb.setup(":memory:", plugins=["auth"]) as other:
        db = other.PouchDB(f"{server.url}/notes", skip_setup=True)
        assert db.get_session().userCtx.name is None


def test_credentials_count_until_somebody_logs_in(root: Any) -> None:
    assert root.get_session().userCtx == {"name": "root", "roles": ["_admin"]}
    assert root.signup("ada", "pw", roles=["staff"]).ok
    assert root.login("ada", "pw").roles == ["staff"]
    assert root.get_session().userCtx == {"name": "ada", "roles": ["staff"]}
    # Ordinary requests still go with the credentials of the database.
    assert root.put_security(root.get_security()).ok
    assert root.logout().ok
    assert root.get_session().userCtx.name == "root"


def test_managing_users(root: Any) -> None:
    root.signup("ada", "pw", metadata={"a": 1})
    assert root.put_user("ada", metadata={"b": 2}, roles=["chief"]).ok
    doc = root.get_user("ada")
    assert (doc.a, doc.b, doc.roles) == (1, 2, ["chief"])
    root.signup("bob", "pw")
    with pytest.raises(PouchDBError, match="user already exists"):
        root.change_username("ada", "bob")
    assert root.change_username("ada", "eve").id == f"{USER}ada"
    assert root.login("eve", "pw").roles == ["chief"]
    root.logout()
    assert root.get_membership().all_nodes
    assert root.get_users_database_url().endswith("/_users")


def test_administrators(root: Any, server: Any, ask: Any) -> None:
    assert root.sign_up_admin("boss", "pw") == ""
    assert ask("GET", "/_active_tasks", None, basic("boss", "pw")).status == 200
    assert root.sign_up_admin("boss", "new") != ""
    assert ask("GET", "/_active_tasks", None, basic("boss", "pw")).status == 401
    assert ask("GET", "/_active_tasks", None, basic("boss", "new")).status == 200
    # The environment that is served has the same ones.
    assert server.environment["notes"].login("boss", "new").roles == ["_admin"]
    server.environment["notes"].logout()
    assert root.delete_admin("boss")
    assert ask("GET", "/_active_tasks", None, basic("boss", "new")).status == 401
    with pytest.raises(NotFound):
        root.delete_admin("boss")


def test_an_administrator_made_here_is_one_of_the_server(server: Any, ask: Any) -> None:
    server.environment["notes"].sign_up_admin("here", "pw")
    assert ask("GET", "/_session", None, basic("here", "pw")).json["userCtx"] == {"name": "here", "roles": ["_admin"]}


def test_whoever_is_logged_in_here_the_server_serves_its_users(server: Any, ask: Any, root: Any) -> None:
    root.signup("eve", "pw")
    server.environment["notes"].login("eve", "pw")
    assert ask("GET", "/notes/plan", None, basic("root", "secret")).status == 200
    assert ask("PUT", "/new", None, basic("root", "secret")).status == 201


def test_only_local_users_have_session_ids(remote: Any) -> None:
    with pytest.raises(PouchDBError) as caught:
        remote.multi_user_log_in("ada", "pw")
    assert caught.value.status == 501


# -- sessions ----------------------------------------------------------------------------------------


def cookie_of(answer: Answer) -> dict[str, str]:
    return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


def test_cookies(server: Any, ask: Any, root: Any) -> None:
    root.signup("ada", "pw", roles=["staff"])
    answer = ask("POST", "/_session", "name=ada&password=pw", FORM)
    assert answer.json == {"ok": True, "name": "ada", "roles": ["staff"]}
    header = answer.headers["Set-Cookie"]
    assert all(part in header for part in ("Version=1", "Expires=", "Max-Age=600", "Path=/", "HttpOnly"))
    cookie = cookie_of(answer)
    assert ask("GET", "/notes/plan", None, cookie).status == 200
    salt = server.environment["_users"].get(f"{USER}ada").salt
    now = time.time()

    def session(text: str) -> tuple[int, Any]:
        found = ask("GET", "/_session", None, {"Cookie": f"AuthSession={text}"})
        return found.status, found.json.get("userCtx", {}).get("name")

    # CouchDB's form: both digests, bound to the salt and the server's secret.
    assert session(session_id("ada", salt, "0123456789abcdef", now)) == (200, "ada")
    assert session(session_id("ada", salt, "0123456789abcdef", now, "sha1")) == (200, "ada")
    forged = [
        session_id("ada", salt, "another", now),
        session_id("ada", "another", "0123456789abcdef", now),
        session_id("root", salt, "0123456789abcdef", now),
        session_id("nobody", salt, "0123456789abcdef", now),
        session_id("ada", salt, "0123456789abcdef", now - 601),
        session_id("ada", salt, "0123456789abcdef", now + 700),
        cookie["Cookie"].partition("=")[2][:-8],
    ]
    assert [session(each) for each in forged] == [(200, None)] * len(forged)
    for malformed in ("garbage", "%%%", "YWJj", "YTpi"):
        answer = ask("GET", "/_session", None, {"Cookie": f"AuthSession={malformed}"})
        reason = "Malformed AuthSession cookie. Please clear your cookies."
        assert (answer.status, answer.json) == (400, {"error": "bad_request", "reason": reason})
    answer = ask("DELETE", "/_session", None, cookie)
    assert answer.headers["Set-Cookie"].startswith("AuthSession=;")


def test_another_password_and_the_end_of_a_user_end_sessions(ask: Any, root: Any) -> None:
    root.signup("ada", "pw")
    cookie = cookie_of(ask("POST", "/_session", {"name": "ada", "password": "pw"}))
    name = lambda: ask("GET", "/_session", None, cookie).json["userCtx"]["name"]  # noqa: E731
    assert name() == "ada"
    root.put_user("ada", metadata={"mail": "x"})
    assert name() == "ada"
    root.change_password("ada", "new")
    assert name() is None
    cookie.update(cookie_of(ask("POST", "/_session", {"name": "ada", "password": "new"})))
    assert name() == "ada"
    root.delete_user("ada")
    assert name() is None


def test_logins_that_are_refused(ask: Any, root: Any) -> None:
    root.signup("ada", "pw")
    wrong = (401, {"error": "unauthorized", "reason": "Name or password is incorrect."})
    for body in ({"name": "ada", "password": "x"}, {"name": "eve", "password": "pw"}, {"name": "ada"}):
        answer = ask("POST", "/_session", body)
        assert (answer.status, answer.json) == wrong
        assert answer.headers["Set-Cookie"].startswith("AuthSession=;")
    assert ask("POST", "/_session", "", FORM).status == 400
    answer = ask("GET", "/_session?basic=true")
    assert (answer.status, answer.json["reason"]) == (401, "Please login.")
    answer = ask("GET", "/_session", None, basic("ada", "x"))
    assert (answer.status, answer.json) == wrong
    assert ask("GET", "/_session", None, basic("ada", "pw")).json["info"]["authenticated"] == "default"


def test_old_hashes_let_in(server: Any, ask: Any) -> None:
    import hashlib

    doc = {"type": "user", "roles": []}
    sha1 = hashlib.pbkdf2_hmac("sha1", b"pw", b"salt", 10, 20).hex()
    old = {"password_scheme": "pbkdf2", "derived_key": sha1, "salt": "salt", "iterations": 10}
    simple = {"password_scheme": "simple", "password_sha": hashlib.sha1(b"pwsalt").hexdigest(), "salt": "salt"}
    server.environment["_users"].put({**doc, **old, "_id": f"{USER}old", "name": "old"})
    server.environment["_users"].put({**doc, **simple, "_id": f"{USER}older", "name": "older"})
    for name in ("old", "older"):
        assert ask("GET", "/_session", None, basic(name, "pw")).json["userCtx"]["name"] == name
        assert ask("GET", "/_session", None, basic(name, "px")).status == 401


# -- the rules of _users -------------------------------------------------------------------------------


def test_users_see_and_change_themselves_only(ask: Any, root: Any) -> None:
    for name in ("ada", "bob"):
        root.signup(name, "pw")
    ada = basic("ada", "pw")
    assert ask("GET", f"/_users/{USER}ada", None, ada).json["name"] == "ada"
    assert ask("GET", f"/_users/{USER}bob", None, ada).status == 404
    assert ask("GET", f"/_users/{USER}ada").status == 404
    for path in ("_all_docs", "_changes"):
        answer = ask("GET", f"/_users/{path}", None, ada)
        assert (answer.status, answer.json["reason"]) == (401, "You are not a server admin.")
    answer = ask("GET", "/_users/_design/_auth", None, ada)
    reason = "Only administrators can view design docs in the users database."
    assert (answer.status, answer.json["reason"]) == (403, reason)
    doc = ask("GET", f"/_users/{USER}ada", None, ada).json
    answer = ask("PUT", f"/_users/{USER}ada", {**doc, "roles": ["staff"]}, ada)
    assert (answer.status, answer.json["reason"]) == (403, "Only _admin may edit roles")
    assert ask("PUT", f"/_users/{USER}ada", {**doc, "mail": "x"}, ada).status == 201
    other = {"type": "user", "roles": [], "password": "x", "name": "bob"}
    assert ask("PUT", f"/_users/{USER}bob", other, ada).status == 404
    bulk = ask("POST", "/_users/_bulk_docs", {"docs": [{**other, "_id": f"{USER}bob"}]}, ada)
    assert bulk.json[0]["error"] == "not_found"
    answer = ask("POST", "/_users/_bulk_get", {"docs": [{"id": f"{USER}bob"}]}, ada)
    assert "error" in answer.json["results"][0]["docs"][0]


def test_a_user_who_reads_metrics_only(ask: Any, root: Any) -> None:
    root.signup("watcher", "pw", roles=["_metrics"])
    root.signup("ada", "pw")
    for path in ("_stats", "_stats/couchdb", "_system"):
        assert ask("GET", f"/_node/_local/{path}", None, basic("watcher", "pw")).status == 200
        refused = ask("GET", f"/_node/_local/{path}", None, basic("ada", "pw"))
        assert (refused.status, refused.json["reason"]) == (401, "You are not a server admin.")
    for method, path in (("GET", "/_node/_local/_config"), ("GET", "/notes"), ("PUT", "/new")):
        assert ask(method, path, None, basic("watcher", "pw")).status in (401, 403)


def test_by_default_users_are_for_administrators(ask: Any, server: Any) -> None:
    server.environment["_users"].put_security({})
    server.environment["notes"].signup("ada", "pw")
    assert ask("GET", f"/_users/{USER}ada", None, basic("ada", "pw")).status == 403
    assert ask("PUT", f"/_users/{USER}eve", {"type": "user", "name": "eve", "roles": [], "password": "x"}).status == 401


def test_the_security_of_users(ask: Any) -> None:
    root = basic("root", "secret")
    answer = ask("PUT", "/_users/_security", {"members": {"names": [], "roles": []}}, root)
    assert (answer.status, answer.json["error"]) == (403, "forbidden")
    assert ask("PUT", "/_users/_security", OPEN, root).status == 200


# -- other ways to say who one is ------------------------------------------------------------------------


def test_json_web_tokens(server: Any, ask: Any) -> None:
    jwt = pytest.importorskip("jwt", reason="an extra of the plug-in")
    secret = b"0123456789abcdef0123456789abcdef"
    token = lambda claims, key=secret, **head: {  # noqa: E731
        "Authorization": "Bearer " + jwt.encode(claims, key, algorithm="HS256", headers=head or None)
    }
    claims = {"sub": "ada", "exp": time.time() + 60, "_couchdb.roles": ["staff"]}
    assert ask("GET", "/_session", None, token(claims)).json["userCtx"]["name"] is None, "not set up"
    keys = {"hmac:_default": base64.b64encode(secret).decode(), "hmac:two": base64.b64encode(b"2" * 32).decode()}
    server.environment.auth_settings(jwt_keys=keys)
    session = ask("GET", "/_session", None, token(claims)).json
    assert session["userCtx"] == {"name": "ada", "roles": ["staff"]}
    assert session["info"]["authenticated"] == "jwt"
    assert "jwt" in session["info"]["authentication_handlers"]
    assert ask("GET", "/notes/plan", None, token(claims)).status == 200
    assert ask("GET", "/notes/plan", None, token(claims, b"2" * 32, kid="two")).status == 200
    bad = [
        token({**claims, "exp": time.time() - 60}),
        token({"sub": "ada"}),
        token({"exp": claims["exp"]}),
        token({**claims, "sub": ""}),
        token(claims, b"x" * 32),
        token(claims, kid="three"),
        {"Authorization": "Bearer " + jwt.encode(claims, None, algorithm="none")},
        {"Authorization": "Bearer garbage"},
        {"Authorization": "Bearer "},
    ]
    assert [ask("GET", "/_session", None, each).status for each in bad] == [401] * len(bad)
    server.environment.auth_settings(jwt_required_claims=["exp", "iss=us"], jwt_roles_claim="app.roles")
    assert ask("GET", "/_session", None, token(claims)).status == 401
    good = {**claims, "iss": "us", "app": {"roles": "a, b"}}
    assert ask("GET", "/_session", None, token(good)).json["userCtx"]["roles"] == ["a", "b"]


def test_a_public_key_is_no_secret(server: Any, ask: Any) -> None:
    """A token that says it is signed by HMAC with what is an RSA key is refused."""
    jwt = pytest.importorskip("jwt", reason="an extra of the plug-in")
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    from cryptography.hazmat.primitives import serialization

    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    server.environment.auth_settings(jwt_keys={"rsa:_default": public.decode()})
    claims = {"sub": "ada", "exp": time.time() + 60}
    good = jwt.encode(claims, private, algorithm="RS256")
    assert ask("GET", "/_session", None, {"Authorization": f"Bearer {good}"}).json["userCtx"]["name"] == "ada"
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    body = good.split(".")[1].encode()
    mac = base64.urlsafe_b64encode(hmac.digest(public, head + b"." + body, "sha256")).rstrip(b"=")
    forged = (head + b"." + body + b"." + mac).decode()
    assert ask("GET", "/_session", None, {"Authorization": f"Bearer {forged}"}).status == 401


def test_proxies(server: Any, ask: Any) -> None:
    def said(name: str, secret: str = "between us", digest: str = "sha256", **more: str) -> dict[str, str]:
        token = hmac.digest(secret.encode(), name.encode(), digest).hex()
        return {"X-Auth-CouchDB-UserName": name, "X-Auth-CouchDB-Token": token, **more}

    who = lambda headers: ask("GET", "/_session", None, headers).json.get("userCtx")  # noqa: E731
    assert who(said("ada"))["name"] is None, "not set up"
    server.environment.auth_settings(proxy_secret="between us")
    assert who(said("ada", **{"X-Auth-CouchDB-Roles": "staff, chief"})) == {"name": "ada", "roles": ["staff", "chief"]}
    assert who(said("ada", digest="sha1")) == {"name": "ada", "roles": []}
    assert ask("GET", "/_session", None, said("ada")).json["info"]["authenticated"] == "proxy"
    for headers in (
        said("ada", "guessed"),
        {"X-Auth-CouchDB-UserName": "ada"},
        {**said("ada"), "X-Auth-CouchDB-Token": "é"},
    ):
        assert ask("GET", "/_session", None, headers).status == 401


def test_peruser_over_http(server: Any, ask: Any) -> None:
    server.environment.auth_settings(peruser=True)
    doc = {"type": "user", "name": "ada", "roles": [], "password": "pw"}
    assert ask("PUT", f"/_users/{USER}ada", doc).status == 201
    assert ask("PUT", "/userdb-616461/mine", {}, basic("ada", "pw")).status == 201
    assert ask("GET", "/userdb-616461/mine").status == 401


def test_who_guesses_is_slowed_down_and_nobody_else(ask: Any, root: Any) -> None:
    for name in ("ada", "bob"):
        root.signup(name, "pw")
    statuses = [ask("GET", "/_session", None, basic("ada", str(number))).status for number in range(12)]
    assert (statuses[0], statuses[-1]) == (401, 429)
    assert ask("GET", "/_session", None, basic("bob", "pw")).status == 200


def test_bad_requests_are_the_callers(remote: Any) -> None:
    with pytest.raises(BadRequest):
        remote.signup("ada", "pw", colour=1)
