"""Connections to SQLite: how they close, and how many of them a process keeps open.

A connection to a file takes up to three descriptors, and a process has few of them: 256 on macOS,
1,024 on most servers. Connections are lent for one statement, snapshot or transaction and then wait for
the next call that needs the same file. How many wait follows the limit of the process; when it is
reached, those that were not used for the longest time are closed first.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sqlite3
import sys
import weakref
from collections.abc import Hashable
from typing import Any, Protocol

from pouchdb_core.forks import Origin

if sys.platform != "win32":
    import resource

__all__ = [
    "NOTHING",
    "OPEN",
    "Connection",
    "Held",
    "Open",
    "Pool",
    "descriptor_limit",
    "no_descriptor_left",
    "too_many",
]

NOTHING: tuple[int, dict[Hashable, Any]] = (-1, {})
"""What is kept of no state: there is no such ``data_version``. Never filled."""
MOST = 2000
"""Connections a process keeps open, however many descriptors it may have."""
FEWEST = 8
UNLIMITED = 1 << 20


class Connection(sqlite3.Connection):
    """A connection that closes without Python 3.13's ResourceWarning, and never in a forked child.

    SQLite forbids closing in the child what the parent opened, if a connection gets there (see ``fork``).
    """

    _origin: Origin | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # After an interrupted ``__init__`` there is nothing to close.
        self._origin = Origin()

    # The default is for the end of the interpreter, when the module is empty.
    def end(self, _keep: Any = ctypes.pythonapi.Py_IncRef) -> None:
        """Close, if it was opened by this process; else keep it forever."""
        if self._origin is not None:
            if self._origin.here():
                self.close()
            else:
                _keep(ctypes.py_object(self))

    __del__ = end


class Held:
    """A connection that closes with the last reference to this.

    sqlite3's own object is in a cycle with its cache of statements, so it would wait for the
    collector. Users of the connection keep this object, not what they take from it, meanwhile: Python crashes
    if a connection is closed while it is read.
    """

    __slots__ = (
        "__weakref__",
        "connection",
        "execute",
        "executemany",
        "fresh",
        "generation",
        "passing",
        "recalled",
        "rollback",
        "seen",
    )

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.execute, self.executemany = connection.execute, connection.executemany
        self.rollback = connection.rollback
        self.fresh = True
        """Whether it was used since the last check for idle ones."""
        self.passing = False
        """Whether it is closed after use."""
        self.generation = 0
        """The set of connections it belongs to."""
        self.seen = 0
        """The ``data_version`` it last returned."""
        self.recalled: tuple[int, dict[Hashable, Any]] | None = NOTHING
        """What ``Connections.recall`` keeps, and the ``data_version`` it is of; None during a write."""

    def __del__(self) -> None:
        self.connection.end()


def descriptor_limit() -> int:
    """Return how many descriptors the process may have."""
    if sys.platform == "win32":
        return 8192
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else min(soft, UNLIMITED)


def no_descriptor_left() -> bool:
    """Return whether the process, or the system, cannot open any more files."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE)
    return False


def too_many() -> str:
    """Return the message for that case."""
    return (
        f"no file can be opened: all {descriptor_limit()} descriptors the process may have (RLIMIT_NOFILE, "
        "`ulimit -n`) are in use; close what is not needed, or raise the limit"
    )


class Pool(Protocol):
    """A file's connections."""

    def close_idle(self, wanted: int | None, every: bool) -> int:
        """Close up to ``wanted`` connections that are not in use; without ``every`` none that was used recently."""


class Open:
    """The connections a process has open, to all its files. Callers hold ``fork.GATE``."""

    def __init__(self) -> None:
        self._pools: weakref.WeakSet[Pool] = weakref.WeakSet()
        self._all: weakref.WeakSet[Held] = weakref.WeakSet()

    def __len__(self) -> int:
        # Not by len(): the callback that removes collected ones may have been interrupted.
        return sum(1 for _ in self._all)

    @staticmethod
    def most() -> int:
        """Return how many may be open: half of the descriptors, at three each."""
        return max(FEWEST, min(MOST, descriptor_limit() // 6))

    def add(self, pool: Pool, held: Held) -> None:
        """Register a connection and where it waits; close idle ones if there are too many."""
        self._pools.add(pool)
        self._all.add(held)
        surplus = len(self) - self.most()
        if surplus > 0:
            self.close_idle(surplus)

    def close_idle(self, wanted: int | None = None) -> None:
        """Close this many connections (or all) that are not in use, first those that were not used recently."""
        for every in (False, True):
            for pool in list(self._pools):
                if wanted is not None and wanted <= 0:
                    return
                closed = pool.close_idle(wanted, every)
                if wanted is not None:
                    wanted -= closed


OPEN = Open()
"""One per process, as for descriptors."""
