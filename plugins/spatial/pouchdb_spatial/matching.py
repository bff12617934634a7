"""Rows compared with a place, many at a time: those that match exactly, each once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pouchdb_spatial.geometries import shapes_of
from pouchdb_spatial.shapes import Place
from pouchdb_spatial.spatial_index import Row

__all__ = ["coordinates", "matching", "once", "shapes", "split"]

def split(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Return (points, others) of the rows that have a geometry to compare."""
    points, others = [], []
    for row in rows:
        if row.shape:
            others.append(row)
        elif row.shape is not None:
            points.append(row)
    return points, others


def shapes(rows: list[Row]) -> Any:
    return shapes_of([row.shape for row in rows], [row.box for row in rows])


def coordinates(rows: list[Row]) -> tuple[list[float], list[float]]:
    return [row.box[0][0] for row in rows], [row.box[1][0] for row in rows]


def matching(place: Place, rows: list[Row]) -> list[Row]:
    """Return the rows that pass the exact test of a place, in their order; all without a test."""
    if place.exact is None or not rows:
        return rows
    if place.points is None and not place.box:
        rows = [row for row in rows if row.shape is not None]
        return [row for row, passes in zip(rows, place.exact(shapes(rows)), strict=True) if passes] if rows else []
    points, others = split(rows)
    passed = points
    if place.points is not None:
        passed = [row for row, passes in zip(points, place.points(*coordinates(points)), strict=True) if passes]
    if not others:
        return passed
    passed += [row for row, passes in zip(others, place.exact(shapes(others)), strict=True) if passes]
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
