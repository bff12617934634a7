"""Results as tables: as data frames of pandas and polars, as Arrow tables, as CSV.

``all_docs``, ``query``, ``find`` and similar methods of plug-ins return rows or documents. A table
has a column for each field that a row has, in the order in which they come up. None of the libraries is needed until
its method is called.
"""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, TextIO

from pouchdb_core.errors import NotSupported
from pouchdb_core.jsontext import dump
from pouchdb_core.results import Record

__all__ = ["Table"]

_LISTS = ("docs", "rows")


class Table(Record):
    """A result with a list of rows, ``rows`` or ``docs``; otherwise an ordinary Record.

    ``Table(result)`` makes one of another result. If it has ``columns``, a list of names, those are the columns.
    """

    __slots__ = ()

    def to_columns(self, *, docs: bool | None = None) -> dict[str, list[Any]]:
        """Return a list of values for each column; None where a row has no such field.

        ``docs`` True takes the documents in the rows (``include_docs=True``) instead of the rows, False the rows;
        by default documents are taken if there are any.
        """
        rows = self._rows(docs)
        names = self.get("columns")
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            # Most rows have what the first one has: looking for its fields again costs nothing.
            found: dict[str, None] = {}
            for row in rows:
                if not row.keys() <= found.keys():
                    found.update(dict.fromkeys(row))
            names = list(found)
        return {name: [row.get(name) for row in rows] for name in names}

    def to_pandas(self, *, docs: bool | None = None) -> Any:
        """Return a ``pandas.DataFrame``; objects and arrays stay Python's. Raises NotSupported without pandas."""
        return _library("pandas").DataFrame(self.to_columns(docs=docs))

    def to_arrow(self, *, docs: bool | None = None) -> Any:
        """Return a ``pyarrow.Table``: objects are structs, arrays lists.

        A column whose values are of several types becomes JSON text. Raises NotSupported without pyarrow.
        """
        arrow = _library("pyarrow")
        columns = self.to_columns(docs=docs)
        return arrow.table({name: _arrow(arrow, values) for name, values in columns.items()})

    def to_polars(self, *, docs: bool | None = None) -> Any:
        """Return a ``polars.DataFrame``; columns as in ``to_arrow``. Raises NotSupported without polars or pyarrow."""
        return _library("polars").from_arrow(self.to_arrow(docs=docs))

    def to_csv(self, target: str | PathLike[str] | TextIO | None = None, *, docs: bool | None = None) -> str | None:
        """Write CSV with a line of names, to a path or an open text file, or return it.

        Objects and arrays are JSON text, null is an empty cell, booleans are true and false.
        """
        if target is None:
            buffer = io.StringIO(newline="")
            self._csv(buffer, docs)
            return buffer.getvalue()
        if isinstance(target, (str, PathLike)):
            with open(target, "w", encoding="utf-8", newline="") as file:
                self._csv(file, docs)
        else:
            self._csv(target, docs)
        return None

    def to_text(self, *, docs: bool | None = None, width: int = 40) -> str:
        """Return a table for a terminal or a log: a line of names, then one of each row; numbers are on the right.

        Objects and arrays are JSON text, null is empty, controls are escaped, cells are cut at ``width`` characters.
        """
        columns = self.to_columns(docs=docs)
        cells = [[_words(name), *map(_words, values)] for name, values in columns.items()]
        cut = [[each if len(each) <= width else each[: max(width - 1, 0)] + "…" for each in column] for column in cells]
        sizes = [max(map(len, column)) for column in cut]
        right = [_numbers(values) for values in columns.values()]
        rules = ["-" * size for size in sizes]
        lines = list(zip(*cut, strict=True))
        return "\n".join(
            "  ".join(
                cell.rjust(size) if number else cell.ljust(size)
                for cell, size, number in zip(line, sizes, right, strict=True)
            ).rstrip()
            for line in (*lines[:1], rules, *lines[1:])
        )

    def _csv(self, file: Any, docs: bool | None) -> None:
        columns = self.to_columns(docs=docs)
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(map(_cells, zip(*columns.values(), strict=True)))

    def _rows(self, docs: bool | None) -> Sequence[Mapping[str, Any]]:
        rows: Any = next((self[name] for name in _LISTS if isinstance(self.get(name), list)), [])
        if docs is False or "docs" in self:
            return rows  # type: ignore[no-any-return]
        if docs or any(isinstance(row.get("doc"), Mapping) for row in rows):
            return [row["doc"] for row in rows if isinstance(row.get("doc"), Mapping)]
        return rows  # type: ignore[no-any-return]


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise NotSupported(f"this needs {name}: pip install {name}, or 'pouchdb[tables]' for all of them") from None


def _arrow(arrow: Any, values: list[Any]) -> Any:
    try:
        return arrow.array(values)
    except (arrow.ArrowException, OverflowError, ValueError, TypeError):
        return arrow.array([None if value is None else _json(value) for value in values])


def _cells(row: Sequence[Any]) -> list[Any]:
    return [value if type(value) in _PLAIN else "" if value is None else _json(value) for value in row]


_PLAIN = (str, int, float)


def _words(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return str(value) if type(value) in _PLAIN else _json(value)
    return value if value.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in value)


def _numbers(values: Sequence[Any]) -> bool:
    found = {type(value) for value in values if value is not None}
    return bool(found) and found <= {int, float}


def _json(value: Any) -> str:
    # A tab marks long integers in what is stored; in strings it is escaped.
    return dump(value).decode().replace("\t", "")
