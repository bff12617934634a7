"""Which arguments a user's function takes."""

from __future__ import annotations

from typing import Any

import pytest

from pouchdb_core.signatures import misfit, positionals, takes_second


def test_positional_arguments() -> None:
    assert positionals(lambda: 1) == 0
    assert positionals(lambda a, b=1: 1) == 2
    assert positionals(lambda *a: 1) > 5
    assert positionals(dict.fromkeys) >= 1
    assert positionals(int) >= 1


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda doc: 1, False),
        (lambda doc, emit: 1, True),
        (lambda doc, e: 1, True),
        (lambda doc, e=None: 1, False),
        (lambda doc, emit=None: 1, True),
        (lambda *args: 1, True),
        (lambda doc, *, emit=None: 1, False),
        (int, False),
    ],
    ids=["one", "two", "another name", "own default", "default", "any", "named", "no signature"],
)
def test_a_second_argument(function: Any, wanted: bool) -> None:
    assert takes_second(function, "emit") is wanted


def test_functions_that_cannot_be_called() -> None:
    async def asynchronous(doc: Any) -> None: ...

    async def generating(doc: Any) -> Any:
        yield 1

    assert misfit(lambda doc: 1, 1, 2) is None
    assert misfit(lambda *a: 1, 1, 2) is None
    assert misfit(lambda doc, x, y=1: 1, 1, 2) is None
    assert misfit(dict, 1, 2) is None
    assert misfit(lambda: 1, 1, 2) == "it takes ()"
    assert misfit(lambda a, b, c: 1, 1, 2) == "it takes (a, b, c)"
    assert misfit(asynchronous, 1, 2) == misfit(generating, 1, 2) == "it is asynchronous"
