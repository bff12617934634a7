"""Errors in a query, and their positions."""

from __future__ import annotations

from typing import Any

from pouchdb_core.errors import BadRequest

__all__ = ["GqlError", "located"]


class GqlError(BadRequest):
    """An invalid query. ``error`` and ``name`` are the kind of error, ``reason`` and ``message`` say why.

    Kinds: ``not_recognized``, ``tokenizing_error``, ``parsing_error``, ``select_error``, ``pivot_error``,
    ``group_error``, ``order_error``, ``label_error``, ``function_error``. If it has a position in the text,
    ``details`` has ``clause``, ``position`` (from 0) and ``caret`` (the line with a mark below).
    """

    def __init__(self, kind: str, reason: str, **details: Any) -> None:
        super().__init__(reason, **details)
        self.name = kind
        # The original's errors are read by e["error"], which is True in other errors (spec: plugins 2.9).
        self.error = kind  # type: ignore[assignment]

    def as_dict(self) -> dict[str, Any]:
        return {**super().as_dict(), "error": self.name}

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restored, (self.name, self.message, self.details))


def _restored(kind: str, reason: str, details: dict[str, Any]) -> GqlError:
    return GqlError(kind, reason, **details)


def located(kind: str, reason: str, clause: str, text: str, position: int) -> GqlError:
    """Return an error at a position in a text, with the line of the text and a caret below that position."""
    position = max(0, min(position, len(text)))
    begin = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[begin:] if end < 0 else text[begin:end]
    caret = f"{line}\n{' ' * (position - begin)}^"
    error = GqlError(kind, reason, clause=clause, position=position, caret=caret)
    if hasattr(error, "add_note"):
        # Shown below a traceback; the message stays the original's.
        error.add_note(caret)
    return error
