"""Text to terms. Each analyzer yields terms with the places of their words, so that hits can be highlighted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import snowballstemmer  # type: ignore[import-untyped]  # it has none
import tantivy

from pouchdb_core.errors import BadRequest

__all__ = ["ORIGINAL", "Analyzer", "Term", "analyzer_of", "analyzers_of", "known_analyzers"]


class Term(NamedTuple):
    """A term, and where its word is in the text."""

    text: str
    start: int
    end: int


Filter = Callable[[str], str | None]
"""Turns a word into its term, None to drop it."""

# The words that pouchdb-search (lunr 0.4) drops.
ORIGINAL_STOP_WORDS = frozenset(
    """a able about across after all almost also am among an and any are as at be because been but by can cannot could
    dear did do does either else ever every for from get got had has have he her hers him his how however i if in into
    is it its just least let like likely may me might most must my neither no nor not of off often on only or other our
    own rather said say says she should since so some than that the their them then there these they this tis to too
    twas us wants was we were what when where which while who whom why will with would yet you your""".split()
)
STANDARD_STOP_WORDS = frozenset(
    """a an and are as at be but by for if in into is it no not of on or such that the their then there these they this
    to was will with""".split()
)

_WORDS = re.compile(r"\w+(?:[.'’]\w+)*")
_LETTERS = re.compile(r"[^\W\d_]+")
_BLANKS = re.compile(r"\S+")
_EMAILS = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+|\w+(?:[.'’]\w+)*")
_ENDS = re.compile(r"\A\W+|\W+\Z")

LANGUAGES = frozenset(
    """arabic danish dutch english finnish french german greek hungarian italian norwegian portuguese romanian russian
    spanish swedish turkish""".split()
)
_STOPPED = frozenset(
    "danish dutch english finnish french german hungarian italian norwegian portuguese russian spanish swedish".split()
)
REFUSED = frozenset(
    """armenian basque bulgarian brazilian catalan chinese cjk czech galician hindi indonesian irish japanese latvian
    persian polish thai""".split()
)
_SIMPLE = frozenset("keyword simple whitespace standard classic email simple_asciifolding".split())


class Analyzer:
    """Splits text by a pattern (None: the whole text is one word), then filters each word."""

    def __init__(self, name: str, pattern: re.Pattern[str] | None, word: Filter, *, lowers: bool = True) -> None:
        self.name = name
        self._pattern = pattern
        self._word = lru_cache(maxsize=50_000)(word)
        self._lowers = lowers

    def terms(self, text: str) -> Iterator[Term]:
        """Yield the terms of a text."""
        if self._pattern is None:
            if text:
                yield Term(text, 0, len(text))
            return
        for found in self._pattern.finditer(text):
            term = self._word(found[0])
            if term:
                yield Term(term, found.start(), found.end())

    def words(self, text: str) -> list[str]:
        """Return the terms alone."""
        return [term.text for term in self.terms(text)]

    def folded(self, text: str) -> str:
        """Return part of a word, as of a wildcard, in the case that terms have."""
        return text.lower() if self._lowers else text


_porter = snowballstemmer.stemmer("porter")


def _original(word: str) -> str | None:
    word = _ENDS.sub("", word).lower()
    if not word or word in ORIGINAL_STOP_WORDS:
        return None
    return str(_porter.stemWord(word))


ORIGINAL = Analyzer("original", _BLANKS, _original)
"""What pouchdb-search does, but that letters beyond ASCII are letters."""


def _fold(word: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))


def _stopped(stop: frozenset[str]) -> Filter:
    def apply(word: str) -> str | None:
        word = word.lower()
        return None if word in stop else word

    return apply


def _language(name: str, stop: frozenset[str] | None) -> Filter:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.lowercase())
    if stop is None and name in _STOPPED:
        builder = builder.filter(tantivy.Filter.stopword(name))
    analyzer = builder.filter(tantivy.Filter.stemmer(name)).build()

    def apply(word: str) -> str | None:
        if stop is not None and word.lower() in stop:
            return None
        found = analyzer.analyze(word)
        return found[0] if found else None

    return apply


def known_analyzers() -> list[str]:
    """Return the names of the analyzers there are."""
    return sorted(_SIMPLE | LANGUAGES)


def analyzer_of(given: Any) -> Analyzer:
    """Return the analyzer that a name or ``{"name", "stopwords"}`` says. Raises BadRequest."""
    name, stop = given, None
    if isinstance(given, Mapping):
        name = given.get("name")
        words = given.get("stopwords")
        if words is not None:
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise BadRequest(f"stopwords must be a list of words, not {words!r}")
            stop = frozenset(word.lower() for word in words)
    if not isinstance(name, str):
        raise BadRequest(f"an analyzer is a name, or an object with one, not {given!r}")
    if name in REFUSED:
        raise BadRequest(f"the analyzer {name!r} is not supported here; there are: {', '.join(known_analyzers())}")
    return _made(name, stop)


@lru_cache(maxsize=100)
def _made(name: str, stop: frozenset[str] | None) -> Analyzer:
    if name in ("keyword", "simple", "whitespace") and stop is not None:
        raise BadRequest(f"the analyzer {name!r} takes no stopwords")
    if name == "keyword":
        return Analyzer(name, None, lambda word: word, lowers=False)
    if name == "whitespace":
        return Analyzer(name, _BLANKS, lambda word: word, lowers=False)
    if name == "simple":
        return Analyzer(name, _LETTERS, str.lower)
    if name == "simple_asciifolding":
        return Analyzer(name, _LETTERS, lambda word: _fold(word.lower()))
    if name in ("standard", "classic"):
        return Analyzer(name, _WORDS, _stopped(STANDARD_STOP_WORDS if stop is None else stop))
    if name == "email":
        return Analyzer(name, _EMAILS, _stopped(STANDARD_STOP_WORDS if stop is None else stop))
    if name in LANGUAGES:
        return Analyzer(name, _WORDS, _language(name, stop))
    raise BadRequest(f"there is no analyzer {name!r}; there are: {', '.join(known_analyzers())}")


def analyzers_of(given: Any, fields: Mapping[str, Any] | None = None) -> Callable[[str], Analyzer]:
    """Return which analyzer a field has: of ``{"name": "perfield", "default", "fields"}``, or Nouveau's ``fields``."""
    if isinstance(given, Mapping) and given.get("name") == "perfield":
        fields, given = given.get("fields") or {}, given.get("default", "standard")
    default = analyzer_of(given)
    own = {name: analyzer_of(each) for name, each in (fields or {}).items()}
    return lambda field: own.get(field, default)
