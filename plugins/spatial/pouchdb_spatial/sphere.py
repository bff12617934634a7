"""Distances on the Earth, taken as a sphere.

Geometries are projected around a point so that every distance from it is true (an azimuthal equidistant
projection). Their edges are straight in degrees: long ones get corners on the way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy
import shapely  # type: ignore[import-untyped]  # its stubs are a separate distribution

__all__ = [
    "RADIUS",
    "away",
    "boxes_around",
    "distance",
    "distances",
    "edges_of",
    "inside",
    "laid_out",
    "of_earth",
]

RADIUS = 6_371_008.8
"""Metres: the mean radius of the Earth."""
LONGEST = 0.25
"""Degrees of an edge that is taken as straight around a point: it is within 10 metres of the one in degrees."""
TURNS = 720.0
"""Degrees from zero to the farthest that a geometry on the Earth may be, however often it goes around."""
Box = tuple[float, float, float, float]


def away(lons: Any, lats: Any, lon: float, lat: float) -> Any:
    """Return the metres from a point to each of some points; arrays of degrees."""
    lats, lat0 = numpy.radians(lats), math.radians(lat)
    # The haversine is exact for small distances, too.
    across = numpy.sin(numpy.radians(numpy.subtract(lons, lon)) / 2) ** 2
    half = numpy.sin((lats - lat0) / 2) ** 2 + math.cos(lat0) * numpy.cos(lats) * across
    return 2 * RADIUS * numpy.arcsin(numpy.sqrt(numpy.minimum(half, 1)))


def laid_out(geometry: Any, lon: float, lat: float) -> Any:
    """Return a shapely geometry of degrees, or an array of them, in metres around a point."""
    lat0 = math.radians(lat)

    def flat(points: Any) -> Any:
        metres = away(points[:, 0], points[:, 1], lon, lat)
        across, lats = numpy.radians(points[:, 0] - lon), numpy.radians(points[:, 1])
        east = numpy.cos(lats) * numpy.sin(across)
        north = math.cos(lat0) * numpy.sin(lats) - math.sin(lat0) * numpy.cos(lats) * numpy.cos(across)
        bearing = numpy.arctan2(east, north)
        return numpy.column_stack([metres * numpy.sin(bearing), metres * numpy.cos(bearing)])

    return shapely.transform(shapely.segmentize(shapely.force_2d(geometry), LONGEST), flat)


def of_earth(geometries: Any) -> Any:
    """Return whether each geometry of an array may be in degrees; others, as those of metres, have no distance."""
    coordinates, owners = shapely.get_coordinates(geometries, return_index=True)
    found = numpy.ones(len(geometries), dtype=bool)
    # Not their bounds: holes may lie outside of their polygon.
    found[owners[(numpy.abs(coordinates) > TURNS).any(axis=1)]] = False
    return found


def inside(geometries: Any, lon: float, lat: float) -> Any:
    """Return whether a point is in each geometry of an array, however the edges far away from it are laid out."""
    found = shapely.intersects_xy(geometries, lon, lat)
    bounds = shapely.bounds(geometries)
    for turn, beyond in ((360, bounds[:, 2] > 180), (-360, bounds[:, 0] < -180)):
        if beyond.any():
            found |= shapely.intersects_xy(geometries, lon + turn, lat)
    return found


def distance(geometry: Any, lon: float, lat: float) -> float:
    """Return the metres from a point to a geometry, 0 inside of it."""
    return float(distances(numpy.array([geometry]), lon, lat)[0])


def distances(geometries: Any, lon: float, lat: float) -> Any:
    """Return the metres from a point to each geometry of an array."""
    flat = laid_out(edges_of(geometries), lon, lat)
    # An edge that passes by the antipode crosses all of the plane. No edge is nearer than its ends by its length.
    corners, owners = shapely.get_coordinates(flat, return_index=True)
    least = numpy.full(len(flat), numpy.inf)
    numpy.minimum.at(least, owners, numpy.hypot(corners[:, 0], corners[:, 1]))
    found = numpy.maximum(shapely.distance(flat, shapely.Point(0, 0)), least - RADIUS * math.radians(LONGEST))
    found[inside(geometries, lon, lat)] = 0
    return found


def edges_of(geometries: Any) -> Any:
    """Return geometries with the edges of areas in place of them: an area around the antipode is turned over."""
    areas = shapely.get_dimensions(geometries) == 2
    if not areas.any():
        return geometries
    found = geometries.copy()
    mixed = areas & (shapely.get_type_id(geometries) == shapely.GeometryType.GEOMETRYCOLLECTION)
    found[areas & ~mixed] = shapely.boundary(geometries[areas & ~mixed])
    for place in numpy.flatnonzero(mixed):
        parts = shapely.get_parts(shapely.get_parts(geometries[[place]]))
        found[place] = shapely.GeometryCollection(list(edges_of(parts)))
    return found


def boxes_around(lon: float, lat: float, radius: float) -> list[Box]:
    """Return boxes of degrees (west, south, east, north) that cover everything within this many metres of a point."""
    # A little larger: points at the edge must not be lost by rounding.
    angle = radius * 1.000_001 / RADIUS + 1e-12
    reach = math.degrees(angle)
    south, north = lat - reach, lat + reach
    if south <= -90 or north >= 90 or angle >= math.pi / 2:
        return [(-180.0, max(-90.0, south), 180.0, min(90.0, north))]
    width = math.degrees(math.asin(min(1.0, math.sin(angle) / math.cos(math.radians(lat)))))
    west, east = lon - width, lon + width
    if west < -180:
        return [(west + 360, south, 180.0, north), (-180.0, south, east, north)]
    if east > 180:
        return [(west, south, 180.0, north), (-180.0, south, east - 360, north)]
    return [(west, south, east, north)]
