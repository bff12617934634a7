"""Users and logins of a CouchDB: the methods for a database on a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from pouchdb_auth.user_documents import PREFIX
from pouchdb_core import Record, Slot
from pouchdb_core.errors import NotFound, PouchDBError

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB
    from pouchdb_core.adapters.base import Response

__all__ = ["There"]

_LOGGED_IN: Slot[set[str]] = Slot("servers somebody is logged in at", lambda environment: set())
NODE = "/_node/_local/_config"


class There:
    """Sends the requests of PouchDB's authentication plug-in.

    The cookie identifies the user, and all objects of the environment share it; before a login the database's
    own credentials are sent, if it has any.
    """

    def __init__(self, db: SyncPouchDB, headers: Mapping[str, str] | None = None) -> None:
        self._db = db
        self._headers = headers
        parts = urlsplit(db.name)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._logged_in = db.environment.state(_LOGGED_IN)

    def log_in(self, name: str, password: str) -> Record:
        answer: Record = self._ask("POST", "/_session", json={"name": name, "password": password}, credentials=False)
        self._logged_in.add(self._origin)
        return answer

    def log_out(self) -> Record:
        answer: Record = self._ask("DELETE", "/_session", credentials=False)
        self._logged_in.discard(self._origin)
        return answer

    def session(self) -> Record:
        answer: Record = self._ask("GET", "/_session")
        return answer

    def get(self, name: str) -> Record:
        answer: Record = self._ask("GET", _user_path(PREFIX + name))
        return answer

    def put(self, doc: Mapping[str, Any]) -> Record:
        try:
            answer: Record = self._ask("PUT", _user_path(doc["_id"]), json=doc)
        except NotFound as error:
            # "Database does not exist", of a database that the caller did not name.
            raise NotFound(f"{self._origin.rpartition('@')[2]}: its database _users: {error.message}") from error
        return answer

    def remove(self, doc: Mapping[str, Any]) -> Record:
        answer: Record = self._ask("DELETE", _user_path(doc["_id"]), query={"rev": doc["_rev"]})
        return answer

    def make_admin(self, name: str, password: str, url: str | None) -> str:
        answer: str = self._ask("PUT", f"{self._config(url)}/admins/{quote(name, safe='')}", json=password)
        return answer

    def remove_admin(self, name: str, url: str | None) -> str:
        answer: str = self._ask("DELETE", f"{self._config(url)}/admins/{quote(name, safe='')}")
        return answer

    def membership(self) -> Record:
        answer: Record = self._ask("GET", "/_membership")
        return answer

    def users_url(self) -> str:
        base = self._db.name.rstrip("/").rpartition("/")[0]
        return f"{base}/_users"

    def _config(self, url: str | None) -> str:
        """Return the path of the configuration: of the first node, or of a CouchDB before version 2, without nodes."""
        if url is not None:
            base = self._db.name.rstrip("/").rpartition("/")[0]
            path = url[len(base) :] if url.startswith(base) else url
            return "/" + path.strip("/")
        try:
            nodes = self.membership()["all_nodes"]
        except NotFound:
            return NODE
        except PouchDBError as error:
            if error.name != "illegal_database_name":
                raise
            return "/_config"
        return f"/_node/{quote(nodes[0], safe='@')}/_config"

    def _ask(self, method: str, path: str, *, credentials: bool | None = None, **options: Any) -> Any:
        if credentials is None:
            credentials = self._origin not in self._logged_in
        response: Response = self._db.fetch(path, method, headers=self._headers, credentials=credentials, **options)
        return response.json()


def _user_path(id: str) -> str:
    return f"/_users/{quote(id, safe='')}"
