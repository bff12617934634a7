"""Fixtures of views: databases with documents, and the two ways to write a view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB

Design = Callable[..., Any]


@pytest.fixture
def design(database: SyncPouchDB) -> Design:
    """Store (again) a design document ``_design/<name>`` with the members given."""

    def design(name: str, **members: Any) -> Any:
        doc = {"_id": f"_design/{name}", **members}
        if doc["_id"] in database:
            doc["_rev"] = database.get(doc["_id"])["_rev"]
        database.put(doc)
        return database.get(doc["_id"])

    return design
