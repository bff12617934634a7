"""Choosing the provider for a request: the table of types, and what a client accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["TYPES", "Accepted", "Types", "accepted"]

TYPES: Sequence[tuple[str, ...]] = (
    ("all", "*/*"),
    ("text", "text/plain; charset=utf-8", "txt"),
    ("html", "text/html; charset=utf-8"),
    ("xhtml", "application/xhtml+xml", "xhtml"),
    ("xml", "application/xml", "text/xml", "application/x-xml"),
    ("js", "text/javascript", "application/javascript", "application/x-javascript"),
    ("css", "text/css"),
    ("ics", "text/calendar"),
    ("csv", "text/csv"),
    ("rss", "application/rss+xml"),
    ("atom", "application/atom+xml"),
    ("yaml", "application/x-yaml", "text/yaml"),
    ("multipart_form", "multipart/form-data"),
    ("url_encoded_form", "application/x-www-form-urlencoded"),
    ("json", "application/json", "text/x-json"),
)
"""The types that ``provides`` knows by name, in CouchDB's order."""


@dataclass(frozen=True)
class Accepted:
    """One of the types that a client accepts."""

    type: str
    """As the client wrote it, without its parameters."""
    quality: float = 1.0

    def matches(self, offered: str) -> bool:
        """Return whether an offered type is one of these; a star matches anything on either side."""
        wanted, there = _halves(self.type), _halves(offered)
        return all(a == b or "*" in (a, b) for a, b in zip(wanted, there, strict=True))

    def fitness(self, offered: str) -> int:
        """Return how exactly an offered type is named: -1 not at all, 0 by stars, 110 in full."""
        if not self.matches(offered):
            return -1
        return sum(weight * (half != "*") for weight, half in zip((100, 10), _halves(self.type), strict=True))


def _halves(type: str) -> tuple[str, str]:
    first, _, second = type.partition(";")[0].strip().lower().partition("/")
    return (first, second) if first != "*" or second else ("*", "*")


def accepted(header: str | None) -> list[Accepted]:
    """Return the types of an Accept header, in its order. An empty one accepts anything: RFC 9110."""
    found = [_one(part) for part in (header or "").split(",") if part.strip()]
    return found or [Accepted("*/*")]


def _one(part: str) -> Accepted:
    type, *parameters = (each.strip() for each in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return Accepted(type, min(1.0, max(0.0, float(value))))
            except ValueError:
                return Accepted(type)
    return Accepted(type)


class Types:
    """The table of types with those that a function registered, for the providers that it has."""

    def __init__(self, registered: Iterable[Sequence[str]], providers: Sequence[str]) -> None:
        self._table = [*TYPES, *(tuple(each) for each in registered if each)]
        self.providers = list(dict.fromkeys(providers))

    def of(self, key: str) -> tuple[str, ...]:
        """Return the types of a name; of one registered again the first is used."""
        return next((each[1:] for each in self._table if each[0] == key), ())

    def first(self, key: str) -> str | None:
        """Return the type of a provider's response when it was requested by name."""
        return _sendable(next(iter(self.of(key)), None))

    def by_table(self, wanted: Sequence[Accepted]) -> tuple[str, str | None] | None:
        """Return provider and type as the original chose them: the client's order, then the table's.

        What the client prefers (``q``) goes first, as it should.
        """
        for each in sorted(wanted, key=lambda each: -each.quality):
            if each.quality > 0:
                for key, offered in self._offered():
                    if each.matches(offered):
                        return key, _sendable(offered)
        return None

    def by_fitness(self, wanted: Sequence[Accepted]) -> tuple[str, str | None] | None:
        """Return provider and type as CouchDB chooses: the most exactly named, then the preferred.

        Equal ones are in the function's order of ``provides``.
        """
        best: tuple[tuple[int, float], str, str] | None = None
        for key in self.providers:
            for offered in self.of(key):
                rank = max((each.fitness(offered), each.quality) for each in wanted)
                if rank[0] >= 0 and rank[1] > 0 and (best is None or rank > best[0]):
                    best = (rank, key, offered)
        return None if best is None else (best[1], _sendable(best[2]))

    def _offered(self) -> Iterator[tuple[str, str]]:
        for key, *types in self._table:
            if key in self.providers:
                for type in types:
                    yield key, type


def _sendable(type: str | None) -> str | None:
    """A range of types (``*/*`` of the provider "all") is not the type of a response."""
    return None if type is None or "*" in type else type
