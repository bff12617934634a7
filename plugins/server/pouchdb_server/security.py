"""Authorisation: what a route needs, checked against the user and the database's security object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import Forbidden, PouchDBError, Unauthorized
from pouchdb_core.membership import is_member, is_named
from pouchdb_core.requests import judges_local
from pouchdb_server.roles import ADMIN, METRICS

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB
    from pouchdb_core.requests import Guard, Proposed, UserContext
    from pouchdb_server.routes import Needs

__all__ = ["DEFAULT", "authorise", "design_guard", "every", "is_admin", "refusal", "security_of"]

ONLY_ADMINS = {"roles": [ADMIN]}
DEFAULT = {"admins": ONLY_ADMINS, "members": ONLY_ADMINS}
"""The security of a database without a security object: as in CouchDB 3, for administrators only."""


def authorise(needs: Needs, user: UserContext, database: SyncPouchDB | None) -> None:
    """Refuse a user without the rights that a route needs, with CouchDB's statuses. Raises Unauthorized, Forbidden."""
    if needs == "nobody" or ADMIN in user.roles:
        return
    if needs == "metrics" and METRICS in user.roles:
        return
    if needs == "server" or database is None:
        raise Unauthorized("You are not a server admin.")
    security = security_of(database)
    if not is_member(security, user):
        if user.name is None:
            raise Unauthorized("You are not authorized to access this db.")
        raise Forbidden("You are not allowed to access this db.")
    if needs in ("admin", "settings") and not is_named(security, "admins", user):
        if needs == "settings":
            raise refusal(user, "You are not a db or server admin.")
        raise Unauthorized("You are not a server or db admin.")


def security_of(database: SyncPouchDB) -> Mapping[str, Any]:
    """Return the database's security object, or the default."""
    # On the server's own behalf: the answer decides what the user may do.
    return database.as_user(None).get_security() or DEFAULT


def is_admin(database: SyncPouchDB, user: UserContext) -> bool:
    """Return whether a user administers a database."""
    return ADMIN in user.roles or is_named(security_of(database), "admins", user)


def design_guard(database: SyncPouchDB, user: UserContext | None) -> Guard | None:
    """Return the write guard that lets only administrators write design documents."""
    if user is None or is_admin(database, user):
        return None

    def guard(proposed: Sequence[Proposed]) -> list[PouchDBError | None]:
        design = [each.new["_id"].startswith("_design/") for each in proposed]
        return [refusal(user, "You are not a db or server admin.") if each else None for each in design]

    return guard


def every(*guards: Guard | None) -> Guard | None:
    """Return a guard that refuses what one of several refuses; each is called only for what those before let pass."""
    asked = [guard for guard in guards if guard is not None]
    if not asked:
        return None

    @judges_local
    def guard(proposed: Sequence[Proposed]) -> list[PouchDBError | None]:
        verdicts: list[PouchDBError | None] = [None] * len(proposed)
        for each in asked:
            places = [place for place, verdict in enumerate(verdicts) if verdict is None]
            answers = each([proposed[place] for place in places]) or [None] * len(places)
            for place, verdict in zip(places, answers, strict=True):
                verdicts[place] = verdict
        return verdicts

    return guard


def refusal(user: UserContext, message: str) -> PouchDBError:
    """Return the error for a user without the right: clients that are not logged in are asked to log in."""
    return Unauthorized(message) if user.name is None else Forbidden(message)
