"""The handles of replications: one direction, and both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any

from pouchdb_core.errors import PouchDBError
from pouchdb_core.events import CallLog
from pouchdb_core.live.handle import LiveHandle
from pouchdb_core.replication.replicate import Event, Replicator
from pouchdb_core.results import Record
from pouchdb_core.runner import Idle, Job, Runner

__all__ = ["Replication", "Sync", "replicate_now"]

Run = Generator[Any, None, Record]
STEPS = 10
"""Events a replication goes on for before others get their turn."""


def replicate_now(run: Run, on_change: Callable[[Record], Any] | None = None) -> Record:
    """Replicate in the calling thread; return the result."""
    pause = threading.Event()
    while True:
        try:
            event = next(run)
        except StopIteration as stop:
            result: Record = stop.value
            return result
        if isinstance(event, Idle):
            # Only a retry waits here, for its time.
            pause.wait(event.timeout)
        elif event.name == "change" and on_change is not None:
            on_change(event.argument)


class Replication(LiveHandle):
    """A replication in the background.

    Events: ``change`` (counters so far, ``docs`` of the batch, ``pending``), ``paused`` (error or
    None), ``active``, ``denied`` (error), ``checkpoint``, then ``complete`` (result) or ``error``
    (error, whose ``result`` tells how far it got). ``state``, ``pending``, ``last_seq``,
    ``attempt``, ``next_retry_at``, ``last_error`` tell how it is going.
    """

    def __init__(
        self,
        replicator: Replicator,
        subscribe: Callable[[Callable[[], None]], Callable[[], None]],
        calls: CallLog,
        dispatcher: Runner,
        workers: Runner,
    ) -> None:
        super().__init__(calls, dispatcher)
        self.replicator = replicator
        self._run = replicator.run()
        self._job: Job = workers.job(self._step)
        # Before the first read, so that no write falls between.
        self._unsubscribe = subscribe(self._job.wake)
        self._job.wake()

    def __getattr__(self, name: str) -> Any:
        # Only asked for what is not an attribute of the handle.
        if name in ("state", "pending", "last_seq", "attempt", "next_retry_at", "last_error", "source", "target"):
            return getattr(self.replicator, name)
        raise AttributeError(name)

    def cancel(self) -> None:
        """Stop after the batch that is being written; what was done is remembered."""
        if not self.cancelled and not self.done:
            self.cancelled = True
            self._job.wake()

    def _step(self) -> Idle | bool | None:
        for _ in range(STEPS):
            if self.cancelled:
                return self._end(None)
            try:
                event = next(self._run)
            except StopIteration as stop:
                self._unsubscribe()
                self._finish(stop.value)
                return False
            except Exception as error:
                self._unsubscribe()
                self._finish(error=error)
                return False
            if isinstance(event, Idle):
                return event
            self._event(event)
        return None

    def _event(self, event: Event) -> None:
        self._tell(event.name, *(() if event.name == "active" else (event.argument,)))

    def _end(self, _: None) -> bool:
        self._unsubscribe()
        self._run.close()
        self._finish(self.replicator.result("cancelled"))
        return False


class Sync(LiveHandle):
    """Two replications that go on together: ``push`` and ``pull``.

    Events carry the direction: ``change {direction, change}``, ``denied {direction, doc}``,
    ``active {direction}``; ``paused`` comes when both are, ``complete {push, pull}`` when both are
    over, ``error`` when one failed (which ends the other). ``canceled`` is the original's spelling.
    """

    def __init__(self, push: Replication, pull: Replication, calls: CallLog, dispatcher: Runner) -> None:
        super().__init__(calls, dispatcher)
        self.push, self.pull = push, pull
        self._results: dict[str, Any] = {}
        self._paused: set[str] = set()
        for direction, each in (("push", push), ("pull", pull)):
            self._follow(direction, each)

    @property
    def canceled(self) -> bool:
        """Whether ``cancel()`` was called."""
        return self.cancelled

    def cancel(self) -> None:
        """Stop both directions."""
        if not self.cancelled and not self.done:
            self.cancelled = True
            self.push.cancel()
            self.pull.cancel()

    # Everything below runs on the dispatcher's one thread, so it needs no lock.

    def _follow(self, direction: str, each: Replication) -> None:
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
            if len(self._results) == 2:
                answer = Record(push=self._results["push"], pull=self._results["pull"])
                if self.cancelled:
                    answer["status"] = "cancelled"
                self._finish(answer)

        def failed(error: BaseException) -> None:
            (self.pull if direction == "push" else self.push).cancel()
            self._finish(error=error)

        each.on("change", changed).on("denied", denied).on("active", active).on("paused", paused)
        each.on("complete", complete).on("error", failed)
