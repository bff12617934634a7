"""Opening: what is no database of ours, newer and older schemas, directories that cannot be written."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.adapters.sqlite.disk import File
from pouchdb_core.adapters.sqlite.schema import MIGRATIONS, upgrade
from pouchdb_core.adapters.sqlite.sqlite_store import SqliteStore
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import BadRequest, NewerSchema, NotADatabase, PouchDBError, StorageError


def another_program(path: Path, mode: str = "DELETE") -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE documents (seq INTEGER PRIMARY KEY, id TEXT)")
        connection.execute("INSERT INTO documents VALUES (1, 'theirs')")
        connection.commit()


NO_DATABASES: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.touch(),
    "one byte": lambda path: path.write_bytes(b"x"),
    "text": lambda path: path.write_text("Dear diary,\n" * 1000),
    "random bytes": lambda path: path.write_bytes(random.Random(1).randbytes(100_000)),
    "zeros": lambda path: path.write_bytes(bytes(100_000)),
    "SQLite's header only": lambda path: path.write_bytes(b"SQLite format 3\0"),
    "SQLite's header and garbage": lambda path: path.write_bytes(
        b"SQLite format 3\0" + random.Random(1).randbytes(8192)
    ),
    "another program's SQLite file": another_program,
    "another program's SQLite file with a journal": lambda path: another_program(path, "WAL"),
    "a directory": lambda path: path.mkdir(),
    "a link to a directory": lambda path: path.symlink_to(path.parent),
}


@pytest.mark.parametrize("make", NO_DATABASES.values(), ids=NO_DATABASES.keys())
def test_what_is_no_database_is_refused_and_kept(
    environment: SyncEnvironment, path: Path, make: Callable[[Path], Any]
) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else None
    for _ in range(2):
        with pytest.raises(NotADatabase) as caught:
            environment["test"]
        assert (caught.value.status, caught.value.name) == (500, "not_a_database")
        assert "test" in caught.value.message
    assert (path.read_bytes() if path.is_file() else None) == before
    # The others go on.
    assert environment["other"].put({"_id": "a"})["ok"]


def test_a_link_into_nowhere_is_refused(environment: SyncEnvironment, path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")
    with pytest.raises(StorageError):
        environment["test"]
    assert path.is_symlink()


def test_a_storage_directory_inside_a_file_is_refused(directory: Path) -> None:
    (directory / "file").touch()
    with pytest.raises(Exception, match="file"):
        pouchdb.setup(directory / "file" / "data", plugins=[])


def test_a_storage_directory_that_vanished_is_made_again(directory: Path) -> None:
    with pouchdb.setup(directory / "data", plugins=[]) as environment:
        (directory / "data").rmdir()
        assert environment.names() == []
        assert environment["test"].put({"_id": "a"})["ok"]


@pytest.mark.parametrize("damage", ["first page", "middle", "cut", "cut to a page"])
def test_a_damaged_file_is_an_error_never_wrong_data(
    environment: SyncEnvironment, directory: Path, path: Path, damage: str
) -> None:
    database = environment["test"]
    for start in range(0, 3000, 1000):
        database.bulk_docs([{"_id": f"{start + n:05}", "text": "x" * 200} for n in range(1000)])
    environment.close()
    size = path.stat().st_size
    with open(path, "r+b") as file:
        if damage == "first page":
            file.seek(100)
            file.write(bytes(3000))
        elif damage == "middle":
            file.seek(size // 8)
            file.write(random.Random(1).randbytes(size // 2))
        else:
            file.truncate(size // 2 + 17 if damage == "cut" else 4096)
    with pouchdb.setup(directory, plugins=[], durability="normal") as environment:
        problems: Any = []
        try:
            database = environment["test"]
            problems = database.integrity_check()
            assert problems
            found = database.all_docs(include_docs=True)["rows"]
        except StorageError:
            return
        # What can still be read is right.
        assert all(row["doc"]["text"] == "x" * 200 and len(row["id"]) == 5 for row in found)


# -- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", ["sqlite", "memory"])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("revs_limit", 0),
        ("revs_limit", -1),
        ("revs_limit", "10"),
        ("revs_limit", True),
        ("revs_limit", 1.5),
        ("revs_limit", None),
        ("purged_infos_limit", 0),
        ("purged_infos_limit", "many"),
        ("auto_compaction", "no"),
        ("auto_compaction", 1),
        ("deterministic_revs", None),
        ("durability", "none"),
        ("durability", None),
        ("nonsense", 1),
    ],
)
def test_a_bad_option_makes_no_database(environment: SyncEnvironment, adapter: str, option: str, value: Any) -> None:
    with pytest.raises(BadRequest, match=option):
        environment.PouchDB("test", adapter=adapter, **{option: value})
    assert environment.names() == []


# -- schemas -------------------------------------------------------------------------------------


def schema_version(path: Path, version: int | None = None) -> int:
    with closing(sqlite3.connect(path)) as connection:
        if version is not None:
            connection.execute(f"PRAGMA user_version = {version}")
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return found


def test_a_newer_schema_is_refused_and_kept(environment: SyncEnvironment, path: Path) -> None:
    database = environment["test"]
    database.put({"_id": "a"})
    database.close()
    schema_version(path, len(MIGRATIONS) + 1)
    with pytest.raises(NewerSchema, match=f"{len(MIGRATIONS) + 1}") as caught:
        environment["test"]
    assert (caught.value.status, caught.value.name) == (500, "newer_schema")
    assert schema_version(path, len(MIGRATIONS)) == len(MIGRATIONS)
    assert environment["test"].get("a")["_id"] == "a"


def add_column(connections: Any) -> None:
    # Not `if not exists`: a step that ran twice would fail.
    connections.run("ALTER TABLE documents ADD COLUMN extra TEXT DEFAULT 'new'")


def add_table(connections: Any) -> None:
    connections.run("CREATE TABLE extras (id TEXT PRIMARY KEY)")
    connections.run("INSERT INTO extras SELECT id FROM documents")


NEXT = (*MIGRATIONS, add_column, add_table)


def test_an_older_schema_is_carried_forward(open_store: Callable[..., SqliteStore], path: Path) -> None:
    store = open_store()
    with store.write() as counters:
        store.put_local("_local/kept", 1, b"{}")
        counters.update_seq = 7
    upgrade(store.connections, "test", NEXT)
    assert schema_version(path) == len(NEXT)
    upgrade(store.connections, "test", NEXT)
    assert store.local("_local/kept") == (1, b"{}")
    assert store.counters().update_seq == 7
    assert store.connections.all("SELECT id FROM extras") == []


def test_a_step_that_fails_changes_nothing(open_store: Callable[..., SqliteStore], path: Path) -> None:
    def failing(connections: Any) -> None:
        connections.run("CREATE TABLE half (id TEXT)")
        connections.run("CREATE TABLE half (id TEXT)")

    store = open_store()
    with pytest.raises(StorageError, match="half"):
        upgrade(store.connections, "test", (*MIGRATIONS, add_column, failing))
    assert schema_version(path) == len(MIGRATIONS) + 1
    assert not store.connections.all("SELECT 1 FROM sqlite_master WHERE name = 'half'")
    upgrade(store.connections, "test", NEXT)
    assert schema_version(path) == len(NEXT)


def test_two_processes_carry_a_file_forward_once(
    open_store: Callable[..., SqliteStore], path: Path, child: Callable[..., Any]
) -> None:
    open_store().close()

    def run(send: Any, receive: Any) -> Any:
        file = File(path, "normal", "test")
        version = file.one("PRAGMA user_version")
        send(version)
        receive()
        upgrade(file, "test", NEXT)
        answer = file.one("PRAGMA user_version")[0]
        file.close()
        return answer

    children = [child(run) for _ in range(4)]
    assert [each.receive() for each in children] == [(len(MIGRATIONS),)] * 4
    for each in children:
        each.send("go")
    assert [each.result() for each in children] == [len(NEXT)] * 4


# -- permissions ---------------------------------------------------------------------------------


def filled(directory: Path) -> Path:
    with pouchdb.setup(directory, plugins=[]) as environment:
        environment["test"].put({"_id": "a", "n": 1})
    for path in directory.iterdir():
        path.chmod(0o666)
    return directory / "test.pouchdb"


def attempt(function: Callable[[], Any]) -> tuple[Any, ...]:
    try:
        return ("ok", function())
    except PouchDBError as error:
        return (type(error).__name__, error.status, error.message)


def test_making_a_database_in_a_read_only_directory(
    public_directory: Path, unprivileged: Callable[[Callable[[], Any]], Any]
) -> None:
    public_directory.chmod(0o555)

    def run() -> Any:
        with pouchdb.setup(public_directory, plugins=[]) as environment:
            return attempt(lambda: environment["test"]), attempt(environment.names)

    made, listed = unprivileged(run)
    assert made[:2] == ("ReadOnlyStorage", 500)
    assert "Permission denied" in made[2]
    assert str(public_directory) in made[2]
    assert listed == ("ok", [])
    assert list(public_directory.iterdir()) == []


@pytest.mark.parametrize("what", ["directory", "file", "both"])
def test_a_database_that_cannot_be_written_is_a_clear_error(
    public_directory: Path, unprivileged: Callable[[Callable[[], Any]], Any], what: str
) -> None:
    path = filled(public_directory)
    if what != "directory":
        path.chmod(0o444)
    if what != "file":
        public_directory.chmod(0o555)

    def run() -> Any:
        with pouchdb.setup(public_directory, plugins=[]) as environment:
            return (
                attempt(lambda: environment["test"].get("a")["n"]),
                attempt(lambda: environment["test"].put({"_id": "b"})),
                attempt(lambda: environment["test"].directory("plugin") and 1),
                attempt(lambda: environment.destroy("test")) if what != "file" else None,
            )

    read, wrote, made, destroyed = unprivileged(run)
    assert read == ("ok", 1) or read[:2] == ("ReadOnlyStorage", 500)
    assert wrote[:2] == ("ReadOnlyStorage", 500)
    if what != "file":
        assert made[:2] == ("ReadOnlyStorage", 500)
        assert destroyed[:2] == ("ReadOnlyStorage", 500)
    public_directory.chmod(0o777)
    path.chmod(0o666)
    with pouchdb.setup(public_directory, plugins=[]) as environment:
        assert environment["test"].get("a")["n"] == 1
        assert environment["test"].put({"_id": "b"})["ok"]


def test_a_copy_that_cannot_be_written_is_read(
    public_directory: Path, unprivileged: Callable[[Callable[[], Any]], Any]
) -> None:
    """A copy begins an epoch of its own when it is first opened: this one cannot write it down."""
    path = filled(public_directory)
    with pouchdb.setup(public_directory, plugins=[]) as environment:
        original = environment["test"].info().epoch
        environment["test"].backup(public_directory / "backup")
        environment.destroy("test")
    (public_directory / "backup").rename(path)
    path.chmod(0o444)
    public_directory.chmod(0o555)

    def run() -> Any:
        with pouchdb.setup(public_directory, plugins=[]) as environment:
            return attempt(lambda: (environment["test"].get("a")["n"], environment["test"].info().epoch))

    outcome, told = unprivileged(run)[:2]
    public_directory.chmod(0o777)
    path.chmod(0o666)
    with pouchdb.setup(public_directory, plugins=[]) as environment:
        written = environment["test"].info().epoch
    assert outcome == "ok"
    assert told[0] == 1
    assert len({original, told[1], written}) == 3


def test_a_directory_that_may_not_be_looked_into(
    public_directory: Path, unprivileged: Callable[[Callable[[], Any]], Any]
) -> None:
    storage = public_directory / "storage"
    storage.mkdir()
    filled(storage)
    storage.chmod(0o000)

    def run() -> Any:
        with pouchdb.setup(storage, plugins=[]) as environment:
            return attempt(lambda: environment["test"]), attempt(environment.names)

    opened, listed = unprivileged(run)
    storage.chmod(0o777)
    assert opened[:2] == ("ReadOnlyStorage", 500)
    assert listed[:2] == ("ReadOnlyStorage", 500)


def test_a_backup_into_a_read_only_directory(
    public_directory: Path, unprivileged: Callable[[Callable[[], Any]], Any]
) -> None:
    filled(public_directory)
    closed = public_directory / "closed"
    closed.mkdir()
    closed.chmod(0o555)

    def run() -> Any:
        with pouchdb.setup(public_directory, plugins=[]) as environment:
            return attempt(lambda: environment["test"].backup(closed / "copy"))

    assert unprivileged(run)[:2] == ("ReadOnlyStorage", 500)
    assert list(closed.iterdir()) == []


def test_too_many_open_files_is_an_error_and_passes(
    directory: Path, child: Callable[..., Any], environment: SyncEnvironment
) -> None:
    resource = pytest.importorskip("resource")
    environment["test"].put({"_id": "a"})

    def run(send: Any, receive: Any) -> Any:
        environment = pouchdb.setup(directory, plugins=[])
        taken: list[int] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        failed = attempt(lambda: environment["test"].get("a")["_id"]), attempt(lambda: environment["new"])
        for descriptor in taken:
            os.close(descriptor)
        passed = attempt(lambda: environment["test"].get("a")["_id"]), attempt(lambda: environment["new"].name)
        return failed, passed

    failed, passed = child(run).result()
    assert [outcome[1] for outcome in failed] == [500, 500]
    assert passed == (("ok", "a"), ("ok", "new"))
