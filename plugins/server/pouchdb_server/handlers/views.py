"""Views: stored, temporary, several queries at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pouchdb_core import SyncPouchDB
from pouchdb_core.api.querying import query_rows
from pouchdb_core.errors import BadRequest, NotFound, PouchDBError, QueryParseError
from pouchdb_core.views.register import indexes
from pouchdb_core.views.state import index_sizes, index_state
from pouchdb_server.messages import Request, Response
from pouchdb_server.query import VIEWING, as_values, chosen, flag, parameters
from pouchdb_server.rows import Lists, Rows

__all__ = ["cleanup", "compact", "design_info", "must_build", "queries", "query", "rebuild", "temporary"]

MOST_ERRORS = 10
QUERY = {**VIEWING, "partition": "text"}


def query(request: Request, database: SyncPouchDB) -> Response:
    """GET and POST /{db}/_design/{ddoc}/_view/{view}."""
    if request.method == "POST" and "queries" in request.json(required=False):
        raise BadRequest("The `queries` parameter is no longer supported at this endpoint")
    return Rows(*_answer(database, _name(request), parameters(request, QUERY)), etag=True)


def _single(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with a range instead of a single key, as CouchDB reads it: the more specific option counts.

    Raises QueryParseError for several keys and a range, and for a partition.
    """
    if "partition" in options:
        raise QueryParseError("`partition` parameter is not supported in this design doc")
    keys = options.get("keys")
    if not isinstance(keys, list) or len(keys) != 1:
        if keys and ("startkey" in options or "endkey" in options):
            raise QueryParseError("`keys` is incompatible with `key`, `start_key` and `end_key`")
        return options
    rest = {name: value for name, value in options.items() if name != "keys"}
    return {"startkey": keys[0], "endkey": keys[0], **rest}


def must_build(request: Request, database: SyncPouchDB) -> bool:
    """Return whether a query has to update its index first; reading an up-to-date index is a read."""
    if request.query.get("update") in ("false", "lazy") or request.query.get("stale") in ("ok", "update_after"):
        return False
    try:
        return not index_state(database, request.params["ddoc"]).is_current
    except NotFound:
        # The handler raises that quickly.
        return False


def queries(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_design/{ddoc}/_view/{view}/queries."""
    asked = request.json().get("queries")
    if not isinstance(asked, list) or not all(isinstance(each, dict) for each in asked):
        raise BadRequest("`queries` member must exist and be an array of objects.")
    name = _name(request)
    options = [chosen(each, as_values(QUERY)) for each in asked]
    return Lists(_answer(database, name, each) for each in options)


def temporary(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_temp_view: what CouchDB 1 had and PouchDB still requests; for administrators.

    With ``errors=true`` the member ``errors`` has the first errors that its functions threw.
    """
    given = request.json()
    view = {name: given[name] for name in ("map", "reduce") if given.get(name) is not None}
    if not isinstance(view.get("map"), str) or not isinstance(view.get("reduce", ""), str):
        # A Python function never comes from a request.
        raise BadRequest("a temporary view is {map: source, reduce: source}")
    options = {**chosen(request.query, VIEWING), **({"keys": given["keys"]} if "keys" in given else {})}
    with _errors(database) as errors:
        answer = database.query(view, **options, offset=True)
    _bound_offset(answer)
    if flag("errors", request.query.get("errors", "false")):
        answer["errors"] = errors
    return Rows(answer.pop("rows"), answer, etag=True)


@contextmanager
def _errors(database: SyncPouchDB) -> Iterator[list[dict[str, str]]]:
    """Yield a list of what functions throw meanwhile, of which the first are kept."""
    found: list[dict[str, str]] = []
    here = threading.get_ident()

    def hear(error: PouchDBError) -> None:
        # Listeners are called in the thread that emits: what others build does not belong here.
        if threading.get_ident() == here and len(found) < MOST_ERRORS:
            found.append({"error": error.name, "reason": str(error)})

    database.on("error", hear)
    try:
        yield found
    finally:
        database.remove_listener("error", hear)


def cleanup(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_view_cleanup."""
    database.view_cleanup()
    return Response({"ok": True}, 202)


def compact(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_compact/{ddoc}: indexes here reuse their space by themselves."""
    request.check_json()
    database.get(f"_design/{request.params['ddoc']}")
    return Response({"ok": True}, 202)


def rebuild(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_design/{ddoc}/_rebuild: drop the indexes, so that their next use builds them again. Our own."""
    request.check_json()
    indexes(database).drop(database.as_user(None), request.params["ddoc"])
    return Response({"ok": True}, 202)


def design_info(request: Request, database: SyncPouchDB) -> dict[str, Any]:
    """GET /{db}/_design/{ddoc}/_info."""
    name = request.params["ddoc"]
    ddoc = database.get(f"_design/{name}")
    # Mango's indexes are kept by another plug-in, under this name.
    kind = "mango" if ddoc.get("language") == "query" else "views"
    state = index_state(database, name, kind)
    return {
        "name": name,
        "view_index": {
            "signature": state.signature,
            "language": ddoc.get("language", "javascript"),
            "sizes": index_sizes(database, name, kind),
            "update_seq": state.update_seq,
            "purge_seq": state.purge_seq,
            "updater_running": state.is_building,
            "compact_running": False,
            "waiting_clients": 0,
            "waiting_commit": False,
            "updates_pending": dict.fromkeys(("minimum", "preferred", "total"), state.pending),
            "collator_versions": [],
        },
    }


def _name(request: Request) -> str:
    return f"{request.params['ddoc']}/{request.params['view']}"


def _answer(database: SyncPouchDB, name: str, options: dict[str, Any]) -> tuple[Iterator[Any], dict[str, Any]]:
    answer = query_rows(database, name, **_single(options), offset=True)
    _bound_offset(answer)
    return answer.pop("rows"), answer


def _bound_offset(answer: dict[str, Any]) -> None:
    """Count no rows that were skipped beyond the last, as in CouchDB."""
    if answer.get("offset") is not None:
        answer["offset"] = min(answer["offset"], answer["total_rows"])
