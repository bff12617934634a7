"""Campaigns of asynchronous exceptions: what Ctrl-C, or a task's time limit, raises between any two steps of a call."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from pouchdb_core.errors import PouchDBError

__all__ = ["NO_SECOND", "Alarm", "SoftLimit", "Thrown", "on_alarm", "throw_into_threads"]

NO_SECOND = sys.version_info < (3, 11)
"""Whether this Python may skip the end of a ``with`` statement when a second interrupt comes: 3.10 does."""
PENDING = 20
"""Exceptions that may be on their way at a time."""


@contextmanager
def on_alarm(handler: Callable[..., Any]) -> Iterator[None]:
    """Handle SIGALRM with a function; afterwards no timer runs. On platforms with ``signal.setitimer`` only."""
    before = signal.signal(signal.SIGALRM, handler)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Alarm:
    """A handler for ``on_alarm`` that raises KeyboardInterrupt in the call that ``strike`` makes, and nowhere else."""

    _struck: FrameType | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        struck = self._struck
        while struck is not None and frame is not None:
            if frame is struck:
                raise KeyboardInterrupt
            frame = frame.f_back

    def strike(self, function: Callable[..., Any], *args: Any, after: float, every: float = 0.0) -> Any:
        """Call a function; interrupt it after some seconds and, unless it is 0, again every so many."""
        try:
            self._struck = sys._getframe()
            signal.setitimer(signal.ITIMER_REAL, after, every)
            return function(*args)
        finally:
            # Python 3.10 may skip this at a second interrupt: then the alarm finds this call on the stack no more.
            self._struck = None
            signal.setitimer(signal.ITIMER_REAL, 0)


class SoftLimit(Exception):
    """What Celery throws into a task."""


@dataclass
class Thrown:
    """The result of a campaign."""

    acknowledged: list[str] = field(default_factory=list)
    """Ids that calls returned before anything struck."""
    problems: list[BaseException | None] = field(default_factory=list)
    """What calls raised other than SoftLimit."""
    caught: int = 0
    """How many SoftLimits came out of a call."""


def throw_into_threads(
    work: Callable[[int], list[str]], numbers: Iterable[int], seconds: float, *, at_least: int = 0, pause: float = 0.001
) -> Thrown:
    """Throw SoftLimit into threads that work: one for each number, which calls ``work`` with that plus 20, 40...

    Goes on for ``seconds``, and until ``at_least`` of them were caught, unless all threads have ended before.
    """
    result = Thrown()
    stop = threading.Event()
    thrown = 0

    def run(number: int) -> None:
        n = number
        while not stop.is_set():
            try:
                n += 20
                result.acknowledged.extend(work(n))
            except SoftLimit:
                result.caught += 1
            except PouchDBError as error:
                result.problems.append(error)
                return

    def ended(args: threading.ExceptHookArgs, /) -> None:
        # SoftLimit: thrown while the loop above was between two calls; then its thread ends.
        if args.exc_type is not SoftLimit:
            result.problems.append(args.exc_value)

    report, threading.excepthook = threading.excepthook, ended
    try:
        threads = [threading.Thread(target=run, args=(each,), name="campaign", daemon=True) for each in numbers]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        while (time.monotonic() < end or result.caught < at_least) and any(each.is_alive() for each in threads):
            time.sleep(pause)
            for thread in threads:
                if thread.ident and thrown - result.caught < PENDING:
                    thrown += ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(thread.ident), ctypes.py_object(SoftLimit)
                    )
        stop.set()
        for thread in threads:
            while thread.is_alive():
                thread.join(10)
    finally:
        threading.excepthook = report
    return result
