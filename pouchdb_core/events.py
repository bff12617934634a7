"""Event emitters, with the names of node's and of Python's conventions (spec: plugins 9.6)."""

from __future__ import annotations

import inspect
import logging
import threading
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest
from pouchdb_core.safe_repr import safe_repr

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CallLog", "EventEmitter", "Listener", "check_function"]

Listener = Callable[..., Any]

logger = logging.getLogger("pouchdb.events")


def check_function(function: Any, what: str = "listener") -> None:
    """Raise BadRequest if a listener or callback is not callable, or is a coroutine function."""
    if not callable(function):
        raise BadRequest(f"a {what} must be callable, not {safe_repr(function)}")
    if inspect.iscoroutinefunction(function):
        raise BadRequest(f"{function!r} is a coroutine function, and nobody would await it: give a plain function")


def _check_event(event: Any) -> None:
    if not isinstance(event, str):
        raise BadRequest(f"the name of an event must be a string, not {safe_repr(event)}")


class CallLog:
    """Records which callbacks were called, for ``waitUntilCalled``.

    Functions compare by equality: bound methods are a new object at every access. The log is
    bounded, because most callbacks are never waited for: it keeps the last ``size`` different ones.
    """

    def __init__(self, size: int = 1000) -> None:
        self._size = size
        self._called: dict[Listener, None] = {}
        self._unhashable: deque[Listener] = deque(maxlen=size)
        self._condition = threading.Condition()

    def add(self, function: Listener) -> None:
        with self._condition:
            try:
                self._called.pop(function, None)
                self._called[function] = None
            except TypeError:
                self._unhashable.append(function)
            if len(self._called) > self._size:
                del self._called[next(iter(self._called))]
            self._condition.notify_all()

    def wait(self, functions: Sequence[Listener], timeout: float | None = None) -> bool:
        """Wait until one of ``functions`` was called; False if ``timeout`` (seconds) ran out first.

        A call that happened since the function was last waited for counts at once.
        """

        with self._condition:
            return self._condition.wait_for(lambda: self._take(functions), timeout)

    def take(self, functions: Sequence[Listener]) -> bool:
        """Return whether one of ``functions`` was called since it was last waited for."""
        with self._condition:
            return self._take(functions)

    def _take(self, functions: Sequence[Listener]) -> bool:
        for called in (*self._called, *self._unhashable):
            if any(called == wanted for wanted in functions):
                # However often it was called: all those calls were before this wait.
                self._called = {each: None for each in self._called if each != called}
                rest = [each for each in self._unhashable if each != called]
                self._unhashable.clear()
                self._unhashable.extend(rest)
                return True
        return False


class _Entry:
    """One registration: calling it calls the listener and returns None."""

    __slots__ = ("done", "emitter", "event", "function", "once")

    def __init__(self, emitter: EventEmitter, event: str, function: Listener, once: bool) -> None:
        self.emitter, self.event, self.function, self.once = emitter, event, function, once
        self.done = False

    def __eq__(self, other: object) -> bool:
        # So that `function in emitter.listeners(event)` finds what was added.
        return self is other or (not isinstance(other, _Entry) and bool(self.function == other))

    def __hash__(self) -> int:
        return hash(self.function)

    def __call__(self, *args: Any) -> None:
        if self.once and not self.emitter._discard(self):
            return
        try:
            self.function(*args)
        except Exception:
            # An error in one listener must not hide the event from the next, nor break the operation
            # that emitted it; it is reported where the user looks.
            logger.exception("a listener of %r raised", self.event)
        finally:
            self.emitter._calls.add(self.function)


class EventEmitter:
    """Calls listeners by event name, in the order they were added, in the emitting thread.

    An exception of a listener is logged (``pouchdb.events``) and does not stop anything else. May be used
    from any thread. Names of events that are not strings, and listeners that cannot be called, are BadRequest.
    """

    def __init__(self, calls: CallLog | None = None) -> None:
        self._entries: dict[str, list[_Entry]] = {}
        self._limit = 0
        self._calls = calls or CallLog()
        self._emitter_lock = threading.RLock()

    def on(self, event: str, listener: Listener) -> Self:
        """Call ``listener`` at every ``event``; the same listener added twice is called twice."""
        return self._add(event, listener, once=False)

    def once(self, event: str, listener: Listener) -> Self:
        """Call ``listener`` at the next ``event`` only."""
        return self._add(event, listener, once=True)

    def emit(self, event: str, *args: Any) -> bool:
        """Call the listeners of ``event`` with ``args``; True if there was one."""
        _check_event(event)
        entries = self._entries.get(event)
        if not entries:
            return False
        for entry in tuple(entries):
            entry(*args)
        return True

    def listeners(self, event: str) -> list[Listener]:
        """Return the listeners as callables that call the originals, return None and equal the originals."""
        _check_event(event)
        return list(self._entries.get(event, ()))

    def remove_listener(self, event: str, listener: Listener) -> Self:
        """Remove one registration of ``listener``, the newest; an unknown one is ignored."""
        _check_event(event)
        with self._emitter_lock:
            entries = self._entries.get(event, [])
            for index in range(len(entries) - 1, -1, -1):
                if entries[index] == listener:
                    del entries[index]
                    break
        return self

    def remove_all_listeners(self, event: str | None = None) -> Self:
        """Remove every listener, or those of one event."""
        with self._emitter_lock:
            if event is None:
                self._entries.clear()
            else:
                _check_event(event)
                self._entries.pop(event, None)
        return self

    def set_max_listeners(self, n: int) -> Self:
        """Warn (RuntimeWarning) when an event has more than ``n`` listeners; 0, the default, means no limit."""
        if type(n) not in (int, float) or not n >= 0:
            raise BadRequest(f"the number of listeners must be a number from 0 up, not {safe_repr(n)}")
        self._limit = n
        return self

    addListener = add_listener = on
    removeListener = remove_listener
    removeAllListeners = remove_all_listeners
    setMaxListeners = set_max_listeners

    def _add(self, event: str, listener: Listener, *, once: bool) -> Self:
        _check_event(event)
        check_function(listener)
        with self._emitter_lock:
            entries = self._entries.setdefault(event, [])
            entries.append(_Entry(self, event, listener, once))
        if self._limit and len(entries) > self._limit:
            warnings.warn(
                f"possible EventEmitter memory leak detected. {len(entries)} listeners added for {event!r}; "
                "set_max_listeners() raises the limit.",
                RuntimeWarning,
                stacklevel=3,
            )
        return self

    def _discard(self, entry: _Entry) -> bool:
        """Remove a ``once`` entry; True for the one thread that may call it."""
        with self._emitter_lock:
            first, entry.done = not entry.done, True
            entries = self._entries.get(entry.event, [])
            entries[:] = [each for each in entries if each is not entry]
        return first
