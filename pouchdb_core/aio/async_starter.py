"""How ``changes``, ``replicate`` and ``sync`` return handles at once and begin their work when its turn comes."""

from __future__ import annotations

import contextvars
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from pouchdb_core.aio.async_feed import AsyncFeed
from pouchdb_core.aio.async_handles import AsyncHandle, AsyncReplication, AsyncSync
from pouchdb_core.aio.calls import Calls, taken_callback
from pouchdb_core.aio.queue import Way
from pouchdb_core.live.live_handle import keep
from pouchdb_core.live.starter import OnChange, OnComplete, Starter, called_back
from pouchdb_core.methods import Starting
from pouchdb_core.requests import Changes

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database, Environment
    from pouchdb_core.replication.replicate import Replicator

__all__ = ["start"]


def start(
    calls: Calls,
    subject: Any,
    operation: Starting[..., Any, Any],
    names: Iterable[str],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    view: Any,
) -> AsyncHandle:
    """Return the handle of an operation that is called when its turn comes; ``view`` is the asynchronous subject.

    ``subject`` is a copy of the synchronous one, as is its environment: both get a starter for this call.
    """
    args, kwargs, callback = taken_callback(operation, args, kwargs)
    handle, starter = _handle(calls, operation.name, subject.starter, view)
    for each in (subject, getattr(subject, "environment", subject)):
        each.starter = starter

    def call() -> None:
        try:
            operation._call(subject, *args, **kwargs)
        except BaseException as error:
            refuse(error)
        finally:
            # The running work refers to the subject: it must not keep an otherwise unreferenced handle alive.
            starter.over()

    def refuse(error: BaseException) -> None:
        if not starter.reached:
            # The options never reached the handle.
            handle.callbacks(kwargs.get("complete"))
        handle.fail(error)

    if callback is not None and callback != kwargs.get("complete"):
        handle.callbacks(callback)
    in_context = partial(contextvars.copy_context().run, call)
    calls.order.submit(names, in_context, refuse, way=Way.READS, start=calls.start_of(names))
    return handle


def _handle(calls: Calls, name: str, plain: Starter, view: Any) -> tuple[AsyncHandle, _Starter]:
    if name in ("changes", "live_changes"):
        feed = AsyncFeed(calls.delivery, view)
        return feed, _Starter(calls, plain, feed, feed=feed)
    if name == "sync":
        push, pull = AsyncReplication(calls.delivery), AsyncReplication(calls.delivery)
        both = AsyncSync(calls.delivery, push, pull)
        return both, _Starter(calls, plain, both, replications=[push, pull])
    replication = AsyncReplication(calls.delivery)
    return replication, _Starter(calls, plain, replication, replications=[replication])


class _Starter(Starter):
    """Begins the handles of one call. Any other use of it gets the results of the plain starter:

    hooks and plug-ins that get the subject of the call get a synchronous one.
    """

    def __init__(
        self,
        calls: Calls,
        plain: Starter,
        handle: AsyncHandle,
        feed: AsyncFeed | None = None,
        replications: Iterable[AsyncReplication] = (),
    ) -> None:
        self._calls, self._plain = calls, plain
        self._handle: AsyncHandle | None = handle
        self._feed = feed
        self._replications = list(replications)
        self.reached = False
        """Whether the handle has received the options of the call."""

    def over(self) -> None:
        """Begin no more handles."""
        self.reached = True
        self._handle = self._feed = None
        self._replications = []

    def _begins(self, handle: AsyncHandle, live: bool) -> None:
        if not live:
            handle.on_done(self._calls.order.enter())

    @property
    def blocks(self) -> bool:  # type: ignore[override]  # it changes
        return self.reached

    def feed(
        self, db: Database, request: Changes, return_docs: bool, on_change: OnChange, complete: OnComplete
    ) -> Any:
        feed, self._feed = self._feed, None
        if feed is None:
            return self._plain.feed(db, request, return_docs, on_change, complete)
        self.reached = True
        called_back(feed, on_change, complete)
        self._begins(feed, request.live)
        feed.begin(db, request, return_docs=return_docs)
        return feed

    def replication(
        self, env: Environment, replicator: Replicator, on_change: OnChange, complete: OnComplete
    ) -> Any:
        if not self._replications:
            return self._plain.replication(env, replicator, on_change, complete)
        handle = self._replications.pop(0)
        self.reached = handle is self._handle
        called_back(handle, on_change, complete)
        engine = env.engine
        keep(handle, replicator.source._life.live, replicator.target._life.live, engine.live, engine.going)
        self._begins(handle, replicator.request.live)
        handle.begin(replicator, engine.workers_of(replicator.source, replicator.target))
        return handle

    def sync(self, env: Environment, push: Any, pull: Any, on_change: OnChange, complete: OnComplete) -> Any:
        if self.reached or push is not getattr(self._handle, "push", None):
            return self._plain.sync(env, push, pull, on_change, complete)
        self.reached = True
        assert self._handle is not None
        return called_back(self._handle, on_change, complete)
