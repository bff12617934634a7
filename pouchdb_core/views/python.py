"""Python functions: given to a query, or registered by name for design documents in ``"python"``.

A design document in Python holds names, never code: this program defines what a name means, so that
nothing that arrives by replication is ever run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from inspect import getattr_static
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from pouchdb_core.errors import BadRequest, FunctionError
from pouchdb_core.javascript import Answer
from pouchdb_core.jsontext import jsonable, load, load_record
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.signatures import misfit, positionals, takes_second
from pouchdb_core.state import Slot
from pouchdb_core.views.servers import Emitted, Functions, Outcome, ViewServer

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database, Environment

__all__ = ["PythonFunctions", "PythonServer", "PythonStream", "register_function"]

F = TypeVar("F", bound=Callable[..., Any])


class _Registration(NamedTuple):
    function: Callable[..., Any]
    version: str


_REGISTERED: Slot[dict[str, _Registration]] = Slot("python functions", lambda environment: {})


@overload
def register_function(environment: Environment, name: str, *, version: object = ...) -> Callable[[F], F]: ...
@overload
def register_function(environment: Environment, name: str, function: F, *, version: object = ...) -> F: ...
def register_function(environment: Environment, name: str, function: Any = None, *, version: Any = None) -> Any:
    """Register a Python function under the name by which design documents in the language "python" call it.

    Also a decorator: ``@env.register_function("by_age")``. An index is built again when its function
    changes: when ``version`` does or, without one, the function's code and the values it was made with
    (defaults, closure; not the functions it calls, nor globals). A name may be registered again for another
    function at any time. Raises BadRequest.
    """
    if not name or type(name) is not str:
        raise BadRequest(f"the name of a function must be text, not {safe_repr(name)}")
    if function is None:
        return lambda function: register_function(environment, name, function, version=version)
    if not callable(function):
        raise BadRequest(f"function {name!r} must be a function, not {type(function).__name__}")
    known = _digest(function) if version is None else repr(version)
    environment.state(_REGISTERED)[name] = _Registration(function, known)
    return function


def _digest(function: Callable[..., Any]) -> str:
    """Return a digest of a function's code, independent of its place in the file.

    It includes the values the function was made with: its defaults, its closure, the arguments bound by a
    partial. It is the same in every process.
    """
    digest = hashlib.md5(usedforsecurity=False)
    for part in _parts(function, set()):
        digest.update(part.encode("utf-8", "backslashreplace"))
        digest.update(b"\0")
    return digest.hexdigest()


def _parts(value: Any, seen: set[int]) -> Iterator[str]:
    """Yield text that is equal for equal functions and constants, without addresses and arbitrary orders."""
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        # Python converts no more than some thousand decimal digits.
        yield hex(value) if isinstance(value, int) and value.bit_length() > 10_000 else repr(value)
        return
    yield type(value).__qualname__
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, CodeType):
        yield value.co_code.hex()
        yield repr(value.co_names)
        yield from _parts(value.co_consts, seen)
    elif isinstance(value, FunctionType):
        yield from _parts(value.__code__, seen)
        yield from _parts(value.__defaults__, seen)
        yield from _parts(value.__kwdefaults__, seen)
        for cell in value.__closure__ or ():
            yield from _held(cell, seen)
    elif isinstance(value, MethodType):
        yield from _parts(value.__func__, seen)
    elif isinstance(value, partial):
        for member in (value.func, value.args, value.keywords):
            yield from _parts(member, seen)
    elif isinstance(value, (tuple, list)):
        for member in value:
            yield from _parts(member, seen)
    elif isinstance(value, (set, frozenset)):
        # Their order differs in each process.
        yield from sorted("\0".join(_parts(member, set(seen))) for member in value)
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from _parts(name, seen)
            yield from _parts(member, seen)
    elif not isinstance(value, type) and isinstance(call := getattr_static(value, "__call__", None), FunctionType):
        yield from _parts(call, seen)
    else:
        # A class, or a function written in C.
        yield str(getattr(value, "__qualname__", ""))


def _held(cell: Any, seen: set[int]) -> Iterator[str]:
    try:
        value = cell.cell_contents
    except ValueError:
        # Not assigned yet.
        return
    yield from _parts(value, seen)


class PythonServer(ViewServer):
    """Runs functions registered by the program."""

    language = "python"

    def open(self, database: Database, ddoc: Mapping[str, Any]) -> Functions:
        known = database.environment.state(_REGISTERED)
        return PythonFunctions(known, str(ddoc.get("_id")))

    def fingerprint(self, database: Database, source: Any) -> Any:
        known = database.environment.state(_REGISTERED)
        return [source, known[source].version if isinstance(source, str) and source in known else None]


_TYPES: dict[type, str] = {
    type(None): "null",
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    list: "array",
    tuple: "array",
    dict: "object",
    Record: "object",
}
"""JavaScript's names of the types of a result."""

_TAKES = {
    "map": ("(doc) or (doc, emit)", 1, 2),
    "reduce": ("(keys, values) or (keys, values, rereduce)", 2, 3),
    "filter": ("(doc) or (doc, req)", 1, 2),
}


class PythonFunctions:
    """``Functions`` in this process: they are the program's own, so nothing limits what they do.

    A list function takes ``(head, req, rows)``, the rows being an iterator; list and show functions return
    text or a response, or yield pieces of text, which are sent as they come. A mapping yielded first is the
    head of the response (``{"code": 201, "headers": {...}}``).
    """

    def __init__(self, registered: Mapping[str, _Registration], where: str) -> None:
        self._registered, self._where = registered, where
        self._compiled: dict[str, Callable[..., Any]] = {}
        self._kinds: dict[str, str] = {}

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
            needed = "a function must be callable, or the name of a registered one"
            raise FunctionError(f"{self._where}: {needed}, not {safe_repr(source)}", name="compilation_error")
        if self._compiled.get(identifier) is source:
            return
        # Reported once, not for each document.
        takes, least, most = _TAKES.get(kind, ("any", 0, 6))
        wrong = misfit(source, least, most)
        if wrong:
            name = getattr(source, "__qualname__", type(source).__qualname__)
            raise FunctionError(
                f"{self._where}: {name} cannot be a {kind} function: {wrong}, not {takes}", name="compilation_error"
            )
        self._compiled[identifier], self._kinds[identifier] = source, kind

    def map(self, identifiers: Sequence[str], documents: Iterable[bytes]) -> list[list[Emitted]]:
        functions = [self._compiled[identifier] for identifier in identifiers]
        emitting = [takes_second(function, "emit") for function in functions]
        return [
            # Parsed again for each function, so that none sees another's changes to the document.
            [_mapped(function, emits, load_record(text)) for function, emits in zip(functions, emitting, strict=True)]
            for text in documents
        ]

    def reduce_groups(self, identifiers: Sequence[str], groups: Iterable[Any], rereduce: bool) -> list[list[Outcome]]:
        functions = [self._compiled[identifier] for identifier in identifiers]
        return [[_called(function, (*load(group), rereduce)) for function in functions] for group in groups]

    def call_each(
        self, identifier: str, arguments: Iterable[Sequence[Any] | bytes], shared: Sequence[Any] = ()
    ) -> list[Outcome]:
        function = self._compiled[identifier]
        if self._kinds[identifier] == "filter":
            count = 2 if takes_second(function, "req") else 1
            return [_passes(function, (*_listed(each), *shared)[:count]) for each in arguments]
        return [_called(function, (*_listed(each), *shared)) for each in arguments]

    def call(
        self,
        identifier: str,
        arguments: Sequence[Any],
        rows: Iterable[Any] = (),
        negotiate: Callable[[Answer], str | None] | None = None,
    ) -> Answer:
        streamed = self.stream(identifier, arguments, rows, negotiate)
        sent = "".join(streamed)
        assert streamed.answer is not None
        return replace(streamed.answer, sent=sent)

    def stream(
        self,
        identifier: str,
        arguments: Sequence[Any],
        rows: Iterable[Any] = (),
        negotiate: Callable[[Answer], str | None] | None = None,
    ) -> PythonStream:
        function = self._compiled[identifier]
        given = (*arguments, iter(rows)) if self._kinds[identifier] == "list" else tuple(arguments)
        return PythonStream(lambda: function(*given[: positionals(function)]))


class PythonStream:
    """``servers.Streamed`` of a function: the pieces that a generator yields.

    The first thing it yields may be a mapping, the head of the response: ``start()`` in JavaScript.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        self.started: dict[str, Any] | None = None
        self.answer: Answer | None = None
        self._pieces = self._run(call)

    @property
    def first(self) -> dict[str, Any] | None:
        return self.started

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def __next__(self) -> str:
        return next(self._pieces)

    def close(self) -> None:
        self._pieces.close()

    def _run(self, call: Callable[[], Any]) -> Generator[str, None, None]:
        value = call()
        if isinstance(value, Generator):
            pieces, value = value, None
            try:
                while True:
                    try:
                        piece = next(pieces)
                    except StopIteration as end:
                        value = end.value
                        break
                    if isinstance(piece, Mapping) and self.started is None:
                        self.started = jsonable(dict(piece), "the head of the response")
                        continue
                    if not isinstance(piece, str):
                        raise TypeError(f"a function of a design document yields text, not {safe_repr(piece)}")
                    self.started = self.started or {}
                    yield piece
            finally:
                pieces.close()
        value = jsonable(value, "the result")
        self.answer = Answer(value, _TYPES.get(type(value), "object"), self.started, "", [], [], self.started)


def _mapped(function: Callable[..., Any], emits: bool, doc: Any) -> Emitted:
    pairs: list[list[Any]] = []

    def emit(key: Any = None, value: Any = None) -> None:
        pairs.append([jsonable(key, "key", _geometry), jsonable(value, "value", _geometry)])

    try:
        result = function(doc, emit) if emits else function(doc)
        # The return value of a function that takes emit is ignored, but a generator has not even started.
        for pair in () if result is None or (emits and not isinstance(result, Generator)) else result:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TypeError(f"a map function yields (key, value) pairs, not {safe_repr(pair)}")
            emit(*pair)
    except Exception as error:
        return error
    return pairs


def _geometry(value: Any) -> Any:
    """Return GeoJSON for a geometry object of Python, as shapely's: what spatial indexes are made of."""
    return getattr(value, "__geo_interface__", NotImplemented)


def _listed(arguments: Sequence[Any] | bytes) -> Sequence[Any]:
    listed: Sequence[Any] = load(arguments) if isinstance(arguments, bytes) else arguments
    return listed


def _called(function: Callable[..., Any], arguments: Sequence[Any]) -> Outcome:
    try:
        result = function(*arguments[: positionals(function)])
        return jsonable(result, "the result")
    except Exception as error:
        return error


def _passes(function: Callable[..., Any], arguments: Sequence[Any]) -> Outcome:
    try:
        return bool(function(*arguments))
    except Exception as error:
        return error
