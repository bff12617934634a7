"""Who a security object names, whatever it holds: on servers it comes from anybody's request."""

from __future__ import annotations

from typing import Any

import pytest

from pouchdb_core.membership import is_member, is_named
from pouchdb_core.requests import UserContext

NOBODY = UserContext()
ANN = UserContext("ann", ("crew",))


@pytest.mark.parametrize(
    ("security", "user", "member", "admin"),
    [
        ({}, NOBODY, True, False),
        ({}, ANN, True, False),
        ({"members": {"names": [], "roles": []}}, NOBODY, True, False),
        ({"members": {"names": ["ann"]}}, ANN, True, False),
        ({"members": {"names": ["bob"]}}, ANN, False, False),
        ({"members": {"names": ["bob"]}}, NOBODY, False, False),
        ({"members": {"roles": ["crew"]}}, ANN, True, False),
        ({"members": {"roles": ["other"]}}, ANN, False, False),
        ({"members": {"names": [None]}}, NOBODY, False, False),
        ({"members": {"names": ["bob"]}, "admins": {"names": ["ann"]}}, ANN, True, True),
        ({"members": {"names": ["bob"]}, "admins": {"roles": ["crew"]}}, ANN, True, True),
        ({"admins": {"names": ["ann"]}}, NOBODY, True, False),
        # What is no list names nobody, and a name is no list of letters.
        ({"members": {"names": "ann", "roles": "crew"}}, ANN, True, False),
        ({"members": "ann", "admins": ["ann"]}, ANN, True, False),
        ({"members": None, "admins": {"names": {"ann": 1}}}, ANN, True, False),
    ],
)
def test_who_is_named(security: Any, user: UserContext, member: bool, admin: bool) -> None:
    assert is_member(security, user) is member
    assert is_named(security, "admins", user) is admin
