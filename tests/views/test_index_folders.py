"""The folder of an outside index is emptied before the index is built again, even while other processes read it."""

from __future__ import annotations

import contextlib
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import hookimpl
from pouchdb_core.errors import StorageError
from pouchdb_core.views import Batch, IndexKind, OutsideIndex, indexes


class Names(OutsideIndex):
    """A file for each document."""

    batch_documents = 10
    fails: str | None = None
    """The last document of the batch after whose commit it fails."""

    def apply(self, batch: Batch, work: Any) -> None:
        for id in batch.replaced:
            (self.place.directory / id).unlink(missing_ok=True)
        for change in batch.living:
            (self.place.directory / change.id).touch()
        self._failing = any(change.id == self.fails for change in batch.changes)

    def commit(self, mark: str) -> None:
        (self.place.directory / "mark").write_text(mark)
        if self._failing:
            raise RuntimeError("between the two commits")

    def mark(self) -> str | None:
        path = self.place.directory / "mark"
        return path.read_text() if path.exists() else None


class NamesKind(IndexKind):
    name = "names"

    def definition(self, database: Any, ddoc: Any) -> Any:
        return ddoc.get("names")

    def open(self, database: Any, place: Any) -> Names:
        return Names(place)


class Plugin:
    @hookimpl
    def pouchdb_index_kinds(self) -> list[IndexKind]:
        return [NamesKind()]


def follower_of(database: Any) -> Any:
    found = indexes(database).follower(database, "names", database.get("_design/d"))
    found.update(database)
    return found


def names(database: Any) -> list[str]:
    folder = follower_of(database).place.directory
    return sorted(path.name for path in folder.iterdir() if path.name != "mark")


@pytest.mark.parametrize("how", ["backup", "copy"])
def test_an_older_database_beside_the_folder_of_a_newer_one(tmp_path: Path, how: str) -> None:
    """The folder is ahead and has documents that the database never had; the same happens when a builder is killed."""
    copy, data = tmp_path / "copy.pouchdb", tmp_path / "data"
    file = data / "test.pouchdb"
    with pouchdb.setup(data, plugins=[Plugin()]) as env:
        env["test"].bulk_docs([{"_id": "a"}, {"_id": "b"}, {"_id": "_design/d", "names": 1}])
        assert names(env["test"]) == ["a", "b"]
        if how == "backup":
            env["test"].backup(copy)
    if how == "copy":
        shutil.copy(file, copy)
    with pouchdb.setup(data, plugins=[Plugin()]) as env:
        env["test"].bulk_docs([{"_id": "later"}, {"_id": "b", "_rev": env["test"]["b"]["_rev"], "_deleted": True}])
        assert names(env["test"])[-1] == "later"
    shutil.copy(copy, file)
    with pouchdb.setup(data, plugins=[Plugin()]) as env:
        assert names(env["test"]) == ["a", "b"]
        env["test"].put({"_id": "c"})
        assert names(env["test"]) == ["a", "b", "c"]


def test_a_backup_made_while_an_index_is_built(tmp_path: Path) -> None:
    """The folder is copied after the database: it may be ahead by documents that are not in the copy."""
    data = tmp_path / "data"
    with pouchdb.setup(data, plugins=[Plugin()]) as env:
        database = env["test"]
        database.put({"_id": "_design/d", "names": 1})
        database.bulk_docs([{"_id": f"{n:02}"} for n in range(25)])
        found = indexes(database).follower(database, "names", database.get("_design/d"))
        steps = found.steps(database)
        next(steps)
        database.put({"_id": "later"})
        database.backup(tmp_path / "copy.pouchdb")
        database.remove(database["00"])
        steps.close()
        follower_of(database)
        shutil.rmtree(tmp_path / "copy.pouchdb.d")
        shutil.copytree(data / "test.pouchdb.d", tmp_path / "copy.pouchdb.d")
    with pouchdb.setup(tmp_path, plugins=[Plugin()]) as env:
        assert names(env["copy"]) == [*(f"{n:02}" for n in range(25)), "later"]


def test_a_build_that_fails_between_the_two_commits_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pouchdb.setup(tmp_path, plugins=[Plugin()]) as env:
        database = env["test"]
        database.bulk_docs([{"_id": f"{n:02}"} for n in range(35)])
        database.put({"_id": "_design/d", "names": 1})
        for last in ("09", "19", "29", "34"):
            monkeypatch.setattr(Names, "fails", last)
            with pytest.raises(RuntimeError):
                follower_of(database)
            folder = next(database.directory("index-names").iterdir())
            (folder / "left").touch()
        monkeypatch.undo()
        found = names(database)
        assert found == [*(f"{n:02}" for n in range(35)), "left"], "nothing was emptied"


def test_files_that_others_make_in_it_meanwhile(tmp_path: Path) -> None:
    """A process that opens an index makes a lock file there: ``rmtree`` alone fails in one of two rounds."""
    with pouchdb.setup(tmp_path, plugins=[Plugin()]) as env:
        database = env["test"]
        database.bulk_docs([{"_id": f"{n}"} for n in range(50)])
        database.put({"_id": "_design/d", "names": 1})
        follower = indexes(database).follower(database, "names", database.get("_design/d"))
        follower.update(database)
        folder, done = follower.place.directory, threading.Event()

        def disturb() -> None:
            while not done.is_set():
                with contextlib.suppress(OSError):
                    (folder / "lock").touch()

        disturbing = threading.Thread(target=disturb)
        disturbing.start()
        try:
            for _ in range(50):
                (folder / "mark").unlink(missing_ok=True)
                (folder / "left").touch()
                database.put({"_id": "new", "_rev": database["new"]["_rev"]} if "new" in database else {"_id": "new"})
                follower.update(database)
                assert not (folder / "left").exists()
                assert len([path for path in folder.iterdir() if path.name not in ("lock", "mark")]) == 51
        finally:
            done.set()
            disturbing.join()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[Plugin()]) as env:
        database = env["test"]
        database.put({"_id": "_design/d", "names": 1})
        folder = database.directory("index-names")
        folder.rmdir()
        folder.write_text("in the way")
        follower = indexes(database).follower(database, "names", database.get("_design/d"))
        with pytest.raises(StorageError, match="index-names"):
            follower.update(database)
