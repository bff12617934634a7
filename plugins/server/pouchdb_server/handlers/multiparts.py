"""Documents with their attachments as multipart bodies: what CouchDB's replicator reads and writes."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pouchdb_core import SyncPouchDB
from pouchdb_core.documents.attachments import parse_content
from pouchdb_core.errors import BadRequest, Conflict, NotFound
from pouchdb_core.jsontext import dump
from pouchdb_core.revisions import generation
from pouchdb_server.document_check import check_id
from pouchdb_server.handlers.writing import addressed, check_design_of, written
from pouchdb_server.http_errors import UnsupportedMediaType
from pouchdb_server.messages import Request, Response, header_text, parsed
from pouchdb_server.multipart import MultipartReader, Part, boundary_of, new_boundary, quoted
from pouchdb_server.unpacking import Limited, Packed

if TYPE_CHECKING:
    from pouchdb_core.results import Record

__all__ = ["bulk_parts", "put_related", "send_open_revs", "send_related", "upload_form"]

PIECE = 64 * 1024
SPOOL = 1024 * 1024


# -- out ---------------------------------------------------------------------------------------------


def send_open_revs(request: Request, database: SyncPouchDB, id: str, options: Mapping[str, Any]) -> Response:
    """GET ?open_revs= as multipart/mixed: each part a document, or with its attachments multipart/related."""
    asked = options["open_revs"]
    leaves = database.open_revs(id, asked, revs=True, latest=bool(options.get("latest")))
    outer = new_boundary()
    return Response(_mixed(database, leaves, options, outer), content_type=f'multipart/mixed; boundary="{outer}"')


def _mixed(database: SyncPouchDB, leaves: list[Record], options: Mapping[str, Any], outer: str) -> Iterator[bytes]:
    yield f"--{outer}".encode()
    for leaf in leaves:
        if "ok" in leaf:
            yield from _document_part(database, leaf["ok"], options)
        else:
            yield b'\r\nContent-Type: application/json; error="true"\r\n\r\n' + dump(leaf)
        yield f"\r\n--{outer}".encode()
    yield b"--"


def _document_part(
    database: SyncPouchDB, doc: Record, options: Mapping[str, Any], headers: str = ""
) -> Iterator[bytes]:
    """Yield a part from after its boundary to before the next."""
    follows = _follows(doc, options.get("atts_since") or ())
    if not options.get("revs"):
        doc.pop("_revisions", None)
    if not follows:
        yield f"\r\n{headers}Content-Type: application/json\r\n\r\n".encode() + dump(doc)
        return
    inner = new_boundary()
    yield f'\r\n{headers}Content-Type: multipart/related; boundary="{inner}"\r\n\r\n'.encode()
    yield from _related(database, doc, follows, inner)


def send_related(request: Request, database: SyncPouchDB, id: str, options: dict[str, Any]) -> Response:
    """GET ?attachments=true as multipart/related: the document, then the content of its attachments."""
    wanted = {name: value for name, value in options.items() if name not in ("attachments", "atts_since")}
    doc = database.get(id, **{**wanted, "revs": True})
    follows = _follows(doc, options.get("atts_since") or ())
    if not options.get("revs"):
        doc.pop("_revisions", None)
    if not follows:
        return Response(doc, etag=None)
    boundary = new_boundary()
    body = _related(database, doc, follows, boundary)
    return Response(body, content_type=f'multipart/related; boundary="{boundary}"')


def bulk_parts(
    database: SyncPouchDB,
    results: Iterable[Record],
    options: Mapping[str, Any],
    outer: str,
    since: Iterable[Any],
) -> Iterator[bytes]:
    """Yield the response of _bulk_get as multipart; ``since`` is the atts_since of each result."""
    yield f"--{outer}".encode()
    for result, atts_since in zip(results, since, strict=True):
        for each in result["docs"]:
            if "ok" in each:
                doc = each["ok"]
                headers = f"X-Doc-Id: {header_text(doc['_id'])}\r\nX-Rev-Id: {doc['_rev']}\r\n"
                chosen = {**options, "atts_since": atts_since}
                if not options.get("attachments") and not atts_since:
                    # No content was requested: stubs will do.
                    doc.pop("_revisions", None) if not options.get("revs") else None
                    yield f"\r\n{headers}Content-Type: application/json\r\n\r\n".encode() + dump(doc)
                else:
                    yield from _document_part(database, doc, chosen, headers)
            else:
                yield b'\r\nContent-Type: application/json; error="true"\r\n\r\n' + dump(each["error"])
            yield f"\r\n--{outer}".encode()
    yield b"--"


def _follows(doc: Mapping[str, Any], known: Any) -> list[str]:
    """Return the names of attachments that are newer than the revisions the reader has."""
    attachments = doc.get("_attachments")
    if not attachments:
        return []
    common = 0
    if known:
        revisions = doc["_revisions"]
        start = revisions["start"]
        history = {f"{start - index}-{hash}" for index, hash in enumerate(revisions["ids"])}
        common = max((generation(rev) for rev in known if rev in history), default=0)
    return [name for name, entry in attachments.items() if entry["revpos"] > common]


def _related(database: SyncPouchDB, doc: Record, follows: list[str], boundary: str) -> Iterator[bytes]:
    entries = {}
    with contextlib.ExitStack() as files:
        contents = {}
        for name, entry in doc["_attachments"].items():
            kept = {key: value for key, value in entry.items() if key != "stub"}
            if name not in follows:
                entries[name] = {**kept, "stub": True}
                continue
            content = database.open_attachment(doc["_id"], name, rev=doc["_rev"])
            contents[name] = files.enter_context(content)
            # The digest of what is sent: a CouchDB that compresses content has another.
            digest = getattr(content, "md5", entry["digest"])
            entries[name] = {**kept, "digest": digest, "length": content.length, "follows": True}
        doc["_attachments"] = entries
        yield f"--{boundary}\r\nContent-Type: application/json\r\n\r\n".encode() + dump(doc)
        yield f"\r\n--{boundary}".encode()
        for name, content in contents.items():
            entry = entries[name]
            yield (
                f"\r\nContent-Disposition: attachment; filename={quoted(name)}\r\nContent-Type: "
                f"{header_text(entry['content_type'])}\r\nContent-Length: {entry['length']}\r\n\r\n"
            ).encode()
            while piece := content.read(PIECE):
                yield piece
            yield f"\r\n--{boundary}".encode()
        yield b"--"


# -- in ----------------------------------------------------------------------------------------------


def put_related(request: Request, database: SyncPouchDB, id: str, new_edits: bool, rev: str | None) -> Response:
    """PUT /{db}/{docid} as multipart/related: the document first, then attachments in its order."""
    parts = iter(
        MultipartReader(request.file or io.BytesIO(request.body), boundary_of(request.headers["content-type"]))
    )
    first = next(parts, None)
    if first is None:
        raise BadRequest("the multipart body has no parts")
    doc = addressed(parsed(first.text(request.server.settings.max_body)), id, rev)
    if new_edits:
        check_design_of(database, doc)
    with contextlib.ExitStack() as files:
        _take_in(doc, parts, files, request.server.settings.max_attachment, new_edits=new_edits)
        done = database.put(doc, new_edits=new_edits)
    return written(request, done, deleted=doc.get("_deleted") is True)


def _take_in(
    doc: dict[str, Any], parts: Iterator[Part], files: contextlib.ExitStack, most: int | None, *, new_edits: bool
) -> None:
    """Put the content of the parts into the document, as files."""
    attachments = doc.get("_attachments", {})
    if not isinstance(attachments, dict) or not all(isinstance(each, dict) for each in attachments.values()):
        raise BadRequest("_attachments must be an object of objects")
    waiting = [name for name, entry in attachments.items() if entry.get("follows")]
    for part in parts:
        if not waiting:
            raise BadRequest("the body has more parts than the document has attachments that follow")
        # Parts come in the document's order; where they have names, the names are used.
        told = part.name
        name = told if told is not None and told in waiting else waiting[0]
        waiting.remove(name)
        attachments[name] = _entry(name, attachments[name], part, files, most, new_edits=new_edits)
    if waiting:
        raise BadRequest(f"the body has no part for the attachment {waiting[0]!r}")


def _entry(
    name: str,
    entry: dict[str, Any],
    part: Part,
    files: contextlib.ExitStack,
    most: int | None,
    *,
    new_edits: bool,
) -> dict[str, Any]:
    """Read the content of a part and compare it with the document's description of it. Raises ContentMismatch."""
    encoding = entry.get("encoding", "identity")
    if encoding not in ("identity", "gzip"):
        raise BadRequest(f"attachment {name!r} has an unknown encoding {encoding!r}")
    source: Any = Packed(part, most) if encoding == "gzip" else Limited(part, most)
    content = files.enter_context(contextlib.closing(parse_content(name, source, entry)))
    content.check(name)
    if new_edits:
        # The document's digest is of the sender's form; here it is that of the content.
        entry = {key: entry[key] for key in ("content_type", "revpos") if key in entry}
    return {**{key: value for key, value in entry.items() if key != "follows"}, "data": content}


def _spooled(source: Any, most: int | None) -> IO[bytes]:
    spool: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=SPOOL)  # noqa: SIM115
    try:
        limited = Limited(source, most)
        while piece := limited.read(PIECE):
            spool.write(piece)
    except BaseException:
        spool.close()
        raise
    return spool


def upload_form(request: Request, database: SyncPouchDB, id: str) -> Response:
    """POST /{db}/{docid} as multipart/form-data: fields ``_rev`` and ``_attachments``, or ``_doc``."""
    _check_referer(request)
    check_id(id)
    if request.content_type != "multipart/form-data":
        raise UnsupportedMediaType("Content-Type must be multipart/form-data; a document is written by PUT")
    with contextlib.ExitStack() as files:
        rev: str | None = None
        doc: Any = None
        uploaded: dict[str, dict[str, Any]] = {}
        for part in MultipartReader(
            request.file or io.BytesIO(request.body), boundary_of(request.headers["content-type"])
        ):
            if part.field == "_rev":
                rev = part.text(1000).decode("utf-8", "replace").strip() or None
            elif part.field == "_doc":
                doc = parsed(part.text(request.server.settings.max_body))
            elif part.field == "_attachments" and part.name:
                content = files.enter_context(_spooled(part, request.server.settings.max_attachment))
                content.seek(0)
                kind = part.headers.get("content-type", "application/octet-stream")
                uploaded[part.name] = {"content_type": kind, "data": content}
        if doc is None:
            doc = _current(database, id, rev)
        if not isinstance(doc, dict):
            raise BadRequest("_doc must be a JSON object")
        known = doc.get("_attachments", {})
        if not isinstance(known, dict):
            raise BadRequest("_attachments must be an object of objects")
        doc = {**doc, "_id": id, "_attachments": {**known, **uploaded}}
        check_design_of(database, doc)
        return written(request, database.put(doc))


def _check_referer(request: Request) -> None:
    """Refuse a form of another site's page: a browser sends it without asking the user. Raises BadRequest."""
    referer: str | None = request.headers.get("referer")
    if referer is None:
        raise BadRequest("Referer header required.")
    try:
        host = urlsplit(referer).netloc
    except ValueError:
        host = ""
    if host != request.headers.get("host"):
        raise BadRequest("Referer header must match host.")


def _current(database: SyncPouchDB, id: str, rev: str | None) -> dict[str, Any]:
    try:
        doc = dict(database.get(id) if rev is None else database.get(id, rev=rev))
    except NotFound:
        if rev is not None:
            raise Conflict() from None
        return {"_id": id}
    if rev is None:
        raise Conflict()
    return doc
