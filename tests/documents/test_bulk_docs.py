"""bulk_docs: many documents in one transaction.

Rows of the option table and the tests that cover them:

* docs: list, tuple, {docs, new_edits}, text and bytes of both: test_takes; anything else: test_refuses
* answers in input order, errors as data: test_one_answer_each_in_input_order
* new_edits=False: only errors are answered: test_new_edits_false_*; in the mapping too: test_takes
* duplicate ids are applied in order: test_documents_of_one_id_are_applied_in_order
* atomic=True: test_atomic_*
* timeout (HTTP only) is accepted: test_takes
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, Conflict, DocValidation, MissingStub, NotFound, PouchDBError

DOCS = [{"_id": "b", "n": 1}, {"_id": "a", "n": 2}, {"n": 3}]


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda db: db.bulk_docs(DOCS), id="list"),
        pytest.param(lambda db: db.bulk_docs(tuple(DOCS)), id="tuple"),
        pytest.param(lambda db: db.bulk_docs({"docs": DOCS}), id="mapping"),
        pytest.param(lambda db: db.bulk_docs({"docs": DOCS, "new_edits": True}), id="mapping with new_edits"),
        pytest.param(lambda db: db.bulk_docs(json.dumps(DOCS)), id="text of a list"),
        pytest.param(lambda db: db.bulk_docs(json.dumps({"docs": DOCS}).encode()), id="bytes of an object"),
        pytest.param(lambda db: db.bulk_docs(bytearray(json.dumps(DOCS).encode())), id="bytearray"),
        pytest.param(lambda db: db.bulk_docs([json.dumps(each) for each in DOCS]), id="list of texts"),
        pytest.param(lambda db: db.bulkDocs(DOCS), id="camel case"),
        pytest.param(lambda db: db.bulk_docs(DOCS, timeout=5), id="timeout"),
        pytest.param(lambda db: db.bulk_docs(DOCS, new_edits=None, atomic=True), id="atomic"),
    ],
)
def test_takes(database: SyncPouchDB, call: Callable[[SyncPouchDB], list[Any]]) -> None:
    answers = call(database)
    assert [each.ok for each in answers] == [True] * 3
    assert [each.id for each in answers[:2]] == ["b", "a"]
    assert database.get(answers[2].id).n == 3
    assert database.info().update_seq == 3


def test_text_with_lone_surrogates(database: SyncPouchDB) -> None:
    database.bulk_docs('[{"_id": "escaped", "v": "\\ud800"}, {"_id": "raw", "v": "\udc00"}]')
    assert (database.get("escaped").v, database.get("raw").v) == ("\ud800", "\udc00")


def test_nothing(database: SyncPouchDB) -> None:
    assert database.bulk_docs([]) == []
    assert database.bulk_docs([], atomic=True) == []
    assert database.info().update_seq == 0


@pytest.mark.parametrize(
    "docs",
    [
        pytest.param(None, id="None"),
        pytest.param(5, id="a number"),
        pytest.param({"_id": "a"}, id="a document"),
        pytest.param({"docs": {"_id": "a"}}, id="docs is an object"),
        pytest.param({"docs": [], "all_or_nothing": True}, id="an unknown member"),
        pytest.param({"docs": [], "new_edits": "false"}, id="new_edits is text"),
        pytest.param({}, id="no docs"),
        pytest.param("{}", id="text without docs"),
        pytest.param("null", id="text of null"),
        pytest.param("[1, 2", id="broken text"),
        pytest.param('[], "new_edits": false', id="more than one value"),
    ],
)
def test_refuses(database: SyncPouchDB, docs: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        database.bulk_docs(docs)
    assert caught.value.status == 400
    assert database.info().update_seq == 0


@pytest.mark.parametrize("option", [{"new_edits": "false"}, {"new_edits": 0}, {"atomic": "no"}], ids=repr)
def test_refuses_options_of_a_wrong_type(database: SyncPouchDB, option: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=r"[Tt]rue or [Ff]alse"):
        database.bulk_docs(DOCS, **option)


MIXED: list[Any] = [
    {"_id": "a", "n": 1},
    {"_id": "exists"},
    7,
    {"_id": 7},
    {"_id": ""},
    {"_id": "_bad"},
    {"_id": "c", "_rev": "x"},
    {"_id": "d", "_unknown": 1},
    {"_id": "e", "_rev": "1-a"},
    {"_id": "f", "x": float("nan")},
    {"_id": "g", "_attachments": {"s": {"stub": True}}},
    {"_id": "h", "_deleted": "yes"},
    {"_id": "_local/x", "_rev": "0-5"},
    "not json",
    {"_id": "_local/y", "n": 1},
    {"_id": "b", "n": 2},
]
EXPECTED: list[tuple[int, str, str | None] | None] = [
    None,
    (409, "conflict", "exists"),
    (400, "bad_request", None),
    (400, "bad_request", None),
    (412, "missing_id", None),
    (400, "bad_request", None),
    (400, "bad_request", None),
    (500, "doc_validation", "d"),
    (409, "conflict", "e"),
    (400, "bad_request", "f"),
    (412, "missing_stub", "g"),
    (400, "bad_request", "h"),
    (409, "conflict", "_local/x"),
    (400, "bad_request", None),
    None,
    None,
]


def test_one_answer_each_in_input_order(database: SyncPouchDB) -> None:
    database.put({"_id": "exists"})
    answers = database.bulk_docs(MIXED)
    assert len(answers) == len(MIXED)
    for answer, expected in zip(answers, EXPECTED, strict=True):
        if expected is None:
            assert answer.ok is True
        else:
            status, name, id = expected
            assert (answer.status, answer.name, answer.error) == (status, name, True)
            assert answer.reason == answer.message
            if id is not None:
                assert answer.id == id
    assert list(database) == ["a", "b", "exists"]
    assert database.get("_local/y").n == 1
    assert database.info().update_seq == 3


def test_documents_of_one_id_are_applied_in_order(database: SyncPouchDB) -> None:
    first, again, other = database.bulk_docs([{"_id": "a", "n": 1}, {"_id": "a", "n": 2}, {"_id": "b"}])
    assert (first.ok, again.status, other.ok) == (True, 409, True)
    second = database.put({"_id": "a", "_rev": first.rev, "n": 3}).rev
    tombstone = {"_id": "a", "_rev": second, "_deleted": True}
    gone, back, stale = database.bulk_docs([tombstone, {"_id": "a", "n": 4}, {"_id": "a", "_rev": second, "n": 5}])
    assert gone.rev.startswith("3-")
    assert back.rev.startswith("4-")
    assert stale.status == 409
    assert database.get("a", revs=True)._revisions.ids == [
        each.partition("-")[2] for each in (back.rev, gone.rev, second, first.rev)
    ]
    info = database.info()
    assert (info.doc_count, info.doc_del_count) == (2, 0)


def test_a_chain_of_one_document_in_a_batch(database: SyncPouchDB) -> None:
    """Revisions of one document, replicated together, the newest first: every body stays readable."""
    docs = [
        {"_id": "a", "n": n, "_revisions": {"start": n, "ids": [f"r{each}" for each in range(n, 0, -1)]}}
        for n in (3, 1, 2, 5, 4)
    ]
    assert database.bulk_docs(docs, new_edits=False) == []
    assert database.get("a").n == 5
    # What came after its descendant was known as an ancestor already: only its id is kept.
    available = [each.rev for each in database.get("a", revs_info=True)._revs_info if each.status == "available"]
    assert available == ["5-r5", "3-r3"]
    assert database.info().doc_count == 1


def test_seqs_follow_the_input(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": "m"}, {"_id": "z"}])
    database.bulk_docs([{"_id": "q"}, {**database.get("z"), "n": 1}, {"_id": "b"}, {**database.get("m"), "n": 1}])
    rows = database.changes().results
    assert [(row.seq, row.id) for row in rows] == [(3, "q"), (4, "z"), (5, "b"), (6, "m")]


# -- new_edits=False ---------------------------------------------------------------------------------------------------


def test_new_edits_false_answers_errors_only(database: SyncPouchDB) -> None:
    answers = database.bulk_docs(
        {
            "new_edits": False,
            "docs": [
                {"_id": "a", "_rev": "1-a"},
                {"_id": "b"},
                {"_id": "c", "_rev": "bad"},
                {"_id": "d", "_revisions": {"start": 1, "ids": ["x", "y"]}},
                {"_id": "e", "_rev": "1-e", "_revisions": {"start": 1, "ids": ["x"]}},
                {"_rev": "1-f"},
                {"_id": "g", "_revisions": {"start": 2, "ids": ["y", "x"]}},
            ],
        }
    )
    assert [(each.status, each.get("id")) for each in answers] == [
        (400, "b"),
        (400, "c"),
        (400, "d"),
        (412, None),
    ]
    assert list(database) == ["a", "e", "g"]
    assert database.get("e")["_rev"] == "1-x", "as CouchDB: _revisions says which one it is"


@pytest.mark.parametrize(
    "revisions",
    [
        "1-a",
        [],
        {},
        {"start": 1},
        {"ids": ["a"]},
        {"start": 0, "ids": ["a"]},
        {"start": "1", "ids": ["a"]},
        {"start": True, "ids": ["a"]},
        {"start": 1.0, "ids": ["a"]},
        {"start": 1, "ids": "a"},
        {"start": 1, "ids": []},
        {"start": 1, "ids": [1]},
        {"start": 1, "ids": [""]},
        {"start": 2, "ids": ["a", "b,c"]},
        {"start": 10**20, "ids": ["a"]},
    ],
    ids=repr,
)
def test_malformed_revisions(database: SyncPouchDB, revisions: Any) -> None:
    with pytest.raises(BadRequest, match="_revisions must be"):
        database.put({"_id": "a", "_revisions": revisions}, new_edits=False)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_new_edits_false_merges_in_any_order(database: SyncPouchDB, order: tuple[int, ...], together: bool) -> None:
    docs = [
        {"_id": "a", "n": 1, "_rev": "1-a"},
        {"_id": "a", "n": 2, "_revisions": {"start": 2, "ids": ["b", "a"]}},
        {"_id": "a", "n": 3, "_revisions": {"start": 2, "ids": ["c", "a"]}},
    ]
    given = [docs[place] for place in order]
    for batch in [given] if together else [[each] for each in given]:
        database.bulk_docs(batch, new_edits=False)
    assert database.get("a", conflicts=True) == {"_id": "a", "_rev": "2-c", "n": 3, "_conflicts": ["2-b"]}
    assert database.get("a", rev="2-b").n == 2


def test_a_body_that_moves_twice_in_a_batch_is_kept(database: SyncPouchDB) -> None:
    """The winner loses to another leaf, and wins again when that is deleted, before anything is written."""
    database.bulk_docs([{"_id": "a", "_rev": "1-a", "n": "kept"}], new_edits=False)
    database.bulk_docs(
        [
            {"_id": "a", "_rev": "1-b", "n": "other"},
            {"_id": "a", "_deleted": True, "_revisions": {"start": 2, "ids": ["c", "b"]}},
        ],
        new_edits=False,
    )
    assert database.get("a") == {"_id": "a", "_rev": "1-a", "n": "kept"}
    assert database.get("a", rev="1-b").n == "other"


def test_a_stub_of_a_parent_that_moved_in_the_batch(database: SyncPouchDB) -> None:
    database.bulk_docs(
        [{"_id": "a", "_rev": "1-a", "_attachments": {"x": {"content_type": "text/x", "data": "eA==", "revpos": 1}}}],
        new_edits=False,
    )
    answers = database.bulk_docs(
        [
            {"_id": "a", "_revisions": {"start": 2, "ids": ["c", "a"]}, "_attachments": {"x": {"stub": True}}},
            {"_id": "a", "_revisions": {"start": 2, "ids": ["b", "a"]}, "_attachments": {"x": {"stub": True}}},
        ],
        new_edits=False,
    )
    assert answers == []
    for rev in ("2-b", "2-c"):
        assert database.get("a", rev=rev)._attachments.x.revpos == 1
        assert database.get_attachment("a", "x", rev) == {"type": "text/x", "data": b"x"}


def test_ancestors_that_arrive_later_join_branches(database: SyncPouchDB) -> None:
    """A longer path for a known revision can make of another leaf, even the winner, an inner revision."""
    database.bulk_docs(
        [{"_id": "a", "_rev": "4-d", "_deleted": True, "n": 4}, {"_id": "a", "_rev": "2-b", "n": 2}], new_edits=False
    )
    assert database.get("a")._rev == "2-b"
    path = {"start": 4, "ids": ["d", "c", "b"]}
    assert database.bulk_docs([{"_id": "a", "_revisions": path, "_deleted": True}], new_edits=False) == []
    with pytest.raises(NotFound, match="deleted"):
        database.get("a")
    assert database.get("a", rev="4-d", revs=True, conflicts=True) == {
        "_id": "a",
        "_rev": "4-d",
        "_deleted": True,
        "n": 4,
        "_revisions": path,
    }
    info = database.info()
    assert (info.doc_count, info.doc_del_count, info.update_seq) == (0, 1, 2)


def test_an_edge_alone_is_news(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": "a", "_rev": "3-c", "n": 3}, {"_id": "a", "_rev": "2-b", "n": 2}], new_edits=False)
    assert database.get("a", conflicts=True)._conflicts == ["2-b"]
    database.bulk_docs([{"_id": "a", "_revisions": {"start": 3, "ids": ["c", "b"]}}], new_edits=False)
    assert database.get("a", conflicts=True, revs=True) == {
        "_id": "a",
        "_rev": "3-c",
        "n": 3,
        "_revisions": {"start": 3, "ids": ["c", "b"]},
    }
    assert database.get("a", rev="2-b").n == 2
    assert list(database.conflicts()) == []


# -- atomic ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        pytest.param({"_id": "exists"}, Conflict, id="conflict"),
        pytest.param({"_id": "missing", "_rev": "1-a"}, Conflict, id="missing"),
        pytest.param({"_id": "missing", "_rev": "1-a", "_deleted": True}, NotFound, id="removal of a missing one"),
        pytest.param({"_id": "x", "_foo": 1}, DocValidation, id="reserved member"),
        pytest.param({"_id": 5}, BadRequest, id="wrong id"),
        pytest.param({"_id": "x", "_attachments": {"s": {"stub": True}}}, MissingStub, id="missing stub"),
        pytest.param({"_id": "_local/x", "_rev": "0-7"}, Conflict, id="local document"),
    ],
)
@pytest.mark.parametrize("place", [0, 2, 4], ids=["first", "in the middle", "last"])
def test_atomic_writes_nothing_when_one_fails(
    database: SyncPouchDB, bad: dict[str, Any], error: type[PouchDBError], place: int
) -> None:
    database.put({"_id": "exists"})
    before = database.info()
    docs: list[Any] = [
        {"_id": "a"},
        {"_id": "_local/l", "n": 1},
        {"_id": "att", "_attachments": {"x": {"content_type": "text/plain", "data": "eA=="}}},
        {"_id": "_design/d"},
    ]
    docs.insert(place, bad)
    with pytest.raises(error) as caught:
        database.bulk_docs(docs, atomic=True)
    if isinstance(bad["_id"], str):
        assert caught.value.id == bad["_id"]
    after = database.info()
    assert (after.update_seq, after.doc_count) == (before.update_seq, before.doc_count)
    assert list(database) == ["exists"]
    assert database.design_documents() == ()
    with pytest.raises(NotFound):
        database.get("_local/l")


def test_atomic_writes_all(database: SyncPouchDB) -> None:
    rev = database.put({"_id": "a"}).rev
    answers = database.bulk_docs([{"_id": "a", "_rev": rev, "n": 1}, {"_id": "_local/l"}, {"_id": "b"}], atomic=True)
    assert [each.ok for each in answers] == [True] * 3
    assert list(database) == ["a", "b"]


def test_atomic_without_new_edits(database: SyncPouchDB) -> None:
    with pytest.raises(BadRequest):
        database.bulk_docs([{"_id": "a", "_rev": "1-a"}, {"_id": "b"}], atomic=True, new_edits=False)
    assert list(database) == []
    assert database.bulk_docs([{"_id": "a", "_rev": "1-a"}], atomic=True, new_edits=False) == []
    assert list(database) == ["a"]


def test_the_next_write_after_a_failed_atomic_one(database: SyncPouchDB) -> None:
    with pytest.raises(Conflict):
        database.bulk_docs([{"_id": "a"}, {"_id": "a"}], atomic=True)
    assert database.put({"_id": "a"}).ok
    assert database.info().update_seq == 1
