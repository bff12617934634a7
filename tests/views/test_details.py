"""What a function said is kept in the details of our errors: what it threw, and where it does not compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import FunctionError
from pouchdb_core.views.mapreduce import function_error
from pouchdb_core.views.servers import functions_of

Design = Callable[..., Any]


@pytest.mark.parametrize(
    ("body", "thrown"),
    [
        ("throw {forbidden: 'no', n: [1]};", {"name": None, "value": {"forbidden": "no", "n": [1]}}),
        ("throw 'text';", {"name": None, "value": "text", "text": "text"}),
        ("throw ['error', 'a', 'b'];", {"value": ["error", "a", "b"]}),
        ("throw null;", {"name": None, "value": None, "text": "null"}),
        ("throw new TypeError('bad');", {"name": "TypeError", "message": "bad", "text": "TypeError: bad"}),
        ("missing();", {"name": "ReferenceError"}),
    ],
)
def test_what_is_thrown(database: SyncPouchDB, design: Design, body: str, thrown: dict[str, Any]) -> None:
    functions = functions_of(database, design("app"))
    functions.compile("f", "validate", f"function () {{ {body} }}")
    [error] = functions.call_each("f", [[]])
    details = function_error(error, "here").details["thrown"]
    assert {name: details[name] for name in thrown} == thrown
    assert ("stack" in details) is True


def test_what_python_raised(database: SyncPouchDB) -> None:
    assert function_error(LookupError("x"), "here").details == {"thrown": {"name": "LookupError", "message": "x"}}


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("function (doc) {\n  var x = ;\n}", 2, 11),
        ("function (doc) { emit(; }", 1, 23),
        ("(function (doc) {\n\n ?? })", 3, 2),
        ("var a = 1;\nvar = 2;", 2, 5),
    ],
)
def test_where_a_source_does_not_compile(
    database: SyncPouchDB, design: Design, source: str, line: int, column: int
) -> None:
    functions = functions_of(database, design("app"))
    with pytest.raises(FunctionError) as caught:
        functions.compile("f", "map", source)
    error = caught.value
    assert error.name == "compilation_error"
    assert error.details["source"] == source
    assert (error.details["line"], error.details["column"]) == (line, column)
    assert error.details["thrown"]["name"] == "SyntaxError"
    assert error.details["thrown"]["message"]


@pytest.mark.parametrize("source", ["5", "throw {a: 1}", "function", ""])
def test_what_does_not_compile_without_a_place(database: SyncPouchDB, design: Design, source: str) -> None:
    functions = functions_of(database, design("app"))
    with pytest.raises(FunctionError) as caught:
        functions.compile("f", "map", source)
    assert caught.value.details["source"] == source
    assert "thrown" in caught.value.details
