"""Attachments: streamed in both directions, with ranges.

Ranges are CouchDB's: see ``_ranges``.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pouchdb_core import SyncPouchDB
from pouchdb_core.documents.attachments import AttachmentReader
from pouchdb_core.errors import BadRequest, Conflict, NotFound, PouchDBError
from pouchdb_server.handlers.writing import rev_of, written
from pouchdb_server.http_errors import MissingRevision, UnsupportedMediaType
from pouchdb_server.messages import Request, Response, header_text
from pouchdb_server.multipart import new_boundary
from pouchdb_server.unpacking import Compared, Unpacked

__all__ = ["RangeNotSatisfiable", "delete", "get", "put"]

PIECE = 256 * 1024
MOST_RANGES = 9
RANGE = re.compile(r"([0-9]*)-([0-9]*)\Z")


class RangeNotSatisfiable(PouchDBError):
    status, name, default_message = 416, "requested_range_not_satisfiable", "Requested range not satisfiable"


def get(request: Request, database: SyncPouchDB) -> Response:
    """GET /{db}/{docid}/{attachment}: all bytes, or with ``Range`` some of them."""
    body: bytes | Iterator[bytes]
    id, rev = _id(request), request.query.get("rev")
    _check_local(id)
    try:
        reader = database.open_attachment(id, request.params["attachment"], rev=rev)
    except NotFound:
        # The document or the attachment?
        database.get(id) if rev is None else database.get(id, rev=rev)
        raise NotFound("Document is missing attachment") from None
    etag = reader.digest.removeprefix("md5-")
    spans = _ranges(request, reader, etag)
    headers = {"accept-ranges": "bytes", "content-disposition": "inline"}
    # An attached page must not act as a page of this server.
    headers["x-content-type-options"] = "nosniff"
    headers["content-security-policy"] = "sandbox"
    md5 = getattr(reader, "md5", reader.digest)
    if md5 != reader.digest:
        # A CouchDB that compresses content identifies it by the digest of the compressed bytes, as does the document.
        headers["content-md5"] = md5.removeprefix("md5-")
    if len(spans) > 1:
        boundary = new_boundary()
        body = _several(reader, spans, boundary)
        return Response(body, 206, headers, content_type=f'multipart/byteranges; boundary="{boundary}"', etag=etag)
    start, end = spans[0] if spans else (0, reader.length)
    headers["content-length"] = str(end - start)
    if spans:
        headers["content-range"] = f"bytes {start}-{end - 1}/{reader.length}"
    if end - start <= PIECE:
        with reader:
            reader.seek(start)
            body = reader.read(end - start) or b""
        del headers["content-length"]
    else:
        body = _pieces(reader, start, end)
    return Response(body, 206 if spans else 200, headers, content_type=reader.content_type, etag=etag)


def _pieces(reader: AttachmentReader, start: int, end: int) -> Iterator[bytes]:
    with reader:
        yield from _between(reader, start, end)


def _several(reader: AttachmentReader, spans: list[tuple[int, int]], boundary: str) -> Iterator[bytes]:
    """Yield a body of type ``multipart/byteranges`` (RFC 9110, 14.6), a part for each range."""
    with reader:
        yield f"--{boundary}".encode()
        for start, end in spans:
            yield f"\r\nContent-Type: {header_text(reader.content_type)}".encode()
            yield f"\r\nContent-Range: bytes {start}-{end - 1}/{reader.length}\r\n\r\n".encode()
            yield from _between(reader, start, end)
            yield f"\r\n--{boundary}".encode()
        yield b"--"


def _between(reader: AttachmentReader, start: int, end: int) -> Iterator[bytes]:
    reader.seek(start)
    while start < end and (piece := reader.read(min(PIECE, end - start))):
        start += len(piece)
        yield piece


def _ranges(request: Request, reader: AttachmentReader, etag: str) -> list[tuple[int, int]]:
    """Return the requested ranges of bytes; none for all of them.

    As CouchDB reads the header: one that cannot be parsed, more than nine ranges, or ``0-`` among them request
    everything; a range that ends before it begins, or begins behind the end, raises RangeNotSatisfiable.
    """
    unit, _, listed = request.headers.get("range", "").strip().partition("=")
    found = [RANGE.match(each.strip()) for each in listed.split(",") if each.strip()]
    if unit != "bytes" or request.headers.get("if-range", f'"{etag}"') != f'"{etag}"':
        return []
    asked = [(each[1], each[2]) for each in found if each is not None and (each[1] or each[2])]
    if len(asked) < len(found) or len(asked) > MOST_RANGES or ("0", "") in asked:
        return []
    return [_span(first, last, reader.length) for first, last in asked]


def _span(first: str, last: str, length: int) -> tuple[int, int]:
    if not first:
        start, end = max(0, length - _place(last)), length
    else:
        start, end = _place(first), min(length, _place(last) + 1) if last else length
    if start >= end:
        raise RangeNotSatisfiable(headers={"Content-Range": f"bytes */{length}"})
    return start, end


def _place(digits: str) -> int:
    """Return an offset in a file; a number too large for any file is beyond the end of every one."""
    return int(digits) if len(digits) < 19 else 2**63


def put(request: Request, database: SyncPouchDB) -> Response:
    """PUT /{db}/{docid}/{attachment}: stored while it arrives, and only if all of it arrived.

    A body compressed with gzip is stored uncompressed: then ranges of it can be read. ``Content-MD5`` is that of the
    body as it was sent.
    """
    id, name = _id(request), request.params["attachment"]
    _check_local(id)
    content_type = request.headers.get("content-type", "application/octet-stream")
    content: Any = request.body if request.file is None else request.file
    if md5 := request.headers.get("content-md5", "").strip():
        content = Compared(request.file or io.BytesIO(request.body), md5)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "gzip":
        packed = io.BytesIO(content) if isinstance(content, bytes) else content
        content = Unpacked(packed, request.server.settings.max_attachment)
    elif encoding != "identity":
        raise UnsupportedMediaType("Only gzip and identity content-encodings are supported")
    rev = rev_of(request)
    try:
        done = database.put_attachment(id, name, content, content_type, rev)
    except Conflict:
        if rev is not None:
            _known(database, id, rev)
        raise
    # An ETag would be the attachment's digest, not the document's revision.
    return written(request, done, attachment=name)


def delete(request: Request, database: SyncPouchDB) -> Response:
    """DELETE /{db}/{docid}/{attachment}?rev=."""
    id, rev, name = _id(request), rev_of(request), request.params["attachment"]
    _check_local(id)
    doc = database.get(id) if rev is None else _known(database, id, rev)
    if name not in doc.get("_attachments", {}):
        raise NotFound("Document is missing attachment")
    if rev is None:
        raise Conflict()
    return Response(database.remove_attachment(id, name, rev))


def _known(database: SyncPouchDB, id: str, rev: str) -> Mapping[str, Any]:
    """Return the revision that is to be changed. Raises MissingRevision."""
    try:
        return database.get(id, rev=rev)
    except NotFound:
        raise MissingRevision() from None


def _check_local(id: str) -> None:
    if id.startswith("_local/"):
        raise BadRequest("_local documents do not accept attachments.")


def _id(request: Request) -> str:
    assert request.id is not None, "routes of documents have one"
    return request.id
