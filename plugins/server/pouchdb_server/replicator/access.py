"""Rights to write and read the documents of ``_replicator``: for their owners, and administrators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, Forbidden, NotFound, PouchDBError, Unauthorized
from pouchdb_core.requests import Changes
from pouchdb_server.replicator.definition import FINAL, definition, is_replicator, owner_name
from pouchdb_server.replicator.seat import SEAT
from pouchdb_server.roles import ADMIN
from pouchdb_server.security import is_admin

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB
    from pouchdb_core.requests import Guard, Proposed, UserContext
    from pouchdb_server.messages import Request

__all__ = ["only_own", "replication_guard"]

OTHERS = "Can't update replication documents from other users."
OPEN = {("GET", ""), ("HEAD", ""), ("POST", ""), ("POST", "_bulk_docs"), ("GET", "_security")}
"""Endpoints owners may call apart from their documents: all others would show documents of others."""


def replication_guard(database: SyncPouchDB, user: UserContext | None) -> Guard | None:
    """Return the write guard of a replicator database: as CouchDB's ``_design/_replicator``."""
    if not is_replicator(database.short_name):
        return None
    # An administrator of this database only is not the server's administrator.
    administers = user is None or ADMIN in user.roles

    def judged(each: Proposed) -> PouchDBError | None:
        new, old = each.new, each.old
        if new["_id"].startswith("_design/"):
            return None
        if new["_id"].startswith("_local/"):
            # Checkpoints of all users' replications.
            allowed = user is None or is_admin(database, user)
            return None if allowed else Forbidden("You are not a db or server admin.")
        if not administers:
            refusal = _not_own(new, old, user)
            if refusal is not None:
                return refusal
        if new.get("_deleted") or (administers and new.get("_replication_state") in FINAL):
            return None
        try:
            definition(new)
            _check_selector(database, new.get("selector"))
        except BadRequest as error:
            return Forbidden(error.message)
        return None

    def guard(proposed: Sequence[Proposed]) -> list[PouchDBError | None]:
        return [judged(each) for each in proposed]

    return guard


def _check_selector(database: SyncPouchDB, selector: Mapping[str, Any] | None) -> None:
    """Raise BadRequest for what is no selector; without a plug-in that knows selectors that shows when it is used."""
    if selector is None:
        return
    known = database.plugins.changes_filters().get("_selector")
    if known is not None:
        known.open(database, Changes(selector=selector))


def _not_own(new: Mapping[str, Any], old: Mapping[str, Any] | None, user: UserContext | None) -> PouchDBError | None:
    if user is None or user.name is None:
        return Unauthorized("You must be logged in to write replication documents.")
    if old is not None and not old.get("_deleted") and owner_name(old) != user.name:
        return Forbidden(OTHERS)
    if new.get("_deleted"):
        return None
    given = new.get("user_ctx")
    if not isinstance(given, Mapping):
        return Forbidden("The `user_ctx` property is missing (it is optional for admins only).")
    if given.get("name") != user.name or new.get("owner", user.name) != user.name:
        return Forbidden("The given `user_ctx.name` is not valid")
    roles = given.get("roles", [])
    for role in roles if isinstance(roles, (list, tuple)) else ():
        if role not in user.roles:
            return Forbidden(f"Invalid role (`{role}`) in the `user_ctx`")
    return None


def only_own(request: Request, database: SyncPouchDB | None) -> None:
    """Let users of a replicator database reach their own documents only. Raises Forbidden, NotFound."""
    if database is None or not is_replicator(database.short_name):
        return
    supervisor = request.environment.state(SEAT).supervisor(request.environment.prefix)
    if supervisor is not None and not supervisor.follows(database.short_name):
        supervisor.wake(look=True)
    if is_admin(database, request.user):
        return
    if request.id is None:
        if (request.method, "/".join(request.path[1:])) not in OPEN:
            raise Forbidden("Only administrators may list the documents of a replicator database.")
    elif request.id.startswith(("_design/", "_local/")):
        raise Forbidden("You are not a db or server admin.")
    elif "open_revs" in request.query:
        raise Forbidden("Only administrators may read several revisions of a replication document.")
    elif request.method in ("GET", "HEAD", "COPY") and not _owns(database.as_user(None), request):
        # Writes are checked by the guard.
        raise NotFound("missing")


def _owns(database: SyncPouchDB, request: Request) -> bool:
    """Return whether every revision the request could show is the user's; the handler reports a missing one."""
    id, rev = request.id or "", request.query.get("rev")
    try:
        found = [each["ok"] for each in database.open_revs(id, "all")]
        shown = [doc for doc in found if not doc.get("_deleted")]
        if rev is not None:
            shown.append(database.get(id, rev=rev))
    except (NotFound, BadRequest):
        return True
    return all(owner_name(doc) == request.user.name for doc in shown)
