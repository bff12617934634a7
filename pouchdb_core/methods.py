"""One plain function, a method of every class and spelling.

``get = operation(reading.get, reads=True)`` in a class body makes ``get`` a method; a plug-in
returns ``[operation(gql, reads=True)]`` from its hook. The function's first argument is the
database (or environment); its signature and docstring are the method's.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, cast, overload

from pouchdb_core.errors import BadRequest, PluginError

if TYPE_CHECKING:
    from pouchdb_core.aio.async_feed import AsyncFeed
    from pouchdb_core.aio.async_handles import AsyncReplication, AsyncSync
    from pouchdb_core.aio.original.promise import Promise
    from pouchdb_core.aio.rows import AsyncRows

__all__ = [
    "FEED",
    "REPLICATION",
    "SYNC",
    "Asynchronous",
    "Calls",
    "Iterating",
    "Kind",
    "Operation",
    "Overloaded",
    "Registering",
    "Starting",
    "camel_case",
    "composed",
    "iterating",
    "making",
    "no_attribute",
    "operation",
    "registering",
    "starting",
]

P = ParamSpec("P")
T = TypeVar("T")
H = TypeVar("H")
K = TypeVar("K")
C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])


def no_attribute(owner: Any, kind: Literal["database", "environment"], name: str) -> AttributeError:
    """Return the error for a name that an object does not have; it names the plug-in that adds it, if that is known."""
    members = vars(owner)
    engine = members.get("engine", members.get("_engine"))
    told = None if name.startswith("_") or engine is None or engine.brought is None else engine.brought(kind, name)
    text = f"{type(owner).__name__!r} object has no attribute {name!r}"
    return AttributeError(f"{text}; {told}" if told else text, name=name, obj=owner)


def camel_case(name: str) -> str:
    """Return ``all_docs`` as ``allDocs``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class Asynchronous:
    """Marks classes whose operations return promises: they make calls by ``_invoke``."""

    def _invoke(self, operation: Operation[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError


class Kind(Generic[H]):
    """The handle that asynchronous calls of a method return; for type checkers."""


class Calls(Generic[K]):
    """How synchronous calls of a method are typed: ``K`` is a protocol whose overloads say what it returns."""


FEED: Kind[AsyncFeed] = Kind()
REPLICATION: Kind[AsyncReplication] = Kind()
SYNC: Kind[AsyncSync] = Kind()


class Operation(Generic[P, T]):
    """A descriptor that calls ``function(subject, ...)``.

    ``reads`` says that the call changes nothing: it may run beside other reads of the database.
    ``long`` says that such a call may take long, as building an index does: called
    asynchronously it sees the writes before it, but those after it need not wait. ``functions``
    names the optional positional parameters that take functions: an argument there is not a callback.
    ``names`` are other names of parameters, such as those in the original's documents.
    """

    def __init__(
        self,
        function: Callable[..., T],
        *,
        reads: bool,
        long: bool = False,
        name: str | None = None,
        functions: Iterable[str] = (),
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.function = function
        self.reads, self.long = reads, long
        self.name = name or function.__name__
        self.functions = frozenset(functions)
        self.__doc__ = function.__doc__
        self._names = dict(names or {})
        self._call = _checked(function, self.name, self.renamed)
        self._promising = _promising(self)

    @cached_property
    def positional(self) -> tuple[inspect.Parameter, ...]:
        """The parameters that may be given by position, without the subject."""
        parameters = list(inspect.signature(self.function).parameters.values())[1:]
        return tuple(each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD))

    def renamed(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return keyword arguments by the parameters' own names; one that is given twice keeps its other name."""
        own = {name: self._names.get(name, name) for name in kwargs}
        return {name if own[name] in kwargs else own[name]: value for name, value in kwargs.items()}

    @overload
    def __get__(self, instance: None, owner: type) -> Operation[P, T]: ...
    @overload
    def __get__(self, instance: Asynchronous, owner: type) -> Callable[P, Promise[T]]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Callable[P, T]: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            return self
        return MethodType(self._promising if isinstance(instance, Asynchronous) else self._call, instance)


class Starting(Operation[P, T], Generic[P, T, H]):
    """An operation that may continue in the background: asynchronous calls return a handle at once."""

    if TYPE_CHECKING:

        @overload  # type: ignore[override]  # a handle is also a promise
        def __get__(self, instance: None, owner: type) -> Starting[P, T, H]: ...
        @overload
        def __get__(self, instance: Asynchronous, owner: type) -> Callable[P, H]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Callable[P, T]: ...
        def __get__(self, instance: object | None, owner: type) -> Any: ...


class Overloaded(Starting[P, T, H], Generic[P, T, H, K]):
    """Such an operation whose synchronous calls are typed by overloads."""

    if TYPE_CHECKING:

        @overload  # type: ignore[override]  # K says what a call returns
        def __get__(self, instance: None, owner: type) -> Overloaded[P, T, H, K]: ...
        @overload
        def __get__(self, instance: Asynchronous, owner: type) -> Callable[P, H]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> K: ...
        def __get__(self, instance: object | None, owner: type) -> Any: ...


class Iterating(Operation[P, Iterator[T]], Generic[P, T]):
    """An operation that yields; asynchronous calls promise rows for ``async for``."""

    if TYPE_CHECKING:

        @overload  # type: ignore[override]  # its rows are iterated by the loop
        def __get__(self, instance: None, owner: type) -> Iterating[P, T]: ...
        @overload
        def __get__(self, instance: Asynchronous, owner: type) -> Callable[P, Promise[AsyncRows[T]]]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Callable[P, Iterator[T]]: ...
        def __get__(self, instance: object | None, owner: type) -> Any: ...


class Registering(Operation[P, T]):
    """An operation that touches no storage: it returns at once, on asynchronous databases too."""

    if TYPE_CHECKING:

        @overload  # type: ignore[override]  # nothing is promised
        def __get__(self, instance: None, owner: type) -> Registering[P, T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Callable[P, T]: ...
        def __get__(self, instance: object | None, owner: type) -> Any: ...

    asynchronous: Callable[..., Any] | None = None
    """The function called instead, with the asynchronous database or environment, if the caller has one."""


def registering(
    function: Callable[Concatenate[Any, P], T],
    *,
    name: str | None = None,
    asynchronous: Callable[..., Any] | None = None,
) -> Registering[P, T]:
    """Declare a method that takes a function of the program and returns it: ``@db.validator``.

    It is called at once, with the synchronous database or environment, whichever kind the caller has, so that it
    works as a decorator everywhere. It must touch no storage. One that returns an object for each kind of caller has
    another function for asynchronous ones: ``asynchronous`` gets their database or environment.
    """
    made: Registering[P, T] = Registering(function, reads=True, name=name)
    made.asynchronous = asynchronous
    return made


def operation(
    function: Callable[Concatenate[Any, P], T],
    *,
    reads: bool = False,
    long: bool = False,
    name: str | None = None,
    functions: Iterable[str] = (),
    names: Mapping[str, str] | None = None,
) -> Operation[P, T]:
    """Declare a method; ``name`` if it is not the function's. See ``Operation`` for the rest."""
    return Operation(function, reads=reads, long=long, name=name, functions=functions, names=names)


@overload
def starting(
    function: Callable[Concatenate[Any, P], T],
    kind: Kind[H],
    calls: None = None,
    *,
    reads: bool = ...,
    name: str | None = ...,
    names: Mapping[str, str] | None = ...,
) -> Starting[P, T, H]: ...
@overload
def starting(
    function: Callable[Concatenate[Any, P], T],
    kind: Kind[H],
    calls: Calls[K],
    *,
    reads: bool = ...,
    name: str | None = ...,
    names: Mapping[str, str] | None = ...,
) -> Overloaded[P, T, H, K]: ...
def starting(
    function: Callable[Concatenate[Any, P], T],
    kind: Kind[H],
    calls: Calls[K] | None = None,
    *,
    reads: bool = False,
    name: str | None = None,
    names: Mapping[str, str] | None = None,
) -> Starting[P, T, H]:
    """Declare a method that passes its request to ``subject.starter``, which may return a handle.

    ``kind`` and ``calls`` are for type checkers: what asynchronous and synchronous calls return.
    """
    return Starting(function, reads=reads, name=name, names=names)


def iterating(
    function: Callable[Concatenate[Any, P], Iterator[T]], *, reads: bool = False, name: str | None = None
) -> Iterating[P, T]:
    """Declare a method that yields rows: ``async for row in await db.method()`` in asynchronous programs."""
    return Iterating(function, reads=reads, name=name)


class _Maker:
    """A bound method that makes databases and also acts as their class: ``isinstance(db, env.PouchDB)``."""

    def __init__(self, method: Callable[..., Any], owner: Any, database_class: type) -> None:
        self._method, self._owner, self._class = method, owner, database_class
        self.__doc__ = method.__doc__
        self.__wrapped__ = MethodType(method, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._method(self._owner, *args, **kwargs)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._class)

    def __repr__(self) -> str:
        return f"<PouchDB of {self._owner!r}>"


class _Making:
    def __init__(self, method: Callable[..., Any], database_class: str) -> None:
        self._method, self._class = method, database_class
        self.__doc__ = method.__doc__

    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            return self._method
        return _Maker(self._method, instance, getattr(instance, self._class))


def making(database_class: str) -> Callable[[F], F]:
    """Make a method that opens databases usable as their class, as ``env.PouchDB`` is in the original.

    ``database_class`` names the environment's attribute that holds the class.
    """

    def decorate(method: F) -> F:
        return cast("F", _Making(method, database_class))

    return decorate


def _promising(operation: Operation[..., Any]) -> Callable[..., Any]:
    """Return the function behind asynchronous methods; introspection sees the operation's own."""

    @functools.wraps(operation.function)
    def call(instance: Asynchronous, /, *args: Any, **kwargs: Any) -> Any:
        return instance._invoke(operation, args, kwargs)

    return call


def _checked(
    function: Callable[..., T], name: str, renamed: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> Callable[..., T]:
    """Turn a wrong call into BadRequest; costs nothing until one fails."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> T:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            signature = inspect.signature(function)
            try:
                signature.bind(*args, **kwargs)
            except TypeError as wrong:
                others = renamed(kwargs)
                if others != kwargs:
                    return call(*args, **others)
                known = ", ".join(list(signature.parameters)[1:])
                # PouchDB's way: an object of options behind the arguments.
                cure = f"; write options as {name}(**options)" if len(args) > 1 and isinstance(args[-1], dict) else ""
                raise BadRequest(f"{name}(): {wrong}; it takes: {known}{cure}") from None
            raise error

    return call


def composed(base: C, methods: list[tuple[str, Operation[..., Any]]]) -> C:
    """Return a subclass of ``base`` with the methods of plug-ins, each in both spellings.

    Raises PluginError if a name is taken, naming both owners.
    """
    owners: dict[str, str] = {}
    members: dict[str, Any] = {
        "__module__": base.__module__,
        "__doc__": base.__doc__,
        "__qualname__": base.__qualname__,
    }
    # Instance attributes are declared in the class body; they would hide a method of the same name.
    declared = {name for each in base.__mro__ for name in inspect.get_annotations(each)}
    for owner, method in methods:
        if not isinstance(method, Operation):
            raise PluginError(f"plug-in {owner!r} adds {method!r} to {base.__name__}: wrap it, operation(function)")
        if not method.name.isidentifier() or method.name.startswith("_"):
            raise PluginError(f"plug-in {owner!r} adds a method {method.name!r} to {base.__name__}: not a public name")
        for name in dict.fromkeys((method.name, camel_case(method.name))):
            if name in owners:
                raise PluginError(
                    f"plug-ins {owners[name]!r} and {owner!r} both add a method {name!r} to {base.__name__}"
                )
            if hasattr(base, name) or name in declared:
                raise PluginError(f"plug-in {owner!r} adds a method {name!r} that {base.__name__} of the core has")
            owners[name], members[name] = owner, method
    return cast("C", type(base.__name__, (base,), members)) if methods else base
