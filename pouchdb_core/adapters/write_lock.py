"""Whose turn it is: a lock that no asynchronous exception can lose.

A KeyboardInterrupt, a soft time limit or ``PyThreadState_SetAsyncExc`` may be raised between any two
calls: after a lock was taken and before that is recorded, or while it is being released. A plain
lock is then held forever without an owner. Here the lock *is* the record of its owner: one entry of a
dictionary, which ``setdefault`` makes in a single step. A thread that finds the turn taken can see by which, and
whether the function that took it is still running; a turn whose function has ended is ended by the
next thread that wants it.

CPython looks for such exceptions at the beginning of a function, after a call and when a loop goes
back. Statements that only move values are never interrupted, and ``pass_on`` is written that way.
"""

from __future__ import annotations

import gc
import inspect
import sys
import threading
from collections import deque
from types import FrameType
from typing import Any, Protocol

__all__ = ["Holding", "Reading", "Turn", "Turns", "Writing", "holder"]

LOOK = 1.0
"""Seconds between two checks of a waiting thread whether the turn still has an owner."""

_GENERATORS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_ITERABLE_COROUTINE


def _frame_of(thread: int) -> FrameType | None:
    """Return what another thread is running; None if it has ended.

    Before Python 3.12 a garbage collection within ``_current_frames`` may wait forever for a lock of the interpreter
    that the call itself holds (https://github.com/python/cpython/issues/106883), so none may begin there.
    """
    collects = sys.version_info < (3, 12) and gc.isenabled()
    try:
        if collects:
            gc.disable()
        return sys._current_frames().get(thread)
    finally:
        if collects:
            gc.enable()


class Turn:
    """A claim to be the only one: ``turns.take(turn)``, and ``turns.give(turn)`` in a ``finally``.

    ``frame`` is the call whose end is the end of the turn.
    """

    __slots__ = ("beneath", "frame", "thread")

    def __init__(self, frame: FrameType | None) -> None:
        self.frame = frame
        self.beneath: Turn | None = None
        """The turn that this one interrupts, and gives back to."""
        self.thread = threading.get_ident()

    @property
    def mine(self) -> bool:
        """Whether it is the calling thread's."""
        return self.thread == threading.get_ident()

    def lost(self) -> bool:
        """Return whether the call that took it ended without giving it back."""
        frame = self.frame
        found = sys._getframe() if self.mine else _frame_of(self.thread)
        if found is None:
            # The thread has ended.
            return True
        if frame is None or frame.f_code.co_flags & _GENERATORS or frame.f_globals.get("__name__") == "contextlib":
            # A suspended call, or one that leaves the end to another object (ExitStack), is not on any stack.
            return False
        while found is not None:
            if found is frame:
                return False
            found = found.f_back
        return True

    def abandon(self) -> None:
        """Undo what a lost turn left half done; called by the thread that ends it."""


def holder() -> FrameType:
    """Return the call with the ``with`` statement that is entering the calling context manager.

    Where the ``__enter__`` of another context manager enters that one, it is the call that enters the other.
    """
    frame = sys._getframe(2)
    while frame.f_code.co_name == "__enter__" and frame.f_back is not None:
        frame = frame.f_back
    return frame


class Reading(Turn):
    """A turn for one statement, in the middle of which the same thread (a signal handler) may do more."""

    __slots__ = ()


class Holding(Turn):
    """A turn as a context manager; does nothing if the thread already has one."""

    __slots__ = ("_taken", "_turns")

    def __init__(self, turns: Turns) -> None:
        super().__init__(None)
        self._turns, self._taken = turns, False

    def __enter__(self) -> None:
        self.frame = holder()
        owner = self._turns.owner
        if owner is not None and owner.mine and not self._turns.recover():
            return
        try:
            self._taken = True
            self._turns.take(self)
        except BaseException:
            self._turns.give(self)
            raise

    def __exit__(self, *exception: object) -> None:
        if self._taken:
            self._turns.give(self)


class Turns:
    """Gives turns, in the order in which they are requested."""

    __slots__ = ("_waiting", "record")

    def __init__(self) -> None:
        self.record: dict[int, Turn] = {}
        """The current turn under the key 0, if there is one."""
        self._waiting: deque[tuple[threading.Lock, Turn]] = deque()

    @property
    def owner(self) -> Turn | None:
        """The current turn."""
        return self.record.get(0)

    def take(self, turn: Turn, timeout: float | None = None) -> bool:
        """Wait until it is ``turn``'s turn; False if that takes longer than ``timeout`` seconds.

        Not for a thread that already has a turn. If this is left by an exception, ``give`` takes back
        what may have been taken.
        """
        owner = self.record
        while owner.setdefault(0, turn) is not turn:
            waiter = threading.Lock()
            waiter.acquire()
            entry = (waiter, turn)
            pause = LOOK if timeout is None else min(LOOK, timeout)
            try:
                self._waiting.append(entry)
                # It may have been given back after the check, by a thread that did not see us.
                woken = 0 not in owner or waiter.acquire(timeout=pause)
            finally:
                self._forget(entry)
            if woken:
                # It is handed over, or free.
                continue
            self.recover()
            if timeout is not None:
                timeout -= pause
                if timeout <= 0:
                    return owner.setdefault(0, turn) is turn
        return True

    def interrupt(self, turn: Turn, beneath: Turn) -> None:
        """Take the turn from one of the same thread, until ``turn`` is given back."""
        turn.beneath = beneath
        self.record[0] = turn

    def recover(self) -> bool:
        """End a lost turn; return whether there was one."""
        lost = self.owner
        if lost is None or not lost.lost():
            return False
        try:
            lost.abandon()
        finally:
            self.give(lost)
        return True

    def give(self, turn: Turn) -> None:
        """End a turn, if it is one, and wake the next."""
        owner, waiting = self.record, self._waiting
        try:
            # Nothing is called between the check and the deletion: it is done, or it is not.
            if owner[0] is not turn:
                return
        except KeyError:
            return
        beneath = turn.beneath
        if beneath is not None:
            owner[0] = beneath
            turn.frame = None
            return
        if not waiting:
            del owner[0]
            turn.frame = None
            if waiting:
                # It came in between, and may have checked before the deletion: it checks again.
                self._wake()
            return
        try:
            waiter, following = waiting.popleft()
        except IndexError:
            del owner[0]
            turn.frame = None
            return
        owner[0] = following
        turn.frame = None
        waiter.release()

    def _wake(self) -> None:
        try:
            self._waiting.popleft()[0].release()
        except IndexError:
            pass

    def _forget(self, entry: tuple[threading.Lock, Turn]) -> None:
        try:
            self._waiting.remove(entry)
        except ValueError:
            # It was woken.
            pass


class _Transacting(Protocol):
    """A transaction, as ``Writing`` drives it."""

    over: bool

    def enter(self, frame: FrameType) -> Any:
        """Begin, on behalf of the call of this frame; return what ``with`` gives."""

    def exit(self, kind: type[BaseException] | None) -> None:
        """Commit, or roll back if there was an exception of this kind."""

    def abandon(self) -> None:
        """Roll back what nobody will end any more."""


class Writing:
    """A write transaction as a context manager: it commits, or an exception rolls it back.

    An exception raised right at the beginning of ``__exit__`` leaves it open: then it ends
    when this object is deleted, or when the next writer begins.
    """

    __slots__ = ("_transaction",)

    def __init__(self, transaction: _Transacting) -> None:
        self._transaction = transaction

    def __enter__(self) -> Any:
        return self._transaction.enter(holder())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._transaction.exit(kind)

    def __del__(self) -> None:
        if not self._transaction.over:
            self._transaction.abandon()
