"""Writing documents and attachments."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from pouchdb_core.api.options import flags, milliseconds, text_list
from pouchdb_core.documents.parse import DESIGN, LOCAL, check_id, check_rev, mapping
from pouchdb_core.errors import BadRequest, Conflict, MissingId, NotFound, PouchDBError
from pouchdb_core.jsontext import from_text, jsonable
from pouchdb_core.requests import Write
from pouchdb_core.results import Record
from pouchdb_core.revisions import generation, parse_rev, rev_order
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.typing import AttachmentData, Document, DocumentInput
from pouchdb_core.views.design_check import check_design

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

logger = logging.getLogger("pouchdb.views")

__all__ = ["bulk_docs", "post", "put", "put_attachment", "remove", "remove_attachment", "resolve", "said"]

Resolver = str | Callable[[list[Record]], Document]
TRIES = 10
"""How often ``resolve`` starts over because the document is edited at the same time."""


def put(
    db: Database,
    doc: DocumentInput,
    id: str | None = None,
    rev: str | None = None,
    *,
    force: bool = False,
    new_edits: bool = True,
) -> Record:
    """Write a document: a new one, or with ``_rev`` the next revision of that one.

    ``doc`` is a mapping or JSON text with an ``_id`` (or ``id`` gives it, and ``rev`` the ``_rev``).
    ``_deleted: True`` deletes, keeping the body as the tombstone's. ``force`` writes a sibling of
    ``_rev``'s next revision whatever was written since: it makes a conflict instead of raising one.
    ``new_edits=False`` stores the revision as given. Returns ``{"ok": True, "id", "rev"}``.

    A design document that CouchDB would refuse is stored, as PouchDB does, and reported by a ``warning`` event.

    Raises Conflict when ``_rev`` is no longer a leaf, MissingId, BadRequest, DocValidation,
    MissingStub, and what write guards raise. Atomic and, with full durability, on disk on return.
    """
    given: Mapping[str, Any] = mapping(said(db, doc))
    for key, value in (("_id", id), ("_rev", rev)):
        if value is None:
            continue
        if given.get(key) is None:
            given = {**given, key: value}
        elif given[key] != value:
            raise BadRequest(f"the document's {key} is {safe_repr(given[key])}, not {safe_repr(value)}")
    if "_id" not in given:
        raise MissingId()
    return _put(db, given, force=force, new_edits=new_edits)


def post(db: Database, doc: DocumentInput, *, force: bool = False, new_edits: bool = True) -> Record:
    """Write a document; without ``_id`` it gets a time-ordered one. Options, result and errors are those of ``put``."""
    return _put(db, mapping(said(db, doc)), force=force, new_edits=new_edits)


def _put(db: Database, given: Mapping[str, Any], *, force: bool, new_edits: bool) -> Record:
    if force or new_edits is not True:
        flags(force=force, new_edits=new_edits)
    if force and given.get("_rev") is not None and not _is_local(given):
        number, parent = parse_rev(check_rev(given["_rev"]))
        new = db.new_id().replace("-", "")
        given = {**given, "_rev": f"{number + 1}-{new}", "_revisions": {"start": number + 1, "ids": [new, parent]}}
        new_edits = False
    return _write_one(db, given, new_edits=new_edits is not False)


def _is_local(doc: Mapping[str, Any]) -> bool:
    """Return whether it is a local document: those have no branches, so that nothing is forced."""
    id = doc.get("_id")
    return isinstance(id, str) and id.startswith(LOCAL)


def remove(db: Database, doc: DocumentInput, rev: str | None = None, *, keep_fields: Sequence[str] = ()) -> Record:
    """Delete a document, given as a mapping or JSON text, or by its id and ``rev``.

    Writes a tombstone and returns its ``{"ok": True, "id", "rev"}``. The tombstone has no body except
    the fields that ``keep_fields`` names, as they are in ``doc`` (or in the revision): filters of a
    replication see them, so that a deletion is replicated where the document was. Raises NotFound
    (``missing`` or ``deleted``), Conflict, BadRequest.
    """
    for name in text_list("keep_fields", keep_fields):
        if name.startswith("_"):
            raise BadRequest(f"keep_fields names fields of the body, not {safe_repr(name)}")
    content: Mapping[str, Any] | None = None
    if isinstance(doc, str) and (rev is not None or not doc.lstrip().startswith("{")):
        if rev is None:
            raise BadRequest("remove(id) needs the revision too: remove(id, rev), or remove(document)")
        id = check_id(doc)
    else:
        given = content = mapping(said(db, doc))
        if "_id" not in given:
            raise MissingId()
        id = check_id(given["_id"])
        known = given.get("_rev")
        if rev is not None and known is not None and rev != known:
            raise BadRequest(f"the document's _rev is {known!r}, not {safe_repr(rev)}", id=id)
        rev = known if rev is None else rev
        if rev is None:
            # For a missing document, that is the error to report.
            db.get(id)
            raise Conflict("the document needs its _rev to be removed", id=id)
    # PouchDB hashes the fields in this order.
    tombstone: dict[str, Any] = {"_id": id, "_rev": rev, "_deleted": True}
    if keep_fields:
        if content is None:
            # The write reports what is wrong with a revision that cannot be read.
            with suppress(NotFound):
                content = db.get(id, rev=check_rev(rev))
        elif db.remote and not db.adapter.holds(id):
            # CouchDB would make a tombstone of a document that never existed.
            raise NotFound(id=id)
        content = content or {}
        tombstone.update({name: content[name] for name in keep_fields if name in content})
    return _write_one(db, tombstone, new_edits=True)


def bulk_docs(
    db: Database,
    docs: Iterable[DocumentInput] | Mapping[str, Any] | str | bytes,
    *,
    new_edits: bool | None = None,
    atomic: bool = False,
    timeout: float | None = None,
) -> list[Record]:
    """Write many documents in one transaction; one result each, in input order.

    ``docs`` is a list or another iterable, ``{"docs": [...], "new_edits"?}`` or JSON text of either. A result is
    ``{"ok": True, "id", "rev"}`` or the error ``{"status", "name", "message", "reason", "error":
    True, "id"?}``; a document that fails does not stop the others. With ``atomic=True`` all or
    none are written and the first error is raised. With ``new_edits=False`` revisions are stored
    as given and only errors are returned, with ``rev``, as CouchDB does. Documents of one id are applied in
    order. ``timeout`` is accepted because PouchDB accepts it, and as there it changes nothing: a
    remote database has an option of that name.

    Raises BadRequest, and StorageError when the store failed (nothing is written then).
    """
    if isinstance(docs, (str, bytes, bytearray)):
        docs = from_text(docs)
    if isinstance(docs, Mapping):
        for name in docs:
            if name not in ("docs", "new_edits"):
                raise BadRequest(f"bulk_docs has no field {safe_repr(name)} beside 'docs' and 'new_edits'")
        if new_edits is None:
            new_edits = docs.get("new_edits")
        docs = docs.get("docs")  # type: ignore[assignment]  # whatever it is is checked next
    if isinstance(docs, (str, bytes, bytearray, Mapping)) or not isinstance(docs, Iterable):
        raise BadRequest("Missing JSON list of 'docs'")
    docs = list(docs)
    if _converts(db):
        docs = [_said_if_it_can(db, doc) for doc in docs]
    if new_edits is None:
        new_edits = True
    elif type(new_edits) is not bool:
        raise BadRequest(f"new_edits must be true or false, not {safe_repr(new_edits)}")
    flags(atomic=atomic)
    milliseconds("timeout", timeout)
    outcomes = db.plugins.write(db, _request(db, docs, new_edits=new_edits, atomic=atomic))
    if new_edits:
        if _looks_at_designs(db):
            for doc, outcome in zip(docs, outcomes, strict=True):
                if not isinstance(outcome, PouchDBError) and outcome["id"].startswith(DESIGN):
                    _look_at_design(db, doc, outcome)
        return [Record(each.as_dict()) if isinstance(each, PouchDBError) else each for each in outcomes]
    return [_refused(doc, each) for doc, each in zip(docs, outcomes, strict=True) if isinstance(each, PouchDBError)]


def _refused(doc: Any, error: PouchDBError) -> Record:
    """Return why a revision was not stored, with its name: several of one document may have been given."""
    answer = Record(error.as_dict())
    if isinstance(doc, Mapping) and isinstance(doc.get("_rev"), str):
        answer.setdefault("rev", doc["_rev"])
    return answer


def put_attachment(
    db: Database,
    id: str,
    name: str,
    data: AttachmentData,
    type: str = "application/octet-stream",
    rev: str | None = None,
) -> Record:
    """Attach content to a document, making the document if there is none.

    ``data`` is bytes, base64 text, a blob, or a binary file, which is read to its end in constant
    memory. ``rev`` is needed when the document exists. Returns ``{"ok": True, "id", "rev"}`` of
    the new revision. Raises Conflict, BadRequest.
    """
    if name == "":
        raise BadRequest("the attachment needs a name")
    if not isinstance(name, str):
        raise BadRequest(f"an attachment's name must be a string, not {safe_repr(name)}")
    doc = _with_attachments(db, id, rev)
    if doc is None:
        if rev is not None:
            raise Conflict(id=id)
        doc = Record(_id=id)
    number = generation(doc["_rev"]) + 1 if "_rev" in doc else 1
    attachments = doc.setdefault("_attachments", Record())
    attachments[name] = {"content_type": type, "data": data, "revpos": number}
    return _write_one(db, doc, new_edits=True)


def remove_attachment(db: Database, id: str, name: str, rev: str) -> Record:
    """Remove an attachment from a document. Returns ``{"ok": True, "id", "rev"}``.

    A name the document does not have is not an error and writes nothing. Raises NotFound, Conflict.
    """
    doc = _with_attachments(db, id, check_rev(rev))
    if doc is None:
        raise NotFound(id=id)
    attachments = doc.get("_attachments", {})
    if name not in attachments:
        return Record(ok=True, id=id, rev=rev)
    del attachments[name]
    if not attachments:
        del doc["_attachments"]
    return _write_one(db, doc, new_edits=True)


def _with_attachments(db: Database, id: str, rev: str | None) -> Record | None:
    """Return the leaf to edit, or None if there is no document (left). Raises Conflict, BadRequest."""
    if check_id(id).startswith(LOCAL):
        raise BadRequest("a local document cannot have attachments", id=id)
    if rev is not None:
        check_rev(rev)
    try:
        current = db.open_revs(id)
    except NotFound:
        return None
    leaves: list[Record] = [each["ok"] for each in current if "ok" in each]
    if rev is None and all(leaf.get("_deleted") for leaf in leaves):
        return None
    for leaf in leaves:
        if leaf["_rev"] == rev and not leaf.get("_deleted"):
            return leaf
    raise Conflict(id=id)


def resolve(db: Database, id: str, winner: Resolver) -> Record:
    """Settle the conflicts of a document, atomically.

    ``winner`` is the revision to keep, or a function that gets all live leaves (documents, the
    winner first) and returns the merged document, which becomes the winner's next revision. Every
    other live leaf is deleted. If the document is edited meanwhile, it starts over with the
    new leaves. Returns ``{"ok": True, "id", "rev"}`` of the surviving revision.

    A server cannot write all of it together: it writes the merged document first, and if the
    rest fails, the conflict remains and can be resolved again. Raises NotFound, BadRequest when ``winner``
    is not a live leaf, Conflict when it was edited too often.
    """
    for attempt in range(TRIES):
        answers = db.open_revs(check_id(id))
        leaves: list[Record] = [each["ok"] for each in answers if "ok" in each and not each["ok"].get("_deleted")]
        if not leaves:
            raise NotFound("deleted", id=id)
        # Servers list them in any order.
        leaves.sort(key=lambda leaf: rev_order(leaf["_rev"]), reverse=True)
        by_rev = {leaf["_rev"]: leaf for leaf in leaves}
        edits: list[Mapping[str, Any]] = []
        if callable(winner):
            kept = leaves[0]["_rev"]
            merged = winner(leaves)
            if not isinstance(merged, Mapping):
                raise BadRequest(f"the function must return the merged document, not {safe_repr(merged)}", id=id)
            edits.append({**mapping(said(db, merged)), "_id": id, "_rev": kept})
        else:
            check_rev(winner)
            kept = winner
            if kept not in by_rev:
                raise BadRequest(f"{safe_repr(winner)} is not a live leaf of {id!r}; there are: {', '.join(by_rev)}")
        edits.extend({"_id": id, "_rev": rev, "_deleted": True} for rev in by_rev if rev != kept)
        if not edits:
            return Record(ok=True, id=id, rev=kept)
        try:
            if not db.remote:
                outcomes = db.plugins.write(db, _request(db, edits, atomic=True))
            else:
                outcomes = [_write_one(db, edit, new_edits=True) for edit in edits]
        except Conflict:
            if attempt == TRIES - 1:
                raise
            continue
        return cast("Record", outcomes[0]) if callable(winner) else Record(ok=True, id=id, rev=kept)
    raise AssertionError("unreachable: the last try returns or raises")


def _converts(db: Database) -> bool:
    return db.environment.engine.settings.get("default") is not None


def said(db: Database, doc: Any) -> Any:
    """Return a document as JSON has it, converted by ``setup(default=...)``; without one, the document itself.

    Attachments are left alone. Raises BadRequest.
    """
    default = db.environment.engine.settings.get("default")
    if default is None or isinstance(doc, (str, bytes, bytearray)):
        return doc
    if not isinstance(doc, Mapping):
        return jsonable(doc, default=default)
    if "_attachments" not in doc:
        return jsonable(dict(doc), default=default)
    return {**jsonable({**doc, "_attachments": None}, default=default), "_attachments": doc["_attachments"]}


def _said_if_it_can(db: Database, doc: Any) -> Any:
    """Return a document as JSON has it, or unchanged: an error in one of many is reported for that one only."""
    try:
        return said(db, doc)
    except BadRequest:
        return doc


def _write_one(db: Database, doc: DocumentInput, *, new_edits: bool) -> Record:
    outcome = db.plugins.write(db, _request(db, (doc,), new_edits=new_edits))[0]
    if isinstance(outcome, PouchDBError):
        raise outcome
    if new_edits and outcome["id"].startswith(DESIGN) and _looks_at_designs(db):
        _look_at_design(db, doc, outcome)
    return outcome


def _looks_at_designs(db: Database) -> bool:
    """Return whether design documents are looked at: those that the program writes; a user's are left to the server."""
    return not db.remote and db.user is None


def _look_at_design(db: Database, doc: DocumentInput, outcome: Record) -> None:
    """Report errors in a design document."""
    given = mapping(doc)
    if given.get("_deleted"):
        return
    try:
        check_design(db, {**given, "_id": outcome["id"]})
    except BadRequest as error:
        error.details["id"] = outcome["id"]
        logger.warning("%s of %s is stored, but %s", outcome["id"], db.name, error.message)
        db.emit("warning", error)


def _request(db: Database, docs: Sequence[Any], *, new_edits: bool = True, atomic: bool = False) -> Write:
    return Write(docs, new_edits, atomic, db.user, db.purpose, db.request_context)
