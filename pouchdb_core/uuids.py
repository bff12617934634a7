"""Identifiers: time-ordered ones for documents, random ones for databases."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from pouchdb_core.forks import renew_in_child

__all__ = ["UuidSource"]


class UuidSource:
    """Makes UUIDs of version 7 (RFC 9562), each greater than the one before, from any thread.

    Document ids must be time-ordered: random ids dirty index pages all over the file and make
    writing five times slower at a million documents (spec: store, section 7).
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._clock, self._random = clock, random
        self._last = 0
        self._renew()
        renew_in_child(self._renew)

    def _renew(self) -> None:
        # That parent and child continue from one stamp is covered by the random tail.
        self._lock = threading.RLock()

    def __call__(self) -> str:
        """Return the next UUID as text with dashes."""
        millis = int(self._clock() * 1000)
        # 48 bits of time, 26 of counter (12 in rand_a, 14 leading ones of rand_b), 48 random ones.
        # The counter starts low in each millisecond and only grows within it.
        with self._lock:
            stamp = max(millis << 26, self._last + 1)
            self._last = stamp
        millis, counter = stamp >> 26, stamp & 0x3FFFFFF
        tail = int.from_bytes(self._random(6), "big")
        number = (
            (millis << 80) | (0x7 << 76) | ((counter >> 14) << 64) | (0x2 << 62) | ((counter & 0x3FFF) << 48) | tail
        )
        text = f"{number:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
