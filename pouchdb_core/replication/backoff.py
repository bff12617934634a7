"""How long to wait before trying again."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from pouchdb_core.errors import BadRequest
from pouchdb_core.safe_repr import safe_repr

__all__ = ["Backoff"]

LONGEST = 600.0


class Backoff:
    """PouchDB's rule: up to two seconds first, then about twice as long each time, up to ten minutes.

    ``custom(delay)`` replaces it: it gets the delay before (milliseconds, 0 at first) and returns
    the next one, as PouchDB's ``back_off_function``.
    """

    def __init__(
        self, custom: Callable[[float], float] | None = None, chance: Callable[[], float] = random.random
    ) -> None:
        self._custom, self._chance = custom, chance
        self._delay = 0.0

    def next(self) -> float:
        """Return the seconds to wait this time."""
        if self._custom is not None:
            answer: Any = self._custom(self._delay * 1000)
            if type(answer) not in (int, float) or not 0 <= answer < math.inf:
                raise BadRequest(f"back_off_function must return milliseconds from 0 up, not {safe_repr(answer)}")
            self._delay = answer / 1000
        elif not self._delay:
            self._delay = 2 * self._chance()
        else:
            # One to three times the last delay, so that replicas that failed together do not retry together.
            self._delay = min(LONGEST, self._delay * (1 + 2 * self._chance()))
            if self._delay == LONGEST:
                return LONGEST * (0.5 + self._chance() / 2)
        return self._delay

    def reset(self) -> None:
        """Start over after a success."""
        self._delay = 0.0
