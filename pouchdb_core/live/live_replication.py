"""The handles of replications: one direction, and both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import PouchDBError
from pouchdb_core.events import CallLog
from pouchdb_core.live.live_handle import LiveHandle
from pouchdb_core.replication.replicate import Event, Replicator
from pouchdb_core.results import Record
from pouchdb_core.runner import Idle, Job, Runner

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["LiveReplication", "Replication", "Sync", "replicate_now"]

Run = Generator[Any, None, Record]
STEPS = 10
"""Events a replication emits before others get their turn; those that only announce others do not count."""
AHEAD = 2
"""Changes it may be ahead of its listeners: those they have not seen are in memory."""
MEMBERS = (
    "attempt",
    "denied_count",
    "last_error",
    "last_seq",
    "next_retry_at",
    "pending",
    "source",
    "state",
    "target",
)

_UNDERWAY = frozenset(["pending", "active", "paused"])
_STATES = ("failed", "active", "pending", "paused", "cancelled", "complete")
"""Of the states of two directions the one that comes first here is the state of both."""


def replicate_now(run: Run, on_change: Callable[[Record], Any] | None = None) -> Record:
    """Replicate in the calling thread; return the result."""
    pause = threading.Event()
    with closing(run):
        while True:
            try:
                event = next(run)
            except StopIteration as stop:
                result: Record = stop.value
                return result
            if isinstance(event, Idle):
                # Only a retry waits here, until it is due.
                pause.wait(event.timeout)
            elif event.name == "change" and on_change is not None:
                on_change(event.argument)


class LiveReplication(LiveHandle):
    """The base of replications and syncs: a caller can wait until nothing is left to do."""

    def idle(self, timeout: float | None = None) -> Any:
        """Wait until the target has all that the source had at the time of this call; return whether it has.

        A source on a server counts as far as it has reported its changes. For a sync: both sides. Refused documents
        count as done (see ``denied_count``). Returns False if it was cancelled before. Raises the error it
        ended with, TimeoutError after ``timeout`` seconds; a pending retry is waited for.
        """
        self._check_process()
        self._let_run()
        self._doubt()
        arrived = threading.Event()
        self.on_idle(arrived.set)
        if not arrived.wait(timeout):
            raise TimeoutError(f"not up to date after {timeout} seconds")
        return self._was_idle()

    def on_idle(self, function: Callable[[], None]) -> None:
        """Call ``function`` once it is up to date or over, in the thread that finds it; at once if it is."""
        raise NotImplementedError

    def _was_idle(self) -> bool:
        """Return whether an idle or ended replication is up to date; raise the error it ended with."""
        for each in self._ways():
            if each._error is not None:
                self._seen = each._seen = True
                raise each._error
        return all(not each.done or each._outcome["status"] == "complete" for each in self._ways())

    def _doubt(self) -> None:
        """Ask the servers whether they still have the replicated databases."""
        for each in self._ways():
            each._look_again()

    def _ways(self) -> tuple[Replication, ...]:
        """Return the replications it is made of."""
        raise NotImplementedError

    def _let_run(self) -> None:
        """Let them run ahead of listeners that cannot be called now."""
        raise NotImplementedError


class Replication(LiveReplication):
    """A replication in the background.

    Events: ``change`` (counters so far, ``docs`` just written, ``pending``), ``paused`` (error or
    None), ``active``, ``denied`` (error), ``requestError`` (error; then it waits to try again),
    ``cancel``, then ``complete`` (result) or ``error`` (error, whose ``result`` says how far it
    got); ``checkpoint`` with ``pending_batch``, ``start_next_batch`` (the seq a batch goes to),
    ``revs_diff`` (its last change) or ``checkpoint`` (the saved seq). ``state``,
    ``pending``, ``last_seq``, ``denied_count``, ``attempt``, ``next_retry_at``, ``last_error`` report
    its progress. ``for change in handle`` yields the arguments of ``change`` events until it is over.
    """

    def __init__(
        self,
        replicator: Replicator,
        subscribe: Callable[[Callable[[], None]], Callable[[], None]],
        calls: CallLog,
        dispatcher: Runner,
        workers: Runner,
        *,
        run: Callable[[], Generator[Any, None, Any]] | None = None,
    ) -> None:
        """``run`` is stepped in place of ``replicator.run``, which it wraps."""
        super().__init__(calls, dispatcher)
        self._unbegun()
        self._begin(replicator, subscribe, workers, run)

    def _unbegun(self) -> None:
        self._stepping = threading.Lock()
        self._untold = 0
        """Changes that listeners have not seen yet."""
        self._telling = threading.RLock()
        self._when_idle: list[Callable[[], None]] = []

    def _about(self) -> str:
        replicator = getattr(self, "replicator", None)
        if replicator is None:
            # Of asyncio, before its turn.
            return "cancelled" if self.cancelled else "pending"
        return f"of {replicator.source.name!r} to {replicator.target.name!r}, {self.state}"

    def _begin(
        self,
        replicator: Replicator,
        subscribe: Callable[[Callable[[], None]], Callable[[], None]],
        workers: Runner,
        run: Callable[[], Generator[Any, None, Any]] | None = None,
    ) -> None:
        self.replicator = replicator
        self._run = (run or replicator.run)()
        self._job: Job = workers.job(self._step)
        replicator.wake = self._job.wake
        # Before the first read, so that no write is missed.
        self._unsubscribe = subscribe(self._job.wake)
        self._job.wake()

    if TYPE_CHECKING:
        attempt: int
        denied_count: int
        last_error: BaseException | None
        last_seq: Any
        next_retry_at: float | None
        pending: int
        source: Database
        state: str
        target: Database
    else:

        def __getattr__(self, name: str) -> Any:
            # Only called for names that are not attributes of the handle.
            if name in MEMBERS:
                found = getattr(self.replicator, name)
                # As in PouchDB: at once, also while a batch is written that ends it.
                return "cancelled" if name == "state" and self.cancelled and found in _UNDERWAY else found
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __iter__(self) -> Iterator[Record]:
        self._check_process()
        return _changes(self)

    def cancel(self) -> None:
        """Stop after the batch that is being written; the progress so far is saved."""
        if self.cancelled or self.done:
            return
        self.cancelled = True
        if not self._mine():
            return
        self._tell("cancel")
        if self._stepping.acquire(blocking=False):
            # It waits: end it at once, while its databases are still open.
            try:
                self._end()
            finally:
                self._stepping.release()
        else:
            # It may be waiting for a server.
            self.replicator.interrupt()
            self._job.wake()

    def wait(self, timeout: float | None = None) -> Any:
        self._let_run()
        return super().wait(timeout)

    def _let_run(self) -> None:
        if self._dispatcher.current():
            # Its listeners cannot be called while one of them waits here.
            with self._telling:
                self._untold = -(2**62)
            self._job.wake()

    def on_idle(self, function: Callable[[], None]) -> None:
        """Call ``function`` once it is up to date or over, in the thread that finds it; at once if it is."""
        with self._telling:
            self._when_idle.append(function)
        self._look_if_idle()

    def _ways(self) -> tuple[Replication, ...]:
        return (self,)

    def _is_idle(self) -> bool:
        replicator = self.replicator
        return not self.cancelled and replicator.state == "paused" and not replicator.doubted and not replicator.pending

    def _look_again(self) -> None:
        self.replicator.doubt()
        self._job.wake()

    def _look_if_idle(self) -> None:
        if self._when_idle and (self.done or self._is_idle()):
            with self._telling:
                functions, self._when_idle = self._when_idle, []
            for function in functions:
                function()

    def _finish(self, outcome: Any = None, error: BaseException | None = None) -> None:
        super()._finish(outcome, error)
        self._look_if_idle()

    def _step(self) -> Idle | bool | None:
        outcome = self._steps()
        if isinstance(outcome, Idle):
            self._look_if_idle()
        return outcome

    def _steps(self) -> Idle | bool | None:
        with self._stepping:
            turns = 0
            while turns < STEPS:
                if self.done:
                    return False
                if self.cancelled:
                    self._end()
                    return False
                if self._untold >= AHEAD:
                    return Idle()
                try:
                    event = next(self._run)
                except StopIteration as stop:
                    self._unsubscribe()
                    self._finish(stop.value)
                    return False
                except BaseException as error:
                    self._unsubscribe()
                    self._fail(error)
                    return False
                if isinstance(event, Idle):
                    return event
                self._event(event)
                turns += event.name != "checkpoint" or "checkpoint" in event.argument
        return None

    def _fail(self, error: BaseException) -> None:
        if self.cancelled:
            # A side was closed while it ran, and it was notified.
            self.replicator.state = "cancelled"
            self._finish(self.replicator.result("cancelled"))
        else:
            self._finish(error=error)

    def _hold(self, count: int) -> None:
        """Count changes that a listener or iterator has not seen yet; with too many the replication waits."""
        with self._telling:
            self._untold += count
        if count < 0:
            self._job.wake()

    def _event(self, event: Event) -> None:
        if event.name == "change":
            self._hold(1)
            self._dispatcher.call(self._change, event.argument)
        else:
            self._tell(event.name, *(() if event.name == "active" else (event.argument,)))

    def _change(self, change: Record) -> None:
        try:
            self._emit_or_keep("change", change)
        finally:
            self._hold(-1)

    def _end(self) -> None:
        self._unsubscribe()
        self._run.close()
        # Also when it had not begun.
        self.replicator.state = "cancelled"
        self._finish(self.replicator.result("cancelled"))


def _changes(handle: Replication | Sync) -> Iterator[Record]:
    """Yield the changes of a handle in the iterating thread; the replication does not run far ahead of it."""
    condition = threading.Condition()
    waiting: list[Record] = []
    over: list[bool] = []

    def changed(change: Record) -> None:
        handle._hold(1)
        with condition:
            waiting.append(change)
            condition.notify_all()

    def ended() -> None:
        with condition:
            over.append(True)
            condition.notify_all()

    def over_soon() -> None:
        # After the changes that are still to be yielded.
        dispatcher.call(ended)
        if getattr(dispatcher, "closed", False):
            ended()

    dispatcher = handle._dispatcher
    handle.on("change", changed)
    handle.on_done(over_soon)
    try:
        while True:
            with condition:
                condition.wait_for(lambda: waiting or over)
                told, waiting[:] = list(waiting), []
            if not told:
                handle.wait()
                return
            for change in told:
                handle._hold(-1)
                yield change
    finally:
        handle.remove_listener("change", changed)


class Sync(LiveReplication):
    """Two replications that run together: ``push`` and ``pull``.

    Events carry the direction: ``change {direction, change}``, ``denied {direction, doc}``,
    ``active {direction}``; ``paused`` comes when both are paused, or with the error of one that tries
    again; ``complete {push, pull}`` when both are over, ``error`` when one failed. Whatever ends
    one ends the other. ``canceled`` is the original's spelling. ``state``, ``pending``, ``denied_count``,
    ``attempt``, ``next_retry_at`` and ``last_error`` are of both together.
    """

    def __init__(self, push: Replication, pull: Replication, calls: CallLog, dispatcher: Runner) -> None:
        super().__init__(calls, dispatcher)
        self.push, self.pull = push, pull
        self._results: dict[str, Any] = {}
        self._paused: set[str] = set()
        for direction, each in (("push", push), ("pull", pull)):
            self._follow(direction, each)

    def _about(self) -> str:
        replicator = getattr(self.push, "replicator", None)
        if replicator is None:
            return "cancelled" if self.cancelled else "pending"
        return f"of {replicator.source.name!r} and {replicator.target.name!r}, {self.state}"

    @property
    def canceled(self) -> bool:
        """Whether ``cancel()`` was called."""
        return self.cancelled

    @property
    def state(self) -> str:
        """``failed`` or ``active`` if one of them is; else ``pending``, ``paused``, ``cancelled`` or ``complete``."""
        states = {each.state for each in self._ways()}
        return next(state for state in _STATES if state in states)

    @property
    def pending(self) -> int:
        """How many changes of both databases are still to be processed."""
        return sum(each.pending for each in self._ways())

    @property
    def denied_count(self) -> int:
        """How many revisions refused by either database are still to be tried again."""
        return sum(each.denied_count for each in self._ways())

    @property
    def attempt(self) -> int:
        """Failures in a row of the direction that has failed most often in a row."""
        return max(each.attempt for each in self._ways())

    @property
    def next_retry_at(self) -> float | None:
        """When the first of them tries again, in seconds since 1970."""
        return min((each.next_retry_at for each in self._ways() if each.next_retry_at is not None), default=None)

    @property
    def last_error(self) -> BaseException | None:
        """The last error of the direction that is to be tried again, or else of either."""
        errors = [each.last_error for each in sorted(self._ways(), key=lambda each: -each.attempt)]
        return next((error for error in errors if error is not None), None)

    def __iter__(self) -> Iterator[Record]:
        self._check_process()
        return _changes(self)

    def cancel(self) -> None:
        """Stop both directions."""
        if not self.cancelled and not self.done:
            self.cancelled = True
            self.push.cancel()
            self.pull.cancel()

    def wait(self, timeout: float | None = None) -> Any:
        if self._dispatcher.current() and not self.done:
            # The end is delivered on the thread that would wait for it.
            raise RuntimeError("wait() of a sync cannot be called by a listener")
        return super().wait(timeout)

    def on_idle(self, function: Callable[[], None]) -> None:
        """Call ``function`` once both are up to date or over, in the thread that finds it; at once if they are."""

        def look() -> None:
            # Documents written by one direction may be new for the other.
            if all(each.done or each._is_idle() for each in self._ways()):
                function()
            else:
                self.on_idle(function)

        self.push.on_idle(lambda: self.pull.on_idle(look))

    def _ways(self) -> tuple[Replication, ...]:
        return self.push, self.pull

    def _let_run(self) -> None:
        for each in self._ways():
            each._let_run()

    def _hold(self, count: int) -> None:
        self.push._hold(count)
        self.pull._hold(count)

    # Everything below runs on the dispatcher's one thread, so it needs no lock.

    def _follow(self, direction: str, each: Replication) -> None:
        other = self.pull if direction == "push" else self.push

        def changed(change: Record) -> None:
            self._emit_or_keep("change", Record(direction=direction, change=change))

        def denied(doc: Record) -> None:
            self._emit_or_keep("denied", Record(direction=direction, doc=doc))

        def active() -> None:
            self._paused.discard(direction)
            self._emit_or_keep("active", Record(direction=direction))

        def paused(error: PouchDBError | None) -> None:
            self._paused.add(direction)
            if error is not None or len(self._paused) == 2:
                self._emit_or_keep("paused", error)

        def complete(result: Record) -> None:
            self._results[direction] = result
            if result["status"] != "complete":
                other.cancel()
            if len(self._results) == 2:
                answer = Record(push=self._results["push"], pull=self._results["pull"])
                if self.cancelled or "cancelled" in (answer["push"]["status"], answer["pull"]["status"]):
                    answer["status"] = "cancelled"
                self._finish(answer)

        def failed(error: BaseException) -> None:
            other.cancel()
            self._finish(error=error)

        each.on("change", changed).on("denied", denied).on("active", active).on("paused", paused)
        each.on("complete", complete).on("error", failed)
