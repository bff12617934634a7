"""One process of those that serve a directory runs its replications: the one that holds the lock."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from pouchdb_core.forks import around_forks, renew_in_child

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["Lock"]


class Lock:
    """A lock on a file, which the operating system releases when the process ends, however it does.

    It belongs to the process that took it. A child that is forked gets a copy of the descriptor, and the lock would
    last as long as the copy, so the child closes it: that does not unlock, as the parent still has its own.
    """

    def __init__(self, path: Path | None) -> None:
        """``path`` None is a place that no other process can see."""
        self._path = path
        self._descriptor: int | None = None
        renew_in_child(self.release)

    def acquire(self) -> bool:
        """Take the lock, if no other process has it; return whether this one has it now."""
        if self._path is None or self._descriptor is not None:
            return True
        with _forks:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if sys.platform == "win32":
                    msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
                else:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return False
            self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Release it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


# Per process, as forks are.
_forks = threading.Lock()
"""Held during a fork, so that no descriptor is copied before it is known."""


around_forks(before=_forks.acquire, in_parent=_forks.release, in_child=_forks.release)
