"""The asynchronous database object: the methods of the synchronous one, as promises."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from pouchdb_core.aio.calls import BACKGROUND, AsyncStarter, Calls, taken_callback
from pouchdb_core.aio.emitter import DeliveredEmitter
from pouchdb_core.database import AbstractPouchDB
from pouchdb_core.methods import Asynchronous, Operation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

    from pouchdb_core.database import SyncPouchDB
    from pouchdb_core.requests import Purpose, UserContext

__all__ = ["AsyncPouchDB"]


class AsyncPouchDB(DeliveredEmitter, Asynchronous, AbstractPouchDB):
    """A database whose methods return promises, and handles where work goes on.

    Every method of ``SyncPouchDB`` is here with the same arguments: ``await db.get(id)``,
    ``db.get(id).then(f)``, ``db.get(id, callback)``. Calls on one database keep their order: a
    read sees the writes that were called before it. ``sync_view`` is the synchronous object.
    """

    def __init__(self, environment: Any, sync_view: SyncPouchDB, calls: Calls) -> None:
        # The same object in another light: life, store, listeners and user are shared.
        self.__dict__.update(sync_view.__dict__)
        self.environment = environment
        self._share_listeners(sync_view, calls)
        self.sync_view = sync_view
        self._asynchronous = calls
        self._background = copy.copy(sync_view)
        self._background.starter = AsyncStarter(calls, lambda _: self)

    def _invoke(self, operation: Operation[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args = tuple(sync_of(each) for each in args)
        kwargs = {name: sync_of(each) for name, each in kwargs.items()}
        if operation.name in BACKGROUND:
            args, kwargs, callback = taken_callback(operation, args, kwargs)
            if callback is not None:
                kwargs["complete"] = callback
            return operation._call(self._background, *args, **kwargs)
        return self._asynchronous.make(self.sync_view, operation, self._asynchronous.queue(self.name), args, kwargs)

    def as_user(self, user: UserContext | Mapping[str, Any] | None) -> Self:
        return type(self)(self.environment, self.sync_view.as_user(user), self._asynchronous)

    asUser = as_user

    def with_purpose(self, purpose: Purpose) -> Self:
        return type(self)(self.environment, self.sync_view.with_purpose(purpose), self._asynchronous)

    def __copy__(self) -> Self:
        return type(self)(self.environment, copy.copy(self.sync_view), self._asynchronous)


def sync_of(value: Any) -> Any:
    """Return the synchronous view of an asynchronous database; anything else as it is."""
    return value.sync_view if isinstance(value, AsyncPouchDB) else value
