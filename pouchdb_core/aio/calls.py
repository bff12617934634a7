"""Making calls asynchronous: promises and callbacks around the synchronous functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pouchdb_core.aio.delivery import Delivery
from pouchdb_core.aio.handles import AsyncFeed, AsyncReplication, AsyncSync
from pouchdb_core.aio.promise import Promise
from pouchdb_core.aio.queue import CallQueue
from pouchdb_core.events import CallLog
from pouchdb_core.live.starter import OnChange, OnComplete, Starter, called_back, keep
from pouchdb_core.methods import Operation
from pouchdb_core.requests import Changes

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB
    from pouchdb_core.environment import SyncEnvironment
    from pouchdb_core.replication.replicate import Replicator

__all__ = ["BACKGROUND", "AsyncStarter", "Calls"]

THREADS = 8
"""Threads that run blocking calls of one engine."""

BACKGROUND = frozenset({"changes", "live_changes", "replicate", "replicate_from", "replicate_to", "sync"})
"""Methods that answer with a handle at once instead of a promise."""

Callback = Callable[..., Any]


class Calls:
    """What all asynchronous objects of one engine share: threads, queues, delivery, the log of callbacks."""

    def __init__(self) -> None:
        self.delivery = Delivery()
        self.log = CallLog()
        self._queues: dict[str, CallQueue] = {}
        self._pool: ThreadPoolExecutor | None = None

    def _executor(self) -> Executor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="pouchdb-call")
        return self._pool

    def queue(self, name: str) -> CallQueue:
        """Return the queue of calls on a database."""
        # setdefault is atomic: two threads get one queue.
        return self._queues.get(name) or self._queues.setdefault(name, CallQueue(self._executor))

    def close(self) -> None:
        """Make no more calls; those that run end by themselves."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def make(
        self,
        subject: Any,
        operation: Operation[..., Any],
        queue: CallQueue,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Promise[Any]:
        """Call an operation of a synchronous object in its turn; return the promise of its outcome."""
        args, kwargs, callback = taken_callback(operation, args, kwargs)
        promise: Promise[Any] = Promise(self.delivery)

        def call() -> None:
            try:
                value = operation._call(subject, *args, **kwargs)
            except BaseException as error:
                promise._reject(error)
            else:
                promise._settle(value, None)

        promise._on_cancel = queue.submit(call, reads=operation.reads)
        if callback is not None:
            self.call_back(promise, callback)
        return promise

    def call_back(self, promise: Promise[Any], callback: Callback) -> None:
        """Have ``callback(error, value)`` called with the outcome."""
        called = self.logged(callback)
        promise.then(lambda value: called(None, value), lambda error: called(error, None))

    def logged(self, callback: Callback) -> Callback:
        """Return a function that calls ``callback`` and notes that it was called, for ``waitUntilCalled``."""

        def call(*args: Any) -> None:
            try:
                callback(*args)
            finally:
                self.log.add(callback)
                self.delivery.notify()

        return call


def taken_callback(
    operation: Operation[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], Callback | None]:
    """Take the callback out of the arguments (spec: plugins 9.3).

    It comes as ``callback=``, or as a positional argument: after the documented ones, or in an
    earlier place that does not take functions itself.
    """
    named = dict(kwargs)
    callback: Callback | None = named.pop("callback", None)
    if callback is None and args and callable(args[-1]):
        parameters = list(inspect.signature(operation.function).parameters.values())[1:]
        place = len(args) - 1
        takes = place < len(parameters) and "Callable" in str(parameters[place].annotation) + _alias(parameters[place])
        if not takes:
            return args[:-1], named, args[-1]
    return args, named, callback


def _alias(parameter: inspect.Parameter) -> str:
    # Annotations are text; these names stand for types that functions are of.
    return "Callable" if any(name in str(parameter.annotation) for name in ("Resolver", "MapFunction", "View")) else ""


class AsyncStarter(Starter):
    """Makes handles at once; the work begins in its turn among the calls on the database."""

    blocks = False

    def __init__(self, calls: Calls, wrap: Callable[[Any], Any]) -> None:
        self._calls, self._wrap = calls, wrap

    def feed(
        self, db: SyncPouchDB, request: Changes, return_docs: bool, on_change: OnChange, complete: OnComplete
    ) -> AsyncFeed:
        calls = self._calls
        feed = AsyncFeed(
            self._wrap(db),
            request,
            lambda: db.plugins.changes(db, request),  # type: ignore[return-value,arg-type]  # the core's are generators
            db.adapter.subscribe,
            calls.log,
            calls.delivery,
            db._engine.workers,
            return_docs=return_docs,
        )
        keep(feed, db._life.live)
        called_back(feed, self._logged(on_change), self._logged(complete))
        calls.queue(db.name).submit(feed.begin, reads=True)
        return feed

    def replication(
        self, env: SyncEnvironment, replicator: Replicator, on_change: OnChange, complete: OnComplete
    ) -> AsyncReplication:
        calls = self._calls
        handle = AsyncReplication(
            replicator, replicator.source.adapter.subscribe, calls.log, calls.delivery, env.engine.workers
        )
        keep(handle, replicator.source._life.live, replicator.target._life.live, env.engine.live)
        called_back(handle, self._logged(on_change), self._logged(complete))
        # Behind the writes of both sides that were called before it.
        target, source = calls.queue(replicator.target.name), calls.queue(replicator.source.name)
        target.submit(lambda: source.submit(handle.begin, reads=True), reads=True)
        return handle

    def sync(self, env: SyncEnvironment, push: Any, pull: Any, on_change: OnChange, complete: OnComplete) -> AsyncSync:
        handle = AsyncSync(push, pull, self._calls.log, self._calls.delivery)
        called_back(handle, self._logged(on_change), self._logged(complete))
        return handle

    def _logged(self, callback: Callback | None) -> Callback | None:
        return None if callback is None else self._calls.logged(callback)
