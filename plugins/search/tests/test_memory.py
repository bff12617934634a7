"""Text indexes of databases in memory: they are in memory, too, and no word of them is on a disk."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pouchdb_search.searching import search_info

import pouchdb

INDEX = {"analyzer": "standard", "index": "function (doc) { index('default', doc.text, {store: true}); }"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    return tmp_path / "temporary"


@pytest.fixture
def db(folder: Path) -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["search"]) as env:
        env["texts"].bulk_docs([{"_id": f"{n:03}", "text": f"common word{n}"} for n in range(300)])
        env["texts"].put({"_id": "_design/d", "indexes": {"i": INDEX}, "nouveau": {"n": {"index": "(doc) => 1"}}})
        yield env["texts"]


def count(db: Any, q: str = "common") -> int:
    found: int = db.search("d/i", q=q).total_rows
    return found


def test_nothing_is_written(db: Any, folder: Path) -> None:
    assert db.search("d/i", q="common", update=False).total_rows == 0
    assert count(db) == 300
    db.put({**db["007"], "text": "changed"})
    db.remove(db["008"])
    assert (count(db), count(db, "changed"), count(db, "word8")) == (298, 1, 0)
    assert db.search("d/n", q="*:*").total_hits == 0
    db.view_cleanup()
    db.put({**db["_design/d"], "indexes": {"i": {**INDEX, "analyzer": "whitespace"}}})
    assert count(db, "word9") == 1
    db.view_cleanup()
    db.purge("009", db["009"]._rev)
    assert count(db, "word9") == 0
    assert list(folder.rglob("*")) == []


def test_it_is_built_once(db: Any) -> None:
    steps: list[Any] = []
    db.on("indexing", steps.append)
    again = db.environment["texts"]
    for each in (db, again):
        assert count(each) == 300
    built = len(steps)
    threads = [threading.Thread(target=count, args=(db, f"word{n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(steps) == built


def test_a_backup_builds_its_own(db: Any, tmp_path: Path) -> None:
    assert count(db) == 300
    db.backup(tmp_path / "copy.pouchdb")
    db.put({"_id": "later", "text": "common"})
    with pouchdb.setup(tmp_path, plugins=["search"]) as env:
        assert count(env["copy"]) == 300
        assert len(list(tmp_path.rglob("meta.json"))) == 1
        sizes = [search_info(each, "d/i").search_index.disk_size for each in (db, env["copy"])]
        assert [size > 0 for size in sizes] == [False, True]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_has_its_own(db: Any) -> None:
    """It has a copy of the database; what it writes is not in the index of its parent."""
    assert count(db) == 300
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            db.put({"_id": "child", "text": "common child"})
            status = 0 if (count(db), count(db, "child")) == (301, 1) else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    db.put({"_id": "parent", "text": "common parent"})
    assert (count(db), count(db, "child"), count(db, "parent")) == (301, 0, 1)
