"""Runs long-lived work in slices: live feeds and replications are generators that yield ``Idle``.

One generator, any driver. A ``Runner`` steps many of them on a few threads: work that waits costs
no thread, and a wait ends by ``wake()`` or by its time-out, never by polling.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Idle", "Job", "Runner"]

logger = logging.getLogger("pouchdb.live")

LINGER = 5.0
"""Seconds a thread waits for more work before it ends."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Yielded by work that has nothing to do until it is woken, or ``timeout`` seconds went by."""

    timeout: float | None = None


class Job:
    """Work in slices. ``step()`` does one slice and returns Idle, None (go on) or False (over).

    ``step`` is never called by two threads at once. It must not raise: what it raises is logged
    and ends the job.
    """

    def __init__(self, runner: Runner, step: Callable[[], Idle | bool | None]) -> None:
        self._runner = runner
        self.step = step
        self.queued = False
        self.running = False
        self.woken = False
        self.deadline: float | None = None

    def wake(self) -> None:
        """Have it stepped (again); may be called at any time from any thread."""
        self._runner._wake(self)


class Runner:
    """Steps jobs on at most ``threads`` threads, which start on demand and end when there is nothing to do.

    After a fork a child starts with no jobs: those of the parent are the parent's.
    """

    def __init__(self, name: str, threads: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._most, self._clock = name, threads, clock
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._condition = threading.Condition()
        self._ready: deque[Job] = deque()
        self._deadlines: list[tuple[float, int, Job]] = []
        self._order = itertools.count()
        self._threads = 0
        self._waiting = 0
        self._closed = False

    def job(self, step: Callable[[], Idle | bool | None]) -> Job:
        """Make a job; it runs when it is first woken."""
        return Job(self, step)

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Call a function once on a thread of the runner, after what was queued before."""

        def step() -> bool:
            function(*args)
            return False

        self.job(step).wake()

    @property
    def threads(self) -> int:
        """How many threads there are just now."""
        return self._threads if self._pid == os.getpid() else 0

    def close(self) -> None:
        """Take no more work. What is ready is still stepped once; nothing is waited for."""
        if self._pid != os.getpid():
            return
        with self._condition:
            self._closed = True
            self._deadlines.clear()
            self._condition.notify_all()

    def _wake(self, job: Job) -> None:
        if self._pid != os.getpid():
            self._reset()
        with self._condition:
            if self._closed or job.queued:
                return
            if job.running:
                # It may have looked just before there was something to see: look again.
                job.woken = True
                return
            self._queue(job)

    def _queue(self, job: Job) -> None:
        job.queued, job.deadline = True, None
        self._ready.append(job)
        if self._waiting:
            self._condition.notify()
        elif self._threads < self._most:
            self._threads += 1
            threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()

    def _work(self) -> None:
        condition = self._condition
        while True:
            with condition:
                job = self._next()
                if job is None:
                    self._threads -= 1
                    return
                job.queued, job.running, job.woken = False, True, False
            try:
                outcome = job.step()
            except BaseException:
                logger.exception("%s: a job failed", self._name)
                outcome = False
            with condition:
                job.running = False
                if outcome is False or self._closed:
                    continue
                if job.woken or not isinstance(outcome, Idle):
                    self._queue(job)
                elif outcome.timeout is not None:
                    job.deadline = self._clock() + outcome.timeout
                    heapq.heappush(self._deadlines, (job.deadline, next(self._order), job))
                    # Another thread may be waiting for a later deadline.
                    condition.notify()

    def _next(self) -> Job | None:
        """Wait for a job; None when this thread is not needed any more. Holds the condition."""
        while not (self._closed and not self._ready):
            now = self._clock()
            while self._deadlines and self._deadlines[0][0] <= now:
                deadline, _, job = heapq.heappop(self._deadlines)
                # A job that was woken since has no or another deadline.
                if job.deadline == deadline and not job.queued and not job.running:
                    job.queued, job.deadline = True, None
                    self._ready.append(job)
            if self._ready:
                return self._ready.popleft()
            timeout = LINGER
            if self._deadlines:
                timeout = max(0.0, self._deadlines[0][0] - now)
            self._waiting += 1
            try:
                notified = self._condition.wait(timeout)
            finally:
                self._waiting -= 1
            if not notified and not self._deadlines and not self._ready:
                return None
        return None
