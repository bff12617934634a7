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


_TERMS = (((bool, type(None)), 1), ((int, float), 0), (dict, 2), (list, 3), (str, 4))


def compare_terms(a: Any, b: Any) -> int:
    """The order of JSON values as terms of Erlang, by which CouchDB sorts what a document emits under one key."""
    first, second = (next(place for kind, place in _TERMS if isinstance(value, kind)) for value in (a, b))
    if first != second:
        return first - second
    if first == 1:
        names = ["false", "null", "true"]
        values = {False: "false", None: "null", True: "true"}
        return names.index(values[a]) - names.index(values[b])
    if first == 2:
        a, b = ([list(pair) for pair in value.items()] for value in (a, b))
    if first in (2, 3):
        for one, other in zip(a, b, strict=False):
            if found := compare_terms(one, other):
                return found
        a, b = len(a), len(b)
    return (a > b) - (a < b)
