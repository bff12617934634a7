"""Checks of an adapter's test file: nothing of the suite is left out, nothing is changed silently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeVar

from pouchdb_core.testing.conformance.subject import Suite

__all__ = ["check_module", "differs"]

F = TypeVar("F", bound=Callable[..., Any])


def differs(reason: str) -> Callable[[F], F]:
    """Mark a test of an adapter that replaces one of the suite, saying why the adapter differs."""
    if not reason:
        raise ValueError("say why the adapter differs")

    def mark(test: F) -> F:
        test.differs = reason  # type: ignore[attr-defined]
        return test

    return mark


def check_module(module: ModuleType, suite: Sequence[type[Suite]]) -> list[str]:
    """Return what is wrong with an adapter's test file.

    That is classes it does not run, tests it replaces without a reason, and marks that leave out
    what they mark: its capabilities say what an adapter cannot do.
    """
    classes = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Suite)]
    run = [each for each in classes if each.__name__.startswith("Test")]
    wrong = [
        f"{module.__name__} does not run {topic.__name__}"
        for topic in suite
        if not any(issubclass(each, topic) for each in run)
    ]
    wrong += [f"{module.__name__} is marked {mark}" for mark in _leaves_out(module)]
    for each in run:
        theirs = {name for topic in suite if issubclass(each, topic) for name in dir(topic)}
        for base in each.__mro__:
            if base in suite or base is Suite or base is object:
                continue
            wrong += [f"{base.__name__} is marked {mark}" for mark in _leaves_out(base)]
            for name in sorted(theirs & vars(base).keys()):
                if name.startswith("__"):
                    continue
                if not (name.startswith("test_") and callable(vars(base)[name])):
                    wrong.append(f"{base.__name__}.{name} replaces what the suite needs")
                elif not getattr(vars(base)[name], "differs", None):
                    wrong.append(f"{base.__name__}.{name} replaces a test of the suite without saying why")
    return wrong


def _leaves_out(place: ModuleType | type) -> list[str]:
    """Return why a module or class is not run, or may fail."""
    marks = vars(place).get("pytestmark", [])
    names = [mark.name for mark in (marks if isinstance(marks, list) else [marks])]
    found = [name for name in names if name in ("skip", "skipif", "xfail")]
    if not vars(place).get("__test__", True):
        found.append("__test__ = False")
    return found
