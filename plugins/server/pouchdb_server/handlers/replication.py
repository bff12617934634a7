"""POST /_replicate: the server replicates, once or until it is told to stop."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pouchdb_core.errors import BadRequest, NotFound
from pouchdb_server.messages import Request, Response
from pouchdb_server.query import flag

__all__ = ["replicate"]

VERSION = 4
OPTIONS = {
    "doc_ids": "doc_ids",
    "filter": "filter",
    "query_params": "query_params",
    "selector": "selector",
    "since": "since_seq",
}
"""Names of options here and there."""


def replicate(request: Request, database: None) -> Response:
    """POST /_replicate."""
    given = request.json()
    if _flag(given, "cancel"):
        return _cancel(request, given)
    source, target = (_peer(request, given.get(end), end) for end in ("source", "target"))
    environment = request.environment
    for end, name in (("source", source), ("target", target)):
        wanted = end == "source" or not _flag(given, "create_target")
        if wanted and "://" not in name and name not in environment.names():
            raise NotFound(f"could not open {name}: Database does not exist.")
    options: dict[str, Any] = {
        "winning_revs_only": _flag(given, "winning_revs_only"),
        "checkpoint": _flag(given, "use_checkpoints", default=True),
    }
    for ours, theirs in OPTIONS.items():
        if given.get(theirs) is not None:
            options[ours] = given[theirs]
    if _flag(given, "continuous"):
        return _start(request, source, target, options)
    result = environment.replicate(source, target, **options)
    return Response(_told(result))


def _start(request: Request, source: str, target: str, options: dict[str, Any]) -> Response:
    handle: Any = request.environment.replicate(source, target, live=True, retry=True, **options)
    id = handle.replicator.id.removeprefix("_local/") + "+continuous"
    running = request.server.replications
    known = running.get(id)
    if known is not None and not known.done:
        # It runs already: one of them is enough.
        handle.cancel()
    else:
        running[id] = handle
        handle.on_done(lambda: running.pop(id, None) if running.get(id) is handle else None)
    return Response({"ok": True, "_local_id": id}, 202)


def _cancel(request: Request, given: Mapping[str, Any]) -> Response:
    running = request.server.replications
    id = given.get("replication_id") or given.get("_local_id")
    if id is None:
        source, target = (_peer(request, given.get(end), end) for end in ("source", "target"))
        id = next((key for key, each in running.items() if _names(each) == (source, target)), None)
    handle = None if id is None else running.pop(id, None)
    if handle is None:
        raise NotFound("no such replication is running")
    handle.cancel()
    return Response({"ok": True, "_local_id": id})


def _names(handle: Any) -> tuple[str, str]:
    return handle.source, handle.target


def _peer(request: Request, given: Any, end: str) -> str:
    """Return a name or URL; CouchDB's objects ``{url, auth}`` too. Raises BadRequest."""
    headers = None
    if isinstance(given, Mapping):
        headers, auth = given.get("headers"), given.get("auth") or {}
        given, basic = given.get("url"), auth.get("basic") if isinstance(auth, Mapping) else None
        if isinstance(given, str) and isinstance(basic, Mapping) and "://" in given:
            scheme, _, rest = given.partition("://")
            name, password = (quote(str(basic.get(key, "")), safe="") for key in ("username", "password"))
            given = f"{scheme}://{name}:{password}@{rest}"
    if headers:
        raise BadRequest(f"{end}: headers are not supported; give auth, or name and password in the URL")
    if not isinstance(given, str) or not given:
        raise BadRequest(f"`{end}` must be a database's name, its URL or {{url: ..., auth: ...}}")
    own = request.origin + "/"
    # The server itself needs no HTTP to get to its own databases.
    return given[len(own) :].strip("/") if given.startswith(own) and "/" not in given[len(own) :].strip("/") else given


def _flag(given: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    return flag(name, given.get(name, default))


def _told(result: Any) -> dict[str, Any]:
    session = uuid.uuid4().hex
    last_seq = result["last_seq"]
    entry = {
        "session_id": session,
        "start_time": result["start_time"],
        "end_time": result["end_time"],
        "start_last_seq": 0,
        "end_last_seq": last_seq,
        "recorded_seq": last_seq,
        "missing_checked": result["docs_read"],
        "missing_found": result["docs_read"],
        "docs_read": result["docs_read"],
        "docs_written": result["docs_written"],
        "doc_write_failures": result["doc_write_failures"],
    }
    answer = {"ok": True, "session_id": session, "source_last_seq": last_seq, "replication_id_version": VERSION}
    if not result["docs_read"] and not result["doc_write_failures"]:
        answer["no_changes"] = True
    return {**answer, "history": [entry]}
