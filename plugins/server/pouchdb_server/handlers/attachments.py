"""Attachments: streamed in both directions, with ranges."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from pouchdb_core import SyncPouchDB
from pouchdb_core.documents.attachments import AttachmentReader
from pouchdb_core.errors import BadRequest, Conflict, NotFound, PouchDBError
from pouchdb_server.handlers.writing import rev_of, written
from pouchdb_server.http_errors import UnsupportedMediaType
from pouchdb_server.messages import Request, Response
from pouchdb_server.unpacking import Unpacked

__all__ = ["RangeNotSatisfiable", "delete", "get", "put"]

PIECE = 256 * 1024
RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)\Z")


class RangeNotSatisfiable(PouchDBError):
    status, name, default_message = 416, "requested_range_not_satisfiable", "Requested range not satisfiable"


def get(request: Request, database: SyncPouchDB) -> Response:
    """GET /{db}/{docid}/{attachment}: all bytes, or with ``Range`` some of them."""
    id, rev = _id(request), request.query.get("rev")
    _check_local(id)
    try:
        reader = database.open_attachment(id, request.params["attachment"], rev=rev)
    except NotFound:
        # The document or the attachment?
        database.get(id) if rev is None else database.get(id, rev=rev)
        raise NotFound("Document is missing attachment") from None
    etag = reader.digest.removeprefix("md5-")
    span = _range(request, reader, etag)
    headers = {"accept-ranges": "bytes", "content-disposition": "inline"}
    # An attached page must not act as a page of this server.
    headers["x-content-type-options"] = "nosniff"
    headers["content-security-policy"] = "sandbox"
    md5 = getattr(reader, "md5", reader.digest)
    if md5 != reader.digest:
        # A CouchDB that compresses content identifies it by the digest of the compressed bytes, as does the document.
        headers["content-md5"] = md5.removeprefix("md5-")
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
    """Return the requested range of bytes, or None for all: also for what is not a single range, as HTTP allows."""
    found = RANGE.match(request.headers.get("range", "").strip())
    if found is None or (not found[1] and not found[2]):
        return None
    if request.headers.get("if-range", f'"{etag}"') != f'"{etag}"':
        return None
    length = reader.length
    first, last = (_place(digits) if digits else None for digits in found.groups())
    if first is None:
        start, end = max(0, length - (last or 0)), length
    else:
        start, end = first, length if last is None else min(length, last + 1)
        if last is not None and last < first:
            return None
    if start >= length or start >= end:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{length}"})
    return start, end


def _place(digits: str) -> int:
    """Return an offset in a file; a number too large for any file is beyond the end of every one."""
    return int(digits) if len(digits) < 19 else 2**63


def put(request: Request, database: SyncPouchDB) -> Response:
    """PUT /{db}/{docid}/{attachment}: stored while it arrives, and only if all of it arrived.

    A body compressed with gzip is stored uncompressed: then ranges of it can be read.
    """
    id, name = _id(request), request.params["attachment"]
    _check_local(id)
    content_type = request.headers.get("content-type", "application/octet-stream")
    content: Any = request.body if request.file is None else request.file
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "gzip":
        content = Unpacked(request.file or io.BytesIO(request.body), request.server.settings.max_attachment)
    elif encoding != "identity":
        raise UnsupportedMediaType("Only gzip and identity content-encodings are supported")
    done = database.put_attachment(id, name, content, content_type, rev_of(request))
    # An ETag would be the attachment's digest, not the document's revision.
    return written(request, done, attachment=name)


def delete(request: Request, database: SyncPouchDB) -> Response:
    """DELETE /{db}/{docid}/{attachment}?rev=."""
    id, rev, name = _id(request), rev_of(request), request.params["attachment"]
    _check_local(id)
    doc = database.get(id) if rev is None else database.get(id, rev=rev)
    if name not in doc.get("_attachments", {}):
        raise NotFound("Document is missing attachment")
    if rev is None:
        raise Conflict()
    return Response(database.remove_attachment(id, name, rev))


def _check_local(id: str) -> None:
    if id.startswith("_local/"):
        raise BadRequest("_local documents do not accept attachments.")


def _id(request: Request) -> str:
    assert request.id is not None, "routes of documents have one"
    return request.id
