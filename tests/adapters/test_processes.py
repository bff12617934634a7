"""Several processes on one file: spawned, forked, in pools, behind a prefork server."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import Conflict, DatabaseClosed, NotFound


def script(directory: Path, text: str, *arguments: str) -> str:
    """Run a program as a user would start it; return what it prints. It must write nothing to stderr."""
    program = directory / "program.py"
    program.write_text(textwrap.dedent(text), "utf-8")
    run = subprocess.run(
        [
            sys.executable,
            "-W", "error",
            "-W", "ignore:This process:DeprecationWarning",  # forking with threads: it is what is tested
            str(program), *arguments,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.strip()


def write_some(directory: Path, number: int) -> Callable[..., Any]:
    def run(send: Any, receive: Any) -> Any:
        with pouchdb.setup(directory, plugins=[], durability="normal") as environment:
            database, revs, won = environment["test"], {}, 0
            send("ready")
            receive()
            for n in range(25):
                revs[f"{number}-{n}"] = database.put({"_id": f"{number}-{n}"})["rev"]
                for row in database.bulk_docs([{"_id": f"{number}-{n}-{m}"} for m in range(10)]):
                    revs[row["id"]] = row["rev"]
                try:
                    shared = database.get("shared")
                    database.put({**shared, "n": shared["n"] + 1})
                    won += 1
                except Conflict:
                    pass
            return revs, won

    return run


def test_processes_that_write_one_file(
    environment: SyncEnvironment, directory: Path, child: Callable[..., Any]
) -> None:
    database = environment["test"]
    database.put({"_id": "shared", "n": 0})
    children = [child(write_some(directory, number)) for number in range(5)]
    for each in children:
        assert each.receive() == "ready"
    for each in children:
        each.send("go")
    # Meanwhile the parent follows the feed, which never goes back to fill a gap.
    seen: set[str] = set()
    since = 0
    expected: dict[str, str] = {}
    won = 0
    for each in children:
        answer = database.changes(since=since)
        assert all(row["seq"] > since for row in answer["results"])
        seen.update(row["id"] for row in answer["results"])
        since = answer["last_seq"]
        revs, count = each.result()
        expected.update(revs)
        won += count
    seen.update(row["id"] for row in database.changes(since=since)["results"])
    assert seen == {*expected, "shared"}
    assert database.get("shared")["n"] == won
    assert {row["id"]: row["value"]["rev"] for row in database.all_docs()["rows"] if row["id"] != "shared"} == expected
    assert database.info()["update_seq"] == len(expected) + won + 1
    assert database.integrity_check() == []


def test_a_database_destroyed_by_another_process(
    environment: SyncEnvironment, directory: Path, child: Callable[..., Any]
) -> None:
    database = environment["test"]
    database.put({"_id": "a"})

    def destroy(send: Any, receive: Any) -> Any:
        with pouchdb.setup(directory, plugins=[]) as environment:
            environment.destroy("test")
            send("gone")
            receive()
            environment["test"].put({"_id": "new"})
            send("back")
            receive()
            return environment["test"].info()["doc_count"]

    other = child(destroy)
    assert other.receive() == "gone"
    for call in (
        lambda: database.put({"_id": "lost"}),
        lambda: database.bulk_docs([{"_id": "lost"}]),
        lambda: database.put({"_id": "_local/lost"}),
        lambda: database.compact(),
    ):
        with pytest.raises(NotFound, match="destroyed"):
            call()
    assert environment.names() == []
    other.send("go")
    assert other.receive() == "back"
    with pytest.raises(NotFound, match="destroyed"):
        database.put({"_id": "lost"})
    database.close()
    # A new object finds the new database.
    database = environment["test"]
    assert [row["id"] for row in database.all_docs()["rows"]] == ["new"]
    database.put({"_id": "newer"})
    other.send("go")
    assert other.result() == 2


def test_a_forked_child_uses_what_it_inherited(environment: SyncEnvironment, child: Callable[..., Any]) -> None:
    database = environment["test"]
    database.put({"_id": "parent", "n": 1})

    def run(send: Any, receive: Any) -> Any:
        assert database.get("parent")["n"] == 1
        database.put({"_id": "child"})
        send("written")
        receive()
        found = database.get("parent")["n"]
        environment.close()
        return found

    forked = child(run)
    assert forked.receive() == "written"
    assert database.get("child")["_id"] == "child"
    database.put({**database.get("parent"), "n": 2})
    forked.send("go")
    assert forked.result() == 2
    # The child closed its environment and is gone: the parent's goes on.
    database.put({"_id": "after"})
    assert [row["id"] for row in database.all_docs()["rows"]] == ["after", "child", "parent"]
    assert database.integrity_check() == []


def test_a_memory_database_is_the_child_s_own_after_a_fork(child: Callable[..., Any]) -> None:
    with pouchdb.setup(":memory:", plugins=[]) as environment:
        database = environment["test"]
        database.put({"_id": "a"})

        def run(send: Any, receive: Any) -> Any:
            database.put({"_id": "b"})
            return [row["id"] for row in database.all_docs()["rows"]]

        assert child(run).result() == ["a", "b"]
        database.put({"_id": "c"})
        assert [row["id"] for row in database.all_docs()["rows"]] == ["a", "c"]


POOL = """
    import multiprocessing, sys
    import pouchdb

    def work(argument):
        database, number = argument
        rev = database.put({"_id": f"{number:03}"})["rev"]
        return number, rev, database.get("shared")["n"], len(list(database))

    def main():
        method, storage = sys.argv[1:]
        environment = pouchdb.setup(storage, plugins=[], durability="normal")
        database = environment["test"]
        database.put({"_id": "shared", "n": 7})
        with multiprocessing.get_context(method).Pool(2) as pool:
            for number, rev, shared, count in pool.imap_unordered(work, [(database, n) for n in range(40)]):
                assert shared == 7 and count >= 2
                assert database.get(f"{number:03}")["_rev"] == rev
            pool.close()
            pool.join()
        assert len(database) == 41
        assert database.integrity_check() == []
        environment.close()
        print("well")

    if __name__ == "__main__":
        main()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_that_gets_databases_as_arguments(directory: Path, method: str) -> None:
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this platform has no {method}")
    assert script(directory, POOL, method, str(directory / "storage")) == "well"


TEMPORARY = """
    import multiprocessing, os, sys
    import pouchdb

    def work(database):
        database.put({"_id": f"child {os.getpid()}"})

    def main():
        environment = pouchdb.setup(plugins=[])
        database = environment["test"]
        memory = environment.PouchDB("memory", adapter="memory")
        (memory.directory("plugin") / "kept").write_text("x")
        (database.directory("plugin") / "kept").write_text("x")
        database.put({"_id": "parent"})
        for end in (lambda: sys.exit(0), lambda: os._exit(0)):
            pid = os.fork()
            if pid == 0:
                database.put({"_id": f"child {os.getpid()}"})
                # As a program ends: with its finalizers.
                end()
            assert os.waitpid(pid, 0)[1] == 0
            assert environment.directory.is_dir()
        process = multiprocessing.get_context("fork").Process(target=work, args=(database,))
        process.start()
        process.join()
        assert process.exitcode == 0
        process = multiprocessing.get_context("spawn").Process(target=work, args=(database,))
        process.start()
        process.join()
        assert process.exitcode == 0
        database.put({"_id": "parent still"})
        assert len(database) == 6
        assert (database.directory("plugin") / "kept").read_text() == "x"
        assert (memory.directory("plugin") / "kept").read_text() == "x"
        directory = environment.directory
        environment.close()
        assert not directory.exists()
        print("well")

    if __name__ == "__main__":
        main()
"""


def test_a_child_does_not_remove_the_parent_s_temporary_directory(directory: Path) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("this platform has no fork")
    assert script(directory, TEMPORARY) == "well"


PREFORK = """
    import os, sys, threading
    import pouchdb

    # As gunicorn with preload_app: the application opens its database, then workers are forked, and
    # forked again when they have served their requests; each worker has threads.
    environment = pouchdb.setup(sys.argv[1], plugins=[], durability="normal")
    database = environment["test"]
    database.put({"_id": "config", "n": 1})

    def serve(worker):
        def handle(request):
            assert database.get("config")["n"] == 1
            database.put({"_id": f"{worker}-{request}"})

        threads = [threading.Thread(target=handle, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def fork(worker):
        pid = os.fork()
        if pid == 0:
            try:
                serve(worker)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            # Threads of the server may still be there: gunicorn's workers leave by sys.exit.
            sys.exit(0)
        return pid

    for generation in range(3):
        workers = [fork(f"{generation}-{n}") for n in range(2)]
        if generation == 1:
            # The master uses it too, between two generations.
            database.put({"_id": "master"})
        for pid in workers:
            assert os.waitpid(pid, 0)[1] == 0
    assert len(database) == 2 + 3 * 2 * 8
    assert database.integrity_check() == []
    environment.close()
    print("well")
"""


def test_a_prefork_server(directory: Path) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("this platform has no fork")
    assert script(directory, PREFORK, str(directory / "storage")) == "well"


DAEMON = """
    import os, sys
    import pouchdb

    environment = pouchdb.setup(sys.argv[1], plugins=[])
    database = environment["test"]
    database.put({"_id": "parent"})
    reader, writer = os.pipe()
    if os.fork():
        # The parent leaves at once: the daemon has the database for itself.
        os.close(writer)
        print(os.read(reader, 100).decode())
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    for n in range(20):
        database.put({"_id": f"{n}"})
        # Others come and go meanwhile.
        other = os.fork()
        if other == 0:
            os._exit(0 if pouchdb.setup(sys.argv[1], plugins=[])["test"].get(f"{n}") else 1)
        assert os.waitpid(other, 0)[1] == 0
    environment.close()
    os.write(writer, b"well")
    os._exit(0)
"""


def test_a_daemon_whose_parent_is_gone(directory: Path) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("this platform has no fork")
    assert script(directory, DAEMON, str(directory / "storage")) == "well"
    with pouchdb.setup(directory / "storage", plugins=[]) as environment:
        assert len(environment["test"]) == 21
        assert environment["test"].integrity_check() == []


def test_the_end_of_a_program_that_closed_nothing(directory: Path) -> None:
    text = """
        import sys, threading
        import pouchdb

        environment = pouchdb.setup(sys.argv[1], plugins=[])
        database = environment["test"]
        database.put({"_id": "a"})
        thread = threading.Thread(target=lambda: database.put({"_id": "b"}))
        thread.start()
        thread.join()
        kept = [database, environment]
        cycle = {"database": database}
        cycle["self"] = cycle
        print("well")
    """
    assert script(directory, text, str(directory / "storage")) == "well"
    # SQLite folded the journal in: the connections were closed, not abandoned.
    assert [path.name for path in (directory / "storage").glob("*pouchdb*")] == ["test.pouchdb"]


def test_a_closed_environment_in_a_child(environment: SyncEnvironment, child: Callable[..., Any]) -> None:
    database = environment["test"]
    database.put({"_id": "a"})

    def run(send: Any, receive: Any) -> Any:
        environment.close()
        try:
            database.get("a")
        except DatabaseClosed:
            return "closed"
        return "open"

    assert child(run).result() == "closed"
    assert database.get("a")["_id"] == "a"
