"""What a write guard is shown of a document: as it will be stored, with its history, over what it replaces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pouchdb
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.hookspecs import hookimpl


class Watch:
    """Lets everything pass and remembers what it was shown."""

    def __init__(self) -> None:
        self.shown: list[Any] = []

    @hookimpl
    def pouchdb_write_guards(self, database: Any, request: Any) -> Callable[[Any], None]:
        return self.shown.extend


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def database(watch: Watch) -> Iterator[SyncPouchDB]:
    with pouchdb.setup(":memory:", plugins=[watch]) as environment:
        yield environment["test"]


def test_an_edit(database: SyncPouchDB, watch: Watch) -> None:
    first = database.put({"_id": "a", "n": 1}).rev
    second = database.put({"_id": "a", "_rev": first, "n": 2}).rev
    new, old = watch.shown[-1].new, watch.shown[-1].old
    assert new == database.get("a", rev=second, revs=True)
    assert old == database.get("a", rev=first, revs=True)
    assert watch.shown[0].old is None


def test_a_document_that_comes_back(database: SyncPouchDB, watch: Watch) -> None:
    first = database.put({"_id": "a", "n": 1}).rev
    gone = database.remove("a", first).rev
    back = database.put({"_id": "a", "n": 2}).rev
    new, old = watch.shown[-1].new, watch.shown[-1].old
    assert new == database.get("a", revs=True)
    assert new._rev == back
    assert old == database.get("a", rev=gone, revs=True)


def test_a_replicated_revision_beside_a_tombstone(database: SyncPouchDB, watch: Watch) -> None:
    """It is shown with the history it brings, not as the child of the tombstone."""
    database.put({"_id": "a", "_rev": "2-b", "_deleted": True}, new_edits=False)
    database.put({"_id": "a", "_rev": "1-x", "n": 1}, new_edits=False)
    new, old = watch.shown[-1].new, watch.shown[-1].old
    assert new == {"_id": "a", "_rev": "1-x", "n": 1, "_revisions": {"start": 1, "ids": ["x"]}}
    assert old == {"_id": "a", "_rev": "2-b", "_deleted": True, "_revisions": {"start": 2, "ids": ["b"]}}


def test_attachments_are_stubs(database: SyncPouchDB, watch: Watch) -> None:
    database.put({"_id": "a", "_attachments": {"x": {"data": "eA==", "content_type": "text/x"}}})
    entry = watch.shown[-1].new._attachments.x
    assert (entry.stub, entry.length, entry.content_type, "data" in entry) == (True, 1, "text/x", False)


def test_edits_of_one_document_in_a_batch_see_each_other(database: SyncPouchDB, watch: Watch) -> None:
    first = database.put({"_id": "a", "n": 1}).rev
    tombstone = {"_id": "a", "_rev": first, "_deleted": True}
    answers = database.bulk_docs([tombstone, {"_id": "b"}, {"_id": "a", "n": 2}])
    assert all(answer.ok for answer in answers)
    last = watch.shown[-1]
    assert (last.old._rev, last.new._rev) == (answers[0].rev, answers[2].rev)
