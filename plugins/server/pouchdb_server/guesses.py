"""Slows down clients that guess passwords, and no others: counted by user name and address together."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from pouchdb_core.errors import PouchDBError

__all__ = ["Guesses", "TooManyRequests"]

FREE = 10
"""Wrong passwords in a row that cause no wait."""
LONGEST = 60.0
"""The longest wait, in seconds."""
FORGOTTEN = 600.0
"""Seconds without an attempt after which earlier ones are not counted."""
KEPT = 10_000


class TooManyRequests(PouchDBError):
    status, name = 429, "too_many_requests"
    default_message = "too many wrong passwords: try again later"


class Guesses:
    """Failed attempts by (user name, address); the oldest of many are forgotten."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        note: Callable[[tuple[str, str, int]], None] = lambda noted: None,
    ) -> None:
        """``note((name, address, failures in a row))`` is called whenever the number has changed."""
        self._clock, self._note = clock, note
        self._failed: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def attempt(self, name: str, address: str) -> None:
        """Count an attempt as failed, before it is known whether it is. Raises TooManyRequests."""
        now, key = self._clock(), (name, address)
        with self._lock:
            count = self._refused(key, now) + 1
            self._count(key, count, now)
        self._note((name, address, count))

    def check(self, name: str, address: str) -> None:
        """Refuse a client that has to wait, without counting an attempt. Raises TooManyRequests.

        Also called for passwords that are known to be right: otherwise one could guess at full speed.
        """
        if self._failed:
            with self._lock:
                self._refused((name, address), self._clock())

    def _refused(self, key: tuple[str, str], now: float) -> int:
        """Return the number of failures in a row. Raises TooManyRequests."""
        count, last = self._failed.get(key, (0, now))
        if now - last > FORGOTTEN:
            return 0
        left = last + min(LONGEST, 2.0 ** min(count - FREE, 6)) - now if count >= FREE else 0.0
        if left > 0:
            seconds = math.ceil(left)
            raise TooManyRequests(
                f"too many wrong passwords for this name: try again in {seconds} seconds",
                headers={"Retry-After": str(seconds)},
            )
        return count

    def succeeded(self, name: str, address: str) -> None:
        """Forget the attempts: the password was right."""
        with self._lock:
            self._failed.pop((name, address), None)
        self._note((name, address, 0))

    def noted(self, name: str, address: str, count: int) -> None:
        """Take over the count of another process: a client that reaches this one next does not start again at 0."""
        key, now = (name, address), self._clock()
        with self._lock:
            known, last = self._failed.get(key, (0, now))
            if count == 0:
                self._failed.pop(key, None)
            elif count > known or now - last > FORGOTTEN:
                self._count(key, count, now)

    def _count(self, key: tuple[str, str], count: int, now: float) -> None:
        self._failed[key] = (count, now)
        self._failed.move_to_end(key)
        if len(self._failed) > KEPT:
            self._failed.popitem(last=False)
