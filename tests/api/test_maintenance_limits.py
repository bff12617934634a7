"""Limits and the security object at the edges of what a store can hold."""

from __future__ import annotations

from typing import Any

import pytest

from pouchdb import BadRequest


@pytest.mark.parametrize("limit", [0, -1, 2**53, 10**30, 1.5, True, "10"], ids=repr)
def test_a_revs_limit_that_no_store_holds_is_refused(database: Any, limit: Any) -> None:
    with pytest.raises(BadRequest, match="revs_limit must be a number from 1 to"):
        database.revs_limit(limit)
    assert database.revs_limit() == 1000


def test_the_largest_revs_limit_is_kept(database: Any) -> None:
    assert database.revs_limit(2**53 - 1) == database.revs_limit() == 2**53 - 1


def test_a_lone_surrogate_in_the_security_object_is_kept(database: Any) -> None:
    database.put_security({"note": "\ud800"})
    assert database.get_security() == {"note": "\ud800"}


@pytest.mark.parametrize(
    "security",
    [
        {"admins": 5},
        {"admins": None},
        {"members": ["ada"]},
        {"admins": {"names": "ada"}},
        {"members": {"roles": {"staff": True}}},
        {"members": {"roles": None}},
        {"admins": {"names": [5]}},
        [],
        "no JSON",
    ],
    ids=repr,
)
def test_a_security_object_that_would_mean_something_else_is_refused(database: Any, security: Any) -> None:
    """A text instead of a list of names would let nobody in, or everybody."""
    kept = {"admins": {"names": ["ada"], "roles": []}, "members": {"roles": ["staff"]}, "note": 1}
    database.put_security(kept)
    with pytest.raises(BadRequest):
        database.put_security(security)
    assert database.get_security() == kept
