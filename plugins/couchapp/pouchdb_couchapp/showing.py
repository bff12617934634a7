"""Show functions: a document as a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import NotFound, PouchDBError
from pouchdb_core.javascript import Answer
from pouchdb_core.results import Record
from pouchdb_couchapp.errors import DesignError, NotAcceptable
from pouchdb_couchapp.functions import Negotiation, design_document, found
from pouchdb_couchapp.manners import LOCAL, Manners
from pouchdb_couchapp.response import answered, completed, has_header, json_text

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB

__all__ = ["joined", "run", "show_here"]

READING = ("rev", "revs", "revs_info", "conflicts", "deleted_conflicts", "local_seq", "attachments", "latest")
"""Options of a show that are also passed to the ``get`` of its document."""


def show_here(
    database: SyncPouchDB, ddoc: str, name: str, id: str, request: dict[str, Any], options: Mapping[str, Any]
) -> Record:
    """Return the completed response of a show function of a local database."""
    reading = {each: options[each] for each in READING if each in options}
    negotiation = Negotiation(LOCAL, request)
    answer = run(database, ddoc, name, id, request, negotiation, LOCAL, reading)
    response = joined(answer, negotiation)
    head = LOCAL.head(answer)
    return completed({**response, **(head or {})}, negotiation.content_type)


def run(
    database: SyncPouchDB,
    ddoc: str,
    name: str,
    id: str,
    request: Mapping[str, Any],
    negotiation: Negotiation,
    manners: Manners,
    reading: Mapping[str, Any],
) -> Answer:
    """Call a show function with its document. Raises NotFound and errors that the function returns or throws."""
    design = design_document(database, ddoc)
    call = found(database, design, "shows", "show", name, manners)
    doc = _document(database, id, reading)
    try:
        answer = call.call([doc and manners.document(doc), request], negotiation)
        manners.check(negotiation.own or answer, "show")
        return answer
    except (DesignError, NotAcceptable) as error:
        # As in CouchDB and pouchdb-show, whatever the error is: there is nothing to show.
        if id and doc is None:
            raise NotFound("document not found", **error.details) from error
        raise


def _document(database: SyncPouchDB, id: str, reading: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if not id:
        return None
    try:
        doc: Mapping[str, Any] = database.get(id, **reading)
    except PouchDBError:
        # Missing, deleted, not for this user: the function is called all the same, without it.
        return None
    return doc


def joined(answer: Answer, negotiation: Negotiation) -> dict[str, Any]:
    """Return the results of a function and its provider as one response, after what was sent.

    As in CouchDB the function's own result is kept, and the provider's is appended; fields that only
    the provider has (``json``, ``headers``) are kept, which CouchDB loses.
    """
    response = answered(answer)
    if negotiation.own is not None:
        own = answered(negotiation.own)
        if own:
            response = {**_behind(_text(own), response), **{name: own[name] for name in own if name not in _CONTENT}}
    return _behind(answer.sent, response) if answer.sent else response


_CONTENT = ("body", "json")


def _behind(text: str, response: Mapping[str, Any]) -> dict[str, Any]:
    """Return a response with its body after a text; JSON becomes text, too."""
    made = {name: value for name, value in response.items() if name not in _CONTENT}
    made["body"] = text + _text(response)
    headers = made.get("headers") or {}
    if "json" in response and isinstance(headers, Mapping) and not has_header(headers, "Content-Type"):
        made["headers"] = {**headers, "Content-Type": "application/json"}
    return made


def _text(response: Mapping[str, Any]) -> str:
    if "json" in response:
        return json_text(response["json"])
    body = response.get("body")
    return body if isinstance(body, str) else ""
