"""The positions of words in a text: the tokenizers of the analyzers.

``Standard`` follows the word boundaries of Unicode (UAX 29), as Lucene's does: ``renovations.com`` and ``1,000`` are
one word, ``a/1`` is two, and of Chinese and Japanese each character is one. ``Classic`` has the rules of Lucene's older
one. They were compared with Lucene 4.10 by thousands of random texts.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Protocol

__all__ = [
    "BEGINNING",
    "BLANKS",
    "Classic",
    "Letters",
    "Pairs",
    "Pattern",
    "Standard",
    "Tokenizer",
    "Unblanked",
    "longest",
    "standard_words",
]

BLANKS = re.compile(r"\S+")


class Tokenizer(Protocol):
    """Finds words."""

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the beginning and end of each word."""

    def words(self, text: str) -> list[str]:
        """Return the words."""


class Pattern:
    """Finds what a regular expression without groups matches."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern
        self.words = pattern.findall

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the beginning and end of each word."""
        for found in self._pattern.finditer(text):
            yield found.span()


# -- characters --------------------------------------------------------------------------------------

_HAN = (
    "\u2e80-\u2e99\u2e9b-\u2ef3\u2f00-\u2fd5\u3007\u3021-\u3029\u3038-\u303a\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_HIRAGANA = "\u3041-\u3096\u309d-\u309f"
_KATAKANA = "\u3031-\u3035\u309b\u309c\u30a0-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u32d0-\u32fe\u3300-\u3357\uff66-\uff9d"
# Half as wide, and written behind the letter.
_VOICED = "\uff9e\uff9f"
# The closing mark, which Unicode calls a letter.
_CLOSING = "\u3006"
_HANGUL = "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff\uffa0-\uffdc"
# Thai, Lao, Burmese, Khmer: words are not separated there, and a run is one.
_RUNS = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecf\u0edc-\u0edf\u1000-\u103f\u1050-\u108f\u109a-\u109f\u1780-\u17d3\u17d7"
    "\u17dc"
)
_HEBREW = "\u05d0-\u05ea\u05f0-\u05f2\ufb1d-\ufb4f"
# Letters that Python does not call so: the Hebrew geresh, and those in circles.
_UNNAMED = "\u05f3\u24b6-\u24e9"
_LINKS = "_\u203f\u2040\u2054\ufe33\ufe34\ufe4d-\ufe4f\uff3f"
BEGINNING = f"\\w\u066b{_UNNAMED}{_HAN}{_KATAKANA}{_RUNS}{_LINKS}"
"""The class of characters that a word may begin with."""
# Between letters, between digits, and between either.
_MIDDLE = ".'\u2018\u2019\u2024\ufe52\uff07\uff0e"
_MIDDLE_LETTER = _MIDDLE + ":\u00b7\u02d7\u0387\u05f4\u2027\ufe13\ufe55\uff1a"
_MIDDLE_DIGIT = _MIDDLE + ",;\u037e\u0589\u060c\u060d\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b"


def _class_of(characters: Iterable[int]) -> str:
    """Return a character class of characters in their order, without its brackets."""
    ranges: list[list[int]] = []
    for each in characters:
        if ranges and ranges[-1][1] == each - 1:
            ranges[-1][1] = each
        else:
            ranges.append([each, each])
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)


_BEYOND = re.compile("[^\0-\u052f\u2000-\u20ff]")
"""What is not western. The classes of all characters take a quarter of a second to make: most programs need none."""


@cache
def _category(*wanted: str, western: bool = False) -> str:
    """Return the character class of general categories."""
    first, others = (0x530, (0x2000, 0x2100)) if western else (0x20000, (0xE0000, 0xE0200))
    every = (*range(0x80, first), *range(*others))
    return _class_of(each for each in every if unicodedata.category(chr(each)) in wanted)


@cache
def _category_once(*wanted: str, without: str) -> str:
    """Return the character class of general categories in Unicode 3.2, of its first plane, without one class."""
    category, other = unicodedata.ucd_3_2_0.category, re.compile(f"[^{without}]")
    return _class_of(each for each in range(0x10000) if category(chr(each)) in wanted and other.match(chr(each)))


def _extending(western: bool) -> str:
    """Return the class of characters that belong to the one before: accents, vowel signs, joiners."""
    formats = _category("Cf", western=western).replace("\\U0000200b-", "\\U0000200c-")
    return _category("Mn", "Mc", "Me", western=western) + formats + _VOICED


def _letter(western: bool) -> str:
    """Return the class of letters: those of ``\\w`` that are no numbers, and have no rules of their own."""
    others = _HAN + _HIRAGANA + _KATAKANA + _RUNS + _VOICED + _CLOSING
    return f"(?:[^\\W\\d_{_category('No', western=western)}{others}]|[{_UNNAMED}])"


# -- Unicode's words ---------------------------------------------------------------------------------


def _words(letter: str, letters: str, digits: str, katakana: str, extending: str, others: str) -> str:
    """Return the rules of UAX 29. ``letters``: those that continue a word, with what extends them."""
    hebrew = f'|(?<=[{_HEBREW}])"(?=[{_HEBREW}])' if extending else ""
    joint = f"(?:[{_MIDDLE_LETTER}]{extending}{hebrew})" if extending else "[.':]"
    comma = f"[{_MIDDLE_DIGIT}]{extending}" if extending else "[.',;]"
    link = f"[{_LINKS}]{extending}"
    # A Hebrew letter keeps the apostrophe behind it.
    last = f"(?:(?<=[{_HEBREW}])'{extending})?" if extending else ""
    unit = f"(?:{letter}{letters}(?:{joint}{letter}{letters})*{last}|{digits}(?:{comma}{digits})*)"
    part = f"(?:{katakana}{unit}+)"
    # Of a run of links only the first begins a word: else a run without a word took time by the square of its length.
    return f"(?:(?<![{_LINKS}])(?:{link})+)?{part}(?:(?:{link})+{part})*(?:{link})*{others}"


def _unicode_words(western: bool) -> str:
    extend, letter = _extending(western), _letter(western)
    any_letters = f"(?:{letter}|[{extend}])*"
    return _words(
        letter,
        any_letters,
        f"[\\d\u066b][\\d\u066b{extend}]*",
        f"[{_KATAKANA}][{_KATAKANA}{extend}]*|",
        f"[{extend}]*",
        f"|[{_HAN}{_HIRAGANA}][{extend}]*|[{_RUNS}][{_RUNS}{extend}]*",
    )


_ASCII_WORD = re.compile(_words("[A-Za-z]", "[A-Za-z]*", "[0-9]+", "", "", ""))
_BETWEEN = "".join(chr(each) if chr(each).isalnum() or chr(each) in "_.':,;" else " " for each in range(128))
"""For ``translate``: of ASCII, blanks for all that neither belongs to words nor may join them."""


@cache
def _standard_words(western: bool) -> re.Pattern[str]:
    return re.compile(_unicode_words(western))


def standard_words(text: str) -> re.Pattern[str]:
    """Return the expression of the words of a text by Unicode's rules; it may be wrong for other texts."""
    return _ASCII_WORD if text.isascii() else _standard_words(_BEYOND.search(text) is None)


class Standard:
    """Words by Unicode's rules."""

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the beginning and end of each word."""
        for found in standard_words(text).finditer(text):
            yield found.span()

    def words(self, text: str) -> list[str]:
        """Return the words, of ASCII in a fifth of the time."""
        if not text.isascii():
            return standard_words(text).findall(text)
        found = text.translate(_BETWEEN).split()
        # Together: in a third of the time that asking each takes.
        if "".join(found).isalnum():
            return found
        words: list[str] = []
        for each in found:
            if each.isalnum():
                words.append(each)
            else:
                words += _ASCII_WORD.findall(each)
        return words


class Pairs:
    """Words by Unicode's rules, but of Chinese, Japanese and Korean each pair of adjacent characters (``cjk``)."""

    _eastern = re.compile(f"[{_HAN}{_HIRAGANA}{_KATAKANA}]|[{_HANGUL}]+\\Z")

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the beginning and end of each word."""
        begin = reached = 0
        for start, end in Standard().spans(text):
            eastern = self._eastern.match(text, start, end) is not None
            if begin < reached and not (eastern and start == reached):
                yield from self._pairs(begin, reached)
                begin = reached
            if not eastern:
                yield start, end
                continue
            if begin == reached or start != reached:
                begin = start
            reached = end
        if begin < reached:
            yield from self._pairs(begin, reached)

    @staticmethod
    def _pairs(begin: int, end: int) -> Iterator[tuple[int, int]]:
        if end - begin == 1:
            yield begin, end
        for place in range(begin, end - 1):
            yield place, place + 2

    def words(self, text: str) -> list[str]:
        """Return the words."""
        return [text[start:end] for start, end in self.spans(text)]


# -- others ------------------------------------------------------------------------------------------


@cache
def _letters() -> re.Pattern[str]:
    return re.compile(f"[^\\W\\d_{_category('No', 'Nl')}]+")


class Letters:
    """Runs of letters."""

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the beginning and end of each word."""
        for found in _letters().finditer(text):
            yield found.span()

    def words(self, text: str) -> list[str]:
        """Return the words."""
        found: list[str] = _letters().findall(text)
        return found


Unblanked = Pattern(
    re.compile("[^\\t-\\r\\x1c-\\x20\\u1680\\u2000-\\u2006\\u2008-\\u200a\\u2028\\u2029\\u205f\\u3000]+")
)
"""What stands between blanks as Java has them: a no-break space is none."""


def longest(text: str, begin: re.Pattern[str], patterns: Sequence[re.Pattern[str]]) -> Iterator[tuple[int, int]]:
    """Yield at each place where a word may begin the longest of what some patterns match there."""
    place = 0
    while (first := begin.search(text, place)) is not None:
        start = first.start()
        ends = [found.end() for pattern in patterns if (found := pattern.match(text, start)) is not None]
        if ends:
            place = max(ends)
            yield start, place
        else:
            place = start + 1


@cache
def _classic_patterns() -> tuple[re.Pattern[str], list[re.Pattern[str]]]:
    # Each character of these is a word of its own.
    alone = "\u3040-\u312f\u31f0-\u31ff\u3300-\u337f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff65-\uff9f"
    # Lucene's rules are of the days of Unicode 3: later letters, as all beyond the first plane, are none.
    letters = _category_once("Lu", "Ll", "Lt", "Lm", "Lo", without=alone)
    numerals = _category_once("Nd", without=alone)
    letter = f"[{letters}]"
    # Thai has vowel signs, which are no letters.
    plain = f"[{letters}{numerals}\u0e00-\u0e59]+"
    digits = f"(?=[{letters}]*[{numerals}]){plain}"
    # Repeated parts are bounded: each place of a text may begin a word, and all rules are tried there.
    some = "{1,64}"
    sign = r"[-/_.,]"
    numbers = [
        f"{plain}{sign}{digits}",
        f"{digits}{sign}{plain}",
        f"{plain}(?:{sign}{digits}{sign}{plain}){some}",
        f"{digits}(?:{sign}{plain}{sign}{digits}){some}",
        f"{plain}{sign}{digits}(?:{sign}{plain}{sign}{digits}){some}",
        f"{digits}{sign}{plain}(?:{sign}{digits}{sign}{plain}){some}",
    ]
    others = [
        plain,
        f"{letter}+(?:'{letter}+)+",
        f"{letter}\\.(?:{letter}\\.)+",
        f"{letter}+[&@]{letter}+",
        f"{plain}(?:[._-]{plain}){{0,64}}@{plain}(?:[.-]{plain}){some}",
        f"{plain}(?:\\.{plain})+",
        f"{plain}\\.(?:{plain}\\.)+",
        f"[{alone}]",
    ]
    return re.compile(f"{plain}|[{alone}]"), [re.compile(each) for each in (*others, *numbers)]


class Classic:
    """Words by Lucene's older rules: addresses, acronyms, names with ``&``, product numbers."""

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the beginning and end of each word."""
        return longest(text, *_classic_patterns())

    def words(self, text: str) -> list[str]:
        """Return the words."""
        return [text[start:end] for start, end in self.spans(text)]


assert sys.maxunicode == 0x10FFFF, "character classes go to the last plane"
