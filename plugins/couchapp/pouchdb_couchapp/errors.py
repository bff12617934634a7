"""Errors of design functions, under CouchDB's names."""

from __future__ import annotations

from typing import Any

from pouchdb_core.errors import BadRequest, PouchDBError

__all__ = ["DesignError", "MethodNotAllowed", "NotAcceptable", "RewriteError"]


class DesignError(PouchDBError):
    """An error of a show, list, update or rewrite function; ``name`` and ``status`` say which.

    Names: ``render_error``, ``external_response_error``, ``insecure_rewrite_rule``, the name of the error that
    a function threw, or the one it chose by throwing ``["error", name, reason]``. ``details["thrown"]`` is
    what it threw.
    """

    name, default_message = "render_error", "the function failed"

    def __init__(self, name: str, message: str, *, status: int = 500, **details: Any) -> None:
        super().__init__(message, **details)
        self.name = name
        self.status = status

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (self.name, self.message, self.status, self.details))


def _restore(name: str, message: str, status: int, details: dict[str, Any]) -> DesignError:
    return DesignError(name, message, status=status, **details)


class NotAcceptable(PouchDBError):
    """No provider makes any of the requested types."""

    status, name, default_message = 406, "not_acceptable", "Content-Type not supported"


class MethodNotAllowed(PouchDBError):
    status, name, default_message = 405, "method_not_allowed", "Method not allowed"


class RewriteError(BadRequest):
    """The rewrite rules of a design document cannot be used."""

    name, default_message = "rewrite_error", "Rewrite rules should be a JSON Array."
