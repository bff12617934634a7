"""The handle of live changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pouchdb_core.events import CallLog, Listener
from pouchdb_core.live.handle import LiveHandle, Work
from pouchdb_core.results import Record
from pouchdb_core.runner import Idle, Job, Runner

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Feed"]

SLICE = 100
"""Rows a feed gives to its listeners before other feeds get their turn."""


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
