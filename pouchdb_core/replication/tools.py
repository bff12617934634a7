"""The sources of time, randomness and names of a replication."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pouchdb_core.replication.backoff import Backoff

__all__ = ["Tools"]


@dataclass(frozen=True, slots=True)
class Tools:
    """Sources of time, randomness and names; a simulation brings its own."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    new_session: Callable[[], str] = lambda: uuid.uuid4().hex
    backoff: Callable[[Any], Backoff] = Backoff
