"""One plain function, a method of every class and spelling.

``get = operation(reading.get, reads=True)`` in a class body makes ``get`` a method; a plug-in
returns ``[operation(gql, reads=True)]`` from its hook. The function's first argument is the
database (or environment); its signature and docstring are the method's.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

from pouchdb_core.errors import BadRequest, PluginError

if TYPE_CHECKING:
    from pouchdb_core.aio.promise import Promise

__all__ = ["Asynchronous", "Operation", "camel_case", "composed", "operation"]

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C", bound=type)


def camel_case(name: str) -> str:
    """Return ``all_docs`` as ``allDocs``."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class Asynchronous:
    """Marks classes whose operations answer with promises: they make calls by ``_invoke``."""

    def _invoke(self, operation: Operation[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        raise NotImplementedError


class Operation(Generic[P, T]):
    """A descriptor that calls ``function(subject, ...)``.

    ``reads`` says that the call changes nothing: it may run beside other reads of the database.
    """

    def __init__(self, function: Callable[..., T], *, reads: bool, name: str | None = None) -> None:
        self.function = function
        self.reads = reads
        self.name = name or function.__name__
        self.__doc__ = function.__doc__
        self._call = _checked(function, self.name)

    @overload
    def __get__(self, instance: None, owner: type) -> Operation[P, T]: ...
    @overload
    def __get__(self, instance: Asynchronous, owner: type) -> Callable[P, Promise[T]]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> Callable[P, T]: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            return self
        if isinstance(instance, Asynchronous):
            return _Pending(self, instance)
        return cast("Callable[P, T]", MethodType(self._call, instance))


class _Pending:
    """A bound method that answers with a promise; introspection sees the function."""

    def __init__(self, operation: Operation[..., Any], instance: Asynchronous) -> None:
        self._operation, self._instance = operation, instance
        functools.update_wrapper(self, operation.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._instance._invoke(self._operation, args, kwargs)


def operation(
    function: Callable[Concatenate[Any, P], T], *, reads: bool = False, name: str | None = None
) -> Operation[P, T]:
    """Declare a method; ``name`` if it is not the function's."""
    return Operation(function, reads=reads, name=name)


def _checked(function: Callable[..., T], name: str) -> Callable[..., T]:
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
                known = ", ".join(list(signature.parameters)[1:])
                raise BadRequest(f"{name}(): {wrong}; it takes: {known}") from None
            raise error

    return call


def composed(base: C, methods: list[tuple[str, Operation[..., Any]]]) -> C:
    """Return a subclass of ``base`` with the methods of plug-ins, each in both spellings.

    Raises PluginError when a name is taken, naming both owners.
    """
    owners: dict[str, str] = {}
    members: dict[str, Any] = {
        "__module__": base.__module__,
        "__doc__": base.__doc__,
        "__qualname__": base.__qualname__,
    }
    # What instances are given is declared in the class body; a method of that name would be hidden by it.
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
