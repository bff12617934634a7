"""The parent of the processes that serve one place: starts them, replaces them, passes on their messages to each other.

It opens no database and answers no request, so it is always free to pass messages on. Our own code: uvicorn's
supervisor gives all processes one queue of connections, ends one that is too busy to answer for five seconds in the
middle of its work, and has no way for them to communicate.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any

from pouchdb_server.processes.child import Plan, work
from pouchdb_server.processes.shares import Share, shares
from pouchdb_server.processes.siblings import ANSWER, ASK, ASKED, HERE, LEFT, READY, STOP
from pouchdb_server.serve import GRACE

__all__ = ["Parent", "WorkerFailed"]

logger = logging.getLogger("pouchdb.server")

LONGEST_START = 60.0
"""Seconds a process may take until it listens."""
LONGEST_END = GRACE + 10.0
"""Seconds it may take to end: for requests under way, then for databases and replications."""
AGAIN = 1.0
"""Seconds after which a process that ended before it was ready is started again."""

ENDED, SIGNAL = "ended", "signal"


class WorkerFailed(Exception):
    """A process failed at its first start; it has written why."""


class _Worker:
    """One process, as its parent sees it: a queue of messages to it, and a thread for messages from it."""

    def __init__(
        self,
        place: int,
        plan: Plan,
        listening: socket.socket,
        share: Share | None,
        events: SimpleQueue[tuple[Any, ...]],
    ) -> None:
        self.place = place
        """Which of the sockets it listens on."""
        self.is_here = self.is_ready = self.is_leaving = False
        self.deadline = time.monotonic() + LONGEST_START
        """When it must be ready, or have ended."""
        self._events = events
        self._outbox: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        context = multiprocessing.get_context("spawn")
        self._connection: Connection
        self._connection, theirs = context.Pipe()
        arguments = (plan, listening, share, theirs)
        self.process = context.Process(target=work, args=arguments, name=f"pouchdb-serve-{place}")
        self.process.start()
        # Used by these two only: it closes when the process ends.
        theirs.close()
        for run in (self._read, self._write):
            threading.Thread(target=run, name=f"pouchdb-serve-{place}", daemon=True).start()

    def send(self, *message: Any) -> None:
        """Send it a message; never waits, since a process that is stopped takes nothing."""
        self._outbox.put(message)

    def stop(self) -> None:
        """Make it complete what is under way, and end."""
        if not self.is_leaving:
            self.is_leaving = True
            self.deadline = time.monotonic() + LONGEST_END
            self.send(STOP)

    def _read(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                kind, *values = self._connection.recv()
                self._events.put((kind, self, *values))
        self._outbox.put(None)
        self.process.join()
        self._events.put((ENDED, self))

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while (message := self._outbox.get()) is not None:
                self._connection.send(message)


class Parent:
    """Keeps a process for each of the sockets until ``stop()``, SIGINT or SIGTERM; SIGHUP is ``renew()``."""

    def __init__(
        self, plan: Plan, sockets: Sequence[socket.socket], started: Callable[[], None] = lambda: None
    ) -> None:
        """``started()`` is called when all of them answer requests."""
        self._plan, self._sockets, self._started = plan, sockets, started
        # Where all processes share one socket, the next connection goes to any that is free.
        apart = len({each.fileno() for each in sockets}) > 1
        self._shares: Sequence[Share | None] = shares(len(sockets)) if apart else [None] * len(sockets)
        self._events: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
        self._workers: list[_Worker] = []
        self._has_started = self._stopping = self._failed = False
        self._renewals: deque[int] = deque()
        """Places whose processes are still to be replaced."""
        self._renewed: _Worker | None = None
        """The process that is to take over from another one."""
        self._due: dict[int, float] = {}
        """When to start a process again, by place."""
        self._asked: dict[tuple[_Worker, int], set[_Worker]] = {}
        """The processes whose answers are missing, by the one that asked."""

    def stop(self) -> None:
        """End all of them: what is under way has time to complete, and nothing is lost. From any thread."""
        self._events.put((SIGNAL, None, signal.SIGTERM))

    def renew(self) -> None:
        """Replace one after the other: each ends when its replacement is ready. From any thread."""
        self._events.put((SIGNAL, None, signal.SIGHUP if hasattr(signal, "SIGHUP") else None))

    @property
    def pids(self) -> list[int]:
        """The processes that answer requests, in the order of the sockets."""
        ready = [each for each in self._workers if each.is_ready and not each.is_leaving]
        return [each.process.pid or 0 for each in sorted(ready, key=lambda each: each.place)]

    def run(self) -> None:
        """Serve until it is stopped. Raises WorkerFailed when one fails at its first start."""
        try:
            with self._signals():
                for place in range(len(self._sockets)):
                    self._start(place)
                while self._workers or self._due:
                    self._handle(self._next())
                    self._look_at_clocks()
        finally:
            for each in self._workers:
                each.process.kill()
            for share in self._shares:
                if share is not None:
                    share.close()
        if self._failed:
            raise WorkerFailed("a process of the server ended before it could answer")

    # -- what happens ----------------------------------------------------------------------------

    def _next(self) -> tuple[Any, ...] | None:
        clocks = [each.deadline for each in self._workers if each.is_leaving or not each.is_ready]
        first = min((*clocks, *self._due.values()), default=None)
        try:
            return self._events.get(timeout=None if first is None else max(0.0, first - time.monotonic()) + 0.01)
        except Empty:
            return None

    def _handle(self, event: tuple[Any, ...] | None) -> None:
        if event is None:
            return
        kind, worker, *values = event
        if kind == ASK:
            self._ask(worker, *values)
        elif kind == ANSWER:
            (asker, number), answers = values
            self._answered(worker, next((each for each in self._workers if id(each) == asker), None), number, answers)
        elif kind == HERE:
            worker.is_here = True
        elif kind == READY:
            self._is_ready(worker)
        elif kind == ENDED:
            self._has_ended(worker)
        elif values[0] == getattr(signal, "SIGHUP", None):
            self._renewals = deque(range(len(self._sockets)))
            self._renew_next()
        else:
            self._stop()

    def _start(self, place: int) -> _Worker:
        self._due.pop(place, None)
        made = _Worker(place, self._plan, self._sockets[place], self._shares[place], self._events)
        self._workers.append(made)
        return made

    def _is_ready(self, worker: _Worker) -> None:
        worker.is_ready = True
        if not self._has_started and all(each.is_ready for each in self._workers):
            self._has_started = True
            self._started()
        if worker is self._renewed:
            old = [each for each in self._workers if each.place == worker.place and each is not worker]
            for each in old:
                each.stop()
            if not old:
                self._renewed = None
                self._renew_next()

    def _has_ended(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        self._forget(worker)
        for each in self._workers:
            each.send(LEFT)
        if self._stopping:
            return
        if not self._has_started:
            self._failed = True
            self._stop()
        elif worker is self._renewed:
            logger.error("a new process did not start: the ones that run stay")
            self._renewed = None
            self._renewals.clear()
            self._restart(worker)
        elif worker.is_leaving:
            self._renewed = None
            self._renew_next()
        else:
            logger.error("process %s ended with %s and is replaced", worker.process.pid, worker.process.exitcode)
            self._restart(worker)

    def _restart(self, worker: _Worker) -> None:
        """Start another process in place of one that ended by itself, unless there is one."""
        if any(each.place == worker.place and not each.is_leaving for each in self._workers):
            return
        share = self._shares[worker.place]
        if share is not None:
            share.is_away()
        if worker.is_ready:
            self._start(worker.place)
        else:
            self._due[worker.place] = time.monotonic() + AGAIN

    def _renew_next(self) -> None:
        if self._renewed is None and self._renewals and not self._stopping:
            self._renewed = self._start(self._renewals.popleft())

    def _stop(self) -> None:
        self._stopping = True
        self._renewals.clear()
        self._due.clear()
        for each in self._workers:
            each.stop()

    def _look_at_clocks(self) -> None:
        now = time.monotonic()
        for each in self._workers:
            if each.deadline < now and (each.is_leaving or not each.is_ready):
                logger.error("process %s took too long to %s", each.process.pid, "end" if each.is_leaving else "start")
                each.process.kill()
                each.deadline = now + LONGEST_END
        for place, due in tuple(self._due.items()):
            if due <= now:
                self._start(place)

    # -- requests between processes ----------------------------------------------------------------

    def _ask(self, asker: _Worker, number: int | None, name: str, arguments: tuple[Any, ...], wants: bool) -> None:
        others = [each for each in self._workers if each is not asker and each.is_here]
        back = None if number is None else (id(asker), number)
        for each in others:
            each.send(ASKED, back, name, arguments, wants)
        if number is not None:
            if others:
                self._asked[asker, number] = set(others)
            else:
                asker.send(ANSWER, number, [], 0)

    def _answered(self, worker: _Worker, asker: _Worker | None, number: int, answers: list[Any]) -> None:
        missing = None if asker is None else self._asked.get((asker, number))
        if asker is None or missing is None:
            return
        missing.discard(worker)
        if not missing:
            del self._asked[asker, number]
        asker.send(ANSWER, number, answers, len(missing))

    def _forget(self, worker: _Worker) -> None:
        """Stop waiting for answers from a process that has ended, and for answers to it."""
        for asker, number in tuple(self._asked):
            if asker is worker:
                del self._asked[asker, number]
            elif worker in self._asked[asker, number]:
                self._answered(worker, asker, number, [])

    # -- signals ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def note() -> None:
            with theirs:
                while numbers := theirs.recv(16):
                    for number in numbers:
                        if number in before:
                            self._events.put((SIGNAL, None, number))

        names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
        # A handler in Python runs once the main thread is back from the queue it waits for, and a signal that another
        # thread gets, or that comes just before the wait, does not bring it back. Their numbers are written at once.
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        wakeup = signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)
        before = {
            getattr(signal, name): signal.signal(getattr(signal, name), lambda number, frame: None) for name in names
        }
        threading.Thread(target=note, name="pouchdb-serve-signals", daemon=True).start()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
            ours.close()
