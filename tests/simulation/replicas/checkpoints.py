"""Checks of every checkpoint that a replication believes: it skips nothing, and starts nothing over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicas.oracle import Broken

from pouchdb_core.replication.replication_id import PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from replicas.replica import Replica
    from replicas.world import Link, World

    from pouchdb_core.adapters.base import Adapter
    from pouchdb_core.replication.replication_progress import Refused
    from pouchdb_core.requests import Changes, Write
    from pouchdb_core.results import Outcome

__all__ = ["Acknowledged"]


class Acknowledged:
    """What both sides of each replication remember."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._written: dict[str, dict[str, tuple[str, int]]] = {}
        """By id of the replication and name of the side: session and seq."""
        self._agreed: dict[str, int] = {}
        self._raced: set[str] = set()
        """Replications of which two went on at once: the slower one may set back the faster one's checkpoint."""

    def forget(self, replica: Replica) -> None:
        """A side was restored: what it remembered may be gone."""
        for id, sides in self._written.items():
            if replica.name in sides:
                self._agreed.pop(id, None)

    def on_written(self, adapter: Adapter, request: Write, outcomes: Sequence[Outcome]) -> None:
        """See a checkpoint being written."""
        doc: Any = request.docs[0] if request.docs else {}
        if not isinstance(doc, dict) or "session_id" not in doc or not isinstance(outcomes[0], dict):
            return
        id = doc.get("_id", "")
        if not id.startswith(PREFIX):
            return
        self._look_for_race(id)
        name: str = adapter.database_name  # type: ignore[attr-defined]  # they are SQL adapters
        sides = self._written.setdefault(id, {})
        sides[name] = (doc["session_id"], doc["source_last_seq"])
        if len(set(sides.values())) == 1 and len(sides) == 2:
            self._agreed[id] = doc["source_last_seq"]

    def on_changes(self, adapter: Adapter, request: Changes) -> None:
        """See a replication ask for changes: the first time of a session it says what it believes."""
        link = self._world.stepped
        if link is None:
            return
        replicator = link.handle.replicator
        if link.known_checkpoints is replicator._checkpoints:
            return
        link.known_checkpoints = replicator._checkpoints
        if replicator._checkpoints is link.doubtful:
            # It is of another database: what is written now is not acknowledged.
            return
        self._look_for_race(replicator.id)
        since: Any = request.since
        agreed = self._agreed.get(replicator.id, 0) if replicator.request.checkpoint is True else 0
        if since < agreed and replicator.id not in self._raced:
            raise Broken(f"{link} starts at {since}, but both sides remember {agreed}")
        if link.whole:
            self._check_nothing_skipped(link, since, replicator.refused)

    def _look_for_race(self, id: str) -> None:
        if sum(link.handle.replicator.id == id for link in self._world.links) > 1:
            self._raced.add(id)

    def _check_nothing_skipped(self, link: Link, since: int, refused: Refused) -> None:
        faults, oracle = self._world.faults, self._world.oracle
        faults.armed = False
        try:
            rows = link.source.db.changes(style="all_docs")["results"]
            revs = {
                row["id"]: [change["rev"] for change in row["changes"]]
                for row in rows
                if row["seq"] <= since and row["id"] not in oracle.purged
            }
            lacking = {id: entry["missing"] for id, entry in link.target.db.revs_diff(revs).items()}
        finally:
            faults.armed = True
        for id, missing in lacking.items():
            lost = {rev for rev in missing if (id, rev) not in refused}
            if lost:
                raise Broken(
                    f"{link} starts at {since}, but {link.target.name} lacks {id!r} {sorted(lost)} from before"
                )
