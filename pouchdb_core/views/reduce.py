"""The built-in reduce functions, with CouchDB's rules and errors.

A function reduces rows to a partial result, partial results to another one, and the last of them to
the answer. Where SQL can aggregate the values, the answer is made from Totals instead of rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any, ClassVar, Literal, NamedTuple

from pouchdb_core.errors import FunctionError
from pouchdb_core.results import Record
from pouchdb_core.revisions.numbers import plus, too_long
from pouchdb_core.views.collate import encode

__all__ = ["BUILTINS", "ReduceFunction", "Totals", "builtin"]

_EXACT = 2**53

Source = Literal["totals", "distinct", "first", "last"]


class Totals(NamedTuple):
    """SQL's aggregates of the values in a range of rows; ``numbers`` of the ``rows`` values are numbers."""

    rows: int
    numbers: int
    sum: float
    min: float
    max: float
    sumsqr: float


class ReduceFunction(ABC):
    """A reduce function that a view names instead of bringing its source: ``"reduce": "_sum"``.

    The name begins with an underscore. An exception of a method becomes the value of that group alone: a FunctionError
    ``{"error": name, "reason": message}``, with its detail ``caused_by``; any other null, and it is reported.
    """

    name: str
    source: ClassVar[Source | None] = None
    """What the store can compute it from without reading rows: see ``answer``."""

    @abstractmethod
    def reduce(self, keys: Sequence[Any], values: Sequence[Any]) -> Any:
        """Reduce rows, given in the order of their keys, to a partial result; there is at least one."""

    @abstractmethod
    def rereduce(self, partials: Sequence[Any]) -> Any:
        """Reduce partial results, in the order of the rows they stand for, to one."""

    def finalize(self, partial: Any) -> Any:
        """Return the answer for the last partial result."""
        return partial

    def answer(self, known: Any) -> Any:
        """Return the answer from the store's aggregates; NotImplemented if the rows are needed.

        ``known`` is Totals, the number of distinct keys, or the value of the first or last row,
        as ``source`` says.
        """
        return NotImplemented


def _wrong(function: str, what: str, value: Any) -> FunctionError:
    """Return the error for a value that a function does not accept, in CouchDB's words."""
    return FunctionError(
        f"The {function} function requires that map values be {what}", name="builtin_reduce_error", caused_by=value
    )


def _number(value: Any) -> bool:
    return type(value) in (int, float)


def _json(function: str, number: int | float) -> int | float:
    """Return a result as a JSON value: 6.0 is 6, as in JavaScript; integers are exact.

    Raises FunctionError for a result that is not a finite number: JSON has no infinity, and null is not a sum.
    """
    # A grouped query calls this for each number: the usual types come first.
    if -_EXACT <= number <= _EXACT:
        whole = int(number)
        return whole if whole == number else number
    if too_long(number) if isinstance(number, int) else not isfinite(number):
        raise _too_large(function)
    return number


def _too_large(function: str) -> FunctionError:
    return FunctionError(
        f"The {function} function has a result that is too large for a number", name="builtin_reduce_error"
    )


class _Sum(ReduceFunction):
    name = "_sum"
    source = "totals"
    _what = (
        "numbers, arrays of numbers, or objects. Objects cannot be mixed with other data structures. Objects can be "
        "arbitrarily nested, provided that the values for all fields are themselves numbers, arrays of numbers, or "
        "objects."
    )

    def reduce(self, keys: Sequence[Any], values: Sequence[Any]) -> Any:
        return self.rereduce(values)

    def rereduce(self, partials: Sequence[Any]) -> Any:
        total: Any = 0
        for value in partials:
            total = self._add(total, value)
        return total

    def _add(self, total: Any, value: Any) -> Any:
        if _number(value):
            if _number(total):
                return plus(total, value)
            if type(total) is list:
                return self._arrays(total, [value])
        elif isinstance(value, list):
            if _number(total):
                return self._arrays([total], value)
            if type(total) is list:
                return self._arrays(total, value)
        elif isinstance(value, dict):
            if _number(total) and total == 0:
                # Nothing was added yet, or nothing that counts: but every field must be a valid one.
                return {name: self._add(0, value[name]) for name in value}
            if isinstance(total, dict):
                names = sorted({*total, *value})
                return {
                    name: self._add(total.get(name, 0), value[name]) if name in value else total[name] for name in names
                }
        raise _wrong("_sum", self._what, value)

    def _arrays(self, total: list[Any], values: list[Any]) -> list[Any]:
        for value in values:
            if not _number(value):
                raise _wrong("_sum", self._what, value)
        longer, shorter = (total, values) if len(total) >= len(values) else (values, total)
        return [plus(a, b) for a, b in zip(longer, shorter, strict=False)] + longer[len(shorter) :]

    def finalize(self, partial: Any) -> Any:
        if isinstance(partial, dict):
            return {name: self.finalize(value) for name, value in partial.items()}
        if isinstance(partial, list):
            return [self.finalize(value) for value in partial]
        return _json(self.name, partial)

    def answer(self, known: Totals) -> Any:
        # SQL adds doubles: a sum of integers beyond their exact range is made from the rows.
        exact = known.numbers == known.rows and (-_EXACT <= known.sum <= _EXACT or not isfinite(known.sum))
        return _json(self.name, known.sum) if exact else NotImplemented


class _Count(ReduceFunction):
    name = "_count"
    source = "totals"

    def reduce(self, keys: Sequence[Any], values: Sequence[Any]) -> Any:
        return len(values)

    def rereduce(self, partials: Sequence[Any]) -> Any:
        return sum(partials)

    def answer(self, known: Totals) -> Any:
        return known.rows


_STATS = ("sum", "count", "min", "max", "sumsqr")


class _Stats(ReduceFunction):
    """Numbers, arrays of them, or objects that are statistics already."""

    name = "_stats"
    source = "totals"

    def reduce(self, keys: Sequence[Any], values: Sequence[Any]) -> Any:
        return self.rereduce([self._of(value) for value in values])

    def rereduce(self, partials: Sequence[Any]) -> Any:
        total = partials[0]
        for value in partials[1:]:
            total = self._add(total, value)
        return total

    def finalize(self, partial: Any) -> Any:
        if type(partial) is list:
            return [self.finalize(each) for each in partial]
        return Record(zip(_STATS, [_json(self.name, number) for number in partial], strict=True))

    def answer(self, known: Totals) -> Any:
        if known.numbers != known.rows:
            return NotImplemented
        name = self.name
        return Record(
            sum=_json(name, known.sum),
            count=known.rows,
            min=_json(name, known.min),
            max=_json(name, known.max),
            sumsqr=_json(name, known.sumsqr),
        )

    def _of(self, value: Any) -> Any:
        if _number(value):
            return (value, 1, value, value, value * value)
        if isinstance(value, list):
            return [self._of(each) for each in value]
        if isinstance(value, dict) and all(_number(value.get(name)) for name in _STATS):
            return tuple(value[name] for name in _STATS)
        raise _wrong("_stats", "numbers or arrays of numbers", value)

    def _add(self, total: Any, value: Any) -> Any:
        if type(total) is list and type(value) is list and len(total) == len(value):
            return [self._add(a, b) for a, b in zip(total, value, strict=True)]
        if type(total) is tuple and type(value) is tuple:
            return (
                plus(total[0], value[0]),
                plus(total[1], value[1]),
                min(total[2], value[2]),
                max(total[3], value[3]),
                plus(total[4], value[4]),
            )
        raise _wrong("_stats", "all numbers or all arrays of one length", value)


class _Distinct(ReduceFunction):
    """Counts distinct keys: exactly, because the index has them in order."""

    name = "_approx_count_distinct"
    source = "distinct"

    def reduce(self, keys: Sequence[Any], values: Sequence[Any]) -> Any:
        seen = [encode(key) for key in keys]
        count = 1 + sum(before != after for before, after in pairwise(seen))
        return (count, seen[0], seen[-1])

    def rereduce(self, partials: Sequence[Any]) -> Any:
        count, first, last = partials[0]
        for more, start, end in partials[1:]:
            # A key with rows in both counts once.
            count, last = count + more - (start == last), end
        return (count, first, last)

    def finalize(self, partial: Any) -> Any:
        return partial[0]

    def answer(self, known: int) -> Any:
        return known


class _First(ReduceFunction):
    name = "_first"
    source: ClassVar[Source | None] = "first"

    def reduce(self, keys: Sequence[Any], values: Sequence[Any]) -> Any:
        return values[0]

    def rereduce(self, partials: Sequence[Any]) -> Any:
        return partials[0]

    def answer(self, known: Any) -> Any:
        return known


class _Last(_First):
    name = "_last"
    source = "last"

    def reduce(self, keys: Sequence[Any], values: Sequence[Any]) -> Any:
        return values[-1]

    def rereduce(self, partials: Sequence[Any]) -> Any:
        return partials[-1]


class _Ranked(ReduceFunction):
    """The N lowest or highest values in the order of keys, each once."""

    def __init__(self, name: str, count: int, *, top: bool) -> None:
        self.name, self._count, self._top = name, count, top

    def reduce(self, keys: Sequence[Any], values: Sequence[Any]) -> Any:
        return self._best(values)

    def rereduce(self, partials: Sequence[Any]) -> Any:
        return self._best([value for partial in partials for value in partial])

    def _best(self, values: Iterable[Any]) -> list[Any]:
        found: list[tuple[bytes, Any]] = []
        for value in values:
            key = encode(value)
            at = bisect_left(found, key, key=lambda entry: entry[0])
            if at < len(found) and found[at][0] == key:
                continue
            found.insert(at, (key, value))
            if len(found) > self._count:
                del found[0 if self._top else -1]
        ordered = [value for _, value in found]
        return ordered[::-1] if self._top else ordered


BUILTINS: tuple[ReduceFunction, ...] = (_Sum(), _Count(), _Stats(), _Distinct(), _First(), _Last())


def builtin(name: str, known: Iterable[ReduceFunction]) -> ReduceFunction:
    """Return the function whose name ``name`` is, or begins with. Raises FunctionError for an unknown one."""
    functions = {function.name: function for function in known}
    if name in functions:
        return functions[name]
    for start in ("_top_", "_bottom_"):
        digits = name.removeprefix(start)
        if name.startswith(start) and digits.isdecimal() and 1 <= int(digits) <= 100:
            return _Ranked(name, int(digits), top=start == "_top_")
    # As in CouchDB, which compares only the beginning: a comment may follow.
    begun = [known for known in functions if name.startswith(known)]
    if begun:
        return functions[max(begun, key=len)]
    there = ", ".join([*sorted(functions), "_top_N", "_bottom_N"])
    raise FunctionError(f"{name!r} is not a built-in reduce function; there are: {there}", name="invalid_reduce")
