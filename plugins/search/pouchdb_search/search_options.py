"""The options of a search, from Python or from a query string: checked, and as values."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from pouchdb_core.errors import QueryParseError
from pouchdb_core.safe_repr import safe_repr

__all__ = ["bookmark_at", "count_of", "drills_of", "flag_of", "json_of", "list_of", "place_of"]


def flag_of(given: Mapping[str, Any], name: str) -> bool:
    """Return an option that is true or false, as JSON or as text; False by default. Raises QueryParseError."""
    value = given.get(name, False)
    if value not in (True, False, "true", "false"):
        raise QueryParseError(f"Invalid value for {name}: {safe_repr(value)}")
    return value in (True, "true")


def count_of(given: Mapping[str, Any], name: str, default: int | None) -> int | None:
    """Return an option that is an integer from 0 up, or a string of one. Raises QueryParseError."""
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        value = int(value)
    if type(value) is not int:
        raise QueryParseError(f"Invalid value for {name}: {safe_repr(value)}")
    if value < 0:
        raise QueryParseError(f"{name} must be greater than or equal to zero")
    return value


def json_of(text: str, name: str) -> Any:
    """Return the value of JSON text. Raises QueryParseError, which names the option."""
    try:
        return json.loads(text)
    except ValueError:
        raise QueryParseError(f"Invalid value for {name}: {safe_repr(text)}") from None


def list_of(given: Mapping[str, Any], name: str) -> list[Any]:
    """Return an option that is a list, JSON text of one, or a single string. Raises QueryParseError."""
    value = given.get(name)
    if value is None:
        return []
    if isinstance(value, str) and value[:1] in ("[", '"'):
        value = json_of(value, name)
    if isinstance(value, str):
        return [value]
    if not isinstance(value, (list, tuple)):
        raise QueryParseError(f"Invalid value for {name}: {safe_repr(value)}")
    return list(value)


def drills_of(given: Any) -> list[tuple[str, list[str]]]:
    """Return ``drilldown`` as (field, values) for each of its conditions. Raises QueryParseError."""
    if given is None:
        return []
    if isinstance(given, str):
        given = json_of(given, "drilldown")
    drills = given if given and isinstance(given[0], (list, tuple)) else [given]
    found = []
    for each in drills:
        if not isinstance(each, (list, tuple)) or len(each) < 2 or not all(isinstance(part, str) for part in each):
            raise QueryParseError('Invalid value for drilldown: ["field", "value", ...], or a list of those')
        found.append((each[0], list(each[1:])))
    return found


def bookmark_at(place: int) -> str:
    """Return the bookmark of a result that ends before a position."""
    return base64.urlsafe_b64encode(f"search:{place}".encode()).decode()


def place_of(text: Any) -> int:
    """Return the position where the result of a bookmark ended. Raises QueryParseError."""
    try:
        kind, _, place = base64.urlsafe_b64decode(str(text)).decode().partition(":")
        if kind == "search":
            return int(place)
    except ValueError:
        pass  # raised below
    raise QueryParseError(f"Invalid value for bookmark: {safe_repr(text)}")
