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


def written(request: Request, done: Mapping[str, Any]) -> Response:
    """Answer a write."""
    id: str = done["id"]
    name = quote(request.path[0], safe="")
    below = id if id.startswith(("_design/", "_local/")) else None
    path = quote(id, safe="" if below is None else "/")
    headers = {"location": f"{request.origin}/{name}/{path}"}
    if request.method != "POST":
        headers["etag"] = f'"{done["rev"]}"'
    batch = request.query.get("batch") == "ok"
    return Response(done, 202 if batch else 201, headers)
