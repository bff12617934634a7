"""Databases for the tests of find."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb

# The folder is no package: what tests share is imported by name.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def environment() -> Iterator[Any]:
    environment = pouchdb.setup(":memory:", plugins=["find"])
    yield environment
    environment.close()


@pytest.fixture
def db(environment: Any) -> Any:
    return environment["db"]


PEOPLE = [
    {"_id": "m00", "name": "Ann", "age": 30, "city": "Rome", "tags": ["a", "b"], "nest": {"a": {"b": 0}}, "x.y": 0},
    {"_id": "m01", "name": "Bob", "age": 25, "city": "Oslo", "tags": ["b"], "nest": {"a": {"b": 1}}, "x.y": 1},
    {"_id": "m02", "name": "Cid", "age": 41, "city": "Rome", "tags": [], "nest": {"a": {"b": 2}}, "x.y": 2},
    {"_id": "m03", "name": "Dee", "age": None, "city": "Oslo", "tags": ["c", "a"], "nest": {"a": {"b": 3}}, "x.y": 3},
    {"_id": "m04", "name": "Eve", "age": 30, "city": "Bern", "tags": ["d"], "nest": {"a": {"b": 4}}, "x.y": 4},
    {"_id": "m05", "name": "Fay", "age": "old", "city": "Rome", "tags": None, "nest": {"a": {"b": 5}}, "x.y": 5},
    {
        "_id": "m06",
        "name": "Gus",
        "age": 12.5,
        "city": None,
        "tags": ["a", "b", "c"],
        "nest": {"a": {"b": 6}},
        "x.y": 6,
    },
    {"_id": "m07", "name": "Hal", "age": True, "city": "bern", "tags": [1, 2], "nest": {"a": {"b": 7}}, "x.y": 7},
    {"_id": "no"},
]


@pytest.fixture
def people(db: Any) -> Any:
    """The documents that the recordings of CouchDB were made with."""
    db.bulk_docs(PEOPLE)
    return db
