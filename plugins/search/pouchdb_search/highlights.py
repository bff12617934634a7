"""Fragments of stored strings with the words that were found."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from pouchdb_core.api.options import whole_of
from pouchdb_core.errors import QueryParseError
from pouchdb_core.results import Record
from pouchdb_search.queries import Asked
from pouchdb_search.search_options import list_of
from pouchdb_search.sloppy import placed

__all__ = ["Highlighter"]


def _spans(text: str, name: str, asked: Asked) -> list[tuple[int, int]]:
    """Return where a text of a field has what was searched for: words, and phrases where they are whole."""
    analyzer, tests, phrases = asked.analyzer(name), asked.tests.get(name, ()), asked.phrases.get(name, ())
    terms = list(analyzer.terms(text))
    marked: set[int] = set()
    if phrases:
        spaced = analyzer.spaced(text)
        # The number of a word among those that were not dropped, by its place among all.
        numbers = list(itertools.accumulate((term is not None for term in spaced), initial=0))
        for words, slop in phrases:
            marked.update(numbers[place] for _, way in placed(spaced, words, slop) for place in way)
    return [
        (term.start, term.end)
        for number, term in enumerate(terms)
        if number in marked or any(test(term.text) for test in tests)
    ]


class Highlighter:
    """The checked options of highlighting. Raises QueryParseError."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.names = list_of(given, "highlight_fields")
        self._before = str(given.get("highlight_pre_tag", "<em>"))
        self._after = str(given.get("highlight_post_tag", "</em>"))
        self._number = whole_of(given, "highlight_number", 1)
        self._size = whole_of(given, "highlight_size", 100)
        for name, number in (("highlight_number", self._number), ("highlight_size", self._size)):
            if number == 0:
                raise QueryParseError(f"{name} must be greater than zero, not 0")

    def of(self, fields: Mapping[str, Any], asked: Asked) -> Record:
        """Return the fragments of each field that has any, with what a compiled query searched for."""
        found = Record()
        for name in self.names:
            texts = fields.get(name)
            fragments: list[str] = []
            for text in texts if isinstance(texts, list) else [texts]:
                if isinstance(text, str):
                    fragments += self._fragments(text, _spans(text, name, asked))
            if fragments:
                found[name] = fragments[: self._number]
        return found

    def _fragments(self, text: str, spans: Sequence[tuple[int, int]]) -> list[str]:
        assert self._size is not None, "it has a default"
        fragments: list[str] = []
        reached = 0
        for start, end in spans:
            if start < reached:
                continue
            # Around the word, from the start of a word to the end of one.
            begin = max(reached, start - self._size // 2)
            if begin > reached:
                begin = min(start, text.find(" ", begin, start) + 1 or start)
            until = min(len(text), max(begin + self._size, end))
            if until < len(text) and not text[until].isspace():
                until = max(end, text.rfind(" ", begin, until))
            parts, place = [], begin
            for left, right in spans:
                # Of overlapping words, such as pairs of characters, the first.
                if place <= left and right <= until:
                    parts += [text[place:left], self._before, text[left:right], self._after]
                    place = right
            fragments.append("".join([*parts, text[place:until]]))
            reached = until
        return fragments
