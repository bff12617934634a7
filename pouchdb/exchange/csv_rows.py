"""Documents as rows of CSV: the first row names the fields, cells get types by their content."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import parse

__all__ = ["CELLS", "csv_documents", "write_csv"]

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?\Z")
_WORDS = {"true": True, "false": False, "null": None}
LONGEST = 64 * 1024 * 1024
"""Characters of one cell."""


def _guessed(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.match(text):
        return parse(text)
    if text[:1] in ("{", "["):
        try:
            return parse(text)
        except ValueError:
            return text
    return text


def _boolean(text: str) -> bool:
    found = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is not true or false")
    return found


CELLS: Mapping[str, Callable[[str], Any]] = {
    "auto": _guessed,
    "text": str,
    "int": int,
    "float": float,
    "bool": _boolean,
    "json": parse,
}
"""How the text of a cell becomes a value, by the name of the type."""


def csv_documents(
    file: IO[bytes],
    *,
    types: Mapping[str, str] | None = None,
    default: str = "auto",
    delimiter: str | None = None,
    id_column: str = "_id",
) -> Iterator[tuple[dict[str, Any] | BadRequest, str]]:
    """Yield a document, or its error, and its place for each row of a CSV file in UTF-8.

    ``types`` gives columns a type of ``CELLS``, the others have ``default``: what looks like a JSON number, ``true``,
    ``false``, ``null``, an object or an array is that, the rest text. An empty cell adds no field. ``_id``, ``_rev``
    and ``id_column``, which becomes the ``_id``, are always text. Raises BadRequest for what is not CSV, and for a
    delimiter that is not one character.
    """
    types = dict(types or {})
    unknown = [kind for kind in (*types.values(), default) if kind not in CELLS]
    if unknown:
        raise BadRequest(f"there is no type {unknown[0]!r} for a column; there are: {', '.join(CELLS)}")
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise BadRequest(f"the delimiter of CSV is one character, such as ; or a tab, not {delimiter!r}")
    csv.field_size_limit(LONGEST)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        head = text.readline()
        # The first line may hold a quoted line break; then the reader reads more lines.
        lines: Iterable[str] = _chain(head, text)
        rows = csv.reader(lines, delimiter=delimiter or _delimiter(head), strict=True)
        names = next(rows, None)
        if not names or not any(names):
            raise BadRequest("the CSV file is empty: its first row names the fields")
        _check_header(names, types, id_column)
        for row in rows:
            if row:
                yield _document(names, row, types, default, id_column), f"line {rows.line_num}"
    except csv.Error as error:
        raise BadRequest(f"the file is not CSV: {error}") from error
    except UnicodeDecodeError as error:
        raise BadRequest(f"the CSV file is not UTF-8 text: {error}") from error
    finally:
        # The file belongs to the caller.
        text.detach()


def _chain(head: str, rest: Iterable[str]) -> Iterator[str]:
    yield head
    yield from rest


def _delimiter(head: str) -> str:
    return max(",;\t|", key=head.count)


def _check_header(names: Sequence[str], types: Mapping[str, str], id_column: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadRequest(f"the CSV file has more than one column {twice[0]!r}")
    missing = [name for name in types if name not in names]
    if id_column != "_id" and id_column not in names:
        missing.append(id_column)
    if missing:
        raise BadRequest(f"the CSV file has no column {missing[0]!r}; it has: {', '.join(names)}")


def _document(
    names: Sequence[str], row: Sequence[str], types: Mapping[str, str], default: str, id_column: str
) -> dict[str, Any] | BadRequest:
    if len(row) > len(names):
        return BadRequest(f"the row has {len(row)} cells, the first row names {len(names)} fields")
    doc: dict[str, Any] = {}
    for name, cell in zip(names, row, strict=False):
        if not cell or not name:
            continue
        if name == id_column:
            doc["_id"] = cell
        elif name in ("_id", "_rev"):
            doc[name] = cell
        else:
            kind = types.get(name, default)
            try:
                doc[name] = CELLS[kind](cell)
            except ValueError as error:
                return BadRequest(f"column {name!r} is not {kind}: {error}")
    return doc


def write_csv(file: IO[str], docs: Iterable[Mapping[str, Any]], names: Sequence[str]) -> int:
    """Write documents as CSV with these columns, values that are not strings as JSON; return how many."""
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(names)
    count = 0
    for doc in docs:
        rows.writerow([_cell(doc.get(name)) for name in names])
        count += 1
    return count


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
