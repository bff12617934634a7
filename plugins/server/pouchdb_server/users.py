"""What the server itself refuses in ``_users``, whoever keeps its accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pouchdb_core.errors import Forbidden, PouchDBError
from pouchdb_server.security import is_admin, refusal

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB
    from pouchdb_core.requests import Guard, Proposed, UserContext

__all__ = ["is_users", "users_guard"]

USERS = "_users"
CLEAR = "the password would be kept as it is: install the plug-in auth, which keeps a hash of it"


def is_users(name: str) -> bool:
    """Return whether a database (by its short name) holds the users."""
    return name == USERS


def users_guard(database: SyncPouchDB, user: UserContext | None) -> Guard | None:
    """Return the write guard of ``_users``: no password in clear, local documents for administrators only.

    A plug-in that keeps accounts has hashed the password before guards are asked.
    """
    if user is None or not is_users(database.short_name):
        return None
    administers = is_admin(database, user)

    def judged(each: Proposed) -> PouchDBError | None:
        if each.new["_id"].startswith("_local/"):
            return None if administers else refusal(user, "You are not a db or server admin.")
        return Forbidden(CLEAR) if each.new.get("password") is not None else None

    def guard(proposed: Sequence[Proposed]) -> list[PouchDBError | None]:
        return [judged(each) for each in proposed]

    return guard
