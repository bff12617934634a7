"""The methods that databases get: one function each, for local and remote databases, with all names of the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_auth.auth_errors import AuthenticationError
from pouchdb_auth.auth_sessions import TIMEOUT, check_session_id
from pouchdb_auth.here import Here
from pouchdb_auth.there import There
from pouchdb_auth.user_documents import PREFIX, check_metadata, check_password, check_username, new_user
from pouchdb_core import Record
from pouchdb_core.errors import BadRequest, NotFound, NotSupported
from pouchdb_core.requests import UserContext
from pouchdb_core.safe_repr import safe_repr

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB

__all__ = [
    "change_password",
    "change_username",
    "delete_admin",
    "delete_user",
    "get_membership",
    "get_session",
    "get_user",
    "get_users_database_url",
    "login",
    "logout",
    "multi_user_log_in",
    "multi_user_session",
    "put_user",
    "sign_up_admin",
    "signup",
]


def signup(
    db: SyncPouchDB,
    username: str | None = None,
    password: str | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    roles: Sequence[str] | None = None,
    ajax: Mapping[str, Any] | None = None,
) -> Record:
    """Make a user; it does not log in. Returns ``{"ok": True, "id": "org.couchdb.user:NAME", "rev"}``.

    On a server's database the user is made there; on a local one in the environment's own ``_users``, on behalf
    of the user who is logged in. ``metadata`` are your own fields for the user's document; ``roles`` can be given
    by administrators only. Raises AuthenticationError (400) for invalid arguments, Conflict for a name that is
    taken, Forbidden for a bad name or for roles, Unauthorized.
    """
    name, word = check_username(username), check_password(password)
    return _users(db, ajax).put(new_user(name, word, check_metadata(metadata), roles))


def login(
    db: SyncPouchDB,
    username: str | None = None,
    password: str | None = None,
    *,
    ajax: Mapping[str, Any] | None = None,
) -> Record:
    """Log in; returns ``{"ok": True, "name", "roles"}``.

    For a server, all databases of the environment on it are used with the new cookie from then on. For a local
    database the user becomes the environment's current user: every local database of it is used on the user's
    behalf from the next call on. Raises AuthenticationError, Unauthorized ("Name or password is
    incorrect."), and for a local database TooManyAttempts after wrong passwords in a row.
    """
    return _users(db, ajax).log_in(check_username(username), check_password(password))


def logout(db: SyncPouchDB, *, ajax: Mapping[str, Any] | None = None) -> Record:
    """Log out; returns ``{"ok": True}``, also when no user was logged in.

    Requests for local databases are made by the program itself again, with all rights.
    """
    return _users(db, ajax).log_out()


def get_session(db: SyncPouchDB, *, ajax: Mapping[str, Any] | None = None) -> Record:
    """Return the current user: ``{"ok": True, "userCtx": {"name", "roles"}, "info": {"authenticated"?, ...}}``.

    ``name`` is None if no user is logged in. Without administrators, such a user has the role ``_admin``.
    """
    return _users(db, ajax).session()


def get_user(db: SyncPouchDB, username: str | None = None, *, ajax: Mapping[str, Any] | None = None) -> Record:
    """Return the document of a user. Raises NotFound for an unknown user, and for a user that is not logged in."""
    return _users(db, ajax).get(check_username(username))


def put_user(
    db: SyncPouchDB,
    username: str | None = None,
    *,
    metadata: Mapping[str, Any] | None = None,
    roles: Sequence[str] | None = None,
    ajax: Mapping[str, Any] | None = None,
) -> Record:
    """Set fields of a user's document, and its roles; returns ``{"ok", "id", "rev"}``.

    Raises AuthenticationError, NotFound, Forbidden, Conflict.
    """
    name, members = check_username(username), check_metadata(metadata)
    users = _users(db, ajax)
    doc = {**users.get(name), **members}
    if roles is not None:
        doc["roles"] = roles if isinstance(roles, str) else list(roles)
    return users.put(doc)


def delete_user(db: SyncPouchDB, username: str | None = None, *, ajax: Mapping[str, Any] | None = None) -> Record:
    """Delete a user; returns ``{"ok", "id", "rev"}``. The user's sessions end. Raises NotFound, Forbidden."""
    name = check_username(username)
    users = _users(db, ajax)
    return users.remove(users.get(name))


def change_password(
    db: SyncPouchDB,
    username: str | None = None,
    password: str | None = None,
    *,
    ajax: Mapping[str, Any] | None = None,
) -> Record:
    """Change a user's password; returns ``{"ok", "id", "rev"}``. The user's sessions end, this one too."""
    name, word = check_username(username), check_password(password)
    users = _users(db, ajax)
    return users.put({**users.get(name), "password": word})


def change_username(
    db: SyncPouchDB,
    old_username: str | None = None,
    new_username: str | None = None,
    *,
    roles: Sequence[str] | None = None,
    ajax: Mapping[str, Any] | None = None,
) -> Record:
    """Rename a user: writes a copy under the new name, with the same password, and deletes the old document.

    Returns the result of deleting. Not atomic: if the second step fails there are two users. Raises
    AuthenticationError with ``error.taken`` True when the new name is taken, NotFound.
    """
    new = check_username(new_username, "You must provide a new username")
    old = check_username(old_username, "You must provide a username to rename")
    users = _users(db, ajax)
    try:
        users.get(new)
    except NotFound:
        pass
    else:
        raise AuthenticationError("user already exists", taken=True)
    doc = users.get(old)
    copy = {name: value for name, value in doc.items() if name != "_rev"}
    copy.update(_id=PREFIX + new, name=new)
    if roles is not None:
        copy["roles"] = list(roles)
    users.put(copy)
    return users.remove(doc)


def sign_up_admin(
    db: SyncPouchDB,
    username: str | None = None,
    password: str | None = None,
    *,
    config_url: str | None = None,
    ajax: Mapping[str, Any] | None = None,
) -> str:
    """Make an administrator of the server, or of the environment; returns the previous value, usually ``""``.

    The first one ends the admin party. ``config_url`` is the server's configuration, if not at its node.
    """
    name, word = check_username(username), check_password(password)
    return _users(db, ajax).make_admin(name, word, config_url)


def delete_admin(
    db: SyncPouchDB,
    username: str | None = None,
    *,
    config_url: str | None = None,
    ajax: Mapping[str, Any] | None = None,
) -> str:
    """Remove an administrator; returns the previous value. Raises NotFound."""
    return _users(db, ajax).remove_admin(check_username(username), config_url)


def get_membership(db: SyncPouchDB, *, ajax: Mapping[str, Any] | None = None) -> Record:
    """Return the nodes of the server: ``{"all_nodes", "cluster_nodes"}``."""
    return _users(db, ajax).membership()


def get_users_database_url(db: SyncPouchDB) -> str:
    """Return the URL of the server's ``_users``; of a local database its name."""
    return _users(db, None).users_url()


def multi_user_log_in(db: SyncPouchDB, username: str | None = None, password: str | None = None) -> Record:
    """Check name and password and return a session id, ``{"ok", "name", "roles", "sessionID"}``: no login.

    For programs with many users at a time: ``multi_user_session(id)`` returns the user of an id. Local databases only.
    """
    return _here(db).session_id(check_username(username), check_password(password))


def multi_user_session(db: SyncPouchDB, session_id: str | None = None, *, timeout: float = TIMEOUT) -> Record:
    """Return the user of a session id, in the form of ``get_session``; no user if it has expired or is forged.

    ``db.as_user(session.userCtx)`` is the database on that user's behalf. ``sessionID`` in the result is a
    fresh one. Raises BadRequest for a malformed session id.
    """
    here = _here(db)
    if not (session_id is None or isinstance(session_id, str)):
        raise BadRequest(f"session_id must be a string, not {safe_repr(session_id)}")
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise BadRequest(f"timeout must be a number of seconds, not {safe_repr(timeout)}")
    user = None if not session_id else check_session_id(db.environment.sync_view, session_id, timeout)
    context = UserContext() if user is None else user.context
    answer = Here(db.as_user(context)).session()
    if user is not None:
        answer["sessionID"] = here.renewed(user)
    return answer


def _here(db: SyncPouchDB) -> Here:
    if db.remote:
        raise NotSupported("session ids are made for the environment's own users: use a local database")
    return Here(db)


def _users(db: SyncPouchDB, ajax: Mapping[str, Any] | None) -> Here | There:
    if not db.remote:
        return Here(db)
    headers = None if ajax is None else ajax.get("headers")
    return There(db, headers)
