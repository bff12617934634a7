"""A disk that is full: a clear error, nothing half-written, and on with the work once there is room."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.adapters.sqlite.sqlite_store import SqliteStore
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import DiskFull, PouchDBError, StorageError

BIG = "x" * 20_000

Limit = Callable[[], None]


def limited(store: SqliteStore, pages: int) -> tuple[Limit, Limit]:
    """Limit the pages of a database; return how to begin and how to end that."""

    def begin() -> None:
        count = store.connections.one("PRAGMA page_count")[0]
        store.connections.one(f"PRAGMA max_page_count = {count + pages}")

    return begin, lambda: store.connections.one("PRAGMA max_page_count = 1073741823")


def contents(database: SyncPouchDB) -> tuple[Any, ...]:
    info = database.info()
    rows = database.all_docs(include_docs=True, conflicts=True)["rows"]
    return (
        [row["doc"] for row in rows],
        database.changes()["results"],
        [info[key] for key in ("doc_count", "doc_del_count", "update_seq", "purge_seq")],
        database.get_security(),
    )


def big(*ids: str) -> list[dict[str, Any]]:
    return [{"_id": id, "text": BIG} for id in ids]


WRITES: dict[str, Callable[[SyncPouchDB], Any]] = {
    "put": lambda db: db.put({"_id": "new", "text": BIG * 100}),
    "update": lambda db: db.put({**db.get("a"), "text": BIG * 100}),
    "bulk_docs": lambda db: db.bulk_docs(big(*(f"{n:03}" for n in range(100)))),
    "bulk_docs, atomic": lambda db: db.bulk_docs(big(*(f"{n:03}" for n in range(100))), atomic=True),
    "replicated": lambda db: db.bulk_docs(
        [{**doc, "_rev": "1-" + "a" * 32} for doc in big(*(f"{n:03}" for n in range(100)))], new_edits=False
    ),
    "local document": lambda db: db.put({"_id": "_local/a", "text": BIG * 100}),
    "attachment": lambda db: db.put_attachment("new", "name", os.urandom(2_000_000), "text/plain"),
    "attachment beside documents": lambda db: db.bulk_docs(
        [
            *big("000"),
            {"_id": "001", "_attachments": {"a": {"content_type": "text/plain", "data": os.urandom(2_000_000)}}},
            *big("002"),
        ]
    ),
    "security": lambda db: db.put_security({"text": BIG * 100}),
}


@pytest.mark.parametrize("adapter", ["sqlite", "memory"])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_write_that_does_not_fit_changes_nothing(
    environment: SyncEnvironment, adapter: str, write: Callable[[SyncPouchDB], Any]
) -> None:
    database = environment.PouchDB("test", adapter=adapter, durability="normal") if adapter == "sqlite" else (
        environment.PouchDB("test", adapter=adapter)
    )  # fmt: skip
    database.bulk_docs([{"_id": "a", "n": 1}, {"_id": "b", "n": 1}])
    begin, end = limited(database.adapter.store, 20)  # type: ignore[attr-defined]
    before = contents(database)
    begin()
    for _ in range(2):
        with pytest.raises(DiskFull) as caught:
            write(database)
        assert (caught.value.status, caught.value.name) == (507, "insufficient_storage")
        assert contents(database) == before
    assert database.integrity_check() == []
    # What fits goes on; so does everything once there is room.
    assert database.put({"_id": "small"})["ok"]
    end()
    write(database)
    assert database.get("small")["_id"] == "small"
    assert database.integrity_check() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of three megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], check=True, capture_output=True, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"cannot mount a small file system: {error}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def fill(path: Path, leave: int = 0) -> None:
    """Take the room of a disk."""
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
        file.truncate(max(0, file.tell() // 4096 * 4096 - leave))


@pytest.mark.parametrize("leave", [0, 40_000, 200_000])
def test_a_full_disk(small_disk: Path, leave: int) -> None:
    with pouchdb.setup(small_disk / "storage", plugins=[]) as environment:
        database = environment["test"]
        acknowledged = [database.put({"_id": f"{n:05}", "text": BIG})["id"] for n in range(20)]
        fill(small_disk / "ballast", leave)
        failures = 0
        for n in range(20, 120):
            try:
                acknowledged.append(database.put({"_id": f"{n:05}", "text": BIG})["id"])
            except DiskFull:
                failures += 1
        assert failures
        before = contents(database)
        assert [doc["_id"] for doc in before[0]] == acknowledged
        with pytest.raises(DiskFull):
            database.bulk_docs(big(*(f"bulk{n}" for n in range(200))))
        assert contents(database) == before
        assert database.integrity_check() == []
        if not leave:
            with pytest.raises(StorageError):
                environment["other"]
            assert environment.names() == ["test"]
        # Another process finds the same.
        (small_disk / "ballast").unlink()
        assert database.put({"_id": "after", "text": BIG})["ok"]
        assert environment["other"].put({"_id": "a"})["ok"]
        assert not [path for path in (small_disk / "storage").iterdir() if path.name.endswith((".new", ".part"))]
    with pouchdb.setup(small_disk / "storage", plugins=[]) as environment:
        database = environment["test"]
        assert [row["id"] for row in database.all_docs()["rows"]] == [*acknowledged, "after"]
        assert database.integrity_check() == []


def test_a_full_disk_while_copying(small_disk: Path, directory: Path) -> None:
    with pouchdb.setup(directory / "storage", plugins=[], durability="normal") as environment:
        database = environment["test"]
        database.bulk_docs(big(*(f"{n:04}" for n in range(300))))
        with pytest.raises(StorageError):
            database.backup(small_disk / "copy")
        assert list(small_disk.iterdir()) == []
        assert database.integrity_check() == []


def test_a_file_that_may_not_grow(directory: Path, child: Callable[..., Any]) -> None:
    """The limit of the process, which gives other errors than a full disk."""
    resource = pytest.importorskip("resource")

    def run(send: Any, receive: Any) -> Any:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        environment = pouchdb.setup(directory, plugins=[])
        database = environment["test"]
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        acknowledged, statuses = [], set()
        for n in range(100):
            try:
                acknowledged.append(database.put({"_id": f"{n:05}", "text": BIG})["id"])
            except PouchDBError as error:
                statuses.add((isinstance(error, StorageError), error.status))
        try:
            database.bulk_docs(big(*(f"bulk{n:03}" for n in range(100))))
        except PouchDBError as error:
            statuses.add((isinstance(error, StorageError), error.status))
        full = [row["id"] for row in database.all_docs()["rows"]]
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert database.put({"_id": "after", "text": BIG})["ok"]
        assert database.integrity_check() == []
        environment.close()
        return acknowledged, full, statuses

    acknowledged, full, statuses = child(run).result()
    assert len(acknowledged) < 100
    assert full == acknowledged
    assert statuses <= {(True, 500), (True, 507)}
    assert statuses
    with pouchdb.setup(directory, plugins=[]) as environment:
        assert [row["id"] for row in environment["test"].all_docs()["rows"]] == [*acknowledged, "after"]
        assert environment["test"].integrity_check() == []


def test_an_error_while_committing_undoes_all_of_it(
    environment: SyncEnvironment, directory: Path, child: Callable[..., Any]
) -> None:
    """The last moment something can fail: all rows are in, the journal cannot be written."""
    resource = pytest.importorskip("resource")
    environment["test"].put({"_id": "a"})

    def run(send: Any, receive: Any) -> Any:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        database = environment["test"]
        store = database.adapter.store  # type: ignore[attr-defined]
        before = contents(database)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        reached = False
        try:
            with store.write() as counters:
                counters.next_seq()
                store.put_local("_local/a", 1, b"x" * 100_000)
                resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
                reached = True
        except StorageError as error:
            outcome = error.status
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert reached
        assert contents(database) == before
        assert store.local("_local/a") is None
        database.put({"_id": "b"})
        assert database.integrity_check() == []
        return outcome

    assert child(run).result() in (500, 507)
    assert [row["id"] for row in environment["test"].all_docs()["rows"]] == ["a", "b"]


@pytest.mark.parametrize("leave", range(16, 300, 12))
def test_a_database_made_on_a_nearly_full_disk_is_whole_or_not_there(small_disk: Path, leave: int) -> None:
    """A3: the journal fits, and what it is folded into does not."""
    with pouchdb.setup(small_disk / "storage", plugins=[]) as environment:
        fill(small_disk / "ballast", leave * 1024)
        acknowledged = []
        for number in range(4):
            try:
                acknowledged.append(environment["test"].put({"_id": str(number)})["id"])
            except StorageError:
                # Without a document there may be a database, and it is whole.
                pass
    with pouchdb.setup(small_disk / "storage", plugins=[]) as environment:
        (small_disk / "ballast").unlink()
        database = environment["test"]
        assert [row["id"] for row in database.all_docs()["rows"]] == acknowledged
        assert database.integrity_check() == []
        database.put({"_id": "after"})
    assert not [path for path in (small_disk / "storage").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("leave", range(100, 500, 24))
def test_a_copy_made_on_a_nearly_full_disk_is_whole_or_not_there(small_disk: Path, directory: Path, leave: int) -> None:
    with pouchdb.setup(directory / "storage", plugins=[]) as environment:
        database = environment["test"]
        database.bulk_docs([{"_id": str(number), "text": "x" * 1000} for number in range(30)])
        fill(small_disk / "ballast", leave * 1024)
        try:
            database.backup(small_disk / "test.pouchdb")
        except StorageError:
            assert names_of(small_disk) == {"ballast"}
            return
        epoch = database.info()["epoch"]
    (small_disk / "ballast").unlink()
    with pouchdb.setup(small_disk, plugins=[]) as environment:
        # It knows that it is a copy: what is counted on in it is not the original's.
        assert environment["test"].info()["epoch"] != epoch
        assert environment["test"].integrity_check() == []
        assert len(environment["test"]) == 30


def names_of(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}
