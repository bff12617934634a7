"""What the server adds to a replication document and refuses when it is saved, as couch_replicator_docs does."""

from __future__ import annotations

import base64

import pytest

import pouchdb
from pouchdb_core.errors import Forbidden
from pouchdb_core.requests import UserContext

ADA, EVE = UserContext("ada", ("_admin",)), UserContext("eve", ("staff",))
PARTY, REPLICATOR = UserContext(None, ("_admin",)), UserContext("joe", ("_admin", "_replicator"))
MISSING = object()


@pytest.fixture
def environment():
    with pouchdb.setup(":memory:", plugins=["server", "find"]) as environment:
        yield environment


def of(**doc):
    return {"_id": "r", "source": "source", "target": "target", **doc}


def written(environment, user, **doc):
    database = environment["_replicator"]
    (database if user is None else database.as_user(user)).put(of(**doc))
    return database.get("r").get("owner", MISSING)


MINE = {"name": "eve", "roles": []}


@pytest.mark.parametrize(
    ("user", "doc", "owner"),
    [
        (ADA, {}, "ada"),
        (ADA, {"user_ctx": {"name": "eve", "roles": []}}, "ada"),
        (ADA, {"owner": "eve"}, "eve"),
        (ADA, {"owner": None}, "ada"),
        (EVE, {"user_ctx": MINE}, "eve"),
        (EVE, {"user_ctx": MINE, "owner": "eve"}, "eve"),
        (PARTY, {}, None),
        (REPLICATOR, {}, MISSING),
        (None, {}, MISSING),
    ],
)
def test_who_writes_a_document_owns_it(environment, user, doc, owner):
    assert written(environment, user, **doc) == owner


@pytest.mark.parametrize("owner", ["ada", None, 5])
def test_nobody_gives_a_document_to_another(environment, owner):
    with pytest.raises(Forbidden):
        environment["_replicator"].as_user(EVE).put(of(user_ctx=MINE, owner=owner))


def test_the_owner_stays(environment):
    database = environment["_replicator"]
    assert written(environment, EVE, user_ctx=MINE) == "eve"
    for user in (EVE, ADA, REPLICATOR):
        mine = database.as_user(user)
        mine.put({**mine.get("r"), "continuous": True})
        assert database.get("r").owner == "eve"


def test_all_documents_of_a_call_are_owned(environment):
    answers = environment["_replicator"].as_user(ADA).bulk_docs([of(_id="a"), of(_id="b", owner="eve"), of(_id=None)])
    assert [answer.get("ok", False) for answer in answers] == [True, True, False]
    assert [environment["_replicator"].get(id).owner for id in "ab"] == ["ada", "eve"]


def test_what_is_no_replication_has_no_owner(environment):
    for name, id in (("_replicator", "_design/d"), ("_replicator", "_local/l"), ("other", "r")):
        database = environment[name]
        database.as_user(ADA).put({"_id": id})
        assert "owner" not in database.get(id)


def test_a_revision_that_exists_stays_as_it_is(environment):
    database = environment["_replicator"]
    database.as_user(ADA).bulk_docs([of(_rev="1-abc")], new_edits=False)
    assert "owner" not in database.get("r")


def test_it_is_so_over_http(environment, serve, call):
    client = call(serve(admins={"ada": "secret"}))
    headers = {"Authorization": "Basic " + base64.b64encode(b"ada:secret").decode()}
    assert client.call("PUT", "/_replicator", headers=headers).status in (201, 412)
    nowhere = {"source": "http://127.0.0.1:1/a", "target": "target"}
    assert client.call("PUT", "/_replicator/r", nowhere, headers).status == 201
    assert client.call("GET", "/_replicator/r", None, headers).json["owner"] == "ada"
    wrong = client.call("PUT", "/_replicator/s", {**nowhere, "selector": {"a": {"$nope": 1}}}, headers)
    assert (wrong.status, wrong.json["error"]) == (403, "forbidden")
    assert "Invalid operator: $nope" in wrong.json["reason"]


@pytest.mark.parametrize(
    "selector",
    [
        {"a": {"$nope": 1}},
        {"$nope": []},
        {"$and": [{"a": 1}, {"b": {"$not": {"$nope": 1}}}]},
        {"a": {"$in": 1}},
        {"a": {"$regex": "["}},
        {"$gt": 1},
    ],
)
def test_what_is_no_selector_is_refused_when_it_is_saved(environment, selector):
    for user in (None, ADA):
        with pytest.raises(Forbidden):
            written(environment, user, selector=selector)
    assert environment["_replicator"].info()["doc_count"] == 0


@pytest.mark.parametrize("selector", [{}, {"a": 1}, {"$or": [{"a": {"$gt": 1}}, {"b.c": {"$exists": False}}]}])
def test_selectors_are_saved(environment, selector):
    assert written(environment, ADA, selector=selector) == "ada"
    assert environment["_replicator"].get("r").selector == selector


def test_without_selectors_it_is_checked_when_it_is_used():
    with pouchdb.setup(":memory:", plugins=["server"]) as environment:
        assert written(environment, None, selector={"a": {"$nope": 1}}) is MISSING
