"""The errors of the plug-in, in addition to those of the core."""

from __future__ import annotations

from pouchdb_core.errors import PouchDBError

__all__ = ["AuthenticationError", "TooManyAttempts"]


class AuthenticationError(PouchDBError):
    """Invalid arguments, whichever users exist: nothing was sent."""

    status, name, default_message = 400, "authentication_error", "you must provide a username"


class TooManyAttempts(PouchDBError):
    """Too many wrong passwords; ``details["headers"]`` says when to try again."""

    status, name, default_message = 429, "too_many_requests", "too many wrong passwords: try again later"
