"""The views of a design document as an index: every emitted pair is a row, sorted by key."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import FunctionError, NotFound, NotSupported, PouchDBError
from pouchdb_core.javascript import JavaScriptError
from pouchdb_core.jsontext import dump
from pouchdb_core.views.collation import CODEPOINT, Encode, default_of, encode_of, version_of
from pouchdb_core.views.index import Batch, IndexKind, IndexPlace, InsideIndex
from pouchdb_core.views.index_store import ViewRow
from pouchdb_core.views.javascript_maps import failure
from pouchdb_core.views.servers import Functions, functions_of, language_of, mapped, server_of

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["ViewIndex", "ViewKind", "function_error", "maps_of", "view_definition"]

MOST_ROWS = 20_000
MOST_SECONDS = 2.0
"""The maximum for one transaction; each commit shows that the builder is alive."""
LIBRARY = "lib"
_EXACT = 2**53


def maps_of(ddoc: Mapping[str, Any]) -> dict[str, Any]:
    """Return the map functions of a design document by view, in the order of their numbers."""
    views = ddoc.get("views")
    if not isinstance(views, Mapping):
        return {}
    named = {name: view for name, view in sorted(views.items()) if isinstance(view, Mapping) and "map" in view}
    # The field named like the library is the library unless it has the form of a view.
    return {name: view["map"] for name, view in named.items() if name != LIBRARY or _is_view(view)}


def _is_view(library: Mapping[str, Any]) -> bool:
    return isinstance(library["map"], str) and library.keys() <= {"map", "reduce", "options"}


def view_definition(ddoc: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return one view of a design document. Raises NotFound."""
    if name not in maps_of(ddoc):
        there = ", ".join(maps_of(ddoc)) or "none"
        raise NotFound(f"missing_named_view: {ddoc['_id']} has no view {name!r}; there are: {there}")
    definition: Mapping[str, Any] = ddoc["views"][name]
    return definition


class ViewKind(IndexKind):
    """Map/reduce views. Reduce functions are not part of an index: they work on its rows."""

    name = "views"
    version = 2

    def definition(self, database: Database, ddoc: Mapping[str, Any]) -> Any:
        maps = maps_of(ddoc)
        if not maps:
            return None
        server, default = server_of(database, ddoc), default_of(database)
        options = ddoc.get("options")
        return [
            language_of(ddoc),
            options if isinstance(options, Mapping) else None,
            ddoc["views"].get(LIBRARY),
            [
                [name, server.fingerprint(database, source), *version_of(default, ddoc, name)]
                for name, source in maps.items()
            ],
        ]

    def open(self, database: Database, place: IndexPlace) -> ViewIndex:
        return ViewIndex(place, functions_of(database, place.ddoc), default_of(database))


class ViewIndex(InsideIndex):
    """The views of one design document; ``state`` is ``{"totals": [rows of each view], "failed": {view: error}}``."""

    def __init__(self, place: IndexPlace, functions: Functions, collation: str = CODEPOINT) -> None:
        super().__init__(place)
        options = place.ddoc.get("options")
        options = options if isinstance(options, Mapping) else {}
        self.include_design = options.get("include_design") is True
        self.local_seq = options.get("local_seq") is True
        self.maps = maps_of(place.ddoc)
        self.functions = functions
        self._collation = collation
        self._encode: dict[str, Encode] = {}
        self._checked: set[str] = set()

    def create(self) -> None:
        self.place.rows.create()

    def prepare(self, batch: Batch) -> tuple[list[ViewRow], int]:
        state = self._state()
        changes = batch.changes
        rows: list[ViewRow] = []
        if all(change.deleted for change in changes):
            return rows, len(changes)
        working = self._compiled(state["failed"])
        names = [f"map {name}" for _, name in working]
        until = time.monotonic() + MOST_SECONDS
        living = [change for change in changes if not change.deleted] if names else []
        done, half = len(changes), until - MOST_SECONDS / 2
        with closing(mapped(self.functions, names, [change.text for change in living])) as emitted:
            for change, by_function in zip(living, emitted, strict=True):
                for (view, name), pairs in zip(working, by_function, strict=True):
                    self._add(rows, batch, view, name, change.id, pairs)
                if (len(rows) >= MOST_ROWS or time.monotonic() > until) and change is not living[-1]:
                    # Functions have run beyond this in vain: the next time there are as many as were enough.
                    done = self.batch_documents = changes.index(change) + 1
                    break
        if done == len(changes) and len(rows) < MOST_ROWS // 2 and time.monotonic() < half:
            self.batch_documents = min(2 * self.batch_documents, ViewIndex.batch_documents)
        self.state = state
        return rows, done

    def apply(self, batch: Batch, work: list[ViewRow]) -> None:
        self.state = state = self._state()
        totals, rows = state["totals"], self.place.rows
        replaced = batch.replaced
        if replaced:
            for view, count in rows.remove(replaced).items():
                totals[view] -= count
        rows.add(work)
        for row in work:
            totals[row[0]] += 1

    def number(self, name: str) -> int:
        """Return the number of a view."""
        return list(self.maps).index(name)

    def check(self, name: str) -> None:
        """Raise FunctionError if a view's function does not compile, NotSupported for its order of keys."""
        self._encode[name] = encode_of(self._collation, self.place.ddoc, name)
        self.functions.compile(f"map {name}", "map", self.maps[name])

    def check_once(self, name: str) -> None:
        """Check a view unless it was found to be right before."""
        if name not in self._checked:
            self.check(name)
            self._checked.add(name)

    def _state(self) -> dict[str, Any]:
        return self.state or {"totals": [0] * len(self.maps), "failed": {}}

    def _compiled(self, failed: dict[str, str]) -> list[tuple[int, str]]:
        """Compile the functions; an error in one affects only that view."""
        working = []
        for view, name in enumerate(self.maps):
            if name in failed:
                continue
            try:
                self.check(name)
                working.append((view, name))
            except NotSupported as error:
                failed[name] = error.message
            except FunctionError as error:
                if error.name != "compilation_error":
                    raise
                failed[name] = error.message
        return working

    def _add(self, rows: list[ViewRow], batch: Batch, view: int, name: str, id: str, pairs: Any) -> None:
        if isinstance(pairs, Exception):
            batch.report(id, function_error(pairs, f"view {name!r}", id))
            return
        start, encode = len(rows), self._encode[name]
        try:
            for n, (key, value) in enumerate(pairs):
                kind = type(value)
                # The number that SQL adds up: not integers that a double cannot hold exactly.
                number = value if kind is float or (kind is int and -_EXACT <= value <= _EXACT) else None
                text = None if value is None else dump(value)
                # A plain tuple: making a ViewRow takes as long as everything else here.
                rows.append((view, encode(key), id, n, dump(key), text, number))  # type: ignore[arg-type]
            if len(rows) - start > 1 and len({row[1] for row in rows[start:]}) < len(rows) - start:
                _order_by_value(rows, start, pairs)
        except (ValueError, RecursionError) as error:
            del rows[start:]
            batch.report(id, function_error(error, f"view {name!r}", id))


def _order_by_value(rows: list[ViewRow], start: int, pairs: Any) -> None:
    """Number a document's rows of one key by value, in CouchDB's order: the order of Erlang's terms."""
    order = sorted(range(len(pairs)), key=lambda n: (rows[start + n][1], _term(pairs[n][1])))
    for n, place in enumerate(order):
        view, key, id, _, *rest = rows[start + place]
        rows[start + place] = (view, key, id, n, *rest)  # type: ignore[call-overload]  # a plain tuple


def _term(value: Any) -> tuple[int, Any]:
    """Return the sort key of a JSON value as a term: numbers, atoms, tuples, lists, binaries."""
    if value is None or value is True or value is False:
        return 1, {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return 4, value.encode("utf-8", "surrogatepass")
    if isinstance(value, Mapping):
        return 2, [(name.encode("utf-8", "surrogatepass"), _term(member)) for name, member in value.items()]
    if isinstance(value, (list, tuple)):
        return 3, [_term(member) for member in value]
    return 0, value


def function_error(error: Exception, where: str, id: str | None = None) -> PouchDBError:
    """Convert an exception of a function to one of ours, with the names of the function and the document.

    An error of ours keeps its name.
    ``details["thrown"]`` is what it threw: see ``failure``; for a Python exception, name and message.
    """
    ours = error if isinstance(error, PouchDBError) else None
    if isinstance(error, JavaScriptError):
        ours = failure(error)
    name = ours.name if ours is not None else type(error).__name__
    text = ours.message if ours is not None else f"{type(error).__name__}: {error}"
    at = "" if id is None else f", document {id!r}"
    details = ours.details if ours is not None else {"thrown": {"name": name, "message": str(error)}}
    made = FunctionError(f"{where}{at}: {text}", name=name, **details, **({} if id is None else {"id": id}))
    made.__cause__ = error
    return made
