"""A parsed query: expressions as a tree, clauses as lists. ``text`` is the name of an expression in a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "AGGREGATES",
    "SCALARS",
    "Binary",
    "Call",
    "Expression",
    "Literal",
    "Name",
    "Query",
    "Unary",
    "aggregates",
    "names",
    "text_of",
]

AGGREGATES = frozenset(["avg", "average", "count", "max", "min", "sum"])
SCALARS = frozenset(
    "year month day hour minute second millisecond quarter dayofweek now datediff todate upper lower".split()
)


@dataclass(frozen=True)
class Literal:
    """A constant: text, number, boolean, None, date, time or datetime; ``shown`` is its text in a query."""

    value: Any
    shown: str


@dataclass(frozen=True)
class Name:
    """A field of the document. An unquoted name that no field has is looked up in lower case, as in the original."""

    name: str
    quoted: bool = False


@dataclass(frozen=True)
class Call:
    """A function, by its name in lower case."""

    function: str
    arguments: tuple[Expression, ...]

    @property
    def aggregates(self) -> bool:
        return self.function in AGGREGATES


@dataclass(frozen=True)
class Unary:
    """``-`` or ``not``, or a test for null."""

    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary:
    """Two operands and an operator."""

    operator: str
    left: Expression
    right: Expression


Expression = Literal | Name | Call | Unary | Binary

_BINDING = {"or": 1, "and": 2, "not": 3, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}


@dataclass
class Query:
    """All clauses; None where a clause is not given."""

    select: list[Expression] | None = None
    """None: whole documents."""
    where: Expression | None = None
    group_by: list[Expression] = field(default_factory=list)
    pivot: list[Expression] = field(default_factory=list)
    order_by: list[tuple[Expression, bool]] = field(default_factory=list)
    """Expressions, each with a flag for descending order."""
    skipping: int | None = None
    limit: int | None = None
    offset: int = 0
    label: list[tuple[Expression, str]] = field(default_factory=list)
    format: list[tuple[Expression, str]] = field(default_factory=list)
    options: list[str] = field(default_factory=list)


def text_of(expression: Expression) -> str:
    """Return an expression as it names a column: single spaces, brackets only where needed."""
    return _text(expression, 0)


def _text(expression: Expression, outer: int) -> str:
    if isinstance(expression, Literal):
        return expression.shown
    if isinstance(expression, Name):
        return expression.name
    if isinstance(expression, Call):
        return f"{expression.function}({', '.join(_text(each, 0) for each in expression.arguments)})"
    if isinstance(expression, Unary):
        if expression.operator in ("is null", "is not null"):
            text, binding = f"{_text(expression.operand, 5)} {expression.operator}", 4
        else:
            binding = 7 if expression.operator == "-" else 3
            text = f"{expression.operator} {_text(expression.operand, binding)}"
    else:
        binding = _BINDING.get(expression.operator, 4)
        # Left-associative: only a right operand of the same strength needs brackets.
        left, right = _text(expression.left, binding), _text(expression.right, binding + 1)
        text = f"{left} {expression.operator} {right}"
    return f"({text})" if binding < outer else text


def names(expression: Expression) -> Iterator[Name]:
    """Yield the fields that an expression reads, outside of aggregates."""
    if isinstance(expression, Name):
        yield expression
    elif isinstance(expression, Unary):
        yield from names(expression.operand)
    elif isinstance(expression, Binary):
        yield from names(expression.left)
        yield from names(expression.right)
    elif isinstance(expression, Call) and not expression.aggregates:
        for each in expression.arguments:
            yield from names(each)


def aggregates(expression: Expression) -> Iterator[Call]:
    """Yield the aggregates in an expression."""
    if isinstance(expression, Call):
        if expression.aggregates:
            yield expression
        else:
            for each in expression.arguments:
                yield from aggregates(each)
    elif isinstance(expression, Unary):
        yield from aggregates(expression.operand)
    elif isinstance(expression, Binary):
        yield from aggregates(expression.left)
        yield from aggregates(expression.right)
