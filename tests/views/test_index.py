"""The incremental index: example kinds inside and outside of the database, and every way to get stuck."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import DatabaseClosed, NotFound, NotSupported
from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.runner import Idle
from pouchdb_core.views import Batch, IndexKind, IndexPlace, InsideIndex, OutsideIndex, indexes


def words(text: Any) -> set[str]:
    return set(text.split()) if isinstance(text, str) else set()


class InsideWords(InsideIndex):
    """Which documents have a word, in a table; counts its batches in ``state``."""

    def create(self) -> None:
        self.place.tables.run("CREATE TABLE {words} (word TEXT, id TEXT, PRIMARY KEY (word, id)) WITHOUT ROWID")
        self.place.tables.run("CREATE INDEX {words_id} ON {words} (id)")
        self.place.tables.run("CREATE VIRTUAL TABLE {text} USING fts5(content)")

    def prepare(self, batch: Batch) -> tuple[Any, int]:
        if self.place.ddoc.get("fails"):
            raise ValueError("cannot index this")
        count = min(len(batch.changes), 7)
        return [
            (word, change.id)
            for change in batch.changes[:count]
            if not change.deleted
            for word in words(change.document().get("text"))
        ], count

    def apply(self, batch: Batch, work: Any) -> None:
        self.place.tables.many("DELETE FROM {words} WHERE id = ?", [(id,) for id in batch.replaced])
        # Plain INSERT: a document that is said to be fresh and is not would be an error.
        self.place.tables.many("INSERT INTO {words} VALUES (?, ?)", work)
        self.state = (self.state or 0) + 1


class OutsideWords(OutsideIndex):
    """The same in files: one for each document, and the mark beside them."""

    batch_documents = 100

    def apply(self, batch: Batch, work: Any) -> None:
        self.place.directory.mkdir(exist_ok=True)
        for id in batch.replaced:
            (self.place.directory / id.replace("/", "~")).unlink(missing_ok=True)
        for change in batch.living:
            text = json.dumps(sorted(words(change.document().get("text"))))
            (self.place.directory / change.id.replace("/", "~")).write_text(text)

    def commit(self, mark: str) -> None:
        (self.place.directory / "mark").write_text(mark)

    def mark(self) -> str | None:
        path = self.place.directory / "mark"
        return path.read_text() if path.exists() else None


class LockedWords(OutsideWords):
    """Builders take a lock, as those of search engines do."""

    def apply(self, batch: Batch, work: Any) -> None:
        super().apply(batch, work)
        (self.place.directory.parent / "lock").touch()
        if any(change.document().get("text") == "bad" for change in batch.living):
            raise OSError("the disk is full")

    def finish(self) -> None:
        (self.place.directory.parent / "lock").unlink(missing_ok=True)


class WordKind(IndexKind):
    def __init__(self, name: str, index: Any) -> None:
        self.name, self._index = name, index

    def definition(self, database: Any, ddoc: Any) -> Any:
        return ddoc.get(self.name)

    def open(self, database: Any, place: IndexPlace) -> Any:
        return self._index(place)


class Words:
    @hookimpl
    def pouchdb_index_kinds(self) -> list[IndexKind]:
        return [WordKind("inside", InsideWords), WordKind("outside", OutsideWords)]


PLUGIN = Words()


def find(database: SyncPouchDB, kind: str, word: str, ddoc: Any = None) -> list[str]:
    ddoc = ddoc or database.get("_design/words")
    follower = indexes(database).follower(database, kind, ddoc)
    follower.update(database)
    with follower.snapshot() as place:
        if kind == "inside":
            rows = place.tables.all("SELECT id FROM {words} WHERE word = ? ORDER BY id", (word,))
            return [id for (id,) in rows]
        found = []
        for path in place.directory.iterdir():
            if path.name != "mark" and word in json.loads(path.read_text()):
                found.append(path.name.replace("~", "/"))
        return sorted(found)


@pytest.fixture(params=["file", "memory"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyncPouchDB]:
    where = tmp_path / "data" if request.param == "file" else ":memory:"
    with pouchdb.setup(where, plugins=[PLUGIN]) as environment:
        database = environment["test"]
        database.put({"_id": "_design/words", "inside": 1, "outside": 1})
        yield database
        if not database.closed:
            assert database.integrity_check() == []


@pytest.fixture(params=["inside", "outside"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_an_index_follows_every_change(database: SyncPouchDB, kind: str) -> None:
    assert find(database, kind, "fox") == []
    database.bulk_docs([{"_id": f"d{n:03}", "text": "fox" if n % 2 else "hen"} for n in range(50)])
    assert find(database, kind, "fox") == [f"d{n:03}" for n in range(1, 50, 2)]
    doc = database.get("d001")
    database.put({**doc, "text": "hen fox"})
    database.remove(database.get("d003"))
    database.put({**database.get("d005"), "text": 5})
    assert find(database, kind, "fox") == ["d001", *(f"d{n:03}" for n in range(7, 50, 2))]
    assert "d001" in find(database, kind, "hen")
    database.put({"_id": "d003", "text": "fox again"})
    assert find(database, kind, "again") == ["d003"]


def test_each_member_of_a_design_document_has_an_index_of_its_own(tmp_path: Path) -> None:
    class Words(WordKind):
        def definitions(self, database: Any, ddoc: Any) -> Any:
            return ddoc.get(self.name, {})

    class Plugin:
        @hookimpl
        def pouchdb_index_kinds(self) -> list[IndexKind]:
            return [Words("words", InsideWords)]

    with pouchdb.setup(tmp_path, plugins=[Plugin()]) as env:
        db = env["test"]
        db.put({"_id": "a", "text": "fox"})
        rev = db.put({"_id": "_design/d", "words": {"one": 1, "two": 2}}).rev
        register = indexes(db)

        def built(member: str) -> int:
            follower = register.follower(db, "words", db.get("_design/d"), member)
            follower.update(db)
            with follower.snapshot() as place:
                assert place.member == member
                assert place.tables.all("SELECT id FROM {words} WHERE word = 'fox'") == [("a",)]
                return place.number

        one, two = built("one"), built("two")
        assert one != two
        db.put({"_id": "_design/d", "_rev": rev, "words": {"one": 1, "two": 3}})
        assert built("one") == one
        assert built("two") not in (one, two)
        with pytest.raises(NotFound, match=r"has no 'words' 'three'"):
            built("three")
        assert register.cleanup(db) == 1
        assert built("one") == one


@pytest.mark.parametrize("bad", [False, True])
def test_a_build_ends_with_finish_before_another_may_begin(tmp_path: Path, bad: bool) -> None:
    class Plugin:
        @hookimpl
        def pouchdb_index_kinds(self) -> list[IndexKind]:
            return [WordKind("words", LockedWords)]

    with pouchdb.setup(tmp_path, plugins=[Plugin()]) as env:
        db = env["test"]
        db.put({"_id": "_design/d", "words": 1})
        db.bulk_docs([{"_id": f"{n:03}", "text": "bad" if bad and n == 150 else "fox"} for n in range(250)])
        follower = indexes(db).follower(db, "words", db.get("_design/d"))
        lock = follower.place.directory.parent / "lock"
        steps, seen = follower.steps(db), []
        with pytest.raises(OSError, match="full") if bad else contextlib.nullcontext():
            for _ in steps:
                entry = follower.entry()
                assert entry is not None
                seen.append((entry.builder is not None, lock.exists()))
        assert seen == ([(True, True)] if bad else [(True, True), (True, True), (False, False)])
        entry = follower.entry()
        assert entry is not None
        assert (entry.builder, lock.exists()) == (None, False)


def test_the_winner_of_a_conflict_is_indexed(database: SyncPouchDB, kind: str) -> None:
    database.bulk_docs([{"_id": "x", "_rev": "1-b", "text": "winner"}], new_edits=False)
    assert find(database, kind, "winner") == ["x"]
    database.bulk_docs([{"_id": "x", "_rev": "1-a", "text": "loser"}], new_edits=False)
    assert find(database, kind, "loser") == []
    database.remove("x", "1-b")
    assert find(database, kind, "winner") == []
    assert find(database, kind, "loser") == ["x"]


def test_purged_documents_leave(database: SyncPouchDB, kind: str) -> None:
    database.bulk_docs([{"_id": f"d{n}", "text": "fox"} for n in range(5)])
    assert len(find(database, kind, "fox")) == 5
    database.purge("d0", database.get("d0")["_rev"])
    assert find(database, kind, "fox") == ["d1", "d2", "d3", "d4"]
    database.purge("d1", database.get("d1")["_rev"])
    database.put({"_id": "d1", "text": "fox back"})
    assert find(database, kind, "back") == ["d1"]
    database.bulk_docs([{"_id": "d2", "_rev": "9-z", "text": "other"}], new_edits=False)
    assert find(database, kind, "other") == ["d2"]
    database.purge("d2", "9-z")
    assert find(database, kind, "fox") == ["d1", "d2", "d3", "d4"]


def test_purges_that_are_no_longer_logged_rebuild_the_index(tmp_path: Path, kind: str) -> None:
    with pouchdb.setup(tmp_path, plugins=[PLUGIN], purged_infos_limit=2) as environment:
        database = environment["test"]
        database.put({"_id": "_design/words", "inside": 1, "outside": 1})
        database.bulk_docs([{"_id": f"d{n}", "text": "fox"} for n in range(9)])
        assert len(find(database, kind, "fox")) == 9
        for n in range(5):
            database.purge(f"d{n}", database.get(f"d{n}")["_rev"])
        assert find(database, kind, "fox") == ["d5", "d6", "d7", "d8"]


def test_a_changed_definition_is_a_new_index(database: SyncPouchDB, kind: str) -> None:
    database.put({"_id": "x", "text": "fox"})
    assert find(database, kind, "fox") == ["x"]
    store = indexes(database).store
    [before] = [row for row in store.entries() if row[1] == kind]
    doc = database.get("_design/words")
    database.put({**doc, "other": "member"})
    assert find(database, kind, "fox") == ["x"]
    assert [row[0] for row in store.entries() if row[1] == kind] == [before[0]]
    database.put({**database.get("_design/words"), kind: 2})
    assert find(database, kind, "fox") == ["x"]
    assert len([row for row in store.entries() if row[1] == kind]) == 2
    database.view_cleanup()
    [after] = [row for row in store.entries() if row[1] == kind]
    assert after[0] != before[0]
    assert find(database, kind, "fox") == ["x"]


def tables(database: SyncPouchDB) -> list[str]:
    store: Any = database.adapter.indexes()
    return [name for (name,) in store.tables(0).all("SELECT name FROM sqlite_master WHERE name GLOB 'index_[0-9]*'")]


def test_cleanup_drops_tables_and_folders(database: SyncPouchDB) -> None:
    database.put({"_id": "x", "text": "fox"})
    find(database, "inside", "fox")
    find(database, "outside", "fox")
    folder = database.directory("index-outside")
    assert len(list(folder.iterdir())) == 1
    (folder / "left behind").mkdir()
    assert len(tables(database)) > 3
    database.view_cleanup()
    assert [path.name for path in folder.iterdir()] == [row[2] for row in indexes(database).store.entries()][1:]
    database.remove(database.get("_design/words"))
    assert database.viewCleanup() == {"ok": True}
    assert tables(database) == []
    assert list(folder.iterdir()) == []


def test_an_index_that_is_dropped_is_built_again(database: SyncPouchDB, kind: str) -> None:
    database.put({"_id": "x", "text": "fox"})
    assert find(database, kind, "fox") == ["x"]
    steps: list[Any] = []
    database.on("indexing", steps.append)
    assert find(database, kind, "fox") == ["x"]
    assert steps == []
    assert indexes(database).drop(database, "words") == 1
    assert find(database, kind, "fox") == ["x"]
    assert steps[-1].last_seq == database.info().update_seq
    database.put({"_id": "y", "text": "fox"})
    assert find(database, kind, "fox") == ["x", "y"]


def test_indexes_of_other_design_documents_are_not_dropped(database: SyncPouchDB, kind: str) -> None:
    database.put({"_id": "_design/never-used", kind: 2})
    find(database, kind, "fox")
    assert indexes(database).drop(database, "never-used") == 0
    assert len([row for row in indexes(database).store.entries() if row[1] == kind]) == 1
    with pytest.raises(NotFound, match="_design/none"):
        indexes(database).drop(database, "none")


def test_cleanup_leaves_indexes_of_absent_plugins_alone(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[PLUGIN]) as environment:
        environment["test"].put({"_id": "_design/words", "inside": 1, "outside": 1})
        environment["test"].put({"_id": "x", "text": "fox"})
        find(environment["test"], "inside", "fox")
        find(environment["test"], "outside", "fox")
    with pouchdb.setup(tmp_path, plugins=[]) as environment:
        database = environment["test"]
        database.remove(database.get("_design/words"))
        database.view_cleanup()
        assert len(database.adapter.indexes().entries()) == 2
        assert list(database.directory("index-outside").iterdir()) != []


def test_an_index_dropped_while_it_is_read_is_told(database: SyncPouchDB, kind: str) -> None:
    find(database, kind, "fox")
    ddoc = database.get("_design/words")
    follower = indexes(database).follower(database, kind, ddoc)
    database.remove(ddoc)
    database.view_cleanup()
    with pytest.raises(NotFound, match="dropped"), follower.snapshot():
        pass
    # Who still has the old definition may build it again.
    assert find(database, kind, "fox", ddoc) == []


def test_what_raises_while_indexing_is_an_error_of_the_query(database: SyncPouchDB) -> None:
    database.put({"_id": "_design/bad", "inside": 7, "fails": True})
    database.put({"_id": "x"})
    ddoc = database.get("_design/bad")
    for _ in range(2):
        with pytest.raises(ValueError, match="cannot index this"):
            find(database, "inside", "fox", ddoc)
    assert database.active_tasks() == []


def test_indexes_that_are_not_there(database: SyncPouchDB) -> None:
    ddoc = database.get("_design/words")
    with pytest.raises(NotFound, match="no plug-in for 'nothing' indexes is installed; there are: inside, outside"):
        indexes(database).follower(database, "nothing", ddoc)
    with pytest.raises(NotFound, match="has no 'views'"):
        indexes(database).follower(database, "views", ddoc)


def test_batches_that_are_done_in_part(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": f"{n:04}", "text": "fox"} for n in range(100)])
    seen: list[Any] = []
    database.on("indexing", seen.append)
    assert len(find(database, "inside", "fox")) == 100
    [entry] = [row for row in indexes(database).store.entries() if row[1] == "inside"]
    assert entry[6] == len(seen) == 15
    assert seen[0] == {"view": "words", "indexed_docs": 8, "last_seq": 8}
    assert seen[-1]["last_seq"] == 101


def test_progress_shows_in_the_active_tasks(database: SyncPouchDB, kind: str) -> None:
    database.bulk_docs([{"_id": f"{n:04}", "text": "fox"} for n in range(400)])
    seen: list[Any] = []

    def look(event: Any) -> None:
        [task] = database.active_tasks()
        told = (task.name, task.database, task.design_document, task.total_items)
        assert told == ("view_indexing", "test", "_design/words", 401)
        seen.append(task.completed_items)

    database.on("indexing", look)
    find(database, kind, "fox")
    assert len(seen) > 3
    assert seen == sorted(set(seen))
    assert seen[-1] == 401
    assert database.active_tasks() == []


def test_steps_of_a_build_can_be_interrupted(database: SyncPouchDB, kind: str) -> None:
    database.bulk_docs([{"_id": f"{n:04}", "text": "fox"} for n in range(400)])
    ddoc = database.get("_design/words")
    follower = indexes(database).follower(database, kind, ddoc)
    steps = follower.steps(database)
    for _ in range(2):
        next(steps)
    # Meanwhile others wait, and documents change that were indexed, and that were not.
    assert isinstance(next(indexes(database).follower(database, kind, ddoc).steps(database)), Idle)
    database.put({**database.get("0001"), "text": "hen"})
    database.put({**database.get("0399"), "text": "hen"})
    steps.close()
    assert database.active_tasks() == []
    assert len(find(database, kind, "fox")) == 398
    assert find(database, kind, "hen") == ["0001", "0399"]


def test_a_lost_or_older_folder_is_built_again(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[PLUGIN]) as environment:
        database = environment["test"]
        database.put({"_id": "_design/words", "outside": 1})
        database.put({"_id": "x", "text": "fox"})
        assert find(database, "outside", "fox") == ["x"]
        [folder] = database.directory("index-outside").iterdir()
        older = tmp_path / "older"
        shutil.copytree(folder, older)
        database.put({"_id": "y", "text": "fox"})
        assert find(database, "outside", "fox") == ["x", "y"]
        # An older copy comes back.
        shutil.rmtree(folder)
        shutil.copytree(older, folder)
        database.put({"_id": "z", "text": "fox"})
        assert find(database, "outside", "fox") == ["x", "y", "z"]
        # It is lost.
        shutil.rmtree(folder)
        database.put({"_id": "zz", "text": "fox"})
        assert find(database, "outside", "fox") == ["x", "y", "z", "zz"]
        # Another one's.
        (folder / "mark").write_text("99:somebody")
        database.put({"_id": "zzz", "text": "fox"})
        assert find(database, "outside", "fox") == ["x", "y", "z", "zz", "zzz"]


def test_threads_that_ask_at_once_build_once(database: SyncPouchDB, kind: str) -> None:
    database.bulk_docs([{"_id": f"{n:04}", "text": "fox"} for n in range(500)])
    seen: list[Any] = []
    database.on("indexing", seen.append)
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(len(find(database, kind, "fox")))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [500] * 5
    assert [event["last_seq"] for event in seen] == sorted({event["last_seq"] for event in seen})


def test_a_database_that_is_destroyed_while_it_is_indexed(tmp_path: Path, kind: str) -> None:
    with pouchdb.setup(tmp_path, plugins=[PLUGIN]) as environment:
        database = environment["test"]
        database.put({"_id": "_design/words", "inside": 1, "outside": 1})
        database.bulk_docs([{"_id": f"{n:04}"} for n in range(400)])
        ddoc = database.get("_design/words")
        steps = indexes(database).follower(database, kind, ddoc).steps(database)
        next(steps)
        database.destroy()
        with pytest.raises((DatabaseClosed, NotFound)):
            list(steps)


def test_scratch_and_indexes_are_for_databases_that_are_here() -> None:
    from pouchdb_core.adapters.base import Adapter

    class Remote(Adapter):
        name = "remote"

    Remote.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]
    adapter: Any = Remote()  # type: ignore[abstract]
    for call in (adapter.indexes, adapter.scratch, adapter.view_cleanup, lambda: adapter.query(None)):
        with pytest.raises(NotSupported, match="remote"):
            call()


def test_an_index_does_not_keep_the_database_object_that_built_it(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[PLUGIN]) as environment:
        environment.register_function("f", lambda doc: [(1, 1)])
        database = environment["test"]
        database.put({"_id": "_design/words", "inside": 1, "outside": 1})
        database.put({"_id": "_design/p", "language": "python", "views": {"p": {"map": "f"}}})
        database.put({"_id": "_design/j", "views": {"j": {"map": "function (doc) { emit(1); }"}}})
        find(database, "inside", "fox")
        find(database, "outside", "fox")
        assert len(database.query("p").rows) == len(database.query("j").rows) == 0
        known = weakref.ref(database)
        del database
        gc.collect()
        assert known() is None


def test_another_builder_is_waited_for_until_it_is_silent(database: SyncPouchDB, kind: str) -> None:
    database.put({"_id": "x", "text": "fox"})
    assert find(database, kind, "fox") == ["x"]
    database.put({"_id": "y", "text": "fox"})
    follower = indexes(database).follower(database, kind, database.get("_design/words"))
    entry = follower.entry()
    assert entry is not None
    entry.builder, entry.heartbeat = "another-machine:1:token", time.time()
    with follower.store.write():
        follower.store.save(entry.row())
    steps = follower.steps(database)
    pauses = [next(steps) for _ in range(8)]
    assert [pause.timeout for pause in pauses if isinstance(pause, Idle)] == [
        0.01, 0.02, 0.04, 0.08, 0.16, 0.25, 0.25, 0.25,
    ]  # fmt: skip
    entry.heartbeat -= 31
    with follower.store.write():
        follower.store.save(entry.row())
    list(steps)
    assert find(database, kind, "fox") == ["x", "y"]


# -- processes -----------------------------------------------------------------------------------------

PROGRAM = """
import os, signal, sys
import pouchdb
directory, command = sys.argv[1:]
env = pouchdb.setup(directory, plugins=[], durability="normal")
db = env["test"]
if command == "count":
    print(len(db.query("app/all").rows), db.query("app/all", reduce="_count").rows)
else:
    seen = []
    def killed(event):
        seen.append(event)
        if len(seen) == int(command):
            os.kill(os.getpid(), signal.SIGKILL)
    db.on("indexing", killed)
    db.query("app/all")
"""


def run(directory: Path, command: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", PROGRAM, str(directory), command], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    with pouchdb.setup(tmp_path / "data", plugins=[], durability="normal") as environment:
        database = environment["test"]
        database.put({"_id": "_design/app", "views": {"all": {"map": "function (doc) { emit(doc.n, doc.n); }"}}})
        database.bulk_docs([{"_id": f"{n:05}", "n": n} for n in range(5000)])
    return tmp_path / "data"


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("moment", [1, 3])
def test_a_killed_build_is_taken_up_where_it_was(stored: Path, moment: int) -> None:
    process = run(stored, str(moment))
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    with pouchdb.setup(stored, plugins=[], durability="normal") as environment:
        database = environment["test"]
        [row] = database.adapter.indexes().entries()
        assert row[3] > 0
        assert row[8] is not None
        seen: list[Any] = []
        database.on("indexing", seen.append)
        # At once: the builder's process is known to be gone.
        assert [row.key for row in database.query("app/all").rows] == list(range(5000))
        assert seen[-1]["indexed_docs"] <= 5001 - 999 * moment
        assert database.integrity_check() == []


FRAGILE = """
import importlib.util, os, signal, sqlite3, sys
directory, here, point = sys.argv[1:]
left = int(point)
def traced(statement):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
connect = sqlite3.connect
def connected(*args, **options):
    connection = connect(*args, **options)
    connection.set_trace_callback(traced)
    return connection
sqlite3.connect = connected
spec = importlib.util.spec_from_file_location("test_index", here)
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
import pouchdb
database = pouchdb.setup(directory, plugins=[tests.PLUGIN], durability="normal")["test"]
for kind in ("inside", "outside"):
    tests.find(database, kind, "fox")
database.query("words/all")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("seed", [1, 2])
def test_builds_that_are_killed_at_any_statement(tmp_path: Path, seed: int) -> None:
    chance, data = random.Random(seed), tmp_path / "data"
    view = "function (doc) { if (doc.text) { doc.text.split(' ').forEach(function (w) { emit(w, 1); }); } }"
    texts: dict[str, str] = {}
    with pouchdb.setup(data, plugins=[PLUGIN], durability="normal") as environment:
        database = environment["test"]
        database.put({"_id": "_design/words", "inside": 1, "outside": 1, "views": {"all": {"map": view}}})
        database.bulk_docs([{"_id": f"d{n:04}", "text": chance.choice(["fox", "hen fox", "hen"])} for n in range(300)])
    killed = 0
    for _ in range(4):
        command = [sys.executable, "-c", FRAGILE, str(data), __file__, str(chance.randint(20, 450))]
        killed += subprocess.run(command, check=False).returncode == -signal.SIGKILL
        with pouchdb.setup(data, plugins=[PLUGIN], durability="normal") as environment:
            database = environment["test"]
            # Some documents change before the next one goes on.
            for n in chance.sample(range(300), 20):
                id = f"d{n:04}"
                if id in database:
                    doc = database.get(id)
                    if n % 5 == 0:
                        database.purge(id, doc["_rev"])
                    elif n % 5 == 1:
                        database.remove(doc)
                    else:
                        database.put({**doc, "text": "fox" if n % 2 else "hen"})
            texts = {row.id: row.doc.get("text", "") for row in database.all_docs(include_docs=True).rows}
    assert killed >= 2
    with pouchdb.setup(data, plugins=[PLUGIN], durability="normal") as environment:
        database = environment["test"]
        expected = sorted(id for id, text in texts.items() if "fox" in words(text))
        assert find(database, "inside", "fox") == find(database, "outside", "fox") == expected
        rows = [(row.key, row.id) for row in database.query("words/all").rows]
        assert rows == sorted((word, id) for id, text in texts.items() for word in words(text))
        assert database.query("words/all", limit=0).total_rows == len(rows)
        assert database.integrity_check() == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells")
def test_a_killed_builder_that_nobody_waited_for_is_gone(stored: Path) -> None:
    process = run(stored, "1")
    # It has ended, but as long as its parent does not ask for its status it has a process id.
    assert os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT) is not None
    start = time.monotonic()
    with pouchdb.setup(stored, plugins=[], durability="normal") as environment:
        assert len(environment["test"].query("app/all").rows) == 5000
    assert time.monotonic() - start < 25
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_processes_that_query_the_same_stale_view(stored: Path) -> None:
    processes = [run(stored, "count") for _ in range(3)]
    expected = "5000 [{'key': None, 'value': 5000}]\n"
    assert [process.communicate()[0] for process in processes] == [expected] * 3
    with pouchdb.setup(stored, plugins=[], durability="normal") as environment:
        assert len(environment["test"].adapter.indexes().entries()) == 1
        assert len(environment["test"].query("app/all").rows) == 5000
