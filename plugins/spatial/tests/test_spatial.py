"""Boxes, ranges, geometries, distances (spec: plugins, section 6)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pouchdb_spatial.boxes import bounds_of, entry_of
from pouchdb_spatial.sphere import RADIUS, boxes_around, distance

import pouchdb


@pytest.fixture
def env() -> Iterator[Any]:
    with pouchdb.setup(":memory:", plugins=["spatial"]) as environment:
        yield environment


@pytest.fixture
def db(env: Any) -> Any:
    return env["places"]


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer.rows]


# -- keys ------------------------------------------------------------------------------------------

KEYS: list[tuple[Any, Any]] = [
    ({"type": "Point", "coordinates": [100, 0]}, [[100, 100], [0, 0]]),
    ({"type": "LineString", "coordinates": [[100, 0], [101, 1]]}, [[100, 101], [0, 1]]),
    ({"type": "Polygon", "coordinates": [[[100, 0], [101, 0], [100, 1], [100, 0]]]}, [[100, 101], [0, 1]]),
    ({"type": "MultiPoint", "coordinates": [[100, 0], [101, 1]]}, [[100, 101], [0, 1]]),
    ({"type": "MultiLineString", "coordinates": [[[100, 0], [101, 1]], [[102, 2], [103, 3]]]}, [[100, 103], [0, 3]]),
    ({"type": "MultiPolygon", "coordinates": [[[[102, 2], [103, 2], [103, 3], [102, 2]]]]}, [[102, 103], [2, 3]]),
    (
        {
            "type": "GeometryCollection",
            "geometries": [
                {"type": "Point", "coordinates": [100, 0]},
                {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [7, 9]}]},
            ],
        },
        [[7, 100], [0, 9]],
    ),
    ({"type": "Point", "coordinates": [1, 2, 3]}, [[1, 1], [2, 2], [3, 3]]),
    ({"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}}, [[1, 1], [2, 2]]),
    ({"type": "Point", "coordinates": [1, 2], "bbox": [0, 0, 5, 5]}, [[0, 5], [0, 5]]),
    ([3, [1, 5]], [[3, 3], [1, 5]]),
    ([{"type": "Point", "coordinates": [3, 4]}, [1, 5], 7], [[3, 3], [4, 4], [1, 5], [7, 7]]),
    ([], []),
]


@pytest.mark.parametrize(("key", "box"), KEYS)
def test_boxes_of_keys(key: Any, box: Any) -> None:
    assert [list(each) for each in entry_of(key).box] == box


@pytest.mark.parametrize(
    "key",
    [
        None,
        5,
        "x",
        {},
        {"type": "Circle"},
        [math.nan],
        [[5, 1]],
        [True],
        {"type": "GeometryCollection", "geometries": []},
        {"type": "Point", "coordinates": []},
        {"type": "Point", "coordinates": "x"},
        {"type": "Feature", "geometry": None},
        {"type": "Point", "coordinates": [1, "2"]},
    ],
)
def test_what_is_no_place(key: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        entry_of(key)


# -- ranges ----------------------------------------------------------------------------------------

VIEWS = {
    "a": "function (doc) { emit([{type: 'Point', coordinates: doc.loc}, [doc.integer, doc.integer + 5]]); }",
    "b": "function (doc) { var i = doc.integer; emit([[i, i + 1], i * 3, [i - 14, i + 100], i]); }",
    "c": "function (doc) { var i = doc.integer; emit({type: 'Point', coordinates: [i, i + 5, i + 14]}); }",
}
RANGES: list[tuple[str, Any, Any, set[str]]] = [
    ("a", [-20, 0, 6.4], [16, 25, 8.7], set("2345")),
    ("a", [-17, 0, 8.8], [16, 25, 8.8], set("45")),
    ("a", [-17, 0, None], [16, 25, None], {"10", *"2345"}),
    ("a", [-17, 0, None], [16, 25, 8.8], set("2345")),
    ("a", [-17, 0, 8.8], [16, 25, None], {"10", *"45"}),
    ("b", [3, 0, -10, 2], [10, 21, -9, 20], set("2345")),
    ("b", [3, 0, -7, 5], [10, 21, -7, 20], set("567")),
    ("b", [3, None, -2, 4], [10, None, -2, 20], {"10", *"456789"}),
    ("b", [3, None, -2, 4], [10, 15, -2, 20], set("45")),
    ("b", [3, 20, -2, 4], [10, None, -2, 20], {"10", *"789"}),
    ("c", [0, 0, 19], [20, 25, 20], set("56")),
]


@pytest.mark.parametrize(("view", "start", "end", "found"), RANGES)
def test_ranges(db: Any, view: str, start: Any, end: Any, found: set[str]) -> None:
    db.bulk_docs([{"_id": str(i), "loc": [2 * i - 20, 2 * i + 15], "integer": i} for i in range(10)])
    db.put({"_id": "10", "loc": [1, 1], "integer": 10})
    db.put({"_id": "_design/foo", "spatial": VIEWS})
    answer = db.spatial(f"foo/{view}", start_range=start, end_range=end)
    assert set(ids(answer)) == found
    temporary = db.spatial(VIEWS[view], start_range=start, end_range=end)
    assert ids(temporary) == ids(answer)


EXAMPLES: list[tuple[dict[str, Any], list[Any]]] = [
    ({}, [3, 4, 10, 20]),
    ({"start_range": [4], "end_range": [10]}, [4, 10]),
    ({"start_range": [None], "end_range": [9]}, [3, 4]),
    ({"start_range": [4], "end_range": [None]}, [4, 10, 20]),
    ({"start_range": [4]}, [4, 10, 20]),
    ({"end_range": [4]}, [3, 4]),
    ({"start_range": [], "end_range": []}, []),
    ({"start_range": [10], "end_range": [4]}, []),
    ({"start_range": [4, None], "end_range": [10, None]}, [4, 10]),
    ({"limit": 2}, [3, 4]),
    ({"skip": 3}, [20]),
]


@pytest.mark.parametrize(("options", "keys"), EXAMPLES)
def test_examples(db: Any, options: dict[str, Any], keys: list[Any]) -> None:
    db.bulk_docs([{"_id": "x", "loc": [3, 4]}, {"_id": "y", "loc": [10, 20]}])
    source = "function (doc) { emit([doc.loc[0]], 1); emit([doc.loc[1]], 2); }"
    db.put({"_id": "_design/s", "spatial": {"v": source}})
    answer = db.spatial("s/v", **options)
    assert [row.key for row in answer.rows] == [[[key, key]] for key in keys]
    count = {name: value for name, value in options.items() if name not in ("limit", "skip")}
    assert db.spatial("s/v", count=True, **count) == {"count": len(keys) if count == options else 4}


def test_the_index_follows_the_database(db: Any) -> None:
    db.put(
        {
            "_id": "_design/test",
            "spatial": {"test": "function (doc) { emit(doc.key, {_id: doc._id, _rev: doc._rev}); }"},
        }
    )
    db.bulk_docs([{"_id": "mydoc", "key": [1]}, {"_id": "otherdoc", "key": [2]}])
    assert ids(db.spatial("test/test")) == ["mydoc", "otherdoc"]
    db.remove(db["mydoc"])
    (row,) = db.spatial("test/test", start_range=[None], end_range=[None]).rows
    assert (row.key, row.value["_id"], row.value["_rev"][:2]) == ([[2, 2]], "otherdoc", "1-")
    db["otherdoc"] = {"key": [7]}
    assert [row.key for row in db.spatial("test", include_docs=True).rows] == [[[7, 7]]]
    assert db.spatial("test", stale="ok").rows[0].key == [[7, 7]]
    db["otherdoc"] = {"key": [8]}
    assert db.spatial("test", stale="ok").rows[0].key == [[7, 7]]
    db.purge("otherdoc", db["otherdoc"]._rev)
    assert db.spatial("test").rows == []


def test_one_bad_document_is_left_out(db: Any) -> None:
    db.put({"_id": "_design/s", "spatial": {"v": "function (doc) { emit(doc.key); if (doc.bad) throw('bad'); }"}})
    db.bulk_docs([{"_id": "a", "key": [1]}, {"_id": "b", "key": None}, {"_id": "c", "key": [1], "bad": True}])
    assert ids(db.spatial("s/v")) == ["a"]


@pytest.mark.parametrize(
    ("path", "name"), [("nowhere/v", "not_found"), ("s/nothing", "not_found"), ("s/broken", "compilation_error")]
)
def test_missing_and_broken_functions(db: Any, path: str, name: str) -> None:
    db.put({"_id": "_design/s", "spatial": {"v": "function (doc) {}", "broken": "function ("}})
    with pytest.raises(pouchdb.PouchDBError) as caught:
        db.spatial(path)
    assert caught.value.name == name


@pytest.mark.parametrize(
    "options",
    [
        {"colour": 1},
        {"bbox": "1,2,3"},
        {"bbox": [1, 2, 3, "x"]},
        {"plane_bounds": "0,0,1,1"},
        {"bbox": "1,2,3,4", "g": "POINT(1 1)"},
        {"g": "POINT(1"},
        {"g": "POLYGON((0 0, 1 1, 1 0, 0 1, 0 0))"},
        {"g": "POINT EMPTY"},
        {"g": 5},
        {"lat": 1},
        {"lat": 91, "lon": 0},
        {"lat": 1, "lon": 1, "radius": -1},
        {"lat": 1, "lon": 1, "rangex": 1},
        {"lat": 1, "lon": 1, "radius": 1, "rangex": 1, "rangey": 1},
        {"relation": "near"},
        {"nearest": True},
        {"limit": -1},
        {"limit": 1.5},
        {"skip": "x"},
        {"bookmark": "x"},
        {"stale": "maybe"},
        {"format": "kml"},
        {"start_range": 5},
        {"start_range": ["x"], "end_range": [1]},
    ],
)
def test_wrong_options(db: Any, options: dict[str, Any]) -> None:
    db.put({"_id": "_design/s", "spatial": {"v": "function (doc) { emit([1]); }"}})
    with pytest.raises(pouchdb.BadRequest):
        db.spatial("s/v", **options)


# -- geometries ------------------------------------------------------------------------------------

CITIES = {
    "amsterdam": [4.9, 52.37],
    "berlin": [13.4, 52.52],
    "paris": [2.35, 48.86],
    "fiji": [178.44, -18.14],
    "samoa": [-171.75, -13.83],
    "sydney": [151.2, -33.87],
    "pole": [0, 89.9],
}


@pytest.fixture
def cities(db: Any) -> Any:
    db.bulk_docs([{"_id": name, "geometry": {"type": "Point", "coordinates": at}} for name, at in CITIES.items()])
    geometry = "function (doc) { if (doc.geometry) st_index(doc.geometry); }"
    emitted = "function (doc) { if (doc.geometry) emit(doc.geometry, null); }"
    db.put({"_id": "_design/g", "st_indexes": {"st": {"index": geometry}}, "spatial": {"sp": emitted}})
    return db


@pytest.mark.parametrize("view", ["g/st", "g/sp"])
@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"bbox": "0,45,10,55"}, {"amsterdam", "paris"}),
        ({"bbox": [0, 45, 10, 55]}, {"amsterdam", "paris"}),
        ({"bbox": [[0, 45], [10, 55]]}, {"amsterdam", "paris"}),
        ({"bbox": "150,-40,-170,0", "plane_bounds": "-180,-90,180,90"}, {"fiji", "samoa", "sydney"}),
        ({"g": "POLYGON((0 45, 20 45, 20 55, 0 55, 0 45))"}, {"amsterdam", "paris", "berlin"}),
        ({"g": "polygon((0 45, 20 45, 20 55, 0 55, 0 45))", "relation": "contains"}, {"amsterdam", "paris", "berlin"}),
        ({"g": shapely.box(0, 45, 10, 55)}, {"amsterdam", "paris"}),
        ({"g": {"type": "Point", "coordinates": [4.9, 52.37]}}, {"amsterdam"}),
        (
            {"g": "POLYGON((-180 0, 180 0, 180 90, -180 90, -180 0))", "relation": "disjoint"},
            {"fiji", "samoa", "sydney"},
        ),
        ({"lat": 52.4, "lon": 5, "radius": 20_000}, {"amsterdam"}),
        ({"lat": 52.4, "lon": 5, "radius": 450_000}, {"amsterdam", "paris"}),
        ({"lat": -16, "lon": -179.9, "radius": 1_000_000}, {"fiji", "samoa"}),
        ({"lat": 90, "lon": 100, "radius": 20_000}, {"pole"}),
        ({"lat": 52.4, "lon": 5, "rangex": 1_000_000, "rangey": 150_000}, {"amsterdam", "berlin"}),
    ],
)
def test_places(cities: Any, view: str, options: dict[str, Any], found: set[str]) -> None:
    assert set(ids(cities.spatial(view, **options))) == found


def test_nearest_first(cities: Any) -> None:
    answer = cities.spatial("g/st", lat=50, lon=6, nearest=True, limit=3)
    assert ids(answer) == ["amsterdam", "paris", "berlin"]
    everything = ids(cities.spatial("g/st", lat=50, lon=6, nearest=True))
    assert everything == sorted(CITIES, key=lambda name: distance(shapely.Point(CITIES[name]), 6, 50))
    rest = cities.spatial("g/st", lat=50, lon=6, nearest=True, limit=3, bookmark=answer.bookmark)
    assert ids(answer) + ids(rest) == everything[:6]
    within = cities.spatial("g/st", g="POLYGON((0 45, 20 45, 20 55, 0 55, 0 45))", nearest=True)
    assert ids(within)[0] in ("paris", "berlin", "amsterdam")
    with pytest.raises(pouchdb.BadRequest):
        cities.spatial("g/st", limit=201)


def test_a_box_over_the_date_line_needs_bounds_only_for_boxes(cities: Any) -> None:
    assert set(ids(cities.spatial("g/st", bbox="150,-40,-170,0"))) == {"fiji", "samoa", "sydney"}
    assert ids(cities.spatial("g/sp", bbox="150,-40,-170,0")) == []


SQUARE = "POLYGON((0 0, 10 0, 10 10, 0 10, 0 0))"
RELATED = {
    "inside": "POLYGON((1 1, 2 1, 2 2, 1 2, 1 1))",
    "same": SQUARE,
    "across": "POLYGON((5 5, 15 5, 15 15, 5 15, 5 5))",
    "line": "LINESTRING(-5 5, 15 5)",
    "beside": "POLYGON((10 0, 20 0, 20 10, 10 10, 10 0))",
    "away": "POINT(50 50)",
    "around": "POLYGON((-5 -5, 20 -5, 20 20, -5 20, -5 -5))",
    "parts": "MULTIPOINT((3 3), (60 60))",
    "mixed": "GEOMETRYCOLLECTION(POINT(70 70), LINESTRING(1 1, 2 2))",
}
HOLE = "POLYGON((0 0, 10 0, 10 10, 0 10, 0 0), (0.5 0.5, 5 0.5, 5 5, 0.5 5, 0.5 0.5))"


@pytest.mark.parametrize(
    ("relation", "found"),
    [
        ("intersects", {"inside", "same", "across", "line", "beside", "around", "parts", "mixed"}),
        ("contains", {"inside", "same"}),
        ("contains_properly", {"inside"}),
        ("covers", {"inside", "same"}),
        ("covered_by", {"same", "around"}),
        ("within", {"same", "around"}),
        ("crosses", {"line", "parts", "mixed"}),
        ("overlaps", {"across"}),
        ("touches", {"beside"}),
        ("disjoint", {"away"}),
    ],
)
def test_relations(db: Any, relation: str, found: set[str]) -> None:
    db.bulk_docs([{"_id": name, "g": shapely.geometry.mapping(shapely.from_wkt(wkt))} for name, wkt in RELATED.items()])
    db.put({"_id": "_design/r", "st_indexes": {"v": {"index": "function (doc) { st_index(doc.g); }"}}})
    assert set(ids(db.spatial("r/v", g=SQUARE, relation=relation))) == found
    if relation == "contains":
        assert "inside" not in ids(db.spatial("r/v", g=HOLE, relation=relation)), "it lies in the hole"


def test_formats_and_files(cities: Any, tmp_path: Path) -> None:
    collection = cities.spatial("g/st", bbox="0,45,10,55", format="geojson")
    assert collection.type == "FeatureCollection"
    assert [feature.type for feature in collection.features] == ["Feature", "Feature"]
    collection.save(tmp_path / "cities.geojson")
    saved = json.loads((tmp_path / "cities.geojson").read_text())
    assert {feature["_id"] for feature in saved["features"]} == {"amsterdam", "paris"}
    assert "bookmark" not in saved
    assert cities.spatial("g/st", bbox="0,45,10,55", format="legacy").features[0].keys() == {"id"}
    row = cities.spatial("g/st", lat=52.37, lon=4.9, radius=10, include_docs=True).rows[0]
    assert row.doc._id == "amsterdam"


def test_python_functions_and_linked_documents(db: Any) -> None:
    db.bulk_docs([{"_id": "a", "at": [1, 2]}, {"_id": "b", "at": [5, 5], "to": "a"}])
    found = db.spatial(
        lambda doc: [({"type": "Point", "coordinates": doc["at"]}, {"_id": doc.get("to", doc["_id"])})],
        bbox="4,4,6,6",
        include_docs=True,
    )
    assert [(row.id, row.doc._id, row.bbox) for row in found.rows] == [("b", "a", [5, 5, 5, 5])]


class Geometry:
    """A geometry of another library; its collections are tuples, as shapely's."""

    def __init__(self, value: Any) -> None:
        self.__geo_interface__ = value


@pytest.mark.parametrize(
    ("emitted", "box"),
    [
        (Geometry({"type": "Point", "coordinates": (1, 2)}), [[1, 1], [2, 2]]),
        (Geometry({"type": "Feature", "geometry": {"type": "Point", "coordinates": (1, 2)}}), [[1, 1], [2, 2]]),
        ({"type": "Feature", "geometry": Geometry({"type": "Point", "coordinates": (1, 2)})}, [[1, 1], [2, 2]]),
        ([Geometry({"type": "Point", "coordinates": (1, 2)}), (3, 4)], [[1, 1], [2, 2], [3, 4]]),
        (shapely.Point(1, 2), [[1, 1], [2, 2]]),
        (shapely.box(0, 0, 1, 2), [[0, 1], [0, 2]]),
        (shapely.GeometryCollection([shapely.Point(1, 2), shapely.LineString([(3, 4), (5, 6)])]), [[1, 5], [2, 6]]),
    ],
    ids=range(7),
)
def test_geometry_objects_of_python_are_emitted(env: Any, emitted: Any, box: Any) -> None:
    db: Any = env["places"]
    db.put({"_id": "a"})
    env.register_function("place", lambda doc: [(emitted, emitted)])
    db.put({"_id": "_design/py", "language": "python", "spatial": {"v": "place"}})
    for found in (db.spatial(lambda doc: [(emitted, None)]), db.spatial("py/v")):
        assert [row.key for row in found.rows] == [box]
        assert found.rows[0].geometry["type"] in ("Point", "Polygon", "GeometryCollection")
    g = emitted[0] if isinstance(emitted, list) else emitted
    assert db.spatial("py/v", g=g, count=True) == {"count": 1}


def test_an_index_of_a_python_function_follows_it(env: Any) -> None:
    db: Any = env["places"]
    db.bulk_docs(
        [{"_id": "a"}, {"_id": "_design/py", "language": "python", "spatial": {"v": "f"}, "st_indexes": {"s": "f"}}]
    )
    for x in (1, 2, 3):
        env.register_function("f", lambda doc, x=x: [({"type": "Point", "coordinates": [x, x]}, None)])
        assert [row.bbox for row in db.spatial("py/v").rows] == [[x, x, x, x]]
        assert [row.geometry.coordinates for row in db.spatial("py/s").rows] == [[x, x]]


def test_a_feature_collection_as_a_table(env: Any) -> None:
    db: Any = env["places"]
    db.bulk_docs([{"_id": "a", "at": {"type": "Point", "coordinates": [1, 2]}, "n": 5}, {"_id": "b", "at": [3, 4]}])
    db.put({"_id": "_design/d", "spatial": {"v": "function (doc) { if (doc.at) emit(doc.at, null); }"}})
    found = db.spatial("d/v", format="geojson", include_docs=True)
    assert found.to_csv() == '_id,n,geometry,at\r\na,5,"{""type"":""Point"",""coordinates"":[1,2]}",\r\nb,,,"[3,4]"\r\n'
    assert found.to_columns(docs=True)["n"] == [5, None]
    assert db.spatial("d/v", format="legacy").to_columns() == {"id": ["a", "b"]}


@pytest.mark.parametrize("index", ["spatial", "st_indexes"])
def test_what_is_no_geometry_is_in_no_file(env: Any, tmp_path: Path, index: str) -> None:
    """A viewer that meets a line of one point opens nothing of the file."""
    db: Any = env["places"]
    line, crossing = [[1, 1]], [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]
    db.bulk_docs(
        [
            {"_id": "a", "at": {"type": "LineString", "coordinates": line}},
            {"_id": "b", "at": {"type": "Polygon", "coordinates": line}},
            {"_id": "c", "at": {"type": "Polygon", "coordinates": crossing}},
            {"_id": "d", "at": {"type": "Point", "coordinates": [1, 1]}},
        ]
    )
    function = "function (doc) { if (doc.at) emit(doc.at, null); }"
    db.put({"_id": "_design/d", index: {"v": {"index": function} if index == "st_indexes" else function}})
    assert len(db.spatial("d/v").rows) == 4
    db.spatial("d/v", format="geojson").save(tmp_path / "all.geojson")
    features = json.loads((tmp_path / "all.geojson").read_text())["features"]
    assert [feature["_id"] for feature in features if feature["geometry"]] == ["c", "d"]
    for feature in features[2:]:
        assert shapely.from_geojson(json.dumps(feature["geometry"]))


def test_objects_in_rows_are_read_by_attributes(env: Any) -> None:
    """As in rows of views, and as those that a server sends."""
    db: Any = env["places"]
    point = {"type": "Point", "coordinates": [1, 2]}
    whole = {"type": "GeometryCollection", "geometries": [point], "crs": {"type": "name"}}
    emitting = "if (doc.at) emit(doc.at, [{a: {b: 1}}])"
    db.bulk_docs(
        [
            {"_id": "a", "at": point},
            {"_id": "b", "at": whole},
            {"_id": "_design/d", "spatial": {"v": f"function (doc) {{ {emitting}; }}"}},
            {"_id": "_design/s", "st_indexes": {"v": {"index": f"function (doc) {{ {emitting}; }}"}}},
        ]
    )
    for found in (db.spatial("d/v").rows, db.spatial("s/v").rows, db.spatial("d/v", format="geojson").features):
        assert [row.geometry.type for row in found] == ["Point", "GeometryCollection"]
        assert found[1].geometry.geometries[0].coordinates == [1, 2]
        assert found[1].geometry.crs.type == "name"
        assert not hasattr(found[0], "value") or found[0].value[0].a.b == 1


def test_a_geometry_object_that_is_none_is_reported(env: Any) -> None:
    db: Any = env["places"]
    db.bulk_docs([{"_id": "a"}, {"_id": "b"}])
    errors: list[Any] = []
    db.on("error", errors.append)
    found = db.spatial(lambda doc: [(shapely.Point(1, math.nan if doc["_id"] == "a" else 1), None)])
    assert [row.id for row in found.rows] == ["b"]
    assert ["'a'" in str(error) for error in errors] == [True]
    with pytest.raises(pouchdb.BadRequest, match=r"use \.__geo_interface__"):
        db.put({"_id": "c", "at": shapely.Point(1, 2)})


def test_async(env: Any) -> None:
    env["places"].put({"_id": "_design/s", "spatial": {"v": "function (doc) { emit([1]); }"}})
    env["places"].put({"_id": "a"})
    view: Any = env.async_view
    got: list[Any] = []

    def callback(err: Any, resp: Any = None) -> None:
        got.append((err, resp and len(resp.rows)))

    view["places"].spatial("s/v", callback)
    assert view.context.waitUntilCalled(callback, timeout=20)
    view["places"].spatial("s/v", {"start_range": [2]}, callback)
    assert view.context.waitUntilCalled(callback, timeout=20)
    assert got == [(None, 1), (None, 0)]


# -- the sphere ------------------------------------------------------------------------------------

longitudes, latitudes = st.floats(-180, 180), st.floats(-90, 90)


def haversine(lon: float, lat: float, lon2: float, lat2: float) -> float:
    a, b = math.radians(lat), math.radians(lat2)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(lon2 - lon) / 2) ** 2
    return 2 * RADIUS * math.asin(math.sqrt(min(1.0, half)))


@settings(max_examples=300, deadline=None)
@given(longitudes, latitudes, longitudes, latitudes)
def test_distances_of_points_are_great_circles(lon: float, lat: float, lon2: float, lat2: float) -> None:
    assert distance(shapely.Point(lon2, lat2), lon, lat) == pytest.approx(haversine(lon, lat, lon2, lat2), abs=0.01)


@settings(max_examples=300, deadline=None)
@given(longitudes, latitudes, longitudes, latitudes, st.floats(0, 3e6))
def test_boxes_hold_all_that_is_near(lon: float, lat: float, lon2: float, lat2: float, radius: float) -> None:
    if haversine(lon, lat, lon2, lat2) <= radius:
        boxes = boxes_around(lon, lat, radius)
        # 180 and -180 are one meridian.
        assert any(
            west <= each <= east and south <= lat2 <= north
            for west, south, east, north in boxes
            for each in (lon2, lon2 + 360, lon2 - 360)
        )


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=30),
    st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(0, 1e6)),
)
def test_the_tree_finds_what_a_scan_finds(
    points: list[tuple[float, float]], box: tuple[float, float, float, float]
) -> None:
    x, y, width, height = box
    with pouchdb.setup(":memory:", plugins=["spatial"]) as env:
        db: Any = env["p"]
        db.bulk_docs([{"_id": f"{n:03}", "p": list(point)} for n, point in enumerate(points)])
        db.put({"_id": "_design/s", "language": "python", "spatial": {"v": "point"}})
        env.register_function("point", lambda doc: [(doc["p"], None)])
        answer = db.spatial("s/v", start_range=[x, y], end_range=[x + width, y + height])
    expected = [f"{n:03}" for n, (a, b) in enumerate(points) if x <= a <= x + width and y <= b <= y + height]
    assert ids(answer) == expected
    assert bounds_of({"type": "MultiPoint", "coordinates": points})[0][0] == min(a for a, _ in points)
