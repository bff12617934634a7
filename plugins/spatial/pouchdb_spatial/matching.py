"""Rows compared with a place, many at a time: those that match exactly, each once, and the nearest ones."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy

from pouchdb_spatial.geometries import shapes_of
from pouchdb_spatial.shapes import Place
from pouchdb_spatial.spatial_index import Row
from pouchdb_spatial.sphere import away, distances

__all__ = ["Nearest", "matching", "once"]

CHUNK = 1000
"""Rows beyond the wanted ones that are kept until they are compared."""


def _split(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Return (points, others) of the rows that have a geometry to compare."""
    points, others = [], []
    for row in rows:
        if row.shape:
            others.append(row)
        elif row.shape is not None:
            points.append(row)
    return points, others


def _shapes(rows: list[Row]) -> Any:
    return shapes_of([row.shape for row in rows], [row.box for row in rows])


def _coordinates(rows: list[Row]) -> tuple[list[float], list[float]]:
    return [row.box[0][0] for row in rows], [row.box[1][0] for row in rows]


def matching(place: Place, rows: list[Row]) -> list[Row]:
    """Return the rows that pass the exact test of a place, in their order; all without a test."""
    if place.exact is None or not rows:
        return rows
    if place.points is None:
        rows = [row for row in rows if row.shape is not None]
        return [row for row, passes in zip(rows, place.exact(_shapes(rows)), strict=True) if passes] if rows else []
    points, others = _split(rows)
    passed = [row for row, passes in zip(points, place.points(*_coordinates(points)), strict=True) if passes]
    if not others:
        return passed
    passed += [row for row, passes in zip(others, place.exact(_shapes(others)), strict=True) if passes]
    found = set(map(id, passed))
    return [row for row in rows if id(row) in found]


def once(batches: Iterable[list[Row]]) -> Iterator[list[Row]]:
    """Yield the rows without those that are like an earlier one of their document; its rows follow one another."""
    document, seen = "", set[Any]()
    for rows in batches:
        kept = []
        for row in rows:
            if row.id != document:
                document, seen = row.id, {row.seen}
            elif row.seen in seen:
                continue
            else:
                seen.add(row.seen)
            kept.append(row)
        yield kept


class Nearest:
    """The rows nearest to a point among those added; all within a radius are counted.

    Of rows that have one ``identity`` there is one; without such a function all rows are different ones.
    """

    def __init__(
        self,
        lon: float,
        lat: float,
        wanted: int | None,
        radius: float | None = None,
        identity: Callable[[Row], Any] | None = None,
    ) -> None:
        self._lon, self._lat, self._wanted, self._radius, self._identity = lon, lat, wanted, radius, identity
        self._found: list[tuple[float, str, int, Row]] = []
        self._seen: set[Any] = set()
        self.count = 0

    def add(self, rows: list[Row]) -> None:
        """Add some more rows."""
        points, others = _split(rows)
        if points:
            self._measured(points, away(*_coordinates(points), self._lon, self._lat))
        if others:
            self._measured(others, distances(_shapes(others), self._lon, self._lat))
        if self._wanted is not None and len(self._found) > 4 * self._wanted + CHUNK:
            self._found = heapq.nsmallest(self._wanted, self._found)

    def _measured(self, rows: list[Row], metres: Any) -> None:
        for row, far in zip(rows, numpy.asarray(metres).tolist(), strict=True):
            if self._radius is not None and far > self._radius:
                continue
            if self._identity is not None:
                identity = self._identity(row)
                if identity in self._seen:
                    continue
                self._seen.add(identity)
            self.count += 1
            self._found.append((far, row.id, self.count, row))

    def rows(self) -> Iterator[Row]:
        """Yield them, the nearest first, of equal distances by id."""
        found = sorted(self._found) if self._wanted is None else heapq.nsmallest(self._wanted, self._found)
        return (row for _, _, _, row in found)
