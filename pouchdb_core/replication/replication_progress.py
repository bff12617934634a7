"""The progress of a replication, and what the target refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pouchdb_core.replication.batch import Refusal, Revision

__all__ = ["Event", "Pending", "Progress", "Refused"]

HELD = 1000
"""Refused revisions a checkpoint stores; with more it stays before the first that did not fit."""
ERRORS = 100
"""Maximum number of errors in a result: the newest."""
SHARE = 20
"""Counting pending changes may take one part in this many of the time."""


class Event(NamedTuple):
    """An event for listeners: its name and argument."""

    name: str
    argument: Any = None


@dataclass(slots=True)
class Progress:
    """The counters of a run."""

    docs_read: int = 0
    docs_written: int = 0
    doc_write_failures: int = 0
    missing_checked: int = 0
    missing_found: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    ok: bool = True
    """Whether nothing failed except documents refused by the target's rules."""

    def stats(self) -> dict[str, int]:
        return {
            "missing_checked": self.missing_checked,
            "missing_found": self.missing_found,
            "docs_read": self.docs_read,
            "docs_written": self.docs_written,
            "doc_write_failures": self.doc_write_failures,
        }

    def fail(self, refusal: Refusal) -> dict[str, Any]:
        """Count a refused document; return the error as it is reported."""
        error = {**refusal.error.as_dict(), "id": refusal.id, "rev": refusal.rev}
        self.doc_write_failures += 1
        self.ok = self.ok and refusal.denied
        self.errors.append(error)
        del self.errors[:-ERRORS]
        return error


class Refused:
    """The revisions that the target refused: as many as a checkpoint can store, and where the rest begins."""

    def __init__(self, revisions: dict[str, list[str]]) -> None:
        self.revisions = revisions
        self._count = sum(map(len, revisions.values()))
        self.rest: Any = None
        """The source's seq after which there are more of them."""

    def __len__(self) -> int:
        return self._count

    def __contains__(self, revision: Revision) -> bool:
        return revision[1] in self.revisions.get(revision[0], ())

    def all(self) -> list[Revision]:
        """Return (id, rev) of each."""
        return [(id, rev) for id, revs in self.revisions.items() for rev in revs]

    def add(self, revision: Revision, since: Any) -> None:
        """Add a revision that was found after the seq ``since``."""
        if revision in self:
            return
        if self._count >= HELD:
            # It comes again with the changes after `since`.
            if self.rest is None:
                self.rest = since
            return
        self.revisions.setdefault(revision[0], []).append(revision[1])
        self._count += 1

    def discard(self, revision: Revision) -> None:
        """Remove a revision: the target has it, or neither side has it any more."""
        id, rev = revision
        if revision in self:
            self.revisions[id].remove(rev)
            self._count -= 1
            if not self.revisions[id]:
                del self.revisions[id]


class Pending:
    """How many changes of the source are still to be processed.

    The more there are, the longer counting takes. So they are counted as often as that takes a
    twentieth of the time, which for thousands is always, and the number is reduced in between.
    """

    def __init__(self, count: Callable[[Any], int], clock: Callable[[], float]) -> None:
        self._count, self._clock = count, clock
        self._next = 0.0
        self.number = 0

    def after(self, since: Any, looked_at: int = 0, *, exact: bool = False) -> int:
        """Return how many there are after ``since``, given how many more were processed."""
        start = self._clock()
        if exact or start >= self._next:
            self.number = self._count(since)
            end = self._clock()
            self._next = end + SHARE * (end - start)
        else:
            self.number = max(0, self.number - looked_at)
        return self.number
