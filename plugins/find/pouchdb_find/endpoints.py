"""``_find``, ``_explain`` and ``_index`` for a server (plug-in ``pouchdb-server``); imported only when there is one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pouchdb_server import Request, Response, Route, Rows

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import NotFound, PouchDBError
from pouchdb_core.results import Record
from pouchdb_find.errors import FindError, shown
from pouchdb_find.execution import Results
from pouchdb_find.explaining import explained
from pouchdb_find.find_request import FindRequest
from pouchdb_find.managing import create, delete, listed

__all__ = ["bulk_delete", "create_index", "delete_index", "explain", "find", "indexes", "nothing", "routes"]


def routes() -> Iterable[Route]:
    """Return the endpoints, as the server expects them."""
    return [
        Route("database", "POST", "/_find", find, slow=True),
        Route("database", "POST", "/_explain", explain),
        Route("database", "GET", "/_index", indexes),
        Route("database", "POST", "/_index", create_index, needs="admin", slow=True),
        Route("database", "POST", "/_index/_bulk_delete", bulk_delete, needs="admin"),
        Route("database", "DELETE", "/_index/{ddoc}/{type}/{name}", delete_index, needs="admin"),
        Route("database", "DELETE", "/_index/_design/{ddoc}/{type}/{name}", delete_index, needs="admin"),
        # No other path below _index is a document's: its methods are refused, as in CouchDB.
        Route("database", "DELETE", "/_index/{ddoc}", nothing),
        Route("database", "DELETE", "/_index/{ddoc}/{type}", nothing),
    ]


def nothing(request: Request, database: SyncPouchDB) -> Response:
    """DELETE below /{db}/_index of what cannot be an index. Raises NotFound."""
    raise NotFound("missing")


def find(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_find: documents are sent while they are found."""
    results = Results(database, FindRequest.checked(request.json()))
    return Rows(results.json(), name="docs", tail=results.closing)


def explain(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """POST /{db}/_explain."""
    return explained(database, FindRequest.checked(request.json()))


def indexes(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET /{db}/_index, with ``limit`` and ``skip``."""
    found = [each if each["type"] == "special" else _partitioned(each) for each in listed(database)]
    limit = _number(request, "limit", len(found), 1)
    skip = _number(request, "skip", 0, 0)
    return {"total_rows": len(found), "indexes": found[skip : skip + limit]}


def _partitioned(index: Record) -> Record:
    return Record(
        ddoc=index["ddoc"], name=index["name"], type=index["type"], partitioned=False, **{"def": index["def"]}
    )


def _number(request: Request, name: str, default: int, least: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
        raise FindError(
            "invalid_list_index_params",
            f"Index parameter ranges: limit > 1, skip > 0; {name} is {shown(text)}",
            status=500,
        )
    return int(text)


def create_index(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """POST /{db}/_index."""
    return create(database, request.json(), strict=True)


def delete_index(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """DELETE /{db}/_index/{ddoc}/json/{name}."""
    delete(database, request.params["ddoc"], request.params["name"], request.params["type"])
    return {"ok": True}


def bulk_delete(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """POST /{db}/_index/_bulk_delete: design documents that hold one index each."""
    body = request.json()
    for name in body:
        if name not in ("docids", "w"):
            raise FindError("invalid_key", f"Invalid key {name} for this request. There are: docids, w")
    if "docids" not in body:
        raise FindError("missing_required_key", "Missing required key: docids")
    ids = body["docids"]
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        raise FindError("invalid_bulk_docs", f"Bulk Delete requires an array of non-null docids. Docids: {shown(ids)}")
    success: list[dict[str, Any]] = []
    fail: list[dict[str, Any]] = []
    for each in ids:
        id = f"_design/{each.removeprefix('_design/')}"
        try:
            delete(database, id)
            success.append({"id": id, "ok": True})
        except NotFound:
            fail.append({"id": id, "error": "not_found"})
        except PouchDBError as error:
            fail.append({"id": id, "error": error.name})
    return {"success": success, "fail": fail}
