"""What happened to the databases of an environment, for _db_updates: the last thousand events this process knows."""

from __future__ import annotations

import copy
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pouchdb_core import Slot
from pouchdb_server.processes.siblings import SIBLINGS
from pouchdb_server.query import is_number

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment

__all__ = ["UPDATES", "Updates"]

KEPT = 1000


class Updates:
    """A feed of ``{"db_name", "type": "created" | "updated" | "deleted", "seq"}``, one entry per database."""

    def __init__(self) -> None:
        # Numbers begin again with the process; the life distinguishes them from those of another.
        self._life = secrets.token_hex(4)
        self._numbers = [0]
        """The newest number; in a list, since views of the feed share it."""
        self._short_name: Callable[[str], str | None] = lambda name: name
        self._kept: deque[tuple[int, str, str]] = deque(maxlen=KEPT)
        self._wakes: dict[object, Callable[[], None]] = {}
        self._lock = threading.Lock()

    def add(self, name: str, kind: str) -> None:
        """Remember an event; called by writers, so it is quick."""
        with self._lock:
            last = self._kept[-1] if self._kept else None
            self._numbers[0] += 1
            if last is not None and last[1:] == (name, kind):
                self._kept[-1] = (self.number, name, kind)
            else:
                self._kept.append((self.number, name, kind))
            wakes = tuple(self._wakes.values())
        for wake in wakes:
            wake()

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake`` after every event, until the returned function is called."""
        key = object()
        with self._lock:
            self._wakes[key] = wake

        def unsubscribe() -> None:
            with self._lock:
                self._wakes.pop(key, None)

        return unsubscribe

    def seen_by(self, short_name: Callable[[str], str | None]) -> Updates:
        """Return the same feed as a view of the environment shows it: its databases only, by the view's names."""
        view = copy.copy(self)
        view._short_name = short_name
        return view

    def after(self, number: int) -> list[tuple[int, dict[str, Any]]]:
        """Return the events after a number, the last of each database only, in order."""
        with self._lock:
            kept = [(seq, self._short_name(name), kind) for seq, name, kind in self._kept if seq > number]
        found = {name: (seq, kind) for seq, name, kind in kept if name is not None}
        rows = sorted((seq, name, kind) for name, (seq, kind) in found.items())
        return [(seq, {"db_name": name, "type": kind, "seq": self.seq(seq)}) for seq, name, kind in rows]

    @property
    def number(self) -> int:
        """The number of the newest."""
        return self._numbers[0]

    def seq(self, number: int) -> str:
        """Return the opaque form of a number."""
        return f"{number}-{self._life}"

    def number_of(self, seq: str) -> int:
        """Return the number of a seq: 0, which means all events, for one of another life."""
        if seq == "now":
            return self._numbers[0]
        number, _, life = seq.partition("-")
        return int(number) if life == self._life and is_number(number) else 0


def _made(environment: SyncEnvironment) -> Updates:
    made, siblings = Updates(), environment.state(SIBLINGS)

    def add(written: Iterable[str]) -> None:
        for name in written:
            made.add(name, "updated")

    siblings.on("written", add)
    siblings.on("databases", made.add)
    return made


UPDATES: Slot[Updates] = Slot("updates of databases", _made)
