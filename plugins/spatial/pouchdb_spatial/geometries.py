"""Geometries in shapely, many at a time: their form in an index, and their relation to that of a query."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy
import shapely  # type: ignore[import-untyped]  # its stubs are a separate distribution
from shapely.geometry import shape  # type: ignore[import-untyped]

from pouchdb_core.errors import BadRequest
from pouchdb_spatial.boxes import WHOLE, Entry, Interval

__all__ = [
    "RELATIONS",
    "Exact",
    "Geometries",
    "PointTest",
    "computable",
    "related",
    "related_points",
    "shapely_of",
    "shapes_of",
    "stored_shape",
]

Geometries = Any
"""An array of shapely geometries."""
Exact = Callable[[Geometries], Any]
"""For each geometry of an array, whether it matches."""
PointTest = Callable[[Any, Any], Any]
"""The same for points: arrays of their longitudes and latitudes."""

RELATIONS = "contains contains_properly covered_by covers crosses disjoint intersects overlaps touches within".split()
_WRONG = (
    *(ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, RecursionError),
    shapely.errors.ShapelyError,
)


def shapely_of(geometry: Mapping[str, Any]) -> Any:
    """Return the shapely geometry of a GeoJSON geometry. Raises BadRequest."""
    try:
        return shape(geometry)
    except _WRONG as error:
        missing = "it has no coordinates" if isinstance(error, KeyError) else error
        raise BadRequest(f"the {geometry.get('type')} is not a valid geometry: {missing}") from error


def stored_shape(entry: Entry) -> bytes | None:
    """Return the stored form to compare an entry by: WKB, empty for a point equal to its box, or None.

    None means no geometry, or one that cannot be compared: rings of two points, wrong nesting, coordinates as of
    no place (``computable``). A polygon
    that crosses itself is stored as the area it covers.
    """
    geometry = entry.geometry
    if geometry is None:
        return None
    if geometry.get("type") != "Point" or "bbox" in geometry:
        return _wkb(geometry)
    return b"" if all(low >= -WHOLE and high <= WHOLE for low, high in entry.box[:2]) else None


def _wkb(geometry: Mapping[str, Any]) -> bytes | None:
    try:
        made = shapely.force_2d(shape(geometry))
        if not computable(made):
            return None
        if not made.is_valid:
            made = shapely.make_valid(made)
        return None if made.is_empty else bytes(shapely.to_wkb(_without_empty_parts(made)))
    except _WRONG:
        # Its box is found, if there is one; by an exact query it is not.
        return None


def _without_empty_parts(geometry: Any) -> Any:
    """Return a geometry without parts and holes that are empty: GEOS crashes when it puts corners on such edges."""
    if isinstance(geometry, shapely.Polygon):
        holes = [hole for hole in geometry.interiors if not hole.is_empty]
        return geometry if len(holes) == len(geometry.interiors) else shapely.Polygon(geometry.exterior, holes)
    if not hasattr(geometry, "geoms"):
        return geometry
    parts = list(geometry.geoms)
    kept = [_without_empty_parts(part) for part in parts if not part.is_empty]
    same = len(kept) == len(parts) and all(part is own for part, own in zip(kept, parts, strict=True))
    return geometry if same else type(geometry)(kept)


def computable(geometry: Any) -> bool:
    """Return whether a geometry is not empty, and GEOS can compute with its coordinates.

    Products of the largest doubles overflow: GEOS warns, answers at random, or crashes.
    """
    # The bounds are not enough: holes may lie outside of their polygon.
    coordinates = shapely.get_coordinates(geometry)
    return len(coordinates) > 0 and bool((numpy.abs(coordinates) <= WHOLE).all())


def shapes_of(shapes: Sequence[bytes | None], boxes: Sequence[Sequence[Interval]]) -> Geometries:
    """Return the geometries of stored shapes, None for those without."""
    made = numpy.empty(len(shapes), dtype=object)
    points = [place for place, each in enumerate(shapes) if each == b""]
    others = [place for place, each in enumerate(shapes) if each]
    if points:
        made[points] = shapely.points(
            [boxes[place][0][0] for place in points], [boxes[place][1][0] for place in points]
        )
    if others:
        made[others] = shapely.from_wkb([shapes[place] for place in others])
    return made


def related(asked: Any, relation: str) -> Exact:
    """Return a test of the relation of the query's geometry to documents', each as a whole, as DE-9IM defines it."""
    shapely.prepare(asked)
    compare = getattr(shapely, relation)

    def test(found: Geometries) -> Any:
        result = compare(asked, found)
        if relation in ("within", "covered_by"):
            # GEOS denies that something is within a collection if another part is of fewer dimensions.
            mixed = numpy.flatnonzero(shapely.get_type_id(found) == shapely.GeometryType.GEOMETRYCOLLECTION)
            if len(mixed):
                parts, owners = _parts(found[mixed], mixed)
                result[owners[compare(asked, parts)]] = True
        return result

    return test


def _parts(geometries: Geometries, owners: Any) -> tuple[Geometries, Any]:
    """Return the parts of collections, however deep, and the index of the geometry that each belongs to."""
    while True:
        parts, places = shapely.get_parts(geometries, return_index=True)
        owners = owners[places]
        if not (shapely.get_type_id(parts) == shapely.GeometryType.GEOMETRYCOLLECTION).any():
            return parts, owners
        geometries = parts


def related_points(asked: Any, relation: str) -> PointTest | None:
    """Return the test of ``related`` for coordinates of points, if there is a quicker one."""
    if relation not in ("intersects", "contains"):
        return None
    compare = shapely.intersects_xy if relation == "intersects" else shapely.contains_xy

    def test(lons: Any, lats: Any) -> Any:
        # What is prepared already stays so.
        shapely.prepare(asked)
        return compare(asked, lons, lats)

    return test
