"""Compaction and purging: what is dropped, and what stays."""

from __future__ import annotations

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import NotFound
from pouchdb_core.testing.conformance.conflicts import graft
from pouchdb_core.testing.conformance.subject import Suite, needs

__all__ = ["Compaction", "Purge"]


class Compaction(Suite):
    """Compaction drops what only old revisions need."""

    @needs(lambda can: can.compaction_drops_bodies)
    def test_old_bodies_go(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "a", "n": 1})["rev"]
        two = database.put({"_id": "a", "_rev": one, "n": 2})["rev"]
        database.compact()
        with pytest.raises(NotFound):
            database.get("a", rev=one)
        assert database.get("a")["n"] == 2
        statuses = database.get("a", revs_info=True)["_revs_info"]
        assert statuses == [{"rev": two, "status": "available"}, {"rev": one, "status": "missing"}]

    def test_leaves_and_tombstones_stay(self, database: SyncPouchDB) -> None:
        graft(database, "2-b", "1-a", n="b")
        graft(database, "2-c", "1-a", n="c")
        one = database.put({"_id": "gone"})["rev"]
        tombstone = database.remove("gone", one)["rev"]
        before = database.info()["update_seq"]
        database.compact()
        assert [each["ok"]["n"] for each in database.open_revs("a")] == ["c", "b"]
        assert database.get("gone", rev=tombstone)["_deleted"] is True
        assert database.info()["update_seq"] == before

    def test_history_stays_known(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "a", "n": 1})["rev"]
        database.put({"_id": "a", "_rev": one, "n": 2})
        database.compact()
        assert database.revs_diff({"a": [one]}) == {}
        assert database.get("a", revs=True)["_revisions"]["start"] == 2

    def test_attachments_in_use_stay(self, database: SyncPouchDB) -> None:
        one = database.put_attachment("a", "t", b"kept", "text/plain")["rev"]
        two = database.put_attachment("a", "u", b"dropped", "text/plain", one)["rev"]
        database.remove_attachment("a", "u", two)
        database.compact()
        assert database.get_attachment("a", "t")["data"] == b"kept"

    def test_an_empty_database(self, database: SyncPouchDB) -> None:
        database.compact()
        database.compact()


class Purge(Suite):
    """A purged revision is as if it had never existed."""

    @needs(lambda can: can.purge)
    def test_a_document_is_forgotten(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "a"})["rev"]
        two = database.put({"_id": "a", "_rev": one})["rev"]
        answer = database.purge("a", two)
        assert answer["ok"] is True
        # CouchDB names what was asked for, PouchDB the ancestors that went with it too.
        assert answer["deletedRevs"] == ([two] if database.remote else [two, one])
        assert answer["documentWasRemovedCompletely"] is True
        with pytest.raises(NotFound, match="missing"):
            database.get("a")
        info = database.info()
        assert (info["doc_count"], info["doc_del_count"]) == (0, 0)
        assert database.revs_diff({"a": [two]})["a"]["missing"] == [two]
        assert database.put({"_id": "a"})["rev"].startswith("1-")

    @needs(lambda can: can.purge)
    def test_other_branches_stay(self, database: SyncPouchDB) -> None:
        graft(database, "2-b", "1-a", n="b")
        graft(database, "2-c", "1-a", n="c")
        answer = database.purge("a", "2-c")
        assert answer["deletedRevs"] == ["2-c"]
        assert answer["documentWasRemovedCompletely"] is False
        assert database.get("a", revs=True)["_revisions"]["ids"] == ["b", "a"]

    @needs(lambda can: can.purge)
    def test_only_leaves_can_be_purged(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "a"})["rev"]
        database.put({"_id": "a", "_rev": one})
        for id, rev in (("a", one), ("nobody", one)):
            with pytest.raises(NotFound):
                database.purge(id, rev)
        assert "a" in database

    @needs(lambda can: can.purge)
    def test_many_at_once(self, database: SyncPouchDB) -> None:
        revs = {id: [database.put({"_id": id})["rev"]] for id in "abc"}
        answer = database.purge({"a": revs["a"], "b": revs["b"], "x": revs["c"]})
        assert answer["purged"]["a"] == revs["a"]
        assert list(database) == ["c"]

    @needs(lambda can: can.purge)
    def test_a_tombstone_can_be_purged(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "a"})["rev"]
        two = database.remove("a", one)["rev"]
        database.purge("a", two)
        assert database.info()["doc_del_count"] == 0
        assert database.changes()["results"] == []
