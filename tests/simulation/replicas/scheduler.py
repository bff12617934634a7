"""Time and turns: a clock that only goes on when it is told to, and a runner that steps jobs when it is told to."""

from __future__ import annotations

import random
from collections.abc import Iterator, MutableSet
from typing import Any

from pouchdb_core.runner import Idle, Job, Runner

__all__ = ["Clock", "InOrder", "Turns"]


class InOrder(MutableSet[Any]):
    """A set that knows in which order it was filled; that of others is by addresses."""

    def __init__(self) -> None:
        self._members: dict[Any, None] = {}

    def __contains__(self, member: object) -> bool:
        return member in self._members

    def __iter__(self) -> Iterator[Any]:
        return iter(tuple(self._members))

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: Any) -> None:
        self._members[member] = None

    def discard(self, member: Any) -> None:
        self._members.pop(member, None)


class Clock:
    """The time, in seconds; the world began in 2026."""

    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> float:
        return 1_767_225_600 + self.time


class Turns(Runner):
    """Steps jobs one at a time, in the thread of the caller, in the order the caller chooses.

    What wakes a job, and when it may sleep, is as in ``Runner``.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, threads=0, clock=clock.monotonic)
        self._time = clock
        self.ready: list[Job] = []
        self.sleeping: list[Job] = []

    def _wake(self, job: Job) -> None:
        if job.over:
            return
        if job.running:
            job.woken = True
        elif not job.queued:
            job.queued, job.deadline = True, None
            self.ready.append(job)
            if job in self.sleeping:
                self.sleeping.remove(job)

    def drop(self, job: Job) -> None:
        """Forget a job whose process was killed."""
        job.over = True
        for jobs in (self.ready, self.sleeping):
            if job in jobs:
                jobs.remove(job)

    def step(self, chance: random.Random | None = None, *, job: Job | None = None) -> None:
        """Step a job that is ready: the given one, one by chance, or the first."""
        if job is None:
            job = self.ready[0] if chance is None else chance.choice(self.ready)
        self.ready.remove(job)
        job.queued, job.running, job.woken = False, True, False
        outcome: Idle | bool | None = False
        try:
            outcome = job.step()
        finally:
            job.running = False
        if outcome is False:
            job.over = True
        elif job.woken or not isinstance(outcome, Idle) or outcome.timeout == 0:
            self._wake(job)
        elif outcome.timeout is not None:
            job.deadline = self._time.time + outcome.timeout
            self.sleeping.append(job)

    def tick(self, seconds: float) -> None:
        """Let time go by."""
        self._time.time += seconds
        for job in list(self.sleeping):
            if job.deadline is not None and job.deadline <= self._time.time:
                self._wake(job)

    def sleep(self) -> bool:
        """Let time go by until something is ready; False when nothing ever will be."""
        if not self.sleeping:
            return False
        soonest = min(job.deadline or 0.0 for job in self.sleeping)
        # A hair more: a difference of floats may fall short of the deadline.
        self.tick(max(0.0, soonest - self._time.time) + 1e-6)
        return True
