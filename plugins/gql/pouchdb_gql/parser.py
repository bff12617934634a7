"""Text to trees, by the grammar in gql.lark; a query comes as one text or in parts."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, VisitError

from pouchdb_core.safe_repr import safe_repr
from pouchdb_gql.errors import GqlError, located
from pouchdb_gql.nodes import AGGREGATES, SCALARS, Binary, Call, Expression, Literal, Name, Query, Unary
from pouchdb_gql.temporal import as_date, as_datetime, as_time

__all__ = ["parse"]

CLAUSES = {
    "select": "select",
    "where": "where",
    "groupBy": "group_by",
    "group_by": "group_by",
    "pivot": "pivot",
    "orderBy": "order_by",
    "order_by": "order_by",
    "skipping": "skipping",
    "limit": "limit",
    "offset": "offset",
    "label": "label",
    "format": "format",
    "options": "options",
}
"""The parts of a query, in both spellings, and their names here."""
_STARTS = {
    "select": "select",
    "where": "where",
    "group_by": "columns",
    "pivot": "columns",
    "order_by": "order",
    "label": "texts",
    "format": "texts",
    "options": "options",
}
_BEGINS = re.compile(r"\s*(select|where|group|pivot|order|skipping|limit|offset|label|format|options)\b", re.IGNORECASE)
DEPTH = 200
"""How deep brackets may be nested."""


@cache
def _grammar() -> Lark:
    text = (Path(__file__).parent / "gql.lark").read_text("utf-8")
    return Lark(text, parser="lalr", start=["query", *dict.fromkeys(_STARTS.values())], maybe_placeholders=True)


def parse(query: Any) -> Query:
    """Return a parsed query. Raises GqlError for an invalid query."""
    if isinstance(query, str):
        if not _BEGINS.match(query) and query.strip():
            raise GqlError("not_recognized", "Format of input query is not valid", clause="query", position=0)
        return cast("Query", _parsed("query", query, "query"))
    if not isinstance(query, Mapping):
        raise GqlError("not_recognized", "Format of input query is not valid")
    found = Query()
    seen: set[str] = set()
    for key, value in query.items():
        if key not in CLAUSES:
            raise GqlError(
                "not_recognized", f"there is no clause {safe_repr(key)}; there are: {', '.join(dict.fromkeys(CLAUSES))}"
            )
        clause = CLAUSES[key]
        if clause in seen:
            raise GqlError("not_recognized", f"the clause {clause!r} is given in two spellings")
        seen.add(clause)
        _take(found, clause, key, value)
    return found


def _take(query: Query, clause: str, key: str, value: Any) -> None:
    if value is None:
        return
    if clause in ("skipping", "limit", "offset"):
        setattr(query, clause, _count(clause, value))
        return
    if not isinstance(value, str):
        raise GqlError("not_recognized", f"the clause {key!r} must be text, not {safe_repr(value)}")
    if not value.strip():
        return
    setattr(query, clause, _parsed(_STARTS[clause], value, key))


def _count(clause: str, value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*\d+\s*", value):
        value = int(value)
    if type(value) is not int or value < 0:
        wrong = f"{clause} must be a whole number, 0 or more, not {safe_repr(value)}"
        raise GqlError("parsing_error", wrong, clause=clause)
    return value


def _parsed(start: str, text: str, clause: str) -> Any:
    _check_quotes(text, clause)
    _check_depth(text, clause)
    try:
        tree = _grammar().parse(text, start=start)
        return _Builder(text, clause).transform(tree)
    except VisitError as error:
        if isinstance(error.orig_exc, GqlError):
            raise error.orig_exc from None
        raise
    except UnexpectedInput as error:
        raise _unexpected(error, text, clause) from None


def _check_quotes(text: str, clause: str) -> None:
    """Refuse unclosed quotes, with the original's message."""
    position = 0
    while position < len(text):
        letter = text[position]
        if letter in "'\"`":
            end = text.find(letter, position + 1)
            if end < 0:
                what = "identifier needs a closing `" if letter == "`" else f"string needs a closing {letter}"
                raise located("tokenizing_error", f"{what} on character {len(text)}.", clause, text, position)
            position = end
        elif letter == "!" and text[position + 1 : position + 2] != "=":
            raise located(
                "tokenizing_error", f"'!' not followed by '=' on character {position + 1}.", clause, text, position
            )
        position += 1


def _is_function(name: str) -> bool:
    return name.lower() in AGGREGATES or name.lower() in SCALARS


def _still_open(text: str) -> int | None:
    """Return the position of the innermost unclosed bracket."""
    opened: list[int] = []
    for position, letter in enumerate(_unquoted(text)):
        if letter == "(":
            opened.append(position)
        elif letter == ")" and opened:
            opened.pop()
    return opened[-1] if opened else None


def _unquoted(text: str) -> str:
    """Return a text of the same length with spaces in place of quoted parts."""
    return re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", lambda found: " " * len(found[0]), text)


def _check_depth(text: str, clause: str) -> None:
    depth = 0
    for position, letter in enumerate(_unquoted(text)):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth > DEPTH:
            raise located("parsing_error", f"brackets are nested deeper than {DEPTH}", clause, text, position)
    if len(re.findall(r"\bnot\b|-", text, re.IGNORECASE)) > 2000:
        raise GqlError("parsing_error", f"{clause} is too long", clause=clause)


def _unexpected(error: UnexpectedInput, text: str, clause: str) -> GqlError:
    position = getattr(error, "pos_in_stream", None)
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        expected = getattr(error, "accepts", None) or getattr(error, "expected", None) or ()
        if "RPAR" in expected and (opened := _still_open(text)) is not None:
            function = re.search(r"([A-Za-z]+)\s*\Z", text[:opened])
            what = f"for function {function[1]}" if function and _is_function(function[1]) else "')'"
            return located("parsing_error", f"Expected closing parenthesis {what}", clause, text, len(text))
        return located("parsing_error", "Unexpected token: (end)", clause, text, len(text))
    if isinstance(error, UnexpectedToken):
        position = error.token.start_pos if error.token.start_pos is not None else position
        return located("parsing_error", f"Unexpected token: {error.token}", clause, text, position or 0)
    if isinstance(error, UnexpectedCharacters):
        return located("parsing_error", f"Unexpected token: {text[position or 0]}", clause, text, position or 0)
    return located("parsing_error", "Unexpected token", clause, text, position or 0)


def _is_null(expression: Expression) -> bool:
    return isinstance(expression, Literal) and expression.value is None


def _binary(operator: str) -> Callable[[Any, Any, Any], Binary]:
    def build(self: Any, left: Any, right: Any) -> Binary:
        return Binary(operator, left, right)

    return build


class _Builder(Transformer[Token, Any]):
    """Makes nodes of lark's tree."""

    def __init__(self, text: str, clause: str) -> None:
        super().__init__()
        self._text, self._clause = text, clause

    def _call_userfunc(self, tree: Any, new_children: Any = None) -> Any:
        children = tree.children if new_children is None else new_children
        method = getattr(self, tree.data, None)
        assert method is not None, "every rule has its method"
        return method(*children)

    def _error(self, reason: str, token: Token) -> GqlError:
        return located("parsing_error", reason, self._clause, self._text, token.start_pos or 0)

    def number(self, token: Token) -> Literal:
        text = str(token)
        value = float(text) if not text.isdigit() else int(text)
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)
        return Literal(value, text if text.isdigit() else repr(value))

    def string(self, token: Token) -> Literal:
        return Literal(token[1:-1], token[1:-1])

    def true(self) -> Literal:
        return Literal(True, "true")

    def false(self) -> Literal:
        return Literal(False, "false")

    def null(self) -> Literal:
        return Literal(None, "null")

    def date(self, token: Token) -> Literal:
        return self._moment("date", token, as_date, "yyyy-MM-dd")

    def timeofday(self, token: Token) -> Literal:
        return self._moment("timeofday", token, as_time, "HH:mm:ss[.SSS]")

    def datetime(self, token: Token) -> Literal:
        return self._moment("datetime", token, as_datetime, "yyyy-MM-dd HH:mm:ss[.sss]")

    def _moment(self, kind: str, token: Token, convert: Callable[[str], Any], form: str) -> Literal:
        value = convert(token[1:-1])
        if value is None or (kind == "datetime" and not isinstance(value, datetime.datetime)):
            raise located(
                "parsing_error",
                f"{token} is no {kind}: it has the form '{form}'",
                self._clause,
                self._text,
                token.start_pos or 0,
            )
        return Literal(value, f"{kind} {token}")

    def name(self, token: Token) -> Name:
        return Name(str(token))

    def quoted(self, token: Token) -> Name:
        return Name(token[1:-1], quoted=True)

    def call(self, token: Token, *arguments: Any) -> Call:
        function = str(token).lower()
        given = tuple(each for each in arguments if each is not None)
        if not _is_function(function):
            raise located(
                "parsing_error", f"Unrecognized function: {token}", self._clause, self._text, token.start_pos or 0
            )
        if function in AGGREGATES and not (len(given) == 1 and isinstance(given[0], Name)):
            raise self._error(f"{function}() takes one column", token)
        return Call(function, given)

    def compared(self, left: Expression, token: Token, right: Expression) -> Binary:
        return Binary("!=" if token == "<>" else str(token), left, right)

    either, both = _binary("or"), _binary("and")
    contains, starts_with, ends_with = _binary("contains"), _binary("starts with"), _binary("ends with")
    matches, like = _binary("matches"), _binary("like")
    add, subtract, multiply, divide, modulo = map(_binary, "+-*/%")

    def same(self, left: Expression, right: Expression) -> Expression:
        return Unary("is null", left) if _is_null(right) else Binary("=", left, right)

    def not_same(self, left: Expression, right: Expression) -> Expression:
        return Unary("is not null", left) if _is_null(right) else Binary("!=", left, right)

    def negated(self, operand: Expression) -> Unary:
        return Unary("not", operand)

    def negative(self, operand: Expression) -> Unary:
        return Unary("-", operand)

    def everything(self) -> None:
        return None

    def listed(self, *expressions: Expression) -> list[Expression]:
        return list(expressions)

    def where(self, expression: Expression) -> Expression:
        return expression

    def columns(self, *expressions: Expression) -> list[Expression]:
        return list(expressions)

    def ascending(self, expression: Expression) -> tuple[Expression, bool]:
        return expression, False

    def descending(self, expression: Expression) -> tuple[Expression, bool]:
        return expression, True

    def order(self, *keys: tuple[Expression, bool]) -> list[tuple[Expression, bool]]:
        return list(keys)

    def count(self, token: Token) -> int:
        return _count(self._clause, str(token))

    def text(self, expression: Expression, token: Token) -> tuple[Expression, str]:
        return expression, token[1:-1]

    def texts(self, *pairs: tuple[Expression, str]) -> list[tuple[Expression, str]]:
        return list(pairs)

    def options(self, *tokens: Token) -> list[str]:
        return [str(token).lower() for token in tokens]

    def query(self, *clauses: Any) -> Query:
        query = Query()
        for each in clauses:
            if each is not None:
                name, value = each
                if value is not None or name == "select":
                    setattr(query, name, value)
        return query


def _clause(name: str) -> Callable[[Any, Any], tuple[str, Any]]:
    def build(self: Any, value: Any) -> tuple[str, Any]:
        return name, value

    return build


for _rule, _name in (
    *(
        (each, each)
        for each in ("select", "where", "pivot", "skipping", "limit", "offset", "label", "format", "options")
    ),
    ("group", "group_by"),
    ("order", "order_by"),
):
    setattr(_Builder, f"{_rule}_clause", _clause(_name))
