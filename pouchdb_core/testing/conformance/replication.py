"""Replication: with another database, in either direction, once and live."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, Forbidden, PouchDBError
from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.requests import Proposed
from pouchdb_core.testing.conformance.conflicts import graft
from pouchdb_core.testing.conformance.subject import Subject, Suite, needs

__all__ = ["LiveReplication", "Replication", "same"]

SOON = 30.0


def _leaves(database: SyncPouchDB) -> dict[str, Any]:
    """Return every leaf of every document with all its data."""
    found = {}
    for row in database.changes(style="all_docs")["results"]:
        answers = database.open_revs(row["id"], revs=True, attachments=True, binary=True)
        found[row["id"]] = [each["ok"] for each in answers]
    return found


def same(first: SyncPouchDB, second: SyncPouchDB) -> None:
    """Check that two databases are equal, leaf by leaf."""
    assert _leaves(first) == _leaves(second)


class Replication(Suite):
    """Everything that one database has and the other lacks is copied there."""

    def test_everything_travels(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        one = database.put({"_id": "a", "n": 1})["rev"]
        database.put({"_id": "a", "_rev": one, "n": 2})
        graft(database, "1-b", id="conflict", n="b")
        graft(database, "1-c", id="conflict", n="c")
        database.put({"_id": "gone"})
        database.remove(database.get("gone"))
        database.put({"_id": "_design/d", "views": {}})
        for name in ("t", "ä/ö"):
            rev = database.get("file")["_rev"] if "file" in database else None
            database.put_attachment("file", name, name.encode() * 1000, "text/plain", rev)
        result = database.replicate_to(peer)
        assert (result["ok"], result["status"], result["errors"]) == (True, "complete", [])
        assert (result["docs_read"], result["docs_written"], result["doc_write_failures"]) == (6, 6, 0)
        same(database, peer)

    def test_both_directions(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        database.put({"_id": "mine"})
        peer.put({"_id": "theirs"})
        database.put({"_id": "both", "by": "me"})
        peer.put({"_id": "both", "by": "them"})
        result = database.sync(peer)
        assert result["push"]["ok"] is result["pull"]["ok"] is True
        same(database, peer)
        assert len(database.get("both", conflicts=True)["_conflicts"]) == 1

    def test_attachments_of_conflicts(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        for rev in ("1-a", "1-b", "2-c"):
            entries = {
                name: {"content_type": "text/plain", "revpos": 1, "data": f"{name} of {rev}".encode()}
                for name in ("one", "two")
            }
            graft(database, rev, _attachments=entries)
        database.replicate_to(peer)
        same(database, peer)
        assert peer.get_attachment("a", "two", "1-a")["data"] == b"two of 1-a"

    def test_a_second_run_has_nothing_to_do(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        database.bulk_docs([{"_id": str(number)} for number in range(20)])
        first = database.replicate_to(peer)
        second = database.replicate_to(peer)
        assert (second["docs_read"], second["docs_written"]) == (0, 0)
        assert second["last_seq"] == first["last_seq"]

    def test_it_goes_on_where_it_was(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        database.put({"_id": "a"})
        database.replicate_to(peer)
        database.put({"_id": "b"})
        result = database.replicate_to(peer)
        assert (result["docs_read"], result["docs_written"]) == (1, 1)
        same(database, peer)

    def test_batches(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        database.bulk_docs([{"_id": str(number)} for number in range(25)])
        told: list[int] = []
        database.replicate_to(peer, batch_size=10, on_change=lambda change: told.append(change["docs_written"]))
        assert told == [10, 20, 25]
        same(database, peer)

    def test_what_the_other_has_is_not_sent(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        for each in (database, peer):
            graft(each, "1-a")
        peer.put({"_id": "other"})
        graft(database, "2-b", "1-a")
        assert database.replicate_to(peer)["docs_written"] == 1

    def test_an_edit_there_survives_an_edit_here(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        one = database.put({"_id": "a", "n": 1})["rev"]
        database.sync(peer)
        database.put({"_id": "a", "_rev": one, "n": "here"})
        peer.remove("a", one)
        database.sync(peer)
        same(database, peer)
        assert database.get("a")["n"] == "here"

    def test_local_documents_and_security_stay(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        database.put({"_id": "_local/mine"})
        database.put({"_id": "a"})
        before = peer.get_security()
        database.replicate_to(peer)
        with pytest.raises(PouchDBError):
            peer.get("_local/mine")
        assert peer.get_security() == before

    def test_old_revisions_without_bodies(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        one = database.put({"_id": "a", "n": 1})["rev"]
        database.put({"_id": "a", "_rev": one, "n": 2})
        database.compact()
        assert database.replicate_to(peer)["ok"] is True
        same(database, peer)

    def test_doc_ids(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        database.bulk_docs([{"_id": id} for id in "abc"])
        database.replicate_to(peer, doc_ids=["a", "c"])
        assert list(peer) == ["a", "c"]

    def test_a_filter_function(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        database.bulk_docs([{"_id": id, "n": n} for n, id in enumerate("abc")])
        database.replicate_to(
            peer, filter=lambda doc, req: doc["n"] in req.query["wanted"], query_params={"wanted": [0, 2]}
        )
        assert list(peer) == ["a", "c"]

    def test_winning_revs_only(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        graft(database, "1-a")
        graft(database, "1-b")
        database.replicate_to(peer, winning_revs_only=True)
        assert [each["ok"]["_rev"] for each in peer.open_revs("a")] == ["1-b"]

    def test_two_objects_of_one_database_cannot_be_replicated(self, database: SyncPouchDB, subject: Subject) -> None:
        with pytest.raises(BadRequest):
            database.replicate_to(subject.environment.PouchDB(database.name))

    def test_odd_ids(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        ids = ["a/b", "a b", "ä", "日本", "a+b%20c?d#e&f=g", "_design/x/y", " ", ".."]
        database.bulk_docs([{"_id": id} for id in ids])
        database.replicate_to(peer)
        same(database, peer)
        peer.replicate_to(database)
        assert sorted(database) == sorted(ids)

    @needs(lambda can: can.purge)
    def test_purges_do_not_replicate(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        rev = database.put({"_id": "a"})["rev"]
        database.replicate_to(peer)
        database.purge("a", rev)
        database.replicate_to(peer)
        assert "a" in peer
        peer.replicate_to(database, checkpoint=False)
        assert "a" in database

    @needs(lambda can: can.write_guards)
    def test_a_refused_document_is_told_and_tried_again(self, peer: SyncPouchDB, subject: Subject) -> None:
        assert subject.guarded is not None
        guard = _Guard()
        with subject.guarded(guard) as environment:
            target = environment.PouchDB(subject.new_name())
            peer.bulk_docs([{"_id": "good"}, {"_id": "bad"}])
            result = environment.replicate(peer, target)
            assert list(target) == ["good"]
            assert (result["ok"], result["doc_write_failures"]) == (True, 1)
            assert [(each["id"], each["name"]) for each in result["errors"]] == [("bad", "forbidden")]
            guard.refuses = False
            again = environment.replicate(peer, target)
            assert (again["docs_written"], again["errors"]) == (1, [])
            assert list(target) == ["bad", "good"]
            target.destroy()


class _Guard:
    """A plug-in that refuses the document ``bad``."""

    refuses = True

    @hookimpl
    def pouchdb_write_guards(self) -> Callable[[Sequence[Proposed]], list[PouchDBError | None]]:
        def guard(proposed: Sequence[Proposed]) -> list[PouchDBError | None]:
            return [Forbidden("bad") if self.refuses and each.new["_id"] == "bad" else None for each in proposed]

        return guard


class LiveReplication(Suite):
    """Later writes are copied there, too."""

    @needs(lambda can: can.live_feeds)
    def test_it_follows_writes(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        database.put({"_id": "before"})
        arrived = peer.live_changes(since=0, limit=3)
        replication: Any = database.replicate_to(peer, live=True)
        database.put({"_id": "a"})
        database.put({"_id": "b"})
        assert [row["id"] for row in arrived] == ["before", "a", "b"]
        replication.cancel()
        result = replication.wait(SOON)
        assert (result["status"], result["docs_written"]) == ("cancelled", 3)

    @needs(lambda can: can.live_feeds)
    def test_it_pauses_when_there_is_nothing_to_do(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        database.put({"_id": "a"})
        paused, errors = threading.Event(), []

        def on_paused(error: PouchDBError | None) -> None:
            errors.append(error)
            paused.set()

        replication: Any = database.replicate_to(peer, live=True)
        replication.on("paused", on_paused)
        assert paused.wait(SOON)
        assert errors == [None]
        assert (replication.state, replication.pending) == ("paused", 0)
        same(database, peer)
        replication.cancel()

    @needs(lambda can: can.live_feeds)
    def test_a_live_sync(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        here, there = database.live_changes(limit=2), peer.live_changes(limit=2)
        sync: Any = database.sync(peer, live=True)
        database.put({"_id": "mine"})
        peer.put({"_id": "theirs"})
        assert sorted(row["id"] for row in here) == ["mine", "theirs"]
        assert sorted(row["id"] for row in there) == ["mine", "theirs"]
        sync.cancel()
        assert sync.wait(SOON)["status"] == "cancelled"
        same(database, peer)

    @needs(lambda can: can.live_feeds)
    def test_cancelled_it_goes_on_later(self, database: SyncPouchDB, peer: SyncPouchDB) -> None:
        arrived = peer.live_changes(limit=1)
        replication: Any = database.replicate_to(peer, live=True)
        database.put({"_id": "a"})
        assert [row["id"] for row in arrived] == ["a"]
        replication.cancel()
        replication.wait(SOON)
        assert database.replicate_to(peer)["docs_written"] == 0
