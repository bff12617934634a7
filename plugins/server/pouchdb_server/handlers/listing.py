"""Lists of documents: all, design and local ones."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import BadRequest, NotFound, QueryParseError
from pouchdb_server.handlers.paging import by_keys, by_range
from pouchdb_server.messages import Request, Response
from pouchdb_server.query import LIKE_VIEW, LISTING, as_values, chosen, parameters
from pouchdb_server.rows import Lists, Rows

__all__ = [
    "all_docs",
    "all_docs_queries",
    "design_docs",
    "design_docs_queries",
    "local_docs",
    "local_docs_queries",
]

Listed = tuple[Iterator[Any], Mapping[str, Any]]
"""The rows of a list, and the fields before them."""


def all_docs(request: Request, database: SyncPouchDB) -> Response:
    """GET and POST /{db}/_all_docs."""
    return _one(request, database, _all)


def design_docs(request: Request, database: SyncPouchDB) -> Response:
    """GET and POST /{db}/_design_docs."""
    return _one(request, database, _design)


def local_docs(request: Request, database: SyncPouchDB) -> Response:
    """GET and POST /{db}/_local_docs."""
    return _one(request, database, _local)


def all_docs_queries(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_all_docs/queries."""
    return _several(request, database, _all)


def design_docs_queries(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_design_docs/queries."""
    return _several(request, database, _design)


def local_docs_queries(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_local_docs/queries."""
    return _several(request, database, _local)


def _one(request: Request, database: SyncPouchDB, listed: Callable[[SyncPouchDB, Any], Listed]) -> Response:
    rows, head = listed(database, _prepared(parameters(request, LIKE_VIEW)))
    return Rows(rows, head, etag=True)


def _several(request: Request, database: SyncPouchDB, listed: Callable[[SyncPouchDB, Any], Listed]) -> Response:
    queries = request.json().get("queries")
    if not isinstance(queries, list) or not all(isinstance(each, dict) for each in queries):
        raise BadRequest("`queries` member must exist and be an array of objects.")
    common = chosen(request.query, LIKE_VIEW)
    # Errors in any of them are reported before the first is answered.
    asked = [_prepared({**common, **chosen(each, as_values(LIKE_VIEW))}) for each in queries]
    return Lists(listed(database, options) for options in asked)


def _all(database: SyncPouchDB, options: dict[str, Any]) -> Listed:
    return by_keys(database, options) if "keys" in options else by_range(database, options)


def _design(database: SyncPouchDB, options: dict[str, Any]) -> Listed:
    ids = [doc["_id"] for doc in database.design_documents()]
    wanted, offset = _selected(ids, options)
    if offset is not None:
        # As CouchDB, which counts the other documents before them, but never more than there are of these.
        down = bool(options.get("descending"))
        edge = "_design0" if down else "_design/"
        before = database.all_docs(startkey=edge, descending=down, limit=1, offset=True)["offset"]
        offset = min(len(ids), before + offset)
    head: dict[str, Any] = {"total_rows": len(ids), "offset": offset}
    if options.get("update_seq"):
        head["update_seq"] = database.info()["update_seq"]
    return _design_rows(database, options, wanted, set(ids)), head


def _design_rows(
    database: SyncPouchDB, options: dict[str, Any], wanted: list[Any], known: set[str]
) -> Iterator[dict[str, Any]]:
    kept = {name: options[name] for name in ("attachments", "conflicts", "include_docs") if name in options}
    for id in wanted:
        if isinstance(id, str) and id in known:
            yield from database.all_docs(keys=[id], **kept)["rows"]
        else:
            yield _missing(id)


def _local(database: SyncPouchDB, options: dict[str, Any]) -> Listed:
    ids = sorted(database.adapter.local_ids("_local/"))
    # As in CouchDB, which does not count them.
    head = {"total_rows": None, "offset": None}
    return _local_rows(database, options, _selected(ids, options)[0]), head


def _local_rows(database: SyncPouchDB, options: dict[str, Any], wanted: list[Any]) -> Iterator[dict[str, Any]]:
    for id in wanted:
        try:
            doc = database.get(id) if isinstance(id, str) and id.startswith("_local/") else None
        except NotFound:
            doc = None
        if doc is None:
            yield _missing(id)
        else:
            row = {"id": id, "key": id, "value": {"rev": doc["_rev"]}}
            yield {**row, "doc": doc} if options.get("include_docs") else row


def _missing(id: Any) -> dict[str, Any]:
    return {"key": id, "error": "not_found"}


def _selected(ids: list[str], options: dict[str, Any]) -> tuple[list[Any], int | None]:
    """Return the part of these sorted ids that a listing shows, and how many are before it."""
    keys = options.get("keys")
    if keys is not None:
        offset = None
        found = keys[::-1] if options.get("descending") else keys
    else:
        down = bool(options.get("descending"))
        start, end = options.get("startkey"), options.get("endkey")
        low, high = (end, start) if down else (start, end)
        first = 0 if low is None else bisect_left(ids, low)
        last = len(ids) if high is None else bisect_right(ids, high)
        if not options.get("inclusive_end", True) and end is not None:
            first = bisect_right(ids, end) if down else first
            last = last if down else bisect_left(ids, end)
        found = ids[first:last][::-1] if down else ids[first:last]
        offset = len(ids) - last if down else first
    skip = options.get("skip", 0)
    limit = options.get("limit")
    return found[skip : None if limit is None else skip + limit], None if offset is None else offset + skip


def _prepared(given: dict[str, Any]) -> dict[str, Any]:
    _check_as_view(given)
    options = {name: value for name, value in given.items() if name in LISTING}
    if not isinstance(options.get("keys", []), list):
        raise BadRequest("`keys` parameter must be an array.")
    if "keys" in options:
        ends = [options[name] for name in ("startkey", "endkey") if name in options]
        # A single one may come with a `key`.
        if ends and options["keys"] and (len(options["keys"]) > 1 or len(ends) == 1 or ends[0] != ends[1]):
            raise QueryParseError("`keys` is incompatible with `key`, `start_key` and `end_key`")
        return _without(options, "startkey", "endkey")
    # Ids are strings: in CouchDB's order of ids every other value is before all of them.
    first, last = ("endkey", "startkey") if options.get("descending") else ("startkey", "endkey")
    if not isinstance(options.get(last, ""), str):
        return {**_without(options, first, last), last: ""}
    return options if isinstance(options.get(first, ""), str) else _without(options, first)


def _check_as_view(given: Mapping[str, Any]) -> None:
    """Raise QueryParseError for what CouchDB refuses of a view without a reduce function."""
    if given.get("reduce"):
        raise QueryParseError("Reduce is invalid for map-only views.")
    if given.get("group") or given.get("group_level"):
        raise QueryParseError("Invalid use of grouping on a map view.")
    if given.get("stale", "ok") not in ("ok", "update_after"):
        raise QueryParseError("Invalid value for `stale`.")
    if given.get("update", "true") not in ("true", "false", "lazy", True, False):
        raise QueryParseError("Invalid value for `update`.")
    if "partition" in given:
        raise QueryParseError("`partition` parameter is not supported on this db")


def _without(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}
