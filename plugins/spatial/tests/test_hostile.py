"""Geometries that libraries of geometry do not survive: they spoil no index, no answer and no process."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

import pouchdb

RING = [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
SQUARE = "POLYGON((0 0, 3 0, 3 3, 0 3, 0 0))"
OK = {"type": "Point", "coordinates": [1, 2]}
DDOC = {
    "_id": "_design/s",
    "spatial": {"k": "function (doc) { emit(doc.g); }"},
    "st_indexes": {"g": {"index": "function (doc) { st_index(doc.g); }"}},
}
RELATIONS = "contains contains_properly covered_by covers crosses disjoint intersects overlaps touches within".split()
QUESTIONS: list[dict[str, Any]] = [
    {"bbox": [-10, -10, 10, 10]},
    {"bbox": [170, -10, -170, 10], "plane_bounds": [-180, -90, 180, 90]},
    {"bbox": [-1e308, -1e308, 1e308, 1e308]},
    *({"g": SQUARE, "relation": relation} for relation in RELATIONS),
    *({"lat": 2, "lon": 1, "radius": 1e6, "relation": relation} for relation in RELATIONS),
    {"lat": 2, "lon": 1, "rangex": 1e5, "rangey": 1e6},
    {"lat": 2, "lon": 1, "nearest": True},
    {"start_range": [0, 0]},
]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def collection(*members: Any) -> dict[str, Any]:
    return {"type": "GeometryCollection", "geometries": list(members)}


EMPTY_PARTS = [
    polygon(RING, []),
    {"type": "MultiPolygon", "coordinates": [[RING, []], []]},
    {"type": "MultiLineString", "coordinates": [[], [[0, 0], [1, 1]]]},
    {"type": "MultiPoint", "coordinates": [[1, 1], []]},
    collection(OK, {"type": "LineString", "coordinates": []}),
    collection(OK, {"type": "MultiPolygon", "coordinates": []}, collection(polygon(RING, [], []))),
]
FAR = [
    {"type": "LineString", "coordinates": [[0, 0], [1e7, 0]]},
    {"type": "LineString", "coordinates": [[0, 0], [1e9, 0]]},
    {"type": "LineString", "coordinates": [[0, 0], [1e300, 1e300]]},
    polygon([[0, 0], [1e9, 0], [1e9, 1e9], [0, 0]]),
    polygon([[0, 0], [4, 0], [4, 4], [0, 4], [-1e308, 0]]),
    polygon(RING, [[-1e308, 1], [2, 1], [2, 2], [1, 1]]),
    polygon(RING, [[-1e9, 1], [2, 1], [2, 2], [-1e9, 1]]),
    {"type": "MultiPoint", "coordinates": [[1, 2], [1e308, -1e308]]},
    {"type": "Point", "coordinates": [1e308, -1e308]},
    {"type": "LineString", "coordinates": [[0, 0, 1e308], [1, 1, -1e308]]},
]
NONE: list[Any] = [
    {"type": ["Point"], "coordinates": [1, 2]},
    {"type": {}, "coordinates": [1, 2]},
    {"type": "GeometryCollection", "geometries": 5},
    {"type": "GeometryCollection", "geometries": True},
    collection({"type": ["Point"], "coordinates": [1, 2]}),
    collection({"type": "GeometryCollection", "geometries": 1e308}),
    {"type": "Feature", "geometry": {"type": ["Point"], "coordinates": [1, 2]}},
]


def ids(answer: Any) -> set[str]:
    return {row["id"] for row in answer.rows}


@pytest.mark.parametrize("geometry", NONE, ids=json.dumps)
def test_what_is_no_geometry_is_left_out_and_reported(db: Any, geometry: Any) -> None:
    db.bulk_docs([{"_id": "broken", "g": geometry}, {"_id": "ok", "g": OK}])
    errors: list[Any] = []
    db.on("error", errors.append)
    for name in ("s/k", "s/g"):
        assert ids(db.spatial(name)) == {"ok"}
        assert "'broken'" in str(errors.pop())
        assert ids(db.spatial(name, g=SQUARE)) == {"ok"}


ASK = """
import json, sys, warnings
import pouchdb
warnings.simplefilter("error")
ddoc, docs, questions = json.loads(sys.argv[1])
with pouchdb.setup(":memory:", plugins=["spatial"]) as environment:
    db = environment["places"]
    db.put(ddoc)
    db.bulk_docs(docs)
    for name in ("s/k", "s/g"):
        print(json.dumps([[row["id"] for row in db.spatial(name, **each)["rows"]] for each in questions]))
"""


@pytest.mark.parametrize("geometries", [EMPTY_PARTS, FAR], ids=["empty parts", "far away"])
def test_every_question_is_answered(geometries: list[Any]) -> None:
    """In a process of its own, with a limit: it crashed, or took all of the memory."""
    docs = [{"_id": "ok", "g": OK}, *({"_id": str(n), "g": each} for n, each in enumerate(geometries))]
    text = json.dumps([DDOC, docs, QUESTIONS])
    done = subprocess.run([sys.executable, "-c", ASK, text], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        for question, found in zip(QUESTIONS, json.loads(line), strict=True):
            relation = question.get("relation", "intersects")
            if "plane_bounds" not in question:
                expected = relation in ("intersects", "contains", "contains_properly", "covers")
                assert ("ok" in found) == expected, question


def test_a_geometry_with_empty_parts_is_that_of_the_others(db: Any) -> None:
    db.bulk_docs([{"_id": str(n), "g": each} for n, each in enumerate(EMPTY_PARTS)])
    assert ids(db.spatial("s/k")) == {str(n) for n in range(len(EMPTY_PARTS))}
    # Of lists that are no points, lines or polygons there is no geometry to compare: 1, 2 and 3.
    assert ids(db.spatial("s/g", lat=1, lon=1, radius=200_000)) == {"0", "4", "5"}
    assert ids(db.spatial("s/g", g="POINT(3 1)")) == {"0", "5"}
    assert ids(db.spatial("s/g", lat=60, lon=1, nearest=True)) == {"0", "4", "5"}


@pytest.mark.parametrize("geometry", FAR[:7], ids=json.dumps)
def test_what_is_no_place_on_earth_has_no_distance(db: Any, geometry: Any) -> None:
    db.bulk_docs([{"_id": "far", "g": geometry}, {"_id": "ok", "g": OK}])
    for relation in ("intersects", "disjoint", "overlaps"):
        assert ids(db.spatial("s/g", lat=60, lon=1, radius=1e7, relation=relation)) <= {"ok"}
    assert ids(db.spatial("s/g", lat=2, lon=1, nearest=True)) == {"ok"}
    assert ids(db.spatial("s/k", start_range=[None, None], end_range=[None, None])) == {"far", "ok"}


@pytest.mark.parametrize(
    "g",
    [
        "POINT(1e308 0)",
        "LINESTRING(0 0, 1e200 1)",
        {"type": "Point", "coordinates": [10**400, 0]},
        {"type": "Point", "coordinates": [float("nan"), 0]},
        {"type": "Polygon", "coordinates": [RING, [[-1e308, 1], [2, 1], [2, 2], [-1e308, 1]]]},
    ],
    ids=lambda g: str(g)[:40],
)
def test_nothing_is_asked_with_coordinates_of_no_place(db: Any, g: Any) -> None:
    db.put({"_id": "ok", "g": OK})
    for name in ("s/k", "s/g"):
        with pytest.raises(pouchdb.BadRequest):
            db.spatial(name, g=g)


def test_coordinates_that_only_a_bbox_member_hides(db: Any) -> None:
    """The box of a geometry is trusted, so nobody else looks at its coordinates first."""
    hidden = {"type": "Point", "bbox": [0, 0, 2, 2], "coordinates": [10**400, 1]}
    places = {"hidden": hidden, "ok": OK}
    db.environment.register_function("place", lambda doc: [(places[doc["_id"]], None)] if doc["_id"] in places else [])
    db.put({"_id": "_design/py", "language": "python", "spatial": {"v": "place"}})
    db.bulk_docs([{"_id": "hidden"}, {"_id": "ok"}])
    assert ids(db.spatial("py/v", bbox=[0, 0, 3, 3])) == {"hidden", "ok"}
    assert ids(db.spatial("py/v", g=SQUARE)) == {"ok"}
