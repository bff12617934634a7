"""Many documents: bulk writes and reads, lists, what a replicator asks."""

from __future__ import annotations

import gzip
import json
from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pouchdb_server.document_check import are_usual, checked_all
from pouchdb_server.handlers import paging
from pouchdb_server.handlers.paging import PageSize

from pouchdb_core.adapters.sqlite.sqlite_adapter import MemoryAdapter, SqliteAdapter


@pytest.fixture
def filled(client):
    answer = client.post("/db/_bulk_docs", {"docs": [{"_id": f"doc{n}", "n": n} for n in range(5)]})
    assert answer.status == 201
    client.revs = {row["id"]: row["rev"] for row in answer.json}
    return client


def test_bulk_docs(filled):
    answer = filled.post("/db/_bulk_docs", {"docs": [{"_id": "doc0"}, {"_id": "new"}]})
    assert answer.status == 201
    conflict, new = answer.json
    assert (conflict["id"], conflict["error"]) == ("doc0", "conflict")
    assert new["ok"]
    replicated = {"docs": [{"_id": "r", "_rev": "3-c", "_revisions": {"start": 3, "ids": ["c", "b", "a"]}}]}
    assert filled.post("/db/_bulk_docs", {**replicated, "new_edits": False}).json == []
    assert filled.post("/db/_bulk_docs", {**replicated, "new_edits": False}).json == []
    assert filled.get("/db/r").json["_rev"] == "3-c"
    for wrong in ({}, {"docs": {}}, {"docs": [1]}, {"docs": [], "new_edits": 1}):
        assert filled.post("/db/_bulk_docs", wrong).status == 400


def test_all_or_nothing(filled):
    docs = [{"_id": "new"}, {"_id": "doc0"}]
    answer = filled.post("/db/_bulk_docs", {"docs": docs, "all_or_nothing": True})
    assert (answer.status, answer.json["error"]) == (409, "conflict")
    assert filled.get("/db/new").status == 404
    bad_design = {"_id": "_design/bad", "views": 5}
    answer = filled.post("/db/_bulk_docs", {"docs": [{"_id": "new"}, bad_design], "all_or_nothing": True})
    assert (answer.status, filled.get("/db/new").status) == (400, 404)
    docs[1]["_rev"] = filled.revs["doc0"]
    answer = filled.post("/db/_bulk_docs", {"docs": docs, "all_or_nothing": True})
    assert (answer.status, [row["ok"] for row in answer.json]) == (201, [True, True])
    assert filled.post("/db/_bulk_docs", {"docs": [], "all_or_nothing": "yes"}).status == 400


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"_id": "_bad"}, "illegal_docid"),
        ({"_id": 1}, "illegal_docid"),
        ({"_id": ""}, "illegal_docid"),
        ({"_own": 1}, "doc_validation"),
        ({"_rev": "bad"}, "bad_request"),
        ({"_rev": None}, "bad_request"),
        ({"_deleted": "yes"}, "doc_validation"),
        ({"_attachments": []}, "doc_validation"),
        ({"_attachments": {"_a": {"data": ""}}}, "bad_request"),
        ({"_attachments": {"a": {"data": "!"}}}, "bad_request"),
        (1, "bad_request"),
    ],
)
@pytest.mark.parametrize("new_edits", [True, False])
def test_of_one_that_cannot_be_taken_none_is_written(filled, bad, error, new_edits):
    docs = [{"_id": "before", "_rev": "1-a"}, bad, {"_id": "after", "_rev": "1-a"}]
    answer = filled.post("/db/_bulk_docs", {"docs": docs, "new_edits": new_edits})
    assert (answer.status, answer.json["error"]) == (400, error)
    assert filled.get("/db").json["doc_count"] == 5
    without = {"docs": [{"_id": "x"}], "new_edits": False}
    assert "needs `_rev` or `_revisions`" in filled.post("/db/_bulk_docs", without).json["reason"]


def test_bulk_get_answers_each_thing_that_was_asked_in_order(filled):
    asked = [{"id": "doc1", "rev": filled.revs["doc1"]}, {"id": "none"}, {"id": "doc1"}, {"id": "doc0", "rev": "1-x"}]
    answer = filled.post("/db/_bulk_get?revs=true&latest=true", {"docs": asked}).json
    # CouchDB's replicator puts its list beside this one.
    assert list(answer) == ["results"]
    assert [each["id"] for each in answer["results"]] == ["doc1", "none", "doc1", "doc0"]
    assert answer["results"][0]["docs"][0]["ok"]["_revisions"]["start"] == 1
    assert answer["results"][1]["docs"][0]["error"]["error"] == "not_found"
    assert answer["results"][3]["docs"][0]["error"]["rev"] == "1-x"
    for wrong in ({}, {"docs": 1}):
        assert filled.post("/db/_bulk_get", wrong).status == 400
    assert filled.post("/db/_bulk_get?atts_since=[]", {"docs": []}).status == 400


def test_bulk_get_for_replicators_answers_what_reading_does(filled, monkeypatch):
    with_revs = [{"_id": "deep", "_rev": "2-b", "_revisions": {"start": 2, "ids": ["b", "a"]}, "n": 1}]
    torn = [
        {"_id": "torn", "_rev": f"2-{name}", "_revisions": {"start": 2, "ids": [name, "a"]}, "_deleted": name == "z"}
        for name in "xyz"
    ]
    odd = [{"_id": "\u00e9 \U0001f600", "_rev": "1-a", "s": '"_attachments"\n'}, {"_id": "empty", "_rev": "1-a"}]
    big = [{"_id": f"big{n}", "_rev": "1-a", "s": "x" * 1_500_000} for n in range(4)]
    docs = [*with_revs, *torn, *odd, *big, {"_id": "lone", "_rev": "1-a", "s": "\ud800"}]
    assert filled.post("/db/_bulk_docs", {"docs": docs, "new_edits": False}).json == []
    filled.put("/db/file/a.txt", b"content")
    file = filled.get("/db/file").json["_rev"]
    filled.put("/db/_local/l", {"n": 1})
    asked = [
        *({"id": f"doc{n}", "rev": filled.revs[f"doc{n}"]} for n in range(5)),
        {"id": "deep", "rev": "1-a"},
        *({"id": "torn", "rev": f"2-{name}"} for name in "xyzxw"),
        {"id": "torn", "rev": "1-a"},
        {"id": "torn"},
        1,
        *({"id": each["_id"], "rev": "1-a"} for each in [*odd, *big]),
        {"id": "none", "rev": "1-a"},
        {"id": "file", "rev": file},
        {"id": "file", "rev": file, "atts_since": ["1-x"]},
        {"id": "_local/l"},
        {"id": "lone", "rev": "1-a"},
        {"id": "\ud800", "rev": "1-a"},
    ]
    answer = filled.post("/db/_bulk_get?revs=true&latest=true", {"docs": asked})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    results = [each["docs"][0] for each in answer.json["results"]]
    kinds = ["ok" if "ok" in each else each["error"]["error"] for each in results]
    expected = ["ok"] * 24
    expected[10] = expected[20] = "not_found"
    expected[13] = "bad_request"
    assert kinds == [*expected, "ok", "not_found"]
    # The same, each document parsed and written again.
    for adapter in (MemoryAdapter, SqliteAdapter):
        monkeypatch.setattr(adapter, "packs", False)
    assert filled.post("/db/_bulk_get?revs=true&latest=true", {"docs": asked}).body == answer.body


def test_bulk_get_puts_what_cannot_be_asked_for_in_its_place(filled):
    asked = [1, {"rev": "1-a"}, {"id": "doc0", "rev": "x"}, {"id": "doc0"}, {"id": "doc0", "atts_since": "1-a"}]
    results = filled.post("/db/_bulk_get", {"docs": asked}).json["results"]
    assert [each["id"] for each in results] == [None, None, "doc0", "doc0", "doc0"]
    kinds = [each["docs"][0].get("error", {}).get("error") for each in results]
    assert kinds == ["bad_request", "bad_request", "bad_request", None, "bad_request"]
    assert results[2]["docs"][0]["error"]["rev"] == "x"


def test_bulk_get_sends_content_to_those_who_have_some_of_it_only(filled):
    rev = filled.put("/db/a/one.txt", b"1").json["rev"]
    newer = filled.put(f"/db/a/two.txt?rev={rev}", b"2").json["rev"]
    asked = [{"id": "a", "atts_since": []}, {"id": "a", "atts_since": [rev]}, {"id": "a"}, {"id": "doc1"}]
    results = filled.post("/db/_bulk_get?attachments=false", {"docs": asked}).json["results"]
    docs = [each["docs"][0]["ok"] for each in results]
    stubs = [{name: "stub" in entry for name, entry in doc.get("_attachments", {}).items()} for doc in docs]
    both = {"one.txt": True, "two.txt": True}
    assert stubs == [both, {"one.txt": True, "two.txt": False}, both, {}]
    assert [doc["_rev"] for doc in docs[:3]] == [newer] * 3
    whole = filled.post("/db/_bulk_get?attachments=true", {"docs": asked[:1]}).json["results"]
    assert whole[0]["docs"][0]["ok"]["_attachments"]["one.txt"]["data"] == "MQ=="


def test_revs_diff(filled):
    asked = {"doc0": [filled.revs["doc0"], "2-new"], "none": ["1-a"], "doc1": [filled.revs["doc1"]]}
    found = filled.post("/db/_revs_diff", asked).json
    assert found == {
        "doc0": {"missing": ["2-new"], "possible_ancestors": [filled.revs["doc0"]]},
        "none": {"missing": ["1-a"]},
    }
    assert filled.post("/db/_missing_revs", asked).json == {"missing_revs": {"doc0": ["2-new"], "none": ["1-a"]}}
    assert filled.post("/db/_revs_diff", {"doc0": "1-a"}).status == 400


def test_all_docs(filled):
    answer = filled.get("/db/_all_docs")
    assert (answer.json["total_rows"], answer.json["offset"]) == (5, 0)
    assert answer.headers["ETag"]
    assert filled.get("/db/_all_docs", If_None_Match=answer.headers["ETag"]).status == 304
    ids = lambda path: [row["id"] for row in filled.get(path).json["rows"]]  # noqa: E731
    assert ids('/db/_all_docs?startkey="doc1"&endkey="doc3"&inclusive_end=false') == ["doc1", "doc2"]
    assert ids('/db/_all_docs?start_key="doc3"&descending=true&limit=2') == ["doc3", "doc2"]
    assert ids('/db/_all_docs?key="doc2"&include_docs=true') == ["doc2"]
    assert ids("/db/_all_docs?key=2") == []
    assert ids("/db/_all_docs?skip=4") == ["doc4"]
    assert filled.get('/db/_all_docs?startkey="doc3"').json["offset"] == 3
    assert filled.get("/db/_all_docs?update_seq=true&limit=0").json["update_seq"] == 5
    rows = filled.post("/db/_all_docs", {"keys": ["doc4", "x"], "include_docs": True}).json["rows"]
    assert rows[0]["doc"]["n"] == 4
    assert rows[1] == {"key": "x", "error": "not_found"}
    assert ids('/db/_all_docs?keys=["doc1"]') == ["doc1"]
    both = filled.post("/db/_all_docs/queries", {"queries": [{"key": "doc1"}, {"limit": 1}]}).json["results"]
    assert [each["rows"][0]["id"] for each in both] == ["doc1", "doc0"]
    for wrong in ("limit=-1", "limit=many", "descending=1", 'keys=["a","b"]&key="a"'):
        assert filled.get(f"/db/_all_docs?{wrong}").json["error"] == "query_parse_error"
    assert filled.get("/db/_all_docs?startkey=doc").json["error"] == "bad_request"
    assert filled.post("/db/_all_docs", {"keys": "doc"}).status == 400


LISTS = [
    {},
    {"include_docs": "true"},
    {"include_docs": "true", "conflicts": "true"},
    {"include_docs": "true", "attachments": "true", "limit": "4"},
    {"descending": "true", "limit": "3"},
    {"startkey": '"doc1"', "skip": "1"},
    {"startkey": '"doc3"', "endkey": '"doc1"', "descending": "true", "include_docs": "true"},
    {"endkey": '"doc3"', "inclusive_end": "false"},
    {"key": '"doc2"', "include_docs": "true"},
    {"limit": "4"},
    {"limit": "0"},
    {"skip": "9"},
    {"keys": '["doc3","none","doc0","doc0",1,null]'},
    {"keys": '["doc3","none","doc0","doc1"]', "include_docs": "true", "skip": "1", "limit": "2"},
    {"keys": '["doc3","none","doc0"]', "descending": "true", "update_seq": "true"},
]


@pytest.mark.parametrize("query", LISTS, ids=urlencode)
def test_long_lists_are_sent_page_by_page(filled, environment, monkeypatch, query):
    """The rows are those of all_docs, whatever the size of the pages."""
    database = environment["db"]
    rev = database.get("doc1")["_rev"]
    database.put_attachment("doc1", "file", b"content", "text/plain", rev)
    database.bulk_docs([{"_id": "doc2", "_rev": "5-a", "other": True}], new_edits=False)
    values = {name: json.loads(text) for name, text in query.items()}
    if "keys" in values:
        values["keys"] = [key if isinstance(key, str) else "\0" for key in values["keys"]]
    wanted = database.all_docs(**values, offset="keys" not in values)
    # Rows that are skipped beyond the last do not count.
    wanted["offset"] = min(wanted["offset"], wanted["total_rows"])
    for first, most in ((1, 1), (2, 2), (2, 1000)):
        with monkeypatch.context() as patch:
            patch.setattr(paging, "PageSize", lambda *_, first=first, most=most: PageSize(first, most))
            answer = filled.get(f"/db/_all_docs?{urlencode(query)}").json
        for one, other in zip(answer["rows"], wanted["rows"], strict=True):
            if isinstance(one.get("key"), str):
                assert one == other
            else:
                assert one["error"] == "not_found"
        assert {**answer, "rows": []} == {**wanted, "rows": []}


def test_a_page_begins_after_the_last_row_also_when_that_is_deleted(environment, monkeypatch):
    monkeypatch.setattr(paging, "PageSize", lambda first, most: PageSize(2, 2))
    database = environment["pages"]
    database.bulk_docs([{"_id": f"{n}"} for n in range(6)])
    for options in ({}, {"include_docs": True}):
        rows, head = paging.by_range(database, options)
        found = [row["id"] for row in json.loads(b"[%b]" % next(rows))]
        database.remove(database.get("1"))
        found += [row["id"] for piece in rows for row in json.loads(b"[%b]" % piece)]
        assert found == ["0", "1", "2", "3", "4", "5"]
        assert head["total_rows"] == 6
        database.put({"_id": "1"})


def test_the_size_of_pages_follows_that_of_documents():
    size = PageSize(8, 100)
    seen = []
    for each in (100, 100, 100, 100, 100, 300_000, 300_000, 5_000_000, 100):
        seen.append(size.count)
        size.read(size.count, size.count * each)
    assert seen == [8, 16, 32, 64, 100, 100, 3, 3, 1]


def test_design_documents_are_listed(filled):
    filled.put("/db/_design/a", {"views": {}})
    assert [row["id"] for row in filled.get("/db/_design_docs").json["rows"]] == ["_design/a"]
    assert [row["id"] for row in filled.get("/db/_design_docs?descending=true").json["rows"]] == ["_design/a"]
    filled.put("/db/_design/b", {})
    rev = filled.put("/db/_design/gone", {}).json["rev"]
    filled.delete(f"/db/_design/gone?rev={rev}")
    for query, ids in RANGES:
        found = filled.get(f"/db/_design_docs?{query.replace('@', '_design')}").json
        assert [row.get("id") for row in found["rows"]] == [id and f"_design/{id}" for id in ids], query
        assert found["total_rows"] == 2
    assert filled.get("/db/_design_docs?include_docs=true").json["rows"][1]["doc"]["_id"] == "_design/b"
    assert filled.get("/db/_design_docs?skip=1").json["offset"] == 1
    answer = filled.post("/db/_design_docs/queries", {"queries": [{"limit": 1}, {"keys": ["_design/b"]}]}).json
    assert [row["id"] for each in answer["results"] for row in each["rows"]] == ["_design/a", "_design/b"]
    assert filled.post("/db/_design_docs/queries", {}).status == 400


RANGES = (
    ("", ["a", "b"]),
    ("limit=1", ["a"]),
    ("skip=1", ["b"]),
    ("descending=true", ["b", "a"]),
    ('startkey="@/b"', ["b"]),
    ('endkey="@/a"', ["a"]),
    ('endkey="@/b"&inclusive_end=false', ["a"]),
    ('startkey="@/a"&descending=true', ["a"]),
    ('endkey="@/a"&descending=true&inclusive_end=false', ["b"]),
    ('key="@/b"', ["b"]),
    ('key="doc1"', []),
    ("startkey=1", ["a", "b"]),
    ("endkey=1", []),
    ('keys=["@/b","doc1",1]', ["b", None, None]),
)
"""What a list of two documents, a and b, shows."""


def test_local_documents_are_listed(filled):
    for id in ("b", "a"):
        filled.put(f"/db/_local/{id}", {"x": id})
    for query, ids in RANGES:
        rows = filled.get(f"/db/_local_docs?{query.replace('@', '_local')}").json["rows"]
        assert [row.get("id") for row in rows] == [id and f"_local/{id}" for id in ids], query
    rows = filled.post("/db/_local_docs", {"keys": ["_local/b", "doc1"], "include_docs": True}).json["rows"]
    assert rows == [
        {
            "id": "_local/b",
            "key": "_local/b",
            "value": {"rev": "0-1"},
            "doc": {"x": "b", "_id": "_local/b", "_rev": "0-1"},
        },
        {"key": "doc1", "error": "not_found"},
    ]
    answer = filled.post("/db/_local_docs/queries?limit=1", {"queries": [{}, {"descending": True}]}).json
    assert [row["id"] for each in answer["results"] for row in each["rows"]] == ["_local/a", "_local/b"]


def test_views(filled):
    ddoc = {"views": {"n": {"map": "function (doc) { emit(doc.n % 2, doc.n); }", "reduce": "_sum"}}}
    filled.put("/db/_design/d", ddoc)
    view = "/db/_design/d/_view/n"
    assert filled.get(f"{view}?group=true").json == {"rows": [{"key": 0, "value": 6}, {"key": 1, "value": 4}]}
    plain = filled.get(f"{view}?reduce=false&startkey=1&include_docs=true")
    assert [row["id"] for row in plain.json["rows"]] == ["doc1", "doc3"]
    assert (plain.json["total_rows"], plain.json["offset"]) == (5, 3)
    assert (
        filled.get(f"{view}?reduce=false&startkey=1&include_docs=true", If_None_Match=plain.headers["ETag"]).status
        == 304
    )
    assert filled.post(view, {"keys": [1], "reduce": False}).json["rows"][0]["value"] == 1
    both = filled.post(f"{view}/queries", {"queries": [{"key": 0}, {"reduce": False, "limit": 1}]}).json["results"]
    assert both[0]["rows"][0]["value"] == 6
    assert len(both[1]["rows"]) == 1
    assert filled.get(f"{view}?group=perhaps").json["error"] == "query_parse_error"
    assert filled.get("/db/_design/d/_view/none").status == 404
    assert filled.get("/db/_design/none/_view/n").status == 404
    info = filled.get("/db/_design/d/_info").json["view_index"]
    assert (info["update_seq"], info["updates_pending"]["total"], info["updater_running"]) == (6, 0, False)
    assert 0 < info["sizes"]["external"] <= info["sizes"]["active"] <= info["sizes"]["file"]
    assert filled.post("/db/_view_cleanup", {}).status == 202
    assert filled.post("/db/_compact/d", {}).status == 202
    temporary = filled.post("/db/_temp_view", {"map": "function (doc) { emit(doc.n, null); }"}).json
    assert [row["key"] for row in temporary["rows"]] == [0, 1, 2, 3, 4]
    assert filled.post("/db/_temp_view", {"map": 1}).status == 400
    for query, offset in (("startkey=2", 2), ("startkey=3&descending=true", 1), ("skip=9", 5), ("limit=1", 0)):
        found = filled.post(f"/db/_temp_view?{query}", {"map": "function (doc) { emit(doc.n, null); }"}).json
        assert (found["total_rows"], found["offset"]) == (5, offset)
    reduced = {"map": "function (doc) { emit(doc.n, null); }", "reduce": "_count"}
    assert filled.post("/db/_temp_view", reduced).json == {"rows": [{"key": None, "value": 5}]}
    filled.put("/db/late", {})
    assert filled.get("/db/_design/d/_info").json["view_index"]["updates_pending"]["total"] == 1


special = st.sampled_from(
    ["_id", "_rev", "_deleted", "_other", "_revisions", "_attachments", "a", "", "_", 'x"_id', "\\_id"]
)
ids = st.sampled_from(
    ["a", "b_", "_a", "_design/x", "_local/x", "", 'a"_b', "a\n_b", "\n", "\u00e9", "\ud800", 5, None, {"_id": "x"}]
)
plain = st.dictionaries(st.sampled_from(["_id", "a", "_b"]), ids, max_size=2)
usual = st.builds(dict, _id=st.sampled_from(["a", "\u00e9", ""]), n=ids) | st.builds(dict, n=ids)


@given(st.lists(st.dictionaries(special, ids | plain, max_size=3) | usual | st.sampled_from([5, "_id"]), max_size=3))
@example([{"_id": ""}])
@example([{"_id": "a"}, {"_id": "a", "_deleted": True}])
@settings(max_examples=300, deadline=None)
def test_documents_that_look_usual_are_those_that_nothing_is_said_against(docs):
    if are_usual(docs):
        assert checked_all(docs, new_edits=True) == docs
        assert not any(doc.get("_id", "").startswith("_") for doc in docs)


@pytest.mark.parametrize(
    "docs", [[], [{}], [{"n": 1}], [{"_id": "a", "n": "x_y"}, {"_id": "b", "nested": {"_id": 1, "_x": ["_y"]}}]]
)
def test_usual_documents_look_usual(docs):
    assert are_usual(docs)


@pytest.mark.parametrize("include_docs", ["true", "false"])
def test_bounds_that_no_id_can_be(filled, include_docs):
    path = f"/db/_all_docs?include_docs={include_docs}"
    assert filled.get(f'{path}&startkey="%5Cud800"').status == 400
    assert filled.get(f'{path}&endkey="%5Cudfff"').status == 400
    assert filled.get(f"{path}&skip={10**18}").json["rows"] == []
    assert len(filled.get(f"{path}&limit={10**18}").json["rows"]) == 5
    assert filled.post(path, {"skip": 10**30}).json["rows"] == []
    assert len(filled.post(path, {"limit": 10**30}).json["rows"]) == 5


@pytest.mark.parametrize("packed", [False, True])
def test_a_special_member_is_refused_however_it_is_written(client, packed):
    body = b'{"docs": [{"_id": "a", "\\u005fwrong": 1}, {"n": 1}]}'
    headers = {"Content-Type": "application/json"}
    if packed:
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
    answer = client.post("/db/_bulk_docs", body, headers)
    assert (answer.status, answer.json["error"]) == (400, "doc_validation")
    assert client.get("/db").json["doc_count"] == 0
