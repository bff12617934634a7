"""Asynchronous exceptions: the interrupted call is undone, its connection comes back, and the next call works."""

from __future__ import annotations

import gc
import logging
import random
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core.testing.interrupts import NO_SECOND, Alarm, on_alarm, throw_into_threads

SECONDS = 2.0
ENOUGH = 20
"""How long a campaign goes on, and how many exceptions there are at least, however slow the machine is."""
PLACES = 4
AGAIN = pytest.mark.skipif(NO_SECOND, reason="this Python may skip the end of a with statement at a second interrupt")

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this platform has no timers"),
    # Python reports what is raised in a finalizer, and goes on.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def db(url: str, open_place: Callable[..., Any]) -> Any:
    db = open_place(f"{url}&pool_size={PLACES}&pool_timeout=5")["a"]
    db.put({"_id": "first"})
    return db


@pytest.fixture(autouse=True)
def no_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log nothing: what strikes after a handler has locked its lock, and before its ``try``, leaves it locked."""
    for name, logger in logging.root.manager.loggerDict.items():
        if name.startswith(("psycopg", "pouchdb")) and isinstance(logger, logging.Logger):
            monkeypatch.setattr(logger, "disabled", True)


def work(db: Any, n: int) -> list[str]:
    kind = n % 5
    if kind == 0:
        return [db.put({"_id": f"put{n}"})["id"]]
    if kind == 1:
        return [row["id"] for row in db.bulk_docs([{"_id": f"bulk{n}-{m}"} for m in range(6)])]
    if kind == 2:
        found = {"a": {"data": b"x" * 50_000, "content_type": "a/b"}}
        return [db.put({"_id": f"file{n}", "_attachments": found})["id"]]
    if kind == 3:
        return [row.id for row in db.changes(include_docs=True).results if row.id == "first"]
    db.all_docs(limit=3, include_docs=True)
    db.get("first", revs=True)
    db.put_security({"n": n})
    return []


def agree(postgres: Any, db: Any, acknowledged: list[str]) -> None:
    """What was acknowledged is there, and every connection can be lent at once."""
    rows = {row["id"] for row in db.all_docs()["rows"]}
    assert rows >= set(acknowledged)
    assert db.info()["doc_count"] == len(rows)
    for each in rows:
        if each.startswith("bulk"):
            assert {f"{each.partition('-')[0]}-{m}" for m in range(6)} <= rows, "a part of a batch"
    server = db.adapter.store.connections.server
    lent = [server.lend(sys._getframe()) for _ in range(PLACES)]
    assert len({id(each) for each in lent}) == PLACES
    for each in lent:
        assert each.plain.execute("SELECT 1").fetchone() == (1,)
        server.give_back(each)
    assert db.put({"_id": "last"}).ok
    assert db.integrity_check() == []
    # No other connection of the process is left in a transaction.
    idle = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pouchdb' AND state LIKE 'idle in tr%'"
    schema = db.adapter.store.connections.schema
    assert postgres.run(f"{idle} AND query LIKE '%{schema}%'") == [(0,)]


@pytest.mark.parametrize("again", [False, pytest.param(True, marks=AGAIN)], ids=["once", "again and again"])
@pytest.mark.parametrize("kept", [False, True], ids=["forgotten", "kept"])
def test_timed_keyboard_interrupts(
    postgres: Any, db: Any, monkeypatch: pytest.MonkeyPatch, again: bool, kept: bool
) -> None:
    """Also while the first one is dealt with; the traceback may be kept, as a shell keeps it."""
    monkeypatch.setattr(sys, "unraisablehook", lambda *_: None)
    chance = random.Random(1)
    acknowledged, other, errors = ["first"], [], []
    interrupts = n = 0
    alarm = Alarm()

    def put_beside(id: str) -> None:
        other.append(db.put({"_id": id})["id"])

    end = time.monotonic() + SECONDS
    with on_alarm(alarm):
        while time.monotonic() < end or interrupts < ENOUGH:
            n += 1
            after = chance.random() * 0.004 + 1e-6
            every = chance.random() * 3e-4 + 5e-5 if again else 0
            try:
                acknowledged += alarm.strike(work, db, n, after=after, every=every)
            except KeyboardInterrupt as error:
                interrupts += 1
                if kept:
                    errors = [error, *errors[:30]]
            if n % 25 == 0:
                began = time.monotonic()
                thread = threading.Thread(target=put_beside, args=(f"other{n}",))
                thread.start()
                thread.join(30)
                assert len(other) == n // 25, "another thread is locked out"
                end += time.monotonic() - began
    agree(postgres, db, [*acknowledged, *other])


def test_exceptions_thrown_into_threads(postgres: Any, db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda *_: None)
    thrown = throw_into_threads(lambda n: work(db, n), (1, 2, 3, 4, 5, 6), SECONDS, at_least=ENOUGH, pause=0.002)
    assert thrown.problems == []
    assert thrown.caught >= ENOUGH
    agree(postgres, db, thrown.acknowledged)


def test_a_connection_whose_call_has_ended_is_lent_again(db: Any) -> None:
    server = db.adapter.store.connections.server

    def lose() -> Any:
        session = server.lend()
        session.plain.execute("BEGIN")
        return session

    lost = [lose() for _ in range(3 * PLACES)]
    # Closed, with what it left open.
    assert sum(not each.closed for each in lost) <= 1
    assert db.get("first")["_id"] == "first"
    # Its end comes late.
    for each in lost:
        server.give_back(each)
    kept = [server.lend(sys._getframe()) for _ in range(PLACES)]
    assert all(not each.closed for each in kept)
    server.give_back(kept[0])
    assert db.put({"_id": "x"}).ok


def test_a_snapshot_without_its_end_is_not_read_any_more(db: Any, url: str, open_place: Callable[..., Any]) -> None:
    store = db.adapter.store
    kept = []

    def lose() -> None:
        kept.append(store.snapshot())
        kept[0].__enter__()
        assert store.row("new") is None

    lose()
    open_place(url)["a"].put({"_id": "new"})
    assert store.row("new") is not None
    kept.clear()
    assert store.row("first") is not None


def test_nothing_of_a_call_is_kept(db: Any) -> None:
    class Thing:
        pass

    def call(use: Callable[[], Any]) -> Any:
        thing = Thing()
        use()
        return weakref.ref(thing)

    gc.disable()
    try:
        for use in (
            lambda: db.get("first"),
            lambda: db.put({"_id": "thing"}),
            lambda: db.changes(),
            lambda: db.all_docs(include_docs=True),
            lambda: db.get("first", revs=True),
        ):
            assert call(use)() is None
    finally:
        gc.enable()


def test_those_who_wait_get_a_connection(db: Any) -> None:
    server = db.adapter.store.connections.server
    lent = [server.lend(sys._getframe()) for _ in range(PLACES)]
    got: list[Any] = []
    threads = [threading.Thread(target=lambda: got.append(db.get("first")["_id"])) for _ in range(3 * PLACES)]
    for thread in threads:
        thread.start()
    for each in lent:
        server.give_back(each)
    for thread in threads:
        thread.join(30)
    assert got == ["first"] * len(threads)
