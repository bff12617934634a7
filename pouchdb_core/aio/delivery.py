"""Where callbacks run: on the asyncio loop that is running, else when the environment is spun.

No callback runs before the call that registered it has returned (spec: plugins 9.3).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["Delivery", "running_loop"]

logger = logging.getLogger("pouchdb.aio")

Call = tuple[Callable[..., Any], tuple[Any, ...]]


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of the calling thread, if one is running."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Delivery:
    """The queue of callbacks that wait for ``waitUntilCalled()`` or ``run()``; calls for a loop go there.

    May be used from any thread. What a callback raises is logged and stops nothing else.
    """

    def __init__(self) -> None:
        self._calls: deque[Call] = deque()
        self._condition = threading.Condition()

    def post(self, loop: asyncio.AbstractEventLoop | None, function: Callable[..., Any], *args: Any) -> None:
        """Have ``function`` called: by ``loop``, or by whoever spins."""
        if loop is not None:
            try:
                loop.call_soon_threadsafe(_guarded, function, args)
                return
            except RuntimeError:
                # The loop is closed: nobody will run anything there, but a spin may still come.
                logger.debug("the event loop of a call was closed before its outcome came")
        with self._condition:
            self._calls.append((function, args))
            self._condition.notify_all()

    def notify(self) -> None:
        """Make those who spin look again whether they are done."""
        with self._condition:
            self._condition.notify_all()

    def spin(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Run callbacks in the calling thread until ``done()``; False when ``timeout`` seconds went by first."""
        until = None if timeout is None else time.monotonic() + timeout
        while not done():
            with self._condition:
                while not self._calls:
                    left = None if until is None else until - time.monotonic()
                    if (left is not None and left <= 0) or not self._condition.wait(left):
                        return done()
                    if done():
                        return True
                function, args = self._calls.popleft()
            _guarded(function, args)
        return True


def _guarded(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        function(*args)
    except Exception:
        logger.exception("a callback raised")
