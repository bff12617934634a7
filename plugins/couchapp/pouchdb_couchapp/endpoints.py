"""``_show``, ``_list``, ``_update`` and ``_rewrite`` for a server; imported only when there is one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote, urlencode

from pouchdb_server import Request, Response, Route
from pouchdb_server.messages import header_text
from pouchdb_server.query import VIEWING, parameters

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import Forbidden, PouchDBError
from pouchdb_core.javascript import Answer
from pouchdb_core.jsontext import dump, from_text
from pouchdb_core.views.servers import Streamed
from pouchdb_couchapp import showing, updating
from pouchdb_couchapp.errors import DesignError, NotAcceptable
from pouchdb_couchapp.functions import Negotiation
from pouchdb_couchapp.lists import Source, begun, begun_over
from pouchdb_couchapp.manners import COUCHDB, translated
from pouchdb_couchapp.request_object import normalized
from pouchdb_couchapp.response import as_response, has_header, json_text, wire
from pouchdb_couchapp.rewriting import MOST_REWRITES, Wanted, rewritten, too_many
from pouchdb_couchapp.routing import NEVER

__all__ = ["list_", "list_response", "nowhere", "request_of", "rewrite", "routes", "show", "update"]

ANY = "GET POST PUT DELETE"
_JSON_KEYS = ("key", "keys", "startkey", "start_key", "endkey", "end_key")


def routes() -> Iterable[Route]:
    """Return the endpoints, as the server expects them."""
    return [
        Route("database", ANY, "/_design/{ddoc}/_show", nowhere),
        Route("database", ANY, "/_design/{ddoc}/_show/{rest...}", show, slow=True),
        Route("database", "GET POST", "/_design/{ddoc}/_list", nowhere),
        Route("database", "GET POST", "/_design/{ddoc}/_list/{rest...}", list_, slow=True),
        Route("database", ANY, "/_design/{ddoc}/_update", nowhere),
        Route("database", ANY, "/_design/{ddoc}/_update/{rest...}", update, slow=True),
        Route("database", ANY + " COPY", "/_design/{ddoc}/_rewrite", rewrite, slow=True),
        Route("database", ANY + " COPY", "/_design/{ddoc}/_rewrite/{rest...}", rewrite, slow=True),
    ]


def nowhere(request: Request, database: SyncPouchDB) -> Response:
    """A path without a function."""
    error = DesignError(f"{request.path[3][1:]}_error", "Invalid path.", status=404)
    raise error


def request_of(request: Request, database: SyncPouchDB, id: str | None) -> dict[str, Any]:
    """Return the request object that functions get."""
    seen = request.as_dict()
    name = request.path[0]
    told = request.server.answer(request.at("GET", f"/{quote(name, safe='')}", headers={}))
    seen["info"] = from_text(told.body) if isinstance(told.body, bytes) else {}
    seen["id"], seen["userCtx"]["db"] = id, name
    seen["secObj"] = dict(database.get_security())
    if request.raw_query:
        wanted = list(seen["requested_path"])
        seen["requested_path"] = [*wanted[:-1], f"{wanted[-1]}?{unquote(request.raw_query)}"]
    if not seen["secObj"]:
        seen["secObj"] = {"admins": {"roles": ["_admin"]}, "members": {"roles": ["_admin"]}}
    return seen


def _below(request: Request) -> tuple[str, list[str]]:
    """Return the function's name and the rest of the path."""
    name, *rest = request.path[4:]
    return name, list(rest)


def show(request: Request, database: SyncPouchDB) -> Response:
    """A page made from a document."""
    name, rest = _below(request)
    id = "/".join(rest)
    seen = request_of(request, database, id or None)
    negotiation = Negotiation(COUCHDB, seen)
    try:
        answer = showing.run(
            database, request.params["ddoc"], name, id, seen, negotiation, COUCHDB, {"conflicts": True}
        )
    except NotAcceptable as error:
        return _unacceptable(error)
    response = showing.joined(answer, negotiation)
    code, headers, body = wire(response, negotiation.content_type)
    if not has_header(headers, "Vary"):
        headers["Vary"] = "Accept"
    made = _response(code, headers, body)
    if request.method == "GET" and code == 200:
        made.etag = _etag(headers, body)
    return made


def list_(request: Request, database: SyncPouchDB) -> Response:
    """The rows of a view as written by a function, sent while it runs."""
    name, rest = _below(request)
    if not rest:
        raise DesignError("list_error", "Invalid path.", status=404)
    view = (rest[0], "/".join(rest[1:])) if len(rest) > 1 else (request.params["ddoc"], rest[0])
    query = parameters(request, VIEWING)
    seen = request_of(request, database, None)
    negotiation = Negotiation(COUCHDB, seen)
    return _listed(begun(database, request.params["ddoc"], name, view, query, seen, negotiation, COUCHDB), negotiation)


def list_response(request: Request, database: SyncPouchDB, ddoc: str, name: str, source: Source) -> Response:
    """Respond to a request with a list function over rows of any kind: see ``list_over``."""
    seen = request_of(request, database, None)
    negotiation = Negotiation(COUCHDB, seen)
    query: dict[str, Any] = dict(request.query)
    if request.method == "POST" and isinstance(body := request.json(), Mapping):
        query.update(body)
    return _listed(begun_over(database, ddoc, name, lambda: source(query), seen, negotiation, COUCHDB), negotiation)


def _listed(streamed: Streamed, negotiation: Negotiation) -> Response:
    try:
        first = next(streamed, None)
    except NotAcceptable as error:
        return _unacceptable(error)
    except Exception as error:
        raise translated(error, COUCHDB) from error
    answer = streamed.answer
    head = COUCHDB.head(streamed) or {}
    tail = None if answer is None else _tail(answer, negotiation)
    if answer is not None and COUCHDB.head(streamed) is None and isinstance(answer.value, Mapping):
        # It never called start(): its result may be a whole response, which CouchDB would cut off.
        code, headers, body = wire(as_response(answer.value), negotiation.content_type)
        return _response(code, headers, body)
    code, headers, _ = wire({name: value for name, value in head.items() if name in ("code", "headers")}, None)
    if not has_header(head.get("headers") or {}, "Content-Type"):
        headers.pop("Content-Type", None)
        if negotiation.content_type is not None:
            headers["Content-Type"] = negotiation.content_type
        elif first or tail:
            headers["Content-Type"] = "application/json"
    if first is None:
        return _response(code, headers, (tail or "").encode("utf-8", "replace"))
    made = Response(_sent(first, streamed, negotiation), code)
    for header, value in headers.items():
        made.add(header, header_text(value))
    return made


def _sent(first: str, streamed: Streamed, negotiation: Negotiation) -> Iterator[bytes]:
    """Yield what a list sends; an error in the middle is reported at the end, as in CouchDB."""
    try:
        yield first.encode("utf-8", "replace")
        for piece in streamed:
            yield piece.encode("utf-8", "replace")
        answer = streamed.answer
        if answer is not None:
            yield _tail(answer, negotiation).encode("utf-8", "replace")
    except PouchDBError as error:
        yield _late(error)
    except GeneratorExit:
        raise
    except Exception as error:
        yield _late(translated(error, COUCHDB))
    finally:
        streamed.close()


def _late(error: PouchDBError) -> bytes:
    return b"\n" + dump({"code": error.status, "error": error.name, "reason": error.message}) + b"\n"


def _tail(answer: Answer, negotiation: Negotiation) -> str:
    """Return what a list function returned as the end of what it sent."""
    value = answer.value
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        body = value.get("body")
        return json_text(value["json"]) if "json" in value else body if isinstance(body, str) else ""
    return "" if value is None else json_text(value)


def update(request: Request, database: SyncPouchDB) -> Response:
    """A document changed by a function."""
    name, rest = _below(request)
    id = "/".join(rest)
    seen = request_of(request, database, id or None)
    updated = updating.run(database, request.params["ddoc"], name, id, seen, COUCHDB)
    if not isinstance(updated.response, (str, Mapping)):
        raise DesignError("render_error", "undefined response from update function")
    response = as_response(updated.response)
    code, headers, body = wire(response, None)
    if updated.doc is not None:
        written = database.put(updated.doc)
        headers["X-Couch-Id"] = quote(written["id"], safe="")
        headers["X-Couch-Update-NewRev"] = written["rev"]
        code = code if response.get("code") else 201
    return _response(code, headers, body)


def rewrite(request: Request, database: SyncPouchDB) -> Response:
    """A rewritten request: it is answered internally, with the rights of the requesting user."""
    ddoc = request.params["ddoc"]
    parts = list(request.path[4:])
    query: dict[str, Any] = dict(request.query)
    for name in _JSON_KEYS:
        if name in query:
            query[name] = _json_or_text(query[name])
    method, body, more = request.method, request.body, dict[str, str]()
    for _ in range(MOST_REWRITES):
        wanted = Wanted(method, parts, query, lambda: request_of(request, database, None))
        found = rewritten(database, ddoc, wanted, COUCHDB)
        if found.response is not None:
            return _response(*wire(found.response, None))
        method = str(found.changed.get("method") or method).upper()
        if "body" in found.changed:
            text = found.changed["body"]
            body = (text if isinstance(text, str) else json_text(text)).encode("utf-8", "replace")
        more.update({str(name): str(value) for name, value in (found.changed.get("headers") or {}).items()})
        name = request.path[0]
        path = normalized([name, "_design", ddoc, *found.target.path])
        query = found.target.query
        if not path or path[0] != name:
            # Only functions lead there. The rights are the requesting user's, but what is asked is not their wish.
            if method not in ("GET", "HEAD"):
                raise Forbidden("a rewrite that leads out of its database may only read")
            return _inner(request, method, path, query, b"", more)
        if len(path) > 3 and path[1] == "_design" and path[3] == "_rewrite":
            ddoc, parts = path[2], path[4:]
            continue
        _allowed(method, path[1:])
        return _inner(request, method, path, query, body, more)
    raise too_many()


def _allowed(method: str, below: list[str]) -> None:
    if (not below and method in ("PUT", "DELETE")) or (
        method not in ("GET", "HEAD") and below and below[0] in ("_security", "_revs_limit", "_purged_infos_limit")
    ):
        raise Forbidden(NEVER)


def _inner(
    request: Request, method: str, path: list[str], query: Mapping[str, Any], body: bytes, more: Mapping[str, str]
) -> Response:
    texts = {
        name: json_text(value) if name in _JSON_KEYS or not isinstance(value, (str, list)) else value
        for name, value in query.items()
    }
    encoded = "/" + "/".join(quote(part, safe="") for part in path)
    headers = {**request.headers, **{name.lower(): value for name, value in more.items()}}
    return request.server.answer(
        request.at(method, encoded, query=urlencode(texts, doseq=True, quote_via=quote), headers=headers, body=body)
    )


def _json_or_text(text: str) -> Any:
    try:
        return from_text(text)
    except PouchDBError:
        return text


def _response(code: int, headers: Mapping[str, str], body: bytes) -> Response:
    made = Response(body, code)
    for name, value in headers.items():
        made.add(name, header_text(value))
    return made


def _unacceptable(error: NotAcceptable) -> Response:
    """In JSON, whatever the client accepts, since none of the accepted types is available."""
    body = dump({"error": error.name, "reason": error.message}) + b"\n"
    return Response(body, error.status).add("Content-Type", "application/json")


def _etag(headers: Mapping[str, str], body: bytes) -> str:
    known = repr(sorted(headers.items())).encode() + body
    return hashlib.md5(known, usedforsecurity=False).hexdigest()
