"""JavaScript functions of design documents, in the worker processes of an engine (see pouchdb_core.javascript)."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pouchdb_core.errors import BadRequest, DatabaseClosed, FunctionError, PouchDBError
from pouchdb_core.javascript import (
    Answer,
    EngineMissing,
    JavaScriptError,
    JavaScriptPool,
    Limits,
    Sandbox,
    SandboxKey,
    Streamed,
    ThrownError,
    WorkerClosed,
    choose_engine,
)
from pouchdb_core.jsontext import dump, parse
from pouchdb_core.safe_repr import safe_repr
from pouchdb_core.state import Slot
from pouchdb_core.views.servers import Emitted, Functions, Outcome, ViewServer

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database, Engine

__all__ = ["JavaScriptFunctions", "JavaScriptServer", "JavaScriptStream", "check_settings", "failure", "pool_of"]

T = TypeVar("T")


def check_settings(engine: Engine) -> None:
    """Raise BadRequest, at set-up, for settings that name no engine or no limit.

    If an engine is known but not installed, the first function that it would run raises the error.
    """
    name, known = engine.settings.get("js_engine"), engine.plugins.javascript_engines()
    if name is not None and not (isinstance(name, str) and name in known):
        raise BadRequest(f"there is no JavaScript engine {safe_repr(name)}; known are: {', '.join(sorted(known))}")
    _limits(engine)


def _limits(engine: Engine) -> Limits:
    given = engine.settings.get("js_limits")
    if given is None or isinstance(given, Limits):
        return given or Limits()
    known = {field.name: field.type for field in fields(Limits)}
    if not isinstance(given, Mapping):
        raise BadRequest(f"js_limits is a mapping of {', '.join(known)}, not {safe_repr(given)}")
    for limit, value in given.items():
        if limit not in known:
            raise BadRequest(f"js_limits: there is no limit {limit!r}; there are: {', '.join(known)}")
        whole = known[limit] == "int"
        if type(value) not in ((int,) if whole else (int, float)) or not value > 0:
            raise BadRequest(f"js_limits: {limit} must be a {'whole ' * whole}number above 0, not {safe_repr(value)}")
    return Limits(**given)


def _pool(engine: Engine) -> JavaScriptPool:
    chosen = choose_engine(engine.plugins.javascript_engines().values(), engine.settings.get("js_engine"))
    return JavaScriptPool(chosen, _limits(engine), dumps=dump, loads=parse)


_POOL: Slot[JavaScriptPool] = Slot("javascript pool", _pool, JavaScriptPool.close)


def pool_of(engine: Engine) -> JavaScriptPool:
    """Return the engine's JavaScript pool; its processes start with the first call. Raises FunctionError."""
    try:
        return engine.slots.get(_POOL, engine)
    except JavaScriptError as error:
        raise failure(error) from error


def failure(error: JavaScriptError) -> PouchDBError:
    """Convert an error of JavaScript to one of ours, named as CouchDB names it.

    ``details`` has the error's parts: ``thrown`` with ``value``, ``name``, ``message``, ``stack`` and ``text``;
    for a function that does not compile also ``source``, and ``line`` and ``column`` if the engine reports them.
    """
    if isinstance(error, WorkerClosed):
        return DatabaseClosed("the environment is closed")
    ours = FunctionError(str(error), name=error.error, **error.details)
    ours.status = 501 if isinstance(error, EngineMissing) else error.status
    return ours


class JavaScriptServer(ViewServer):
    """The language of CouchDB's design documents."""

    language = "javascript"

    def open(self, database: Database, ddoc: Mapping[str, Any]) -> Functions:
        engine = database.environment.engine
        text = dump(ddoc)
        rev = ddoc.get("_rev") or hashlib.md5(text, usedforsecurity=False).hexdigest()
        return JavaScriptFunctions(engine, SandboxKey(database.name, str(ddoc.get("_id")), rev), text)


class JavaScriptFunctions:
    """``Functions`` in a sandbox, which is opened by the first call: an index that is up to date needs none."""

    def __init__(self, engine: Engine, key: SandboxKey, ddoc: bytes) -> None:
        # An object that is kept with a database must not keep its engine alive.
        self._engine = weakref.ref(engine)
        self._key, self._ddoc = key, ddoc
        self._sandbox: Sandbox | None = None

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox in the worker process."""
        if self._sandbox is None:
            engine = self._engine()
            if engine is None:
                raise DatabaseClosed("the environment is closed")
            self._sandbox = pool_of(engine).open(self._key, self._ddoc)
        return self._sandbox

    def compile(self, identifier: str, kind: str, source: Any) -> None:
        if not isinstance(source, str):
            wrong = f"{self._key.design_document}: the source of a function must be a string, not {safe_repr(source)}"
            raise FunctionError(wrong, name="compilation_error")
        _asked(lambda: self.sandbox.compile(identifier, kind, source))

    def map(self, identifiers: Sequence[str], documents: Iterable[bytes]) -> list[list[Emitted]]:
        return _asked(lambda: cast("list[list[Emitted]]", self.sandbox.map(identifiers, documents)))

    def map_ahead(self, identifiers: Sequence[str], documents: Iterable[bytes]) -> Iterator[list[Emitted]]:
        try:
            yield from cast("Iterator[list[Emitted]]", self.sandbox.map_ahead(identifiers, documents))
        except JavaScriptError as error:
            raise failure(error) from error

    def reduce_groups(self, identifiers: Sequence[str], groups: Iterable[Any], rereduce: bool) -> list[list[Outcome]]:
        return _asked(lambda: self.sandbox.reduce_groups(identifiers, groups, rereduce))

    def call_each(
        self, identifier: str, arguments: Iterable[Sequence[Any] | bytes], shared: Sequence[Any] = ()
    ) -> list[Outcome]:
        return _asked(lambda: self.sandbox.call_each(identifier, arguments, shared))

    def call(
        self,
        identifier: str,
        arguments: Sequence[Any],
        rows: Iterable[Any] = (),
        negotiate: Callable[[Answer], str | None] | None = None,
    ) -> Answer:
        return _asked(lambda: self.sandbox.call(identifier, arguments, rows, negotiate))

    def stream(
        self,
        identifier: str,
        arguments: Sequence[Any],
        rows: Iterable[Any] = (),
        negotiate: Callable[[Answer], str | None] | None = None,
    ) -> JavaScriptStream:
        return JavaScriptStream(_asked(lambda: self.sandbox.stream(identifier, arguments, rows, negotiate)))


class JavaScriptStream:
    """``servers.Streamed`` of a sandbox, with our errors."""

    def __init__(self, streamed: Streamed) -> None:
        self._streamed = streamed

    @property
    def started(self) -> dict[str, Any] | None:
        return self._streamed.started

    @property
    def first(self) -> dict[str, Any] | None:
        return self._streamed.first

    @property
    def answer(self) -> Answer | None:
        return self._streamed.answer

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return _asked(lambda: next(self._streamed))

    def close(self) -> None:
        self._streamed.close()


def _asked(call: Callable[[], T]) -> T:
    try:
        return call()
    except ThrownError:
        # Thrown by the called function itself: the thrown value is its answer, and is kept as data.
        raise
    except JavaScriptError as error:
        raise failure(error) from error
