"""HTML for notebooks: results as tables, documents as fields, databases and environments as their contents.

Everything is escaped: a document is untrusted content.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["fields_html", "record_html", "table_html"]

ROWS = 50
"""Rows of a table that are shown."""
COLUMNS = 20
LONG = 200
"""Characters of a cell that are shown."""
_LISTS = ("rows", "docs", "results", "features")


def record_html(record: Mapping[str, Any]) -> str:
    """Return a result as a table of its rows, any other object as a table of its fields."""
    for name in _LISTS:
        rows = record.get(name)
        if isinstance(rows, list) and rows and all(isinstance(row, Mapping) for row in rows):
            rest = {key: value for key, value in record.items() if key != name and not isinstance(value, (list, dict))}
            note = ", ".join(f"{key} {value}" for key, value in rest.items())
            return table_html(
                _columns(rows), [list(map(row.get, _columns(rows))) for row in rows[:ROWS]], len(rows), note
            )
    return fields_html(record)


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows[:ROWS] for name in row))[:COLUMNS]


def table_html(columns: Sequence[str], rows: Sequence[Sequence[Any]], total: int | None = None, note: str = "") -> str:
    """Return a table; ``total`` is how many rows there are, if not all of them are given."""
    head = "".join(f"<th>{escape(str(column))}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>" for row in rows)
    more = "" if total is None or total <= len(rows) else f"{len(rows)} of {total} rows"
    below = "; ".join(filter(None, [more, note]))
    caption = f"<p>{escape(below)}</p>" if below else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{caption}"


def fields_html(fields: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> str:
    """Return names and values, a row each."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    rows = "".join(f"<tr><th>{escape(str(name))}</th><td>{_cell(value)}</td></tr>" for name, value in pairs)
    return f"<table><tbody>{rows}</tbody></table>"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        try:
            value = json.dumps(value, ensure_ascii=False, default=repr)
        except (TypeError, ValueError, RecursionError):
            value = repr(value)
    return escape(value if len(value) <= LONG else f"{value[:LONG]}...")
