"""Which changes a reader wants to see."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pouchdb_core.errors import BadRequest, NotSupported
from pouchdb_core.requests import Changes
from pouchdb_core.results import Record

__all__ = ["Predicate", "predicate"]

Predicate = Callable[[Record], bool]


def predicate(request: Changes) -> Predicate | None:
    """Return the filter of a request as a function of a document, or None when it filters nothing.

    A Python callable takes ``(doc)`` or ``(doc, req)``; ``req.query`` holds ``query_params``. What
    it raises is an error of the call.
    """
    wanted = request.filter
    if wanted is None:
        return None
    if isinstance(wanted, str):
        if wanted == "_design":
            return _is_design
        raise NotSupported(f"filter {wanted!r}: filters of design documents need a JavaScript engine")
    if not callable(wanted):
        raise BadRequest(f"filter must be a function or a name, not {type(wanted).__name__}")
    function: Callable[..., Any] = wanted
    if _positionals(function) < 2:
        return lambda doc: bool(function(doc))
    req = Record(query=Record(request.query_params))
    return lambda doc: bool(function(doc, req))


def _is_design(doc: Record) -> bool:
    return str(doc["_id"]).startswith("_design/")


def _positionals(function: Callable[..., Any]) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        # Some callables of C have no signature.
        return 1
    kinds = [each.kind for each in parameters]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 2
    return sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)
