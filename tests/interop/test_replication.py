"""Replication with PouchDB Server, and through it with PouchDB on node."""

from __future__ import annotations

import itertools
import random
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import NotFound, PouchDBError, Unreachable

Leaves = Callable[[SyncPouchDB], dict[str, Any]]


def fill(db: SyncPouchDB, count: int = 250, seed: int = 0) -> None:
    """Documents of all kinds: edited, deleted, in conflict, with attachments, with strange ids."""
    chance = random.Random(seed)
    db.bulk_docs([{"_id": f"{seed}-{number:04}", "text": "x" * chance.randrange(500)} for number in range(count)])
    for number in range(0, count, 10):
        doc = db.get(f"{seed}-{number:04}")
        db.put({**doc, "edited": True})
    for number in range(5, count, 25):
        db.remove(db.get(f"{seed}-{number:04}"))
    conflict = [
        {"_id": f"conflict {seed}/{number}", "_revisions": {"start": 2, "ids": [leaf * 4, "aaaa"]}, "leaf": leaf}
        for number in range(5)
        for leaf in "bcd"
    ]
    db.bulk_docs(conflict, new_edits=False)
    db.bulk_docs(
        [{"_id": f"conflict {seed}/0", "_revisions": {"start": 3, "ids": ["ffff", "bbbb", "aaaa"]}, "_deleted": True}],
        new_edits=False,
    )
    for number in range(4):
        rev = db.put_attachment(f"é+%/{seed} {number}", "note (1)/ü.txt", b"hello " * number, "text/plain")["rev"]
        content = chance.randbytes(50_000 * number)
        db.put_attachment(f"é+%/{seed} {number}", "big.bin", content, "application/octet-stream", rev)
    db.put({"_id": f"_design/{seed}", "language": "none", "filters": {}})


def contents(db: SyncPouchDB, leaves: dict[str, Any]) -> dict[Any, bytes]:
    return {
        (*key, name): db.get_attachment(key[0], name, key[1])["data"]
        for key, doc in leaves.items()
        for name in doc.get("_attachments", {})
    }


def test_push_and_pull(env: SyncEnvironment, remote: SyncPouchDB, leaves: Leaves) -> None:
    here, back = env["here"], env["back"]
    fill(here)
    before = leaves(here)
    pushed = here.replicate_to(remote)
    assert (pushed["docs_written"], pushed["ok"], pushed["status"]) == (len(before), True, "complete")
    assert leaves(remote) == before
    pulled = back.replicate_from(remote)
    assert pulled["docs_written"] == len(before)
    assert leaves(back) == before
    assert contents(back, before) == contents(here, before) == contents(remote, before)
    for result in (here.replicate_to(remote), back.replicate_from(remote)):
        assert (result["docs_read"], result["docs_written"]) == (0, 0)
    assert back.integrity_check() == []


def test_between_two_servers(env: SyncEnvironment, remote: SyncPouchDB, leaves: Leaves) -> None:
    other = env.PouchDB(f"{remote.name}-other")
    fill(remote, 60)
    env.replicate(remote, other)
    assert leaves(other) == leaves(remote)
    assert contents(other, leaves(other)) == contents(remote, leaves(remote))
    assert env.replicate(remote.name, other.name)["docs_read"] == 0


def test_both_ways(env: SyncEnvironment, remote: SyncPouchDB, leaves: Leaves) -> None:
    here = env["here"]
    fill(here, 80, seed=1)
    fill(remote, 80, seed=2)
    here.put({"_id": "both", "of": "here"})
    remote.put({"_id": "both", "of": "there"})
    result = here.sync(remote)
    assert result["push"]["ok"]
    assert result["pull"]["ok"]
    assert leaves(here) == leaves(remote)
    assert len(here.get("both", conflicts=True)["_conflicts"]) == 1


def test_with_pouchdb_on_node(env: SyncEnvironment, remote: SyncPouchDB, peer: Any, url: str, leaves: Leaves) -> None:
    here = env["here"]
    fill(here, 60)
    here.replicate_to(remote)
    assert peer("replicate", url, "js")["ok"]
    theirs = peer("leaves", "js")
    ours = leaves(here)
    assert {(id, doc["_rev"]) for id, docs in theirs.items() for doc in docs} == set(ours)
    for id, docs in theirs.items():
        for doc in docs:
            for entry in doc.get("_attachments", {}).values():
                entry.pop("revpos", None)
            assert ours[id, doc["_rev"]] == doc
    # Back again: edits, a conflict and an attachment of PouchDB's.
    doc = peer("get", "js", "0-0001")
    peer("bulk", "js", [{**doc, "by": "node"}, {"_id": "new", "by": "node"}])
    here.put({**here.get("0-0001"), "by": "python"})
    rev = peer("get", "js", "new")["_rev"]
    peer("attach", "js", "new", "a/b.txt", rev, "aGVsbG8=", "text/plain")
    assert peer("replicate", "js", url)["ok"]
    here.sync(remote)
    assert here.get_attachment("new", "a/b.txt")["data"] == b"hello"
    assert len(here.get("0-0001", conflicts=True)["_conflicts"]) == 1
    assert peer("replicate", url, "js")["ok"]
    assert leaves(here).keys() == {(id, doc["_rev"]) for id, docs in peer("leaves", "js").items() for doc in docs}


def test_an_attachment_that_did_not_change_is_not_sent_again(
    env: SyncEnvironment, proxy: Any, url: str, leaves: Leaves
) -> None:
    here = env["here"]
    remote = env.PouchDB(f"{proxy.url}/{url.rpartition('/')[2]}")
    content = random.Random(0).randbytes(200_000)
    here.put_attachment("a", "big", content)
    here.replicate_to(remote)
    assert proxy.bytes_sent > 200_000
    proxy.bytes_sent = 0
    here.put({**here.get("a"), "edited": True})
    assert here.replicate_to(remote)["docs_written"] == 1
    assert proxy.bytes_sent < 10_000
    assert leaves(here) == leaves(remote)
    assert remote.get_attachment("a", "big")["data"] == content
    # The other way it is not fetched again.
    there = env.PouchDB(url)
    there.put({**there.get("a"), "edited": "again"})
    proxy.seen.clear()
    assert here.replicate_from(remote)["docs_written"] == 1
    assert proxy.count("GET", "/a/big") == 0
    assert leaves(here) == leaves(remote)


def test_a_missing_source_is_not_made(env: SyncEnvironment, url: str) -> None:
    with pytest.raises(NotFound):
        env["here"].replicate_from(url)
    with pytest.raises(NotFound):
        env.PouchDB(url).info()


def test_a_missing_target_is_made_if_that_is_wanted(env: SyncEnvironment, url: str) -> None:
    here = env["here"]
    here.put({"_id": "a"})
    with pytest.raises(NotFound):
        here.replicate_to(url, create_target=False)
    with pytest.raises(NotFound):
        here.replicate_to(env.PouchDB(url, skip_setup=True))
    assert here.replicate_to(env.PouchDB(url, skip_setup=True), create_target=True)["docs_written"] == 1
    here.replicate_to(f"{url}-2")
    assert "a" in env.PouchDB(f"{url}-2")


def test_filters(env: SyncEnvironment, remote: SyncPouchDB) -> None:
    remote.bulk_docs([{"_id": f"d{number}", "n": number} for number in range(6)])
    source = "function (doc, req) { return doc.n >= Number(req.query.least); }"
    remote.put({"_id": "_design/app", "filters": {"least": source}})
    for options, ids in (
        ({"doc_ids": ["d1", "d2"]}, ["d1", "d2"]),
        ({"filter": "app/least", "query_params": {"least": 4}}, ["d4", "d5"]),
        ({"filter": lambda doc: doc.get("n") == 3}, ["d3"]),
    ):
        target = env[f"target-{ids}"]
        target.replicate_from(remote, **options)
        assert list(target) == ids
        assert target.replicate_from(remote, **options)["docs_read"] == 0


def test_live_both_ways(env: SyncEnvironment, remote: SyncPouchDB) -> None:
    here = env["here"]
    remote.put({"_id": "first"})
    arrived = threading.Event()
    paused = threading.Event()
    sync = here.sync(remote, live=True)
    sync.on("paused", lambda error: paused.set())
    assert paused.wait(10)
    feed = here.changes(live=True, since="now").on(
        "change", lambda row: arrived.set() if row["id"] == "there" else None
    )
    remote.put({"_id": "there"})
    assert arrived.wait(10)
    arrived.clear()
    server_feed = remote.changes(live=True, since="now", heartbeat=1000)
    server_feed.on("change", lambda row: arrived.set() if row["id"] == "here" else None)
    here.put({"_id": "here"})
    assert arrived.wait(10)
    for handle in (feed, server_feed, sync):
        handle.cancel()
    assert sync.wait(10)["status"] == "cancelled"
    assert here.sync(remote)["pull"]["docs_read"] == 0


def test_cancelling_does_not_wait_for_a_server(env: SyncEnvironment, proxy: Any, url: str) -> None:
    here = env["here"]
    here.bulk_docs([{"_id": f"d{number}"} for number in range(10)])
    stalled = threading.Event()

    def fault(method: str, path: str) -> str | None:
        if path.endswith("_bulk_docs"):
            stalled.set()
            return "stall"
        return None

    remote = env.PouchDB(f"{proxy.url}/{url.rpartition('/')[2]}")
    proxy.fault = fault
    push = here.replicate_to(remote, live=True)
    assert stalled.wait(10)
    push.cancel()
    assert push.wait(20)["status"] == "cancelled"
    proxy.fault = lambda method, path: None
    proxy.hang_up()
    assert here.replicate_to(url)["ok"]
    assert len(env.PouchDB(url)) == 10


# -- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_whatever_breaks_both_sides_end_equal(
    env: SyncEnvironment, proxy: Any, url: str, leaves: Leaves, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pouchdb_core.adapters.http import http_session

    monkeypatch.setattr(http_session, "FIRST_DELAY", 0.001)
    here, direct = env["here"], env.PouchDB(url)
    fill(here, 120, seed=1)
    fill(direct, 120, seed=2)
    union = {**leaves(here), **leaves(direct)}
    remote = env.PouchDB(f"{proxy.url}/{url.rpartition('/')[2]}", timeout=10, retries=2)
    proxy.schedule(seed, 0.25)
    options: dict[str, Any] = {"batch_size": 20, "retry": True, "back_off_function": lambda delay: 1.0}
    pushed = here.replicate_to(remote, **options)
    pulled = here.replicate_from(remote, **options)
    assert pushed["status"] == pulled["status"] == "complete"
    broken = sum(1 for _, _, fault in proxy.seen if fault)
    assert broken > 5
    proxy.fault = lambda method, path: None
    # What the server failed at each time it was tried was held, and goes now. Then nothing is left.
    last = here.sync(remote, batch_size=20)
    assert last["push"]["docs_read"] + last["pull"]["docs_read"] <= len(pushed["errors"]) + len(pulled["errors"])
    again = here.sync(remote, batch_size=20)
    assert (again["push"]["docs_read"], again["pull"]["docs_read"]) == (0, 0)
    assert leaves(here) == leaves(direct) == union
    assert contents(here, union) == contents(direct, union)
    assert here.integrity_check() == []
    assert pulled["docs_read"] < 3 * len(union)


def test_it_goes_on_where_it_was(env: SyncEnvironment, proxy: Any, url: str) -> None:
    """A run that fails in the middle is no reason to start over."""
    here = env["here"]
    there = env.PouchDB(url)
    there.bulk_docs([{"_id": f"d{number:03}"} for number in range(300)])
    remote = env.PouchDB(f"{proxy.url}/{url.rpartition('/')[2]}", retries=0)
    batches: list[str] = []

    def fault(method: str, path: str) -> str | None:
        if "_bulk_get" in path:
            batches.append(path)
            return "drop" if len(batches) == 5 else None
        return None

    proxy.fault = fault
    with pytest.raises(Unreachable) as caught:
        here.replicate_from(remote, batch_size=50)
    done = caught.value.result["docs_written"]
    assert done == len(here) == 200
    proxy.fault = lambda method, path: None
    again = here.replicate_from(remote, batch_size=50)
    assert again["docs_read"] == 100
    assert len(here) == 300


def test_a_server_that_dies_in_the_middle(env: SyncEnvironment, lasting_server: Any, leaves: Leaves) -> None:
    here = env["here"]
    here.bulk_docs([{"_id": f"d{number:04}", "text": "x" * 200} for number in range(600)])
    url = f"{lasting_server.url}/dies"
    killed = threading.Event()

    def change(_: Any) -> None:
        if not killed.is_set():
            killed.set()
            lasting_server.kill()
            lasting_server.start()

    result = here.replicate_to(
        url, batch_size=50, retry=True, back_off_function=lambda delay: min(500.0, 2 * delay + 10), on_change=change
    )
    assert killed.is_set()
    assert result["status"] == "complete"
    assert leaves(env.PouchDB(url)) == leaves(here)


PROGRAM = """
    import sys
    import pouchdb

    env = pouchdb.setup(sys.argv[1], plugins=[])
    db = env["here"]

    def change(told):
        print(told["docs_written"], flush=True)

    getattr(db, sys.argv[3])(sys.argv[2], batch_size=20, on_change=change)
    print("complete", flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
@pytest.mark.parametrize("method", ["replicate_to", "replicate_from"])
def test_a_client_that_is_killed_resumes(tmp_path: Path, url: str, leaves: Leaves, method: str) -> None:
    docs = [{"_id": f"d{number:04}", "text": "x" * 100} for number in range(400)]
    with pouchdb.setup(tmp_path / "data", plugins=[]) as env:
        (env["here"] if method == "replicate_to" else env.PouchDB(url)).bulk_docs(docs)
    program = textwrap.dedent(PROGRAM)
    command = [sys.executable, "-c", program, str(tmp_path / "data"), url, method]
    for lines in (1, 2, 3):
        # Killed after so many batches of twenty that are left.
        with (
            (tmp_path / "errors").open("w+") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
        ):
            watchdog = threading.Timer(60, process.kill)
            watchdog.start()
            assert process.stdout is not None
            told = [line.strip() for line in itertools.islice(process.stdout, lines)]
            process.kill()
            watchdog.cancel()
            errors.seek(0)
            assert len(told) == lines, errors.read()
            assert "complete" not in told
    with pouchdb.setup(tmp_path / "data", plugins=[]) as env:
        here, remote = env["here"], env.PouchDB(url)
        getattr(here, method)(url)
        assert leaves(here) == leaves(remote)
        assert len(here) == 400
        assert list(here.conflicts()) == []
        assert here.integrity_check() == []


def test_two_replications_of_one_pair(env: SyncEnvironment, remote: SyncPouchDB, leaves: Leaves) -> None:
    here = env["here"]
    fill(here, 150)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            here.replicate_to(remote, batch_size=15)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert leaves(here) == leaves(remote)
    assert here.replicate_to(remote)["docs_read"] == 0


def test_a_live_replication_survives_the_network(env: SyncEnvironment, proxy: Any, url: str) -> None:
    here, direct = env["here"], env.PouchDB(url)
    direct.put({"_id": "d0"})
    remote = env.PouchDB(f"{proxy.url}/{url.rpartition('/')[2]}", retries=1)
    came = threading.Semaphore(0)
    feed = here.changes(live=True, since=0).on("change", lambda row: came.release())
    pull = here.replicate_from(remote, live=True, retry=True, heartbeat=300, back_off_function=lambda delay: 20.0)
    assert came.acquire(timeout=60)
    for number in range(1, 5):
        proxy.fault = lambda method, path: "drop"
        proxy.hang_up()
        direct.put({"_id": f"d{number}"})
        proxy.fault = lambda method, path: None
        assert came.acquire(timeout=60)
    pull.cancel()
    feed.cancel()
    assert len(here) == 5
    assert pull.wait(10)["status"] == "cancelled"


def test_an_unreachable_peer_is_told(env: SyncEnvironment) -> None:
    here = env["here"]
    here.put({"_id": "a"})
    with pytest.raises(Unreachable) as caught:
        here.replicate_to("http://127.0.0.1:9/nowhere")
    assert caught.value.result["status"] == "aborting"
    told: list[PouchDBError] = []
    paused = threading.Event()

    def on_paused(error: PouchDBError) -> None:
        told.append(error)
        paused.set()

    push = here.replicate_to("http://127.0.0.1:9/nowhere", live=True, retry=True).on("paused", on_paused)
    assert paused.wait(10)
    assert isinstance(told[0], Unreachable)
    assert (push.state, push.attempt) == ("pending", 1)
    assert push.next_retry_at is not None
    push.cancel()
    assert push.wait(60)["status"] == "cancelled"


@pytest.mark.parametrize("big", [False, True], ids=["inline", "as files"])
def test_odd_names_of_attachments(env: SyncEnvironment, remote: SyncPouchDB, big: bool) -> None:
    here, back = env["here"], env["back"]
    names = ["/", "//", "/lead", "trail/", "a//b", "a/b", "é", "a b", "a+b", "%", "%2F", "?", "#", "a&b", ";", "'"]
    for number, name in enumerate(names):
        content = name.encode() * (30_000 if big else 1)
        here.put_attachment(f"doc{number}", name, content, "application/octet-stream")
    pushed = here.replicate_to(remote)
    assert pushed["errors"] == []
    pulled = back.replicate_from(remote)
    assert pulled["errors"] == []
    for number, name in enumerate(names):
        assert back.get_attachment(f"doc{number}", name) == here.get_attachment(f"doc{number}", name), name
