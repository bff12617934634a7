"""Feeds and other processes: their writes arrive, their forks do not disturb, their destroying is noticed."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import NotFound

SOON = 20.0

CHILD = """
import sys, pouchdb
env = pouchdb.setup(sys.argv[1], plugins=[], durability="normal")
db = env["test"]
for line in sys.stdin:
    line = line.strip()
    if line == "destroy":
        env.destroy("test")
    elif line == "recreate":
        env.destroy("test")
        env["test"].put({"_id": "new"})
    else:
        db.put({"_id": line})
    print(line, flush=True)
"""


class Child:
    """Another process that writes what it is told."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, *lines: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        for line in lines:
            self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        for line in lines:
            assert self.process.stdout.readline() == line + "\n"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[SyncEnvironment]:
    with pouchdb.setup(tmp_path / "databases", plugins=[], durability="normal") as environment:
        yield environment


@pytest.fixture
def database(environment: SyncEnvironment) -> SyncPouchDB:
    return environment["test"]


@pytest.fixture
def child(database: SyncPouchDB, tmp_path: Path) -> Iterator[Child]:
    child = Child(tmp_path / "databases")
    yield child
    child.process.communicate(timeout=SOON)


def test_writes_of_another_process_arrive_in_order_and_once(database: SyncPouchDB, child: Child, heard: Any) -> None:
    feed = database.live_changes().on("change", heard)
    names = [f"{number:03}" for number in range(50)]
    child(*names)
    database.put({"_id": "mine"})
    rows = heard.wait(51)
    assert [row["id"] for row in rows] == [*names, "mine"]
    child("last")
    assert heard.wait(52)[-1]["id"] == "last"
    feed.cancel()


def test_they_arrive_where_the_feed_is_iterated(database: SyncPouchDB, child: Child) -> None:
    feed = database.live_changes(limit=2)
    child("a")
    threading.Timer(0.05, child, ("b",)).start()
    assert [row["id"] for row in feed] == ["a", "b"]


def test_what_was_written_just_before_the_first_look_arrives(database: SyncPouchDB, child: Child, heard: Any) -> None:
    for number in range(10):
        feed = database.live_changes()
        child(str(number))
        feed.on("change", heard)
        heard.wait(number + 1)
        feed.cancel()


@pytest.mark.parametrize("how", ["destroy", "recreate"])
def test_a_database_that_another_process_destroys(database: SyncPouchDB, child: Child, heard: Any, how: str) -> None:
    feed = database.live_changes().on("change", print).on("error", heard)
    child(how)
    [error] = heard.wait()
    assert isinstance(error, NotFound)
    with pytest.raises(NotFound):
        feed.wait(SOON)


def in_child(work: Callable[[], bool]) -> None:
    """Run something in a forked child; it must return True."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() else 2
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
class TestForks:
    def test_a_feed_of_the_child(self, environment: SyncEnvironment, database: SyncPouchDB, heard: Any) -> None:
        mine = database.live_changes().on("change", heard)
        database.put({"_id": "before"})
        heard.wait()

        def work() -> bool:
            told = type(heard)()
            feed = database.live_changes().on("change", told)
            database.put({"_id": "of the child"})
            [row] = told.wait()
            feed.cancel()
            feed.wait(SOON)
            # The parent's listener was not called here.
            return bool(row["id"] == "of the child" and len(heard.calls) == 1)

        in_child(work)
        assert heard.wait(2)[1]["id"] == "of the child"
        mine.cancel()

    def test_the_feed_of_the_parent_does_nothing_in_the_child(self, database: SyncPouchDB, heard: Any) -> None:
        complete = type(heard)()
        feed = database.changes(live=True, on_change=heard, complete=complete)
        iterated = database.live_changes()
        database.put({"_id": "a"})
        heard.wait()

        def work() -> bool:
            feed.cancel()
            for call in (lambda: next(iter(iterated)), lambda: feed.wait(1)):
                with pytest.raises(RuntimeError, match="forked"):
                    call()
            database.close()
            database.environment.close()
            return not complete.calls

        in_child(work)
        database.put({"_id": "b"})
        heard.wait(2)
        feed.cancel()
        iterated.cancel()

    def test_a_fork_in_the_middle_of_everything(self, environment: SyncEnvironment, heard: Any) -> None:
        database, other = environment["test"], environment["other"]
        feed = database.live_changes().on("change", heard)
        handle = environment.sync(database, other, live=True)
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                database.put({"_id": f"{number:05}"})
                number += 1

        writer = threading.Thread(target=write)
        writer.start()
        heard.wait()

        def work() -> bool:
            told = type(heard)()
            mine = database.live_changes().on("change", told)
            database.put({"_id": f"child{os.getpid()}"})
            told.until(lambda calls: any(row["id"].startswith("child") for row in calls))
            mine.cancel()
            result = environment.replicate(database, "third")
            return bool(result["ok"] and result["docs_written"] > 0)

        for _ in range(5):
            in_child(work)
        stop.set()
        writer.join(SOON)
        heard.until(lambda calls: sum(row["id"].startswith("child") for row in calls) == 5)
        feed.cancel()
        handle.cancel()
        assert handle.wait(SOON)["status"] == "cancelled"


def test_a_spawned_child_opens_the_database_by_itself(database: SyncPouchDB, heard: Any) -> None:
    feed = database.live_changes().on("change", heard)
    code = "import sys, pickle; pickle.load(sys.stdin.buffer).put({'_id': 'spawned'})"
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(database), check=True, timeout=60)
    assert heard.wait()[0]["id"] == "spawned"
    feed.cancel()
