"""Watching whether another database took the place of a side: what was seen of each, and when to look again.

``lives`` says how that is recognised, ``replicate`` when it matters. While a live replication waits it looks now and
then, less and less often.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import Forbidden, NotFound, RemoteError, Unauthorized
from pouchdb_core.replication.batch import Revision
from pouchdb_core.replication.lives import EACH, Side
from pouchdb_core.replication.replication_progress import Refused
from pouchdb_core.results import Record

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["FIRST_LOOK", "LONGEST_LOOK", "Watch"]

logger = logging.getLogger("pouchdb.replication")

FIRST_LOOK, LONGEST_LOOK = 2.0, 60.0
"""Seconds after which a waiting live replication checks that neither side was replaced: at first, and at most."""


class Watch:
    """What one replication knows of who its two sides are.

    ``sides`` are what was seen of them, by ``source`` and ``target``, from ``begin`` to ``forget``; ``look_at`` is the
    time of the clock at which a waiting replication looks again.
    """

    def __init__(self, source: Database, target: Database, clock: Callable[[], float]) -> None:
        self._source, self._target, self._clock = source, target, clock
        self.sides: dict[str, Side] = {}
        self._vanished: set[Revision] = set()
        """Revisions that a source reported but did not have when asked."""
        self.look_at, self._look_after = 0.0, FIRST_LOOK
        self.doubted = False
        """Whether it has to look once more before it is idle again."""

    @property
    def replaceable(self) -> bool:
        """Whether another database can take the place of a side; a local one in memory cannot be replaced."""
        return any(side.remote or side.adapter.lasting for side in (self._source, self._target))

    @property
    def full(self) -> bool:
        """Whether so much was seen of a side that a checkpoint should acknowledge it soon."""
        return any(side.full for side in self.sides.values())

    @property
    def is_time(self) -> bool:
        """Whether a waiting replication has to look."""
        return self._clock() >= self.look_at

    def forget(self) -> None:
        """Know nothing of them any more: they are others, or may be."""
        self.sides = {}

    def begin(self, source: Mapping[str, Any], target: Mapping[str, Any]) -> None:
        """Take both as they are now, by their info."""
        self.sides = {"source": Side(self._source, source, "source"), "target": Side(self._target, target, "target")}

    def compare(self, source: Mapping[str, Any], target: Mapping[str, Any]) -> None:
        """Raise Replaced if they are not who they were, by their info and by what they have."""
        for side, info in (("source", source), ("target", target)):
            self.sides[side].compare(info)
            self.sides[side].check()

    def wait(self) -> None:
        """Begin to wait."""
        self.look_at = self._clock() + FIRST_LOOK

    def rest(self) -> None:
        """Begin to wait with nothing more to do: the next looks come soon again."""
        self.look_at, self._look_after = self._clock() + FIRST_LOOK, FIRST_LOOK

    def doubt(self) -> None:
        """Make it look once more before it is idle again."""
        if self._source.remote or self._target.remote:
            self.doubted = True

    def look_idly(self, look: Callable[[], None], *, asked: bool = False) -> None:
        """Look while there is nothing else to do: an unreachable server says nothing about its database.

        ``look`` raises Replaced. If ``asked`` (see ``doubt``), a missing database is waited for, and ends the run if
        it stays missing.
        """
        self._look_after = min(LONGEST_LOOK, 2 * self._look_after)
        self.look_at = self._clock() + self._look_after
        try:
            look()
        except (RemoteError, NotFound, Unauthorized, Forbidden) as error:
            for side in (self._source, self._target):
                side.adapter.check()
            if not (self._source.remote or self._target.remote) or (asked and isinstance(error, NotFound)):
                raise
            logger.info(
                "%s to %s: whether both are who they were is not known: %s", self._source.name, self._target.name, error
            )

    def witness(self, rows: list[Record], absent: set[Revision], refused: Refused) -> None:
        """Remember some revisions of a batch that both sides now have: the last one, and others from all over it."""
        step = max(1, (len(rows) - 1) // (EACH - 1))
        for row in (*rows[:-1:step], rows[-1]):
            for change in row["changes"]:
                revision = row["id"], change["rev"]
                if revision not in absent and revision not in refused:
                    for side in self.sides.values():
                        side.saw(*revision)

    def doubt_source(self, absent: set[Revision], has: Callable[[Side, set[Revision]], bool]) -> None:
        """Raise Replaced if a source does not know revisions that its feed has just reported.

        Witnesses do not help here: an old copy in the source's place has those as well. Revisions that were
        compacted in the meantime are known to the source, which ``has`` asks. If it reports the same ones again they
        are really missing there, damaged.
        """
        source, doubtful = self.sides["source"], absent - self._vanished
        if not doubtful or not source.remote:
            return
        if source.recognisable and has(source, doubtful):
            return
        self._vanished = absent
        id, rev = min(doubtful)
        raise source.replaced(f"its feed reported {rev} of {id!r}, which is not there")
