"""Routes are data: the handler of each method and path, and the rights it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import unquote_to_bytes

from pouchdb_core.errors import BadRequest, NotFound, PluginError, PouchDBError

if TYPE_CHECKING:
    from pouchdb_server.messages import Request, Response

__all__ = ["Found", "Handler", "Level", "MethodNotAllowed", "Needs", "Route", "Table", "decoded"]

OF_PLUGINS = {
    "_explain": "find",
    "_find": "find",
    "_index": "find",
    "_list": "couchapp",
    "_rewrite": "couchapp",
    "_search": "search",
    "_show": "couchapp",
    "_spatial": "spatial",
    "_update": "couchapp",
}
"""Endpoints of this project's plug-ins, below a database or one of its design documents."""

Level = Literal["server", "database", "document"]
Needs = Literal["nobody", "member", "admin", "settings", "server", "metrics"]
Slow = Callable[["Request", Any], bool]
Handler = Callable[["Request", Any], "Response | dict[str, Any] | list[Any]"]


class MethodNotAllowed(PouchDBError):
    status, name, default_message = 405, "method_not_allowed", "Method not allowed"


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the route table.

    ``path`` is below its level: ``/_all_dbs`` of the server, ``/_bulk_docs`` of a database,
    ``/{attachment...}`` of a document; ``{name}`` matches one part, ``{name...}`` the rest. The
    handler is plain code on a thread, ``handler(request, database) -> Response | dict | list``;
    ``database`` is None on the server level. HEAD is answered by what answers GET.
    """

    level: Level
    methods: str
    """Names of methods, separated by spaces."""
    path: str
    handler: Handler
    needs: Needs | None = None
    """"nobody" needs no user, "member" a user of the database, "admin" an administrator of the
    database, "settings" as well, but who is none gets 403 instead of 401 once logged in, "server" an administrator
    of the server, "metrics" one or the role ``_metrics``. Default: "server" on the server level, else "member"."""
    streams: bool | tuple[str, ...] = False
    """Bodies (True), or bodies of these types, are not read beforehand: the handler reads ``request.file``."""
    slow: bool | Slow = False
    """May take long, so it gets one of the threads for that. A function is called, behind the gate and on a thread:
    ``slow(request, database)`` returns whether this request will take long."""
    reads: bool = False
    """Changes nothing, though its method is not GET."""
    instant: bool = False
    """Answers from memory, without waiting for anything: it may run on the event loop. Of the server level, and
    for what needs ``"nobody"``."""
    hashes: bool = False
    """Checks a password, which is slow on purpose."""
    opens: bool = True
    """The database must exist; else the handler gets None."""

    def __post_init__(self) -> None:
        if self.needs is None:
            object.__setattr__(self, "needs", "server" if self.level == "server" else "member")
        allowed = ("nobody", "server", "metrics") if self.level == "server" else get_args(Needs)
        if self.needs not in allowed:
            known = ", ".join(repr(each) for each in allowed)
            raise PluginError(f"the route {self.path} of a {self.level} needs one of {known}, not {self.needs!r}")

    def streamed(self, content_type: str) -> bool:
        """Return whether a body of a type is left to the handler."""
        return self.streams if isinstance(self.streams, bool) else content_type in self.streams


@dataclass(frozen=True, slots=True)
class Found:
    """The result of looking up a path."""

    routes: Mapping[str, Route]
    """By method."""
    params: Mapping[str, str]
    database: str | None = None
    id: str | None = None
    error: PouchDBError | None = None
    """Why this path has no endpoint: raised once the user is known."""

    def route(self, method: str) -> Route:
        """Return the route of a method. Raises MethodNotAllowed, NotFound, BadRequest."""
        if self.error is not None:
            raise self.error
        found = self.routes.get(method) or (self.routes.get("GET") if method == "HEAD" else None)
        if found is None:
            names = sorted({*self.routes, *(["HEAD"] if "GET" in self.routes else [])})
            allow = ",".join(names)
            raise MethodNotAllowed(f"Only {allow} allowed", headers={"Allow": allow})
        return found


class _Pattern:
    """The routes of one path."""

    def __init__(self, parts: tuple[str, ...]) -> None:
        self.parts = parts
        self.routes: dict[str, Route] = {}
        self.rest = parts[-1][1:-4] if parts and parts[-1].endswith("...}") else None
        self.fixed = parts[:-1] if self.rest is not None else parts

    def match(self, path: tuple[str, ...]) -> dict[str, str] | None:
        count = len(self.fixed)
        if len(path) <= count if self.rest is not None else len(path) != count:
            return None
        params = {}
        for wanted, part in zip(self.fixed, path, strict=False):
            if wanted.startswith("{"):
                params[wanted[1:-1]] = part
            elif wanted != part:
                return None
        if self.rest is not None:
            params[self.rest] = "/".join(path[count:])
        return params


class Table:
    """All routes, ready to be looked up. Raises PluginError for two with one method and path."""

    def __init__(self, routes: Iterable[tuple[str, Route]]) -> None:
        self._levels: dict[str, dict[tuple[str, ...], _Pattern]] = {"server": {}, "database": {}, "document": {}}
        owners: dict[tuple[str, str, str], str] = {}
        for owner, route in routes:
            parts = tuple(route.path.strip("/").split("/")) if route.path.strip("/") else ()
            pattern = self._levels[route.level].setdefault(parts, _Pattern(parts))
            for method in route.methods.split():
                key = (route.level, method, "/".join("{}" if part.startswith("{") else part for part in parts))
                if key in owners:
                    raise PluginError(
                        f"plug-ins {owners[key]!r} and {owner!r} both answer {method} {route.path} of a {route.level}"
                    )
                owners[key] = owner
                pattern.routes[method] = route
        self._words = {part for parts in self._levels["database"] for part in parts}
        # Literal parts precede placeholders: sorted by the position of the first brace.
        for level, patterns in self._levels.items():
            ordered = sorted(patterns.items(), key=lambda item: [part.startswith("{") for part in item[0]])
            self._levels[level] = dict(ordered)
        self._by_first: dict[str, dict[str, list[_Pattern]]] = {}
        for level, patterns in self._levels.items():
            index: dict[str, list[_Pattern]] = {}
            for parts, pattern in patterns.items():
                index.setdefault("" if not parts or parts[0].startswith("{") else parts[0], []).append(pattern)
            self._by_first[level] = index

    def find(self, path: tuple[str, ...]) -> Found:
        """Return the target of a path."""
        found = self._match("server", path)
        if found is not None:
            return Found(found[0], found[1])
        if not path:
            return Found({}, {}, error=NotFound())
        name, below = path[0], path[1:]
        if not below:
            return Found(self._levels["database"][()].routes, {}, name)
        if below[0].startswith("_"):
            found = self._match("database", below)
            if found is not None:
                return Found(found[0], found[1], name)
        id, rest = _document(below)
        if id in ("_local", "_local/"):
            return Found({}, {}, name, error=BadRequest("Invalid _local document id."))
        absent = self._absent(below[0] if not rest else rest[0] if id.startswith("_design/") else "")
        if absent is not None:
            return Found({}, {}, name, error=absent)
        found = self._match("document", rest)
        if found is None:
            return Found({}, {}, name, id, error=NotFound())
        return Found(found[0], found[1], name, id)

    def _absent(self, part: str) -> NotFound | None:
        """Return the error for an endpoint of one of our plug-ins that is not installed."""
        plugin = OF_PLUGINS.get(part)
        if plugin is None or part in self._words:
            return None
        return NotFound(f"{part} comes with the plug-in {plugin!r}, which is not installed")

    def _match(self, level: str, path: tuple[str, ...]) -> tuple[Mapping[str, Route], dict[str, str]] | None:
        index = self._by_first[level]
        if path and level != "document":
            # On these levels the first part is always literal.
            candidates = index.get(path[0], ())
        elif path:
            candidates = [*index.get(path[0], ()), *index.get("", ())]
        else:
            candidates = index.get("", ())
        for pattern in candidates:
            params = pattern.match(path)
            if params is not None:
                return pattern.routes, params
        return None


def _document(path: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Split what is below a database into the id of a document and the rest."""
    if path[0] in ("_design", "_local") and len(path) > 1:
        return f"{path[0]}/{path[1]}", path[2:]
    return path[0], path[1:]


def decoded(raw_path: str) -> tuple[str, ...]:
    """Return the parts of a path, decoded; empty ones are dropped. Raises BadRequest for what is not UTF-8.

    A plus is a space, as in CouchDB (its ``decode_plus_to_space``, which is on by default).
    """
    parts = [part for part in raw_path.split("/") if part]
    if "+" in raw_path:
        parts = [part.replace("+", " ") for part in parts]
    if "%" not in raw_path:
        return tuple(parts)
    try:
        return tuple(unquote_to_bytes(part).decode() for part in parts)
    except UnicodeDecodeError:
        raise BadRequest("the path is not percent-encoded UTF-8") from None
