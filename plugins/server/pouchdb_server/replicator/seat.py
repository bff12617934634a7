"""The supervisors of an environment: one for each prefix that is served, however many servers serve it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from pouchdb_core import Slot
from pouchdb_server.processes.siblings import LEFT, SIBLINGS
from pouchdb_server.replicator.definition import is_replicator
from pouchdb_server.replicator.supervisor import Supervisor

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment

__all__ = ["SEAT", "Seat"]


class Seat:
    """Holds the supervisor of each view from when its first server starts until its last one stops."""

    def __init__(self) -> None:
        self._supervisors: dict[str, Supervisor] = {}
        self._servers: Counter[str] = Counter()
        self._lock = threading.Lock()

    def supervisor(self, prefix: str) -> Supervisor | None:
        """Return what runs the replications of the view with a prefix, if a server of it runs."""
        return self._supervisors.get(prefix)

    def take(self, prefix: str, make: Callable[[], Supervisor]) -> None:
        """A server starts: it provides the supervisor if there is none."""
        with self._lock:
            self._servers[prefix] += 1
            if prefix not in self._supervisors:
                made = self._supervisors[prefix] = make()
                made.wake()

    def leave(self, prefix: str) -> None:
        """A server that was added stops."""
        with self._lock:
            self._servers[prefix] -= 1
            if self._servers[prefix] == 0:
                self._end(prefix)

    def close(self) -> None:
        """The environment closes."""
        with self._lock:
            for prefix in tuple(self._supervisors):
                self._end(prefix)

    def wake(self) -> None:
        """Make all of them look again."""
        for supervisor in tuple(self._supervisors.values()):
            supervisor.wake()

    def changed(self, name: str) -> None:
        """A database was made or destroyed; ``name`` is its full name."""
        for prefix, supervisor in tuple(self._supervisors.items()):
            if name.startswith(prefix) and is_replicator(name[len(prefix) :]):
                supervisor.wake(look=True)

    def _end(self, prefix: str) -> None:
        supervisor = self._supervisors.pop(prefix, None)
        if supervisor is not None:
            supervisor.close()


def _made(environment: SyncEnvironment) -> Seat:
    made, siblings = Seat(), environment.state(SIBLINGS)
    siblings.on("databases", lambda name, kind: made.changed(name))
    # The process that ran them may be the one that ended.
    siblings.on(LEFT, made.wake)
    return made


SEAT: Slot[Seat] = Slot("supervisors of replications", _made, Seat.close)
