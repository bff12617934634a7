"""Many documents at a time, and the requests of a replicator before it sends them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pouchdb_core import SyncPouchDB
from pouchdb_core.documents.packed import Packed
from pouchdb_core.documents.parse import LOCAL
from pouchdb_core.errors import BadRequest, Conflict, PouchDBError
from pouchdb_core.jsontext import dump, encodes
from pouchdb_core.requests import Read
from pouchdb_server.document_check import are_usual, check_rev_text, checked_all
from pouchdb_server.handlers.multiparts import bulk_parts
from pouchdb_server.handlers.paging import PageSize
from pouchdb_server.handlers.writing import check_design_of
from pouchdb_server.messages import Request, Response
from pouchdb_server.multipart import new_boundary
from pouchdb_server.query import chosen
from pouchdb_server.refusals import error_of
from pouchdb_server.rows import Rows

__all__ = ["bulk_docs", "bulk_get", "missing_revs", "revs_diff"]

ITEM = ("id", "rev", "atts_since")
OPTIONS = {"revs": "flag", "latest": "flag", "attachments": "flag"}
AT_ONCE, SIZE = 1000, 4 * 1024 * 1024
"""How many documents, and about how many bytes of them, are read in one snapshot."""
ELSEWHERE = ("open_revs", "new_edits", "w", "rev", "atts_since")
"""Parameters of other reads, which _bulk_get refuses as CouchDB does: each document has its own."""


def bulk_docs(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_bulk_docs. With ``all_or_nothing``, as CouchDB 1 had it, the first error refuses all of them."""
    given = request.json()
    if "docs" not in given:
        raise BadRequest("POST body must include `docs` parameter.")
    docs = given["docs"]
    if not isinstance(docs, list):
        raise BadRequest("`docs` parameter must be an array.")
    new_edits = given.get("new_edits", True)
    if type(new_edits) is not bool:
        raise BadRequest("`new_edits` parameter must be a boolean.")
    atomic = given.get("all_or_nothing", False)
    if type(atomic) is not bool:
        raise BadRequest("`all_or_nothing` parameter must be a boolean.")
    # Before anything is written: if one is refused, none is written.
    usual = new_edits and are_usual(docs)
    if not usual:
        checked_all(docs, new_edits=new_edits)
    refused = _refused_designs(database, docs, atomic=atomic) if new_edits and not usual else {}
    if refused:
        docs = [doc for place, doc in enumerate(docs) if place not in refused]
    rows = database.bulk_docs(docs, new_edits=new_edits, atomic=atomic)
    # For replicated documents only errors are returned.
    asked = docs if new_edits else [{}] * len(rows)
    outcomes = [row if "ok" in row else _failed(row, doc) for row, doc in zip(rows, asked, strict=True)]
    for place, error in refused.items():
        outcomes.insert(place, error)
    return Response(outcomes, 201)


def _refused_designs(database: SyncPouchDB, docs: list[dict[str, Any]], *, atomic: bool) -> dict[int, dict[str, Any]]:
    """Return why design documents are not to be written, by their places in ascending order."""
    refused = {}
    for place, doc in enumerate(docs):
        if "_id" in doc and doc["_id"].startswith("_design/"):
            try:
                check_design_of(database, doc)
            except BadRequest as error:
                if atomic:
                    raise
                refused[place] = {"id": doc["_id"], **error_of(error.name, error.message)}
    return refused


def _failed(row: dict[str, Any], doc: Mapping[str, Any]) -> dict[str, Any]:
    name, reason = row["name"], row["reason"]
    if name == "not_found" and doc.get("_deleted"):
        # A missing document cannot be deleted; CouchDB has no other error for that here.
        name, reason = Conflict.name, Conflict.default_message
    told = {"id": row.get("id"), **error_of(name, reason)}
    if row.get("rev") is not None:
        told["rev"] = row["rev"]
    return told


def bulk_get(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_bulk_get, as JSON or multipart: one result for each request, in the same order.

    CouchDB's replicator matches the results with its own list, so a failed read is an error in its place.
    """
    given = request.json()
    for name in ELSEWHERE:
        if name in request.query:
            raise BadRequest(f'"{name}" query parameter is not acceptable')
    docs = given.get("docs")
    if not isinstance(docs, list):
        raise BadRequest("Missing JSON list of 'docs'.")
    options = {**chosen(request.query, OPTIONS), **chosen(given, OPTIONS)}
    # JSON for clients that accept it, as in CouchDB; a star is not a name.
    kind = "multipart/mixed" if request.accepts("multipart/mixed") else "multipart/related"
    if request.accepts(kind) and not request.accepts("application/json"):
        outer = new_boundary()
        results = _results(database, docs, {**options, "revs": True, "attachments": False}, stored=False)
        known = (doc.get("atts_since") or () if isinstance(doc, Mapping) else () for doc in docs)
        pieces = bulk_parts(database, results, options, outer, known)
        return Response(pieces, content_type=f'{kind}; boundary="{outer}"')
    return Rows(_results(database, docs, options, stored=True), name="results")


def _results(database: SyncPouchDB, docs: list[Any], options: dict[str, Any], *, stored: bool) -> Iterator[Any]:
    """Yield a result for each request, in the same order: a value, or with ``stored`` also JSON text.

    Read in batches of about a megabyte.
    """
    size = PageSize(16, 128)
    start = 0
    while start < len(docs):
        page = docs[start : start + size.count]
        results: list[Any] = [_refused(doc) for doc in page]
        asked = [(place, doc) for place, doc in enumerate(page) if results[place] is None]
        if stored:
            # A reader with atts_since gets attachments that changed since; others get them only if they ask for all.
            since = [each for each in asked if each[1].get("atts_since")]
            asked = [each for each in asked if not each[1].get("atts_since")]
            if options.get("revs") and options.get("latest") and not options.get("attachments"):
                asked = _read_stored(database, asked, results)
            _read(database, since, {**options, "attachments": True}, results)
        _read(database, asked, options, results)
        start += len(page)
        taken = 0
        for place, result in enumerate(results):
            # What was sent is not held any longer.
            results[place] = None
            text = result if not stored or isinstance(result, bytes) else dump(result)
            taken += len(text) if stored else _about(result)
            yield text
        size.read(len(page), taken)


def _about(result: Any) -> int:
    """Return about how many bytes a result takes; documents are sent as they are, so they are serialized anyway."""
    return len(dump(result))


def _read_stored(database: SyncPouchDB, asked: list[tuple[int, Any]], results: list[Any]) -> list[tuple[int, Any]]:
    """Put the stored JSON of documents into their places, not parsed, as replicators read them; return what is left."""
    if not (database.adapter.packs and database.reads_plainly):
        return asked
    left: list[tuple[int, Any]] = []
    wanted: list[tuple[int, Any]] = []
    for each in asked:
        doc = each[1]
        plain = doc.get("rev") is not None and not doc["id"].startswith(LOCAL) and encodes(doc["id"])
        (wanted if plain else left).append(each)
    start = 0
    while start < len(wanted):
        part = wanted[start : start + AT_ONCE]
        items = tuple((doc["id"], doc["rev"], ()) for _, doc in part)
        request = Read("", items=items, size=SIZE, packed=True, user=database.user)
        found = database.plugins.read(database, request)
        # Fewer than requested, when they are big.
        for asking, document in zip(part, found, strict=False):
            if document is None:
                # Errors of it are reported where all options are known.
                left.append(asking)
            elif isinstance(document, PouchDBError):
                error = {"id": asking[1]["id"], "rev": asking[1]["rev"], **error_of(document.name, document.reason)}
                results[asking[0]] = {"id": asking[1]["id"], "docs": [{"error": error}]}
            else:
                leaves = document if isinstance(document, list) else (document,)
                told = b",".join(
                    b'{"ok":%b}' % (each.json() if isinstance(each, Packed) else dump(each)) for each in leaves
                )
                results[asking[0]] = b'{"id":%b,"docs":[%b]}' % (dump(asking[1]["id"]), told)
        start += len(found)
    return left


def _read(database: SyncPouchDB, asked: list[tuple[int, Any]], options: dict[str, Any], results: list[Any]) -> None:
    """Read the documents requested by place in the list, and put them there."""
    if asked:
        items = [{name: doc[name] for name in ITEM if doc.get(name) is not None} for _, doc in asked]
        for (place, _), result in zip(asked, database.bulk_get(items, **options)["results"], strict=True):
            results[place] = result


def _refused(doc: Any) -> dict[str, Any] | None:
    """Return the error result of an invalid request, None for a valid one."""
    id, rev = None, None
    try:
        if not isinstance(doc, Mapping) or not doc:
            raise BadRequest("document must be a JSON object")
        if not isinstance(doc.get("id"), str):
            raise BadRequest("document id missed")
        id, rev = doc["id"], doc.get("rev")
        if rev is not None:
            check_rev_text(rev)
        since = doc.get("atts_since") or ()
        if not isinstance(since, (list, tuple)):
            raise BadRequest("att_since value must be array of revs.")
        for each in since:
            check_rev_text(each)
    except BadRequest as error:
        told = {"id": id, "rev": rev, "error": error.name, "reason": error.message}
        return {"id": id, "docs": [{"error": told}]}
    return None


def revs_diff(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_revs_diff: possible_ancestors save the replicator attachments."""
    return Response(database.revs_diff(_revisions(request)))


def missing_revs(request: Request, database: SyncPouchDB) -> Response:
    """POST /{db}/_missing_revs: the older form."""
    found = database.revs_diff(_revisions(request))
    return Response({"missing_revs": {id: each["missing"] for id, each in found.items()}})


def _revisions(request: Request) -> dict[str, Any]:
    given: dict[str, Any] = request.json()
    if not all(isinstance(revs, list) for revs in given.values()):
        raise BadRequest("Invalid list of revisions")
    return given
