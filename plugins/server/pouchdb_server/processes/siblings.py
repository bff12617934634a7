"""What the processes that serve one place ask and tell each other.

Documents need none of it: every process reads and writes the same storage. It is for what is in the memory of one
process only: long work under way, replications, counters, databases that are open.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from pouchdb_core import Slot

__all__ = ["ANSWER", "ASK", "ASKED", "HERE", "LEFT", "PATIENCE", "READY", "SIBLINGS", "STOP", "Others", "Siblings"]

logger = logging.getLogger("pouchdb.server")

PATIENCE = 2.0
"""Seconds to wait for the answers of others: one that does not answer counts as if it were not there."""
PAUSE = 0.02
"""Seconds that notes are collected for."""

HERE, READY, ASK, ANSWER = "here", "ready", "ask", "answer"
"""What a process sends to its parent."""
ASKED, LEFT, STOP = "asked", "left", "stop"
"""What the parent sends, beside answers."""

Handler = Callable[..., Any]


class _Question:
    """What was asked, and the answers so far."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.done = threading.Event()


class Siblings:
    """The other processes that serve the same place; none at first, which costs nothing.

    Values that are sent are pickled: plain data. Handlers run on threads of this class, one after the other what was
    told or noted, in the order in which it was sent by one process.
    """

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._handlers: dict[str, list[Handler]] = {}
        self._questions: dict[int, _Question] = {}
        self._numbers = itertools.count()
        self._sending = threading.Lock()
        self._told: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self._notes: dict[str, dict[Any, None]] = {}
        self._noting = threading.Condition()

    @property
    def exist(self) -> bool:
        """Whether this is one of several processes."""
        return self._connection is not None

    def join(self, connection: Connection, stop: Callable[[], None]) -> None:
        """Be one of several from now on; ``stop()`` is called when this process has to end, or its parent is gone."""
        self._connection = connection
        for name, run in (("reader", self._read), ("teller", self._hear), ("notes", self._send_notes)):
            arguments = (stop,) if run == self._read else ()
            threading.Thread(target=run, args=arguments, name=f"pouchdb-siblings-{name}", daemon=True).start()
        self.report(HERE)

    def close(self) -> None:
        """Ask and tell nothing any more; what is being asked gets no more answers."""
        if self._connection is not None:
            self._connection = None
            self._told.put(None)
            with self._noting:
                self._noting.notify()

    def report(self, kind: str, *values: Any) -> None:
        """Send something to the parent. What cannot be sent any more is dropped: the parent is gone, and so are we."""
        connection = self._connection
        if connection is not None:
            with self._sending, contextlib.suppress(OSError):
                connection.send((kind, *values))

    # -- handlers --------------------------------------------------------------------------------

    def on(self, name: str, handler: Handler) -> Callable[[], None]:
        """Have ``handler(*arguments)`` called for what others ask or tell, until the returned function is called."""
        self._handlers.setdefault(name, []).append(handler)

        def off() -> None:
            with contextlib.suppress(ValueError):
                self._handlers[name].remove(handler)

        return off

    # -- asking and telling ----------------------------------------------------------------------

    def ask(self, name: str, *arguments: Any) -> list[Any]:
        """Return what the handlers of the others return, without None; [] where there are no others."""
        return self._asked(name, arguments, True)

    def tell(self, name: str, *arguments: Any) -> None:
        """Have the handlers of the others called; returns when they were, so that everybody knows."""
        self._asked(name, arguments, False)

    def send(self, name: str, *arguments: Any) -> None:
        """Have the handlers of the others called soon, after those of what was told and noted before."""
        if self._connection is not None:
            self._flush()
            self.report(ASK, None, name, arguments, False)

    def note(self, name: str, value: Any) -> None:
        """Have handlers of the others called soon with a list of values; the same value counts once."""
        if self._connection is None:
            return
        with self._noting:
            self._notes.setdefault(name, {})[value] = None
            if len(self._notes) == 1:
                self._noting.notify()

    def _asked(self, name: str, arguments: tuple[Any, ...], wants: bool) -> list[Any]:
        if self._connection is None:
            return []
        self._flush()
        number, question = next(self._numbers), _Question()
        self._questions[number] = question
        try:
            self.report(ASK, number, name, arguments, wants)
            if not question.done.wait(PATIENCE):
                logger.warning("another process of this server does not answer (%s)", name)
            return [each for each in question.answers if each is not None]
        finally:
            del self._questions[number]

    def _send_notes(self) -> None:
        while True:
            with self._noting:
                self._noting.wait_for(lambda: self._notes or self._connection is None)
                if self._connection is None:
                    return
                # A burst of writes is one message.
                self._noting.wait_for(lambda: self._connection is None, PAUSE)
            self._flush()

    def _flush(self) -> None:
        if self._notes:
            # Sent under the lock, so that nothing overtakes them.
            with self._noting:
                notes, self._notes = self._notes, {}
                for name, values in notes.items():
                    self.report(ASK, None, name, (list(values),), False)

    # -- what comes ------------------------------------------------------------------------------

    def _read(self, stop: Callable[[], None]) -> None:
        connection = self._connection
        assert connection is not None, "it has joined"
        try:
            while True:
                self._received(connection.recv(), stop)
        except (EOFError, OSError):
            # The parent is gone, and with it what holds the sockets.
            stop()

    def _received(self, message: tuple[Any, ...], stop: Callable[[], None]) -> None:
        kind, *values = message
        if kind == ANSWER:
            number, answers, left = values
            question = self._questions.get(number)
            if question is not None:
                question.answers.extend(answers)
                if not left:
                    question.done.set()
        elif kind == STOP:
            stop()
        elif kind == LEFT:
            self._told.put((None, LEFT, (), False))
        elif values[3]:
            # It may take its time: others are not to wait.
            threading.Thread(target=self._answer, args=values, name="pouchdb-siblings-answer", daemon=True).start()
        else:
            self._told.put(tuple(values))

    def _hear(self) -> None:
        while (told := self._told.get()) is not None:
            self._answer(*told)

    def _answer(self, back: Any, name: str, arguments: Sequence[Any], wants: bool) -> None:
        answers = []
        for handler in tuple(self._handlers.get(name, ())):
            try:
                answers.append(handler(*arguments))
            except Exception:
                # Who asked goes on without it.
                logger.exception("%s, asked by another process of this server, failed", name)
        if back is not None:
            self.report(ANSWER, back, answers if wants else [])


class Others:
    """The other processes, as the servers of one view of the environment know them: each prefix is by itself."""

    def __init__(self, siblings: Siblings, prefix: str) -> None:
        self._siblings, self._prefix = siblings, prefix

    @property
    def exist(self) -> bool:
        """Whether this is one of several processes."""
        return self._siblings.exist

    def on(self, name: str, handler: Handler) -> Callable[[], None]:
        """See ``Siblings.on``."""
        return self._siblings.on(f"{self._prefix}/{name}", handler)

    def ask(self, name: str, *arguments: Any) -> list[Any]:
        """See ``Siblings.ask``."""
        return self._siblings.ask(f"{self._prefix}/{name}", *arguments)


SIBLINGS: Slot[Siblings] = Slot("other processes of the server", lambda environment: Siblings(), Siblings.close)
