"""The changes feed read once.

Rows of the option table and the tests that cover them:

* since: seq, text of one, 'now', 'latest', None; ignored when descending: test_since, test_options_together
* limit (0 is none, not one), descending, style, include_docs: test_options_together
* conflicts, attachments, binary: test_documents
* doc_ids: test_options_together; filter: callable of (doc) or (doc, req), query_params: test_filters
* filter '_design': test_design
* filter by the name of a design function, '_view', '_selector', view, selector: test_what_is_missing
* return_docs: test_return_docs; batch_size, timeout, heartbeat, seq_interval (HTTP only) accepted: test_accepts
* onChange, complete: test_callbacks
* style all_docs with a filter: each leaf is judged: test_filters_judge_leaves
* last_seq: reading on never loses or repeats: test_reading_on*
* live, continuous: the tests of live feeds
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, NotFound, PouchDBError

LEAVES: dict[str, list[tuple[str, bool]]] = {
    "a": [("1-a", False)],
    "b": [("2-b", False), ("1-c", False), ("3-d", True)],
    "gone": [("2-g", True)],
    "_design/x": [("1-x", False)],
    "é": [("1-z", False), ("1-y", False)],
}
"""Leaves of every document, the winner first, in the order of the feed."""


@pytest.fixture
def filled(database: SyncPouchDB) -> SyncPouchDB:
    for id, leaves in LEAVES.items():
        docs = [{"_id": id, "_rev": rev, "_deleted": deleted, "n": len(rev + id)} for rev, deleted in leaves]
        database.bulk_docs(docs, new_edits=False)
    return database


def row(seq: int, id: str, *, style: str = "main_only", include_docs: bool = False) -> dict[str, Any]:
    leaves = LEAVES[id]
    rev, deleted = leaves[0]
    revs = [{"rev": each} for each, _ in leaves]
    expected: dict[str, Any] = {"seq": seq, "id": id, "changes": revs if style == "all_docs" else revs[:1]}
    if deleted:
        expected["deleted"] = True
    if include_docs:
        expected["doc"] = {"_id": id, "_rev": rev, "n": len(rev + id), **({"_deleted": True} if deleted else {})}
    return expected


@given(
    since=st.sampled_from([0, 1, 2, 3, 4, 5, 6, 10**30, "0", "3", "now", "latest", None]),
    limit=st.none() | st.integers(0, 6) | st.just(10**30),
    descending=st.booleans(),
    style=st.sampled_from(["main_only", "all_docs"]),
    include_docs=st.booleans(),
    doc_ids=st.none() | st.lists(st.sampled_from([*LEAVES, "none", "\ud800"])),
    wanted=st.none() | st.sets(st.sampled_from(list(LEAVES))),
)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_options_together(
    filled: SyncPouchDB,
    since: Any,
    limit: int | None,
    descending: bool,
    style: Any,
    include_docs: bool,
    doc_ids: list[str] | None,
    wanted: set[str] | None,
) -> None:
    answer = filled.changes(
        since=since,
        limit=limit,
        descending=descending,
        style=style,
        include_docs=include_docs,
        doc_ids=doc_ids,
        filter=None if wanted is None else lambda doc: doc["_id"] in wanted,
    )
    end = len(LEAVES)
    after = 0 if descending or since is None else end if since in ("now", "latest") else min(int(since), end)
    rows = [row(seq, id, style=style, include_docs=include_docs) for seq, id in enumerate(LEAVES, 1)]
    if descending:
        rows.reverse()
    read = [each for each in rows if each["seq"] > after and (doc_ids is None or each["id"] in doc_ids)]
    rows = [each for each in read if wanted is None or each["id"] in wanted]
    complete = limit is None or len(rows) < limit
    rows = rows[:limit]
    assert answer.results == rows
    if descending:
        last = (read if complete else rows)[-1:] if limit != 0 else []
        assert answer.last_seq == (last[0]["seq"] if last else end)
    else:
        assert answer.last_seq == (end if complete and limit != 0 else rows[-1]["seq"] if rows else after)


@pytest.mark.parametrize(
    ("since", "seqs"),
    [
        (0, [1, 2, 3, 4, 5]),
        (3, [4, 5]),
        ("3", [4, 5]),
        (5, []),
        (99, []),
        ("now", []),
        ("latest", []),
        (None, [1, 2, 3, 4, 5]),
    ],
    ids=repr,
)
def test_since(filled: SyncPouchDB, since: Any, seqs: list[int]) -> None:
    answer = filled.changes(since=since)
    assert [each.seq for each in answer.results] == seqs
    assert answer.last_seq == 5


def test_an_empty_database(database: SyncPouchDB) -> None:
    for options in ({}, {"since": "now"}, {"descending": True}, {"limit": 5}, {"doc_ids": ["a"]}):
        assert database.changes(**options) == {"results": [], "last_seq": 0}


def test_documents(database: SyncPouchDB) -> None:
    attachment = {"x": {"content_type": "text/x", "data": b"xx"}}
    database.bulk_docs(
        [{"_id": "a", "_rev": "1-b", "_attachments": attachment}, {"_id": "a", "_rev": "1-a"}], new_edits=False
    )
    doc = database.changes(include_docs=True).results[0].doc
    assert (doc._attachments.x.stub, "_conflicts" in doc) == (True, False)
    doc = database.changes(include_docs=True, conflicts=True, attachments=True).results[0].doc
    assert (doc._attachments.x.data, doc._conflicts) == ("eHg=", ["1-a"])
    assert (
        database.changes(include_docs=True, attachments=True, binary=True).results[0].doc._attachments.x.data == b"xx"
    )
    assert "doc" not in database.changes(conflicts=True, attachments=True).results[0]


def test_only_the_last_change_of_a_document(database: SyncPouchDB) -> None:
    revs = [database.put({"_id": "a"}).rev]
    database.put({"_id": "b"})
    revs.append(database.put({"_id": "a", "_rev": revs[0]}).rev)
    answer = database.changes()
    assert [(each.seq, each.id) for each in answer.results] == [(2, "b"), (3, "a")]
    assert answer.results[1].changes == [{"rev": revs[1]}]
    assert len(answer.results[0].changes) == 1
    gone = database.remove("a", revs[1]).rev
    assert database.changes(since=3).results == [{"seq": 4, "id": "a", "changes": [{"rev": gone}], "deleted": True}]


# -- filters -----------------------------------------------------------------------------------------------------------


class Callable1:
    def __call__(self, doc: Any) -> bool:
        return bool(doc._id == "a")

    def method(self, doc: Any, req: Any) -> bool:
        return bool(doc._id == req.query.wanted)


captured = "a"
FILTERS: dict[str, Any] = {
    "of doc": lambda doc: doc._id == "a",
    "of doc and req": lambda doc, req: doc._id == req.query.wanted,
    "req with a default": lambda doc, req=None: doc["_id"] == req["query"]["wanted"],
    "a default of its own": lambda doc, name=captured: doc._id == name,
    "any arguments": lambda *arguments: arguments[0]._id == arguments[1].query.wanted,
    "keywords besides": lambda doc, *, name="a": doc._id == name,
    "an object": Callable1(),
    "a method": Callable1().method,
    "truth values": lambda doc: [1] if doc._id == "a" else "",
}


@pytest.mark.parametrize("filter", FILTERS.values(), ids=FILTERS)
def test_filters(filled: SyncPouchDB, filter: Any) -> None:
    answer = filled.changes(filter=filter, query_params={"wanted": "a"})
    assert answer == {"results": [row(1, "a")], "last_seq": 5}


def test_filters_see_tombstones_with_what_they_hold(filled: SyncPouchDB) -> None:
    seen: list[Any] = []
    filled.changes(filter=lambda doc: seen.append(doc))
    assert seen == [row(seq, id, include_docs=True)["doc"] for seq, id in enumerate(LEAVES, 1)]


def test_filters_judge_leaves(filled: SyncPouchDB) -> None:
    """As CouchDB: only the leaves that match are told, and a document without one is left out."""
    answer = filled.changes(filter=lambda doc: doc._rev in ("1-c", "3-d", "1-z"), style="all_docs")
    assert answer.results == [
        {"seq": 2, "id": "b", "changes": [{"rev": "1-c"}, {"rev": "3-d"}]},
        {"seq": 5, "id": "é", "changes": [{"rev": "1-z"}]},
    ]
    assert [each.id for each in filled.changes(filter=lambda doc: doc._rev in ("1-c", "1-z")).results] == ["é"]


def test_filters_may_change_their_document(filled: SyncPouchDB) -> None:
    def spoil(doc: Any) -> bool:
        doc.clear()
        return True

    assert filled.changes(filter=spoil, include_docs=True).results[0].doc == {"_id": "a", "_rev": "1-a", "n": 4}


def test_an_error_of_the_filter_is_the_callers(filled: SyncPouchDB) -> None:
    with pytest.raises(ZeroDivisionError):
        filled.changes(filter=lambda doc: 1 // 0)
    with pytest.raises(NotFound):
        filled.changes(filter=lambda doc: filled.get("none"))


def test_design(filled: SyncPouchDB) -> None:
    assert [each.id for each in filled.changes(filter="_design").results] == ["_design/x"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        pytest.param({"since": -1}, BadRequest, id="negative since"),
        pytest.param({"since": "x"}, BadRequest, id="since is a word"),
        pytest.param({"since": "9" * 5000}, BadRequest, id="since of 5,000 digits"),
        pytest.param({"since": 1.5}, BadRequest, id="since is a float"),
        pytest.param({"since": True}, BadRequest, id="since is True"),
        pytest.param({"since": [1]}, BadRequest, id="since is a list"),
        pytest.param({"limit": -1}, BadRequest, id="negative limit"),
        pytest.param({"limit": "1"}, BadRequest, id="limit is text"),
        pytest.param({"style": "all"}, BadRequest, id="unknown style"),
        pytest.param({"doc_ids": "a"}, BadRequest, id="doc_ids is text"),
        pytest.param({"doc_ids": [1]}, BadRequest, id="doc_ids of numbers"),
        pytest.param({"filter": 5}, BadRequest, id="filter is a number"),
        pytest.param({"filter": len, "query_params": 5}, BadRequest, id="query_params is a number"),
        pytest.param({"descending": "false"}, BadRequest, id="descending is text"),
        pytest.param({"include_docs": "true"}, BadRequest, id="include_docs is text"),
        pytest.param({"live": "false"}, BadRequest, id="live is text"),
        pytest.param({"conflicts": 1}, BadRequest, id="conflicts is a number"),
    ],
)
def test_refuses(filled: SyncPouchDB, options: dict[str, Any], error: type[PouchDBError]) -> None:
    with pytest.raises(error):
        filled.changes(**options)


def test_return_docs(filled: SyncPouchDB) -> None:
    assert filled.changes(return_docs=False) == {"results": [], "last_seq": 5}


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 10},
        {"timeout": 5},
        {"timeout": False},
        {"heartbeat": 5},
        {"heartbeat": False},
        {"seq_interval": 2},
    ],
    ids=repr,
)
def test_accepts(filled: SyncPouchDB, options: dict[str, Any]) -> None:
    assert len(filled.changes(**options).results) == 5


# -- reading on --------------------------------------------------------------------------------------------------------


def test_many_pages(database: SyncPouchDB) -> None:
    ids = [f"{n:05}" for n in range(2300)]
    database.bulk_docs([{"_id": id} for id in reversed(ids)])
    for descending in (False, True):
        rows = database.changes(descending=descending).results
        assert [each.id for each in rows] == (ids if descending else ids[::-1])
    assert len(database.changes(filter=lambda doc: doc._id < "00100").results) == 100
    part = database.changes(limit=5, filter=lambda doc: doc._id < "00100")
    assert (part.last_seq, part.results[0].seq) == (2205, 2201)


@given(
    writes=st.lists(st.lists(st.sampled_from("abcdef"), max_size=4), max_size=12),
    limit=st.integers(1, 4),
    wanted=st.none() | st.sets(st.sampled_from("abcdef")),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_reading_on_beside_writes(
    database: SyncPouchDB, writes: list[list[str]], limit: int, wanted: set[str] | None
) -> None:
    """A reader that takes parts while documents change sees the last state of each, and no change twice."""
    since = database.info().update_seq
    known = {row.id: row.value.rev for row in database.all_docs().rows}
    seen: dict[str, str] = dict(known)
    told: list[tuple[int, str]] = []
    judge: Callable[[Any], bool] | None = None if wanted is None else lambda doc: doc._id in wanted

    def read() -> int:
        nonlocal since
        part = database.changes(since=since, limit=limit, filter=judge)
        assert part.last_seq >= since
        since = part.last_seq
        for row in part.results:
            told.append((row.seq, row.id))
            seen[row.id] = row.changes[0].rev
        return len(part.results)

    for batch in writes:
        for id in batch:
            known[id] = database.put({"_id": id, **({"_rev": known[id]} if id in known else {})}).rev
        read()
    while read():
        pass
    assert since == database.info().update_seq
    assert len(set(told)) == len(told)
    assert told == sorted(told)
    for id, rev in known.items():
        if wanted is None or id in wanted:
            assert seen[id] == rev


def test_writes_while_rows_are_read_belong_to_the_next_feed(database: SyncPouchDB) -> None:
    """A filter that writes: documents that move while the feed is read are told by the next one, and none is lost."""
    database.bulk_docs([{"_id": f"{n:04}"} for n in range(1500)])

    def edit(doc: Any) -> bool:
        if doc._id == "0000":
            for id in ("0001", "1400"):
                database.put({**database.get(id), "n": 1})
            database.put({"_id": "new"})
            other = database.get("1450")
            database.purge("1450", other._rev)
        return True

    first = database.changes(filter=edit)
    ids = [each.id for each in first.results]
    assert first.last_seq == 1500
    assert "1400" not in ids
    assert "1450" not in ids
    assert len(ids) == 1498
    second = database.changes(since=first.last_seq)
    assert [each.id for each in second.results] == ["0001", "1400", "new"]


def test_leaves_that_vanish_while_rows_are_read(database: SyncPouchDB) -> None:
    """A leaf whose body is gone when the filter is asked has been edited: nothing is judged by an empty document."""
    database.bulk_docs([{"_id": id, "_rev": rev, "n": 1} for id in "ab" for rev in ("1-a", "1-b")], new_edits=False)
    judged: list[Any] = []

    def edit(doc: Any) -> bool:
        judged.append(doc)
        if len(judged) == 1:
            database.remove("b", "1-a")
            database.compact()
        return True

    part = database.changes(filter=edit, style="all_docs")
    assert [each.id for each in part.results] == ["a"]
    assert all(doc.n == 1 for doc in judged)
    rest = database.changes(since=part.last_seq, style="all_docs")
    assert [each.id for each in rest.results] == ["b"]


@pytest.mark.parametrize("name", ["onChange", "on_change"])
def test_callbacks(filled: SyncPouchDB, name: str) -> None:
    seen: list[Any] = []
    ended: list[Any] = []
    callbacks: dict[str, Any] = {name: seen.append, "complete": lambda error, result: ended.append((error, result))}
    answer = filled.changes(limit=2, **callbacks)
    assert seen == answer.results
    assert ended == [(None, answer)]


def test_what_is_missing(filled: SyncPouchDB) -> None:
    """Named filters need a design document, and an engine that runs it: never silence."""
    for options in ({"filter": "nope/nope"}, {"filter": "nope"}, {"view": "nope/nope"}):
        with pytest.raises(PouchDBError) as caught:
            filled.changes(**options)
        assert caught.value.status in (400, 404, 501)
