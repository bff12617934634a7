"""The positions of words in a text: the patterns of the analyzers' tokenizers.

``standard`` follows the word boundaries of Unicode (UAX 29), as Lucene's does: ``renovations.com`` and ``1,000`` are
one word, ``a.1`` is two, and of Chinese and Japanese each character is one.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import lru_cache

__all__ = ["BLANKS", "LETTERS", "bigrams", "classic", "emails", "standard", "standard_words"]

BLANKS = re.compile(r"\S+")
LETTERS = re.compile(r"[^\W\d_]+")

_IDEOGRAPHS = "\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = f"[^\\W{_IDEOGRAPHS}]"
_LETTER = f"[^\\W\\d_{_IDEOGRAPHS}]"
_EMAIL = r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"
_URL = r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]"


@lru_cache(maxsize=1)
def _marks() -> str:
    """Return a character class of accents and vowel signs: they belong to the preceding letter."""
    found = [each for each in range(0x300, 0x10000) if unicodedata.category(chr(each))[0] == "M"]
    ranges: list[list[int]] = []
    for each in found:
        if ranges and ranges[-1][1] == each - 1:
            ranges[-1][1] = each
        else:
            ranges.append([each, each])
    return "".join(f"\\u{low:04x}-\\u{high:04x}" for low, high in ranges)


def _words() -> str:
    marks = _marks()
    # These signs join letters to letters, others join digits to digits.
    joins = f"(?<={_LETTER})[.'’:·](?={_LETTER})|(?<=[\\d])[.,;'’](?=\\d)"
    return f"{_WORD}(?:{_WORD}|[{marks}]|{joins})*|[{_IDEOGRAPHS}]"


@lru_cache(maxsize=1)
def standard() -> re.Pattern[str]:
    """Return the pattern of words by Unicode's rules."""
    return re.compile(_words())


# Words of ASCII with the signs that may join them: most are single words.
_JOINED = re.compile(r"\w+(?:[.':,;]\w+)*", re.ASCII)


def standard_words(text: str) -> list[str]:
    """Return what ``standard()`` finds in a text, of ASCII in a quarter of the time."""
    if not text.isascii():
        return standard().findall(text)
    found = _JOINED.findall(text)
    if all(map(str.isalnum, found)):
        return found
    words = []
    for each in found:
        if each.isalnum():
            words.append(each)
        else:
            words += standard().findall(each)
    return words


@lru_cache(maxsize=1)
def emails() -> re.Pattern[str]:
    """Return the pattern of words, where e-mail and web addresses are words, too."""
    return re.compile(f"{_EMAIL}|{_URL}|{_words()}")


@lru_cache(maxsize=1)
def classic() -> re.Pattern[str]:
    """Return the pattern of Lucene's older rules: addresses, acronyms, names with ``&``, product numbers."""
    plain = r"[^\W_]+"
    digits = rf"(?={plain}(?<=[^\W_]))(?=[^\W\d_]*\d){plain}"
    sign = r"[-/_.,]"
    number = (
        rf"{plain}{sign}{digits}(?:{sign}{plain}{sign}{digits})*(?:{sign}{plain})?"
        rf"|{digits}{sign}{plain}(?:{sign}{digits}{sign}{plain})*(?:{sign}{digits})?"
    )
    parts = [
        rf"{plain}(?:[._-]{plain})*@{plain}(?:[.-]{plain})+",
        r"(?:[^\W\d_]\.){2,}",
        r"[^\W\d_]+(?:'[^\W\d_]+)+",
        r"[^\W\d_]+[&@][^\W\d_]+",
        number,
        rf"{plain}(?:\.{plain})+",
        plain,
    ]
    return re.compile("|".join(parts))


@lru_cache(maxsize=1)
def bigrams() -> re.Pattern[str]:
    """Return the pattern of ``cjk``: words, and of Chinese, Japanese and Korean each pair of adjacent characters."""
    east = f"{_IDEOGRAPHS}\u30a0-\u30ff\uac00-\ud7a3"
    other = f"[^\\W{east}]"
    # An empty match with a lookahead: pairs overlap.
    return re.compile(f"(?=(?P<pair>[{east}]{{2}}))|(?<![{east}])(?P<one>[{east}])(?![{east}])|(?P<word>{other}+)")


assert sys.maxunicode == 0x10FFFF, "character classes go to the last plane"
