"""Python functions: given to a query, or registered by name for design documents in ``"python"``.

A design document in Python holds names, never code: what a name means is up to this program, so that
nothing that arrives by replication is ever run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from pouchdb_core.documents.parse import check_json, load, load_record
from pouchdb_core.errors import BadRequest, FunctionError
from pouchdb_core.state import Slot
from pouchdb_core.views.servers import Emitted, Functions, Outcome, ViewServer, positionals

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB
    from pouchdb_core.environment import AbstractEnvironment

__all__ = ["PythonFunctions", "PythonServer", "register_function"]

F = TypeVar("F", bound=Callable[..., Any])


class _Registration(NamedTuple):
    function: Callable[..., Any]
    version: str


_REGISTERED: Slot[dict[str, _Registration]] = Slot("python functions", lambda environment: {})


@overload
def register_function(environment: AbstractEnvironment, name: str, *, version: object = ...) -> Callable[[F], F]: ...
@overload
def register_function(environment: AbstractEnvironment, name: str, function: F, *, version: object = ...) -> F: ...
def register_function(environment: AbstractEnvironment, name: str, function: Any = None, *, version: Any = None) -> Any:
    """Give a Python function the name by which design documents in the language "python" call it.

    Also a decorator: ``@env.register_function("by_age")``. An index is built again when its function
    changes: when ``version`` does or, without one, the function's code (not what it calls). A name may
    be given to another function at any time. Raises BadRequest.
    """
    if not name or type(name) is not str:
        raise BadRequest(f"the name of a function must be text, not {name!r}")
    if function is None:
        return lambda function: register_function(environment, name, function, version=version)
    if not callable(function):
        raise BadRequest(f"function {name!r} must be a function, not {type(function).__name__}")
    known = _digest(function) if version is None else repr(version)
    environment.state(_REGISTERED)[name] = _Registration(function, known)
    return function


def _digest(function: Callable[..., Any]) -> str:
    """Return a digest of a function's code, without its place in the file."""
    own: Any = function
    code: Any = getattr(own, "__code__", getattr(type(own).__call__, "__code__", None))
    if not isinstance(code, CodeType):
        return repr(getattr(function, "__qualname__", type(function).__qualname__))
    digest = hashlib.md5(usedforsecurity=False)

    def add(code: CodeType) -> None:
        digest.update(code.co_code)
        digest.update(repr(code.co_names).encode("utf-8", "backslashreplace"))
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                add(constant)
            else:
                digest.update(repr(constant).encode("utf-8", "backslashreplace"))

    add(code)
    return digest.hexdigest()


class PythonServer(ViewServer):
    """Runs functions that the program registered."""

    language = "python"

    def open(self, database: SyncPouchDB, ddoc: Mapping[str, Any]) -> Functions:
        known = database.environment.state(_REGISTERED)
        return PythonFunctions(known, str(ddoc.get("_id")))

    def fingerprint(self, database: SyncPouchDB, source: Any) -> Any:
        known = database.environment.state(_REGISTERED)
        return [source, known[source].version if isinstance(source, str) and source in known else None]


class PythonFunctions:
    """``Functions`` in this process: the program's own, so there is no limit on what they do."""

    def __init__(self, registered: Mapping[str, _Registration], where: str) -> None:
        self._registered, self._where = registered, where
        self._compiled: dict[str, Callable[..., Any]] = {}

    def compile(self, identifier: str, kind: str, source: Any) -> None:
        if isinstance(source, str):
            known = self._registered.get(source)
            if known is None:
                raise FunctionError(
                    f"{self._where} names a Python function {source!r} that is not registered: "
                    f"environment.register_function({source!r}, function)",
                    name="compilation_error",
                )
            source = known.function
        if not callable(source):
            raise FunctionError(f"{self._where}: {source!r} is no function", name="compilation_error")
        self._compiled[identifier] = source

    def map(self, identifiers: Sequence[str], documents: Iterable[bytes]) -> list[list[Emitted]]:
        functions = [self._compiled[identifier] for identifier in identifiers]
        emitting = [positionals(function) >= 2 for function in functions]
        return [
            # Parsed again for each function: none sees what another did to the document.
            [
                _mapped(function, emits, load_record(text))
                for function, emits in zip(functions, emitting, strict=True)
            ]
            for text in documents
        ]

    def reduce_groups(self, identifiers: Sequence[str], groups: Iterable[Any], rereduce: bool) -> list[list[Outcome]]:
        functions = [self._compiled[identifier] for identifier in identifiers]
        return [
            [_called(function, (*load(group), rereduce)) for function in functions]
            for group in groups
        ]

    def call_each(
        self, identifier: str, arguments: Iterable[Sequence[Any]], shared: Sequence[Any] = ()
    ) -> list[Outcome]:
        function = self._compiled[identifier]
        return [_called(function, (*each, *shared)) for each in arguments]


def _mapped(function: Callable[..., Any], emits: bool, doc: Any) -> Emitted:
    pairs: list[list[Any]] = []

    def emit(key: Any = None, value: Any = None) -> None:
        check_json(key, "key")
        check_json(value, "value")
        pairs.append([key, value])

    try:
        result = function(doc, emit) if emits else function(doc)
        for pair in () if emits or result is None else result:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(f"a map function yields (key, value) pairs, not {pair!r}")
            emit(*pair)
    except Exception as error:
        return error
    return pairs


def _called(function: Callable[..., Any], arguments: Sequence[Any]) -> Outcome:
    try:
        result = function(*arguments[: positionals(function)])
        check_json(result, "the result")
        return result
    except Exception as error:
        return error
