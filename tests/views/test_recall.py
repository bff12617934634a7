"""What is kept of a database until something is committed: ``IndexStore.recall``, and ``Indexes.current`` on it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import hookimpl
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import NotFound, Unauthorized
from pouchdb_core.requests import Administer
from pouchdb_core.views import indexes

KINDS = ("views",)


class Reader:
    """Reads the newest sequence number, and counts how often."""

    def __init__(self, database: SyncPouchDB) -> None:
        self.store, self.count = indexes(database).store, 0

    def read(self) -> int:
        self.count += 1
        return self.store.counters().update_seq

    def __call__(self, key: str = "seq") -> int:
        return self.store.recall(key, self.read)


@pytest.fixture
def reader(database: SyncPouchDB) -> Reader:
    return Reader(database)


def test_what_is_kept_is_not_read_again(database: SyncPouchDB, reader: Reader) -> None:
    database.put({"_id": "a"})
    assert [reader(), reader(), reader()] == [1, 1, 1]
    assert reader.count == 1
    assert reader("another key") == 1
    assert reader.count == 2


CHANGES: dict[str, Callable[[SyncPouchDB], Any]] = {
    "put": lambda database: database.put({"_id": "b"}),
    "remove": lambda database: database.remove(database["a"]),
    "purge": lambda database: database.purge({"a": [database["a"]["_rev"]]}),
    "bulk": lambda database: database.bulk_docs([{"_id": "b"}, {"_id": "c"}], new_edits=True),
    "design document": lambda database: database.put({"_id": "_design/d"}),
    "local document": lambda database: database.put({"_id": "_local/a"}),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["this thread", "another thread"])
def test_every_commit_ends_it(database: SyncPouchDB, reader: Reader, change: str, elsewhere: bool) -> None:
    database.put({"_id": "a"})
    reader()
    before = reader.count
    if elsewhere:
        thread = threading.Thread(target=CHANGES[change], args=(database,))
        thread.start()
        thread.join()
    else:
        CHANGES[change](database)
    counters = reader.store.counters()
    assert reader() == counters.update_seq
    assert reader.count == before + 1
    assert reader.store.recall("all", reader.store.counters) == counters


def test_in_a_write_it_is_read_every_time_and_not_kept(database: SyncPouchDB, reader: Reader) -> None:
    database.put({"_id": "a"})
    assert reader() == 1

    def write() -> None:
        with reader.store.write() as counters:
            numbers = []
            for _ in range(3):
                counters.update_seq += 1
                numbers.append(reader.store.recall("in memory", lambda: counters.update_seq))
            assert numbers == [2, 3, 4]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert reader() == 1, "the write was undone"
    assert reader.store.recall("in memory", reader.read) == 1


def test_an_error_is_not_kept(database: SyncPouchDB, reader: Reader) -> None:
    def fail() -> int:
        raise NotFound("once")

    with pytest.raises(NotFound):
        reader.store.recall("seq", fail)
    assert reader() == 0


def test_there_is_a_limit_to_what_is_kept(database: SyncPouchDB, reader: Reader) -> None:
    for number in range(1000):
        assert reader(str(number)) == 0
    assert reader("999") == 0
    assert reader.count == 1000, "the newest are kept"
    reader("0")
    assert reader.count == 1001, "the oldest are not"


def test_a_snapshot_sees_its_own_state(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[], durability="normal") as environment:
        database = environment["test"]
        database.put({"_id": "a"})
        reader = Reader(database)
        assert reader() == 1
        with reader.store.snapshot():
            assert reader() == 1
            thread = threading.Thread(target=database.put, args=({"_id": "b"},))
            thread.start()
            thread.join()
            seen: list[int] = []
            thread = threading.Thread(target=lambda: seen.append(reader()))
            thread.start()
            thread.join()
            assert seen == [2]
            assert [reader(), reader("another key")] == [1, 1]
        assert [reader(), reader("another key")] == [2, 2]


def test_no_thread_sees_less_than_was_committed(database: SyncPouchDB, reader: Reader) -> None:
    """Each thread writes, and must then find its own write or a later one, whichever connection it gets."""
    failures: list[Any] = []

    def work(number: int) -> None:
        try:
            for n in range(40):
                database.put({"_id": f"{number}-{n}"})
                committed = reader.store.counters().update_seq
                found = reader()
                if found < committed:
                    failures.append((found, committed))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert reader() == 240


PROGRAM = """
import sys, pouchdb
with pouchdb.setup(sys.argv[1], plugins=[], durability="normal") as environment:
    for line in sys.stdin:
        exec(line)
        print("done", flush=True)
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Runs lines in another process that has the directory open."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def run(line: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"

    with process:
        yield run
        process.stdin.close()


def test_commits_of_another_process_are_seen_at_once(tmp_path: Path, other: Callable[[str], None]) -> None:
    with pouchdb.setup(tmp_path, plugins=[], durability="normal") as environment:
        database = environment["test"]
        reader = Reader(database)
        for number in range(1, 20):
            assert reader() == reader() == 2 * (number - 1)
            other(f"environment['test'].put({{'_id': 'theirs {number}'}})")
            assert reader() == 2 * number - 1
            database.put({"_id": f"ours {number}"})
            assert reader() == 2 * number
        other("environment['test'].purge({'ours 1': [environment['test']['ours 1']['_rev']]})")
        assert reader.store.recall("purge_seq", lambda: reader.store.counters().purge_seq) == 1


def test_a_database_that_another_process_makes_anew(tmp_path: Path, other: Callable[[str], None]) -> None:
    with pouchdb.setup(tmp_path, plugins=[], durability="normal") as environment:
        database = environment["test"]
        database.put({"_id": "_design/d", "views": {"v": {"map": "function (doc) { emit(doc._id, null); }"}}})
        database.bulk_docs([{"_id": str(number)} for number in range(5)])
        assert len(database.query("d/v").rows) == 5
        assert Reader(database)() == 6
        other("environment['test'].destroy(); environment['test'].put({'_id': 'new'})")
        # Of the old one nothing is shown as if it were there; when that is noticed, see adapters/test_identity.py.
        database.adapter.store.connections._look_at = 0.0
        with pytest.raises(NotFound, match="destroyed or replaced"):
            Reader(database)()
        assert Reader(environment["test"])() == 1


# -- current -------------------------------------------------------------------------------------------

VIEW = {"a": {"map": "function (doc) { emit(doc.a, null); }"}}


def followed(database: SyncPouchDB) -> None:
    """Bring the index up to date as a query does."""
    follower = indexes(database).named(database, KINDS, "d", "")
    assert follower is not None
    follower.update(database)


@pytest.fixture
def indexed(database: SyncPouchDB) -> SyncPouchDB:
    database.put({"_id": "_design/d", "views": {"": VIEW["a"]}})
    database.put({"_id": "a", "a": 1})
    followed(database)
    return database


def is_current(database: SyncPouchDB) -> bool:
    found = indexes(database).current(database, KINDS, "d", "")
    if found is None:
        return False
    follower, entry = found
    assert entry.seq >= database.info()["update_seq"]
    assert entry == follower.entry() == follower.current()
    return True


def test_an_index_is_current_once_it_was_named_and_built(database: SyncPouchDB) -> None:
    assert not is_current(database)
    database.put({"_id": "_design/d", "views": {"": VIEW["a"]}})
    assert not is_current(database), "nobody looked for it"
    follower = indexes(database).named(database, KINDS, "d", "")
    assert follower is not None
    assert not is_current(database), "it was not built"
    follower.update(database)
    assert is_current(database)
    assert is_current(database)


@pytest.mark.parametrize("change", [name for name in CHANGES if name != "local document"])
def test_an_index_is_not_current_after_a_change(indexed: SyncPouchDB, change: str) -> None:
    assert is_current(indexed)
    CHANGES[change](indexed) if change != "design document" else indexed.put({"_id": "_design/other"})
    assert not is_current(indexed)
    followed(indexed)
    assert is_current(indexed)


def test_a_design_document_that_changes_has_another_index(indexed: SyncPouchDB) -> None:
    before = indexes(indexed).current(indexed, KINDS, "d", "")
    assert before is not None
    indexed.put({**indexed["_design/d"], "views": {"": {"map": "function (doc) { emit(doc.b, null); }"}}})
    assert not is_current(indexed)
    followed(indexed)
    after = indexes(indexed).current(indexed, KINDS, "d", "")
    assert after is not None
    assert after[0] is not before[0]
    indexed.remove(indexed["_design/d"])
    assert not is_current(indexed)
    with pytest.raises(NotFound):
        indexes(indexed).named(indexed, KINDS, "d", "")


def test_an_index_that_is_dropped_is_not_current(indexed: SyncPouchDB) -> None:
    indexes(indexed).drop(indexed, "d")
    assert not is_current(indexed)
    followed(indexed)
    assert is_current(indexed)


def test_fresh_gives_the_entry(indexed: SyncPouchDB) -> None:
    follower = indexes(indexed).named(indexed, KINDS, "d", "")
    assert follower is not None
    with follower.fresh(indexed, "true") as entry:
        assert entry == follower.entry()
    indexed.put({"_id": "b"})
    with follower.fresh(indexed, "false") as old:
        assert old == entry
    with follower.fresh(indexed, "true") as new:
        assert new == follower.entry() != old


class Doorkeeper:
    """Refuses everything while it is closed, and counts what it was asked."""

    open, asked = True, 0

    @hookimpl
    def pouchdb_authorise(self, environment: Any, database: Any, request: Any) -> None:
        if isinstance(request, Administer) and request.action == "design_documents":
            self.asked += 1
            if not self.open:
                raise Unauthorized("closed")


def test_a_plug_in_that_refuses_is_asked_every_time() -> None:
    door = Doorkeeper()
    with pouchdb.setup(":memory:", plugins=[door]) as environment:
        database = environment["test"]
        database.put({"_id": "_design/d", "views": {"": VIEW["a"]}})
        followed(database)
        eve = database.as_user({"name": "eve"})
        for asked in (1, 2):
            assert indexes(eve).current(eve, KINDS, "d", "") is not None
            assert door.asked == asked
        door.open = False
        with pytest.raises(Unauthorized):
            indexes(eve).current(eve, KINDS, "d", "")
        assert is_current(database), "the program itself is not refused"


class Editor:
    """Shows other design documents than are stored, each time anew."""

    @hookimpl(wrapper=True)
    def pouchdb_administer(self, database: Any, request: Administer) -> Generator[None, Any, Any]:
        answer = yield
        return list(answer) if request.action == "design_documents" else answer


def test_a_plug_in_that_changes_design_documents_is_asked_every_time() -> None:
    with pouchdb.setup(":memory:", plugins=[Editor()]) as environment:
        database = environment["test"]
        database.put({"_id": "_design/d", "views": {"": VIEW["a"]}})
        followed(database)
        assert not is_current(database)


def test_what_is_kept_does_not_keep_an_index_open(tmp_path: Path) -> None:
    """An index is closed with its last reference; ``recall`` has none."""
    import weakref

    with pouchdb.setup(tmp_path, plugins=[], durability="normal") as environment:
        database = environment["test"]
        database.put({"_id": "_design/d", "views": {"": VIEW["a"]}})
        followed(database)
        found = indexes(database).current(database, KINDS, "d", "")
        assert found is not None
        gone = weakref.ref(found[0].index)
        del found
        database.put({**database["_design/d"], "views": {"": {"map": "function (doc) { emit(doc.b, null); }"}}})
        followed(database)
        assert gone() is None
