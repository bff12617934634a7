"""Passwords as CouchDB stores them in user documents: PBKDF2, and the schemes of older versions."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

from pouchdb_core.errors import Forbidden

__all__ = ["ITERATIONS", "MOST_ITERATIONS", "derived_key", "digest_of", "hash_fields", "matches", "take_time"]

ITERATIONS = 600_000
"""Rounds of a new hash: what CouchDB 3.4 and OWASP use with SHA-256."""
MOST_ITERATIONS = 5_000_000
"""The most rounds that are computed: users write their own documents, and must not keep the processor busy."""
PRF = "sha256"
_DIGESTS = {"sha": "sha1", **{name: name for name in ("sha1", "sha224", "sha256", "sha384", "sha512")}}


def derived_key(password: str, salt: str, iterations: int, digest: str, size: int) -> str:
    """Return the PBKDF2 key in hex; ``size`` is in bytes, the salt is taken as text, as CouchDB does."""
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.pbkdf2_hmac(digest, secret, salt.encode("utf-8", "surrogatepass"), iterations, size).hex()


def hash_fields(password: Any, iterations: int) -> dict[str, Any]:
    """Return the fields of a user document that represent a password. Raises Forbidden if it is not a string."""
    if not isinstance(password, str):
        raise Forbidden(f"Password value of '{json.dumps(password)}' is invalid.")
    salt = secrets.token_hex(16)
    return {
        "password_scheme": "pbkdf2",
        "pbkdf2_prf": PRF,
        "iterations": iterations,
        "salt": salt,
        "derived_key": derived_key(password, salt, iterations, PRF, 32),
    }


def digest_of(doc: Mapping[str, Any]) -> str | None:
    """Return the name of the hash function of a PBKDF2 document; None for one that is unknown."""
    prf = doc.get("pbkdf2_prf", "sha")
    return _DIGESTS.get(prf) if isinstance(prf, str) else None


def matches(doc: Mapping[str, Any], password: str) -> bool:
    """Return whether this is the password of a user document, in a time that does not depend on where they differ."""
    salt = doc.get("salt", "")
    if not isinstance(salt, str):
        return False
    if doc.get("password_scheme") == "pbkdf2":
        key, iterations, digest = doc.get("derived_key"), doc.get("iterations"), digest_of(doc)
        if not isinstance(key, str) or type(iterations) is not int or digest is None:
            return False
        if not 1 <= iterations <= MOST_ITERATIONS or not 2 <= len(key) <= 256:
            return False
        made = derived_key(password, salt, iterations, digest, len(key) // 2)
        return hmac.compare_digest(made.encode(), key.lower().encode("utf-8", "replace"))
    known = doc.get("password_sha")
    if doc.get("password_scheme", "simple") == "simple" and isinstance(known, str):
        # Of CouchDB before 1.3; such documents are still replicated.
        secret = (password + salt).encode("utf-8", "surrogatepass")
        made = hashlib.sha1(secret, usedforsecurity=False).hexdigest()
        return hmac.compare_digest(made.encode(), known.lower().encode("utf-8", "replace"))
    return False


def take_time(password: str, iterations: int) -> None:
    """Take as long as checking a password does: for names that do not exist."""
    derived_key(password, "", iterations, PRF, 32)
