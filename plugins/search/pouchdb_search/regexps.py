"""Lucene's regular expressions, which are not tantivy's: translated piece by piece.

They match whole terms, ``^`` and ``$`` are letters, ``@`` is any text, ``"..."`` is text as it is, ``<1-31>`` a number
from one to the other. ``~`` (complement) and ``&`` (intersection) need automata that tantivy does not
make, and are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from pouchdb_core.errors import BadRequest
from pouchdb_search.schema import GAP, stored

__all__ = ["ANY", "Regexp", "escaped", "regexp"]

ANY = r"[\x{0}-\x{10FFFF}]"
NUMBERS = 100
"""How many numbers ``<1-31>`` may stand for."""
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$#&\-~]")
_CLASSES = {"d": "0-9", "w": "0-9A-Z_a-z", "s": " \t\n\r"}
_PIECE = re.compile(
    r"""\\(?P<escape>.)
    |"(?P<text>[^"]*)"
    |\[(?P<negated>\^?)(?P<class>(?:\\.|[^\]\\])+)\]
    |<(?P<low>\d+)-(?P<high>\d+)>
    |(?P<repeat>\{\d+(?:,\d*)?\})
    |(?P<operator>[()|*+?])
    |(?P<refused>[~&])
    |(?P<open>[\[{"<\\])
    |(?P<letter>.)""",
    re.VERBOSE | re.DOTALL,
)
_RANGE = re.compile(r"(\\.|.)(?:-(\\.|.))?", re.DOTALL)


class Regexp(NamedTuple):
    """One expression for tantivy, which sees terms as they are stored, and for Python."""

    tantivy: str
    python: str


def escaped(text: str) -> str:
    """Return text as a regular expression of tantivy's that matches it."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)


def regexp(text: str, folded: Callable[[str], str]) -> Regexp:
    """Return a regular expression of Lucene's; letters are folded as terms are. Raises BadRequest."""
    engine, python = [], []
    for found in _PIECE.finditer(text):
        kind, value = str(found.lastgroup), found[found.lastgroup or 0]
        if kind == "refused":
            raise BadRequest(
                f"the regular expression /{text}/ cannot be used: the operator {value} is not supported; "
                f"for the character itself write \\{value}"
            )
        if kind == "open":
            raise BadRequest(f"the regular expression /{text}/ is not valid: {value} is not closed")
        if kind in ("operator", "repeat"):
            pair = value, value
        elif kind == "class":
            pair = _class(_ranges(value, folded), bool(found["negated"]))
        elif kind == "escape" and value.lower() in _CLASSES:
            pair = _class(_ranges(_CLASSES[value.lower()], str), value.isupper())
        elif kind == "high":
            pair = _numbers(text, found["low"], value)
        elif kind == "letter" and value in ".@#":
            pair = {".": (ANY, "."), "@": (f"{ANY}*", ".*"), "#": (GAP, "(?!)")}[value]
        else:
            literal = folded(value)
            pair = f"({escaped(stored(literal))})", f"(?:{re.escape(literal)})"
        engine.append(pair[0])
        python.append(pair[1])
    return Regexp("".join(engine), "".join(python))


def _ranges(text: str, folded: Callable[[str], str]) -> list[tuple[str, str]]:
    found = []
    for low, high in _RANGE.findall(text):
        ends = [folded(each[-1:])[:1] for each in (low, high or low)]
        if ends[0] > ends[1]:
            raise BadRequest(f"[{text}] in a regular expression is not valid: {high} comes before {low}")
        found.append((ends[0], ends[1]))
    return found


def _class(ranges: list[tuple[str, str]], negated: bool) -> tuple[str, str]:
    blanks = [(stored(blank), stored(blank)) for blank in " \t\n\r\f" if any(a <= blank <= b for a, b in ranges)]
    begin = "[^" if negated else "["
    engine = "".join(f"\\x{{{ord(a):x}}}-\\x{{{ord(b):x}}}" for a, b in (*ranges, *blanks))
    return f"{begin}{engine}]", f"{begin}{''.join(f'{re.escape(a)}-{re.escape(b)}' for a, b in ranges)}]"


def _numbers(text: str, low: str, high: str) -> tuple[str, str]:
    ends = sorted((int(low[:9]), int(high[:9])))
    if ends[1] - ends[0] >= NUMBERS or len(high) > 9:
        raise BadRequest(
            f"the regular expression /{text}/ cannot be used: <{low}-{high}> has more than {NUMBERS} numbers"
        )
    # Of one length the numbers have as many digits, else any leading zeros.
    digits = len(low) if len(low) == len(high) else 0
    either = "|".join(f"{number:0{digits}}" for number in range(ends[0], ends[1] + 1))
    shown = f"({either})" if digits else f"(0*({either}))"
    return shown, shown
