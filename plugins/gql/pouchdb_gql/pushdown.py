"""The source of documents: an index of pouchdb-find for conditions that one serves, else all of them, streamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.changes.pages import document_pages, plain_documents
from pouchdb_gql.nodes import Binary, Expression, Literal, Name, Unary

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["Source", "selector_of"]

_RANGES = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte", "=": "$eq"}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}


def selector_of(where: Expression | None) -> dict[str, Any] | None:
    """Return a Mango selector that matches every document that ``where`` keeps, or None if there is none.

    It may match more: documents that an index finds are tested by ``where`` again.
    """
    if where is None:
        return None
    if isinstance(where, Binary):
        if where.operator in ("and", "or"):
            parts = [selector_of(each) for each in (where.left, where.right)]
            known = [each for each in parts if each is not None]
            if where.operator == "and":
                return {"$and": known} if len(known) > 1 else known[0] if known else None
            return {"$or": known} if len(known) == 2 else None
        return _condition(where)
    if isinstance(where, Unary) and where.operator == "is not null" and isinstance(where.operand, Name):
        return _about(where.operand, {"$gt": None})
    return None


def _condition(where: Binary) -> dict[str, Any] | None:
    operator, left, right = where.operator, where.left, where.right
    if isinstance(right, Name) and isinstance(left, Literal) and operator in _TURNED:
        operator, left, right = _TURNED[operator], right, left
    if not isinstance(left, Name) or not isinstance(right, Literal):
        return None
    value = right.value
    # A date is compared with the date in a string, which no order of strings serves.
    if operator in _RANGES and isinstance(value, (str, int, float)):
        return _about(left, {_RANGES[operator]: value})
    if operator == "starts with" and isinstance(value, str) and value:
        return _about(left, {"$beginsWith": value})
    return None


def _about(field: Name, condition: dict[str, Any]) -> dict[str, Any]:
    name = _escaped(field.name)
    if field.quoted or field.name == field.name.lower():
        return {name: condition}
    return {"$or": [{name: condition}, {_escaped(field.name.lower()): condition}]}


def _escaped(name: str) -> str:
    # A dot is part of the name in this language, and a separator in selectors.
    name = name.replace("\\", "\\\\").replace(".", "\\.")
    return f"\\{name}" if name.startswith("$") else name


class Source:
    """The documents of a query, and how they are read."""

    def __init__(
        self, database: SyncPouchDB, where: Expression | None, *, design: bool, conflicts: bool, whole: bool
    ) -> None:
        self._database, self._design, self._conflicts, self._whole = database, design, conflicts, whole
        self.selector = selector_of(where)
        self.index: Mapping[str, Any] | None = None
        self.selection: Any = None
        if self.selector is not None and not design and not conflicts and not database.remote:
            self._choose()

    def _choose(self) -> None:
        try:
            from pouchdb_find import select
        except ImportError:
            return
        if not hasattr(self._database, "find"):
            # Installed, but not chosen for this environment: its indexes are not kept up to date.
            return
        selection = select(self._database, self.selector or {})
        index = selection.explain()["index"]
        if index.get("type") != "special":
            self.index, self.selection = index, selection

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.selection) if self.selection is not None else self._all()

    def _all(self) -> Iterator[Mapping[str, Any]]:
        """Yield the winners of all documents in the order of the changes feed, a page at a time."""
        if not self._whole and not self._conflicts:
            yield from plain_documents(self._database, design=self._design)
            return
        for page in document_pages(self._database, design=self._design, conflicts=self._conflicts):
            yield from page
