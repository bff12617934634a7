"""Errors of a query, under CouchDB's names."""

from __future__ import annotations

from typing import Any

from pouchdb_core.errors import BadRequest
from pouchdb_core.safe_repr import safe_repr

__all__ = ["FindError", "shown"]


class FindError(BadRequest):
    """The request is invalid; ``name`` is CouchDB's, the message says what to change.

    Names: ``invalid_operator``, ``bad_arg``, ``not_supported``, ``invalid_selector_json``, ``invalid_selector``,
    ``bad_field``, ``invalid_field_name``, ``invalid_sort_json``, ``unsupported_mixed_sort``, ``no_usable_index``,
    ``invalid_index``, ``invalid_bookmark``, ``missing_required_key``, ``invalid_key`` and others of CouchDB's.
    """

    name, default_message = "bad_request", "the query cannot be used"

    def __init__(self, name: str, message: str, *, status: int = 400, **details: Any) -> None:
        super().__init__(message, **details)
        self.name = name
        self.status = status

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (self.name, self.message, self.status, self.details))


def _restore(name: str, message: str, status: int, details: dict[str, Any]) -> FindError:
    return FindError(name, message, status=status, **details)


def shown(value: Any) -> str:
    """Return a value as a message shows it: short."""
    text = safe_repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
