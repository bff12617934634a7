"""Where callbacks run: on the running asyncio loop, else when the environment is spun.

No callback runs before the call that registered it has returned (spec: plugins 9.3). A callback sees
the context variables of that call, as asyncio's callbacks do.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from pouchdb_core.events import CallLog, Listener, check_function
from pouchdb_core.forks import renew_in_child

__all__ = ["DeliveredLog", "Delivery", "Lane", "Route", "check_callback", "running_loop"]

logger = logging.getLogger("pouchdb.aio")

Call = tuple[contextvars.Context, Callable[..., Any], tuple[Any, ...]]


class Route(NamedTuple):
    """Where a callback runs: on a loop or in the spinning thread, in the context it was registered in."""

    loop: asyncio.AbstractEventLoop | None
    context: contextvars.Context

    @classmethod
    def here(cls) -> Route:
        """Return the route to the calling code."""
        return cls(running_loop(), contextvars.copy_context())

    def again(self) -> Route:
        """Return a copy for one of many callbacks: while one runs, its context cannot be entered again."""
        return Route(self.loop, self.context.copy())


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop of the calling thread, if one is running."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def check_callback(function: Any) -> None:
    """Raise BadRequest if ``function`` is not callable, or is a coroutine function."""
    check_function(function, "callback")


class Delivery:
    """The queue of callbacks that wait for ``waitUntilCalled()`` or ``run()``; those for a loop go to the loop.

    May be used from any thread. An exception of a callback is logged and stops nothing else.
    """

    def __init__(self) -> None:
        self.log = DeliveredLog(self)
        """The callbacks that were called, for ``waitUntilCalled``."""
        self._reset()
        renew_in_child(self._reset)

    def _reset(self) -> None:
        # In a forked child: the waiting calls are the parent's, and the lock may have been held.
        self._calls: deque[Call] = deque()
        self._condition = threading.Condition()

    @property
    def waiting(self) -> bool:
        """Whether there are callbacks that have not run yet."""
        return bool(self._calls)

    def post(self, route: Route, function: Callable[..., Any], *args: Any) -> None:
        """Queue a call of ``function``: on the route's loop, or in the thread that spins."""
        loop, context = route
        if loop is not None:
            try:
                loop.call_soon_threadsafe(_guarded, function, args, context=context)
                return
            except RuntimeError:
                # The loop is closed: nothing will run there, but a spin may still come.
                logger.debug("the event loop of a call was closed before its outcome came")
        with self._condition:
            self._calls.append((context, function, args))
            self._condition.notify_all()

    def notify(self) -> None:
        """Make the spinning threads check again whether they are done."""
        with self._condition:
            self._condition.notify_all()

    def spin(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Run callbacks in the calling thread until ``done()``; return False if ``timeout`` seconds pass first.

        The code that makes ``done()`` true must call ``notify()`` afterwards. Raises RuntimeError in a thread
        whose event loop is running: it would wait for what only that loop can do.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._condition:
                while True:
                    # Under the lock, so that no notification is lost between the check and the wait.
                    if done():
                        return True
                    left = None if until is None else until - time.monotonic()
                    if left is not None and left <= 0 and (timeout or not self._calls):
                        return False
                    if running_loop() is not None:
                        raise RuntimeError("an event loop is running in this thread: await the promise or the handle")
                    if self._calls:
                        break
                    self._condition.wait(left)
                context, function, args = self._calls.popleft()
            context.run(_guarded, function, args)
            # A traceback may refer to this frame: it must not keep the called function alive.
            del context, function, args


class DeliveredLog(CallLog):
    """A log of called callbacks that notifies the spinning threads."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__()
        self._delivery = delivery

    def add(self, function: Listener) -> None:
        super().add(function)
        self._delivery.notify()


class Lane:
    """The calls of one handle, one after another: on the loop that was running when it was made, or when spun.

    It takes the place of the engine's dispatcher, which a blocking handle uses.
    """

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._route = Route.here()
        self._calls: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Call ``function`` after the functions handed in before."""
        self._calls.append((function, args))
        self._delivery.post(self._route.again(), self._next)

    def adopt(self) -> None:
        """Move to the loop that is running, if there was none before or that one is closed."""
        loop = running_loop()
        before = self._route.loop
        if loop is None or not (before is None or before.is_closed()):
            return
        self._route = Route(loop, self._route.context)
        for _ in range(len(self._calls)):
            self._delivery.post(self._route.again(), self._next)

    def current(self) -> bool:
        """Return that the blocking thread may be the one that should run the calls."""
        return True

    def _next(self) -> None:
        try:
            function, args = self._calls.popleft()
        except IndexError:
            # Another loop has adopted the lane, and made the call there.
            return
        function(*args)


def _guarded(function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    try:
        function(*args)
    except (Exception, asyncio.CancelledError):
        logger.exception("a callback raised")
    finally:
        del function, args
