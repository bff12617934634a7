"""The folder of an outside index: emptied to build the index anew, whoever looks into it meanwhile."""

from __future__ import annotations

import contextlib
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

    def apply(self, batch: Batch, work: Any) -> None:
        for change in batch.living:
            (self.place.directory / change.id).touch()

    def commit(self, mark: str) -> None:
        (self.place.directory / "mark").write_text(mark)

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
