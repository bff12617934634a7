"""Databases for the tests of couchapp."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pouchdb

Put = Callable[..., Any]


@pytest.fixture
def environment() -> Iterator[Any]:
    environment = pouchdb.setup(":memory:", plugins=["couchapp", "validation", "all_dbs"])
    yield environment
    environment.close()


@pytest.fixture
def db(environment: Any) -> Any:
    """The worked examples' database: d1, d2, d3 and the view v."""
    db = environment["rw0"]
    db.bulk_docs([{"_id": "d1", "k": 1}, {"_id": "d2", "k": [2, "x"]}, {"_id": "d3", "k": "str"}])
    return db


@pytest.fixture
def design(db: Any) -> Put:
    """Store members as ``_design/t``, with the view v."""

    def design(**members: Any) -> None:
        views = {"v": {"map": "function (doc) { emit(doc.k); }"}, **members.pop("views", {})}
        db["_design/t"] = {"views": views, **members}

    return design
