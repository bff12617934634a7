"""The area of a query: boxes for the tree, and the exact test afterwards."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy
import shapely  # type: ignore[import-untyped]  # its stubs are a separate distribution

from pouchdb_core.errors import BadRequest, QueryParseError
from pouchdb_core.jsontext import from_text
from pouchdb_core.revisions.numbers import is_double
from pouchdb_core.safe_repr import safe_repr
from pouchdb_spatial.boxes import geometry_of
from pouchdb_spatial.geometries import (
    RELATIONS,
    Exact,
    Geometries,
    PointTest,
    related,
    related_points,
    shapely_of,
)
from pouchdb_spatial.reading import Bounds
from pouchdb_spatial.sphere import RADIUS, away, boxes_around, distances, laid_out

__all__ = ["Place", "bbox_of", "geometry_from", "number", "place_of"]

SEGMENTS = 90
"""Straight lines of a quarter of a circle, where its edge is compared."""
_EARTH: tuple[float, float, float, float] = (-180.0, -90.0, 180.0, 90.0)


@dataclass
class Place:
    """The area that is searched; without an exact test the boxes decide."""

    bounds: list[Bounds] = field(default_factory=list)
    """Boxes of which one must overlap; none: everything."""
    exact: Exact | None = None
    points: PointTest | None = None
    """A quicker exact test of points."""
    center: tuple[float, float] | None = None
    """Longitude and latitude from which distances are measured."""


def number(name: str, value: Any, least: float | None = None, most: float | None = None) -> float:
    """Return a finite number of an option. Raises BadRequest."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise BadRequest(f"{name} must be a number, not {safe_repr(value)}") from None
    if not is_double(value):
        raise BadRequest(f"{name} must be a number, not {safe_repr(value)}")
    if (least is not None and value < least) or (most is not None and value > most):
        raise BadRequest(f"{name} must be from {least} to {most}, not {value}")
    return value


def bbox_of(name: str, value: Any) -> tuple[float, float, float, float]:
    """Return (west, south, east, north) of a string with commas, a list of four or two corners. Raises BadRequest."""
    if isinstance(value, str):
        value = value.split(",")
    if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(each, Sequence) for each in value):
        value = [*value[0], *value[1]]
    if not isinstance(value, Sequence) or len(value) != 4:
        raise BadRequest(f"{name} is west, south, east, north, not {safe_repr(value)}")
    west, south, east, north = (number(name, each) for each in value)
    return west, south, east, north


def _unwrapped(
    box: tuple[float, float, float, float], plane: tuple[float, float, float, float] | None
) -> list[tuple[float, float, float, float]]:
    """Return the parts of a box that crosses the edge of its plane, such as the date line."""
    west, south, east, north = box
    if plane is None:
        return [box]
    columns = [(west, east)] if west <= east else [(west, plane[2]), (plane[0], east)]
    rows = [(south, north)] if south <= north else [(south, plane[3]), (plane[1], north)]
    return [(left, low, right, high) for left, right in columns for low, high in rows]


def _bounds(box: tuple[float, float, float, float]) -> Bounds:
    west, south, east, north = box
    # Further dimensions are not compared.
    return [(west, east), (south, north), (None, None), (None, None), (None, None)]


def geometry_from(value: Any) -> Any:
    """Return a shapely geometry from WKT, GeoJSON (or its text) or a Python geometry object. Raises BadRequest."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("{"):
            value = from_text(text)
        else:
            try:
                return _valid(shapely.from_wkt(re.sub(r"^\s*SRID=\d+;", "", text)))
            except shapely.errors.ShapelyError as error:
                raise BadRequest(f"g is not WKT, such as POINT(9.2 45.5): {error}") from error
    geometry = geometry_of(value)
    if geometry is None:
        raise BadRequest(f"g is WKT, a GeoJSON geometry or an object with __geo_interface__, not {safe_repr(value)}")
    return _valid(shapely_of(geometry))


def _valid(geometry: Any) -> Any:
    if geometry is None or geometry.is_empty:
        raise BadRequest("g is empty")
    if not geometry.is_valid:
        raise BadRequest(f"g is not a valid geometry: {shapely.is_valid_reason(geometry)}")
    return geometry


def place_of(given: Mapping[str, Any], *, exact_boxes: bool) -> Place:
    """Return the area to search. Raises BadRequest, QueryParseError for options that do not fit together.

    ``exact_boxes``: a ``bbox`` is compared with the geometries, not with their boxes.
    """
    ways = [
        name
        for name, options in (("bbox", ("bbox",)), ("g", ("g",)), ("lat and lon", ("lat", "lon")))
        if any(given.get(each) is not None for each in options)
    ]
    ranges = given.get("start_range") is not None or given.get("end_range") is not None
    if len(ways) > 1 or (ways and ranges):
        raise QueryParseError(
            f"a place is given by one of bbox, g, lat and lon, or ranges, not by {' and '.join(ways)}"
        )
    if given.get("relation") is not None and given["relation"] not in RELATIONS:
        raise QueryParseError(f"relation is one of {', '.join(RELATIONS)}, not {safe_repr(given['relation'])}")
    if ranges:
        return Place([_ranges(given.get("start_range"), given.get("end_range"))])
    if not ways:
        if given.get("plane_bounds") is not None:
            raise QueryParseError("plane_bounds says how a bbox wraps: give a bbox, too")
        return Place()
    if ways == ["bbox"]:
        return _box_place(given, exact_boxes)
    if ways == ["g"]:
        return _geometry_place(given)
    return _around(given)


def _box_place(given: Mapping[str, Any], exact_boxes: bool) -> Place:
    box = bbox_of("bbox", given["bbox"])
    plane = None if given.get("plane_bounds") is None else bbox_of("plane_bounds", given["plane_bounds"])
    exact_boxes = exact_boxes or given.get("relation") is not None
    if plane is None and exact_boxes:
        plane = _EARTH
    parts = _unwrapped(box, plane)
    place = Place([_bounds(each) for each in parts])
    if parts[0][0] <= parts[0][2]:
        place.center = ((parts[0][0] + parts[0][2]) / 2, (parts[0][1] + parts[0][3]) / 2)
    if exact_boxes:
        relation = given.get("relation") or "intersects"
        area = shapely.box(*parts[0]) if len(parts) == 1 else shapely.union_all([shapely.box(*each) for each in parts])
        place.exact = related(area, relation)
        # A point within the bounds is within the box.
        place.points = (lambda lons, lats: [True] * len(lons)) if relation == "intersects" else None
        if len(parts) > 1:
            place.center = (area.centroid.x, area.centroid.y)
        if relation == "disjoint":
            place.bounds = []
    return place


def _geometry_place(given: Mapping[str, Any]) -> Place:
    geometry = geometry_from(given["g"])
    relation = given.get("relation") or "intersects"
    west, south, east, north = geometry.bounds
    bounds = [] if relation == "disjoint" else [_bounds((west, south, east, north))]
    center = (geometry.centroid.x, geometry.centroid.y)
    return Place(bounds, related(geometry, relation), related_points(geometry, relation), center)


def _around(given: Mapping[str, Any]) -> Place:
    if given.get("lat") is None or given.get("lon") is None:
        raise QueryParseError("a point is given by both lat and lon")
    lat, lon = number("lat", given["lat"], -90, 90), number("lon", given["lon"], -180, 180)
    radius, rangex, rangey = given.get("radius"), given.get("rangex"), given.get("rangey")
    if radius is not None and (rangex is not None or rangey is not None):
        raise QueryParseError("radius is for a circle, rangex and rangey are for an ellipse: give one of them")
    relation = given.get("relation") or "intersects"
    if radius is None and rangex is None and rangey is None:
        if relation != "intersects":
            raise QueryParseError(f"{relation} is a relation to an area: give a radius, too")
        return Place(center=(lon, lat))
    if radius is not None:
        metres = number("radius", radius, 0, math.pi * RADIUS)
        across, along = metres, metres
    elif rangex is None or rangey is None:
        raise QueryParseError("an ellipse is given by both rangex and rangey")
    else:
        across, along = number("rangex", rangex, 0, math.pi * RADIUS), number("rangey", rangey, 0, math.pi * RADIUS)
    bounds = [] if relation == "disjoint" else [_bounds(each) for each in boxes_around(lon, lat, max(across, along))]
    place = Place(bounds, center=(lon, lat))
    if radius is not None and relation == "intersects":
        place.exact = lambda found: distances(found, lon, lat) <= metres
        place.points = lambda lons, lats: away(lons, lats, lon, lat) <= metres
    else:
        place.exact = _around_ellipse(lon, lat, across, along, relation)
    return place


def _around_ellipse(lon: float, lat: float, across: float, along: float, relation: str) -> Exact:
    """Return the test of an ellipse of metres around a point, which becomes a circle of radius 1."""
    test = related(shapely.Point(0, 0).buffer(1, quad_segs=SEGMENTS), relation)

    def exact(found: Geometries) -> Any:
        flat = shapely.transform(laid_out(found, lon, lat), lambda points: points / [across or 1e-9, along or 1e-9])
        if relation in ("intersects", "disjoint"):
            return (shapely.distance(flat, shapely.Point(0, 0)) <= 1) == (relation == "intersects")
        if relation in ("contains", "contains_properly", "covers"):
            points, owners = shapely.get_coordinates(flat, return_index=True)
            farthest = numpy.zeros(len(found))
            numpy.maximum.at(farthest, owners, numpy.hypot(points[:, 0], points[:, 1]))
            return farthest < 1 if relation == "contains_properly" else farthest <= 1
        return test(flat)

    return exact


def _ranges(start: Any, end: Any) -> Bounds:
    for name, value in (("start_range", start), ("end_range", end)):
        if value is not None and (not isinstance(value, Sequence) or isinstance(value, str)):
            raise QueryParseError(f"{name} is a list with a number or null for each dimension, not {safe_repr(value)}")
    if start is not None and end is not None and len(start) != len(end):
        # As many dimensions as both have: a key with more matches nothing.
        length = min(len(start), len(end))
        start, end = start[:length], end[:length]
    length = len(start if start is not None else end)

    def bound(name: str, values: Any, place: int) -> float | None:
        value = None if values is None else values[place]
        return None if value is None else number(name, value)

    return [(bound("start_range", start, place), bound("end_range", end, place)) for place in range(length)]
