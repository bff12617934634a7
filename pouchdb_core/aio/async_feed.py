"""The handle of changes for asyncio."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from pouchdb_core.aio.async_handles import AsyncHandle, Mailbox
from pouchdb_core.aio.original.delivery import Delivery
from pouchdb_core.events import Listener
from pouchdb_core.live.live_handle import keep
from pouchdb_core.requests import Changes
from pouchdb_core.results import Record
from pouchdb_core.runner import Idle, Job

if TYPE_CHECKING:
    from typing_extensions import Self

    from pouchdb_core.interfaces import Database

__all__ = ["AsyncFeed"]

SLICE = 100
"""Number of rows handed to the loop at a time."""


class AsyncFeed(AsyncHandle):
    """Changes: ``change`` (row), ``complete`` (result), ``error``; awaitable, and ``async for row in feed``.

    A feed that is not live runs by itself; a live one once it has a listener for ``change``, or is
    awaited or iterated. Rows are read on a worker thread, a slice at a time; the next slice is read when
    the last one was delivered, so memory stays bounded. Rows yielded by ``async for`` are not collected for
    the result. An idle feed holds no thread; a live one that has no listener ends with its last
    reference. ``db`` is the database, ``last_seq`` the seq of the newest row that was delivered.
    """

    def __init__(self, delivery: Delivery, db: Any) -> None:
        self._prepare(delivery)
        self.db = db
        self.last_seq: Any = None
        self._request: Changes | None = None
        self._return_docs = False
        self._rows: Generator[Any, None, Any] | None = None
        self._results: list[Record] = []
        self._passed = 0
        """Number of rows that have been passed on."""
        self._wanted = self._kept_alive = self._travelling = self._unheard = False
        self._stepping = threading.Lock()
        self._hearing = threading.RLock()
        """Held to decide which reader gets a row; taken after the other lock, and never while a row is delivered."""
        self._job: Job | None = None
        self._end: Callable[[], None] | None = None
        """What ends the feed, once all rows were delivered."""
        self._unsubscribe: Callable[[], Any] = _nothing
        db._life.unstarted.add(self)
        db._engine.unheard.add(self)

    def _about(self) -> str:
        return f"of {self.db.name!r}, at seq {self.last_seq!r}, {super()._about()}"

    def begin(self, db: Database, request: Changes, *, return_docs: bool) -> None:
        """Start the feed: its turn among the calls on the database has come. Raises for a bad request."""
        with self._stepping:
            if self.done:
                return
            self._request = request
            self.last_seq = request.since
            self._return_docs = return_docs and not request.live
            woken = weakref.WeakMethod(self._step)
            self._job = db._engine.workers_of(db).job(lambda: _call(woken))
            if request.live:
                self._subscribe(db)
            # What is read, and up to which seq, is fixed when its turn comes.
            self._rows = cast("Generator[Any, None, Any]", iter(db.plugins.changes(db, request)))
            if not request.live:
                self._wanted = True
                self._keep_alive()
                self._advance()
        self._look_again()
        if not self._travelling:
            self._wake()

    def fail(self, error: BaseException) -> None:
        if self.cancelled:
            # The database was closed while the feed was open, and the feed was notified.
            self._over(Record(self._result(), status="cancelled"))
            return
        self._unsubscribe()
        super().fail(error)

    def _subscribe(self, db: Database) -> None:
        # Before the first read, so that no write is missed; weakly, so that an unreferenced feed is collected.
        wake = weakref.WeakMethod(self._wake)
        unsubscribe = weakref.finalize(self, db.adapter.subscribe(lambda: _call(wake)))
        unsubscribe.atexit = False
        self._unsubscribe = unsubscribe

    def cancel(self) -> None:
        """Stop. ``complete`` is emitted with ``status: "cancelled"``; calling it again does nothing."""
        if self.cancelled or self.done:
            return
        self.cancelled = True
        if self._mine():
            if self._mailbox is not None:
                self._mailbox.close(drop=True)
            self._look_again()

    def _add(self, event: str, listener: Listener, *, once: bool) -> Self:
        super()._add(event, listener, once=once)
        self._keep_alive()
        if event == "change":
            self._unheard = False
            self._want()
        return self

    def _asked(self) -> None:
        super()._asked()
        self._want()

    def then(self, on_value: Callable[[Any], Any] | None = None, on_error: Callable[[Any], Any] | None = None) -> Any:
        self._keep_alive()
        return super().then(on_value, on_error)

    def catch(self, on_error: Callable[[Any], Any]) -> Any:
        self._keep_alive()
        return super().catch(on_error)

    def finally_(self, function: Callable[[], Any]) -> Any:
        self._keep_alive()
        return super().finally_(function)

    def _keep_alive(self) -> None:
        """Keep running even if there is no reference to the handle."""
        if not self._kept_alive:
            self._kept_alive = True
            self.db._life.unstarted.discard(self)
            self.db._engine.unheard.discard(self)
            keep(self, self.db._life.live, self.db._engine.going)

    def _want(self) -> None:
        self._wanted = True
        self._wake()

    def _wake(self) -> None:
        if self._job is not None and not self.done:
            self._job.wake()

    def _look_again(self) -> None:
        """End a cancelled feed, unless a read is under way: then that read checks again."""
        while self.cancelled and not self.done and self._stepping.acquire(blocking=False):
            try:
                self._over(Record(self._result(), status="cancelled"))
            finally:
                self._stepping.release()

    # -- on a worker thread ----------------------------------------------------------------------

    def _step(self) -> Idle | bool | None:
        with self._stepping:
            outcome = self._advance()
        self._look_again()
        return outcome

    def _advance(self) -> Idle | bool | None:
        """Read a slice. Holds the lock."""
        if self.done:
            return False
        if self._rows is None or self.cancelled or not self._wanted or self._travelling or self._mailbox:
            return Idle()
        rows: list[Record] = []
        try:
            outcome = self._slice(self._rows, rows)
        except Exception as error:
            self._end = partial(self.fail, error)
        else:
            if isinstance(outcome, tuple):
                self._end = partial(self._ended_at, outcome[0])
            elif isinstance(outcome, Idle) and outcome.seq is not None and not rows:
                self.last_seq = outcome.seq
        self._send(rows)
        if self._end is not None:
            # After the rows that are being delivered.
            if not self._travelling:
                self._end_now()
            return False
        return outcome if isinstance(outcome, Idle) else None

    def _slice(self, feed: Generator[Any, None, Any], rows: list[Record]) -> Idle | tuple[Any] | None:
        """Read at most a slice; return Idle to wait, None to go on, a 1-tuple of the last seq at the end."""
        while len(rows) < SLICE:
            try:
                row = next(feed)
            except StopIteration as stop:
                return (stop.value if stop.value is not None or not rows else rows[-1]["seq"],)
            if isinstance(row, Idle):
                return row
            rows.append(row)
        return None

    def _send(self, rows: list[Record]) -> None:
        if not rows:
            return
        if self._unheard:
            self._collect(rows)
            return
        self._travelling = True
        self._lane.call(self._deliver, rows)

    def _collect(self, rows: list[Record]) -> None:
        self._passed += len(rows)
        self.last_seq = rows[-1]["seq"]
        if self._return_docs:
            self._results.extend(rows)

    def _result(self, last_seq: Any = None) -> Record:
        return Record(results=self._results, last_seq=self.last_seq if last_seq is None else last_seq)

    def _ended_at(self, last_seq: Any) -> None:
        self._over(self._result(last_seq))

    def _end_now(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end()

    def _over(self, result: Record) -> None:
        self._unsubscribe()
        close = getattr(self._rows, "close", None)
        if close is not None:
            close()
        self._finish(result)

    # -- on the loop -----------------------------------------------------------------------------

    def _deliver(self, rows: list[Record]) -> None:
        heard = bool(self._entries.get("change"))
        for number, row in enumerate(rows):
            if self.cancelled:
                break
            with self._hearing:
                # A reader may start at any row, in another thread.
                mailbox = self._mailbox
                if mailbox is None and not heard:
                    # No reader has started meanwhile: the rows are only for the result.
                    self._unheard = not cast("Changes", self._request).live
                    self._collect(rows[number:])
                    break
                if mailbox is None:
                    self._collect([row])
            if mailbox is not None:
                mailbox.put(row)
            if heard:
                self.emit("change", row)
        self._travelling = False
        if self._end is not None:
            self._end_now()
        else:
            self._wake()

    def _iterate(self, mailbox: Mailbox) -> None:
        """Put the rows delivered so far into the mailbox, then those that follow."""
        with self._stepping, self._hearing:
            self._unheard = False
            if self._passed and len(self._results) < self._passed:
                raise RuntimeError("rows of this feed went by already: iterate it at once, or listen to 'change'")
            for row in self._results:
                mailbox.put(row)
            self._results, self._return_docs = [], False
            self._mailbox = mailbox
        self._want()

    def _read(self, row: Record) -> None:
        self.last_seq = row["seq"]
        if not self._mailbox:
            self._wake()


def _call(method: weakref.WeakMethod[Callable[[], Any]]) -> Any:
    """Call a method of a feed that may have been collected; in that case it is over."""
    found = method()
    return False if found is None else found()


def _nothing() -> None:
    """Do nothing: there is nothing to unsubscribe."""
