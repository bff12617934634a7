"""Where a replication takes time, chance and names from."""

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
    """Where time, chance and names come from; a simulation has its own."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    new_session: Callable[[], str] = lambda: uuid.uuid4().hex
    backoff: Callable[[Any], Backoff] = Backoff
