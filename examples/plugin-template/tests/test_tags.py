from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import Forbidden


@pytest.fixture(params=["file", "memory"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    with pouchdb.setup(tmp_path if request.param == "file" else ":memory:", plugins=["tags"]) as env:
        yield env["notes"]


def test_tagged(db: Any) -> None:
    db.bulk_docs([{"_id": "b", "tags": ["red"]}, {"_id": "a", "tags": ["red", "green"]}, {"_id": "c"}])
    assert db.tagged("red") == ["a", "b"]
    assert db.tagged("green") == ["a"]
    assert db.tagged("blue") == []


def test_it_follows_edits_deletions_and_purges(db: Any) -> None:
    one = db.put({"_id": "a", "tags": ["red"]})
    assert db.tagged("red") == ["a"]
    two = db.put({"_id": "a", "_rev": one.rev, "tags": ["green"]})
    assert (db.tagged("red"), db.tagged("green")) == ([], ["a"])
    db.remove("a", two.rev)
    assert db.tagged("green") == []
    three = db.put({"_id": "b", "tags": ["green"]})
    assert db.tagged("green") == ["b"]
    db.purge("b", three.rev)
    assert db.tagged("green") == []


@pytest.mark.parametrize("tags", ["red", 5, None, {}, [5], ["red", None]])
def test_tags_that_are_none(db: Any, tags: object) -> None:
    with pytest.raises(Forbidden, match="tags are a list of texts"):
        db.put({"_id": "a", "tags": tags})
    assert list(db) == []
