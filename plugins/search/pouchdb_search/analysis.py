"""Text to terms. Each analyzer yields terms with the positions of their words, so that hits can be highlighted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import tantivy

from pouchdb_core.errors import BadRequest
from pouchdb_core.safe_repr import safe_repr
from pouchdb_search import tokens
from pouchdb_search.emails import Emails
from pouchdb_search.stop_words import dropped_in
from pouchdb_search.tokens import Tokenizer

__all__ = ["ORIGINAL", "Analyzer", "Term", "analyzer_of", "analyzers_of", "known_analyzers", "porter", "trimmed"]


class Term(NamedTuple):
    """A term, and the position of its word in the text."""

    text: str
    start: int
    end: int


Filter = Callable[[str], str | None]
"""Turns a word into its term, or None to drop it."""

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
CJK_STOP_WORDS = STANDARD_STOP_WORDS - {"an"} | {"s", "t", "www"}

_CORE = re.compile(r"\w(?:.*\w)?", re.DOTALL)
_ELIDED = {
    language: re.compile(rf"\A(?:{'|'.join(articles.split())})['’](?=\w)", re.IGNORECASE)
    for language, articles in {
        "french": "l m t qu n s j d c jusqu quoiqu lorsqu puisqu",
        "italian": "c l all dall dell nell sull coll pell gl agl dagl degl negl sugl un m t s v d",
        "catalan": "d l m n s t",
        "irish": "d m b",
    }.items()
}
"""Articles and the like that are joined to the next word by an apostrophe."""

LANGUAGES = frozenset(
    """arabic armenian basque catalan danish dutch english finnish french german greek hindi hungarian indonesian irish
    italian norwegian portuguese romanian russian spanish swedish turkish""".split()
)
_STOPPED = frozenset(
    "danish dutch finnish german hungarian italian norwegian portuguese russian spanish swedish".split()
)
_SNOWBALL = frozenset("armenian basque catalan hindi indonesian irish".split())
"""Stemmed by snowballstemmer: tantivy has no stemmer for these."""
REFUSED = frozenset("bulgarian brazilian chinese czech galician japanese latvian persian polish thai".split())
_SIMPLE = frozenset("keyword simple whitespace standard classic email simple_asciifolding cjk".split())
KEPT = 100_000
"""Words whose terms an analyzer remembers."""


def _lowered(text: str) -> str:
    """Return text in lower case, each letter by itself as in Java: a dotted I is an i, and no sigma is final."""
    return text.replace("\u0130", "i").replace("\u03a3", "\u03c3").lower()


class _Terms(dict[str, str | None]):
    """The terms of words, None for those that are dropped: a word is analyzed once, while it is remembered."""

    def __init__(self, word: Filter) -> None:
        super().__init__()
        self._word = word

    def __missing__(self, word: str) -> str | None:
        if len(self) >= KEPT:
            self.clear()
        term = self[word] = self._word(word) or None
        return term


class Analyzer:
    """Splits text by a tokenizer (None: the whole text is one word), then filters each word."""

    def __init__(
        self, name: str, tokenizer: Tokenizer | None, word: Filter, *, normal: Callable[[str], str] = _lowered
    ) -> None:
        self.name = name
        self.stems = name == "original" or name in LANGUAGES
        """Whether terms are stems: other than the words they stand for."""
        self.whole = tokenizer is None
        """Whether a whole text is one term."""
        self.whole = tokenizer is None
        """Whether a text is one term, as it is."""
        self.term = word
        """Turns a word into its term, or None to drop it."""
        self._tokenizer = tokenizer
        self._term = _Terms(word).__getitem__
        self.folded = normal
        """Turns part of a word, as of a wildcard, into the form that terms have, without stemming."""

    def terms(self, text: str) -> Iterator[Term]:
        """Yield the terms of a text."""
        if self._tokenizer is None:
            if text:
                yield Term(text, 0, len(text))
            return
        for start, end in self._tokenizer.spans(text):
            term = self._term(text[start:end])
            if term:
                yield Term(term, start, end)

    def split(self, text: str) -> list[str]:
        """Return the words of a text, before they become terms."""
        return self._tokenizer.words(text) if self._tokenizer is not None else [text] if text else []

    def spaced(self, text: str) -> list[str | None]:
        """Return the terms, and None where a word was dropped: its position separates its neighbours."""
        if self._tokenizer is None:
            return [text] if text else []
        return list(map(self._term, self._tokenizer.words(text)))

    def words(self, text: str) -> list[str]:
        """Return the terms alone."""
        return [term for term in self.spaced(text) if term]


@cache
def _stemmer(name: str) -> Any:
    # It brings the rules of thirty languages, which take more time to import than the rest of the plug-in.
    import snowballstemmer  # type: ignore[import-untyped]  # it has none

    return snowballstemmer.stemmer(name)


# Two later rules of Porter's, not in his first paper, that lunr and Lucene have: where the stem has a measure, "bli" is
# "ble" and "logi" is "log". The words that these rules meet, after the rules for plurals, -ed, -ing and -y.
_LATER = re.compile(
    r"((?:[^aeiou][^aeiouy]*|(?!y))[aeiouy][aeiou]*[^aeiou].*)(bl|log)(?:ies|[yi](?:s|eds?|ings?)?)\Z", re.DOTALL
)


@lru_cache(maxsize=KEPT)
def porter(word: str) -> str:
    """Return the stem of a word as in lunr's Porter stemmer: words shorter than three letters are unchanged."""
    if len(word) < 3:
        return word
    later = _LATER.match(word)
    if later is not None:
        word = f"{later[1]}ble" if later[2] == "bl" else f"{later[1]}log"
    return str(_stemmer("porter").stemWord(word))


def trimmed(word: str) -> str:
    """Return a word without the signs before and behind it."""
    # What a run of signs is removed by must not look for its end from each of them.
    found = _CORE.search(word)
    return found[0] if found else ""


def _original(word: str) -> str | None:
    word = trimmed(word).lower()
    if not word or word in ORIGINAL_STOP_WORDS:
        return None
    return porter(word)


ORIGINAL = Analyzer("original", tokens.Pattern(tokens.BLANKS), _original)
"""The analyzer of pouchdb-search, except that letters beyond ASCII are letters."""


def _fold(word: str) -> str:
    return _lowered(word).translate(_ascii_letters())


@cache
def _ascii_letters() -> dict[int, str]:
    """Return what letters, in lower case, are in ASCII, as by Lucene's ASCIIFoldingFilter."""
    lines = files(__package__).joinpath("words/ascii_letters.txt").read_text(encoding="utf-8").splitlines()
    return {ord(letter): line.split()[0] for line in lines for letter in line.split()[1]}


def _stopped(stop: frozenset[str]) -> Filter:
    def apply(word: str) -> str | None:
        word = _lowered(word)
        return None if word in stop else word

    return apply


def _classic(stop: frozenset[str]) -> Filter:
    def apply(word: str) -> str | None:
        if word.endswith("."):
            # An acronym, or a name of several words whose last dot ends the sentence.
            word = word.replace(".", "") if _ACRONYM.match(word) else word[:-1]
        elif "'" in word:
            word = re.sub(r"'[sS]\Z", "", word)
        word = _lowered(word)
        return None if word in stop else word

    return apply


_ACRONYM = re.compile(r"(?:[^\W\d_]\.)+\Z")


def _wide(stop: frozenset[str]) -> Filter:
    def apply(word: str) -> str | None:
        word = _lowered(_WIDTHS.sub(lambda found: unicodedata.normalize("NFKC", found[0]), word))
        return None if word in stop else word

    return apply


_WIDTHS = re.compile("[\uff01-\uff5e\uff65-\uff9f]+")


def _english(stop: frozenset[str]) -> Filter:
    def apply(word: str) -> str | None:
        word = re.sub(r"['’]s\Z", "", _lowered(word))
        return None if word in stop else porter(word)

    return apply


def _stem(name: str, stops: bool) -> Filter:
    """Return what stems words of a language; ``stops``: drops its stop words if tantivy has any."""
    if name in _SNOWBALL:
        stem: Filter = _stemmer(name).stemWord
        return stem
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.raw()).filter(tantivy.Filter.lowercase())
    if stops and name in _STOPPED:
        builder = builder.filter(tantivy.Filter.stopword(name))
    analyze = builder.filter(tantivy.Filter.stemmer(name)).build().analyze

    def apply(word: str) -> str | None:
        found = analyze(word)
        return found[0] if found else None

    return apply


def _language(name: str, stop: frozenset[str] | None) -> Filter:
    if name == "english":
        return _english(STANDARD_STOP_WORDS if stop is None else stop)
    elided, stem = _ELIDED.get(name), _stem(name, stop is None)
    dropped = dropped_in(name) if stop is None else stop.__contains__
    lower = _turkish if name == "turkish" else _lowered

    def apply(word: str) -> str | None:
        word = lower(word)
        if elided is not None:
            word = elided.sub("", word)
        return None if dropped is not None and dropped(word) else stem(word)

    return apply


def _turkish(word: str) -> str:
    """Return a word in lower case by Turkish rules, without what follows an apostrophe."""
    return re.sub(r"['’].*", "", word).replace("I", "ı").replace("\u0130", "i").lower()


def known_analyzers() -> list[str]:
    """Return the names of the existing analyzers."""
    return sorted(_SIMPLE | LANGUAGES)


def analyzer_of(given: Any) -> Analyzer:
    """Return the analyzer for a name or ``{"name", "stopwords"}``. Raises BadRequest."""
    name, stop = given, None
    if isinstance(given, Mapping):
        name = given.get("name")
        words = given.get("stopwords")
        if words is not None:
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise BadRequest(f"stopwords must be a list of words, not {safe_repr(words)}")
            stop = frozenset(word.lower() for word in words)
    if not isinstance(name, str):
        raise BadRequest(f"an analyzer must be a name, or an object with a name, not {safe_repr(given)}")
    if name in REFUSED:
        raise BadRequest(f"the analyzer {name!r} is not supported here; there are: {', '.join(known_analyzers())}")
    return _made(name, stop)


@lru_cache(maxsize=100)
def _made(name: str, stop: frozenset[str] | None) -> Analyzer:
    if name in ("keyword", "simple", "whitespace", "simple_asciifolding") and stop is not None:
        raise BadRequest(f"the analyzer {safe_repr(name)} takes no stopwords")
    usual = STANDARD_STOP_WORDS if stop is None else stop
    if name == "keyword":
        return Analyzer(name, None, str, normal=str)
    if name == "whitespace":
        return Analyzer(name, tokens.Unblanked, str, normal=str)
    if name == "simple":
        return Analyzer(name, tokens.Letters(), _lowered)
    if name == "simple_asciifolding":
        return Analyzer(name, tokens.Letters(), _fold, normal=_fold)
    if name == "standard":
        return Analyzer(name, tokens.Standard(), _stopped(usual))
    if name == "classic":
        return Analyzer(name, tokens.Classic(), _classic(usual))
    if name == "email":
        return Analyzer(name, Emails(), _stopped(usual))
    if name == "cjk":
        return Analyzer(name, tokens.Pairs(), _wide(CJK_STOP_WORDS if stop is None else stop))
    if name in LANGUAGES:
        return Analyzer(name, tokens.Standard(), _language(name, stop))
    raise BadRequest(f"there is no analyzer {safe_repr(name)}; there are: {', '.join(known_analyzers())}")


def analyzers_of(given: Any, fields: Mapping[str, Any] | None = None) -> Callable[[str], Analyzer]:
    """Return the analyzers of fields, from ``{"name": "perfield", "default", "fields"}``, or Nouveau's ``fields``.

    Raises BadRequest.
    """
    if isinstance(given, Mapping) and given.get("name") == "perfield":
        fields, given = given.get("fields"), given.get("default", "standard")
    if fields is not None and not isinstance(fields, Mapping):
        raise BadRequest(f"fields must be an object with an analyzer for each field, not {safe_repr(fields)}")
    default = analyzer_of(given)
    own = {name: analyzer_of(each) for name, each in (fields or {}).items()}
    return lambda field: own.get(field, default)
