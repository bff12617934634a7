"""Passwords as they are stored: CouchDB's PBKDF2 hashes, or plain text that a program gave."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

__all__ = ["ITERATIONS", "Password", "hashed", "kept"]

ITERATIONS = 600_000
"""Rounds of a new hash: what CouchDB 3.4 and OWASP use with SHA-256."""
_DIGESTS = ("sha1", "sha224", "sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True)
class Password:
    """What a password is checked against.

    ``key`` is the derived key in hex, ``salt`` as text, ``digest`` the name of the hash in PBKDF2; with 0
    ``iterations`` the ``key`` is the password itself.
    """

    key: str
    salt: str = ""
    iterations: int = 0
    digest: str = "sha256"

    def matches(self, password: str) -> bool:
        """Return whether this is the password, in a time that does not depend on where they differ."""
        if self.iterations < 1:
            return hmac.compare_digest(self.key.encode("utf-8", "replace"), password.encode("utf-8", "replace"))
        derived = _derived(password, self.salt, self.iterations, self.digest, len(self.key) // 2)
        return hmac.compare_digest(derived, self.key.lower())

    @property
    def fingerprint(self) -> str:
        """Text that changes whenever the password does; it is never sent anywhere."""
        return f"{self.digest}-{self.key},{self.salt},{self.iterations}"


def kept(text: str) -> Password | None:
    """Return a password from CouchDB's form ``-pbkdf2:sha256-key,salt,iterations``, or from plain text.

    None for a damaged hash: no password matches it.
    """
    if not text.startswith("-pbkdf2"):
        return Password(text)
    head, _, rest = text[1:].partition("-")
    digest = head.partition(":")[2] or "sha1"
    parts = rest.split(",")
    if len(parts) != 3 or digest not in _DIGESTS or not (parts[2].isascii() and parts[2].isdigit()):
        return None
    key, salt, iterations = parts[0], parts[1], int(parts[2])
    if len(key) < 2 or not 0 < iterations < 2**31:
        return None
    return Password(key, salt, iterations, digest)


def hashed(password: str, iterations: int = ITERATIONS) -> str:
    """Return the hash of a password in CouchDB's form, with a new salt."""
    salt = secrets.token_hex(16)
    return f"-pbkdf2:sha256-{_derived(password, salt, iterations, 'sha256', 32)},{salt},{iterations}"


def _derived(password: str, salt: str, iterations: int, digest: str, size: int) -> str:
    secret = password.encode("utf-8", "replace")
    return hashlib.pbkdf2_hmac(digest, secret, salt.encode("utf-8", "replace"), iterations, max(1, size)).hex()
