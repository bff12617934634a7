"""Many documents at a time, and what a replicator asks before it sends them."""

from __future__ import annotations

from typing import Any

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import BadRequest
from pouchdb_server.handlers.multiparts import bulk_parts
from pouchdb_server.messages import Request, Response
from pouchdb_server.multipart import new_boundary
from pouchdb_server.query import chosen

__all__ = ["bulk_docs", "bulk_get", "missing_revs", "revs_diff"]

OPTIONS = {"revs": "flag", "latest": "flag", "attachments": "flag"}


def bulk_docs(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_bulk_docs."""
    given = request.json()
    docs = given.get("docs")
    if not isinstance(docs, list):
        raise BadRequest("POST body must include `docs` parameter.")
    if not all(isinstance(doc, dict) for doc in docs):
        raise BadRequest("Document must be a JSON object")
    new_edits = given.get("new_edits", True)
    if type(new_edits) is not bool:
        raise BadRequest("new_edits must be true or false")
    return Response([_outcome(each) for each in database.bulk_docs(docs, new_edits=new_edits)], 201)


def _outcome(row: dict[str, Any]) -> dict[str, Any]:
    if row.get("ok"):
        return row
    told = {"id": row.get("id"), "error": row["name"], "reason": row["reason"]}
    if row.get("rev") is not None:
        told["rev"] = row["rev"]
    return told


def bulk_get(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_bulk_get, as JSON or multipart: one result for each thing asked, in the same order."""
    given = request.json()
    docs = given.get("docs")
    if not isinstance(docs, list):
        raise BadRequest("Missing JSON list of 'docs'.")
    options = {**chosen(request.query, OPTIONS), **chosen(given, OPTIONS)}
    if any(not isinstance(doc, dict) or not isinstance(doc.get("id"), str) for doc in docs):
        raise BadRequest("each of 'docs' must be an object with an 'id'")
    if request.accepts("multipart/mixed", "multipart/related"):
        asked = [{key: doc[key] for key in ("id", "rev") if doc.get(key) is not None} for doc in docs]
        results = database.bulk_get(asked, revs=True, latest=options.get("latest", False))["results"]
        outer = new_boundary()
        since = [doc.get("atts_since") or () for doc in docs]
        pieces = bulk_parts(database, results, options, outer, since)
        return Response(pieces, content_type=f'multipart/mixed; boundary="{outer}"')
    asked = [{key: doc[key] for key in ("id", "rev", "atts_since") if doc.get(key) is not None} for doc in docs]
    if any("atts_since" in each for each in asked):
        # What changed since is wanted whole.
        options["attachments"] = True
    return Response({"results": database.bulk_get(asked, **options)["results"]})


def revs_diff(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_revs_diff: possible_ancestors save the replicator attachments."""
    return Response(database.revs_diff(_revisions(request)))


def missing_revs(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_missing_revs: the older form."""
    found = database.revs_diff(_revisions(request))
    return Response({"missing_revs": {id: each["missing"] for id, each in found.items()}})


def _revisions(request: Request) -> dict[str, Any]:
    given: dict[str, Any] = request.json()
    if not all(isinstance(revs, list) for revs in given.values()):
        raise BadRequest("the body must be {id: [rev, ...]}")
    return given
