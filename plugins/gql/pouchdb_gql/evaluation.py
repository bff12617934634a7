"""Expressions as Python functions of a document.

Values are those of JSON, and dates, datetimes and times of day. A missing field is null. Ordering compares values of
one type, with null it is false; ``=`` and ``!=`` compare any two values. Arithmetic with null is null, and so is
division by zero. A string compared with a date is parsed as a date.
"""

from __future__ import annotations

import datetime
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import re2  # type: ignore[import-untyped]  # a binding without stubs

from pouchdb_core.revisions.numbers import digits_of, plus
from pouchdb_gql.aggregation import stored
from pouchdb_gql.errors import GqlError
from pouchdb_gql.nodes import Binary, Call, Expression, Literal, Name, Unary, text_of
from pouchdb_gql.scalars import SCALAR_FUNCTIONS
from pouchdb_gql.temporal import Temporal, temporal

__all__ = ["Evaluator", "comparable", "compiled", "truthy"]

Evaluator = Callable[[Mapping[str, Any]], Any]
_TEMPORAL = (datetime.date, datetime.time)


def truthy(value: Any) -> bool:
    """Whether a condition's value keeps a document, as in JavaScript: empty objects and arrays do."""
    return bool(value) if isinstance(value, (bool, int, float, str, type(None))) else True


def compiled(expression: Expression, known: Mapping[str, str] | None = None) -> Evaluator:
    """Return a function from a document to the expression's value.

    ``known`` names expressions whose values are in the row already, by their text: columns of a group. Raises GqlError
    for aggregates and wrong arguments.
    """
    if known is not None and (key := known.get(text_of(expression))) is not None:
        return lambda row: row.get(key)
    if isinstance(expression, Literal):
        constant = expression.value
        return lambda doc: constant
    if isinstance(expression, Name):
        return _field(expression)
    if isinstance(expression, Call):
        return _call(expression, known)
    if isinstance(expression, Unary):
        return _unary(expression.operator, compiled(expression.operand, known))
    return _binary(expression, known)


def _field(field: Name) -> Evaluator:
    name, folded = field.name, field.name.lower()
    if field.quoted or name == folded:
        return lambda doc: doc.get(name)
    return lambda doc: doc[name] if name in doc else doc.get(folded)


def _call(call: Call, known: Mapping[str, str] | None) -> Evaluator:
    if call.aggregates:
        raise GqlError("function_error", f"{text_of(call)} is an aggregate: it stands in select and order by only")
    least, most, function = SCALAR_FUNCTIONS[call.function]
    if not least <= len(call.arguments) <= most:
        takes = "no argument" if most == 0 else f"{most} argument{'s' * (most > 1)}"
        raise GqlError("function_error", f"{call.function}() takes {takes}, not {len(call.arguments)}")
    arguments = [compiled(each, known) for each in call.arguments]
    return lambda doc: function(*(each(doc) for each in arguments))


def _unary(name: str, operand: Evaluator) -> Evaluator:
    if name == "not":
        return lambda doc: not truthy(operand(doc))
    if name == "is null":
        return lambda doc: operand(doc) is None
    if name == "is not null":
        return lambda doc: operand(doc) is not None

    def negative(doc: Mapping[str, Any]) -> Any:
        value = operand(doc)
        return -value if _is_number(value) else None

    return negative


def _binary(expression: Binary, known: Mapping[str, str] | None) -> Evaluator:
    left, right = compiled(expression.left, known), compiled(expression.right, known)
    name = expression.operator
    if name == "and":
        return lambda doc: right(doc) if truthy(value := left(doc)) else value
    if name == "or":
        return lambda doc: value if truthy(value := left(doc)) else right(doc)
    if name in ("matches", "like"):
        return _pattern(name, left, right)
    apply = _OPERATORS[name]
    return lambda doc: apply(left(doc), right(doc))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _arithmetic(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def calculate(left: Any, right: Any) -> Any:
        if not (_is_number(left) and _is_number(right)):
            return None
        try:
            value = apply(left, right)
        except (ZeroDivisionError, OverflowError, ValueError):
            # fmod raises ValueError for a division by zero.
            return None
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            # JSON has one kind of number: 4 / 2 is 2.
            return int(value)
        return stored(value)

    return calculate


_sum = _arithmetic(plus)


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) or isinstance(right, str):
        if left is None or right is None:
            return None
        return f"{_shown(left)}{_shown(right)}"
    return _sum(left, right)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return digits_of(value) if isinstance(value, int) else str(value)


def _modulo(left: Any, right: Any) -> Any:
    # The sign is the dividend's, as in Google's language and JavaScript.
    return math.fmod(left, right) if isinstance(left, float) or isinstance(right, float) else _whole_modulo(left, right)


def _whole_modulo(left: int, right: int) -> int:
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, datetime.datetime):
        return "datetime"
    return type(value).__name__


def comparable(left: Any, right: Any) -> tuple[Any, Any] | None:
    """Return two values of one type, or None. A string next to a date is parsed as a date."""
    if isinstance(left, _TEMPORAL) or isinstance(right, _TEMPORAL):
        first, second = temporal(left), temporal(right)
        if first is None or second is None:
            return None
        return _same_temporal(first, second)
    if left is None or right is None or _kind(left) != _kind(right) or isinstance(left, (dict, list)):
        return None
    return left, right


def _same_temporal(left: Temporal, right: Temporal) -> tuple[Any, Any] | None:
    times = isinstance(left, datetime.time), isinstance(right, datetime.time)
    if any(times):
        return (left, right) if all(times) else None
    moments = isinstance(left, datetime.datetime), isinstance(right, datetime.datetime)
    if all(moments) or not any(moments):
        return left, right
    # A date and a datetime: the day of the datetime is compared.
    return _day(left), _day(right)


def _day(value: Any) -> datetime.date:
    if isinstance(value, datetime.datetime):
        return value.date()
    assert isinstance(value, datetime.date)
    return value


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, _TEMPORAL) or isinstance(right, _TEMPORAL):
        pair = comparable(left, right)
        return pair is not None and bool(pair[0] == pair[1])
    # In Python True equals 1.
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _ordering(apply: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        pair = comparable(left, right)
        return pair is not None and apply(*pair)

    return compare


def _text(apply: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: isinstance(left, str) and isinstance(right, str) and apply(left, right)


_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": _add,
    "-": _arithmetic(lambda left, right: plus(left, -right)),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(operator.truediv),
    "%": _arithmetic(_modulo),
    "=": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _ordering(operator.lt),
    "<=": _ordering(operator.le),
    ">": _ordering(operator.gt),
    ">=": _ordering(operator.ge),
    "contains": _text(lambda left, right: right in left),
    "starts with": _text(str.startswith),
    "ends with": _text(str.endswith),
}


def _pattern(name: str, left: Evaluator, right: Evaluator) -> Evaluator:
    known: dict[str, Any] = {}

    def match(doc: Mapping[str, Any]) -> bool:
        text, pattern = left(doc), right(doc)
        if not isinstance(text, str) or not isinstance(pattern, str):
            return False
        if pattern not in known:
            if len(known) > 100:
                known.clear()
            known[pattern] = _regex(name, pattern)
        found = known[pattern]
        return found is not None and found.fullmatch(text) is not None

    return match


def _regex(name: str, pattern: str) -> Any:
    """Return a compiled pattern, or None for an invalid one, which matches nothing (Google's language)."""
    source = pattern
    if name == "like":
        source = "".join({"%": ".*", "_": "."}.get(letter, re2.escape(letter)) for letter in pattern)
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    try:
        return re2.compile(source, options=options)
    except re2.error:
        return None
