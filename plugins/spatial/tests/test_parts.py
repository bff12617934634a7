"""Parts of geometries, as geopouch has them; forms of a box; edges and longitudes on the sphere; all over HTTP."""

from __future__ import annotations

import random
from typing import Any

import numpy
import pytest
import shapely
from pouchdb_spatial.boxes import part_boxes
from pouchdb_spatial.sphere import away, distances

import pouchdb

DDOC = {
    "_id": "_design/s",
    "spatial": {"k": "function (doc) { if (doc.g) emit(doc.g, doc.n); }"},
    "st_indexes": {"g": {"index": "function (doc) { if (doc.g) st_index(doc.g); }"}},
}


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer.rows]


def point(lon: float, lat: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [lon, lat]}


# -- geometries of several parts ---------------------------------------------------------------------

SQUARE = [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]
FAR = [[[8, 8], [9, 8], [9, 9], [8, 9], [8, 8]]]
PARTED: list[tuple[Any, Any]] = [
    (point(1, 2), None),
    ({"type": "Polygon", "coordinates": SQUARE}, None),
    ({"type": "MultiPoint", "coordinates": [[1, 2]]}, None),
    ({"type": "MultiPoint", "coordinates": [[1, 2], [3, 4, 5]]}, [(1, 2, 1, 2), (3, 4, 3, 4)]),
    ({"type": "MultiLineString", "coordinates": [[[0, 0], [1, 3]], [[5, 5], [4, 6]]]}, [(0, 0, 1, 3), (4, 5, 5, 6)]),
    ({"type": "MultiPolygon", "coordinates": [SQUARE, FAR]}, [(0, 0, 2, 2), (8, 8, 9, 9)]),
    ({"type": "MultiPolygon", "coordinates": [SQUARE, FAR], "bbox": [0, 0, 9, 9]}, None),
    ({"type": "MultiPolygon", "coordinates": [SQUARE, []]}, None),
    (
        {
            "type": "GeometryCollection",
            "geometries": [
                point(7, 7),
                {"type": "GeometryCollection", "geometries": [{"type": "MultiPolygon", "coordinates": [SQUARE, FAR]}]},
            ],
        },
        [(7, 7, 7, 7), (0, 0, 2, 2), (8, 8, 9, 9)],
    ),
]


@pytest.mark.parametrize(("geometry", "boxes"), PARTED)
def test_boxes_of_parts(geometry: Any, boxes: Any) -> None:
    assert part_boxes(geometry) == boxes


BETWEEN, AT_ONE = [4, 4, 6, 6], [1, 1, 3, 3]


@pytest.mark.parametrize("way", ["index", "function"])
def test_nothing_is_found_between_parts(db: Any, way: str) -> None:
    """As by geopouch, and unlike by GeoCouch, which has the box of the whole; ranges are of the row's key."""
    squares = {"type": "MultiPolygon", "coordinates": [SQUARE, FAR]}
    trusted = {"type": "MultiPoint", "coordinates": [[0, 0], [9, 9]], "bbox": [0, 0, 9, 9]}
    db.bulk_docs(
        [
            {"_id": "apart", "n": 1, "g": squares},
            {"_id": "timed", "n": 2, "g": [squares, [1, 5]]},
            {"_id": "trusted", "n": 3, "g": trusted},
        ]
    )
    where = "s/k" if way == "index" else DDOC["spatial"]["k"]  # type: ignore[index]
    assert ids(db.spatial(where, bbox=BETWEEN)) == ["trusted"]
    assert ids(db.spatial(where, bbox=AT_ONE)) == ["apart", "timed", "trusted"]
    assert db.spatial(where, bbox=BETWEEN, count=True).count == 1
    assert db.spatial(where, bbox=AT_ONE, count=True).count == 3
    assert ids(db.spatial(where, bbox=[8, 0, 2, 9], plane_bounds=[-20, -20, 20, 20])) == ["apart", "timed", "trusted"]
    assert ids(db.spatial(where, bbox=[9.5, 3, 1, 7], plane_bounds=[-20, -20, 20, 20])) == ["trusted"]
    everything = ["apart", "timed", "trusted"]
    assert ids(db.spatial(where, start_range=[4, 4, None], end_range=[6, 6, None])) == everything
    (first, *_) = db.spatial(where, bbox=AT_ONE).rows
    assert first.key == [[0, 9], [0, 9]]


def test_a_box_over_the_date_line_that_several_parts_are_in_finds_them_once(db: Any) -> None:
    db.put({"_id": "a", "g": {"type": "MultiPoint", "coordinates": [[-179, 0], [179, 0], [0, 50]]}})
    for name in ("s/k", "s/g"):
        wrapped = {"bbox": [170, -10, -170, 10], "plane_bounds": [-180, -90, 180, 90]}
        assert ids(db.spatial(name, **wrapped)) == ["a"]
        assert db.spatial(name, count=True, **wrapped).count == 1


@pytest.mark.parametrize("name", ["s/k", "s/g"])
def test_the_middle_of_a_box_over_the_date_line_is_in_it(db: Any, name: str) -> None:
    at = {"fiji": 178, "samoa": -172, "west": 170.5, "east": -165.5, "other side": 0}
    for id, lon in at.items():
        point = {"type": "Point", "coordinates": [lon, 0]}
        db.put({"_id": id, "g": point, "k": point})
    wrapped = {"bbox": [170, -10, -160, 10], "plane_bounds": [-180, -90, 180, 90]}
    assert ids(db.spatial(name, nearest=True, **wrapped)) == ["samoa", "fiji", "east", "west"]


# -- forms of a box ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["s/k", "s/g"])
@pytest.mark.parametrize(
    "arguments",
    [
        ([0, 0, 2, 2],),
        ([[0, 0], [2, 2]],),
        ([0, 0], [2, 2]),
        ((0, 0, 2, 2),),
        ("0,0,2,2",),
        ("[0, 0, 2, 2]",),
        ("[[0, 0], [2, 2]]",),
        ([0, 0, -5, 2, 2, 5],),
        ([[0, 0, -5], [2, 2, 5]],),
        ({"bbox": [0, 0, 2, 2]},),
        ([0, 0, 2, 2], {"include_docs": False}),
        (None, {"bbox": "0,0,2,2"}),
    ],
)
def test_forms_of_a_box(db: Any, name: str, arguments: Any) -> None:
    inside = {"type": "Point", "coordinates": [1, 1, 1]}
    db.bulk_docs([{"_id": "a", "g": inside}, {"_id": "b", "g": point(1, 3)}, {"_id": "c", "g": point(2, 2)}])
    assert ids(db.spatial(name, *arguments)) == ["a", "c"]


def test_heights_in_a_box_are_compared_with_those_there_are(db: Any) -> None:
    db.bulk_docs([{"_id": str(height), "g": {"type": "Point", "coordinates": [1, 1, height]}} for height in range(4)])
    db.put({"_id": "flat", "g": point(1, 1)})
    for name in ("s/k", "s/g"):
        assert ids(db.spatial(name, [0, 0, 1, 2, 2, 2])) == ["1", "2", "flat"]
        assert db.spatial(name, [0, 0, 1, 2, 2, 2], count=True).count == 3


@pytest.mark.parametrize(
    "bbox", [[1, 2, 3], [1, 2, 3, 4, 5], [[1], [2]], [[1, 2], [3]], "[1, 2", "[]", [0] * 12, b"0,0,1,1", [[1, 2], "34"]]
)
def test_no_box(db: Any, bbox: Any) -> None:
    with pytest.raises(pouchdb.BadRequest):
        db.spatial("s/k", bbox)


@pytest.mark.parametrize(
    ("box", "found"), [([1, 1, 1, 1], ["a", "b"]), ([0, 1, 5, 1], ["a", "b"]), ([2, 0, 2, 1], ["a"])]
)
def test_a_box_without_an_area_is_the_line_or_the_point_that_it_is(db: Any, box: Any, found: list[str]) -> None:
    db.bulk_docs([{"_id": "a", "g": {"type": "Polygon", "coordinates": SQUARE}}, {"_id": "b", "g": point(1, 1)}])
    assert ids(db.spatial("s/g", box)) == found
    assert ids(db.spatial("s/k", box, relation="within")) == (["a", "b"] if box == [1, 1, 1, 1] else [])


# -- the sphere --------------------------------------------------------------------------------------


def test_longitudes_beyond_180_degrees_are_the_places_that_they_are(db: Any) -> None:
    at = {"fiji": 181.5, "near": 175.5, "turned": -181.5, "tuvalu": 179.2}
    db.bulk_docs([{"_id": id, "g": point(lon, -8)} for id, lon in at.items()])
    for name in ("s/k", "s/g"):
        asked = {"lat": -8, "lon": -178.5}
        assert ids(db.spatial(name, radius=1000, **asked)) == ["fiji"]
        assert ids(db.spatial(name, nearest=True, **asked)) == ["fiji", "tuvalu", "turned", "near"]
        assert ids(db.spatial(name, nearest=True, limit=2, **asked)) == ["fiji", "tuvalu"]
        assert set(ids(db.spatial(name, rangex=300_000, rangey=50_000, **asked))) == {"fiji", "tuvalu"}
        assert db.spatial(name, radius=1000, count=True, lat=-8, lon=178.5).count == 1
        assert db.spatial(name, radius=1000, count=True, lat=89.999, lon=1).count == 0
    assert ids(db.spatial("s/g", bbox=[180, -10, 190, 0])) == ["fiji"], "a box is in the plane"
    assert ids(db.spatial(DDOC["spatial"]["k"], lat=-8, lon=-178.5, radius=1000)) == ["fiji"]  # type: ignore[index]


@pytest.mark.parametrize("size", [0.1, 1, 10, 60, 170])
def test_distances_of_lines_and_areas_are_those_of_their_points(size: float) -> None:
    """Edges are straight in degrees however long they are, and an area around the antipode is where it is."""
    source = random.Random(size)
    for _ in range(60):
        lon, lat = source.uniform(-175, 175), source.uniform(-85, 85)

        def near(lon: float = lon, lat: float = lat) -> tuple[float, float]:
            east, north = lon + source.uniform(-size, size), lat + source.uniform(-size, size)
            return max(-180.0, min(180.0, east)), max(-90.0, min(90.0, north))

        line = shapely.LineString([near(), near(), near()])
        area = shapely.MultiPoint([near() for _ in range(6)]).convex_hull
        mixed = shapely.GeometryCollection([shapely.Point(near()), shapely.GeometryCollection([line, area])])
        shape = source.choice([line, area, mixed])
        if not shape.is_valid:
            continue
        asked = near() if source.random() < 0.7 else (source.uniform(-180, 180), source.uniform(-90, 90))
        points = shapely.get_coordinates(shapely.segmentize(shape, size / 2000))
        wanted = 0.0 if shapely.intersects_xy(shape, *asked) else away(points[:, 0], points[:, 1], *asked).min()
        found = distances(numpy.array([shape]), *asked)[0]
        assert found == pytest.approx(wanted, rel=0.003, abs=150), (shape.wkt, asked)


WORLD = {"type": "Polygon", "coordinates": [[[-170, -80], [170, -80], [170, 80], [-170, 80], [-170, -80]]]}


@pytest.mark.parametrize(("lon", "lat", "found"), [(0, 0, True), (160, 79, True), (-169, 0, True), (180, 0, False)])
def test_an_area_of_nearly_all_the_earth(db: Any, lon: float, lat: float, found: bool) -> None:
    db.put({"_id": "world", "g": WORLD})
    for ways in ({"radius": 1000}, {"rangex": 1000, "rangey": 1000}):
        for name in ("s/k", "s/g"):
            assert ids(db.spatial(name, lat=lat, lon=lon, **ways)) == ["world"] * found
            assert ids(db.spatial(name, lat=lat, lon=lon, relation="disjoint", **ways)) == ["world"] * (not found)


# -- a database on a server --------------------------------------------------------------------------


class Place:
    """What other libraries have: no shapely object."""

    @property
    def __geo_interface__(self) -> Any:
        return {"type": "Polygon", "coordinates": SQUARE}


def test_a_server_understands_what_the_client_does() -> None:
    pytest.importorskip("pouchdb_server", reason="the server is a plug-in of its own")
    from pouchdb_server.testing import couch_server

    mixed = {"type": "GeometryCollection", "geometries": [point(1, 1), {"type": "Point", "coordinates": [5, 5, 5]}]}
    questions: list[dict[str, Any]] = [
        {"bbox": [[0, 0], [2, 2]]},
        {"bbox": [0.1, 0.1, 2.123456789012345, 2]},
        {"bbox": "[0, 0, 2, 2]"},
        {"bbox": (0, 0, 2, 2), "limit": 1},
        {"bbox": [170, -90, -170, 90], "plane_bounds": [-180, -90, 180, 90]},
        {"g": Place()},
        {"g": shapely.from_wkt("POINT Z (1 1 7)")},
        {"g": mixed},
        {"g": {"type": "Feature", "geometry": WORLD}},
        {"stale": True},
        {"stale": False},
        {"start_range": [None, 1], "end_range": [3, None]},
        {"lat": 1, "lon": 1, "radius": 1e5, "nearest": True},
    ]
    with pouchdb.setup(":memory:", plugins=["server", "spatial"]) as env, couch_server(env) as server:
        db: Any = env["places"]
        db.put(DDOC)
        db.bulk_docs([{"_id": str(n), "g": point(n, n)} for n in range(8)])
        db.put({"_id": "parts", "g": {"type": "MultiPoint", "coordinates": [[0, 0], [7, 7]]}})
        remote: Any = env.PouchDB(f"{server.url}/places")
        for name in ("s/k", "s/g"):
            db.spatial(name)
            for question in questions:
                if name == "s/g" and "start_range" in question:
                    continue
                assert ids(remote.spatial(name, **question)) == ids(db.spatial(name, **question)), question


@pytest.mark.parametrize("dimensions", [1, 2, 5, 6, 9])
def test_a_box_says_nothing_of_further_dimensions(db: Any, dimensions: int) -> None:
    db.bulk_docs([{"_id": id, "g": [x, *range(1, dimensions)]} for id, x in (("here", 1), ("there", 7))])
    for options in ({"bbox": [0, 0, 2, 2]}, {"bbox": [0, 0, 2, 2], "plane_bounds": [-180, -90, 180, 90]}):
        assert ids(db.spatial("s/k", **options)) == ["here"]
        assert db.spatial("s/k", count=True, **options).count == 1
        assert ids(db.spatial("function (doc) { if (doc.g) emit(doc.g); }", **options)) == ["here"]
    assert ids(db.spatial("s/k", start_range=[0] * (dimensions - 1))) == [], "a range does: none is given for the last"
