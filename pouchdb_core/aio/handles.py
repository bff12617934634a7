"""Handles of live work for asyncio: the same ones, that can also be awaited and iterated."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Any, cast

from pouchdb_core.aio.delivery import Delivery, running_loop
from pouchdb_core.aio.promise import Promise
from pouchdb_core.events import CallLog, Listener
from pouchdb_core.live.handle import LiveHandle
from pouchdb_core.live.replication import Replication, Sync
from pouchdb_core.results import Record
from pouchdb_core.runner import Idle, Runner

if TYPE_CHECKING:
    from typing_extensions import Self

    from pouchdb_core.replication.replicate import Replicator
    from pouchdb_core.requests import Changes

__all__ = ["AsyncFeed", "AsyncHandle", "AsyncReplication", "AsyncSync"]

SLICE = 100
"""Rows that travel to the loop at once."""


class _ToLoop:
    """What ``LiveHandle`` takes for a dispatcher: calls go to the loop of the call that made the handle."""

    def __init__(self, delivery: Delivery, loop: asyncio.AbstractEventLoop | None) -> None:
        self._delivery, self._loop = delivery, loop

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        self._delivery.post(self._loop, function, *args)

    def current(self) -> bool:
        """Tell that whoever blocks may be who should run the calls."""
        return True


class AsyncHandle(LiveHandle):
    """A handle that is a promise too: ``await handle``, ``handle.then(f)``, ``handle["catch"](f)``.

    Its events arrive on the loop that was running when it was made.
    """

    def _promised(self, delivery: Delivery, calls: CallLog) -> tuple[CallLog, Runner]:
        """Prepare the asynchronous half; return what ``LiveHandle.__init__`` takes."""
        self._promise: Promise[Any] = Promise(delivery)
        # Nobody need handle what the event `error` tells.
        self._promise._handled = True
        self._loop = running_loop()
        return calls, cast("Runner", _ToLoop(delivery, self._loop))

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait until it is over; cancelling the waiting task cancels the handle."""
        try:
            yield from self._promise.__await__()
        except asyncio.CancelledError:
            self.cancel()
            raise
        return self._promise._outcome()

    def then(
        self, on_value: Callable[[Any], Any] | None = None, on_error: Callable[[Any], Any] | None = None
    ) -> Promise[Any]:
        """Call ``on_value(result)`` or ``on_error(error)`` when it is over."""
        return self._promise.then(on_value, on_error)

    def catch(self, on_error: Callable[[Any], Any]) -> Promise[Any]:
        """Call ``on_error(error)`` if it fails."""
        return self._promise.catch(on_error)

    def finally_(self, function: Callable[[], Any]) -> Promise[Any]:
        """Call ``function()`` when it is over."""
        return self._promise.finally_(function)

    def _finish(self, outcome: Any = None, error: BaseException | None = None) -> None:
        super()._finish(outcome, error)
        self._promise._settle(self._outcome, self._error)


class AsyncReplication(AsyncHandle, Replication):
    """A replication: see ``Replication`` for its events; ``await`` gives the result."""

    def __init__(
        self,
        replicator: Replicator,
        subscribe: Callable[[Callable[[], None]], Callable[[], None]],
        calls: CallLog,
        delivery: Delivery,
        workers: Runner,
    ) -> None:
        self._turn = False
        log, dispatcher = self._promised(delivery, calls)
        Replication.__init__(self, replicator, subscribe, log, dispatcher, workers)

    def begin(self) -> None:
        """Start: its turn among the calls on the source has come."""
        self._turn = True
        self._job.wake()

    def _step(self) -> Idle | bool | None:
        if not self._turn and not self.cancelled:
            return Idle()
        return super()._step()


class AsyncSync(AsyncHandle, Sync):
    """Two replications: see ``Sync`` for its events; ``await`` gives ``{push, pull}``."""

    def __init__(self, push: AsyncReplication, pull: AsyncReplication, calls: CallLog, delivery: Delivery) -> None:
        log, dispatcher = self._promised(delivery, calls)
        Sync.__init__(self, push, pull, log, dispatcher)


class AsyncFeed(AsyncHandle):
    """Changes: ``change`` (row), ``complete`` (result), ``error``; awaitable, and ``async for row in feed``.

    A feed that is not live starts by itself; a live one when it has a listener for ``change`` or
    is iterated. Rows are read on a worker thread, a slice at a time, and the next slice when the
    last one was delivered: memory stays bounded. An idle feed holds no thread. ``db`` is the database.
    """

    def __init__(
        self,
        db: Any,
        request: Changes,
        read: Callable[[], Generator[Any, None, Any]],
        subscribe: Callable[[Callable[[], None]], Callable[[], None]],
        calls: CallLog,
        delivery: Delivery,
        workers: Runner,
        *,
        return_docs: bool,
    ) -> None:
        super().__init__(*self._promised(delivery, calls))
        self.db = db
        self.last_seq: Any = request.since
        self._live, self._return_docs = request.live, return_docs and not request.live
        self._read = read
        self._rows: Generator[Any, None, Any] | None = None
        self._results: list[Record] = []
        self._delivering = self._turn = False
        self._wanted = not request.live
        # Of the loop's side: rows for `async for`.
        self._iterated = False
        self._buffer: deque[Record] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._job = workers.job(self._step)
        self._unsubscribe = subscribe(self._job.wake) if request.live else _nothing

    def begin(self) -> None:
        """Its turn among the calls on the database has come."""
        self._turn = True
        self._job.wake()

    def cancel(self) -> None:
        if not self.cancelled and not self.done:
            self.cancelled = True
            self._job.wake()

    def _add(self, event: str, listener: Listener, *, once: bool) -> Self:
        super()._add(event, listener, once=once)
        if event == "change":
            self._want()
        return self

    def _want(self) -> None:
        if not self._wanted:
            self._wanted = True
            self._job.wake()

    # -- on a worker thread ----------------------------------------------------------------------

    def _step(self) -> Idle | bool | None:
        if self.done:
            return False
        if self.cancelled:
            self._over(Record(self._result(), status="cancelled"))
            return False
        if self._delivering or not (self._turn and self._wanted):
            return Idle()
        rows: list[Record] = []
        try:
            outcome = self._slice(rows)
        except Exception as error:
            self._send(rows)
            self._unsubscribe()
            self._finish(error=error)
            return False
        self._send(rows)
        if isinstance(outcome, tuple):
            self.last_seq = outcome[0] if outcome[0] is not None else self.last_seq
            self._over(self._result())
            return False
        return outcome if not rows else Idle()

    def _slice(self, rows: list[Record]) -> Idle | tuple[Any] | None:
        """Read up to a slice; return Idle to wait, None to go on, a tuple of the last seq at the end."""
        if self._rows is None:
            self._rows = self._read()
        while len(rows) < SLICE:
            try:
                row = next(self._rows)
            except StopIteration as stop:
                return (stop.value,)
            if isinstance(row, Idle):
                return row
            rows.append(row)
        return None

    def _send(self, rows: list[Record]) -> None:
        if rows:
            self._delivering = True
            self.last_seq = rows[-1]["seq"]
            if self._return_docs:
                self._results.extend(rows)
            self._dispatcher.call(self._deliver, rows)

    def _result(self) -> Record:
        return Record(results=self._results, last_seq=self.last_seq)

    def _over(self, result: Record) -> None:
        self._unsubscribe()
        if self._rows is not None:
            self._rows.close()
        self._finish(result)

    def _finish(self, outcome: Any = None, error: BaseException | None = None) -> None:
        super()._finish(outcome, error)
        self._dispatcher.call(self._wake_iterator)

    # -- on the loop -----------------------------------------------------------------------------

    def _deliver(self, rows: list[Record]) -> None:
        for row in rows:
            if self._iterated:
                self._buffer.append(row)
            elif self.cancelled:
                break
            else:
                self._emit_or_keep("change", row)
        if not self._buffer:
            self._delivered()
        self._wake_iterator()

    def _delivered(self) -> None:
        self._delivering = False
        self._job.wake()

    def _wake_iterator(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> AsyncIterator[Record]:
        self._iterated = True
        for args in self._kept.pop("change", ()):
            self._buffer.append(args[0])
        self._want()
        return self

    async def __anext__(self) -> Record:
        while not self._buffer:
            if self.done:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            # Everything that ends the wait runs on this loop, so nothing came between.
            try:
                await self._waiter
            except asyncio.CancelledError:
                self.cancel()
                raise
        row = self._buffer.popleft()
        if not self._buffer and self._delivering:
            self._delivered()
        return row


def _nothing() -> None:
    """There is nothing to unsubscribe."""
