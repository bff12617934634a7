"""Attachments: streamed in both directions, with ranges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pouchdb_core import SyncPouchDB
from pouchdb_core.documents.attachments import AttachmentReader
from pouchdb_core.errors import BadRequest, Conflict, NotFound, PouchDBError
from pouchdb_server.handlers.writing import rev_of, written
from pouchdb_server.messages import Request, Response

__all__ = ["RangeNotSatisfiable", "delete", "get", "put"]

PIECE = 64 * 1024
RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


class RangeNotSatisfiable(PouchDBError):
    status, name, default_message = 416, "requested_range_not_satisfiable", "Requested range not satisfiable"


def get(request: Request, database: SyncPouchDB) -> Response:
    """GET /{db}/{docid}/{attachment}: bytes, or with ``Range`` some of them."""
    try:
        reader = database.open_attachment(_id(request), request.params["attachment"], rev=request.query.get("rev"))
    except NotFound:
        raise NotFound("Document is missing attachment") from None
    etag = reader.digest.removeprefix("md5-")
    span = _range(request, reader, etag)
    headers = {"accept-ranges": "bytes", "content-disposition": "inline"}
    # A page that somebody attached must not act as a page of this server.
    headers["x-content-type-options"] = "nosniff"
    headers["content-security-policy"] = "sandbox"
    start, end = (0, reader.length) if span is None else span
    headers["content-length"] = str(end - start)
    if span is not None:
        headers["content-range"] = f"bytes {start}-{end - 1}/{reader.length}"
    body: bytes | Iterator[bytes]
    if end - start <= PIECE:
        with reader:
            reader.seek(start)
            body = reader.read(end - start) or b""
        del headers["content-length"]
    else:
        body = _pieces(reader, start, end)
    return Response(body, 200 if span is None else 206, headers, content_type=reader.content_type, etag=etag)


def _pieces(reader: AttachmentReader, start: int, end: int) -> Iterator[bytes]:
    with reader:
        reader.seek(start)
        while start < end and (piece := reader.read(min(PIECE, end - start))):
            start += len(piece)
            yield piece


def _range(request: Request, reader: AttachmentReader, etag: str) -> tuple[int, int] | None:
    """Return the bytes that are wanted, or None for all: also for what is no single range, as HTTP allows."""
    found = RANGE.match(request.headers.get("range", "").strip())
    if found is None or (not found[1] and not found[2]):
        return None
    if request.headers.get("if-range", f'"{etag}"') != f'"{etag}"':
        return None
    length = reader.length
    if not found[1]:
        start, end = max(0, length - int(found[2])), length
    else:
        start, end = int(found[1]), min(length, int(found[2]) + 1) if found[2] else length
        if found[2] and int(found[2]) < int(found[1]):
            return None
    if start >= length or start >= end:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{length}"})
    return start, end


class _Counted:
    """A body that must be as long as it was said to be."""

    def __init__(self, request: Request) -> None:
        self._file = request.file

    def read(self, size: int = -1, /) -> bytes:
        return b"" if self._file is None else self._file.read(size)


def put(request: Request, database: SyncPouchDB) -> Response:
    """PUT /{db}/{docid}/{attachment}: stored while it comes, and only if all of it came."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise BadRequest(f"Content-Encoding {encoding} of an attachment is not supported: send it as it is")
    name = request.params["attachment"]
    content_type = request.headers.get("content-type", "application/octet-stream")
    content: Any = request.body if request.file is None else _Counted(request)
    return written(request, database.put_attachment(_id(request), name, content, content_type, rev_of(request)))


def delete(request: Request, database: SyncPouchDB) -> Response:
    """DELETE /{db}/{docid}/{attachment}?rev=."""
    rev = rev_of(request)
    if rev is None:
        raise Conflict("Document update conflict.")
    name = request.params["attachment"]
    doc = database.get(_id(request), rev=rev)
    if name not in doc.get("_attachments", {}):
        raise NotFound("Document is missing attachment")
    done = database.remove_attachment(_id(request), name, rev)
    return Response(done, headers={"etag": f'"{done["rev"]}"'})


def _id(request: Request) -> str:
    assert request.id is not None, "routes of documents have one"
    return request.id
