"""The database of the tests of places."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import pouchdb


@pytest.fixture
def db(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An empty database, or one with the design document ``DDOC`` of the test's module."""
    with pouchdb.setup(":memory:", plugins=["spatial"]) as environment:
        places = environment["places"]
        if (ddoc := getattr(request.module, "DDOC", None)) is not None:
            places.put(ddoc)
        yield places
