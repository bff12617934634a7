"""Conflicts: revision trees, winners, ``new_edits=False``, resolving."""

from __future__ import annotations

from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, NotFound
from pouchdb_core.testing.conformance.subject import Suite, needs

__all__ = ["Conflicts", "graft"]


def graft(database: SyncPouchDB, *path: str, id: str = "a", **members: Any) -> str:
    """Write a revision as another replica made it; ``path`` is newest first. Return it."""
    start = int(path[0].partition("-")[0])
    revisions = {"start": start, "ids": [rev.partition("-")[2] for rev in path]}
    doc = {"_id": id, "_rev": path[0], "_revisions": revisions, **members}
    assert database.bulk_docs([doc], new_edits=False) == []
    return path[0]


class Conflicts(Suite):
    """Every replica that has seen the same revisions returns the same winner."""

    def test_a_replicated_revision_is_stored_as_it_is(self, database: SyncPouchDB) -> None:
        graft(database, "3-c", "2-b", "1-a", n=3)
        assert database.get("a", revs=True) == {
            "_id": "a",
            "_rev": "3-c",
            "n": 3,
            "_revisions": {"start": 3, "ids": ["c", "b", "a"]},
        }

    def test_a_known_revision_is_no_error_and_no_change(self, database: SyncPouchDB) -> None:
        graft(database, "2-b", "1-a", n=2)
        before = database.info()["update_seq"]
        graft(database, "2-b", "1-a", n=2)
        graft(database, "1-a", n=1)
        assert database.info()["update_seq"] == before
        assert len(database.changes(style="all_docs")["results"][0]["changes"]) == 1

    @pytest.mark.parametrize(
        ("revs", "winner"),
        [
            pytest.param(["1-a", "1-b"], "1-b", id="greater id"),
            pytest.param(["2-a 1-x", "1-b"], "2-a", id="higher generation"),
            pytest.param(["10-a", "9-b"], "10-a", id="generations are numbers"),
            pytest.param(["1-b !", "1-a"], "1-a", id="living before deleted"),
            pytest.param(["3-c ! 2-b 1-a", "1-b"], "1-b", id="however deep the deleted one"),
            pytest.param(["1-a", "1-b", "1-c !"], "1-b", id="three"),
        ],
    )
    @pytest.mark.parametrize("turned", [False, True], ids=["in order", "turned"])
    def test_the_winner(self, database: SyncPouchDB, revs: list[str], winner: str, turned: bool) -> None:
        for each in reversed(revs) if turned else revs:
            path = each.replace("! ", "").replace(" !", "").split()
            members: dict[str, Any] = {"_deleted": True} if "!" in each else {}
            graft(database, *path, **members)
        assert database.get("a")["_rev"] == winner
        assert database.open_revs("a")[0]["ok"]["_rev"] == winner
        assert database.changes()["results"][0]["changes"] == [{"rev": winner}]
        assert database.all_docs()["rows"][0]["value"]["rev"] == winner

    def test_conflicts_are_told_best_first(self, database: SyncPouchDB) -> None:
        for rev in ("1-a", "1-c", "1-b"):
            graft(database, rev)
        graft(database, "1-d", _deleted=True)
        doc = database.get("a", conflicts=True, deleted_conflicts=True)
        assert doc["_rev"] == "1-c"
        assert doc["_conflicts"] == ["1-b", "1-a"]
        assert doc["_deleted_conflicts"] == ["1-d"]
        assert "_conflicts" not in database.get("a")

    def test_open_revs(self, database: SyncPouchDB) -> None:
        graft(database, "2-b", "1-a", n="b")
        graft(database, "2-c", "1-a", n="c")
        graft(database, "2-d", "1-a", _deleted=True)
        answers = database.open_revs("a")
        assert [each["ok"]["_rev"] for each in answers] == ["2-c", "2-b", "2-d"]
        assert [each["ok"].get("n") for each in answers] == ["c", "b", None]
        assert answers[2]["ok"]["_deleted"] is True
        some = database.open_revs("a", ["2-b", "9-missing"])
        assert some[0]["ok"]["n"] == "b"
        assert some[1] == {"missing": "9-missing"}

    def test_latest_answers_the_newest_below(self, database: SyncPouchDB) -> None:
        graft(database, "1-a")
        graft(database, "3-c", "2-b", "1-a", n=3)
        assert database.open_revs("a", ["1-a"], latest=True)[0]["ok"]["n"] == 3

    def test_an_edit_of_a_losing_leaf_may_make_it_the_winner(self, database: SyncPouchDB) -> None:
        graft(database, "1-a", n="a")
        graft(database, "1-b", n="b")
        two = database.put({"_id": "a", "_rev": "1-a", "n": "a2"})["rev"]
        doc = database.get("a", conflicts=True)
        assert (doc["_rev"], doc["n"], doc["_conflicts"]) == (two, "a2", ["1-b"])

    def test_deleting_the_winner_shows_the_next(self, database: SyncPouchDB) -> None:
        graft(database, "1-a", n="a")
        graft(database, "1-b", n="b")
        database.remove("a", "1-b")
        assert database.get("a") == {"_id": "a", "_rev": "1-a", "n": "a"}
        assert database.info()["doc_count"] == 1
        database.remove("a", "1-a")
        with pytest.raises(NotFound):
            database.get("a")
        assert (database.info()["doc_count"], database.info()["doc_del_count"]) == (0, 1)

    def test_force_makes_a_conflict(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "a", "n": 1})["rev"]
        two = database.put({"_id": "a", "_rev": one, "n": 2})["rev"]
        forced = database.put({"_id": "a", "_rev": one, "n": 3}, force=True)["rev"]
        assert {each["ok"]["_rev"]: each["ok"]["n"] for each in database.open_revs("a")} == {two: 2, forced: 3}

    def test_a_replicated_revision_is_answered(self, database: SyncPouchDB) -> None:
        doc = {"_id": "a", "_revisions": {"start": 2, "ids": ["b", "a"]}}
        assert database.put(doc, new_edits=False)["rev"] == "2-b"

    @needs(lambda can: can.finds_conflicts)
    def test_documents_with_conflicts_are_found(self, database: SyncPouchDB) -> None:
        graft(database, "1-a", id="one")
        for id in ("two", "three"):
            graft(database, "1-a", id=id)
            graft(database, "1-b", id=id)
        graft(database, "1-a", id="gone")
        graft(database, "1-b", id="gone", _deleted=True)
        found = list(database.conflicts())
        assert [(doc["_id"], doc["_conflicts"]) for doc in found] == [("three", ["1-a"]), ("two", ["1-a"])]

    def test_resolve_with_a_revision(self, database: SyncPouchDB) -> None:
        for rev in ("1-a", "1-b", "1-c"):
            graft(database, rev, n=rev)
        assert database.resolve("a", "1-a")["rev"] == "1-a"
        doc = database.get("a", conflicts=True)
        assert (doc["n"], "_conflicts" in doc) == ("1-a", False)

    def test_resolve_with_a_function(self, database: SyncPouchDB) -> None:
        for rev in ("1-a", "1-b"):
            graft(database, rev, n=rev)
        answer = database.resolve("a", lambda docs: {"all": [doc["n"] for doc in docs]})
        doc = database.get("a", conflicts=True)
        assert doc == {"_id": "a", "_rev": answer["rev"], "all": ["1-b", "1-a"]}

    def test_resolve_wants_a_live_leaf(self, database: SyncPouchDB) -> None:
        graft(database, "1-a")
        with pytest.raises(BadRequest):
            database.resolve("a", "1-b")

    def test_revs_diff(self, database: SyncPouchDB) -> None:
        graft(database, "2-b", "1-a")
        answer = database.revs_diff({"a": ["2-b", "1-a", "2-x", "3-y"], "b": ["1-z"], "c": []})
        assert answer["a"]["missing"] == ["2-x", "3-y"]
        assert answer["b"]["missing"] == ["1-z"]
        assert set(answer) == {"a", "b"}

    def test_a_path_from_further_back_joins_the_tree(self, database: SyncPouchDB) -> None:
        graft(database, "3-c", n="stemmed")
        graft(database, "4-d", "3-c", "2-b", "1-a", n="whole")
        assert [each["ok"]["_rev"] for each in database.open_revs("a")] == ["4-d"]

    @needs(lambda can: can.revs_limit)
    def test_revs_limit_forgets_old_revisions(self, database: SyncPouchDB) -> None:
        database.revs_limit(3)
        assert database.revs_limit() == 3
        rev = database.put({"_id": "a"})["rev"]
        for number in range(5):
            rev = database.put({"_id": "a", "_rev": rev, "n": number})["rev"]
        known = database.get("a", revs=True)["_revisions"]
        assert (known["start"], len(known["ids"])) == (6, 3)
