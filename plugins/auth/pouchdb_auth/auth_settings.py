"""The settings for the users of an environment, stored in its directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from pouchdb_auth.hashing import ITERATIONS, MOST_ITERATIONS
from pouchdb_auth.kept_file import KeptFile
from pouchdb_core import Record, Slot
from pouchdb_core.errors import BadRequest
from pouchdb_core.safe_repr import safe_repr

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment

__all__ = ["FOLDER", "AuthSettings", "auth_settings", "settings_of"]

FOLDER = "auth"
HIDDEN = "-hidden-"
_SECRET = ("jwt_keys", "proxy_secret")


@dataclass(frozen=True)
class AuthSettings:
    """The settings, with CouchDB's names for them."""

    iterations: int = ITERATIONS
    """``[chttpd_auth] iterations``: the cost of hashing a new password."""
    peruser: bool = False
    """``[couch_peruser] enable``: every user gets a database ``userdb-HEX`` of their own."""
    peruser_delete: bool = False
    """``[couch_peruser] delete_dbs``: it is deleted with the user."""
    peruser_prefix: str = "userdb-"
    """``[couch_peruser] database_prefix``."""
    jwt_keys: Mapping[str, str] = field(default_factory=dict)
    """``[jwt_keys]``: ``{"hmac:_default": base64, "rsa:key-id": PEM, "ec:key-id": PEM}``; none: no JWT."""
    jwt_required_claims: Sequence[str] = ("exp",)
    """``[jwt_auth] required_claims``: names, or ``name=value``."""
    jwt_roles_claim: str = "_couchdb.roles"
    """``[jwt_auth] roles_claim_name``: the claim with the roles of a token's user."""
    proxy_secret: str | None = None
    """``[chttpd_auth] secret`` of proxy authentication: trust a proxy that signs with it; None: no proxies."""

    def __post_init__(self) -> None:
        if type(self.iterations) is not int or not 1 <= self.iterations <= MOST_ITERATIONS:
            raise BadRequest(f"iterations is a number from 1 to {MOST_ITERATIONS}, not {safe_repr(self.iterations)}")
        for name in ("peruser", "peruser_delete"):
            if type(getattr(self, name)) is not bool:
                raise BadRequest(f"{name} is true or false, not {safe_repr(getattr(self, name))}")
        for name in ("peruser_prefix", "jwt_roles_claim"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise BadRequest(f"{name} is a text, not {safe_repr(getattr(self, name))}")
        keys: Any = self.jwt_keys
        if not isinstance(keys, Mapping) or not all(isinstance(text, str) for pair in keys.items() for text in pair):
            raise BadRequest("jwt_keys is a mapping of names such as 'hmac:_default' to keys")
        claims: Any = self.jwt_required_claims
        if not isinstance(claims, (list, tuple)) or not all(isinstance(each, str) for each in claims):
            raise BadRequest(f"jwt_required_claims is a list of names of claims, not {safe_repr(claims)}")
        secret: Any = self.proxy_secret
        if secret is not None and not (isinstance(secret, str) and secret):
            raise BadRequest("proxy_secret is a text, or None")


NAMES = tuple(each.name for each in fields(AuthSettings))


class _Settings:
    def __init__(self, environment: SyncEnvironment) -> None:
        directory = None if environment.directory is None else environment.plugin_directory(FOLDER)
        self._file = KeptFile(None if directory is None else directory / "settings.json")
        self._read: tuple[Any, AuthSettings] = (None, AuthSettings())

    @property
    def current(self) -> AuthSettings:
        kept = self._file.read()
        if kept is not self._read[0]:
            self._read = (kept, AuthSettings(**{name: kept[name] for name in NAMES if name in kept}))
        return self._read[1]

    def change(self, changes: Mapping[str, Any]) -> None:
        def change(kept: dict[str, Any]) -> None:
            kept.update({name: list(value) if isinstance(value, tuple) else value for name, value in changes.items()})
            AuthSettings(**kept)

        self._file.change(change)


_SETTINGS: Slot[_Settings] = Slot("settings of auth", _Settings)


def settings_of(environment: SyncEnvironment) -> AuthSettings:
    """Return the settings as they are now, also if another process changed them."""
    return environment.state(_SETTINGS).current


def auth_settings(env: SyncEnvironment, /, **changes: Any) -> Record:
    """Return the settings of users and logins, after changing those that are given.

    They are stored in the environment's directory and apply to its servers too: ``iterations`` (the cost of hashing a
    password), ``peruser``, ``peruser_delete``, ``peruser_prefix``, ``jwt_keys``, ``jwt_required_claims``,
    ``jwt_roles_claim``, ``proxy_secret``. Keys and secrets are returned as ``"-hidden-"``. Raises BadRequest;
    Unauthorized for a user who is not a server administrator.
    """
    from pouchdb_auth.access import check_server_admin

    check_server_admin(env.user)
    unknown = set(changes) - set(NAMES)
    if unknown:
        raise BadRequest(f"auth_settings() has no {sorted(unknown)[0]!r}; there are: {', '.join(NAMES)}")
    if changes:
        env.state(_SETTINGS).change(changes)
    shown = asdict(settings_of(env))
    shown["jwt_keys"] = dict.fromkeys(shown["jwt_keys"], HIDDEN)
    shown["proxy_secret"] = shown["proxy_secret"] and HIDDEN
    return Record({**shown, "jwt_required_claims": list(shown["jwt_required_claims"])})
