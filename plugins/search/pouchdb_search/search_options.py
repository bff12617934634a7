"""Lists and conditions among the options of a search, from Python or from a query string: checked, and as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pouchdb_core.errors import QueryParseError
from pouchdb_core.safe_repr import safe_repr

__all__ = ["drills_of", "invalid", "json_of", "list_of"]


def invalid(name: str, value: Any, wanted: str) -> QueryParseError:
    """Return the error for an option with a wrong value: Cloudant's words, and what is accepted."""
    return QueryParseError(f"Invalid value for {name}: {safe_repr(value)}; it must be {wanted}")


def json_of(text: str, name: str) -> Any:
    """Return the value of JSON text. Raises QueryParseError, which names the option."""
    try:
        return json.loads(text)
    except ValueError:
        raise invalid(name, text, "valid JSON") from None


def list_of(given: Mapping[str, Any], name: str) -> list[str]:
    """Return an option that is a list of strings, JSON text of one, or a single string. Raises QueryParseError."""
    value = given.get(name)
    if value is None:
        return []
    if isinstance(value, str) and value[:1] in ("[", '"'):
        value = json_of(value, name)
    if isinstance(value, str):
        return [value]
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise invalid(name, value, "a string or a list of strings")
    return list(value)


def drills_of(given: Any) -> list[tuple[str, list[str]]]:
    """Return ``drilldown`` as (field, values) for each of its conditions. Raises QueryParseError."""
    if given is None:
        return []
    if isinstance(given, str):
        given = json_of(given, "drilldown")
    several = isinstance(given, (list, tuple)) and given and isinstance(given[0], (list, tuple))
    found = []
    for each in given if several else [given]:
        if not isinstance(each, (list, tuple)) or len(each) < 2 or not all(isinstance(part, str) for part in each):
            raise invalid("drilldown", each, '["field", "value", ...], or a list of such lists')
        found.append((each[0], list(each[1:])))
    return found
