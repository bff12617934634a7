"""Local documents: no tree, no feed, in every call that takes a document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, Conflict, DocValidation, NotFound, PouchDBError

ID = "_local/mine"


def test_life(database: SyncPouchDB) -> None:
    assert database.put({"_id": ID, "n": 1}) == {"ok": True, "id": ID, "rev": "0-1"}
    assert database.get(ID) == {"_id": ID, "_rev": "0-1", "n": 1}
    assert database.put({"_id": ID, "_rev": "0-1", "n": 2}).rev == "0-2"
    assert database.put({**database.get(ID), "n": {"deep": [1]}}).rev == "0-3"
    assert database.get(ID).n.deep == [1]
    assert database.remove(ID, "0-3") == {"ok": True, "id": ID, "rev": "0-0"}
    with pytest.raises(NotFound, match="missing"):
        database.get(ID)
    assert database.put({"_id": ID}).rev == "0-1"


def test_they_are_not_listed_counted_or_fed(database: SyncPouchDB) -> None:
    database.put({"_id": ID})
    database.put({"_id": "a"})
    info = database.info()
    assert (info.doc_count, info.update_seq) == (1, 1)
    assert [row.id for row in database.all_docs().rows] == ["a"]
    assert [row.id for row in database.changes().results] == ["a"]
    assert database.all_docs(keys=[ID]).rows == [{"key": ID, "error": "not_found"}]
    assert list(database.conflicts()) == []


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        pytest.param(lambda db: db.get(ID), {"_id": ID, "_rev": "0-1", "n": 1}, id="get"),
        pytest.param(lambda db: db[ID], {"_id": ID, "_rev": "0-1", "n": 1}, id="mapping"),
        pytest.param(lambda db: db.get(ID, revs=True, conflicts=True).n, 1, id="get with options"),
        pytest.param(lambda db: db.get(ID, "0-1").n, 1, id="get of its revision"),
        pytest.param(lambda db: db.put({"_id": ID, "_rev": "0-1"}, force=True).rev, "0-2", id="force"),
        pytest.param(lambda db: db.open_revs(ID), [{"ok": {"_id": ID, "_rev": "0-1", "n": 1}}], id="open_revs"),
        pytest.param(lambda db: db.get(ID, open_revs="all")[0].ok.n, 1, id="get of open_revs"),
        pytest.param(lambda db: db.bulk_get([{"id": ID}]).results[0].docs[0].ok.n, 1, id="bulk_get"),
        pytest.param(lambda db: ID in db, True, id="in"),
        pytest.param(lambda db: db.bulk_docs([{"_id": ID, "_rev": "0-1"}])[0].rev, "0-2", id="bulk_docs"),
        pytest.param(lambda db: db.post({"_id": ID, "_rev": "0-1"}).rev, "0-2", id="post"),
        pytest.param(lambda db: db.remove(db.get(ID)).ok, True, id="remove of the document"),
        pytest.param(lambda db: db.put({"_id": ID, "_rev": "0-1", "_deleted": True}).ok, True, id="put of a deletion"),
        pytest.param(lambda db: db.revs_diff({ID: ["1-a"]}), {ID: {"missing": ["1-a"]}}, id="revs_diff"),
    ],
)
def test_calls(database: SyncPouchDB, call: Callable[[SyncPouchDB], Any], answer: Any) -> None:
    database.put({"_id": ID, "n": 1})
    assert call(database) == answer


@pytest.mark.parametrize(
    ("call", "error"),
    [
        pytest.param(lambda db: db.put({"_id": ID}), Conflict, id="no rev"),
        pytest.param(lambda db: db.put({"_id": ID, "_rev": "0-2"}), Conflict, id="another rev"),
        pytest.param(lambda db: db.put({"_id": ID, "_rev": "1-a"}), BadRequest, id="an ordinary rev"),
        pytest.param(lambda db: db.put({"_id": ID, "_rev": 1}), BadRequest, id="rev of a wrong type"),
        pytest.param(lambda db: db.put({"_id": "_local/new", "_rev": "0-1"}), Conflict, id="missing with a rev"),
        pytest.param(lambda db: db.put({"_id": ID, "_rev": "0-1", "_x": 1}), DocValidation, id="reserved member"),
        pytest.param(lambda db: db.put({"_id": ID, "_rev": "0-1", "x": {1, 2}}), BadRequest, id="no JSON"),
        pytest.param(lambda db: db.put({"_id": ID, "_rev": "0-1", "_deleted": 1}), BadRequest, id="_deleted"),
        pytest.param(
            lambda db: db.put({"_id": ID, "_rev": "0-1", "_attachments": {"a": {"data": ""}}}),
            BadRequest,
            id="attachments",
        ),
        pytest.param(lambda db: db.put_attachment(ID, "a", b"x"), BadRequest, id="put_attachment"),
        pytest.param(lambda db: db.put_attachment("_local/new", "a", b"x"), BadRequest, id="put_attachment, new"),
        pytest.param(lambda db: db.remove_attachment(ID, "a", "1-a"), BadRequest, id="remove_attachment"),
        pytest.param(lambda db: db.get_attachment(ID, "a"), NotFound, id="get_attachment"),
        pytest.param(lambda db: db.remove("_local/none", "0-1"), NotFound, id="removal of a missing one"),
        pytest.param(lambda db: db.remove(ID, "0-7"), Conflict, id="removal of another rev"),
        pytest.param(lambda db: db.purge("_local/none", "1-a"), NotFound, id="purge"),
        pytest.param(lambda db: db.get("_local/none"), NotFound, id="missing"),
        pytest.param(lambda db: db.get(ID, "0-2"), NotFound, id="another revision"),
        pytest.param(lambda db: db.get(ID, "1-a"), NotFound, id="an ordinary revision"),
        pytest.param(lambda db: db.get("_local/"), BadRequest, id="no name"),
        pytest.param(lambda db: db.put({"_id": "_local/"}), BadRequest, id="put without a name"),
    ],
)
def test_errors(database: SyncPouchDB, call: Callable[[SyncPouchDB], Any], error: type[PouchDBError]) -> None:
    database.put({"_id": ID, "n": 1})
    with pytest.raises(error):
        call(database)
    assert database.get(ID) == {"_id": ID, "_rev": "0-1", "n": 1}


def test_many_in_a_batch_are_applied_in_order(database: SyncPouchDB) -> None:
    answers = database.bulk_docs([{"_id": ID, "n": 1}, {"_id": ID, "_rev": "0-1", "n": 2}, {"_id": ID, "n": 3}])
    assert [each.get("rev") or each.status for each in answers] == ["0-1", "0-2", 409]
    assert database.get(ID).n == 2


def test_they_survive_compaction_and_are_exact(database: SyncPouchDB) -> None:
    body = {"10": 1, "2": [None, {"x": "\ud800é\0"}], "items": {}, "": 1.5}
    database.put({**body, "_id": ID})
    database.compact()
    assert database.get(ID) == {**body, "_id": ID, "_rev": "0-1"}
