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

    A Python callable takes ``(doc)`` or ``(doc, req)``; ``req.query`` holds ``query_params``. A second
    parameter that has a default is the caller's own unless it is called ``req``. What the function
    raises is an error of the call.
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
    if not _takes_request(function):
        return lambda doc: bool(function(doc))
    req = Record(query=Record(request.query_params))
    return lambda doc: bool(function(doc, req))


def _is_design(doc: Record) -> bool:
    return str(doc["_id"]).startswith("_design/")


def _takes_request(function: Callable[..., Any]) -> bool:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        # Some callables of C have no signature.
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [each for each in parameters if each.kind in kinds]
    if len(positional) >= 2:
        return positional[1].default is inspect.Parameter.empty or positional[1].name == "req"
    return any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters)
