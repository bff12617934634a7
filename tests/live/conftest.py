"""Waiting for what happens in the background, by conditions and never by the clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

SOON = 20.0
"""Seconds a test waits for what must happen; nothing takes as long when it works."""


class Heard:
    """A listener that remembers its calls, and wakes who waits for them."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.threads: set[str] = set()
        self._condition = threading.Condition()

    def __call__(self, *args: Any) -> None:
        with self._condition:
            self.calls.append(args[0] if len(args) == 1 else args)
            self.threads.add(threading.current_thread().name)
            self._condition.notify_all()

    def wait(self, count: int = 1) -> list[Any]:
        """Wait until it was called so often; return the arguments."""
        return self.until(lambda calls: len(calls) >= count)

    def until(self, predicate: Callable[[list[Any]], object]) -> list[Any]:
        """Wait until ``predicate(calls)``; return the arguments."""
        with self._condition:
            assert self._condition.wait_for(lambda: predicate(self.calls), SOON), f"only {self.calls[-3:]}"
            return list(self.calls)


@pytest.fixture
def heard() -> Heard:
    return Heard()
