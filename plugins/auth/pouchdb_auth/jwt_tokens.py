"""Signed tokens (JWT) in place of a password, as CouchDB's jwt_authentication_handler accepts them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import PluginError, Unauthorized
from pouchdb_core.requests import UserContext

if TYPE_CHECKING:
    from pouchdb_auth.auth_settings import AuthSettings

__all__ = ["user_of"]

_ALGORITHMS = {
    "hmac": ("HS256", "HS384", "HS512"),
    "rsa": ("RS256", "RS384", "RS512"),
    "ec": ("ES256", "ES384", "ES512"),
}
"""By the kind of key: a token says which one it is signed with, and must not choose how that is used."""


def user_of(token: str, settings: AuthSettings) -> UserContext:
    """Return the user that a token names. Raises Unauthorized for one that is forged, expired or lacks a claim."""
    try:
        import jwt
    except ImportError as error:
        raise PluginError("jwt_keys needs PyJWT: pip install 'pouchdb-auth[jwt]'") from error
    try:
        head = jwt.get_unverified_header(token)
        kind, key = _key(head, settings.jwt_keys)
        names = [each.partition("=")[0] for each in settings.jwt_required_claims]
        claims = jwt.decode(
            token,
            key,
            algorithms=list(_ALGORITHMS[kind]),
            options={"require": [*names, "sub"], "verify_aud": False},
        )
    except jwt.PyJWTError as error:
        raise Unauthorized(f"the token is not valid: {error}") from None
    for each in settings.jwt_required_claims:
        name, given, value = each.partition("=")
        if given and str(claims.get(name)) != value.strip():
            raise Unauthorized(f"the token is not valid: {name} is not what it must be")
    name = claims["sub"]
    if not isinstance(name, str) or not name:
        raise Unauthorized("the token is not valid: it names nobody")
    return UserContext(name, _roles(claims, settings.jwt_roles_claim))


def _key(head: Mapping[str, Any], keys: Mapping[str, str]) -> tuple[str, Any]:
    algorithm, id = str(head.get("alg")), str(head.get("kid", "_default"))
    kind = next((kind for kind, names in _ALGORITHMS.items() if algorithm in names), None)
    text = None if kind is None else keys.get(f"{kind}:{id}")
    if kind is None or text is None:
        raise Unauthorized(f"the token is not valid: no key for {algorithm} and {id!r}")
    if kind != "hmac":
        return kind, text.replace("\\n", "\n")
    try:
        return kind, base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise PluginError(f"the key hmac:{id} of jwt_keys is not base64") from None


def _roles(claims: Mapping[str, Any], claim: str) -> tuple[str, ...]:
    """Return the roles of a token: a list, or text with commas, at a name that may have dots in it or be a path."""
    found: Any = claims.get(claim)
    if found is None:
        found = claims
        for step in claim.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        found = [each.strip() for each in found.split(",")]
    return tuple(role for role in found if isinstance(role, str) and role) if isinstance(found, list) else ()
