"""The accounts of an environment: its ``_users`` database and its administrators."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pouchdb_auth.attempts import Attempts
from pouchdb_auth.auth_settings import settings_of
from pouchdb_auth.hashing import matches, take_time
from pouchdb_auth.local_admins import admins_of, hash_document
from pouchdb_auth.user_documents import PREFIX, USERS
from pouchdb_core import Record, Slot
from pouchdb_core.errors import NotFound, Unauthorized
from pouchdb_core.requests import UserContext

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment, SyncPouchDB

__all__ = ["ADMIN", "METRICS", "Accounts", "User", "accounts_of"]

ADMIN = "_admin"
METRICS = "_metrics"
"""The only system role that a user document may have: it allows reading the server's metrics."""
CONFLICTED = "User document conflicts must be resolved before the document is used for authentication purposes."


@dataclass(frozen=True, slots=True)
class User:
    """A user or administrator, with the data a password is checked against."""

    name: str
    roles: tuple[str, ...]
    secret: Mapping[str, Any]
    """The fields of a user document that represent the password."""

    @property
    def key(self) -> str:
        """The value sessions are bound to: CouchDB takes the salt, which is new with every password."""
        return str(self.secret.get("salt", ""))

    @property
    def context(self) -> UserContext:
        """The user context that requests of this user are made with."""
        return UserContext(self.name, self.roles)


class Accounts:
    """Finds users and checks passwords. It reads as the program itself, whichever user is logged in."""

    def __init__(self, environment: SyncEnvironment) -> None:
        self._environment = environment
        self._attempts = Attempts()
        self._lock = threading.RLock()
        self._opened: SyncPouchDB | None = None

    @property
    def is_party(self) -> bool:
        """Whether there are no administrators, so that a user without a name is one."""
        return not admins_of(self._environment).all()

    def database(self) -> SyncPouchDB:
        """Return the database of the users, on the program's own behalf; it is made if it is missing."""
        with self._lock:
            opened = self._opened
            if opened is not None and not opened.closed and not opened.is_there():
                # Another process destroyed it or made it again: use the new one.
                opened.close()
            if opened is None or opened.closed:
                opened = self._opened = self._environment[USERS]
            return opened

    def existing(self) -> SyncPouchDB | None:
        """Return the database of the users, or None when there is none."""
        opened = self._opened
        if opened is not None and not opened.closed and opened.is_there():
            return opened
        return self.database() if USERS in self._environment else None

    def document(self, name: str) -> Record | None:
        """Return a user's document with ``_conflicts``, or None."""
        database = self.existing()
        if database is None:
            return None
        try:
            return database.get(PREFIX + name, conflicts=True)
        except NotFound:
            return None

    def find(self, name: str) -> User | None:
        """Return an administrator or a user. Raises Unauthorized for a document that has conflicts."""
        text = admins_of(self._environment).all().get(name)
        doc = self.document(name)
        if text is not None:
            secret = hash_document(text)
            roles = () if doc is None else _roles(doc)
            return None if secret is None else User(name, (ADMIN, *roles), secret)
        if doc is None or doc.get("type", "user") != "user" or doc.get("name", name) != name:
            return None
        if doc.get("_conflicts"):
            raise Unauthorized(CONFLICTED)
        return User(name, _roles(doc), doc)

    def check(self, name: str, password: str) -> User:
        """Return the user of a name and password. Raises Unauthorized, TooManyAttempts."""
        self._attempts.begin(name)
        user = self.find(name)
        if user is None:
            take_time(password, settings_of(self._environment).iterations)
            raise Unauthorized()
        right = matches(user.secret, password)
        rounds = user.secret.get("iterations")
        if type(rounds) is int and (rest := settings_of(self._environment).iterations - rounds) > 0:
            # With fewer rounds it is made to take as long.
            take_time(password, rest)
        if not right:
            raise Unauthorized()
        self._attempts.succeeded(name)
        return user


def _roles(doc: Mapping[str, Any]) -> tuple[str, ...]:
    roles = doc.get("roles")
    # A document grants no other system role, however it was written.
    if not isinstance(roles, list):
        return ()
    return tuple(role for role in roles if isinstance(role, str) and (role[:1] != "_" or role == METRICS))


_ACCOUNTS: Slot[Accounts] = Slot("accounts", Accounts)


def accounts_of(environment: SyncEnvironment) -> Accounts:
    """Return the accounts of an environment."""
    return environment.state(_ACCOUNTS)
