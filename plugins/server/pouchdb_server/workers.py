"""The hand-off to threads: how many run at a time is limited by the bulkheads.

Made by hand for two reasons, both measured or tried: a hand-off of anyio takes 45 us and one of concurrent.futures
31 to 46, this one 20, of about 250 that a get takes; and the program waits for their threads when it ends, so that
one function that hangs would keep it from ending.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

__all__ = ["Workers"]

T = TypeVar("T")


class Workers:
    """Runs functions on threads and gives their results to the event loop.

    A thread is made when none is free; threads stay, since each has its own connections to databases.
    """

    def __init__(self, name: str = "pouchdb-server") -> None:
        self._name = name
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        """Calls whose end the loop has not seen; only the loop changes it, so that no lock is needed."""
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._closed = False

    def run(self, function: Callable[..., T], *args: Any, after: Callable[[], None] | None = None) -> asyncio.Future[T]:
        """Call ``function`` on a thread, from the one event loop; a result that no caller waits for is dropped.

        ``after()`` is called on the loop when the thread is free again, also when no caller waits for the result.
        """
        call, future = self._call(function, args, after)
        self._busy += 1
        if self._busy > len(self._threads):
            with self._lock:
                self._start(self._work)
        self._queue.put(call)
        return future

    def spawn(self, function: Callable[[], Any]) -> None:
        """Call ``function`` in the background; errors it raises are logged on the thread."""
        threading.Thread(target=function, name=f"{self._name}-background-{next(self._numbers)}", daemon=True).start()

    def close(self) -> None:
        """Let the threads end once they have done what they were given."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._queue.put(None)

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=f"{self._name}-{next(self._numbers)}", daemon=True)
        self._threads.append(thread)
        try:
            thread.start()
        except RuntimeError:
            self._threads.remove(thread)
            if not self._threads:
                raise

    def _work(self) -> None:
        get = self._queue.get
        while (call := get()) is not None:
            call()
            # Release what it holds now, not with the next call.
            del call

    def _call(
        self, function: Callable[..., T], args: tuple[Any, ...], after: Callable[[], None] | None
    ) -> tuple[Callable[[], None], asyncio.Future[T]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        report = self._report

        def call() -> None:
            result, error = None, None
            try:
                result = function(*args)
            except BaseException as raised:
                error = raised
            try:
                loop.call_soon_threadsafe(report, future, result, error, after)
            except RuntimeError:
                # The loop is closed by now: no caller waits.
                pass

        return call, future

    def _report(
        self, future: asyncio.Future[Any], result: Any, error: BaseException | None, after: Callable[[], None] | None
    ) -> None:
        self._busy -= 1
        if after is not None:
            after()
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
