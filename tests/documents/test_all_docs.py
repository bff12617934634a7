"""all_docs: the list of documents by id.

Rows of the option table and the tests that cover them:

* include_docs, conflicts, attachments, binary: test_documents_of_rows
* startkey/start_key, endkey/end_key, inclusive_end, limit, skip, descending, key, in every combination: test_ranges
* keys (order kept, deleted and unknown rows, with limit, skip, descending): test_keys
* keys with key, startkey or endkey: test_refuses; empty texts are bounds like others: test_falsy_keys
* update_seq, offset: test_totals, test_ranges; total_rows counts all documents: test_ranges
* deleted='ok' (internal) and other unknown options: tests/api/test_options.py
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pouchdb_core.api.reading import all_docs_text
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import BadRequest, QueryParseError
from pouchdb_core.results import Record

IDS = ["", "0", "A", "_design/a", "_design/b", "a", "a b", "aa", "b", "é", "日本", "\U0001f600", "￿"]
STORED = [id for id in IDS if id]
DELETED = ["aaa", "gone"]
bounds = st.none() | st.sampled_from([*IDS, *DELETED, "A~", "zzz", "\U0010ffff"])


@pytest.fixture
def filled(database: SyncPouchDB) -> SyncPouchDB:
    database.bulk_docs([{"_id": id, "_rev": "1-a"} for id in reversed(STORED)], new_edits=False)
    database.bulk_docs([{"_id": id, "_rev": "1-d", "_deleted": True} for id in DELETED], new_edits=False)
    return database


def row(id: str) -> dict[str, Any]:
    return {"id": id, "key": id, "value": {"rev": "1-a"}}


@given(
    start=bounds,
    end=bounds,
    key=st.none() | bounds,
    inclusive_end=st.none() | st.booleans(),
    limit=st.none() | st.integers(0, 15) | st.just(10**30),
    skip=st.integers(0, 15) | st.just(10**30),
    descending=st.booleans(),
    offset=st.booleans(),
    aliases=st.booleans(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_ranges(
    filled: SyncPouchDB,
    start: str | None,
    end: str | None,
    key: str | None,
    inclusive_end: bool | None,
    limit: int | None,
    skip: int,
    descending: bool,
    offset: bool,
    aliases: bool,
) -> None:
    names = {"start_key": start, "end_key": end} if aliases else {"startkey": start, "endkey": end}
    answer = filled.all_docs(
        **names, key=key, inclusive_end=inclusive_end, limit=limit, skip=skip, descending=descending, offset=offset
    )
    low, high = (end, start) if descending else (start, end)
    expected = sorted(STORED, reverse=descending)
    if key is not None:
        low = high = start = key
    before = [id for id in expected if start is not None and (id > start if descending else id < start)]
    expected = [id for id in expected if (low is None or id >= low) and (high is None or id <= high)]
    last = low if descending else high
    if inclusive_end is False and last in expected:
        expected.remove(last)
    expected = expected[skip:][:limit]
    assert answer.rows == [row(id) for id in expected]
    assert answer.total_rows == len(STORED)
    assert answer.offset == min(skip, 2**63 - 1) + (len(before) if offset else 0)
    assert "update_seq" not in answer


@given(
    keys=st.lists(st.sampled_from([*STORED, *DELETED, "none", "", "\ud800"])),
    limit=st.none() | st.integers(0, 5),
    skip=st.integers(0, 5),
    descending=st.booleans(),
    include_docs=st.booleans(),
)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
def test_keys(
    filled: SyncPouchDB, keys: list[str], limit: int | None, skip: int, descending: bool, include_docs: bool
) -> None:
    answer = filled.all_docs(keys=keys, limit=limit, skip=skip, descending=descending, include_docs=include_docs)
    expected: list[dict[str, Any]] = []
    for key in (keys[::-1] if descending else keys)[skip:][:limit]:
        if key in DELETED:
            expected.append({"id": key, "key": key, "value": {"rev": "1-d", "deleted": True}})
            doc = None
        elif key in STORED:
            expected.append(row(key))
            doc = {"_id": key, "_rev": "1-a"}
        else:
            expected.append({"key": key, "error": "not_found"})
            continue
        if include_docs:
            expected[-1]["doc"] = doc
    assert answer.rows == expected
    assert answer.total_rows == len(STORED)


def test_keys_that_are_no_text_are_not_found(filled: SyncPouchDB) -> None:
    keys: list[Any] = [5, None, ["a"], {"a": 1}, "a"]
    rows = filled.all_docs(keys=keys).rows
    assert rows[:4] == [{"key": key, "error": "not_found"} for key in keys[:4]]
    assert rows[4] == row("a")


def test_many_keys(filled: SyncPouchDB) -> None:
    keys = [f"none{n}" for n in range(1500)] + ["a"] * 1500
    rows = filled.all_docs(keys=keys).rows
    assert len(rows) == 3000
    assert rows[1499] == {"key": "none1499", "error": "not_found"}
    assert all(each == row("a") for each in rows[1500:])


def test_falsy_keys(database: SyncPouchDB) -> None:
    """PouchDB's HTTP adapter drops them: `if (opts.key)`."""
    database.bulk_docs([{"_id": "0"}, {"_id": "a"}])
    assert [each.id for each in database.all_docs(startkey="").rows] == ["0", "a"]
    assert database.all_docs(endkey="").rows == []
    assert database.all_docs(key="").rows == []
    assert [each.id for each in database.all_docs(key="0").rows] == ["0"]


def test_totals(environment: SyncEnvironment) -> None:
    database = environment["test"]
    assert database.all_docs() == {"total_rows": 0, "offset": 0, "rows": []}
    database.bulk_docs([{"_id": "a"}, {"_id": "b"}, {"_id": "c", "_deleted": True}])
    answer = database.all_docs(limit=1, skip=1, update_seq=True)
    assert (answer.total_rows, answer.offset, answer.update_seq) == (2, 1, 3)
    assert [each.id for each in answer.rows] == ["b"]
    assert database.allDocs(limit=0, update_seq=True) == {"total_rows": 2, "offset": 0, "rows": [], "update_seq": 3}


@pytest.mark.parametrize("by_keys", [False, True], ids=["by range", "by keys"])
@pytest.mark.parametrize(
    ("options", "added"),
    [
        pytest.param({}, {"_attachments": {"x": "stub"}}, id="nothing"),
        pytest.param({"conflicts": True}, {"_attachments": {"x": "stub"}, "_conflicts": ["1-a"]}, id="conflicts"),
        pytest.param({"attachments": True}, {"_attachments": {"x": "eHg="}}, id="attachments"),
        pytest.param({"attachments": True, "binary": True}, {"_attachments": {"x": b"xx"}}, id="binary"),
        pytest.param({"binary": True}, {"_attachments": {"x": "stub"}}, id="binary alone"),
    ],
)
def test_documents_of_rows(
    database: SyncPouchDB, options: dict[str, Any], added: dict[str, Any], by_keys: bool
) -> None:
    database.bulk_docs(
        [
            {"_id": "a", "_rev": "1-b", "_attachments": {"x": {"content_type": "text/x", "data": b"xx"}}},
            {"_id": "a", "_rev": "1-a"},
        ],
        new_edits=False,
    )
    selected: dict[str, Any] = {"keys": ["a"]} if by_keys else {}
    doc = database.all_docs(include_docs=True, **selected, **options).rows[0].doc
    entry = doc._attachments.x
    assert entry.content_type == "text/x"
    assert ("stub" in entry) != ("data" in entry)
    doc["_attachments"] = {"x": entry.get("data", "stub")}
    assert doc == {"_id": "a", "_rev": "1-b", **added}
    assert "doc" not in database.all_docs(**selected, **options).rows[0]


def test_pages(database: SyncPouchDB) -> None:
    """More rows than are read at a time come complete, once each, in either direction."""
    ids = [f"{n:05}" for n in range(2500)]
    database.bulk_docs([{"_id": id} for id in ids])
    assert [each.id for each in database.all_docs().rows] == ids
    assert [each.id for each in database.all_docs(descending=True, include_docs=True).rows] == ids[::-1]
    assert [each.id for each in database.all_docs(limit=1500, skip=700).rows] == ids[700:2200]
    assert list(database) == ids


def test_a_multiple_of_the_page(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": f"{n:05}"} for n in range(1000)])
    assert len(database.all_docs().rows) == 1000
    assert len(list(database)) == 1000


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"keys": ["a"], "key": "a"}, id="keys and key"),
        pytest.param({"keys": ["a"], "startkey": "a"}, id="keys and startkey"),
        pytest.param({"keys": ["a"], "endkey": ""}, id="keys and endkey"),
        pytest.param({"keys": ["a"], "end_key": "a"}, id="keys and end_key"),
        pytest.param({"keys": "abc"}, id="keys is text"),
        pytest.param({"keys": 5}, id="keys is a number"),
        pytest.param({"key": 5}, id="key is a number"),
        pytest.param({"startkey": ["a"]}, id="startkey is a list"),
        pytest.param({"endkey": {}}, id="endkey is an object"),
        pytest.param({"startkey": "\ud800"}, id="startkey is a lone surrogate"),
        pytest.param({"limit": -1}, id="negative limit"),
        pytest.param({"limit": "5"}, id="limit is text"),
        pytest.param({"limit": 1.0}, id="limit is a float"),
        pytest.param({"limit": True}, id="limit is True"),
        pytest.param({"skip": -1}, id="negative skip"),
        pytest.param({"descending": "false"}, id="descending is text"),
        pytest.param({"include_docs": "true"}, id="include_docs is text"),
        pytest.param({"inclusive_end": 0}, id="inclusive_end is a number"),
        pytest.param({"conflicts": "true"}, id="conflicts is text"),
    ],
)
def test_refuses(database: SyncPouchDB, options: dict[str, Any]) -> None:
    with pytest.raises(QueryParseError) as caught:
        database.all_docs(**options)
    assert (caught.value.status, caught.value.name) == (400, "query_parse_error")


def test_two_spellings_with_two_values(database: SyncPouchDB) -> None:
    with pytest.raises(BadRequest, match="startkey and start_key"):
        database.all_docs(startkey="a", start_key="b")
    assert database.all_docs(startkey="a", start_key="a").rows == []


def test_documents_of_many_shapes_in_one_page(database: SyncPouchDB) -> None:
    """Each must come out as itself, and every object in it as a Record, wherever it is."""
    shapes: list[dict[str, Any]] = [
        {},
        {"a": {"b": 1}},
        {"a": {"b": {"c": {}}}, "d": "{"},
        {"a": [{"b": [{"c": 1}, [{"d": 2}]]}], "e": {"f": 1}},
        {"text": 'brackets [{ and ,{"x":{} in text', "a": {"b": 1}},
        {"a": {}, "b": {}, "c": [[], {}]},
        {"lone": "\ud800"},
    ]
    docs = [{"_id": f"{number:03}", **shapes[number % len(shapes)]} for number in range(350)]
    database.bulk_docs(docs)
    database.put({"_id": "gone", "a": {"b": [{}]}, "_deleted": True})

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            assert type(value) is Record
            return {key: plain(member) for key, member in value.items()}
        return [plain(each) for each in value] if isinstance(value, list) else value

    listed = [plain(row["doc"]) for row in database.all_docs(include_docs=True)["rows"]]
    assert [{key: doc[key] for key in doc if key != "_rev"} for doc in listed] == docs
    *told, gone = [plain(row["doc"]) for row in database.changes(include_docs=True)["results"]]
    assert told == listed == [plain(database.get(doc["_id"])) for doc in docs]
    assert gone["_deleted"] is True
    assert gone["a"] == {"b": [{}]}
    assert [list(doc)[-2:] for doc in listed] == [["_id", "_rev"]] * len(docs)


SPECIAL = [
    {"_id": "big", "n": 2**70},
    {"_id": "empty"},
    {"_id": 'quote"d\\', "text": "_attachments", "lone": "\ud800"},
    {"_id": "with", "_attachments": {"a": {"content_type": "text/plain", "data": "aGk="}}},
]


@pytest.mark.parametrize("include_docs", [False, True])
@pytest.mark.parametrize("more", [{}, {"conflicts": True}, {"attachments": True}])
def test_rows_as_text(filled: SyncPouchDB, include_docs: bool, more: dict[str, Any]) -> None:
    filled.bulk_docs(SPECIAL)
    more = more if include_docs else {}
    for options in (
        {},
        {"startkey": "a", "endkey": "é", "inclusive_end": False, "offset": True},
        {"descending": True, "limit": 4, "skip": 1, "update_seq": True},
        {"key": "big"},
        {"keys": ["with", "gone", "none", 5, None, "\ud800", "with", "big"]},
        {"keys": ["a", "b", 'quote"d\\'], "descending": True, "skip": 1},
        {"keys": []},
        {"limit": 0},
        {"startkey": "zzz"},
    ):
        wanted = filled.all_docs(include_docs=include_docs, **more, **options)
        found = all_docs_text(filled, include_docs=include_docs, **more, **options)
        last = found.pop("last")
        assert [json.loads(text) for text in found["rows"]] == json.loads(json.dumps(wanted["rows"]))
        assert {**found, "rows": 0} == {**wanted, "rows": 0}
        assert last == (wanted["rows"][-1]["id"] if wanted["rows"] and "keys" not in options else None)


@pytest.mark.parametrize("descending", [False, True])
def test_rows_as_text_continue_after_the_last(filled: SyncPouchDB, descending: bool) -> None:
    wanted = [row["id"] for row in filled.all_docs(descending=descending)["rows"]]
    found: list[str] = []
    page = all_docs_text(filled, limit=2, descending=descending)
    while page["rows"]:
        found += [json.loads(text)["id"] for text in page["rows"]]
        # What is deleted meanwhile hides no other document.
        filled.remove(filled[found[-1]])
        page = all_docs_text(filled, limit=2, descending=descending, after=page["last"])
    assert found == wanted


def test_rows_as_text_are_checked_like_others(filled: SyncPouchDB) -> None:
    for wrong in ({"startkey": "\ud800"}, {"skip": -1}, {"keys": "a"}, {"keys": ["a"], "key": "b"}):
        with pytest.raises(QueryParseError):
            all_docs_text(filled, **wrong)
    assert all_docs_text(filled, skip=10**30)["rows"] == []
