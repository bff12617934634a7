"""Running a query: documents in, rows out. Memory grows with the rows or groups of the result only."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from pouchdb_core.results import Record
from pouchdb_gql.aggregation import Aggregate, aggregate, sort_key
from pouchdb_gql.checking import check
from pouchdb_gql.evaluation import compiled, truthy
from pouchdb_gql.formatting import formatter, plain
from pouchdb_gql.nodes import Expression, Query, aggregates, text_of
from pouchdb_gql.parser import parse
from pouchdb_gql.pushdown import Source

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["Answer"]

Row = dict[str, Any]
Key = Callable[[Mapping[str, Any]], Any]


class _Reversed:
    """Reverses an order, for keys of which some descend."""

    __slots__ = ("key",)

    def __init__(self, key: bytes) -> None:
        self.key = key

    def __lt__(self, other: _Reversed) -> bool:
        return other.key < self.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and other.key == self.key


class Answer:
    """A query on a database, checked; iterate over it for its rows. Raises GqlError, also while it is iterated."""

    def __init__(
        self,
        database: SyncPouchDB,
        query: Any,
        *,
        descending: bool = False,
        conflicts: bool = False,
        design: bool = False,
    ) -> None:
        self.query: Query = parse(query)
        check(self.query)
        self._descending = descending
        self._where = None if self.query.where is None else compiled(self.query.where)
        self._labels = {text_of(expression): label for expression, label in self.query.label}
        self._formats = {
            text_of(expression): formatter(pattern)
            for expression, pattern in self.query.format
            if "no_format" not in self.query.options
        }
        select = self.query.select or []
        self._calls = list(dict.fromkeys(call for each in select for call in aggregates(each)))
        if not self._calls and not self.query.group_by:
            # Errors in an expression are raised before anything is read.
            self._columns = [(text_of(each), compiled(each)) for each in select]
            self._order = [(compiled(expression), down) for expression, down in self.query.order_by]
        whole = self.query.select is None
        self._source = Source(database, self.query.where, design=design, conflicts=conflicts, whole=whole)

    def __iter__(self) -> Iterator[Record]:
        rows = self._grouped() if self._calls or self.query.group_by else self._listed()
        if self.query.skipping:
            rows = islice(rows, 0, None, self.query.skipping)
        end = None if self.query.limit is None else self.query.offset + self.query.limit
        return islice(rows, self.query.offset, end)

    def explain(self) -> Record:
        """Return how it is run: the index, the selector for it, and the conditions tested afterwards."""
        query, source = self.query, self._source
        steps = []
        if source.index is None:
            steps.append("read all documents in the order of the changes feed, a page at a time")
        else:
            steps.append(f"read the index {source.index.get('name')!r} of {source.index.get('ddoc')}")
        if query.where is not None:
            steps.append(f"keep documents where {text_of(query.where)}")
        if self._calls or query.group_by:
            texts = ", ".join(map(text_of, query.group_by)) or "all together"
            steps.append(
                f"group by {texts}"
                + (f", a column for each of {', '.join(map(text_of, query.pivot))}" * bool(query.pivot))
            )
        if query.order_by:
            first = query.offset + query.limit if query.limit is not None else None
            steps.append("sort" + (f", keeping the first {first:,}" if first is not None else ""))
        return Record(
            index=None if source.index is None else Record(source.index),
            selector=source.selector if source.index is not None else None,
            steps=steps,
            plan=None if source.selection is None else source.selection.explain().get("plan"),
        )

    # -- rows of documents ---------------------------------------------------------------------------

    def _documents(self) -> Iterator[Mapping[str, Any]]:
        where = self._where
        return iter(self._source) if where is None else (doc for doc in self._source if truthy(where(doc)))

    def _listed(self) -> Iterator[Record]:
        documents: Iterable[Mapping[str, Any]] = self._documents()
        if self._order:
            documents = self._first(documents, self._order)
        if self.query.select is None:
            return (self._whole(doc) for doc in documents)
        return (self._finished({text: column(doc) for text, column in self._columns}) for doc in documents)

    def _whole(self, doc: Mapping[str, Any]) -> Record:
        if not self._labels and not self._formats:
            return Record(doc)
        return self._finished(dict(doc))

    def _first(self, rows: Iterable[Any], order: list[tuple[Key, bool]]) -> Iterable[Any]:
        """Return rows in order; with a limit only that many are held."""

        def key(row: Any) -> tuple[Any, ...]:
            return tuple(
                _Reversed(sort_key(value(row))) if down != self._descending else sort_key(value(row))
                for value, down in order
            )

        limit = self.query.limit
        if limit is None or self.query.skipping:
            return sorted(rows, key=key)
        return heapq.nsmallest(self.query.offset + limit, rows, key=key)

    def _finished(self, row: Row) -> Record:
        """Return a row with its labels and formats."""
        finished = Record()
        for text, value in row.items():
            form = self._formats.get(text)
            finished[self._labels.get(text, text)] = plain(value) if form is None else form(value)
        return finished

    # -- groups --------------------------------------------------------------------------------------

    def _grouped(self) -> Iterator[Record]:
        query = self.query
        keys = [(text_of(each), compiled(each)) for each in query.group_by]
        pivots = [compiled(each) for each in query.pivot]
        groups: dict[tuple[bytes, ...], _Group] = {}
        columns: dict[tuple[bytes, ...], str] = {}
        arguments = [compiled(call.arguments[0]) for call in self._calls]
        for doc in self._documents():
            values = {text: value(doc) for text, value in keys}
            place = tuple(sort_key(value) for value in values.values())
            group = groups.get(place)
            if group is None:
                group = groups[place] = _Group(values)
            found = [each(doc) for each in pivots]
            column = tuple(sort_key(value) for value in found)
            if column not in columns:
                columns[column] = ", ".join(_pivot_text(value) for value in found)
            cells = group.cells.get(column)
            if cells is None:
                cells = group.cells[column] = [aggregate(call.function) for call in self._calls]
            for cell, argument in zip(cells, arguments, strict=True):
                cell.add(argument(doc))
        ordered = [groups[place] for place in sorted(groups, reverse=self._descending and not query.order_by)]
        rows = [self._row(group, columns) for group in ordered]
        if query.order_by:
            known = {text: text for text in rows[0][0]} if rows else {}
            order = [(compiled(expression, known), down) for expression, down in query.order_by]
            rows = list(self._first(rows, [(_of_first(value), down) for value, down in order]))
        return (self._projected(row, labels) for row, labels in rows)

    def _row(self, group: _Group, columns: Mapping[tuple[bytes, ...], str]) -> tuple[Row, dict[str, tuple[str, str]]]:
        """Return the values of a group by expression text, and for each cell of a pivot its parts."""
        row: Row = dict(group.values)
        labels: dict[str, tuple[str, str]] = {}
        for each in self.query.select or ():
            text = text_of(each)
            if not any(True for _ in aggregates(each)):
                if text not in row:
                    row[text] = compiled(each, {name: name for name in group.values})(row)
            elif not self.query.pivot:
                row[text] = self._cell(each, group, ())
        if self.query.pivot:
            for column in sorted(columns):
                for each in self.query.select or ():
                    if any(True for _ in aggregates(each)):
                        text = text_of(each)
                        key = f"{columns[column]} {text}"
                        row[key] = self._cell(each, group, column)
                        labels[key] = (columns[column], text)
        return row, labels

    def _cell(self, expression: Expression, group: _Group, column: tuple[bytes, ...]) -> Any:
        """Return the value of an expression over aggregates; these are null where a pivot has no such cell."""
        cells = group.cells.get(column)
        results = {
            text_of(call): None if cells is None else cells[number].value for number, call in enumerate(self._calls)
        }
        values = {**group.values, **results}
        return compiled(expression, {text: text for text in values})(values)

    def _projected(self, row: Row, labels: Mapping[str, tuple[str, str]]) -> Record:
        finished = Record()
        for each in self.query.select or ():
            text = text_of(each)
            if text in row and text not in labels:
                form = self._formats.get(text)
                finished[self._labels.get(text, text)] = plain(row[text]) if form is None else form(row[text])
        for key, (pivot, text) in labels.items():
            form = self._formats.get(text)
            finished[f"{pivot} {self._labels.get(text, text)}"] = plain(row[key]) if form is None else form(row[key])
        return finished


def _of_first(value: Key) -> Key:
    def first(pair: Any) -> Any:
        return value(pair[0])

    return first


class _Group:
    __slots__ = ("cells", "values")

    def __init__(self, values: Row) -> None:
        self.values = values
        self.cells: dict[tuple[bytes, ...], list[Aggregate]] = {}
        """By pivot column, the aggregates in the order of the query's calls."""


def _pivot_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(plain(value))
