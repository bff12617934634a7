"""Lucene's regular expressions (its class ``RegExp``), which are not tantivy's: parsed and written anew.

They match whole terms, ``^`` and ``$`` are letters, ``@`` is any text, ``"..."`` is text as it is, ``<1-31>`` a number
from one to the other, ``#`` nothing. An operator with nothing before it is a letter, ``a**`` is ``(a*)*``.
``~`` (complement) and ``&`` (intersection) need automata that tantivy does not make, and are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import tantivy

from pouchdb_core.errors import BadRequest
from pouchdb_search.schema import GAP, stored

__all__ = ["ANY", "Matcher", "escaped", "regexp"]

ANY = r"[\x{0}-\x{10FFFF}]"
NUMBERS = 100
"""How many numbers ``<1-31>`` may stand for."""
MOST_NESTED = 100
"""How many groups may be in each other."""
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$#&\-~]")
_CLASSES = {"d": "0-9", "w": "0-9A-Z_a-z", "s": " \t\n\r"}
_DIGITS = re.compile(r"[0-9]*")
_INTERVAL = re.compile(r"([0-9]+)-([0-9]+)")


_EMPTY, _NOTHING, _ANY_TEXT = "()", GAP, f"({ANY}*)"


class Matcher:
    """Whether a term matches a regular expression of tantivy's, as the index has it.

    Tantivy's own engine decides, in a time that grows with the length of the term: Python's takes longer than anybody
    waits for ``/(a*)*b/``.
    """

    def __init__(self, regex: str, shown: str) -> None:
        self._regex, self._shown = regex, shown
        self._analyze: Callable[[str], list[Any]] | None = None

    def __call__(self, term: str) -> bool:
        """Return whether a term matches. Raises BadRequest for an expression that is too complex."""
        if self._analyze is None:
            try:
                tokenizer = tantivy.Tokenizer.regex(f"\\A(?:{self._regex})\\z")
            except ValueError as error:
                raise BadRequest(f"the pattern {self._shown} is too complex to highlight: {error}") from error
            self._analyze = tantivy.TextAnalyzerBuilder(tokenizer).build().analyze
        return bool(self._analyze(stored(term)))


def escaped(text: str) -> str:
    """Return text as a regular expression of tantivy's that matches it."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def regexp(text: str, folded: Callable[[str], str]) -> str:
    """Return a regular expression of Lucene's for tantivy; letters are folded as terms are. Raises BadRequest."""
    return _Parser(text, folded).whole()


class _Parser:
    """The rules of the grammar, each a method that reads its characters."""

    def __init__(self, text: str, folded: Callable[[str], str]) -> None:
        self._text, self._folded = text, folded
        self._place = self._depth = 0

    def whole(self) -> str:
        """Read the whole expression."""
        if not self._text:
            return _EMPTY
        found = self._union()
        if self._place < len(self._text):
            raise self._wrong("unexpected )")
        return found

    def _wrong(self, reason: str) -> BadRequest:
        return BadRequest(f"the regular expression /{self._text}/ is not valid at position {self._place}: {reason}")

    def _peek(self, letters: str) -> bool:
        return self._place < len(self._text) and self._text[self._place] in letters

    def _match(self, letter: str) -> bool:
        found = self._peek(letter)
        self._place += found
        return found

    def _next(self) -> str:
        if self._place == len(self._text):
            raise self._wrong("unexpected end")
        self._place += 1
        return self._text[self._place - 1]

    def _until(self, letter: str) -> str:
        """Return the text up to a letter, and skip both."""
        end = self._text.find(letter, self._place)
        if end < 0:
            self._place = len(self._text)
            raise self._wrong(f"{letter} is missing")
        found, self._place = self._text[self._place : end], end + 1
        return found

    def _union(self) -> str:
        parts = [self._concatenated()]
        while self._match("|"):
            parts.append(self._concatenated())
        if len(parts) == 1:
            return parts[0]
        return f"({'|'.join(parts)})"

    def _concatenated(self) -> str:
        parts = [self._repeated()]
        while self._place < len(self._text) and not self._peek(")|&"):
            parts.append(self._repeated())
        if self._peek("&"):
            raise self._refused("&")
        return "".join(parts)

    def _refused(self, operator: str) -> BadRequest:
        return BadRequest(
            f"the regular expression /{self._text}/ cannot be used: the operator {operator} is not supported; "
            f"for the character itself write \\{operator}"
        )

    def _repeated(self) -> str:
        if self._peek("~"):
            raise self._refused("~")
        found = self._class() if self._match("[") else self._simple()
        while self._peek("?*+{"):
            operator = self._next()
            if operator == "{":
                least, most = self._times()
                if most == 0:
                    found = _EMPTY
                    continue
                if most is not None and most < least:
                    found = _NOTHING
                    continue
                operator = f"{{{least},{'' if most is None else most}}}"
            found = f"({found}){operator}"
        return found

    def _times(self) -> tuple[int, int | None]:
        """Read the rest of ``{2}``, ``{2,}`` or ``{2,3}``."""
        least = self._digits()
        if not least:
            raise self._wrong("a number is missing")
        most: str | None = least
        if self._match(","):
            most = self._digits() or None
        if not self._match("}"):
            raise self._wrong("} is missing")
        return int(least), None if most is None else int(most)

    def _digits(self) -> str:
        found = _DIGITS.match(self._text, self._place)
        assert found is not None, "it may be empty"
        self._place = found.end()
        if len(found[0]) > 9:
            raise self._wrong("the number is too large")
        return found[0]

    def _class(self) -> str:
        negated = self._match("^")
        ranges = [self._range()]
        while self._place < len(self._text) and not self._peek("]"):
            ranges.append(self._range())
        if not self._match("]"):
            raise self._wrong("] is missing")
        return _class(ranges, negated)

    def _range(self) -> tuple[str, str]:
        low = high = self._letter()
        if self._match("-"):
            high = self._letter()
        ends = self._folded(low)[:1], self._folded(high)[:1]
        if ends[0] > ends[1]:
            raise self._wrong(f"{high} comes before {low}")
        return ends

    def _letter(self) -> str:
        self._match("\\")
        return self._next()

    def _simple(self) -> str:
        letter = self._next()
        if letter == ".":
            return ANY
        if letter == "#":
            return _NOTHING
        if letter == "@":
            return _ANY_TEXT
        if letter == '"':
            return self._literal(self._until('"'))
        if letter == "(":
            return self._group()
        if letter == "<":
            return self._numbers(self._until(">"))
        if letter == "\\":
            letter = self._next()
            if letter.lower() in _CLASSES:
                named = _CLASSES[letter.lower()]
                found = re.findall(r"(.)-(.)|(.)", named, re.DOTALL)
                return _class([(low or one, high or one) for low, high, one in found], letter.isupper())
        return self._literal(letter)

    def _literal(self, text: str) -> str:
        return f"({escaped(stored(self._folded(text)))})"

    def _group(self) -> str:
        if self._match(")"):
            return _EMPTY
        self._depth += 1
        if self._depth > MOST_NESTED:
            raise self._wrong(f"nested deeper than {MOST_NESTED} levels")
        found = self._union()
        if not self._match(")"):
            raise self._wrong(") is missing")
        self._depth -= 1
        return f"({found})"

    def _numbers(self, text: str) -> str:
        found = _INTERVAL.fullmatch(text)
        if found is None:
            raise self._wrong(f"<{text}> must be two numbers, such as <1-31>")
        low, high = found[1], found[2]
        ends = sorted((int(low[:9]), int(high[:9])))
        if ends[1] - ends[0] >= NUMBERS or max(len(low), len(high)) > 9:
            raise BadRequest(
                f"the regular expression /{self._text}/ cannot be used: <{text}> has more than {NUMBERS} numbers"
            )
        # Of one length the numbers have as many digits, else any leading zeros.
        digits = len(low) if len(low) == len(high) else 0
        either = "|".join(f"{number:0{digits}}" for number in range(ends[0], ends[1] + 1))
        return f"({either})" if digits else f"(0*({either}))"


def _class(ranges: list[tuple[str, str]], negated: bool) -> str:
    blanks = [(stored(blank), stored(blank)) for blank in " \t\n\r\f" if any(a <= blank <= b for a, b in ranges)]
    every = "".join(f"\\x{{{ord(low):x}}}-\\x{{{ord(high):x}}}" for low, high in (*ranges, *blanks))
    return f"[{'^' if negated else ''}{every}]"
