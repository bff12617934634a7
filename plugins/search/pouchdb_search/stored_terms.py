"""The terms of texts as tantivy has them: with the prefix of a field, in one string."""

from __future__ import annotations

from collections.abc import Sequence

from pouchdb_search.analysis import Analyzer
from pouchdb_search.schema import GAP, prefix_of, stored

__all__ = ["StoredTerms"]

KEPT = 300_000
"""Words that are remembered, of all fields together."""
Text = tuple[Analyzer | None, str]
"""A text, and what makes terms of it; None: it is one term."""


class _Room:
    """How many more words are remembered."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = KEPT


class _Known(dict[str, str]):
    """The stored terms of one field's words, a gap for words that the analyzer drops."""

    def __init__(self, analyzer: Analyzer, prefix: str, room: _Room) -> None:
        super().__init__()
        self._term, self._prefix, self._room = analyzer.term, prefix, room

    def __missing__(self, word: str) -> str:
        term = self._term(word)
        found = self[word] = self._prefix + stored(term) if term else GAP
        self._room.left -= 1
        return found


class StoredTerms:
    """Makes stored terms; remembers those of words while an index is built, as most words come again."""

    def __init__(self) -> None:
        self._room = _Room()
        self._known: dict[tuple[Analyzer, str], _Known] = {}

    def of(self, name: str, boost: float, texts: Sequence[Text]) -> list[str]:
        """Return the stored terms of a field's texts, one after the other."""
        prefix = prefix_of(name, boost)
        if len(texts) == 1 and texts[0][0] is not None:
            return self._terms(texts[0][0], texts[0][1], prefix)
        found = []
        for analyzer, text in texts:
            found += [prefix + stored(text)] if analyzer is None else self._terms(analyzer, text, prefix)
        return found

    def _terms(self, analyzer: Analyzer, text: str, prefix: str) -> list[str]:
        if analyzer.whole:
            return [prefix + stored(text)] if text else []
        known = self._known.get((analyzer, prefix))
        if known is None or self._room.left <= 0:
            if self._room.left <= 0:
                self._known.clear()
                self._room.left = KEPT
            known = self._known[analyzer, prefix] = _Known(analyzer, prefix, self._room)
        return list(map(known.__getitem__, analyzer.split(text)))
