"""Sets of values as intervals of keys: the part of an index that a condition leaves.

An interval is half open, ``(low, high)`` with ``high`` None for no end; a set is a list of them, in order and
disjoint. Keys are bytes in CouchDB's order (``views/collate.py``), or ids as text. No key is a prefix of another, so
``key + "\\0"`` is the next key after a key.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from pouchdb_core.views.collate import ARRAY, FALSE, NULL, NUMBER, OBJECT, STRING
from pouchdb_core.views.collate import encode as by_code_point
from pouchdb_core.views.collation import Encode
from pouchdb_find.matching import rank
from pouchdb_find.regexes import literal_prefix
from pouchdb_find.selectors import Selector, single

__all__ = ["EVERYTHING", "Interval", "Intervals", "intersect", "is_point", "of_field", "of_ids", "union"]

K = TypeVar("K", bytes, str)
Interval = tuple[K, "K | None"]
Intervals = list[Interval[K]]

EVERYTHING: Intervals[bytes] = [(b"", None)]
ALL_IDS: Intervals[str] = [("", None)]

_AFTER = b"\x7f"
_TYPES: dict[str, Intervals[bytes]] = {
    "null": [(NULL, FALSE)],
    "boolean": [(FALSE, NUMBER)],
    "number": [(NUMBER, STRING)],
    "string": [(STRING, ARRAY)],
    "array": [(ARRAY, OBJECT)],
    "object": [(OBJECT, _AFTER)],
}


def union(sets: Iterable[Intervals[K]]) -> Intervals[K]:
    """Return the union of the sets."""
    merged: Intervals[K] = []
    for low, high in heapq.merge(*sets, key=lambda interval: interval[0]):
        if merged and (merged[-1][1] is None or low <= merged[-1][1]):
            last_low, last_high = merged[-1]
            if last_high is not None and (high is None or high > last_high):
                merged[-1] = (last_low, high)
        else:
            merged.append((low, high))
    return merged


def intersect(one: Intervals[K], other: Intervals[K]) -> Intervals[K]:
    """Return the intersection of both sets."""
    if len(one) == 1 and one[0][1] is None and not one[0][0]:
        return other
    both: Intervals[K] = []
    i = j = 0
    while i < len(one) and j < len(other):
        (a, b), (c, d) = one[i], other[j]
        low = max(a, c)
        high = d if b is None else b if d is None else min(b, d)
        if high is None or low < high:
            both.append((low, high))
        if d is None or (b is not None and b <= d):
            i += 1
        else:
            j += 1
    return both


def is_point(interval: Interval[bytes]) -> bool:
    """Return whether an interval holds one value."""
    return interval[1] == interval[0] + b"\0"


def of_field(selector: Selector, field: str, encode: Encode = by_code_point) -> tuple[Intervals[bytes], bool]:
    """Return the values that matching documents have in a field, as an index of it stores them.

    True with it: every document with such a value matches, as far as ``field`` is concerned. ``_id`` is a field
    like others here, but compares as text.
    """
    if not selector:
        return EVERYTHING, True
    name, argument = single(selector)
    if name == "$and":
        found, exact = EVERYTHING, True
        for part in argument:
            inner, whole = of_field(part, field, encode)
            found, exact = intersect(found, inner), exact and whole
        return found, exact
    if name == "$or" and argument:
        parts = [of_field(part, field, encode) for part in argument]
        return union([part[0] for part in parts]), all(part[1] for part in parts)
    if name != field:
        return EVERYTHING, False
    if field == "_id":
        return _of_id_condition(argument, encode), False
    return _of_condition(argument, encode)


def _of_condition(condition: Selector, encode: Encode) -> tuple[Intervals[bytes], bool]:
    operator, argument = single(condition)
    if operator in _COMPARED:
        return _COMPARED[operator](encode(argument)), True
    if operator == "$in":
        # An array matches by one of its elements.
        return union([*_points(map(encode, argument)), _TYPES["array"]]), False
    if operator == "$type":
        return _TYPES.get(argument, []), True
    if operator == "$exists":
        return EVERYTHING, argument is True
    if operator == "$beginsWith":
        return _beginning(argument, encode), encode is by_code_point
    if operator == "$regex":
        return _beginning(literal_prefix(argument), encode), False
    if operator in _KINDS:
        return _TYPES[_KINDS[operator]], False
    return EVERYTHING, False


_COMPARED: dict[str, Callable[[bytes], Intervals[bytes]]] = {
    "$eq": lambda key: [(key, key + b"\0")],
    "$ne": lambda key: [(b"", key), (key + b"\0", None)],
    "$lt": lambda key: [(b"", key)],
    "$lte": lambda key: [(b"", key + b"\0")],
    "$gt": lambda key: [(key + b"\0", None)],
    "$gte": lambda key: [(key, None)],
}
_KINDS = {
    "$all": "array",
    "$allMatch": "array",
    "$elemMatch": "array",
    "$keyMapMatch": "object",
    "$mod": "number",
    "$size": "array",
}


def _points(keys: Iterable[bytes]) -> list[Intervals[bytes]]:
    return [[(key, key + b"\0")] for key in sorted(set(keys))]


def _beginning(prefix: str, encode: Encode) -> Intervals[bytes]:
    if not prefix or encode is not by_code_point:
        return _TYPES["string"]
    low = encode(prefix)[:-1]
    # No byte of UTF-8 is 255.
    return [(low, low + b"\xff")]


def _of_id_condition(condition: Selector, encode: Encode) -> Intervals[bytes]:
    operator, argument = single(condition)
    if operator in _COMPARED and rank(argument) != 4:
        return EVERYTHING if operator in ("$ne", "$gt", "$gte") else []
    if encode is not by_code_point and operator not in ("$eq", "$in"):
        return EVERYTHING
    return _of_condition(condition, encode)[0]


# -- ids -----------------------------------------------------------------------------------------


def of_ids(selector: Selector) -> Intervals[str]:
    """Return the ids that matching documents may have."""
    if not selector:
        return ALL_IDS
    name, argument = single(selector)
    if name == "$and":
        found = ALL_IDS
        for part in argument:
            found = intersect(found, of_ids(part))
        return found
    if name == "$or" and argument:
        return union([of_ids(part) for part in argument])
    if name != "_id":
        return ALL_IDS
    operator, wanted = single(argument)
    if operator == "$in":
        return union([[(id, id + "\0")] for id in sorted({each for each in wanted if isinstance(each, str)})])
    if operator in ("$beginsWith", "$regex"):
        prefix = wanted if operator == "$beginsWith" else literal_prefix(wanted)
        return [(prefix, _next(prefix))]
    if operator not in _COMPARED:
        return ALL_IDS
    if not isinstance(wanted, str):
        return ALL_IDS if operator in ("$ne", "$gt", "$gte") else []
    return _id_comparison(operator, wanted)


def _id_comparison(operator: str, id: str) -> Intervals[str]:
    after = id + "\0"
    made: dict[str, Sequence[Interval[str]]] = {
        "$eq": [(id, after)],
        "$ne": [("", id), (after, None)],
        "$lt": [("", id)],
        "$lte": [("", after)],
        "$gt": [(after, None)],
        "$gte": [(id, None)],
    }
    # Nothing sorts before the empty string.
    return [(low, high) for low, high in made[operator] if high is None or low < high]


def _next(prefix: str) -> str | None:
    """Return the upper bound of all strings with a prefix."""
    for at in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[at]) + 1
        if code <= 0x10FFFF:
            return prefix[:at] + chr(0xE000 if 0xD800 <= code < 0xE000 else code)
    return None
