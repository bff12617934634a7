"""The order of calls on one database: PouchDB's transaction queue.

Reads run together; a write waits for everything before it and holds back what follows. So a write
that was not awaited is seen by the read after it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

__all__ = ["CallQueue"]

Call = Callable[[], Any]


class _Entry:
    __slots__ = ("call", "cancelled", "reads")

    def __init__(self, call: Call, reads: bool) -> None:
        self.call, self.reads, self.cancelled = call, reads, False


class CallQueue:
    """Runs calls of one database on an executor, in order. May be used from any thread."""

    def __init__(self, executor: Callable[[], Executor]) -> None:
        self._executor = executor
        self._lock = threading.Lock()
        self._waiting: deque[_Entry] = deque()
        self._reading = 0
        self._writing = False

    def submit(self, call: Call, *, reads: bool) -> Callable[[], None]:
        """Have ``call()`` made in its turn; it must not raise. Returns what takes it back while it waits."""
        entry = _Entry(call, reads)
        with self._lock:
            self._waiting.append(entry)
        self._pump()

        def cancel() -> None:
            entry.cancelled = True

        return cancel

    def _pump(self) -> None:
        ready: list[_Entry] = []
        with self._lock:
            while self._waiting and not self._writing:
                entry = self._waiting[0]
                if entry.cancelled:
                    self._waiting.popleft()
                elif entry.reads:
                    self._waiting.popleft()
                    self._reading += 1
                    ready.append(entry)
                elif not self._reading:
                    self._waiting.popleft()
                    self._writing = True
                    ready.append(entry)
                else:
                    break
        for entry in ready:
            self._executor().submit(self._run, entry)

    def _run(self, entry: _Entry) -> None:
        try:
            entry.call()
        finally:
            with self._lock:
                if entry.reads:
                    self._reading -= 1
                else:
                    self._writing = False
            self._pump()
