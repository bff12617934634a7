"""The administrators of an environment: names and hashes, shared with its server where that plug-in is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_auth.auth_settings import FOLDER, settings_of
from pouchdb_auth.hashing import hash_fields
from pouchdb_auth.kept_file import KeptFile
from pouchdb_core import Slot
from pouchdb_core.errors import BadRequest

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment

__all__ = ["Admins", "admins_of", "hash_document", "hashed_admin"]

HASHED = "-pbkdf2"


class Admins:
    """Administrators by name; a hash is CouchDB's ``-pbkdf2:sha256-KEY,SALT,ITERATIONS``."""

    def __init__(self, environment: SyncEnvironment) -> None:
        self._environment = environment
        directory = None if environment.directory is None else environment.plugin_directory(FOLDER)
        self._file = KeptFile(None if directory is None else directory / "admins.json")
        self._server: Any = None
        if "server" in environment.engine.plugins.names:
            import pouchdb_server

            # There is one list: those made before the server was installed move there.
            self._server = pouchdb_server.administrators(environment)
            for name, text in self._file.read().items():
                if name not in self._server.all():
                    self._server.set(name, text)
            if self._file.read():
                self._file.change(dict.clear)

    def all(self) -> Mapping[str, str]:
        """Return names and hashes."""
        found: Mapping[str, str] = self._file.read() if self._server is None else self._server.all()
        return found

    def set(self, name: str, password: str) -> str:
        """Make an administrator or change a password; return ``""``, or the previous hash.

        Raises BadRequest for an invalid name or password.
        """
        if not name or ":" in name or name.startswith("_"):
            raise BadRequest("the name of an administrator has no colon and does not begin with an underscore")
        before = self.all().get(name, "")
        text = hashed_admin(password, settings_of(self._environment).iterations)
        if self._server is not None:
            self._server.set(name, text)
        else:
            self._file.change(lambda kept: kept.update({name: text}))
        return before

    def remove(self, name: str) -> str | None:
        """Remove an administrator; return the previous hash, None if there is no such administrator."""
        before = self.all().get(name)
        if before is not None:
            if self._server is not None:
                self._server.remove(name)
            else:
                self._file.change(lambda kept: kept.pop(name, None))
        return before


def hashed_admin(password: str, iterations: int) -> str:
    """Return the hash of an administrator's password; one that is a hash already stays as it is."""
    if password.startswith((f"{HASHED}-", f"{HASHED}:")):
        return password
    made = hash_fields(password, iterations)
    return f"{HASHED}:{made['pbkdf2_prf']}-{made['derived_key']},{made['salt']},{iterations}"


def hash_document(text: str) -> dict[str, Any] | None:
    """Return the fields of a user document that correspond to an administrator's hash; None for a damaged one."""
    head, _, rest = text[1:].partition("-")
    kind, _, prf = head.partition(":")
    parts = rest.split(",")
    if kind != "pbkdf2" or len(parts) != 3 or not (parts[2].isascii() and parts[2].isdigit()):
        return None
    key, salt, iterations = parts
    return {
        "password_scheme": "pbkdf2",
        "pbkdf2_prf": prf or "sha",
        "derived_key": key,
        "salt": salt,
        "iterations": int(iterations),
    }


_ADMINS: Slot[Admins] = Slot("administrators", Admins)


def admins_of(environment: SyncEnvironment) -> Admins:
    """Return the administrators of an environment."""
    return environment.state(_ADMINS)
