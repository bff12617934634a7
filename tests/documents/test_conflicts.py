"""conflicts() and resolve(): finding and settling what replicas did differently."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, Conflict, NotFound


@pytest.fixture
def torn(database: SyncPouchDB) -> SyncPouchDB:
    """Document ``a`` has three living leaves and a deleted one, ``b`` none in conflict."""
    database.bulk_docs(
        [
            {"_id": "a", "_rev": "1-r", "n": 0},
            {"_id": "a", "n": 1, "_revisions": {"start": 2, "ids": ["x", "r"]}},
            {"_id": "a", "n": 2, "_revisions": {"start": 2, "ids": ["y", "r"]}},
            {"_id": "a", "n": 3, "_revisions": {"start": 2, "ids": ["z", "r"]}},
            {"_id": "a", "_deleted": True, "_revisions": {"start": 3, "ids": ["t", "s", "r"]}},
            {"_id": "b", "_rev": "1-b"},
        ],
        new_edits=False,
    )
    return database


def test_conflicts(torn: SyncPouchDB) -> None:
    torn.bulk_docs([{"_id": "0", "_rev": "1-a"}, {"_id": "0", "_rev": "1-b"}], new_edits=False)
    assert list(torn.conflicts()) == [
        {"_id": "0", "_rev": "1-b", "_conflicts": ["1-a"]},
        {"_id": "a", "_rev": "2-z", "n": 3, "_conflicts": ["2-y", "2-x"]},
    ]


def test_conflicts_of_deleted_documents_are_none(database: SyncPouchDB) -> None:
    database.bulk_docs(
        [{"_id": "a", "_rev": "1-a", "_deleted": True}, {"_id": "a", "_rev": "1-b", "_deleted": True}], new_edits=False
    )
    assert list(database.conflicts()) == []


def test_conflicts_of_many_documents(database: SyncPouchDB) -> None:
    ids = [f"{n:05}" for n in range(1100)]
    database.bulk_docs([{"_id": id, "_rev": rev} for id in ids for rev in ("1-a", "1-b")], new_edits=False)
    database.bulk_docs([{"_id": f"{id}x"} for id in ids])
    assert [doc._id for doc in database.conflicts()] == ids


def test_resolving_while_iterating(database: SyncPouchDB) -> None:
    ids = [f"{n:03}" for n in range(20)]
    database.bulk_docs([{"_id": id, "_rev": rev} for id in ids for rev in ("1-a", "1-b")], new_edits=False)
    for doc in database.conflicts():
        database.resolve(doc._id, doc._rev)
    assert list(database.conflicts()) == []


@pytest.mark.parametrize("kept", ["2-z", "2-y", "2-x"], ids=["the winner", "a loser", "another loser"])
def test_resolve_for_a_revision(torn: SyncPouchDB, kept: str) -> None:
    assert torn.resolve("a", kept) == {"ok": True, "id": "a", "rev": kept}
    doc = torn.get("a", conflicts=True, deleted_conflicts=True)
    assert doc._rev == kept
    assert "_conflicts" not in doc
    assert len(doc._deleted_conflicts) == 3
    assert list(torn.conflicts()) == []
    assert torn.info().doc_count == 2
    # Again: there is nothing to do, and nothing is done.
    seq = torn.info().update_seq
    assert torn.resolve("a", kept).rev == kept
    assert torn.info().update_seq == seq


def test_resolve_is_the_same_on_every_replica(torn: SyncPouchDB) -> None:
    torn.resolve("a", "2-y")
    gone = torn.get("a", deleted_conflicts=True)._deleted_conflicts
    torn.purge({"a": gone})
    torn.bulk_docs(
        [{"_id": "a", "_revisions": {"start": 2, "ids": [letter, "r"]}, "n": 1} for letter in "xz"], new_edits=False
    )
    torn.resolve("a", "2-y")
    assert set(torn.get("a", deleted_conflicts=True)._deleted_conflicts) < {*gone}


def test_resolve_by_a_function(torn: SyncPouchDB) -> None:
    seen: list[Any] = []

    def merge(leaves: list[Any]) -> dict[str, Any]:
        seen.extend(leaves)
        return {"n": sum(leaf.n for leaf in leaves)}

    answer = torn.resolve("a", merge)
    assert [leaf._rev for leaf in seen] == ["2-z", "2-y", "2-x"]
    assert answer.rev.startswith("3-")
    assert torn.get("a", conflicts=True, revs=True) == {
        "_id": "a",
        "_rev": answer.rev,
        "n": 6,
        "_revisions": {"start": 3, "ids": [answer.rev[2:], "z", "r"]},
    }


def test_resolve_by_editing_the_winner_in_place(torn: SyncPouchDB) -> None:
    def merge(leaves: list[Any]) -> Any:
        leaves[0]["n"] = [leaf.n for leaf in leaves]
        return leaves[0]

    torn.resolve("a", merge)
    assert torn.get("a", conflicts=True).n == [3, 2, 1]


def test_resolve_to_nothing(torn: SyncPouchDB) -> None:
    torn.resolve("a", lambda leaves: {"_deleted": True, "why": "none of them"})
    with pytest.raises(NotFound, match="deleted"):
        torn.get("a")
    assert list(torn.conflicts()) == []


def test_resolve_keeps_attachments_of_a_loser(database: SyncPouchDB) -> None:
    database.bulk_docs(
        [
            {"_id": "a", "_rev": "1-a", "_attachments": {"x": {"content_type": "text/x", "data": b"of a loser"}}},
            {"_id": "a", "_rev": "1-b", "_attachments": {"y": {"content_type": "text/y", "data": b"of the winner"}}},
        ],
        new_edits=False,
    )
    database.resolve("a", lambda leaves: {"_attachments": {**leaves[1]._attachments, **leaves[0]._attachments}})
    database.compact()
    assert database.get_attachment("a", "x").data == b"of a loser"
    assert database.get_attachment("a", "y").data == b"of the winner"


def test_an_edit_during_the_function_starts_it_over(torn: SyncPouchDB) -> None:
    calls: list[list[str]] = []

    def merge(leaves: list[Any]) -> dict[str, Any]:
        calls.append([leaf._rev for leaf in leaves])
        if len(calls) == 1:
            torn.put({"_id": "a", "_rev": "2-y", "n": 20})
        return {"n": sum(leaf.n for leaf in leaves)}

    torn.resolve("a", merge)
    assert len(calls) == 2
    assert calls[0] == ["2-z", "2-y", "2-x"]
    assert torn.get("a", conflicts=True).n == 24
    assert list(torn.conflicts()) == []


def test_endless_edits_during_the_function_are_a_conflict(torn: SyncPouchDB) -> None:
    def merge(leaves: list[Any]) -> dict[str, Any]:
        torn.put({**leaves[0], "n": leaves[0].n + 1})
        return {"n": 0}

    with pytest.raises(Conflict):
        torn.resolve("a", merge)
    assert torn.get("a").n > 0
    assert len(torn.get("a", conflicts=True)._conflicts) == 2


def test_an_error_of_the_function_is_the_callers(torn: SyncPouchDB) -> None:
    seq = torn.info().update_seq
    with pytest.raises(ZeroDivisionError):
        torn.resolve("a", lambda leaves: {"n": 1 // 0})
    assert torn.info().update_seq == seq


@pytest.mark.parametrize(
    ("call", "error"),
    [
        pytest.param(lambda db: db.resolve("nope", "1-a"), NotFound, id="missing"),
        pytest.param(lambda db: db.resolve("nope", lambda leaves: {}), NotFound, id="missing, function"),
        pytest.param(lambda db: db.resolve("gone", "1-g"), NotFound, id="deleted"),
        pytest.param(lambda db: db.resolve("a", "1-r"), BadRequest, id="an inner revision"),
        pytest.param(lambda db: db.resolve("a", "3-t"), BadRequest, id="a deleted leaf"),
        pytest.param(lambda db: db.resolve("a", "9-q"), BadRequest, id="an unknown revision"),
        pytest.param(lambda db: db.resolve("a", "bad"), BadRequest, id="a malformed revision"),
        pytest.param(lambda db: db.resolve("a", ["2-z"]), BadRequest, id="a list"),
        pytest.param(lambda db: db.resolve("a", lambda leaves: None), BadRequest, id="function returns nothing"),
        pytest.param(lambda db: db.resolve("a", lambda leaves: {"_x": 1}), Exception, id="a reserved member"),
        pytest.param(lambda db: db.resolve(5, "2-z"), BadRequest, id="id is a number"),
        pytest.param(lambda db: db.resolve("a"), BadRequest, id="no winner"),
    ],
)
def test_errors(torn: SyncPouchDB, call: Callable[[SyncPouchDB], Any], error: type[Exception]) -> None:
    torn.put({"_id": "gone", "_rev": "1-g", "_deleted": True}, new_edits=False)
    before = torn.info()
    with pytest.raises(error):
        call(torn)
    assert torn.info() == before
