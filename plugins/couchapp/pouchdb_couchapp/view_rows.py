"""The rows of a list function: of a view or of all documents, read as the function requests them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.api.querying import query_rows
from pouchdb_core.errors import NotFound

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB

__all__ = ["rows_of"]

PAGE = 500
ALL_DOCS = "_all_docs"
_KNOWN_OF_ALL_DOCS = (
    "attachments", "conflicts", "descending", "end_key", "endkey", "include_docs", "inclusive_end", "key", "keys",
    "limit", "skip", "start_key", "startkey", "update_seq",
)  # fmt: skip


def rows_of(
    database: SyncPouchDB, ddoc: str, view: str, options: Mapping[str, Any], *, counted: bool
) -> tuple[dict[str, Any], Iterator[Any]]:
    """Return (head, rows): ``total_rows`` and ``offset`` unless the view is reduced, and an iterator.

    ``counted``: the offset is the true one, as over HTTP; else it is ``skip``, as in PouchDB.

    Raises NotFound for a missing view, and what ``query`` raises.
    """
    if view == ALL_DOCS:
        return _all_docs(database, options)
    if not view:
        raise NotFound(f"ddoc _design/{ddoc} has no view named {view}")
    options = dict(options)
    keys = options.get("keys")
    answer = query_rows(database, f"{ddoc}/{view}", **{"offset": counted, **options})
    rows: Iterator[Any] = answer.pop("rows")
    head = dict(answer)
    if keys and counted and "offset" in head:
        first = query_rows(database, f"{ddoc}/{view}", startkey=keys[0], limit=0, offset=True, reduce=False)
        head["offset"] = first["offset"]
    return head, rows


def _all_docs(database: SyncPouchDB, options: Mapping[str, Any]) -> tuple[dict[str, Any], Iterator[Any]]:
    options = {name: value for name, value in options.items() if name in _KNOWN_OF_ALL_DOCS}
    if "keys" in options or "key" in options:
        answer = dict(database.all_docs(**options))
        rows = answer.pop("rows")
        return answer, iter(rows)
    limit = options.pop("limit", None)
    skip = options.pop("skip", 0)
    size = PAGE if limit is None else min(PAGE, limit)
    answer = dict(database.all_docs(**options, limit=size, skip=skip))
    first = answer.pop("rows")
    return answer, _pages(database, options, first, None if limit is None else limit - len(first))


def _pages(database: SyncPouchDB, options: Mapping[str, Any], rows: list[Any], left: int | None) -> Iterator[Any]:
    following = {name: value for name, value in options.items() if name not in ("start_key", "startkey", "update_seq")}
    while rows:
        yield from rows
        if left is not None and left <= 0:
            return
        size = PAGE if left is None else min(PAGE, left)
        # Start at the last row seen and leave it out: it may be gone by now.
        last = rows[-1]["id"]
        more = database.all_docs(**following, startkey=last, limit=size + 1)["rows"]
        rows = [row for row in more if row["id"] != last][:size]
        left = None if left is None else left - len(rows)
