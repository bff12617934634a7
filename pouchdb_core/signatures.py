"""Signatures of a user's functions: which arguments they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["misfit", "positionals", "takes_second"]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter] | None:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # Some callables of C have no signature.
        return None


def positionals(function: Callable[..., Any]) -> int:
    """Return how many positional arguments a function takes; a great number if it takes any."""
    parameters = _parameters(function)
    if parameters is None:
        return 1
    kinds = [each.kind for each in parameters]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 100
    return sum(kind in _POSITIONAL for kind in kinds)


def takes_second(function: Callable[..., Any], name: str) -> bool:
    """Return whether a function wants a second argument, which is called ``name`` by convention.

    A second parameter that has a default is the function's own, as in ``lambda doc, field=field: ...``,
    unless it has that name.
    """
    parameters = _parameters(function) or []
    positional = [each for each in parameters if each.kind in _POSITIONAL]
    if len(positional) >= 2:
        return positional[1].default is inspect.Parameter.empty or positional[1].name == name
    return any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters)


def misfit(function: Callable[..., Any], least: int, most: int) -> str | None:
    """Return why a function cannot be called with ``least`` to ``most`` arguments for its result; None if it can."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "it is asynchronous"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    for count in range(least, most + 1):
        try:
            signature.bind(*[None] * count)
        except TypeError:
            continue
        return None
    return f"it takes {signature}"
