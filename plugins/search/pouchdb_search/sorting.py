"""The order of hits: the keys that ``sort`` and ``group_sort`` describe, and hits in that order."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tantivy

from pouchdb_core.errors import BadRequest
from pouchdb_search.queries import Asked
from pouchdb_search.schema import WEIGHT, stored_lines, stored_value
from pouchdb_search.search_options import invalid

__all__ = [
    "Hit",
    "SortKey",
    "all_hits",
    "best",
    "best_hits",
    "field_and_type",
    "sort_key",
    "sorted_hits",
    "sorted_page",
]

_KEYS = "a key such as name<string>, -year<number>, <score> or <distance,lon,lat,9.2,45.5,km>, or a list of those"


class Hit:
    """A document that was found; its stored fields are read on first use."""

    __slots__ = ("_fields", "_lines", "_searcher", "_sorted", "address", "order", "score")

    def __init__(self, searcher: Any, address: Any, score: float | None, order: list[Any] | None = None) -> None:
        self._searcher, self.address, self.score = searcher, address, score
        self._lines: tuple[bytes, bytes, bytes, bytes] | None = None
        self._fields: Mapping[str, Any] | None = None
        self._sorted: Mapping[str, Any] | None = None
        self.order: list[Any] = [score] if order is None else order

    def _read(self) -> tuple[bytes, bytes, bytes, bytes]:
        lines = self._lines = stored_lines(self._searcher, self.address)
        return lines

    @property
    def id(self) -> str:
        """The document's id."""
        return (self._lines or self._read())[3].decode()

    @property
    def rev(self) -> str:
        """The revision that was indexed."""
        return (self._lines or self._read())[0].decode()

    @property
    def fields(self) -> Mapping[str, Any]:
        """The stored fields."""
        if self._fields is None:
            text = (self._lines or self._read())[1]
            self._fields = {} if text == b"{}" else stored_value(text)
        return self._fields

    def value(self, name: str) -> Any:
        """Return the value the hit is sorted by, None without one."""
        if self._sorted is None:
            self._sorted = stored_value((self._lines or self._read())[2])
        return self._sorted.get(name)


class SortKey:
    """One key of ``sort``."""

    def __init__(self, name: str, kind: str, descending: bool, value: Callable[[Hit], Any]) -> None:
        self.name, self.kind, self.descending, self.value = name, kind, descending, value
        self.place: tuple[str, str, Callable[[Any, Any], float | None]] | None = None
        """For distances: the fields of longitude and latitude, and the distance for two of their values."""

    def check(self, hit: Hit, value: Any) -> None:
        """Refuse a value of another type. Raises BadRequest."""
        if (
            self.kind in ("number", "string")
            and value is not None
            and isinstance(value, str) != (self.kind == "string")
        ):
            found = "string" if isinstance(value, str) else "number"
            raise BadRequest(
                f"cannot sort by {self.name}<{self.kind}>: the field {self.name!r} of the document {hit.id!r} "
                f"is a {found}; to sort by {found}s write {self.name}<{found}>"
            )

    def orders(self, hits: list[Hit], place: int) -> None:
        """Sort hits by the value at an index of their order; those without one come last, in either direction."""
        there = [hit for hit in hits if hit.order[place] is not None]
        there.sort(key=lambda hit: hit.order[place], reverse=self.descending)
        hits[:] = [*there, *(hit for hit in hits if hit.order[place] is None)]


def sort_key(given: Any, option: str = "sort") -> SortKey:
    """Return the key that ``sort`` describes: ``"-field<string>"``, ``"<score>"``. Raises QueryParseError."""
    if not isinstance(given, str) or given in ("", "-"):
        raise invalid(option, given, _KEYS)
    descending, text = given.startswith("-"), given.removeprefix("-")
    if text in ("<score>", "relevance"):
        # The best first, unless reversed.
        return SortKey("score", "score", not descending, lambda hit: hit.score)
    if text.startswith("<distance"):
        return _distance(text, descending, option)
    if text == "<doc>":
        return SortKey("id", "doc", descending, lambda hit: hit.id)
    name, kind = field_and_type(text, option)
    return SortKey(name, kind, descending, lambda hit: hit.value(name))


def field_and_type(text: Any, option: str) -> tuple[str, str]:
    """Return (field, ``"number"`` or ``"string"``) of ``"field<type>"``. Raises QueryParseError."""
    found = re.fullmatch(r"([^<>]+)(?:<(number|string|double)>)?", text) if isinstance(text, str) else None
    if found is None:
        raise invalid(option, text, "the name of a field, such as name, year<number> or name<string>")
    return found[1], {"double": "number", None: "number"}.get(found[2], found[2])


def _distance(text: str, descending: bool, option: str) -> SortKey:
    parts = [part.strip() for part in text.removeprefix("<").removesuffix(">").split(",")]
    form = "<distance,lonField,latField,lon,lat,km>, with the names of two fields, degrees, and km or mi"
    wrong = invalid(option, text, form)
    if len(parts) not in (5, 6) or not text.endswith(">") or parts[0] != "distance":
        raise wrong
    try:
        lon, lat = float(parts[3]), float(parts[4])
    except ValueError:
        raise wrong from None
    if not (abs(lon) <= 360 and abs(lat) <= 90) or (len(parts) == 6 and parts[5] not in ("km", "mi")):
        raise wrong
    radius = 3958.7613 if len(parts) == 6 and parts[5] == "mi" else 6371.0088
    a = math.radians(lat)

    def away(x: Any, y: Any) -> float | None:
        if not isinstance(x, (int, float)) or not isinstance(y, (int, float)):
            return None
        b = math.radians(y)
        half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(x - lon) / 2) ** 2
        return 2 * radius * math.asin(math.sqrt(min(1.0, half)))

    key = SortKey("distance", "distance", descending, lambda hit: away(hit.value(parts[1]), hit.value(parts[2])))
    key.place = parts[1], parts[2], away
    return key


# -- hits in an order ----------------------------------------------------------------------------------


def best_hits(asked: Asked, query: Any, skip: int, limit: int | None, weighed: bool) -> tuple[list[Hit], int]:
    """Return a page of hits, the best first, and the number of all hits.

    Hits of one score come in tantivy's order, so that pages fit together; ``weighed``: in the
    order of their lengths, the shorter first.
    """
    found, count = best(asked, query, skip, limit, weighed)
    return [Hit(asked.searcher, address, float(score)) for score, address in found], count


def best(asked: Asked, query: Any, skip: int, limit: int | None, weighed: bool) -> tuple[list[tuple[Any, Any]], int]:
    """Return (score, address) of a page of hits, the best first, and the number of all hits: see ``best_hits``."""
    searcher = asked.searcher
    there = max(0, searcher.num_docs - skip)
    limit = there if limit is None or limit > there else limit
    if limit == 0:
        return [], searcher.search(query, 1).count
    if weighed:
        found = searcher.search(query, limit, offset=skip, weight_by_field=WEIGHT)
    else:
        found = searcher.search(query, limit, offset=skip)
    return found.hits, found.count


def all_hits(asked: Asked, query: Any, weighed: bool) -> list[Hit]:
    """Return all hits, the best first."""
    return best_hits(asked, query, 0, None, weighed)[0]


def sorted_page(
    asked: Asked, query: Any, keys: Sequence[SortKey], skip: int, limit: int | None, weighed: bool
) -> tuple[list[Hit], int]:
    """Return a page of hits in the order of some keys, and the number of all hits. Raises BadRequest.

    One field that has a column is sorted by tantivy, distances are computed from two columns; else the stored fields of
    each hit are read.
    """
    searcher = asked.searcher
    if len(keys) == 1 and limit is not None:
        key = keys[0]
        column = _column(asked, key)
        if column is not None:
            count = min(limit, max(0, searcher.num_docs - skip))
            order = tantivy.Order.Desc if key.descending else tantivy.Order.Asc
            found = searcher.search(query, max(1, count), offset=skip, order_by_field=column, order=order)
            page = [Hit(searcher, address, None, [value]) for value, address in found.hits[:count]]
            return page, found.count
        if key.place is not None:
            nearest = _by_distance(asked, query, key, skip + limit, weighed)
            if nearest is not None:
                return nearest[0][skip:], nearest[1]
    hits = all_hits(asked, query, weighed)
    total = len(hits)
    sorted_hits(hits, keys)
    return hits[skip : None if limit is None else skip + limit], total


def _column(asked: Asked, key: SortKey) -> str | None:
    """Return the column that sorts like a key, if there is one."""
    if key.kind == "doc":
        return "id"
    text = key.kind == "string"
    if key.kind not in ("number", "string") or asked.names.slots.has(key.name, not text):
        # Values of both types: the hits must be read.
        return None
    return asked.names.slots.of(key.name, text)


def _by_distance(asked: Asked, query: Any, key: SortKey, count: int, weighed: bool) -> tuple[list[Hit], int] | None:
    assert key.place is not None
    columns = [asked.names.slots.of(name, False) for name in key.place[:2]]
    if None in columns:
        return None
    hits = all_hits(asked, query, weighed)
    addresses = [hit.address for hit in hits]
    places = zip(*(asked.searcher.fast_field_values(column, addresses) for column in columns), strict=True)
    far = math.inf
    away = []
    for number, (x, y) in enumerate(places):
        distance = key.place[2](x, y)
        hits[number].order = [distance]
        away.append((far if distance is None else -distance if key.descending else distance, number))
    return [hits[number] for _, number in heapq.nsmallest(count, away)], len(hits)


def sorted_hits(hits: list[Hit], keys: Sequence[SortKey]) -> None:
    """Sort hits by some keys, in place; equal ones keep their order. Raises BadRequest."""
    for hit in hits:
        hit.order = [key.value(hit) for key in keys]
        for key, value in zip(keys, hit.order, strict=True):
            key.check(hit, value)
    # From the last key to the first: sorting is stable.
    for place, key in reversed(list(enumerate(keys))):
        key.orders(hits, place)
