"""Many threads on one database: what is acknowledged is there, conflicts are exact, the feed never skips."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import Conflict, DatabaseClosed, NotFound

OpenDatabase = Callable[[], SyncPouchDB]


@pytest.fixture(params=["one object", "an object each", "an environment each", "memory"])
def open_database(request: pytest.FixtureRequest, directory: Path) -> Iterator[OpenDatabase]:
    """Give each thread the database: the same object, another one, one of another engine, one in memory."""
    if request.param == "an environment each":
        # Each engine has connections, locks and caches of its own, as another process would.
        environments: list[SyncEnvironment] = []

        def open_database() -> SyncPouchDB:
            environments.append(pouchdb.setup(directory, plugins=[object()], durability="normal"))
            return environments[-1]["test"]

        yield open_database
        for each in environments:
            each.close()
        return
    if request.param == "memory":
        environment = pouchdb.setup(":memory:", plugins=[])
    else:
        environment = pouchdb.setup(directory, plugins=[], durability="normal")
    with environment:
        if request.param == "an object each":
            yield lambda: environment["test"]
        else:
            database = environment["test"]
            yield lambda: database


def run_all(*functions: Callable[[], Any]) -> list[Any]:
    """Run functions in threads that start together; return what they return, in order."""
    outcomes: list[Any] = [None] * len(functions)
    together = threading.Barrier(len(functions))

    def run(index: int, function: Callable[[], Any]) -> None:
        together.wait()
        try:
            outcomes[index] = function()
        except BaseException as error:
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_every_acknowledged_write_is_there(open_database: OpenDatabase) -> None:
    databases = [open_database() for _ in range(8)]

    def write(number: int) -> Any:
        database, revs = databases[number], {}
        for n in range(30):
            id = f"{number}-{n}"
            revs[id] = database.put({"_id": id})["rev"]
            assert database.get(id)["_rev"] == revs[id]
            bulk = [{"_id": f"{id}-{m}"} for m in range(5)]
            revs.update((row["id"], row["rev"]) for row in database.bulk_docs(bulk))
            if n % 3 == 0:
                revs[id] = database.put({"_id": id, "_rev": revs[id], "n": n})["rev"]
        return revs

    expected: dict[str, str] = {}
    for revs in run_all(*(lambda number=number: write(number) for number in range(8))):
        assert isinstance(revs, dict), revs
        expected.update(revs)
    for database in databases:
        rows = database.all_docs()["rows"]
        assert {row["id"]: row["value"]["rev"] for row in rows} == expected
    info = databases[0].info()
    assert info["doc_count"] == len(expected) == 8 * 30 * 6
    assert info["update_seq"] == 8 * (30 * 6 + 10)
    seqs = [row["seq"] for row in databases[0].changes()["results"]]
    assert seqs == sorted(set(seqs))
    assert databases[0].integrity_check() == []


def test_of_edits_of_one_revision_exactly_one_wins(open_database: OpenDatabase) -> None:
    databases = [open_database() for _ in range(8)]
    rev = databases[0].put({"_id": "a"})["rev"]
    for round in range(20):
        outcomes = run_all(
            *(
                lambda database=database, number=number, rev=rev, round=round: database.put(  # type: ignore[misc]
                    {"_id": "a", "_rev": rev, "by": number, "round": round}
                )
                for number, database in enumerate(databases)
            )
        )
        won = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
        assert len(won) == 1, outcomes
        assert all(isinstance(outcome, Conflict) for outcome in outcomes if outcome is not won[0])
        rev = won[0]["rev"]
        doc = databases[0].get("a", conflicts=True)
        assert doc["_rev"] == rev
        assert doc["by"] == outcomes.index(won[0])
        assert "_conflicts" not in doc


def test_of_creations_of_one_document_exactly_one_wins(open_database: OpenDatabase) -> None:
    databases = [open_database() for _ in range(8)]
    for round in range(20):
        outcomes = run_all(
            *(
                lambda database=database, number=number, round=round: database.put(  # type: ignore[misc]
                    {"_id": f"{round}", "by": number}
                )
                for number, database in enumerate(databases)
            )
        )
        assert sorted(isinstance(outcome, Conflict) for outcome in outcomes) == [False] + [True] * 7
    assert databases[0].info()["doc_count"] == 20


def test_a_counter_that_retries_loses_no_step(open_database: OpenDatabase) -> None:
    databases = [open_database() for _ in range(6)]
    databases[0].put({"_id": "counter", "n": 0})

    def count(database: SyncPouchDB) -> int:
        conflicts = 0
        for _ in range(20):
            while True:
                doc = database.get("counter")
                try:
                    database.put({**doc, "n": doc["n"] + 1})
                    break
                except Conflict:
                    conflicts += 1
        return conflicts

    outcomes = run_all(*(lambda database=database: count(database) for database in databases))
    assert all(isinstance(outcome, int) for outcome in outcomes), outcomes
    doc = databases[0].get("counter")
    assert doc["n"] == 120
    assert doc["_rev"].startswith("121-")


@pytest.mark.parametrize("style", ["puts", "batches"])
def test_a_reader_that_follows_the_feed_misses_nothing(open_database: OpenDatabase, style: str) -> None:
    """A seq that becomes visible after a later one would be skipped for ever."""
    writers = [open_database() for _ in range(4)]
    readers = [open_database() for _ in range(3)]
    done = threading.Event()

    def write(number: int) -> None:
        for n in range(60):
            if style == "puts":
                writers[number].put({"_id": f"{number}-{n}"})
            else:
                writers[number].bulk_docs([{"_id": f"{number}-{n}-{m}"} for m in range(n % 7 + 1)])

    def write_all() -> None:
        problems = [each for each in run_all(*(lambda n=n: write(n) for n in range(4))) if each is not None]
        done.set()
        assert problems == []

    def follow(database: SyncPouchDB) -> dict[str, int]:
        seen: dict[str, int] = {}
        since, last = 0, False
        while True:
            last = done.is_set()
            answer = database.changes(since=since)
            for row in answer["results"]:
                assert row["seq"] > since
                assert row["id"] not in seen
                since = seen[row["id"]] = row["seq"]
            assert answer["last_seq"] >= since
            since = answer["last_seq"]
            if last:
                return seen

    outcomes = run_all(write_all, *(lambda database=database: follow(database) for database in readers))
    assert outcomes[0] is None
    expected = {row["id"]: row["seq"] for row in readers[0].changes()["results"]}
    assert len(expected) == (240 if style == "puts" else 4 * sum(n % 7 + 1 for n in range(60)))
    for outcome in outcomes[1:]:
        assert outcome == expected
    assert sorted(expected.values()) == list(range(1, len(expected) + 1))


def test_a_batch_becomes_visible_as_a_whole(open_database: OpenDatabase) -> None:
    writer, reader = open_database(), open_database()
    done = threading.Event()

    def write() -> None:
        rows = writer.bulk_docs([{"_id": f"{n:03}", "n": 0} for n in range(200)])
        for round in range(1, 15):
            rows = writer.bulk_docs([{"_id": row["id"], "_rev": row["rev"], "n": round} for row in rows])
        done.set()

    def read() -> set[int]:
        sizes = set()
        last = False
        while not last:
            last = done.is_set()
            answer = reader.all_docs(include_docs=True)
            assert answer["total_rows"] == len(answer["rows"])
            sizes.add(len(answer["rows"]))
            assert len({row["doc"]["n"] for row in answer["rows"]}) <= 1
        return sizes

    outcomes = run_all(write, read, read)
    assert outcomes[0] is None
    for sizes in outcomes[1:]:
        assert sizes <= {0, 200}, sizes


def test_attachments_written_and_read_together(open_database: OpenDatabase) -> None:
    databases = [open_database() for _ in range(6)]
    contents = [bytes([n]) * 600_000 for n in range(3)]

    def work(number: int) -> None:
        database = databases[number]
        for n in range(6):
            id = f"{number}-{n}"
            # The same content from several threads is stored once, and goes with its last use.
            rev = database.put_attachment(id, "file", contents[n % 3], "text/plain")["rev"]
            assert database.get_attachment(id, "file")["data"] == contents[n % 3]
            if n % 2:
                database.remove(id, rev)
                database.compact()

    assert run_all(*(lambda number=number: work(number) for number in range(6))) == [None] * 6
    assert databases[0].integrity_check() == []
    for number in range(6):
        for n in (0, 2, 4):
            assert databases[0].get_attachment(f"{number}-{n}", "file")["data"] == contents[n % 3]


def test_maintenance_beside_readers_and_writers(open_database: OpenDatabase, tmp_path: Path) -> None:
    databases = [open_database() for _ in range(5)]
    databases[0].bulk_docs([{"_id": f"{n:03}", "n": 0} for n in range(50)])
    done = threading.Event()

    def write(database: SyncPouchDB, which: int) -> None:
        for round in range(12):
            for n in range(which, 50, 10):
                database.put({**database.get(f"{n:03}"), "n": round + 1})

    def both() -> None:
        problems = [each for each in run_all(*(lambda n=n: write(databases[n], n) for n in range(2))) if each]
        done.set()
        assert problems == []

    def keep(call: Callable[[], Any]) -> int:
        count = 0
        while not done.is_set():
            call()
            count += 1
        return count

    outcomes = run_all(
        both,
        lambda: keep(databases[2].compact),
        lambda: keep(lambda: databases[3].integrity_check() == [] or pytest.fail("damaged")),
        lambda: keep(lambda: databases[4].info() and databases[4].revs_limit()),
    )
    assert outcomes[0] is None
    assert all(isinstance(outcome, int) for outcome in outcomes[1:]), outcomes
    for n in range(50):
        doc = databases[0].get(f"{n:03}")
        assert doc["n"] == (12 if n % 10 < 2 else 0)


def test_destroying_beside_readers_and_writers(directory: Path) -> None:
    """Whoever comes too late is told so; what is made anew has nothing of the old."""
    with pouchdb.setup(directory, plugins=[], durability="normal") as environment:
        done = threading.Event()

        def work(number: int) -> int:
            count = 0
            while not done.is_set():
                try:
                    database = environment["test"]
                    database.put({"_id": f"{number}-{count}"})
                    database.get(f"{number}-{count}")
                    count += 1
                except (DatabaseClosed, NotFound):
                    continue
            return count

        def destroy() -> None:
            for _ in range(8):
                environment.destroy("test")
                fresh = environment["test"]
                try:
                    assert fresh.integrity_check() == []
                except (DatabaseClosed, NotFound):
                    pass
            done.set()

        outcomes = run_all(destroy, *(lambda number=number: work(number) for number in range(4)))
        assert outcomes[0] is None
        assert all(isinstance(outcome, int) for outcome in outcomes[1:]), outcomes
        assert environment["test"].integrity_check() == []
