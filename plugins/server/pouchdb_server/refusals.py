"""Errors as CouchDB reports them: its names and words, where clients compare them with its own."""

from __future__ import annotations

import re
from typing import Any

from pouchdb_core.errors import PouchDBError
from pouchdb_server.messages import Response

__all__ = ["error_of", "error_response"]

COUCHDB_SAYS = {
    ("bad_request", "Only reserved document ids may start with underscore."): "illegal_docid",
    ("missing_id", "_id is required for puts"): "illegal_docid",
}
"""Errors that have another name in CouchDB than in PouchDB, by name and reason."""
WORDS = [
    (name, re.compile(pattern, re.DOTALL), words)
    for name, pattern, words in (
        ("conflict", r"Document update conflict", "Document update conflict."),
        ("not_found", r"missing: there is no design document .*", "missing"),
        ("not_found", r"missing_named_view: _design/.*", "missing_named_view"),
        ("not_found", r"(.*) not found: (?:_design/.*|a search index .*)", r"\1 not found"),
        ("not_found", r"ddoc _design/.* has no view named .*", "missing_named_view"),
        ("not_found", r"missing json key: _design/.* has no '([^']*)' in '.*", r"missing json key: \1"),
        ("query_parse_error", r"(Multi-key fetches for reduce views must use) {group: true}", r"\1 `group=true`"),
        ("query_parse_error", r"{include_docs:true} is invalid for reduce", "`include_docs` is invalid for reduce"),
        ("bad_request", r"since must be a sequence number .*", "Malformed sequence supplied in 'since' parameter."),
        ("bad_request", r"(Invalid rev format): .*", r"\1"),
    )
]
"""Reasons whose wording in CouchDB clients compare; ours say more."""


def error_of(name: str, reason: Any) -> dict[str, Any]:
    """Return the fields by which CouchDB reports an error, given PouchDB's name and reason for it.

    The reason of a validation function is what it gave: any JSON.
    """
    if not isinstance(reason, str):
        return {"error": name, "reason": reason}
    error = COUCHDB_SAYS.get((name, reason), name)
    for named, pattern, words in WORDS:
        if named == name and (found := pattern.fullmatch(reason)) is not None:
            return {"error": error, "reason": found.expand(words)}
    return {"error": error, "reason": reason}


def error_response(error: PouchDBError) -> Response:
    """Return CouchDB's response for an error."""
    told = error_of(error.name, error.message)
    if error.name == "missing_stub" and {"attachment", "id"} <= error.details.keys():
        told["reason"] = f"Invalid attachment stub in {error.details['id']} for {error.details['attachment']}"
    if type(position := error.details.get("position")) is int:
        # Where a query cannot be parsed: CouchDB's clients ignore what they do not know.
        told["position"] = position
    # PouchDB's catalogue has 500 and 412 for what CouchDB treats as the client's mistake.
    status = 400 if told["error"] in ("doc_validation", "illegal_docid") else error.status
    response = Response(told, status)
    for name, value in error.details.get("headers", {}).items():
        response.add(name, value)
    return response
