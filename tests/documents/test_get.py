"""get, open_revs and bulk_get: one document, one revision, all leaves, many documents.

Rows of the option tables and the tests that cover them:

* rev, revs, revs_info, conflicts, deleted_conflicts, local_seq, meta, latest: test_options
* open_revs: "all" or a list; with revs, latest, attachments, binary: test_open_revs; refusals: test_refuses
* attachments, binary, atts_since: test_attachments.py
* update_seq (HTTP only) and other unknown options: tests/api/test_options.py
* 404 missing and deleted: test_not_found; an id that is no text: test_refuses
* bulk_get: docs, revs, latest, attachments, binary, atts_since, all leaves without rev: test_bulk_get_*
* revs_diff: test_revs_diff_*
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, NotFound, PouchDBError
from pouchdb_core.results import Record


@pytest.fixture
def forked(database: SyncPouchDB) -> SyncPouchDB:
    """A document with a winner of three revisions, a living and a deleted losing branch, and a plain one.

    ::

        1-a --- 2-b --- 3-c    wins
             `- 2-x --- 3-y    deleted
             `- 2-k            conflict
    """
    database.bulk_docs(
        [
            {"_id": "a", "n": 1, "_rev": "1-a"},
            {"_id": "a", "n": 2, "_revisions": {"start": 2, "ids": ["b", "a"]}},
            {"_id": "a", "n": 3, "_revisions": {"start": 3, "ids": ["c", "b", "a"]}},
            {"_id": "a", "n": "k", "_revisions": {"start": 2, "ids": ["k", "a"]}},
            {"_id": "a", "n": "y", "_deleted": True, "_revisions": {"start": 3, "ids": ["y", "x", "a"]}},
            {"_id": "plain", "_rev": "1-p", "n": 0},
            {"_id": "gone", "_rev": "1-g", "_deleted": True},
        ],
        new_edits=False,
    )
    return database


WINNER = {"_id": "a", "_rev": "3-c", "n": 3}
INFO = [
    {"rev": "3-c", "status": "available"},
    {"rev": "2-b", "status": "available"},
    {"rev": "1-a", "status": "available"},
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, WINNER, id="nothing"),
        pytest.param({"rev": None, "revs": None, "open_revs": None, "conflicts": None}, WINNER, id="None is not given"),
        pytest.param({"revs": False, "attachments": False, "latest": False, "binary": False}, WINNER, id="False"),
        pytest.param({"rev": "3-c"}, WINNER, id="rev of the winner"),
        pytest.param({"rev": "2-b"}, {"_id": "a", "_rev": "2-b", "n": 2}, id="rev of an ancestor"),
        pytest.param({"rev": "2-k"}, {"_id": "a", "_rev": "2-k", "n": "k"}, id="rev of a conflict"),
        pytest.param({"rev": "3-y"}, {"_id": "a", "_rev": "3-y", "n": "y", "_deleted": True}, id="rev of a tombstone"),
        pytest.param({"revs": True}, {**WINNER, "_revisions": {"start": 3, "ids": ["c", "b", "a"]}}, id="revs"),
        pytest.param(
            {"revs": True, "rev": "3-y"},
            {
                "_id": "a",
                "_rev": "3-y",
                "n": "y",
                "_deleted": True,
                "_revisions": {"start": 3, "ids": ["y", "x", "a"]},
            },
            id="revs of a losing branch",
        ),
        pytest.param({"revs_info": True}, {**WINNER, "_revs_info": INFO}, id="revs_info"),
        pytest.param(
            {"revs_info": True, "rev": "3-y"},
            {
                "_id": "a",
                "_rev": "3-y",
                "n": "y",
                "_deleted": True,
                "_revs_info": [
                    {"rev": "3-y", "status": "deleted"},
                    {"rev": "2-x", "status": "missing"},
                    {"rev": "1-a", "status": "available"},
                ],
            },
            id="revs_info with a deleted and a missing one",
        ),
        pytest.param({"conflicts": True}, {**WINNER, "_conflicts": ["2-k"]}, id="conflicts"),
        pytest.param({"deleted_conflicts": True}, {**WINNER, "_deleted_conflicts": ["3-y"]}, id="deleted_conflicts"),
        pytest.param({"local_seq": True}, {**WINNER, "_local_seq": 1}, id="local_seq"),
        pytest.param(
            {"meta": True},
            {**WINNER, "_revs_info": INFO, "_conflicts": ["2-k"], "_deleted_conflicts": ["3-y"]},
            id="meta",
        ),
        pytest.param({"latest": True}, WINNER, id="latest without rev"),
        pytest.param({"latest": True, "rev": "2-b"}, WINNER, id="latest of an ancestor"),
        pytest.param({"latest": True, "rev": "1-a"}, WINNER, id="latest of the root"),
        pytest.param({"latest": True, "rev": "2-k"}, {"_id": "a", "_rev": "2-k", "n": "k"}, id="latest of a leaf"),
        pytest.param(
            {"latest": True, "rev": "2-x"},
            {"_id": "a", "_rev": "3-y", "n": "y", "_deleted": True},
            id="latest of a missing one",
        ),
        pytest.param({"atts_since": ["1-a"]}, WINNER, id="atts_since without attachments"),
    ],
)
def test_options(forked: SyncPouchDB, options: dict[str, Any], expected: dict[str, Any]) -> None:
    assert forked.get("a", **options) == expected


@pytest.mark.parametrize("option", ["conflicts", "deleted_conflicts"])
def test_conflicts_are_told_only_when_there_are_any(forked: SyncPouchDB, option: str) -> None:
    assert forked.get("plain", **{option: True}) == {"_id": "plain", "_rev": "1-p", "n": 0}


def test_options_of_a_single_revision(forked: SyncPouchDB) -> None:
    assert forked.get("plain", revs=True, revs_info=True, rev="1-p", latest=True) == {
        "_id": "plain",
        "_rev": "1-p",
        "n": 0,
        "_revisions": {"start": 1, "ids": ["p"]},
        "_revs_info": [{"rev": "1-p", "status": "available"}],
    }


@pytest.mark.parametrize(
    ("id", "options", "message"),
    [
        pytest.param("nope", {}, "missing", id="missing"),
        pytest.param("nope", {"conflicts": True}, "missing", id="missing with options"),
        pytest.param("nope", {"rev": "1-a"}, "missing", id="missing with rev"),
        pytest.param("nope", {"open_revs": "all"}, "missing", id="missing, all leaves"),
        pytest.param("gone", {}, "deleted", id="deleted"),
        pytest.param("gone", {"revs": True}, "deleted", id="deleted with options"),
        pytest.param("a", {"rev": "9-z"}, "missing", id="unknown rev"),
        pytest.param("a", {"rev": "2-x"}, "missing", id="rev without its body"),
        pytest.param("a", {"rev": "9-z", "latest": True}, "missing", id="latest of an unknown rev"),
        pytest.param("plain", {"rev": "1-a"}, "missing", id="unknown rev of a single one"),
        pytest.param("", {}, "missing", id="no id"),
    ],
)
def test_not_found(forked: SyncPouchDB, id: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(NotFound) as caught:
        forked.get(id, **options)
    assert (caught.value.status, caught.value.name, caught.value.message) == (404, "not_found", message)
    assert "404" in str(caught.value)
    assert caught.value.id == id


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        pytest.param((5,), {}, id="id is a number"),
        pytest.param((None,), {}, id="id is None"),
        pytest.param(({"_id": "a"},), {}, id="id is a document"),
        pytest.param((b"a",), {}, id="id is bytes"),
        pytest.param(("a\ud800",), {}, id="id holds a lone surrogate"),
        pytest.param((), {}, id="no id"),
        pytest.param(("a", "x"), {}, id="malformed rev"),
        pytest.param(("a", 3), {}, id="rev is a number"),
        pytest.param(("a",), {"open_revs": "1-a"}, id="open_revs is one text"),
        pytest.param(("a",), {"open_revs": 1}, id="open_revs is a number"),
        pytest.param(("a",), {"open_revs": ["x"]}, id="open_revs with a malformed one"),
        pytest.param(("a",), {"open_revs": [1]}, id="open_revs with a number"),
        pytest.param(("a",), {"atts_since": "1-a"}, id="atts_since is one text"),
        pytest.param(("a",), {"revs": "false"}, id="revs is text"),
        pytest.param(("a",), {"conflicts": 1}, id="conflicts is a number"),
        pytest.param(("a",), {"meta": "yes"}, id="meta is text"),
    ],
)
def test_refuses(forked: SyncPouchDB, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as caught:
        forked.get(*arguments, **options)
    assert caught.value.status == 400


# -- open_revs ---------------------------------------------------------------------------------------------------------

LEAVES = [
    {"ok": WINNER},
    {"ok": {"_id": "a", "_rev": "2-k", "n": "k"}},
    {"ok": {"_id": "a", "_rev": "3-y", "n": "y", "_deleted": True}},
]


@pytest.mark.parametrize(
    ("id", "arguments", "options", "expected"),
    [
        pytest.param("a", (), {}, LEAVES, id="all"),
        pytest.param("a", ("all",), {}, LEAVES, id="all by name"),
        pytest.param("plain", (), {}, [{"ok": {"_id": "plain", "_rev": "1-p", "n": 0}}], id="a single one"),
        pytest.param("gone", (), {}, [{"ok": {"_id": "gone", "_rev": "1-g", "_deleted": True}}], id="deleted"),
        pytest.param("a", (["2-k", "1-a"],), {}, [LEAVES[1], {"ok": {"_id": "a", "_rev": "1-a", "n": 1}}], id="a list"),
        pytest.param("a", (("9-z", "3-c"),), {}, [{"missing": "9-z"}, LEAVES[0]], id="unknown ones"),
        pytest.param("a", (["2-x"],), {}, [{"missing": "2-x"}], id="one without a body"),
        pytest.param("a", ([],), {}, [], id="none"),
        pytest.param("nope", (["1-a", "2-b"],), {}, [{"missing": "1-a"}, {"missing": "2-b"}], id="of a missing one"),
        pytest.param("a", (["2-b", "3-c"],), {"latest": True}, [LEAVES[0]], id="latest, each leaf once"),
        pytest.param("a", (["1-a", "2-k"],), {"latest": True}, LEAVES, id="latest of two: all that was made"),
        pytest.param(
            "a",
            (["2-k"],),
            {"revs": True},
            [{"ok": {"_id": "a", "_rev": "2-k", "n": "k", "_revisions": {"start": 2, "ids": ["k", "a"]}}}],
            id="revs",
        ),
    ],
)
def test_open_revs(
    forked: SyncPouchDB, id: str, arguments: tuple[Any, ...], options: dict[str, Any], expected: list[Any]
) -> None:
    assert forked.open_revs(id, *arguments, **options) == expected
    assert forked.openRevs(id, *arguments, **options) == expected
    assert forked.get(id, open_revs=arguments[0] if arguments else "all", **options) == expected


def test_open_revs_of_a_missing_document(database: SyncPouchDB) -> None:
    with pytest.raises(NotFound, match="missing"):
        database.open_revs("nope")


# -- bulk_get ----------------------------------------------------------------------------------------------------------


def missing(id: str, rev: str) -> dict[str, Any]:
    return {"error": {"id": id, "rev": rev, "error": "not_found", "reason": "missing"}}


@pytest.mark.parametrize(
    ("item", "options", "expected"),
    [
        pytest.param({"id": "plain"}, {}, [{"ok": {"_id": "plain", "_rev": "1-p", "n": 0}}], id="one leaf"),
        pytest.param({"id": "a"}, {}, LEAVES, id="all leaves"),
        pytest.param({"id": "a", "rev": None}, {}, LEAVES, id="rev None"),
        pytest.param({"id": "a", "rev": "2-b"}, {}, [{"ok": {"_id": "a", "_rev": "2-b", "n": 2}}], id="a rev"),
        pytest.param({"id": "a", "rev": "2-b"}, {"latest": True}, [LEAVES[0]], id="latest"),
        pytest.param({"id": "a", "rev": "9-z"}, {}, [missing("a", "9-z")], id="an unknown rev"),
        pytest.param({"id": "nope"}, {}, [missing("nope", "undefined")], id="missing"),
        pytest.param({"id": "nope", "rev": "1-a"}, {}, [missing("nope", "1-a")], id="missing with a rev"),
        pytest.param({"id": "x\ud800"}, {}, [missing("x\ud800", "undefined")], id="an id that cannot be"),
        pytest.param({"id": "gone"}, {}, [{"ok": {"_id": "gone", "_rev": "1-g", "_deleted": True}}], id="deleted"),
        pytest.param(
            {"id": "plain"},
            {"revs": True},
            [{"ok": {"_id": "plain", "_rev": "1-p", "n": 0, "_revisions": {"start": 1, "ids": ["p"]}}}],
            id="revs",
        ),
    ],
)
def test_bulk_get(forked: SyncPouchDB, item: dict[str, Any], options: dict[str, Any], expected: list[Any]) -> None:
    answer = {"results": [{"id": item["id"], "docs": expected}]}
    assert forked.bulk_get([item], **options) == answer
    assert forked.bulkGet({"docs": [item], **options}) == answer


def test_bulk_get_keeps_the_order_and_repeats(forked: SyncPouchDB) -> None:
    answer = forked.bulk_get([{"id": "plain"}, {"id": "nope"}, {"id": "plain", "rev": "1-p"}, Record(id="a")])
    assert [each.id for each in answer.results] == ["plain", "nope", "plain", "a"]
    assert answer.results[0].docs == answer.results[2].docs


def test_bulk_get_of_many_is_each_of_them(forked: SyncPouchDB) -> None:
    forked.bulk_docs([{"_id": f"d{number:03}", "n": number} for number in range(250)])
    forked.put({"_id": "_local/l", "n": 1})
    forked.put({"_id": "nul\0", "n": 1})
    forked.put_attachment("file", "f", b"content", "text/plain")
    asked: list[dict[str, Any]] = [{"id": row.id} for row in forked.all_docs().rows] * 2
    asked[50:50] = [{"id": "_local/l"}, {"id": "_local/none"}, {"id": "\ud800"}, {"id": "nope", "rev": "1-a"}]
    asked[150:150] = [{"id": "a", "rev": rev} for rev in ("2-k", "3-y", "9-none", "2-k")]
    for options in ({}, {"revs": True, "latest": True}, {"attachments": True}):
        alone = [forked.bulk_get([each], **options)["results"][0] for each in asked]
        assert forked.bulk_get(asked, **options) == {"results": alone}
    assert len(asked) > 500


def test_bulk_get_of_nothing(database: SyncPouchDB) -> None:
    assert database.bulk_get([]) == {"results": []}


@pytest.mark.parametrize(
    ("docs", "options"),
    [
        pytest.param(None, {}, id="None"),
        pytest.param({}, {}, id="no docs"),
        pytest.param("a", {}, id="text"),
        pytest.param(["a"], {}, id="ids instead of objects"),
        pytest.param([{"_id": "a"}], {}, id="_id instead of id"),
        pytest.param([{"id": 5}], {}, id="id is a number"),
        pytest.param([{"id": "a", "rev": "x"}], {}, id="malformed rev"),
        pytest.param([{"id": "a", "atts_since": "1-a"}], {}, id="atts_since is text"),
        pytest.param({"docs": [], "since": 1}, {}, id="unknown member"),
        pytest.param([{"id": "a"}], {"revs": "no"}, id="revs is text"),
    ],
)
def test_bulk_get_refuses(database: SyncPouchDB, docs: Any, options: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        database.bulk_get(docs, **options)


# -- revs_diff ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"a": ["3-c", "2-b", "2-k", "3-y"]}, {}, id="all known"),
        pytest.param({"nope": ["1-a", "2-b"]}, {"nope": {"missing": ["1-a", "2-b"]}}, id="a missing document"),
        pytest.param(
            {"a": ["3-c", "4-z"]}, {"a": {"missing": ["4-z"], "possible_ancestors": ["2-k", "3-c", "3-y"]}}, id="newer"
        ),
        pytest.param({"a": ["2-x"]}, {}, id="known as an ancestor only"),
        pytest.param({"plain": ["1-q"]}, {"plain": {"missing": ["1-q"]}}, id="a sibling"),
        pytest.param({"nope": []}, {}, id="no revisions"),
        pytest.param({"gone": ["1-g"], "plain": ["1-p"]}, {}, id="several"),
    ],
)
def test_revs_diff(forked: SyncPouchDB, asked: dict[str, list[str]], expected: dict[str, Any]) -> None:
    assert forked.revs_diff(asked) == expected
    assert forked.revsDiff(json.dumps(asked)) == expected
    assert forked.revs_diff(Record(asked)) == expected


def test_revs_diff_knows_what_was_compacted(database: SyncPouchDB) -> None:
    """PouchDB calls it missing, and would ask for it in vain for ever."""
    first = database.put({"_id": "a"}).rev
    second = database.put({"_id": "a", "_rev": first}).rev
    database.compact()
    assert database.revs_diff({"a": [first, second]}) == {}


@pytest.mark.parametrize(
    "asked",
    [None, [], "x", "[]", {"a": "1-a"}, {"a": [1]}, {"a": ["x"]}, {5: ["1-a"]}, {"": ["1-a"]}, {"_x": ["1-a"]}],
    ids=repr,
)
def test_revs_diff_refuses(database: SyncPouchDB, asked: Any) -> None:
    with pytest.raises(PouchDBError) as caught:
        database.revs_diff(asked)
    assert caught.value.status in (400, 412)


def test_revs_diff_of_many(database: SyncPouchDB) -> None:
    docs = [{"_id": f"{n:04}", "_rev": "1-a"} for n in range(1200)]
    database.bulk_docs(docs, new_edits=False)
    asked = {doc["_id"]: ["1-a", "1-b"] for doc in docs}
    assert database.revs_diff(asked) == {id: {"missing": ["1-b"]} for id in asked}


# -- what is read is the reader's --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda db: db.get("plain"), id="get"),
        pytest.param(lambda db: db.all_docs(include_docs=True).rows[1].doc, id="all_docs"),
        pytest.param(lambda db: db.changes(include_docs=True).results[1].doc, id="changes"),
    ],
)
def test_changing_what_was_read_changes_nothing_else(
    forked: SyncPouchDB, read: Callable[[SyncPouchDB], dict[str, Any]]
) -> None:
    doc = read(forked)
    doc["n"] = "changed"
    assert forked.get("plain").n == 0
