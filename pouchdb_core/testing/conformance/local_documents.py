"""Local documents: of this database alone."""

from __future__ import annotations

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, Conflict, NotFound
from pouchdb_core.testing.conformance.subject import Suite

__all__ = ["LocalDocuments"]


class LocalDocuments(Suite):
    """``_local/`` documents are written and read like others, and are nowhere else."""

    def test_put_get_edit_remove(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "_local/a", "n": 1})
        assert (one["id"], one["rev"]) == ("_local/a", "0-1")
        assert database.get("_local/a") == {"_id": "_local/a", "_rev": "0-1", "n": 1}
        two = database.put({"_id": "_local/a", "_rev": "0-1", "n": 2})["rev"]
        assert two == "0-2"
        database.remove(database.get("_local/a"))
        with pytest.raises(NotFound):
            database.get("_local/a")

    def test_an_edit_needs_the_revision(self, database: SyncPouchDB) -> None:
        database.put({"_id": "_local/a"})
        for stale in ({}, {"_rev": "0-7"}):
            with pytest.raises(Conflict):
                database.put({"_id": "_local/a", **stale})

    def test_they_are_nowhere_else(self, database: SyncPouchDB) -> None:
        database.put({"_id": "_local/a"})
        database.put({"_id": "b"})
        assert [row["id"] for row in database.all_docs()["rows"]] == ["b"]
        assert [row["id"] for row in database.changes()["results"]] == ["b"]
        assert database.info()["doc_count"] == 1

    def test_they_go_with_others_in_a_bulk(self, database: SyncPouchDB) -> None:
        answers = database.bulk_docs([{"_id": "a"}, {"_id": "_local/a", "n": 1}])
        assert [each["id"] for each in answers] == ["a", "_local/a"]
        assert database.get("_local/a")["n"] == 1

    def test_they_have_no_attachments(self, database: SyncPouchDB) -> None:
        with pytest.raises(BadRequest):
            database.put_attachment("_local/a", "t", b"", "text/plain")

    def test_missing(self, database: SyncPouchDB) -> None:
        with pytest.raises(NotFound, match="missing"):
            database.get("_local/nobody")
