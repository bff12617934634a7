"""Aggregates, fed one value at a time: only the result so far is kept."""

from __future__ import annotations

import datetime
import math
from typing import Any

from pouchdb_core.revisions.numbers import digits_of, plus, too_long
from pouchdb_core.views.collate import encode
from pouchdb_gql.errors import GqlError

__all__ = ["Aggregate", "aggregate", "sort_key", "stored"]


def sort_key(value: Any) -> bytes:
    """Return bytes that sort as CouchDB collates: null, booleans, numbers, strings, arrays, objects; dates as text."""
    return encode(value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else value)


def stored(number: Any) -> Any:
    """Return a number as a result, null for one that JSON or a database cannot hold: infinite, or too long."""
    if isinstance(number, int):
        return None if too_long(number) else number
    return number if math.isfinite(number) else None


class Aggregate:
    """One aggregate of one group. Null is skipped, zero and the empty string are not."""

    def add(self, value: Any) -> None:
        """Add a value. Raises GqlError for one of a wrong type."""
        raise NotImplementedError

    @property
    def value(self) -> Any:
        """The result so far; null if there was no value."""
        raise NotImplementedError


class _Count(Aggregate):
    def __init__(self) -> None:
        self._count = 0

    def add(self, value: Any) -> None:
        self._count += value is not None

    @property
    def value(self) -> int:
        return self._count


class _Sum(Aggregate):
    word = "summed"

    def __init__(self) -> None:
        self._sum: Any = 0
        self._count = 0

    def add(self, value: Any) -> None:
        if value is None:
            return
        if type(value) not in (int, float):
            raise GqlError("select_error", f"All values being {self.word} must be numbers, but {_shown(value)} is not.")
        self._sum = plus(self._sum, value)
        self._count += 1

    @property
    def value(self) -> Any:
        return stored(self._sum) if self._count else None


class _Average(_Sum):
    word = "averaged"

    @property
    def value(self) -> Any:
        if not self._count:
            return None
        try:
            average = self._sum / self._count
        except OverflowError:
            # Beyond all doubles: the nearest integer.
            return stored((2 * self._sum + self._count) // (2 * self._count))
        return int(average) if average.is_integer() and abs(average) < 2**53 else stored(average)


class _Extreme(Aggregate):
    def __init__(self, *, greatest: bool) -> None:
        self._greatest = greatest
        self._value: Any = None
        self._key: bytes | None = None

    def add(self, value: Any) -> None:
        if value is None:
            return
        key = sort_key(value)
        if self._key is None or (key > self._key if self._greatest else key < self._key):
            self._value, self._key = value, key

    @property
    def value(self) -> Any:
        return self._value


def aggregate(function: str) -> Aggregate:
    """Return a new aggregate: ``avg``, ``average``, ``count``, ``max``, ``min`` or ``sum``."""
    if function == "count":
        return _Count()
    if function == "sum":
        return _Sum()
    if function in ("avg", "average"):
        return _Average()
    return _Extreme(greatest=function == "max")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return digits_of(value) if isinstance(value, int) else str(value)
