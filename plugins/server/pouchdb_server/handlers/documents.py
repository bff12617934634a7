"""Single documents, local ones and design documents included."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import BadRequest, Conflict
from pouchdb_server.handlers.multiparts import put_related, send_open_revs, send_related, upload_form
from pouchdb_server.handlers.writing import addressed, rev_of, written
from pouchdb_server.messages import Request, Response
from pouchdb_server.query import READING, chosen, flag

__all__ = ["copy", "delete", "get", "post", "put", "put_form"]

LOCAL = "_local/"
OPTIONS = {
    **READING,
    "attachments": "flag",
    "atts_since": "json",
    "latest": "flag",
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
    if "open_revs" in options:
        if request.accepts("multipart/mixed", "multipart/*"):
            return send_open_revs(request, database, id, options)
        return Response(_open_revs(database, id, options))
    if options.get("attachments") and request.accepts("multipart/related", "multipart/*"):
        return send_related(request, database, id, options)
    # Attachments that changed since are wanted whole, as CouchDB does.
    if "atts_since" in options:
        options["attachments"] = True
    if options.get("latest") and options.get("rev") is None:
        del options["latest"]
    doc = database.get(id, **options)
    return Response(doc, etag=doc["_rev"] if set(options) == {"rev"} else None)


def _open_revs(database: SyncPouchDB, id: str, options: dict[str, Any]) -> list[Any]:
    kept = {name: options[name] for name in ("revs", "latest", "attachments") if name in options}
    return database.open_revs(id, options["open_revs"], **kept)


def put(request: Request, database: SyncPouchDB) -> Response:
    """PUT /{db}/{docid}: JSON, or multipart/related with the attachments after the document."""
    id = _id(request)
    if request.content_type == "multipart/related":
        return put_related(request, database, id, _new_edits(request), rev_of(request))
    doc = addressed(request.json(), id, rev_of(request))
    return written(request, database.put(doc, new_edits=_new_edits(request)), deleted=doc.get("_deleted") is True)


def post(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}: a document with or without an id."""
    doc = request.json()
    # An ETag would be of the document, not of what was asked for.
    return written(request, database.post(doc, new_edits=_new_edits(request)))


def delete(request: Request, database: SyncPouchDB) -> Response:
    """DELETE /{db}/{docid}?rev=."""
    id, rev = _id(request), rev_of(request)
    if id.startswith(LOCAL):
        rev = rev or database.get(id)["_rev"]
        return Response(database.put({"_id": id, "_rev": rev, "_deleted": True}))
    if rev is None:
        # Unknown documents are 404, known ones ask for a revision.
        database.get(id)
        raise Conflict()
    done = database.remove(id, rev)
    return Response(done, etag=None, headers={"etag": f'"{done["rev"]}"'})


def copy(request: Request, database: SyncPouchDB) -> Response:
    """COPY /{db}/{docid} with ``Destination: id[?rev=]``."""
    destination = request.headers.get("destination")
    if not destination:
        raise BadRequest("Destination header is mandatory for COPY.")
    target, _, query = destination.partition("?")
    # Some clients send a URL.
    if "://" in target:
        target = target.partition("://")[2].partition("/")[2].partition("/")[2]
    id, rev = _id(request), request.query.get("rev")
    doc = dict(database.get(id) if rev is None else database.get(id, rev=rev))
    doc["_id"] = unquote(target)
    doc.pop("_rev", None)
    known = query.removeprefix("rev=") if query.startswith("rev=") else None
    if known:
        doc["_rev"] = known
    return written(request, database.put(doc))


def put_form(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/{docid} as multipart/form-data: how a page uploads attachments."""
    return upload_form(request, database, _id(request))


def _new_edits(request: Request) -> bool:
    return flag("new_edits", request.query.get("new_edits", "true"))


def _id(request: Request) -> str:
    assert request.id is not None, "routes of documents have one"
    return request.id
