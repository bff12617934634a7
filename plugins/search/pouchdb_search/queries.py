"""Queries to tantivy's: pouchdb-search's plain words, and Lucene's classic syntax."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any

import tantivy
from luqum.exceptions import ParseError  # type: ignore[import-untyped]  # it has none
from luqum.parser import lexer, parser  # type: ignore[import-untyped]
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
from pouchdb_search.analysis import Analyzer
from pouchdb_search.text_index import bucket, hexed, prefixed

__all__ = ["Asked", "everything", "lucene", "original"]

DEFAULT = "default"
EXPANSIONS = 200
"""Terms that a prefix of the original's queries stands for, the most frequent."""
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\Z")
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$#&\-~/\"<>@]")
MUST, SHOULD, NOT = tantivy.Occur.Must, tantivy.Occur.Should, tantivy.Occur.MustNot


class Asked:
    """What a query is compiled with, and which terms it looks for, for highlights."""

    def __init__(self, schema: Any, index: Any, searcher: Any, analyzer: Callable[[str], Analyzer]) -> None:
        self.schema, self.index, self.searcher, self.analyzer = schema, index, searcher, analyzer
        self.tests: dict[str, list[Callable[[str], bool]]] = {}
        """By field: whether a term of it is one that was looked for."""

    def term(self, name: str, term: str) -> Any:
        """Return a query for one term."""
        self.tests.setdefault(name, []).append(lambda found: found == term)
        return tantivy.Query.term_query(self.schema, bucket(name), prefixed(name, term))

    def pattern(self, name: str, regex: str) -> Any:
        """Return a query for terms that match a regular expression of tantivy's. Raises BadRequest."""
        try:
            test = re.compile(regex)
        except re.error:
            test = None
        if test is not None:
            self.tests.setdefault(name, []).append(lambda found: test.fullmatch(found) is not None)
        try:
            return tantivy.Query.regex_query(self.schema, bucket(name), f"{prefixed(name, '')}({regex})")
        except ValueError as error:
            raise BadRequest(f"{regex!r} is not a regular expression: {error}") from error

    def terms_of(self, name: str, prefix: str = "", limit: int | None = None) -> list[str]:
        """Return the terms of a field that begin so, the most frequent first."""
        found = self.searcher.terms_with_prefix(bucket(name), prefixed(name, prefix), limit=limit)
        length = len(prefixed(name, ""))
        return [term[length:] for term, _ in found]


def everything(schema: Any) -> Any:
    """Return the query that every document matches."""
    return tantivy.Query.term_query(schema, "kind", "doc")


def _all(schema: Any, parts: list[tuple[Any, Any]]) -> Any:
    if not any(occur != NOT for occur, _ in parts):
        return tantivy.Query.empty_query()
    return parts[0][1] if len(parts) == 1 else tantivy.Query.boolean_query(parts)


def original(asked: Asked, text: str) -> Any:
    """Compile a query as pouchdb-search reads it: all words, each also as a beginning, in one field.

    The text before the first colon is the field, the text up to the next one the words.
    """
    name, words = DEFAULT, text
    if ":" in text:
        name, words = text.split(":")[:2]
    terms = asked.analyzer(name).words(words)
    if not terms:
        return tantivy.Query.empty_query()
    parts = []
    for term in terms:
        expansions = []
        for found in asked.terms_of(name, term, EXPANSIONS):
            weight = 1.0 if found == term else 1 / math.log(max(3, len(found) - len(term)) + 1)
            expansions.append((SHOULD, tantivy.Query.boost_query(asked.term(name, found), weight)))
        if not expansions:
            return tantivy.Query.empty_query()
        parts.append((MUST, _all(asked.schema, expansions)))
    return _all(asked.schema, parts)


def lucene(asked: Asked, text: str) -> Any:
    """Compile a query in Lucene's classic syntax, ``OR`` between words. Raises BadRequest that says where."""
    if not text.strip():
        raise BadRequest("the query is empty")
    try:
        # ply keeps where it is: a lexer of one's own for each query.
        tree = parser.parse(_prepared(text), lexer=lexer.clone())
    except (ParseError, RecursionError) as error:
        raise BadRequest(f"the query {text!r} cannot be parsed: {_said(error)}") from error
    return _compiled(asked, tree, DEFAULT)


def _said(error: Exception) -> str:
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error)


def _prepared(text: str) -> str:
    """Write ``&&``, ``||`` and ``!`` as words, outside of quotes and where they are not escaped."""

    def replaced(found: re.Match[str]) -> str:
        token = found[0]
        return {"&&": " AND ", "||": " OR ", "!": " NOT "}.get(token, token)

    return re.sub(r'\\.|"(?:[^"\\]|\\.)*"|&&|\|\||(?<![\w])!(?=[\w("+*])', replaced, text)


def _compiled(asked: Asked, node: Any, name: str) -> Any:
    if isinstance(node, SearchField):
        field = _unescaped(node.name)
        if field == "*" and isinstance(node.expr, Word) and node.expr.value == "*":
            return everything(asked.schema)
        return _compiled(asked, node.expr, field)
    if isinstance(node, (Group, FieldGroup)):
        return _compiled(asked, node.expr, name)
    if isinstance(node, (AndOperation, OrOperation, UnknownOperation)):
        usual = MUST if isinstance(node, AndOperation) else SHOULD
        return _all(asked.schema, [_clause(asked, each, name, usual) for each in node.children])
    if isinstance(node, Plus):
        return _compiled(asked, node.a, name)
    if isinstance(node, (Prohibit, Not)):
        # Nothing but what must not be: Lucene finds nothing.
        return tantivy.Query.empty_query()
    if isinstance(node, Boost):
        return tantivy.Query.boost_query(_compiled(asked, node.expr, name), float(node.force))
    return _leaf(asked, node, name)


def _clause(asked: Asked, node: Any, name: str, usual: Any) -> tuple[Any, Any]:
    if isinstance(node, (Prohibit, Not)):
        return NOT, _compiled(asked, node.a, name)
    return MUST if isinstance(node, Plus) else usual, _compiled(asked, node, name)


def _leaf(asked: Asked, node: Any, name: str) -> Any:
    if isinstance(node, Word):
        return _word(asked, node.value, name)
    if isinstance(node, Phrase):
        return _phrase(asked, _unescaped(node.value[1:-1]), name, 0)
    if isinstance(node, Proximity):
        return _phrase(asked, _unescaped(node.term.value[1:-1]), name, int(node.degree or 0))
    if isinstance(node, Fuzzy):
        return _fuzzy(asked, _unescaped(node.term.value), name, node.degree)
    if isinstance(node, Range):
        return _range(asked, node, name)
    if isinstance(node, Regex):
        return asked.pattern(name, node.value[1:-1])
    raise BadRequest(f"{node} cannot be searched for")


def _word(asked: Asked, value: str, name: str) -> Any:
    if re.search(r"(?<!\\)[*?]", value):
        if value == "*":
            return asked.pattern(name, ".*")
        if value[0] in "*?":
            raise BadRequest(f"{value!r}: a wildcard may not stand at the beginning of a word")
        parts = re.split(r"(?<!\\)([*?])", asked.analyzer(name).folded(value))
        regex = "".join({"*": ".*", "?": "."}.get(part, _escaped(_unescaped(part))) for part in parts)
        return asked.pattern(name, regex)
    text = _unescaped(value)
    found = _phrase(asked, text, name, 0)
    if _NUMBER.match(text):
        number = tantivy.Query.term_query(asked.schema, f"n.{hexed(name)}", float(text))
        return tantivy.Query.boolean_query([(SHOULD, found), (SHOULD, number), (SHOULD, asked.term(name, text))])
    return found


def _phrase(asked: Asked, text: str, name: str, slop: int) -> Any:
    words = asked.analyzer(name).words(text)
    if not words:
        return tantivy.Query.empty_query()
    queries = [asked.term(name, word) for word in words]
    if len(words) == 1:
        return queries[0]
    return tantivy.Query.phrase_query(asked.schema, bucket(name), [prefixed(name, word) for word in words], slop)


def _fuzzy(asked: Asked, text: str, name: str, degree: Any) -> Any:
    words = asked.analyzer(name).words(text) or [asked.analyzer(name).folded(text)]
    asked_for = float(degree) if degree is not None else 2.0
    # Older queries say how alike words are: 0.8 of five letters is one change.
    distance = int(asked_for) if asked_for >= 1 else min(2, round((1 - asked_for) * len(words[0])))
    if distance > 2:
        raise BadRequest(f"{text}~{degree}: at most 2 changes can be looked for")
    for word in words:
        asked.tests.setdefault(name, []).append(lambda found, word=word: _near(found, word, distance))  # type: ignore[misc]
    if distance == 0:
        return asked.term(name, words[0])
    return _all(
        asked.schema,
        [
            (MUST, tantivy.Query.fuzzy_term_query(asked.schema, bucket(name), prefixed(name, word), distance=distance))
            for word in words
        ],
    )


def _near(left: str, right: str, most: int) -> bool:
    """Whether two words are within so many changes of each other."""
    if abs(len(left) - len(right)) > most:
        return False
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1] <= most


def _range(asked: Asked, node: Range, name: str) -> Any:
    low, high = _bound(node.low), _bound(node.high)
    numeric = [each is None or _NUMBER.match(each) or each in ("Infinity", "-Infinity") for each in (low, high)]
    if all(numeric) and not (low is None and high is None):
        begin = "*" if low in (None, "-Infinity") else low
        end = "*" if high in (None, "Infinity") else high
        if begin == end == "*":
            begin, end = "-1e308", "1e308"
        # Exclusive ends cannot be open.
        left = "[" if node.include_low or begin == "*" else "{"
        right = "]" if node.include_high or end == "*" else "}"
        try:
            return asked.index.parse_query(f"n.{hexed(name)}:{left}{begin} TO {end}{right}")
        except ValueError as error:
            raise BadRequest(f"{node} is not a range: {error}") from error
    folded = asked.analyzer(name).folded

    def within(term: str) -> bool:
        if low is not None and (term < folded(low) or (term == folded(low) and not node.include_low)):
            return False
        return not (high is not None and (term > folded(high) or (term == folded(high) and not node.include_high)))

    found = [term for term in asked.terms_of(name) if within(term)]
    return _any(asked, name, found)


def _any(asked: Asked, name: str, terms: Iterable[str]) -> Any:
    parts = [(SHOULD, asked.term(name, term)) for term in terms]
    return _all(asked.schema, parts) if parts else tantivy.Query.empty_query()


def _bound(node: Any) -> str | None:
    value = node.value if isinstance(node, (Word, Phrase)) else str(node)
    value = _unescaped(value.strip().strip('"'))
    return None if value == "*" else value


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", text)
