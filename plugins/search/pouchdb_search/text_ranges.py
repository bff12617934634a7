"""Ranges of strings, by code point: in tantivy's query language, or as a regular expression where that has no form.

Its language has no escapes in the ends of a range: quotes, brackets and blanks of Unicode cannot be written there. A
regular expression of a range has many states for each character, and tantivy allows a thousand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pouchdb_search.regexps import ANY, escaped
from pouchdb_search.schema import stored

__all__ = ["TextRange", "range_pattern"]

_UNREADABLE = re.compile("[\\[\\](){}\"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")


@dataclass(frozen=True, slots=True)
class TextRange:
    """The strings between two; None is open."""

    low: str | None
    high: str | None
    with_low: bool = True
    with_high: bool = True

    def has(self, text: str) -> bool:
        """Whether a string is in the range."""
        low, high = self.low, self.high
        if low is not None and (text < low or (text == low and not self.with_low)):
            return False
        return not (high is not None and (text > high or (text == high and not self.with_high)))

    def stored(self) -> TextRange:
        """Return the range with its ends as terms are stored."""
        low, high = (None if each is None else stored(each) for each in (self.low, self.high))
        return TextRange(low, high, self.with_low or low is None, self.with_high or high is None)

    @property
    def empty(self) -> bool:
        """Whether no string is in the range."""
        low, high = self.low or "", self.high
        return high is not None and (low > high or (low == high and not (self.with_low and self.with_high)))

    @property
    def readable(self) -> bool:
        """Whether tantivy's query language can express the range."""
        return not any(each and _UNREADABLE.search(each) for each in (self.low, self.high))

    def text(self, prefix: str) -> str:
        """Return the range of terms with a prefix, which ends with a control character, in tantivy's query language."""
        left = "[" if self.with_low else "{"
        # No character is between the last one of the prefix and this but a blank, which no term has.
        end = f"{prefix[:-1]}!}}" if self.high is None else f"{prefix}{self.high}{']' if self.with_high else '}'}"
        return f"{left}{prefix}{self.low or ''} TO {end}"


def _class(low: int, high: int) -> str | None:
    return f"[\\x{{{low:x}}}-\\x{{{high:x}}}]" if low <= high else None


def _from(text: str, inclusive: bool) -> list[str]:
    """Return expressions for strings not before a string."""
    found = []
    for place, letter in enumerate(text):
        above = _class(ord(letter) + 1, 0x10FFFF)
        if above:
            found.append(f"{escaped(text[:place])}{above}{ANY}*")
    found.append(f"{escaped(text)}{ANY}{'*' if inclusive else '+'}")
    return found


def _upto(text: str, inclusive: bool) -> list[str]:
    """Return expressions for strings not after a string, without the empty one."""
    found = []
    for place, letter in enumerate(text):
        below = _class(0, ord(letter) - 1)
        if below:
            found.append(f"{escaped(text[:place])}{below}{ANY}*")
        if place:
            found.append(escaped(text[:place]))
    if inclusive and text:
        found.append(escaped(text))
    return found


def range_pattern(low: str | None, high: str | None, with_low: bool, with_high: bool) -> str | None:
    """Return a regular expression for strings between two, by code point; None is open, the result None is no match."""
    if high is None:
        return "|".join(_from(low or "", with_low))
    if low is None:
        parts = _upto(high, with_high)
        return f"({'|'.join(parts)})?" if high and parts else ("" if with_high else None)
    if low > high or (low == high and not (with_low and with_high)):
        return None
    if low == high:
        return escaped(low)
    same = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    begin, low, high = escaped(low[:same]), low[same:], high[same:]
    if not low:
        parts = _upto(high, with_high)
        return f"{begin}({'|'.join(parts)}){'?' if with_low else ''}" if parts else (begin if with_low else None)
    parts = [f"{escaped(low[0])}({'|'.join(_from(low[1:], with_low))})"]
    between = _class(ord(low[0]) + 1, ord(high[0]) - 1)
    if between:
        parts.append(f"{between}{ANY}*")
    rest = _upto(high[1:], with_high)
    if rest:
        parts.append(f"{escaped(high[0])}({'|'.join(rest)})")
    if len(high) > 1 or with_high:
        parts.append(escaped(high[0]))
    return f"{begin}({'|'.join(parts)})"
