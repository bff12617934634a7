"""The server itself: its identity, status and tasks, and what Fauxton requests from a cluster."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from pouchdb_core.errors import BadRequest, NotFound
from pouchdb_server.handlers.databases import described
from pouchdb_server.messages import Endpoints, Request, Response
from pouchdb_server.query import chosen, is_number

__all__ = [
    "active_tasks",
    "cluster_setup",
    "dbs_info",
    "favicon",
    "membership",
    "root",
    "tasks_here",
    "up",
    "uuids",
    "welcome_features",
]

VERSION = "3.5.0"
"""The CouchDB whose API this is: clients decide by it which features they may use."""
FEATURES = ["access-ready", "pluggable-storage-engines", "scheduler"]
MOST_UUIDS = 1000
MOST_INFOS = 100
RANGE = {
    "descending": "flag",
    "end_key": "endkey",
    "endkey": "json",
    "key": "json",
    "limit": "number",
    "skip": "number",
    "start_key": "startkey",
    "startkey": "json",
}
"""Parameters of a list of databases, and their kinds."""


def welcome_features(request: Request) -> list[str]:
    """Return the features that clients may use: this server's, and those of plug-ins."""
    return list(dict.fromkeys([*FEATURES, *request.server.features]))


def root(request: Request, database: None) -> dict[str, Any]:
    """GET /: PouchDB identifies its remote databases by the uuid."""
    return {
        "couchdb": "Welcome",
        "version": VERSION,
        "git_sha": "0000000",
        "uuid": request.environment.uuid,
        "features": welcome_features(request),
        "vendor": {"name": "pouchdb for Python", "version": version("pouchdb-server")},
    }


def up(request: Request, database: None) -> dict[str, Any]:
    """GET /_up."""
    return {"status": "ok", "seeds": {}}


def favicon(request: Request, database: None) -> Response:
    """GET /favicon.ico: none."""
    return Response(b"", 204, {"cache-control": "max-age=86400"})


def uuids(request: Request, database: None) -> Response:
    """GET /_uuids?count=."""
    text = request.query.get("count", "1")
    if not is_number(text):
        raise BadRequest("count must be a positive integer")
    count = int(text)
    if count > MOST_UUIDS:
        raise BadRequest("count parameter too large")
    made = [request.environment.new_id().replace("-", "") for _ in range(count)]
    headers = {"cache-control": "no-cache, no-store, must-revalidate", "pragma": "no-cache"}
    return Response({"uuids": made}, headers=headers, etag=uuid.uuid4().hex)


def active_tasks(request: Request, database: None) -> list[dict[str, Any]]:
    """GET /_active_tasks, in CouchDB's form."""
    tasks = [*tasks_here(request.server)]
    for others in request.server.others.ask("tasks"):
        tasks.extend(others)
    return sorted(tasks, key=lambda task: task["started_on"])


def tasks_here(service: Endpoints) -> list[dict[str, Any]]:
    """Return the tasks of this process."""
    return [_task(each) for each in service.environment.active_tasks()]


def _task(task: Mapping[str, Any]) -> dict[str, Any]:
    total, done = task.get("total_items"), task["completed_items"]
    told: dict[str, Any] = {
        "type": task["name"],
        "pid": f"<0.{task['id'][:8]}>",
        "node": "nonode@nohost",
        "database": task.get("database"),
        "started_on": _seconds(task["created_at"]),
        "updated_on": _seconds(task.get("updated_at") or task["created_at"]),
        "changes_done": done,
    }
    if "design_document" in task:
        told["type"], told["design_document"] = "indexer", task["design_document"]
    if total is not None:
        told["total_changes"] = total
        told["progress"] = min(100, round(100 * done / total)) if total else 100
    return told


def _seconds(stamp: str) -> int:
    return int(datetime.fromisoformat(stamp.replace("Z", "+00:00")).astimezone(timezone.utc).timestamp())


def dbs_info(request: Request, database: None) -> list[Any]:
    """GET /_dbs_info, or POST {keys}: what GET /{db} returns, of many."""
    keys: Any
    if request.method == "POST":
        keys = request.json().get("keys")
        if not isinstance(keys, list):
            raise BadRequest("`keys` member must exist." if keys is None else "`keys` member must be an array.")
        if len(keys) > MOST_INFOS:
            raise BadRequest(f"`keys` must not have more than {MOST_INFOS} members")
    else:
        options = chosen(request.query, RANGE)
        down = options.get("descending", False)
        low, high = (options.get(name) for name in (("endkey", "startkey") if down else ("startkey", "endkey")))
        keys = [
            name
            for name in sorted(request.environment.names(), reverse=down)
            if (not isinstance(low, str) or name >= low) and (not isinstance(high, str) or name <= high)
        ]
        start = options.get("skip", 0)
        keys = keys[start : start + min(options.get("limit", MOST_INFOS), MOST_INFOS)]
    answers = []
    for key in keys:
        try:
            if not isinstance(key, str):
                raise NotFound()
            with request.server.databases.use(key) as found:
                answers.append({"key": key, "info": described(request, found)})
        except NotFound:
            answers.append({"key": key, "error": "not_found"})
    return answers


# -- what Fauxton requests from a cluster: this one has one node -------------------------------------------


def membership(request: Request, database: None) -> dict[str, Any]:
    """GET /_membership."""
    return {"all_nodes": ["nonode@nohost"], "cluster_nodes": ["nonode@nohost"]}


def cluster_setup(request: Request, database: None) -> dict[str, Any]:
    """GET /_cluster_setup; a POST finds it done."""
    return {"state": "single_node_enabled"} if request.method == "GET" else {"ok": True}
