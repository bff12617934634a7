"""Answers compared with shapely, with the haversine and with a scan of the boxes; what is broken."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pouchdb_spatial.boxes import entry_of
from pouchdb_spatial.geometries import RELATIONS
from pouchdb_spatial.sphere import RADIUS, distance

import pouchdb

EMIT = "function (doc) { if (doc.k !== undefined) emit(doc.k, doc.n); }"
INDEX = "function (doc) { if (doc.g !== undefined) st_index(doc.g); }"


def define(db: Any) -> None:
    db.put({"_id": "_design/s", "spatial": {"k": EMIT}, "st_indexes": {"g": {"index": INDEX}}})


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer.rows]


# -- shapely -----------------------------------------------------------------------------------------


def shapes(seed: int, count: int) -> list[Any]:
    """Points, lines, polygons with holes and several of them, on a grid: they touch, cover and equal each other."""
    source = random.Random(seed)

    def at() -> tuple[int, int]:
        return source.randint(0, 6), source.randint(0, 6)

    found: list[Any] = []
    while len(found) < count:
        kind = source.choice(["point", "line", "box", "polygon", "hole", "points", "boxes", "mixed"])
        x, y = at()
        box = shapely.box(x, y, x + source.randint(1, 4), y + source.randint(1, 4))
        other = shapely.box(x + 5, y, x + 6, y + source.randint(1, 3))
        made = {
            "point": lambda x=x, y=y: shapely.Point(x, y),
            "line": lambda: shapely.LineString([at(), at(), at()]),
            "box": lambda box=box: box,
            "polygon": lambda: shapely.Polygon([at(), at(), at()]),
            "hole": lambda x=x, y=y: shapely.box(x, y, x + 4, y + 4) - shapely.box(x + 1, y + 1, x + 3, y + 3),
            "points": lambda: shapely.MultiPoint([at(), at()]),
            "boxes": lambda box=box, other=other: shapely.MultiPolygon([box, other]),
            "mixed": lambda box=box: shapely.GeometryCollection([shapely.Point(at()), box]),
        }[kind]()
        if made.is_valid and not made.is_empty:
            found.append(made)
    return found


def parts(geometry: Any) -> list[Any]:
    return [each for part in geometry.geoms for each in parts(part)] if hasattr(geometry, "geoms") else [geometry]


@pytest.mark.parametrize("relation", RELATIONS)
def test_relations_are_those_of_shapely(db: Any, relation: str) -> None:
    stored = shapes(1, 120)
    db.bulk_docs([{"_id": f"{n:03}", "g": shapely.geometry.mapping(shape)} for n, shape in enumerate(stored)])
    define(db)
    compare = getattr(shapely, relation)
    for asked in shapes(2, 40):
        expected = compare(asked, stored)
        if relation in ("within", "covered_by"):
            # GEOS denies it of collections with a part of fewer dimensions.
            expected = [
                found or any(compare(asked, parts(shape))) for found, shape in zip(expected, stored, strict=True)
            ]
        wanted = [f"{n:03}" for n, found in enumerate(expected) if found]
        assert ids(db.spatial("s/g", g=asked.wkt, relation=relation, limit=200)) == wanted, asked.wkt


def test_the_forms_of_a_geometry_mean_the_same(db: Any) -> None:
    db.bulk_docs([{"_id": f"{n:03}", "g": shapely.geometry.mapping(s)} for n, s in enumerate(shapes(3, 60))])
    define(db)
    for asked in shapes(4, 20):
        forms = [asked.wkt, asked.wkt.lower(), f"SRID=4326;{asked.wkt}", asked, shapely.geometry.mapping(asked)]
        forms.append(json.dumps(shapely.geometry.mapping(asked)))
        forms.append({"type": "Feature", "geometry": shapely.geometry.mapping(asked), "properties": {}})
        answers = [ids(db.spatial("s/g", g=form, limit=200)) for form in forms]
        assert all(answer == answers[0] for answer in answers), asked.wkt


# -- the haversine -----------------------------------------------------------------------------------


def haversine(lon: float, lat: float, lon2: float, lat2: float) -> float:
    a, b = math.radians(lat), math.radians(lat2)
    half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(lon2 - lon) / 2) ** 2
    return 2 * RADIUS * math.asin(math.sqrt(min(1.0, half)))


@pytest.fixture(scope="module")
def globe() -> Iterator[Any]:
    source = random.Random(5)
    points = {f"{n:04}": (round(source.uniform(-180, 180), 4), round(source.uniform(-90, 90), 4)) for n in range(600)}
    points.update({"east": (180.0, 10.0), "west": (-180.0, 10.5), "north": (0.0, 90.0), "south": (77.0, -90.0)})
    with pouchdb.setup(":memory:", plugins=["spatial"]) as environment:
        db: Any = environment["globe"]
        db.bulk_docs([{"_id": id, "g": {"type": "Point", "coordinates": list(at)}} for id, at in points.items()])
        define(db)
        db.points = points
        yield db


places = st.tuples(st.floats(-180, 180), st.floats(-90, 90))


@settings(max_examples=80, deadline=None)
@given(places, st.floats(1, 4_000_000))
def test_within_a_radius(globe: Any, at: tuple[float, float], radius: float) -> None:
    lon, lat = at
    away = {id: haversine(lon, lat, *point) for id, point in globe.points.items()}
    wanted = {id for id, distance in away.items() if distance <= radius}
    unsure = {id for id, distance in away.items() if abs(distance - radius) < 1e-3}
    found: set[str] = set()
    bookmark = None
    while True:
        answer = globe.spatial("s/g", lat=lat, lon=lon, radius=radius, limit=200, bookmark=bookmark)
        if not answer.rows:
            break
        found |= set(ids(answer))
        bookmark = answer.bookmark
    assert found - unsure == wanted - unsure
    assert globe.spatial("s/g", lat=lat, lon=lon, radius=radius, count=True).count == len(found)


@settings(max_examples=40, deadline=None)
@given(places, st.integers(1, 200))
def test_the_nearest_first(globe: Any, at: tuple[float, float], limit: int) -> None:
    lon, lat = at
    away = {id: haversine(lon, lat, *point) for id, point in globe.points.items()}
    rows = ids(globe.spatial("s/g", lat=lat, lon=lon, nearest=True, limit=limit))
    assert len(rows) == limit
    assert [away[id] for id in rows] == pytest.approx(sorted(away.values())[:limit], abs=0.01)


CIRCLED = [
    shapely.Point(10, 50),
    shapely.Point(10.5, 50.2),
    shapely.LineString([(10, 50), (10.2, 50)]),
    shapely.LineString([(10, 50), (12, 50)]),
    shapely.LineString([(11, 52), (12, 53)]),
    shapely.box(9.9, 49.9, 10.1, 50.1),
    shapely.box(9, 49, 10, 51),
    shapely.box(5, 45, 15, 55),
    shapely.MultiPoint([(10, 50), (20, 50)]),
]


@pytest.mark.parametrize("shape", [{"radius": 50_000}, {"rangex": 50_000, "rangey": 50_000}])
@pytest.mark.parametrize(
    ("relation", "found"),
    [
        ("intersects", "01235678"),
        ("disjoint", "4"),
        ("contains", "0125"),
        ("contains_properly", "0125"),
        ("covers", "0125"),
        ("within", "7"),
        ("covered_by", "7"),
        ("crosses", "38"),
        ("overlaps", "6"),
        ("touches", ""),
    ],
)
def test_relations_of_a_circle(db: Any, shape: Any, relation: str, found: str) -> None:
    db.bulk_docs([{"_id": str(n), "g": shapely.geometry.mapping(each)} for n, each in enumerate(CIRCLED)])
    define(db)
    assert "".join(ids(db.spatial("s/g", lat=50, lon=10, relation=relation, **shape))) == found
    with pytest.raises(pouchdb.BadRequest, match="relation to an area"):
        db.spatial("s/g", lat=50, lon=10, relation="contains")


def test_a_relation_of_a_box_on_any_index(db: Any) -> None:
    edge = shapely.geometry.mapping(shapely.LineString([(0, 0), (4, 4)]))
    db.put({"_id": "a", "g": edge, "k": edge})
    define(db)
    for name in ("s/g", "s/k"):
        assert ids(db.spatial(name, bbox="0,0,4,4", relation="contains")) == ["a"]
        assert ids(db.spatial(name, bbox="0,0,3,3", relation="contains")) == []
        assert ids(db.spatial(name, bbox="0,0,3,3", relation="crosses")) == ["a"]
        assert ids(db.spatial(name, bbox="5,0,6,1", relation="disjoint")) == ["a"]


def test_ties_come_in_the_order_of_ids(db: Any) -> None:
    db.bulk_docs([{"_id": id, "g": {"type": "Point", "coordinates": [1, 1]}} for id in "dbca"])
    define(db)
    assert ids(db.spatial("s/g", lat=0, lon=0, nearest=True)) == ["a", "b", "c", "d"]
    assert ids(db.spatial("s/g", lat=0, lon=0, nearest=True, skip=1, limit=2)) == ["b", "c"]


# -- boxes -------------------------------------------------------------------------------------------

numbers = st.integers(-20, 20) | st.floats(-20, 20)
dimensions = numbers | st.tuples(numbers, numbers).map(lambda pair: sorted(pair))
keys = st.lists(dimensions, max_size=7)
bounds = st.lists(st.none() | numbers, max_size=7)


@settings(max_examples=60, deadline=None)
@given(st.lists(keys, min_size=1, max_size=15), st.none() | bounds, st.none() | bounds)
def test_ranges_of_any_dimensions(emitted: list[Any], start: Any, end: Any) -> None:
    with pouchdb.setup(":memory:", plugins=["spatial"]) as environment:
        db: Any = environment["places"]
        db.bulk_docs([{"_id": f"{n:02}", "k": key, "n": n} for n, key in enumerate(emitted)])
        define(db)
        given = {name: value for name, value in (("start_range", start), ("end_range", end)) if value is not None}
        answer = db.spatial("s/k", **given)
        counted = db.spatial("s/k", count=True, **given).count
        temporary = db.spatial(EMIT, **given)
    size = min((len(each) for each in given.values()), default=99)
    wanted = []
    for n, key in enumerate(emitted):
        box = entry_of(key).box
        low = [None] * 99 if start is None else start
        high = [None] * 99 if end is None else end
        if len(box) <= size and all(
            (low[place] is None or b >= low[place]) and (high[place] is None or a <= high[place])
            for place, (a, b) in enumerate(box)
        ):
            wanted.append(n)
    assert [row.value for row in answer.rows] == wanted
    assert [row.key for row in answer.rows] == [[list(each) for each in entry_of(emitted[n]).box] for n in wanted]
    assert counted == len(wanted)
    assert answer == temporary


def test_whole_numbers_stay_whole(db: Any) -> None:
    db.put({"_id": "a", "k": [1, 2.5, 2**70]})
    define(db)
    (row,) = db.spatial("s/k").rows
    assert json.dumps(row.key) == "[[1, 1], [2.5, 2.5], [1.1805916207174113e+21, 1.1805916207174113e+21]]"


# -- what is broken ----------------------------------------------------------------------------------

BROKEN: dict[str, Any] = {
    "one-point-line": {"type": "LineString", "coordinates": [[1, 1]]},
    "two-point-ring": {"type": "Polygon", "coordinates": [[[1, 1], [2, 2]]]},
    "nested-too-little": {"type": "Polygon", "coordinates": [[1, 1], [2, 2], [3, 1], [1, 1]]},
    "nested-too-much": {"type": "Point", "coordinates": [[1, 1]]},
    "uneven": {"type": "LineString", "coordinates": [[1, 1], [2, 2, 2]]},
    "text": {"type": "Point", "coordinates": ["1", "1"]},
    "no-coordinates": {"type": "Point"},
    "empty": {"type": "Polygon", "coordinates": []},
    "unknown": {"type": "Circle", "coordinates": [1, 1]},
    "no-geometry": {"type": "Feature", "geometry": None},
    "number": 5,
    "null": None,
    "nested-collection": {"type": "GeometryCollection", "geometries": [5]},
    "geometries-missing": {"type": "GeometryCollection"},
    "wrong-bbox": {"type": "Point", "coordinates": [1, 1], "bbox": [9, 9, 1, 1]},
}


def test_one_broken_geometry_spoils_no_answer(db: Any) -> None:
    db.put({"_id": "good", "g": {"type": "Point", "coordinates": [1, 1]}, "k": [1]})
    db.bulk_docs([{"_id": id, "g": geometry, "k": geometry} for id, geometry in BROKEN.items()])
    define(db)
    errors: list[Any] = []
    db.on("error", errors.append)
    for name in ("s/g", "s/k"):
        for options in ({"g": "POINT(1 1)"}, {"lat": 1, "lon": 1, "radius": 1000}, {"bbox": "0,0,5,5"}):
            found = set(ids(db.spatial(name, **options)))
            assert found <= {
                "good",
                "one-point-line",
                "two-point-ring",
                "nested-too-little",
                "nested-too-much",
                "uneven",
            }
            if name == "s/g":
                assert "good" in found
        db.spatial(name, lat=1, lon=1, nearest=True)
    assert len(errors) >= 10, "they are reported"


def test_polygons_that_cross_themselves_are_the_area_they_cover(db: Any) -> None:
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]]}
    db.put({"_id": "bow", "g": bow, "k": bow})
    define(db)
    for name in ("s/g", "s/k"):
        assert ids(db.spatial(name, g="POINT(0.5 2)")) == ["bow"]
        assert ids(db.spatial(name, g="POINT(2 0.5)")) == []
        assert ids(db.spatial(name, bbox="1,1,3,3")) == ["bow"]
    with pytest.raises(pouchdb.BadRequest, match="Self-intersection"):
        db.spatial("s/g", g=bow)


@pytest.mark.parametrize(
    "g",
    ["POINT(nan 1)", "POINT(1", "CIRCLE(1 1)", "POLYGON((0 0, 1 1))", "LINESTRING(1 1)", "{", '{"type": "Point"}',
     {"type": "Point", "coordinates": [math.nan, 1]}, {"type": "Feature", "geometry": None}, [], 5, "", "POINT EMPTY"],
)  # fmt: skip
def test_geometries_that_cannot_be_asked_with(db: Any, g: Any) -> None:
    db.put({"_id": "a", "g": {"type": "Point", "coordinates": [1, 1]}})
    define(db)
    with pytest.raises(pouchdb.BadRequest):
        db.spatial("s/g", g=g)


@pytest.mark.parametrize(
    "body", ["throw new Error('x');", "emit(null);", "emit([NaN]);", "emit([1/0]);", "emit({type: 'Point'});",
             "emit([[5, 1]]);", "emit('x');", "emit(5);", "nowhere();", "doc.a.b.c;"]
)  # fmt: skip
def test_functions_that_throw_leave_that_document_out(db: Any, body: str) -> None:
    db.bulk_docs([{"_id": "a"}, {"_id": "b", "bad": True}, {"_id": "c"}])
    db.put({"_id": "_design/s", "spatial": {"k": f"function (doc) {{ emit([1], 1); if (doc.bad) {{ {body} }} }}"}})
    errors: list[Any] = []
    db.on("error", errors.append)
    assert ids(db.spatial("s/k")) == ["a", "c"]
    assert len(errors) == 1


def test_a_distance_of_a_polygon_is_to_its_edge() -> None:
    box = shapely.box(10, -1, 12, 1)
    assert distance(box, 9, 0) == pytest.approx(haversine(9, 0, 10, 0), rel=1e-3)
    assert distance(box, 11, 0) == 0


# -- an index of nothing but points ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Any, Any]]:
    """Two databases of the same points; one has a line, too, far from all of them: its rows are read another way."""
    source = random.Random(8)
    points = [
        {"_id": f"{n:04}", "g": {"type": "Point", "coordinates": [source.randint(-20, 20), source.randint(-20, 20)]}}
        for n in range(1200)
    ]
    with pouchdb.setup(":memory:", plugins=["spatial"]) as environment:
        for name in ("points", "mixed"):
            environment[name].bulk_docs(points)
            define(environment[name])
        environment["mixed"].put({"_id": "line", "g": {"type": "LineString", "coordinates": [[170, 80], [171, 81]]}})
        yield environment["points"], environment["mixed"]


sides = st.integers(-24, 24)
places_of_both = st.one_of(
    st.builds(lambda w, s, e, n: {"bbox": [min(w, e), min(s, n), max(w, e), max(s, n)]}, sides, sides, sides, sides),
    st.builds(lambda x, y, m: {"lon": x, "lat": y, "radius": m}, sides, sides, st.integers(0, 3_000_000)),
    st.builds(
        lambda x, y, w: {"g": f"POLYGON(({x} {y}, {x + w} {y}, {x + w} {y + w}, {x} {y}))"},
        sides,
        sides,
        st.integers(1, 30),
    ),
    st.builds(lambda x, y: {"lon": x, "lat": y, "nearest": True}, sides, sides),
)


@settings(max_examples=150, deadline=None)
@given(
    places_of_both, st.sampled_from([None, "intersects", "contains", "covers"]), st.integers(0, 30), st.integers(0, 200)
)
def test_an_index_of_points_answers_as_one_of_points_and_others(
    both: tuple[Any, Any], place: dict[str, Any], relation: str | None, skip: int, limit: int
) -> None:
    more = {} if relation is None or place.get("nearest") else {"relation": relation}
    points, mixed = (db.spatial("s/g", skip=skip, limit=limit, **place, **more) for db in both)
    assert points == mixed
