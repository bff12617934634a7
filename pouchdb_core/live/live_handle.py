"""The base of all handles: an event emitter for work in the background.

A handle is an event emitter that can be cancelled, waited for and iterated. Its callbacks run on
the engine's one dispatcher thread, in order; an exception of one is logged and stops nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from pouchdb_core.events import CallLog, EventEmitter, Listener
from pouchdb_core.forks import Origin
from pouchdb_core.runner import Runner

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LiveHandle", "Work", "keep"]

logger = logging.getLogger("pouchdb.live")

KEPT = 1000
"""Events of one name that are kept for a later listener."""
KEPT_CHANGES = 2
"""The same for ``change``: each may hold megabytes of documents, and the newest has all counters."""

Work = Generator[Any, None, Any]


class LiveHandle(EventEmitter):
    """The base class of all handles.

    ``cancelled`` says whether ``cancel()`` was called. Attributes can be read as items too:
    ``handle["cancel"]()``. Events without a listener are kept (the newest of each name)
    and passed to the first listener, so that nothing is missed between the call that starts the
    work and ``on()``. In a forked child a handle does nothing: it is the parent's.
    """

    def __init__(self, calls: CallLog, dispatcher: Runner) -> None:
        super().__init__(calls)
        self.cancelled = False
        self._dispatcher = dispatcher
        self._kept: dict[str, deque[tuple[Any, ...]]] = {}
        self._ended = False
        self._done = threading.Event()
        self._ending = threading.RLock()
        self._when_done: list[Callable[[], Any]] = []
        self._outcome: Any = None
        self._error: BaseException | None = None
        self._seen = False
        """Whether the error was reported other than by an event."""
        self._origin = Origin()

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            raise KeyError(name)
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and hasattr(self, name)

    def __repr__(self) -> str:
        # Nothing is read or asked: it must neither block nor raise.
        return f"<{type(self).__name__} {self._about()}>"

    def _about(self) -> str:
        """Return what it works on, and its state, for people."""
        return "cancelled" if self.cancelled else "ended" if self.done else "live"

    @property
    def done(self) -> bool:
        """Whether it is over: complete, cancelled or failed."""
        return self._ended

    def cancel(self) -> None:
        """Stop. ``complete`` is emitted with ``status: "cancelled"``; calling it again does nothing."""
        raise NotImplementedError

    def wait(self, timeout: float | None = None) -> Any:
        """Wait until it is over and return its result; raise its error. Raises TimeoutError after ``timeout`` s."""
        self._check_process()
        self._seen = True
        if not self._done.wait(timeout):
            raise TimeoutError(f"not over after {timeout} seconds")
        if self._error is not None:
            raise self._error
        return self._outcome

    def callbacks(self, complete: Callable[..., Any] | None) -> None:
        """Call ``complete(error, result)`` when it is over; for the option ``complete``."""
        if complete is not None:
            self.once("complete", _Complete(self._calls, complete, failed=False))
            self.once("error", _Complete(self._calls, complete, failed=True))

    def on_done(self, function: Callable[[], Any]) -> None:
        """Call ``function`` when it is over, in the thread that ends it; at once if it is over already."""
        with self._ending:
            if not self._ended:
                self._when_done.append(function)
                return
        function()

    def _mine(self) -> bool:
        """Return whether this is the process that made the handle."""
        return self._origin.here()

    def _check_process(self) -> None:
        if not self._mine():
            raise RuntimeError("it belongs to the process that started it, not to a forked child")

    # -- events: everything below runs on the dispatcher's thread, so it needs no lock ---------------

    def _tell(self, event: str, *args: Any) -> None:
        """Emit an event on the dispatcher's thread."""
        self._dispatcher.call(self._emit_or_keep, event, *args)

    def _emit_or_keep(self, event: str, *args: Any) -> None:
        if event in self._kept:
            # A listener was just added: earlier events come first.
            self._kept[event].append(args)
            self._give_kept(event)
        elif not self.emit(event, *args):
            self._kept[event] = deque([args], maxlen=KEPT_CHANGES if event == "change" else KEPT)
            if event == "error" and not self._seen:
                logger.error("%s ended, and nobody listened: %s", type(self).__name__, args[0])

    def _add(self, event: str, listener: Listener, *, once: bool) -> Self:
        super()._add(event, listener, once=once)
        # On the dispatcher, where events are kept: in order with new events.
        self._dispatcher.call(self._give_kept, event)
        return self

    def _give_kept(self, event: str) -> None:
        kept = self._kept.pop(event, None)
        while kept:
            if not self.emit(event, *kept[0]):
                # A `once` listener has got its event: the rest is for the next one.
                self._kept[event] = kept
                return
            kept.popleft()

    def _finish(self, outcome: Any = None, error: BaseException | None = None) -> None:
        with self._ending:
            if self._ended:
                return
            self._ended, self._outcome, self._error = True, outcome, error
            leaving, self._when_done = self._when_done, []
        try:
            # A thread that waits for the end finds nothing of the handle any more.
            for function in leaving:
                function()
        finally:
            self._done.set()
            if error is None:
                self._tell("complete", outcome)
            else:
                self._tell("error", error)


def keep(handle: LiveHandle, *places: set[Any]) -> None:
    """Keep the handle in these sets while it is not over."""
    for place in places:
        place.add(handle)

    def forget() -> None:
        for place in places:
            place.discard(handle)

    handle.on_done(forget)


class _Complete:
    """A ``complete(error, result)`` callback as a listener; a call of it counts as a call of the callback."""

    def __init__(self, calls: CallLog, function: Callable[..., Any], *, failed: bool) -> None:
        self._calls, self._function, self._failed = calls, function, failed

    def __call__(self, what: Any) -> None:
        try:
            if self._failed:
                self._function(what, None)
            else:
                self._function(None, what)
        finally:
            self._calls.add(self._function)
