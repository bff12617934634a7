"""The users that a security object names: CouchDB's rules for the administrators and members of a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pouchdb_core.requests import UserContext

__all__ = ["is_member", "is_named"]


def is_member(security: Mapping[str, Any], user: UserContext) -> bool:
    """Return whether a user may read and write: everybody may if no members are named."""
    members = security.get("members", {})
    open_to_all = not (_list(members, "names") or _list(members, "roles"))
    return open_to_all or is_named(security, "members", user) or is_named(security, "admins", user)


def is_named(security: Mapping[str, Any], group: str, user: UserContext) -> bool:
    """Return whether a group of a security object (``"admins"``, ``"members"``) names a user or one of their roles."""
    named = security.get(group, {})
    if user.name is not None and user.name in _list(named, "names"):
        return True
    return any(role in user.roles for role in _list(named, "roles"))


def _list(group: Any, member: str) -> Sequence[Any]:
    found = group.get(member, ()) if isinstance(group, Mapping) else ()
    return found if isinstance(found, (list, tuple)) else ()
