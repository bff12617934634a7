"""The asynchronous database object: the methods of the synchronous one, as promises."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from pouchdb_core.aio.async_starter import start
from pouchdb_core.aio.calls import Calls
from pouchdb_core.aio.emitter import DeliveredEmitter
from pouchdb_core.database import AbstractPouchDB
from pouchdb_core.database_object import Handle
from pouchdb_core.errors import PouchDBError
from pouchdb_core.methods import Asynchronous, Operation, Registering, Starting, operation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from typing_extensions import Self

    from pouchdb_core.adapters.base import Response
    from pouchdb_core.database import SyncPouchDB
    from pouchdb_core.environment import SyncEnvironment
    from pouchdb_core.requests import Purpose, UserContext
    from pouchdb_core.results import Record

__all__ = ["AsyncPouchDB", "full_name", "peers", "sync_of"]


class AsyncPouchDB(DeliveredEmitter, Asynchronous, AbstractPouchDB):
    """A database whose methods return promises, or handles for work that goes on in the background.

    Every method of ``SyncPouchDB`` is here with the same arguments: ``await db.get(id)``,
    ``db.get(id).then(f)``, ``db.get(id, callback)``. Calls on one database keep their order: a
    read sees the writes that were called before it. ``sync_view`` is the synchronous object.
    """

    # Declared, so that a plug-in's method of such a name is refused.
    sync_view: SyncPouchDB

    fetch: Operation[..., Response] = operation(Handle.fetch)  # type: ignore[assignment]  # it waits for a server

    def __init__(self, environment: Any, sync_view: SyncPouchDB, calls: Calls) -> None:
        # Another view of the same object: life cycle, store, listeners and user are shared.
        self.__dict__.update(sync_view.__dict__)
        self.environment = environment
        self._share_listeners(sync_view, calls)
        self.sync_view = sync_view
        self._asynchronous = calls

    def _invoke(self, operation: Operation[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        calls, view = self._asynchronous, self.sync_view
        if isinstance(operation, Registering):
            if operation.asynchronous is not None:
                return operation.asynchronous(self, *args, **operation.renamed(kwargs))
            return operation.__get__(view, type(view))(*args, **kwargs)
        kwargs = operation.renamed(kwargs)
        if isinstance(operation, Starting):
            names = {self.name, *peers(view.environment.sync_view, args, kwargs)}
            subject = copy.copy(view)
            subject.environment = copy.copy(view.environment)
            return start(calls, subject, operation, names, *sync_of(args, kwargs), self)
        # Destroying changes what the environment lists, too.
        names = {self.name, ""} if operation.name == "destroy" else {self.name}
        return calls.make(view, operation, names, *sync_of(args, kwargs))

    def as_user(self, user: UserContext | Mapping[str, Any] | None) -> Self:
        return type(self)(self.environment.as_user(user), self.sync_view.as_user(user), self._asynchronous)

    asUser = as_user

    def with_purpose(self, purpose: Purpose) -> Self:
        return type(self)(self.environment, self.sync_view.with_purpose(purpose), self._asynchronous)

    def with_context(self, context: Mapping[str, Any]) -> Self:
        return type(self)(self.environment, self.sync_view.with_context(context), self._asynchronous)

    def design_documents(self) -> Sequence[Record]:
        return self.sync_view.design_documents()

    def __copy__(self) -> Self:
        return type(self)(self.environment, copy.copy(self.sync_view), self._asynchronous)

    def _own(self) -> Any:
        # State of plug-ins belongs to the synchronous object, even when it is first asked for here.
        return self.sync_view._own()


def sync_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with the synchronous views of asynchronous databases."""

    def plain(value: Any) -> Any:
        return value.sync_view if isinstance(value, AsyncPouchDB) else value

    return tuple(plain(each) for each in args), {name: plain(each) for name, each in kwargs.items()}


def peers(view: SyncEnvironment, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterable[str]:
    """Yield the names of the databases that a call is about."""
    for each in (*args, *(kwargs.get(name) for name in ("source", "target", "other"))):
        if isinstance(each, AbstractPouchDB):
            yield each.name
        elif isinstance(each, str):
            yield full_name(view, each)


def full_name(view: SyncEnvironment, name: str, prefix: str | None = None) -> str:
    """Return the ``name`` the database object will have: with the prefix, or a URL without credentials."""
    name = f"{view.prefix if prefix is None else prefix}{name}"
    if "://" not in name:
        return name
    try:
        return view.engine.adapter_class(name, None, lambda: None).resolve(name, {})[0]
    except PouchDBError:
        # The call itself reports what is wrong with the name, whenever its turn comes.
        return name
