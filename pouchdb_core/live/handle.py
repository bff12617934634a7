"""What every handle is: an event emitter of something that goes on in the background.

A handle is an event emitter that can be cancelled, waited for and iterated. Its callbacks run on
the engine's one dispatcher thread, in order; one that raises is logged and stops nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from pouchdb_core.events import CallLog, EventEmitter, Listener
from pouchdb_core.runner import Runner

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LiveHandle", "Work"]

KEPT = 1000
"""Events kept for a listener that comes late."""

Work = Generator[Any, None, Any]


class LiveHandle(EventEmitter):
    """What every handle is.

    ``cancelled`` tells whether ``cancel()`` was called. Members read by item too:
    ``handle["cancel"]()``. Events that nobody listened for yet are kept (the newest 1,000 of each
    name) and given to the first listener, so that nothing is missed between the call that starts
    the work and ``on()``.
    """

    def __init__(self, calls: CallLog, dispatcher: Runner) -> None:
        super().__init__(calls)
        self.cancelled = False
        self._dispatcher = dispatcher
        self._kept: dict[str, deque[tuple[Any, ...]]] = {}
        self._done = threading.Event()
        self._when_done: list[Callable[[], Any]] = []
        self._outcome: Any = None
        self._error: BaseException | None = None

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and hasattr(self, name)

    @property
    def done(self) -> bool:
        """Whether it is over: complete, cancelled or failed."""
        return self._done.is_set()

    def cancel(self) -> None:
        """Stop. ``complete`` is emitted with ``status: "cancelled"``; calling it again does nothing."""
        raise NotImplementedError

    def wait(self, timeout: float | None = None) -> Any:
        """Wait until it is over and return its result; raise its error. Raises TimeoutError after ``timeout`` s."""
        if not self._done.wait(timeout):
            raise TimeoutError(f"not over after {timeout} seconds")
        if self._error is not None:
            raise self._error
        return self._outcome

    def callbacks(self, complete: Callable[..., Any] | None) -> None:
        """Call ``complete(error, result)`` when it is over; for the options of that name."""
        if complete is not None:
            self.once("complete", lambda result: complete(None, result))
            self.once("error", lambda error: complete(error, None))

    def on_done(self, function: Callable[[], Any]) -> None:
        """Call ``function`` when it is over, in the thread that ends it."""
        self._when_done.append(function)

    def _tell(self, event: str, *args: Any) -> None:
        """Emit an event on the dispatcher's thread."""
        self._dispatcher.call(self._emit_or_keep, event, *args)

    def _emit_or_keep(self, event: str, *args: Any) -> None:
        if not self.emit(event, *args):
            self._kept.setdefault(event, deque(maxlen=KEPT)).append(args)

    def _add(self, event: str, listener: Listener, *, once: bool) -> Self:
        super()._add(event, listener, once=once)
        # On the dispatcher, where events are kept: in order with those that come.
        self._dispatcher.call(self._give_kept, event)
        return self

    def _give_kept(self, event: str) -> None:
        for args in self._kept.pop(event, ()):
            self._emit_or_keep(event, *args)

    def _finish(self, outcome: Any = None, error: BaseException | None = None) -> None:
        if self._done.is_set():
            return
        self._outcome, self._error = outcome, error
        self._done.set()
        for function in self._when_done:
            function()
        if error is None:
            self._tell("complete", outcome)
        else:
            self._tell("error", error)
