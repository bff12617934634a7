"""Checkpoints: how far a replication got, stored on both sides (spec: replication 4.2).

A checkpoint is a local document ``{"session_id", "source_last_seq", "history": [...]}`` of the same content on
source and target, as CouchDB writes it, except for ``side``, which says whose it is. Only sessions stored on both are
believed: a side that was restored from a backup has an older session, and the replication resumes from there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from typing import Any, Literal, Protocol

from pouchdb_core.errors import Conflict, Forbidden, NotFound, NotSupported, ReadOnlyStorage, Unauthorized
from pouchdb_core.replication.checkpoint_document import (
    Entry,
    agree,
    common_ancestor,
    own_document,
    recorded_seq,
    refused_revisions,
    sessions,
    shared_sessions,
    witnesses,
)
from pouchdb_core.replication.lives import Epoch, Side
from pouchdb_core.replication.replication_id import VERSION
from pouchdb_core.replication.seqs import went_back
from pouchdb_core.results import Record

__all__ = ["Checkpoint", "Checkpoints", "in_turn"]

logger = logging.getLogger("pouchdb.replication")

HISTORY = 50
"""Sessions kept in the history, as many as CouchDB keeps."""
TRIES = 10

UNWRITABLE = (Unauthorized, Forbidden, NotFound, NotSupported, ReadOnlyStorage)


class Peer(Protocol):
    """The methods of a database that checkpoints need."""

    @property
    def get(self) -> Callable[..., Record]: ...
    @property
    def put(self) -> Callable[..., Record]: ...


Seen = dict[str, Record | None]
"""The checkpoint document of each side that keeps one."""


def in_turn(*calls: Callable[[], object]) -> None:
    """Make calls one after the other."""
    for call in calls:
        call()


@dataclass(slots=True)
class Checkpoint:
    """What is stored between two runs."""

    since: Any = 0
    denied: dict[str, list[str]] = field(default_factory=dict)
    """Revisions by id that the target refused: tried again in every run, never skipped for ever."""


class Checkpoints:
    """Reads and writes the checkpoint of one run on both sides.

    A side that cannot be written (a read-only source) is left out; then the other alone is believed
    as long as both databases live the same life, which their epochs show.
    """

    def __init__(
        self,
        id: str,
        source: Peer,
        target: Peer,
        session_id: str,
        epochs: tuple[Epoch, Epoch],
        now: Callable[[], float],
        *,
        sides: bool | Literal["source", "target"] = True,
        lives: Mapping[str, Side],
        described: Mapping[str, Any],
        commit: Callable[[], None] | None = None,
        together: Callable[..., None] = in_turn,
    ) -> None:
        """``sides`` says where to store it: both (True), none (False), or one; ``described`` is stored with it.

        ``lives`` checks of each side whether it still is the database it was.
        ``commit`` makes the target's writes durable: a checkpoint must not outlive the documents it is about.
        ``together`` makes calls, concurrently if that is worth it.
        """
        self._commit, self._lives, self._together = commit, lives, together
        self._described = described
        self._id = id
        self._sides = {"target": target, "source": source}
        self._session_id, self._now = session_id, now
        self._start_time = formatdate(now(), usegmt=True)
        self._epoch, self._target_epoch = epochs
        self._agreed: dict[str, Entry] = {}
        """The sessions before this one that both sides took part in, newest first."""
        self._unbelieved: set[str] = set()
        """Sessions that only one side knows, or that are false."""
        self._witnesses: list[tuple[str, str]] = []
        """Revisions that both sides had at the last checkpoint."""
        self._started: Any = 0
        self._written: Any = None
        self._newest: dict[str, Entry] = {}
        """By side: the newest session read there, or ours as it was written."""
        self._left_out = {side for side in self._sides if sides not in (True, side)}

    def read(self) -> Checkpoint:
        """Return the checkpoint to resume from."""
        if len(self._left_out) == 2:
            return Checkpoint()
        read = {side: self._load(side) for side in ("source", "target")}
        for side, found in read.items():
            known_there = sessions(found)
            if known_there and side not in self._left_out:
                self._newest[side] = known_there[0]
        source, target = own_document("source", read["source"]), own_document("target", read["target"])
        if not self._left_out and source is None and target is not None and self._unwritable("source"):
            self._left_out.add("source")
        alone = bool(self._left_out)
        known = target if "source" in self._left_out else source
        entry = common_ancestor(known, known) if alone else common_ancestor(source, target)
        # The target knows what it refused; without its document the source's is used.
        kept = target if target is not None and "target" not in self._left_out else known
        denied = refused_revisions(None if kept is None else kept.get("denied"))
        since = 0 if entry is None else entry["recorded_seq"]
        if entry is not None and not self._believed(entry, since, alone):
            logger.warning("%s: a side was restored from a backup; starting over", self._id)
            since = 0
        elif entry is not None:
            self._agreed = shared_sessions(known if alone else source, known if alone else target, entry["session_id"])
            if alone or agree(source, target):
                self._written = (since, denied) if entry.get("epoch") == self._epoch.now else None
        told = [each["session_id"] for side in read.values() for each in sessions(side)]
        self._unbelieved = set(told) - self._agreed.keys()
        self._started = since
        return Checkpoint(since, {id: list(revs) for id, revs in denied.items()})

    def _believed(self, entry: Entry, since: Any, alone: bool) -> bool:
        if not self._epoch.covers(entry.get("epoch"), since):
            return False
        self._witnesses = witnesses(entry.get("witnesses"))
        if not alone:
            return True
        # The side with the checkpoint does not know whether the other one, restored, lost what was replicated.
        [other] = self._left_out
        if other == "target" and not self._counts_on(entry):
            return False
        return not (self._witnesses and self._lives[other].lost(self._witnesses))

    def _counts_on(self, entry: Entry) -> bool:
        """Return whether the target still has all up to the seq it was at, as far as its numbers and epoch say."""
        seq, now = entry.get("target_seq"), self._lives["target"].seq
        epoch, target = entry.get("target_epoch"), self._target_epoch
        if seq is None or target.now is None:
            # An earlier version wrote no seq; and of a server without epochs only the seq can be compared.
            return epoch == target.now and not went_back(seq, now)
        return target.covers(epoch, seq) and not went_back(seq, now)

    def write(self, last_seq: Any, denied: Mapping[str, list[str]], stats: Mapping[str, Any]) -> bool:
        """Store how far the run got, on the target first: what the source's document says must be true of the target.

        Returns whether there was anything new to store. Raises Replaced if a side is no longer the database
        that was read and written: then nothing is acknowledged.
        """
        state = (last_seq, {id: list(revs) for id, revs in denied.items()})
        if state == self._written or (self._written is None and last_seq == 0 and not denied and not self._agreed):
            return False
        current = self.check(self._commit if len(self._left_out) < 2 else None)
        if len(self._left_out) == 2:
            return False
        entry = {
            "session_id": self._session_id,
            "start_time": self._start_time,
            "end_time": formatdate(self._now(), usegmt=True),
            "start_last_seq": self._started,
            "end_last_seq": last_seq,
            "recorded_seq": last_seq,
            "epoch": self._epoch.now,
            "target_epoch": self._target_epoch.now,
            **stats,
        }
        body = {
            "_id": self._id,
            "session_id": self._session_id,
            "source_last_seq": last_seq,
            "source_epoch": self._epoch.now,
            "target_epoch": self._target_epoch.now,
            "target_seq": self._lives["target"].seq,
            "witnesses": [list(each) for each in self._lives["target"].newest or self._witnesses],
            "replication_id_version": VERSION,
            "replicator": "pouchdb-python",
            **self._described,
        }
        if denied:
            body["denied"] = state[1]
        older: list[Mapping[str, Any]] | None = None
        for side in self._sides:
            if side not in self._left_out:
                older = self._save(side, body, entry, older, current)
                if older is None and side not in self._left_out:
                    # Another replication keeps writing it; ours is stored the next time.
                    return False
        self._written = state
        for life in self._lives.values():
            life.confirmed()
        return True

    def check(self, also: Callable[[], None] | None = None) -> Seen:
        """Return the documents of both sides as they are now. Raises Replaced if a side is another database.

        Servers are asked all at once, together with the calls in ``also``.
        """
        current: Seen = {}
        far: list[Callable[[], Any]] = [] if also is None else [also]
        near: list[Callable[[], Any]] = []
        for side, life in self._lives.items():
            asks = far if life.remote else near
            asks.append(life.check)
            if side not in self._left_out:
                asks.append(partial(self._look, side, current))
        # A local database answers at once, and in this thread: each thread has its own connection.
        in_turn(*near)
        self._together(*far)
        for side, document in current.items():
            if (known := self._newest.get(side)) is not None:
                self._compare(side, known, document)
        return current

    def _look(self, side: str, current: Seen) -> None:
        current[side] = self._load(side)

    def _compare(self, side: str, known: Entry, document: Record | None) -> None:
        """Raise Replaced unless a side still knows the session that was seen there last."""
        found = next((each for each in sessions(document) if each["session_id"] == known["session_id"]), None)
        if found is None:
            raise self._lives[side].replaced("its checkpoint is gone, or an older one")
        before, now = recorded_seq(known), recorded_seq(found)
        # Nothing else writes our session; another replication of the pair may have stored its own.
        if went_back(before, now):
            raise self._lives[side].replaced(f"its checkpoint is at {now} again, and was at {before}")

    def _before(self, current: Record | None) -> list[Entry]:
        """Return the sessions before ours. The entry of the running session is replaced, not added to.

        A session that only one side knows is not written to the other, which would then seem to have taken
        part: if a run is killed between the two writes, the session would be believed.
        """
        gone = {self._session_id, *self._unbelieved}
        known = {each["session_id"]: each for each in sessions(current)}
        return [self._agreed.get(session, each) for session, each in known.items() if session not in gone]

    def _load(self, side: str) -> Record | None:
        try:
            return self._sides[side].get(self._id)
        except NotFound:
            return None
        except (Unauthorized, Forbidden, NotSupported):
            if side == "target":
                raise
            # If a source does not allow reading them, the target knows how far the source was read.
            return None

    def _unwritable(self, side: str) -> bool:
        """Return whether a side without a checkpoint cannot store one. Leaves nothing misleading behind."""
        try:
            self._sides[side].put({"_id": self._id, "history": []})
        except UNWRITABLE:
            return True
        except Conflict:
            # Another replication of the pair has just written one.
            return False
        return False

    def _save(
        self, side: str, body: Mapping[str, Any], entry: Entry, older: list[Entry] | None, seen: Seen
    ) -> list[Entry] | None:
        """Write one side, which was just ``seen``; return the sessions before ours, None if it was not written."""
        for attempt in range(TRIES):
            current = seen[side] if attempt == 0 else self._seen_again(side)
            before = older
            if before is None:
                before = self._before(current)
            told = {**body, "side": side, "history": [entry, *before][:HISTORY]}
            try:
                self._sides[side].put(told if current is None else {**told, "_rev": current["_rev"]})
                self._newest[side] = entry
                return before
            except Conflict:
                continue
            except UNWRITABLE as error:
                if side == "target":
                    raise
                logger.info("%s: the source keeps no checkpoint: %s", self._id, error)
                self._left_out.add(side)
                return None
        logger.info("%s: somebody else writes the checkpoint of the %s all the time", self._id, side)
        return None

    def _seen_again(self, side: str) -> Record | None:
        """Read a side again: another replication of the pair has written it, and its session belongs to the history."""
        current = self._load(side)
        if (known := self._newest.get(side)) is not None:
            self._compare(side, known, current)
        return current
