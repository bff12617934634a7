"""State of plug-ins: typed slots, built on first use and closed with their owner."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from pouchdb_core.errors import DatabaseClosed

__all__ = ["Slot", "Slots"]

S = TypeVar("S")


class Slot(Generic[S]):
    """A key for state of one type: ``CACHE = Slot("search cache", build)``.

    ``build(owner)`` makes the state at its first use; ``close(state)`` ends it when its owner is
    closed or destroyed, but not if an owner is collected without being closed. The
    owner is the database or environment on behalf of the program itself, whichever user's request came first.
    A ``build`` that raises is called again at the next use.
    """

    def __init__(self, name: str, build: Callable[[Any], S], close: Callable[[S], None] | None = None) -> None:
        self.name, self.build, self.close = name, build, close

    def __repr__(self) -> str:
        return f"<Slot {self.name}>"


class Slots:
    """The states of one owner."""

    def __init__(self) -> None:
        self._states: dict[Slot[Any], Any] = {}
        # Building one state may ask for another.
        self._lock = threading.RLock()
        self._closed = False

    def get(self, slot: Slot[S], owner: Any) -> S:
        """Return the state, building it at its first use; other threads wait for that.

        Raises DatabaseClosed after ``close()``: nothing would close the state.
        """
        try:
            return cast("S", self._states[slot])
        except KeyError:
            pass
        with self._lock:
            if self._closed:
                raise DatabaseClosed(f"{slot.name}: its database or environment is closed")
            if slot not in self._states:
                self._states[slot] = slot.build(owner)
            return cast("S", self._states[slot])

    def of(self, slot: Slot[S], owner: Callable[[], Any]) -> S:
        """Return the state as ``get`` does; the owner is only needed when the state has to be built."""
        try:
            found: S = self._states[slot]
        except KeyError:
            return self.get(slot, owner())
        return found

    def close(self) -> None:
        """Close every state, the newest first, each even if another one's ``close`` raises."""
        with self._lock, contextlib.ExitStack() as closing:
            self._closed = True
            # One that is being closed may still use older ones.
            closing.callback(self._states.clear)
            for slot, state in self._states.items():
                if slot.close is not None:
                    closing.callback(slot.close, state)
