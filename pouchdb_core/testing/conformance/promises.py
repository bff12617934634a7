"""Checks of an adapter's test file: nothing of the suite is left out, nothing is changed in silence."""

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
    """Return what is wrong with an adapter's test file: classes it does not run, tests it replaces without a reason."""
    classes = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Suite)]
    run = [each for each in classes if each.__name__.startswith("Test")]
    wrong = [
        f"{module.__name__} does not run {topic.__name__}"
        for topic in suite
        if not any(issubclass(each, topic) for each in run)
    ]
    for each in run:
        theirs = {name for topic in suite if issubclass(each, topic) for name in dir(topic)}
        for base in each.__mro__:
            if base in suite or base is Suite or base is object:
                continue
            for name in sorted(theirs & vars(base).keys()):
                if name.startswith("__"):
                    continue
                if not (name.startswith("test_") and callable(vars(base)[name])):
                    wrong.append(f"{base.__name__}.{name} replaces what the suite needs")
                elif not getattr(vars(base)[name], "differs", None):
                    wrong.append(f"{base.__name__}.{name} replaces a test of the suite without saying why")
    return wrong
