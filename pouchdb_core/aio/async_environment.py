"""The asynchronous environment: a view on the engine of a synchronous one."""

from __future__ import annotations

import asyncio
import copy
import inspect
import threading
import weakref
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from pouchdb_core.aio.async_database import AsyncPouchDB, full_name, peers, sync_of
from pouchdb_core.aio.async_handles import AsyncHandle
from pouchdb_core.aio.async_starter import start
from pouchdb_core.aio.calls import CALLS
from pouchdb_core.aio.emitter import DeliveredEmitter
from pouchdb_core.aio.original.delivery import running_loop
from pouchdb_core.aio.original.promise import Thenable
from pouchdb_core.api import replicating
from pouchdb_core.context import Context, functions_of
from pouchdb_core.environment import AbstractEnvironment, SyncEnvironment
from pouchdb_core.events import Listener
from pouchdb_core.methods import (
    REPLICATION,
    SYNC,
    Asynchronous,
    Operation,
    Registering,
    Starting,
    composed,
    making,
    operation,
    starting,
)
from pouchdb_core.results import Record

if TYPE_CHECKING:
    from typing_extensions import Self

    from pouchdb_core.requests import UserContext

__all__ = ["AsyncContext", "AsyncEnvironment", "make_async_environment"]

T = TypeVar("T")

_making = threading.RLock()


def _destroy(env: SyncEnvironment, /, name_: str | None = None, **options: Any) -> Record:
    """Remove a database with everything it has on disk; a database that does not exist is not an error.

    ``destroy(name="...")`` works too. Waits for the calls made on the database before.
    Returns ``{"ok": True}``. Raises BadRequest without a name or for an unknown option.
    """
    env.destroy(name_, **options)
    return Record(ok=True)


class AsyncContext(Context):
    """Helpers of an asynchronous environment."""

    _environment: AsyncEnvironment

    def wait_until_called(self, functions: Listener | Sequence[Listener], timeout: float | None = None) -> bool:
        """Run callbacks until one of ``functions`` is called; return at once if one was called since the last wait.

        For programs without an asyncio loop. Functions are compared by equality, so bound methods
        work. Returns False if ``timeout`` seconds pass first. Raises BadRequest when there is
        nothing to wait for, RuntimeError in a thread whose event loop is running: it would be blocked.
        """
        wanted = functions_of(functions)
        calls = self._environment._asynchronous
        return calls.delivery.spin(lambda: calls.log.take(wanted), timeout)

    waitUntilCalled = wait_until_called


class AsyncEnvironment(DeliveredEmitter, Asynchronous, AbstractEnvironment):
    """An environment whose databases return promises; also an ``async with`` block that closes when its
    last user leaves.

    ``sync_view`` is the synchronous environment of the same engine: both may be used at once.
    """

    def __init__(self, sync_view: SyncEnvironment, database_class: type[AsyncPouchDB]) -> None:
        self.__dict__.update(sync_view.__dict__)
        calls = sync_view.state(CALLS)
        self._share_listeners(sync_view, calls)
        self._sync_view = sync_view
        self._asynchronous = calls
        self._async_database_class = database_class

    @property
    def sync_view(self) -> SyncEnvironment:
        return self._sync_view

    @property
    def async_view(self) -> AsyncEnvironment:
        return self

    @property
    def context(self) -> AsyncContext:
        """Helpers of the original: see ``AsyncContext``."""
        return AsyncContext(self)

    destroy = operation(_destroy, name="destroy")
    close = operation(SyncEnvironment.close)
    _close = operation(SyncEnvironment._close, name="close")
    # Declared again, because pyright would use the base class's declaration.
    names: Operation[[], list[str]] = operation(AbstractEnvironment.names, reads=True)  # type: ignore[assignment]
    active_tasks: Operation[[], list[Record]] = operation(  # type: ignore[assignment]
        AbstractEnvironment.active_tasks, reads=True
    )
    activeTasks: Operation[[], list[Record]] = active_tasks  # type: ignore[assignment]
    replicate = starting(replicating.replicate, REPLICATION)
    sync = starting(replicating.sync, SYNC)

    @making("_async_database_class")
    def PouchDB(self, name: str | None = None, **options: Any) -> AsyncPouchDB:
        """Open a database, creating it if it is missing: see ``SyncEnvironment.PouchDB``. Blocks while it opens."""
        return self._async_database_class(self, self._sync_view.PouchDB(name, **options), self._asynchronous)

    def __getitem__(self, name: str) -> AsyncPouchDB:
        return self.PouchDB(name)

    def __contains__(self, name: object) -> bool:
        return name in self._sync_view

    def __iter__(self) -> NoReturn:
        # Without it Python would ask for the items 0, 1, 2...
        raise TypeError("an asynchronous environment cannot be iterated: await env.names(), or list(env.sync_view)")

    def run(self, work: Awaitable[T] | None = None, timeout: float | None = None) -> T:
        """Run a coroutine, or run callbacks until a promise or handle has its outcome; return the outcome.

        For programs without an event loop. Without ``work``: until no call is under way and no callback
        waits; live feeds and replications do not count. Raises the outcome's error, TimeoutError
        after ``timeout`` seconds, RuntimeError in a thread whose event loop is running or, without ``work``,
        in a function called by a call.
        """
        calls = self._asynchronous
        if work is None:
            if calls.order.within():
                raise RuntimeError("this is part of a call, and run() would wait for that: give it a promise")
            if not calls.delivery.spin(lambda: not (calls.order.outstanding or calls.delivery.waiting), timeout):
                raise TimeoutError(f"calls are still under way after {timeout} seconds")
            return cast("T", None)
        given: Any = work
        if isinstance(given, AsyncHandle):
            return cast("T", given.wait(timeout))
        if isinstance(given, Thenable):
            promise = given._as_promise()
            promise._handled = True
            if not calls.delivery.spin(lambda: promise.done, timeout):
                raise TimeoutError(f"no outcome after {timeout} seconds")
            return cast("T", promise._outcome())
        if running_loop() is not None:
            if inspect.iscoroutine(work):
                work.close()
            raise RuntimeError("an event loop is running in this thread: await the coroutine there")
        return asyncio.run(_within(work, timeout))

    def as_user(self, user: UserContext | Mapping[str, Any] | None) -> Self:
        return type(self)(self._sync_view.as_user(user), self._async_database_class)

    asUser = as_user

    def defaults(self, **options: Any) -> Self:
        return type(self)(self._sync_view.defaults(**options), self._async_database_class)

    def _invoke(self, operation: Operation[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        calls, view = self._asynchronous, self._sync_view
        if isinstance(operation, Registering):
            if operation.asynchronous is not None:
                return operation.asynchronous(self, *args, **operation.renamed(kwargs))
            return operation.__get__(view, type(view))(*args, **kwargs)
        kwargs = operation.renamed(kwargs)
        if isinstance(operation, Starting):
            names = set(peers(view, args, kwargs))
            return start(calls, copy.copy(view), operation, names, *sync_of(args, kwargs), self)
        # Changing one database waits for the calls on it, closing for all calls; other calls have a separate queue.
        named: set[str] | None = {""}
        if operation.name == "close":
            named = None
        elif operation.name == "destroy":
            given = (*args, kwargs.get("name_"), kwargs.get("name"))
            prefix = kwargs.get("prefix")
            named = {"", *(full_name(view, each, prefix) for each in given if isinstance(each, str))}
        return calls.make(view, operation, named, *sync_of(args, kwargs))

    async def __aenter__(self) -> Self:
        self.engine.enter()
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self.engine.leave():
            await self._close()

    def __copy__(self) -> Self:
        return type(self)(copy.copy(self._sync_view), self._async_database_class)

    def __reduce__(self) -> Any:
        return (make_async_environment, (self._sync_view,))


async def _within(work: Awaitable[T], timeout: float | None) -> T:
    try:
        return await asyncio.wait_for(work, timeout)
    except asyncio.TimeoutError as error:
        # Before Python 3.11 this is a different class. A TimeoutError raised by the work itself is not changed.
        raise TimeoutError(*error.args) from error


def make_async_environment(sync_view: SyncEnvironment) -> AsyncEnvironment:
    """Return the asynchronous view of an environment, with the methods its plug-ins add. Raises PluginError.

    For the environment itself it is the same object as long as it is in use; its views
    (``as_user``, ``defaults``) each get a new one.
    """
    plugins = sync_view.engine.plugins
    with _making:
        calls = sync_view.state(CALLS)
        found: AsyncEnvironment | None = None if calls.view is None else calls.view()
        if found is not None and found.sync_view is sync_view:
            return found
        database_class = composed(AsyncPouchDB, list(plugins.database_methods()))
        made = composed(AsyncEnvironment, list(plugins.environment_methods()))(sync_view, database_class)
        if sync_view._origin is None:
            calls.view = weakref.ref(made)
        return made
