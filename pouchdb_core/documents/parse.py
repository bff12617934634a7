"""Incoming documents: checked once, given their revision id, split into body and meta data.

This is the only way in. What JSON can hold is decided in ``jsontext``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import orjson

from pouchdb_core.documents.attachments import Incoming, close_all, parse_attachments
from pouchdb_core.errors import BadRequest, DocValidation, MissingId, PouchDBError
from pouchdb_core.jsontext import dump, encodes, from_text, jsonable
from pouchdb_core.revisions import (
    js_json,
    parse_rev,
    path_from_revisions,
    plain_json,
    rev_id,
)
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.typing import DocumentInput

__all__ = [
    "Parsed",
    "check_id",
    "check_rev",
    "mapping",
    "parse_edit",
    "parse_local",
    "parse_replicated",
]

LOCAL = "_local/"
DESIGN = "_design/"

# PouchDB's list of reserved fields (spec: pouchdb-api, Conventions). Those in KEPT are stored.
RESERVED = frozenset(
    "_id _rev _access _attachments _deleted _revisions _revs_info _conflicts _deleted_conflicts _local_seq _rev_tree "
    "_replication_id _replication_state _replication_state_time _replication_state_reason _replication_stats "
    "_removed".split()
)
KEPT = frozenset(
    "_access _attachments _replication_id _replication_state _replication_state_time _replication_state_reason "
    "_replication_stats".split()
)


class Parsed:
    """One checked document to be stored."""

    __slots__ = ("attachments", "body", "deleted", "deterministic", "doc", "id", "index", "parent", "path", "rev")

    def __init__(
        self,
        id: str,
        rev: str,
        parent: str | None,
        path: Sequence[str],
        deleted: bool,
        body: bytes,
        doc: Mapping[str, Any],
        attachments: dict[str, Incoming] | None,
    ) -> None:
        self.id, self.rev, self.parent, self.path, self.deleted = id, rev, parent, path, deleted
        self.body = body
        """JSON of the fields that are stored; with attachments it is made when they are resolved."""
        self.doc = doc
        """The document as given: read, never changed."""
        self.attachments = attachments
        self.deterministic = True
        """Whether the revision id is a hash of the document."""
        self.index = 0
        """Its place in the request."""


def mapping(given: DocumentInput) -> Mapping[str, Any]:
    """Return a document as a mapping, from a mapping or JSON text. Raises BadRequest for anything else."""
    if isinstance(given, dict):
        return given
    if isinstance(given, (str, bytes, bytearray)):
        parsed = from_text(given)
        if isinstance(parsed, dict):
            return parsed
        raise BadRequest("Document must be a JSON object")
    if isinstance(given, Mapping):
        return dict(given)
    raise BadRequest(f"Document must be a JSON object, not {type(given).__name__}")


def check_id(id: Any) -> str:
    """Return ``id`` if it is a valid document id. Raises BadRequest.

    Any string is an id, except that only ``_design/...`` and ``_local/...`` may start with an underscore.
    """
    if type(id) is not str:
        if isinstance(id, str):
            # Not str(): for an enumeration that is the name of the member.
            id = str.__str__(id)
        else:
            raise BadRequest("_id field must contain a string", given=type(id).__name__)
    if not id:
        raise MissingId()
    if id[0] == "_" and (not id.startswith((DESIGN, LOCAL)) or id in (DESIGN, LOCAL)):
        raise BadRequest("Only reserved document ids may start with underscore.")
    if not encodes(id):
        raise BadRequest("_id must not hold a lone surrogate")
    checked: str = id
    return checked


def check_rev(rev: Any) -> str:
    """Return ``rev`` if it has the form of a revision. Raises BadRequest ("Invalid rev format")."""
    if not isinstance(rev, str):
        raise BadRequest(f"Invalid rev format: a revision is text such as 1-abc, not {type(rev).__name__}")
    try:
        parse_rev(rev)
    except ValueError as error:
        raise BadRequest(f"Invalid rev format: {error}") from None
    return rev if type(rev) is str else str.__str__(rev)


def parse_edit(given: DocumentInput, new_id: Callable[[], str], deterministic: bool = True) -> Parsed:
    """Check a document that makes a new revision.

    A missing ``_id`` is made by ``new_id`` and counts as the last field. The revision id is
    PouchDB's: md5 of ``JSON.stringify`` of the document as given (design, section 4); random instead
    unless ``deterministic``.
    """
    doc = given if type(given) is dict else mapping(given)
    id = doc.get("_id")
    if id is None and "_id" not in doc:
        id = new_id()
        doc = {**doc, "_id": id}
    # The usual id is looked at here: a call takes as long as to hash a document.
    if not (type(id) is str and id.isascii() and id[:1] not in ("", "_")):
        id = check_id(id)
    plain = None
    if deterministic:
        plain = plain_json(cast("dict[str, Any]", doc))
        # One character is looked for ten times as fast as two: most documents have no other underscore.
        if plain is not None and len(doc) > 1 and (plain[0].count(b"_") == 1 or plain[0].count(b'"_') == 1):
            # The usual new document: no reserved field but `_id`, first as programs write it or last as it is made.
            # All of it is one text; without this, documents whose id is made take a quarter longer.
            text, stored = plain
            member = b'"_id":' + orjson.dumps(id)
            body = None
            if stored.startswith(member, 1):
                body = b"{" + stored[len(member) + 2 :]
            elif stored.endswith(member, 0, -1):
                body = stored[: -len(member) - 2] + b"}"
            if body is not None:
                rev = rev_id(None, text)
                return Parsed(id, rev, None, (rev,), False, body, doc, None)
    try:
        if plain is None:
            doc = _plain(doc)
        parent = doc.get("_rev")
        if parent is not None:
            parent = check_rev(parent)
        return _edit(doc, id, parent, deterministic, text=None if plain is None else plain[0])
    except PouchDBError as error:
        error.details.setdefault("id", id)
        raise


def rehash(parsed: Parsed, tombstone: str) -> Parsed:
    """Return the edit again as the child of ``tombstone``: this is hashed when a deleted document is re-created.

    PouchDB hashes the stored fields, then ``_rev``, then ``_id``.
    """
    stored = {key: value for key, value in parsed.doc.items() if key[:1] != "_" or key in KEPT}
    doc = {**stored, "_rev": tombstone, "_id": parsed.id}
    again = _edit(doc, parsed.id, tombstone, parsed.deterministic, parsed.attachments)
    again.index = parsed.index
    return again


def _edit(
    doc: Mapping[str, Any],
    id: str,
    parent: str | None,
    deterministic: bool,
    attachments: dict[str, Incoming] | None = None,
    *,
    text: bytes | None = None,
) -> Parsed:
    """Parse an edit; ``text`` is the document's, if it is known."""
    deleted = _deleted(doc)
    hashed: Any = doc
    if "_attachments" in doc:
        # PouchDB drops the attachments of a tombstone before hashing.
        if attachments is None and not deleted:
            attachments = parse_attachments(doc["_attachments"])
        hashed = dict(doc)
        if deleted:
            del hashed["_attachments"]
        else:
            hashed["_attachments"] = {name: entry.hashed() for name, entry in (attachments or {}).items()}
    try:
        if text is None or hashed is not doc:
            text, hashed = _text(hashed)
        rev = rev_id(parent, text if deterministic else os.urandom(16))
        path = (rev,) if parent is None else (rev, parent)
        parsed = Parsed(id, rev, parent, path, deleted, _body(hashed), doc, attachments)
        parsed.deterministic = deterministic
        return parsed
    except BaseException:
        close_all(attachments)
        raise


def parse_replicated(given: DocumentInput) -> Parsed:
    """Check a document that comes with its revision (``new_edits=False``)."""
    doc = mapping(given)
    if "_id" not in doc:
        raise MissingId()
    id = check_id(doc["_id"])
    try:
        plain = plain_json(cast("dict[str, Any]", doc))
        if plain is None:
            doc = _plain(doc)
        path = _path(doc)
        deleted = _deleted(doc)
        attachments = None
        checked: Any = doc
        if "_attachments" in doc:
            attachments = parse_attachments(doc["_attachments"], replicated=True)
            checked = {**doc, "_attachments": {name: entry.hashed() for name, entry in attachments.items()}}
        try:
            if checked is not doc:
                _, checked = _text(checked)
            return Parsed(id, path[0], None, path, deleted, _body(checked), doc, attachments)
        except BaseException:
            close_all(attachments)
            raise
    except PouchDBError as error:
        error.details.setdefault("id", id)
        raise


def parse_local(given: DocumentInput) -> tuple[str, str | None, bool, bytes]:
    """Check a local document; return its id, revision, whether it is a deletion, and its body."""
    doc = mapping(given)
    id = check_id(doc.get("_id"))
    rev = doc.get("_rev")
    if rev is not None and not (isinstance(rev, str) and rev.startswith("0-") and rev[2:].isdecimal()):
        raise BadRequest("Invalid rev format: a local document's revision is text such as 0-1", id=id)
    if doc.get("_attachments"):
        raise BadRequest("a local document cannot have attachments", id=id)
    _, doc = _text(doc)
    return id, rev, _deleted(doc), _body(doc)


def _deleted(doc: Mapping[str, Any]) -> bool:
    deleted = doc.get("_deleted", False)
    if deleted is True or deleted is False:
        return deleted
    raise BadRequest(f"_deleted must be true or false, not {safe_repr(deleted)}")


def _path(doc: Mapping[str, Any]) -> list[str]:
    revisions = doc.get("_revisions")
    if revisions is None:
        return [check_rev(doc.get("_rev"))]
    try:
        path = path_from_revisions(revisions["start"], revisions["ids"])
    except (ValueError, TypeError, KeyError) as error:
        raise BadRequest(f"_revisions must be {{'start': generation, 'ids': [newest, ...]}}: {error}") from None
    # A `_rev` that differs is ignored, as in CouchDB.
    return path


def _plain(doc: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a document as JSON has it. Raises BadRequest; attachments, whose content is not JSON, are left alone."""
    if "_attachments" not in doc:
        said: dict[str, Any] = jsonable(doc)
        return said
    return {**jsonable({**doc, "_attachments": None}), "_attachments": doc["_attachments"]}


def _text(doc: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
    """Return the document as JSON.stringify prints it, and as JSON has it. Raises BadRequest."""
    plain = plain_json(cast("dict[str, Any]", doc))
    if plain is not None:
        return plain[0], doc
    said: dict[str, Any] = jsonable(doc)
    return js_json(said), said


def _body(doc: Mapping[str, Any]) -> bytes:
    """Return the JSON of a document's stored fields. Raises DocValidation for unknown reserved fields."""
    for key in doc:
        if key[:1] == "_" and key not in RESERVED:
            raise DocValidation(f"Bad special document member: {key}")
    return dump({key: value for key, value in doc.items() if key[:1] != "_" or key in KEPT})
