"""Lists of documents: all, design and local ones."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import BadRequest, NotFound, QueryParseError
from pouchdb_core.jsontext import dump
from pouchdb_server.messages import Request, Response
from pouchdb_server.query import LISTING, chosen, parameters

__all__ = [
    "all_docs",
    "all_docs_queries",
    "design_docs",
    "design_docs_queries",
    "etag_of",
    "local_docs",
    "local_docs_queries",
]

PAGE = 5000
"""Rows made at a time, so that a list of any length takes little memory."""


def all_docs(request: Request, database: SyncPouchDB) -> Response:
    """GET and POST /{db}/_all_docs."""
    return _answer(request, database, parameters(request, LISTING))


def design_docs(request: Request, database: SyncPouchDB) -> Response:
    """GET and POST /{db}/_design_docs."""
    return _whole(_design(database, parameters(request, LISTING)))


def local_docs(request: Request, database: SyncPouchDB) -> Response:
    """GET and POST /{db}/_local_docs."""
    return _whole(_local(database, parameters(request, LISTING)))


def all_docs_queries(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """POST /{db}/_all_docs/queries."""
    return _queries(request, database, lambda database, options: _listed(database, _prepared(options)))


def design_docs_queries(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """POST /{db}/_design_docs/queries."""
    return _queries(request, database, _design)


def local_docs_queries(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """POST /{db}/_local_docs/queries."""
    return _queries(request, database, _local)


def _queries(request: Request, database: SyncPouchDB, listed: Callable[[SyncPouchDB, Any], Any]) -> dict[str, Any]:
    queries = request.json().get("queries")
    if not isinstance(queries, list) or not all(isinstance(each, dict) for each in queries):
        raise BadRequest("`queries` member must exist and be an array of objects.")
    common = chosen(request.query, LISTING)
    return {"results": [listed(database, {**common, **chosen(each, _RAW)}) for each in queries]}


_RAW = {name: ("text" if kind == "json" else kind) for name, kind in LISTING.items()}
"""The parameters as they are in a body: values already."""


def _design(database: SyncPouchDB, options: dict[str, Any]) -> dict[str, Any]:
    ids = [doc["_id"] for doc in database.design_documents()]
    wanted, offset = _selected(ids, options)
    kept = {name: options[name] for name in ("attachments", "conflicts", "include_docs") if name in options}
    rows = database.all_docs(keys=[id if isinstance(id, str) else "" for id in wanted], **kept)["rows"]
    known: set[Any] = set(ids)
    answer: dict[str, Any] = {"total_rows": len(ids), "offset": offset, "rows": []}
    if options.get("update_seq"):
        answer["update_seq"] = database.info()["update_seq"]
    answer["rows"] = [
        row if isinstance(id, str) and id in known else _missing(id) for id, row in zip(wanted, rows, strict=True)
    ]
    return answer


def _local(database: SyncPouchDB, options: dict[str, Any]) -> dict[str, Any]:
    ids = sorted(database.adapter.local_ids("_local/"))
    rows = []
    for id in _selected(ids, options)[0]:
        try:
            doc = database.get(id) if isinstance(id, str) and id.startswith("_local/") else None
        except NotFound:
            doc = None
        if doc is None:
            rows.append(_missing(id))
        else:
            row = {"id": id, "key": id, "value": {"rev": doc["_rev"]}}
            rows.append({**row, "doc": doc} if options.get("include_docs") else row)
    # As CouchDB, which does not count them.
    return {"total_rows": None, "offset": None, "rows": rows}


def _missing(id: Any) -> dict[str, Any]:
    return {"key": id, "error": "not_found"}


def _selected(ids: list[str], options: dict[str, Any]) -> tuple[list[Any], int | None]:
    """Return what a listing of these sorted ids shows, and how many are before it."""
    options = _prepared(options)
    keys = options.get("keys")
    if keys is not None:
        offset = None
        found = keys[::-1] if options.get("descending") else keys
    else:
        down = bool(options.get("descending"))
        start, end = options.get("startkey"), options.get("endkey")
        if "key" in options:
            start = end = options["key"]
        low, high = (end, start) if down else (start, end)
        first = 0 if low is None else bisect_left(ids, low)
        last = len(ids) if high is None else bisect_right(ids, high)
        if not options.get("inclusive_end", True) and end is not None and "key" not in options:
            first = bisect_right(ids, end) if down else first
            last = last if down else bisect_left(ids, end)
        found = ids[first:last][::-1] if down else ids[first:last]
        offset = len(ids) - last if down else first
    skip = options.get("skip", 0)
    limit = options.get("limit")
    return found[skip : None if limit is None else skip + limit], None if offset is None else offset + skip


def etag_of(body: bytes) -> str:
    """Return an ETag of an answer: whatever changes it, purges included, changes this."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _prepared(options: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(options.get("keys", []), list):
        raise BadRequest("`keys` parameter must be an array.")
    if "keys" in options and any(name in options for name in ("key", "startkey", "endkey")):
        raise QueryParseError("`keys` is incompatible with `key`, `start_key` and `end_key`")
    # Ids are texts: another key is before all of them or after.
    if not isinstance(options.get("key", ""), str):
        return {**_without(options, "key"), "keys": []}
    down = bool(options.get("descending"))
    for name in ("startkey", "endkey"):
        if isinstance(options.get(name, ""), str):
            continue
        after = isinstance(options[name], (list, dict))
        options = _without(options, name)
        if after != ((name == "endkey") != down):
            return {**_without(options, "startkey", "endkey"), "keys": []}
    return options


def _without(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


def _listed(database: SyncPouchDB, options: dict[str, Any]) -> Any:
    return database.all_docs(**options, offset="keys" not in options)


def _answer(request: Request, database: SyncPouchDB, options: dict[str, Any]) -> Response:
    options = _prepared(options)
    limit = options.get("limit")
    if "keys" in options or (limit is not None and limit <= PAGE):
        return _whole(_listed(database, options))
    first = _listed(database, {**options, "limit": PAGE})
    if len(first["rows"]) < PAGE:
        return _whole(first)
    return Response(_pages(database, options, first), content_type="application/json")


def _whole(answer: Any) -> Response:
    rows = answer.pop("rows")
    body = b"".join(_head(answer)) + b",\r\n".join(map(dump, rows)) + b"\r\n]}\n"
    return Response(body, content_type="application/json", etag=etag_of(body))


def _head(answer: dict[str, Any]) -> Iterator[bytes]:
    # As CouchDB: the counters on the first line, then a row a line.
    yield dump(dict(answer))[:-1] + b',"rows":[\r\n'


def _pages(database: SyncPouchDB, options: dict[str, Any], first: Any) -> Iterator[bytes]:
    """Yield a long list page by page: each page is one moment of the database, the whole list is not."""
    limit = options.get("limit")
    rows = first.pop("rows")
    yield from _head(first)
    sent = 0
    rest = {name: value for name, value in options.items() if name not in ("skip", "update_seq")}
    while rows:
        yield (b",\r\n" if sent else b"") + b",\r\n".join(map(dump, rows))
        sent += len(rows)
        count = PAGE if limit is None else min(PAGE, limit - sent)
        if len(rows) < PAGE or count <= 0:
            break
        more = database.all_docs(**{**rest, "startkey": rows[-1]["key"], "skip": 1, "limit": count})
        rows = more["rows"]
    yield b"\r\n]}\n"
