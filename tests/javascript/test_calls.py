"""The general call: what show, list and update functions may do besides returning a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core.javascript import Answer, Sandbox, ThrownError

Make = Callable[..., Sandbox]


def call(sandbox: Sandbox, kind: str, source: str, *arguments: Any, **options: Any) -> Answer:
    sandbox.compile(f"{kind} {source}", kind, source)
    return sandbox.call(f"{kind} {source}", arguments, **options)


def test_update(make: Make) -> None:
    answer = call(make(flag=1), "update", "function (doc, req) { return [doc, this.flag + req.n]; }", None, {"n": 2})
    assert answer == Answer([None, 3], "array", None, "", [], [])


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("undefined", "undefined"),
        ("null", "null"),
        ("'x'", "string"),
        ("1", "number"),
        ("false", "boolean"),
        ("[]", "array"),
        ("({})", "object"),
    ],
)
def test_type_of_the_value(sandbox: Sandbox, expression: str, kind: str) -> None:
    assert call(sandbox, "show", f"function () {{ return {expression}; }}").type == kind


def test_what_is_thrown_is_raised(sandbox: Sandbox) -> None:
    with pytest.raises(ThrownError) as caught:
        call(sandbox, "show", "function () { throw {forbidden: 'no'}; }")
    assert caught.value.thrown == {"forbidden": "no"}


def test_list(sandbox: Sandbox) -> None:
    source = """function (head, req) {
        var row, sum = 0;
        start({code: 201}); start({code: 202});
        send('<' + head.total_rows + '>');
        while ((row = getRow())) { send(row.key); sum += row.value; }
        send({}); send(getRow() === null);
        return ' sum ' + sum;
    }"""
    rows = [{"key": "a", "value": 1}, {"key": "b", "value": 2}]
    assert call(sandbox, "list", source, {"total_rows": 2}, {}, rows=rows) == Answer(
        " sum 3", "string", {"code": 202}, "<2>ab[object Object]true", [], [], first={"code": 201}
    )
    assert call(sandbox, "list", source, {"total_rows": 0}, {}).sent == "<0>[object Object]true"


def test_send_starts(sandbox: Sandbox) -> None:
    late = call(sandbox, "show", "function () { send('x'); start({code: 300}); }")
    assert (late.started, late.first) == ({"code": 300}, {})
    gone = call(sandbox, "list", "function () { send('x'); getRow(); start({code: 300}); }")
    assert (gone.started, gone.first) == ({}, {})
    read = call(sandbox, "list", "function () { getRow(); }")
    assert (read.started, read.first) == ({}, {})
    assert call(sandbox, "show", "function () { return 'x'; }").started is None


def test_provides(sandbox: Sandbox) -> None:
    source = """function (doc, req) {
        registerType('foo', 'application/foo', 'application/x-foo');
        provides('foo', function () { send('sent'); return 'foo of ' + doc.name; });
        provides('html', function () { return {body: 'html', self: this === undefined}; });
    }"""
    asked: list[Answer] = []

    def negotiate(answer: Answer) -> str:
        asked.append(answer)
        return "foo"

    answer = call(sandbox, "show", source, {"name": "x"}, {}, negotiate=negotiate)
    assert asked[0].providers == ["foo", "html"]
    assert asked[0].types == [["foo", "application/foo", "application/x-foo"]]
    assert (answer.value, answer.sent) == ("foo of x", "sent")
    unasked = call(sandbox, "show", source, {"name": "x"}, {}, negotiate=lambda answer: None)
    assert unasked.type == "undefined"


def test_nothing_is_left_for_the_next_call(sandbox: Sandbox) -> None:
    call(sandbox, "show", "function () { start({code: 1}); send('x'); provides('html', function () {}); }")
    assert call(sandbox, "show", "function () { return 1; }") == Answer(1, "number", None, "", [], [])


@pytest.mark.parametrize("kind", ["show", "list"])
def test_row_is_for_lists_only(sandbox: Sandbox, kind: str) -> None:
    source = "function () { return getRow() === null; }"
    if kind == "list":
        assert call(sandbox, kind, source).value is True
    else:
        with pytest.raises(ThrownError, match="getRow is not defined"):
            call(sandbox, kind, source)
