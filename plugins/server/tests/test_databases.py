"""Databases and the server as a whole."""

from __future__ import annotations

import json
import threading
import time

import pytest
from pouchdb_server.testing import CouchServer

import pouchdb


def test_root(client, environment):
    answer = client.get("/")
    assert answer.body.endswith(b"\n")
    assert answer.json["couchdb"] == "Welcome"
    # PouchDB makes the identity of a remote database of it.
    assert answer.json["uuid"] == environment.uuid
    assert answer.headers["Cache-Control"] == "must-revalidate"
    assert answer.headers["X-Couch-Request-ID"]


def test_info(client):
    client.put("/db/a", {})
    info = client.get("/db").json
    assert info["update_seq"] == 1
    # CouchDB's replicator takes a database without it for missing.
    assert info["instance_start_time"] == "0"
    assert info["doc_count"] == 1
    assert client.call("HEAD", "/db").status == 200
    assert client.call("HEAD", "/db").body == b""
    assert client.get("/db/").json == info


def test_a_database_is_made_by_put_only(client, environment):
    assert client.get("/other").json == {"error": "not_found", "reason": "Database does not exist."}
    assert client.call("HEAD", "/other").status == 404
    assert client.put("/other/doc", {}).status == 404
    assert list(environment) == ["db"]
    answer = client.put("/other?q=8&n=3&partitioned=false")
    assert (answer.status, answer.json) == (201, {"ok": True})
    assert answer.headers["Location"].endswith("/other")
    again = client.put("/other")
    assert (again.status, again.json["error"]) == (412, "file_exists")


@pytest.mark.parametrize("name", ["A", "1", "_own", "a%20b", "..%2Fup", "%2E%2E", "a" * 300, "http:%2F%2Fx", "a%00"])
def test_illegal_names(client, environment, name):
    answer = client.put(f"/{name}")
    assert (answer.status, answer.json["error"]) == (400, "illegal_database_name")
    assert list(environment) == ["db"]


@pytest.mark.parametrize("name", ["a%2Fb", "_users", "_replicator", "a%2Bb-c_$()"])
def test_legal_names(client, environment, name):
    assert client.put(f"/{name}").status == 201
    assert client.get(f"/{name}").json["doc_count"] == 0
    # Documents of a replicator database are replications.
    doc = {"source": "a", "target": "b"} if name == "_replicator" else {"x": 1}
    assert client.put(f"/{name}/doc", doc).status == 201
    assert client.delete(f"/{name}").json == {"ok": True}
    assert list(environment) == ["db"]


def test_destroying(client):
    assert client.delete("/db?rev=1-a").status == 400
    assert client.delete("/db").status == 200
    assert client.delete("/db").status == 404
    assert client.put("/db").status == 201
    assert client.get("/db").json["update_seq"] == 0


def test_a_database_that_somebody_else_destroyed(client, environment):
    environment.destroy("db")
    assert client.get("/db").status == 404
    environment["db"].put({"_id": "new"})
    assert client.get("/db/new").status == 200


@pytest.mark.parametrize("option", ["q=0", "q=x", "n=-1", "partitioned=maybe", "engine=none"])
def test_options_that_nothing_can_mean(client, option):
    assert client.put(f"/other?{option}").status == 400
    assert client.get("/other").status == 404


def test_all_dbs_comes_from_its_plug_in(client, environment):
    client.put("/zoo")
    assert client.get("/_all_dbs").json == ["db", "zoo"]
    assert client.get("/_all_dbs?descending=true&limit=1").json == ["zoo"]
    assert client.get('/_all_dbs?startkey="e"').json == ["zoo"]
    assert client.get('/_all_dbs?key="zoo"').json == ["zoo"]
    environment.reset_all_dbs()
    assert client.get("/_all_dbs").json == []


def test_dbs_info(client):
    both = client.post("/_dbs_info", {"keys": ["db", "none"]}).json
    assert both[0]["info"]["db_name"] == "db"
    assert both[1] == {"key": "none", "error": "not_found"}
    assert [each["key"] for each in client.get("/_dbs_info").json] == ["db"]
    assert client.post("/_dbs_info", {"keys": "db"}).status == 400
    client.put("/other")
    asked = {'startkey="e"': "other", 'end_key="e"': "db", 'descending=true&endkey="e"': "other", 'key="db"': "db"}
    for query, name in asked.items():
        assert [each["key"] for each in client.get(f"/_dbs_info?{query}").json] == [name], query


def test_small_endpoints(client):
    assert client.get("/_up").json == {"status": "ok", "seeds": {}}
    uuids = client.get("/_uuids?count=3").json["uuids"]
    assert len(set(uuids)) == 3
    assert client.get("/_uuids?count=many").status == 400
    assert client.get("/_uuids?count=100000").status == 400
    assert client.get("/_active_tasks").json == []
    assert client.get("/_membership").json["all_nodes"] == ["nonode@nohost"]
    assert client.get("/_cluster_setup").json == {"state": "single_node_enabled"}
    assert client.get("/_scheduler/jobs").json["jobs"] == []
    assert client.get("/_scheduler/docs").json["docs"] == []
    assert client.get("/favicon.ico").status == 204
    assert client.get("/_node/_local").json == {"name": "nonode@nohost"}
    assert client.get("/_node/other").status == 404
    assert client.post("/_node/_local/_restart", {}).status == 403


def test_configuration(client):
    """Shown; administrators are all that can be changed (see test_gate)."""
    shown = client.get("/_node/_local/_config").json
    assert shown["chttpd"] == client.get("/_node/_local/_config/chttpd").json
    assert client.get("/_node/_local/_config/chttpd/enable_cors").json == "false"
    assert client.get("/_node/_local/_config/mine").json == {}
    assert client.get("/_node/_local/_config/mine/key").status == 404
    assert client.put("/_node/_local/_config/mine/key", '"value"', {"Content-Type": "application/json"}).status == 403
    assert client.put("/_node/_local/_config/admins/a:b", '"y"', {"Content-Type": "application/json"}).status == 400


def test_security(client):
    assert client.get("/db/_security").json["members"]["roles"] == ["_admin"]
    mine = {"admins": {"names": ["ada"], "roles": []}, "members": {"names": [], "roles": ["staff"]}}
    assert client.put("/db/_security", mine).json == {"ok": True}
    assert client.get("/db/_security").json == mine
    for wrong in ({"admins": []}, {"members": {"names": "ada"}}, {"members": {"roles": [1]}}):
        assert client.put("/db/_security", wrong).status == 400


def test_limits_and_compaction(client, environment):
    assert client.get("/db/_revs_limit").body == b"1000\n"
    assert client.put("/db/_revs_limit", "5", {"Content-Type": "application/json"}).status == 200
    assert client.get("/db/_revs_limit").json == 5
    assert client.put("/db/_revs_limit", "0", {"Content-Type": "application/json"}).status == 400
    assert client.get("/db/_purged_infos_limit").json == 1000
    assert client.put("/db/_purged_infos_limit", "2", {"Content-Type": "application/json"}).json == {"ok": True}
    assert client.get("/db/_purged_infos_limit").json == 2
    for wrong in ("0", '"2"', "1.5", "[]"):
        assert client.put("/db/_purged_infos_limit", wrong, {"Content-Type": "application/json"}).status == 400
    answer = client.post("/db/_compact", {})
    assert (answer.status, answer.json) == (202, {"ok": True})
    answer = client.post("/db/_ensure_full_commit", {})
    assert (answer.status, answer.json) == (201, {"ok": True, "instance_start_time": "0"})


def test_purge(client):
    rev = client.put("/db/a", {}).json["rev"]
    answer = client.post("/db/_purge", {"a": [rev], "b": ["1-x"]})
    assert answer.status == 201
    assert answer.json == {"purge_seq": 1, "purged": {"a": [rev], "b": []}}
    assert client.get("/db/a").status == 404
    assert client.post("/db/_purge", {"a": rev}).status == 400
    assert client.get("/db/_purged_infos").json == {"purged_infos": [{"id": "a", "revs": [rev]}]}


def test_purges_are_remembered_as_far_as_the_limit_says(client):
    client.put("/db/_purged_infos_limit", "2", {"Content-Type": "application/json"})
    for id in ("a", "b", "c"):
        client.post("/db/_purge", {id: [client.put(f"/db/{id}", {}).json["rev"]]})
    assert [each["id"] for each in client.get("/db/_purged_infos").json["purged_infos"]] == ["b", "c"]


def test_methods_that_are_not_allowed(client):
    answer = client.delete("/db/_all_docs")
    assert (answer.status, answer.json["error"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET,HEAD,POST"
    assert client.call("PATCH", "/db").status == 405
    assert client.call("OPTIONS", "/db/_all_docs").headers["Allow"] == "GET,HEAD,OPTIONS,POST"


def test_updates_of_databases(client):
    start = client.get("/_db_updates").json["last_seq"]
    client.put("/other")
    client.put("/other/doc", {})
    client.delete("/db")
    rows = client.get(f"/_db_updates?since={start}").json["results"]
    assert [(row["db_name"], row["type"]) for row in rows] == [("other", "updated"), ("db", "deleted")]
    lines = client.get("/_db_updates?feed=continuous&timeout=1").rows
    assert lines[-1]["last_seq"] == rows[-1]["seq"]
    assert client.get("/_db_updates?feed=longpoll").json["results"]
    assert client.get("/_db_updates?feed=longpoll&since=now&timeout=1").json["results"] == []
    assert client.get("/_db_updates?feed=sometimes").status == 400


def test_updates_of_databases_as_they_happen(client, server):
    with client.open("GET", "/_db_updates?feed=continuous&since=now&heartbeat=30") as feed:
        assert feed.readline() == b"\n"
        client.put("/db/a", {})
        assert next(line for line in feed if line.strip()).startswith(b'{"db_name":"db","type":"updated"')
    with client.open("GET", "/_db_updates?feed=longpoll&since=now") as feed:
        client.put("/db/b", {})
        assert json.loads(feed.read())["results"][0]["db_name"] == "db"
    with client.open("GET", "/_db_updates?feed=eventsource&since=now&heartbeat=30") as feed:
        assert feed.getheader("Content-Type") == "text/event-stream"
        assert [feed.readline() for _ in range(3)] == [b"event: heartbeat\n", b"data: \n", b"\n"]
        client.delete("/db")
        line = next(line for line in feed if line.startswith(b"data: {"))
        assert json.loads(line.removeprefix(b"data: "))["type"] == "deleted"
        assert feed.readline().startswith(b"id: ")


def test_a_compaction_is_listed_before_it_is_answered(client, environment, monkeypatch):
    """S19: who looked at once was told that it was over."""
    database = environment["db"]
    started, go = threading.Event(), threading.Event()
    adapter = type(database.adapter)
    real = adapter.compact

    def compact(self, *args, **options):
        started.set()
        assert go.wait(20)
        return real(self, *args, **options)

    monkeypatch.setattr(adapter, "compact", compact)
    rev = client.put("/db/a", {"n": 1}).json["rev"]
    client.put(f"/db/a?rev={rev}", {"n": 2})
    assert client.post("/db/_compact", {}).status == 202
    # Whether or not it has begun.
    assert client.get("/db").json["compact_running"] is True
    assert [task["type"] for task in client.get("/_active_tasks").json] == ["database_compaction"]
    assert started.wait(20)
    go.set()
    deadline = time.monotonic() + 20
    while client.get("/db").json["compact_running"]:
        assert time.monotonic() < deadline
    assert client.get(f"/db/a?rev={rev}").status == 404
    assert client.get("/_active_tasks").json == []


def test_an_announced_task_is_taken_over_or_withdrawn(environment):
    database = environment["tasks"]
    names = lambda: [task["name"] for task in database.active_tasks()]  # noqa: E731
    over = database.announce_task("database_compaction")
    assert names() == ["database_compaction"]
    database.compact()
    assert names() == []
    over()
    withdraw = database.announce_task("something")
    assert names() == ["something"]
    withdraw()
    assert names() == []


@pytest.fixture
def two(tmp_path, call):
    """Clients of two servers on one directory, as two processes have them."""
    with (
        pouchdb.setup(tmp_path, plugins=["server", "all_dbs"]) as first,
        pouchdb.setup(tmp_path, plugins=["server", "all_dbs"], durability="normal") as second,
        CouchServer(first) as one,
        CouchServer(second) as other,
    ):
        yield call(one), call(other)


def test_what_one_server_destroys_and_makes_again_the_other_serves(two):
    one, other = two
    for number in range(10):
        assert one.put("/db").status == 201
        assert one.put("/db/doc", {"of": "old"}).status == 201
        assert other.get("/db/doc").json["of"] == "old"
        assert other.delete("/db").status == 200
        if number % 2:
            assert one.get("/db/doc").json == {"error": "not_found", "reason": "Database does not exist."}
            assert one.get("/_all_dbs").json == []
            assert one.put("/db/doc", {}).status == 404
        assert other.put("/db").status == 201
        assert other.put("/db/doc", {"of": "new"}).status == 201
        assert one.get("/db/doc").json["of"] == "new"
        assert one.put("/db/more", {}).status == 201
        assert [row["id"] for row in other.get("/db/_all_docs").json["rows"]] == ["doc", "more"]
        assert one.delete("/db").status == 200
        assert other.get("/db").status == 404


def test_a_replicator_database_that_another_process_made_again(two, tmp_path):
    one, other = two
    replication = {"source": "a", "target": "b", "create_target": True, "user_ctx": {"roles": ["_admin"]}}
    for name in ("/_replicator", "/a"):
        one.put(name)
    for number in range(3):
        one.put(f"/a/{number}", {})
        assert other.put("/_replicator/doc", replication).status == 201
        since = 0
        while one.get("/_replicator/doc").json.get("_replication_state") != "completed":
            told = one.get(f"/_replicator/_changes?feed=longpoll&timeout=20000&since={since}").json
            assert told["results"]
            since = told["last_seq"]
        assert len(one.get("/b/_all_docs").json["rows"]) == number + 1
        other.delete("/_replicator")
        assert other.put("/_replicator").status == 201
