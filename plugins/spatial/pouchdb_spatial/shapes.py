"""The area of a query: boxes for the tree, and the exact test afterwards."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy
import shapely  # type: ignore[import-untyped]  # its stubs are a separate distribution

from pouchdb_core.errors import BadRequest, QueryParseError
from pouchdb_core.jsontext import from_text
from pouchdb_core.revisions.numbers import is_double
from pouchdb_core.safe_repr import safe_repr
from pouchdb_spatial.boxes import WHOLE, Flat, column, geometry_of
from pouchdb_spatial.geometries import (
    RELATIONS,
    Exact,
    Geometries,
    PointTest,
    computable,
    related,
    related_points,
    shapely_of,
)
from pouchdb_spatial.reading import Area, Bounds
from pouchdb_spatial.spatial_index import DIMENSIONS
from pouchdb_spatial.sphere import RADIUS, away, boxes_around, distances, edges_of, inside, laid_out, of_earth

__all__ = ["Place", "areas_around", "bbox_of", "geometry_from", "number", "place_of", "turned", "wkt_of"]

SEGMENTS = 90
"""Straight lines of a quarter of a circle, where its edge is compared."""
_EARTH: Flat = (-180.0, -90.0, 180.0, 90.0)


class Place:
    """The area that is searched; without an exact test the boxes decide."""

    def __init__(self, bounds: Sequence[Bounds] = ()) -> None:
        self.bounds = bounds
        """Boxes of which one must overlap; none: everything."""
        self.exact: Exact | None = None
        self.points: PointTest | None = None
        """A quicker exact test of points."""
        self.box = False
        """Whether points match by their bounds alone, without a test."""
        self.by_parts = False
        """Whether a geometry of several parts matches by the box of one of them, not by that of the whole."""
        self.around = False
        """Whether it is a part of the sphere, where longitudes begin again after 360 degrees, not of the plane."""
        self.center: Callable[[], tuple[float, float]] | None = None
        """Returns the longitude and latitude from which distances are measured."""


def number(name: str, value: Any, least: float | None = None, most: float | None = None) -> float:
    """Return a finite number of an option. Raises BadRequest."""
    found: float = value if type(value) is float and math.isfinite(value) else _number(name, value)
    if (least is not None and found < least) or (most is not None and found > most):
        raise BadRequest(f"{name} must be a number from {least} to {most:.8g}, not {found}")
    return found


def _number(name: str, value: Any) -> float:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise BadRequest(f"{name} must be a number, not {safe_repr(value)}") from None
    if not is_double(value):
        raise BadRequest(f"{name} must be a number, not {safe_repr(value)}")
    return column(value)


def bbox_of(name: str, value: Any) -> tuple[float, ...]:
    """Return (west, south, east, north), or all lows and then all highs of up to five dimensions. Raises BadRequest.

    ``value`` is a string with commas or of JSON, a list of these numbers, or a list of the two corners.
    """
    given = value
    if isinstance(value, str):
        value = _json(name, value) if value.lstrip().startswith("[") else value.split(",")
    if _listed(value) and len(value) == 2 and all(map(_listed, value)) and len(value[0]) == len(value[1]):
        value = [*value[0], *value[1]]
    if not _listed(value) or len(value) % 2 or not 4 <= len(value) <= 2 * DIMENSIONS:
        raise BadRequest(f"{name} must be four numbers (west, south, east, north), not {safe_repr(given)}")
    name = f"each value of {name}"
    return tuple([number(name, each) for each in value])


def _json(name: str, text: str) -> Any:
    try:
        return from_text(text)
    except BadRequest as error:
        raise BadRequest(f"{name}: {error.message}") from error


def _listed(value: Any) -> bool:
    return type(value) is list or (isinstance(value, Sequence) and not isinstance(value, (str, bytes)))


def _unwrapped(box: Flat, plane: Flat | None) -> list[Flat]:
    """Return the parts of a box that crosses the edge of its plane, such as the date line."""
    west, south, east, north = box
    if plane is None or (west <= east and south <= north):
        return [box]
    columns = [(west, east)] if west <= east else [(west, plane[2]), (plane[0], east)]
    rows = [(south, north)] if south <= north else [(south, plane[3]), (plane[1], north)]
    return [(left, low, right, high) for left, right in columns for low, high in rows]


def _bounds(box: Flat, further: Bounds = ()) -> Bounds:
    """Return the bounds of a box; dimensions without bounds are not compared."""
    west, south, east, north = box
    return Area(((west, east), (south, north), *further))


def areas_around(lon: float, lat: float, radius: float) -> list[Bounds]:
    """Return the bounds of boxes of degrees that cover everything within this many metres of a point."""
    return [
        Area(((None, None) if east - west == 360 else (west, east), (south, north)))
        for west, south, east, north in boxes_around(lon, lat, radius)
    ]


def turned(areas: Sequence[Bounds]) -> list[Bounds]:
    """Return areas of the sphere with the same ones a turn to the west and to the east: 190 degrees are -170."""
    found = list(areas)
    for (west, east), *others in areas:
        if west is not None and east is not None:
            found += [Area(((west + turn, east + turn), *others)) for turn in (-360, 360)]
    return found


def geometry_from(value: Any) -> Any:
    """Return a shapely geometry from WKT, GeoJSON (or its text) or a Python geometry object. Raises BadRequest."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("{"):
            value = _json("g", text)
        else:
            try:
                return _valid(shapely.from_wkt(re.sub(r"^SRID=\d+;", "", text) if text.startswith("SRID") else text))
            except shapely.errors.ShapelyError as error:
                raise BadRequest(f"g must be valid WKT, such as POINT(9.2 45.5), or GeoJSON: {error}") from error
    geometry = geometry_of(value)
    if geometry is None:
        forms = "WKT, a GeoJSON geometry or an object with __geo_interface__"
        raise BadRequest(f"g must be {forms}, not {safe_repr(value)}")
    return _valid(shapely_of(geometry))


def wkt_of(value: Any) -> str:
    """Return the text of GeoJSON or a Python geometry object, in two dimensions. Raises BadRequest.

    Cloudant reads no GeoJSON in ``g``, and GEOS no text of parts that have heights and others that have none.
    """
    text: str = shapely.to_wkt(shapely.force_2d(geometry_from(value)), rounding_precision=-1)
    return text


def _valid(geometry: Any) -> Any:
    if geometry is None or geometry.is_empty:
        raise BadRequest("g must not be an empty geometry")
    if not geometry.is_valid:
        if not computable(geometry):
            raise _no_place()
        raise BadRequest(f"g must be a valid geometry: {shapely.is_valid_reason(geometry)}")
    return geometry


def _no_place() -> BadRequest:
    return BadRequest(f"g must have coordinates of places: numbers, none of them beyond {WHOLE}")


def place_of(given: Mapping[str, Any], *, exact_boxes: bool) -> Place:
    """Return the area to search. Raises BadRequest, QueryParseError for options that do not fit together.

    ``exact_boxes``: a ``bbox`` is compared with the geometries, not with their boxes.
    """
    ways = [name for name in ("bbox", "g") if given.get(name) is not None]
    if given.get("lat") is not None or given.get("lon") is not None:
        ways.append("lat and lon")
    ranges = given.get("start_range") is not None or given.get("end_range") is not None
    if len(ways) > 1 or (ways and ranges):
        if ranges:
            ways.append("start_range, end_range")
        raise QueryParseError(
            f"give one place: bbox, or g, or lat and lon, or start_range and end_range; given are {'; '.join(ways)}"
        )
    if given.get("relation") is not None and given["relation"] not in RELATIONS:
        raise QueryParseError(f"relation must be one of {', '.join(RELATIONS)}, not {safe_repr(given['relation'])}")
    if "lat and lon" not in ways:
        for name in ("radius", "rangex", "rangey"):
            if given.get(name) is not None:
                raise QueryParseError(f"{name} is the distance from a point: give lat and lon, too")
    if given.get("relation") is not None and not ways:
        raise QueryParseError(f"{given['relation']} is a relation to a place: give bbox, g, or lat and lon, too")
    if ranges:
        return Place([_ranges(given.get("start_range"), given.get("end_range"))])
    if not ways:
        if given.get("plane_bounds") is not None:
            raise QueryParseError("plane_bounds is where a bbox wraps around: give bbox, too")
        return Place()
    if ways == ["bbox"]:
        return _box_place(given, exact_boxes)
    if ways == ["g"]:
        return _geometry_place(given)
    return _around(given)


def _box_place(given: Mapping[str, Any], exact_boxes: bool) -> Place:
    numbers = bbox_of("bbox", given["bbox"])
    half = len(numbers) // 2
    box: Flat = (numbers[0], numbers[1], numbers[half], numbers[half + 1])
    further = tuple(zip(numbers[2:half], numbers[half + 2 :], strict=True))
    plane = None if given.get("plane_bounds") is None else _plane(bbox_of("plane_bounds", given["plane_bounds"]))
    relation = given.get("relation")
    exact_boxes = exact_boxes or relation is not None
    if plane is None and exact_boxes:
        plane = _EARTH
    parts = _unwrapped(box, plane)
    place = Place([_bounds(each, further) for each in parts])
    place.by_parts = not exact_boxes
    if plane is not None or box[0] <= box[2]:
        place.center = lambda: _middle_of_box(box, plane or _EARTH)
    if exact_boxes:
        place.exact = _Related(lambda: _area(parts), relation or "intersects")
        # A point within the bounds is within the box.
        place.box = relation is None or relation == "intersects"
        if relation == "disjoint":
            place.bounds = []
    return place


def _middle_of_box(box: Flat, plane: Flat) -> tuple[float, float]:
    def between(low: float, high: float, first: float, last: float) -> float:
        # It goes on at the other edge of the plane if it ends before it begins.
        middle = (low + high) / 2 if low <= high else (low + high + last - first) / 2
        return middle if middle <= last or low <= high else middle - (last - first)

    return between(box[0], box[2], plane[0], plane[2]), between(box[1], box[3], plane[1], plane[3])


def _plane(numbers: Sequence[float]) -> Flat:
    if len(numbers) != 4:
        raise BadRequest(f"plane_bounds must be four numbers (west, south, east, north), not {list(numbers)}")
    west, south, east, north = numbers
    return west, south, east, north


def _area(boxes: Sequence[Flat]) -> Any:
    """Return what boxes cover; a box without width or height is the line or the point that it is."""
    made = []
    for box in boxes:
        # What is compared with it is no farther away.
        west, south, east, north = (max(-WHOLE, min(WHOLE, side)) for side in box)
        made.append(_box(west, south, east, north))
    return shapely.union_all(made) if len(made) > 1 else made[0]


def _box(west: float, south: float, east: float, north: float) -> Any:
    if west == east and south == north:
        return shapely.Point(west, south)
    if west == east or south == north:
        return shapely.LineString([(west, south), (east, north)])
    return shapely.box(west, south, east, north)


class _Related:
    """The test of a relation to an area that is made when there is something to compare."""

    def __init__(self, make: Callable[[], Any], relation: str) -> None:
        self._make, self._relation = make, relation
        self._test: Exact | None = None

    def __call__(self, found: Geometries) -> Any:
        if self._test is None:
            self._test = related(self._make(), self._relation)
        return self._test(found)


def _middle(geometry: Any) -> tuple[float, float]:
    middle = geometry.centroid
    return middle.x, middle.y


def _geometry_place(given: Mapping[str, Any]) -> Place:
    geometry = geometry_from(given["g"])
    relation = given.get("relation") or "intersects"
    # All of a valid geometry is within its bounds.
    bounds = west, south, east, north = geometry.bounds
    if not (west >= -WHOLE and south >= -WHOLE and east <= WHOLE and north <= WHOLE):
        raise _no_place()
    place = Place([] if relation == "disjoint" else [_bounds(bounds)])
    place.exact, place.points = _Related(lambda: geometry, relation), related_points(geometry, relation)
    place.center = lambda: _middle(geometry)
    return place


def _around(given: Mapping[str, Any]) -> Place:
    if given.get("lat") is None or given.get("lon") is None:
        raise QueryParseError("a point needs both lat and lon: only one of them was given")
    lat, lon = number("lat", given["lat"], -90, 90), number("lon", given["lon"], -180, 180)
    radius, rangex, rangey = given.get("radius"), given.get("rangex"), given.get("rangey")
    if radius is not None and (rangex is not None or rangey is not None):
        raise QueryParseError("give either radius (a circle), or rangex and rangey (an ellipse), not both")
    relation = given.get("relation") or "intersects"
    if radius is None and rangex is None and rangey is None:
        if relation != "intersects":
            raise QueryParseError(f"{relation} is a relation to an area: give radius, too")
        place = Place()
        place.center = lambda: (lon, lat)
        return place
    if radius is not None:
        metres = number("radius", radius, 0, math.pi * RADIUS)
        across, along = metres, metres
    elif rangex is None or rangey is None:
        raise QueryParseError("an ellipse needs both rangex and rangey: only one of them was given")
    else:
        across, along = number("rangex", rangex, 0, math.pi * RADIUS), number("rangey", rangey, 0, math.pi * RADIUS)
    place = Place([] if relation == "disjoint" else areas_around(lon, lat, max(across, along)))
    place.around, place.center = True, lambda: (lon, lat)
    if radius is not None and relation == "intersects":
        place.exact = _of_earth(lambda found: distances(found, lon, lat) <= metres)
        place.points = lambda lons, lats: away(lons, lats, lon, lat) <= metres
    else:
        place.exact = _of_earth(_around_ellipse(lon, lat, across, along, relation))
    return place


def _of_earth(test: Exact) -> Exact:
    """Return a test of places on the sphere, which no geometry passes that is none."""

    def exact(found: Geometries) -> Any:
        comparable = of_earth(found)
        if comparable.all():
            return test(found)
        passed = numpy.zeros(len(found), dtype=bool)
        passed[comparable] = test(found[comparable])
        return passed

    return exact


def _around_ellipse(lon: float, lat: float, across: float, along: float, relation: str) -> Exact:
    """Return the test of an ellipse of metres around a point, which becomes a circle of radius 1."""
    test = related(shapely.Point(0, 0).buffer(1, quad_segs=SEGMENTS), relation)

    def exact(found: Geometries) -> Any:
        def flattened(geometries: Geometries) -> Geometries:
            return shapely.transform(
                laid_out(geometries, lon, lat), lambda points: points / [across or 1e-9, along or 1e-9]
            )

        if relation in ("intersects", "disjoint"):
            near = shapely.distance(flattened(edges_of(found)), shapely.Point(0, 0)) <= 1
            return (near | inside(found, lon, lat)) == (relation == "intersects")
        flat = flattened(found)
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
            wanted = "a list of numbers and nulls, one for each dimension"
            raise QueryParseError(f"{name} must be {wanted}, not {safe_repr(value)}")
    if start is not None and end is not None and len(start) != len(end):
        # As many dimensions as both have: a key with more matches nothing.
        length = min(len(start), len(end))
        start, end = start[:length], end[:length]
    length = len(start if start is not None else end)

    def bound(name: str, values: Any, place: int) -> float | None:
        value = None if values is None else values[place]
        return None if value is None else number(f"each value of {name}", value)

    return [(bound("start_range", start, place), bound("end_range", end, place)) for place in range(length)]
