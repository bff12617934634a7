"""Lists and conditions among the options of a search, from Python or from a query string: checked, and as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pouchdb_core.errors import QueryParseError
from pouchdb_core.safe_repr import safe_repr

__all__ = ["drills_of", "json_of", "list_of"]


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
