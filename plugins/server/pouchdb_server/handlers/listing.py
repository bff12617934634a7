"""Lists of documents: all, design and local ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from pouchdb_core import SyncPouchDB
from pouchdb_core.documents.parse import dump
from pouchdb_core.errors import BadRequest, NotFound, QueryParseError
from pouchdb_server.messages import Request, Response
from pouchdb_server.query import LISTING, chosen, parameters

__all__ = ["all_docs", "all_docs_queries", "design_docs", "etag_of", "local_docs"]

PAGE = 5000
"""Rows made at a time, so that a list of any length takes little memory."""


def all_docs(request: Request, database: SyncPouchDB) -> Response:
    """GET and POST /{db}/_all_docs."""
    return _answer(request, database, parameters(request, LISTING))


def design_docs(request: Request, database: SyncPouchDB) -> Response:
    """GET and POST /{db}/_design_docs: a range of the same list."""
    options = parameters(request, LISTING)
    if "keys" not in options and "key" not in options:
        first, last = "_design/", "_design0"
        if options.get("descending"):
            options.setdefault("startkey", last)
            options.setdefault("endkey", first)
        else:
            options.setdefault("startkey", first)
            options.setdefault("endkey", last)
    return _answer(request, database, options)


def all_docs_queries(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """POST /{db}/_all_docs/queries."""
    queries = request.json().get("queries")
    if not isinstance(queries, list) or not all(isinstance(each, dict) for each in queries):
        raise BadRequest("`queries` member must exist and be an array of objects.")
    results = []
    for query in queries:
        options = {name: value for name, value in query.items() if name in LISTING}
        results.append(_listed(database, _prepared(chosen(options, _RAW))))
    return {"results": results}


_RAW = {name: ("text" if kind == "json" else kind) for name, kind in LISTING.items()}


def local_docs(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET and POST /{db}/_local_docs."""
    options = parameters(request, LISTING)
    keys: list[Any] | None = [options["key"]] if "key" in options else options.get("keys")
    ids = list(database.adapter.local_ids("_local/")) if keys is None else keys
    if keys is None:
        start, end = options.get("startkey"), options.get("endkey")
        ids = [id for id in sorted(ids) if (start is None or id >= start) and (end is None or id <= end)]
    if options.get("descending"):
        ids.reverse()
    skip = options.get("skip", 0)
    ids = ids[skip : None if "limit" not in options else skip + options["limit"]]
    rows: list[dict[str, Any]] = []
    for id in ids:
        try:
            doc = database.get(id) if isinstance(id, str) and id.startswith("_local/") else None
        except NotFound:
            doc = None
        if doc is None:
            rows.append({"key": id, "error": "not_found"})
        else:
            row = {"id": id, "key": id, "value": {"rev": doc["_rev"]}}
            rows.append({**row, "doc": doc} if options.get("include_docs") else row)
    return {"total_rows": None, "offset": None, "rows": rows}


def etag_of(body: bytes) -> str:
    """Return an ETag of an answer: whatever changes it, purges included, changes this."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _prepared(options: dict[str, Any]) -> dict[str, Any]:
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
