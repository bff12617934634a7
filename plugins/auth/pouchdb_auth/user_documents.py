"""What a user document is: its id, the fields a caller may set, and the database that stores them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_auth.auth_errors import AuthenticationError
from pouchdb_core.safe_repr import safe_repr

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB

__all__ = ["PREFIX", "USERS", "check_metadata", "check_password", "check_username", "is_users", "name_of", "new_user"]

USERS = "_users"
"""The database of the users."""
PREFIX = "org.couchdb.user:"
_RESERVED = frozenset(("name", "type", "roles", "password", "password_scheme", "iterations", "derived_key", "salt"))


def is_users(database: SyncPouchDB) -> bool:
    """Return whether a database is a local one that stores users."""
    return not database.remote and database.short_name == USERS


def name_of(id: str) -> str | None:
    """Return the user's name in a document's id; None if it is not a user's."""
    return id[len(PREFIX) :] if id.startswith(PREFIX) else None


def check_username(name: Any, message: str = "you must provide a username") -> str:
    """Return a valid user name. Raises AuthenticationError."""
    if not isinstance(name, str) or not name:
        raise AuthenticationError(message)
    return name


def check_password(password: Any) -> str:
    """Return a password. Raises AuthenticationError."""
    if not isinstance(password, str) or not password:
        raise AuthenticationError("you must provide a password")
    return password


def check_metadata(metadata: Any) -> dict[str, Any]:
    """Return the fields a caller sets in a user document. Raises AuthenticationError for reserved fields."""
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise AuthenticationError(f"metadata must be a mapping, not {safe_repr(metadata)}")
    for key in metadata:
        if not isinstance(key, str) or key in _RESERVED or key.startswith("_"):
            raise AuthenticationError(f'cannot use reserved word in metadata: "{key}"')
    return dict(metadata)


def new_user(name: str, password: str, metadata: Mapping[str, Any], roles: Sequence[str] | None) -> dict[str, Any]:
    """Return the document that a sign-up sends."""
    doc: dict[str, Any] = {"_id": PREFIX + name, "type": "user", "name": name, "password": password}
    doc["roles"] = [] if roles is None else roles if isinstance(roles, str) else list(roles)
    return {**doc, **metadata}
