"""The methods that this plug-in adds to databases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pouchdb_core.results import Record, record
from pouchdb_couchapp.functions import split
from pouchdb_couchapp.lists import list_here
from pouchdb_couchapp.remote import asked
from pouchdb_couchapp.request_object import given_options, request_object
from pouchdb_couchapp.response import completed
from pouchdb_couchapp.rewrite_rules import parts_of
from pouchdb_couchapp.rewriting import MOST_REWRITES, Wanted, rewritten, too_many
from pouchdb_couchapp.routing import route
from pouchdb_couchapp.showing import show_here
from pouchdb_couchapp.updating import update_here

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB

__all__ = ["list_", "rewrite", "rewrite_result_request_object", "show", "update"]


def show(db: SyncPouchDB, /, show_path: str, options: Mapping[str, Any] | None = None, **more: Any) -> Record:
    """Run a show function: ``"design/function"``, or ``"design/function/document id"``.

    Options become fields of the request object: ``query``, ``headers``, ``method``, ``body``, ``form``, ``userCtx``,
    ``secObj`` and others; those of ``get`` (``rev``, ``conflicts`` ...) choose the document as well.
    Returns ``{"code", "headers", "body"}`` (or ``"base64"``), completed as CouchDB does. A remote database's server
    runs it. Raises NotFound, NotAcceptable for a type that no provider makes, FunctionError ``compilation_error``,
    DesignError (status 500) for errors that the function throws or returns.
    """
    given = given_options(options, more)
    ddoc, name, id = split(show_path, "show")
    end = ["_design", ddoc, "_show", name, *([id] if not id else id.split("/"))]
    end = end if id else end[:-1]
    request = request_object(db, end, given)
    if db.remote:
        return asked(db, end, request, given.get("body"))
    return show_here(db, ddoc, name, id, request, given)


def list_(db: SyncPouchDB, /, list_path: str, options: Mapping[str, Any] | None = None, **more: Any) -> Record:
    """Run a list function over a view: ``"design/function/view"``, ``"design/function/other design/view"``.

    The view may be ``_all_docs``. ``query`` holds the view's options and others that the function reads; for
    ``keys`` of a POST there is ``body`` or ``json``. Otherwise as ``show``; the response is one string, rows
    are read as the function requests them. Raises NotFound for a missing view, BadRequest for a body that
    is not JSON.
    """
    given = given_options(options, more)
    ddoc, name, rest = split(list_path, "list")
    first, slash, second = rest.partition("/")
    view = (first.removeprefix("_design/"), second) if slash else (ddoc, first)
    end = ["_design", ddoc, "_list", name, *(rest.split("/") if rest else [])]
    request = request_object(db, end, given)
    if db.remote:
        return asked(db, end, request, given.get("body"))
    return list_here(db, ddoc, name, view, request, given)


def update(db: SyncPouchDB, /, update_path: str, options: Mapping[str, Any] | None = None, **more: Any) -> Record:
    """Run an update function: ``"design/function"``, or ``"design/function/document id"``; store what it returns.

    The method is POST unless another one is given. ``withValidation`` stores the document with ``validating_put`` of
    the plug-in validation. Returns the function's response, with ``X-Couch-Id`` and ``X-Couch-Update-NewRev`` and
    code 201 when a document was stored, code 200 when there was none; a code set by the function is kept. Raises what
    ``show`` and ``put`` raise.
    """
    given = given_options(options, more)
    validation = _validation(given)
    given.setdefault("method", "POST")
    ddoc, name, id = split(update_path, "update")
    end = ["_design", ddoc, "_update", name, *(id.split("/") if id else [])]
    request = request_object(db, end, given)
    request["headers"].setdefault("Content-Type", "application/x-www-form-urlencoded")
    if db.remote:
        return asked(db, end, request, given.get("body"))
    return update_here(db, ddoc, name, id, request, validation)


def rewrite_result_request_object(
    db: SyncPouchDB, /, rewrite_path: str, options: Mapping[str, Any] | None = None, **more: Any
) -> Record:
    """Return the request object that a rewrite leads to: ``"design/any/path"``; query arguments by ``query``.

    The rules of a remote database are read from it and applied here. Raises NotFound for a path that no rule matches,
    RewriteError and DesignError for invalid rules.
    """
    given = given_options(options, more)
    given.pop("withValidation", None)
    return record(_led(db, parts_of(rewrite_path), given)[0])


def rewrite(db: SyncPouchDB, /, rewrite_path: str, options: Mapping[str, Any] | None = None, **more: Any) -> Any:
    """Follow a rewrite, ``"design/any/path"``, and return the result of the call that it leads to.

    That is a document, the rows of a view, an attachment, the response of a show... Rewrites may lead to rewrites, a
    hundred times. A rewrite that would create, destroy or configure a database is Forbidden. ``withValidation`` as in
    ``update``. A remote database's server follows it itself and the result is ``{"code", "headers", "body"}``.
    """
    given = given_options(options, more)
    validation = _validation(given)
    parts = parts_of(rewrite_path)
    if db.remote:
        end = ["_design", *parts[:1], "_rewrite", *parts[1:]]
        return asked(db, end, request_object(db, end, given), given.get("body"))
    return _followed(db, parts, given, validation, 0)


def _led(db: SyncPouchDB, parts: list[str], given: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Return the request object that a rewrite leads to, and the response of a function that responds itself."""
    ddoc, path = (parts[0] if parts else ""), parts[1:]
    query = given.get("query") or {}

    def request() -> dict[str, Any]:
        return request_object(db, ["_design", ddoc, "_rewrite", *path], given)

    found = rewritten(db, ddoc, Wanted(str(given.get("method") or "GET"), path, query, request))
    options = {**given, **found.changed, "query": found.target.query}
    options["headers"] = {**(given.get("headers") or {}), **(found.changed.get("headers") or {})}
    wanted = given.get("requested_path")
    if isinstance(wanted, list):
        options["headers"].setdefault("x-couchdb-requested-path", "/" + "/".join(map(str, wanted)))
    return request_object(db, ["_design", ddoc, *found.target.path], options), found.response


def _followed(
    db: SyncPouchDB, parts: list[str], given: dict[str, Any], validation: dict[str, Any] | None, depth: int
) -> Any:
    while True:
        request, response = _led(db, parts, given)
        if response is not None:
            return completed(response, None)
        path = [part for part in request["path"] if part]
        if not (
            len(path) > 3
            and path[1] == "_design"
            and path[3] == "_rewrite"
            and unquote(path[0]) == db.info()["db_name"]
        ):
            break
        depth += 1
        if depth >= MOST_REWRITES:
            raise too_many()
        parts = [path[2], *path[4:]]
        given = {
            name: value
            for name, value in request.items()
            if name not in ("path", "raw_path", "requested_path", "id", "info")
        }
        if given["body"] == "undefined":
            del given["body"]

    def design(database: SyncPouchDB, ddoc: str, member: str, rest: list[str]) -> Any:
        own = {name: value for name, value in request.items() if name not in ("info",)}
        if own["body"] == "undefined":
            del own["body"]
        if "method" not in given and member == "_update":
            # A rewrite uses GET for the sake of its rules; the caller gave no method.
            del own["method"]
        path = "/".join([ddoc, *map(unquote, rest)])
        if member == "_rewrite":
            return _followed(database, [ddoc, *rest], own, validation, depth + 1)
        if member == "_update" and validation is not None:
            return update(database, path, own, withValidation=True, **validation)
        calls: dict[str, Any] = {"_show": show, "_list": list_, "_update": update}
        return calls[member](database, path, own)

    return route(db, request, validation, design, given.get("body", b""))


def _validation(given: dict[str, Any]) -> dict[str, Any] | None:
    """Take ``withValidation`` out of the options; return those of the validating methods, None for plain ones."""
    if not given.pop("withValidation", False):
        return None
    return {name: given[name] for name in ("userCtx", "secObj") if name in given}
