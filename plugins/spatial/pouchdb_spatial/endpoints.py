"""``_spatial``, ``_geo`` and their relatives for a server; imported only when there is one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pouchdb_server import Request, Route, Rows

from pouchdb_core import SyncPouchDB
from pouchdb_core.api.options import flag_of
from pouchdb_core.errors import NotFound, QueryParseError
from pouchdb_spatial.listing import couchapp, rows_of
from pouchdb_spatial.options import OPTIONS, options_of
from pouchdb_spatial.querying import asked, asked_rows, st_info
from pouchdb_spatial.spatial_index import SPATIAL, ST_INDEXES

__all__ = ["cleanup", "geo", "geo_info", "geocouch", "listed", "routes"]


def routes() -> Iterable[Route]:
    """Return the endpoints, as the server expects them."""
    return [
        Route("database", "GET POST", "/_design/{ddoc}/_spatial/_list/{rest...}", listed, slow=True),
        Route("database", "GET", "/_design/{ddoc}/_spatial/{name}", geocouch, slow=True),
        Route("database", "POST", "/_design/{ddoc}/_spatial/{name}", geocouch, slow=True),
        Route("database", "GET", "/_design/{ddoc}/_geo/{name}", geo, slow=True),
        Route("database", "POST", "/_design/{ddoc}/_geo/{name}", geo, slow=True),
        Route("database", "GET", "/_design/{ddoc}/_geo_info/{name}", geo_info, slow=True),
        Route("database", "POST", "/_spatial_cleanup", cleanup, needs="admin", slow=True),
        Route("database", "POST", "/_geo_cleanup", cleanup, needs="admin", slow=True),
    ]


def _options(request: Request) -> dict[str, Any]:
    given = options_of(request.query)
    if request.method == "POST":
        body = request.json()
        if not isinstance(body, dict):
            raise QueryParseError("the body must be a JSON object of options")
        given.update({name: value for name, value in body.items() if name in OPTIONS})
    return given


def geocouch(request: Request, database: SyncPouchDB) -> Any:
    """GET /{db}/_design/{ddoc}/_spatial/{name}: rows are sent as they are read."""
    path, options = f"{request.params['ddoc']}/{request.params['name']}", _options(request)
    if flag_of(options, "count") or options.get("format", "view") != "view":
        return asked(database, path, options, SPATIAL)
    head, rows = asked_rows(database, path, options, SPATIAL)
    return Rows(rows, head, etag=True)


def listed(request: Request, database: SyncPouchDB) -> Any:
    """GET and POST /{db}/_design/{ddoc}/_spatial/_list/{list}/{name}, or .../{list}/{other ddoc}/{name}."""
    ddoc = request.params["ddoc"]
    function, *rest = request.path[5:]
    if not 1 <= len(rest) <= 2:
        paths = "_spatial/_list/function/index or _spatial/_list/function/other design document/index"
        raise NotFound(f"the path must be {paths}")
    index = "/".join(rest if len(rest) == 2 else [ddoc, *rest])
    return couchapp().list_response(request, database, ddoc, function, lambda query: rows_of(database, index, query))


def geo(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET /{db}/_design/{ddoc}/_geo/{name}."""
    return asked(database, f"{request.params['ddoc']}/{request.params['name']}", _options(request), ST_INDEXES)


def geo_info(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET /{db}/_design/{ddoc}/_geo_info/{name}."""
    return st_info(database, f"{request.params['ddoc']}/{request.params['name']}")


def cleanup(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """POST /{db}/_spatial_cleanup: drop indexes that no design document defines."""
    database.view_cleanup()
    return {"ok": True}
