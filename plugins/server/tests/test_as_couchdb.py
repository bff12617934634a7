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
        ("GET", "/db/_local", None, 400, "bad_request", "Invalid _local document id."),
        ("PUT", "/db/_local%2F", {}, 400, "bad_request", "Invalid _local document id."),
        ("PUT", "/db/_local/a/file", b"x", 400, "bad_request", "_local documents do not accept attachments."),
        ("DELETE", "/db/_local/a/file", None, 400, "bad_request", "_local documents do not accept attachments."),
        ("POST", "/db/_bulk_docs", {}, 400, "bad_request", "POST body must include `docs` parameter."),
        ("POST", "/db/_bulk_docs", {"docs": 1}, 400, "bad_request", "`docs` parameter must be an array."),
        ("POST", "/db/_none", {}, 400, "bad_request", "Referer header required."),
        ("GET", "/db/_none", None, 404, "not_found", "missing"),
        ("POST", "/db/_find", {}, 404, "not_found", "_find comes with the plug-in 'find', which is not installed"),
        (
            "GET",
            "/db/_design/a/_show/b",
            None,
            404,
            "not_found",
            "_show comes with the plug-in 'couchapp', which is not installed",
        ),
        ("PUT", "/db/b", [], 400, "bad_request", "Document must be a JSON object"),
        ("PUT", "/db/b", b"{", 400, "bad_request", "invalid UTF-8 JSON"),
        ("PUT", "/db/b", {"_id": 1}, 400, "illegal_docid", "Document id must be a string"),
        ("POST", "/db", {"_id": ""}, 400, "illegal_docid", "Document id must not be empty"),
        ("POST", "/db", {"_id": "_design/"}, 400, "illegal_docid", "Illegal document id `_design/`"),
        ("PUT", "/db/b", {"_rev": None}, 400, "bad_request", "Invalid rev format"),
        ("PUT", "/db/b", {"_deleted": 1}, 400, "doc_validation", "Bad special document member: _deleted"),
        ("PUT", "/db/b", {"_revisions": {}}, 400, "doc_validation", "_revisions.start isn't an integer."),
        ("PUT", "/db/b", {"_revisions": {"start": 1}}, 400, "doc_validation", "_revisions.ids isn't a array."),
        ("PUT", "/db/b", {"_attachments": 1}, 400, "doc_validation", "Bad special document member: _attachments"),
        ("PUT", "/db/b", {"_attachments": {"x": {}}}, 400, "bad_request", "Invalid attachment data for x"),
        (
            "PUT",
            "/db/b",
            {"_attachments": {"x": {"stub": True}}},
            412,
            "missing_stub",
            "Invalid attachment stub in b for x",
        ),
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
    assert client.get("/", X_Couch_Request_ID="E7498DE1-B661").headers["X-Couch-Request-ID"] == "E7498DE1-B661"
    for wrong in ("", "a b", "x" * 65):
        assert client.get("/", X_Couch_Request_ID=wrong).headers["X-Couch-Request-ID"] != wrong
    assert client.get("/").headers["X-Couch-Request-ID"] != client.get("/").headers["X-Couch-Request-ID"]


def test_json_is_said_to_be_json_whatever_the_client_takes(client):
    client.put("/db/a", {})
    for path in ("/", "/db/a", "/db/_all_docs", "/db/_changes", "/db/none"):
        for accept in ("text/html", "text/plain", "application/json", "*/*", "text/html, application/*;q=0.1"):
            assert client.get(path, Accept=accept).headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_put_may_have_any_type(client, kind):
    """curl says that what it sends is a form unless it is told otherwise."""
    headers = {} if kind is None else {"Content-Type": kind}
    for path, body in (
        ("/db/a", "{}"),
        ("/db/_design/a", "{}"),
        ("/db/_local/a", "{}"),
        ("/db/_security", "{}"),
        ("/db/_revs_limit", "10"),
        ("/db/_purged_infos_limit", "10"),
    ):
        assert client.put(path, body, headers).status in (200, 201), path


def test_empty_parts_of_a_path_are_dropped(client):
    assert client.put("/db//a", {}).json["id"] == "a"
    assert client.get("//db///a/").json["_id"] == "a"
    assert client.get("/db//_all_docs").json["total_rows"] == 1
    rev = client.get("/db/a").json["_rev"]
    assert client.put(f"/db/a//f?rev={rev}", b"x").status == 201
    assert client.get("/db/a//f").body == b"x"


def test_a_plus_in_a_path_is_a_blank(client):
    assert client.put("/db/a+b", {}).json["id"] == "a b"
    assert client.get("/db/a%20b").status == 200
    assert client.put("/db/a%2Bb", {}).json["id"] == "a+b"
    assert client.put("/a+b").status == 400
    assert client.put("/a%2Bb").status == 201


def test_the_id_of_the_url_counts(client):
    assert client.put("/db/a", {"_id": "b"}).json["id"] == "a"
    assert client.put("/db/c", {"_id": "_bad"}).status == 400
    assert client.get("/db/a").json["_id"] == "a"
    assert client.get("/db/b").status == 404


def test_a_post_may_stand_for_another_method(client):
    override = {**JSON, "X-HTTP-Method-Override": "PUT"}
    assert client.post("/db/a", {"x": 1}, override).status == 201
    assert client.post("/db/a", None, {"X-HTTP-Method-Override": "GET"}).json["x"] == 1
    # Of other methods it says nothing, nor does one that there is not.
    assert client.call("GET", "/db/a", headers={"X-HTTP-Method-Override": "DELETE"}).status == 200
    assert client.post("/db", {}, {**JSON, "X-HTTP-Method-Override": "PATCH"}).status == 201


def test_what_is_batched_has_no_revision_yet(client):
    answer = client.put("/db/a?batch=ok", {})
    assert (answer.status, answer.json) == (202, {"ok": True, "id": "a"})
    answer = client.post("/db?batch=ok", {"_id": "b"})
    assert (answer.status, answer.json) == (202, {"ok": True, "id": "b"})
    assert client.get("/db").json["doc_count"] == 2
    rev = client.get("/db/a").json["_rev"]
    assert client.delete(f"/db/a?rev={rev}&batch=ok").json["rev"]


def test_a_conflict_of_what_is_batched_is_not_reported(client, caplog):
    """The client said that it does not wait for the outcome; it is logged."""
    rev = client.put("/db/a", {"n": 1}).json["rev"]
    with caplog.at_level("INFO", "pouchdb.server"):
        for answer in (client.put("/db/a?batch=ok", {"n": 2}), client.post("/db?batch=ok", {"_id": "a", "n": 3})):
            assert (answer.status, answer.json, answer.headers["ETag"]) == (202, {"ok": True, "id": "a"}, None)
    assert client.get("/db/a").json == {"_id": "a", "_rev": rev, "n": 1}
    assert [record.args for record in caplog.records if "batch=ok" in record.msg] == [("a",), ("a",)]
    assert client.put("/db/a?batch=ok", {"_x": 2}).status == 400


def test_location_is_the_address_in_front_of_a_proxy(client):
    proxied = {**JSON, "X-Forwarded-Host": "example.org", "X-Forwarded-Proto": "https"}
    assert client.put("/db/a%0A", {}, proxied).headers["Location"] == "https://example.org/db/a%0A"
    assert client.put("/other", None, {"X-Forwarded-Host": "a.b", "X-Forwarded-Ssl": "on"}).headers["Location"] == (
        "https://a.b/other"
    )
    assert client.post("/db", {"_id": "c%0A"}).headers["Location"] == (
        "http://{}:{}/db/c%250A".format(*client.address)
    )


def test_replicating_chosen_documents_tells_the_counts_twice(client):
    for id in "abc":
        client.put(f"/db/{id}", {})
    told = client.post("/_replicate", {"source": "db", "target": "to", "create_target": True, "doc_ids": ["a"]}).json
    names = ("start_time", "end_time", "docs_read", "docs_written", "doc_write_failures")
    assert {name: told[name] for name in names} == {name: told["history"][0][name] for name in names}
    assert told["docs_written"] == 1
    assert "docs_read" not in client.post("/_replicate", {"source": "db", "target": "to"}).json


def test_replicating_what_does_not_exist(client, server):
    # By another name of this machine it is another server.
    url = server.url.replace("127.0.0.1", "localhost") + "/no"
    for source, reason in (("no", "could not open no: Database does not exist."), (url, None)):
        answer = client.post("/_replicate", {"source": source, "target": "db"})
        assert (answer.status, answer.json["error"]) == (404, "db_not_found")
        assert answer.json["reason"] == (reason or f"could not open {source}")


def test_a_lower_limit_of_revisions_is_seen_at_once(client):
    """And kept by compaction (CouchDB's rev_stemming_test.exs)."""
    rev = ""
    for n in range(6):
        rev = client.put(f"/db/a?rev={rev}" if rev else "/db/a", {"n": n}).json["rev"]
    count = lambda: len(client.get("/db/a?revs=true").json["_revisions"]["ids"])  # noqa: E731
    assert count() == 6
    assert client.put("/db/_revs_limit", "5").status == 200
    assert count() == 5
    assert client.get(f"/db/a?revs=true&rev={rev}").json["_revisions"]["start"] == 6
    assert client.post("/db/_compact", {}).status == 202
    assert any(not client.get("/db").json["compact_running"] for _ in range(10_000))
    assert count() == 5


def test_deleting_what_is_gone(client):
    rev = client.put("/db/a", {}).json["rev"]
    client.delete(f"/db/a?rev={rev}")
    for path in (f"/db/a?rev={rev}", "/db/a"):
        answer = client.delete(path)
        assert (answer.status, answer.json["reason"]) == (404, "deleted")
    assert client.delete("/db/_local/a").status == 404
    assert client.delete("/db/_local/a?rev=0-1").status == 404
    row = client.post("/db/_bulk_docs", {"docs": [{"_id": "no", "_rev": "1-a", "_deleted": True}]}).json[0]
    assert (row["id"], row["error"]) == ("no", "conflict")


def test_latest_opens_the_winner_and_deleted_a_tombstone(client):
    first = client.put("/db/a", {"n": 1}).json["rev"]
    second = client.put("/db/a", {"n": 2, "_rev": first}).json["rev"]
    assert client.get(f"/db/a?rev={first}").json["n"] == 1
    for asked in (first, "9-none"):
        assert client.get(f"/db/a?rev={asked}&latest=true").json["_rev"] == second
    gone = client.delete(f"/db/a?rev={second}").json["rev"]
    assert client.get("/db/a?deleted=true").json == {"_id": "a", "_rev": gone, "_deleted": True}
    assert client.get("/db/a?deleted=false").status == 404
    assert client.get("/db/none?deleted=true").status == 404


@pytest.mark.parametrize("value", ["maybe", "1", "True", "TRUE", "false", ""])
def test_of_a_document_only_true_is_true(client, value):
    rev = client.put("/db/a", {}).json["rev"]
    plain = {"_id": "a", "_rev": rev}
    for name in ("revs", "revs_info", "conflicts", "deleted_conflicts", "meta", "local_seq", "attachments", "latest"):
        assert client.get(f"/db/a?{name}={value}").json == plain
    assert client.get("/db/a?revs=true").json != plain
    assert client.put(f"/db/b?new_edits={value}", {}).status == (201 if value != "false" else 400)


@pytest.mark.parametrize(("value", "taken"), [("True", True), ("TRUE", True), ("fAlSe", False)])
def test_in_lists_the_case_of_booleans_does_not_matter(client, value, taken):
    client.put("/db/a", {})
    assert ("doc" in client.get(f"/db/_all_docs?include_docs={value}").json["rows"][0]) is taken
    assert client.get("/db/_all_docs?include_docs=1").json == {
        "error": "query_parse_error",
        "reason": 'Invalid boolean parameter: "1"',
    }


def test_the_last_of_key_and_range_counts(client):
    client.post("/db/_bulk_docs", {"docs": [{"_id": id} for id in "abc"]})

    def ids(query, body=None):
        path = f"/db/_all_docs?{query}"
        answer = client.get(path) if body is None else client.post(path, body)
        return "".join(row["id"] for row in answer.json["rows"])

    assert ids('key="c"&startkey="b"') == "bc"
    assert ids('startkey="b"&key="c"') == "c"
    assert ids('key="b"&inclusive_end=false') == ""
    # In CouchDB's order of ids everything else is before all texts.
    assert ids("startkey={}") == ids("startkey=null") == "abc"
    assert ids("endkey={}") == ids("endkey=5") == ids("key=[]") == ""
    assert ids("descending=true&startkey={}") == ""
    assert ids("descending=true&endkey={}") == "cba"
    # The URL counts more than the body.
    assert ids("limit=2", {"limit": 1, "descending": True}) == "cb"
    assert ids('keys=["a"]&key="b"') == "a"
    assert client.get('/db/_all_docs?keys=["a","b"]&key="b"').status == 400


def test_local_documents_forget_attachments(client):
    body = {"_attachments": {"x": {"data": "eA=="}}, "n": 1}
    assert client.put("/db/_local/a", body).status == 201
    assert client.get("/db/_local/a").json == {"_id": "_local/a", "_rev": "0-1", "n": 1}
    assert client.get("/db/_local/a?revs=true").json["_revisions"] == {"start": 0, "ids": ["1"]}
    assert client.get("/db/_local/a/x").status == 400


def test_newer_attachments_come_as_parts_where_those_are_accepted(client):
    rev = client.put("/db/a/x", b"old").json["rev"]
    client.put(f"/db/a/y?rev={rev}", b"new")
    path = f'/db/a?atts_since=["{rev}"]'
    answer = client.get(path, Accept="multipart/related, */*")
    assert answer.headers["Content-Type"].startswith("multipart/related")
    assert (b"new" in answer.body, b"old" in answer.body) == (True, False)
    assert client.get(path).json["_attachments"]["y"]["data"] == "bmV3"


@pytest.mark.parametrize("path", ["/db/a?revs=true", "/db/a?attachments=true", "/db/_changes", "/_db_updates"])
def test_what_has_an_etag(client, path):
    client.put("/db/a", {})
    known = client.get(path).headers["ETag"]
    assert client.get(path, If_None_Match=known).status == 304
    rev = client.get("/db/a").json["_rev"]
    client.put(f"/db/a?rev={rev}", {})
    assert client.get(path).headers["ETag"] != known or path == "/_db_updates"
    assert "ETag" not in client.get("/db/a?conflicts=true").headers
    assert "ETag" in client.post("/db/_all_docs/queries", {"queries": [{}]}).headers


def test_a_list_of_documents_is_checked_like_a_view_without_a_reduce_function(client):
    client.put("/db/_design/v", {"views": {"v": {"map": "function (doc) { emit(1); }"}}})
    for query, reason in {
        "reduce=true": "Reduce is invalid for map-only views.",
        "group=true": "Invalid use of grouping on a map view.",
        "group_level=1": "Invalid use of grouping on a map view.",
        "stale=old": "Invalid value for `stale`.",
        "update=never": "Invalid value for `update`.",
        "partition=p": "`partition` parameter is not supported on this db",
        'keys=["a"]&startkey="b"': "`keys` is incompatible with `key`, `start_key` and `end_key`",
    }.items():
        answer = client.get(f"/db/_all_docs?{query}")
        assert (answer.status, answer.json) == (400, {"error": "query_parse_error", "reason": reason}), query
    assert client.get("/db/_all_docs?reduce=false&group=false&stale=ok&update=lazy&sorted=false").status == 200
    answer = client.get("/db/_design/v/_view/v?partition=p")
    assert (answer.status, answer.json["reason"]) == (400, "`partition` parameter is not supported in this design doc")


def test_purging_tells_what_was_asked_for(client):
    client.put("/db/a?new_edits=false", {"_rev": "3-c", "_revisions": {"start": 3, "ids": ["c", "b", "a"]}})
    assert client.post("/db/_purge", {"a": ["3-c", "9-x"]}).json["purged"] == {"a": ["3-c"]}


def test_what_is_skipped_beyond_the_end_does_not_count(client):
    client.put("/db/a", {})
    client.put("/db/_design/v", {"views": {"v": {"map": "function (doc) { emit(1); }"}}})
    for path, total in (("_all_docs", 2), ("_design/v/_view/v", 1)):
        answer = client.get(f"/db/{path}?skip=100").json
        assert (answer["offset"], answer["total_rows"], answer["rows"]) == (total, total, [])


def test_what_a_node_tells(client):
    assert client.get("/_node/_local/_versions").json["collation_driver"]["name"] in ("libicu", "codepoint")
    assert client.get("/_node/_local/_system").json["uptime"] >= 0
    assert client.post("/_node/_local/_config/_reload", {}).json == {"ok": True}
    assert client.get("/_node/_local/_config/log").json == {}
    assert client.get("/_node/other/_versions").status == 404


def test_copying_takes_no_url(client):
    client.put("/db/a", {"x": 1})
    for wrong in ("http://localhost:5984/db/b", "https://other/db/b", "_bad", "b?rev=x"):
        assert client.call("COPY", "/db/a", headers={"Destination": wrong}).status == 400, wrong
    assert client.call("COPY", "/db/a", headers={"Destination": "/b"}).json["id"] == "b"


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
