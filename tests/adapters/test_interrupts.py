"""Asynchronous exceptions, and code that runs in the middle of a write on the same thread.

A KeyboardInterrupt comes between any two steps of Python; so does what ``PyThreadState_SetAsyncExc``
throws into a thread. Signal handlers, ``__del__`` and callbacks of weak references run there.
"""

from __future__ import annotations

import gc
import random
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.adapters.sqlite.sqlite_store import SqliteStore
from pouchdb_core.adapters.write_lock import Reading, Turn, Turns
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import Conflict, DatabaseBusy, PouchDBError, ReentrantWrite
from pouchdb_core.testing.interrupts import NO_SECOND, Alarm, on_alarm, throw_into_threads
from pouchdb_core.views.register import indexes

SECONDS = 2.0
"""How long each campaign goes on: some hundreds of interrupts a second."""
ENOUGH = 100
"""How many interrupts each has at least, however busy the machine is."""

AGAIN = pytest.mark.skipif(NO_SECOND, reason="this Python may skip the end of a with statement at a second interrupt")

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this platform has no timers"),
    # Python reports what is raised in a finalizer, and goes on.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(params=["file", "memory"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyncPouchDB]:
    where = tmp_path if request.param == "file" else ":memory:"
    with (
        pouchdb.setup(where, plugins=[], durability="normal")
        if request.param == "file"
        else pouchdb.setup(where, plugins=[]) as environment
    ):
        yield environment["test"]


def work(database: SyncPouchDB, n: int) -> list[str]:
    """Do one of the things that write; return what is there when it was not interrupted."""
    kind = n % 5
    if kind == 0:
        return [database.put({"_id": f"put{n}"})["id"]]
    if kind == 1:
        return [row["id"] for row in database.bulk_docs([{"_id": f"bulk{n}-{m}"} for m in range(5)])]
    if kind == 2:
        return [
            database.put({"_id": f"file{n}", "_attachments": {"a": {"data": b"x" * 50_000, "content_type": "a/b"}}})[
                "id"
            ]
        ]
    if kind == 3:
        return [database.post({"n": n})["id"]]
    database.put_security({"n": n})
    database.all_docs(limit=3)
    database.get("first", revs=True)
    return []


def agree(database: SyncPouchDB, acknowledged: list[str]) -> None:
    """What was acknowledged is there, the counters are right and others may write."""
    assert database.integrity_check() == []
    rows = {row["id"] for row in database.all_docs()["rows"]}
    assert rows >= set(acknowledged)
    assert database.info()["doc_count"] == len(rows)
    for id in rows:
        if id.startswith("bulk"):
            # All of a batch, or nothing.
            assert {f"{id.partition('-')[0]}-{m}" for m in range(5)} <= rows


@pytest.mark.parametrize("again", [False, pytest.param(True, marks=AGAIN)], ids=["once", "again and again"])
@pytest.mark.parametrize("kept", [False, True], ids=["forgotten", "kept"])
def test_timed_keyboard_interrupts(
    database: SyncPouchDB, monkeypatch: pytest.MonkeyPatch, again: bool, kept: bool
) -> None:
    """A thousand and more, also while the first one is dealt with; the traceback may be kept, as a shell keeps it."""
    # What strikes in a finalizer Python tells and forgets; telling would be interrupted as well.
    monkeypatch.setattr(sys, "unraisablehook", lambda *_: None)

    def put_beside(id: str) -> None:
        other.append(database.put({"_id": id})["id"])

    chance = random.Random(1)
    database.put({"_id": "first"})
    acknowledged, interrupts, errors = ["first"], 0, []
    other: list[Any] = []
    end = time.monotonic() + SECONDS
    n = 0
    alarm = Alarm()
    with on_alarm(alarm):
        while time.monotonic() < end or interrupts < ENOUGH:
            n += 1
            try:
                after, every = chance.random() * 0.0006 + 1e-6, chance.random() * 2e-4 + 5e-5 if again else 0
                acknowledged += alarm.strike(work, database, n, after=after, every=every)
            except KeyboardInterrupt as error:
                interrupts += 1
                if kept:
                    errors = [error, *errors[:3]]
            if n % 100 == 0:
                thread = threading.Thread(target=put_beside, args=(f"other{n}",))
                thread.start()
                thread.join(30)
                assert len(other) == n // 100, "another thread is locked out"
    agree(database, [*acknowledged, *other])


def test_other_processes_are_not_locked_out(tmp_path: Path) -> None:
    """Another connection to the file, which knows nothing of ours, always gets the lock."""
    with pouchdb.setup(tmp_path, plugins=[], durability="normal") as environment:
        database = environment["test"]
        with pouchdb.setup(tmp_path, plugins=[], durability="normal", auto_compaction=False) as another:
            assert another is not environment
            beside = another["test"]
            store = beside.adapter.store  # type: ignore[attr-defined]
            alarm = Alarm()
            with on_alarm(alarm):
                for n in range(600):
                    try:
                        alarm.strike(database.put, {"_id": f"a{n}"}, after=1e-6 + n * 5e-7)
                    except KeyboardInterrupt:
                        pass
                    store.connections.one("PRAGMA busy_timeout = 0")
                    beside.put({"_id": f"b{n}"})
        assert database.integrity_check() == []


def test_exceptions_thrown_into_threads(database: SyncPouchDB) -> None:
    database.put({"_id": "first"})
    thrown = throw_into_threads(lambda n: work(database, n), (1, 2, 3, 5), SECONDS, at_least=20)
    assert thrown.problems == []
    assert thrown.caught >= 20
    agree(database, thrown.acknowledged)


# -- code in the middle of a write ---------------------------------------------------------------------


def test_signal_handlers_that_write(database: SyncPouchDB) -> None:
    """A write of a handler is done, or refused at once: never lost, never a part of the one it interrupts."""
    chance = random.Random(2)
    database.put({"_id": "first"})
    acknowledged, refused, done = ["first"], 0, 0
    inside = False

    def handler(*_: Any) -> None:
        nonlocal refused, done, inside
        if inside:
            # Slower than its timer.
            return
        inside = True
        try:
            acknowledged.append(database.post({"of": "the handler"})["id"])
            # Of the very document that is just being written.
            database.get("first")
            done += 1
        except ReentrantWrite:
            refused += 1
        finally:
            inside = False

    end = time.monotonic() + SECONDS
    n = 0
    with on_alarm(handler):
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0007)
        while time.monotonic() < end or done < ENOUGH or not refused:
            n += 1
            if chance.random() < 0.3:
                database.all_docs(include_docs=True, limit=20)
            else:
                acknowledged += work(database, n)
    agree(database, acknowledged)


def test_a_handler_that_writes_the_document_under_way(database: SyncPouchDB) -> None:
    rev = database.put({"_id": "counter", "n": 0})["rev"]
    steps, inside = 0, False

    def handler(*_: Any) -> None:
        nonlocal steps, inside
        if inside:
            return
        inside = True
        try:
            doc = database.get("counter")
            doc["n"] += 1
            database.put(doc)
            steps += 1
        except (Conflict, ReentrantWrite):
            pass
        finally:
            inside = False

    end = time.monotonic() + SECONDS
    with on_alarm(handler):
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        while time.monotonic() < end:
            try:
                doc = database.get("counter")
                doc["n"] += 1
                database.put(doc)
                steps += 1
            except Conflict:
                pass
    assert rev
    assert database.get("counter")["n"] == steps
    assert database.get("counter", conflicts=True).get("_conflicts") is None
    agree(database, ["counter"])


class Finalized:
    """Writes when it goes."""

    def __init__(self, database: SyncPouchDB, told: list[Any]) -> None:
        self.itself = self
        self.database, self.told = database, told

    def __del__(self) -> None:
        try:
            self.told.append(self.database.post({"of": "a finalizer"})["id"])
        except PouchDBError as error:
            self.told.append(error)


def test_finalizers_that_write(database: SyncPouchDB) -> None:
    told: list[Any] = []
    acknowledged: list[str] = []
    before = gc.get_threshold()
    gc.set_threshold(50, 2, 2)
    try:
        for n in range(300):
            for _ in range(3):
                Finalized(database, told)
            acknowledged += work(database, n) if n % 5 != 4 else []
    finally:
        gc.set_threshold(*before)
    gc.collect()
    done = [each for each in told if isinstance(each, str)]
    assert len(told) == 900
    assert all(isinstance(each, (str, ReentrantWrite)) for each in told)
    assert done
    agree(database, [*acknowledged, *done])


def test_a_weak_reference_s_callback_that_writes(database: SyncPouchDB) -> None:
    told: list[Any] = []

    class Thing:
        pass

    def gone(_: Any) -> None:
        try:
            told.append(database.put({"_id": "gone"})["id"])
        except PouchDBError as error:
            told.append(error)

    thing = Thing()
    watched = weakref.ref(thing, gone)
    store: SqliteStore = database.adapter.store  # type: ignore[attr-defined]
    with store.write():
        del thing
    assert watched() is None
    assert [type(each) for each in told] == [ReentrantWrite]
    thing = Thing()
    watched = weakref.ref(thing, gone)
    del thing
    assert told[1] == "gone"


CALLS: dict[str, Callable[[SyncPouchDB], Any]] = {
    "put": lambda db: db.put({"_id": "b"}),
    "bulk_docs": lambda db: db.bulk_docs([{"_id": "b"}]),
    "local document": lambda db: db.put({"_id": "_local/b"}),
    "replicated revision": lambda db: db.bulk_docs([{"_id": "b", "_rev": "1-a"}], new_edits=False),
    "security": lambda db: db.put_security({"a": 1}),
    "revs_limit": lambda db: db.revs_limit(7),
    "purged_infos_limit": lambda db: db.adapter.purged_infos_limit(7),
    "purge": lambda db: db.purge({"a": ["1-a"]}),
    "compact": lambda db: db.compact(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_write_in_the_middle_of_a_write_is_refused_at_once(
    database: SyncPouchDB, call: Callable[[SyncPouchDB], Any]
) -> None:
    store: SqliteStore = database.adapter.store  # type: ignore[attr-defined]
    with store.write():
        with pytest.raises(DatabaseBusy, match="in the middle of writing it"):
            call(database)
        # Reading sees what this thread has written so far.
        assert database.info()["doc_count"] == 0
    assert database.info()["update_seq"] == 0
    assert database.put({"_id": "a"})["ok"]
    call(database)


def test_a_listener_that_writes(database: SyncPouchDB) -> None:
    """A listener is called after the commit, on the dispatcher's thread: it writes as everybody."""
    heard: list[Any] = []
    feed = database.live_changes(since="now")
    feed.on("change", lambda row: heard.append(row["id"] if row["id"] != "a" else database.put({"_id": "b"})["id"]))
    database.put({"_id": "a"})
    end = time.monotonic() + 30
    while len(heard) < 2 and time.monotonic() < end:
        time.sleep(0.001)
    feed.cancel()
    assert heard == ["b", "b"]


# -- parts of a transaction ------------------------------------------------------------------------------


def test_a_failed_part_is_undone_alone(database: SyncPouchDB) -> None:
    store: SqliteStore = database.adapter.store  # type: ignore[attr-defined]

    def fail() -> None:
        with store.write() as inner:
            inner.next_seq()
            inner.doc_count += 5
            store.put_local("_local/inner", 1, b"{}")
            with store.write():
                store.put_local("_local/innermost", 1, b"{}")
            raise ValueError("on purpose")

    with store.write() as counters:
        counters.next_seq()
        store.put_local("_local/outer", 1, b"{}")
        with pytest.raises(ValueError, match="on purpose"):
            fail()
        with store.write() as inner:
            inner.next_seq()
            store.put_local("_local/good", 1, b"{}")
        assert counters.update_seq == 2
    assert store.counters().update_seq == 2
    assert store.counters().doc_count == 0
    assert store.local_ids("") == ["_local/good", "_local/outer"]


def test_an_error_of_sqlite_in_a_part_undoes_the_part(database: SyncPouchDB) -> None:
    store: SqliteStore = database.adapter.store  # type: ignore[attr-defined]

    def fail() -> None:
        with store.write():
            store.put_local("_local/inner", 1, b"{}")
            # Also when somebody catches it.
            with pytest.raises(PouchDBError, match="no such table"):
                store.connections.run("INSERT INTO nowhere VALUES (1)")

    with store.write():
        store.put_local("_local/outer", 1, b"{}")
        with pytest.raises(PouchDBError, match="no such table"):
            fail()
    assert store.local_ids("") == ["_local/outer"]
    assert database.put({"_id": "a"})["ok"]


def test_a_part_without_its_end_undoes_all(database: SyncPouchDB) -> None:
    store: SqliteStore = database.adapter.store  # type: ignore[attr-defined]

    kept: list[Any] = []

    def write() -> None:
        with store.write():
            store.put_local("_local/a", 1, b"{}")
            kept.append(store.write())
            kept[0].__enter__()

    with pytest.raises(PouchDBError, match="without its end"):
        write()
    assert store.local_ids("") == []
    assert database.put({"_id": "a"})["ok"]


# -- turns ---------------------------------------------------------------------------------------------------


def lose(turns: Turns) -> Turn:
    turn = Turn(sys._getframe())
    turns.take(turn)
    return turn


def test_a_turn_whose_call_is_over_is_ended_by_the_next() -> None:
    turns = Turns()
    first = lose(turns)
    assert turns.owner is first
    assert first.lost()
    mine = Turn(sys._getframe())
    assert turns.take(mine, 0) is False or turns.owner is mine
    turns.recover()
    assert turns.take(mine, 5)
    assert not mine.lost()
    turns.give(first)
    assert turns.owner is mine
    turns.give(mine)
    assert turns.owner is None


def test_a_turn_of_a_thread_that_ended_is_lost(database: SyncPouchDB) -> None:
    store: SqliteStore = database.adapter.store  # type: ignore[attr-defined]
    kept = store.write()
    thread = threading.Thread(target=lambda: kept.__enter__())
    thread.start()
    thread.join()
    assert database.put({"_id": "a"})["ok"]


@pytest.mark.parametrize("of", ["documents", "index"])
def test_a_lost_snapshot_is_not_used_by_the_next_read(database: SyncPouchDB, of: str) -> None:
    """An exception between two steps of ``with`` may leave it open, and a traceback may keep it."""
    database.put({"_id": "_design/d", "views": {"v": {"map": "function (doc) { emit(doc._id) }"}}})
    database.put({"_id": "a"})
    assert database.query("d/v")["total_rows"] == 1
    follower = indexes(database).follower(database, "views", database.get("_design/d"))
    kept: list[AbstractContextManager[Any]] = []

    def leave() -> None:
        kept.append(follower.store.snapshot() if of == "documents" else follower.snapshot())
        kept[0].__enter__()
        assert database.get("a")["_id"] == "a"

    leave()
    writer = threading.Thread(target=lambda: database.put({"_id": "b"}))
    writer.start()
    writer.join(60)
    with follower.snapshot():
        assert database.get("b")["_id"] == "b"
    assert database.query("d/v")["total_rows"] == 2


def test_a_lost_write_is_undone_by_the_next_writer(database: SyncPouchDB) -> None:
    store: SqliteStore = database.adapter.store  # type: ignore[attr-defined]

    kept: list[Any] = []
    outcomes: list[Any] = []

    def lose() -> None:
        # As a traceback keeps it.
        kept.append(store.write())
        kept[-1].__enter__().next_seq()
        store.put_local("_local/lost", 1, b"{}")

    for _ in range(3):
        lose()
        assert database.put({"_id": f"a{_}"})["ok"]
        lose()
        thread = threading.Thread(target=lambda: outcomes.append(database.post({})))
        thread.start()
        thread.join(30)
    assert len(outcomes) == 3
    assert store.local_ids("") == []
    assert database.integrity_check() == []


def test_turns_come_in_order_and_none_is_lost() -> None:
    turns = Turns()
    inside, most, rounds = 0, 0, [0] * 6

    def run(number: int) -> None:
        nonlocal inside, most
        for _ in range(300):
            turn = Turn(sys._getframe())
            try:
                turns.take(turn)
                inside += 1
                most = max(most, inside)
                if number % 2:
                    time.sleep(0)
                inside -= 1
                rounds[number] += 1
            finally:
                turns.give(turn)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (most, rounds, turns.owner) == (1, [300] * 6, None)


def test_waiting_for_a_turn_has_an_end() -> None:
    turns = Turns()
    turn = Turn(sys._getframe())
    turns.take(turn)
    outcomes: list[bool] = []
    thread = threading.Thread(target=lambda: outcomes.append(turns.take(Turn(None), 0.01)))
    thread.start()
    thread.join(30)
    assert outcomes == [False]
    # A reading turn lets the same thread do more, and gets its turn back.
    inner = Reading(sys._getframe())
    turns.interrupt(inner, turn)
    assert turns.owner is inner
    turns.give(inner)
    assert turns.owner is turn
    turns.give(turn)
    assert turns.owner is None


def test_whose_turn_it_is_waits_for_no_lock_of_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """``sys._current_frames`` hangs before Python 3.12 when a collection begins in it (CPython, issue 106883)."""
    collecting: list[bool] = []
    asked = sys._current_frames

    def frames() -> dict[int, Any]:
        collecting.append(gc.isenabled())
        return dict(asked())

    monkeypatch.setattr(sys, "_current_frames", frames)
    assert not Turn(sys._getframe()).lost()
    assert Turn(_ended()).lost()
    # About this thread nothing has to be asked.
    assert collecting == []

    made: list[Turn] = []
    go, over = threading.Event(), threading.Event()

    def other() -> None:
        made.append(Turn(sys._getframe()))
        go.set()
        over.wait()

    thread = threading.Thread(target=other)
    thread.start()
    go.wait()
    assert not made[0].lost()
    over.set()
    thread.join()
    assert made[0].lost()
    assert collecting == [sys.version_info >= (3, 12)] * 2
    assert gc.isenabled()


def _ended() -> Any:
    return sys._getframe()
