"""Reading an index: the rows whose boxes overlap given bounds, some at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from pouchdb_core.views.index_store import Tables
from pouchdb_spatial.boxes import Interval
from pouchdb_spatial.spatial_index import BOX, DIMENSIONS, SHAPES, TINY, TREES, Row

__all__ = ["Bounds", "Reading", "overlaps", "parts_overlap"]

CHUNK = 1000
"""Rows that are read at a time."""
FEW = 300
"""Points that are read at once: where there are more, they were read in vain, which must not take long."""
NUMBERS = 50_000
"""Rows that are looked up by their numbers in a tree; of a query that finds more, all rows are compared in turn."""
FARTHEST = 1.7e308
"""Where an open interval ends in PostgreSQL, whose boxes do not accept every infinity."""

Bounds = Sequence[tuple[float | None, float | None]]
"""An interval for each dimension; None is open."""

_number = itemgetter(0)


def _columns(dimensions: int) -> str:
    bounds = ", ".join(f"r.low{place}, r.high{place}" for place in range(dimensions))
    return f"r.n, r.id, r.dims, r.geometry, r.value, r.shape, r.rest, r.parts, {bounds}"


_ALL = _columns(DIMENSIONS)
_OF_TREE = {tree: _columns(most) for tree, _, most in TREES}
_SLIM = "r.n, r.id, r.geometry, r.shape, r.low0, r.low1"
"""What there is to see of rows that only have a geometry: reading the rest takes as long again."""
_IN_TREE = "b.high0 >= ? AND b.low0 <= ? AND b.high1 >= ? AND b.low1 <= ?"
_POINTS = (
    f"SELECT r.n, r.id, r.geometry, r.low0, r.low1 FROM {{flat}} AS b CROSS JOIN {{rows}} AS r ON r.n = b.n "
    f"WHERE {_IN_TREE} AND r.low0 >= ? AND r.low0 <= ? AND r.low1 >= ? AND r.low1 <= ? LIMIT {FEW + 1}"
)
_ABOUT = f"SELECT count(*) FROM (SELECT 1 FROM {{flat}} AS b WHERE {_IN_TREE} LIMIT ?) AS found"


class Reading:
    """The rows of an index, in the order they were written. Each statement reads the state of its time.

    ``state`` is that of the index: the numbers of dimensions that its boxes have, or had, and what its rows have.
    """

    def __init__(self, tables: Tables, state: Mapping[str, Any] | None) -> None:
        self._tables = tables
        self._dimensions: Sequence[int] = (state or {}).get("dims", ())
        self.have: Sequence[str] = (state or {}).get("have", ())
        """Which of PARTS, SHAPES, SEVERAL and BEYOND some row has, or had."""
        self._row = _row if tables.dialect == "sqlite" else _typed_row
        self._slim = False

    def slim(self) -> None:
        """Read of each row its geometry and shape alone; of its box no more than the place of a point."""
        self._slim, self._row = True, _slim_row if self._tables.dialect == "sqlite" else _typed_slim_row

    def points(self, bounds: Bounds) -> list[tuple[int, str, bytes, float, float]] | None:
        """Return (n, id, geometry, longitude, latitude) of an index that has nothing but points, in their order.

        None if there are more than a few, or bounds are open: then ``batches`` has them.
        """
        sides = self._closed(bounds)
        if sides is None or SHAPES in self.have:
            return None
        west, east, south, north = sides
        found = self._tables.all(_POINTS, (*_widened(sides), west, east, south, north))
        if len(found) > FEW:
            return None
        found.sort()
        return found

    def _closed(self, bounds: Bounds) -> tuple[float, float, float, float] | None:
        """Return (west, east, south, north), where these are all the bounds that an index of two dimensions needs."""
        if len(bounds) < 2 or self._dimensions != [2] or self._tables.dialect != "sqlite":
            return None
        (west, east), (south, north) = bounds[0], bounds[1]
        if west is None or east is None or south is None or north is None:
            return None
        return west, east, south, north

    def batches(self, bounds: Bounds | None) -> Iterator[list[Row]]:
        """Yield the rows whose boxes overlap these bounds, some at a time; None: all.

        Boxes with more dimensions than there are bounds do not match; further bounds are ignored.
        """
        if bounds is None:
            yield from self._scanned("1 = 1", [], None)
            return
        exact, params = _exact(bounds)
        found = self._joined(bounds, exact, params)
        if len(found) <= CHUNK:
            yield self._made(found, bounds)
            return
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
        if len(bounds) > DIMENSIONS and max(self._dimensions, default=0) > DIMENSIONS:
            return sum(len(rows) for rows in self.batches(bounds))
        exact, params = _exact(bounds)
        return sum(
            self._tables.one(
                f"SELECT count(*) FROM {{{tree}}} AS b {self._join} {{rows}} AS r ON r.n = b.n "
                f"WHERE {condition} AND {exact}",
                (*found, *params),
            )[0]
            for tree, condition, found in self._trees(bounds)
        )

    def about(self, bounds: Bounds, most: int) -> int:
        """Return how many rows the trees have within bounds, counting no further than ``most``."""
        sides = self._closed(bounds)
        if sides is not None:
            return int(self._tables.one(_ABOUT, (*_widened(sides), most))[0])
        return sum(
            self._tables.one(
                f"SELECT count(*) FROM (SELECT 1 FROM {{{tree}}} AS b WHERE {condition} LIMIT {most}) AS found", params
            )[0]
            for tree, condition, params in self._trees(bounds)
        )

    def size(self) -> int:
        """Return a number of rows that the index does not exceed, without counting them."""
        return int(self._tables.one("SELECT coalesce(max(n), 0) FROM {rows}")[0])

    # -- statements ------------------------------------------------------------------------------------

    @property
    def _columns(self) -> str:
        return _SLIM if self._slim else _ALL

    @property
    def _join(self) -> str:
        # SQLite's planner does not know how few rows a tree finds; others have no CROSS JOIN with a condition.
        return "CROSS JOIN" if self._tables.dialect == "sqlite" else "JOIN"

    def _joined(self, bounds: Bounds, exact: str, params: Sequence[Any]) -> list[Any]:
        """Return a few matching rows with one statement for each tree; more than CHUNK: there are others."""
        found: list[Any] = []
        for tree, condition, own in self._trees(bounds):
            columns = _SLIM if self._slim else _OF_TREE[tree]
            found += self._tables.all(
                f"SELECT {columns} FROM {{{tree}}} AS b {self._join} {{rows}} AS r ON r.n = b.n "
                f"WHERE {condition} AND {exact} LIMIT {CHUNK + 1}",
                (*own, *params),
            )
        found.sort(key=_number)
        return found

    def _numbers(self, bounds: Bounds) -> list[int]:
        found: list[int] = []
        for tree, condition, params in self._trees(bounds):
            sql = f"SELECT b.n FROM {{{tree}}} AS b WHERE {condition} LIMIT {NUMBERS + 1}"
            found += [n for (n,) in self._tables.all(sql, params)]
        found.sort()
        return found

    def _scanned(self, condition: str, params: Sequence[Any], bounds: Bounds | None) -> Iterator[list[Row]]:
        last = -1
        sql = f"SELECT {self._columns} FROM {{rows}} AS r WHERE r.n > ? AND {condition} ORDER BY r.n LIMIT {CHUNK}"
        while found := self._tables.all(sql, (last, *params)):
            last = found[-1][0]
            yield self._made(found, bounds)

    def _trees(self, bounds: Bounds) -> Iterator[tuple[str, str, list[float]]]:
        """Yield (tree, condition, parameters) for each tree that has boxes.

        Compared are the dimensions that all of its boxes have: a box with fewer overlaps everything in the others.
        """
        for tree, least, most in TREES:
            fewest = min((dims for dims in self._dimensions if least <= min(dims, DIMENSIONS) <= most), default=None)
            if fewest is None:
                continue
            conditions, params = ["1 = 1"], []
            for place, (low, high) in enumerate(bounds[: min(fewest, most)]):
                if low is not None:
                    conditions.append(f"b.high{place} >= ?")
                    params.append(low - TINY)
                if high is not None:
                    conditions.append(f"b.low{place} <= ?")
                    params.append(high + TINY)
            if self._tables.dialect != "sqlite" and fewest > 0:
                asked = [*bounds[: min(fewest, 2)], (None, None)][:2]
                (west, east), (south, north) = asked[0], asked[-1]
                # A tree's columns; the rows have columns of the same names.
                box = BOX.replace("low", "b.low").replace("high", "b.high")
                conditions.append(f"{box} && box(point(?, ?), point(?, ?))")
                params += [-FARTHEST if west is None else west, -FARTHEST if south is None else south]
                params += [FARTHEST if east is None else east, FARTHEST if north is None else north]
            yield tree, " AND ".join(conditions), params

    def _made(self, found: Sequence[Any], bounds: Bounds | None) -> list[Row]:
        rows = list(map(self._row, found))
        if bounds is None or len(bounds) < DIMENSIONS or max(self._dimensions, default=0) <= DIMENSIONS:
            return rows
        return [row for row in rows if len(row.box) <= DIMENSIONS or overlaps(row.box, bounds)]


def _widened(sides: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    west, east, south, north = sides
    return west - TINY, east + TINY, south - TINY, north + TINY


def _exact(bounds: Bounds) -> tuple[str, list[float]]:
    """Return the condition on rows, and its parameters."""
    conditions: list[str] = ["r.dims <= ?"]
    params: list[float] = [len(bounds)]
    for place, (low, high) in enumerate(bounds[:DIMENSIONS]):
        for column, sign, bound in ((f"high{place}", ">=", low), (f"low{place}", "<=", high)):
            if bound is not None:
                conditions.append(f"(r.{column} {sign} ? OR r.{column} IS NULL)")
                params.append(bound)
    return " AND ".join(conditions), params


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


def overlaps(box: Sequence[Interval], bounds: Bounds) -> bool:
    """Whether a box overlaps the bounds in each of its dimensions, edges included."""
    return len(box) <= len(bounds) and all(
        (low is None or b >= low) and (high is None or a <= high)
        for (a, b), (low, high) in zip(box, bounds, strict=False)
    )
