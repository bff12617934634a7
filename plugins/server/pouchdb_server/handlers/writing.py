"""What the writing handlers share: the revision a request names, and the response to a write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import BadRequest, Conflict
from pouchdb_core.views.design_check import check_design
from pouchdb_server.document_check import checked
from pouchdb_server.messages import Request, Response
from pouchdb_server.security import is_admin

__all__ = ["addressed", "batched", "check_design_of", "rev_of", "written"]

logger = logging.getLogger("pouchdb.server")


def addressed(given: Any, id: str, rev: str | None) -> dict[str, Any]:
    """Check a document, and set the id of its URL and the revision given elsewhere in the request. Raises BadRequest.

    Whatever its own id is, that of the URL is used, as in CouchDB.
    """
    doc = checked(given)
    # Replaced in place: the order of fields is hashed.
    doc["_id"] = id
    if rev is not None:
        if doc.get("_rev") not in (None, rev):
            raise BadRequest("Document rev from request body and query string have different values")
        doc["_rev"] = rev
    return doc


def check_design_of(database: SyncPouchDB, doc: Mapping[str, Any]) -> None:
    """Refuse a design document that CouchDB would not save. Raises BadRequest.

    A user who may not write one gets that error instead, from the write guard.
    """
    id = doc.get("_id")
    if isinstance(id, str) and id.startswith("_design/") and doc.get("_deleted") is not True:
        user = database.user
        if user is None or is_admin(database, user):
            check_design(database, doc)


def _is_batched(request: Request) -> bool:
    """Return whether the client does not wait for the outcome of a write (``batch=ok``)."""
    return request.query.get("batch") == "ok" and request.method in ("POST", "PUT")


def batched(request: Request, save: Callable[[], Mapping[str, Any]], id: str) -> Mapping[str, Any]:
    """Return the outcome of a write; a conflict of one that is batched is not reported, as in CouchDB."""
    try:
        return save()
    except Conflict:
        if not _is_batched(request):
            raise
        logger.info("a document written with batch=ok was in conflict: %s", id)
        return {"ok": True, "id": id}


def rev_of(request: Request) -> str | None:
    """Return the revision given by ?rev= or If-Match. Raises BadRequest when they differ."""
    rev = request.query.get("rev")
    match: str = request.headers.get("if-match", "").strip()
    match = match.removeprefix("W/").strip('"')
    if rev and match and rev != match:
        raise BadRequest("Document rev and etag have different values.")
    return rev or match or None


def written(
    request: Request, done: Mapping[str, Any], *, deleted: bool = False, attachment: str | None = None
) -> Response:
    """Return the response to a write of a document, or of one of its attachments."""
    id: str = done["id"]
    name, path = quote(request.path[0], safe=""), quote(id, safe="")
    if attachment is not None:
        path += "/" + quote(attachment, safe="")
    headers = {"location": f"{request.public_origin}/{name}/{path}"}
    if request.id is not None and attachment is None and "rev" in done:
        # After a POST to the database the ETag would be of something that is not at that URL.
        headers["etag"] = f'"{done["rev"]}"'
    if attachment is None and _is_batched(request):
        # It is written already. CouchDB does not know the revision at this time.
        headers.pop("etag", None)
        return Response({"ok": True, "id": id}, 202, headers)
    return Response(done, 200 if deleted else 201, headers)
