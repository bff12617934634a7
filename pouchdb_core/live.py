"""Handles of what goes on in the background: live feeds now, replications on top of them.

A handle is an event emitter that can be cancelled, waited for and iterated. Its callbacks run on
the engine's one dispatcher thread, in order; one that raises is logged and stops nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

from pouchdb_core.events import CallLog, EventEmitter, Listener
from pouchdb_core.results import Record
from pouchdb_core.runner import Idle, Job, Runner

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Feed", "LiveHandle", "drive"]

SLICE = 100
"""Rows a feed gives to its listeners before other feeds get their turn."""
KEPT = 1000
"""Events kept for a listener that comes late."""

Work = Generator[Any, None, Any]


class LiveHandle(EventEmitter):
    """What every handle is.

    ``cancelled`` tells whether ``cancel()`` was called. Members read by item too:
    ``handle["cancel"]()``. Events that nobody listened for yet are kept (the newest 1,000 of each
    name) and given to the first listener, so that nothing is missed between the call that starts
    the work and ``on()``.
    """

    def __init__(self, calls: CallLog, dispatcher: Runner) -> None:
        super().__init__(calls)
        self.cancelled = False
        self._dispatcher = dispatcher
        self._kept: dict[str, deque[tuple[Any, ...]]] = {}
        self._done = threading.Event()
        self._when_done: list[Callable[[], Any]] = []
        self._outcome: Any = None
        self._error: BaseException | None = None

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and hasattr(self, name)

    @property
    def done(self) -> bool:
        """Whether it is over: complete, cancelled or failed."""
        return self._done.is_set()

    def cancel(self) -> None:
        """Stop. ``complete`` is emitted with ``status: "cancelled"``; calling it again does nothing."""
        raise NotImplementedError

    def wait(self, timeout: float | None = None) -> Any:
        """Wait until it is over and return its result; raise its error. Raises TimeoutError after ``timeout`` s."""
        if not self._done.wait(timeout):
            raise TimeoutError(f"not over after {timeout} seconds")
        if self._error is not None:
            raise self._error
        return self._outcome

    def callbacks(self, complete: Callable[..., Any] | None) -> None:
        """Call ``complete(error, result)`` when it is over; for the options of that name."""
        if complete is not None:
            self.once("complete", lambda result: complete(None, result))
            self.once("error", lambda error: complete(error, None))

    def on_done(self, function: Callable[[], Any]) -> None:
        """Call ``function`` when it is over, in the thread that ends it."""
        self._when_done.append(function)

    def _tell(self, event: str, *args: Any) -> None:
        """Emit an event on the dispatcher's thread."""
        self._dispatcher.call(self._emit_or_keep, event, *args)

    def _emit_or_keep(self, event: str, *args: Any) -> None:
        if not self.emit(event, *args):
            self._kept.setdefault(event, deque(maxlen=KEPT)).append(args)

    def _add(self, event: str, listener: Listener, *, once: bool) -> Self:
        super()._add(event, listener, once=once)
        # On the dispatcher, where events are kept: in order with those that come.
        self._dispatcher.call(self._give_kept, event)
        return self

    def _give_kept(self, event: str) -> None:
        for args in self._kept.pop(event, ()):
            self._emit_or_keep(event, *args)

    def _finish(self, outcome: Any = None, error: BaseException | None = None) -> None:
        if self._done.is_set():
            return
        self._outcome, self._error = outcome, error
        self._done.set()
        for function in self._when_done:
            function()
        if error is None:
            self._tell("complete", outcome)
        else:
            self._tell("error", error)


class Feed(LiveHandle):
    """The handle of live changes: ``change`` (row), then ``complete`` (result) or ``error`` (error).

    It runs once it has a listener for ``change``, or when it is iterated: ``for change in feed``
    runs it in the iterating thread and ends when the feed does. ``db`` is the database. An idle
    feed holds no thread.
    """

    def __init__(
        self,
        db: Any,
        rows: Work,
        subscribe: Callable[[Callable[[], None]], Callable[[], None]],
        calls: CallLog,
        dispatcher: Runner,
    ) -> None:
        super().__init__(calls, dispatcher)
        self.db = db
        self._rows = rows
        self._woken = threading.Event()
        self._job: Job = dispatcher.job(self._step)
        self._started = False
        self._iterated = False
        self._stepping = threading.Lock()
        self.last_seq: Any = None
        """The seq of the newest row that was delivered."""
        # Before the first read, so that no write falls between.
        self._unsubscribe = subscribe(self._wake)

    def cancel(self) -> None:
        if self.cancelled or self.done:
            return
        self.cancelled = True
        self._wake()
        if self._stepping.acquire(blocking=False):
            # Nobody is reading just now, so nobody else would notice soon.
            try:
                self._end(cancelled=True)
            finally:
                self._stepping.release()

    def __iter__(self) -> Iterator[Record]:
        if self._started:
            raise RuntimeError("the feed has a listener for 'change': it cannot be iterated too")
        self._iterated = True
        return self._iterate()

    def _iterate(self) -> Iterator[Record]:
        while True:
            with self._stepping:
                self._woken.clear()
                row = self._next()
            if row is None:
                if self._error is not None:
                    raise self._error
                return
            if isinstance(row, Idle):
                self._woken.wait(row.timeout)
            else:
                yield row

    def _add(self, event: str, listener: Listener, *, once: bool) -> Self:
        super()._add(event, listener, once=once)
        if event == "change" and not self._started:
            if self._iterated:
                raise RuntimeError("the feed is being iterated: it cannot have a listener for 'change' too")
            self._started = True
            self._job.wake()
        return self

    def _wake(self) -> None:
        self._woken.set()
        if self._started:
            self._job.wake()

    def _step(self) -> Idle | bool | None:
        """Give a slice of rows to the listeners, on the dispatcher's thread."""
        with self._stepping:
            for _ in range(SLICE):
                row = self._next()
                if row is None:
                    return False
                if isinstance(row, Idle):
                    return row
                self.emit("change", row)
        return None

    def _next(self) -> Record | Idle | None:
        """Return the next row, Idle, or None when the feed is over."""
        if self.done:
            return None
        if self.cancelled:
            self._end(cancelled=True)
            return None
        try:
            row: Record | Idle = next(self._rows)
        except StopIteration as stop:
            self._end(last_seq=stop.value)
            return None
        except Exception as error:
            self._unsubscribe()
            self._finish(error=error)
            return None
        if not isinstance(row, Idle):
            self.last_seq = row["seq"]
        return row

    def _end(self, *, cancelled: bool = False, last_seq: Any = None) -> None:
        self._unsubscribe()
        self._rows.close()
        result = Record(results=[], last_seq=self.last_seq if last_seq is None else last_seq)
        if cancelled:
            result["status"] = "cancelled"
        self._finish(result)


def drive(work: Work, wait: Callable[[float | None], Any], on_event: Callable[[Any], None]) -> Any:
    """Run work to its end in the calling thread, waiting with ``wait(timeout)``; return its result."""
    while True:
        try:
            event = next(work)
        except StopIteration as stop:
            return stop.value
        if isinstance(event, Idle):
            wait(event.timeout)
        else:
            on_event(event)
