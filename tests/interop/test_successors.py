"""The successors of the original's plug-ins (pouchdb-show, -list, -update, -rewrite, -validation 4.2) on node,
and ours.

The same functions, documents and options give the same responses, request objects, stored documents and errors. What
was decided otherwise (CouchDB's answer where both differ) is in ``DECIDED``: there both must still differ.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import pouchdb

pytest.importorskip("pouchdb_couchapp")
pytest.importorskip("pouchdb_validation")

NODE = Path(__file__).parent / "node"
DOCS = [{"_id": "d1", "k": 1}, {"_id": "d2", "k": [2, "x"]}, {"_id": "d3", "k": "str"}]
VIEWS = {
    "v": {"map": "function (doc) { if (doc.k) emit(doc.k); }"},
    "r": {"map": "function (doc) { if (doc.k) emit(doc.k, 1); }", "reduce": "_sum"},
}
MODULES = {
    "m": "exports.x = 'm';",
    "n": "module.exports = {x: 'n'};",
    "a": "exports.x = require('lib/m').x + '!';",
    "deep": {"er": "exports.x = 'deep';"},
    "id": "exports.x = module.id;",
}
Case = dict[str, Any]


def case(method: str, path: str, options: Any, after: str | None = None, **ddoc: Any) -> Case:
    ddoc = {"views": VIEWS, "lib": MODULES, **ddoc}
    return {"docs": DOCS, "ddoc": ddoc, "method": method, "args": [path, options or {}], "after": after}


def show(body: str, path: str = "t/s", /, **options: Any) -> Case:
    return case("show", path, options, shows={"s": f"function (doc, req) {{ {body} }}"})


def source(text: Any) -> Case:
    return case("show", "t/s", {}, shows={"s": text})


def listed(body: str, path: str = "t/l/v", /, **options: Any) -> Case:
    return case("list", path, options, lists={"l": f"function (head, req) {{ {body} }}"})


def update(body: str, path: str = "t/u", after: str | None = None, /, **options: Any) -> Case:
    return case("update", path, options, after, updates={"u": f"function (doc, req) {{ {body} }}"})


SEEN = "toJSON([doc && doc._id, req.query, req.path, req.method])"
FUNCTIONS = {
    "shows": {"s": f"function (doc, req) {{ return {SEEN}; }}"},
    "lists": {"l": "function (head, req) { start({}); return toJSON([getRow().id, req.query]); }"},
    "updates": {"u": f"function (doc, req) {{ return [null, {SEEN}]; }}"},
}


def rewrite(rules: Any, path: str, /, **options: Any) -> Case:
    return case("rewrite", path, options, rewrites=rules, **FUNCTIONS)


def rewritten(rules: Any, path: str, /, **options: Any) -> Case:
    return {**rewrite(rules, path, **options), "method": "rewriteResultRequestObject"}


JUDGE = """function (n, o, u, s) {
    if (n.f !== undefined) throw({forbidden: n.f});
    if (n.u !== undefined) throw({unauthorized: n.u});
    if (n.e) throw new Error(n.e);
    if (n.v) undefinedVariable.x;
    if (n.show) throw({forbidden: toJSON([n, o, u])});
}"""


def judged(method: str, *args: Any, after: str | None = None, function: Any = JUDGE) -> Case:
    ddoc = {"validate_doc_update": function, "lib": MODULES}
    return {"docs": DOCS, "ddoc": ddoc, "method": method, "args": list(args), "after": after}


KEYS = [
    "body",
    "cookie",
    "form",
    "query",
    "headers",
    "method",
    "path",
    "raw_path",
    "requested_path",
    "id",
    "peer",
    "extra",
]
SHOWN = f"var r = {{}}; {json.dumps(KEYS)}.forEach(k => r[k] = req[k]); return {{json: [r, req.userCtx]}};"
PROVIDERS = """registerType('foo', 'application/foo; x=1', 'text/foo');
    provides('json', function () { return {json: {a: 1}}; });
    provides('html', function () { return '<b>'; });
    provides('css', function () { return 'b {}'; });
    provides('foo', function () { return 'foo'; });"""
ROWS = "start({}); var row, rows = []; while ((row = getRow())) rows.push(row); return toJSON([head, rows]);"

SHOWS = [
    *(
        show(f"return {value};", path)
        for path in ("t/s", "t/s/d1")
        for value in (
            "'hi'", "''", "'é☃𝄞'", "42", "null", "[1]", "true", "new Date(0)", "undefined", "{}", "{json: {a: 1}}",
            "{json: 0}", "{json: null}", "{json: [1, 2]}", "{json: 'x'}", "{base64: 'SGk='}",
            "{body: 'x', abc: [1, 'y']}",
            "{foo: 1, bar: 2}", "{headers: {'Content-Type': 'text/x', Vary: 'Foo'}, body: 'x'}",
            "{body: 'x', stop: true}",
            "{headers: {Etag: 'x', 'X-A': 'b'}, body: 'x'}", "{code: 404, body: 'x'}", "{code: '201', body: 'x'}",
            "{code: 302, headers: {Location: '/x'}}", "{body: '', headers: {}}", "{body: 'x', json: {a: 1}}",
            "toJSON(req.query)", "String(isArray([])) + isArray({}) + toJSON({a: [1]})", "String(sum([1, 2, 3]))",
            "require('lib/m').x", "require('lib/n').x", "require('lib/a').x", "require('lib/deep/er').x",
            "require('lib/id').x", "this._id + typeof this.shows",
            "typeof provides + typeof registerType + typeof index",
        )
    ),
    *(show(body) for body in ("throw new Error('boom');", "throw new TypeError('bad');", "abc.def;", "abc();")),
    *(source(f"{text}") for text in (
        "function (doc, req) { return 'a'; };", "(function (doc) { return 'a'; })", "function f(doc) { return 'a'; }",
        "", "5", "'x'", "function (", "function () {} function () {}", "null",
    )),
    *(show(PROVIDERS, headers={"Accept": accept}) for accept in (
        "*/*", "text/*", "application/*", "text/css,*/*;q=0.1", "text/css", "text/foo", "application/foo",
        "text/x-json",
        "application/json", "text/html", "text/plain", "image/png, text/plain", "text/plain, text/html", "*/json",
        "application/xml,application/json",
    )),
    *(show(PROVIDERS, query={"format": name}) for name in ("foo", "html", "json", "css", "bar", "text")),
    *(show(body, headers={"Accept": accept}) for accept in ("*/*",
    "application/xml, text/javascript, */*") for body in (
        "provides('html', function () { return 5; });",
        "provides('html', function () { return {body: 'b', code: 201}; });",
        "provides('text', function () { return 'x'; });", "provides('nothing', function () { return 'x'; });",
        "provides('html', function () { throw new Error('in'); });", "provides('html', function () { abc(); });",
        "provides('html', function () { return {headers: {'Content-Type': 'a/b'}, body: 'q'}; });",
        "provides('html', function () { return {json: {z: 1}}; });", "provides('html', function () {});",
        "provides('js', function () { return 'x'; }); provides('xml', function () { return 'y'; });",
        "provides('html', function () { return 'a'; }); provides('html', function () { return 'b'; });",
    )),
    *(show("return doc ? 'doc ' + doc._id : 'none ' + req.id;", path) for path in (
        "t/s/d1", "t/s/none", "t/s/_design/t", "t/s", "t", "t/x", "none/s", "t/constructor", "/t/s/d1", "t//s",
    )),
    *(show(SHOWN, "t/s/d1", **options) for options in (
        {}, {"query": {"a": 1}}, {"query": {"a": "x y", "b": ["c", True], "n": None}}, {"form": {"a": "b c"}},
        {"body": "x"},
        {"body": "x", "method": "PUT"}, {"method": "DELETE"}, {"headers": {"host": "h", "x-a": "b"}},
        {"cookie": {"a": "b"}},
        {"userCtx": {"name": "bob"}}, {"path": ["x"]}, {"extra": {"a": [1]}}, {"id": "own"}, {"peer": "1.2.3.4"},
        {"raw_path": "/x"}, {"requested_path": ["q"]}, {"form": {"a": ["b", "c"], "é": "ü"}, "method": "POST"},
    )),
]  # fmt: skip
LISTS = [
    *(listed(ROWS, query=query) for query in (
        {}, {"limit": 1}, {"skip": 1}, {"descending": True}, {"descending": True, "limit": 2, "skip": 1}, {"key": 1},
        {"key": "str"}, {"startkey": 2}, {"startkey": "a", "endkey": "z"}, {"keys": ["str", 1]}, {"include_docs": True},
        {"limit": 0}, {"key": "none"}, {"inclusive_end": False, "endkey": "str"},
    )),
    *(listed(ROWS, "t/l/r", query=query) for query in (
        {}, {"group": True}, {"reduce": False}, {"group_level": 1}, {"group": True, "limit": 1},
    )),
    *(listed(ROWS, path) for path in ("t/l/none", "t/none/v", "none/l/v", "t/l/t/v", "t/l/none/v", "t/constructor/v")),
    *(listed(body, headers={"Accept": accept}) for accept in ("text/html, */*", "text/csv") for body in (
        "start({code: 500, headers: {A: 'b'}}); send(getRow().id); send('test'); return 'tail';",
        "send('a'); start({code: 404}); return 'z';", "start({code: 201}); start({code: 202}); return 'x';",
        "send('x'); return {json: {a: 1}};", "return {json: {a: 1}};", "send({}); send(5); send([1]); return 'x';",
        "return 'never';", "return;", "return 5;", "send('a'); send('b');", "send('x'); abc();", "abc();",
        "start({headers: {'Content-Type': 'text/csv'}}); return 'x';", "start({}); return {code: 201, body: 'y'};",
        "start({code: 201, body: 'q'}); return 'y';", "start({code: 203}); return {headers: {X: 'y'}, body: 'z'};",
        "return {foo: 1};", "send('a'); return {foo: 1};", "return {body: 'b', code: 203, headers: {X: 'y'}};",
        "provides('html', function () { start({code: 202}); return 'x'; });",
        "provides('html', function () { send('h'); return 't'; }); provides('csv', function () { send('c'); });",
    )),
    *(listed(ROWS, **options) for options in (
        {"headers": {"Content-Type": "text/plain"}}, {"headers": {"Content-Type": "text/plain"}, "body": "x"},
        {"headers": {"Content-Type": "application/json"}, "body": "{}"}, {"method": "POST", "json": {"keys": [1]}},
    )),
]  # fmt: skip
UPDATES = [
    *(update(f"return {value};", path, "q") for path in ("t/u", "t/u/d1") for value in (
        "[{_id: 'q', n: 1}, 'made']", "[null, 'x']", "[null, {json: {a: 1}}]", "[{_id: 'd1'}, 'x']", "[{a: 1}, 'x']",
        "[{_id: 'q'}]", "[{_id: 'q'}, null]", "[{_id: 'q'}, 5]", "[{_id: 'q', at: new Date(0)}, 'x']",
        "[{_id: 'q'}, {code: 418, headers: {'X-A': 'b'}, body: 'upd'}]", "[{_id: '_bad'}, 'x']",
        "[{_id: req.uuid.length > 30 ? 'q' : 'no'}, 'x']", "[null, {base64: 'SGk='}]", "[null, {code: 404, body: 'q'}]",
    )),
    *(update(body, "t/u/d1", "d1") for body in (
        "return [doc, 'same'];", "doc.k = 'changed'; return [doc, 'ch'];", "doc._deleted = true; return [doc, 'del'];",
        "abc();", "throw new Error('x');", "doc._rev = '1-abc'; return [doc, 'x'];",
    )),
    *(update("return [null, toJSON([req.method, req.body, req.form, req.query, req.id, req.path, req.raw_path, "
             "req.headers['Content-Type'], req.withValidation])];", path, **options)
      for path in ("t/u", "t/u/d1", "t/u/_design/x") for options in (
        {}, {"body": "text"}, {"form": {"x": "1"}}, {"method": "PUT"}, {"query": {"a": "b"}}, {"withValidation": True},
        {"body": '{"a":1}', "headers": {"Content-Type": "application/json"}},
    )),
    *(update("return [null, 'x'];", path) for path in ("t/none", "none/u", "t")),
]  # fmt: skip
WAYS: list[tuple[Any, list[str]]] = [
    ([{"from": "/all", "to": "_show/s"}], ["t/all", "t/all/more", "t/nope", "t", "t/all/", "t//all"]),
    ([{"to": "_show/s"}], ["t/x/y"]),
    ([{"from": "*", "to": "_show/*"}], ["t/s/d1"]),
    ([{"from": "/x/*", "to": "_show/s/*"}], ["t/x/d1"]),
    ([{"from": "/:a/:b", "to": "_show/s/:b", "query": {"aa": ":a", "c": "lit", "n": 5}}], ["t/foo/d1", "t/foo"]),
    ([{"from": "", "to": "_show/s"}], ["t", "t/x"]),
    ([{"from": "/", "to": "_show/s"}], ["t", "t/"]),
    ([{"from": "/m", "to": "_show/s", "method": "GET"}, {"from": "/m", "to": "_update/u", "method": "PUT"}], ["t/m"]),
    ([{"from": "a", "to": "../../../../x"}], ["t/a"]),
    ([{"from": "v/:k", "to": "_list/l/v", "query": {"key": ":k"}}], ["t/v/str"]),
    ([{"from": "q", "to": "_show/none"}], ["t/q"]),
    ([{"from": "a/*/b", "to": "_show/s"}], ["t/a/x/b", "t/a/*/b"]),
    ([{"from": "a"}], ["t/a"]),
    ([{"from": "a", "to": "_show/s"}, {"from": "b"}], ["t/a"]),
    ([], ["t/a"]),
    (5, ["t/a"]),
    ({}, ["t/a"]),
    ([{"from": "doc/:id", "to": "../../:id"}], ["t/doc/d1", "t/doc/none"]),
]
REWRITES = [
    *(made(rules, path, **options) for rules, paths in WAYS for path in paths for made in (rewrite, rewritten)
      for options in ({}, {"query": {"own": "text"}}, {"method": "PUT", "body": '{"_id": "np"}'})),
    rewrite([{"from": "x", "to": "_info"}], "t/x"),
    *(rewrite([{"from": "db/*", "to": "../../*"}], path, **options) for path, options in (
        ("t/db/d1", {}), ("t/db/_all_docs", {"query": {"limit": 1}}), ("t/db/_design/t/_view/v", {}), ("t/db/none", {}),
        ("t/db/_design/t/_view/none", {}), ("t/db/d1/none", {}), ("t/db/d1", {"method": "POST"}),
    )),
]  # fmt: skip
JUDGED = [
    *(judged(method, doc, after="a") for method in ("validatingPut", "validatingPost") for doc in (
        {"_id": "a"}, {"_id": "a", "f": "no"}, {"_id": "a", "u": "no"}, {"_id": "a", "f": ""}, {"_id": "a",
        "f": {"x": 1}},
        {"_id": "a", "e": "bad"}, {"_id": "a", "v": 1}, {"_id": "a", "show": 1}, {"_id": "d1", "f": "x"},
        {"_id": "_design/z", "f": "x"}, {"_id": "_local/z", "f": "x"}, {"_id": "_bad"}, {"f": 1}, {"_id": "d1"},
        {"_id": "d1", "show": 1},
    )),
    *(judged("validatingBulkDocs", {"docs": docs}, *options) for options in ([], [{"new_edits": True}]) for docs in (
        [{"_id": "1"}], [{"_id": "2", "f": "x"}, {"_id": "3"}, {"_id": "d1"}], [{"_id": "4", "u": "x"}, {"_id": "5",
        "e": "x"}],
        [],
    )),
    *(judged("validatingPut", {"_id": "a"}, after="a", function=text) for text in (
        "function (", "5", "", "function () {};", "(function () {})", "'x'", "null",
        "function (n) { if (!isArray([])) throw({forbidden: 'x'}); log('q'); }",
        "function () { throw({forbidden: this._id}); }",
        "function () { throw({forbidden: require('lib/m').x + sum([1, 2])}); }",
    )),
    judged("validatingRemove", {"_id": "nope", "_rev": "1-a"}),
    judged("validatingPutAttachment", "a", "t", "eA==", "text/plain", after="a"),
    judged("validatingRemoveAttachment", "nope", "t", "1-a"),
]  # fmt: skip
DECIDED = [
    (show("throw ['error', 'mine', 'because'];"), "a thrown list or object with error and reason sets both (CouchDB)"),
    (show("throw null;"), "every error has a status"),
    (show("return String(sum([]));"), "the sum of nothing is 0 (CouchDB)"),
    (show("return require('lib/none').x;"), "a module that is missing is invalid_require_path (CouchDB)"),
    (source("function () { return 'a'; } // c"), "comments are allowed around a function (CouchDB)"),
    (show(PROVIDERS, headers={"Accept": "text/html;q=0.1, application/json;q=0.9"}), "quality values count (CouchDB)"),
    (show("provides('all', function () { return 'x'; });"), "a page of all types is HTML"),
    (show("return String(req.id);", "t/s/a/b"), "all of the path is the document's id (CouchDB)"),
    (show(SHOWN, userCtx={"roles": []}), "a list that is given replaces"),
    (listed("getRow(); start({code: 404}); return 'z';"), "getRow() starts the response (CouchDB)"),
    (update("return 'x';"), "what is no list is an error of the function (CouchDB)"),
    (update("return [undefined, 'x'];"), "nothing is nothing to store (CouchDB)"),
    (update("return [null, 'x'];", method="GET"), "405 is the status of a method that is not allowed"),
    (rewrite([{"from": "/:a", "to": "_show/s"}], "t/x", query={"a": "own"}), "what the path binds wins (CouchDB)"),
    (rewrite([{"from": "q", "to": "_show/s"}], "t/q", query={"z": "1"}), "texts stay texts (CouchDB)"),
    (rewrite("str", "t/a"), "rules that are text are a function (CouchDB)"),
    (rewrite([{"from": "up", "to": "../.."}], "t/up", method="PUT", body="{}"), "a rewrite makes no database"),
    (judged("validatingPut", {"_id": "a", "show": 1}, {"userCtx": {"name": "bob"}}), "users are merged by key"),
    (judged("validatingPut", {"_id": "a"}, after="a", function="function (n) { n.x = 1; }"), "functions see copies"),
    (judged("validatingBulkDocs", {"docs": [{"_id": "1"}, {"_id": "2", "f": "x"}]}), "bulk answers in input order"),
]


class Both:
    """What both answer to all cases."""

    def __init__(self, node: str) -> None:
        cases = [*SHOWS, *LISTS, *UPDATES, *REWRITES, *JUDGED, *(each for each, _ in DECIDED)]
        done = subprocess.run(
            # They leave rejections behind that nobody waits for.
            [node, "--unhandled-rejections=none", str(NODE / "successors.js")],
            input=json.dumps(cases),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        with pouchdb.setup(":memory:", plugins=["couchapp", "validation", "all_dbs"]) as environment:
            ours = [_answer(environment[f"cases{number}"], each) for number, each in enumerate(cases)]
        self._pairs = [
            (_comparable(here, number), _comparable(there, number))
            for number, (here, there) in enumerate(zip(ours, json.loads(done.stdout), strict=True))
        ]
        self._places = {json.dumps(each): number for number, each in enumerate(cases)}

    def of(self, case: Case) -> tuple[Any, Any]:
        return self._pairs[self._places[json.dumps(case)]]


def _answer(db: Any, case: Case) -> dict[str, Any]:
    db.bulk_docs(case["docs"])
    db["_design/t"] = dict(case["ddoc"])
    *args, options = (
        case["args"] if len(case["args"]) > 1 and isinstance(case["args"][-1], dict) else (*case["args"], {})
    )
    found: dict[str, Any] = {}
    try:
        found["ok"] = getattr(db, case["method"])(*args, **options)
    except pouchdb.PouchDBError as error:
        found["error"] = {"status": error.status, "name": error.name, "message": error.message}
    if case["after"]:
        try:
            found["after"] = db.get(case["after"])
        except pouchdb.PouchDBError as error:
            found["after"] = {"status": error.status}
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


OWN = ("User-Agent", "uuid", "info", "secObj", "stack", "reason", "error", "thrown", "_revisions", "update_seq")
HEX = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f-]{27}")


def _comparable(value: Any, number: int, name: str = "") -> Any:
    """Return an answer without what is an engine's own: stacks, ids that are made, who is asked with what program."""
    if isinstance(value, dict):
        if name == "" and "error" in value:
            return {
                **_comparable({**value, "error": None}, number, "-"),
                "failed": _comparable(value["error"], number, "-"),
            }
        return {key: _comparable(each, number, key) for key, each in value.items() if key not in OWN}
    if isinstance(value, list):
        return [_comparable(each, number, name) for each in value]
    if not isinstance(value, str):
        return value
    text = HEX.sub("<made>", value.partition("\n\n")[0]).replace(f"cases{number}", "db")
    if name in ("body", "message") and text[:1] in "[{":
        try:
            return _comparable(json.loads(text), number, name)
        except ValueError:
            # Text that only looks like JSON.
            return text
    return text


@pytest.fixture(scope="module")
def both(node: str) -> Both:
    if not (NODE / "node_modules" / "pouchdb-show").is_dir():
        pytest.skip("call `make peers`: NO TEST against the successors of the original's plug-ins was made")
    return Both(node)


def _named(cases: list[Case]) -> Any:
    return pytest.mark.parametrize(
        "case",
        cases,
        ids=[f"{number} {each['method']} {each['args'][0]}"[:60] for number, each in enumerate(cases)],
    )


@_named(SHOWS)
def test_shows(both: Both, case: Case) -> None:
    here, there = both.of(case)
    assert here == there


@_named(LISTS)
def test_lists(both: Both, case: Case) -> None:
    here, there = both.of(case)
    assert here == there


@_named(UPDATES)
def test_updates(both: Both, case: Case) -> None:
    here, there = both.of(case)
    assert here == there


@_named(REWRITES)
def test_rewrites(both: Both, case: Case) -> None:
    here, there = both.of(case)
    assert here == there


@_named(JUDGED)
def test_validation(both: Both, case: Case) -> None:
    here, there = both.of(case)
    assert here == there


@pytest.mark.parametrize(("case", "why"), DECIDED, ids=[why for _, why in DECIDED])
def test_what_was_decided_otherwise(both: Both, case: Case, why: str) -> None:
    here, there = both.of(case)
    assert here != there, f"no difference any more: {why}"
