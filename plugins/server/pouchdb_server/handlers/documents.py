"""Single documents, local ones and design documents included."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import BadRequest, Conflict, NotFound
from pouchdb_core.urls import is_http
from pouchdb_server.document_check import check_id, check_rev_text, checked
from pouchdb_server.handlers.multiparts import put_related, send_open_revs, send_related, upload_form
from pouchdb_server.handlers.writing import addressed, batched, check_design_of, rev_of, written
from pouchdb_server.messages import Request, Response
from pouchdb_server.query import READING, chosen

__all__ = ["copy", "delete", "get", "post", "put", "put_form"]

LOCAL = "_local/"
BEYOND = frozenset(("conflicts", "deleted_conflicts", "local_seq", "meta", "revs_info"))
OPTIONS = {
    **READING,
    "attachments": "switch",
    "atts_since": "json",
    "deleted": "switch",
    "latest": "switch",
    "open_revs": "leaves",
    "rev": "text",
}


def get(request: Request, database: SyncPouchDB) -> Response:
    """GET /{db}/{docid}."""
    id = _id(request)
    options = chosen(request.query, OPTIONS)
    if not options:
        doc = database.get(id)
        return Response(doc, etag=doc["_rev"])
    if options.get("rev") is not None:
        check_rev_text(options["rev"])
    if "open_revs" in options:
        if request.accepts("multipart/mixed", "multipart/*"):
            return send_open_revs(request, database, id, options)
        return Response(_open_revs(database, id, options))
    # Attachments that changed since are returned with content, as in CouchDB.
    if "atts_since" in options:
        options["attachments"] = True
    if options.get("attachments") and request.accepts("multipart/related", "multipart/*"):
        return send_related(request, database, id, options)
    if options.pop("latest", False):
        # CouchDB reads the winner then, whatever revision is requested.
        options.pop("rev", None)
    doc = _even_deleted(database, id, options) if options.pop("deleted", False) else database.get(id, **options)
    if id.startswith(LOCAL) and options.get("revs"):
        doc["_revisions"] = {"start": 0, "ids": [doc["_rev"].partition("-")[2]]}
    elif options.get("revs"):
        _limit_revisions(database, doc)
    # What includes more than the revision may change without it.
    return Response(doc, etag=None if BEYOND & options.keys() else doc["_rev"])


def _limit_revisions(database: SyncPouchDB, doc: dict[str, Any]) -> None:
    """Show no more ids than will be kept: CouchDB's own tests see a lower ``_revs_limit`` before compaction."""
    ids = doc["_revisions"]["ids"]
    if len(ids) > 1 and len(ids) > (limit := database.revs_limit()):
        doc["_revisions"] = {"start": doc["_revisions"]["start"], "ids": ids[:limit]}


def _even_deleted(database: SyncPouchDB, id: str, options: dict[str, Any]) -> Any:
    """Return the document, or the tombstone of the newest deletion. Raises NotFound."""
    try:
        return database.get(id, **options)
    except NotFound as error:
        known = database.all_docs(keys=[id])["rows"][0].get("value", {})
        if not known.get("deleted"):
            raise
        try:
            return database.get(id, **{**options, "rev": known["rev"]})
        except NotFound:
            raise error from None


def _open_revs(database: SyncPouchDB, id: str, options: dict[str, Any]) -> list[Any]:
    kept = {name: options[name] for name in ("revs", "latest", "attachments") if name in options}
    return database.open_revs(id, options["open_revs"], **kept)


def put(request: Request, database: SyncPouchDB) -> Response:
    """PUT /{db}/{docid}: JSON, or multipart/related with the attachments after the document."""
    id = _id(request)
    if request.content_type == "multipart/related":
        return put_related(request, database, id, _new_edits(request), rev_of(request))
    doc, new_edits = addressed(request.json(kind=object), id, rev_of(request)), _new_edits(request)
    if id.startswith(LOCAL):
        # CouchDB accepts and ignores them.
        doc.pop("_attachments", None)
    if new_edits:
        check_design_of(database, doc)
    done = batched(request, lambda: database.put(doc, new_edits=new_edits), id)
    return written(request, done, deleted=doc.get("_deleted") is True)


def post(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}: a document with or without an id."""
    doc = checked(request.json(kind=object))
    check_design_of(database, doc)
    # An ETag would be of the document, not of the URL.
    return written(request, batched(request, lambda: database.post(doc), doc.get("_id", "")))


def delete(request: Request, database: SyncPouchDB) -> Response:
    """DELETE /{db}/{docid}?rev=."""
    id, rev = _id(request), rev_of(request)
    # Unknown and deleted ones are 404, existing ones require a revision.
    known = database.get(id)
    if id.startswith(LOCAL):
        return Response(database.put({"_id": id, "_rev": rev or known["_rev"], "_deleted": True}))
    if rev is None:
        raise Conflict()
    done = database.remove(id, rev)
    return Response(done, etag=None, headers={"etag": f'"{done["rev"]}"'})


def copy(request: Request, database: SyncPouchDB) -> Response:
    """COPY /{db}/{docid} with ``Destination: id[?rev=]``."""
    destination = request.headers.get("destination")
    if not destination:
        raise BadRequest("Destination header is mandatory for COPY.")
    if is_http(destination):
        raise BadRequest("Destination URL must be relative.")
    target, _, query = destination.partition("?")
    id, rev = _id(request), request.query.get("rev")
    if rev is not None:
        check_rev_text(rev)
    doc = dict(database.get(id) if rev is None else database.get(id, rev=rev))
    doc["_id"] = unquote(target.strip("/"))
    check_id(doc["_id"])
    doc.pop("_rev", None)
    known = query.removeprefix("rev=") if query.startswith("rev=") else None
    if known:
        check_rev_text(known)
        doc["_rev"] = known
    check_design_of(database, doc)
    return written(request, database.put(doc))


def put_form(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/{docid} as multipart/form-data: how a page uploads attachments."""
    return upload_form(request, database, _id(request))


def _new_edits(request: Request) -> bool:
    return request.query.get("new_edits") != "false"


def _id(request: Request) -> str:
    assert request.id is not None, "routes of documents have one"
    return request.id
