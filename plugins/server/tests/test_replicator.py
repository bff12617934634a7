"""The ``_replicator`` database: documents that are replications, and the supervisor that runs them."""

from __future__ import annotations

import base64
import json
import logging
import random
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from pouchdb_server import create_app
from pouchdb_server.replicator.definition import FINAL
from pouchdb_server.replicator.job import backoff
from pouchdb_server.replicator.lock import Lock
from pouchdb_server.replicator.seat import SEAT
from pouchdb_server.replicator.supervisor import Clocks
from pouchdb_server.testing import CouchServer

import pouchdb
from pouchdb_core.errors import BadRequest, Conflict

PATIENCE = 60
"""Seconds to wait for what takes milliseconds."""


class Time:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.at = 1000.0

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.at, lambda: 1_700_000_000 + self.at)


class Replicator:
    """A server with its supervisor, under a clock of ours."""

    def __init__(self, environment, call, **settings) -> None:
        self.environment, self.time = environment, Time()
        self.server = CouchServer(environment, **settings)
        self.server.server.clocks = self.time.clocks()
        self.server.start()
        self.client = call(self.server)
        environment["_replicator"]
        environment["source"].bulk_docs([{"_id": f"doc{n}"} for n in range(3)])

    @property
    def supervisor(self):
        return self.environment.state(SEAT).supervisor("")

    def put(self, id: str, **doc) -> None:
        doc = {"source": "source", "target": "target", "create_target": True, **doc}
        answer = self.client.put(f"/_replicator/{id}", doc)
        assert answer.status == 201, answer.json

    def doc(self, id: str, db: str = "_replicator"):
        return self.client.get(f"/_scheduler/docs/{db}/{id}").json

    def state(self, id: str, *states: str, error_count: int | None = None, **info: object):
        """Wait until a document is in one of these states; return its row."""
        found = []

        def there() -> bool:
            row = self.supervisor.doc("_replicator", id) or {"state": "gone"}
            found[:] = [row]
            known = row.get("info") or {}
            return (
                row["state"] in states
                and error_count in (None, row.get("error_count"))
                and all(known.get(name) == value for name, value in info.items())
            )

        assert self.supervisor.wait_for(there, PATIENCE), found
        return found[0]

    def advance(self, seconds: float) -> None:
        self.time.at += seconds
        self.supervisor.wake()


@pytest.fixture
def replicator(environment, call):
    running = []

    def start(**settings) -> Replicator:
        running.append(Replicator(environment, call, **settings))
        return running[-1]

    yield start
    for each in running:
        each.server.stop()


@pytest.fixture
def one(replicator) -> Replicator:
    return replicator()


def arrives(database, id: str) -> None:
    """Wait until a document is there."""
    feed = database.live_changes(since=0, doc_ids=[id])
    try:
        assert next(iter(feed)).id == id
    finally:
        feed.cancel()


# -- from a document to its end ----------------------------------------------------------------------


def test_a_document_is_a_replication(one):
    one.put("once")
    row = one.state("once", "completed")
    assert len(one.environment["target"]) == 3
    doc = one.client.get("/_replicator/once").json
    assert doc["_replication_state"] == "completed"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", doc["_replication_state_time"])
    assert re.fullmatch(r"[0-9a-f]{32}\+create_target", doc["_replication_id"])
    assert doc["_replication_stats"]["docs_written"] == 3
    assert row["info"]["docs_written"] == 3
    assert {key: row[key] for key in ("database", "doc_id", "source", "target", "node", "error_count")} == {
        "database": "_replicator",
        "doc_id": "once",
        "source": "source",
        "target": "target",
        "node": "nonode@nohost",
        "error_count": 0,
    }


def test_it_is_done_once(one):
    one.put("once")
    one.state("once", "completed")
    starts = one.supervisor.starts
    doc = one.client.get("/_replicator/once").json
    one.client.put("/_replicator/once", {**doc, "comment": "still done"})
    one.put("other", target="other")
    one.state("other", "completed")
    assert one.supervisor.starts == starts + 1
    # Without its state it is run again.
    doc = one.client.get("/_replicator/once").json
    one.environment["source"].put({"_id": "later"})
    again = {key: value for key, value in doc.items() if not key.startswith("_replication_")}
    assert one.client.put("/_replicator/once", again).status == 201
    one.state("once", "completed", docs_written=1)


def test_continuous(one):
    one.put("live", continuous=True)
    row = one.state("live", "running", docs_written=3)
    assert row["id"].endswith("+continuous+create_target")
    one.environment["source"].put({"_id": "later"})
    arrives(one.environment["target"], "later")
    jobs = one.client.get("/_scheduler/jobs").json
    (job,) = jobs["jobs"]
    assert jobs["total_rows"] == 1
    assert [each["type"] for each in job["history"]] == ["started", "added"]
    assert job["database"], job["doc_id"] == ("_replicator", "live")
    assert set(job) == {
        "database", "id", "pid", "source", "target", "user", "doc_id", "info", "history", "node", "start_time"
    }  # fmt: skip
    assert one.client.get(f"/_scheduler/jobs/{job['id']}").status == 200
    assert one.client.get("/_scheduler/jobs/none").status == 404
    # A running replication leaves no mark in its document.
    assert "_replication_state" not in one.client.get("/_replicator/live").json


def test_removing_the_document_stops_it(one):
    one.put("live", continuous=True)
    one.state("live", "running", docs_written=3)
    (running,) = one.environment.engine.live
    rev = one.client.get("/_replicator/live").json["_rev"]
    assert one.client.delete(f"/_replicator/live?rev={rev}").status == 200
    assert running.wait(PATIENCE)["status"] == "cancelled"
    assert one.client.get("/_scheduler/docs").json["docs"] == []
    assert one.client.get("/_scheduler/docs/_replicator/live").status == 404


def test_an_edit_starts_it_anew(one):
    one.put("live", continuous=True)
    one.state("live", "running", docs_written=3)
    (before,) = one.environment.engine.live
    doc = one.client.get("/_replicator/live").json
    rev = one.client.put("/_replicator/live", {**doc, "comment": "says nothing new"}).json["rev"]
    one.client.put("/_replicator/live", {**doc, "_rev": rev, "target": "elsewhere"})
    assert before.wait(PATIENCE)["status"] == "cancelled"
    one.state("live", "running", docs_written=3)
    assert len(one.environment["elsewhere"]) == 3
    assert one.supervisor.starts == 2


def test_removing_the_database_stops_all(one):
    one.put("live", continuous=True)
    one.state("live", "running", docs_written=3)
    (running,) = one.environment.engine.live
    assert one.client.delete("/_replicator").status == 200
    assert running.wait(PATIENCE)["status"] == "cancelled"
    assert one.client.get("/_scheduler/docs").json["total_rows"] == 0
    assert one.client.put("/_replicator").status == 201
    one.put("once", target="other")
    one.state("once", "completed")


def test_a_database_that_goes_away_under_it(one):
    one.put("live", continuous=True)
    one.state("live", "running", docs_written=3)
    assert one.client.delete("/target").status == 200
    assert "closed" in one.state("live", "crashing", error_count=1)["info"]["error"]
    one.advance(30)
    one.state("live", "running", docs_written=3)
    assert len(one.environment["target"]) == 3
    assert one.client.delete("/source").status == 200
    one.state("live", "crashing", error_count=2)
    one.advance(60)
    assert "could not open source" in one.state("live", "crashing", error_count=3)["info"]["error"]


def test_a_database_that_another_process_made(one, tmp_path, call):
    """It is found when somebody asks for it here."""
    with pouchdb.setup(tmp_path) as environment, CouchServer(environment) as server:
        client = call(server)
        assert client.get("/_scheduler/docs").json["docs"] == []
        program = f"import pouchdb; pouchdb.setup({str(tmp_path)!r}, plugins=[])['_replicator'].put("
        program += "{'_id': 'self', 'source': 'none', 'target': 'none'})"
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
        assert client.get("/_replicator").status == 200
        supervisor = environment.state(SEAT).supervisor("")
        assert supervisor.wait_for(lambda: supervisor.counts() == {"crashing": 1}, PATIENCE)


def test_other_replicator_databases(one):
    assert one.client.put("/team%2F_replicator").status == 201
    doc = {"source": "source", "target": "target", "create_target": True}
    assert one.client.put("/team%2F_replicator/a%2Fb", doc).status == 201
    assert one.supervisor.wait_for(
        lambda: (one.supervisor.doc("team/_replicator", "a/b") or {}).get("state") == "completed", PATIENCE
    )
    for path in ("team%2F_replicator/a%2Fb", "team/_replicator/a/b"):
        assert one.client.get(f"/_scheduler/docs/{path}").json["doc_id"] == "a/b"
    assert one.client.get("/_scheduler/docs/team%2F_replicator").json["total_rows"] == 1
    assert one.client.get("/_scheduler/docs/_replicator").json["total_rows"] == 0
    for path in ("none/_replicator", "nonsense", "_replicator/none"):
        assert one.client.get(f"/_scheduler/docs/{path}").status == 404


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"doc_ids": ["doc1", "none"]}, ["doc1"]),
        ({"filter": "d/f", "query_params": {"id": "doc0"}}, ["doc0"]),
        ({"since_seq": 2}, ["_design/d", "doc2"]),
        ({"use_checkpoints": False, "winning_revs_only": True}, ["_design/d", "doc0", "doc1", "doc2"]),
    ],
    ids=["doc_ids", "filter", "since_seq", "no checkpoints"],
)
def test_options(one, options, found):
    source = one.environment["source"]
    source.put({"_id": "_design/d", "filters": {"f": "function (doc, req) { return doc._id === req.query.id; }"}})
    one.put("some", **options)
    one.state("some", "completed")
    assert sorted(row.id for row in one.environment["target"].all_docs().rows) == found


def test_to_and_from_another_server(one, call):
    """With names, passwords and headers that are used and never shown."""
    secret = "p:ss/wörd@"
    with CouchServer(admins={"ada": secret}) as far:
        far.environment["far"].bulk_docs([{"_id": "there"}])
        basic = {"basic": {"username": "ada", "password": secret}}
        header = "Basic " + base64.b64encode(f"ada:{secret}".encode()).decode()
        one.put("pull", source={"url": f"{far.url}/far", "auth": basic}, target="near")
        url = far.url.replace("://", "://ada:p%3Ass%2Fw%C3%B6rd%40@")
        one.put("push", target=f"{url}/made", continuous=True)
        one.put("header", target={"url": f"{far.url}/by-header", "headers": {"Authorization": header}})
        for id in ("pull", "header"):
            one.state(id, "completed")
        one.state("push", "running", docs_written=3)
        assert "there" in one.environment["near"]
        assert {"made", "by-header"} <= set(far.environment)
        for path in ("/_scheduler/docs", "/_scheduler/jobs", "/_active_tasks"):
            text = one.client.get(path).body.decode()
            assert "ada:" not in text
            assert "p%3Ass" not in text
            assert secret not in text
            assert header not in text
        assert one.doc("pull")["source"] == f"{far.url}/far/" or one.doc("pull")["source"] == f"{far.url}/far"


# -- trouble -----------------------------------------------------------------------------------------


def test_back_off():
    assert [backoff(n) for n in (1, 2, 3)] == [30, 60, 120]
    assert backoff(11) == backoff(10_000) == 30 * 2**10


def test_a_crash_is_tried_again_later_and_later(one, caplog):
    one.put("late", source="later", target="target")
    row = one.state("late", "crashing", error_count=1)
    assert row["info"] == {"error": "db_not_found: could not open later: Database does not exist."}
    assert (one.doc("late")["state"], one.supervisor.starts) == ("crashing", 1)
    one.advance(29)
    one.state("late", "crashing", error_count=1)
    one.advance(1)
    one.state("late", "crashing", error_count=2)
    one.advance(59)
    one.state("late", "crashing", error_count=2)
    assert one.supervisor.starts == 2
    one.environment["later"].put({"_id": "found"})
    one.advance(1)
    one.state("late", "completed")
    assert "found" in one.environment["target"]
    history = [each.message for each in caplog.records if each.name == "pouchdb.server.replicator"]
    assert len(history) == 2


def test_what_ran_for_long_begins_with_the_shortest_wait(one):
    with CouchServer() as far:
        far.environment["far"].put({"_id": "there"})
        one.put("live", source=f"{far.url}/far", continuous=True)
        one.state("live", "running", docs_written=1)
        # Twice in a row it fails at once.
        far.fail(503, times=None)
        far.server.stop()
        one.state("live", "crashing", error_count=1)
        one.advance(30)
        one.state("live", "crashing", error_count=2)
    with CouchServer(port=far.port) as again:
        again.environment["far"].put({"_id": "there"})
        one.advance(60)
        one.state("live", "running")
        one.supervisor.wait_for(lambda: one.supervisor.doc("_replicator", "live")["info"] is not None, PATIENCE)
        assert one.doc("live")["error_count"] == 2
        one.advance(120)
        assert one.state("live", "running")["error_count"] == 0
        again.server.stop()
        one.state("live", "crashing", error_count=1)
        kinds = [each["type"] for each in one.client.get("/_scheduler/jobs").json["jobs"][0]["history"]]
        assert kinds[:4] == ["crashed", "started", "crashed", "started"]


def test_a_filter_that_is_not_there(one):
    """Which replication it is cannot be told without it."""
    one.put("filtered", filter="d/f")
    assert one.state("filtered", "error")["info"]["error"].startswith("not_found")
    assert one.client.get("/_scheduler/jobs").json["jobs"] == []
    one.environment["source"].put({"_id": "_design/d", "filters": {"g": "function () { return true; }"}})
    one.advance(30)
    assert "no filter 'f'" in one.state("filtered", "error", error_count=2)["info"]["error"]
    ddoc = one.environment["source"].get("_design/d")
    one.environment["source"].put({**ddoc, "filters": {"f": "function () { return true; }"}})
    one.advance(60)
    one.state("filtered", "completed")


def test_two_documents_of_one_replication(one):
    one.put("first", continuous=True)
    one.state("first", "running", docs_written=3)
    one.put("second", continuous=True, comment="the same")
    row = one.state("second", "failed")
    assert "specified by document `second` already started, triggered by document `first`" in row["info"]["error"]
    doc = one.client.get("/_replicator/second").json
    assert doc["_replication_state"] == "failed"
    assert doc["_replication_state_reason"] == row["info"]["error"]
    # Not the same: it ends.
    one.put("third")
    one.state("third", "completed")


def test_what_came_without_being_checked(tmp_path, call):
    """A program without this plug-in may have written anything."""
    with pouchdb.setup(tmp_path, plugins=[]) as program:
        program["_replicator"].put({"_id": "odd", "source": 1})
    with pouchdb.setup(tmp_path) as environment:
        one = Replicator(environment, call)
        assert "`source` property must exist" in one.state("odd", "failed")["info"]["error"]
        assert one.client.get("/_replicator/odd").json["_replication_state"] == "failed"
        one.server.stop()


def test_one_process_runs_them(tmp_path, call):
    """Of several that serve a directory; when it ends another one goes on."""
    with pouchdb.setup(tmp_path) as environment:
        one = Replicator(environment, call)
        one.put("once")
        one.state("once", "completed")
        other = Lock(environment.plugin_directory("server") / "replicator.lock")
        assert not other.acquire()
        one.server.stop()
        assert other.acquire()
        one = Replicator(environment, call)
        one.put("live", target="elsewhere", continuous=True)
        assert not one.supervisor.wait_for(lambda: one.supervisor.starts > 0, 0.2)
        other.release()
        one.supervisor.wake()
        one.state("live", "running", docs_written=3)
        one.server.stop()


@pytest.mark.parametrize(
    ("doc", "why"),
    [
        ({}, "`source` property must exist"),
        ({"source": 1, "target": "t"}, "`source` property must exist"),
        ({"source": "s", "target": None}, "`target` property must exist"),
        ({"source": {"url": ""}, "target": "t"}, "url property must exist in the `source`"),
        ({"source": {"url": "s", "headers": {"A": "b"}}, "target": "t"}, "neither headers nor auth"),
        ({"source": {"url": "http://h/s", "auth": 1}, "target": "t"}, "source.auth"),
        ({"source": {"url": "http://h/s", "auth": {"basic": {"username": "a"}}}, "target": "t"}, "source.auth"),
        ({"source": {"url": "http://h/s", "headers": {"A": "b\r\nC: d"}}, "target": "t"}, "source.headers"),
        ({"source": "ftp://h/s", "target": "t"}, "source"),
        ({"source": "http://", "target": "t"}, "source"),
        ({"source": "s", "target": "t", "continuous": "yes"}, "`continuous` field must be a boolean"),
        ({"source": "s", "target": "t", "create_target": 1}, "`create_target` field must be a boolean"),
        ({"source": "s", "target": "t", "doc_ids": "a"}, "array of strings"),
        ({"source": "s", "target": "t", "doc_ids": [1]}, "array of strings"),
        ({"source": "s", "target": "t", "selector": []}, "`selector` field must be an object"),
        ({"source": "s", "target": "t", "filter": ""}, "`filter` field must be a non-empty string"),
        ({"source": "s", "target": "t", "query_params": 1}, "`query_params` field must be an object"),
        ({"source": "s", "target": "t", "doc_ids": ["a"], "selector": {}}, "incompatible"),
        ({"source": "s", "target": "t", "filter": "a/b", "selector": {}}, "incompatible"),
        ({"source": "s", "target": "t", "since_seq": {}}, "`since_seq`"),
        ({"source": "s", "target": "t", "checkpoint_interval": -1}, "`checkpoint_interval`"),
        ({"source": "s", "target": "t", "worker_batch_size": "9"}, "`worker_batch_size`"),
        ({"source": "s", "target": "t", "proxy": "socks5://x"}, "`proxy`"),
        ({"source": "s", "target": "t", "user_ctx": 1}, "`user_ctx`"),
        ({"source": "s", "target": "t", "user_ctx": {"name": 1}}, "user_ctx.name"),
        ({"source": "s", "target": "t", "user_ctx": {"name": "a", "roles": "b"}}, "user_ctx.roles"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_replication(one, doc, why):
    answer = one.client.put("/_replicator/wrong", doc)
    assert answer.status == 403
    assert why in answer.json["reason"]
    bulk = one.client.post("/_replicator/_bulk_docs", {"docs": [{"_id": "wrong", **doc}]}).json
    assert bulk[0]["error"] == "forbidden"
    assert one.client.get("/_replicator").json["doc_count"] == 0


def test_design_documents_are_no_replications(one):
    assert one.client.put("/_replicator/_design/d", {"views": {}}).status == 201
    one.put("once")
    one.state("once", "completed")
    assert one.client.get("/_scheduler/docs").json["total_rows"] == 1


def test_the_database_itself_and_its_copy(one):
    one.put("self", target="source", create_target=False)
    assert "itself" in one.state("self", "crashing")["info"]["error"]


def test_a_name_no_database_can_have(one):
    one.put("illegal", target="../Etc")
    assert "illegal_database_name" in one.state("illegal", "crashing")["info"]["error"]
    one.put("unmade", target="unmade", create_target=False)
    assert "could not open unmade" in one.state("unmade", "crashing")["info"]["error"]
    assert set(one.environment) == {"_replicator", "source"}


# -- limits ------------------------------------------------------------------------------------------


def test_only_so_many_run_and_all_get_their_turn(replicator):
    one = replicator(max_jobs=2, replication_interval=60)
    for n in range(5):
        one.put(f"live{n}", target=f"target{n}", continuous=True)

    def running() -> set[str]:
        rows = one.supervisor.docs(lambda *_: True, 0, None)[1]
        found = {row["doc_id"] for row in rows if row["state"] == "running" and row["info"] is not None}
        assert len(found) <= 2
        return found

    seen: set[str] = set()
    for _ in range(4):
        # One whose former run has not ended yet cannot be next: then one of those that ran just now would be.
        assert one.supervisor.wait_for(
            lambda: len(running()) == 2 and len(one.supervisor.replicators()) == 2, PATIENCE
        )
        now = running()
        seen |= now
        one.advance(61)
        # Of one look: between two the old ones may have stopped and the new ones not have begun.
        assert one.supervisor.wait_for(lambda now=now: len(found := running()) == 2 and found.isdisjoint(now), PATIENCE)
    assert len(seen | running()) == 5
    assert one.supervisor.counts()["pending"] == 3
    history = [job["history"][0]["type"] for job in one.client.get("/_scheduler/jobs").json["jobs"]]
    assert sorted(history) == ["started", "started", "stopped", "stopped", "stopped"]


def test_limits_that_make_no_sense(environment):
    for wrong in ({"max_jobs": 0}, {"replication_interval": 0}):
        with pytest.raises(BadRequest):
            create_app(environment, **wrong)


def test_what_ends_by_itself_makes_room(replicator):
    one = replicator(max_jobs=1)
    for n in range(6):
        one.put(f"once{n}", target=f"target{n}")
    for n in range(6):
        one.state(f"once{n}", "completed")
    assert one.supervisor.starts == 6


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_done_to_the_documents(replicator, seed):
    """Edits, removals and destroyed databases at random: what runs is what the documents say, and nothing is left."""
    chance = random.Random(seed)
    one = replicator(max_jobs=3, replication_interval=1)
    database, supervisor = one.environment["_replicator"], one.supervisor
    for _ in range(200):
        id = f"doc{chance.randrange(10)}"
        known = database.get(id) if id in database else None
        try:
            if known is None or chance.random() < 0.5:
                source, target = chance.choice(["source", "none"]), f"target{chance.randrange(4)}"
                doc = {"_id": id, "source": source, "target": target, "create_target": True}
                rev = {} if known is None else {"_rev": known["_rev"]}
                database.put({**doc, **rev, "continuous": chance.random() < 0.7})
            elif chance.random() < 0.7:
                database.remove(known)
            else:
                one.environment.destroy(f"target{chance.randrange(4)}")
        except Conflict:
            # The supervisor was faster: it has written how it ended.
            continue
        one.time.at += chance.random() * 10

    def told() -> dict[str, str]:
        return {row["doc_id"]: row["state"] for row in supervisor.docs(lambda *_: True, 0, None)[1]}

    def written() -> dict[str, str]:
        rows = database.all_docs(include_docs=True).rows
        return {row.id: row.doc.get("_replication_state", "") for row in rows}

    def agree() -> bool:
        return {id: state if state in FINAL else "" for id, state in told().items()} == written()

    assert supervisor.wait_for(agree, PATIENCE), (told(), written())
    assert supervisor.counts().get("running", 0) <= 3
    while rows := database.all_docs(include_docs=True).rows:
        database.bulk_docs([{**row.doc, "_deleted": True} for row in rows])
    assert supervisor.wait_for(lambda: supervisor.counts() == {} and not one.environment.engine.live, PATIENCE)
    assert supervisor.jobs() == []


# -- what is told ------------------------------------------------------------------------------------


def test_pages_and_states(one):
    for n in range(4):
        one.put(f"once{n}", target=f"target{n}")
        one.state(f"once{n}", "completed")
    one.put("crashes", source="none")
    one.state("crashes", "crashing")
    told = one.client.get("/_scheduler/docs?limit=2&skip=1").json
    assert (told["total_rows"], told["offset"]) == (5, 1)
    assert [row["doc_id"] for row in told["docs"]] == ["once0", "once1"]
    told = one.client.get("/_scheduler/docs?states=crashing,error").json
    assert [row["doc_id"] for row in told["docs"]] == ["crashes"]
    assert told["total_rows"] == 1
    assert one.client.get("/_scheduler/docs?limit=0").json["docs"] == []
    assert [job["doc_id"] for job in one.client.get("/_scheduler/jobs?limit=5").json["jobs"]] == ["crashes"]
    for wrong in ("states=odd", "limit=x", "skip=-1"):
        assert one.client.get(f"/_scheduler/docs?{wrong}").status == 400


def test_those_of_the_replicate_endpoint_are_listed_too(one):
    doc = {"source": "source", "target": "target", "create_target": True, "continuous": True}
    assert one.client.post("/_replicate", doc).status == 202
    (job,) = one.client.get("/_scheduler/jobs").json["jobs"]
    assert (job["database"], job["doc_id"], job["source"]) == (None, None, "source")


# -- whose they are ----------------------------------------------------------------------------------


@pytest.fixture
def people(replicator):
    """A server with an administrator and two users, who may write replications."""
    one = replicator(admins={"ada": "ada"})
    database = one.environment["_replicator"]
    database.put_security({"admins": {"names": []}, "members": {"names": ["bob", "eve"], "roles": []}})
    one.environment["source"].put_security({"members": {"names": ["bob"]}})
    one.environment["target"].put_security({"members": {"names": ["bob"]}})
    accounts = one.server.server.service.accounts
    authenticate = accounts.authenticate

    def with_users(request):
        name = request.headers.get("x-test-user")
        if name is None:
            return authenticate(request)
        from pouchdb_core.requests import UserContext

        return UserContext(name, ("staff",))

    accounts.authenticate = with_users
    ada = {"Authorization": "Basic " + base64.b64encode(b"ada:ada").decode()}

    def as_user(name: str | None) -> Callable:
        headers = {} if name is None else ada if name == "ada" else {"X-Test-User": name}
        return lambda method, path, body=None: one.client.call(method, path, body, headers)

    one.as_user = as_user
    return one


def of(name: str, **doc):
    return {"source": "source", "target": "target", "user_ctx": {"name": name, "roles": []}, **doc}


def test_an_owner_sees_and_changes_only_his_own(people):
    bob, eve, ada, nobody = (people.as_user(name) for name in ("bob", "eve", "ada", None))
    assert bob("PUT", "/_replicator/bobs", of("bob", source="http://x:y@127.0.0.1:1/z")).status == 201
    rev = bob("GET", "/_replicator/bobs").json["_rev"]
    for path in ("/_replicator/bobs", f"/_replicator/bobs?rev={rev}", "/_replicator/bobs?conflicts=true"):
        assert eve("GET", path).status == 404
        assert ada("GET", path).status == bob("GET", path).status == 200
        assert nobody("GET", path).status == 401
    for path in ("_all_docs", "_changes", "_changes?include_docs=true", "_design_docs", "_local_docs"):
        assert eve("GET", f"/_replicator/{path}").status == 403, path
        assert ada("GET", f"/_replicator/{path}").status == 200, path
    assert eve("POST", "/_replicator/_bulk_get", {"docs": [{"id": "bobs"}]}).status == 403
    assert eve("POST", "/_replicator/_all_docs", {"keys": ["bobs"]}).status == 403
    assert eve("GET", "/_replicator/bobs?open_revs=all").status == 403
    assert eve("COPY", "/_replicator/bobs").status in (400, 404)
    assert eve("GET", "/_replicator").status == 200
    assert eve("PUT", "/_replicator/bobs", {**of("eve"), "_rev": rev}).status == 403
    assert eve("DELETE", f"/_replicator/bobs?rev={rev}").status == 403
    forged = {"docs": [{**of("eve"), "_id": "bobs", "_rev": "2-x"}], "new_edits": False}
    assert eve("POST", "/_replicator/_bulk_docs", forged).json[0]["error"] == "forbidden"
    # What runs for others is not told either.
    people.state("bobs", "crashing")
    assert eve("GET", "/_scheduler/docs").json["docs"] == eve("GET", "/_scheduler/jobs").json["jobs"] == []
    assert [row["doc_id"] for row in bob("GET", "/_scheduler/docs").json["docs"]] == ["bobs"]
    assert eve("GET", "/_scheduler/docs/_replicator/bobs").status == 404
    assert bob("GET", "/_scheduler/docs/_replicator/bobs").status == 200
    assert nobody("GET", "/_scheduler/docs").status == 401
    assert bob("DELETE", f"/_replicator/bobs?rev={rev}").status == 200


@pytest.mark.parametrize(
    ("doc", "why"),
    [
        ({"source": "source", "target": "target"}, "`user_ctx` property is missing"),
        (of("eve"), "user_ctx.name"),
        (of("bob", owner="eve"), "user_ctx.name"),
        (of("bob", user_ctx={"name": "bob", "roles": ["_admin"]}), "Invalid role (`_admin`)"),
    ],
    ids=["without", "another's", "another owner", "more roles"],
)
def test_nobody_writes_in_another_ones_name(people, doc, why):
    answer = people.as_user("bob")("PUT", "/_replicator/wrong", doc)
    assert answer.status == 403
    assert why in answer.json["reason"]


def test_it_runs_with_the_rights_of_its_owner(people):
    bob, eve = people.as_user("bob"), people.as_user("eve")
    assert bob("PUT", "/_replicator/bobs", of("bob")).status == 201
    people.state("bobs", "completed")
    assert eve("PUT", "/_replicator/eves", of("eve")).status == 201
    row = people.state("eves", "crashing")
    assert row["info"]["error"] == "forbidden: eve is not authorized to access source"
    assert eve("PUT", "/_replicator/makes", of("eve", target="new", create_target=True)).status == 201
    people.environment["source"].put_security({"members": {"names": ["eve"]}})
    people.advance(30)
    assert "only administrators may" in people.state("makes", "crashing")["info"]["error"]
    assert "new" not in people.environment


def test_the_rights_are_asked_for_while_it_runs(people):
    bob = people.as_user("bob")
    assert bob("PUT", "/_replicator/live", of("bob", continuous=True)).status == 201
    people.state("live", "running", docs_written=3)
    people.environment["source"].put_security({"members": {"names": ["eve"]}})
    people.environment["source"].put({"_id": "secret"})
    people.state("live", "crashing")
    assert "secret" not in people.environment["target"]


def test_design_documents_need_an_administrator_there_too(people):
    """The target's guards see the owner."""
    people.environment["source"].put({"_id": "_design/evil", "views": {}})
    people.as_user("bob")("PUT", "/_replicator/bobs", of("bob"))
    assert people.state("bobs", "completed", doc_write_failures=1)
    assert "_design/evil" not in people.environment["target"]


def test_nothing_secret_is_logged(one, caplog):
    caplog.set_level(logging.DEBUG)
    one.put("push", target="http://ada:topsecret@127.0.0.1:1/x", continuous=True)
    one.state("push", "crashing")
    told = json.dumps(one.client.get("/_scheduler/jobs").json) + json.dumps(one.doc("push"))
    assert "topsecret" not in told + caplog.text
    assert "127.0.0.1:1" in told
