"""The asynchronous environment: a view on the engine of a synchronous one."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Coroutine, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from pouchdb_core.aio.calls import BACKGROUND, AsyncStarter, Calls, taken_callback
from pouchdb_core.aio.database import AsyncPouchDB, sync_of
from pouchdb_core.aio.emitter import DeliveredEmitter
from pouchdb_core.aio.promise import Promise
from pouchdb_core.api import replicating
from pouchdb_core.context import Context
from pouchdb_core.environment import AbstractEnvironment, SyncEnvironment
from pouchdb_core.events import Listener
from pouchdb_core.methods import Asynchronous, Operation, composed, operation
from pouchdb_core.results import Record
from pouchdb_core.state import Slot

if TYPE_CHECKING:
    from typing_extensions import Self

    from pouchdb_core.requests import UserContext

__all__ = ["AsyncContext", "AsyncEnvironment", "async_environment"]

T = TypeVar("T")

# One for all asynchronous views of an engine: calls keep their order across them.
_CALLS: Slot[Calls] = Slot("asynchronous calls", lambda environment: Calls(), lambda calls: calls.close())


def _destroy(env: SyncEnvironment, /, name_: str | None = None, **options: Any) -> Record:
    """Remove a database with everything it has on disk; one that does not exist is no error.

    Waits for the calls that were made on the database before. Gives ``{"ok": True}``. Raises BadRequest.
    """
    env.destroy(name_, **options)
    return Record(ok=True)


def _close(env: SyncEnvironment) -> None:
    """Close every database; a temporary storage directory is removed. Calling it again does nothing."""
    env.close()


class AsyncContext(Context):
    """Helpers of an asynchronous environment."""

    _environment: AsyncEnvironment

    def wait_until_called(self, functions: Listener | Sequence[Listener], timeout: float | None = None) -> bool:
        """Run callbacks until one of ``functions`` was called; at once if it was since it was last waited for.

        For programs without an asyncio loop. Functions are compared by equality, so bound methods
        work. Returns False when ``timeout`` seconds went by first.
        """
        wanted = [functions] if callable(functions) else list(functions)
        calls = self._environment._asynchronous
        return calls.delivery.spin(lambda: calls.log.take(wanted), timeout)

    waitUntilCalled = wait_until_called


class AsyncEnvironment(DeliveredEmitter, Asynchronous, AbstractEnvironment):
    """An environment whose databases answer with promises; also an ``async with`` block that closes.

    ``sync_view`` is the synchronous environment of the same engine: both may be used at once.
    """

    def __init__(self, sync_view: SyncEnvironment, database_class: type[AsyncPouchDB]) -> None:
        self.__dict__.update(sync_view.__dict__)
        # Cached by the synchronous view for itself.
        self.__dict__.pop("context", None)
        calls = sync_view.state(_CALLS)
        self._share_listeners(sync_view, calls)
        self._sync_view = sync_view
        self._asynchronous = calls
        self._async_database_class = database_class
        self._background = copy.copy(sync_view)
        self._background.starter = AsyncStarter(calls, self._wrapped)

    @property
    def sync_view(self) -> SyncEnvironment:
        return self._sync_view

    @cached_property
    def context(self) -> AsyncContext:
        """Helpers of the original: see ``AsyncContext``."""
        return AsyncContext(self)

    destroy = operation(_destroy, name="destroy")
    close = operation(_close, name="close")
    replicate = operation(replicating.replicate)
    sync = operation(replicating.sync)

    def PouchDB(self, name: str | None = None, **options: Any) -> AsyncPouchDB:
        """Open a database, making it if it is missing: see ``SyncEnvironment.PouchDB``. Blocks while it opens."""
        return self._wrapped(self._sync_view.PouchDB(name, **options))

    def __getitem__(self, name: str) -> AsyncPouchDB:
        return self.PouchDB(name)

    def __contains__(self, name: object) -> bool:
        return name in self._sync_view

    def run(self, work: Coroutine[Any, Any, T] | Promise[T], timeout: float | None = None) -> T:
        """Run a coroutine, or callbacks until a promise has its outcome; return it. For programs without a loop.

        Raises the outcome's error, and TimeoutError after ``timeout`` seconds.
        """
        if isinstance(work, Promise):
            work._handled = True
            if not self._asynchronous.delivery.spin(lambda: work.done, timeout):
                raise TimeoutError(f"no outcome after {timeout} seconds")
            return work._outcome()
        return asyncio.run(asyncio.wait_for(work, timeout))

    def as_user(self, user: UserContext | Mapping[str, Any] | None) -> Self:
        return type(self)(self._sync_view.as_user(user), self._async_database_class)

    asUser = as_user

    def defaults(self, **options: Any) -> Self:
        return type(self)(self._sync_view.defaults(**options), self._async_database_class)

    def _wrapped(self, database: Any) -> AsyncPouchDB:
        return self._async_database_class(self, database, self._asynchronous)

    def _invoke(self, operation: Operation[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args = tuple(sync_of(each) for each in args)
        kwargs = {name: sync_of(each) for name, each in kwargs.items()}
        if operation.name in BACKGROUND:
            args, kwargs, callback = taken_callback(operation, args, kwargs)
            if callback is not None:
                kwargs["complete"] = callback
            return operation._call(self._background, *args, **kwargs)
        # What concerns one database waits for the calls on it; the rest has a queue of its own.
        about = args[0] if operation.name == "destroy" and args and isinstance(args[0], str) else kwargs.get("name")
        queue = self._asynchronous.queue(f"{self.prefix}{about}" if isinstance(about, str) else "")
        return self._asynchronous.make(self._sync_view, operation, queue, args, kwargs)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __reduce__(self) -> Any:
        return (async_environment, (self._sync_view,))

    def __repr__(self) -> str:
        return f"<pouchdb.{type(self).__name__} object at 0x{id(self):x}>"


def async_environment(sync_view: SyncEnvironment) -> AsyncEnvironment:
    """Make the asynchronous view of an environment, with the methods its plug-ins add. Raises PluginError."""
    plugins = sync_view.engine.plugins
    database_class = composed(AsyncPouchDB, list(plugins.database_methods()))
    return composed(AsyncEnvironment, list(plugins.environment_methods()))(sync_view, database_class)
