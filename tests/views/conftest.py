"""Fixtures of views, and the order of keys as CouchDB's documentation tells it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
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


_RANKS = (((int, float), 3), (str, 4), (list, 5), (dict, 6))


def rank(value: Any) -> int:
    if value is None:
        return 0
    if value is False:
        return 1
    if value is True:
        return 2
    return next(number for kind, number in _RANKS if isinstance(value, kind))


def compare(a: Any, b: Any) -> int:
    """The order as CouchDB's documentation tells it, without cleverness."""
    if rank(a) != rank(b):
        return rank(a) - rank(b)
    if rank(a) == 3:
        left, right = Fraction(a), Fraction(b)
        return (left > right) - (left < right)
    if rank(a) == 4:
        points, others = [ord(c) for c in a], [ord(c) for c in b]
        return (points > others) - (points < others)
    if rank(a) == 5:
        for one, other in zip(a, b, strict=False):
            if found := compare(one, other):
                return found
        return len(a) - len(b)
    if rank(a) == 6:
        for (name, one), (other_name, other) in zip(a.items(), b.items(), strict=False):
            if found := compare(name, other_name) or compare(one, other):
                return found
        return len(a) - len(b)
    return 0
