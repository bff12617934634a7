"""Users and logins of the environment's own ``_users`` database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_auth.access import check_server_admin, hidden
from pouchdb_auth.accounts import ADMIN, User, accounts_of
from pouchdb_auth.auth_errors import AuthenticationError
from pouchdb_auth.auth_sessions import LoggedIn, new_session_id
from pouchdb_auth.local_admins import admins_of
from pouchdb_auth.user_documents import PREFIX, USERS
from pouchdb_core import Record
from pouchdb_core.errors import NotFound

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment, SyncPouchDB

__all__ = ["Here"]


class Here:
    """The methods for a local database, on behalf of the database object's user."""

    def __init__(self, db: SyncPouchDB) -> None:
        self._db = db
        self._environment: SyncEnvironment = db.environment.sync_view
        self._accounts = accounts_of(self._environment)

    def log_in(self, name: str, password: str) -> Record:
        user = self._accounts.check(name, password)
        self._environment.set_current_user(LoggedIn(self._environment, user))
        return Record(ok=True, name=user.name, roles=list(user.roles))

    def log_out(self) -> Record:
        self._environment.set_current_user(None)
        return Record(ok=True)

    def session(self) -> Record:
        user = self._db.user
        info = Record(authentication_handlers=["api"], authentication_db=USERS)
        if user is None:
            roles = [ADMIN] if self._accounts.is_party else []
            return Record(ok=True, userCtx=Record(name=None, roles=roles), info=info)
        if user.name is not None:
            info["authenticated"] = "api"
        return Record(ok=True, userCtx=Record(name=user.name, roles=list(user.roles)), info=info)

    def session_id(self, name: str, password: str) -> Record:
        user = self._accounts.check(name, password)
        return Record(
            ok=True, name=user.name, roles=list(user.roles), sessionID=new_session_id(self._environment, user)
        )

    def renewed(self, user: User) -> str:
        return new_session_id(self._environment, user)

    def get(self, name: str) -> Record:
        if self._accounts.existing() is None:
            raise hidden(PREFIX + name)
        return self._users().get(PREFIX + name)

    def put(self, doc: Mapping[str, Any]) -> Record:
        self._accounts.database()
        return self._users().put(doc)

    def remove(self, doc: Mapping[str, Any]) -> Record:
        return self._users().remove(doc)

    def make_admin(self, name: str, password: str, url: str | None) -> str:
        self._no_url(url)
        check_server_admin(self._db.user)
        return admins_of(self._environment).set(name, password)

    def remove_admin(self, name: str, url: str | None) -> str:
        self._no_url(url)
        check_server_admin(self._db.user)
        before = admins_of(self._environment).remove(name)
        if before is None:
            raise NotFound("unknown_config_value")
        return before

    def membership(self) -> Record:
        nodes: Sequence[str] = ["nonode@nohost"]
        return Record(all_nodes=list(nodes), cluster_nodes=list(nodes))

    def users_url(self) -> str:
        return USERS

    def _users(self) -> SyncPouchDB:
        # The object that is open already, so that a request without rights makes no database.
        return self._accounts.database().as_user(self._db.user)

    @staticmethod
    def _no_url(url: str | None) -> None:
        if url is not None:
            raise AuthenticationError("config_url is for databases on a server")
