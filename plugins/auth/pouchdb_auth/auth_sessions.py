"""Sessions: the user logged in to an environment, and session ids in CouchDB's form."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
from typing import TYPE_CHECKING

from pouchdb_auth.accounts import User, accounts_of
from pouchdb_auth.auth_settings import FOLDER
from pouchdb_auth.kept_file import KeptFile
from pouchdb_core import Slot
from pouchdb_core.errors import BadRequest, Unauthorized
from pouchdb_core.requests import UserContext

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment

__all__ = ["TIMEOUT", "LoggedIn", "check_session_id", "new_session_id", "secret_of", "session_id"]

TIMEOUT = 600
"""Seconds a session id is valid."""
MALFORMED = "Malformed session ID. If you're using a browser, try clearing your cookies."
_DIGESTS = {32: "sha256", 20: "sha1"}
"""By length: SHA-256 is what is made, SHA-1 what CouchDB made before version 3.4."""

NOBODY = UserContext()


class LoggedIn:
    """The current user of an environment: looked up for every request, so that changed rights apply at once.

    A new password ends it, and so does the deletion of the account: then requests have no user and no rights.
    """

    def __init__(self, environment: SyncEnvironment, user: User) -> None:
        self._accounts = accounts_of(environment)
        self._name, self._key = user.name, user.key

    def __call__(self) -> UserContext:
        try:
            user = self._accounts.find(self._name)
        except Unauthorized:
            return NOBODY
        if user is None or not hmac.compare_digest(user.key.encode(), self._key.encode()):
            return NOBODY
        return user.context


def session_id(name: str, salt: str, secret: str, now: float, digest: str = "sha256") -> str:
    """Return a session id: base64url of ``NAME:HEXTIME:HMAC``, with the server's secret and the user's salt as key."""
    head = f"{name}:{int(now):X}"
    mac = hmac.digest((secret + salt).encode(), head.encode(), digest)
    return base64.urlsafe_b64encode(head.encode() + b":" + mac).rstrip(b"=").decode()


def new_session_id(environment: SyncEnvironment, user: User) -> str:
    """Return the id of a new session of a user."""
    return session_id(user.name, user.key, secret_of(environment), time.time())


def check_session_id(environment: SyncEnvironment, text: str, timeout: float = TIMEOUT) -> User | None:
    """Return the user of a session; None if it has expired or is forged. Raises BadRequest if the id is malformed."""
    try:
        signed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        name, stamp, mac = signed.split(b":", 2)
        made, who = int(stamp, 16), name.decode()
    except (ValueError, binascii.Error):
        raise BadRequest(MALFORMED) from None
    digest = _DIGESTS.get(len(mac))
    user = accounts_of(environment).find(who)
    if user is None or digest is None or not 0 <= time.time() - made <= timeout:
        return None
    expected = hmac.digest((secret_of(environment) + user.key).encode(), name + b":" + stamp, digest)
    return user if hmac.compare_digest(mac, expected) else None


class _Secret:
    def __init__(self, environment: SyncEnvironment) -> None:
        directory = None if environment.directory is None else environment.plugin_directory(FOLDER)
        file = KeptFile(None if directory is None else directory / "secret.json")
        # The first process makes it.
        self.text: str = file.change(lambda kept: kept.update(secret=kept.get("secret") or secrets.token_hex(16)))[
            "secret"
        ]


_SECRET: Slot[_Secret] = Slot("secret of sessions", _Secret)


def secret_of(environment: SyncEnvironment) -> str:
    """Return the secret that signs session ids of an environment; made once and stored in its directory."""
    return environment.state(_SECRET).text
