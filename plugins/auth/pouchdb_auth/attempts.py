"""Slows down password guesses, and nothing else: a call is refused at once, and nothing waits."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from pouchdb_auth.auth_errors import TooManyAttempts

__all__ = ["Attempts"]

FREE = 10
"""Wrong passwords in a row after which the next attempt is refused for some time."""
LONGEST = 60.0
"""The longest wait, in seconds."""
FORGOTTEN = 600.0
"""Seconds without an attempt after which earlier ones are not counted."""
KEPT = 10_000
"""Names that are remembered; the oldest is forgotten."""


class Attempts:
    """Failed attempts by user name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, name: str) -> None:
        """Count an attempt as failed before it is known whether it is. Raises TooManyAttempts."""
        now = self._clock()
        with self._lock:
            count, last = self._failed.get(name, (0, now))
            if now - last > FORGOTTEN:
                count = 0
            left = last + min(LONGEST, 2.0 ** min(count - FREE, 6)) - now if count >= FREE else 0.0
            if left > 0:
                seconds = math.ceil(left)
                raise TooManyAttempts(f"too many wrong passwords for {name!r}: try again in {seconds} seconds")
            self._failed[name] = (count + 1, now)
            self._failed.move_to_end(name)
            if len(self._failed) > KEPT:
                self._failed.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """Forget the attempts: the password was right."""
        with self._lock:
            self._failed.pop(name, None)
