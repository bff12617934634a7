"""Finding the functions of a design document, ready to be called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pouchdb_core.errors import BadRequest, PouchDBError
from pouchdb_core.javascript import Answer
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.views.servers import Functions, Streamed, functions_of
from pouchdb_couchapp.manners import Manners, translated

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB

__all__ = ["Call", "Negotiation", "compiled", "design_document", "found", "split"]


def split(path: str, what: str) -> tuple[str, str, str]:
    """Return design document, function and the rest of a path. Raises BadRequest."""
    if not isinstance(path, str):
        raise BadRequest(f"{what}() takes a path such as 'design/{what}', not {safe_repr(path)}")
    ddoc, slash, rest = path.removeprefix("_design/").partition("/")
    name, _, rest = rest.partition("/")
    # The original's error for a path that ends before the function.
    return ddoc, name if slash else "undefined", rest


def design_document(database: SyncPouchDB, name: str) -> Mapping[str, Any]:
    """Return a design document. Raises NotFound."""
    found: Mapping[str, Any] = database.get(f"_design/{name}")
    return found


class Negotiation:
    """The response of a function itself, and the type of its provider's response."""

    def __init__(self, manners: Manners, request: Mapping[str, Any]) -> None:
        self._manners, self._request = manners, request
        self.content_type: str | None = None
        self.own: Answer | None = None
        """The function's own response, where one of its providers ran after it."""

    def __call__(self, answer: Answer) -> str:
        self.own = answer
        key, self.content_type = self._manners.negotiated(answer, self._request)
        return key


class Call(NamedTuple):
    """A function that was found and compiles."""

    functions: Functions
    identifier: str
    manners: Manners

    def call(self, arguments: Sequence[Any], negotiation: Negotiation | None = None) -> Answer:
        """Call it. Raises the error that it returns or throws."""
        try:
            return self.functions.call(self.identifier, arguments, negotiate=negotiation)
        except Exception as error:
            raise translated(error, self.manners) from error

    def stream(self, arguments: Sequence[Any], rows: Iterable[Any], negotiation: Negotiation) -> Streamed:
        """Call a list function; the stream raises errors untranslated: see ``translated``."""
        return self.functions.stream(self.identifier, arguments, rows, negotiation)


def found(database: SyncPouchDB, ddoc: Mapping[str, Any], section: str, kind: str, name: str, manners: Manners) -> Call:
    """Return a function of a design document. Raises NotFound, and FunctionError ``compilation_error``."""
    functions = ddoc.get(section)
    if not isinstance(functions, Mapping) or name not in functions:
        raise manners.missing(kind, section, name, str(ddoc["_id"]), isinstance(functions, Mapping))
    return compiled(database, ddoc, kind, name, functions[name], manners)


def compiled(
    database: SyncPouchDB, ddoc: Mapping[str, Any], kind: str, name: str, source: Any, manners: Manners
) -> Call:
    """Return a function given by its source. Raises FunctionError ``compilation_error``."""
    try:
        running = functions_of(database, ddoc)
        identifier = f"{kind} {name}"
        running.compile(identifier, kind, source)
    except PouchDBError as error:
        raise translated(error, manners) from error
    return Call(running, identifier, manners)
