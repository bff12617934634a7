"""Promises: the outcome of a call under way, for ``await``, for ``then`` and for callbacks."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar, cast

from pouchdb_core.aio.original.delivery import Delivery, Route, running_loop
from pouchdb_core.errors import BadRequest
from pouchdb_core.safe_repr import safe_repr

__all__ = ["Promise", "Thenable"]

T = TypeVar("T")

logger = logging.getLogger("pouchdb.aio")


class Thenable:
    """An object that has a promise: if a handler returns it, its outcome is passed on."""

    def _as_promise(self) -> Promise[Any]:
        raise NotImplementedError


class Promise(Thenable, Generic[T]):
    """The outcome of a call: ``await`` it, or chain ``then``, ``catch`` and ``finally_``.

    Handlers run on the asyncio loop that was running when they were added, else when the
    environment is spun. The return value of a handler is the value of the next promise (the outcome
    of a promise, handle or coroutine is waited for), its exception is the next one's error. An
    unhandled error is logged when the promise is collected. Attributes can be read as items too:
    ``p["catch"](f)``.

    ``cancel()`` gives up the outcome: a call that has not started is not made, a running one is
    left to end. Awaiting a cancelled promise raises asyncio.CancelledError. Cancelling a task that
    awaits it cancels the promise too, unless the outcome is awaited elsewhere.
    """

    _error: BaseException | None = None

    def __init__(self, delivery: Delivery, name: str = "") -> None:
        self._delivery = delivery
        self._name = name
        """The description of the call, for display."""
        self._lock = threading.RLock()
        self._settled = False
        self._value: T | None = None
        self._traceback: Any = None
        self._handled = False
        self._watchers: list[Callable[[], None]] = []
        self._waiting = 0
        """How many readers wait for the outcome."""
        self._on_cancel: Callable[[], Any] | None = None

    def _as_promise(self) -> Promise[Any]:
        return self

    # -- settling --------------------------------------------------------------------------------

    def _resolve(self, value: Any) -> None:
        """Settle with a value, or with the outcome of a promise, handle or coroutine."""
        if isinstance(value, Thenable):
            inner = value._as_promise()
            if inner is self:
                self._reject(TypeError("a promise cannot wait for itself"))
                return
            inner._handled = True
            inner._watch(lambda: self._settle(inner._value, inner._error))
        elif inspect.isawaitable(value):
            if running_loop() is None:
                if inspect.iscoroutine(value):
                    value.close()
                self._reject(TypeError("a handler returned a coroutine, and no event loop is running to run it"))
                return
            asyncio.ensure_future(value).add_done_callback(self._settle_with)
        else:
            self._settle(value, None)

    def _settle_with(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self._reject(asyncio.CancelledError())
        else:
            error = future.exception()
            self._settle(None if error is not None else future.result(), error)

    def _reject(self, error: BaseException) -> None:
        self._settle(None, error)

    def _settle(self, value: Any, error: BaseException | None) -> None:
        with self._lock:
            if self._settled:
                return
            self._value, self._error = value, error
            self._traceback = None if error is None else error.__traceback__
            self._settled = True
            watchers, self._watchers = self._watchers, []
        self._on_cancel = None
        for watcher in watchers:
            watcher()
        self._delivery.notify()

    def _watch(self, watcher: Callable[[], None]) -> None:
        """Call ``watcher`` once there is an outcome, in the thread that settles the promise."""
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
        """Give up the outcome. If there is one already nothing changes, but an error need no longer be handled."""
        self._handled = True
        if self._settled:
            return
        take_back = self._on_cancel
        if take_back is not None:
            take_back()
        self._reject(asyncio.CancelledError())

    def _join(self) -> None:
        """Count one more reader of the outcome."""
        self._handled = True
        with self._lock:
            self._waiting += 1

    def _leave(self) -> bool:
        """Count one reader less; return True if none is left."""
        with self._lock:
            self._waiting -= 1
            return not self._waiting

    def _leave_or_cancel(self) -> None:
        if self._leave():
            self.cancel()

    # -- reading ---------------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, T]:
        try:
            yield from self._wait()
            return self._outcome()
        except asyncio.CancelledError:
            if not self._settled and not self._waiting:
                self.cancel()
            raise
        finally:
            # No cycle with the traceback of its error, so that a promise is collected with its last reference.
            del self

    def _wait(self) -> Generator[Any, None, None]:
        """Wait in a coroutine for the outcome; cancelling the wait does not change the promise."""
        self._handled = True
        if self._settled:
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def settled() -> None:
            if not future.done():
                future.set_result(None)

        def watcher() -> None:
            try:
                loop.call_soon_threadsafe(settled)
            except RuntimeError:
                logger.debug("the event loop of an await was closed before the outcome came")

        self._join()
        self._watch(watcher)
        try:
            yield from future
        except asyncio.CancelledError:
            self._leave()
            raise

    def _outcome(self) -> T:
        error = self._error
        if error is not None:
            try:
                # Every reader gets the traceback of the call, not that of an earlier reader.
                raise error.with_traceback(self._traceback)
            finally:
                del self, error
        return cast("T", self._value)

    def then(
        self,
        on_value: Callable[[T], Any] | None = None,
        on_error: Callable[[Any], Any] | None = None,
    ) -> Promise[Any]:
        """Call ``on_value(value)`` or ``on_error(error)`` with the outcome; return a promise of its return value."""
        for handler in (on_value, on_error):
            if handler is not None and not callable(handler):
                raise BadRequest(f"a handler must be callable, not {safe_repr(handler)}")
        follower: Promise[Any] = Promise(self._delivery, self._name)
        follower._on_cancel = self._leave_or_cancel
        route = Route.here()
        self._join()

        self._watch(lambda: self._delivery.post(route, _handle, self, follower, on_value, on_error))
        return follower

    def catch(self, on_error: Callable[[Any], Any]) -> Promise[Any]:
        """Call ``on_error(error)`` if there is an error; return a promise of its return value, or of the value."""
        return self.then(None, on_error)

    def finally_(self, function: Callable[[], Any]) -> Promise[T]:
        """Call ``function()`` whatever the outcome is; the outcome is passed on, unless ``function`` fails.

        A promise returned by it is waited for.
        """

        def call() -> Any:
            try:
                return function()
            finally:
                self._delivery.log.add(function)

        def passed(value: Any) -> Any:
            returned = call()
            return returned.then(lambda _: value) if isinstance(returned, Promise) else value

        def failed(error: BaseException) -> Any:
            def again(_: Any) -> None:
                raise error

            returned = call()
            if isinstance(returned, Promise):
                return returned.then(again)
            raise error

        return self.then(passed, failed)

    def _call_back(self, callback: Callable[..., Any]) -> None:
        """Call ``callback(error, value)`` with the outcome once there is one; its exceptions are logged."""
        route = Route.here()
        self._join()
        self._watch(
            lambda: self._delivery.post(route, callback, self._error, None if self._error is not None else self._value)
        )

    def __repr__(self) -> str:
        if not self._settled:
            state = "pending"
        else:
            state = "fulfilled" if self._error is None else f"failed: {self._error!r}"
        return f"<pouchdb.Promise{f' of {self._name}()' if self._name else ''}, {state}>"

    def __getitem__(self, name: str) -> Any:
        if name == "finally":
            return self.finally_
        if name in self:
            return getattr(self, name)
        raise KeyError(f"{name!r}: this is a promise; await it, and read that from its outcome")

    def __contains__(self, name: object) -> bool:
        return name == "finally" or (isinstance(name, str) and not name.startswith("_") and hasattr(self, name))

    def __del__(self) -> None:
        if self._error is not None and not self._handled and not isinstance(self._error, asyncio.CancelledError):
            what = f"{self._name}()" if self._name else "a call"
            logger.error("nobody handled the error of %s: %r", what, self._error, exc_info=self._error)


def _handle(
    source: Promise[Any],
    follower: Promise[Any],
    on_value: Callable[[Any], Any] | None,
    on_error: Callable[[Any], Any] | None,
) -> None:
    error = source._error
    handler = on_value if error is None else on_error
    try:
        if handler is None:
            follower._settle(source._value, error)
            return
        try:
            value = handler(source._value if error is None else error)
        finally:
            source._delivery.log.add(handler)
    except (Exception, asyncio.CancelledError) as raised:
        follower._reject(raised)
    else:
        follower._resolve(value)
    finally:
        # The error's traceback refers to this frame: an unreferenced promise must be collected at once, and log it.
        del source, follower, error
