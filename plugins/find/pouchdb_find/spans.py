"""Ranges of an index's rows, and reading them in order a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pouchdb_core.views.collation import Encode
from pouchdb_core.views.index_store import Tables
from pouchdb_find.definitions import Definition
from pouchdb_find.intervals import EVERYTHING, Interval, Intervals, is_point, of_field
from pouchdb_find.mango_index import columns, table
from pouchdb_find.selectors import Selector, conjuncts

__all__ = ["Position", "Range", "Reading", "Span"]

MOST_POINTS = 10_000
"""How many ranges a query is split into; with more, one range spans them."""
MOST_UNITED = 200
"""How many ranges one statement of SQL unites."""
MOST_TERMS = 50
"""How many intervals of a further field SQL checks."""

Position = tuple[Any, ...]
"""The keys of a row and its document's id: where to continue after it."""


class Span(NamedTuple):
    """Rows whose leading fields are constant and whose next one is in an interval."""

    constant: tuple[bytes, ...]
    interval: Interval[bytes]


class Reading:
    """The part of an index that a selector leaves to read, in the order of its rows."""

    def __init__(self, definition: Definition, selector: Selector, encode: Encode) -> None:
        self.definition = definition
        self.columns = columns(definition)
        self.sets = [of_field(selector, name, encode)[0] for name in definition.fields]
        self.spans = self._apart()
        self._checked = self._checks()
        self.filtered = [each for each in conjuncts(selector) if not self._served(each, encode)]
        """The conditions that documents are tested by after they were read."""

    def _apart(self) -> list[Span]:
        prefixes: list[tuple[bytes, ...]] = [()]
        for number, intervals in enumerate(self.sets):
            last = number == len(self.sets) - 1
            if last or not all(map(is_point, intervals)) or len(prefixes) * len(intervals) > MOST_POINTS:
                if len(prefixes) * len(intervals) > MOST_POINTS:
                    intervals = [(intervals[0][0], intervals[-1][1])]
                return [Span(prefix, interval) for prefix in prefixes for interval in intervals]
            prefixes = [(*prefix, interval[0]) for prefix in prefixes for interval in intervals]
        return [Span((), ("", None))]  # type: ignore[arg-type]  # of ids, where there is no field

    def _checks(self) -> list[tuple[str, Intervals[bytes]]]:
        """Return the conditions that SQL checks on the fields after those of the spans."""
        depth = len(self.spans[0].constant) if self.spans else 0
        start = depth + 1
        if self.spans and len(self.sets) > depth and len(self.sets[depth]) > MOST_POINTS:
            start = depth
        return [
            (self.columns[number], intervals)
            for number, intervals in enumerate(self.sets)
            if number >= start and intervals != EVERYTHING and len(intervals) <= MOST_TERMS
        ]

    def _served(self, condition: Selector, encode: Encode) -> bool:
        checked = {name for name, _ in self._checked}
        depth = len(self.spans[0].constant) if self.spans else 0
        for number, name in enumerate(self.definition.fields):
            held = number <= depth or self.columns[number] in checked
            if held and len(self.sets[number]) <= MOST_POINTS and of_field(condition, name, encode)[1]:
                return True
        return False

    # -- rows --------------------------------------------------------------------------------------

    def after(self, position: Position | None, descending: bool) -> Iterator[Range]:
        """Yield the spans that are left after a position, in order, each with where to begin in it."""
        for span in reversed(self.spans) if descending else self.spans:
            begin = None if position is None else self._begin(span, position, descending)
            if begin is not _PAST:
                yield Range(self, span, descending, begin)

    def _begin(self, span: Span, after: Position, descending: bool) -> Any:
        """Return ``_PAST`` if a span lies before a position, the position if that is in it, else None."""
        depth = len(span.constant)
        constant = after[:depth]
        if constant != span.constant:
            return _PAST if (constant > span.constant) != descending else None
        low, high = span.interval
        key = after[depth]
        if high is not None and key >= high:
            return None if descending else _PAST
        if key < low:
            return _PAST if descending else None
        return after

    def ids(self, tables: Tables, number: int, after: str, limit: int) -> list[str]:
        """Return ids of rows in all spans, in the order of ids, each once."""
        spans = self.spans
        if len(spans) > MOST_UNITED:
            # One that spans them all: rows in between are tested by their documents.
            first, last = spans[0], spans[-1]
            high = None if last.constant else last.interval[1]
            spans = [Span((), ((*first.constant, first.interval[0])[0], high))]
        parts, params = [], []
        for span in spans:
            where, values = self.where(span)
            parts.append(f"SELECT id FROM {table(number)} WHERE {where} AND id > ?")
            params += [*values, after]
        if not parts:
            return []
        text = " UNION ".join(parts) if len(parts) > 1 else parts[0].replace("SELECT", "SELECT DISTINCT", 1)
        return [id for (id,) in tables.all(f"{text} ORDER BY id LIMIT ?", (*params, limit))]

    def where(self, span: Span, after: Position | None = None, descending: bool = False) -> tuple[str, list[Any]]:
        """Return the rows of a span, after a position, as a condition of SQL."""
        depth = len(span.constant)
        conditions = [f"{name} = ?" for name in self.columns[:depth]]
        params: list[Any] = list(span.constant)
        rest, (low, high) = self.columns[depth:], span.interval
        if after is not None:
            sign = "<" if descending else ">"
            conditions.append(f"({', '.join(rest)}) {sign} ({', '.join('?' * len(rest))})")
            params += after[depth:]
        # Replaces the bound that the position is within: SQLite seeks by one of two.
        if low and (after is None or descending):
            conditions.append(f"{rest[0]} >= ?")
            params.append(low)
        if high is not None and (after is None or not descending):
            conditions.append(f"{rest[0]} < ?")
            params.append(high)
        for name, intervals in self._checked:
            terms = []
            for start, end in intervals:
                terms.append(f"({name} >= ?" + ("" if end is None else f" AND {name} < ?") + ")")
                params += [start] if end is None else [start, end]
            conditions.append(f"({' OR '.join(terms)})" if terms else "1 = 0")
        return " AND ".join(conditions) or "1 = 1", params


_PAST = object()


class Range:
    """The rows of one span, continued from a position."""

    def __init__(self, reading: Reading, span: Span, descending: bool, after: Position | None) -> None:
        self._reading, self._span, self._descending, self._after = reading, span, descending, after

    def read(self, tables: Tables, number: int, limit: int) -> list[Position]:
        """Return the next rows, fewer than ``limit`` if they are the last."""
        names = self._reading.columns
        where, params = self._reading.where(self._span, self._after, self._descending)
        way = " DESC" if self._descending else ""
        order = ", ".join(name + way for name in names[len(self._span.constant) :])
        rows: list[Position] = tables.all(
            f"SELECT {', '.join(names)} FROM {table(number)} WHERE {where} ORDER BY {order} LIMIT ?",
            (*params, limit),
        )
        if rows:
            self._after = rows[-1]
        return rows
