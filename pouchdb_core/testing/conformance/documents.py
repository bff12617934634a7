"""Documents: writing, reading, listing."""

from __future__ import annotations

from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, Conflict, MissingId, NotFound, PouchDBError
from pouchdb_core.testing.conformance.subject import Subject, Suite, needs

__all__ = ["Bulk", "Documents"]

VALUES = {
    "text": 'héllo \U0001f40d \u0000 "quoted" \\ / \u2028',
    "numbers": [0, -1, 2**53, 1.5, 1e300, -1e-7],
    "nested": {"list": [[], {}, [None, True, False]], "empty": {}},
    "10": "keys that look like numbers",
    "2": "in any order",
    "": "an empty key",
}
IDS = ["a", "A", " ", "a/b", "a b", "ä", "日本", "\U0001f40d", "a+b%20c?d#e&f=g", "10", "..", "x" * 300]
PYTHON_IDS = [pytest.param(id, id=ascii(id)[:20]) for id in IDS]


class Documents(Suite):
    """What is written is what is read."""

    def test_a_new_database_is_empty(self, database: SyncPouchDB) -> None:
        info = database.info()
        assert (info["doc_count"], info["doc_del_count"]) == (0, 0)
        assert database.all_docs()["rows"] == []
        assert database.changes()["results"] == []

    def test_put_then_get(self, database: SyncPouchDB) -> None:
        answer = database.put({"_id": "a", **VALUES})
        assert answer["ok"] is True
        assert answer["id"] == "a"
        assert answer["rev"].startswith("1-")
        assert database.get("a") == {**VALUES, "_id": "a", "_rev": answer["rev"]}

    def test_members_come_back_in_order(self, database: SyncPouchDB) -> None:
        database.put({"_id": "a", "z": 1, "b": {"y": 1, "c": 2}, "a": 3})
        doc = database.get("a")
        assert [key for key in doc if not key.startswith("_")] == ["z", "b", "a"]
        assert list(doc["b"]) == ["y", "c"]

    @pytest.mark.parametrize("id", PYTHON_IDS)
    def test_ids(self, database: SyncPouchDB, id: str) -> None:
        rev = database.put({"_id": id, "n": 1})["rev"]
        assert database.get(id)["_id"] == id
        assert [row["id"] for row in database.all_docs()["rows"]] == [id]
        assert database.remove(id, rev)["id"] == id

    @pytest.mark.parametrize("id", ["_reserved", "_design", "", None, 5])
    def test_ids_that_cannot_be(self, database: SyncPouchDB, id: Any) -> None:
        with pytest.raises(PouchDBError) as caught:
            database.put({"_id": id})
        assert caught.value.status in (400, 412)
        assert database.info()["doc_count"] == 0

    def test_put_needs_an_id_and_post_makes_one(self, database: SyncPouchDB) -> None:
        with pytest.raises(MissingId):
            database.put({"n": 1})
        first, second = database.post({"n": 1}), database.post({"n": 2})
        assert first["id"] != second["id"]
        assert database.get(first["id"])["n"] == 1

    def test_an_edit_needs_the_current_revision(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "a", "n": 1})["rev"]
        two = database.put({"_id": "a", "_rev": one, "n": 2})["rev"]
        assert two.startswith("2-")
        for stale in ({}, {"_rev": one}, {"_rev": "2-" + "0" * 32}):
            with pytest.raises(Conflict):
                database.put({"_id": "a", "n": 3, **stale})
        assert database.get("a")["n"] == 2

    def test_remove_leaves_a_tombstone(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "a", "n": 1})["rev"]
        two = database.remove("a", one)["rev"]
        with pytest.raises(NotFound, match="deleted"):
            database.get("a")
        assert database.get("a", rev=two) == {"_id": "a", "_rev": two, "_deleted": True}
        info = database.info()
        assert (info["doc_count"], info["doc_del_count"]) == (0, 1)

    def test_a_deletion_may_keep_a_body(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "a", "n": 1})["rev"]
        two = database.put({"_id": "a", "_rev": one, "_deleted": True, "why": "old"})["rev"]
        assert database.get("a", rev=two)["why"] == "old"

    def test_a_deleted_document_is_made_again_above_its_tombstone(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "a"})["rev"]
        database.remove("a", one)
        three = database.put({"_id": "a", "n": 3})["rev"]
        assert three.startswith("3-")
        assert database.get("a")["n"] == 3

    def test_what_never_was_cannot_be_removed(self, database: SyncPouchDB) -> None:
        """It does not leave a tombstone either."""
        missing = "1-" + "0" * 32
        for arguments in (("never", missing), ({"_id": "never", "_rev": missing},)):
            with pytest.raises(NotFound, match="missing"):
                database.remove(*arguments)
        assert database.changes()["results"] == []

    def test_missing_documents(self, database: SyncPouchDB) -> None:
        with pytest.raises(NotFound, match="missing") as caught:
            database.get("nobody")
        assert (caught.value.status, caught.value.name) == (404, "not_found")
        with pytest.raises(NotFound):
            database.get("nobody", rev="1-" + "0" * 32)
        with pytest.raises(NotFound):
            database.open_revs("nobody")
        assert "nobody" not in database

    def test_members_with_an_underscore_are_reserved(self, database: SyncPouchDB) -> None:
        with pytest.raises(PouchDBError) as caught:
            database.put({"_id": "a", "_mine": 1})
        assert caught.value.name == "doc_validation"

    @pytest.mark.parametrize(
        "value",
        [float("nan"), float("inf"), object(), {1: 2}],
        ids=["nan", "infinity", "an object", "a key that is no text"],
    )
    def test_values_that_json_does_not_have(self, database: SyncPouchDB, value: Any) -> None:
        with pytest.raises(BadRequest):
            database.put({"_id": "a", "value": value})

    def test_what_was_read_is_the_callers_own(self, database: SyncPouchDB) -> None:
        given = {"_id": "a", "list": [1]}
        database.put(given)
        database.get("a")["list"].append(2)
        given["list"].append(3)  # type: ignore[attr-defined]
        assert database.get("a")["list"] == [1]

    @needs(lambda can: can.keeps_old_bodies)
    def test_old_revisions_can_be_read(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "a", "n": 1})["rev"]
        two = database.put({"_id": "a", "_rev": one, "n": 2})["rev"]
        assert database.get("a", rev=one)["n"] == 1
        infos = database.get("a", revs_info=True)["_revs_info"]
        assert infos == [{"rev": two, "status": "available"}, {"rev": one, "status": "available"}]

    def test_revs_tells_the_history(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "a", "n": 1})["rev"]
        two = database.put({"_id": "a", "_rev": one, "n": 2})["rev"]
        hashes = [rev.partition("-")[2] for rev in (two, one)]
        assert database.get("a", revs=True)["_revisions"] == {"start": 2, "ids": hashes}

    @needs(lambda can: can.exact_revisions)
    def test_revision_ids_are_those_of_pouchdb(self, database: SyncPouchDB) -> None:
        assert database.put({"_id": "edit2"})["rev"] == "1-911ea76e7b0a67d85e0ed358108d9aaa"
        answer = database.put({"_id": "c", "z": 1, "10": 2, "2": 3, "a": 4})
        assert answer["rev"] == "1-e12a41c845a2bdefe1d06113b2fe5dab"

    @needs(lambda can: can.reopens)
    def test_what_was_written_stays(self, database: SyncPouchDB, subject: Subject) -> None:
        rev = database.put({"_id": "a", **VALUES})["rev"]
        assert subject.reopen is not None
        with subject.reopen() as again:
            assert again.PouchDB(database.name).get("a") == {**VALUES, "_id": "a", "_rev": rev}

    @needs(lambda can: can.lists_names)
    def test_names_of_databases(self, database: SyncPouchDB, subject: Subject) -> None:
        environment = subject.environment
        name = subject.new_name()
        assert name not in environment
        environment.PouchDB(name)
        assert {name, database.name} <= set(environment)
        environment.destroy(name)
        assert name not in environment

    def test_a_destroyed_database_is_empty_when_it_is_made_again(self, subject: Subject) -> None:
        name = subject.new_name()
        first = subject.environment.PouchDB(name)
        first.put({"_id": "a"})
        id = first.id()
        first.destroy()
        with pytest.raises(PouchDBError, match="destroyed"):
            first.get("a")
        second = subject.environment.PouchDB(name)
        assert second.info()["doc_count"] == 0
        assert second.id() != id
        second.destroy()

    def test_two_objects_of_one_database_see_each_other(self, database: SyncPouchDB, subject: Subject) -> None:
        other = subject.environment.PouchDB(database.name)
        database.put({"_id": "a"})
        assert "a" in other
        assert other.id() == database.id()
        other.close()
        assert "a" in database

    @needs(lambda can: can.security)
    def test_the_security_object(self, database: SyncPouchDB) -> None:
        wanted = {"admins": {"names": ["bob"], "roles": []}, "members": {"names": [], "roles": ["staff"]}}
        database.put_security(wanted)
        assert database.get_security() == wanted


class Bulk(Suite):
    """Many documents at once: written in one call, read in one call, listed."""

    def test_bulk_docs_answers_in_order(self, database: SyncPouchDB) -> None:
        taken = database.put({"_id": "taken"})["rev"]
        answers = database.bulk_docs([{"_id": "b"}, {"_id": "taken"}, {"_id": "a"}])
        assert [each["id"] for each in answers] == ["b", "taken", "a"]
        assert [each.get("name", "ok") for each in answers] == ["ok", "conflict", "ok"]
        assert answers[1]["status"] == 409
        assert database.get("taken")["_rev"] == taken
        assert database.info()["doc_count"] == 3

    def test_an_empty_bulk(self, database: SyncPouchDB) -> None:
        assert database.bulk_docs([]) == []

    @pytest.mark.parametrize("given", [None, "text", 5, {"documents": []}], ids=repr)
    def test_bulk_docs_wants_a_list(self, database: SyncPouchDB, given: Any) -> None:
        with pytest.raises(BadRequest):
            database.bulk_docs(given)

    @needs(lambda can: can.atomic_bulk)
    def test_an_atomic_bulk_is_all_or_nothing(self, database: SyncPouchDB) -> None:
        database.put({"_id": "taken"})
        with pytest.raises(Conflict):
            database.bulk_docs([{"_id": "a"}, {"_id": "taken"}], atomic=True)
        assert "a" not in database
        answers = database.bulk_docs([{"_id": "a"}, {"_id": "b"}], atomic=True)
        assert [each["ok"] for each in answers] == [True, True]

    def test_an_adapter_without_atomic_bulks_says_so(self, database: SyncPouchDB, subject: Subject) -> None:
        if subject.capabilities.atomic_bulk:
            return
        with pytest.raises(PouchDBError) as caught:
            database.bulk_docs([{"_id": "a"}], atomic=True)
        assert caught.value.status == 501
        assert "a" not in database

    def test_bulk_get(self, database: SyncPouchDB) -> None:
        rev = database.put({"_id": "a", "n": 1})["rev"]
        missing = "1-" + "0" * 32
        asked = [{"id": "a"}, {"id": "nobody"}, {"id": "a", "rev": rev}, {"id": "a", "rev": missing}]
        results = database.bulk_get(asked)["results"]
        assert [each["id"] for each in results] == ["a", "nobody", "a", "a"]
        assert [list(each["docs"][0]) for each in results] == [["ok"], ["error"], ["ok"], ["error"]]
        assert results[0]["docs"][0]["ok"] == {"_id": "a", "_rev": rev, "n": 1}
        assert results[1]["docs"][0]["error"]["error"] == "not_found"

    def test_all_docs_is_sorted_and_leaves_out_what_is_deleted(self, database: SyncPouchDB) -> None:
        database.bulk_docs([{"_id": id} for id in ("b", "a", "Z", "ä", "10", "2")])
        database.remove(database.get("2"))
        answer = database.all_docs()
        assert [row["id"] for row in answer["rows"]] == ["10", "Z", "a", "b", "ä"]
        assert answer["total_rows"] == 5
        row = answer["rows"][0]
        assert row == {"id": "10", "key": "10", "value": {"rev": database.get("10")["_rev"]}}

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            pytest.param({"startkey": "b"}, "bcde", id="startkey"),
            pytest.param({"endkey": "b"}, "ab", id="endkey"),
            pytest.param({"startkey": "b", "endkey": "d"}, "bcd", id="both"),
            pytest.param({"startkey": "b", "endkey": "d", "inclusive_end": False}, "bc", id="exclusive"),
            pytest.param({"descending": True}, "edcba", id="descending"),
            pytest.param({"descending": True, "startkey": "d", "endkey": "b"}, "dcb", id="descending range"),
            pytest.param({"limit": 2, "skip": 1}, "bc", id="limit and skip"),
            pytest.param({"limit": 0}, "", id="limit 0"),
            pytest.param({"key": "c"}, "c", id="key"),
            pytest.param({"key": "x"}, "", id="unknown key"),
            pytest.param({"startkey": "x", "endkey": "y"}, "", id="empty range"),
        ],
    )
    def test_ranges_of_all_docs(self, database: SyncPouchDB, options: dict[str, Any], expected: str) -> None:
        database.bulk_docs([{"_id": id} for id in "abcde"])
        answer = database.all_docs(**options)
        assert "".join(row["id"] for row in answer["rows"]) == expected
        assert answer["total_rows"] == 5

    def test_keys_of_all_docs(self, database: SyncPouchDB) -> None:
        database.bulk_docs([{"_id": id, "n": id} for id in "ab"])
        gone = database.remove(database.get("b"))["rev"]
        rows = database.all_docs(keys=["b", "x", "a", "a"], include_docs=True)["rows"]
        assert [row["key"] for row in rows] == ["b", "x", "a", "a"]
        assert rows[0]["value"] == {"rev": gone, "deleted": True}
        assert rows[0]["doc"] is None
        assert rows[1] == {"key": "x", "error": "not_found"}
        assert rows[2]["doc"]["n"] == "a"

    def test_include_docs(self, database: SyncPouchDB) -> None:
        rev = database.put({"_id": "a", "n": 1})["rev"]
        assert database.all_docs(include_docs=True)["rows"][0]["doc"] == {"_id": "a", "_rev": rev, "n": 1}

    @needs(lambda can: can.counts_offsets)
    def test_the_true_offset(self, database: SyncPouchDB) -> None:
        database.bulk_docs([{"_id": id} for id in "abcde"])
        assert database.all_docs(startkey="c", skip=1, offset=True)["offset"] == 3

    def test_many_documents(self, database: SyncPouchDB) -> None:
        """More than one page of any page size."""
        count = 2500
        database.bulk_docs([{"_id": f"{number:05}", "n": number} for number in range(count)])
        assert database.info()["doc_count"] == count
        assert [row["id"] for row in database.all_docs()["rows"]] == [f"{number:05}" for number in range(count)]
        assert len(database.changes()["results"]) == count
        assert len(list(database)) == count

    def test_the_database_is_a_mapping(self, database: SyncPouchDB) -> None:
        doc: dict[str, Any] = {"n": 1}
        database["a"] = doc
        assert doc["_rev"] == database["a"]["_rev"]
        database["a"] = {"n": 2}
        assert database["a"]["n"] == 2
        assert list(database) == ["a"]
        del database["a"]
        assert len(database) == 0
        with pytest.raises(KeyError):
            database["a"]
