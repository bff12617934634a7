"""Rewrites here (spec: plugins, 4.9, 4.10, 10.2; texts stay texts, path bindings win)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pouchdb_couchapp import DesignError, RewriteError
from pouchdb_couchapp.request_object import normalized
from pouchdb_couchapp.rewrite_rules import rules_of, target_of

import pouchdb
from pouchdb_core.errors import BadRequest, Forbidden, NotFound, PouchDBError

Put = Callable[..., Any]
HERE = ["rw0", "_design", "t"]


def led(db: Any, design: Put, rules: Any, path: str, **options: Any) -> Any:
    design(rewrites=rules)
    return db.rewrite_result_request_object(path, **options)


@pytest.mark.parametrize(
    ("rules", "path", "end"),
    [
        ([{"from": "/all", "to": "_list/l/v"}], "t/all", ["_list", "l", "v"]),
        ([{"from": "/all", "to": "/_list//l/v/"}], "/t//all/", ["_list", "l", "v"]),
        ([{"to": "_show/s"}], "t/x/y", ["_show", "s", "y"]),
        ([{"from": "*", "to": "_show/*"}], "t/s/d1", ["_show", "s", "d1"]),
        ([{"from": "/x/*", "to": "_show/s/*"}], "t/x/d1/more", ["_show", "s", "d1", "more"]),
        ([{"from": "/x/*", "to": "_show/s/*"}], "t/x", ["_show", "s"]),
        ([{"from": "/:a/:b", "to": "_show/s/:b"}], "t/1/d1", ["_show", "s", "d1"]),
        ([{"from": "/:s", "to": "_show/s/:s"}], "t/d1", ["_show", "s", "d1"]),
        ([{"from": "", "to": "_show/s"}], "t", ["_show", "s"]),
        ([{"from": "/", "to": "_show/s"}], "t/", ["_show", "s"]),
        ([{"from": "/a", "to": "x"}, {"from": "/:b", "to": "y/:b"}], "t/a", ["x"]),
        ([{"from": "/a", "to": "x", "method": "PUT"}, {"from": "/a", "to": "y"}], "t/a", ["y"]),
        ([{"from": "/a/:x", "to": "_show/s/:none"}], "t/a/b", ["_show", "s", ":none"]),
        ([{"from": "/a/:x", "to": "../../:x"}], "t/a/b%2Fc", None),
    ],
)
def test_paths(db: Any, design: Put, rules: Any, path: str, end: Any) -> None:
    found = led(db, design, rules, path).path
    assert found == (["rw0", "b%2Fc"] if end is None else [*HERE, *end])


def test_query(db: Any, design: Put) -> None:
    rule = {
        "from": "/:a/:b",
        "to": "_show/s/:b",
        "query": {"aa": ":a", "c": "lit", "n": 5, "arr": [":a", "z"], "o": {"p": ":b"}},
    }
    found = led(db, design, [rule], "t/1/d1")
    assert found.query == {"a": "1", "b": "d1", "aa": "1", "c": "lit", "n": 5, "arr": ["1", "z"], "o": {"p": "d1"}}
    found = led(db, design, [rule], "t/foo/d1", query={"a": "over", "z": "1"})
    assert found.query["a"] == found.query["aa"] == "foo"
    assert (found.query["z"], found.query["arr"]) == ("1", ["foo", "z"])
    assert led(db, design, [{"from": "/all", "to": "_list/l/v"}], "t/all", query={"a": 1}).raw_path == (
        "/rw0/_design/t/_list/l/v?a=1"
    )
    assert led(db, design, [{"from": "/:x", "to": "x", "query": {"y": ":x"}}], "t/1", query={"y": 2}).query["y"] == "1"


def test_formats(db: Any, design: Put) -> None:
    rule = {"from": "/:i/:b/:s", "to": "x", "query": {"i": ":i", "b": ":b", "s": ":s"}}
    formats = {"i": "int", "b": "bool", "s": "string"}
    assert led(db, design, [{**rule, "formats": formats}], "t/1/true/3").query == {"i": 1, "b": True, "s": "3"}
    assert led(db, design, [{**rule, "format": formats}], "t/1/true/3").query == {"i": "1", "b": "true", "s": "3"}
    assert led(db, design, [{**rule, "formats": formats}], "t/x/y/3").query == {"i": "x", "b": "y", "s": "3"}


@pytest.mark.parametrize(
    ("rewrites", "path", "status", "name", "message"),
    [
        (None, "t/a", 404, "rewrite_error", "Invalid path."),
        (5, "t/a", 400, "rewrite_error", "Rewrite rules should be a JSON Array."),
        ({}, "t/a", 400, "rewrite_error", "Rewrite rules should be a JSON Array."),
        ([{"from": "/b", "to": "x"}, {"from": "/a"}], "t/b", 500, "error", "invalid_rewrite_target"),
        ([], "t/a", 404, "not_found", "missing"),
        ([{"from": "/a", "to": "x"}], "t/nope", 404, "not_found", "missing"),
        ([{"from": "/a", "to": "x"}], "t/a/more", 404, "not_found", "missing"),
        ([{"from": "/a", "to": "x"}], "t", 404, "not_found", "missing"),
        ([{"from": "/a/*/b", "to": "x"}], "t/a/c/b", 404, "not_found", "missing"),
        ([{"from": "/a", "to": "x"}], "none/a", 404, "not_found", "missing"),
    ],
)
def test_errors(db: Any, design: Put, rewrites: Any, path: str, status: int, name: str, message: str) -> None:
    design(**({} if rewrites is None else {"rewrites": rewrites}))
    for call in (db.rewrite, db.rewrite_result_request_object):
        with pytest.raises(PouchDBError) as caught:
            call(path)
        assert (caught.value.status, caught.value.name, caught.value.message) == (status, name, message)
        assert isinstance(caught.value, (RewriteError, DesignError, NotFound))


def test_methods(db: Any, design: Put) -> None:
    design(
        rewrites=[
            {"from": "/m", "to": "_show/s", "method": "GET"},
            {"from": "/m", "to": "_update/u", "method": "PUT"},
            {"from": "/m", "to": "_update/u/d1", "method": "POST"},
        ],
        shows={"s": "function () { return 'show'; }"},
        updates={"u": "function (doc, req) { return [null, req.method + ' ' + (doc && doc._id)]; }"},
    )
    assert db.rewrite("t/m").body == "show"
    assert db.rewrite("t/m", method="PUT").body == "PUT null"
    assert db.rewrite("t/m", method="POST").body == "POST d1"
    for method in ("DELETE", "get"):
        with pytest.raises(NotFound):
            db.rewrite("t/m", method=method)


@pytest.fixture
def site(db: Any, design: Put) -> Any:
    design(
        rewrites=[
            {"from": "/loop", "to": "_rewrite/loop"},
            {"from": "/once", "to": "_rewrite/db/d1"},
            {"from": "/v/:k", "to": "_view/v", "query": {"key": ":k"}},
            {"from": "/i/:k", "to": "_view/v", "query": {"key": ":k"}, "formats": {"k": "int"}},
            {"from": "/first", "to": "_view/v", "query": {"limit": "1", "descending": "true"}},
            {"from": "/dbs", "to": "../../../_all_dbs"},
            {"from": "/uuids", "to": "../../../_uuids"},
            {"from": "/high", "to": "../../../../_all_dbs"},
            {"from": "/root", "to": "../../.."},
            {"from": "/up", "to": "../../"},
            {"from": "/other/*", "to": "../../../other/*"},
            {"from": "/db/*", "to": "../../*"},
            {"from": "/l", "to": "_list/l/v"},
        ],
        shows={"s": "function (doc, req) { return doc._id + toJSON(req.query); }"},
        lists={"l": "function () { return getRow().id; }"},
    )
    return db


def test_endpoints(site: Any, environment: Any) -> None:
    assert site.rewrite("t/db/d1").k == 1
    assert site.rewrite("t/once").k == 1
    assert site.rewrite("t/db/d1", query={"revs_info": True})._revs_info[0].status == "available"
    assert [row.id for row in site.rewrite("t/db/_all_docs", query={"limit": 1}).rows] == ["_design/t"]
    assert len(site.rewrite("t/db/_design/t/_view/v").rows) == 3
    assert site.rewrite("t/v/str").rows[0].id == "d3"
    assert site.rewrite("t/v/1").rows == []
    assert site.rewrite("t/i/1").rows[0].id == "d1"
    assert [row.id for row in site.rewrite("t/first").rows] == ["d2"]
    assert site.rewrite("t/l").body == "d1"
    assert site.rewrite("t/db/_design/t/_show/s/d1", query={"a": "b"}).body == 'd1{"a":"b"}'
    assert site.rewrite("t/dbs") == environment.all_dbs()
    assert site.rewrite("t/up").db_name == "rw0"
    assert site.rewrite("t/up", method="POST", body='{"_id": "np"}').ok is True
    assert site.rewrite("t/db/_changes").last_seq
    assert site.rewrite("t/db/_security") == {}
    assert site.rewrite("t/db/_compact", method="POST") is None
    assert site.rewrite("t/db/_view_cleanup", method="POST").ok
    assert site.rewrite("t/db/_revs_diff", method="POST", body='{"x": ["1-a"]}') == {"x": {"missing": ["1-a"]}}
    results = site.rewrite("t/db/_bulk_docs", method="POST", body='{"docs": [{"_id": "b1"}]}')
    assert results[0].id == "b1"
    assert len(site.rewrite("t/db/_temp_view", method="POST", body='{"map": "function (d) { emit(1); }"}').rows) == 5


def test_a_view_that_is_missing(site: Any) -> None:
    for path, message in {
        "t/db/_design/t/_view/ids": "ddoc _design/t has no view named ids",
        "t/db/_design/none/_view/ids": "missing",
    }.items():
        with pytest.raises(NotFound) as caught:
            site.rewrite(path)
        assert (caught.value.status, caught.value.name, caught.value.message) == (404, "not_found", message)


def test_documents_and_attachments(site: Any) -> None:
    assert site.rewrite("t/db/new", method="PUT", body='{"a": 1}').id == "new"
    assert site.rewrite("t/db/_local/x", method="PUT", body='{"_id": "_local/x"}').ok
    rev = site.get("new")["_rev"]
    blob = pouchdb.context.Blob(b"\xff\x00")
    put = site.rewrite(
        "t/db/new/a.bin",
        method="PUT",
        body=blob,
        query={"rev": rev},
        headers={"Content-Type": "x/y"},
        withValidation=True,
    )
    assert site.rewrite("t/db/new/a.bin") == {"type": "x/y", "data": b"\xff\x00"}
    with pytest.raises(PouchDBError) as caught:
        site.rewrite("t/db/new/a.bin", method="POST", body="x")
    assert (caught.value.status, caught.value.name) == (405, "method_not_allowed")
    assert caught.value.message == "method 'POST' not allowed."
    removed = site.rewrite("t/db/new/a.bin", method="DELETE", query={"rev": put.rev})
    assert site.rewrite("t/db/new", method="DELETE", query={"rev": removed.rev}).ok
    with pytest.raises(NotFound):
        site.rewrite("t/db/new")
    with pytest.raises(NotFound):
        site.rewrite("t/db/_info")


def test_validation(site: Any) -> None:
    site.put({"_id": "_design/v", "validate_doc_update": "function (d) { if (d.bad) { throw {forbidden: 'no'}; } }"})
    for path, method, body in (
        ("t/up", "POST", '{"_id": "x", "bad": 1}'),
        ("t/db/x", "PUT", '{"bad": 1}'),
    ):
        with pytest.raises(Forbidden, match="no"):
            site.rewrite(path, method=method, body=body, withValidation=True)
    results = site.rewrite(
        "t/db/_bulk_docs", method="POST", body='{"docs": [{"_id": "y", "bad": 1}]}', withValidation=True
    )
    assert results[0].name == "forbidden"
    assert site.rewrite("t/db/x", method="PUT", body='{"bad": 1}').ok


@pytest.mark.parametrize(
    ("path", "options", "error"),
    [
        ("t/loop", {}, BadRequest),
        ("t/high", {}, NotFound),
        ("t/root", {}, NotFound),
        ("t/uuids", {}, NotFound),
        ("t/other/x", {}, NotFound),
        ("t/up", {"method": "DELETE"}, Forbidden),
        ("t/up", {"method": "PUT", "body": "{}"}, Forbidden),
        ("t/db/_security", {"method": "PUT", "body": "{}"}, Forbidden),
        ("t/up", {"method": "POST", "body": "not json"}, BadRequest),
        ("t/db/d1", {"method": "POST", "body": "{}"}, PouchDBError),
    ],
)
def test_what_rewrites_may_not(site: Any, environment: Any, path: str, options: Any, error: type[Exception]) -> None:
    before = sorted(environment)
    with pytest.raises(error):
        site.rewrite(path, **options)
    assert sorted(environment) == before
    assert site.get("d1").k == 1


def test_another_database_that_is_there(site: Any, environment: Any) -> None:
    environment["other"].put({"_id": "x", "n": 7})
    assert site.rewrite("t/other/x").n == 7


def test_functions(db: Any, design: Put) -> None:
    design(
        rewrites="""function (req) {
            var last = req.path[req.path.length - 1];
            if (last === 'own') { return {code: 202, body: 'self'}; }
            if (last === 'no') { return null; }
            if (last === 'post') { return {path: '../../', method: 'POST', body: '{"_id": "made"}'}; }
            if (last === 'query') { return {path: '_view/v', query: {limit: '1'}}; }
            if (last === 'throws') { abc(); }
            return '../../' + req.query.id;
        }"""
    )
    assert db.rewrite("t/x", query={"id": "d1"}).k == 1
    own = db.rewrite("t/own")
    assert (own.code, own.body) == (202, "self")
    assert db.rewrite("t/post").id == "made"
    assert len(db.rewrite("t/query").rows) == 1
    with pytest.raises(NotFound):
        db.rewrite("t/no")
    with pytest.raises(DesignError, match="abc"):
        db.rewrite("t/throws")


PARTS = st.lists(st.sampled_from(["a", "b", ".", "..", "c d"]), max_size=8)


@given(PARTS)
def test_normalized_paths(path: list[str]) -> None:
    found = normalized(path)
    assert "." not in found
    ups = [part for part in found if part == ".."]
    assert found[: len(ups)] == ups  # only at the beginning
    assert normalized(found) == found


@given(
    st.lists(st.text(alphabet="ab:*/", max_size=6), max_size=4),
    st.lists(st.text(alphabet="ab", min_size=1), max_size=4),
)
def test_any_rules_lead_somewhere_or_nowhere(sources: list[str], path: list[str]) -> None:
    rules = rules_of([{"from": source, "to": "x/*/:a", "query": {"q": ":a"}} for source in sources])
    for appends in (True, False):
        try:
            target = target_of(rules, "GET", path, {}, appends=appends)
        except NotFound:
            continue
        assert target.path[0] == "x"
        assert "*" not in target.query
