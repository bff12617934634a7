"""Selectors as Python predicates.

A selector in normal form is compiled once into functions that test JSON values; documents are then tested
without looking at the selector again. Values compare in CouchDB's order of keys (``views/collate.py``), ids as text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pouchdb_core.results import Record
from pouchdb_core.views.collate import encode as by_code_point
from pouchdb_core.views.collation import Encode
from pouchdb_find.fields import Absent, getter
from pouchdb_find.regexes import matcher
from pouchdb_find.selectors import COMPARISONS, Selector, normalize, single

__all__ = ["Test", "compiled", "matches", "predicate", "rank"]

Test = Callable[[Any], bool]

_RANKS = {type(None): 1, bool: 2, int: 3, float: 3, str: 4, list: 5, tuple: 5, dict: 6, Record: 6}
_TYPES = {1: "null", 2: "boolean", 3: "number", 4: "string", 5: "array", 6: "object"}
_EXACT = 2**53
"""From here on integers compare as the index has them."""


def rank(value: Any) -> int:
    """Return where the type of a value stands in CouchDB's order: null, booleans, numbers, strings, arrays, objects."""
    found = _RANKS.get(type(value))
    if found is not None:
        return found
    return next((number for kind, number in _KINDS if isinstance(value, kind)), 6)


_KINDS: Sequence[tuple[Any, int]] = ((bool, 2), ((int, float), 3), (str, 4), ((list, tuple), 5), (Mapping, 6))


def predicate(selector: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], bool]:
    """Return a function that returns whether a document matches a selector.

    ``pouchdb_find.predicate({"age": {"$gt": 30}})(doc)``. Strings compare by code point. Raises FindError for an
    invalid selector; ``$text`` needs an index and matches everything here.
    """
    return compiled(normalize(selector))


def matches(selector: Mapping[str, Any], doc: Mapping[str, Any]) -> bool:
    """Return whether a document matches a selector; to test many, make a ``predicate`` once."""
    return predicate(selector)(doc)


def compiled(selector: Selector, encode: Encode = by_code_point) -> Test:
    """Compile a selector in normal form; ``encode`` defines how strings sort."""
    return _Compiler(encode).test(selector)


class _Compiler:
    def __init__(self, encode: Encode) -> None:
        self.encode = encode
        self.plain = encode is by_code_point
        self.ids = False
        """Below the field ``_id``: ids compare as text, whatever the order of strings is."""

    def test(self, selector: Selector) -> Test:
        if not selector:
            return _always
        name, argument = single(selector)
        if name == "":
            # The value itself: {"$elemMatch": {"$gt": 1}}.
            return self.test(argument)
        if name[:1] != "$":
            return self._field(name, argument)
        if name in COMPARISONS:
            return self._compare(name, argument)
        made: Test = getattr(self, "_" + name[1:])(argument)
        return made

    def _field(self, name: str, condition: Selector) -> Test:
        read = getter(name)
        above, self.ids = self.ids, name == "_id"
        try:
            test = self.test(condition)
        finally:
            self.ids = above
        if condition == {"$exists": False}:
            # Only a field that was not found: see Absent.
            return lambda value: read(value) is Absent.NOT_FOUND

        def field(value: Any) -> bool:
            found = read(value)
            return type(found) is not Absent and test(found)

        return field

    # -- combinations ------------------------------------------------------------------------------

    def _and(self, parts: Sequence[Selector]) -> Test:
        tests = [self.test(part) for part in parts]
        if len(tests) == 2:
            first, second = tests
            return lambda value: first(value) and second(value)

        def every(value: Any) -> bool:
            for test in tests:  # noqa: SIM110  # all() with a generator takes three times as long
                if not test(value):
                    return False
            return True

        return every

    def _or(self, parts: Sequence[Selector]) -> Test:
        tests = [self.test(part) for part in parts]
        if not tests:
            # As in CouchDB: an empty list of alternatives excludes nothing.
            return _always

        def some(value: Any) -> bool:
            for test in tests:  # noqa: SIM110
                if test(value):
                    return True
            return False

        return some

    def _nor(self, parts: Sequence[Selector]) -> Test:
        tests = [self.test(part) for part in parts]
        return lambda value: not any(test(value) for test in tests)

    def _not(self, part: Selector) -> Test:
        test = self.test(part)
        return lambda value: not test(value)

    # -- comparisons -------------------------------------------------------------------------------

    def _compare(self, operator: str, wanted: Any) -> Test:
        if self.ids:
            return _compare_id(operator, wanted)
        place = rank(wanted)
        if place == 3 and abs(wanted) < _EXACT:
            return _compare_number(operator, wanted)
        if place == 4 and self.plain:
            return _compare_text(operator, wanted)
        encode, key = self.encode, self.encode(wanted)
        compare = _OPERATORS[operator]

        def test(value: Any) -> bool:
            other = rank(value)
            return compare(encode(value), key) if other == place else compare(other, place)

        return test

    def _in(self, values: Sequence[Any]) -> Test:
        any_of = self._any_of(values)

        def test(value: Any) -> bool:
            return any(map(any_of, value)) if isinstance(value, (list, tuple)) else any_of(value)

        return test

    def _nin(self, values: Sequence[Any]) -> Test:
        test = self._in(values)
        return lambda value: not test(value)

    def _any_of(self, values: Sequence[Any]) -> Test:
        if self.plain and values and all(type(value) is str for value in values):
            texts = frozenset(values)
            return lambda value: type(value) is str and value in texts
        encode: Encode = by_code_point if self.ids else self.encode
        keys = frozenset(map(encode, values))
        ranks = frozenset(map(rank, values))
        return lambda value: rank(value) in ranks and encode(value) in keys

    # -- the others --------------------------------------------------------------------------------

    def _exists(self, wanted: bool) -> Test:
        return _always if wanted else _never

    def _type(self, wanted: str) -> Test:
        return lambda value: _TYPES[rank(value)] == wanted

    def _size(self, wanted: int) -> Test:
        return lambda value: isinstance(value, (list, tuple)) and len(value) == wanted

    def _mod(self, argument: Sequence[int]) -> Test:
        divisor, wanted = argument

        def test(value: Any) -> bool:
            if type(value) is not int:
                return False
            # As in Erlang and JavaScript the remainder has the sign of the value.
            remainder = abs(value) % abs(divisor)
            return (remainder if value >= 0 else -remainder) == wanted

        return test

    def _regex(self, source: str) -> Test:
        search = matcher(source)
        return lambda value: isinstance(value, str) and search(value)

    def _beginsWith(self, prefix: str) -> Test:
        return lambda value: isinstance(value, str) and value.startswith(prefix)

    def _all(self, values: Sequence[Any]) -> Test:
        encode = self.encode
        keys = [encode(value) for value in values]
        whole = encode(values[0]) if len(values) == 1 and rank(values[0]) == 5 else None

        def test(value: Any) -> bool:
            if not keys or not isinstance(value, (list, tuple)):
                return False
            elements = set(map(encode, value))
            return all(key in elements for key in keys) or (whole is not None and encode(value) == whole)

        return test

    def _elemMatch(self, part: Selector) -> Test:
        test = self._inside(part)
        return lambda value: isinstance(value, (list, tuple)) and any(map(test, value))

    def _allMatch(self, part: Selector) -> Test:
        test = self._inside(part)
        return lambda value: isinstance(value, (list, tuple)) and len(value) > 0 and all(map(test, value))

    def _keyMapMatch(self, part: Selector) -> Test:
        test = self._inside(part)
        return lambda value: isinstance(value, Mapping) and any(map(test, value))

    def _default(self, part: Selector) -> Test:
        # The text index has found it.
        return _always

    def _inside(self, part: Selector) -> Test:
        above, self.ids = self.ids, False
        try:
            return self.test(part)
        finally:
            self.ids = above


def _always(value: Any) -> bool:
    return True


def _never(value: Any) -> bool:
    return False


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda a, b: a == b,
    "$ne": lambda a, b: a != b,
    "$lt": lambda a, b: a < b,
    "$lte": lambda a, b: a <= b,
    "$gt": lambda a, b: a > b,
    "$gte": lambda a, b: a >= b,
}


def _compare_number(operator: str, wanted: float) -> Test:
    compare = _OPERATORS[operator]
    if operator == "$eq":
        return lambda value: value == wanted and type(value) is not bool

    def test(value: Any) -> bool:
        kind = type(value)
        return compare(value, wanted) if kind is int or kind is float else compare(rank(value), 3)

    return test


def _compare_text(operator: str, wanted: str) -> Test:
    compare = _OPERATORS[operator]
    if operator == "$eq":
        return lambda value: value == wanted

    def test(value: Any) -> bool:
        return compare(value, wanted) if type(value) is str else compare(rank(value), 4)

    return test


def _compare_id(operator: str, wanted: Any) -> Test:
    if isinstance(wanted, str):
        return _compare_text(operator, wanted)
    # CouchDB compares ids as Erlang does: strings come after all other values.
    return _always if operator in ("$ne", "$gt", "$gte") else _never
