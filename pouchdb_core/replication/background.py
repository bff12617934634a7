"""Requests of a replication in separate threads: it can go on meanwhile, and stop waiting for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pouchdb_core.errors import DatabaseClosed

__all__ = ["Background", "Interrupted", "Task"]

T = TypeVar("T")

WORTH = 0.01
"""Seconds: waiting longer than this for an answer costs more than a thread."""


class Interrupted(DatabaseClosed):
    """Raised in a waiting call when its answer is no longer wanted."""

    default_message = "the replication was cancelled"


class Task(Generic[T]):
    """A call that runs in a thread."""

    def __init__(self, owner: Background, call: Callable[[], T], when_done: Callable[[], None] | None) -> None:
        self._owner, self._call, self._when_done = owner, call, when_done
        self._answer: T | None = None
        self._error: BaseException | None = None
        self.done = False

    def run(self) -> None:
        """Make the call, in the thread."""
        try:
            self._answer = self._call()
        except BaseException as error:
            self._error = error
        with self._owner.condition:
            self.done = True
            self._owner.condition.notify_all()
        if self._when_done is not None:
            self._when_done()

    def result(self) -> T:
        """Wait for the answer and return it, or raise the error. Raises Interrupted."""
        owner = self._owner
        with owner.condition:
            owner.condition.wait_for(lambda: self.done or owner.interrupted)
            if not self.done:
                raise Interrupted()
        if self._error is not None:
            raise self._error
        return self._answer  # type: ignore[return-value]  # it is done


class Background:
    """Starts calls, each in a thread: there are few, and they wait for a server most of the time."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.interrupted = False

    def start(self, call: Callable[[], T], when_done: Callable[[], None] | None = None) -> Task[T]:
        """Make a call in a thread; ``when_done`` is called in that thread at its end."""
        task = Task(self, call, when_done)
        threading.Thread(target=task.run, name="pouchdb-replication", daemon=True).start()
        return task

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call and wait for the answer until interrupted. Raises Interrupted."""
        if self.interrupted:
            raise Interrupted()
        return self.start(lambda: function(*args)).result()

    def together(self, *calls: Callable[[], object]) -> None:
        """Make calls, concurrently where a server is slow. Raises the first error in their order, Interrupted."""
        left = list(calls)
        while left:
            start = time.monotonic()
            left.pop(0)()
            if time.monotonic() - start > WORTH:
                break
        tasks = [self.start(call) for call in left]
        # No call is still running when the caller handles an error.
        with self.condition:
            self.condition.wait_for(lambda: self.interrupted or all(task.done for task in tasks))
        for task in tasks:
            task.result()

    def interrupt(self) -> None:
        """End all waiting; running calls are left to end, and their answers are ignored."""
        with self.condition:
            self.interrupted = True
            self.condition.notify_all()
