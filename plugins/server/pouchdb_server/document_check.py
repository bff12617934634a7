"""Documents that arrive over HTTP, checked as CouchDB does before anything is written: with its errors and reasons.

Values that no document may have are refused by the core itself; here are the errors that CouchDB's clients
expect. The rules are those of its ``couch_doc:from_json_obj_validate``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from pouchdb_core.documents.parse import check_rev
from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import encodes

__all__ = [
    "DocumentInvalid",
    "IllegalId",
    "are_usual",
    "check_attachment_name",
    "check_id",
    "check_rev_text",
    "checked",
    "checked_all",
]

IGNORED = frozenset(("_revs_info", "_local_seq", "_conflicts", "_deleted_conflicts", "_rev_tree", "_removed"))
KEPT = frozenset(
    "_access _replication_state _replication_state_time _replication_state_reason _replication_id "
    "_replication_stats".split()
)
INVALID_REV = "Invalid rev format"


class IllegalId(BadRequest):
    name = "illegal_docid"


class DocumentInvalid(BadRequest):
    name = "doc_validation"


def checked(given: Any, *, new_edits: bool = True) -> dict[str, Any]:
    """Return a document if CouchDB would take it. Raises BadRequest, with CouchDB's error and reason."""
    if not isinstance(given, dict):
        raise BadRequest("Document must be a JSON object")
    doc: dict[str, Any] = given
    special = [name for name in doc if name[:1] == "_"]
    for name in special:
        _check_member(name, doc[name], doc)
    if not new_edits and "_rev" not in doc and "_revisions" not in doc:
        raise BadRequest("When `new_edits: false`, the document needs `_rev` or `_revisions` specified")
    return doc


def checked_all(docs: list[Any], *, new_edits: bool) -> list[dict[str, Any]]:
    """Return documents if CouchDB would take all of them: if it refuses one, none is written."""
    return [checked(doc, new_edits=new_edits) for doc in docs]


def are_usual(docs: Sequence[Any]) -> bool:
    """Return whether ``checked`` would take all documents, as far as a look at all of them together shows it.

    True for objects without special members, but for ids that begin with no underscore. This takes an eighth of the
    time of looking at each document.
    """
    if not set(map(type, docs)) <= {dict}:
        return False
    if any(name[:1] == "_" and name != "_id" for name in set(chain.from_iterable(docs))):
        return False
    ids = [doc["_id"] for doc in docs if "_id" in doc]
    try:
        text = "\n" + "\n".join(ids)
    except TypeError:
        return False
    return "\n_" not in text and "" not in ids and encodes(text)


def check_id(id: Any) -> None:
    """Refuse what is not a document id. Raises IllegalId."""
    if not isinstance(id, str):
        raise IllegalId("Document id must be a string")
    if not id:
        raise IllegalId("Document id must not be empty")
    if id in ("_design/", "_local/"):
        raise IllegalId(f"Illegal document id `{id}`")
    if not encodes(id):
        raise IllegalId("Document id must be valid UTF-8")
    if id[0] == "_" and not id.startswith(("_design/", "_local/")):
        raise IllegalId("Only reserved document ids may start with underscore.")


def _check_member(name: str, value: Any, doc: Mapping[str, Any]) -> None:
    if name == "_id":
        check_id(value)
    elif name == "_rev":
        if "_revisions" not in doc:
            check_rev_text(value)
    elif name == "_deleted":
        if not isinstance(value, bool):
            raise DocumentInvalid("Bad special document member: _deleted")
    elif name == "_revisions":
        _check_revisions(value)
    elif name == "_attachments":
        _check_attachments(value, doc)
    elif name not in IGNORED and name not in KEPT:
        raise DocumentInvalid(f"Bad special document member: {name}")


def check_rev_text(rev: Any) -> None:
    """Refuse what is not a revision, of a document or a local document. Raises BadRequest."""
    if isinstance(rev, str) and rev.startswith("0-"):
        # The core decides for which documents this is a revision.
        return
    try:
        check_rev(rev)
    except BadRequest as error:
        raise BadRequest(INVALID_REV) from error


def _check_revisions(value: Any) -> None:
    if not isinstance(value, dict):
        raise DocumentInvalid("Bad special document member: _revisions")
    if type(value.get("start")) is not int:
        raise DocumentInvalid("_revisions.start isn't an integer.")
    ids = value.get("ids")
    if not isinstance(ids, list):
        raise DocumentInvalid("_revisions.ids isn't a array.")
    if not all(isinstance(each, str) for each in ids):
        raise DocumentInvalid("RevId isn't a string")


def _check_attachments(value: Any, doc: Mapping[str, Any]) -> None:
    if not isinstance(value, dict):
        raise DocumentInvalid("Bad special document member: _attachments")
    for name, entry in value.items():
        check_attachment_name(name)
        if not isinstance(entry, dict):
            raise BadRequest(f"Invalid attachment data for {name}")
        if entry.get("stub") is True or entry.get("follows") is True:
            continue
        data = entry.get("data")
        try:
            if not isinstance(data, str):
                raise ValueError
            base64.b64decode("".join(data.split()), validate=True)
        except (ValueError, binascii.Error):
            raise BadRequest(f"Invalid attachment data for {name}") from None


def check_attachment_name(name: str) -> None:
    """Refuse a name that no attachment may have. Raises BadRequest."""
    if name.startswith("_"):
        raise BadRequest(f"Attachment name '{name}' starts with prohibited character '_'")
    if not encodes(name):
        raise BadRequest("Attachment name is not UTF-8 encoded")
