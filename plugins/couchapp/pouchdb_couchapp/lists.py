"""List functions: the rows of a view as a page, a table, a file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, NotFound, PouchDBError
from pouchdb_core.jsontext import from_text
from pouchdb_core.results import Record
from pouchdb_couchapp.functions import Negotiation, design_document, found
from pouchdb_couchapp.manners import LOCAL, Manners, translated
from pouchdb_couchapp.remote import asked
from pouchdb_couchapp.request_object import given_options, request_object
from pouchdb_couchapp.response import as_response, completed
from pouchdb_couchapp.showing import joined
from pouchdb_couchapp.view_rows import rows_of

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB
    from pouchdb_core.views.servers import Streamed

__all__ = ["Source", "begun", "begun_over", "list_here", "list_over", "missing_view", "view_options"]

Source = Callable[[Mapping[str, Any]], tuple[Mapping[str, Any], Iterable[Any]]]
"""Returns (head, rows) for the query of a request; errors it raises are those of the list."""

_NUMBERS = ("limit", "skip", "group_level")
_FLAGS = ("attachments", "conflicts", "descending", "group", "include_docs", "inclusive_end", "update_seq")
_LARGEST = 256 * 2**20


def list_here(
    database: SyncPouchDB, ddoc: str, name: str, view: tuple[str, str], request: dict[str, Any], options: Any
) -> Record:
    """Return the completed response of a list function of a local database, as a whole.

    ``view`` is (design document, name). Raises BadRequest ``invalid_json`` for a body of another type.
    """
    return _collected(
        request,
        options,
        lambda query, negotiation: begun(database, ddoc, name, view, view_options(query), request, negotiation, LOCAL),
    )


def list_over(
    database: SyncPouchDB,
    ddoc: str,
    name: str,
    source: Source,
    *,
    path: Sequence[str],
    options: Mapping[str, Any] | None = None,
) -> Record:
    """Run a list function over rows of any kind, for plug-ins that have rows, such as a spatial index.

    ``source`` gets the request's query, together with a JSON body's fields. ``path`` is the path below the database
    that the function sees, and that is requested from a remote server; ``options`` are those of ``list``. Returns
    and raises what ``list`` does.
    """
    given = given_options(options, {})
    request = request_object(database, list(path), given)
    if database.remote:
        return asked(database, path, request, given.get("body"))
    return _collected(
        request,
        given,
        lambda query, negotiation: begun_over(database, ddoc, name, lambda: source(query), request, negotiation, LOCAL),
    )


def _collected(
    request: dict[str, Any], options: Any, start: Callable[[Mapping[str, Any], Negotiation], Streamed]
) -> Record:
    """Return the completed response of a stream. Raises BadRequest ``invalid_json`` for a body of another type."""
    has_body = request["body"] not in ("undefined", "")
    type = str(request["headers"].get("Content-Type", "application/json")).partition(";")[0].strip().lower()
    if has_body and type != "application/json":
        raise BadRequest("invalid_json")
    query = dict(request["query"])
    if request["method"] != "GET":
        query.update(_body_options(request, options))
    negotiation = Negotiation(LOCAL, request)
    streamed = start(query, negotiation)
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
        response.update(as_response(head))
        response["headers"] = {**(response.get("headers") or {}), "Transfer-Encoding": "chunked"}
        # Fields of start() replace those of the returned response, the body too.
        text = response.get("body")
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
    """Return the stream of a list function; the view exists, as far as can be known before.

    A missing view hides a missing function, as in the original. Raises NotFound and what ``query`` raises.
    """

    def viewed() -> tuple[Mapping[str, Any], Iterable[Any]]:
        head, rows = _viewed(database, view, query, manners)
        return head, _ordered(rows, manners) if query.get("include_docs") else rows

    return begun_over(database, ddoc, name, viewed, request, negotiation, manners)


def begun_over(
    database: SyncPouchDB,
    ddoc: str,
    name: str,
    rows: Callable[[], tuple[Mapping[str, Any], Iterable[Any]]],
    request: Mapping[str, Any],
    negotiation: Negotiation,
    manners: Manners,
) -> Streamed:
    """Return the stream of a list function over rows of any kind. Raises NotFound and what ``rows`` raises."""
    design = design_document(database, ddoc)
    head, each = rows()
    call = found(database, design, "lists", "list", name, manners)
    return call.stream([head, request], iter(each), negotiation)


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
        told = missing_view(error, *view)
        if told is None:
            raise
        raise told from error


def missing_view(error: NotFound, ddoc: str, view: str) -> NotFound | None:
    """Return the error of ``query`` for a missing view, with PouchDB's reason; None for other errors."""
    if error.message.startswith("missing_named_view"):
        return NotFound(f"ddoc _design/{ddoc} has no view named {view}")
    return NotFound("missing") if error.message.startswith("missing: ") else None


def _body_options(request: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
    given = options.get("json")
    if given is None and request["body"] not in ("undefined", ""):
        try:
            given = from_text(request["body"])
        except BadRequest:
            # Then it belongs to the function, and holds no keys.
            return {}
    return given if isinstance(given, Mapping) else {}


def view_options(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return those fields of a request's query that a view understands: others are for the function.

    Numbers and flags may be strings, as over HTTP and in rewrites; other strings are ignored.
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
