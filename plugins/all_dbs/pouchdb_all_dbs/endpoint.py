"""``GET /_all_dbs`` for a server (plug-in ``pouchdb-server``); imported only when there is one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pouchdb_server import Request, Route
from pouchdb_server.query import chosen

from pouchdb_all_dbs.registry import all_dbs

__all__ = ["names", "routes"]

OPTIONS = {
    "descending": "flag",
    "end_key": "endkey",
    "endkey": "json",
    "inclusive_end": "flag",
    "key": "json",
    "limit": "number",
    "skip": "number",
    "start_key": "startkey",
    "startkey": "json",
}


def routes() -> Iterable[Route]:
    """Return the endpoint, as the server expects it."""
    return [Route("server", "GET", "/_all_dbs", names, needs="server")]


def names(request: Request, database: None) -> list[Any]:
    """Return a JSON list of names, with the parameters of a list of documents."""
    asked = chosen(request.query, OPTIONS)
    down = asked.get("descending", False)
    start, end = asked.get("startkey"), asked.get("endkey")
    low, high = (end, start) if down else (start, end)
    found = [
        name
        for name in sorted(all_dbs(request.environment), reverse=down)
        if (not isinstance(low, str) or name >= low) and (not isinstance(high, str) or name <= high)
    ]
    if isinstance(end, str) and not asked.get("inclusive_end", True):
        found = [name for name in found if name != end]
    skip = asked.get("skip", 0)
    return found[skip : None if "limit" not in asked else skip + asked["limit"]]
