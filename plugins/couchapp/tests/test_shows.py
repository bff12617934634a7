"""Show functions here: every row of the worked examples, of responses, negotiation and errors (spec: plugins, 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pouchdb_couchapp import DesignError, NotAcceptable

import pouchdb
from pouchdb_core.errors import FunctionError, NotFound, PouchDBError

Put = Callable[..., Any]
HTML = "text/html; charset=utf-8"


def shown(db: Any, design: Put, body: str, path: str = "t/s", /, **options: Any) -> Any:
    design(shows={"s": f"function (doc, req) {{ {body} }}"})
    return db.show(path, **options)


@pytest.mark.parametrize(
    ("body", "response"),
    [
        ("return 'hi';", {"body": "hi", "code": 200, "headers": {"Vary": "Accept", "Content-Type": HTML}}),
        *(
            (f"return {value};", {"body": "", "code": 200, "headers": {"Vary": "Accept", "Content-Type": HTML}})
            for value in ("42", "null", "[1]", "false", "", "undefined", "new Date(0)")
        ),
        (
            "return {code: 302, headers: {Location: '/x'}};",
            {"body": "", "code": 302, "headers": {"Location": "/x", "Vary": "Accept", "Content-Type": HTML}},
        ),
        (
            "return {json: {a: 1}};",
            {
                "json": {"a": 1},
                "body": '{"a":1}',
                "code": 200,
                "headers": {"Vary": "Accept", "Content-Type": "application/json"},
            },
        ),
        (
            "return {code: '201', body: 'x'};",
            {"body": "x", "code": "201", "headers": {"Vary": "Accept", "Content-Type": HTML}},
        ),
        (
            "return {json: 0};",
            {"json": 0, "body": "0", "code": 200, "headers": {"Vary": "Accept", "Content-Type": "application/json"}},
        ),
        (
            "return {base64: 'SGk='};",
            {"base64": "SGk=", "code": 200, "headers": {"Vary": "Accept", "Content-Type": "application/binary"}},
        ),
        (
            "return {body: 'x', headers: {'Content-Type': 'text/x', Vary: 'Foo'}};",
            {"body": "x", "code": 200, "headers": {"Content-Type": "text/x", "Vary": "Foo"}},
        ),
        (
            "return {body: 'x', headers: {'content-type': 'text/x', Etag: 'mine'}};",
            {"body": "x", "code": 200, "headers": {"content-type": "text/x", "Vary": "Accept"}},
        ),
        (
            "return {body: 'é𝄞', stop: true};",
            {"body": "é𝄞", "stop": True, "code": 200, "headers": {"Vary": "Accept", "Content-Type": HTML}},
        ),
        (
            "start({code: 201, headers: {A: 'b'}}); send('x'); return 'y';",
            {"body": "xy", "code": 201, "headers": {"A": "b", "Vary": "Accept", "Content-Type": HTML}},
        ),
    ],
)
def test_responses(db: Any, design: Put, body: str, response: Any) -> None:
    assert shown(db, design, body) == response


@pytest.mark.parametrize(
    ("response", "message"),
    [
        ("{body: 'x', abc: [1, 'y']}", '{<<"abc">>,<<[1,"y"]>>}'),
        ("{foo: {}}", '{<<"foo">>,<<{}>>}'),
        ("{code: 'x'}", '{<<"code">>,<<"x">>}'),
        ("{headers: 5}", '{<<"headers">>,<<5>>}'),
    ],
)
def test_members_that_a_response_does_not_have(db: Any, design: Put, response: str, message: str) -> None:
    with pytest.raises(DesignError) as caught:
        shown(db, design, f"return {response};")
    assert (caught.value.status, caught.value.name) == (500, "external_response_error")
    assert caught.value.message == f"Invalid data from external server: {message}"


PROVIDERS = """
    registerType('foo', 'application/foo; x=1', 'text/foo');
    provides('json', function () { return {json: {a: 1}}; });
    provides('html', function () { return '<b>'; });
    provides('css', function () { return 'b {}'; });
    provides('foo', function () { return 'foo'; });
"""


@pytest.mark.parametrize(
    ("accept", "type", "body"),
    [
        (None, HTML, "<b>"),
        ("*/*", HTML, "<b>"),
        ("", HTML, "<b>"),
        ("*", HTML, "<b>"),
        ("text/*", HTML, "<b>"),
        ("application/*", "application/json", '{"a":1}'),
        ("text/css,*/*;q=0.1", "text/css", "b {}"),
        ("text/foo", "text/foo", "foo"),
        ("text/x-json", "text/x-json", '{"a":1}'),
        ("text/html;q=0.1, application/json;q=0.9", "application/json", '{"a":1}'),
        ("text/html;q=0, */*;q=0.1", HTML, "<b>"),
        ("image/png, text/css", "text/css", "b {}"),
        ("APPLICATION/JSON", "application/json", '{"a":1}'),
    ],
)
def test_negotiation(db: Any, design: Put, accept: str | None, type: str, body: str) -> None:
    options = {} if accept is None else {"headers": {"accept": accept}}
    response = shown(db, design, PROVIDERS, **options)
    assert (response.headers["Content-Type"], response.body) == (type, body)


@pytest.mark.parametrize(("name", "type"), [("foo", "application/foo; x=1"), ("css", "text/css")])
def test_format_beats_accept(db: Any, design: Put, name: str, type: str) -> None:
    response = shown(db, design, PROVIDERS, query={"format": name}, headers={"Accept": "text/html"})
    assert response.headers["Content-Type"] == type


def test_what_is_not_acceptable(db: Any, design: Put) -> None:
    with pytest.raises(NotAcceptable) as caught:
        shown(db, design, PROVIDERS, headers={"Accept": "text/plain; q=1, image/png"})
    assert caught.value.status == 406
    assert caught.value.message == (
        "Content-Type(s) text/plain, image/png not supported, try one of: "
        "application/json,text/html; charset=utf-8,text/css,application/foo; x=1"
    )
    with pytest.raises(NotAcceptable, match=r'try one of: "'):
        shown(db, design, "provides('none', function () {});")
    with pytest.raises(DesignError) as unknown:
        shown(db, design, PROVIDERS, query={"format": "bar"})
    assert (unknown.value.status, unknown.value.name) == (500, "render_error")
    assert unknown.value.message == (
        "the format option is set to 'bar', but there's no provider registered for that format."
    )


@pytest.mark.parametrize(
    ("body", "response"),
    [
        ("provides('html', function () { return 5; });", ""),
        ("provides('all', function () { return 'x'; });", "x"),
        ("provides('html', function () { return 'b'; }); return 'a';", "ab"),
        ("provides('html', function () { send('b'); return 'c'; }); send('a');", "abc"),
        ("provides('html', function () { return {body: 'b', code: 201}; });", "b"),
    ],
)
def test_providers(db: Any, design: Put, body: str, response: str) -> None:
    answer = shown(db, design, body)
    assert (answer.body, answer.headers["Content-Type"]) == (response, HTML)


@pytest.mark.parametrize(
    ("body", "name", "text"),
    [
        ("abc();", "ReferenceError", "abc"),
        ("throw new TypeError('bad');", "TypeError", "bad"),
        ("provides('html', function () { abc(); });", "ReferenceError", "abc"),
        ("throw 'words';", "render_error", "words\n\nundefined"),
        ("throw {forbidden: 'no'};", "render_error", "[object Object]\n\nundefined"),
        ("throw {name: 'Mine', x: 1};", "Mine", "undefined"),
        ("throw null;", "render_error", "null"),
        ("throw ['error', 'mine', 'because'];", "mine", "because"),
        ("throw {error: 'mine', reason: 'because'};", "mine", "because"),
        ("emit(1);", "ReferenceError", "emit"),
        ("getRow();", "ReferenceError", "getRow"),
    ],
)
def test_what_a_function_throws(db: Any, design: Put, body: str, name: str, text: str) -> None:
    with pytest.raises(DesignError) as caught:
        shown(db, design, body)
    assert (caught.value.status, caught.value.name) == (500, name)
    assert text in caught.value.message
    assert "thrown" in caught.value.details


@pytest.mark.parametrize("source", ["function (", "5", "'text'", "function () {} function () {", "", 5, None, {}])
def test_what_does_not_compile(db: Any, design: Put, source: Any) -> None:
    design(shows={"s": source})
    with pytest.raises(FunctionError) as caught:
        db.show("t/s")
    assert (caught.value.status, caught.value.name) == (500, "compilation_error")
    if isinstance(source, str):
        assert caught.value.message == f"Expression does not eval to a function. {source}"


def test_a_semicolon_is_not_shown(db: Any, design: Put) -> None:
    design(shows={"s": "return 'x' ; "})
    with pytest.raises(FunctionError) as caught:
        db.show("t/s")
    assert caught.value.message == "Expression does not eval to a function. return 'x'"


def test_what_is_missing(db: Any, design: Put) -> None:
    with pytest.raises(NotFound) as caught:
        db.show("none/s")
    assert (caught.value.status, caught.value.message) == (404, "missing")
    design(shows={"s": "function (doc) { return doc.k; }"})
    for name in ("x", "constructor", ""):
        with pytest.raises(NotFound) as caught:
            db.show(f"t/{name}")
        assert caught.value.message == f"missing show function {name} on design doc _design/t"
    with pytest.raises(NotFound, match="missing show function undefined on design doc _design/t"):
        db.show("t")
    design()
    with pytest.raises(NotFound, match="missing show function s on design doc _design/t"):
        db.show("t/s")


def test_documents(db: Any, design: Put) -> None:
    source = "return doc ? doc._id : String(doc) + ' ' + req.id;"
    db.put({"_id": "a/b c"})
    for id in ("d1", "a/b c", "_design/t"):
        assert shown(db, design, source, f"t/s/{id}").body == id
    assert shown(db, design, source, "t/s/none").body == "null none"
    assert shown(db, design, source).body == "null null"


@pytest.mark.parametrize(
    "failing",
    ["return doc.k;", "throw 'x';", "throw ['error', 'mine', 'y'];", "throw {error: 'a', reason: 'b'};", PROVIDERS],
)
def test_whatever_fails_of_a_missing_document_is_not_found(db: Any, design: Put, failing: str) -> None:
    """As in CouchDB and pouchdb-show; without an id the error is that of the function."""
    with pytest.raises(NotFound) as caught:
        shown(db, design, failing, "t/s/none", headers={"Accept": "image/png"})
    assert caught.value.message == "document not found"
    with pytest.raises((DesignError, NotAcceptable)):
        shown(db, design, failing, headers={"Accept": "image/png"})


def test_options_of_get_choose_the_document(db: Any, design: Put) -> None:
    old = db.get("d1")["_rev"]
    db["d1"] = {"k": 2}
    assert shown(db, design, "return String(doc.k);", "t/s/d1", rev=old).body == "1"
    assert shown(db, design, "return String(doc.k);", "t/s/d1", query={"rev": old}).body == "2"


def test_require_and_this(db: Any, design: Put) -> None:
    design(
        shows={"s": "function () { return require('lib/m').hello + this.lib.n + toJSON(isArray([])) + sum([1, 2]); }"},
        lib={"m": "exports.hello = require('./n').word;", "n": "exports.word = 'hello ';"},
    )
    assert db.show("t/s").body == "hello exports.word = 'hello ';true3"
    design(shows={"s": "function () { return require('lib/none').x; }"})
    with pytest.raises(DesignError) as caught:
        db.show("t/s")
    assert caught.value.name == "invalid_require_path"


# ---- the request object ---------------------------------------------------------------------------------------------


def seen(db: Any, design: Put, path: str = "t/s", /, **options: Any) -> Any:
    return shown(db, design, "return {json: req};", path, **options).json


def test_request_object(db: Any, design: Put) -> None:
    request = seen(db, design)
    assert request["body"] == "undefined"
    assert (request["cookie"], request["form"], request["query"]) == ({}, {}, {})
    assert request["headers"]["Host"] == "localhost:5984"
    assert request["headers"]["Accept"] == "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    for word in ("Mozilla", "AppleWebKit", "KHTML", "Gecko"):
        assert word in request["headers"]["User-Agent"]
    assert request["info"]["db_name"] == "rw0"
    assert (request["method"], request["peer"], request["id"]) == ("GET", "127.0.0.1", None)
    assert request["path"] == request["requested_path"] == ["rw0", "_design", "t", "_show", "s"]
    assert request["raw_path"] == "/rw0/_design/t/_show/s"
    assert request["secObj"] == {"admins": {"names": [], "roles": []}, "members": {"names": [], "roles": []}}
    assert request["userCtx"] == {"db": "rw0", "name": None, "roles": ["_admin"]}
    assert len(request["uuid"]) > 30
    assert request["uuid"] != seen(db, design)["uuid"]


def test_what_is_given_is_merged(db: Any, design: Put) -> None:
    request = seen(
        db,
        design,
        "t/s/d1",
        headers={"x-a": "b", "host": "h"},
        userCtx={"name": "bob"},
        path=["x"],
        secObj={"admins": {"names": ["ann"]}},
        extra=[1],
    )
    assert (request["headers"]["X-A"], request["headers"]["Host"]) == ("b", "h")
    assert request["userCtx"] == {"db": "rw0", "name": "bob", "roles": ["_admin"]}
    assert (request["path"], request["extra"], request["id"]) == (["x"], [1], "d1")
    assert request["secObj"] == {"admins": {"names": ["ann"], "roles": []}, "members": {"names": [], "roles": []}}
    assert seen(db, design, user_ctx={"roles": []})["userCtx"]["roles"] == []


def test_query(db: Any, design: Put) -> None:
    request = seen(db, design, query={"a": 1, "b": [True, "é x"], "c": None, "d": {}})
    text = "a=1&b=true&b=%C3%A9%20x&c=&d="
    assert request["raw_path"] == f"/rw0/_design/t/_show/s?{text}"
    assert request["requested_path"][-1] == f"s?{text}"
    assert request["path"][-1] == "s"


def test_form(db: Any, design: Put) -> None:
    request = seen(db, design, form={"a": "b c"})
    assert (request["body"], request["method"]) == ("a=b%20c", "POST")
    assert request["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    assert request["headers"]["Content-Length"] == "7"
    parsed = seen(db, design, body="a=1&b=%20&a=2", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert parsed["form"] == {"a": "2", "b": " "}


@pytest.mark.parametrize(
    ("body", "text"), [("x", "x"), (b"\xc3\xa9", "é"), ({"a": [1]}, '{"a":[1]}'), (pouchdb.context.Blob(b"x"), "x")]
)
def test_bodies(db: Any, design: Put, body: Any, text: str) -> None:
    request = seen(db, design, body=body)
    assert (request["body"], request["method"]) == (text, "POST")
    assert seen(db, design, body=body, method="PUT")["method"] == "PUT"


def test_the_callers_options_are_not_changed(db: Any, design: Put) -> None:
    options = {"query": {"a": 1}, "headers": {"x": "y"}, "form": {"f": 1}}
    design(shows={"s": "function () { return 'x'; }"})
    db.show("t/s", options)
    db.show("t/s", options, query={"b": 2})
    assert options == {"query": {"a": 1}, "headers": {"x": "y"}, "form": {"f": 1}}


def test_a_path_that_is_no_text(db: Any) -> None:
    with pytest.raises(PouchDBError) as caught:
        db.show(5)
    assert caught.value.status == 400
