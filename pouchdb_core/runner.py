"""Run long-lived work in slices: live feeds and replications are generators that yield ``Idle``.

Any driver can run a generator. A ``Runner`` steps many of them on a few threads: work that waits costs
no thread, and a wait ends with ``wake()`` or its time-out, never by polling.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from pouchdb_core.errors import DatabaseClosed
from pouchdb_core.forks import renew_in_child

__all__ = ["Idle", "Job", "Runner"]

A = TypeVar("A")
B = TypeVar("B")

logger = logging.getLogger("pouchdb.live")

LINGER = 5.0
"""Seconds a thread waits for more work before it ends."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Yielded by work that has nothing to do until it is woken, or ``timeout`` seconds have passed.

    With ``timeout`` 0 it only lets others run; ``seq`` then says how far it has looked, so
    that a feed whose filter lets nothing through can report progress, keep it and be cancelled.
    """

    timeout: float | None = None
    seq: Any = None


class Job:
    """Work in slices. ``step()`` does one slice and returns Idle, None (continue) or False (finished).

    ``step`` is never called by two threads at once, nor in a forked child. It must not raise: what
    it raises is logged and ends the job. A finished job is not stepped again.
    """

    __slots__ = ("_runner", "deadline", "home", "over", "queued", "running", "step", "woken")

    def __init__(self, runner: Runner, step: Callable[[], Idle | bool | None]) -> None:
        self._runner = runner
        self.step = step
        self.home = runner.home
        self.queued = False
        self.running = False
        self.woken = False
        self.over = False
        self.deadline: float | None = None

    def wake(self) -> None:
        """Schedule another step; may be called at any time from any thread."""
        self._runner._wake(self)


class _Calls(Generic[A, B]):
    """The calls of one ``map``."""

    def __init__(self, function: Callable[[A], B], items: list[A]) -> None:
        self._function, self.items = function, items
        self._changed = threading.Condition()
        self._results: dict[int, B] = {}
        self._errors: dict[int, BaseException] = {}
        self._left = len(items)
        self._given_up = False

    def step(self, number: int) -> bool:
        try:
            if not self._given_up:
                self._results[number] = self._function(self.items[number])
        except BaseException as error:
            self._given_up = True
            self._errors[number] = error
        with self._changed:
            self._left -= 1
            if not self._left:
                self._changed.notify_all()
        return False

    def wait(self) -> list[B]:
        try:
            with self._changed:
                self._changed.wait_for(lambda: not self._left)
            if self._errors:
                raise self._errors[min(self._errors)]
            return [self._results[number] for number in range(len(self.items))]
        finally:
            # If the wait was interrupted, calls that have not begun are not needed. A traceback may refer to this.
            self._given_up = True
            self._errors = {}


class Runner:
    """Steps jobs on at most ``threads`` threads, which start on demand and end when there is nothing to do.

    A wait with a time-out costs one thread for all jobs. After a fork, a child starts without jobs:
    those of the parent stay with the parent.
    """

    def __init__(self, name: str, threads: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._most, self._clock = name, threads, clock
        self._closed = False
        self._reset()
        renew_in_child(self._reset)

    def _reset(self) -> None:
        self.home = object()
        """Stands for the process: jobs of another one are not stepped here."""
        self._condition = threading.Condition()
        self._ready: deque[Job] = deque()
        self._deadlines: list[tuple[float, int, Job]] = []
        self._waits = 0
        """How many of the deadlines still count."""
        self._order = itertools.count()
        self._threads: set[threading.Thread] = set()
        self._waiting = 0
        self._watched = False
        """Whether one of the waiting threads waits for the next deadline."""

    def job(self, step: Callable[[], Idle | bool | None]) -> Job:
        """Make a job; it runs when it is first woken."""
        return Job(self, step)

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Call a function once on a thread of the runner, after what was queued before."""

        def step() -> bool:
            function(*args)
            return False

        self.job(step).wake()

    def map(self, function: Callable[[A], B], items: Iterable[A]) -> list[B]:
        """Call a function for each item, on the runner's threads; wait, and return the results in the items' order.

        Raises the first error in that order, when no call is running any more; after an error no further call begins.
        Raises DatabaseClosed on a closed runner. Must not be called on a thread of the runner.
        """
        calls = _Calls(function, list(items))
        jobs = [self.job(partial(calls.step, number)) for number in range(len(calls.items))]
        with self._condition:
            if self._closed:
                raise DatabaseClosed("the environment is closed")
            for job in jobs:
                job.wake()
        return calls.wait()

    @property
    def closed(self) -> bool:
        """Whether it takes no more work."""
        return self._closed

    @property
    def threads(self) -> int:
        """The current number of threads."""
        return len(self._threads)

    def current(self) -> bool:
        """Return whether the calling thread is one of the runner's."""
        return threading.current_thread() in self._threads

    def close(self, timeout: float = 0.0) -> None:
        """Take no more work. Jobs that are ready are stepped once more; waits up to ``timeout`` seconds for it."""
        with self._condition:
            self._closed = True
            self._deadlines.clear()
            self._condition.notify_all()
            threads = tuple(self._threads)
            # Where no thread could be started any more, this one takes its place.
            alone = bool(self._ready) and not threads
            if alone:
                self._threads.add(threading.current_thread())
        if alone:
            self._step_ready()
        if timeout and threading.current_thread() not in threads:
            end = time.monotonic() + timeout
            for thread in threads:
                thread.join(max(0.0, end - time.monotonic()))

    def _step_ready(self) -> None:
        """Step each job that is ready once, in the calling thread, and what that makes ready."""
        try:
            while self._ready:
                with self._condition:
                    job = self._ready.popleft()
                    job.queued, job.over = False, True
                try:
                    job.step()
                except Exception:
                    logger.exception("%s: a job failed", self._name)
        finally:
            self._threads.discard(threading.current_thread())

    def _wake(self, job: Job) -> None:
        if job.home is not self.home:
            return
        with self._condition:
            if job.queued or job.over or (self._closed and threading.current_thread() not in self._threads):
                # What a last step has to report is still reported.
                return
            if job.running:
                # It may have looked just before there was something to see: look again.
                job.woken = True
                return
            self._queue(job)

    def _queue(self, job: Job) -> None:
        if job.deadline is not None:
            job.deadline = None
            self._waits -= 1
        job.queued = True
        self._ready.append(job)
        # A thread that was notified waits until it gets the lock: it has a job.
        if self._waiting >= len(self._ready):
            self._condition.notify()
        elif len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name=f"{self._name}-{next(self._order)}", daemon=True)
            self._threads.add(thread)
            try:
                thread.start()
            except BaseException as error:
                self._threads.discard(thread)
                if isinstance(error, RuntimeError) and "interpreter shutdown" in str(error):
                    # Since Python 3.12 functions of `atexit` can start none: `close` steps it, which they call next.
                    return
                if not self._threads:
                    # It would never be stepped.
                    self._ready.remove(job)
                    job.queued = False
                    raise
                logger.warning("%s: no further thread can be started", self._name)

    def _work(self) -> None:
        condition = self._condition
        while True:
            with condition:
                job = self._next()
                if job is None:
                    self._threads.discard(threading.current_thread())
                    return
                job.queued, job.running, job.woken = False, True, False
            try:
                outcome = job.step()
            except BaseException:
                logger.exception("%s: a job failed", self._name)
                outcome = False
            if condition is not self._condition:
                # The step forked, and this is the child.
                return
            with condition:
                job.running = False
                if outcome is False or (self._closed and not job.woken):
                    job.over = True
                elif job.woken or not isinstance(outcome, Idle) or outcome.timeout == 0:
                    self._queue(job)
                elif outcome.timeout is not None:
                    self._wait_for(job, outcome.timeout)
            # What the job holds may be dropped by its owner: not by a thread that waits for the next one.
            del job, outcome

    def _wait_for(self, job: Job, timeout: float) -> None:
        job.deadline = self._clock() + timeout
        self._waits += 1
        if len(self._deadlines) > 2 * self._waits + 64:
            # Jobs that were woken leave theirs behind.
            self._deadlines = [each for each in self._deadlines if each[2].deadline == each[0]]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (job.deadline, next(self._order), job))
        if self._deadlines[0][2] is job:
            # Another thread may be waiting for a later deadline.
            self._condition.notify()

    def _next(self) -> Job | None:
        """Wait for a job; None if this thread is no longer needed. Holds the condition."""
        while True:
            now = self._clock()
            while self._deadlines and self._deadlines[0][0] <= now:
                deadline, _, job = heapq.heappop(self._deadlines)
                # A job that was woken since has no or another deadline.
                if job.deadline == deadline:
                    job.deadline = None
                    self._waits -= 1
                    job.queued = True
                    self._ready.append(job)
            if self._ready:
                return self._ready.popleft()
            if self._closed:
                return None
            # One thread waits for the next deadline; the others may end.
            watching = bool(self._deadlines) and not self._watched
            timeout = max(0.0, self._deadlines[0][0] - now) if watching else LINGER
            self._watched = self._watched or watching
            self._waiting += 1
            try:
                notified = self._condition.wait(timeout)
            finally:
                self._waiting -= 1
                if watching:
                    self._watched = False
            if not notified and not watching and not self._ready and (self._watched or not self._deadlines):
                return None
