"""The key a function emits, as a box in some dimensions and a geometry (spec: plugins 6.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pouchdb_core.revisions.numbers import is_double
from pouchdb_core.safe_repr import safe_repr

__all__ = [
    "GEOMETRIES",
    "WHOLE",
    "Entry",
    "Flat",
    "Interval",
    "bounds_of",
    "column",
    "entry_of",
    "geometry_of",
    "part_boxes",
    "point_of",
]

Interval = tuple[float, float]
Flat = tuple[float, float, float, float]
"""West, south, east, north."""
GEOMETRIES = frozenset(
    ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"]
)
WHOLE = 2**53
"""Whole numbers up to here are doubles, and coordinates up to here are compared exactly."""
DEPTH = 20
"""The deepest nesting of collections within collections."""


class Entry(NamedTuple):
    """A box, one interval for each dimension, and its GeoJSON geometry, if there is one."""

    box: tuple[Interval, ...]
    geometry: Mapping[str, Any] | None
    parts: Sequence[Flat] | None = None
    """The boxes of its parts (``part_boxes``)."""


def geometry_of(value: Any) -> Mapping[str, Any] | None:
    """Return the GeoJSON geometry of a value: itself, a Feature's, or that of a Python geometry object."""
    value = getattr(value, "__geo_interface__", value)
    if isinstance(value, Mapping):
        if value.get("type") == "Feature":
            return geometry_of(value.get("geometry"))
        if _is_geometry(value):
            return value
    return None


def _is_geometry(value: Mapping[str, Any]) -> bool:
    kind = value.get("type")
    return isinstance(kind, str) and kind in GEOMETRIES


def point_of(key: Any) -> tuple[float, float] | None:
    """Return the position of a GeoJSON point that is nothing else, in two dimensions; None of any other key."""
    if not isinstance(key, dict) or len(key) != 2 or key.get("type") != "Point":
        return None
    at = key.get("coordinates")
    if type(at) is not list or len(at) != 2:
        return None
    x, y = at
    for each in at:
        if not ((type(each) is float or type(each) is int) and -WHOLE <= each <= WHOLE):
            return None
    return x, y


def entry_of(key: Any) -> Entry:
    """Return the box of an emitted key. Raises ValueError for a key without one.

    The box of a geometry is its bounding box; that of a list starting with a geometry has the rest as further
    dimensions; in any other list each element is a dimension, a number or ``[low, high]``.
    """
    geometry = geometry_of(key)
    if geometry is not None:
        return Entry(bounds_of(geometry), geometry, part_boxes(geometry))
    if isinstance(key, Mapping) and key.get("type") == "Feature":
        raise ValueError("the Feature has no geometry")
    if isinstance(key, Mapping):
        raise ValueError(f"{safe_repr(key.get('type'))} is not a type of a GeoJSON geometry")
    if not isinstance(key, Sequence):
        raise ValueError(f"a key must be a geometry or a list of numbers and [low, high] pairs, not {safe_repr(key)}")
    first = geometry_of(key[0]) if key else None
    if first is not None:
        return Entry((*bounds_of(first), *map(_interval, key[1:])), first, part_boxes(first))
    return Entry(tuple(map(_interval, key)), None)


def _interval(value: Any) -> Interval:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        low, high = map(_number, value)
        if low > high:
            raise ValueError(f"in {safe_repr(list(value))} the end is before the start")
        return low, high
    number = _number(value)
    return number, number


def _number(value: Any) -> float:
    if not is_double(value):
        raise ValueError(f"a dimension must be a number or [low, high], not {safe_repr(value)}")
    return column(value)


def column(number: float) -> float:
    """Return a number as a column has it: an integer beyond its 64 bits as a double."""
    return number if -(2**63) <= number < 2**63 else float(number)


def bounds_of(geometry: Mapping[str, Any]) -> tuple[Interval, ...]:
    """Return the bounding box of a geometry; its own ``bbox`` is trusted. Raises ValueError for an empty one."""
    if given := _given_bounds(geometry):
        return given
    box = _box_of(_positions(geometry, 0))
    if not box:
        raise ValueError(f"the {geometry.get('type')} is empty")
    return box


def part_boxes(geometry: Mapping[str, Any]) -> list[Flat] | None:
    """Return the boxes of the parts of a geometry in two dimensions; None of a single one, or with a ``bbox``.

    geopouch indexes these instead of the box of the whole: nothing is found in the space between them. The geometry
    has a box (``bounds_of``).
    """
    if _given_bounds(geometry):
        return None
    boxes = [box for part in _parts(geometry) if (box := _box_of(_positions(part, 0)))]
    return None if len(boxes) < 2 else [(west, south, east, north) for (west, east), (south, north), *_ in boxes]


def _parts(geometry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of a geometry, however deep they are."""
    kind = geometry["type"]
    if kind == "GeometryCollection":
        for each in geometry.get("geometries") or ():
            yield from _parts(each)
    elif kind.startswith("Multi") and all(isinstance(each, Sequence) for each in geometry["coordinates"]):
        for each in geometry["coordinates"]:
            yield {"type": kind.removeprefix("Multi"), "coordinates": each}
    else:
        yield geometry


def _given_bounds(geometry: Mapping[str, Any]) -> tuple[Interval, ...] | None:
    """Return the box that a geometry has as its member ``bbox``. Raises ValueError for a wrong one."""
    given = geometry.get("bbox")
    if isinstance(given, Sequence) and not isinstance(given, str) and len(given) >= 4 and len(given) % 2 == 0:
        half = len(given) // 2
        return tuple(_interval([low, high]) for low, high in zip(given[:half], given[half:], strict=True))
    return None


def _box_of(positions: Iterator[Sequence[Any]]) -> tuple[Interval, ...]:
    lows: list[float] = []
    highs: list[float] = []
    for position in positions:
        numbers = [_number(each) for each in position]
        if len(numbers) < 2:
            raise ValueError(f"a position must have at least two numbers, not {safe_repr(position)}")
        for place, number in enumerate(numbers):
            if place == len(lows):
                lows.append(number)
                highs.append(number)
            else:
                lows[place] = min(lows[place], number)
                highs[place] = max(highs[place], number)
    return tuple(zip(lows, highs, strict=True))


def _positions(geometry: Mapping[str, Any], depth: int) -> Iterator[Sequence[Any]]:
    if geometry.get("type") == "GeometryCollection":
        if depth > DEPTH:
            raise ValueError(f"geometry collections are nested deeper than {DEPTH} levels")
        members = geometry.get("geometries") or ()
        if not isinstance(members, Sequence):
            raise ValueError(f"the geometries of a collection must be a list, not {safe_repr(members)}")
        for each in members:
            if not isinstance(each, Mapping) or not _is_geometry(each):
                raise ValueError(f"a geometry collection must contain geometries, not {safe_repr(each)}")
            yield from _positions(each, depth + 1)
        return
    yield from _leaves(geometry.get("coordinates"), 0)


def _leaves(coordinates: Any, depth: int) -> Iterator[Sequence[Any]]:
    if not isinstance(coordinates, Sequence) or isinstance(coordinates, str) or depth > 5:
        raise ValueError(f"coordinates must be lists of numbers, not {safe_repr(coordinates)}")
    if coordinates and not isinstance(coordinates[0], Sequence):
        yield coordinates
        return
    for each in coordinates:
        yield from _leaves(each, depth + 1)
