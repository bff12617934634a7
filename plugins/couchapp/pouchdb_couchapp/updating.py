"""Update functions: a document changed by a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pouchdb_core.errors import NotSupported, PouchDBError
from pouchdb_core.results import Record
from pouchdb_couchapp.errors import DesignError, MethodNotAllowed
from pouchdb_couchapp.functions import design_document, found
from pouchdb_couchapp.manners import LOCAL, Manners
from pouchdb_couchapp.response import as_response, checked, completed

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB

__all__ = ["Updated", "run", "update_here", "validating"]

NO_GET = "Update functions do not allow GET"


class Updated(NamedTuple):
    """The result of an update function, before anything is stored."""

    doc: dict[str, Any] | None
    response: Any


def run(database: SyncPouchDB, ddoc: str, name: str, id: str, request: Mapping[str, Any], manners: Manners) -> Updated:
    """Call an update function with its document. Raises NotFound, what the function throws, and ``render_error``."""
    if request["method"] == "GET":
        raise MethodNotAllowed(NO_GET)
    design = design_document(database, ddoc)
    call = found(database, design, "updates", "update", name, manners)
    doc = _document(database, id)
    value = call.call([doc and manners.document(doc), request]).value
    if not isinstance(value, (list, tuple)) or not value:
        raise DesignError("render_error", "undefined response from update function")
    made = value[0]
    return Updated(dict(made) if isinstance(made, Mapping) else None, value[1] if len(value) > 1 else None)


def _document(database: SyncPouchDB, id: str) -> Mapping[str, Any] | None:
    if not id:
        return None
    try:
        doc: Mapping[str, Any] = database.get(id)
    except PouchDBError:
        # It does not exist yet: the function may make it.
        return None
    return doc


def update_here(
    database: SyncPouchDB, ddoc: str, name: str, id: str, request: dict[str, Any], validation: dict[str, Any] | None
) -> Record:
    """Run an update function of a local database, store its document, return the completed response.

    ``validation``: options of ``validating_put``, None for a plain put. The response is checked before anything is
    stored. Raises what the function throws and what ``put`` raises.
    """
    updated = run(database, ddoc, name, id, request, LOCAL)
    response = as_response(updated.response)
    checked(response)
    made = completed(response, None)
    if updated.doc is None:
        return made
    put = database.put if validation is None else validating(database, "put")
    written = put(updated.doc, **(validation or {}))
    made["headers"]["X-Couch-Id"] = written["id"]
    made["headers"]["X-Couch-Update-NewRev"] = written["rev"]
    if not response.get("code"):
        made["code"] = 201
    return made


def validating(database: SyncPouchDB, name: str) -> Any:
    """Return a validating method. Raises NotSupported without the plug-in that has it."""
    method = getattr(database, f"validating_{name}", None)
    if method is None:
        raise NotSupported("withValidation needs the plug-in validation: pip install pouchdb-validation")
    return method
