"""Targets of rewrites in a local database: the endpoints of HTTP, as calls (spec: plugins, 4.10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from pouchdb_core.errors import BadRequest, Forbidden, NotFound
from pouchdb_core.jsontext import from_text
from pouchdb_couchapp.errors import MethodNotAllowed
from pouchdb_couchapp.lists import missing_view, view_options
from pouchdb_couchapp.updating import validating

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB

__all__ = ["route"]

_LISTING = (
    "attachments", "conflicts", "descending", "end_key", "endkey", "include_docs", "inclusive_end", "key", "keys",
    "limit", "skip", "start_key", "startkey", "update_seq",
)  # fmt: skip
_CHANGES = (
    "conflicts", "descending", "doc_ids", "filter", "include_docs", "limit", "query_params", "selector", "since",
    "style", "view",
)  # fmt: skip
_READING = ("conflicts", "deleted_conflicts", "latest", "local_seq", "open_revs", "rev", "revs", "revs_info")
NEVER = "a rewrite may not create, destroy or configure a database"


class _Routed:
    """One request object, and the database that its path names."""

    def __init__(self, database: SyncPouchDB, request: Mapping[str, Any], validation: dict[str, Any] | None) -> None:
        self.database, self.request = database, request
        self.validation = validation
        self.method = str(request["method"])
        self.query: Mapping[str, Any] = request["query"]

    def options(self, known: Sequence[str]) -> dict[str, Any]:
        """Return the query's fields that a call knows; numbers and flags may be strings."""
        typed = {**self.query, **view_options(self.query)}
        return {name: typed[name] for name in known if name in typed}

    def body(self) -> Any:
        """Return the body: JSON, or the fields of a form. Raises BadRequest."""
        text = self.request["body"]
        if text in ("undefined", ""):
            raise BadRequest("Request body is empty: it must be JSON")
        try:
            return from_text(text)
        except BadRequest:
            type = str(self.request["headers"].get("Content-Type", ""))
            if type.startswith("application/x-www-form-urlencoded"):
                return dict(parse_qsl(text, keep_blank_values=True))
            raise

    def writing(self, name: str) -> Callable[..., Any]:
        """Return a writing method, or the validating one if requested."""
        if self.validation is None:
            method: Callable[..., Any] = getattr(self.database, name)
            return method
        checked, options = validating(self.database, name), self.validation
        return lambda *arguments, **more: checked(*arguments, **{**options, **more})

    def by_method(self, **calls: Callable[[], Any]) -> Any:
        """Dispatch by the method. Raises MethodNotAllowed."""
        call = calls.get(self.method)
        if call is None:
            raise MethodNotAllowed(f"method '{self.method}' not allowed.")
        return call()


def route(
    database: SyncPouchDB,
    request: Mapping[str, Any],
    validation: dict[str, Any] | None,
    design: Callable[[SyncPouchDB, str, str, list[str]], Any],
    attachment: Any,
) -> Any:
    """Return the result of the call for a request object's path.

    ``design(database, ddoc, member, rest)`` handles ``_show``, ``_list``, ``_update`` and ``_rewrite``; ``attachment``
    is the body as it was given. Raises Forbidden for creating, destroying or configuring a database, NotFound
    for a path above the root and for missing databases.
    """
    path = [part for part in request["path"] if part]
    if not path or path[0] == "..":
        raise NotFound("missing")
    if path[0].startswith("_"):
        return _above(database, path, request)
    name = unquote(path[0])
    if name != database.info()["db_name"]:
        # The caller's view of the environment, with the caller's rights.
        environment: Any = database.environment
        if name not in environment:
            raise NotFound("Database does not exist.")
        database = environment[name]
    return _below(_Routed(database, request, validation), path[1:], design, attachment)


def _above(database: SyncPouchDB, path: list[str], request: Mapping[str, Any]) -> Any:
    environment: Any = database.environment
    if path == ["_all_dbs"]:
        if not hasattr(environment, "all_dbs"):
            return sorted(environment)
        return environment.all_dbs()
    if path == ["_replicate"]:
        body = request["body"]
        given = from_text(body) if body not in ("undefined", "") else dict(request["query"])
        if not isinstance(given, Mapping) or not given.get("source") or not given.get("target"):
            raise BadRequest("_replicate needs source and target")
        options = {name: value for name, value in given.items() if name in ("doc_ids", "filter", "selector")}
        for side in ("source", "target"):
            place = given[side]
            if isinstance(place, str) and "://" not in place and place not in environment:
                raise Forbidden(NEVER)
        return environment.replicate(given["source"], given["target"], **options)
    if path == ["_session"]:
        if not hasattr(database, "get_session"):
            raise NotFound("missing")
        routed = _Routed(database, request, None)
        session: Any = database
        return routed.by_method(
            GET=lambda: session.get_session(),
            POST=lambda: session.login(routed.body().get("name"), routed.body().get("password")),
            DELETE=lambda: session.logout(),
        )
    raise NotFound("missing")


def _below(routed: _Routed, path: list[str], design: Any, attachment: Any) -> Any:
    database = routed.database
    if not path:
        if routed.method in ("DELETE", "PUT"):
            raise Forbidden(NEVER)
        if routed.method == "POST":
            return routed.writing("post")(routed.body())
        return database.info()
    first, rest = path[0], path[1:]
    if not rest and first in _ENDPOINTS:
        return _ENDPOINTS[first](routed)
    if first == "_design" and len(rest) >= 2:
        name, member, *more = rest
        if member in ("_show", "_list", "_update", "_rewrite"):
            return design(database, unquote(name), member, more)
        if member == "_view":
            return _viewed(routed, unquote(name), "/".join(map(unquote, more)))
        if member in ("_search", "_spatial"):
            method = getattr(database, member[1:], None)
            if method is None:
                raise NotFound("missing")
            return method("/".join([unquote(name), *map(unquote, more)]), **dict(routed.query))
    if first in ("_design", "_local") and rest:
        return _document(routed, f"{first}/{unquote(rest[0])}", rest[1:], attachment)
    return _document(routed, unquote(first), rest, attachment)


def _document(routed: _Routed, id: str, rest: list[str], attachment: Any) -> Any:
    database, query = routed.database, routed.query
    if not rest:
        return routed.by_method(
            GET=lambda: database.get(id, **routed.options(_READING)),
            PUT=lambda: routed.writing("put")(_with_id(routed.body(), id)),
            DELETE=lambda: _removed(routed, id),
        )
    if routed.method != "GET" and len(rest) > 1:
        raise NotFound("missing")
    name = "/".join(map(unquote, rest))
    rev = query.get("rev")
    type = str(routed.request["headers"].get("Content-Type", "application/octet-stream"))
    return routed.by_method(
        GET=lambda: database.get_attachment(id, name, **routed.options(("rev",))),
        PUT=lambda: routed.writing("put_attachment")(id, name, attachment, type, rev),
        DELETE=lambda: routed.writing("remove_attachment")(id, name, rev),
    )


def _viewed(routed: _Routed, ddoc: str, view: str) -> Any:
    try:
        return routed.database.query(f"{ddoc}/{view}", **view_options(routed.query))
    except NotFound as error:
        told = missing_view(error, ddoc, view)
        if told is None:
            raise
        raise told from error


def _with_id(doc: Any, id: str) -> Any:
    return {"_id": id, **doc} if isinstance(doc, Mapping) else doc


def _removed(routed: _Routed, id: str) -> Any:
    rev = routed.query.get("rev")
    if rev is None and routed.request["body"] not in ("undefined", ""):
        return routed.writing("remove")(_with_id(routed.body(), id))
    return routed.writing("remove")(id, rev)


def _security(routed: _Routed) -> Any:
    if routed.method != "GET":
        raise Forbidden(NEVER)
    return routed.database.get_security()


def _bulk_docs(routed: _Routed) -> Any:
    body = routed.body()
    edits = body.get("new_edits", True) if isinstance(body, Mapping) else True
    docs = body.get("docs") if isinstance(body, Mapping) else body
    if not isinstance(docs, list):
        raise BadRequest("Missing JSON list of 'docs'")
    return routed.writing("bulk_docs")(docs, new_edits=edits is not False)


_ENDPOINTS: Mapping[str, Callable[[_Routed], Any]] = {
    "_all_docs": lambda routed: routed.database.all_docs(**routed.options(_LISTING)),
    "_bulk_docs": _bulk_docs,
    "_changes": lambda routed: routed.database.changes(**routed.options(_CHANGES)),
    "_compact": lambda routed: routed.database.compact(),
    "_revs_diff": lambda routed: routed.database.revs_diff(routed.body()),
    "_security": _security,
    "_temp_view": lambda routed: routed.database.query(routed.body(), **view_options(routed.query)),
    "_view_cleanup": lambda routed: routed.database.view_cleanup(),
}
