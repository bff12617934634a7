"""The rows nearest to a point."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import numpy

from pouchdb_spatial.matching import coordinates, shapes, split
from pouchdb_spatial.options import NEAREST, Mark
from pouchdb_spatial.reading import Bounds, Reading
from pouchdb_spatial.shapes import areas_around, turned
from pouchdb_spatial.spatial_index import BEYOND, Row
from pouchdb_spatial.sphere import RADIUS, away, distances, of_earth

__all__ = ["Nearest", "widening"]

CHUNK = 1000
"""Rows beyond the wanted ones that are kept until they are compared."""
MANY = 40
"""Rows around a point from which a search for the nearest begins with a smaller circle; 4 for each that is wanted."""
WHOLE = 3.2 * RADIUS
"""Metres that are farther than any place."""
SMALLEST = 1_000.0
"""Metres of the smallest first circle."""


class Nearest:
    """The rows nearest to a point among those added; all within a radius, and behind a mark, are counted.

    Of rows that have one ``identity`` there is one; without such a function all rows are different ones.
    """

    def __init__(
        self,
        lon: float,
        lat: float,
        wanted: int | None,
        radius: float | None = None,
        identity: Callable[[Row], Any] | None = None,
        after: Mark | None = None,
    ) -> None:
        self._after = after
        self._lon, self._lat, self._wanted, self._radius, self._identity = lon, lat, wanted, radius, identity
        self._found: list[tuple[float, str, int, int, Row]] = []
        self._seen: set[Any] = set()
        self.count = 0

    def add(self, rows: list[Row]) -> None:
        """Add some more rows."""
        points, others = split(rows)
        if points:
            self._measured(points, away(*coordinates(points), self._lon, self._lat))
        if others:
            made = shapes(others)
            comparable = of_earth(made)
            others = list(itertools.compress(others, comparable.tolist()))
            self._measured(others, distances(made[comparable], self._lon, self._lat))
        if self._wanted is not None and len(self._found) > 4 * self._wanted + CHUNK:
            self._found = heapq.nsmallest(self._wanted, self._found)

    def _measured(self, rows: list[Row], metres: Any) -> None:
        after = self._after
        for row, far in zip(rows, numpy.asarray(metres).tolist(), strict=True):
            if self._radius is not None and far > self._radius:
                continue
            # The same row: its distance may be another one by a rounding, computed beside other rows.
            if after is not None and ((far, row.id, row.n) <= after or (row.id, row.n) == after[1:]):
                continue
            if self._identity is not None:
                identity = self._identity(row)
                if identity in self._seen:
                    continue
                self._seen.add(identity)
            self.count += 1
            row.metres = far
            self._found.append((far, row.id, row.n, self.count, row))

    def rows(self) -> Iterator[Row]:
        """Yield them, the nearest first, of equal distances by id."""
        found = sorted(self._found) if self._wanted is None else heapq.nsmallest(self._wanted, self._found)
        return (row for *_, row in found)


def widening(
    reading: Reading, lon: float, lat: float, wanted: int, after: Mark | None, *, several: bool
) -> Iterator[Row]:
    """Search in growing circles until there are enough behind a mark: few rows of a big index are read.

    ``several``: of rows that look the same there is one.
    """
    beyond = BEYOND in reading.have
    identity = attrgetter("seen") if several else None

    def areas(radius: float) -> list[Bounds]:
        found = areas_around(lon, lat, radius)
        return turned(found) if beyond else found

    # Twice what is wanted, if places were spread evenly over the Earth; less where they are crowded.
    smallest = max(SMALLEST, 1.01 * float((after or NEAREST)[0]))
    radius = max(smallest, 2 * RADIUS * math.sqrt(2 * wanted / max(1, reading.size())))
    many, grown = max(MANY, 4 * wanted), False
    while radius < WHOLE:
        found = sum(reading.about(bounds, many) for bounds in areas(radius))
        if found < wanted:
            radius, grown = 2 * radius, True
        elif found < many or grown or radius == smallest:
            break
        else:
            # Usually there are many more. Where there are not, the circle gets too small, and larger again.
            radius = max(smallest, radius * math.sqrt(wanted / many / 1.6))
    while True:
        searched: list[Any] = areas(radius) if radius < WHOLE else [None]
        # A row may be in several areas.
        which = identity or (attrgetter("n") if len(searched) > 1 else None)
        nearest = Nearest(lon, lat, wanted, radius if radius < WHOLE else None, which, after)
        for bounds in searched:
            for rows in reading.batches(bounds):
                nearest.add(rows)
        if radius >= WHOLE or nearest.count >= wanted:
            return nearest.rows()
        radius *= 2 if 4 * nearest.count >= wanted else 4
