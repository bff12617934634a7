"""Scheduling: how many JavaScript calls run at a time, and in which order waiting calls begin.

Pure scheduling, without processes (client.py has those). Three rules limit the effect of a slow function to its own
database:

- First come, first served within a database; among databases one after the other.
- A database never has all the seats, however many of its calls wait.
- Slow databases together never have all the seats either. Slow is a database whose latest turn took longer than `SLOW`
  seconds, or whose present one does. A turn that became slow while it runs leaves its seat to a quick database, so that
  even functions not known to be slow hold up no others: more calls run meanwhile, at most twice the seats.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

SLOW = 0.1
"""Seconds after which a turn is slow."""
_REMEMBERED = 1000  # slow databases; a database that is forgotten is slow again with its next slow turn


class NoTurn(Exception):
    """The wait was longer than the caller's patience."""


class Closed(Exception):
    """No more turns are given."""


class _Turn:
    """A call that waits for its seat, and then has one."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.granted: threading.Event | None = None  # made when it has to wait
        self.began = 0.0

    def grant(self) -> None:
        """Wake the call."""
        assert self.granted is not None, "it waits"
        self.granted.set()


class Turns:
    """Seats for calls of databases. Thread-safe; not to be used after a fork."""

    def __init__(self, seats: int) -> None:
        if seats < 2:
            raise ValueError("with one seat a database would have all of them")
        self.seats = seats
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, deque[_Turn]] = OrderedDict()
        self._running: set[_Turn] = set()
        self._slow: OrderedDict[str, None] = OrderedDict()
        self._closed = False

    @contextmanager
    def turn(self, database: str, patience: float) -> Iterator[None]:
        """Wait for a seat and hold it. Raises NoTurn after `patience` seconds, and Closed."""
        turn = self._take(database, patience)
        try:
            yield
        finally:
            self._give_back(turn)

    @property
    def waiting(self) -> int:
        """The number of calls that wait."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    @property
    def running(self) -> int:
        """The number of calls that have a seat."""
        return len(self._running)

    def close(self) -> None:
        """End all waiting with Closed, now and later."""
        with self._lock:
            self._closed = True
            for queue in self._waiting.values():
                for turn in queue:
                    turn.grant()
            self._waiting.clear()

    def _take(self, database: str, patience: float) -> _Turn:
        turn = _Turn(database)
        with self._lock:
            if self._closed:
                raise Closed
            now = time.monotonic()
            if not self._waiting and self._may_run(database, now):
                turn.began = now
                self._running.add(turn)
                return turn
            turn.granted = threading.Event()
            self._waiting.setdefault(database, deque()).append(turn)
            self._seat()
        if turn in self._running:
            return turn
        try:
            self._wait(turn, time.monotonic() + patience)
        except BaseException:  # KeyboardInterrupt too: a call that no longer waits must not get a seat
            self._withdraw(turn)
            raise
        return turn

    def _wait(self, turn: _Turn, until: float) -> None:
        granted = turn.granted
        assert granted is not None, "it waits"
        while True:
            with self._lock:
                self._seat()
                changes = self._next_slow()
            now = time.monotonic()
            wake = until if changes is None else min(until, changes)
            if granted.wait(max(0.0, wake - now)):
                if turn not in self._running:
                    raise Closed
                return
            if time.monotonic() >= until:
                raise NoTurn

    def _withdraw(self, turn: _Turn) -> None:
        with self._lock:
            queue = self._waiting.get(turn.database)
            if queue is not None and turn in queue:
                queue.remove(turn)
                if not queue:
                    del self._waiting[turn.database]
            elif turn in self._running:
                self._running.discard(turn)
                self._seat()

    def _give_back(self, turn: _Turn) -> None:
        with self._lock:
            self._running.discard(turn)
            if time.monotonic() - turn.began > SLOW:
                self._slow[turn.database] = None
                self._slow.move_to_end(turn.database)
                if len(self._slow) > _REMEMBERED:
                    self._slow.popitem(last=False)
            else:
                self._slow.pop(turn.database, None)
            if self._waiting:
                self._seat()

    # ---- under the lock ----------------------------------------------------------------------------------------------

    def _seat(self) -> None:
        """Give seats to waiting calls, one database after the other, while the rules allow it."""
        seated = True
        while seated and self._waiting:
            now = time.monotonic()
            seated = False
            for database, queue in self._waiting.items():
                if self._may_run(database, now):
                    turn = queue.popleft()
                    turn.began = now
                    self._running.add(turn)
                    turn.grant()
                    if queue:
                        self._waiting.move_to_end(database)
                    else:
                        del self._waiting[database]
                    seated = True
                    break

    def _may_run(self, database: str, now: float) -> bool:
        own = slow = 0
        for turn in self._running:
            own += turn.database == database
            slow += turn.database in self._slow or now - turn.began > SLOW
        if own >= self.seats - 1 or len(self._running) >= 2 * self.seats:
            return False
        if database in self._slow:
            return slow < self.seats - 1 and len(self._running) < self.seats
        return len(self._running) - slow < self.seats

    def _next_slow(self) -> float | None:
        """Return when the next of the running turns becomes slow."""
        now = time.monotonic()
        begins = [turn.began for turn in self._running if now - turn.began <= SLOW]
        return min(begins) + SLOW if begins else None
