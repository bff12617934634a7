"""The options of a query: their names, their forms in a URL, and the rule of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pouchdb_core.api.options import bookmark_with, flag_of, freshness, text_in, whole_of, wrong_bookmark
from pouchdb_core.errors import BadRequest, QueryParseError
from pouchdb_core.jsontext import dump, from_text
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.views.follow import Freshness
from pouchdb_spatial.answers import FORMATS

__all__ = ["FIRST", "NEAREST", "OPTIONS", "Mark", "bookmark_of", "checked", "known", "options_of", "update_of"]

_TEXTS = ("bbox", "plane_bounds", "relation", "stale", "update", "format", "bookmark")

Mark = tuple[int, int] | tuple[float, str, int]
"""The last row of a result: the number of its area and its own, or its distance, id and number, of the nearest.

A result that continues it begins behind that row, wherever that is then: documents may be written meanwhile.
"""
FIRST: Mark = (0, -1)
NEAREST: Mark = (-1.0, "", -1)
"""The marks before all rows."""
_KIND = "spatial"

_Rule = Callable[[Mapping[str, Any], str], Any]
"""Returns the value of an option that is given, or raises QueryParseError."""


def _as_given(options: Mapping[str, Any], name: str) -> Any:
    return options[name]


def _whole(options: Mapping[str, Any], name: str) -> int | None:
    return whole_of(options, name, None)


def bookmark_of(mark: Mark) -> str:
    """Return the bookmark of a result that ends with this row."""
    return bookmark_with(_KIND, dump(mark).decode())


def _bookmark(options: Mapping[str, Any], name: str) -> Mark | None:
    bookmark = options[name]
    if not bookmark:
        return None
    text = text_in(_KIND, bookmark)
    try:
        mark = json.loads(text)
    except (ValueError, RecursionError):
        mark = None
    if isinstance(mark, list):
        kinds = [type(each) for each in mark]
        if kinds in ([int, int], [float, str, int]):
            return tuple(mark)
    raise wrong_bookmark(bookmark)


def _format(options: Mapping[str, Any], name: str) -> str:
    given: str = options[name]
    if given not in FORMATS:
        raise QueryParseError(f"format must be one of {', '.join(FORMATS[:3])}, not {safe_repr(given)}")
    return given


def _unknown(options: Mapping[str, Any], name: str) -> Any:
    raise BadRequest(f"spatial() has no option {name!r}; there are: {', '.join(OPTIONS)}")


_PLACE = (
    *("start_range", "end_range", "bbox", "plane_bounds", "g", "relation", "lat", "lon"),
    *("radius", "rangex", "rangey"),
)
_RULES: dict[str, _Rule] = {
    # Which of these fit together is a rule of ``place_of``, of the two for freshness one of ``freshness``.
    **dict.fromkeys(_PLACE, _as_given),
    "nearest": flag_of,
    "limit": _whole,
    "skip": _whole,
    "count": flag_of,
    "bookmark": _bookmark,
    "include_docs": flag_of,
    "conflicts": flag_of,
    "stale": _as_given,
    "update": _as_given,
    "format": _format,
    "key": _as_given,
}
OPTIONS = tuple(_RULES)


def options_of(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the known options of a query string, as values; others are ignored.

    Text that is not JSON stays text, which is refused where it is no value of its option.
    """
    given: dict[str, Any] = {}
    for name, text in query.items():
        if name not in OPTIONS:
            continue
        if not isinstance(text, str):
            given[name] = text
        elif name == "stale" and text in ("true", "false"):
            # geopouch's form of it, as a database on a server sends it.
            given[name] = text == "true"
        elif name in _TEXTS or (name == "g" and not text.lstrip().startswith("{")):
            given[name] = text.strip('"')
        else:
            try:
                given[name] = from_text(text)
            except BadRequest:
                given[name] = text
    return given


def known(options: Mapping[str, Any]) -> None:
    """Raise BadRequest for an option that there is not."""
    for name in options:
        if name not in _RULES:
            _unknown(options, name)


def checked(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is given of the options, each by its own rule: one that is not given costs nothing.

    Raises BadRequest for one that there is not, and QueryParseError for a value that is none of its values.
    """
    return {
        name: _RULES.get(name, _unknown)(options, name)
        for name, value in options.items()
        if value is not None or name not in _RULES
    }


def update_of(given: Mapping[str, Any]) -> Freshness:
    """Return whether a query brings its index up to date first. Raises QueryParseError."""
    if "stale" not in given and "update" not in given:
        return "true"
    stale = given.get("stale")
    # True is geopouch's form of it.
    return freshness("ok" if stale is True else stale, given.get("update"))
