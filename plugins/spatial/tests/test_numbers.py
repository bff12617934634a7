"""A coordinate beyond all doubles is refused as every other that is no number."""

from __future__ import annotations

from typing import Any

import pytest
from pouchdb_spatial.boxes import bounds_of

import pouchdb
from pouchdb_core.errors import BadRequest

HUGE = 10**400


@pytest.mark.parametrize("coordinates", [[HUGE, 1], [1, -HUGE], [float("inf"), 1]], ids=["east", "south", "infinite"])
def test_coordinates(coordinates: list[Any]) -> None:
    with pytest.raises(ValueError, match="a dimension must be a number"):
        bounds_of({"type": "Point", "coordinates": coordinates})
    errors: list[Any] = []
    with pouchdb.setup(":memory:", plugins=["spatial"]) as environment:
        db = environment["places"]
        db.on("error", errors.append)
        environment.register_function("at", lambda doc: [(doc.get("at"), None)] if "at" in doc else [])
        db.put({"_id": "_design/s", "language": "python", "spatial": {"at": "at"}})
        db.bulk_docs([{"_id": "good", "at": [1, 1]}])
        point = {"type": "Point", "coordinates": [HUGE if abs(each) == float("inf") else each for each in coordinates]}
        db.put({"_id": "bad", "at": point})
        assert [row["id"] for row in db.spatial("s/at", bbox=[0, 0, 2, 2])["rows"]] == ["good"]
        assert len(errors) == 1


def test_options() -> None:
    with pouchdb.setup(":memory:", plugins=["spatial"]) as environment:
        db = environment["places"]
        db.put({"_id": "_design/s", "spatial": {"at": "function (doc) { emit(doc.at); }"}})
        with pytest.raises(BadRequest, match="must be a number"):
            db.spatial("s/at", bbox=[0, 0, HUGE, 2])


@pytest.mark.parametrize("large", [2**63, -(2**63) - 1, 10**30])
def test_integers_beyond_64_bits(large: int) -> None:
    with pouchdb.setup(":memory:", plugins=["spatial"]) as environment:
        db = environment["places"]
        environment.register_function("at", lambda doc: [(doc.get("at"), None)] if "at" in doc else [])
        db.put({"_id": "_design/s", "language": "python", "spatial": {"at": "at"}})
        db.bulk_docs([{"_id": "here", "at": [1, 1]}, {"_id": "far", "at": [large, 1]}])
        low, high = min(large, 0), max(large, 2)
        assert {row["id"] for row in db.spatial("s/at", bbox=[low, 0, high, 2])["rows"]} == {"here", "far"}
        assert [row["id"] for row in db.spatial("s/at", bbox=[0, 0, 2, 2])["rows"]] == ["here"]
        rows = db.spatial("s/at", start_range=[low, None], end_range=[high, None])["rows"]
        assert {row["id"] for row in rows} == {"here", "far"}


def test_pages_beyond_all_rows(db: Any) -> None:
    db.put({"_id": "_design/d", "spatial": {"k": "function (doc) { emit(doc.k, 1); }"}})
    db.put({"_id": "a", "k": [1, 2]})
    most = 2**63 - 1
    for more in ({}, {"bbox": [0, 0, 5, 5]}, {"lat": 0, "lon": 0, "nearest": True}):
        assert len(db.spatial("d/k", limit=most, skip=0, **more).rows) == (0 if "lat" in more else 1)
        for skip in (1, most, 2**70):
            assert db.spatial("d/k", limit=most, skip=skip, **more).rows == []


@pytest.mark.parametrize("number", [3.4028234663852886e38, 3.4028235e38, 1e39, 1.7e308])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_numbers_beyond_those_of_the_tree(db: Any, number: float, sign: int, dimensions: int) -> None:
    """The tree has 32 bits for each."""
    far, rest = sign * number, [0] * (dimensions - 1)
    db.put({"_id": "_design/d", "spatial": {"k": "function (doc) { emit(doc.k, 1); }"}})
    db.bulk_docs([{"_id": "far", "k": [far, *rest]}, {"_id": "near", "k": [0, *rest]}])
    db.put({"_id": "wide", "k": [[min(far, 0), max(far, 0)], *rest]})

    def found(start: float | None, end: float | None) -> list[str]:
        bounds = {"start_range": [start, *rest], "end_range": [end, *rest]}
        count = db.spatial("d/k", count=True, **bounds).count
        rows = [row.id for row in db.spatial("d/k", **bounds).rows]
        assert count == len(rows)
        return rows

    assert found(far, far) == ["far", "wide"]
    assert found(None, None) == ["far", "near", "wide"]
    assert (found(far, None) if sign > 0 else found(None, far)) == ["far", "wide"]
    assert (found(None, far / 2) if sign > 0 else found(far / 2, None)) == ["near", "wide"]
