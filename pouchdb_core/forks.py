"""What a forked child must not inherit: one registry for everything that has locks, threads, sockets or processes.

A child has its parent's memory, but none of its other threads: a lock that one of them held is held for ever, work
that one of them did is done by nobody, and a socket is still the parent's. So whatever has such things registers the
method that makes them anew. It is called once in every child, before anything else runs there and while there is no
other thread. That costs nothing where no fork happens: no call compares process ids.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any, cast

__all__ = ["Origin", "around_forks", "renew_in_child"]

logger = logging.getLogger("pouchdb")


class _Entry(weakref.ref[Any]):
    """An object and its method. Compared by identity: the objects need not be hashable."""

    __slots__ = ("renew",)

    renew: Callable[[Any], object]

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


# One per process, as forks are. A set's add, discard and copy are one step each, so it needs no lock, which might be
# held by a thread that the child does not have.
_entries: set[_Entry] = set()


def renew_in_child(method: Callable[[], object]) -> None:
    """Call a bound method in every child that is forked from now on, as long as its object lives.

    The object is referenced weakly. The method replaces what must not be used in the child (locks included, since they
    may be held) and drops or keeps what belongs to the parent; it must not wait. What it raises is logged, and the
    others are called all the same. Children of the child call it too.
    """
    bound = cast(MethodType, method)
    entry = _Entry(bound.__self__, _entries.discard)
    entry.renew = bound.__func__
    _entries.add(entry)


def around_forks(
    *, before: Callable[[], object], in_parent: Callable[[], object], in_child: Callable[[], object]
) -> None:
    """Call functions around every fork, for what must rest while the process is copied; does nothing without forks.

    For modules, once: they cannot be removed. ``in_child`` is called after the methods of ``renew_in_child``.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)


class Origin:
    """The process that made an object, for objects that belong to it alone."""

    __slots__ = ("_pid",)

    def __init__(self) -> None:
        self._pid = os.getpid()

    # The default is for the end of the interpreter, when the module is empty.
    def here(self, _getpid: Callable[[], int] = os.getpid) -> bool:
        """Return whether that is the calling process."""
        return self._pid == _getpid()


def _renew_all() -> None:
    for entry in _entries.copy():
        owner = entry()
        if owner is not None:
            try:
                entry.renew(owner)
            except Exception:
                logger.exception("%s cannot be used in this forked process", type(owner).__name__)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
