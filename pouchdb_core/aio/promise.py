"""Promises: the outcome of a call that goes on, for ``await``, for ``then`` and for callbacks."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar, cast

from pouchdb_core.aio.delivery import Delivery, running_loop

__all__ = ["Promise"]

T = TypeVar("T")
U = TypeVar("U")

logger = logging.getLogger("pouchdb.aio")


class Promise(Generic[T]):
    """The outcome of a call: ``await`` it, or chain ``then``, ``catch`` and ``finally_``.

    Handlers run on the asyncio loop that was running when they were added, else when the
    environment is spun. What a handler returns is the value of the next promise (a promise it
    returns is waited for), what it raises is the next one's error. An error that nobody handles is
    logged when the promise is collected. Members read by item too: ``p["catch"](f)``.

    ``cancel()`` gives up the outcome: a call that has not started is not made, one that runs is
    left to end. Awaiting a cancelled promise raises asyncio.CancelledError.
    """

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._lock = threading.Lock()
        self._settled = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._handled = False
        self._watchers: list[Callable[[], None]] = []
        self._on_cancel: Callable[[], Any] | None = None

    # -- settling --------------------------------------------------------------------------------

    def _resolve(self, value: Any) -> None:
        if isinstance(value, Promise):
            inner: Promise[Any] = value
            inner._handled = True
            inner._watch(lambda: self._settle(inner._value, inner._error))
        else:
            self._settle(value, None)

    def _reject(self, error: BaseException) -> None:
        self._settle(None, error)

    def _settle(self, value: Any, error: BaseException | None) -> None:
        with self._lock:
            if self._settled:
                return
            self._value, self._error, self._settled = value, error, True
            watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()
        self._delivery.notify()

    def _watch(self, watcher: Callable[[], None]) -> None:
        with self._lock:
            if not self._settled:
                self._watchers.append(watcher)
                return
        watcher()

    @property
    def done(self) -> bool:
        """Whether there is an outcome."""
        return self._settled

    def cancel(self) -> None:
        """Give up the outcome; nothing if there is one already."""
        if self._settled:
            return
        if self._on_cancel is not None:
            self._on_cancel()
        self._handled = True
        self._reject(asyncio.CancelledError())

    # -- reading ---------------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._handled = True

        def settled() -> None:
            if not future.done():
                future.set_result(None)

        def watcher() -> None:
            try:
                loop.call_soon_threadsafe(settled)
            except RuntimeError:
                logger.debug("the event loop of an await was closed before the outcome came")

        if not self._settled:
            self._watch(watcher)
            try:
                yield from future
            except asyncio.CancelledError:
                # The task that waits was cancelled: then the outcome is not wanted any more.
                self.cancel()
                raise
        return self._outcome()

    def _outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return cast("T", self._value)

    def then(
        self,
        on_value: Callable[[T], Any] | None = None,
        on_error: Callable[[Any], Any] | None = None,
    ) -> Promise[Any]:
        """Call ``on_value(value)`` or ``on_error(error)`` with the outcome; return the promise of what it returns."""
        follower: Promise[Any] = Promise(self._delivery)
        loop = running_loop()
        self._handled = True

        def call() -> None:
            error = self._error
            handler: Callable[[Any], Any] | None = on_value if error is None else on_error
            if handler is None:
                follower._settle(self._value, error)
                return
            try:
                follower._resolve(handler(self._value if error is None else error))
            except Exception as raised:
                follower._reject(raised)

        self._watch(lambda: self._delivery.post(loop, call))
        return follower

    def catch(self, on_error: Callable[[Any], Any]) -> Promise[Any]:
        """Call ``on_error(error)`` if there is one; return the promise of what it returns, or of the value."""
        return self.then(None, on_error)

    def finally_(self, function: Callable[[], Any]) -> Promise[T]:
        """Call ``function()`` whatever the outcome is; the outcome goes on, unless ``function`` raises."""

        def passed(value: Any) -> Any:
            function()
            return value

        def failed(error: BaseException) -> Any:
            function()
            raise error

        return self.then(passed, failed)

    def __getitem__(self, name: str) -> Any:
        if name == "finally":
            return self.finally_
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None

    def __contains__(self, name: object) -> bool:
        return name == "finally" or (isinstance(name, str) and hasattr(self, name))

    def __del__(self) -> None:
        if self._error is not None and not self._handled:
            logger.error("nobody handled the error of a call: %r", self._error, exc_info=self._error)
