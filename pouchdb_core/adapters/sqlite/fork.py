"""Connections do not cross a fork.

SQLite keeps its state of a file, its locks above all, in the memory of the process, and a child
inherits that without the locks themselves: even a connection that the child opens for itself would
take no lock where the parent had one, and lose its writes as soon as the parent closes the file. So
every connection is closed before a fork, and opened again when needed, on both sides.

A thread that is in the middle of something is waited for. If that takes too long, or if it is the
one that forks, the child gets an error for that database instead of a damaged file.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import Protocol

from pouchdb_core.forks import around_forks

__all__ = ["GATE", "PATIENCE", "SPOILED", "Parting", "part_at_forks"]

PATIENCE = 10.0
"""Seconds a fork waits for running reads and writes."""

GATE = threading.RLock()
"""Held while connections are opened or released, and during a fork; taken after write locks."""

SPOILED: set[object] = set()
"""Objects that cannot be used in this process, because they were in use when it was forked; see ``Parting.kin``."""


class Parting(Protocol):
    """An object that has connections."""

    def hold(self, timeout: float) -> bool:
        """Keep writers out; False if one is in the middle of something for longer than ``timeout`` seconds."""

    def part(self, deadline: float) -> bool:
        """Close every connection; False if one is in use beyond the deadline."""

    def rejoin(self, *, spoiled: bool, child: bool) -> None:
        """Let others in again; ``spoiled``: this is a child that cannot use it."""

    def kin(self) -> object:
        """Return the key of objects that are spoiled together."""


# One per process, as for forks.
_all: weakref.WeakSet[Parting] = weakref.WeakSet()
_parted: dict[Parting, bool] = {}


def part_at_forks(what: Parting) -> None:
    """Close the connections before each fork."""
    with GATE:
        _all.add(what)


def _before() -> None:
    deadline = time.monotonic() + PATIENCE
    # In this order: a writer may be about to connect.
    held = {each: each.hold(deadline - time.monotonic()) for each in list(_all)}
    GATE.acquire()
    for each in list(_all):
        well = held[each] if each in held else each.hold(0.0)
        _parted[each] = well and each.part(deadline)


def _after_in_parent() -> None:
    for each in _parted:
        each.rejoin(spoiled=False, child=False)
    _parted.clear()
    GATE.release()


def _after_in_child() -> None:
    # A program that forks below Python (uWSGI) may report it only afterwards: then nothing was closed.
    told = bool(_parted) or not _all
    parted = dict(_parted) if told else dict.fromkeys(list(_all), False)
    SPOILED.update(each.kin() for each, well in parted.items() if not well)
    for each in parted:
        each.rejoin(spoiled=each.kin() in SPOILED, child=True)
    _parted.clear()
    if told:
        GATE.release()


around_forks(before=_before, in_parent=_after_in_parent, in_child=_after_in_child)
