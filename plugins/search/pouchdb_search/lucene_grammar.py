"""The grammar of Lucene's classic query parser (QueryParser.jj of Lucene 4): a query's text as a tree.

Tokens are the longest that match, as there: ``foo!bar`` is ``foo NOT bar``, ``foo+bar`` and ``foo&&bar`` are one term,
``a/b`` begins a regular expression, and a sign with a blank behind it is a term, which analyzers drop. There are two
differences: a number after a colon may have a sign (``year:-3``), and a range needs its ``TO``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from pouchdb_core.errors import BadRequest

__all__ = [
    "MOST_CHANGES",
    "NUMBER",
    "Boosted",
    "Clause",
    "Group",
    "Leaf",
    "Node",
    "Quoted",
    "Range",
    "parsed",
    "unescaped",
]

MOST_CHANGES = 2
"""How many letters of a word a fuzzy query lets change at most, and without a number."""
MOST_NESTED = 100
"""How deep a query may be nested, however deep the program lets Python recurse."""
REMEMBERED = 1000
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z", re.ASCII)


class Leaf(NamedTuple):
    """A word. ``kind``: ``term``, ``wild`` (with ``*`` or ``?``), ``regexp`` (without its slashes).

    ``text`` has its escapes; ``fuzzy`` is the number after ``~``, None without a ``~``.
    """

    field: str
    kind: str
    text: str
    fuzzy: float | None = None


class Quoted(NamedTuple):
    """A phrase, without its quotes and with its escapes."""

    field: str
    text: str
    slop: int


class Range(NamedTuple):
    """``[low TO high}``, without escapes; None is open."""

    field: str
    low: str | None
    high: str | None
    with_low: bool
    with_high: bool


class Boosted(NamedTuple):
    """What counts more, or less."""

    node: Node
    boost: float


class Clause(NamedTuple):
    """A part of a group.

    ``joint`` is the operator before it, ``AND``, ``OR`` or nothing; ``sign`` is ``+``, ``-`` or nothing.
    """

    joint: str
    sign: str
    node: Node


class Group(NamedTuple):
    """Clauses, one at least."""

    clauses: tuple[Clause, ...]


Node = Leaf | Quoted | Range | Boosted | Group


class _Token(NamedTuple):
    kind: str
    text: str
    start: int


_BLANK = r"[ \t\n\r\u3000]"
_START = r"""(?:[^ \t\n\r\u3000+\-!():^\[\]"{}~*?\\/]|\\.)"""
_NEXT = r"""(?:[^ \t\n\r\u3000!():^\[\]"{}~*?\\/]|\\.)"""
_TOKEN = re.compile(
    rf"""(?P<blank>{_BLANK}+)
    |(?P<word>(?:{_START}|[*?])(?:{_NEXT}|[*?])*)
    |(?P<bare>[+\-!]{_BLANK})
    |(?P<sign>[+\-!])
    |(?P<mark>[():])
    |(?P<quoted>"(?:[^"\\]|\\.)*")
    |(?P<fuzzy>~(?:{_NEXT})*)
    |(?P<boost>\^[0-9]+(?:\.[0-9]+)?)
    |(?P<regexp>/(?:\\/|[^/])*/)
    |(?P<range>[\[{{])""",
    re.VERBOSE | re.DOTALL,
)
_RANGE_BLANKS = re.compile(f"{_BLANK}*")
_RANGE_QUOTED = re.compile(r'"(?:\\"|[^"])+"')
_RANGE_WORD = re.compile(r"[^ \]}]+")
_WILD = re.compile(r"\\.|([*?])", re.DOTALL)
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_WORDS = re.compile(r"\w+(?: \w+)*\Z")
_OPERATORS = {"AND": "AND", "&&": "AND", "OR": "OR", "||": "OR", "NOT": "-"}


def unescaped(text: str) -> str:
    r"""Return text without escapes: ``\:`` is ``:``, ``\u00e9`` is ``é``."""
    if "\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)


def _unparsed(text: str, reason: str, position: int) -> BadRequest:
    shown = text if len(text) <= 200 else f"{text[:200]}..."
    return BadRequest(f"the query {shown!r} cannot be parsed at position {position}: {reason}", position=position)


def _check_escapes(text: str, word: str, place: int) -> None:
    r"""Refuse a word at a place of a query that has ``\u`` without four digits. Raises BadRequest."""
    for found in _ESCAPED.finditer(word):
        if found[2] == "u":
            raise _unparsed(text, "\\u must be followed by four hexadecimal digits", place + found.start())


def _tokens(text: str) -> list[_Token]:
    """Return the tokens of a query, an ``end`` as the last. Raises BadRequest."""
    tokens: list[_Token] = []
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise _unparsed(text, _stray(text[place]), place)
        kind, word = str(found.lastgroup), found[0]
        if kind == "range":
            place = _range_tokens(text, place, tokens)
            continue
        if "\\u" in word and kind in ("word", "quoted"):
            _check_escapes(text, word, place)
        if kind == "word":
            if word in _OPERATORS:
                kind, word = ("sign", "-") if word == "NOT" else ("joint", _OPERATORS[word])
            elif any(each[1] for each in _WILD.finditer(word)):
                kind = "wild"
            else:
                kind = "term"
        elif kind == "bare":
            # A sign with a blank behind it: a word, but not the name of a field.
            word = f"\\{word[0]}"
        elif kind == "sign" and word == "!":
            word = "-"
        if kind != "blank":
            tokens.append(_Token(kind, word, place))
        place = found.end()
    tokens.append(_Token("end", "", len(text)))
    return tokens


def _stray(letter: str) -> str:
    reasons = {
        '"': "a quote is not closed",
        "^": "^ must be followed by a number",
        "/": "a regular expression is not closed",
        "\\": "no character follows the backslash",
    }
    return reasons.get(letter, f"unexpected {letter!r}")


def _range_tokens(text: str, place: int, tokens: list[_Token]) -> int:
    """Add the tokens of a range that begins at a place; return its end. Raises BadRequest."""
    tokens.append(_Token("range", text[place], place))
    place += 1
    while True:
        blanks = _RANGE_BLANKS.match(text, place)
        assert blanks is not None, "it may be empty"
        place = blanks.end()
        if place == len(text):
            raise _unparsed(text, "unexpected end of a range, which needs ] or }", place)
        if text[place] in "]}":
            tokens.append(_Token("close", text[place], place))
            return place + 1
        word, quoted = _RANGE_WORD.match(text, place), _RANGE_QUOTED.match(text, place)
        if quoted is not None and (word is None or quoted.end() >= word.end()):
            _check_escapes(text, quoted[0], place)
            tokens.append(_Token("quoted", quoted[0], place))
            place = quoted.end()
        else:
            assert word is not None, "neither a blank nor an end"
            _check_escapes(text, word[0], place)
            tokens.append(_Token("to" if word[0] == "TO" else "word", word[0], place))
            place = word.end()


class _Parser:
    """The rules of the grammar, each a method that reads its tokens."""

    def __init__(self, text: str, default: str) -> None:
        self._text, self._default = text, default
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0

    def query(self) -> Group:
        """Read the whole query."""
        found = self._group(self._default)
        if self._token.kind != "end":
            raise self._unexpected()
        return found

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _taken(self, kind: str) -> _Token | None:
        """Return the next token if it is of a kind."""
        return self._take() if self._token.kind == kind else None

    def _unexpected(self) -> BadRequest:
        token = self._token
        if token.kind == "end":
            return _unparsed(self._text, "unexpected end", token.start)
        following = self._tokens[self._next + 1].start
        shown = self._text[token.start : following].strip()
        return _unparsed(self._text, f"unexpected {shown!r}", token.start)

    def _group(self, field: str) -> Group:
        clauses = [self._clause("", field)]
        while self._token.kind not in ("end", "mark") or self._token.text == "(":
            joint = self._taken("joint")
            clauses.append(self._clause(joint.text if joint else "", field))
        return Group(tuple(clauses))

    def _clause(self, joint: str, field: str) -> Clause:
        sign = self._taken("sign")
        if sign is not None and self._token.kind == "sign":
            raise _unparsed(self._text, "a clause can have only one of +, - and NOT", self._token.start)
        if self._token.kind in ("term", "wild") and self._tokens[self._next + 1].text == ":":
            token = self._token
            if token.kind == "wild" and token.text != "*":
                raise self._unexpected()
            field = unescaped(token.text)
            self._next += 2
            self._signed()
        return Clause(joint, sign.text if sign else "", self._boosted(self._term(field)))

    def _signed(self) -> None:
        """Make one token of a sign and the number after it."""
        sign = self._token
        if sign.kind == "sign" and NUMBER.match((number := self._tokens[self._next + 1]).text):
            self._next += 1
            self._tokens[self._next] = _Token("term", f"{sign.text}{number.text}", sign.start)

    def _term(self, field: str) -> Node:
        token = self._token
        if token.text == "(" and token.kind == "mark":
            return self._nested(field)
        if token.kind == "range":
            return self._range(field)
        if token.kind not in ("term", "bare", "wild", "regexp", "quoted"):
            raise self._unexpected()
        self._next += 1
        fuzzy = self._taken("fuzzy")
        if token.kind == "quoted":
            return Quoted(field, token.text[1:-1], int(self._number(fuzzy, 0)) if fuzzy else 0)
        if fuzzy is None and self._token.kind == "boost" and self._tokens[self._next + 1].kind == "fuzzy":
            # ``word^2~1`` is ``word~1^2``.
            fuzzy = self._tokens.pop(self._next + 1)
        if token.kind == "regexp":
            return Leaf(field, "regexp", token.text[1:-1])
        kind = "term" if token.kind == "bare" else token.kind
        return Leaf(field, kind, token.text, self._number(fuzzy, MOST_CHANGES) if fuzzy else None)

    def _number(self, fuzzy: _Token, default: float) -> float:
        """Return the number after ``~``, the default if that is none."""
        number = float(fuzzy.text[1:]) if NUMBER.match(fuzzy.text[1:]) else default
        if number < 0:
            raise _unparsed(self._text, "the number after ~ must not be negative", fuzzy.start)
        return number

    def _nested(self, field: str) -> Node:
        self._depth += 1
        if self._depth > MOST_NESTED:
            raise _unparsed(self._text, f"nested deeper than {MOST_NESTED} levels", self._token.start)
        self._next += 1
        found = self._group(field)
        if self._token.text != ")" or self._token.kind != "mark":
            raise self._unexpected()
        self._next += 1
        self._depth -= 1
        return found

    def _range(self, field: str) -> Range:
        begin = self._take()
        low = self._bound()
        if self._taken("to") is None:
            raise self._unexpected()
        high = self._bound()
        end = self._taken("close")
        if end is None:
            raise self._unexpected()
        return Range(field, low, high, begin.text == "[", end.text == "]")

    def _bound(self) -> str | None:
        token = self._token
        if token.kind not in ("word", "quoted"):
            raise self._unexpected()
        self._next += 1
        if token.kind == "quoted":
            return unescaped(token.text[1:-1])
        return None if token.text == "*" else unescaped(token.text)

    def _boosted(self, node: Node) -> Node:
        boost = self._taken("boost")
        return node if boost is None else Boosted(node, float(boost.text[1:]))


@lru_cache(maxsize=REMEMBERED)
def parsed(text: str, default: str) -> Group:
    """Return the tree of a query; ``default`` is the field of words without one.

    Raises BadRequest with the error and its ``position``.
    """
    if not text.strip():
        raise BadRequest("the query is empty", position=0)
    if _WORDS.match(text) and _OPERATORS.keys().isdisjoint(words := text.split(" ")):
        # Most queries are words, and there is nothing else to find out.
        return Group(tuple(Clause("", "", Leaf(default, "term", word)) for word in words))
    return _Parser(text, default).query()
