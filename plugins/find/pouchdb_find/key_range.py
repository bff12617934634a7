"""The one range of a field that CouchDB derives from a selector, for choosing indexes and for explain.

Only comparisons that all have to hold are used. The rows actually read may be fewer: see ``intervals``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pouchdb_core.views.collation import Encode
from pouchdb_find.selectors import Selector, conjuncts, single

__all__ = ["KeyRange", "key_range", "ranged_fields"]

_RANGED = ("$lt", "$lte", "$eq", "$gte", "$gt", "$beginsWith")
_LAST = "\ufffd"


class KeyRange(NamedTuple):
    """A lower and an upper bound; an operator of None means no bound."""

    above: str | None = None
    low: Any = None
    below: str | None = None
    high: Any = None


def ranged_fields(selector: Selector) -> list[str]:
    """Return the fields that have a range, sorted."""
    found = set()
    for name, condition in _conditions(selector):
        if single(condition)[0] in _RANGED:
            found.add(name)
    return sorted(found)


def key_range(selector: Selector, field: str, encode: Encode) -> KeyRange | None:
    """Return the range of a field, None if nothing can be in it."""
    found = KeyRange()
    for name, condition in _conditions(selector):
        if name != field:
            continue
        operator, argument = single(condition)
        if operator in ("$eq", "$gt", "$gte", "$beginsWith"):
            above = "$gt" if operator == "$gt" else "$gte"
            if found.above is None or _tighter(encode(argument), above, encode(found.low), found.above, 1):
                found = found._replace(above=above, low=argument)
        if operator in ("$eq", "$lt", "$lte", "$beginsWith"):
            below = "$lt" if operator == "$lt" else "$lte"
            bound = argument + _LAST if operator == "$beginsWith" else argument
            if found.below is None or _tighter(encode(bound), below, encode(found.high), found.below, -1):
                found = found._replace(below=below, high=bound)
    if found.above is not None and found.below is not None:
        low, high = encode(found.low), encode(found.high)
        if low > high or (low == high and (found.above, found.below) != ("$gte", "$lte")):
            return None
    return found


def _conditions(selector: Selector) -> list[tuple[str, Selector]]:
    return [
        (name, condition)
        for name, condition in map(single, conjuncts(selector))
        if name[:1] != "$" and name and isinstance(condition, dict)
    ]


def _tighter(key: bytes, operator: str, known: bytes, before: str, sign: int) -> bool:
    if key == known:
        return operator in ("$gt", "$lt") and before in ("$gte", "$lte")
    return (key > known) == (sign > 0)
