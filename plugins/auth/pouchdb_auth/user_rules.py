"""The rules for documents of ``_users``: those of CouchDB's ``_design/_auth``, without JavaScript.

The design document itself is written too, since clients and replications look for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pouchdb_auth.access import hidden, is_database_admin, sees_user
from pouchdb_auth.accounts import ADMIN, METRICS
from pouchdb_auth.auth_settings import settings_of
from pouchdb_auth.hashing import hash_fields
from pouchdb_auth.user_documents import PREFIX
from pouchdb_core import Record, Transform
from pouchdb_core.errors import Conflict, Forbidden, PouchDBError
from pouchdb_core.requests import Write

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment, SyncPouchDB
    from pouchdb_core.requests import Guard, Proposed

__all__ = ["DESIGN", "Users", "add_design_document", "rules", "wrong_with"]

DESIGN = "_design/_auth"
_SCHEMES = ("simple", "pbkdf2", "bcrypt")


class Users(Transform):
    """Hashes passwords before they are stored, and hides from users the documents of others."""

    def __init__(self, environment: SyncEnvironment) -> None:
        self._environment = environment

    def incoming(self, doc: Record, request: Write) -> Mapping[str, Any]:
        user, id = request.user, doc["_id"]
        if id.startswith("_design/"):
            return doc
        if user is not None and user.name is not None and not sees_user(user, id):
            raise hidden(id)
        if doc.get("password") is None:
            return doc
        fields = hash_fields(doc.pop("password"), settings_of(self._environment).iterations)
        # Remaining fields of an older scheme would contradict the new ones.
        doc.pop("password_sha", None)
        doc.update(fields)
        return doc

    def outgoing(self, doc: Record, request: Any) -> Mapping[str, Any] | None:
        return doc if sees_user(request.user, doc["_id"]) else None


def rules(database: SyncPouchDB, request: Write) -> Guard:
    """Return the write guard of ``_users``."""
    user = request.user
    administers = user is None or ADMIN in user.roles or is_database_admin(database, user)
    name = None if user is None else user.name

    def judged(each: Proposed) -> PouchDBError | None:
        if each.id.startswith("_"):
            return None
        if request.new_edits and each.old is not None and not each.old.get("_deleted") and each.parent is None:
            # A conflict, which is found next: a sign-up with a name that is taken should fail with that error.
            return None
        # As CouchDB: over a deleted document it is a new one.
        old = each.old if each.old is None or not each.old.get("_deleted") else None
        wrong = wrong_with(each.new, old, name, administers=administers)
        return None if wrong is None else Forbidden(wrong)

    def guard(proposed: Sequence[Proposed]) -> list[PouchDBError | None]:
        return [judged(each) for each in proposed]

    return guard


def wrong_with(
    new: Mapping[str, Any], old: Mapping[str, Any] | None, user: str | None, *, administers: bool
) -> str | None:
    """Return why a user document must not be written, with the reasons of ``_design/_auth``; None if it may."""
    if new.get("_deleted"):
        mine = old is not None and user is not None and old.get("name") == user
        return None if administers or mine else "Only admins may delete other user docs."
    return _of_its_form(new, old) or (None if administers else _of_its_author(new, old, user)) or _of_its_names(new)


def _of_its_form(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> str | None:
    name, roles = new.get("name"), new.get("roles")
    if new.get("type") != "user":
        return "doc.type must be user"
    # As in JavaScript: empty arrays and objects are true, zero and the empty string are not.
    if name is None or name is False or name == 0 or name == "":
        return "doc.name is required"
    if roles is None or roles is False or roles == 0 or roles == "":
        return "doc.roles must exist"
    if not isinstance(roles, list):
        return "doc.roles must be an array"
    if not all(isinstance(role, str) for role in roles):
        return "doc.roles can only contain strings"
    if not isinstance(name, str) or new["_id"] != PREFIX + name:
        return "Doc ID must be of the form org.couchdb.user:name"
    if old is not None and old.get("name") != name:
        return "Usernames can not be changed."
    return _of_its_password(new)


def _of_its_password(new: Mapping[str, Any]) -> str | None:
    if new.get("password_sha") and not new.get("salt"):
        # Without a space: CouchDB's words.
        return "Users with password_sha must have a salt.See /_utils/script/couch.js for example code."
    scheme = new.get("password_scheme")
    if scheme and scheme not in _SCHEMES:
        return f"Password scheme `{scheme}` not supported."
    if scheme == "pbkdf2":
        if type(new.get("iterations")) not in (int, float):
            return "iterations must be a number."
        if not isinstance(new.get("derived_key"), str):
            return "derived_key must be a string."
    return None


def _of_its_author(new: Mapping[str, Any], old: Mapping[str, Any] | None, user: str | None) -> str | None:
    if old is None:
        return "Only _admin may set roles" if new["roles"] else None
    if user != new["name"]:
        return "You may only update your own user document."
    before = old.get("roles")
    kept = sorted(before if isinstance(before, list) else [], key=str) == sorted(new["roles"], key=str)
    return None if kept else "Only _admin may edit roles"


def _of_its_names(new: Mapping[str, Any]) -> str | None:
    if any(role.startswith("_") and role != METRICS for role in new["roles"]):
        return "No system roles (starting with underscore) in users db."
    if new["name"].startswith("_"):
        return "Username may not start with underscore."
    if ":" in new["name"]:
        return "Character `:` is not allowed in usernames."
    return None


def add_design_document(database: SyncPouchDB) -> None:
    """Write ``_design/_auth`` into a new ``_users``; nothing if it was written in another way meanwhile."""
    source = (Path(__file__).parent / "auth_rules.js").read_text("utf-8")
    try:
        database.put({"_id": DESIGN, "language": "javascript", "validate_doc_update": source})
    except Conflict:
        return
