"""The handle of live changes."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pouchdb_core.events import CallLog, Listener
from pouchdb_core.live.live_handle import LiveHandle, keep
from pouchdb_core.results import Record
from pouchdb_core.runner import Idle, Job, Runner

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Feed"]

SLICE = 100
"""Rows a feed passes to its listeners before other feeds get their turn."""

Subscribe = Callable[[Callable[[], None]], Callable[[], None]]


class Feed(LiveHandle):
    """The handle of live changes: ``change`` (row), then ``complete`` (result) or ``error`` (error).

    It runs once it has a listener for ``change``, when it is waited for, or when it is iterated: ``for change in
    feed`` runs it in the iterating thread and ends when the feed does. ``db`` is the database. An idle
    feed holds no thread; one that was never started ends with the last reference to it.
    """

    def __init__(
        self,
        db: Any,
        rows: Iterator[Any],
        subscribe: Subscribe,
        calls: CallLog,
        dispatcher: Runner,
        since: Any = None,
    ) -> None:
        super().__init__(calls, dispatcher)
        self.db = db
        self.last_seq = since
        """The seq of the newest row that was delivered, or up to which the feed was searched."""
        self._rows = iter(rows)
        self._woken = threading.Event()
        self._job: Job | None = None
        self._iterated = False
        self._stepping = threading.Lock()
        # Before the first read, so that no write is missed. Weakly, so that an unreferenced feed that
        # was never started is collected.
        woken = weakref.WeakMethod(self._wake)
        self._unsubscribe = weakref.finalize(self, subscribe(lambda: _call(woken)))
        self._unsubscribe.atexit = False
        db._life.unstarted.add(self)
        db._engine.unheard.add(self)

    def _about(self) -> str:
        return f"of {self.db.name!r}, at seq {self.last_seq!r}, {super()._about()}"

    def cancel(self) -> None:
        if self.cancelled or self.done:
            return
        self.cancelled = True
        if not self._mine():
            return
        self._wake()
        if self._stepping.acquire(blocking=False):
            # No read is under way, so nothing else would notice soon.
            try:
                self._end(cancelled=True)
            finally:
                self._stepping.release()

    def __iter__(self) -> Iterator[Record]:
        self._check_process()
        if self._job is not None:
            raise RuntimeError(
                "the feed runs already, as it has a listener for 'change' or was waited for: it cannot be iterated too"
            )
        self._iterated = True
        return self._iterate()

    def _iterate(self) -> Iterator[Record]:
        while True:
            self._check_process()
            with self._stepping:
                self._woken.clear()
                row = self._next()
            if row is None:
                if self._error is not None:
                    self._seen = True
                    raise self._error
                return
            if isinstance(row, Idle):
                self._woken.wait(row.timeout)
            else:
                yield row

    def _add(self, event: str, listener: Listener, *, once: bool) -> Self:
        if event == "change" and self._iterated:
            raise RuntimeError("the feed is being iterated: it cannot have a listener for 'change' too")
        super()._add(event, listener, once=once)
        if event == "change":
            self._start()
        return self

    def wait(self, timeout: float | None = None) -> Any:
        """Wait until it is over and return its result; raise its error. Raises TimeoutError after ``timeout`` s.

        A feed that has no listener for ``change`` and is not iterated is started: its rows are read and dropped, as
        PouchDB does, so that one with a limit ends. After a timeout it goes on.
        """
        self._check_process()
        if not self._iterated:
            self._start()
        return super().wait(timeout)

    def _start(self) -> None:
        """Run it on the dispatcher from now on, even if there is no reference to the handle."""
        # Not the lock of steps: a listener may add another one.
        with self._ending:
            if self._job is not None or self._ended:
                return
            self._job = self._dispatcher.job(self._step)
        life = self.db._life
        life.unstarted.discard(self)
        self.db._engine.unheard.discard(self)
        keep(self, life.live, self.db._engine.going)
        self._job.wake()

    def _wake(self) -> None:
        self._woken.set()
        if self._job is not None:
            self._job.wake()

    def _step(self) -> Idle | bool | None:
        """Pass a slice of rows to the listeners, on the dispatcher's thread."""
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
        except BaseException as error:
            if self._is_cancelled():
                # The database was closed while the feed was open, and the feed was notified.
                self._end(cancelled=True)
                return None
            self._seen = self._seen or self._iterated
            self._unsubscribe()
            self._finish(error=error)
            if not isinstance(error, Exception):
                raise
            return None
        if not isinstance(row, Idle):
            self.last_seq = row["seq"]
        elif row.seq is not None:
            self.last_seq = row.seq
        return row

    def _is_cancelled(self) -> bool:
        # Checked again: another thread may have cancelled it since.
        return self.cancelled

    def _end(self, *, cancelled: bool = False, last_seq: Any = None) -> None:
        self._unsubscribe()
        close = getattr(self._rows, "close", None)
        if close is not None:
            close()
        result = Record(results=[], last_seq=self.last_seq if last_seq is None else last_seq)
        if cancelled:
            result["status"] = "cancelled"
        self._finish(result)


def _call(method: weakref.WeakMethod[Callable[[], None]]) -> None:
    found = method()
    if found is not None:
        found()
