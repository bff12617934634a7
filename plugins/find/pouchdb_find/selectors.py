"""Selectors in CouchDB's normal form.

Every selector becomes a tree of objects with one field each: implied equality and ``$and`` are spelled out,
field names are pushed down to the conditions (``{"a": {"b": 1}}`` is ``{"a.b": {"$eq": 1}}``), and negations are
pushed down to the operators, which defines the meaning of a missing field: ``{"$not": {"a": 1}}`` is
``{"a": {"$ne": 1}}`` and matches no document without ``a``. The rules are those of CouchDB's mango_selector.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import jsonable
from pouchdb_find.errors import FindError, shown
from pouchdb_find.regexes import matcher, source_of

__all__ = ["COMPARISONS", "MOST_LEVELS", "Selector", "conjuncts", "normalize", "single"]

Selector = dict[str, Any]
"""A selector in normal form: at most one field."""

MOST_LEVELS = 100
"""How deep a selector may be nested; the JSON below ``$eq`` and the like counts too."""
COMPARISONS = ("$eq", "$ne", "$lt", "$lte", "$gt", "$gte")
_NESTED = ("$elemMatch", "$allMatch", "$keyMapMatch")
_UNSUPPORTED = ("$where", "$geoWithin", "$geoIntersects", "$near", "$nearSphere")


def normalize(selector: Any) -> Selector:
    """Return a selector in normal form. Raises FindError if it is invalid; the argument is not changed."""
    if not isinstance(selector, Mapping):
        raise FindError("invalid_selector_json", f"Selector must be a JSON object, not: {shown(selector)}")
    if not selector:
        return {}
    _check_depth(selector)
    found = _negations(_fields(_operators(selector), ""))
    if "" in found:
        raise FindError("invalid_selector", "One or more conditions is missing a field name.")
    return found


def single(selector: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the one field of an object in normal form."""
    for item in selector.items():
        return item
    raise ValueError("an empty selector has no member")


def conjuncts(selector: Selector) -> list[Selector]:
    """Return the conditions that all have to hold, with ``$and`` flattened."""
    if not selector:
        return []
    name, value = single(selector)
    if name != "$and":
        return [selector]
    return [each for part in value for each in conjuncts(part)]


def _check_depth(selector: Any) -> None:
    level = [selector]
    for _ in range(MOST_LEVELS):
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, Mapping) else each)
            if isinstance(inner, (Mapping, list, tuple))
        ]
        if not level:
            return
    raise FindError("invalid_selector", f"the selector is nested deeper than {MOST_LEVELS} levels: flatten it")


# -- operators -----------------------------------------------------------------------------------


def _operators(value: Any) -> Selector:
    """Check every operator, and spell out implied ``$and`` and ``$eq``."""
    if not isinstance(value, Mapping) or not value:
        return {"$eq": _json("$eq", value)}
    if len(value) > 1:
        return {"$and": [_operators({name: member}) for name, member in value.items()]}
    name, argument = single(value)
    if not isinstance(name, str):
        raise FindError("invalid_selector", f"the name of a field is text, not {shown(name)}")
    if name[:1] != "$":
        return {name: _operators(argument)}
    check = _CHECKS.get(name)
    if check is not None:
        return check(name, argument)
    if name in _UNSUPPORTED:
        raise FindError("not_supported", f"Unsupported operator: {name}")
    raise FindError("invalid_operator", f"Invalid operator: {name}; there are: {', '.join(sorted(_CHECKS))}")


def _bad(name: str, argument: Any, wanted: str) -> FindError:
    return FindError("bad_arg", f"Bad argument for operator {name}: {shown(argument)}; it takes {wanted}")


def _json(name: str, value: Any) -> Any:
    """Return a value that documents can have. Raises FindError."""
    kind = type(value)
    if kind is str or kind is int or value is None or kind is bool:
        return value
    try:
        said = jsonable(value)
    except BadRequest as error:
        raise _bad(name, value, f"JSON ({error.message})") from None
    return list(said) if isinstance(said, tuple) else said


def _selectors(name: str, argument: Any) -> Selector:
    if not isinstance(argument, (list, tuple)):
        raise _bad(name, argument, "a list of selectors")
    return {name: [_operators(each) for each in argument]}


def _selector(name: str, argument: Any) -> Selector:
    if not isinstance(argument, Mapping):
        raise _bad(name, argument, "a selector")
    return {name: _operators(argument)}


def _values(name: str, argument: Any) -> Selector:
    if not isinstance(argument, (list, tuple)):
        raise _bad(name, argument, "a list of values")
    return {name: [_json(name, each) for each in argument]}


def _value(name: str, argument: Any) -> Selector:
    return {name: _json(name, argument)}


def _exists(name: str, argument: Any) -> Selector:
    if argument is not True and argument is not False:
        raise _bad(name, argument, "true or false")
    return {name: argument}


def _type(name: str, argument: Any) -> Selector:
    if not isinstance(argument, str):
        raise _bad(name, argument, "one of null, boolean, number, string, array, object")
    return {name: argument}


def _mod(name: str, argument: Any) -> Selector:
    if not (isinstance(argument, (list, tuple)) and len(argument) == 2 and all(type(each) is int for each in argument)):
        raise _bad(name, argument, "[divisor, remainder], two integers")
    if argument[0] == 0:
        raise _bad(name, argument, "a divisor that is not 0")
    return {name: list(argument)}


def _size(name: str, argument: Any) -> Selector:
    if type(argument) is not int or argument < 0:
        raise _bad(name, argument, "an integer from 0 up")
    return {name: argument}


def _regex(name: str, argument: Any) -> Selector:
    if isinstance(argument, re.Pattern) and isinstance(argument.pattern, str):
        argument = source_of(argument)
    if not isinstance(argument, str):
        # CouchDB's name for it.
        raise FindError("invalid_operator", f"Invalid operator: {name} takes text, not {shown(argument)}")
    matcher(argument)
    return {name: argument}


def _begins_with(name: str, argument: Any) -> Selector:
    if not isinstance(argument, str):
        raise FindError("invalid_operator", f"Invalid operator: {name} takes text, not {shown(argument)}")
    return {name: argument}


def _text(name: str, argument: Any) -> Selector:
    if not isinstance(argument, (str, int, float)):
        raise _bad(name, argument, "the text to look for")
    return {"$default": {name: argument}}


_CHECKS: dict[str, Callable[[str, Any], Selector]] = {
    **dict.fromkeys(COMPARISONS, _value),
    **dict.fromkeys(("$and", "$or", "$nor"), _selectors),
    **dict.fromkeys(("$not", *_NESTED), _selector),
    **dict.fromkeys(("$in", "$nin", "$all"), _values),
    "$exists": _exists,
    "$type": _type,
    "$mod": _mod,
    "$size": _size,
    "$regex": _regex,
    "$beginsWith": _begins_with,
    "$text": _text,
    # So that a normal form can be normalized again.
    "$default": lambda name, argument: {name: argument},
}


# -- fields --------------------------------------------------------------------------------------


def _fields(selector: Selector, path: str) -> Selector:
    """Push the names of fields down to the conditions."""
    name, argument = single(selector)
    if name in ("$and", "$or", "$nor"):
        return {name: [_fields(each, path) for each in argument]}
    if name == "$not":
        return {name: _fields(argument, path)}
    if name in _NESTED:
        return {path: {name: _fields(argument, "")}}
    if name == "$default":
        if path or not (isinstance(argument, Mapping) and list(argument) == ["$text"]):
            raise FindError("bad_field", "$text searches whole documents: write it beside the fields, not inside one")
        return selector
    if name[:1] == "$":
        return {path: selector}
    return _fields(argument, f"{path}.{name}" if path else name)


# -- negations -----------------------------------------------------------------------------------


def _negations(selector: Selector) -> Selector:
    """Push negations down to the operators."""
    name, argument = single(selector)
    if name == "$not":
        return _negated(argument)
    if name == "$nor":
        return {"$and": [_negated(each) for each in argument]}
    if name in ("$and", "$or"):
        return {name: [_negations(each) for each in argument]}
    return selector


_OPPOSITES = {
    "$lt": "$gte",
    "$lte": "$gt",
    "$eq": "$ne",
    "$ne": "$eq",
    "$gte": "$lt",
    "$gt": "$lte",
    "$in": "$nin",
    "$nin": "$in",
}


def _negated(selector: Selector) -> Selector:
    name, argument = single(selector)
    if name == "$not":
        return _negations(argument)
    if name == "$nor":
        return {"$or": [_negations(each) for each in argument]}
    if name in ("$and", "$or"):
        return {"$or" if name == "$and" else "$and": [_negated(each) for each in argument]}
    if name == "$default":
        raise FindError("bad_arg", "Bad argument for operator $not: $text cannot be negated")
    if name in _OPPOSITES:
        return {_OPPOSITES[name]: argument}
    if name == "$exists":
        return {name: not argument}
    if name[:1] == "$":
        return {"$not": selector}
    return {name: _negated(argument)}
