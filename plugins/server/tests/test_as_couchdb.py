"""Statuses, headers and bodies where CouchDB's are not what one would guess: what clients were written against."""

from __future__ import annotations

import gzip
import http.client

import pytest

JSON = {"Content-Type": "application/json"}


def test_a_post_says_that_it_is_json(client):
    """A page of the web may make any visitor's browser send another POST, and nobody is asked."""
    client.put("/db/a", {})
    for path in ("", "/_bulk_docs", "/_bulk_get", "/_all_docs", "/_changes", "/_revs_diff", "/_purge", "/_compact"):
        for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}):
            answer = client.post(f"/db{path}", "{}", headers)
            assert (answer.status, answer.json["error"]) == (415, "bad_content_type"), path
    assert client.post("/db/_ensure_full_commit").status == 415
    assert client.post("/_replicate", "{}", {}).status == 415
    assert client.post("/db", "{}", {"Content-Type": "application/json; charset=utf-8"}).status == 201
    # A PUT is never sent without asking.
    assert client.put("/db/b", "{}").status == 201


def test_a_put_that_deletes_is_answered_200(client):
    rev = client.put("/db/a", {"x": 1}).json["rev"]
    answer = client.put("/db/a", {"_rev": rev, "_deleted": True, "why": "old"})
    assert (answer.status, answer.headers["ETag"]) == (200, f'"{answer.json["rev"]}"')
    assert client.get(f"/db/a?rev={answer.json['rev']}").json["why"] == "old"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error", "reason"),
    [
        ("GET", "/none", None, 404, "not_found", "Database does not exist."),
        ("GET", "/db/none", None, 404, "not_found", "missing"),
        ("GET", "/db/none/file", None, 404, "not_found", "missing"),
        ("GET", "/db/a/file", None, 404, "not_found", "Document is missing attachment"),
        ("DELETE", "/db/a/file", None, 404, "not_found", "Document is missing attachment"),
        ("DELETE", "/db/none/file", None, 404, "not_found", "missing"),
        ("DELETE", "/db/none", None, 404, "not_found", "missing"),
        ("DELETE", "/db/a", None, 409, "conflict", "Document update conflict."),
        ("PUT", "/db/a", {}, 409, "conflict", "Document update conflict."),
        ("PUT", "/db/_a", {}, 400, "illegal_docid", "Only reserved document ids may start with underscore."),
        ("PUT", "/db/b", {"_x": 1}, 400, "doc_validation", "Bad special document member: _x"),
        ("PUT", "/db//b", {}, 400, "illegal_docid", "Document id must not be empty"),
        ("GET", "/db/_local", None, 400, "bad_request", "Invalid _local document id."),
        ("PUT", "/db/_local/a/file", b"x", 400, "bad_request", "_local documents do not accept attachments."),
        ("DELETE", "/db/_local/a/file", None, 400, "bad_request", "_local documents do not accept attachments."),
        ("POST", "/db/_bulk_docs", {}, 400, "bad_request", "POST body must include `docs` parameter."),
        ("POST", "/db/_bulk_docs", {"docs": 1}, 400, "bad_request", "`docs` parameter must be an array."),
        ("POST", "/db/_none", {}, 404, "not_found", "missing"),
        ("POST", "/", {}, 405, "method_not_allowed", "Only GET,HEAD allowed"),
        ("PUT", "/db", None, 412, "file_exists", "The database could not be created, the file already exists."),
    ],
)
def test_errors(client, method, path, body, status, error, reason):
    client.put("/db/a", {})
    answer = client.call(method, path, body)
    assert (answer.status, answer.json) == (status, {"error": error, "reason": reason})
    assert answer.body.endswith(b"}\n")
    assert answer.headers["Content-Type"] == "application/json"


def test_every_answer_has_the_common_headers(client):
    client.put("/db/a", {})
    for path in ("/", "/db", "/db/a", "/db/none", "/db/_all_docs", "/db/_changes", "/_uuids", "/_up"):
        headers = client.get(path).headers
        assert headers["Server"]
        assert int(headers["X-CouchDB-Body-Time"]) >= 0
        assert headers["X-Couch-Request-ID"]
        assert "must-revalidate" in headers["Cache-Control"]
        assert headers["Date"]
        assert client.call("HEAD", path).body == b""
    assert client.get("/").headers["X-Couch-Request-ID"] != client.get("/").headers["X-Couch-Request-ID"]


def test_what_does_not_take_json_gets_text(client):
    client.put("/db/a", {})
    for path in ("/", "/db/a", "/db/_all_docs", "/db/_changes", "/db/none"):
        assert client.get(path, Accept="text/html").headers["Content-Type"] == "text/plain; charset=utf-8"
        for accept in ("application/json", "*/*", "text/html, application/*;q=0.1"):
            assert client.get(path, Accept=accept).headers["Content-Type"] == "application/json"


def test_of_a_header_that_comes_twice_the_first_counts(client):
    """Two lengths are refused before (test_serve)."""

    rev = client.put("/db/a", {}).json["rev"]
    connection = http.client.HTTPConnection(*client.address, timeout=20)
    connection.putrequest("PUT", "/db/a")
    body = b'{"x": 1}'
    for name, value in (
        ("If-Match", f'"{rev}"'),
        ("If-Match", '"1-other"'),
        ("Content-Type", "application/json"),
        ("Content-Type", "text/plain"),
        ("Content-Length", str(len(body))),
    ):
        connection.putheader(name, value)
    connection.endheaders(body)
    with connection.getresponse() as response:
        assert response.status == 201
    connection.close()


def test_bodies_may_be_packed(client, serve, call):
    packed = gzip.compress(b'{"docs": [{"_id": "a"}, {"_id": "b"}]}')
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert client.post("/db/_bulk_docs", packed, headers).status == 201
    assert client.get("/db").json["doc_count"] == 2
    for wrong in (b"{}", packed[:-3], gzip.compress(b"{")):
        assert client.post("/db/_bulk_docs", wrong, headers).status == 400
    assert client.put("/db/a", b"{}", {**JSON, "Content-Encoding": "br"}).status == 415
    bomb = gzip.compress(b'{"docs": [' + b" " * 1_000_000 + b"]}")
    assert call(serve(max_body=10_000)).post("/db/_bulk_docs", bomb, headers).status == 413
