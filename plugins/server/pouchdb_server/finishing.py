"""Completes every response: the headers that depend on the request, and 304 for a client that has it already."""

from __future__ import annotations

from typing import Any

from pouchdb_server.messages import Request, Response

__all__ = ["close_body", "finish"]


def finish(request: Request, response: Response) -> Response:
    """Add the headers that depend on the request to a response; doing it again changes nothing."""
    headers = response.headers
    names = {name.lower() for name, _ in headers}
    content_type = response.content_type
    if response.etag is not None:
        etag = f'"{response.etag}"'
        headers.append(("etag", etag))
        response.etag = None
        if response.status == 200 and request.method in ("GET", "HEAD") and _has(request, etag):
            close_body(response.body)
            response.status, response.body, content_type = 304, b"", None
    if "cache-control" not in names:
        headers.append(("cache-control", "must-revalidate"))
    if content_type is not None and "content-type" not in names:
        headers.append(("content-type", content_type))
    if isinstance(response.body, bytes) and response.status != 304 and "content-length" not in names:
        headers.append(("content-length", str(len(response.body))))
    response.headers = [(name.lower(), value) for name, value in headers]
    return response


def close_body(body: Any) -> None:
    """Close a body that is not sent, or not to its end."""
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _has(request: Request, etag: str) -> bool:
    known: str = request.headers.get("if-none-match", "")
    if not known:
        return False
    return known.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in known.split(",")]
