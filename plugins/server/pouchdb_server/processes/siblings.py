"""Requests and notices between the processes that serve one place.

Documents do not need it: every process reads and writes the same storage. It is for what is in the memory of one
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
"""Seconds to wait for answers of others: a process that does not answer is treated as absent."""
PAUSE = 0.02
"""Seconds for which notes are collected."""

HERE, READY, ASK, ANSWER = "here", "ready", "ask", "answer"
"""What a process sends to its parent."""
ASKED, LEFT, STOP = "asked", "left", "stop"
"""What the parent sends, apart from answers."""

Handler = Callable[..., Any]


class _Question:
    """A request, and the answers so far."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.done = threading.Event()


class Siblings:
    """The other processes that serve the same place; none at first, which costs nothing.

    Values that are sent are pickled: plain data. Handlers run on threads of this class, one at a time, notices and
    notes in the order in which one process sent them.
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
        """Become one of several; ``stop()`` is called when this process has to end, or its parent is gone."""
        self._connection = connection
        for name, run in (("reader", self._read), ("teller", self._hear), ("notes", self._send_notes)):
            arguments = (stop,) if run == self._read else ()
            threading.Thread(target=run, args=arguments, name=f"pouchdb-siblings-{name}", daemon=True).start()
        self.report(HERE)

    def close(self) -> None:
        """Stop sending; requests under way get no more answers."""
        if self._connection is not None:
            self._connection = None
            self._told.put(None)
            with self._noting:
                self._noting.notify()

    def report(self, kind: str, *values: Any) -> None:
        """Send a message to the parent. It is dropped if the parent is gone: then this process ends too."""
        connection = self._connection
        if connection is not None:
            with self._sending, contextlib.suppress(OSError):
                connection.send((kind, *values))

    # -- handlers --------------------------------------------------------------------------------

    def on(self, name: str, handler: Handler) -> Callable[[], None]:
        """Call ``handler(*arguments)`` for messages of others, until the returned function is called."""
        self._handlers.setdefault(name, []).append(handler)

        def off() -> None:
            with contextlib.suppress(ValueError):
                self._handlers[name].remove(handler)

        return off

    # -- sending messages -----------------------------------------------------------------------

    def ask(self, name: str, *arguments: Any) -> list[Any]:
        """Return the results of the others' handlers, without None; [] where there are no others."""
        return self._asked(name, arguments, True)

    def tell(self, name: str, *arguments: Any) -> None:
        """Call the handlers of the others; returns when all of them were called."""
        self._asked(name, arguments, False)

    def send(self, name: str, *arguments: Any) -> None:
        """Call the handlers of the others soon, after those of earlier notices and notes."""
        if self._connection is not None:
            self._flush()
            self.report(ASK, None, name, arguments, False)

    def note(self, name: str, value: Any) -> None:
        """Call handlers of the others soon with a list of values, in which equal values occur once."""
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

    # -- received messages -------------------------------------------------------------------------------

    def _read(self, stop: Callable[[], None]) -> None:
        connection = self._connection
        assert connection is not None, "it has joined"
        try:
            while True:
                self._received(connection.recv(), stop)
        except (EOFError, OSError):
            # The parent is gone, and with it the holder of the sockets.
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
            # It may take long: others should not wait.
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
                # The process that asked goes on without the answer.
                logger.exception("%s, asked by another process of this server, failed", name)
        if back is not None:
            self.report(ANSWER, back, answers if wants else [])


class Others:
    """The other processes, as the servers of one view of the environment know them: each prefix is separate."""

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
