"""The changes feed: past and future changes."""

from __future__ import annotations

from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest
from pouchdb_core.testing.conformance.conflicts import graft
from pouchdb_core.testing.conformance.subject import Subject, Suite, needs

__all__ = ["Changes", "LiveChanges"]

SOON = 30.0
"""Seconds within which something that should happen must."""


def _ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer["results"]]


class Changes(Suite):
    """One row a document, in the order of their last changes."""

    def test_rows_come_in_the_order_of_the_last_change(self, database: SyncPouchDB) -> None:
        first = database.put({"_id": "a"})["rev"]
        database.put({"_id": "b"})
        second = database.put({"_id": "a", "_rev": first})["rev"]
        answer = database.changes()
        assert _ids(answer) == ["b", "a"]
        assert answer["results"][1]["changes"] == [{"rev": second}]
        assert answer["last_seq"] == answer["results"][1]["seq"]

    def test_a_deletion_is_told(self, database: SyncPouchDB) -> None:
        rev = database.put({"_id": "a"})["rev"]
        gone = database.remove("a", rev)["rev"]
        row = database.changes()["results"][0]
        assert (row["id"], row["deleted"], row["changes"]) == ("a", True, [{"rev": gone}])

    def test_since_goes_on_where_a_reader_was(self, database: SyncPouchDB) -> None:
        database.bulk_docs([{"_id": id} for id in "abc"])
        part = database.changes(limit=2)
        assert _ids(part) == ["a", "b"]
        assert _ids(database.changes(since=part["last_seq"])) == ["c"]
        end = database.changes()["last_seq"]
        assert database.changes(since=end) == {"results": [], "last_seq": end}
        assert _ids(database.changes(since="now")) == []

    def test_a_seq_of_a_row_is_a_place_to_go_on(self, database: SyncPouchDB) -> None:
        database.bulk_docs([{"_id": id} for id in "abcd"])
        rows = database.changes()["results"]
        for place, row in enumerate(rows):
            assert _ids(database.changes(since=row["seq"])) == list("abcd"[place + 1 :])

    @needs(lambda can: can.integer_seqs)
    def test_seqs_count_the_writes(self, database: SyncPouchDB) -> None:
        database.bulk_docs([{"_id": id} for id in "abc"])
        assert [row["seq"] for row in database.changes()["results"]] == [1, 2, 3]
        assert database.info()["update_seq"] == 3

    def test_style_all_docs_tells_every_leaf(self, database: SyncPouchDB) -> None:
        graft(database, "1-a")
        graft(database, "1-b")
        graft(database, "1-c", _deleted=True)
        row = database.changes(style="all_docs")["results"][0]
        assert row["changes"] == [{"rev": "1-b"}, {"rev": "1-a"}, {"rev": "1-c"}]
        assert database.changes()["results"][0]["changes"] == [{"rev": "1-b"}]

    def test_include_docs(self, database: SyncPouchDB) -> None:
        rev = database.put({"_id": "a", "n": 1})["rev"]
        graft(database, "1-0", id="a")
        database.put({"_id": "b"})
        database.remove(database.get("b"))
        rows = database.changes(include_docs=True, conflicts=True)["results"]
        assert rows[0]["doc"]["_conflicts"] == ["1-0"]
        assert (rows[0]["doc"]["_rev"], rows[0]["doc"]["n"]) == (rev, 1)
        assert rows[1]["doc"]["_deleted"] is True

    def test_descending(self, database: SyncPouchDB) -> None:
        database.bulk_docs([{"_id": id} for id in "abc"])
        assert _ids(database.changes(descending=True)) == ["c", "b", "a"]
        assert _ids(database.changes(descending=True, limit=1)) == ["c"]

    def test_doc_ids(self, database: SyncPouchDB) -> None:
        database.bulk_docs([{"_id": id} for id in "abc"])
        assert _ids(database.changes(doc_ids=["c", "x", "a"])) == ["a", "c"]
        assert _ids(database.changes(doc_ids=[])) == []

    def test_a_filter_function(self, database: SyncPouchDB) -> None:
        database.bulk_docs([{"_id": id, "n": n} for n, id in enumerate("abcd")])
        answer = database.changes(
            filter=lambda doc, req: doc["n"] >= req.query["from"], query_params={"from": 2}, limit=1
        )
        assert _ids(answer) == ["c"]
        everything = database.changes(filter=lambda doc: doc["n"] > 9)
        assert everything["results"] == []
        # Changes that the filter rejected need not be read again.
        assert database.changes(since=everything["last_seq"])["results"] == []

    def test_an_exception_of_a_filter_reaches_the_caller(self, database: SyncPouchDB) -> None:
        database.put({"_id": "a"})
        with pytest.raises(ZeroDivisionError):
            database.changes(filter=lambda doc: 1 / 0)

    @pytest.mark.parametrize("options", [{"style": "odd"}, {"limit": -1}, {"limit": "five"}, {"since": {}}], ids=repr)
    def test_options_that_cannot_be(self, database: SyncPouchDB, options: dict[str, Any]) -> None:
        with pytest.raises(BadRequest):
            database.changes(**options)

    def test_local_documents_are_not_in_the_feed(self, database: SyncPouchDB) -> None:
        database.put({"_id": "_local/a"})
        assert _ids(database.changes()) == []


class LiveChanges(Suite):
    """A live feed yields later writes: in order, once, promptly."""

    @needs(lambda can: can.live_feeds)
    def test_it_is_iterated(self, database: SyncPouchDB) -> None:
        database.put({"_id": "before"})
        feed = database.live_changes(limit=2)
        database.put({"_id": "a"})
        database.put({"_id": "b"})
        assert [row["id"] for row in feed] == ["a", "b"]
        assert feed.done

    @needs(lambda can: can.live_feeds)
    def test_since_tells_the_past_first(self, database: SyncPouchDB) -> None:
        database.put({"_id": "before"})
        feed = database.live_changes(since=0, limit=2, include_docs=True)
        database.put({"_id": "after", "n": 1})
        rows = list(feed)
        assert [row["id"] for row in rows] == ["before", "after"]
        assert rows[1]["doc"]["n"] == 1

    @needs(lambda can: can.live_feeds)
    def test_it_calls_listeners(self, database: SyncPouchDB) -> None:
        told: list[str] = []
        feed = database.changes(live=True, since="now", limit=2)
        feed.on("change", lambda row: told.append(row["id"]))
        database.bulk_docs([{"_id": "a"}, {"_id": "b"}])
        result = feed.wait(SOON)
        assert result["results"] == []
        assert told == ["a", "b"]
        assert feed.last_seq == database.changes()["last_seq"]

    @needs(lambda can: can.live_feeds)
    def test_cancel(self, database: SyncPouchDB) -> None:
        feed: Any = database.live_changes()
        feed.on("change", lambda row: None)
        assert feed.cancel() is None
        assert feed.wait(SOON)["status"] == "cancelled"
        database.put({"_id": "a"})
        feed.cancel()

    @needs(lambda can: can.live_feeds)
    def test_it_is_filtered(self, database: SyncPouchDB) -> None:
        feed = database.live_changes(filter=lambda doc: doc.get("n") == 2, limit=1)
        for number in range(4):
            database.put({"_id": str(number), "n": number})
        assert [row["id"] for row in feed] == ["2"]

    @needs(lambda can: can.live_feeds)
    def test_it_ends_when_the_database_is_closed(self, database: SyncPouchDB, subject: Subject) -> None:
        other = subject.environment.PouchDB(database.name)
        feed = other.live_changes()
        feed.on("change", lambda row: None)
        other.close()
        assert feed.wait(SOON)["status"] == "cancelled"
