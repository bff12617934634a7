"""Authorisation: ``_security`` and the rules of ``_users``, for every request that is made on behalf of a user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pouchdb_auth.accounts import ADMIN
from pouchdb_auth.user_documents import is_users, name_of
from pouchdb_core.errors import Forbidden, NotFound, PouchDBError, Unauthorized
from pouchdb_core.membership import is_member, is_named
from pouchdb_core.requests import (
    Administer,
    AnyRequest,
    Changes,
    Destroy,
    Listing,
    Open,
    Query,
    Read,
    Replicate,
    UserContext,
)

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment, SyncPouchDB
    from pouchdb_core.requests import Guard, Proposed

__all__ = ["authorise", "check_server_admin", "design_guard", "hidden", "is_database_admin", "sees_user"]

_SERVER_ADMIN = "You are not a server admin."
_DATABASE_ADMIN = "You are not a db or server admin."
_MEMBER = "You are not authorized to access this db."
_USERS_SECURITY = "You can't edit the security object of the user database."
_USERS_DESIGN = "Only administrators can view design docs in the users database."

_ADMINISTRATION = frozenset(
    ("backup", "compact", "dump", "integrity_check", "purged_infos_limit", "put_security", "revs_limit", "view_cleanup")
)
"""Actions for administrators of the database; reading a limit is for members."""
_OF_THE_SERVER = frozenset(("load", "purge"))


def authorise(environment: SyncEnvironment, database: SyncPouchDB | None, request: AnyRequest) -> None:
    """Refuse what a user may not do. Raises Unauthorized, Forbidden, NotFound."""
    user = request.user
    if user is None:
        return
    administers = ADMIN in user.roles
    if database is None:
        if not administers:
            _above(environment, request)
        return
    if database.remote:
        # The server decides.
        return
    if is_users(database):
        _users(database, user, request, administers=administers)
    if administers:
        return
    security = database.as_user(None).get_security()
    if isinstance(request, Administer) and request.action in _OF_THE_SERVER:
        raise Unauthorized(_SERVER_ADMIN)
    if not is_member(security, user):
        raise Unauthorized(_MEMBER)
    if _administrates(request) and not is_named(security, "admins", user):
        raise Unauthorized(_DATABASE_ADMIN)


def check_server_admin(user: UserContext | None) -> None:
    """Refuse a user that is neither the program itself nor has the role ``_admin``. Raises Unauthorized."""
    if user is not None and ADMIN not in user.roles:
        raise Unauthorized(_SERVER_ADMIN)


def _above(environment: SyncEnvironment, request: AnyRequest) -> None:
    """Check actions on the environment: databases are made and removed by administrators of the server."""
    if isinstance(request, Replicate):
        return
    if isinstance(request, Destroy):
        made = True
    else:
        assert isinstance(request, Open), "the rest is asked of a database"
        made = request.name not in environment.as_user(None).defaults(prefix="").names()
    if made and "://" not in request.name:
        raise Unauthorized(_SERVER_ADMIN)


def _administrates(request: AnyRequest) -> bool:
    if isinstance(request, Query):
        # A temporary view reads and runs anything its author wants.
        return request.view is None
    if not isinstance(request, Administer) or request.action not in _ADMINISTRATION:
        return False
    return not (request.action in ("revs_limit", "purged_infos_limit") and request.arguments.get("limit") is None)


# -- the database of the users -----------------------------------------------------------------------


def _users(database: SyncPouchDB, user: UserContext, request: AnyRequest, *, administers: bool) -> None:
    """CouchDB's own rules for ``_users``, apart from those for documents."""
    if isinstance(request, Administer) and request.action == "put_security":
        admins = request.arguments["security"].get("admins", {})
        if admins != {"names": [], "roles": [ADMIN]}:
            raise Forbidden(_USERS_SECURITY)
    if administers:
        return
    if isinstance(request, (Listing, Query, Changes)) or (
        isinstance(request, Administer) and request.action in ("conflicts", "design_documents", "revs_diff")
    ):
        raise Unauthorized(_SERVER_ADMIN)
    if isinstance(request, Read):
        for id in (request.id,) if request.items is None else (item[0] for item in request.items):
            if id.startswith("_design/"):
                raise Forbidden(_USERS_DESIGN)


def sees_user(user: UserContext | None, id: str) -> bool:
    """Return whether a user may see a document of ``_users``: administrators see all, users their own."""
    if user is None or ADMIN in user.roles:
        return True
    return user.name is not None and name_of(id) == user.name


def hidden(id: str) -> NotFound:
    """Return the error for another user's document: not found."""
    return NotFound("missing", id=id)


# -- design documents ----------------------------------------------------------------------------------


def design_guard(database: SyncPouchDB, user: UserContext | None) -> Guard | None:
    """Return the guard that lets only administrators of the database write design documents."""
    if user is None or ADMIN in user.roles or is_database_admin(database, user):
        return None

    def judged(each: Proposed) -> PouchDBError | None:
        if not each.id.startswith("_design/"):
            return None
        return Unauthorized(_DATABASE_ADMIN) if user.name is None else Forbidden(_DATABASE_ADMIN)

    def guard(proposed: Sequence[Proposed]) -> list[PouchDBError | None]:
        return [judged(each) for each in proposed]

    return guard


def is_database_admin(database: SyncPouchDB, user: UserContext) -> bool:
    """Return whether the security object names a user, or a role of theirs, as administrator."""
    return is_named(database.as_user(None).get_security(), "admins", user)
