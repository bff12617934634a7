"""The order of hits: the keys that ``sort`` and ``group_sort`` describe."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pouchdb_core.errors import BadRequest, QueryParseError

__all__ = ["Hit", "SortKey", "field_and_type", "orderable", "sort_key"]


class Hit:
    """A document that was found, with what the index stores of it."""

    __slots__ = ("id", "length", "order", "score", "stored")

    def __init__(self, id: str, score: float, stored: Mapping[str, Any]) -> None:
        self.id, self.score, self.stored = id, score, stored
        self.length = sum(stored["l"].values())
        self.order: list[Any] = [score]


class SortKey:
    """One key of ``sort``."""

    def __init__(self, name: str, kind: str, descending: bool, value: Callable[[Hit], Any]) -> None:
        self.name, self.kind, self.descending, self.value = name, kind, descending, value

    def check(self, hits: Sequence[Hit]) -> None:
        """Refuse values of another type. Raises BadRequest."""
        if self.kind not in ("number", "string"):
            return
        for hit in hits:
            value = self.value(hit)
            if value is not None and isinstance(value, str) != (self.kind == "string"):
                raise BadRequest(f"sort: {self.name!r} of {hit.id!r} is not a {self.kind}: {self.name}<{self.kind}>")


def sort_key(given: Any) -> SortKey:
    """Return the key that ``sort`` describes: ``"-field<string>"``, ``"<score>"``. Raises QueryParseError."""
    if not isinstance(given, str):
        raise QueryParseError(f"Invalid value for sort: {given!r}")
    descending, text = given.startswith("-"), given.lstrip("-")
    if text == "<score>" or text == "relevance":
        # The best first, unless turned round.
        return SortKey("score", "score", not descending, lambda hit: hit.score)
    if text.startswith("<distance,"):
        return _distance(text, descending)
    if text == "<doc>":
        return SortKey("id", "doc", descending, lambda hit: hit.id)
    name, kind = field_and_type(text)
    return SortKey(name, kind, descending, lambda hit: hit.stored["s"].get(name))


def field_and_type(text: str) -> tuple[str, str]:
    """Return (field, ``"number"`` or ``"string"``) of ``"field<type>"``. Raises QueryParseError."""
    found = re.fullmatch(r"(.+?)(?:<(number|string|double)>)?", text)
    if found is None:
        raise QueryParseError(f"Invalid value for sort: {text!r}")
    return found[1], {"double": "number", None: "number"}.get(found[2], found[2])


def _distance(text: str, descending: bool) -> SortKey:
    parts = text.strip("<>").split(",")
    if len(parts) not in (5, 6):
        raise QueryParseError(f"Invalid value for sort: {text!r}; <distance,lonField,latField,lon,lat,km>")
    try:
        lon, lat = float(parts[3]), float(parts[4])
    except ValueError:
        raise QueryParseError(f"Invalid value for sort: {text!r}") from None
    radius = 3958.7613 if len(parts) == 6 and parts[5] == "mi" else 6371.0088

    def away(hit: Hit) -> float | None:
        x, y = hit.stored["s"].get(parts[1]), hit.stored["s"].get(parts[2])
        if not isinstance(x, (int, float)) or not isinstance(y, (int, float)):
            return None
        a, b = math.radians(lat), math.radians(y)
        half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(x - lon) / 2) ** 2
        return 2 * radius * math.asin(math.sqrt(min(1.0, half)))

    return SortKey("distance", "distance", descending, away)


def orderable(value: Any) -> tuple[int, Any]:
    """Return a key that sorts numbers, then texts, then what is missing."""
    if value is None:
        return (2, 0)
    return (1, value) if isinstance(value, str) else (0, value)
