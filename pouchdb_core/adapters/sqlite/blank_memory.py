"""Empty databases in memory: copies of one that the thread has made, whose schema is sixty statements."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from pouchdb_core.adapters.sqlite.memory import Memory
from pouchdb_core.adapters.sqlite.schema import identify, initialise

__all__ = ["blank_memory"]


class _Blanks(threading.local):
    """One of each kind per thread: no lock, which a fork could leave held, and no connection with two users."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, tuple[tuple[str, Any], ...]], Memory] = {}


_BLANKS = _Blanks()


def blank_memory(what: str, name: str, place: str = ":memory:", pragmas: Sequence[tuple[str, Any]] = ()) -> Memory:
    """Return a new database called ``name``, without documents; the other parameters are those of ``Memory``."""
    kind = (place, tuple(pragmas))
    blank = _BLANKS.made.get(kind)
    if blank is None:
        blank = Memory("a new database", place, pragmas)
        initialise(blank, "")
        _BLANKS.made[kind] = blank
    made = Memory(what, place, pragmas)
    try:
        blank.fill(made)
        with made.write():
            identify(made.run, name)
    except BaseException:
        made.close()
        raise
    return made
