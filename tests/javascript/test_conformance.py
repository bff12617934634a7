"""Semantics that every engine must show: spec/javascript.md, and CouchDB's query server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core.javascript import CompilationError, Engine, JavaScriptPool, Sandbox, SandboxKey, ThrownError

Make = Callable[..., Sandbox]


def run_map(sandbox: Sandbox, source: str, *documents: Any) -> list[Any]:
    sandbox.compile("m", "map", source)
    return [row[0] for row in sandbox.map(["m"], documents or [{"_id": "x", "n": 1}])]


def call(sandbox: Sandbox, source: str, *arguments: Any) -> Any:
    sandbox.compile("f", "update", source)
    return sandbox.call_each("f", [arguments])[0]


BODY = "{ emit(doc._id, doc.n); }"
SOURCES = {
    "plain": f"function (doc) {BODY}",
    "semicolon": f"function (doc) {BODY};",
    "two semicolons": f"function (doc) {BODY};;",
    "spaces and semicolons": f"  \n function (doc) {BODY} ; \n ; \n",
    "parenthesised": f"(function (doc) {BODY})",
    "parenthesised and semicolon": f"(function (doc) {BODY});",
    "leading comment": f"// what it does\n/* and why; */ function (doc) {BODY}",
    "trailing comment": f"function (doc) {BODY} // the end",
    "semicolon and comment": f"function (doc) {BODY}; // the end",
    "semicolon and comment with a semicolon": f"function (doc) {BODY}; // the end; of it",
    "semicolon and block comment": f"function (doc) {BODY}; /* the ; end */",
    "named": f"function by_id(doc) {BODY}",
    "CRLF": f"function (doc)\r\n{BODY};\r\n// the end\r\n",
    "BOM": f"\ufefffunction (doc) {BODY}",
    "BOM and comment": f"\ufeff// x\r\nfunction (doc) {BODY}",
    "helper function before": "function id(doc) { return doc._id; }\nfunction (doc) { emit(id(doc), doc.n); }",
    "helper variable before": "var one = function (d) { return d.n; };\nfunction (doc) { emit(doc._id, one(doc)); };",
    "helpers before a named one": "function a(d) { return d.n; } function m(doc) { emit(doc._id, a(doc)); }",
    "helper before a parenthesised one": "var k = 0;\n(function (doc) { emit(doc._id, doc.n + k); });",
    "require": 'require("views/lib/m").map',
    "require and semicolon": 'require("views/lib/m").map;',
    "returned by a call": "(function () { return function (doc) { emit(doc._id, doc.n); }; })()",
    "strings that look like ends": 'function (doc) { var s = "; // }"; emit(doc._id, doc.n); }',
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_function_source(make: Make, source: str) -> None:
    sandbox = make(views={"lib": {"m": f"exports.map = function (doc) {BODY};"}})
    assert run_map(sandbox, source) == [[["x", 1]]]


def test_function_source_arrow(engine: Engine, sandbox: Sandbox) -> None:
    if engine.name == "js2py":
        pytest.skip("js2py: ES5.1 has no arrow functions")
    sources = ["doc => emit(doc._id, doc.n)", "(doc) => { emit(doc._id, doc.n); };"]
    sources += ["const k = 0; doc => emit(doc._id, k + doc.n)", "async function (doc) { emit(doc._id, doc.n); }"]
    for source in sources:
        assert run_map(sandbox, source) == [[["x", 1]]], source


NO_FUNCTIONS = {
    "syntax error": "function (doc) { emit(",
    "empty": "",
    "white space": "  \n",
    "comment": "// function (doc) {}",
    "number": "42",
    "string": '"function (doc) {}"',
    "object": "({map: function (doc) {}})",
    "two anonymous functions": "function (doc) {} function (doc) {}",
    "undefined name": "nothing_of_that_name",
    "throws": "(function () { throw {forbidden: 'x'}; })()",
    "missing module": 'require("views/lib/none").map',
    "loose end": "function (doc) {} }",
}


@pytest.mark.parametrize("source", NO_FUNCTIONS.values(), ids=NO_FUNCTIONS.keys())
def test_compilation_error(engine: Engine, sandbox: Sandbox, source: str) -> None:
    if engine.name == "js2py" and source == NO_FUNCTIONS["two anonymous functions"]:
        pytest.skip("js2py: its parser takes function statements without a name")
    with pytest.raises(CompilationError) as caught:
        sandbox.compile("m", "map", source)
    assert caught.value.error == "compilation_error"
    assert caught.value.status == 500
    assert str(caught.value).startswith("Expression does not eval to a function.")
    assert run_map(sandbox, SOURCES["plain"]) == [[["x", 1]]]


def test_compilation_error_message_is_without_one_semicolon(sandbox: Sandbox) -> None:
    with pytest.raises(CompilationError) as caught:
        sandbox.compile("m", "map", "1 ; ")
    assert caught.value.reason == "Expression does not eval to a function. 1"


def test_helpers_of_two_functions_do_not_meet(sandbox: Sandbox) -> None:
    for name in ("a", "b"):
        sandbox.compile(name, "map", f"var name = '{name}'; function (doc) {{ emit(name, null); }}")
    assert sandbox.map(["a", "b"], [{}]) == [[[["a", None]], [["b", None]]]]


EMITTED = {
    "nothing": ("emit()", [None, None]),
    "undefined": ("emit(undefined, undefined)", [None, None]),
    "one": ("emit(1)", [1, None]),
    "more than two": ("emit(1, 2, 3)", [1, 2]),
    "NaN": ("emit(NaN, [NaN, Infinity, -Infinity])", [None, [None, None, None]]),
    "undefined inside": ("emit([undefined], {a: undefined, b: [undefined]})", [[None], {"b": [None]}]),
    "function": ("emit(function () {}, [function () {}])", [None, [None]]),
    "doubles": ("emit(1.0, [0.1, -0, 1e21, 5e-7])", [1, [0.1, 0, 1e21, 5e-7]]),
    "big integers": ("emit(9007199254740993, null)", [9007199254740992, None]),
    "unicode": ("emit('\\u65e5\\u672c', '\\ud83d\\ude00')", ["日本", "😀"]),
    "control characters": ("emit('\\u0000\\n\\u2028', '\"\\\\')", ["\0\n\u2028", '"\\']),
    "toJSON": ("emit({toJSON: function () { return [1]; }}, null)", [[1], None]),
    "names": (
        "emit({'__proto__x': 1, 'constructor': 2, '': 3}, null)",
        [{"__proto__x": 1, "constructor": 2, "": 3}, None],
    ),
}


@pytest.mark.parametrize(("statement", "pair"), EMITTED.values(), ids=EMITTED.keys())
def test_emit(sandbox: Sandbox, statement: str, pair: list[Any]) -> None:
    assert run_map(sandbox, f"function (doc) {{ {statement}; }}") == [[pair]]


def test_emit_date(engine: Engine, sandbox: Sandbox) -> None:
    if engine.name == "js2py":
        pytest.skip("js2py: its interpreter has no Date")
    source = "function (doc) { emit(new Date(0), {at: new Date(1)}); }"
    assert run_map(sandbox, source) == [[["1970-01-01T00:00:00.000Z", {"at": "1970-01-01T00:00:00.001Z"}]]]


def test_emit_takes_the_value_of_that_moment(sandbox: Sandbox) -> None:
    source = "function (doc) { var k = []; emit(k, k); k.push(1); emit(k, k); }"
    assert run_map(sandbox, source) == [[[[], []], [[1], [1]]]]


def test_emit_of_what_json_cannot_say_is_an_error_of_that_document(sandbox: Sandbox) -> None:
    source = "function (doc) { var a = {}; if (doc.n) { a.a = a; } emit(a, 1); }"
    good, bad = run_map(sandbox, source, {"n": 0}, {"n": 1})
    assert good == [[{}, 1]]
    assert isinstance(bad, ThrownError)
    assert bad.name == "TypeError"


def test_lone_surrogates_pass(sandbox: Sandbox) -> None:
    assert run_map(sandbox, "function (doc) { emit(doc.s, doc.s.length); }", {"s": "\ud800x"}) == [[["\ud800x", 2]]]


def test_numbers_are_doubles(sandbox: Sandbox) -> None:
    emitted = run_map(sandbox, "function (doc) { emit(doc.n, null); }", {"n": 1.0}, {"n": 2**53 + 1}, {"n": 1e300})
    assert emitted == [[[1, None]], [[2**53, None]], [[1e300, None]]]


def test_views_share_no_document_and_come_in_order(sandbox: Sandbox) -> None:
    sandbox.compile("a", "map", "function (doc) { doc.n.push(1); emit('a', doc.n); }")
    sandbox.compile("b", "map", "function (doc) { emit('b', doc.n); emit('c', 1); }")
    assert sandbox.map(["b", "a", "b"], [{"n": []}, {"n": [0]}]) == [
        [[["b", []], ["c", 1]], [["a", [1]]], [["b", []], ["c", 1]]],
        [[["b", [0]], ["c", 1]], [["a", [0, 1]]], [["b", [0]], ["c", 1]]],
    ]


def test_one_bad_document_and_one_bad_function_fail_nobody_else(sandbox: Sandbox) -> None:
    sandbox.compile("good", "map", "function (doc) { emit(doc.a.b, 1); }")
    sandbox.compile("bad", "map", "function (doc) { emit(1, 1); undefined_name(); }")
    rows = sandbox.map(["good", "bad"], [{"a": {"b": 1}}, {}, {"a": {"b": 2}}])
    assert [row[0] for row in rows][0::2] == [[[1, 1]], [[2, 1]]]
    assert isinstance(rows[1][0], ThrownError)
    assert rows[1][0].name == "TypeError"
    for row in rows:
        assert isinstance(row[1], ThrownError)
        assert row[1].name == "ReferenceError"
        assert "undefined_name" in str(row[1])


def test_no_documents(sandbox: Sandbox) -> None:
    sandbox.compile("m", "map", SOURCES["plain"])
    assert sandbox.map(["m"], []) == []
    assert sandbox.map([], [{}, {}]) == [[], []]


def test_documents_as_text(sandbox: Sandbox) -> None:
    assert run_map(sandbox, SOURCES["plain"], b'{"_id": "a",\r\n "n":\n1}', {"_id": "b"}) == [[["a", 1]], [["b", None]]]


THROWN: dict[str, tuple[str, Any]] = {
    "forbidden": ("({forbidden: 'no'})", {"forbidden": "no"}),
    "unauthorized": ("({unauthorized: 'who?'})", {"unauthorized": "who?"}),
    "both with other types": (
        "({forbidden: null, unauthorized: {a: 1}})",
        {"forbidden": None, "unauthorized": {"a": 1}},
    ),
    "unicode": ("({forbidden: '\\u65e5'})", {"forbidden": "日"}),
    "string": ("'just text'", "just text"),
    "null": ("null", None),
    "undefined": ("undefined", None),
    "number": ("7", 7),
    "array": ("['a', 1]", ["a", 1]),
}


@pytest.mark.parametrize(("value", "data"), THROWN.values(), ids=THROWN.keys())
def test_thrown_value_is_data(sandbox: Sandbox, value: str, data: Any) -> None:
    thrown = call(sandbox, f"function () {{ throw {value}; }}")
    assert isinstance(thrown, ThrownError)
    assert thrown.thrown == data
    assert thrown.name is None


def test_thrown_error_object(sandbox: Sandbox) -> None:
    thrown = call(sandbox, "function () { var e = new TypeError('odd'); e.forbidden = 'no'; throw e; }")
    assert isinstance(thrown, ThrownError)
    assert (thrown.name, thrown.message) == ("TypeError", "odd")
    assert thrown.thrown["forbidden"] == "no"
    assert thrown.error == "TypeError"
    thrown = call(sandbox, "function () { var e = new Error('odd'); e.name = 'Mine'; throw e; }")
    assert thrown.name == "Mine"


def test_thrown_text(sandbox: Sandbox) -> None:
    assert call(sandbox, "function () { throw {a: 1}; }").text == "[object Object]"
    assert call(sandbox, "function () { throw {toString: function () { throw 1; }}; }").text is None
    assert call(sandbox, "function () { throw null; }").text == "null"


def test_validation_gets_its_arguments_and_the_design_document(make: Make) -> None:
    sandbox = make(flag="yes")
    sandbox.compile(
        "v", "validate", "function (n, o, u, s) { throw {forbidden: [n.a, o, u.name, s.admins, this.flag]}; }"
    )
    outcomes = sandbox.call_each("v", [[{"a": 1}, None], [{"a": 2}, {}]], [{"name": "bob"}, {"admins": {}}])
    assert [outcome.thrown["forbidden"] for outcome in outcomes] == [
        [1, None, "bob", {}, "yes"],
        [2, {}, "bob", {}, "yes"],
    ]


def test_no_call_sees_what_another_did_to_shared_arguments(sandbox: Sandbox) -> None:
    sandbox.compile(
        "f", "filter", "function (doc, req) { req.seen.push(doc.n); return req.seen.length === 1 && doc.n > 1; }"
    )
    assert sandbox.call_each("f", [[{"n": n}] for n in range(4)], [{"seen": []}]) == [False, False, True, True]


def test_calls_with_none_to_six_arguments(sandbox: Sandbox) -> None:
    sandbox.compile("f", "update", "function () { return arguments.length; }")
    assert [sandbox.call_each("f", [list(range(n))])[0] for n in range(7)] == list(range(7))


def test_return_values(sandbox: Sandbox) -> None:
    assert call(sandbox, "function () {}") is None
    assert call(sandbox, "function () { return undefined; }") is None
    assert call(sandbox, "function (a, b) { return [b, a]; }", {"x": [1]}, "t") == ["t", {"x": [1]}]


def test_reduce(sandbox: Sandbox) -> None:
    sandbox.compile("sum", "reduce", "function (keys, values, rereduce) { return sum(values); }")
    sandbox.compile("see", "reduce", "function (keys, values, rereduce) { return [keys, values, rereduce]; }")
    keys = [["k", "id1"], ["k", "id2"]]
    assert sandbox.reduce(["sum", "see"], keys, [1, 2], False) == [3, [keys, [1, 2], False]]
    assert sandbox.reduce(["sum", "see"], None, [3, 4], True) == [7, [None, [3, 4], True]]
    assert sandbox.reduce_groups(["sum"], [(None, [n, n]) for n in range(250)], True) == [[2 * n] for n in range(250)]


def test_reduce_errors_are_of_one_group_and_one_function(sandbox: Sandbox) -> None:
    sandbox.compile("a", "reduce", "function (k, v) { if (v[0] === 1) { throw 'no'; } v.push(9); return v.length; }")
    sandbox.compile("b", "reduce", "function (k, v) { return v.length; }")
    (first, second), (third, fourth) = sandbox.reduce_groups(["a", "b"], [(None, [1]), (None, [2])], False)
    assert isinstance(first, ThrownError)
    assert (second, third, fourth) == (1, 2, 1)


def test_sum(sandbox: Sandbox) -> None:
    assert call(sandbox, "function () { return [sum([]), sum([1, 2]), sum(['a', 'b'])]; }") == [0, 3, "ab"]


def test_helpers(sandbox: Sandbox, logs: list[str]) -> None:
    assert call(sandbox, "function () { return [isArray([]), isArray({}), toJSON({a: [1]}), typeof JSON.parse]; }") == [
        True,
        False,
        '{"a":[1]}',
        "function",
    ]
    del logs[:]
    call(sandbox, "function () { log('text'); log({a: 1}); log(null); log(); }")
    assert logs == ["text", '{"a":1}', "null", "null"]


def test_log_is_bounded(sandbox: Sandbox, logs: list[str]) -> None:
    del logs[:]
    call(sandbox, "function () { for (var i = 0; i < 1000; i += 1) { log('line'); } }")
    assert len(logs) == 201
    assert "dropped" in logs[-1]


@pytest.mark.parametrize("name", ["emit", "start", "send", "getRow", "provides", "registerType"])
def test_what_belongs_to_other_kinds_is_not_defined(sandbox: Sandbox, name: str) -> None:
    thrown = call(sandbox, f"function () {{ return {name}('json', 1); }}")
    assert isinstance(thrown, ThrownError)
    assert thrown.name == "ReferenceError"


# ---- require --------------------------------------------------------------------------------------------------------


def test_require(make: Make) -> None:
    sandbox = make(
        lib={
            "a": "exports.name = 'a'; exports.b = require('./sub/b').name; exports.id = module.id;",
            "sub": {"b": "exports.name = 'b of ' + require('../c').name;", "d": "module.exports = 7;"},
            "c": "exports.name = 'c';",
        }
    )
    source = "function () { var a = require('lib/a'); return [a.name, a.b, a.id, require('lib/sub/d')]; }"
    assert call(sandbox, source) == ["a", "b of c", "lib/a", 7]


def test_modules_see_the_helpers(make: Make) -> None:
    sandbox = make(lib={"m": "exports.x = [isArray([]), sum([1, 2]), toJSON(1), typeof log];"})
    assert call(sandbox, "function () { return require('lib/m').x; }") == [True, 3, "1", "function"]


def test_module_cache(make: Make) -> None:
    sandbox = make(lib={"m": "exports.n = 0;"})
    source = "function () { require('lib/m').n += 1; require('./lib/../lib/m').n += 1; return require('lib/m').n; }"
    assert call(sandbox, source) == 2


def test_module_cycle(make: Make) -> None:
    sandbox = make(
        lib={
            "a": "exports.one = 1; exports.b = require('./b').seen; exports.two = 2;",
            "b": "var a = require('./a'); exports.seen = [a.one, a.two === undefined];",
        }
    )
    assert call(sandbox, "function () { return require('lib/a').b; }") == [1, True]


def test_module_that_throws_is_tried_again(make: Make) -> None:
    sandbox = make(lib={"m": "throw {forbidden: 'here'};"})
    for _ in range(2):
        assert call(sandbox, "function () { return require('lib/m'); }").thrown == {"forbidden": "here"}


BAD_PATHS = {
    "missing": ("lib/none", 'Object has no property "none"'),
    "missing above": ("none/m", 'Object has no property "none"'),
    "inherited": ("lib/constructor", 'Object has no property "constructor"'),
    "prototype": ("__proto__/x", 'Object has no property "__proto__"'),
    "below a string": ("lib/m/length", 'Object has no property "length"'),
    "below a list": ("list/0", 'Object has no property "0"'),
    "an object": ("lib", "Must require a JavaScript string, not: object"),
    "a number": ("number", "Must require a JavaScript string, not: number"),
    "above the top": ("../x", "Object has no parent"),
}


@pytest.mark.parametrize(("path", "message"), BAD_PATHS.values(), ids=BAD_PATHS.keys())
def test_require_error(make: Make, path: str, message: str) -> None:
    sandbox = make(lib={"m": "exports.x = 1;"}, number=1, list=["exports.x = 1;"])
    thrown = call(sandbox, f"function () {{ return require('{path}').x; }}")
    assert isinstance(thrown, ThrownError)
    assert (thrown.name, thrown.message) == ("invalid_require_path", message)


def test_views_require_only_below_views_lib(make: Make) -> None:
    sandbox = make(views={"lib": {"m": "exports.x = 1;"}}, lib={"m": "exports.x = 2;"})
    inside, outside = (
        "function (doc) { emit(require('views/lib/m').x); }",
        "function (doc) { emit(require('lib/m').x); }",
    )
    assert run_map(sandbox, inside) == [[[1, None]]]
    (error,) = run_map(sandbox, outside)
    assert isinstance(error, ThrownError)
    assert error.name == "invalid_require_path"


def test_require_reads_the_document_as_it_was(make: Make) -> None:
    sandbox = make(lib={"m": "exports.x = 1;"})
    assert call(sandbox, "function () { this.lib.m = 'exports.x = 2;'; return require('lib/m').x; }") == 1


# ---- isolation ------------------------------------------------------------------------------------------------------


def test_contexts_share_nothing(worker: JavaScriptPool) -> None:
    bad = worker.open(SandboxKey("db", "_design/bad", "1-a"), {})
    good = worker.open(SandboxKey("db", "_design/good", "1-a"), {})
    assert call(bad, "function () { Object.prototype.x = 1; Array.prototype.push = JSON = null; return (y = 1); }") == 1
    assert call(good, "function () { return [typeof {}.x, typeof [].push, typeof JSON, typeof y]; }") == [
        "undefined",
        "function",
        "object",
        "undefined",
    ]
    other = worker.open(SandboxKey("other", "_design/bad", "1-a"), {})
    assert call(other, "function () { return typeof {}.x; }") == "undefined"


def test_globals_of_engine_and_dispatcher_are_absent(sandbox: Sandbox) -> None:
    names = [
        "dispatch",
        "std",
        "os",
        "print",
        "console",
        "process",
        "pyimport",
        "Deno",
        "fetch",
        "setTimeout",
        "window",
        "exports",
    ]
    absent = "function (name) { try { return eval('typeof ' + name) !== 'undefined'; } catch (e) { return false; } }"
    assert call(sandbox, f"function () {{ return {names!r}.filter({absent}); }}") == []
