"""The checks of a design document that CouchDB makes when one is saved.

The fields' types are those of CouchDB's ``couch_mrview:validate``; functions of views must compile in the engine that
will run them, and built-in reduce functions must exist. Functions of Python, and of languages without a view server,
are not checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, FunctionError
from pouchdb_core.views.mapreduce import LIBRARY
from pouchdb_core.views.servers import Functions, language_of, server_of

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["CompilationError", "InvalidDesign", "check_design"]

OBJECT, STRING, ARRAY, BOOLEAN = "object", "string", "array", "boolean"
PYTHON = "python"
ANY = object()
"""Stands for every field of an object."""
MEMBERS: tuple[tuple[tuple[Any, str | tuple[str, ...]], ...], ...] = (
    (("filters", OBJECT), (ANY, (OBJECT, STRING))),
    (("language", STRING),),
    (("lists", OBJECT), (ANY, (OBJECT, STRING))),
    (("options", OBJECT), ("include_design", BOOLEAN)),
    (("options", OBJECT), ("local_seq", BOOLEAN)),
    (("options", OBJECT), ("partitioned", BOOLEAN)),
    (("rewrites", (STRING, ARRAY)),),
    (("shows", OBJECT), (ANY, (OBJECT, STRING))),
    (("updates", OBJECT), (ANY, (OBJECT, STRING))),
    (("validate_doc_update", STRING),),
    (("views", OBJECT), ("lib", OBJECT)),
    (("views", OBJECT), (ANY, OBJECT), ("reduce", STRING)),
)
"""Paths to fields, each step with the types its value may have; a missing field is fine."""
MAP = (("views", OBJECT), (ANY, OBJECT))
PREFIXES = ("_sum", "_count", "_stats", "_approx_count_distinct", "_first", "_last", "_top_", "_bottom_")
"""Built-in reduce functions: CouchDB compares the beginning of a name only."""


class InvalidDesign(BadRequest):
    name = "invalid_design_doc"


class CompilationError(BadRequest):
    name = "compilation_error"


def check_design(database: Database, ddoc: Mapping[str, Any]) -> None:
    """Check a design document; raise BadRequest (InvalidDesign or CompilationError) if CouchDB would not save it.

    Compiling starts the engine of its language, unless it has no views. A reason why the engine cannot run is not
    an error of the document, and is ignored.
    """
    # As functions see it; with its revision a sandbox would be kept that others share.
    ddoc = {name: value for name, value in ddoc.items() if name not in ("_rev", "_attachments")}
    language = ddoc.get("language")
    path = (*MAP, ("map", OBJECT if language == "query" else STRING))
    for each in (*MEMBERS[:-1], path, MEMBERS[-1]):
        _check(ddoc, each, ())
    views = {name: view for name, view in (ddoc.get("views") or {}).items() if isinstance(view, Mapping)}
    for name, view in views.items():
        if name != LIBRARY and "map" not in view:
            raise InvalidDesign(f"View `{name}` must contain map function")
    if language == "query":
        return
    functions: Functions | None = None
    for name, view in views.items():
        if "map" not in view:
            continue
        functions = functions or _functions(database, ddoc)
        if functions is None:
            return
        _compile(functions, "map", name, view["map"])
        reduce = view.get("reduce")
        if isinstance(reduce, str) and reduce.startswith("_"):
            if not reduce.startswith(PREFIXES) and reduce not in database.plugins.reduce_functions():
                raise InvalidDesign(f"`{reduce}` is not a supported reduce function.")
        elif reduce is not None:
            _compile(functions, "reduce", name, reduce)


def _functions(database: Database, ddoc: Mapping[str, Any]) -> Functions | None:
    # Python functions are registered under names, perhaps after the document is there: CouchDB without that language
    # saves it as well.
    if language_of(ddoc) == PYTHON or language_of(ddoc) not in database.plugins.view_servers():
        return None
    return server_of(database, ddoc).open(database, ddoc)


def _compile(functions: Functions, kind: str, view: str, source: Any) -> None:
    try:
        functions.compile(f"{kind} {view}", kind, source)
    except FunctionError as error:
        if error.name != "compilation_error":
            return
        raise CompilationError(
            f"Compilation of the {kind} function in the '{view}' view failed: {error.message}"
        ) from error


def _check(value: Any, path: Sequence[tuple[Any, str | tuple[str, ...]]], before: tuple[str, ...]) -> None:
    if not path:
        return
    (wanted, types), rest = path[0], path[1:]
    for name in list(value) if wanted is ANY else [wanted]:
        if name not in value:
            continue
        member = value[name]
        if not _has_type(member, types):
            kinds = types if isinstance(types, str) else " or ".join(types)
            raise InvalidDesign(f"`{'.'.join((*before, name))}` field must have {kinds} type")
        if isinstance(member, Mapping):
            _check(member, rest, (*before, name))


def _has_type(value: Any, types: str | tuple[str, ...]) -> bool:
    kinds = {str: STRING, bool: BOOLEAN, list: ARRAY, tuple: ARRAY}
    found = OBJECT if isinstance(value, Mapping) else kinds.get(type(value), "")
    return found in ((types,) if isinstance(types, str) else types)
