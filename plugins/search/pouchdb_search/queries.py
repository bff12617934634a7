"""Parts of queries: terms, patterns and phrases of a field for tantivy; pouchdb-search's plain words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import tantivy

from pouchdb_core.errors import BadRequest
from pouchdb_search.analysis import Analyzer, analyzer_of
from pouchdb_search.regexps import ANY, Matcher, escaped, regexp
from pouchdb_search.schema import DEFAULT, given, prefixed, stored
from pouchdb_search.sloppy import Reader, within
from pouchdb_search.text_index import Names
from pouchdb_search.text_ranges import TextRange, range_pattern

__all__ = ["DEFAULT", "MUST", "NOT", "SHOULD", "Asked", "everything", "is_near", "original", "quoted"]

EXPANSIONS = 200
"""How many terms, the most frequent, a prefix in the original's queries expands to, each with its own weight."""
PLACEMENTS = 1000
"""How many placements of the words of a phrase with slop are searched one by one."""
WAYS = 12
"""How many ways to change a word are one regular expression: tantivy allows it a thousand states."""
LIKENESS = 0.5
"""What each letter less that is changed adds to the score of a fuzzy query's hit."""
MUST, SHOULD, NOT = tantivy.Occur.Must, tantivy.Occur.Should, tantivy.Occur.MustNot


class Asked:
    """The context of compiling a query, and the terms it searches for, for highlights."""

    def __init__(
        self, schema: Any, index: Any, searcher: Any, analyzer: Callable[[str], Analyzer], names: Names
    ) -> None:
        self.schema, self.index, self.searcher, self.names = schema, index, searcher, names
        self._analyzer = analyzer
        self.read: Callable[[], Reader] | None = None
        """Returns what reads documents again, for phrases with much slop."""
        self.tests: dict[str, list[Callable[[str], bool]]] = {}
        """By field: whether a term of it is one that was searched for."""
        self.phrases: dict[str, list[tuple[Sequence[tuple[int, str]], int]]] = {}
        """By field: the phrases that were searched for, as words with their places, and the slop."""

    def analyzer(self, name: str) -> Analyzer:
        """Return the analyzer of a field: values that Nouveau calls strings have none."""
        return analyzer_of("keyword") if name in self.names.strings else self._analyzer(name)

    @contextmanager
    def unmarked(self) -> Iterator[None]:
        """Terms added in the block are not highlighted: they must not be found."""
        tests, phrases = ({name: [*each] for name, each in kept.items()} for kept in (self.tests, self.phrases))
        yield
        self.tests, self.phrases = tests, phrases

    def marks(self, name: str, test: Callable[[str], bool]) -> None:
        """Highlight the terms of a field that pass a test."""
        self.tests.setdefault(name, []).append(test)

    def _bucket(self, name: str) -> str:
        return self.names.slots.bucket(name)

    def _boosts(self, name: str) -> list[float]:
        return self.names.boosts.get(name) or [1.0]

    def value(self, field: str, value: float | str) -> Any:
        """Return a query for a value of a field of objects: a number of ``"n.6162"``, a string of ``"s.6162"``."""
        try:
            return tantivy.Query.term_query(self.schema, field, value)
        except ValueError:
            # Before tantivy 0.27, which needs Python 3.11, only its query language knows fields of objects.
            return self.index.parse_query(quoted(field, value))

    def weighed(self, name: str, words: Sequence[str], made: Callable[[float], Any]) -> Any:
        """Return a query for words of a field, indexed with any boost; ``made`` makes that for one boost.

        Tantivy treats a word as rare if few documents have it with one boost: this is corrected here.
        """
        boosts = self._boosts(name)
        if boosts == [1.0]:
            return made(1.0)
        field, parts = self._bucket(name), []
        for boost in boosts:
            weight = boost
            for word in words:
                every = [self.searcher.doc_freq(field, prefixed(name, word, each)) for each in boosts]
                own = self.searcher.doc_freq(field, prefixed(name, word, boost))
                weight *= (self._idf(sum(every)) / self._idf(own)) ** (1 / len(words))
            parts.append((SHOULD, tantivy.Query.boost_query(made(boost), weight)))
        return tantivy.Query.boolean_query(parts)

    def _idf(self, frequency: int) -> float:
        count = self.searcher.num_docs
        frequency = min(frequency, count)
        return math.log(1 + (count - frequency + 0.5) / (frequency + 0.5))

    def term(self, name: str, term: str) -> Any:
        """Return a query for one term."""
        self.marks(name, term.__eq__)
        return self.weighed(name, (term,), partial(self._own_term, name, term))

    def _own_term(self, name: str, term: str, boost: float) -> Any:
        return tantivy.Query.term_query(self.schema, self._bucket(name), prefixed(name, term, boost))

    def pattern(self, name: str, regex: str, *, shown: str) -> Any:
        """Return a query for terms that match a regular expression of tantivy's, as they are stored. Raises BadRequest.

        ``shown`` is what the user wrote, for errors.
        """
        self.marks(name, Matcher(regex, shown))

        def made(boost: float) -> Any:
            pattern = f"{prefixed(name, '', boost)}({regex})"
            return tantivy.Query.regex_query(self.schema, self._bucket(name), pattern)

        try:
            return self.weighed(name, [], made)
        except ValueError as error:
            raise BadRequest(f"the pattern {shown} is too complex to search for: {error}") from error

    def between(self, name: str, span: TextRange, *, shown: str) -> Any:
        """Return a query for terms in a range, whose ends are folded; ``shown`` is what the user wrote.

        Raises BadRequest for long ends that tantivy cannot read.
        """
        there = span.stored()
        if there.empty:
            return tantivy.Query.empty_query()
        if not there.readable:
            regex = range_pattern(there.low, there.high, there.with_low, there.with_high)
            assert regex is not None, "the range is not empty"
            return self.pattern(name, regex, shown=shown)
        self.marks(name, span.has)
        field = self._bucket(name)
        return self.weighed(
            name, [], lambda boost: self.index.parse_query(f"{field}:{there.text(prefixed(name, '', boost))}")
        )

    def regexp(self, name: str, text: str) -> Any:
        """Return a query for terms that match a regular expression of Lucene's. Raises BadRequest."""
        return self.pattern(name, regexp(text, self.analyzer(name).folded), shown=f"/{text}/")

    def wildcard(self, name: str, parts: Sequence[str]) -> Any:
        """Return a query for terms: every second part is a ``*`` or ``?``, the others are text."""
        meant = {"*": f"{ANY}*", "?": ANY}
        regex = "".join(meant[part] if place % 2 else escaped(stored(part)) for place, part in enumerate(parts))
        return self.pattern(name, regex, shown=repr("".join(parts)))

    def phrase(self, name: str, words: Sequence[str | None], slop: int) -> Any:
        """Return a query for words at their positions, None where any word may be; None without words.

        ``slop`` is Lucene's: how far the words may be moved, in total, from their positions in the phrase.
        """
        placed = [(place, word) for place, word in enumerate(words) if word is not None]
        if not placed:
            return None
        if len(placed) == 1:
            return self.term(name, placed[0][1])
        self.phrases.setdefault(name, []).append((placed, slop))
        ways = _placements([place for place, _ in placed], slop)
        if ways is None and self.read is not None:
            with self.unmarked():
                every = tantivy.Query.boolean_query([(MUST, self.term(name, word)) for _, word in placed])
            query = within(self.searcher, self.schema, self.read(), every, name, placed, slop)
            if query is not None:
                return query

        def made(boost: float) -> Any:
            terms = [prefixed(name, word, boost) for _, word in placed]
            if ways is None:
                return tantivy.Query.phrase_query(self.schema, self._bucket(name), [*terms], slop)
            each = []
            for way, moved in ways:
                query = tantivy.Query.phrase_query(self.schema, self._bucket(name), list(zip(way, terms, strict=True)))
                each.append(tantivy.Query.boost_query(query, 1 / (1 + moved)) if moved else query)
            # One document has the words in several of these ways: the best one is used.
            return each[0] if len(each) == 1 else tantivy.Query.disjunction_max_query(each)

        return self.weighed(name, [word for _, word in placed], made)

    def near(self, name: str, word: str, distance: int) -> Any:
        """Return a query for terms with at most this many letters changed; nearer ones score higher.

        As in Lucene, fewer letters must be changed than either word has: ``ab~2`` does not find ``cd``.
        """
        distance = min(distance, len(word) - 1)
        if distance <= 0:
            return self.term(name, word)
        self.marks(name, lambda found: _is_like(found, word, distance))

        def made(boost: float) -> Any:
            # Each of these also finds the nearer ones: their scores add up.
            each = [self._changed(name, word, least, boost) for least in range(1, distance + 1)]
            return tantivy.Query.boolean_query([(SHOULD, query) for query in each])

        changed = tantivy.Query.boost_query(self.weighed(name, [], made), LIKENESS)
        # The word itself counts as it does without a ``~``, and more than those like it.
        return tantivy.Query.boolean_query([(SHOULD, self.term(name, word)), (SHOULD, changed)])

    def _changed(self, name: str, word: str, distance: int, boost: float) -> Any:
        if len(word) > 2 * distance:
            term = prefixed(name, word, boost)
            return tantivy.Query.fuzzy_term_query(self.schema, self._bucket(name), term, distance=distance)
        # Terms that are too short must be left out: each way to change the word is written down.
        begin, field = prefixed(name, "", boost), self._bucket(name)
        ways = [
            "".join(ANY if each is None else escaped(stored(each)) for each in way) for way in _ways(word, distance)
        ]
        queries = [
            tantivy.Query.regex_query(self.schema, field, f"{begin}({'|'.join(ways[place : place + WAYS])})")
            for place in range(0, len(ways), WAYS)
        ]
        return queries[0] if len(queries) == 1 else tantivy.Query.disjunction_max_query(queries)

    def terms_of(self, name: str, prefix: str = "", limit: int | None = None) -> list[tuple[str, int]]:
        """Return the terms of a field with a prefix, with how many documents have each, the most frequent first."""
        counts: dict[str, int] = {}
        for boost in self._boosts(name):
            length = len(prefixed(name, "", boost))
            for term, count in self.searcher.terms_with_prefix(
                self._bucket(name), prefixed(name, prefix, boost), limit=limit
            ):
                word = given(term[length:])
                counts[word] = counts.get(word, 0) + count
        found = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
        return found if limit is None else found[:limit]

    def frequency(self, name: str, term: str) -> int:
        """Return the number of documents that have a term."""
        field = self._bucket(name)
        return sum(self.searcher.doc_freq(field, prefixed(name, term, boost)) for boost in self._boosts(name))


def _placements(places: Sequence[int], slop: int) -> list[tuple[tuple[int, ...], int]] | None:
    """Return all placements that a sloppy phrase allows, and how far each moves words; None if there are too many.

    Lucene subtracts each word's position in the phrase from that in the text: the results may differ by the slop.
    """
    count = len(places)
    if (slop + 1) ** count - slop**count > PLACEMENTS:
        return None
    found = []
    for moves in itertools.product(range(slop + 1), repeat=count):
        if min(moves) != 0:
            continue
        way = [place + move for place, move in zip(places, moves, strict=True)]
        if len(set(way)) == count:
            least = min(way)
            found.append((tuple(each - least for each in way), max(moves)))
    return found


def quoted(field: str, value: float | str) -> str:
    """Return a query for a value of a field in tantivy's query language."""
    text = value.replace("\\", "\\\\").replace('"', '\\"') if isinstance(value, str) else repr(value)
    return f'{field}:"{text}"'


def everything(schema: Any) -> Any:
    """Return the query that matches every document."""
    return tantivy.Query.term_query(schema, "kind", "doc")


def original(asked: Asked, text: str) -> Any:
    """Compile a query as pouchdb-search reads it: all words, each also as a prefix, in one field.

    The text before the first colon is the field, the text up to the next one the words.
    """
    name, words = DEFAULT, text
    if ":" in text:
        name, words = text.split(":")[:2]
    terms = asked.analyzer(name).words(words)
    parts = []
    for term in terms:
        expansions = []
        for found, _ in asked.terms_of(name, term, EXPANSIONS):
            weight = 1.0 if found == term else 1 / math.log(max(3, len(found) - len(term)))
            expansions.append((SHOULD, tantivy.Query.boost_query(asked.term(name, found), weight)))
        if not expansions:
            return tantivy.Query.empty_query()
        if len(expansions) == EXPANSIONS:
            # The rarer ones together: found, and ranked last.
            expansions.append((SHOULD, tantivy.Query.boost_query(asked.wildcard(name, [term, "*"]), 1e-3)))
        parts.append((MUST, tantivy.Query.boolean_query(expansions)))
    return tantivy.Query.boolean_query(parts) if parts else tantivy.Query.empty_query()


def _changes(word: str, place: int, most: int) -> Iterator[tuple[tuple[str | None, ...], int]]:
    """Yield the ways to change a word from a place on, with the number of changes; None is any letter."""
    rest = len(word) - place
    if rest == 0:
        yield (), 0
    else:
        for way, count in _changes(word, place + 1, most):
            yield (word[place], *way), count
    if most:
        # What stands for the letters from here on, and how many those are: added, replaced, dropped, swapped.
        edits: list[tuple[tuple[str | None, ...], int]] = [((None,), 0), ((None,), 1), ((), 1)]
        if rest > 1:
            edits.append(((word[place + 1], word[place]), 2))
        for begin, used in edits:
            if used <= rest:
                for way, count in _changes(word, place + used, most - 1):
                    yield (*begin, *way), count + 1


def _ways(word: str, distance: int) -> list[tuple[str | None, ...]]:
    """Return the ways to change a word that leave a term long enough, without those that others cover."""
    every = {way for way, count in _changes(word, 0, distance) if count < min(len(way), len(word))}

    def covers(one: tuple[str | None, ...], other: tuple[str | None, ...]) -> bool:
        return len(one) == len(other) and all(a is None or a == b for a, b in zip(one, other, strict=True))

    kept = [way for way in every if not any(other != way and covers(other, way) for other in every)]
    return sorted(kept, key=repr)


def _is_like(found: str, word: str, most: int) -> bool:
    """Whether a fuzzy query for a word finds a term."""
    return is_near(found, word, min(most, len(found) - 1, len(word) - 1))


def is_near(left: str, right: str, most: int) -> bool:
    """Whether two words differ by at most this many letters added, dropped, changed or swapped."""
    if abs(len(left) - len(right)) > most:
        return False
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1] <= most
