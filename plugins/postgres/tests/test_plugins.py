"""What couchapp and auth promise, where the documents are in PostgreSQL: the same answers, on every host."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import Conflict, Forbidden, NotFound, PouchDBError, Unauthorized

USER = "org.couchdb.user:"

# -- couchapp --------------------------------------------------------------------------------------------------

DOCUMENTS = [
    {"_id": "tea", "price": 3, "sold": 0, "_attachments": {"a": {"content_type": "text/plain", "data": "aGk="}}},
    {"_id": "coffee", "price": 4, "sold": 0},
    {"_id": "nul\0\1", "price": 5, "text": "a\0b"},
    {"_id": "long" * 800, "price": 6},
]
DESIGN = {
    "_id": "_design/shop",
    "views": {
        "by_price": {"map": "function (doc) { emit(doc.price, doc._id); }"},
        "sum": {"map": "function (doc) { emit(doc.price % 2, doc.price); }", "reduce": "_sum"},
        "lib": {"names": "exports.plural = function (name) { return name + 's'; };"},
    },
    "shows": {
        "page": """function (doc, req) {
            provides("html", function () { return "<h1>" + (doc ? doc._id : "nothing, " + req.id) + "</h1>"; });
            provides("json", function () { return {json: {name: doc._id, price: doc.price, db: req.info.doc_count}}; });
        }""",
        "plural": "function (doc) { return require('views/lib/names').plural(doc._id); }",
        "throws": "function () { throw {forbidden: 'not today'}; }",
    },
    "lists": {
        "csv": """function (head, req) {
            start({headers: {"Content-Type": "text/csv"}});
            var row; while ((row = getRow())) { send(row.id + "," + row.key + "\\n"); }
        }""",
        "docs": """function () {
            var row; while ((row = getRow())) { send((row.doc ? row.doc.price : JSON.stringify(row)) + ";"); }
        }""",
    },
    "updates": {
        "sell": """function (doc, req) {
            if (!doc) { return [{_id: req.id || req.uuid, sold: 1, by: req.method}, "made"]; }
            doc.sold += 1;
            return [doc, {code: 201, body: doc._id + " sold " + doc.sold}];
        }""",
        "nothing": "function (doc) { return [null, 'kept ' + doc.price]; }",
    },
    "validate_doc_update": "function (doc) { if (doc.sold > 2) throw {forbidden: 'sold out'}; }",
    "rewrites": [
        {"from": "/prices/csv", "to": "_list/csv/by_price"},
        {"from": "/cheap/:most", "to": "_list/csv/by_price", "query": {"endkey": ":most"}, "formats": {"most": "int"}},
        {"from": "/doc/:id", "to": "../../:id"},
        {"from": "/file", "to": "../../tea/a"},
        {"from": "/all", "to": "../../_all_docs", "query": {"limit": "2"}},
        {"from": "/sell/:name", "to": "_update/sell/:name", "method": "POST"},
        {"from": "/:name", "to": "_show/page/:name"},
    ],
}
CALLS: dict[str, Callable[[Any], Any]] = {
    "show": lambda db: db.show("shop/page/tea"),
    "show as JSON": lambda db: db.show("shop/page/tea", headers={"Accept": "application/json"}),
    "show nothing": lambda db: db.show("shop/page/missing"),
    "show an id with NUL": lambda db: db.show("shop/page/nul\0\1").body,
    "show a long id": lambda db: db.show("shop/page/" + "long" * 800).body,
    "show with a module": lambda db: db.show("shop/plural/tea").body,
    "show that throws": lambda db: db.show("shop/throws/tea"),
    "list": lambda db: db.list("shop/csv/by_price"),
    "list a range": lambda db: db.list("shop/csv/by_price", query={"startkey": 4, "descending": False}).body,
    "list groups": lambda db: db.list("shop/csv/sum", query={"group": True}).body,
    "list documents": lambda db: db.list("shop/docs/by_price", query={"include_docs": True}).body,
    "list all documents": lambda db: db.list("shop/csv/_all_docs", query={"limit": 3}).body,
    "list of a missing view": lambda db: db.list("shop/csv/missing"),
    "update": lambda db: db.update("shop/sell/coffee", method="POST"),
    "update again": lambda db: db.update("shop/sell/coffee", withValidation=True).body,
    "update refused": lambda db: db.update("shop/sell/coffee", withValidation=True),
    "what was updated": lambda db: {**db.get("coffee"), "_rev": db.get("coffee")["_rev"][:2]},
    "update nothing": lambda db: db.update("shop/nothing/tea").body,
    "update that makes": lambda db: (db.update("shop/sell/new", method="PUT").body, db.get("new")["by"]),
    "update that conflicts": lambda db: db.put({"_id": "new"}),
    "rewrite to a list": lambda db: db.rewrite("shop/prices/csv").body,
    "rewrite with a format": lambda db: db.rewrite("shop/cheap/4").body,
    "rewrite to a document": lambda db: db.rewrite("shop/doc/tea")["price"],
    "rewrite to an attachment": lambda db: db.rewrite("shop/file"),
    "rewrite to a listing": lambda db: [row["id"] for row in db.rewrite("shop/all")["rows"]],
    "rewrite to an update": lambda db: db.rewrite("shop/sell/tea", method="POST").body,
    "rewrite to a show": lambda db: db.rewrite("shop/tea").body,
    "where a rewrite leads": lambda db: db.rewrite_result_request_object("shop/cheap/4")["path"],
}


def answers(db: Any) -> dict[str, Any]:
    db.bulk_docs(DOCUMENTS)
    db.put(DESIGN)
    found = {}
    for name, call in CALLS.items():
        try:
            found[name] = call(db)
        except PouchDBError as error:
            found[name] = (error.status, error.name, error.message)
    return found


def test_functions_of_design_documents_answer_as_on_sqlite(url: str, open_place: Callable[..., Any]) -> None:
    here = open_place(url, "couchapp", "validation")
    with pouchdb.setup(":memory:", plugins=["couchapp", "validation"]) as there:
        wanted = answers(there["shop"])
    found = answers(here["shop"])
    for name, answer in wanted.items():
        assert found[name] == answer, name
    assert found["list a range"] == "coffee,4\nnul\0\1,5\n" + "long" * 800 + ",6\n"
    assert found["update refused"] == (403, "forbidden", "sold out")
    assert found["what was updated"]["sold"] == 2
    # Another host has what the updates stored, and runs the same functions.
    other = open_place(url, "couchapp", "validation")["shop"]
    assert other.update("shop/sell/new").body == "new sold 2"
    assert here["shop"].show("shop/page/new").body == "<h1>new</h1>"
    assert here["shop"].integrity_check() == []


# -- auth ------------------------------------------------------------------------------------------------------


@pytest.fixture
def hosts(url: str, open_place: Callable[..., Any]) -> tuple[Any, Any]:
    places = open_place(url, "auth"), open_place(url, "auth")
    for place in places:
        place.auth_settings(iterations=10)
    return places


def test_users_log_in_at_any_host(hosts: tuple[Any, Any]) -> None:
    one, other = hosts
    db, there = one["notes"], other["notes"]
    assert db.signup("ada", "secret", metadata={"mail": "a"}, roles=["editor"]).id == USER + "ada"
    with pytest.raises(Conflict):
        there.signup("ada", "other")
    stored = other["_users"].get(USER + "ada")
    assert stored["type"] == "user"
    assert "secret" not in str(stored)
    assert there.login("ada", "secret") == {"ok": True, "name": "ada", "roles": ["editor"]}
    assert there.get_session().userCtx == {"name": "ada", "roles": ["editor"]}
    # A login is of a host's program.
    assert db.get_session().userCtx == {"name": None, "roles": ["_admin"]}
    assert there.logout().ok
    db.put_user("ada", metadata={"mail": "b"}, roles=["chief"])
    assert there.get_user("ada").mail == "b"
    db.change_password("ada", "new")
    with pytest.raises(Unauthorized):
        there.login("ada", "secret")
    assert there.login("ada", "new").roles == ["chief"]
    there.logout()
    assert there.change_username("ada", "ann").ok
    with pytest.raises(NotFound):
        db.get_user("ada")
    assert db.login("ann", "new").ok
    db.logout()
    assert db.delete_user("ann").ok
    with pytest.raises(Unauthorized):
        there.login("ann", "new")


def test_rights_are_those_of_the_database_on_every_host(hosts: tuple[Any, Any]) -> None:
    one, other = hosts
    one["notes"].put({"_id": "plan"})
    one["notes"].put_security({"admins": {"names": ["ada"], "roles": []}, "members": {"names": [], "roles": ["staff"]}})
    for name, roles in (("ada", []), ("bob", ["staff"]), ("eve", [])):
        one["notes"].signup(name, "pw", roles=roles)
    db = other["notes"]
    db.login("ada", "pw")
    assert db.put({"_id": "_design/d", "views": {"v": {"map": "function (doc) { emit(1); }"}}}).ok
    db.login("bob", "pw")
    assert [row.id for row in db.query("d/v").rows] == ["plan"]
    with pytest.raises(Forbidden, match="not a db or server admin"):
        db.put({"_id": "_design/other"})
    db.login("eve", "pw")
    for call in (lambda: db.get("plan"), lambda: db.put({"_id": "x"}), lambda: db.changes(), lambda: db.query("d/v")):
        with pytest.raises(PouchDBError, match="not authorized to access this db"):
            call()
    # In _users everybody has the own document alone.
    users = other["_users"]
    assert users.get(USER + "eve")["name"] == "eve"
    with pytest.raises(NotFound):
        users.get(USER + "bob")
    with pytest.raises(Forbidden):
        users.put({**users.get(USER + "eve"), "roles": ["staff"]})
    db.logout()
    # Roles that an administrator gives count at once, at the host where somebody is logged in.
    db.login("eve", "pw")
    one["notes"].put_user("eve", roles=["staff"])
    assert db.get("plan")["_id"] == "plan"
    db.logout()


def test_administrators_and_sessions(hosts: tuple[Any, Any]) -> None:
    db, there = (place["notes"] for place in hosts)
    db.signup("ada", "pw", roles=["editor"])
    answer = db.multi_user_log_in("ada", "pw")
    assert db.user is None
    assert db.multi_user_session(answer.sessionID).userCtx == {"name": "ada", "roles": ["editor"]}
    anonymous = {"name": None, "roles": []}
    assert db.multi_user_session(answer.sessionID, timeout=-1).userCtx == anonymous
    # The end of a session is another password, wherever it is set.
    there.change_password("ada", "new")
    assert db.multi_user_session(answer.sessionID).userCtx == anonymous


@pytest.fixture
def served(url: str, open_place: Callable[..., Any]) -> Iterator[Any]:
    """Two servers of one place."""
    pytest.importorskip("pouchdb_server", reason="the server is a plug-in of its own")
    from pouchdb_server.testing import couch_server

    places = open_place(url, "server", "auth"), open_place(url, "server", "auth")
    places[0].auth_settings(iterations=10)
    # Otherwise it is its administrators' alone, as CouchDB's.
    places[0]["_users"].put_security({"admins": {"names": [], "roles": ["_admin"]}, "members": {}})
    options = {"admins": {"root": "secret"}, "secret": "0123456789abcdef"}
    with couch_server(places[0], **options) as one, couch_server(places[1], **options) as other:
        yield one, other


def test_a_user_of_one_server_has_a_session_at_the_other(served: Any) -> None:
    import urllib3

    one, other = served
    http = urllib3.PoolManager()

    def ask(server: Any, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return http.request(method, server.url + path, json=body, headers=headers or None, retries=False)

    root = {"Authorization": "Basic " + base64.b64encode(b"root:secret").decode()}
    doc = {"_id": USER + "ada", "name": "ada", "type": "user", "roles": ["staff"], "password": "pw"}
    assert ask(one, "PUT", "/notes", **root).status == 201
    assert ask(one, "PUT", f"/_users/{USER}ada", doc, **root).status == 201
    assert ask(one, "PUT", "/notes/_security", {"members": {"roles": ["staff"]}}, **root).status == 200
    assert ask(other, "GET", "/notes").status == 401
    login = ask(one, "POST", "/_session", {"name": "ada", "password": "pw"})
    assert (login.status, login.json()["roles"]) == (200, ["staff"])
    cookie = {"Cookie": login.headers["Set-Cookie"].partition(";")[0]}
    for server in (one, other):
        assert ask(server, "GET", "/_session", **cookie).json()["userCtx"] == {"name": "ada", "roles": ["staff"]}
        assert ask(server, "PUT", f"/notes/at-{server.url[-5:]}", {}, **cookie).status == 201
        assert ask(server, "PUT", "/notes/_design/d", {}, **cookie).status == 403
    user = ask(other, "GET", f"/_users/{USER}ada", **cookie).json()
    assert user["name"] == "ada"
    assert ask(other, "GET", "/_users/_all_docs", **cookie).status in (401, 403)
    assert ask(other, "PUT", f"/_users/{USER}ada", {**user, "password": "new"}, **cookie).status == 201
    # The cookie was of the old password.
    for server in (one, other):
        assert ask(server, "GET", "/_session", **cookie).json()["userCtx"]["name"] is None
        assert ask(server, "POST", "/_session", {"name": "ada", "password": "pw"}).status == 401
    http.clear()
