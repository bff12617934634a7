"""put, post and remove: one document at a time.

Rows of the option tables and the tests that cover them:

* put(doc): dict, Record, other mapping, JSON text: test_put_takes; id and rev arguments: test_put_id_and_rev_arguments
* put: returns {ok, id, rev}: test_put_answers; `_id` required: test_put_without_an_id
* put: 409 unless `_rev` is a leaf: test_conflict; a rev the tree does not have: test_conflict
* put: a deleted document without `_rev` comes back as child of the tombstone: test_recreate
* put: `_deleted` with a body: test_tombstone_with_a_body; attachments dropped: test_tombstone_drops_attachments
* put: `force`: test_force; `new_edits=False`: test_new_edits_false
* post: id made, time-ordered, last in the hash: test_post_*; `_id` honoured; options as put: test_post_options
* remove(doc), remove(id, rev), remove(doc, rev): test_remove_takes; errors: test_remove_errors
"""

from __future__ import annotations

import json
from collections import UserDict
from collections.abc import Callable
from hashlib import md5
from types import MappingProxyType
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import BadRequest, Conflict, MissingId, NotFound
from pouchdb_core.results import Record

BODY: dict[str, Any] = {"_id": "a", "n": 1, "deep": {"list": [{"x": None}, True]}}
BODY_REV = "1-" + md5(json.dumps(BODY, separators=(",", ":")).encode()).hexdigest()

FORMS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "dict": dict,
    "Record": Record,
    "UserDict": UserDict,
    "mapping proxy": MappingProxyType,
    "text": json.dumps,
    "text with white space": lambda doc: f" \n{json.dumps(doc, indent=2)}\t ",
    "bytes": lambda doc: json.dumps(doc).encode(),
    "bytearray": lambda doc: bytearray(json.dumps(doc).encode()),
}
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@forms
def test_put_takes(database: SyncPouchDB, form: Callable[[dict[str, Any]], Any]) -> None:
    given = form(BODY)
    before = repr(given)
    assert database.put(given) == {"ok": True, "id": "a", "rev": BODY_REV}
    assert database.get("a") == {**BODY, "_rev": BODY_REV}
    assert repr(given) == before


def test_put_answers(database: SyncPouchDB) -> None:
    answer = database.put(BODY)
    assert list(answer) == ["ok", "id", "rev"]
    assert (answer.ok, answer.id, answer.rev) == (True, "a", BODY_REV)


@pytest.mark.parametrize(
    ("doc", "arguments", "stored"),
    [
        pytest.param({"n": 1}, ("a",), {"n": 1}, id="id positional"),
        pytest.param({"_id": "a", "n": 1}, ("a",), {"n": 1}, id="id twice, the same"),
        pytest.param('{"n": 1}', ("a",), {"n": 1}, id="text and id"),
        pytest.param({"_id": None, "n": 1}, ("a",), {"n": 1}, id="id None in the document"),
        pytest.param({"_id": "a", "n": 1}, (None, None), {"n": 1}, id="None means not given"),
    ],
)
def test_put_id_and_rev_arguments(
    database: SyncPouchDB, doc: Any, arguments: tuple[Any, ...], stored: dict[str, Any]
) -> None:
    first = database.put(doc, *arguments)
    assert database.get("a") == {**stored, "_id": "a", "_rev": first.rev}
    second = database.put({"n": 2}, "a", first.rev)
    assert second.rev.startswith("2-")
    assert database.put({"_id": "a", "_rev": None, "n": 3}, rev=second.rev).rev.startswith("3-")


@pytest.mark.parametrize(
    "arguments",
    [({"_id": "a"}, "b"), ({"_id": "a", "_rev": "1-a"}, "a", "1-b"), ({"_id": "a", "_rev": "1-a"}, None, "1-b")],
    ids=["another id", "another rev", "another rev by keyword"],
)
def test_put_arguments_that_contradict_the_document(database: SyncPouchDB, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(BadRequest, match="the document's _"):
        database.put(*arguments)
    assert database.info().update_seq == 0


@pytest.mark.parametrize("doc", [{}, {"n": 1}, '{"n": 1}', {"_id": ""}], ids=repr)
def test_put_without_an_id(database: SyncPouchDB, doc: Any) -> None:
    with pytest.raises(MissingId) as caught:
        database.put(doc)
    assert caught.value.status == 412
    assert caught.value["name"] == "missing_id"


def test_edits_grow_a_chain(database: SyncPouchDB) -> None:
    rev = database.put({"_id": "a", "n": 0}).rev
    revs = [rev]
    for n in range(1, 5):
        doc = database.get("a")
        doc["n"] = n
        revs.append(database.put(doc).rev)
    assert [int(each.partition("-")[0]) for each in revs] == [1, 2, 3, 4, 5]
    assert database.get("a", revs=True)._revisions == {
        "start": 5,
        "ids": [each.partition("-")[2] for each in reversed(revs)],
    }
    for n, each in enumerate(revs):
        assert database.get("a", rev=each) == {"_id": "a", "_rev": each, "n": n}


@pytest.mark.parametrize(
    "rev",
    [None, "1-a", "2-b", "7-unknown"],
    ids=["no rev", "an inner revision", "unknown of the winner's generation", "unknown of a later one"],
)
def test_conflict(database: SyncPouchDB, rev: str | None) -> None:
    first = database.put({"_id": "a"}).rev
    winner = database.put({"_id": "a", "_rev": first}).rev
    given = {"_id": "a", "lost": True, **({} if rev is None else {"_rev": first if rev == "1-a" else rev})}
    with pytest.raises(Conflict) as caught:
        database.put(given)
    assert (caught.value.status, caught.value.name, caught.value.id) == (409, "conflict", "a")
    assert str(caught.value) == '{"status":409,"name":"conflict","message":"Document update conflict"}'
    assert database.get("a")._rev == winner
    assert database.info().update_seq == 2


def test_a_first_write_cannot_name_a_parent(database: SyncPouchDB) -> None:
    with pytest.raises(Conflict):
        database.put({"_id": "x", "_rev": "1-zzz"})
    assert "x" not in database


def test_a_losing_leaf_can_be_edited(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": "a", "_rev": "1-b"}, {"_id": "a", "_rev": "1-a"}], new_edits=False)
    edited = database.put({"_id": "a", "_rev": "1-a", "n": 1}).rev
    assert database.get("a", conflicts=True) == {"_id": "a", "_rev": edited, "n": 1, "_conflicts": ["1-b"]}


def test_the_same_edit_twice_is_a_conflict(database: SyncPouchDB) -> None:
    first = database.put({"_id": "a"}).rev
    database.put({"_id": "a", "_rev": first, "n": 1})
    with pytest.raises(Conflict):
        database.put({"_id": "a", "_rev": first, "n": 1})


# -- deleting and coming back ------------------------------------------------------------------------------------------


def test_tombstone_with_a_body(database: SyncPouchDB) -> None:
    first = database.put({"_id": "a", "n": 1}).rev
    gone = database.put({"_id": "a", "_rev": first, "_deleted": True, "why": "moved"})
    with pytest.raises(NotFound) as caught:
        database.get("a")
    assert (caught.value.status, caught.value.reason) == (404, "deleted")
    assert database.get("a", rev=gone.rev) == {"_id": "a", "_rev": gone.rev, "_deleted": True, "why": "moved"}
    info = database.info()
    assert (info.doc_count, info.doc_del_count) == (0, 1)


def test_tombstone_drops_attachments(database: SyncPouchDB) -> None:
    first = database.put({"_id": "a", "_attachments": {"x": {"content_type": "text/plain", "data": "eA=="}}})
    gone = database.put({**database.get("a"), "_deleted": True, "why": "moved"})
    assert database.get("a", rev=gone.rev) == {"_id": "a", "_rev": gone.rev, "_deleted": True, "why": "moved"}
    assert database.get_attachment("a", "x", first.rev).data == b"x"


def test_a_document_may_begin_deleted(database: SyncPouchDB) -> None:
    database.put({"_id": "a", "_deleted": True, "n": 1})
    with pytest.raises(NotFound, match="deleted"):
        database.get("a")
    assert database.put({"_id": "a"}).rev.startswith("2-")


def test_deleted_false_is_an_ordinary_document(database: SyncPouchDB) -> None:
    rev = database.put({"_id": "a", "_deleted": False, "n": 1}).rev
    assert database.get("a") == {"_id": "a", "_rev": rev, "n": 1}


def test_recreate(database: SyncPouchDB) -> None:
    first = database.put({"_id": "a", "n": 1}).rev
    gone = database.remove("a", first).rev
    back = database.put({"_id": "a", "n": 2})
    # PouchDB hashes the body, then the tombstone's _rev, then the _id.
    text = json.dumps({"n": 2, "_rev": gone, "_id": "a"}, separators=(",", ":"))
    assert back.rev == "3-" + md5(text.encode()).hexdigest()
    assert database.get("a") == {"_id": "a", "_rev": back.rev, "n": 2}
    assert database.get("a", revs=True)._revisions.ids == [each.partition("-")[2] for each in (back.rev, gone, first)]
    info = database.info()
    assert (info.doc_count, info.doc_del_count) == (1, 0)


def test_recreate_by_naming_the_tombstone(database: SyncPouchDB) -> None:
    gone = database.remove("a", database.put({"_id": "a"}).rev).rev
    assert database.put({"_id": "a", "_rev": gone, "n": 2}).rev.startswith("3-")


def test_recreate_over_deleted_conflicts_grows_from_the_winning_tombstone(database: SyncPouchDB) -> None:
    database.bulk_docs(
        [{"_id": "a", "_rev": "2-b", "_deleted": True}, {"_id": "a", "_rev": "3-a", "_deleted": True}], new_edits=False
    )
    back = database.put({"_id": "a", "n": 2}).rev
    doc = database.get("a", revs=True, deleted_conflicts=True)
    assert back.startswith("4-")
    assert doc._revisions == {"start": 4, "ids": [back[2:], "a"]}
    assert doc._deleted_conflicts == ["2-b"]


def test_recreating_with_random_revisions_is_random(environment: SyncEnvironment) -> None:
    revs = set()
    for name in ("one", "two"):
        database = environment.PouchDB(name, deterministic_revs=False)
        database.bulk_docs([{"_id": "a", "_rev": "1-a", "_deleted": True}], new_edits=False)
        revs.add(database.put({"_id": "a"}).rev)
    assert len(revs) == 2
    assert all(rev.startswith("2-") for rev in revs)


def test_deterministic_revs(environment: SyncEnvironment) -> None:
    revs = {}
    for name, option in (("one", True), ("two", True), ("three", False), ("four", False)):
        revs[name] = environment.PouchDB(name, deterministic_revs=option).put({"_id": "a"}).rev
    assert revs["one"] == revs["two"]
    assert len(set(revs.values())) == 3


@forms
def test_remove_takes(database: SyncPouchDB, form: Callable[[dict[str, Any]], Any]) -> None:
    first = database.put({"_id": "a", "n": 1}).rev
    gone = database.remove(form(database.get("a")))
    text = json.dumps({"_id": "a", "_rev": first, "_deleted": True}, separators=(",", ":"))
    assert gone == {"ok": True, "id": "a", "rev": "2-" + md5(text.encode()).hexdigest()}
    assert database.get("a", rev=gone.rev) == {"_id": "a", "_rev": gone.rev, "_deleted": True}


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda db, rev: db.remove("a", rev), id="id, rev"),
        pytest.param(lambda db, rev: db.remove("a", rev=rev), id="id, rev by keyword"),
        pytest.param(lambda db, rev: db.remove({"_id": "a"}, rev), id="document, rev"),
        pytest.param(lambda db, rev: db.remove({"_id": "a", "_rev": rev}, rev), id="document with the same rev"),
    ],
)
def test_remove_arguments(database: SyncPouchDB, call: Callable[[SyncPouchDB, str], Any]) -> None:
    rev = database.put({"_id": "a"}).rev
    assert call(database, rev).rev.startswith("2-")
    assert "a" not in database


@pytest.mark.parametrize("by_id", [True, False])
def test_remove_keeps_fields(database: SyncPouchDB, by_id: bool) -> None:
    rev = database.put({"_id": "a", "type": "note", "owner": None, "text": "x" * 100}).rev
    fields = ["owner", "type", "nothing"]
    gone = (
        database.remove("a", rev, keep_fields=fields) if by_id else database.remove(database["a"], keep_fields=fields)
    )
    assert database.get("a", rev=gone.rev) == {
        "owner": None,
        "type": "note",
        "_id": "a",
        "_rev": gone.rev,
        "_deleted": True,
    }
    assert database.changes(filter=lambda doc: doc.get("type") == "note").results[0].deleted is True


def test_remove_an_id_that_looks_like_json(database: SyncPouchDB) -> None:
    id = '{"_id": "a"}'
    database.remove(id, database.put({"_id": id}).rev)
    assert id not in database


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        pytest.param(lambda db, rev: db.remove("nope", "1-a"), NotFound, "missing", id="missing"),
        pytest.param(lambda db, rev: db.remove("gone", "2-a"), NotFound, "deleted", id="deleted already"),
        pytest.param(lambda db, rev: db.remove("gone", "1-a"), Conflict, "conflict", id="an old revision"),
        pytest.param(lambda db, rev: db.remove("a", "1-zzz"), Conflict, "conflict", id="an unknown revision"),
        pytest.param(lambda db, rev: db.remove("a"), BadRequest, "needs the revision", id="no revision"),
        pytest.param(lambda db, rev: db.remove({"_id": "a"}), Conflict, "needs its _rev", id="document without _rev"),
        pytest.param(lambda db, rev: db.remove({"_id": "nope"}), NotFound, "missing", id="missing, without _rev"),
        pytest.param(lambda db, rev: db.remove({"_id": "gone"}), NotFound, "deleted", id="deleted, without _rev"),
        pytest.param(lambda db, rev: db.remove({"n": 1}), MissingId, "_id is required", id="document without _id"),
        pytest.param(
            lambda db, rev: db.remove({"_id": "a", "_rev": rev}, "1-b"), BadRequest, "not '1-b'", id="two revs"
        ),
        pytest.param(lambda db, rev: db.remove("a", "x"), BadRequest, "Invalid rev format", id="malformed rev"),
        pytest.param(lambda db, rev: db.remove("a", 1), BadRequest, "Invalid rev format", id="rev of a wrong type"),
        pytest.param(lambda db, rev: db.remove("{x", None), BadRequest, "invalid JSON", id="broken text"),
        pytest.param(lambda db, rev: db.remove(5, "1-a"), BadRequest, "JSON object", id="a number"),
        pytest.param(
            lambda db, rev: db.remove("a", rev, keep_fields="n"), BadRequest, "list of strings", id="a field as text"
        ),
        pytest.param(
            lambda db, rev: db.remove("a", rev, keep_fields=["_x"]), BadRequest, "'_x'", id="a field that is no field"
        ),
        pytest.param(
            lambda db, rev: db.remove("a", "1-zzz", keep_fields=["n"]), Conflict, "conflict", id="fields of nothing"
        ),
        pytest.param(
            lambda db, rev: db.remove("nope", "1-a", keep_fields=["n"]), NotFound, "missing", id="fields of nobody"
        ),
    ],
)
def test_remove_errors(
    database: SyncPouchDB, call: Callable[[SyncPouchDB, str], Any], error: type[Exception], message: str
) -> None:
    rev = database.put({"_id": "a"}).rev
    database.bulk_docs(
        [{"_id": "gone", "_deleted": True, "_revisions": {"start": 2, "ids": ["a", "a"]}}], new_edits=False
    )
    with pytest.raises(error, match=message):
        call(database, rev)
    assert database.get("a")._rev == rev
    assert database.info().update_seq == 2


# -- force and new_edits -----------------------------------------------------------------------------------------------


def test_force(database: SyncPouchDB) -> None:
    """`force` writes a sibling of the next revision whatever happened since."""
    first = database.put({"_id": "a"}).rev
    second = database.put({"_id": "a", "_rev": first, "n": 1}).rev
    forced = database.put({"_id": "a", "_rev": first, "n": 2}, force=True)
    assert forced.ok
    assert forced.rev.startswith("2-")
    assert forced.rev != second
    assert database.get("a", rev=forced.rev, revs=True)._revisions.ids == [forced.rev[2:], first[2:]]
    doc = database.get("a", conflicts=True)
    assert {doc._rev, *doc._conflicts} == {second, forced.rev}


def test_force_without_a_rev_is_an_ordinary_put(database: SyncPouchDB) -> None:
    assert database.put(BODY, force=True).rev == BODY_REV
    with pytest.raises(Conflict):
        database.put({"_id": "a", "n": 2}, force=True)


def test_force_keeps_the_attachments_of_the_parent(database: SyncPouchDB) -> None:
    database.put_attachment("a", "x", b"content", "text/plain")
    forced = database.put({**database.get("a"), "n": 1}, force=True)
    assert database.get("a", rev=forced.rev)._attachments.x.revpos == 1
    assert database.get_attachment("a", "x", forced.rev).data == b"content"


def test_force_means_nothing_for_local_documents(database: SyncPouchDB) -> None:
    """They have no branches. PouchDB writes them as without it."""
    first = database.put({"_id": "_local/a"}, force=True)
    assert first.rev == "0-1"
    assert database.put({"_id": "_local/a", "_rev": "0-1", "n": 2}, force=True).rev == "0-2"
    with pytest.raises(Conflict):
        database.put({"_id": "_local/a", "_rev": "0-1"}, force=True)


def test_new_edits_false(database: SyncPouchDB) -> None:
    answer = database.put({"_id": "a", "_rev": "3-abc", "n": 1}, new_edits=False)
    assert answer == {"ok": True, "id": "a", "rev": "3-abc"}
    assert database.get("a") == {"_id": "a", "_rev": "3-abc", "n": 1}
    # Known: nothing changes, also not the body.
    assert database.put({"_id": "a", "_rev": "3-abc", "n": 2}, new_edits=False).ok
    assert database.get("a").n == 1
    assert database.info().update_seq == 1


# -- post --------------------------------------------------------------------------------------------------------------


def test_post_makes_ordered_ids(database: SyncPouchDB) -> None:
    ids = [database.post({"n": n}).id for n in range(50)]
    assert len(set(ids)) == 50
    assert ids == sorted(ids)
    assert [row.doc.n for row in database.all_docs(include_docs=True).rows] == list(range(50))


def test_post_hashes_the_new_id_last(database: SyncPouchDB) -> None:
    answer = database.post({"n": 1})
    text = json.dumps({"n": 1, "_id": answer.id}, separators=(",", ":"))
    assert answer.rev == "1-" + md5(text.encode()).hexdigest()


@forms
def test_post_honours_an_id(database: SyncPouchDB, form: Callable[[dict[str, Any]], Any]) -> None:
    assert database.post(form(BODY)) == {"ok": True, "id": "a", "rev": BODY_REV}
    with pytest.raises(Conflict):
        database.post(form(BODY))


def test_post_options(database: SyncPouchDB) -> None:
    assert database.post({"_id": "a", "_rev": "4-x"}, new_edits=False).rev == "4-x"
    forced = database.post({"_id": "a", "_rev": "3-y", "n": 1}, force=True)
    assert forced.rev.startswith("4-")
    with pytest.raises(MissingId):
        database.post({"_rev": "4-x"}, new_edits=False)


# -- the order of things -----------------------------------------------------------------------------------------------


def test_members_come_in_pouchdb_order(database: SyncPouchDB) -> None:
    rev = database.put({"z": 1, "_id": "a", "b": 2}).rev
    assert list(database.get("a")) == ["z", "b", "_id", "_rev"]
    assert list(database.get("a", revs=True, revs_info=True)) == ["z", "b", "_id", "_rev", "_revisions", "_revs_info"]
    assert list(database.all_docs(include_docs=True).rows[0].doc) == ["z", "b", "_id", "_rev"]
    assert list(database.changes(include_docs=True).results[0].doc) == ["z", "b", "_id", "_rev"]
    assert rev.startswith("1-")


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda db: db.get("a"), id="get"),
        pytest.param(lambda db: db.get("a", revs=True, conflicts=True, local_seq=True), id="get with options"),
        pytest.param(lambda db: db.all_docs(include_docs=True).rows[0].doc, id="all_docs"),
        pytest.param(lambda db: db.all_docs(keys=["a"], include_docs=True).rows[0].doc, id="all_docs by keys"),
        pytest.param(lambda db: db.changes(include_docs=True).results[0].doc, id="changes"),
        pytest.param(lambda db: db.bulk_get([{"id": "a"}]).results[0].docs[0].ok, id="bulk_get"),
    ],
)
def test_edit_of_what_was_read_agrees_with_pouchdb(
    environment: SyncEnvironment, read: Callable[[SyncPouchDB], Any]
) -> None:
    database = environment["test"]
    first = database.put({"_id": "a", "n": 1, "text": "x"}).rev
    doc = read(database)
    doc["n"] = 2
    members = {"n": 2, "text": "x", "_id": "a", "_rev": first}
    extra = {key: value for key, value in doc.items() if key not in members}
    text = json.dumps({**members, **extra}, separators=(",", ":"))
    assert database.put(doc).rev == "2-" + md5(text.encode()).hexdigest()
