"""Whether a side of a replication is still the database it was, and which life its sequence numbers belong to.

A database at an address can be deleted and made again, restored from an old copy, or replaced by another one,
at any moment of a replication. Earlier reads and writes say nothing about the new one. So a side is
checked before a checkpoint acknowledges anything:

- It still has its checkpoint document, as it was last seen (``Checkpoints.check``).
- It still reports the same identity: uuid, epoch, ``instance_start_time``.
- A remote side still has its *witnesses*: a few revisions of each batch, known to be on both sides. CouchDB 3 says
  ``instance_start_time: "0"`` of every database and PouchDB Server the start of its process, so a database there
  can only be recognised by what it contains.

An old copy can have every witness. So a remote source that does not return a revision its feed has just reported
is asked at once whether it knows it (``Side.has``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, Forbidden, NotFound, NotSupported, RemoteError, Replaced, Unauthorized
from pouchdb_core.requests import Listing
from pouchdb_core.revisions import generation

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["EACH", "WITNESSES", "Epoch", "Side"]

EACH = 8
"""Revisions of each batch: if a document is written again its older one proves nothing, so one is not enough."""
WITNESSES = 2000
"""Maximum number of revisions a side is asked for at once: with more a checkpoint is due."""

SILENT = (Unauthorized, Forbidden, NotFound, NotSupported, BadRequest)
"""The errors of a server that does not allow asking for revisions, such as a read-only mirror."""


class Side:
    """One side of a session: what was seen of it, to be compared with its later state."""

    def __init__(self, database: Database, info: Mapping[str, Any], role: str) -> None:
        """``role`` is ``source`` or ``target``, ``info`` the database's info at the beginning."""
        self._database, self._role = database, role
        self.remote = database.remote
        self._identity = _identity(info)
        self.seq: Any = info.get("update_seq")
        """The newest sequence number seen of it."""
        self._witnesses: dict[tuple[str, str], None] = {}

    @property
    def full(self) -> bool:
        """Whether there are so many witnesses that they should be asked for soon."""
        return self.remote and len(self._witnesses) >= WITNESSES

    @property
    def recognisable(self) -> bool:
        """Whether another database in its place would be noticed at all."""
        return not self.remote or bool(self._identity or self._witnesses)

    def saw(self, id: str, rev: str) -> None:
        """Remember that the side has a revision."""
        # The newest is last.
        self._witnesses.pop((id, rev), None)
        self._witnesses[id, rev] = None
        if not self.remote:
            # In this session only a remote side is asked for all of them.
            self.confirmed()

    @property
    def newest(self) -> list[tuple[str, str]]:
        """The newest revisions that were seen, at most EACH."""
        return list(self._witnesses)[-EACH:]

    def check(self) -> None:
        """Raise Replaced if the database is not the one it was. Also raises the database's own errors."""
        if not self._database.remote:
            self._database.adapter.check()
        asked = self.remote and bool(self._witnesses) and self._ask()
        # Witnesses alone are not enough: in a sync the other direction may have written them back meanwhile.
        if self._identity or not asked:
            self.compare(self._database.info())

    def compare(self, info: Mapping[str, Any]) -> None:
        """Raise Replaced if the database's info does not match its info at the beginning."""
        now = _identity(info)
        for name in self._identity.keys() & now.keys():
            if self._identity[name] != now[name]:
                raise self.replaced(f"its {name} was {self._identity[name]} and is {now[name]}")
        self.seq = info.get("update_seq")

    def replaced(self, why: str) -> Replaced:
        """Return the Replaced error that says what was seen."""
        return Replaced(f"the {self._role} {self._database.name} is not the database it was: {why}")

    def confirmed(self) -> None:
        """Note that a checkpoint acknowledged what was seen: from here on the newest witnesses are enough.

        An old copy that takes the place of the database lacks the newest ones, or nothing.
        """
        while len(self._witnesses) > EACH:
            del self._witnesses[next(iter(self._witnesses))]

    def has(self, revisions: Iterable[tuple[str, str]]) -> bool:
        """Return whether a remote side knows revisions or may have forgotten them; False if it refuses to answer."""
        return self._lacking(revisions) == {}

    def lost(self, revisions: Iterable[tuple[str, str]]) -> bool:
        """Return whether it does not know revisions that it once had; False if it refuses to answer."""
        return bool(self._lacking(revisions))

    def _ask(self) -> bool:
        """Ask for the witnesses; return whether there was an answer. Raises Replaced."""
        lacking = self._lacking(self._witnesses)
        for id, rev in (lacking or {}).items():
            raise self.replaced(f"{rev} of {id!r} is not there any more")
        return lacking is not None

    def _lacking(self, revisions: Iterable[tuple[str, str]]) -> dict[str, str] | None:
        """Return what ``_gone`` does; None from a server that does not allow asking."""
        try:
            return self._gone(revisions)
        except SILENT:
            return None

    def _gone(self, revisions: Iterable[tuple[str, str]]) -> dict[str, str]:
        """Return which of the revisions are missing, the newest of each document.

        Documents that have grown so far that old revisions may be forgotten are left out.
        """
        asked: dict[str, list[str]] = {}
        for id, rev in revisions:
            asked.setdefault(id, []).append(rev)
        database = self._database
        answer = database.revs_diff(asked)
        lost = {id: max(each["missing"], key=generation) for id, each in answer.items() if each.get("missing")}
        if not lost:
            return {}
        request = Listing(keys=tuple(lost), user=database.user, purpose="replication")
        rows = database.plugins.list(database, request)["rows"]
        try:
            limit = database.adapter.revs_limit()
        except (*SILENT, RemoteError):
            # PouchDB Server reports none, and calls a revision missing when it no longer has its body.
            limit = 1
        grown = {
            row["id"]
            for row in rows
            if row.get("value") and generation(row["value"]["rev"]) - generation(lost[row["id"]]) >= limit
        }
        return {id: rev for id, rev in lost.items() if id not in grown}


def _identity(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a database's info that distinguish it from another database."""
    members = {name: info.get(name) for name in ("uuid", "epoch", "instance_start_time")}
    return {name: value for name, value in members.items() if isinstance(value, str) and value not in ("", "0")}


class Epoch:
    """Which life of a database its sequence numbers belong to.

    A copy restored from a backup counts on from where the backup was made: numbers up to there
    mean the same, later ones do not.
    """

    def __init__(self, info: Mapping[str, Any]) -> None:
        self.now: str | None = info.get("epoch")
        former: Sequence[Mapping[str, Any]] = info.get("former_epochs") or ()
        self._former = {each["epoch"]: each["seq"] for each in former}

    def covers(self, epoch: Any, seq: Any) -> bool:
        """Return whether ``seq`` of ``epoch`` still means the same."""
        if epoch == self.now or self.now is None:
            return True
        until = self._former.get(epoch) if isinstance(epoch, str) else None
        return until is not None and type(seq) is int and seq <= until
