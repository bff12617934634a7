"""A second evaluator of selectors, slow and plain: CouchDB's rules as mango_selector.erl has them, nothing shared.

Selectors are rewritten (``rewritten``) and matched (``matches``) by interpreting the tree at every document.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cmp_to_key
from typing import Any

MISSING, BAD = object(), object()
TYPES = ("null", "boolean", "number", "string", "array", "object")


def kind(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, bool):
        return 1
    if isinstance(value, (int, float)):
        return 2
    if isinstance(value, str):
        return 3
    return 4 if isinstance(value, list) else 5


def cmp(a: Any, b: Any) -> int:
    """CouchDB's order, strings by code point."""
    if kind(a) != kind(b):
        return -1 if kind(a) < kind(b) else 1
    if isinstance(a, list):
        for x, y in zip(a, b, strict=False):
            if c := cmp(x, y):
                return c
        return (len(a) > len(b)) - (len(a) < len(b))
    if isinstance(a, dict):
        for (k, x), (l, y) in zip(a.items(), b.items(), strict=False):
            if c := cmp(k, l) or cmp(x, y):
                return c
        return (len(a) > len(b)) - (len(a) < len(b))
    if a is None:
        return 0
    return (a > b) - (a < b)


key = cmp_to_key(cmp)


def rewritten(selector: dict) -> dict:
    if not selector:
        return {}
    return negations(fields(operators(selector), ""))


def operators(value: Any) -> dict:
    if not isinstance(value, dict) or not value:
        return {"$eq": value}
    if len(value) > 1:
        return {"$and": [operators({k: v}) for k, v in value.items()]}
    ((name, argument),) = value.items()
    if name in ("$and", "$or", "$nor"):
        return {name: [operators(each) for each in argument]}
    if name in ("$not", "$elemMatch", "$allMatch", "$keyMapMatch"):
        return {name: operators(argument)}
    return value if name.startswith("$") else {name: operators(argument)}


def fields(selector: dict, path: str) -> dict:
    ((name, argument),) = selector.items()
    if name in ("$and", "$or", "$nor"):
        return {name: [fields(each, path) for each in argument]}
    if name == "$not":
        return {name: fields(argument, path)}
    if name in ("$elemMatch", "$allMatch", "$keyMapMatch"):
        return {path: {name: fields(argument, "")}}
    if name.startswith("$"):
        return {path: selector}
    return fields(argument, path + "." + name if path else name)


def negations(selector: dict) -> dict:
    ((name, argument),) = selector.items()
    if name == "$not":
        return negate(argument)
    if name == "$nor":
        return {"$and": [negate(each) for each in argument]}
    if name in ("$and", "$or"):
        return {name: [negations(each) for each in argument]}
    return selector


def negate(selector: dict) -> dict:
    ((name, argument),) = selector.items()
    if name == "$not":
        return negations(argument)
    if name == "$nor":
        return {"$or": [negations(each) for each in argument]}
    if name == "$and":
        return {"$or": [negate(each) for each in argument]}
    if name == "$or":
        return {"$and": [negate(each) for each in argument]}
    pairs = {"$lt": "$gte", "$lte": "$gt", "$eq": "$ne", "$in": "$nin"}
    pairs |= {v: k for k, v in pairs.items()}
    if name in pairs:
        return {pairs[name]: argument}
    if name == "$exists":
        return {name: not argument}
    if name.startswith("$"):
        return {"$not": selector}
    return {name: negate(argument)}


def get(value: Any, field: str) -> Any:
    for part in re.split(r"(?<!\\)\.", field):
        part = part.replace("\\", "")
        if isinstance(value, dict):
            if part not in value:
                return MISSING
            value = value[part]
        elif isinstance(value, list) and re.fullmatch("[0-9]+", part) and int(part) < len(value):
            value = value[int(part)]
        else:
            return BAD
    return value


def raw(a: Any, b: Any) -> int:
    """Erlang's order of terms, of an id and anything."""
    return (a > b) - (a < b) if isinstance(b, str) else 1


def matches(selector: dict, value: Any, compare: Any = cmp) -> bool:
    if not selector:
        return True
    ((name, argument),) = selector.items()
    if name == "$and":
        return all(matches(each, value, compare) for each in argument)
    if name == "$or":
        return not argument or any(matches(each, value, compare) for each in argument)
    if name == "$nor":
        return not any(matches(each, value, compare) for each in argument)
    if name == "$not":
        return not matches(argument, value, compare)
    if name == "":
        return matches(argument, value, compare)
    if not name.startswith("$"):
        found = get(value, name)
        if found is MISSING:
            return argument == {"$exists": False}
        return found is not BAD and matches(argument, found, raw if name == "_id" else compare)
    if name == "$lt":
        return compare(value, argument) < 0
    if name == "$lte":
        return compare(value, argument) <= 0
    if name == "$eq":
        return compare(value, argument) == 0
    if name == "$ne":
        return compare(value, argument) != 0
    if name == "$gte":
        return compare(value, argument) >= 0
    if name == "$gt":
        return compare(value, argument) > 0
    if name == "$in":
        values = value if isinstance(value, list) else [value]
        return any(compare(each, wanted) == 0 for each in values for wanted in argument)
    if name == "$nin":
        values = value if isinstance(value, list) else [value]
        return all(compare(each, wanted) != 0 for each in values for wanted in argument)
    if name == "$exists":
        return argument
    if name == "$type":
        return TYPES[kind(value)] == argument
    if name == "$size":
        return isinstance(value, list) and len(value) == argument
    if name == "$all":
        if not argument or not isinstance(value, list):
            return False
        whole = len(argument) == 1 and isinstance(argument[0], list) and cmp(argument[0], value) == 0
        return whole or all(any(cmp(each, wanted) == 0 for each in value) for wanted in argument)
    if name == "$mod":
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        # Exactly, also where a float could not hold the value.
        return value - argument[0] * int(Fraction(value, argument[0])) == argument[1]
    if name == "$regex":
        return isinstance(value, str) and re.search(argument, value) is not None
    if name == "$beginsWith":
        return isinstance(value, str) and value[: len(argument)] == argument
    if name == "$elemMatch":
        return isinstance(value, list) and any(matches(argument, each, cmp) for each in value)
    if name == "$allMatch":
        return isinstance(value, list) and value != [] and all(matches(argument, each, cmp) for each in value)
    if name == "$keyMapMatch":
        return isinstance(value, dict) and any(matches(argument, each, cmp) for each in value)
    raise AssertionError(name)
