"""Lucene's classic query syntax: clauses have Lucene's meaning.

``a AND b OR c`` has no precedence: each ``AND`` makes both of its sides required, and one that neither
``AND`` nor ``+`` requires is optional. A word that the analyzer drops is not a clause.
"""

from __future__ import annotations

import math
import re
from typing import Any

import tantivy

from pouchdb_core.errors import BadRequest
from pouchdb_search.lucene_grammar import (
    MOST_CHANGES,
    NUMBER,
    Boosted,
    Group,
    Leaf,
    Node,
    Quoted,
    Range,
    parsed,
    unescaped,
)
from pouchdb_search.number_ranges import Interval, agreeing
from pouchdb_search.queries import DEFAULT, MUST, NOT, SHOULD, Asked, everything
from pouchdb_search.schema import hexed
from pouchdb_search.text_ranges import TextRange

__all__ = ["lucene"]

FARTHEST = 1_000_000
"""The most slop of a phrase that tantivy is asked for; no text is longer."""


def lucene(asked: Asked, text: str) -> Any:
    """Compile a query, ``OR`` between words. Raises BadRequest with the error and its ``position``."""
    found = _compiled(asked, parsed(text, DEFAULT))
    return tantivy.Query.empty_query() if found is None else found


def _compiled(asked: Asked, node: Node) -> Any:
    """Return the query of a node; None if the analyzer drops all of it."""
    if isinstance(node, Leaf):
        return _leaf(asked, node)
    if isinstance(node, Group):
        return _boolean(asked, node)
    if isinstance(node, Boosted):
        inner = _compiled(asked, node.node)
        return None if inner is None else tantivy.Query.boost_query(inner, node.boost)
    if isinstance(node, Quoted):
        words = asked.analyzer(node.field).spaced(unescaped(node.text))
        return asked.phrase(node.field, words, min(node.slop, FARTHEST))
    return _range(asked, node)


def _boolean(asked: Asked, node: Group) -> Any:
    parts: list[tuple[Any, Any]] = []
    for clause in node.clauses:
        joint, sign, inner = clause
        if joint == "AND" and parts and parts[-1][0] != NOT:
            parts[-1] = (MUST, parts[-1][1])
        if sign == "-":
            with asked.unmarked():
                query = _compiled(asked, inner)
        else:
            query = _compiled(asked, inner)
        if query is not None:
            parts.append((NOT if sign == "-" else MUST if sign == "+" or joint == "AND" else SHOULD, query))
    if not parts:
        return None
    if len(parts) == 1 and parts[0][0] != NOT:
        return parts[0][1]
    if all(occur == NOT for occur, _ in parts):
        # Only prohibited clauses: Lucene finds nothing.
        return tantivy.Query.empty_query()
    return tantivy.Query.boolean_query(parts)


def _leaf(asked: Asked, node: Leaf) -> Any:
    name, kind, text, fuzzy = node
    if kind == "regexp":
        return asked.regexp(name, text)
    if kind == "wild":
        return everything(asked.schema) if name == text == "*" else _wildcard(asked, text, name)
    text = unescaped(text)
    return _word(asked, text, name) if fuzzy is None else _fuzzy(asked, text, name, fuzzy)


_WILD = re.compile(r"\\.|[*?]", re.DOTALL)


def _word(asked: Asked, text: str, name: str) -> Any:
    number = NUMBER.match(text)
    # The analyzer would drop the sign, and 3 is not -3.
    words = [] if number and text[0] in "-+" else asked.analyzer(name).words(text)
    # Several terms of one word are alternatives, as in Lucene: only quotes make a phrase.
    queries = [asked.term(name, word) for word in words]
    if number and math.isfinite(float(text)):
        queries.append(asked.value(f"n.{hexed(name)}", float(text)))
        if text not in words:
            queries.append(asked.term(name, text))
    if not queries:
        return None
    return queries[0] if len(queries) == 1 else tantivy.Query.boolean_query([(SHOULD, query) for query in queries])


def _wildcard(asked: Asked, value: str, name: str) -> Any:
    if value != "*" and value[0] in "*?":
        raise BadRequest(f"{value!r}: the wildcards * and ? cannot begin a word")
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


def _fuzzy(asked: Asked, text: str, name: str, degree: float) -> Any:
    word = asked.analyzer(name).folded(text)
    if degree >= 1 and degree != int(degree):
        raise BadRequest(f"{text}~{degree}: the number of changes after ~ must be a whole number")
    # Older queries give the similarity of words: 0.8 of five letters is one change.
    distance = int(degree) if degree >= 1 or degree == 0 else int((1 - degree) * len(word))
    return asked.near(name, word, min(distance, MOST_CHANGES))


def _range(asked: Asked, node: Range) -> Any:
    low, high, name = node.low, node.high, node.field
    numeric = [each is None or NUMBER.match(each) or each in ("Infinity", "-Infinity") for each in (low, high)]
    if all(numeric) and not (low is None and high is None):
        return _numbers(asked, node)
    folded = asked.analyzer(name).folded
    low, high = (None if each is None else folded(each) for each in (low, high))
    return asked.between(name, TextRange(low, high, node.with_low, node.with_high), shown=_shown(node))


def _shown(node: Range) -> str:
    ends = " TO ".join("*" if each is None else each for each in (node.low, node.high))
    return f"{'[' if node.with_low else '{'}{ends}{']' if node.with_high else '}'}"


def _numbers(asked: Asked, node: Range) -> Any:
    field = f"n.{hexed(node.field)}"
    low = -math.inf if node.low is None else float(node.low)
    high = math.inf if node.high is None else float(node.high)
    if node.field not in asked.names.numbers:
        return tantivy.Query.empty_query()
    if low == -math.inf and high == math.inf:
        return tantivy.Query.exists_query(field)
    parts = [
        asked.index.parse_query(f"{field}:{each.text()}")
        for each in agreeing(Interval(low, high, node.with_low, node.with_high))
    ]
    if len(parts) == 1:
        return parts[0]
    return tantivy.Query.boolean_query([(SHOULD, each) for each in parts]) if parts else tantivy.Query.empty_query()
