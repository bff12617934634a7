"""Copies of a database, its size on disk, and finding what is damaged."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.adapters.sqlite.files import file_path
from pouchdb_core.adapters.sqlite.sqlite_store import SqliteStore
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import BadRequest, StorageError


@pytest.fixture(params=["sqlite", "memory"])
def database(request: pytest.FixtureRequest, environment: SyncEnvironment) -> SyncPouchDB:
    return environment.PouchDB("test", adapter=request.param)


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """The storage directory that copies are put into."""
    directory = tmp_path / "copies"
    directory.mkdir()
    return directory


def opened_copy(copies: Path) -> SyncPouchDB:
    return pouchdb.setup(copies, plugins=[])["test"]


def same(one: SyncPouchDB, other: SyncPouchDB) -> bool:
    def content(database: SyncPouchDB) -> Any:
        info = database.info()
        return (
            database.all_docs(include_docs=True, attachments=True, conflicts=True)["rows"],
            database.changes(style="all_docs")["results"],
            database.get_security(),
            database.revs_limit(),
            [info[key] for key in ("doc_count", "doc_del_count", "update_seq", "purge_seq", "uuid")],
        )

    return bool(content(one) == content(other))


def fill(database: SyncPouchDB) -> None:
    rows = database.bulk_docs([{"_id": f"{n:03}", "text": "x" * 500} for n in range(300)])
    database.bulk_docs([{"_id": row["id"], "_rev": row["rev"], "n": 2} for row in rows[:100]])
    database.remove("200", rows[200]["rev"])
    database.put({"_id": "000", "_rev": "1-" + "c" * 32, "other": True}, force=True)
    database.put_attachment("attached", "name", b"y" * 600_000, "text/plain")
    database.put({"_id": "_local/checkpoint", "seq": 7})
    database.put_security({"admins": {"names": ["a"]}})
    database.revs_limit(17)
    database.purge("299", rows[299]["rev"])


# -- copies --------------------------------------------------------------------------------------


def test_a_backup_has_everything_and_an_epoch_of_its_own(database: SyncPouchDB, copies: Path) -> None:
    fill(database)
    assert database.backup(file_path(copies, "test")) == {"ok": True}
    assert [path.name for path in copies.iterdir()] == ["test.pouchdb"]
    copy = opened_copy(copies)
    assert same(copy, database)
    store = copy.adapter.store  # type: ignore[attr-defined]
    assert store.connections.one("PRAGMA journal_mode") == ("wal",)
    assert store.connections.one("PRAGMA auto_vacuum") == (2,)
    assert copy.get("_local/checkpoint")["seq"] == 7
    assert copy.info()["epoch"] != database.info()["epoch"]
    assert copy.integrity_check() == []
    # They are independent.
    copy.put({"_id": "in the copy"})
    database.put({"_id": "in the original"})
    assert "in the copy" not in database
    assert "in the original" not in copy
    copy.environment.close()


def test_a_backup_copies_the_files_of_plug_ins(database: SyncPouchDB, copies: Path) -> None:
    (database.directory("search") / "deep").mkdir()
    (database.directory("search") / "deep" / "index").write_bytes(b"\0index")
    database.backup(file_path(copies, "test"))
    assert sorted(path.name for path in copies.iterdir()) == ["test.pouchdb", "test.pouchdb.d"]
    copy = opened_copy(copies)
    assert (copy.directory("search") / "deep" / "index").read_bytes() == b"\0index"
    copy.environment.close()


@pytest.mark.parametrize("existing", ["file", "directory", "side folder"])
def test_a_backup_replaces_nothing(database: SyncPouchDB, copies: Path, existing: str) -> None:
    target = copies / "copy"
    if existing == "file":
        target.write_text("precious")
    elif existing == "directory":
        target.mkdir()
    else:
        (copies / "copy.d").mkdir()
    before = sorted(copies.rglob("*"))
    with pytest.raises(BadRequest, match="exists") as caught:
        database.backup(target)
    assert caught.value.status == 400
    assert sorted(copies.rglob("*")) == before
    if existing == "file":
        assert target.read_text() == "precious"


def test_a_backup_into_a_missing_directory_is_a_clear_error(database: SyncPouchDB, copies: Path) -> None:
    with pytest.raises(StorageError, match="No such file"):
        database.backup(copies / "missing" / "copy")
    assert list(copies.iterdir()) == []


def test_a_backup_whose_files_cannot_be_copied_leaves_nothing(
    database: SyncPouchDB, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (database.directory("search") / "index").write_bytes(b"index")

    def copytree(source: Path, target: Path) -> None:
        target.mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copytree", copytree)
    with pytest.raises(StorageError) as caught:
        database.backup(copies / "copy")
    assert caught.value.status == 507
    assert list(copies.iterdir()) == []


def test_a_leftover_of_a_killed_backup_is_in_nobody_s_way(database: SyncPouchDB, copies: Path) -> None:
    (copies / ".0123456789abcdef.part").write_bytes(b"half")
    (copies / "test.pouchdb.part").write_bytes(b"half")
    database.put({"_id": "a"})
    database.backup(file_path(copies, "test"))
    copy = opened_copy(copies)
    assert copy.get("a")
    assert copy.environment.names() == ["test"]
    copy.environment.close()


def test_a_backup_while_others_write_is_one_moment(database: SyncPouchDB, copies: Path) -> None:
    """Documents are numbered as they are written: a copy holds all up to some number, and no other."""
    stop, begun = threading.Event(), threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not stop.is_set():
            database.bulk_docs([{"_id": f"{n:06}", "text": "x" * 300} for n in range(written, written + 50)])
            written += 50
            begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(30)
    least = []
    for n in range(5):
        least.append(written)
        database.backup(file_path(copies, f"copy{n}"))
    stop.set()
    thread.join()
    with pouchdb.setup(copies, plugins=[]) as environment:
        epochs = set()
        for n in range(5):
            copy = environment[f"copy{n}"]
            assert copy.integrity_check() == []
            info = copy.info()
            epochs.add(info["epoch"])
            assert least[n] <= info["doc_count"] <= written
            assert info["doc_count"] % 50 == 0
            assert [row["id"] for row in copy.all_docs()["rows"]] == [f"{n:06}" for n in range(info["doc_count"])]
        assert len(epochs) == 5
    assert database.info()["doc_count"] == written


# -- sizes ---------------------------------------------------------------------------------------


def test_sizes_are_what_is_on_disk(environment: SyncEnvironment, path: Path) -> None:
    database = environment["test"]
    database.bulk_docs([{"_id": f"{n:04}", "text": "x" * 1000} for n in range(1000)])
    sizes = database.info()["sizes"]
    journal = Path(f"{path}-wal")
    assert sizes["file"] == path.stat().st_size + journal.stat().st_size
    assert 1_000_000 < sizes["active"] < 3_000_000
    environment.close()
    assert not journal.exists()
    with pouchdb.setup(path.parent, plugins=[]) as environment:
        assert environment["test"].info()["sizes"]["file"] >= path.stat().st_size


def test_compacting_gives_space_back_to_the_file_system(environment: SyncEnvironment, path: Path) -> None:
    database = environment["test"]
    database.put_attachment("a", "name", bytes(5_000_000), "text/plain")
    rows = database.bulk_docs([{"_id": f"{n:03}", "text": "x" * 2000} for n in range(1000)])
    for n in range(3):
        rows = database.bulk_docs([{"_id": row["id"], "_rev": row["rev"], "text": f"{n}" * 2000} for row in rows])
    database.remove(database.get("a"))
    before = database.info()["sizes"]
    assert before["active"] > 13_000_000
    database.compact()
    after = database.info()["sizes"]
    assert after["active"] < 5_000_000
    assert after["file"] < 5_000_000
    assert path.stat().st_size + Path(f"{path}-wal").stat().st_size == after["file"]
    assert after["file"] == after["active"]
    assert database.get("000")["text"] == "2" * 2000
    assert database.integrity_check() == []


def test_sizes_in_memory(environment: SyncEnvironment) -> None:
    database = environment.PouchDB("test", adapter="memory")
    before = database.info()["sizes"]
    database.put({"_id": "a", "text": "x" * 1_000_000})
    after = database.info()["sizes"]
    assert after["active"] > before["active"] + 900_000
    assert after["file"] >= after["active"]


# -- damage --------------------------------------------------------------------------------------

DAMAGES: dict[str, tuple[str, str]] = {
    "doc_count": ("UPDATE counters SET doc_count = doc_count + 1", "doc_count is wrong"),
    "doc_del_count": ("UPDATE counters SET doc_del_count = 0", "doc_del_count is wrong"),
    "update_seq": ("UPDATE counters SET update_seq = 2", "update_seq is behind the last row"),
    "no counters": ("DELETE FROM counters", "the row is gone: counters"),
    "a document is gone": ("DELETE FROM documents WHERE id = '005'", "doc_count is wrong"),
    "a tombstone is gone": ("DELETE FROM documents WHERE deleted = 1", "doc_del_count is wrong"),
    "no body": ("UPDATE documents SET body = NULL WHERE id = '005'", "a document without its body: 005"),
    "a lost body": ("UPDATE bodies SET id = 'nobody' WHERE pointer = 1", "a body of a document that is gone: nobody"),
    "last_pointer": ("UPDATE counters SET last_pointer = 1", "last_pointer is behind the last body"),
    "last_attachment": ("UPDATE counters SET last_attachment = 0", "last_attachment is behind the last attachment"),
    "an attachment is gone": ("DELETE FROM attachments", "a use of an attachment that is gone: attached"),
    "a lost piece": ("DELETE FROM attachments", "a piece of an attachment that is gone: 1"),
    "nothing uses an attachment": ("DELETE FROM attachment_uses", "an attachment that nothing uses: md5-"),
    "a lost use": (
        "UPDATE attachment_uses SET id = 'nobody'",
        "a use of an attachment by a document that is gone: nobody",
    ),
    "a piece is missing": (
        "DELETE FROM attachment_chunks WHERE position = 1",
        "an attachment of another length than told: md5-",
    ),
    "a piece is cut": (
        "UPDATE attachment_chunks SET data = substr(data, 2) WHERE position = 0",
        "an attachment of another length than told: md5-",
    ),
    "all pieces are missing": ("DELETE FROM attachment_chunks", "an attachment of another length than told: md5-"),
}


@pytest.mark.parametrize(("damage", "expected"), DAMAGES.values(), ids=DAMAGES.keys())
def test_each_kind_of_damage_is_found(environment: SyncEnvironment, path: Path, damage: str, expected: str) -> None:
    database = environment["test"]
    rows = database.bulk_docs([{"_id": f"{n:03}"} for n in range(10)])
    database.put({"_id": "000", "_rev": rows[0]["rev"], "n": 2})
    database.put({"_id": "001", "_rev": rows[1]["rev"], "n": 2})
    database.remove("002", rows[2]["rev"])
    database.put_attachment("attached", "name", b"y" * 600_000, "text/plain")
    assert database.integrity_check() == []
    environment.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(damage)
        connection.commit()
    with pouchdb.setup(path.parent, plugins=[]) as environment:
        found = environment["test"].integrity_check()
    assert any(expected in problem for problem in found), found


def test_what_sqlite_finds_is_told(open_store: Callable[..., SqliteStore], path: Path) -> None:
    open_store().close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        # The index of documents is that of another table.
        root = "(SELECT rootpage FROM sqlite_master WHERE name = 'attachments_digest')"
        connection.execute(f"UPDATE sqlite_master SET rootpage = {root} WHERE name = 'documents_id'")
        connection.commit()
    assert open_store().problems()
