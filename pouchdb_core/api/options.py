"""Options that several methods take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pouchdb_core.errors import BadRequest, QueryParseError
from pouchdb_core.jsontext import encodes
from pouchdb_core.requests import PLAIN, ReadOptions
from pouchdb_core.safe_repr import safe_repr

__all__ = ["count", "document_options", "either", "flags", "key_text", "milliseconds", "text_list"]

MAX_COUNT = 2**63 - 1
"""The greatest number of rows that SQL accepts; there are never more."""


def document_options(**chosen: bool) -> ReadOptions:
    """Return the read options that were chosen; PLAIN, the object, when none was. Raises QueryParseError."""
    flags(**chosen)
    wanted = {name: True for name, value in chosen.items() if value}
    return ReadOptions(**wanted) if wanted else PLAIN  # type: ignore[arg-type]  # all of these are bool


def flags(**given: Any) -> None:
    """Refuse what is neither true, false nor None: the string "false" would count as true. Raises QueryParseError."""
    for name, value in given.items():
        if value is not True and value is not False and value is not None:
            raise QueryParseError(f"{name} must be True or False, not {safe_repr(value)}")


def key_text(name: str, value: Any) -> Any:
    """Return a bound of a range of ids, or None. Raises QueryParseError."""
    if value is None or (isinstance(value, str) and encodes(value)):
        return value if value is None or type(value) is str else str.__str__(value)
    raise QueryParseError(f"{name} must be a document id, not {safe_repr(value)}")


def either(name: str, other: str, value: Any, alias: Any) -> Any:
    """Return the given one of two spellings of an option. Raises BadRequest if both differ."""
    if alias is None:
        return value
    if value is not None and value != alias:
        raise BadRequest(f"{name} and {other} are one option and were given two values")
    return alias


def count(name: str, value: Any) -> int | None:
    """Return a number of rows, or None. Raises QueryParseError."""
    if value is None:
        return None
    if type(value) is int and value >= 0:
        return min(value, MAX_COUNT)
    raise QueryParseError(f"{name} must be a number from 0 up, not {safe_repr(value)}")


def milliseconds(name: str, value: Any) -> None:
    """Refuse anything but a time to wait: a number from 0 up, False (do not wait) or None. Raises BadRequest."""
    if value is None or value is False:
        return
    if type(value) not in (int, float) or not 0 <= value < 1e12:
        raise BadRequest(f"{name} must be a number of milliseconds from 0 up, not {safe_repr(value)}")


def text_list(name: str, value: Any) -> Sequence[str]:
    """Return a list of strings. Raises BadRequest."""
    if isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value):
        return value
    raise BadRequest(f"{name} must be a list of strings, not {safe_repr(value)}")
