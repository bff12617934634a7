"""Options that several methods take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pouchdb_core.errors import BadRequest, QueryParseError
from pouchdb_core.requests import PLAIN, ReadOptions

__all__ = ["count", "document_options", "either", "text_list"]


def document_options(**chosen: bool) -> ReadOptions:
    """Return the read options that were chosen; PLAIN, the object, when none was."""
    wanted = {name: True for name, value in chosen.items() if value}
    return ReadOptions(**wanted) if wanted else PLAIN  # type: ignore[arg-type]  # all of these are bool


def either(name: str, other: str, value: Any, alias: Any) -> Any:
    """Return the one that is given of two spellings of an option. Raises BadRequest if both differ."""
    if alias is None:
        return value
    if value is not None and value != alias:
        raise BadRequest(f"{name} and {other} are one option and were given two values")
    return alias


def count(name: str, value: Any) -> int | None:
    """Return a number of rows, or None. Raises QueryParseError."""
    if value is None or (type(value) is int and value >= 0):
        number: int | None = value
        return number
    raise QueryParseError(f"{name} must be a number from 0 up, not {value!r}")


def text_list(name: str, value: Any) -> Sequence[str]:
    """Return a list of texts. Raises BadRequest."""
    if isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value):
        return value
    raise BadRequest(f"{name} must be a list of strings, not {value!r}")
