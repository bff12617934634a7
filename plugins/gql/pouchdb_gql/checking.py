"""Checks of a query, made before anything is read."""

from __future__ import annotations

from collections.abc import Iterable

from pouchdb_gql.errors import GqlError
from pouchdb_gql.nodes import Call, Expression, Query, aggregates, names, text_of

__all__ = ["check"]


def check(query: Query) -> None:
    """Raise GqlError for a query whose clauses do not fit together (Google's rules, the original's messages)."""
    grouped = {text_of(each) for each in query.group_by}
    pivoted = {text_of(each) for each in query.pivot}
    _once("group by", query.group_by)
    _once("pivot", query.pivot)
    _once("order by", [expression for expression, _ in query.order_by])
    for clause, expressions in (("group by", query.group_by), ("pivot", query.pivot)):
        if any(True for each in expressions for _ in aggregates(each)):
            raise GqlError("group_error", f"An aggregate may not stand in {clause}.", clause=clause)
    if query.where is not None and any(True for _ in aggregates(query.where)):
        raise GqlError("group_error", "An aggregate may not stand in where.", clause="where")
    if query.select is None:
        if query.group_by or query.pivot:
            raise GqlError(
                "select_error", "If a pivot or group by is present, select columns must be specified explicitly."
            )
        if any(True for expression, _ in query.order_by for _ in aggregates(expression)):
            raise GqlError("order_error", "Aggregates in order by must be in select.", clause="order by")
        _check_texts(query, None)
        return
    _once("select", query.select)
    selected = {text_of(each) for each in query.select}
    asked = [call for each in query.select for call in aggregates(each)]
    if pivoted & (grouped | selected):
        raise GqlError(
            "pivot_error", "Columns that appear in the pivot clause may not appear in the group by or select clauses."
        )
    if query.pivot and not asked:
        raise GqlError("pivot_error", "A pivot needs an aggregate in select.")
    if asked or query.group_by:
        _check_grouped(query.select, grouped)
    for call in asked:
        if text_of(call.arguments[0]) in grouped | pivoted:
            raise GqlError(
                "select_error",
                f"{text_of(call.arguments[0])} is aggregated: it may not be in group by or pivot as well.",
            )
    _check_order(query, selected, grouped, grouping=bool(asked or query.group_by))
    _check_texts(query, selected)


def _once(clause: str, expressions: Iterable[Expression]) -> None:
    seen: set[str] = set()
    for each in expressions:
        text = text_of(each)
        if text in seen:
            raise GqlError("select_error", f"{text} stands twice in {clause}.", clause=clause)
        seen.add(text)


def _check_grouped(select: list[Expression], grouped: set[str]) -> None:
    for each in select:
        if _is_free(each, grouped):
            raise GqlError(
                "select_error",
                "If an aggregation function is used in the select clause, all identifiers in the select clause must be "
                "wrapped by an aggregation function or appear in the group-by clause.",
            )


def _is_free(expression: Expression, grouped: set[str]) -> bool:
    """Whether an expression reads a field that differs within a group."""
    if text_of(expression) in grouped:
        return False
    if isinstance(expression, Call) and not expression.aggregates:
        return any(_is_free(each, grouped) for each in expression.arguments)
    return any(each.name not in grouped for each in names(expression))


def _check_order(query: Query, selected: set[str], grouped: set[str], *, grouping: bool) -> None:
    for expression, _ in query.order_by:
        text = text_of(expression)
        if any(True for _ in aggregates(expression)):
            if query.pivot:
                raise GqlError("order_error", "Aggregates may not stand in order by with a pivot.", clause="order by")
            if text not in selected:
                raise GqlError("order_error", f"{text} is in order by, and must be in select.", clause="order by")
        elif grouping and text not in selected | grouped:
            raise GqlError("order_error", f"{text} is in order by, and must be in select.", clause="order by")


def _check_texts(query: Query, selected: set[str] | None) -> None:
    for clause, pairs in (("label", query.label), ("format", query.format)):
        _once(clause, [expression for expression, _ in pairs])
        for expression, _ in pairs:
            if selected is not None and text_of(expression) not in selected:
                raise GqlError(
                    "label_error", f"{text_of(expression)} is in {clause}, and not in select.", clause=clause
                )
