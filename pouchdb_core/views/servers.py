"""View servers: they run the functions of design documents, by the document's language."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pouchdb_core.errors import FunctionError
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.state import Slot

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database
    from pouchdb_core.javascript import Answer

__all__ = [
    "Emitted",
    "Functions",
    "MapsAhead",
    "Outcome",
    "Streamed",
    "ViewServer",
    "fingerprint_of",
    "functions_of",
    "is_fixed",
    "language_of",
    "mapped",
    "server_of",
]

CHUNK = 100
"""Documents that functions of this process are called for at a time: a caller may stop in between."""
Emitted = list[list[Any]] | Exception
"""The [key, value] pairs that one function emitted for one document, or the error."""
Outcome = Any
"""What one call returned (JSON), or an Exception: test with isinstance."""


class Functions(Protocol):
    """The functions of one design document, run on request. May be used from any thread.

    An error of one document or one call is an exception in its place; an error that ends all of them
    (a time-out, a missing engine) is raised as a FunctionError.
    """

    def compile(self, identifier: str, kind: str, source: Any) -> None:
        """Compile a function and name it ``identifier``; compiling it again costs nothing.

        ``kind`` is "map", "reduce", "filter", "validate", "update", "show" or "list". Raises
        FunctionError named ``compilation_error``.
        """

    def map(self, identifiers: Sequence[str], documents: Iterable[bytes]) -> list[list[Emitted]]:
        """Run map functions over documents (JSON text): for each document, for each function."""

    def reduce_groups(self, identifiers: Sequence[str], groups: Iterable[Any], rereduce: bool) -> list[list[Outcome]]:
        """Reduce groups, each ``[[[key, id], ...], [value, ...]]`` or ``[null, values]`` as JSON text."""

    def call_each(
        self, identifier: str, arguments: Iterable[Sequence[Any] | bytes], shared: Sequence[Any] = ()
    ) -> list[Outcome]:
        """Call one function for many argument lists, ``shared`` after each: filters, validation.

        An argument list may be given as JSON text.
        """

    def call(
        self,
        identifier: str,
        arguments: Sequence[Any],
        rows: Iterable[Any] = (),
        negotiate: Callable[[Answer], str | None] | None = None,
    ) -> Answer:
        """Call one function once and return all its results: shows, lists, updates, rewrites.

        ``rows`` are those of a list function. If the function called ``provides()``, ``negotiate`` is asked which
        of ``answer.providers`` to run. An error that the function itself throws is raised unchanged: a ThrownError with
        the value as data, or a Python exception.
        """
        ...

    def stream(
        self,
        identifier: str,
        arguments: Sequence[Any],
        rows: Iterable[Any] = (),
        negotiate: Callable[[Answer], str | None] | None = None,
    ) -> Streamed:
        """Call a show or list function as ``call`` does, and return its output while it runs.

        Nothing runs before the first piece is asked for, rows are read as the function asks for them, and it runs
        no further than its caller reads.
        """
        ...


@runtime_checkable
class MapsAhead(Protocol):
    """Functions that run elsewhere. If a view server's are not, ``mapped`` calls ``Functions.map``."""

    def map_ahead(self, identifiers: Sequence[str], documents: Iterable[bytes]) -> Iterator[list[Emitted]]:
        """Yield what ``Functions.map`` returns, while the functions run over the documents that follow."""


def mapped(
    functions: Functions, identifiers: Sequence[str], documents: Sequence[bytes]
) -> Generator[list[Emitted], None, None]:
    """Yield for each document what map functions emit, for each function; they run on while the caller handles it.

    Read it to its end, or close it: a process may be waiting with an answer. Raises as ``Functions.map`` does.
    """
    if isinstance(functions, MapsAhead):
        yield from functions.map_ahead(identifiers, documents)
        return
    # The caller may have had enough before the last one.
    for start in range(0, len(documents), CHUNK):
        yield from functions.map(identifiers, documents[start : start + CHUNK])


class Streamed(Protocol):
    """The output of a show or list function, piece by piece; iterate once, or ``close()`` it.

    An error of the function is raised by the iteration: before the first piece if nothing was sent.
    """

    @property
    def started(self) -> dict[str, Any] | None:
        """The response's head from the last ``start()`` before the first piece; known with the first piece."""

    @property
    def first(self) -> dict[str, Any] | None:
        """The response's head from the first ``start()``; ``send()`` and ``getRow()`` count as ``start({})``."""

    @property
    def answer(self) -> Answer | None:
        """The result of the function, after the last piece; its ``sent`` is empty."""

    def __iter__(self) -> Iterator[str]: ...

    def __next__(self) -> str: ...

    def close(self) -> None:
        """End the function, wherever it is in its run."""


class ViewServer(ABC):
    """Runs the functions of design documents of one language. Returned by ``pouchdb_view_servers``."""

    language: str
    """The value of the design document's field ``language``."""

    @abstractmethod
    def open(self, database: Database, ddoc: Mapping[str, Any]) -> Functions:
        """Return the functions of a design document revision. Starts nothing; must not keep ``database``."""

    def fingerprint(self, database: Database, source: Any) -> Any:
        """Return a value (JSON) that changes when a function does: its source, unless that is only its name."""
        return source


def fingerprint_of(database: Database, ddoc: Mapping[str, Any], source: Any) -> list[Any]:
    """Return what the definition of an index has besides the source of its function: nothing if that is all of it.

    For the name of a Python function it is what changes with the function.
    """
    server = database.plugins.view_servers().get(language_of(ddoc))
    found = source if server is None else server.fingerprint(database, source)
    return [] if found == source else [found]


def is_fixed(database: Database, ddoc: Mapping[str, Any]) -> bool:
    """Return whether the functions of a design document are in it, so that they change only when it does."""
    server = database.plugins.view_servers().get(language_of(ddoc))
    return server is None or type(server).fingerprint is ViewServer.fingerprint


def language_of(ddoc: Mapping[str, Any]) -> str:
    """Return the language of a design document: JavaScript unless it says otherwise."""
    language = ddoc.get("language", "javascript")
    return language if isinstance(language, str) else safe_repr(language)


def server_of(database: Database, ddoc: Mapping[str, Any]) -> ViewServer:
    """Return the view server of a design document. Raises FunctionError if there is none for its language."""
    servers = database.plugins.view_servers()
    language = language_of(ddoc)
    if language not in servers:
        raise FunctionError(
            f"{ddoc.get('_id')}: no plug-in runs functions in {safe_repr(language)}; "
            f"there are: {', '.join(sorted(servers))}",
            name="unknown_query_language",
        )
    server: ViewServer = servers[language]
    return server


KEPT = 64
_FUNCTIONS: Slot[dict[str, tuple[Any, Functions]]] = Slot("functions of design documents", lambda database: {})


def functions_of(database: Database, ddoc: Mapping[str, Any]) -> Functions:
    """Return the functions of a stored design document; the same object as long as its revision is the same."""
    known = database.store_state(_FUNCTIONS)
    id, rev = ddoc["_id"], ddoc["_rev"]
    found = known.get(id)
    if found is None or found[0] != rev:
        if len(known) >= KEPT:
            known.clear()
        found = known[id] = (rev, server_of(database, ddoc).open(database, ddoc))
    return found[1]
