"""Words with addresses: the analyzer ``email``, as Lucene's UAX29URLEmailTokenizer finds them.

An address of e-mail, and one of the web without a scheme, ends in a top-level domain that was known when Lucene 4.10
was made; behind ``http://``, ``ftp://`` and ``file://`` stands any host. What is no address is split as by the standard
analyzer. Compared with Lucene 4.10 by random texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from pouchdb_search.tokens import BEGINNING, longest, standard_words

__all__ = ["Emails"]

LONGEST = 255
"""How often a part of an address is repeated: Lucene has no longer words, and runs take no time by their square."""
LABELS = 127
"""The most labels that a host has, of these lengths."""
_DOMAINS = Path(__file__).parent / "words" / "top_level_domains.txt"

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|0?[1-9][0-9]|0{0,2}[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_HEX = "[0-9A-Fa-f]{1,4}"
_LAST = f"(?:{_IPV4}|{_HEX}:{_HEX})"
_IPV6 = "|".join(
    [
        f"(?:{_HEX}:){{6}}{_LAST}",
        f"::(?:{_HEX}:){{5}}{_LAST}",
        *(f"(?:(?:{_HEX}:){{0,{n}}}{_HEX})?::(?:{_HEX}:){{{4 - n}}}{_LAST}" for n in range(5)),
        f"(?:(?:{_HEX}:){{0,5}}{_HEX})?::{_HEX}",
        f"(?:(?:{_HEX}:){{0,6}}{_HEX})?::",
    ]
)
_LABEL = f"[A-Za-z0-9](?:[-A-Za-z0-9]{{0,{LONGEST}}}[A-Za-z0-9])?"
_LOOSE = rf"{_LABEL}(?:\.{_LABEL}){{0,{LABELS}}}"

_PLAIN = "[-._~A-Za-z0-9]|%[0-9A-Fa-f]{2}"
_LOGIN = f"(?:{_PLAIN}|[!$&'()*+,;=])*"
_REST = f"(?:{_PLAIN}|[!$&'()*+,;=:@/?])*"
_AFTER = rf"(?:\?{_REST})?(?:#{_REST})?"
_PORT = "(?::[0-9]{1,5})?"
_PATH = f"(?:/(?:{_PLAIN}|[;:@&=])*)*"
_FILE = f"(?:/(?:{_PLAIN}|[?:@&=])*)+"
_HOST = rf"(?:\[(?:{_IPV6})\]|{_LOOSE})"
_AUTHORITY = f"(?:{_LOGIN}(?::{_LOGIN})?@)?{_HOST}{_PORT}"

_END = r"(?=[^-\w])"
"""What follows a host without a scheme: ``a.com`` does not begin ``a.community``."""
_ATOM = r"[A-Za-z0-9!#$%&'*+,\-./=?^_`{|}~]"
_ATOMS = f"{_ATOM}{{1,{LONGEST}}}"
_QUOTED = rf'"(?:[\x01-\x08\x0b\x0c\x0e-!#-\[\]-~]|\\[\x00-\x7f]){{0,{LONGEST}}}"'
# Of atoms, which may be dots, and quoted strings between dots.
_MORE = rf"{_QUOTED}(?:\.{_QUOTED}){{0,{LONGEST}}}(?:\.{_ATOMS})?"
_LOCAL = rf"(?:{_MORE}|{_ATOMS})(?:(?<=\.){_MORE}){{0,{LONGEST}}}"


def _top(*, last: bool = False) -> str:
    """Return the expression of a top-level domain; ``last``: of one with which a text may end."""
    names = frozenset(_DOMAINS.read_text("ascii").split())
    # Lucene overlooks those with a letter more than another one: "com" is "co" with an "m".
    found = [name for name in names if not (last and name[:-1] in names)]
    return rf"\.{_any_of(found)}"


def _any_of(names: Sequence[str]) -> str:
    """Return the expression of the longest of some names, in letters of either case, as a tree by their letters."""
    branches = []
    for letter in sorted({name[0] for name in names if name}):
        rest = [name[1:] for name in names if name[:1] == letter]
        first = f"[{letter}{letter.upper()}]" if letter.isalpha() else letter
        branches.append(first + (_any_of(rest) if any(rest) else ""))
    return f"(?:{'|'.join(branches)}){'?' if '' in names else ''}"


@cache
def _with_scheme() -> list[re.Pattern[str]]:
    fragment = f"(?:#{_REST})?"
    return [
        re.compile(f"(?i:https?)://{_AUTHORITY}{_PATH}{_AFTER}"),
        re.compile(f"(?i:ftp)://{_AUTHORITY}{_FILE}(?i:;type=[aid])?{fragment}"),
        re.compile(f"(?i:file)://{_HOST}?{_FILE}{fragment}"),
    ]


@cache
def _without_scheme() -> list[re.Pattern[str]]:
    named = rf"{_LOOSE}(?:{_top()}(?:\.{_END})?{_END}|{_top(last=True)}\Z)"
    return [
        re.compile(f"{host}{_PORT}{_PATH}{_AFTER}") for host in (rf"\[(?:{_IPV6})\]{_END}", f"{_IPV4}{_END}", named)
    ]


@cache
def _addresses() -> list[re.Pattern[str]]:
    bracketed = rf"\[(?:[\x01-\x08\x0b\x0c\x0e-Z^-\x7f]|\\[\x00-\x7f]){{0,{LONGEST}}}\]"
    address = rf"{_LOCAL}@(?:{_LOOSE}{_top()}\.?|{bracketed})"
    return [re.compile(address), re.compile(f"(?i:mailto):{address}")]


_BEGIN = re.compile(rf"[{BEGINNING}!#$%&'*+,\-./=?^`{{|}}~\"\[]")
_MAILTO = re.compile("(?i:mailto):(?=.*@)", re.DOTALL)


class Emails:
    """Words by Unicode's rules, where e-mail and web addresses are words, too."""

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the beginning and end of each word."""
        patterns: list[re.Pattern[str]] = [standard_words(text)]
        addresses = "@" in text
        if addresses:
            patterns += _addresses()
        if "://" in text:
            patterns += _with_scheme()
        if "." in text or "[" in text:
            patterns += _without_scheme()
        for start, end in longest(text, _BEGIN, patterns):
            if addresses and _MAILTO.match(text, start, end):
                # Two words.
                yield start, start + len("mailto")
                yield start + len("mailto:"), end
            else:
                yield start, end

    def words(self, text: str) -> list[str]:
        """Return the words."""
        return [text[start:end] for start, end in self.spans(text)]
