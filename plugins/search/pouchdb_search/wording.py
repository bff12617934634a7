"""Words for typed queries: completions of a prefix, and corrections of a misspelt word.

An index may store stems only. Their words are read from documents that have them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import tantivy

from pouchdb_core.results import Record
from pouchdb_search.analysis import Term, trimmed
from pouchdb_search.answering import Opened
from pouchdb_search.queries import MUST, NOT, is_near
from pouchdb_search.schema import stored_id
from pouchdb_search.search_options import invalid

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["MOST_WORDS", "checked", "completions", "suggestions"]

MOST_WORDS = 100
SAMPLE = 5
"""How many documents are read to find the words of a stem."""
FAR = 3
"""The distance of words that are farther than the search allows, but whose stems are near."""
CANDIDATES = 20
"""How many words are compared to correct a misspelt one."""


class _Wording:
    """An index, and its documents."""

    def __init__(self, db: SyncPouchDB, opened: Opened, field: str) -> None:
        self._db, self._opened, self.field = db, opened, field
        self.asked = opened.asked()
        self.analyzer = self.asked.analyzer(field)

    def words(self, query: Any, count: int) -> tuple[list[str], Iterator[tuple[str, str]]]:
        """Return the ids of some documents that a query finds, and (term, word) for each word of the field in them."""
        searcher = self._opened.searcher
        ids = [stored_id(searcher, address) for _, address in searcher.search(query, count, count=False).hits]
        listing = self._db.all_docs(keys=ids, include_docs=True)["rows"] if ids else []
        entries = self._opened.source.texts([row["doc"] for row in listing if row.get("doc")])
        return ids, (
            (term.text, self._word(text, term))
            for entry in entries
            for text in entry.texts.get(self.field, ())
            for term in self.analyzer.terms(text)
        )

    def _word(self, text: str, term: Term) -> str:
        # Terms that are not stems are words already.
        return trimmed(text[term.start : term.end]).lower() if self.analyzer.stems else term.text

    def words_of(self, term: str) -> Counter[str]:
        """Return the words of a term, as often as some documents have them."""
        if not self.analyzer.stems:
            return Counter([term])
        _, found = self.words(self.asked.term(self.field, term), SAMPLE)
        return Counter(word for each, word in found if each == term)

    def word_of(self, term: str, prefix: str) -> str | None:
        """Return the most frequent word of a term, of those with the prefix; None if there is none."""
        words = Counter({word: count for word, count in self.words_of(term).items() if word.startswith(prefix)})
        return min(words, key=lambda word: (-words[word], word)) if words else None


def completions(db: SyncPouchDB, opened: Opened, prefix: str, field: str, limit: int) -> Record:
    """Return ``{"completions": [{"text", "count"}]}``: words of a field with a prefix, the most frequent first."""
    wording = _Wording(db, opened, field)
    asked, analyzer = wording.asked, wording.analyzer
    beginning = analyzer.folded(prefix)
    terms = dict(asked.terms_of(field, beginning, limit if not analyzer.stems else 3 * limit))
    if analyzer.stems and beginning:
        # A stem may be shorter than the typed part of its word.
        shorter = {beginning[:length] for length in range(2, len(beginning))} | set(analyzer.words(prefix))
        terms.update({term: count for term in shorter if (count := asked.frequency(field, term))})
    found: dict[str, int] = {}
    for term, count in sorted(terms.items(), key=lambda each: (-each[1], each[0])):
        word = wording.word_of(term, beginning)
        if word is not None:
            found[word] = found.get(word, 0) + count
        if len(found) == limit:
            break
    ordered = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    return Record(completions=[Record(text=word, count=count) for word, count in ordered])


def suggestions(db: SyncPouchDB, opened: Opened, text: str, field: str, limit: int) -> Record:
    """Return ``{"text", "words": [{"word", "suggestions": [{"text", "distance", "count"}]}]}``.

    ``text`` is the query with the best suggestion for each word that no document has.
    """
    wording = _Wording(db, opened, field)
    parts, words, reached = [], [], 0
    for term in wording.analyzer.terms(text):
        if wording.asked.frequency(field, term.text):
            continue
        word = text[term.start : term.end]
        found = _alternatives(wording, term.text, word, limit)
        words.append(Record(word=word, suggestions=found))
        if found:
            parts += [text[reached : term.start], found[0]["text"]]
            reached = term.end
    return Record(text="".join([*parts, text[reached:]]), words=words)


def _alternatives(wording: _Wording, term: str, word: str, limit: int) -> list[Record]:
    """Return words near a misspelt one; ``term`` is its term from the analyzer."""
    asked, field = wording.asked, wording.field
    whole = wording.analyzer.folded(word)
    terms: dict[str, int] = {}
    for distance in (1, 2):
        # A short word with two changes is another word.
        if (terms and not wording.analyzer.stems) or distance >= len(term):
            break
        for near in _near(wording, term, distance):
            terms.setdefault(near, distance)
    if wording.analyzer.stems:
        # A stem may be much shorter than its words, and therefore than the misspelt one.
        beginnings = {whole[:length] for length in range(3, len(whole))}
        terms.update({each: FAR for each in beginnings if each not in terms and asked.frequency(field, each)})
    found: dict[str, tuple[int, int]] = {}
    for each, away in terms.items():
        count = asked.frequency(field, each)
        for known in wording.words_of(each):
            distance = next((most for most in (1, 2) if is_near(known, whole, most)), FAR)
            if min(distance, away) < FAR:
                found[known] = (distance, count)
    best = sorted(found, key=lambda known: (found[known][0], -found[known][1], known))[:limit]
    return [Record(text=known, distance=found[known][0], count=found[known][1]) for known in best]


def _near(wording: _Wording, term: str, distance: int) -> Sequence[str]:
    """Return the terms of a field within this many changes: each search leaves out those found before."""
    asked, field = wording.asked, wording.field
    found: list[str] = []
    query = asked.near(field, term, distance)
    without: list[tuple[Any, Any]] = []
    while len(found) < CANDIDATES:
        ids, words = wording.words(tantivy.Query.boolean_query([(MUST, query), *without]), CANDIDATES)
        if not ids:
            break
        new = {each for each, _ in words if each not in found and is_near(each, term, distance)}
        found += sorted(new)
        without += [(NOT, asked.term(field, each)) for each in new]
        if not new:
            # Documents that have changed since: they do not have these words any more.
            without += [(NOT, tantivy.Query.term_query(asked.schema, "id", id)) for id in ids]
    return found


def checked(name: str, value: Any) -> str:
    """Return an option that is a string. Raises QueryParseError."""
    if not isinstance(value, str) or not value.strip():
        raise invalid(name, value, "a string that is not empty")
    return value
