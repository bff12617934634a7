"""design_documents(): read again only when one of them was written or purged, by whomever."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.database import SyncPouchDB


def ids(database: SyncPouchDB) -> list[str]:
    return [doc._id for doc in database.design_documents()]


CHANGES: dict[str, tuple[Callable[[SyncPouchDB], Any], list[str]]] = {
    "a new one": (lambda db: db.put({"_id": "_design/b"}), ["_design/a", "_design/b"]),
    "an edit": (lambda db: db.put({**db.get("_design/a"), "n": 2}), ["_design/a"]),
    "a removal": (lambda db: db.remove(db.get("_design/a")), []),
    "a purge": (lambda db: db.purge("_design/a", db.get("_design/a")._rev), []),
    "in a batch": (lambda db: db.bulk_docs([{"_id": "x"}, {"_id": "_design/0"}]), ["_design/0", "_design/a"]),
    "replicated": (lambda db: db.put({"_id": "_design/z", "_rev": "3-z"}, new_edits=False), ["_design/a", "_design/z"]),
    "a conflict": (lambda db: db.put({"_id": "_design/a", "_rev": "9-z", "n": 9}, new_edits=False), ["_design/a"]),
    "an attachment": (lambda db: db.put_attachment("_design/a", "x", b"", rev=db.get("_design/a")._rev), ["_design/a"]),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
def test_changes_are_seen(database: SyncPouchDB, change: Callable[[SyncPouchDB], Any], expected: list[str]) -> None:
    database.put({"_id": "_design/a", "n": 1})
    before, seq = database.design_documents(), database.adapter.ddocs_seq()
    change(database)
    after = database.design_documents()
    assert database.adapter.ddocs_seq() > seq
    assert after is not before
    assert [doc._id for doc in after] == expected
    for doc in after:
        assert doc == database.get(doc._id)


def test_nothing_else_makes_it_read_again(database: SyncPouchDB) -> None:
    database.put({"_id": "_design/a"})
    before = database.design_documents()
    rev = database.put({"_id": "x"}).rev
    database.put({"_id": "designer"})
    database.remove("x", rev)
    database.put({"_id": "_local/x"})
    database.compact()
    database.revs_limit(5)
    assert database.design_documents() is before


def test_all_objects_of_a_database_share_them(database: SyncPouchDB) -> None:
    other = database.environment["test"]
    database.put({"_id": "_design/a"})
    assert ids(other) == ["_design/a"]
    other.put({"_id": "_design/b"})
    assert ids(database) == ["_design/a", "_design/b"]
    assert ids(database.as_user({"name": "ann"})) == ids(database)


def test_writes_of_another_environment_on_the_directory(tmp_path: Path) -> None:
    """Another engine stands for another process: nothing is shared but the file."""
    with (
        pouchdb.setup(tmp_path, plugins=[], durability="normal") as one,
        pouchdb.setup(tmp_path, plugins=[], durability="normal", auto_compaction=True) as two,
    ):
        assert one is not two
        ours, theirs = one["test"], two["test"]
        assert ids(ours) == ids(theirs) == []
        rev = theirs.put({"_id": "_design/a", "n": 1}).rev
        assert [doc.n for doc in ours.design_documents()] == [1]
        ours.put({"_id": "_design/a", "_rev": rev, "n": 2})
        assert [doc.n for doc in theirs.design_documents()] == [2]
        theirs.purge("_design/a", theirs.get("_design/a")._rev)
        assert ids(ours) == []
        ours.put({"_id": "_design/a", "n": 3})
        assert [doc.n for doc in theirs.design_documents()] == [3]
        theirs.remove(theirs.get("_design/a"))
        assert ids(ours) == []


def test_many(database: SyncPouchDB) -> None:
    names = [f"_design/{n:04}" for n in range(1100)]
    database.bulk_docs([{"_id": name} for name in names])
    database.bulk_docs([{"_id": "_local/x"}, {"_id": "`"}, {"_id": "^"}, {"_id": "a"}])
    assert ids(database) == names


def test_made_again_with_the_same_numbers(database: SyncPouchDB) -> None:
    """A destroyed database begins its numbers again: what was kept of the old one must not answer."""
    environment = database.environment
    database.put({"_id": "_design/a"})
    assert ids(database) == ["_design/a"]
    database.destroy()
    again = environment["test"]
    again.put({"_id": "_design/b"})
    assert ids(again) == ["_design/b"]
