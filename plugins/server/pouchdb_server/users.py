"""What the server itself refuses in ``_users``, whichever plug-in manages its accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pouchdb_core.errors import Forbidden, PouchDBError
from pouchdb_server.security import is_admin, refusal

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB
    from pouchdb_core.requests import Guard, Proposed, UserContext
    from pouchdb_server.routes import Needs, Route

__all__ = ["is_users", "needs_of", "users_guard"]

USERS = "_users"
LISTS = ("/_all_docs", "/_changes")
CLEAR = "the password would be kept as it is: install the plug-in auth, which keeps a hash of it"


def is_users(name: str) -> bool:
    """Return whether a database (by its short name) holds the users."""
    return name == USERS


def needs_of(route: Route, database: SyncPouchDB | None) -> Needs:
    """Return what a route needs: lists of users are for administrators of the server."""
    assert route.needs is not None, "a route says what it needs, or gets what its level does"
    if route.path in LISTS and database is not None and is_users(database.short_name):
        return "server"
    return route.needs


def users_guard(database: SyncPouchDB, user: UserContext | None) -> Guard | None:
    """Return the write guard of ``_users``: no password in clear, local documents for administrators only.

    A plug-in that manages accounts has hashed the password before guards are called.
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
