"""The gate: who may do what, asked of every request before its body is read."""

from __future__ import annotations

import base64
import re
import socket

import pytest
from pouchdb_server import Account, Password, Route, create_app, service
from pouchdb_server.administrators import administrators
from pouchdb_server.guesses import FREE, Guesses, TooManyRequests
from pouchdb_server.handlers.session import local_destination
from pouchdb_server.testing import CouchServer

import pouchdb
from pouchdb_core import hookimpl
from pouchdb_core.errors import BadRequest, Forbidden, PluginError
from pouchdb_core.requests import UserContext, judges_local

JSON = {"Content-Type": "application/json"}


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


ADA = basic("ada", "secret")


class People:
    """A plug-in that knows users by a header: ``X-User: name,role,role``."""

    @hookimpl(optionalhook=True)
    def pouchdb_http_authenticate(self, request):
        name, *roles = request.headers.get("x-user", "").split(",")
        return UserContext(name, tuple(roles)) if name else None


class House:
    """A server with an administrator, and databases whose members and administrators are named."""

    def __init__(self, environment, server, call):
        self.environment, self.server = environment, server
        self.client = call(server)

    def database(self, name, admins=(), members=()):
        assert self.client.put(f"/{name}", headers=ADA).status == 201
        security = {"admins": {"names": list(admins)}, "members": {"names": list(members)}}
        assert self.client.put(f"/{name}/_security", security, ADA).status == 200

    def ask(self, user, method, path, body=None):
        return self.client.call(method, path, body, {"X-User": user, **(JSON if body is not None else {})})


@pytest.fixture
def house(call):
    with (
        pouchdb.setup(":memory:", plugins=["server", "all_dbs", People()]) as environment,
        CouchServer(environment, admins={"ada": "secret"}) as server,
    ):
        yield House(environment, server, call)


# -- S1: a view with a prefix ------------------------------------------------------------------------


@pytest.fixture
def tenants(call):
    with pouchdb.setup(":memory:", plugins=["server", "all_dbs", People()]) as environment:
        one, other = environment.defaults(prefix="t1-"), environment.defaults(prefix="t2-")
        with (
            CouchServer(one, admins={"ada": "secret"}) as server,
            CouchServer(other, admins={"ada": "secret"}) as second,
        ):
            yield House(one, server, call), House(other, second, call)


def test_a_member_gets_no_rights_through_the_replicator_of_a_prefixed_view(tenants):
    house, _ = tenants
    house.database("secret", members=["boss"])
    house.database("anns", members=["ann"])
    house.database("_replicator", members=["ann"])
    house.environment["secret"].put({"_id": "plan", "x": 1})
    assert house.ask("ann", "GET", "/secret/plan").status == 403
    answer = house.ask("ann", "PUT", "/_replicator/steal", {"source": "secret", "target": "anns"})
    assert (answer.status, answer.json["error"]) == (403, "forbidden")
    # What got there in another way has nobody's rights.
    house.environment["_replicator"].put({"_id": "steal", "source": "secret", "target": "anns"})
    supervisor = house.server.server.supervisor
    assert supervisor.wait_for(lambda: supervisor.counts().get("crashing"), 20)
    assert "not authorized" in supervisor.doc("_replicator", "steal")["info"]["error"]
    for path in ("/_replicator/steal", "/_scheduler/docs", "/_scheduler/docs/_replicator/steal"):
        told = house.client.get(path, **ADA).json
        assert "secret" in str(told)
        assert "t1-" not in str(told)
    assert house.ask("ann", "GET", "/anns/plan").status == 404
    mine = {"source": "anns", "target": "anns2", "user_ctx": {"name": "ann", "roles": []}}
    assert house.ask("ann", "PUT", "/_replicator/mine", mine).status == 201
    assert house.ask("ben", "GET", "/_replicator/mine").status == 403


def test_functions_see_the_short_name_of_a_prefixed_database(tenants):
    house, _ = tenants
    house.database("mine")
    served = house.server.server.service
    seen = served.request("GET", "/mine").as_dict(house.environment["mine"])
    assert (seen["info"]["db_name"], seen["userCtx"]["db"]) == ("mine", "mine")


def test_every_prefix_has_its_own_replications(tenants):
    for house in tenants:
        house.database("_replicator")
        house.environment["from"].put({"_id": "a"})
        owner = {"name": "ada", "roles": ["_admin"]}
        house.environment["_replicator"].put(
            {"_id": "r", "source": "from", "target": "to", "create_target": True, "user_ctx": owner}
        )
    for house in tenants:
        supervisor = house.server.server.supervisor
        assert supervisor.wait_for(lambda: supervisor.counts().get("completed"), 20)  # noqa: B023
        assert "a" in house.environment["to"]


def test_a_view_shows_its_own_databases_only(tenants):
    house, other = tenants
    house.database("mine")
    other.database("theirs")
    names = [row["db_name"] for row in house.client.get("/_db_updates", **ADA).json["results"]]
    assert names == ["mine"]
    assert house.client.get("/_all_dbs", **ADA).json == ["mine"]
    assert house.client.get("/mine", **ADA).json["db_name"] == "mine"
    seen = []
    theirs = other.environment["theirs"]
    theirs.put({"_id": "_design/v", "views": {"v": {"map": "function (doc) { emit(doc._id); }"}}})
    theirs.on("indexing", lambda event: seen.append([h.client.get("/_active_tasks", **ADA).json for h in tenants]))
    theirs.query("v/v")
    [[mine, [task]]] = seen
    assert (mine, task["database"]) == ([], "theirs")


# -- S2: what needs an administrator of the server -----------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/db", None),
        ("POST", "/db/_purge", {"a": ["1-a"]}),
        ("GET", "/db/_purged_infos_limit", None),
        ("PUT", "/db/_purged_infos_limit", "5"),
        ("PUT", "/other", None),
        ("GET", "/_active_tasks", None),
        ("GET", "/_node/_local/_config", None),
    ],
)
def test_administrators_of_a_database_are_not_the_servers(house, method, path, body):
    house.database("db", admins=["dan"])
    answer = house.ask("dan", method, path, body)
    assert (answer.status, answer.json["reason"]) == (401, "You are not a server admin.")
    assert house.client.call(method, path, body, {**ADA, **JSON}).status in (200, 201)


def test_administrators_of_a_database_look_after_it(house):
    house.database("db", admins=["dan"])
    for method, path, body in (("POST", "/db/_compact", {}), ("PUT", "/db/_revs_limit", "10"), ("GET", "/db", None)):
        assert house.ask("dan", method, path, body).status in (200, 202)


# -- S3: local documents -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["_replicator", "_users"])
@pytest.mark.parametrize("way", ["put", "post", "bulk", "copy", "program"])
def test_local_documents_of_system_databases_are_for_administrators(house, name, way):
    house.database(name, members=["ann"])
    house.client.put(f"/{name}/_local/theirs", {"x": 1}, ADA)
    forged = {"_id": "_local/checkpoint", "x": 2}
    if way == "put":
        answer = house.ask("ann", "PUT", f"/{name}/_local/checkpoint", forged)
    elif way == "post":
        answer = house.ask("ann", "POST", f"/{name}", forged)
    elif way == "bulk":
        [row] = house.ask("ann", "POST", f"/{name}/_bulk_docs", {"docs": [forged]}).json
        assert row["error"] == "forbidden"
        answer = None
    elif way == "copy":
        answer = house.client.call(
            "COPY", f"/{name}/_local/theirs", headers={"X-User": "ann", "Destination": "_local/checkpoint"}
        )
    else:
        answer = None
        with pytest.raises(Forbidden):
            house.environment[name].as_user({"name": "ann", "roles": []}).put(forged)
    if answer is not None:
        assert answer.status == 403
    assert house.client.get(f"/{name}/_local/checkpoint", **ADA).status == 404


def test_other_local_documents_are_their_databases_members(house):
    house.database("db", members=["ann"])
    assert house.ask("ann", "PUT", "/db/_local/checkpoint", {"x": 1}).status == 201


def test_a_guard_is_asked_about_local_documents_only_if_it_says_so():
    seen = []

    class Guards:
        @hookimpl
        def pouchdb_write_guards(self, database, request):
            @judges_local
            def guard(proposed):
                seen.extend((each.new["_id"], each.old and each.old["x"]) for each in proposed)
                return [Forbidden("no") if each.new.get("x") == 3 else None for each in proposed]

            return guard

    with pouchdb.setup(":memory:", plugins=[Guards()]) as environment:
        db = environment["db"]
        done = db.put({"_id": "_local/a", "x": 1})
        db.put({"_id": "_local/a", "x": 2, "_rev": done["rev"]})
        with pytest.raises(Forbidden):
            db.put({"_id": "_local/b", "x": 3})
        assert seen == [("_local/a", None), ("_local/a", 1), ("_local/b", None)]
        rows = db.bulk_docs([{"_id": "_local/c", "x": 3}, {"_id": "_local/d", "x": 4}])
        assert [row.get("name", "ok") for row in rows] == ["forbidden", "ok"]


# -- S4, S5, S7, S8, S9 --------------------------------------------------------------------------------


def test_cors_for_everybody_and_the_party_are_refused_together(environment):
    with pytest.raises(BadRequest, match="set admins"):
        create_app(environment, cors=True)
    assert callable(create_app(environment, cors=["https://app.example"]))
    assert callable(create_app(environment, cors=True, admins={"ada": "secret"}))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("/db", "/db"),
        ("/db?x=1#here", "/db?x=1#here"),
        ("//evil.example", None),
        ("/\\evil.example", None),
        ("/\n/evil.example", None),
        ("/\t/evil.example", None),
        ("\r\n//evil.example", None),
        (" //evil.example", None),
        ("\x00//evil.example", None),
        ("https://evil.example", None),
        ("evil", None),
        ("", None),
    ],
)
def test_a_redirect_stays_on_this_server(given, wanted):
    assert local_destination(given) == wanted


def test_a_redirect_is_cleaned_before_it_is_judged(house):
    for path in ("/%0A/evil.example", "/%09/evil.example", "/%0D/evil.example", "/%5Cevil.example"):
        answer = house.client.post(f"/_session?next={path}", {"name": "ada", "password": "secret"})
        assert (answer.status, answer.headers["Location"]) == (200, None)


def test_passwords_are_not_kept_in_clear(house):
    house.database("_users")
    user = {"_id": "org.couchdb.user:x", "name": "x", "type": "user", "roles": [], "password": "clear"}
    answer = house.client.put("/_users/org.couchdb.user:x", user, ADA)
    assert (answer.status, "hash" in answer.json["reason"]) == (403, True)
    [row] = house.client.post("/_users/_bulk_docs", {"docs": [user], "new_edits": True}, ADA).json
    assert row["error"] == "forbidden"
    assert house.client.get("/_users/org.couchdb.user:x", **ADA).status == 404


@pytest.mark.parametrize("path", ["replicator/max_jobs", "httpd/enable_cors", "chttpd/x", "admins/ada"])
def test_a_setting_that_cannot_be_changed_is_refused(house, path):
    for method in ("PUT", "DELETE"):
        assert house.client.call(method, f"/_node/_local/_config/{path}", '"1"', {**ADA, **JSON}).status == 403


class Broken:
    @hookimpl(optionalhook=True)
    def pouchdb_http_routes(self, environment):
        def fails(request, database):
            raise ZeroDivisionError("a secret of the program")

        return [Route("server", "GET", "/_broken", fails, needs="nobody")]


def test_strangers_get_no_words_of_the_program(call, caplog):
    with pouchdb.setup(":memory:", plugins=["server", Broken()]) as environment, CouchServer(environment) as server:
        answer = call(server).get("/_broken")
    assert (answer.status, answer.json["error"]) == (500, "unknown_error")
    assert b"ZeroDivision" not in answer.body
    assert b"secret" not in answer.body
    [record] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.exc_info[0] is ZeroDivisionError
    # Who has the log finds what the client was shown.
    assert record.args[2] in answer.json["reason"]


# -- the order -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"X-User": "eve"}, basic("ada", "wrong")])
@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/db/a"), ("POST", "/db/_bulk_docs"), ("PUT", "/db/a/file"), ("POST", "/db/_nothing"), ("PATCH", "/db/a")],
)
def test_no_body_is_waited_for_before_it_is_known_who_asks(house, headers, method, path):
    house.database("db", members=["ann"])
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in {**JSON, **headers}.items()) + "\r\n"
    with socket.create_connection(house.client.address, timeout=20) as connection:
        connection.sendall(head.encode() + b'{"docs"')
        status = int(connection.recv(65536).split()[1])
    assert status == (403 if "X-User" in headers else 401)


def test_a_body_is_not_asked_for_from_who_may_not_send_it(house):
    house.database("db", members=["ann"])
    for user, wanted in (("eve", b"403"), ("ann", b"100")):
        head = (
            f"PUT /db/a HTTP/1.1\r\nHost: localhost\r\nX-User: {user}\r\nContent-Type: application/json\r\n"
            "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        with socket.create_connection(house.client.address, timeout=20) as connection:
            connection.sendall(head.encode())
            assert connection.recv(65536).split()[1] == wanted


def test_what_is_not_there_is_told_to_members_only(house):
    house.database("db", members=["ann"])
    for path in ("/db/_nothing", "/db/a/b"):
        assert house.ask("eve", "POST", path, {}).status == 403
        assert house.ask("ann", "POST", path, {}).status in (400, 405)
    assert house.ask("eve", "PATCH", "/db", {}).status == 403
    assert house.ask("ann", "PATCH", "/db", {}).status == 405


class Door:
    """Refuses by what the head says, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    @hookimpl(optionalhook=True)
    def pouchdb_http_authorise(self, request, route, database):
        self.asked.append(
            (request.method, None if route is None else route.path, None if database is None else database.short_name)
        )
        if request.headers.get("x-banned"):
            raise Forbidden("banned")

    @hookimpl(optionalhook=True)
    def pouchdb_http_features(self, environment):
        return ["doors"]


def test_hook_http_authorise(call):
    door = Door()
    with pouchdb.setup(":memory:", plugins=["server", door]) as environment, CouchServer(environment) as server:
        client = call(server)
        client.put("/db")
        assert client.get("/db/a", X_Banned="1").json == {"error": "forbidden", "reason": "banned"}
        assert client.get("/db/a").status == 404
        assert client.call("PATCH", "/db").status == 405
        assert client.get("/_nothing", X_Banned="1").status == 404
        assert door.asked == [
            ("PUT", "/", None),
            ("GET", "/", "db"),
            ("GET", "/", "db"),
            ("PATCH", None, "db"),
        ]
        # test_hook_http_features
        assert "doors" in client.get("/").json["features"]
        assert "search" not in client.get("/").json["features"]


def test_a_routes_need_is_one_of_those_there_are():
    handler = lambda request, database: {}  # noqa: E731
    assert Route("server", "GET", "/_a", handler).needs == "server"
    assert Route("database", "GET", "/_a", handler).needs == "member"
    for level, needs in (("database", "reader"), ("document", "writer"), ("server", "admin"), ("server", "member")):
        with pytest.raises(PluginError, match="needs one of"):
            Route(level, "GET", "/_a", handler, needs=needs)


# -- accounts of plug-ins ------------------------------------------------------------------------------


class Accounts:
    """A plug-in with users: names, passwords, roles."""

    def __init__(self):
        self.people = {"ann": ("apple", ("staff",)), "eve": ("pear", ())}

    @hookimpl(optionalhook=True)
    def pouchdb_http_account(self, environment, name):
        if name not in self.people:
            return None
        password, roles = self.people[name]
        return Account(name, roles, Password(password), key=f"salt of {password}")

    @hookimpl(optionalhook=True)
    def pouchdb_http_session_info(self, request):
        return {"authentication_db": "_users", "authentication_handlers": ["cookie", "letters"]}


@pytest.fixture
def accounts(call):
    plugin = Accounts()
    with (
        pouchdb.setup(":memory:", plugins=["server", plugin]) as environment,
        CouchServer(environment, admins={"ada": "secret"}) as server,
    ):
        yield plugin, call(server)


def test_hook_http_account(accounts):
    plugin, client = accounts
    assert client.get("/_session", **basic("ann", "apple")).json["userCtx"] == {"name": "ann", "roles": ["staff"]}
    assert client.get("/_session", **basic("ann", "pear")).status == 401
    answer = client.post("/_session", {"name": "ann", "password": "apple"})
    assert answer.json == {"ok": True, "name": "ann", "roles": ["staff"]}
    cookie = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
    assert "Expires=" in answer.headers["Set-Cookie"]
    session = client.get("/_session", **cookie).json
    assert session["userCtx"] == {"name": "ann", "roles": ["staff"]}
    # test_hook_http_session_info
    assert session["info"] == {
        "authentication_handlers": ["cookie", "default", "letters"],
        "authentication_db": "_users",
        "authenticated": "cookie",
    }
    # Roles are those of now; a changed password ends the session, and what was checked before.
    plugin.people["ann"] = ("apple", ("boss",))
    assert client.get("/_session", **cookie).json["userCtx"]["roles"] == ["boss"]
    plugin.people["ann"] = ("cherry", ())
    assert client.get("/_session", **cookie).json["userCtx"]["name"] is None
    assert client.get("/_session", **basic("ann", "apple")).status == 401
    assert client.get("/_session", **basic("ann", "cherry")).status == 200


def test_the_party_ends_when_an_administrator_is_made(tmp_path, call):
    with pouchdb.setup(tmp_path, plugins=["server"]) as environment, CouchServer(environment) as server:
        client = call(server)
        assert client.put("/db").status == 201
        assert client.put("/_node/_local/_config/admins/ada", '"secret"', JSON).json == ""
        assert client.put("/db2").status == 401
        assert client.put("/db2", headers=ADA).status == 201
        cookie = client.post("/_session", {"name": "ada", "password": "secret"}).headers["Set-Cookie"].partition(";")[0]
        assert client.get("/_session", Cookie=cookie).json["userCtx"]["name"] == "ada"
        assert client.call("PUT", "/_node/_local/_config/admins/ada", '"new"', {**ADA, **JSON}).json == "-hidden-"
        assert client.get("/_session", Cookie=cookie).json["userCtx"]["name"] is None
        new = basic("ada", "new")
        assert client.get("/_node/_local/_config/admins", **new).json == {"ada": "-hidden-"}
        assert client.call("DELETE", "/_node/_local/_config/admins/ada", None, new).status == 403
        assert client.call("PUT", "/_node/_local/_config/admins/bob", '"pwd"', {**new, **JSON}).status == 200
        assert client.call("DELETE", "/_node/_local/_config/admins/ada", None, new).status == 200
        assert client.get("/_all_dbs", **new).status == 401
    # Kept for the next start, as hashes.
    with pouchdb.setup(tmp_path, plugins=["server"]) as environment, CouchServer(environment) as server:
        assert call(server).get("/_active_tasks", **basic("bob", "pwd")).status == 200
        assert [each[:15] for each in administrators(environment).all().values()] == ["-pbkdf2:sha256-"]


# -- S6: guessing --------------------------------------------------------------------------------------


def test_guessing_is_slowed_for_who_guesses(house):
    for _ in range(FREE):
        assert house.client.get("/_all_dbs", **basic("ada", "wrong")).status == 401
    answer = house.client.get("/_all_dbs", **basic("ada", "wrong"))
    assert (answer.status, answer.json["error"]) == (429, "too_many_requests")
    assert int(answer.headers["Retry-After"]) >= 1
    assert house.client.post("/_session", {"name": "ada", "password": "wrong"}).status == 429
    # Nobody else has to wait.
    assert house.client.get("/_session", **basic("bob", "wrong")).status == 401
    assert house.ask("ann", "GET", "/_session").status == 200


def test_the_wait_grows_and_is_forgotten():
    now = [0.0]
    guesses = Guesses(lambda: now[0])
    for _ in range(FREE):
        guesses.attempt("ada", "1.2.3.4")
    waits = []
    for _ in range(8):
        with pytest.raises(TooManyRequests) as refused:
            guesses.attempt("ada", "1.2.3.4")
        waits.append(int(refused.value.details["headers"]["Retry-After"]))
        now[0] += waits[-1]
        guesses.attempt("ada", "1.2.3.4")
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    guesses.attempt("ada", "5.6.7.8")
    guesses.attempt("bob", "1.2.3.4")
    with pytest.raises(TooManyRequests):
        guesses.check("ada", "1.2.3.4")
    guesses.succeeded("ada", "1.2.3.4")
    guesses.check("ada", "1.2.3.4")
    for _ in range(FREE):
        guesses.attempt("ada", "1.2.3.4")
    now[0] += 3600
    guesses.attempt("ada", "1.2.3.4")


def test_names_are_not_told_by_time(environment, monkeypatch):
    """Counted in rounds of hashing, since times are noisy."""
    from pouchdb_server import accounts as module
    from pouchdb_server import passwords
    from pouchdb_server.accounts import Accounts
    from pouchdb_server.settings import Settings

    rounds = []
    real = passwords.hashlib.pbkdf2_hmac

    def counting(digest, password, salt, iterations, *rest):
        rounds.append(iterations)
        return real(digest, password, salt, iterations, *rest)

    slow, quick = passwords.hashed("secret", 1000), passwords.hashed("secret", 10)
    people = Accounts(environment, Settings(admins={"ada": slow, "bob": quick, "cat": "plain"}))
    monkeypatch.setattr(module.hashlib, "pbkdf2_hmac", counting)
    taken = {}
    for name in ("ada", "bob", "cat", "nobody"):
        rounds.clear()
        assert people.check(name, "wrong") is None
        taken[name] = sum(rounds)
    assert set(taken.values()) == {1000}


def test_many_requests_with_one_password_are_one_attempt(environment):
    from concurrent.futures import ThreadPoolExecutor

    from pouchdb_server import passwords
    from pouchdb_server.accounts import Accounts
    from pouchdb_server.settings import Settings

    people = Accounts(environment, Settings(admins={"ada": passwords.hashed("secret", 200_000)}))
    with ThreadPoolExecutor(3 * FREE) as pool:
        found = list(pool.map(lambda n: people.check("ada", "secret", "1.2.3.4"), range(3 * FREE)))
    assert {each and each.name for each in found} == {"ada"}


# -- inner requests ------------------------------------------------------------------------------------


class Leads:
    """``/_lead?to=`` answers what another path answers; ``/_loop`` leads to itself."""

    @hookimpl(optionalhook=True)
    def pouchdb_http_routes(self, environment):
        def lead(request, database):
            query = {name: value for name, value in request.query.items() if name != "to"}
            method = request.headers.get("x-method", "GET")
            return request.server.answer(request.at(method, request.query["to"], query=query, body=request.body))

        def loop(request, database):
            request.server.deepest = max(getattr(request.server, "deepest", 0), request.depth)
            return request.server.answer(request.at("GET", "/_loop"))

        return [
            Route("server", "GET POST", "/_lead", lead, needs="nobody"),
            Route("server", "GET", "/_loop", loop, needs="nobody"),
        ]

    @hookimpl(optionalhook=True)
    def pouchdb_http_middleware(self, environment):
        def around(request, answer):
            response = answer(request)
            return response if request.path == ("_loop",) else response.add("X-Depth", str(request.depth))

        return around


def test_an_inner_request_has_the_users_rights(call):
    with (
        pouchdb.setup(":memory:", plugins=["server", "all_dbs", People(), Leads()]) as environment,
        CouchServer(environment, admins={"ada": "secret"}) as server,
    ):
        house = House(environment, server, call)
        house.database("db", members=["ann"])
        environment["db"].bulk_docs([{"_id": f"{n:05}"} for n in range(12_000)])
        assert house.ask("ann", "GET", "/_lead?to=/db/00001").json["_id"] == "00001"
        assert house.ask("eve", "GET", "/_lead?to=/db/00001").status == 403
        assert house.ask("ann", "GET", "/_lead?to=/_all_dbs").status == 401
        assert house.ask("ann", "GET", "/_lead?to=/nowhere/a").status == 404
        assert house.ask("ann", "GET", "/_lead?to=/db/_all_docs&limit=2").json["rows"][1]["id"] == "00001"
        # A long body streams through both.
        rows = house.ask("ann", "GET", "/_lead?to=/db/_all_docs").json["rows"]
        assert len(rows) == 12_000
        headers = {"X-User": "ann", "X-Method": "PUT", **JSON}
        assert house.client.post("/_lead?to=/db/new", {"x": 1}, headers).status == 201
        answer = house.ask("ann", "GET", "/_lead?to=/db/new")
        assert answer.headers.get_all("X-Depth") == ["1", "0"]
        loop = house.client.get("/_loop")
        assert (loop.status, server.server.service.deepest) == (400, 100)
        assert "100" in loop.json["reason"]
        assert all(held.users == 0 for held in server.server.service.databases._held.values())


def test_no_route_of_any_plugin_lets_strangers_in():
    """Whatever is installed here: what is of a database refuses who is no member, what is of the server everybody."""
    with pouchdb.setup(":memory:") as environment:
        environment["db"].put({"_id": "doc"})
        environment["db"].put_security({"members": {"names": ["ann"]}})
        served = service(environment)
        asked = 0
        added = environment.plugins.manager.hook.pouchdb_http_routes(environment=environment)
        for route in [each for routes in added for each in routes or ()]:
            if route.needs == "nobody":
                continue
            below = {"server": "", "database": "/db", "document": "/db/doc"}[route.level]
            path = below + re.sub(r"{[^}]*}", "x", route.path)
            for method in route.methods.split():
                for user, status in ((UserContext("eve"), (401, 403)), (UserContext(), (401,))):
                    kind = {"Content-Type": "application/json", "Destination": "x"}
                    response = served.answer(served.request(method, path, headers=kind, body=b"{}", user=user))
                    assert response.status in status, (method, path, user)
                    asked += 1
        assert asked > 100
        assert dict(environment["db"].get_security()) == {"members": {"names": ["ann"]}}
        assert environment["db"].info()["doc_count"] == 1
