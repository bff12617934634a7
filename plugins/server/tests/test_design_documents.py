"""Design documents that arrive over HTTP are checked as CouchDB does; replicated ones pass."""

from __future__ import annotations

import pytest

BROKEN = {"views": {"v": {"map": "function ("}}}
WRONG = {"views": {"v": {"map": 5}}}
GOOD = {"views": {"v": {"map": "function (doc) { emit(doc._id); }", "reduce": "_count"}}}


@pytest.mark.parametrize(("body", "error"), [(BROKEN, "compilation_error"), (WRONG, "invalid_design_doc")])
def test_every_way_in(client, body, error):
    rev = client.put("/db/other", body).json["rev"]
    for answer in (
        client.put("/db/_design/d", body),
        client.post("/db", {"_id": "_design/d", **body}),
        client.call("COPY", f"/db/other?rev={rev}", headers={"Destination": "_design/d"}),
    ):
        assert (answer.status, answer.json["error"]) == (400, error)
    assert client.get("/db/_design/d").status == 404
    assert client.put("/db/_design/d", GOOD).status == 201


def test_of_many_only_the_wrong_ones_are_refused(client):
    docs = [{"_id": "a"}, {"_id": "_design/b", **BROKEN}, {"_id": "_design/g", **GOOD}, {"_id": "_design/w", **WRONG}]
    answer = client.post("/db/_bulk_docs", {"docs": docs})
    assert answer.status == 201
    assert [each["id"] for each in answer.json] == ["a", "_design/b", "_design/g", "_design/w"]
    assert [each.get("error") for each in answer.json] == [None, "compilation_error", None, "invalid_design_doc"]
    assert [row["id"] for row in client.get("/db/_all_docs").json["rows"]] == ["_design/g", "a"]


def test_functions_of_other_languages_are_not_checked(client):
    """couchdb-python saves its view definitions so, and its own tests insist on it."""
    for language, error in (("python", "compilation_error"), ("cobol", "unknown_query_language")):
        views = {"v": {"map": "def f(doc):\n    yield doc['a'], None", "reduce": "unknown"}}
        assert client.put(f"/db/_design/{language}", {"language": language, "views": views}).status == 201
        assert client.get(f"/db/_design/{language}/_view/v").json["error"] == error


def test_replicated_and_deleted_ones_pass(client):
    assert client.put("/db/_design/d?new_edits=false", {"_rev": "1-a", **BROKEN}).status == 201
    docs = [{"_id": "_design/e", "_rev": "1-a", **WRONG}]
    assert client.post("/db/_bulk_docs", {"docs": docs, "new_edits": False}).json == []
    assert client.get("/db/_design/e").json["views"] == WRONG["views"]
    assert client.put("/db/_design/d", {"_rev": "1-a", **BROKEN}).status == 400
    assert client.put("/db/_design/d", {"_rev": "1-a", "_deleted": True, **BROKEN}).status == 200
