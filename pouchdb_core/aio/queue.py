"""The order of calls: PouchDB's transaction queue.

Calls on one database keep their order. Reads run together; a write waits for everything before it
and holds back what follows, so a write that was not awaited is seen by the read after it. Long reads
take their turn, and then hold back only calls that end the database: building an index takes minutes.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from typing import Any

from pouchdb_core.errors import DatabaseClosed
from pouchdb_core.forks import renew_in_child

__all__ = ["CallOrder", "Way"]

Call = Callable[[], Any]
Refuse = Callable[[BaseException], Any]


Start = Callable[[Call], None]
"""Calls a function on another thread, or raises RuntimeError."""


class Way(Enum):
    """How a call runs beside others."""

    READS = "reads"
    """Runs beside other reads; writes wait for it."""
    READS_LONG = "reads long"
    """A read that writes need not wait for."""
    WRITES = "writes"
    """Runs alone, except beside long reads."""
    ENDS = "ends"
    """Runs alone: closing and destroying."""


class _Turn:
    """One call, waiting in one or more queues."""

    __slots__ = ("call", "home", "missing", "queues", "refuse", "start", "way")

    def __init__(
        self, home: object, call: Call, refuse: Refuse, way: Way, start: Start, queues: list[_Queue]
    ) -> None:
        self.home = home
        self.call: Call | None = call
        self.refuse: Refuse | None = refuse
        self.way, self.start, self.queues = way, start, queues
        self.missing = len(queues)

    def drop(self) -> None:
        # It may refer to the promise that refers to it.
        self.call = self.refuse = None


class _Queue:
    __slots__ = ("long", "reading", "waiting", "writing")

    def __init__(self) -> None:
        self.waiting: deque[_Turn] = deque()
        self.reading = self.long = 0
        self.writing = False

    def lets(self, way: Way) -> bool:
        """Return whether the first waiting call may start."""
        if self.writing:
            return False
        if way is Way.READS or way is Way.READS_LONG:
            return True
        return not self.reading and (way is Way.WRITES or not self.long)

    def enter(self, way: Way) -> None:
        if way is Way.READS:
            self.reading += 1
        elif way is Way.READS_LONG:
            self.long += 1
        else:
            self.writing = True

    def leave(self, way: Way) -> None:
        if way is Way.READS:
            self.reading -= 1
        elif way is Way.READS_LONG:
            self.long -= 1
        else:
            self.writing = False


class CallOrder:
    """Makes calls when their turn comes. May be used from any thread.

    ``ended()`` is called whenever no call is left. A call enters all its queues at once, so no two
    calls wait for each other. A call made by a running call on the same database (a function of the
    user may do so) is part of the running one: it is made at once, or it would wait for ever.
    """

    def __init__(self, ended: Call) -> None:
        self._all_ended = ended
        self.closed = False
        self._reset()
        renew_in_child(self._reset)

    def _reset(self) -> None:
        # In a forked child: the waiting calls are the parent's, and the lock may have been held. A turn belongs to the
        # condition it was made under.
        self._condition = threading.Condition()
        self._queues: dict[str, _Queue] = {}
        self._within = threading.local()
        self.outstanding = 0
        """Calls that have not ended."""

    def submit(
        self, names: Iterable[str] | None, call: Call, refuse: Refuse, *, way: Way, start: Start
    ) -> Callable[[], None]:
        """Make ``call()`` in its turn among the calls of the names (None: among all). It must not raise.

        ``start(function)`` calls a function on another thread, or raises RuntimeError.
        ``refuse(error)`` is called if the call will never be made. Returns a function that withdraws a waiting call.
        """
        with self._condition:
            entered = None if self.closed or self._is_part(names) else self._enter(names, call, refuse, way, start)
        if entered is not None:
            turn, failed = entered
            self._give_up(failed)
            return lambda: self._take_back(turn)
        if self.closed:
            refuse(DatabaseClosed("the environment is closed"))
        else:
            call()
        return _nothing

    def _enter(
        self, names: Iterable[str] | None, call: Call, refuse: Refuse, way: Way, start: Start
    ) -> tuple[_Turn, list[tuple[_Turn, BaseException]]]:
        """Queue a call. The lock must be held."""
        wanted = self._queues if names is None else dict.fromkeys(names)
        queues = [self._queues.setdefault(name, _Queue()) for name in wanted or ("",)]
        turn = _Turn(self._condition, call, refuse, way, start, queues)
        self.outstanding += 1
        for queue in queues:
            queue.waiting.append(turn)
        return turn, self._go_on(queues)

    def within(self) -> bool:
        """Return whether the calling thread is making a call."""
        return getattr(self._within, "turn", None) is not None

    def _is_part(self, names: Iterable[str] | None) -> bool:
        """Return whether the calling thread makes a call that one on these databases would wait for. Under the lock."""
        turn: _Turn | None = getattr(self._within, "turn", None)
        if turn is None or names is None:
            return turn is not None
        wanted = [self._queues.get(name) for name in names]
        if any(queue in wanted for queue in turn.queues):
            return True
        # A call that waits for this one and is first in another queue holds up that queue.
        waiting = (each for queue in turn.queues for each in queue.waiting if len(each.queues) > 1)
        return any(queue in wanted for each in waiting for queue in each.queues)

    def close(self) -> None:
        """Refuse waiting and new calls; running calls are left to end."""
        with self._condition:
            self.closed = True
            waiting = {turn: None for queue in self._queues.values() for turn in queue.waiting}
            for queue in self._queues.values():
                queue.waiting.clear()
        for turn in waiting:
            self._refused(turn, DatabaseClosed("the environment is closed"))

    def enter(self) -> Call:
        """Count work that goes on after its call has ended; return the function that counts its end."""
        home = self._condition
        with home:
            self.outstanding += 1

        def leave() -> None:
            if home is self._condition:
                with home:
                    self._ended()

        return leave

    def wait(self, timeout: float) -> bool:
        """Wait until every call has ended; return False if ``timeout`` seconds pass first."""
        with self._condition:
            return self._condition.wait_for(lambda: not self.outstanding, timeout)

    def _take_back(self, turn: _Turn) -> None:
        with self._condition:
            if turn.call is None or not turn.missing or turn.home is not self._condition:
                return
            turn.drop()
            for queue in turn.queues:
                if turn in queue.waiting:
                    queue.waiting.remove(turn)
                else:
                    queue.leave(turn.way)
            self._ended()
            failed = self._go_on(turn.queues)
        self._give_up(failed)

    def _go_on(self, queues: Iterable[_Queue]) -> list[tuple[_Turn, BaseException]]:
        """Start calls whose turn has come in all their queues; return those that could not start. Under the lock."""
        failed: list[tuple[_Turn, BaseException]] = []
        for queue in queues:
            waiting = queue.waiting
            while waiting and queue.lets(waiting[0].way):
                turn = waiting.popleft()
                queue.enter(turn.way)
                turn.missing -= 1
                if turn.missing:
                    continue
                try:
                    turn.start(partial(self._make, turn))
                except RuntimeError as error:
                    # No thread can be started: the interpreter is exiting, or the machine is out of resources.
                    failed.append((turn, error))
        return failed

    def _give_up(self, failed: Iterable[tuple[_Turn, BaseException]]) -> None:
        for turn, error in failed:
            self._refused(turn, error)
            self._leave(turn)

    def _make(self, turn: _Turn) -> None:
        call = turn.call
        within = self._within
        within.turn = turn
        try:
            if call is not None:
                call()
        finally:
            within.turn = None
            turn.drop()
            del call
            # Unless the call forked, and this is the child.
            if turn.home is self._condition:
                with self._condition:
                    self._ended()
                self._leave(turn)

    def _leave(self, turn: _Turn) -> None:
        with self._condition:
            for queue in turn.queues:
                queue.leave(turn.way)
            failed = self._go_on(turn.queues)
            if self.outstanding == 0:
                # Names come and go; queues of unused names are removed.
                self._queues.clear()
        self._give_up(failed)

    def _refused(self, turn: _Turn, error: BaseException) -> None:
        refuse = turn.refuse
        turn.drop()
        if refuse is not None:
            refuse(error)
        with self._condition:
            self._ended()

    def _ended(self) -> None:
        self.outstanding -= 1
        if not self.outstanding:
            self._condition.notify_all()
            self._all_ended()


def _nothing() -> None:
    """Do nothing: the call was refused already, so there is nothing to withdraw."""
