"""What an error says: the option, the value, and what would be right; of an index, its name and the document."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import pouchdb

DDOC = {
    "_id": "_design/g",
    "spatial": {"places": "function (doc) { if (doc.place) emit(doc.place); }"},
    "st_indexes": {"st": {"index": "function (doc) { if (doc.place) st_index(doc.place); }"}},
}
PLACE = "give one place: bbox, or g, or lat and lon, or start_range and end_range; given are "


@pytest.mark.parametrize(
    ("options", "said"),
    [
        *(
            ({"bbox": given}, f"bbox must be four numbers (west, south, east, north), not {given!r}")
            for given in (5, "1,2,3", [1, 2, 3], [[1, 2], [3]], "")
        ),
        ({"bbox": "1,2,3,x"}, "each value of bbox must be a number, not 'x'"),
        ({"bbox": "[1,2"}, "bbox: invalid JSON: "),
        (
            {"bbox": [1, 2, 3, 4], "plane_bounds": [1, 2, 3, 4, 5, 6]},
            "plane_bounds must be four numbers (west, south, east, north), not [1, 2, 3, 4, 5, 6]",
        ),
        ({"plane_bounds": [1, 2, 3, 4]}, "plane_bounds is where a bbox wraps around: give bbox, too"),
        ({"g": 5}, "g must be WKT, a GeoJSON geometry or an object with __geo_interface__, not 5"),
        ({"g": "CIRCLE(1 1)"}, "g must be valid WKT, such as POINT(9.2 45.5), or GeoJSON: "),
        ({"g": "{"}, "g: invalid JSON: "),
        ({"g": {"type": "Point"}}, "the Point is not a valid geometry: it has no coordinates"),
        ({"g": "POINT EMPTY"}, "g must not be an empty geometry"),
        ({"g": "POLYGON((0 0,1 1,0 1,1 0,0 0))"}, "g must be a valid geometry: Self-intersection"),
        ({"g": "POINT(1 1)", "bbox": [1, 1, 2, 2]}, f"{PLACE}bbox; g"),
        ({"lat": 1, "lon": 1, "start_range": [1]}, f"{PLACE}lat and lon; start_range, end_range"),
        ({"g": "POINT(1 1)", "relation": "near"}, "relation must be one of contains, "),
        ({"relation": "within"}, "within is a relation to a place: give bbox, g, or lat and lon, too"),
        ({"relation": "within", "lat": 1, "lon": 1}, "within is a relation to an area: give radius, too"),
        ({"start_range": 5}, "start_range must be a list of numbers and nulls, one for each dimension, not 5"),
        ({"end_range": [1, "x"]}, "each value of end_range must be a number, not 'x'"),
        ({"lat": 1}, "a point needs both lat and lon: only one of them was given"),
        ({"lat": 91, "lon": 1}, "lat must be a number from -90 to 90, not 91"),
        ({"lat": 1, "lon": 1, "radius": -1}, "radius must be a number from 0 to 20015114, not -1"),
        *(
            ({name: 5, **more}, f"{name} is the distance from a point: give lat and lon, too")
            for name in ("radius", "rangex", "rangey")
            for more in ({}, {"bbox": [1, 1, 2, 2]}, {"g": "POINT(1 1)"})
        ),
        ({"lat": 1, "lon": 1, "radius": 1, "rangex": 1}, "give either radius (a circle), or rangex and rangey"),
        ({"lat": 1, "lon": 1, "rangex": 1}, "an ellipse needs both rangex and rangey: only one of them was given"),
        ({"nearest": True}, "nearest sorts by the distance from a place: give lat and lon, g, or bbox, too"),
        ({"format": "xml"}, "format must be one of view, geojson, legacy, not 'xml'"),
        ({"bookmark": "z"}, "Invalid value for bookmark: 'z'; it must be the bookmark of an earlier result"),
        ({"stale": "maybe"}, "stale must be 'ok' or 'update_after', not 'maybe'"),
        ({"foo": 1}, "spatial() has no option 'foo'; there are: start_range, "),
    ],
)
def test_options(db: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(pouchdb.BadRequest) as caught:
        db.spatial("g/places", **options)
    assert caught.value.message.startswith(said)


def test_the_most_rows_of_st_indexes(db: Any) -> None:
    with pytest.raises(pouchdb.BadRequest, match="limit must be at most 200, not 201: the bookmark of the result"):
        db.spatial("g/st", limit=201)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("g/none", "missing_named_view: _design/g has no spatial index 'none'"),
        (5, "spatial() takes 'design/name' or a function (Python, JavaScript), not 5"),
    ],
)
def test_the_name_of_an_index(db: Any, index: Any, said: str) -> None:
    with pytest.raises((pouchdb.NotFound, pouchdb.BadRequest)) as caught:
        db.spatial(index)
    assert caught.value.message == said


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (5, "a key must be a geometry or a list of numbers and [low, high] pairs, not 5"),
        ({"type": "Circle"}, "'Circle' is not a type of a GeoJSON geometry"),
        ({"type": "Feature", "geometry": None, "properties": {}}, "the Feature has no geometry"),
        (["x"], "a dimension must be a number or [low, high], not 'x'"),
        ([[5, 1]], "in [5, 1] the end is before the start"),
        ({"type": "Point", "coordinates": [1]}, "a position must have at least two numbers, not [1]"),
        ({"type": "Point"}, "coordinates must be lists of numbers, not None"),
        ({"type": "Polygon", "coordinates": []}, "the Polygon is empty"),
        ({"type": "GeometryCollection", "geometries": [5]}, "a geometry collection must contain geometries, not 5"),
    ],
)
@pytest.mark.parametrize("stored", [True, False])
def test_a_key(db: Any, place: Any, said: str, stored: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A document that is left out is reported, also by a query with a function, which reads several areas."""
    errors: list[Any] = []
    db.on("error", errors.append)
    db.bulk_docs([{"_id": "good", "place": [1, 1]}, {"_id": "bad", "place": place}])
    fun = "g/places" if stored else DDOC["spatial"]["places"]  # type: ignore[index]
    with caplog.at_level(logging.WARNING, "pouchdb.views"):
        found = db.spatial(fun, bbox=[170, -10, 2, 10], plane_bounds=[-180, -90, 180, 90])
    assert [row.id for row in found.rows] == ["good"]
    where = "spatial index 'places'" if stored else "the function"
    assert [error.message for error in errors] == [f"{where}, document 'bad': {said}"]
    assert errors[0].name == "spatial_key_error"
    assert f"leaves out document 'bad': {where}, document 'bad': {said}" in caplog.text
