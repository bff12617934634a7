"""Several processes on one database, as on several machines: order, feeds, conflicts, destroyed databases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pouchdb_core.errors import Conflict, NotFound

WRITER = Path(__file__).with_name("writer.py")


class Host:
    """A process that writes."""

    def __init__(self, url: str, host: str, count: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(WRITER), url, "a", host, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def said(self) -> list[str]:
        """Wait for its end; return its lines."""
        said, _ = self.process.communicate(timeout=300)
        return said.splitlines()


@contextmanager
def following(db: Any) -> Iterator[Any]:
    feed = db.live_changes(since="now")
    try:
        yield feed
    finally:
        feed.cancel()


def test_numbers_become_visible_in_order_whatever_hosts_write(url: str, open_place: Callable[..., Any]) -> None:
    db = open_place(url)["a"]
    hosts = [Host(url, f"host{n}", 40) for n in range(8)]
    seen: list[int] = []
    missed: list[int] = []
    over = threading.Event()

    def read() -> None:
        # A feed in steps: what is after the last number that was seen, again and again.
        since = 0
        while not over.is_set() or db.info().update_seq > since:
            answer = db.changes(since=since)
            seen.extend(row.seq for row in answer.results)
            since = answer.last_seq

    reader = threading.Thread(target=read)
    reader.start()
    for each in hosts:
        each.go()
    paused = hosts[0].process
    for _ in range(5):
        # Wherever it is, perhaps with the lock: it goes on, and nothing of it comes too late.
        paused.send_signal(signal.SIGSTOP)
        before = db.info().update_seq
        threading.Event().wait(0.05)
        paused.send_signal(signal.SIGCONT)
        assert db.info().update_seq >= before
    acknowledged = [id for each in hosts for id in each.said()]
    over.set()
    reader.join(60)
    assert not missed
    assert len(acknowledged) == 320
    assert not [id for id in acknowledged if id[0] in "?!"]
    assert seen == sorted(set(seen)), "a number came after a greater one"
    final = {row.id: row.seq for row in db.changes().results}
    # Whoever read in steps has met the last state of everything.
    assert set(final.values()) <= set(seen)
    assert set(acknowledged) <= set(final)
    assert db.info().doc_count == 321
    assert db.integrity_check() == []


def test_a_host_that_is_paused_with_the_lock_loses_it(
    postgres: Any, url: str, open_place: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = open_place(url)["a"], open_place(url)["a"]
    one.put({"_id": "before"})
    entered = []
    store = one.adapter.store

    def paused(*arguments: Any) -> Any:
        if not entered:
            entered.append(True)
            # As after idle_in_transaction_session_timeout, which is a minute: the server ends its transaction.
            postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'")
            other.put({"_id": "meanwhile"})
        return heads(*arguments)

    heads = store.heads
    monkeypatch.setattr(store, "heads", paused)
    # Nothing of the first attempt was kept, so it is made again.
    assert one.put({"_id": "mine"}).ok
    assert [(row.id, row.seq) for row in other.changes().results] == [("before", 1), ("meanwhile", 2), ("mine", 3)]
    assert other.integrity_check() == []


def test_hosts_see_each_others_writes_at_once(url: str, open_place: Callable[..., Any]) -> None:
    one, other = open_place(url)["a"], open_place(url)["a"]
    first = one.put({"_id": "x", "v": 1})
    assert other.get("x").v == 1
    other.put({"_id": "x", "_rev": first.rev, "v": 2})
    with pytest.raises(Conflict):
        one.put({"_id": "x", "_rev": first.rev, "v": 3})
    assert one.get("x").v == 2
    one.bulk_docs([{"_id": "x", "_rev": "2-00000000000000000000000000000000", "v": 4}], new_edits=False)
    assert len(other.get("x", conflicts=True)["_conflicts"]) == 1
    assert [doc["_id"] for doc in other.conflicts()] == ["x"]
    other.put({"_id": "_design/v", "views": {"v": {"map": "function (doc) { emit(doc.v); }"}}})
    assert [row.key for row in one.query("v/v").rows] == [2]
    for rev in [other.get("x")["_rev"], *other.get("x", conflicts=True)["_conflicts"]]:
        other.purge("x", rev)
    with pytest.raises(NotFound):
        one.get("x")
    assert one.query("v/v").rows == []
    one.put_security({"members": {"names": ["ann"]}})
    assert other.get_security()["members"]["names"] == ["ann"]


def test_feeds_hear_of_other_hosts(url: str, open_place: Callable[..., Any]) -> None:
    one, other = open_place(url)["a"], open_place(url)["a"]
    with following(other) as feed:
        rows = iter(feed)
        for n in range(3):
            one.put({"_id": f"d{n}"})
            assert next(rows).id == f"d{n}"


def test_feeds_survive_a_lost_connection(postgres: Any, url: str, open_place: Callable[..., Any]) -> None:
    one, other = open_place(url)["a"], open_place(url)["a"]
    with following(other) as feed:
        rows = iter(feed)
        one.put({"_id": "before"})
        assert next(rows).id == "before"
        postgres.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pouchdb' "
            "AND datname = current_database()"
        )
        # Perhaps nobody listens just now: it is told of when somebody does again.
        one.put({"_id": "after"})
        assert next(rows).id == "after"


def test_a_feed_ends_when_another_host_destroys_the_database(url: str, open_place: Callable[..., Any]) -> None:
    one, other = open_place(url), open_place(url)
    db = one["a"]
    db.put({"_id": "x"})
    with following(other["a"]) as feed:
        rows = iter(feed)
        one["a"].put({"_id": "y"})
        assert next(rows).id == "y"
        one.destroy("a")
        one["a"].put({"_id": "of another one"})
        with pytest.raises(NotFound, match="destroyed or replaced"):
            next(rows)


def test_databases_are_made_once_by_many_at_a_time(url: str, open_place: Callable[..., Any]) -> None:
    places = [open_place(url) for _ in range(6)]
    made: list[bool] = []
    start = threading.Barrier(6)

    def make(place: Any) -> None:
        start.wait()
        made.append(place["same"].adapter.created)
        # An id of its own: two with one id would be a conflict.
        place["same"].put({"_id": str(places.index(place))})

    threads = [threading.Thread(target=make, args=(place,)) for place in places]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert sorted(made) == [False] * 5 + [True]
    assert list(places[0]) == ["same"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_a_forked_child_has_connections_of_its_own(url: str, open_place: Callable[..., Any]) -> None:
    db = open_place(url)["a"]
    db.put({"_id": "parent"})
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if db.get("parent")["_id"] == "parent" and db.put({"_id": "child"}).ok else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    # The child's end has not told the server that the parent's connections end.
    assert db.get("child")["_id"] == "child"
    assert db.put({"_id": "again"}).ok
