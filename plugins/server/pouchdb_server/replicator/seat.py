"""The one supervisor of an environment, however many servers serve it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pouchdb_core import Slot
from pouchdb_server.replicator.supervisor import Supervisor

__all__ = ["SEAT", "Seat"]


class Seat:
    """Holds the supervisor from when the first server starts until the last one stops."""

    def __init__(self) -> None:
        self.supervisor: Supervisor | None = None
        self._servers = 0
        self._lock = threading.Lock()

    def take(self, make: Callable[[], Supervisor]) -> None:
        """A server starts: it brings the supervisor if there is none."""
        with self._lock:
            self._servers += 1
            if self.supervisor is None:
                self.supervisor = make()
                self.supervisor.wake()

    def leave(self) -> None:
        """A server that took its seat stops."""
        with self._lock:
            self._servers -= 1
            if self._servers == 0:
                self._end()

    def close(self) -> None:
        """The environment closes."""
        with self._lock:
            self._end()

    def look(self) -> None:
        """A replicator database was made or destroyed."""
        supervisor = self.supervisor
        if supervisor is not None:
            supervisor.wake(look=True)

    def _end(self) -> None:
        supervisor, self.supervisor = self.supervisor, None
        if supervisor is not None:
            supervisor.close()


SEAT: Slot[Seat] = Slot("supervisor of replications", lambda environment: Seat(), Seat.close)
