"""The connections of a process: who has which, how many there are, and those whose borrower is gone.

An asynchronous exception (see ``adapters/write_lock`` of the core) may come between any two calls: after a connection
was taken and before anybody has it, or while it is given back. So each connection has a place, and whose the place is
is one entry of a dictionary, which ``setdefault`` makes in a single step. It names the call whose end is the end of the
loan: a place whose call has ended is free, and its connection is closed, with what it left open.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Generic, Protocol, TypeVar

from pouchdb_core.adapters.write_lock import Turn
from pouchdb_core.errors import DatabaseBusy, DatabaseClosed, Unreachable

__all__ = ["Lent", "Loan", "Pool"]

LOOK = 0.25
"""Seconds between two looks of a thread that waits for a connection."""
PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two attempts to connect."""


class Loan(Turn):
    """The use of a connection by a call. ``schema`` is that of its database, and ``writes`` whether it writes there."""

    __slots__ = ("over", "schema", "writes")

    def __init__(self, frame: FrameType | None, schema: str | None = None, *, writes: bool = False) -> None:
        super().__init__(frame)
        self.schema, self.writes = schema, writes
        self.over = False
        """Whether its end has begun. What is left of it then may be ended by its own thread."""

    def lost(self) -> bool:
        return (self.over and self.mine) or super().lost()


class Lent(Protocol):
    """A connection, as far as the pool knows it."""

    loan: Loan | None
    """Who uses it."""
    used: float
    """When it was given back."""
    fresh: bool
    """Whether it was made for its current user."""
    path: str
    """The schema it is at: another one costs a round trip, and its statements are planned again."""

    @property
    def closed(self) -> bool:
        """Whether it cannot be used any more."""

    def close(self) -> None:
        """Close it; further calls do nothing."""


S = TypeVar("S", bound=Lent)


class Pool(Generic[S]):
    """Lends at most ``most`` connections, which ``connect`` makes in the thread of the borrower."""

    def __init__(self, connect: Callable[[], S], most: int, timeout: float, idle: float, busy: str) -> None:
        self._connect, self._timeout, self._idle, self._busy = connect, timeout, idle, busy
        self._places: dict[int, Loan] = {}
        """Whose the places are that are not free."""
        self._sessions: list[S | None] = [None] * most
        """The connection of each place; it belongs to whom the place does."""
        self._waiting: deque[threading.Lock] = deque()
        self._ending = threading.RLock()
        """Held while lost loans are ended, which two threads must not do at once; a signal handler may, within."""
        self._closed = False
        self._swept = time.monotonic()

    def lend(self, loan: Loan) -> S:
        """Return a connection for a loan, until it is given back.

        Raises DatabaseBusy when none becomes free in time, DatabaseClosed, and what ``connect`` does; where the server
        cannot be reached it is tried again for as long.
        """
        deadline = time.monotonic() + self._timeout
        if self._places:
            self._end_lost(loan, elsewhere=False)
        try:
            return self._session(loan, self._take(loan, deadline), deadline)
        except BaseException:
            self._give(loan)
            raise

    def give_back(self, session: S) -> None:
        """Take back a connection; one that is broken is closed, and one that was taken away from the call."""
        loan = session.loan
        session.used = time.monotonic()
        if loan is None or not self._has(loan):
            session.close()
            return
        if self._closed:
            session.close()
        # A loan has the frame of a call, with all that was in it.
        session.loan = None
        self._give(loan)
        if session.used - self._swept > self._idle:
            self._swept = session.used
            self._sweep(session.used - self._idle)

    def drain(self) -> None:
        """Close the connections that nobody uses."""
        self._sweep(float("inf"))

    def close(self) -> None:
        """Close all connections: those in use when they are given back."""
        self._closed = True
        self.drain()

    # -- places ------------------------------------------------------------------------------------------

    def _take(self, loan: Loan, deadline: float) -> int:
        """Return a place that is the loan's now."""
        places = self._places
        while not self._closed:
            found = self._take_open(loan)
            if found is not None:
                return found
            for place in range(len(self._sessions)):
                if places.setdefault(place, loan) is loan:
                    return place
            if self._end_lost(loan, elsewhere=True):
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                raise DatabaseBusy(self._busy)
            waiter = threading.Lock()
            waiter.acquire()
            try:
                self._waiting.append(waiter)
                # One may have become free after the look, by a thread that did not see us.
                if len(places) == len(self._sessions):
                    waiter.acquire(timeout=min(LOOK, left))
            finally:
                try:
                    self._waiting.remove(waiter)
                except ValueError:
                    # It was woken.
                    pass
        raise DatabaseClosed("the environment is closed")

    def _take_open(self, loan: Loan) -> int | None:
        """Return a free place that has a connection, one at the loan's schema if there is; it is the loan's now."""
        others = []
        for place, session in enumerate(self._sessions):
            if session is None or session.closed:
                continue
            if session.path != loan.schema:
                others.append(place)
            elif self._places.setdefault(place, loan) is loan:
                return place
        return next((place for place in others if self._places.setdefault(place, loan) is loan), None)

    def _session(self, loan: Loan, place: int, deadline: float) -> S:
        pause = PAUSE
        while True:
            session = self._sessions[place]
            if session is not None and not session.closed:
                session.loan = loan
                return session
            try:
                session = self._sessions[place] = self._connect()
                session.fresh = True
            except (Unreachable, DatabaseBusy):
                if time.monotonic() + pause > deadline:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                # Where the server takes no more connections, one may have become free.
                found = self._take_open(loan)
                if found is not None:
                    del self._places[place]
                    place = found

    def _has(self, loan: Loan) -> bool:
        return any(each is loan for each in list(self._places.values()))

    def _give(self, loan: Loan) -> None:
        """Free the loan's place, if it has one, and wake one who waits."""
        places = self._places
        for place, owner in list(places.items()):
            if owner is loan:
                del places[place]
        try:
            self._waiting.popleft().release()
        except IndexError:
            pass

    def _end_lost(self, asking: Loan, *, elsewhere: bool) -> bool:
        """Free the places whose call has ended; return whether there was one.

        Without ``elsewhere`` only those that could hold up who asks: of the same thread, or writers of its database.
        """
        found = False
        for place, loan in list(self._places.items()):
            if loan is asking or not (
                elsewhere or loan.mine or (asking.writes and loan.writes and loan.schema == asking.schema)
            ):
                continue
            if not loan.lost():
                continue
            with self._ending:
                if self._places.get(place) is loan:
                    session = self._sessions[place]
                    if session is not None:
                        session.close()
                        session.loan = None
                    self._give(loan)
                    found = True
        return found

    def _sweep(self, before: float) -> None:
        """Close the free connections that were last used before a time."""
        for place in range(len(self._sessions)):
            session = self._sessions[place]
            if session is None or session.used >= before:
                continue
            loan = Loan(sys._getframe())
            try:
                if self._places.setdefault(place, loan) is loan:
                    session = self._sessions[place]
                    if session is not None and session.used < before:
                        self._sessions[place] = None
                        session.close()
            finally:
                self._give(loan)
