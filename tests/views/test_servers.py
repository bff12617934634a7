"""View servers: everything that plug-ins run of a design document goes through ``Functions``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import pouchdb
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import Forbidden, FunctionError
from pouchdb_core.javascript import Answer, Limits, ThrownError
from pouchdb_core.views.servers import Functions, functions_of

Design = Callable[..., Any]

SOURCES = {
    "validate": "function (new_doc, old_doc, user, sec) { if (!new_doc.ok) { throw {forbidden: user.name}; } }",
    "show": "function (doc, req) { return {body: doc.n + req.query.n}; }",
    "update": "function (doc, req) { doc.n += 1; return [doc, 'done']; }",
    "list": "function (head, req) { var row; send(head.total_rows + ':'); while ((row = getRow())) { send(row.key); } "
    "return '.'; }",
    "throws": "function () { throw {error: 'mine', reason: 'because'}; }",
    "provides": "function () { provides('html', function () { return '<b>'; }); provides('json', function () { "
    "return '{}'; }); }",
    "endless": "function () { while (true) {} }",
}


def forbids(new_doc: Any, old_doc: Any, user: Any, sec: Any) -> None:
    if not new_doc.get("ok"):
        raise Forbidden(user["name"])


def listed(head: Any, req: Any, rows: Any) -> Any:
    yield f"{head['total_rows']}:"
    for row in rows:
        yield row["key"]
    return "."


def updated(doc: Any, req: Any) -> Any:
    doc["n"] += 1
    return [doc, "done"]


def throws() -> None:
    raise LookupError("because")


PYTHON = {
    "validate": forbids,
    "show": lambda doc, req: {"body": doc["n"] + req["query"]["n"]},
    "update": updated,
    "list": listed,
    "throws": throws,
}
KINDS = {"throws": "show", "provides": "show", "endless": "show"}


@pytest.fixture(params=["javascript", "python"])
def functions(request: pytest.FixtureRequest, database: SyncPouchDB, design: Design) -> Functions:
    for name, function in PYTHON.items():
        database.environment.register_function(name, function)
    sources = SOURCES if request.param == "javascript" else {name: name for name in PYTHON}
    functions = functions_of(database, design("app", language=request.param))
    for name, source in sources.items():
        functions.compile(name, KINDS.get(name, name), source)
    return functions


def test_validation(functions: Functions) -> None:
    good, bad = functions.call_each("validate", [({"ok": 1}, None), ({}, {"ok": 1})], [{"name": "ada"}, {}])
    assert good is None
    if isinstance(bad, ThrownError):
        assert bad.thrown == {"forbidden": "ada"}
    else:
        assert isinstance(bad, Forbidden)
        assert bad.message == "ada"


def test_shows_and_updates(functions: Functions) -> None:
    answer = functions.call("show", [{"n": 1}, {"query": {"n": 2}}])
    assert (answer.value, answer.type) == ({"body": 3}, "object")
    answer = functions.call("update", [{"n": 1}, {}])
    assert (answer.value, answer.type) == ([{"n": 2}, "done"], "array")


def test_lists(functions: Functions) -> None:
    answer = functions.call("list", [{"total_rows": 2}, {}], rows=iter([{"key": "a"}, {"key": "b"}]))
    assert (answer.sent, answer.value, answer.type) == ("2:ab", ".", "string")


def test_lists_stream(functions: Functions) -> None:
    seen: list[int] = []

    def rows() -> Any:
        for n in range(500):
            seen.append(n)
            yield {"key": f"{n};"}

    streamed = functions.stream("list", [{"total_rows": 2}, {}], rows())
    assert seen == []
    first = next(streamed)
    assert first.startswith("2:")
    assert len(seen) < 500
    assert (streamed.started, streamed.first, streamed.answer) == ({}, {}, None)
    assert first + "".join(streamed) == "2:" + "".join(f"{n};" for n in range(500))
    assert streamed.answer is not None
    assert (streamed.answer.value, streamed.answer.sent) == (".", "")
    unread = functions.stream("list", [{"total_rows": 2}, {}], rows())
    next(unread)
    unread.close()
    assert list(unread) == []


def test_streams_raise_what_a_function_throws(functions: Functions) -> None:
    streamed = functions.stream("throws", [])
    with pytest.raises((ThrownError, LookupError)):
        next(streamed)


def test_a_stream_that_is_stopped_is_an_error_of_ours() -> None:
    with pouchdb.setup(":memory:", plugins=[], js_limits=Limits(seconds=0.3)) as environment:
        database = environment["test"]
        database.put({"_id": "_design/a"})
        functions = functions_of(database, database.get("_design/a"))
        functions.compile("endless", "list", SOURCES["endless"])
        with pytest.raises(FunctionError) as caught:
            next(functions.stream("endless", []))
        assert caught.value.name == "os_process_timeout"


def test_the_head_of_a_response_in_python(database: SyncPouchDB, design: Design) -> None:
    def page(doc: Any, req: Any) -> Any:
        yield {"code": 201}
        yield "a"
        return "b"

    database.environment.register_function("page", page)
    functions = functions_of(database, design("app", language="python"))
    functions.compile("page", "show", "page")
    answer = functions.call("page", [{}, {}])
    assert (answer.started, answer.sent, answer.value) == ({"code": 201}, "a", "b")


def test_what_a_function_throws_is_raised_as_it_is(functions: Functions) -> None:
    with pytest.raises((ThrownError, LookupError)) as caught:
        functions.call("throws", [])
    if isinstance(caught.value, ThrownError):
        assert caught.value.thrown == {"error": "mine", "reason": "because"}


def test_negotiation(database: SyncPouchDB, design: Design) -> None:
    functions = functions_of(database, design("app"))
    functions.compile("provides", "show", SOURCES["provides"])

    def negotiate(answer: Answer) -> str:
        assert answer.providers == ["html", "json"]
        return "json"

    assert functions.call("provides", [], negotiate=negotiate).value == "{}"


def test_what_python_may_not_answer(database: SyncPouchDB, design: Design) -> None:
    def numbers(doc: Any, req: Any) -> Any:
        yield 1

    for name, function in {"numbers": numbers, "set": lambda doc, req: {1}}.items():
        database.environment.register_function(name, function)
        functions = functions_of(database, design("app", language="python"))
        functions.compile(name, "show", name)
        with pytest.raises((TypeError, ValueError, pouchdb.BadRequest)):
            functions.call(name, [{}, {}])


def test_a_function_that_never_ends_is_an_error_with_a_name() -> None:
    with pouchdb.setup(":memory:", plugins=[], js_limits=Limits(seconds=0.3)) as environment:
        database = environment["test"]
        database.put({"_id": "_design/a"})
        functions = functions_of(database, database.get("_design/a"))
        functions.compile("endless", "show", SOURCES["endless"])
        with pytest.raises(FunctionError) as caught:
            functions.call("endless", [])
        assert caught.value.name == "os_process_timeout"
