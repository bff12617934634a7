"""State of plug-ins: typed slots, built on first use and closed with their owner."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

__all__ = ["Slot", "Slots"]

S = TypeVar("S")


class Slot(Generic[S]):
    """A key for state of one type: ``CACHE = Slot("search cache", build)``.

    ``build(owner)`` makes the state at its first use; ``close(state)`` ends it with its owner.
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

    def get(self, slot: Slot[S], owner: Any) -> S:
        """Return the state, building it at its first use; other threads wait for that."""
        if slot not in self._states:
            with self._lock:
                if slot not in self._states:
                    self._states[slot] = slot.build(owner)
        return cast("S", self._states[slot])

    def close(self) -> None:
        """Close every state, the newest first."""
        with self._lock:
            while self._states:
                slot, state = self._states.popitem()
                if slot.close is not None:
                    slot.close(state)
