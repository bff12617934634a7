"""Options that several methods take."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from pouchdb_core.errors import BadRequest, QueryParseError
from pouchdb_core.jsontext import encodes
from pouchdb_core.requests import PLAIN, ReadOptions
from pouchdb_core.safe_repr import safe_repr

__all__ = [
    "bookmark_with",
    "callbacks",
    "count",
    "document_options",
    "either",
    "flag_of",
    "flags",
    "freshness",
    "key_text",
    "milliseconds",
    "place_after",
    "place_in",
    "text_in",
    "text_list",
    "whole_of",
    "wrong_bookmark",
]

_STALE: dict[str, Literal["true", "false", "lazy"]] = {"ok": "false", "update_after": "lazy", "false": "true"}
MAX_COUNT = 2**63 - 1
"""The greatest number of rows that SQL accepts; there are never more."""


def document_options(**chosen: bool) -> ReadOptions:
    """Return the read options that were chosen; PLAIN, the object, when none was. Raises QueryParseError."""
    flags(**chosen)
    wanted = {name: True for name, value in chosen.items() if value}
    return ReadOptions(**wanted) if wanted else PLAIN  # type: ignore[arg-type]  # all of these are bool


def callbacks(**given: Any) -> None:
    """Refuse what is neither callable nor None, before anything begins. Raises BadRequest."""
    for name, value in given.items():
        if value is not None and not callable(value):
            raise BadRequest(f"{name} must be a function, not {safe_repr(value)}")


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


def freshness(stale: Any, update: Any) -> Literal["true", "false", "lazy"]:
    """Return whether a query brings its index up to date first, not, or afterwards (lazy). Raises QueryParseError."""
    if stale is not None and stale is not False:
        if not isinstance(stale, str) or stale not in _STALE or update is not None:
            together = "" if update is None else " together with update"
            raise QueryParseError(f"stale must be 'ok' or 'update_after', not {safe_repr(stale)}{together}")
        return _STALE[stale]
    if update is None or update is True or update is False:
        return "false" if update is False else "true"
    for known in _STALE.values():
        if isinstance(update, str) and update == known:
            return known
    raise QueryParseError(f"update must be True, False or 'lazy', not {safe_repr(update)}")


# -- of queries whose options may be the strings of a URL -------------------------------------------------


def flag_of(given: Mapping[str, Any], name: str) -> bool:
    """Return an option that is true or false, or a string of it; False by default. Raises QueryParseError."""
    value = given.get(name, False)
    if value not in (True, False, "true", "false"):
        raise QueryParseError(f"Invalid value for {name}: {safe_repr(value)} is neither true nor false")
    return value in (True, "true")


def whole_of(given: Mapping[str, Any], name: str, default: int | None) -> int | None:
    """Return an option that is an integer from 0 up, or a string of one. Raises QueryParseError."""
    value = given.get(name)
    if value is None:
        return default
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,30}", value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise QueryParseError(f"Invalid value for {name}: {safe_repr(value)} is not a whole number")
    if value < 0:
        raise QueryParseError(f"{name} must be greater than or equal to zero, not {value}")
    return min(value, MAX_COUNT)


@lru_cache(maxsize=1000)
def place_after(kind: str, place: int) -> str:
    """Return the bookmark of a result that ends before a position."""
    return bookmark_with(kind, str(place))


def place_in(kind: str, bookmark: Any) -> int:
    """Return the position where the result with a bookmark ended. Raises QueryParseError for one of another kind."""
    place = text_in(kind, bookmark)
    if not place.isdecimal():
        raise wrong_bookmark(bookmark)
    return int(place)


def bookmark_with(kind: str, text: str) -> str:
    """Return a bookmark of some kind with a text, for ``text_in``."""
    return base64.urlsafe_b64encode(f"{kind}:{text}".encode()).decode()


def text_in(kind: str, bookmark: Any) -> str:
    """Return the text of a bookmark. Raises QueryParseError for one of another kind."""
    try:
        found, _, text = base64.urlsafe_b64decode(str(bookmark)).decode().partition(":")
    except ValueError:
        raise wrong_bookmark(bookmark) from None
    if found != kind:
        raise wrong_bookmark(bookmark)
    return text


def wrong_bookmark(bookmark: Any) -> QueryParseError:
    """Return the error for what is not a bookmark of the query."""
    wanted = "it must be the bookmark of an earlier result of the same query"
    return QueryParseError(f"Invalid value for bookmark: {safe_repr(bookmark)}; {wanted}")
