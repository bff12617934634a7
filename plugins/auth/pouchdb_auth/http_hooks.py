"""The server's hooks: the accounts of ``_users``, signed tokens, and proxies that authenticate users."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_auth.accounts import ADMIN, User, accounts_of
from pouchdb_auth.auth_settings import settings_of
from pouchdb_auth.hashing import digest_of, matches
from pouchdb_core.errors import Unauthorized
from pouchdb_core.requests import UserContext

if TYPE_CHECKING:
    from pouchdb_server import Account, Request

    from pouchdb_core import SyncEnvironment

__all__ = ["account", "authenticate", "session_info"]

_PROXY_USER, _PROXY_ROLES, _PROXY_TOKEN = "x-auth-couchdb-username", "x-auth-couchdb-roles", "x-auth-couchdb-token"


def account(environment: SyncEnvironment, name: str) -> Account | None:
    """Return the account of a user of ``_users``. Administrators are the server's own. Raises Unauthorized."""
    import pouchdb_server

    user = accounts_of(environment).find(name)
    if user is None or ADMIN in user.roles:
        return None
    return pouchdb_server.Account(user.name, user.roles, _password(user), user.key)


def _password(user: User) -> Any:
    import pouchdb_server

    secret = user.secret
    if secret.get("password_scheme") == "pbkdf2" and (digest := digest_of(secret)) is not None:
        key, iterations = secret.get("derived_key"), secret.get("iterations")
        if isinstance(key, str) and type(iterations) is int and iterations > 0:
            return pouchdb_server.Password(key, user.key, iterations, digest)
    return _old_password(user)


def _old_password(user: User) -> Any:
    """Return a checker for passwords of an older scheme; for an unknown scheme it refuses every password."""
    import pouchdb_server

    class OldPassword(pouchdb_server.Password):
        __slots__ = ()

        def matches(self, password: str) -> bool:
            return matches(user.secret, password)

    return OldPassword("", user.key)


def session_info(request: Request) -> Mapping[str, Any]:
    """Return the ways to log in that ``GET /_session`` names."""
    settings = settings_of(request.server.environment)
    handlers = ["jwt"] if settings.jwt_keys else []
    return {"authentication_handlers": [*handlers, *(["proxy"] if settings.proxy_secret else [])]}


def authenticate(request: Request) -> UserContext | None:
    """Return the user that a signed token or a proxy names; None if there is neither. Raises Unauthorized."""
    headers = request.headers
    if "authorization" not in headers and _PROXY_USER not in headers:
        # Most requests: the settings, a file that others may change, are not looked at.
        return None
    import pouchdb_server

    settings = settings_of(request.server.environment)
    kind, _, token = headers.get("authorization", "").partition(" ")
    kind = kind.lower()
    if kind == "basic":
        # Otherwise the time would reveal which names do not exist.
        request.server.accounts.expect(pouchdb_server.Password("", "", settings.iterations))
    elif kind == "bearer" and settings.jwt_keys:
        from pouchdb_auth.jwt_tokens import user_of

        user = user_of(token.strip(), settings)
        request.authenticated = "jwt"
        return user
    if settings.proxy_secret is not None and _PROXY_USER in headers:
        user = _vouched(request, settings.proxy_secret)
        request.authenticated = "proxy"
        return user
    return None


def _vouched(request: Request, secret: str) -> UserContext:
    name, given = request.headers[_PROXY_USER], request.headers.get(_PROXY_TOKEN, "")
    # CouchDB accepts either, too: SHA-1 is what proxies have always sent.
    made = [hmac.digest(secret.encode(), name.encode("utf-8", "replace"), each).hex() for each in ("sha256", "sha1")]
    if not any(hmac.compare_digest(each.encode(), given.lower().encode("utf-8", "replace")) for each in made):
        raise Unauthorized("the proxy's token is not that of the user it names")
    roles = [role.strip() for role in request.headers.get(_PROXY_ROLES, "").split(",")]
    return UserContext(name, tuple(role for role in roles if role))
