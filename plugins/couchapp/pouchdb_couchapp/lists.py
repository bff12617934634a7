"""List functions: the rows of a view as a page, a table, a file."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, NotFound, PouchDBError
from pouchdb_core.jsontext import from_text
from pouchdb_core.results import Record
from pouchdb_couchapp.functions import Negotiation, design_document, found
from pouchdb_couchapp.manners import LOCAL, Manners, translated
from pouchdb_couchapp.response import as_response, completed
from pouchdb_couchapp.showing import joined
from pouchdb_couchapp.view_rows import rows_of

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB
    from pouchdb_core.views.servers import Streamed

__all__ = ["begun", "list_here", "view_options"]

_NUMBERS = ("limit", "skip", "group_level")
_FLAGS = ("attachments", "conflicts", "descending", "group", "include_docs", "inclusive_end", "update_seq")
_LARGEST = 256 * 2**20


def list_here(
    database: SyncPouchDB, ddoc: str, name: str, view: tuple[str, str], request: dict[str, Any], options: Any
) -> Record:
    """Return the completed response of a list function of a database that is here, all of it.

    ``view`` is (design document, name). Raises BadRequest ``invalid_json`` for a body of another type.
    """
    has_body = request["body"] not in ("undefined", "")
    type = str(request["headers"].get("Content-Type", "application/json")).partition(";")[0].strip().lower()
    if has_body and type != "application/json":
        raise BadRequest("invalid_json")
    query = view_options(request["query"])
    if request["method"] != "GET":
        query.update(view_options(_body_options(request, options)))
    negotiation = Negotiation(LOCAL, request)
    streamed = begun(database, ddoc, name, view, query, request, negotiation, LOCAL)
    sent, size = [], 0
    try:
        for piece in streamed:
            size += len(piece)
            if size > _LARGEST:
                streamed.close()
                raise BadRequest("the list is too large to be returned at once: ask the server for it")
            sent.append(piece)
    except PouchDBError:
        raise
    except Exception as error:
        raise translated(error, LOCAL) from error
    answer = streamed.answer
    assert answer is not None
    response = completed(joined(answer, negotiation), negotiation.content_type)
    head = LOCAL.head(streamed)
    if head is not None:
        text = response.get("body")
        response.update(as_response(head))
        response["headers"] = {**(response.get("headers") or {}), "Transfer-Encoding": "chunked"}
        response["body"] = "".join(sent) + (text if isinstance(text, str) else "")
    return response


def begun(
    database: SyncPouchDB,
    ddoc: str,
    name: str,
    view: tuple[str, str],
    query: Mapping[str, Any],
    request: Mapping[str, Any],
    negotiation: Negotiation,
    manners: Manners,
) -> Streamed:
    """Return the stream of a list function; the view is there, as far as can be known before.

    A missing view hides a missing function, as in the original. Raises NotFound and what ``query`` raises.
    """
    design = design_document(database, ddoc)
    head, rows = _viewed(database, view, query, manners)
    call = found(database, design, "lists", "list", name, manners)
    if query.get("include_docs"):
        rows = _ordered(rows, manners)
    return call.stream([head, request], rows, negotiation)


def _ordered(rows: Iterator[Any], manners: Manners) -> Iterator[Any]:
    for row in rows:
        doc = row.get("doc")
        yield {**row, "doc": manners.document(doc)} if isinstance(doc, Mapping) else row


def _viewed(
    database: SyncPouchDB, view: tuple[str, str], query: Mapping[str, Any], manners: Manners
) -> tuple[dict[str, Any], Iterator[Any]]:
    try:
        return rows_of(database, *view, query, counted=manners is not LOCAL)
    except NotFound as error:
        if error.message.startswith("missing_named_view"):
            raise NotFound(f"ddoc _design/{view[0]} has no view named {view[1]}") from error
        if error.message.startswith("missing: "):
            raise NotFound("missing") from error
        raise


def _body_options(request: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
    given = options.get("json")
    if given is None and request["body"] not in ("undefined", ""):
        try:
            given = from_text(request["body"])
        except BadRequest:
            # It is the function's, then, and holds no keys.
            return {}
    return given if isinstance(given, Mapping) else {}


def view_options(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return those members of a request's query that a view understands: others are the function's affair.

    Numbers and flags that are texts, as over HTTP and in rewrites, count where they say one.
    """
    known = _known()
    options: dict[str, Any] = {}
    for name, value in query.items():
        if name not in known or name == "queries":
            continue
        if isinstance(value, str):
            if name in _NUMBERS:
                if not value.isdigit():
                    continue
                value = int(value)
            elif name in _FLAGS or (name == "reduce" and not value.startswith("_")):
                if value not in ("true", "false"):
                    continue
                value = value == "true"
        options[name] = value
    return options


def _known() -> frozenset[str]:
    from pouchdb_core.api.querying import query

    return frozenset(
        name for name, each in inspect.signature(query).parameters.items() if each.kind is each.KEYWORD_ONLY
    )
