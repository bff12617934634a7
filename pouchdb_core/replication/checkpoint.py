"""Checkpoints: how far a replication got, remembered on both sides (spec: replication 4.2).

A checkpoint is a local document ``{"session_id", "source_last_seq", "history": [...]}`` of the same
content on source and target, as CouchDB writes it. Only what both remember is believed: a side that
was restored from a backup remembers an older session, and the replication resumes from there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pouchdb_core.errors import Conflict, Forbidden, NotFound, Unauthorized
from pouchdb_core.replication.ids import VERSION
from pouchdb_core.results import Record

__all__ = ["Checkpoint", "Checkpoints", "common_ancestor"]

logger = logging.getLogger("pouchdb.replication")

HISTORY = 50
"""Sessions remembered, as many as CouchDB does."""
TRIES = 5

History = Sequence[Mapping[str, Any]]


class Peer(Protocol):
    """What is asked of a database to keep checkpoints."""

    @property
    def get(self) -> Callable[..., Record]: ...
    @property
    def put(self) -> Callable[..., Record]: ...


def common_ancestor(source: Mapping[str, Any] | None, target: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the newest history entry that both checkpoints have, or None: start at the beginning.

    The algorithm of CouchDB and PouchDB: equal sessions agree at once; else walk both histories.
    """
    if source is None or target is None:
        return None
    if source.get("session_id") is not None and source.get("session_id") == target.get("session_id"):
        return {
            "session_id": source["session_id"],
            "recorded_seq": source.get("source_last_seq", 0),
            "epoch": source.get("source_epoch"),
        }
    left: list[Mapping[str, Any]] = list(source.get("history") or ())
    right: list[Mapping[str, Any]] = list(target.get("history") or ())
    while left and right:
        if any(entry.get("session_id") == left[0].get("session_id") for entry in right):
            return left[0]
        if any(entry.get("session_id") == right[0].get("session_id") for entry in left[1:]):
            return right[0]
        left, right = left[1:], right[1:]
    return None


@dataclass(slots=True)
class Checkpoint:
    """What is remembered between two runs."""

    since: Any = 0
    denied: dict[str, list[str]] = field(default_factory=dict)
    """Revisions by id that the target refused: tried again at every run, never skipped for ever."""


class Checkpoints:
    """Reads and writes the checkpoint of one run on both sides.

    A side that cannot be written (a read-only source) is left out; then the other alone is believed
    as long as the source is the same life of its database: ``epoch`` tells.
    """

    def __init__(
        self,
        id: str,
        source: Peer,
        target: Peer,
        session_id: str,
        epoch: Epoch,
        start_time: str,
        *,
        sides: bool | Literal["source", "target"] = True,
        described: Mapping[str, Any],
    ) -> None:
        """``sides`` says where to keep it: both (True), none (False), or one; ``described`` is kept along."""
        self._described = described
        self._id = id
        self._sides = {"target": target, "source": source}
        self._session_id, self._epoch, self._start_time = session_id, epoch, start_time
        self._history: list[Mapping[str, Any]] = []
        self._started: Any = 0
        self._written: Any = None
        self._readonly = {side for side in self._sides if sides not in (True, side)}

    def read(self) -> Checkpoint:
        """Return where to resume."""
        source, target = self._load("source"), self._load("target")
        if self._readonly:
            # One side only, by wish: it is believed.
            known = target if "source" in self._readonly else source
            entry = None if self._readonly == set(self._sides) else common_ancestor(known, known)
            source, target = known, known
        else:
            entry = common_ancestor(source, target)
        if source is None and target is not None and self._unwritable(self._sides["source"]):
            self._readonly.add("source")
            entry = common_ancestor(target, target)
        self._history = list((target or Record()).get("history") or ())
        denied = (target or Record()).get("denied")
        refused = {str(id): list(revs) for id, revs in denied.items()} if isinstance(denied, dict) else {}
        since = 0 if entry is None else entry.get("recorded_seq", 0)
        if entry is not None and not self._epoch.covers(entry.get("epoch"), since):
            logger.warning("%s: the source was restored from a backup; starting over", self._id)
            since = 0
        self._started = since
        return Checkpoint(since, refused)

    def write(self, last_seq: Any, denied: Mapping[str, list[str]], stats: Mapping[str, Any]) -> None:
        """Remember how far the run got, on the target first: what the source says must be true of it."""
        state = (last_seq, {id: list(revs) for id, revs in denied.items()})
        if state == self._written or (self._written is None and last_seq == 0 and not denied):
            return
        entry = {
            "session_id": self._session_id,
            "start_time": self._start_time,
            "start_last_seq": self._started,
            "end_last_seq": last_seq,
            "recorded_seq": last_seq,
            "epoch": self._epoch.now,
            **stats,
        }
        # The entry of the running session is replaced, not added to.
        older = [each for each in self._history if each.get("session_id") != self._session_id]
        body = {
            "_id": self._id,
            "session_id": self._session_id,
            "source_last_seq": last_seq,
            "source_epoch": self._epoch.now,
            "replication_id_version": VERSION,
            "replicator": "pouchdb-python",
            **self._described,
            "history": [entry, *older][:HISTORY],
        }
        if denied:
            body["denied"] = state[1]
        for side in self._sides:
            if side not in self._readonly:
                self._save(side, body)
        self._written = state

    def _load(self, side: str) -> Record | None:
        try:
            return self._sides[side].get(self._id)
        except NotFound:
            return None

    def _unwritable(self, peer: Peer) -> bool:
        """Tell whether a side that has no checkpoint cannot have one. Leaves nothing behind that misleads."""
        try:
            peer.put({"_id": self._id, "history": []})
        except (Unauthorized, Forbidden):
            return True
        except Conflict:
            # Another replication of the pair has just written one.
            return False
        return False

    def _save(self, side: str, body: Mapping[str, Any]) -> None:
        for attempt in range(TRIES):
            # Read again each time: another replication of the same pair may write it too.
            current = self._load(side)
            try:
                self._sides[side].put(body if current is None else {**body, "_rev": current["_rev"]})
                return
            except Conflict:
                if attempt == TRIES - 1:
                    raise
            except (Unauthorized, Forbidden) as error:
                if side == "target":
                    raise
                logger.info("%s: the source keeps no checkpoint: %s", self._id, error)
                self._readonly.add(side)
                return


class Epoch:
    """Which life of a database its sequence numbers belong to.

    A copy restored from a backup counts on from where the backup was made: numbers up to there
    are the same, later ones are not.
    """

    def __init__(self, info: Mapping[str, Any]) -> None:
        self.now: str | None = info.get("epoch")
        self._former = {each["epoch"]: each["seq"] for each in info.get("former_epochs", ())}

    def covers(self, epoch: str | None, seq: Any) -> bool:
        """Tell whether ``seq`` of ``epoch`` still means the same."""
        if epoch == self.now or self.now is None:
            return True
        until = self._former.get(epoch)
        return until is not None and isinstance(seq, int) and seq <= until
