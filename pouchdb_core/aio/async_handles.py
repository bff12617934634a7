"""Handles of live work for asyncio: the same handles, which can also be awaited and iterated with ``async for``.

A handle is returned at once; its work begins when its turn among the calls comes.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, cast

from pouchdb_core.aio.original.delivery import Delivery, Lane, check_callback, running_loop
from pouchdb_core.aio.original.promise import Promise, Thenable
from pouchdb_core.events import Listener
from pouchdb_core.live.live_handle import LiveHandle
from pouchdb_core.live.live_replication import MEMBERS, Replication, Sync
from pouchdb_core.results import Record
from pouchdb_core.runner import Runner

if TYPE_CHECKING:
    from typing_extensions import Self

    from pouchdb_core.replication.replicate import Replicator

__all__ = ["AsyncHandle", "AsyncReplication", "AsyncSync", "Mailbox"]


class Mailbox:
    """Rows waiting for ``async for``, in whichever loop it runs; each row goes to one reader."""

    def __init__(self) -> None:
        self._rows: deque[Record] = deque()
        self._lock = threading.RLock()
        self._closed = False
        self._waiters: list[asyncio.Future[None]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, row: Record) -> None:
        with self._lock:
            self._rows.append(row)
        self._wake()

    def close(self, *, drop: bool = False) -> None:
        """Accept no more rows; with ``drop``, discard the rows that have not been read."""
        with self._lock:
            self._closed = True
            if drop:
                self._rows.clear()
        self._wake()

    async def get(self) -> Record | None:
        """Wait for a row and return it; None when there will be no more rows."""
        while True:
            with self._lock:
                if self._rows:
                    return self._rows.popleft()
                if self._closed:
                    return None
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiters.append(waiter)
            await waiter

    def _wake(self) -> None:
        with self._lock:
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            try:
                waiter.get_loop().call_soon_threadsafe(_arrived, waiter)
            except RuntimeError:
                # Its loop is closed: nothing waits there any more.
                continue


def _arrived(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class AsyncHandle(Thenable, LiveHandle):
    """A handle that is also a promise: ``await handle``, ``handle.then(f)``, ``handle["catch"](f)``.

    Its events arrive on the loop that was running when it was made, or else on the first one that
    awaits or iterates it, or when the environment is spun. ``async for`` yields the arguments of
    ``change`` events. Cancelling a task that awaits or iterates the handle cancels the handle.
    """

    _lane: Lane
    _mailbox: Mailbox | None = None

    def _prepare(self, delivery: Delivery) -> None:
        """Set up the asynchronous part, and what every handle has."""
        self._lane = Lane(delivery)
        self._promise: Promise[Any] = Promise(delivery)
        # The event `error` reports the error too, so the promise need not be handled.
        self._promise._handled = True
        self._delivery = delivery
        LiveHandle.__init__(self, delivery.log, cast("Runner", self._lane))

    def _as_promise(self) -> Promise[Any]:
        self._asked()
        return self._promise

    def fail(self, error: BaseException) -> None:
        """End with an error before the work has begun."""
        if self.cancelled:
            self._finish(Record(status="cancelled"))
        else:
            self._finish(error=error)

    def wait(self, timeout: float | None = None) -> Any:
        """Run callbacks until it is over; return its result or raise its error. For programs without an event loop.

        Raises TimeoutError after ``timeout`` seconds, RuntimeError in a thread whose event loop is running.
        """
        self._check_process()
        self._asked()
        if not self._delivery.spin(lambda: self._promise.done, timeout):
            raise TimeoutError(f"not over after {timeout} seconds")
        return self._promise._outcome()

    # -- as a promise ----------------------------------------------------------------------------

    def _asked(self) -> None:
        """Note that the outcome was asked for."""
        self._seen = True

    def __await__(self) -> Generator[Any, None, Record]:
        """Wait until it is over; cancelling the waiting task cancels the handle, unless other tasks wait too."""
        self._asked()
        self._lane.adopt()
        try:
            yield from self._promise._wait()
        except asyncio.CancelledError:
            if not self._promise._waiting:
                self.cancel()
            raise
        return cast("Record", self._promise._outcome())

    def then(
        self, on_value: Callable[[Any], Any] | None = None, on_error: Callable[[Any], Any] | None = None
    ) -> Promise[Any]:
        """Call ``on_value(result)`` or ``on_error(error)`` when it is over."""
        self._asked()
        return self._promise.then(on_value, on_error)

    def catch(self, on_error: Callable[[Any], Any]) -> Promise[Any]:
        """Call ``on_error(error)`` if it fails."""
        self._asked()
        return self._promise.catch(on_error)

    def finally_(self, function: Callable[[], Any]) -> Promise[Any]:
        """Call ``function()`` when it is over."""
        self._asked()
        return self._promise.finally_(function)

    def __getitem__(self, name: str) -> Any:
        return self.finally_ if name == "finally" else super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        return name == "finally" or super().__contains__(name)

    # -- async for -------------------------------------------------------------------------------

    def __aiter__(self) -> Self:
        self._check_process()
        self._seen = True
        self._lane.adopt()
        if self._mailbox is None:
            mailbox = Mailbox()
            self._iterate(mailbox)
            if self.done:
                mailbox.close()
        return self

    async def __anext__(self) -> Record:
        if self._mailbox is None:
            self.__aiter__()
        # `anext()` in one `asyncio.run` after another: the loop of the row before is closed.
        self._lane.adopt()
        mailbox = cast("Mailbox", self._mailbox)
        try:
            row = await mailbox.get()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if row is None:
            # Raises its error if it failed.
            self._promise._outcome()
            raise StopAsyncIteration
        self._read(row)
        return row

    def _iterate(self, mailbox: Mailbox) -> None:
        """Put rows into the mailbox from now on."""
        self._mailbox = mailbox
        self.on("change", self._arrive)

    def _arrive(self, row: Record) -> None:
        cast("Mailbox", self._mailbox).put(row)

    def _read(self, row: Record) -> None:
        """Note that the reader has received a row."""

    def __iter__(self) -> Iterator[Record]:
        raise TypeError("it is iterated with `async for`")

    # -- events ----------------------------------------------------------------------------------

    def callbacks(self, complete: Callable[..., Any] | None) -> None:
        if complete is not None:
            check_callback(complete)
        super().callbacks(complete)

    def _add(self, event: str, listener: Listener, *, once: bool) -> Self:
        check_callback(listener)
        return super()._add(event, listener, once=once)

    def _finish(self, outcome: Any = None, error: BaseException | None = None) -> None:
        with self._ending:
            first = not self._done.is_set()
            leaving, self._when_done = (self._when_done, []) if first else ([], self._when_done)
        try:
            # A thread that is notified of the end finds nothing of the handle any more.
            for function in leaving:
                function()
        finally:
            super()._finish(outcome, error)
        self._promise._settle(self._outcome, self._error)
        # After all rows that are being delivered.
        self._lane.call(self._close_mailbox)

    def _close_mailbox(self) -> None:
        if self._mailbox is not None:
            self._mailbox.close(drop=self.cancelled)


class AsyncReplication(AsyncHandle, Replication):
    """A replication: see ``Replication`` for its events; ``await`` gives the result."""

    replicator: Replicator = None  # type: ignore[assignment]  # until its turn comes
    _begun = False

    def __init__(self, delivery: Delivery) -> None:
        self._prepare(delivery)
        self._unbegun()

    def begin(self, replicator: Replicator, workers: Runner) -> None:
        """Start the replication: its turn among the calls on both sides has come."""
        self._begin(replicator, replicator.source.adapter.subscribe, workers)
        self._begun = True
        if self.cancelled:
            self._stop()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in MEMBERS and not self._begun:
                state = "cancelled" if self.cancelled else "pending"
                return {"state": state, "pending": 0, "attempt": 0, "denied_count": 0}.get(name)
            return super().__getattr__(name)

    def cancel(self) -> None:
        """Stop after the batch that is being written; the progress so far is saved."""
        if self.cancelled or self.done:
            return
        self.cancelled = True
        self._tell("cancel")
        if self._begun and self._mine():
            self._stop()

    def idle(self) -> Promise[bool]:  # type: ignore[override]  # asyncio.wait_for() has the time-out
        """Promise whether the target has all that the source had at the time of this call.

        False when it was cancelled before; the error it ended with is the promise's. See ``Replication.idle``.
        """
        return _promise_of_idle(self)

    def _is_idle(self) -> bool:
        return self._begun and super()._is_idle()

    def _look_again(self) -> None:
        # A replication that has not begun checks both sides first anyway.
        if self._begun:
            super()._look_again()

    def _stop(self) -> None:
        if running_loop() is None and self._stepping.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._stepping.release()
        else:
            if self._stepping.locked():
                # It may be waiting for a server.
                self.replicator.interrupt()
            # Saving the checkpoint writes to both sides, which would block the loop.
            self._job.wake()

    def _arrive(self, row: Record) -> None:
        self._hold(1)
        super()._arrive(row)

    def _read(self, row: Record) -> None:
        self._hold(-1)

    def _add(self, event: str, listener: Listener, *, once: bool) -> Self:
        super()._add(event, listener, once=once)
        if event == "change" and self._begun:
            self.replicator.tells = True
        return self

    def _change(self, change: Record) -> None:
        super()._change(change)
        # Documents are parsed only if something listens.
        self.replicator.tells = bool(self._entries.get("change"))


class AsyncSync(AsyncHandle, Sync):
    """Two replications: see ``Sync`` for its events; ``await`` gives ``{push, pull}``."""

    push: AsyncReplication
    pull: AsyncReplication

    def __init__(self, delivery: Delivery, push: AsyncReplication, pull: AsyncReplication) -> None:
        self._prepare(delivery)
        self._results: dict[str, Any] = {}
        self._paused: set[str] = set()
        self.push, self.pull = push, pull
        # One lane for all three, because the end of the parts is the end of the whole.
        push._lane = pull._lane = self._lane
        push._dispatcher = pull._dispatcher = self._dispatcher
        for direction, each in (("push", push), ("pull", pull)):
            self._follow(direction, each)

    def idle(self) -> Promise[bool]:  # type: ignore[override]  # asyncio.wait_for() has the time-out
        """Promise whether the target has all that the source had at the time of this call.

        False when it was cancelled before; the error it ended with is the promise's. See ``Replication.idle``.
        """
        return _promise_of_idle(self)

    def fail(self, error: BaseException) -> None:
        self.push.fail(error)
        self.pull.fail(error)
        super().fail(error)

    def _arrive(self, row: Record) -> None:
        self._hold(1)
        super()._arrive(row)

    def _read(self, row: Record) -> None:
        self._hold(-1)


def _promise_of_idle(handle: AsyncReplication | AsyncSync) -> Promise[bool]:
    promise: Promise[bool] = Promise(handle._delivery)

    def arrived() -> None:
        try:
            promise._settle(handle._was_idle(), None)
        except Exception as error:
            promise._settle(None, error)

    handle._check_process()
    handle._doubt()
    handle.on_idle(arrived)
    return promise
