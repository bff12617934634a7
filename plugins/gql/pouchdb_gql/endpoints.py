"""``_gql`` for a server (plug-in ``pouchdb-server``); imported only when there is one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pouchdb_server import Request, Response, Route

from pouchdb_core import SyncPouchDB
from pouchdb_core.errors import BadRequest
from pouchdb_core.jsontext import dump
from pouchdb_gql.execution import Answer

__all__ = ["ask", "routes"]

_FLAGS = ("descending", "conflicts", "design_docs", "explain")


def routes() -> Iterable[Route]:
    """Return the endpoints, as the server expects them."""
    return [
        Route("database", "GET", "/_gql", ask, slow=True),
        Route("database", "POST", "/_gql", ask, slow=True),
    ]


def ask(request: Request, database: SyncPouchDB) -> Response | dict[str, Any]:
    """GET /{db}/_gql?query=TEXT, or POST of ``{"query": text or clauses}`` or of the clauses themselves."""
    if request.method == "POST":
        body = request.json()
        if not isinstance(body, dict):
            raise BadRequest('the body is a JSON object: a query\'s clauses, or {"query": ...}')
        given = {name: body.pop(name) for name in _FLAGS if name in body}
        query = body.pop("query") if body.keys() == {"query"} else body
    else:
        given = {name: request.query[name] == "true" for name in _FLAGS if name in request.query}
        query = request.query.get("query", "")
    explain = given.pop("explain", False)
    answer = Answer(database, query, design=given.pop("design_docs", False), **given)
    if explain:
        return answer.explain()
    rows = iter(answer)
    # The first row is made before the response begins, so that an error becomes an error response.
    return Response(_sent(next(rows, None), rows), content_type="application/json")


def _sent(first: Any, rows: Iterator[Any]) -> Iterator[bytes]:
    yield b'{"rows":['
    if first is not None:
        yield dump(first)
        for row in rows:
            yield b",\n" + dump(row)
    yield b"]}\n"
