"""What the writing handlers share: the revision a request names, and the answer to a write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pouchdb_core.errors import BadRequest
from pouchdb_server.messages import Request, Response

__all__ = ["addressed", "rev_of", "written"]


def addressed(doc: dict[str, Any], id: str, rev: str | None) -> dict[str, Any]:
    """Give a document the id of its URL and the revision that was said elsewhere. Raises BadRequest."""
    known = doc.get("_id")
    if known is None:
        doc["_id"] = id
    elif known != id:
        raise BadRequest(f"Document ID must match the URL: {known!r} is not {id!r}")
    if rev is not None:
        if doc.get("_rev") not in (None, rev):
            raise BadRequest("Document rev from request body and query string have different values")
        doc["_rev"] = rev
    return doc


def rev_of(request: Request) -> str | None:
    """Return the revision that is said by ?rev= or If-Match. Raises BadRequest when they differ."""
    rev = request.query.get("rev")
    match: str = request.headers.get("if-match", "").strip()
    match = match.removeprefix("W/").strip('"')
    if rev and match and rev != match:
        raise BadRequest("Document rev and etag have different values.")
    return rev or match or None


def written(
    request: Request, done: Mapping[str, Any], *, deleted: bool = False, attachment: str | None = None
) -> Response:
    """Answer a write of a document, or of one of its attachments."""
    id: str = done["id"]
    name = quote(request.path[0], safe="")
    below = id if id.startswith(("_design/", "_local/")) else None
    path = quote(id, safe="" if below is None else "/")
    if attachment is not None:
        path += "/" + quote(attachment, safe="")
    headers = {"location": f"{request.origin}/{name}/{path}"}
    if request.id is not None and attachment is None:
        # Of a POST to the database it would be of what is not at that URL.
        headers["etag"] = f'"{done["rev"]}"'
    if request.query.get("batch") == "ok":
        # It is written already: what was answered is kept.
        return Response(done, 202, headers)
    return Response(done, 200 if deleted else 201, headers)
