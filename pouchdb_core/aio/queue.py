"""The order of calls: PouchDB's transaction queue.

Calls on one database keep their order. Reads run together; a write waits for everything before it
and holds back what follows, so a write that was not awaited is seen by the read after it.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from pouchdb_core.errors import DatabaseClosed

__all__ = ["CallOrder"]

Call = Callable[[], Any]
Refuse = Callable[[BaseException], Any]


class _Turn:
    """One call, waiting in one or more queues."""

    __slots__ = ("call", "missing", "queues", "reads", "refuse")

    def __init__(self, call: Call, refuse: Refuse, reads: bool, queues: list[_Queue]) -> None:
        self.call: Call | None = call
        self.refuse: Refuse | None = refuse
        self.reads, self.queues = reads, queues
        self.missing = len(queues)

    def drop(self) -> None:
        # It may hold the promise that holds it.
        self.call = self.refuse = None


class _Queue:
    __slots__ = ("reading", "waiting", "writing")

    def __init__(self) -> None:
        self.waiting: deque[_Turn] = deque()
        self.reading = 0
        self.writing = False


class CallOrder:
    """Makes calls in their turn, on threads of ``start``. May be used from any thread.

    ``start(function)`` has a function called on another thread, or raises RuntimeError. ``ended()``
    is called whenever no call is left. A call enters all its queues at once, so no two calls wait
    for each other.
    """

    def __init__(self, start: Callable[[Call], None], ended: Call) -> None:
        self._start, self._all_ended = start, ended
        self.closed = False
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._condition = threading.Condition()
        self._queues: dict[str, _Queue] = {}
        self.outstanding = 0
        """Calls that have not ended."""

    def submit(self, names: Iterable[str] | None, call: Call, refuse: Refuse, *, reads: bool) -> Callable[[], None]:
        """Have ``call()`` made in its turn among those of the names (None: among all). It must not raise.

        ``refuse(error)`` is called when it never will be. Returns what takes it back while it waits.
        """
        if self._pid != os.getpid():
            # A forked child: what waits is the parent's, and its lock may have been taken.
            self._reset()
        with self._condition:
            closed = self.closed
            if not closed:
                wanted = self._queues if names is None else dict.fromkeys(names)
                queues = [self._queues.setdefault(name, _Queue()) for name in wanted or ("",)]
                turn = _Turn(call, refuse, reads, queues)
                self.outstanding += 1
                for queue in queues:
                    queue.waiting.append(turn)
                failed = self._go_on(queues)
        if closed:
            refuse(DatabaseClosed("the environment is closed"))
            return _nothing
        self._give_up(failed)
        return lambda: self._take_back(turn)

    def close(self) -> None:
        """Refuse what waits and what comes; calls that run end by themselves."""
        with self._condition:
            self.closed = True
            waiting = {turn: None for queue in self._queues.values() for turn in queue.waiting}
            for queue in self._queues.values():
                queue.waiting.clear()
        for turn in waiting:
            self._refused(turn, DatabaseClosed("the environment is closed"))

    def enter(self) -> None:
        """Count something that goes on after its call has ended."""
        with self._condition:
            self.outstanding += 1

    def leave(self) -> None:
        """It has ended."""
        with self._condition:
            self._ended()

    def wait(self, timeout: float) -> bool:
        """Wait until every call has ended; False when ``timeout`` seconds went by first."""
        if self._pid != os.getpid():
            return True
        with self._condition:
            return self._condition.wait_for(lambda: not self.outstanding, timeout)

    def _take_back(self, turn: _Turn) -> None:
        with self._condition:
            if turn.call is None or not turn.missing:
                return
            turn.drop()
            for queue in turn.queues:
                if turn in queue.waiting:
                    queue.waiting.remove(turn)
                else:
                    self._left(queue, turn)
            self._ended()
            failed = self._go_on(turn.queues)
        self._give_up(failed)

    def _go_on(self, queues: Iterable[_Queue]) -> list[tuple[_Turn, BaseException]]:
        """Start those whose turn has come in all their queues; return those that could not be. Holds the lock."""
        failed: list[tuple[_Turn, BaseException]] = []
        for queue in queues:
            waiting = queue.waiting
            while waiting and not queue.writing and (waiting[0].reads or not queue.reading):
                turn = waiting.popleft()
                if turn.reads:
                    queue.reading += 1
                else:
                    queue.writing = True
                turn.missing -= 1
                if turn.missing:
                    continue
                try:
                    self._start(partial(self._make, turn))
                except RuntimeError as error:
                    # No thread can be started: the interpreter ends, or the machine is full.
                    failed.append((turn, error))
        return failed

    def _give_up(self, failed: Iterable[tuple[_Turn, BaseException]]) -> None:
        for turn, error in failed:
            self._refused(turn, error)
            self._leave(turn)

    def _make(self, turn: _Turn) -> None:
        call = turn.call
        try:
            if call is not None:
                call()
        finally:
            turn.drop()
            del call
            with self._condition:
                self._ended()
            self._leave(turn)

    def _leave(self, turn: _Turn) -> None:
        with self._condition:
            for queue in turn.queues:
                self._left(queue, turn)
            failed = self._go_on(turn.queues)
            if self.outstanding == 0:
                # Names come and go; queues of names that nobody uses need not stay.
                self._queues.clear()
        self._give_up(failed)

    def _left(self, queue: _Queue, turn: _Turn) -> None:
        if turn.reads:
            queue.reading -= 1
        else:
            queue.writing = False

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
    """It was refused already: there is nothing to take back."""
