"""Lucene's classic query syntax: luqum parses it, and clauses have Lucene's meaning.

``a AND b OR c`` has no precedence: each ``AND`` makes both of its sides required, and one that neither
``AND`` nor ``+`` requires is optional. A word that the analyzer drops is not a clause.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any

import tantivy
from luqum.exceptions import ParseError  # type: ignore[import-untyped]  # it has none
from luqum.tree import (  # type: ignore[import-untyped]
    AndOperation,
    Boost,
    FieldGroup,
    Fuzzy,
    Group,
    Not,
    OrOperation,
    Phrase,
    Plus,
    Prohibit,
    Proximity,
    Range,
    Regex,
    SearchField,
    UnknownOperation,
    Word,
)

from pouchdb_core.errors import BadRequest
from pouchdb_search.lucene_grammar import lexer, parser
from pouchdb_search.queries import DEFAULT, MUST, NOT, SHOULD, Asked, everything, range_pattern
from pouchdb_search.schema import hexed, stored

__all__ = ["lucene"]

MOST_CHANGES = 2
FARTHEST = 1_000_000
"""The most slop of a phrase that tantivy is asked for; no text is longer."""
MOST_NESTED = 100
"""How deep a query may be nested, however deep the program lets Python recurse."""
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z")
_SIGNS = (Plus, Prohibit, Not)
_OPERATIONS = (AndOperation, OrOperation, UnknownOperation)


def lucene(asked: Asked, text: str) -> Any:
    """Compile a query, ``OR`` between words. Raises BadRequest with the error and its ``position``."""
    if not text.strip():
        raise BadRequest("the query is empty", position=0)
    try:
        found = _compiled(asked, _parsed(text), DEFAULT)
    except RecursionError as error:
        raise _unparsed(text, "it is nested too deep", 0) from error
    return tantivy.Query.empty_query() if found is None else found


@lru_cache(maxsize=1000)
def _parsed(text: str) -> Any:
    """Return luqum's tree, which nobody changes. Raises BadRequest, RecursionError."""
    prepared, places = _prepared(text)
    try:
        # ply's lexer is stateful: each query needs its own lexer.
        tree = parser.parse(prepared, lexer=lexer.clone())
    except ParseError as error:
        raise _unparsed(text, *_reason(str(error), places, len(text))) from error
    except ArithmeticError as error:
        raise _unparsed(text, "a number has too many dots", max(0, text.find("."))) from error
    _check(text, tree, places)
    return tree


def _check(text: str, tree: Any, places: list[int]) -> None:
    """Raise BadRequest for a clause with two signs, RecursionError for what is nested too deep; does not recurse."""
    level = [tree]
    for _ in range(MOST_NESTED):
        for item in level:
            if isinstance(item, _SIGNS) and isinstance(item.a, _SIGNS):
                position = places[item.a.pos] if item.a.pos is not None and item.a.pos < len(places) else len(text)
                raise _unparsed(text, "a clause has one sign", position)
        level = [child for item in level for child in item.children]
        if not level:
            return
    raise RecursionError


def _unparsed(text: str, reason: str, position: int) -> BadRequest:
    shown = text if len(text) <= 200 else f"{text[:200]}..."
    return BadRequest(f"the query {shown!r} cannot be parsed: {reason} at position {position}", position=position)


def _reason(said: str, places: list[int], length: int) -> tuple[str, int]:
    """Return luqum's error, and its position in the original query."""
    found = re.search(r"at position (\d+)", said)
    where = int(found[1]) if found else len(places)
    position = places[where] if where < len(places) else length
    token = re.search(r"unexpected  '(.*?)' at|Illegal character '(.*?)' at", said, re.DOTALL)
    if token is None:
        return "it ends too early", position
    what = token[1] or token[2] or ""
    if what.startswith('"'):
        return "a quote is not closed", position
    return f"{what!r} does not belong there" if what else "that does not belong there", position


_PIECES = re.compile(
    r"""\\.|"(?:[^"\\]|\\.)*"|(?<![^\s(])/(?:[^/\\]|\\.)*/|(?<=:)/(?:[^/\\]|\\.)*/"""
    r"""|(?<![^\s()"])(?:&&|\|\|)(?![^\s()"+\-!])|(?<![^\s(+\-:&|])!(?=\s*[^\s)])|(?<![^\s(:+\-!\[{])[<>']|(?<=")~\d*\.\d*|~(?!\d|\.\d)|\^(?!\d|\.\d)""",
    re.DOTALL,
)


def _prepared(text: str) -> tuple[str, list[int]]:
    """Return the query as luqum reads it, and for each of its characters the original position.

    ``&&``, ``||`` and ``!`` become words; range syntax that only luqum has is escaped; a ``~`` alone gets
    its default number.
    """
    parts: list[str] = []
    places: list[int] = []
    reached = 0

    def add(part: str, start: int, exact: bool) -> None:
        parts.append(part)
        places.extend(range(start, start + len(part)) if exact else [start] * len(part))

    for found in _PIECES.finditer(text):
        token, start = found[0], found.start()
        add(text[reached:start], reached, True)
        reached = found.end()
        if token == "^":
            raise _unparsed(text, "a boost is a number", start)
        if token == "~":
            add("~0" if text[start - 1 : start] == '"' else f"~{MOST_CHANGES}", start, False)
        elif token[0] == "~" and len(token) > 1:
            # A slop is whole.
            add(f"~{int(float(token[1:]))}" if token != "~." else token, start, False)
        elif token in ("&&", "||", "!"):
            add({"&&": " AND ", "||": " OR ", "!": "NOT "}[token], start, False)
        elif token in "<>'":
            add(f"\\{token}", start, False)
        else:
            add(token, start, True)
    add(text[reached:], reached, True)
    return "".join(parts), places


def _clauses(node: Any, joint: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield (the operator before it, its sign, the node) for each clause of an operation, in order."""
    if isinstance(node, _OPERATIONS):
        own = {AndOperation: "AND", OrOperation: "OR"}.get(type(node), "")
        for number, each in enumerate(node.children):
            yield from _clauses(each, own if number else joint)
    elif isinstance(node, Plus):
        yield joint, "+", node.a
    elif isinstance(node, (Prohibit, Not)):
        yield joint, "-", node.a
    else:
        yield joint, "", node


def _compiled(asked: Asked, node: Any, name: str) -> Any:
    """Return the query of a node; None if the analyzer drops all of it."""
    if isinstance(node, (*_OPERATIONS, Plus, Prohibit, Not)):
        return _boolean(asked, node, name)
    if isinstance(node, SearchField):
        return _field(asked, node)
    if isinstance(node, (Group, FieldGroup)):
        return _compiled(asked, node.expr, name)
    if isinstance(node, Boost):
        inner = _compiled(asked, node.expr, name)
        return None if inner is None else tantivy.Query.boost_query(inner, float(node.force))
    return _leaf(asked, node, name)


def _boolean(asked: Asked, node: Any, name: str) -> Any:
    parts: list[tuple[Any, Any]] = []
    for joint, sign, each in _clauses(node):
        if joint == "AND" and parts and parts[-1][0] != NOT:
            parts[-1] = (MUST, parts[-1][1])
        if sign == "-":
            with asked.unmarked():
                query = _compiled(asked, each, name)
        else:
            query = _compiled(asked, each, name)
        if query is not None:
            occur = NOT if sign == "-" else MUST if sign == "+" or joint == "AND" else SHOULD
            parts.append((occur, query))
    if not parts:
        return None
    if all(occur == NOT for occur, _ in parts):
        # Only prohibited clauses: Lucene finds nothing.
        return tantivy.Query.empty_query()
    if len(parts) == 1:
        return parts[0][1]
    return tantivy.Query.boolean_query(parts)


def _field(asked: Asked, node: Any) -> Any:
    name, inner = _unescaped(node.name), node.expr
    if name == "*" and isinstance(inner, Word) and inner.value == "*":
        return everything(asked.schema)
    if isinstance(inner, Boost):
        boosted = _field(asked, SearchField(node.name, inner.expr))
        return None if boosted is None else tantivy.Query.boost_query(boosted, float(inner.force))
    if isinstance(inner, SearchField):
        raise BadRequest(f"a field in a field: {node}; write the second colon as \\:")
    if isinstance(inner, (Plus, Prohibit)):
        # A number with its sign.
        word = inner.a.expr if isinstance(inner.a, Boost) else inner.a
        sign = "-" if isinstance(inner, Prohibit) else ""
        if isinstance(word, Word) and _NUMBER.match(word.value):
            number = _word(asked, f"{sign}{word.value}", name)
            return number if word is inner.a else tantivy.Query.boost_query(number, float(inner.a.force))
        raise BadRequest(f"a sign in a field: {node}; write it before the field, or as \\{sign or '+'}")
    return _compiled(asked, inner, name)


def _leaf(asked: Asked, node: Any, name: str) -> Any:
    if isinstance(node, Word):
        return _word(asked, node.value, name)
    if isinstance(node, Phrase):
        return _phrase(asked, node, name, 0)
    if isinstance(node, Proximity):
        return _phrase(asked, node.term, name, min(int(node.degree or 0), FARTHEST))
    if isinstance(node, Fuzzy):
        return _fuzzy(asked, _unescaped(node.term.value), name, float(node.degree))
    if isinstance(node, Range):
        return _range(asked, node, name)
    if isinstance(node, Regex):
        return asked.pattern(name, node.value[1:-1].replace(r"\/", "/"))
    raise BadRequest(f"{node} cannot be searched for")


_WILD = re.compile(r"\\.|[*?]", re.DOTALL)


def _word(asked: Asked, value: str, name: str) -> Any:
    if any(found[0] in "*?" for found in _WILD.finditer(value)):
        return _wildcard(asked, value, name)
    text = _unescaped(value)
    number = _NUMBER.match(text)
    # The analyzer would drop the sign, and 3 is not -3.
    words = [] if number and text[0] in "-+" else asked.analyzer(name).words(text)
    # Several terms of one word are alternatives, as in Lucene: only quotes make a phrase.
    queries = [asked.term(name, word) for word in words]
    if number:
        queries.append(tantivy.Query.term_query(asked.schema, f"n.{hexed(name)}", float(text)))
        if text not in words:
            queries.append(asked.term(name, text))
    if not queries:
        return None
    return queries[0] if len(queries) == 1 else tantivy.Query.boolean_query([(SHOULD, query) for query in queries])


def _wildcard(asked: Asked, value: str, name: str) -> Any:
    if value != "*" and value[0] in "*?":
        raise BadRequest(f"{value!r}: a wildcard may not stand at the beginning of a word")
    parts: list[str] = [""]
    folded = asked.analyzer(name).folded
    reached = 0
    for found in _WILD.finditer(value):
        parts[-1] += value[reached : found.start()]
        reached = found.end()
        if found[0] in "*?":
            parts += [found[0], ""]
        else:
            parts[-1] += found[0][1:]
    parts[-1] += value[reached:]
    # Wildcards are every second part; a text part may be "*" itself.
    return asked.wildcard(name, [part if number % 2 else folded(part) for number, part in enumerate(parts)])


def _phrase(asked: Asked, node: Phrase, name: str, slop: int) -> Any:
    return asked.phrase(name, asked.analyzer(name).spaced(_unescaped(node.value[1:-1])), slop)


def _fuzzy(asked: Asked, text: str, name: str, degree: float) -> Any:
    word = asked.analyzer(name).folded(text)
    if degree >= 1 and degree != int(degree):
        raise BadRequest(f"{text}~{degree}: a number of changes is whole")
    # Older queries give the similarity of words: 0.8 of five letters is one change.
    distance = int(degree) if degree >= 1 or degree == 0 else int((1 - degree) * len(word))
    return asked.near(name, word, min(distance, MOST_CHANGES))


def _range(asked: Asked, node: Range, name: str) -> Any:
    low, high = _bound(node.low), _bound(node.high)
    numeric = [each is None or _NUMBER.match(each) or each in ("Infinity", "-Infinity") for each in (low, high)]
    if all(numeric) and not (low is None and high is None):
        return _numbers(asked, node, name, low, high)
    folded = asked.analyzer(name).folded
    low, high = (None if each is None else folded(each) for each in (low, high))
    with_low, with_high = bool(node.include_low), bool(node.include_high)

    def within(term: str) -> bool:
        if low is not None and (term < low or (term == low and not with_low)):
            return False
        return not (high is not None and (term > high or (term == high and not with_high)))

    # Compared as they are stored.
    low_stored, high_stored = (None if each is None else stored(each) for each in (low, high))
    regex = range_pattern(low_stored, high_stored, with_low or low is None, with_high or high is None)
    return tantivy.Query.empty_query() if regex is None else asked.pattern(name, regex, within)


def _numbers(asked: Asked, node: Range, name: str, low: str | None, high: str | None) -> Any:
    begin = "*" if low in (None, "-Infinity") else low
    end = "*" if high in (None, "Infinity") else high
    if begin == "Infinity" or end == "-Infinity":
        return _nothing()
    if begin == end == "*":
        return tantivy.Query.exists_query(f"n.{hexed(name)}") if name in asked.names.numbers else _nothing()
    assert begin is not None
    assert end is not None
    # Exclusive ends cannot be open.
    left = "[" if node.include_low or begin == "*" else "{"
    right = "]" if node.include_high or end == "*" else "}"
    ends = [each if each == "*" else _digits(each) for each in (begin, end)]
    try:
        return asked.index.parse_query(f"n.{hexed(name)}:{left}{ends[0]} TO {ends[1]}{right}")
    except ValueError as error:
        raise BadRequest(f"{node} is not a range: {error}") from error


def _nothing() -> Any:
    return tantivy.Query.empty_query()


def _digits(text: str) -> str:
    """Return a number without an exponent: tantivy's parser knows none."""
    number = float(text)
    return format(Decimal(repr(number)), "f") if math.isfinite(number) else ("-" if number < 0 else "") + "9" * 309


def _bound(node: Any) -> str | None:
    if isinstance(node, Phrase):
        return _unescaped(node.value[1:-1])
    value = _unescaped(str(node).strip())
    return None if value == "*" else value


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
