"""``_search``, ``_nouveau`` and their relatives for a server; imported only when there is one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from pouchdb_server import Request, Route

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import BadRequest
from pouchdb_search.search_options import drills_of, json_of
from pouchdb_search.searching import OPTIONS, analyze, asked, search_info, worded
from pouchdb_search.text_index import NouveauKind, SearchKind

__all__ = ["analysis", "cleanup", "clouseau", "completed", "info", "nouveau", "nouveau_info", "routes", "suggested"]


def routes() -> Iterable[Route]:
    """Return the endpoints, as the server expects them."""
    return [
        *(
            Route("database", method, f"/_design/{{ddoc}}/{path}/{{index}}", handler, slow=True)
            for path, handler in (("_search", clouseau), ("_nouveau", nouveau))
            for method in ("GET", "POST")
        ),
        Route("database", "GET", "/_design/{ddoc}/_search_info/{index}", info, slow=True),
        Route("database", "GET", "/_design/{ddoc}/_nouveau_info/{index}", nouveau_info, slow=True),
        Route("database", "GET", "/_design/{ddoc}/_search_completions/{index}", completed, slow=True),
        Route("database", "GET", "/_design/{ddoc}/_search_suggestions/{index}", suggested, slow=True),
        Route("database", "POST", "/_search_cleanup", cleanup, needs="admin", slow=True),
        Route("database", "POST", "/_nouveau_cleanup", cleanup, needs="admin", slow=True),
        Route("server", "POST", "/_search_analyze", analysis),
        Route("server", "POST", "/_nouveau_analyze", analysis),
    ]


def _options(request: Request) -> dict[str, Any]:
    given: dict[str, Any] = {name: text for name, text in request.query.items() if name in OPTIONS}
    drilldown = [text for name, text in parse_qsl(request.raw_query) if name == "drilldown"]
    if len(drilldown) > 1:
        # Cloudant's way to say that all of them are wanted.
        given["drilldown"] = [[name, *values] for text in drilldown for name, values in drills_of(text)]
    if given.get("more_like", "").startswith("{"):
        given["more_like"] = json_of(given["more_like"], "more_like")
    if request.method == "POST":
        body = request.json()
        if not isinstance(body, dict):
            raise BadRequest("the body must be a JSON object of options")
        given.update({name: value for name, value in body.items() if name in OPTIONS})
    return given


def _path(request: Request) -> str:
    return f"{request.params['ddoc']}/{request.params['index']}"


def clouseau(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET and POST /{db}/_design/{ddoc}/_search/{index}."""
    return asked(database, _path(request), _options(request), SearchKind.name)


def nouveau(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET and POST /{db}/_design/{ddoc}/_nouveau/{index}."""
    return asked(database, _path(request), _options(request), NouveauKind.name)


def completed(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET /{db}/_design/{ddoc}/_search_completions/{index}?prefix=...&field=...&limit=..."""
    return worded(database, _path(request), "completions", dict(request.query))


def suggested(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET /{db}/_design/{ddoc}/_search_suggestions/{index}?q=...&field=...&limit=..."""
    return worded(database, _path(request), "suggestions", dict(request.query))


def info(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET /{db}/_design/{ddoc}/_search_info/{index}."""
    return search_info(database, _path(request))


def nouveau_info(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET /{db}/_design/{ddoc}/_nouveau_info/{index}."""
    return search_info(database, _path(request), NouveauKind.name)


def cleanup(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """POST /{db}/_search_cleanup: drop indexes that no design document defines."""
    database.view_cleanup()
    return {"ok": True}


def analysis(request: Request, subject: Any) -> dict[str, Any]:
    """POST /_search_analyze ``{"analyzer", "text"}``."""
    body = request.json()
    if not isinstance(body, dict) or "analyzer" not in body:
        raise BadRequest('the body must be {"analyzer": ..., "text": ...}')
    return analyze(body["analyzer"], body.get("text"))
