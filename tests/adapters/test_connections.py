"""Connections: their settings, and how they live and die with threads, processes and objects."""

from __future__ import annotations

import gc
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.adapters.sqlite import fork
from pouchdb_core.adapters.sqlite.connection import Connection, Held
from pouchdb_core.adapters.sqlite.disk import KEPT
from pouchdb_core.adapters.sqlite.sqlite_store import SqliteStore
from pouchdb_core.documents.content import Digests
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import DatabaseClosed, NotFound, StorageError

FULL, NORMAL = 2, 1


def pragma(store: SqliteStore, name: str) -> Any:
    return store.connections.one(f"PRAGMA {name}")[0]


def in_threads(function: Callable[[], Any], number: int = 1) -> list[Any]:
    """Return what the function returns in each of some threads, all of which are alive at once."""
    outcomes: list[Any] = []
    together = threading.Barrier(number)

    def run() -> None:
        together.wait()
        try:
            outcomes.append(function())
        except BaseException as error:
            outcomes.append(error)
        together.wait()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "synchronous", "fullfsync"),
    [({}, FULL, 1), ({"durability": "full"}, FULL, 1), ({"durability": "normal"}, NORMAL, 0)],
    ids=["default", "full", "normal"],
)
def test_durability_holds_for_every_connection(
    environment: SyncEnvironment, options: dict[str, Any], synchronous: int, fullfsync: int
) -> None:
    store = environment.PouchDB("test", **options).adapter.store  # type: ignore[attr-defined]

    def settings() -> Any:
        return tuple(pragma(store, name) for name in ("synchronous", "fullfsync", "journal_mode", "wal_autocheckpoint"))

    expected = (synchronous, fullfsync, "wal", 4000)
    assert settings() == expected
    assert in_threads(settings, 5) == [expected] * 5
    assert in_threads(settings, 2) == [expected] * 2
    with store.write():
        assert settings() == expected


def test_the_durability_of_the_environment(directory: Path) -> None:
    with pouchdb.setup(directory, plugins=[], durability="normal") as environment:
        assert pragma(environment["test"].adapter.store, "synchronous") == NORMAL  # type: ignore[attr-defined]


def test_a_file_gives_pages_back(open_store: Callable[..., SqliteStore]) -> None:
    assert pragma(open_store(), "auto_vacuum") == 2


# -- threads -------------------------------------------------------------------------------------


def open_files(path: Path) -> int:
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("this platform does not tell the open files of a process")
    found = 0
    for descriptor in descriptors.iterdir():
        try:
            found += os.readlink(descriptor).startswith(str(path))
        except FileNotFoundError:
            pass
    return found


def test_threads_share_connections(open_store: Callable[..., SqliteStore], path: Path) -> None:
    """As many as were used at once, and no more than a few of them wait."""
    gc.collect()
    # Not the collector's merit.
    gc.disable()
    try:
        store = open_store()
        store.counters()
        journal = path.with_name(path.name + "-wal")
        assert open_files(journal) == 1
        for _ in range(200):
            in_threads(store.counters)
        assert open_files(journal) == 1

        def read() -> int:
            with store.snapshot():
                store.counters()
                together.wait()
                return open_files(journal)

        together = threading.Barrier(50)
        assert max(in_threads(read, 50)) >= 50
        assert open_files(journal) <= KEPT
        store.close()
        assert open_files(path) == 0
    finally:
        gc.enable()


def test_a_store_whose_opening_thread_ended_goes_on(environment: SyncEnvironment, path: Path) -> None:
    opened: list[Any] = []
    in_threads(lambda: opened.append(environment["test"]))
    in_threads(lambda: opened[0].put({"_id": "a"}))
    assert opened[0].get("a")["_id"] == "a"


def test_close_closes_the_connections_of_all_threads(open_store: Callable[..., SqliteStore], path: Path) -> None:
    store = open_store()
    ready, go = threading.Barrier(6), threading.Event()
    outcomes: list[Any] = []

    def run() -> None:
        store.counters()
        ready.wait()
        go.wait(30)
        for call in (store.counters, lambda: store.write().__enter__()):
            try:
                outcomes.append(call())  # type: ignore[operator]
            except Exception as error:
                outcomes.append(type(error))

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    ready.wait()
    assert open_files(path) > 1
    store.close()
    assert open_files(path) == 0
    go.set()
    for thread in threads:
        thread.join()
    assert outcomes == [DatabaseClosed] * 10
    assert open_files(path) == 0


def test_close_waits_for_a_write(open_store: Callable[..., SqliteStore]) -> None:
    store = open_store()
    writing, closed = threading.Event(), threading.Event()

    def close() -> None:
        writing.wait(30)
        store.close()
        closed.set()

    closer = threading.Thread(target=close)
    closer.start()
    with store.write():
        writing.set()
        store.put_local("_local/a", 1, b"{}")
        assert not closed.wait(0.05)
        store.put_local("_local/b", 1, b"{}")
    closer.join(30)
    assert closed.is_set()
    assert open_store().local("_local/b") == (1, b"{}")


def test_a_writer_that_waited_while_the_store_was_closed(open_store: Callable[..., SqliteStore]) -> None:
    store = open_store()
    outcomes: list[Any] = []
    waiting = threading.Event()

    def write() -> None:
        waiting.set()
        try:
            with store.write():
                outcomes.append("wrote")
        except DatabaseClosed:
            outcomes.append("closed")

    thread = threading.Thread(target=write)
    with store.write():
        thread.start()
        waiting.wait(30)
        closer = threading.Thread(target=store.close)
        closer.start()
    thread.join(30)
    closer.join(30)
    # Whoever came first: nothing in between.
    assert outcomes in (["wrote"], ["closed"])


def test_closing_inside_a_write_undoes_it(open_store: Callable[..., SqliteStore]) -> None:
    store = open_store()

    def write() -> None:
        with store.write():
            store.put_local("_local/a", 1, b"{}")
            store.close()

    with pytest.raises(DatabaseClosed):
        write()
    again = open_store()
    assert again.local("_local/a") is None
    with again.write():
        again.put_local("_local/a", 1, b"{}")


def test_closing_under_readers_does_not_crash(directory: Path) -> None:
    """Python dies when a connection is closed while another thread reads through it."""
    script = """
        import sys, threading
        import pouchdb
        from pouchdb_core.errors import DatabaseClosed

        environment = pouchdb.setup(sys.argv[1], plugins=[], durability="normal")
        environment["test"].bulk_docs([{"_id": f"{n:05}", "text": "x" * 100} for n in range(3000)])
        sys.setswitchinterval(1e-5)
        others = []
        for round in range(40):
            database = environment["test"]
            reading = threading.Barrier(5)

            def read(database=database, reading=reading):
                reading.wait()
                try:
                    while True:
                        database.get("00001")
                        database.all_docs(limit=500)
                except DatabaseClosed:
                    pass
                except BaseException as error:
                    others.append(error)

            threads = [threading.Thread(target=read) for _ in range(4)]
            for thread in threads:
                thread.start()
            reading.wait()
            database.close()
            for thread in threads:
                thread.join()
        environment.close()
        assert not others, others
        print("alive")
    """
    run = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error", "-c", textwrap.dedent(script), str(directory)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "alive", "")


# -- a database that goes while it is open -------------------------------------------------------


def test_a_destroyed_database_is_not_written_by_who_has_it_open(
    open_store: Callable[..., SqliteStore], directory: Path, path: Path
) -> None:
    store = open_store()
    with store.write():
        store.put_local("_local/a", 1, b"{}")
    with pouchdb.setup(directory, plugins=[]) as environment:
        environment.destroy("test")
    for call in (lambda: store.write().__enter__(), lambda: store.shrink()):
        with pytest.raises(NotFound, match="destroyed"):
            call()
    # Nor by a thread that comes new.
    assert [type(outcome) for outcome in in_threads(store.counters, 2)] == [NotFound, NotFound]
    assert not list(directory.glob("test*"))


def test_a_database_made_again_is_another_one(open_store: Callable[..., SqliteStore], directory: Path) -> None:
    store = open_store()
    uuid = store.metadata("uuid")
    # The one thread that had a connection is gone: nothing keeps the file but the store itself.
    [old] = in_threads(open_store)
    with pouchdb.setup(directory, plugins=[]) as environment:
        for _ in range(3):
            environment.destroy("test")
            fresh = environment["test"]
            fresh.put({"_id": "new"})
            for each in (store, old):
                with pytest.raises(NotFound, match="destroyed"):
                    each.write().__enter__()
                assert [type(outcome) for outcome in in_threads(each.counters)] == [NotFound]
            fresh.put({"_id": "newer"})
            assert fresh.id() != uuid
            assert fresh.integrity_check() == []
        # The old one's end takes nothing of the new one along.
        store.close()
        old.close()
        assert fresh.info()["doc_count"] == 2
        assert fresh.integrity_check() == []


# -- forks ---------------------------------------------------------------------------------------


def locks(path: Path) -> int:
    """Return how many locks on files the process has, as the system sees it: where SQLite's are."""
    inodes = {os.stat(f"{path}{suffix}").st_ino for suffix in ("", "-shm") if Path(f"{path}{suffix}").exists()}
    table = Path("/proc/locks")
    if not table.exists():
        pytest.skip("this platform does not tell the locks of a process")
    found = 0
    for line in table.read_text().splitlines():
        fields = line.split()
        found += fields[4] == str(os.getpid()) and int(fields[5].rpartition(":")[2]) in inodes
    return found


def test_a_child_has_locks_of_its_own(
    open_store: Callable[..., SqliteStore], path: Path, child: Callable[..., Any]
) -> None:
    """SQLite would think that it has those it had in the parent, and lose writes when the parent closes."""
    store = open_store()
    store.counters()
    mine = locks(path)
    if not mine:
        pytest.skip("this system does not list locks")

    def run(send: Any, receive: Any) -> Any:
        before = open_files(path)
        store.counters()
        return before, locks(path)

    assert child(run).result() == (0, mine)
    store.counters()
    assert locks(path) == mine


def test_a_child_goes_on_when_the_parent_closes(
    open_store: Callable[..., SqliteStore], child: Callable[..., Any]
) -> None:
    store = open_store()
    with store.write():
        store.put_local("_local/a", 1, b"parent")

    def run(send: Any, receive: Any) -> Any:
        for number in range(2, 5):
            with store.write():
                store.put_local("_local/a", number, b"child")
            send(number)
            receive()
        return store.local("_local/a")

    forked = child(run)
    assert forked.receive() == 2
    store.close()
    forked.send("go")
    assert forked.receive() == 3
    # Another one comes and goes meanwhile.
    other = open_store()
    assert other.local("_local/a") == (3, b"child")
    other.close()
    forked.send("go")
    assert forked.receive() == 4
    forked.kill()
    forked.end()
    assert open_store().local("_local/a") == (4, b"child")


def test_parent_child_and_grandchild_write(store: SqliteStore, child: Callable[..., Any]) -> None:
    in_memory = store.connections.path is None

    def add() -> int:
        with store.write() as counters:
            return counters.next_seq()

    def grandchild(send: Any, receive: Any) -> Any:
        return add(), in_threads(store.counters, 3)[0].update_seq

    def run(send: Any, receive: Any) -> Any:
        add()
        deeper = child(grandchild)
        answer = deeper.result()
        return answer, add()

    add()
    answers = child(run).result()
    assert answers == (((3, 3), 3) if in_memory else ((3, 3), 4))
    assert add() == (2 if in_memory else 5)


def test_a_fork_waits_for_reads_and_writes_of_other_threads(store: SqliteStore, child: Callable[..., Any]) -> None:
    stop = threading.Event()
    problems: list[Any] = []

    def busy(write: bool) -> None:
        try:
            while not stop.is_set():
                if write:
                    with store.write() as counters:
                        store.put_local("_local/a", counters.next_seq(), b"{}")
                with store.snapshot():
                    local, counters = store.local("_local/a"), store.counters()
                    assert local is None or local[0] == counters.update_seq
        except BaseException as error:
            problems.append(error)

    def run(send: Any, receive: Any) -> Any:
        with store.write() as counters:
            local = store.local("_local/a")
            counters.next_seq()
            store.put_local("_local/a", counters.update_seq, b"{}")
        return local is None or local[0] == counters.update_seq - 1

    threads = [threading.Thread(target=busy, args=(write,)) for write in (True, True, False, False)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        assert child(run).result() is True
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert store.problems() == []
    assert store.local("_local/a")[0] == store.counters().update_seq  # type: ignore[index]


def test_an_error_that_is_kept_does_not_keep_the_database(
    open_store: Callable[..., SqliteStore], child: Callable[..., Any], path: Path
) -> None:
    store = open_store()

    def failing() -> Iterator[Any]:
        raise ValueError
        yield

    def in_snapshot() -> None:
        with store.snapshot():
            store.counters()
            raise ValueError

    def in_write() -> None:
        with store.write():
            store.add_content(Digests(b"x"), failing())

    errors: list[BaseException] = []
    for call in (
        in_snapshot,
        in_write,
        lambda: store.connections.one("SELECT nonsense"),
        lambda: store.connections.all("SELECT nonsense"),
        lambda: store.connections.many("INSERT INTO nonsense VALUES (?)", [(1,)]),
        lambda: store.connections.backup(path / "nowhere"),
    ):
        try:
            call()  # type: ignore[operator]
        except (ValueError, StorageError) as error:
            errors.append(error)
    assert len(errors) == 6
    assert child(lambda send, receive: (open_files(path), store.counters().update_seq)).result() == (0, 0)
    store.close()
    assert open_files(path) == 0


HELD: dict[str, Callable[[SqliteStore], Any]] = {
    "write": lambda store: store.write(),
    "snapshot": lambda store: store.snapshot(),
}


@pytest.mark.parametrize("held", HELD.values(), ids=HELD.keys())
@pytest.mark.parametrize("thread", ["this", "another"])
def test_a_child_forked_in_the_middle_is_told(
    open_store: Callable[..., SqliteStore],
    child: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    held: Callable[[SqliteStore], Any],
    thread: str,
) -> None:
    """A child that cannot be given the database safely gets an error; the parent notices nothing."""
    monkeypatch.setattr("pouchdb_core.adapters.sqlite.fork.PATIENCE", 0.05)
    store, other = open_store(), open_store("other")
    store.counters()
    outcomes: list[Any] = []

    def attempt(*stores: Callable[[], SqliteStore]) -> list[Any]:
        outcomes = []
        for each in stores:
            try:
                with each().write() as counters:
                    outcomes.append(counters.update_seq)
            except StorageError as error:
                outcomes.append("forked" in error.message)
        return outcomes

    def run(send: Any, receive: Any) -> Any:
        # Nor by another door to the same file.
        return attempt(lambda: store, open_store, lambda: other)

    def fork() -> None:
        outcomes.extend(child(run).result())

    with held(store):
        store.counters()
        if thread == "this":
            fork()
        else:
            [nothing] = in_threads(fork)
            assert nothing is None
        assert store.counters().update_seq == 0
    assert outcomes == [True, True, 0]
    assert attempt(lambda: store, lambda: other, open_store) == [0, 0, 0]


def test_a_child_of_a_program_that_forks_below_python_is_told(
    open_store: Callable[..., SqliteStore], child: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    store.counters()

    def run(send: Any, receive: Any) -> Any:
        # As if only PyOS_AfterFork_Child had been called.
        fork._after_in_child()
        try:
            store.counters()
        except StorageError as error:
            return error.message
        return "wrong"

    assert "forked" in child(run).result()


def test_a_closed_store_is_closed_in_a_child_too(
    open_store: Callable[..., SqliteStore], child: Callable[..., Any]
) -> None:
    store = open_store()
    store.close()

    def run(send: Any, receive: Any) -> Any:
        try:
            store.counters()
        except DatabaseClosed:
            return "closed"
        return "open"

    assert child(run).result() == "closed"


def test_a_fork_that_fails_changes_nothing(store: SqliteStore) -> None:
    store.counters()
    fork._before()
    fork._after_in_parent()
    with store.write() as counters:
        counters.next_seq()
    assert in_threads(store.counters)[0].update_seq == 1


def test_a_connection_is_closed_by_its_holder(directory: Path) -> None:
    connection = sqlite3.connect(directory / "x", factory=Connection)
    held = Held(connection)
    assert held.execute("SELECT 1").fetchone() == (1,)
    del held
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
