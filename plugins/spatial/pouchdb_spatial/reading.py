"""Reading an index: the rows whose boxes overlap given bounds, some at a time."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from pouchdb_core.views.index_store import Tables
from pouchdb_spatial.boxes import Interval
from pouchdb_spatial.spatial_index import BOX, DIMENSIONS, LARGEST, SHAPES, TINY, TREES, Row

__all__ = ["Area", "Bounds", "Reading", "overlaps", "parts_overlap"]

CHUNK = 1000
"""Rows that are read at a time."""
FEW = 300
"""Points that are read at once: where there are more, they were read in vain, which must not take long."""
NUMBERS = 50_000
"""Rows that are looked up by their numbers in a tree; of a query that finds more, all rows are compared in turn."""
FARTHEST = 1.7e308
"""Where an open interval ends in PostgreSQL, whose boxes do not accept every infinity."""
TEXTS = 1000
"""Conditions, and statements, whose texts are kept."""

Bounds = Sequence[tuple[float | None, float | None]]
"""An interval for each dimension; None is open. A box with more dimensions does not match."""


class Area(tuple[tuple[float | None, float | None], ...]):
    """Bounds of the first dimensions alone: in the others a box may be anywhere."""

    __slots__ = ()


_number = itemgetter(0)


def _columns(dimensions: int) -> str:
    bounds = ", ".join(f"r.low{place}, r.high{place}" for place in range(dimensions))
    return f"r.n, r.id, r.dims, r.geometry, r.value, r.shape, r.rest, r.parts, {bounds}"


_ALL = _columns(DIMENSIONS)
_OF_TREE = {tree: _columns(most) for tree, _, most in TREES}
_SLIM = "r.n, r.id, r.geometry, r.shape, r.low0, r.low1"
"""What there is to see of rows that only have a geometry: reading the rest takes as long again."""
_POINTS = "r.n, r.id, r.geometry, r.low0, r.low1"


class _Boxes(NamedTuple):
    """The boxes of a tree, or of all rows, and the fewest and the most dimensions that they have."""

    tree: str
    fewest: int
    most: int


@lru_cache
def _boxes(dimensions: tuple[int, ...]) -> tuple[_Boxes, ...]:
    """Return the trees that have boxes, of an index whose boxes have, or had, these numbers of dimensions."""
    found = []
    for tree, least, most in TREES:
        own = [each for each in dimensions if least <= min(each, DIMENSIONS) <= most]
        if own:
            found.append(_Boxes(tree, min(own), max(own)))
    return tuple(found)


@lru_cache(TEXTS)
def _conditions(boxes: _Boxes, given: int, dimensions: int, sqlite: bool) -> tuple[str, str]:
    """Return the conditions of the tree, roughly, and of the rows, exactly, for bounds that reach so many dimensions.

    ``given`` has a bit for each that is given, from the first low, the first high and the second low on.
    """
    rough, exact = [], []
    for place in range(given.bit_length() // 2 + 1):
        for side, (column, sign) in enumerate(((f"high{place}", ">="), (f"low{place}", "<="))):
            if not given >> (2 * place + side) & 1:
                continue
            if place < boxes.fewest:
                rough.append(f"b.{column} {sign} ?")
                exact.append(f"r.{column} {sign} ?")
            else:
                # A box with fewer dimensions overlaps everything in the others.
                exact.append(f"(r.{column} {sign} ? OR r.{column} IS NULL)")
    if boxes.most > dimensions:
        exact.append(f"r.dims <= {dimensions}")
    if not sqlite and boxes.fewest > 0:
        # A tree's columns; the rows have columns of the same names.
        box = BOX.replace("low", "b.low").replace("high", "b.high")
        rough.append(f"{box} && box(point(?, ?), point(?, ?))")
    return " AND ".join(rough) or "1 = 1", " AND ".join(exact) or "1 = 1"


@lru_cache(TEXTS)
def _joined(columns: str, boxes: _Boxes, given: int, dimensions: int, sqlite: bool) -> str:
    """Return the statement for columns of the rows that a tree finds, with both conditions."""
    # SQLite's planner does not know how few rows a tree finds; others have no CROSS JOIN with a condition.
    join = "CROSS JOIN" if sqlite else "JOIN"
    rough, exact = _conditions(boxes, given, dimensions, sqlite)
    tree = f"{{{boxes.tree}}} AS b {join} {{rows}} AS r ON r.n = b.n"
    return f"SELECT {columns} FROM {tree} WHERE {rough} AND {exact}"


class Reading:
    """The rows of an index, in the order they were written. Each statement reads the state of its time.

    ``state`` is that of the index: the numbers of dimensions that its boxes have, or had, and what its rows have.
    """

    def __init__(self, tables: Tables, state: Mapping[str, Any] | None) -> None:
        self._tables, self._sqlite = tables, tables.dialect == "sqlite"
        self._trees = _boxes(tuple((state or {}).get("dims", ())))
        self.have: Sequence[str] = (state or {}).get("have", ())
        """Which of PARTS, SHAPES, SEVERAL and BEYOND some row has, or had."""
        self._beyond = any(boxes.most > DIMENSIONS for boxes in self._trees)
        """Whether there are boxes with more dimensions than a tree has."""
        self._slim = False

    def slim(self) -> None:
        """Read of each row its geometry and shape alone; of its box no more than the place of a point."""
        self._slim = True

    def points(self, bounds: Bounds) -> list[tuple[int, str, bytes, float, float]] | None:
        """Return (n, id, geometry, longitude, latitude) of an index that has nothing but points, in their order.

        None of another index, or if there are more than a few: then ``batches`` has them.
        """
        if SHAPES in self.have or self._beyond:
            return None
        found = self._few(bounds, FEW, _POINTS)
        return None if len(found) > FEW else found

    def batches(self, bounds: Bounds | None) -> Iterator[list[Row]]:
        """Yield the rows whose boxes overlap these bounds, some at a time; None: all.

        Bounds of dimensions that a box does not have are ignored.
        """
        if bounds is None:
            yield from self._scanned("1 = 1", [], None)
            return
        found = self._few(bounds, CHUNK)
        if len(found) <= CHUNK:
            yield self._made(found, bounds)
            return
        if not self._trees:
            return
        everything = _Boxes("", min(each.fewest for each in self._trees), max(each.most for each in self._trees))
        given, _, params = self._given(everything, bounds)
        exact = _conditions(everything, given, _reach(bounds), self._sqlite)[1]
        numbers = self._numbers(bounds)
        if len(numbers) > NUMBERS:
            yield from self._scanned(exact, params, bounds)
            return
        for start in range(0, len(numbers), CHUNK):
            chunk = numbers[start : start + CHUNK]
            marks = ", ".join("?" * len(chunk))
            sql = f"SELECT {self._columns} FROM {{rows}} AS r WHERE r.n IN ({marks}) AND {exact} ORDER BY r.n"
            yield self._made(self._tables.all(sql, (*chunk, *params)), bounds)

    def count(self, bounds: Bounds | None) -> int:
        """Return the number of rows whose boxes overlap these bounds; None: all."""
        if bounds is None:
            return int(self._tables.one("SELECT count(*) FROM {rows}")[0])
        if len(bounds) > DIMENSIONS and self._beyond:
            return sum(len(rows) for rows in self.batches(bounds))
        found = 0
        for boxes in self._trees:
            given, near, params = self._given(boxes, bounds)
            sql = _joined("count(*)", boxes, given, _reach(bounds), self._sqlite)
            found += self._tables.one(sql, near + params)[0]
        return found

    def about(self, bounds: Bounds, most: int) -> int:
        """Return how many rows the trees have within bounds, counting no further than ``most`` in each."""
        found = 0
        for boxes, rough, near in self._rough(bounds):
            sql = f"SELECT count(*) FROM (SELECT 1 FROM {{{boxes.tree}}} AS b WHERE {rough} LIMIT {most}) AS found"
            found += self._tables.one(sql, near)[0]
        return found

    def size(self) -> int:
        """Return a number of rows that the index does not exceed, without counting them."""
        return int(self._tables.one("SELECT coalesce(max(n), 0) FROM {rows}")[0])

    # -- statements ------------------------------------------------------------------------------------

    @property
    def _columns(self) -> str:
        return _SLIM if self._slim else _ALL

    def _few(self, bounds: Bounds, most: int, columns: str | None = None) -> list[Any]:
        """Return a few matching rows with one statement for each tree; more than ``most``: there are others."""
        found: list[Any] = []
        for boxes in self._trees:
            given, near, params = self._given(boxes, bounds)
            read = columns or (_SLIM if self._slim else _OF_TREE[boxes.tree])
            sql = f"{_joined(read, boxes, given, _reach(bounds), self._sqlite)} LIMIT {most + 1}"
            found += self._tables.all(sql, near + params)
        found.sort(key=_number)
        return found

    def _numbers(self, bounds: Bounds) -> list[int]:
        found: list[int] = []
        for boxes, rough, near in self._rough(bounds):
            sql = f"SELECT b.n FROM {{{boxes.tree}}} AS b WHERE {rough} LIMIT {NUMBERS + 1}"
            found += [n for (n,) in self._tables.all(sql, near)]
        found.sort()
        return found

    def _rough(self, bounds: Bounds) -> Iterator[tuple[_Boxes, str, list[float]]]:
        """Yield (boxes, condition, parameters) for what a tree alone knows of each."""
        for boxes in self._trees:
            given, near, _ = self._given(boxes, bounds)
            yield boxes, _conditions(boxes, given, _reach(bounds), self._sqlite)[0], near

    def _scanned(self, condition: str, params: Sequence[Any], bounds: Bounds | None) -> Iterator[list[Row]]:
        last = -1
        sql = f"SELECT {self._columns} FROM {{rows}} AS r WHERE r.n > ? AND {condition} ORDER BY r.n LIMIT {CHUNK}"
        while found := self._tables.all(sql, (last, *params)):
            last = found[-1][0]
            yield self._made(found, bounds)

    def _given(self, boxes: _Boxes, bounds: Bounds) -> tuple[int, list[float], list[float]]:
        """Return which bounds are given (see ``_conditions``), and the parameters of both conditions.

        In a tree those dimensions are compared that all of its boxes have.
        """
        given, bit = 0, 1
        near: list[float] = []
        params: list[float] = []
        for place, (low, high) in enumerate(bounds[: min(boxes.most, DIMENSIONS)]):
            if low is not None:
                given |= bit
                params.append(low)
                if place < boxes.fewest:
                    near.append(low - TINY if low < LARGEST else LARGEST)
            if high is not None:
                given |= 2 * bit
                params.append(high)
                if place < boxes.fewest:
                    near.append(high + TINY if high > -LARGEST else -LARGEST)
            bit *= 4
        if not self._sqlite and boxes.fewest > 0:
            asked = [*bounds[: min(boxes.fewest, 2)], (None, None)][:2]
            (west, east), (south, north) = asked[0], asked[-1]
            near += [-FARTHEST if west is None else west, -FARTHEST if south is None else south]
            near += [FARTHEST if east is None else east, FARTHEST if north is None else north]
        return given, near, params

    def _made(self, found: Sequence[Any], bounds: Bounds | None) -> list[Row]:
        if self._slim:
            rows = list(map(_slim_row if self._sqlite else _typed_slim_row, found))
        else:
            rows = list(map(_row if self._sqlite else _typed_row, found))
        if bounds is None or len(bounds) <= DIMENSIONS or not self._beyond:
            return rows
        return [row for row in rows if len(row.box) <= DIMENSIONS or overlaps(row.box, bounds)]


def _typed_row(found: Sequence[Any]) -> Row:
    """Return a row of a store whose columns have types: its integers come back as floats."""
    return _row((*found[:8], *map(_whole, found[8:])))


def _typed_slim_row(found: Sequence[Any]) -> Row:
    return _slim_row((*found[:4], *map(_whole, found[4:])))


def _whole(bound: float | None) -> float | None:
    return int(bound) if bound is not None and bound.is_integer() else bound


def _row(found: Sequence[Any]) -> Row:
    n, id, dims, geometry, value, shape, rest, parts, *bounds = found
    box: tuple[Interval, ...]
    if dims == 2:
        box = ((bounds[0], bounds[1]), (bounds[2], bounds[3]))
    else:
        box = tuple(zip(bounds[0 : 2 * dims : 2], bounds[1 : 2 * dims : 2], strict=True))
        if rest is not None:
            box = (*box, *((low, high) for low, high in json.loads(rest)))
    return Row(id, box, geometry, value, shape, parts, n)


def _slim_row(found: Sequence[Any]) -> Row:
    n, id, geometry, shape, lon, lat = found
    return Row(id, ((lon, lon), (lat, lat)), geometry, None, shape, None, n)


def parts_overlap(row: Row, bounds: Bounds) -> bool:
    """Whether a row whose box overlaps the bounds has a part that does, in the first two dimensions."""
    if row.parts is None:
        return True
    parts = json.loads(row.parts)
    return any(overlaps(((west, east), (south, north)), bounds) for west, south, east, north in parts)


def _reach(bounds: Bounds) -> int:
    """Return the most dimensions of a box that may match."""
    return sys.maxsize if type(bounds) is Area else len(bounds)


def overlaps(box: Sequence[Interval], bounds: Bounds) -> bool:
    """Whether a box overlaps the bounds in each of its dimensions, edges included."""
    return len(box) <= _reach(bounds) and all(
        (low is None or b >= low) and (high is None or a <= high)
        for (a, b), (low, high) in zip(box, bounds, strict=False)
    )
