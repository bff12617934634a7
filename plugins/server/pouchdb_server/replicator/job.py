"""One replication of the supervisor: its state, its history, and what is reported about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from pouchdb_core.errors import PouchDBError
from pouchdb_server.replicator.endpoints import without_credentials

if TYPE_CHECKING:
    from pouchdb_core.live import Replication
    from pouchdb_server.replicator.definition import Definition

__all__ = ["NODE", "Job", "Key", "State", "backoff", "progress", "reason", "stamp"]

NODE = "nonode@nohost"
FIRST, LONGEST = 30.0, 10
"""Seconds before a job that failed is tried again, and how often that is doubled at most: CouchDB's."""
HEALTHY = 120.0
"""Seconds that a job runs until its earlier failures are forgotten."""
HISTORY = 20

Key = tuple[str, str]
"""The database and the id of a document."""
State = Literal["initializing", "error", "pending", "running", "crashing", "completed", "failed"]


def backoff(errors: int) -> float:
    """Return the seconds to wait after so many failures in a row."""
    return FIRST * 2.0 ** min(errors - 1, LONGEST)


def stamp(now: float) -> str:
    """Write a time as CouchDB does here: to the second."""
    return datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def reason(error: BaseException) -> str:
    """Return why something failed, without credentials."""
    if isinstance(error, PouchDBError):
        return without_credentials(f"{error.name}: {error.message}")
    return without_credentials(f"{type(error).__name__}: {error}")


class Job:
    """The state of the replication of one document. Changed by the supervisor only, under its lock."""

    def __init__(self, key: Key, rev: str, definition: Definition, now: float) -> None:
        self.key, self.rev, self.definition = key, rev, definition
        self.id: str | None = None
        self.state: State = "initializing"
        self.started_wall = self.updated_wall = now
        self.history: deque[dict[str, str]] = deque(maxlen=HISTORY)
        self.errors = 0
        self.error: str | None = None
        self.due = 0.0
        """When an attempt is made again, by the supervisor's clock."""
        self.since = 0.0
        """When it began to run, or to wait for its turn."""
        self.handle: Replication | None = None
        self.run = 0
        """The number of the run: reports of earlier runs are ignored."""
        self.after: list[Replication] = []
        """Runs of this replication that are still ending."""
        self._happened("added", now)

    @property
    def owner(self) -> str | None:
        """The name of the user it belongs to, None for the administrators."""
        return None if self.definition.owner is None else self.definition.owner.name

    def begins(self, clock: float, now: float) -> int:
        """Note that it runs; return the number of the run."""
        self.state, self.since = "running", clock
        self.run += 1
        self._happened("started", now)
        return self.run

    def waits(self, clock: float, now: float) -> None:
        """Note that it waits for its turn."""
        if self.state == "running":
            self._happened("stopped", now)
        self.state, self.since, self.updated_wall = "pending", clock, now
        self._let_go()

    def fails(self, error: BaseException, clock: float, now: float) -> None:
        """Note that a run, or a step before it, failed; it is tried again later."""
        if self.state == "running" and clock - self.since >= HEALTHY:
            self.errors = 0
        self.errors += 1
        self.error = reason(error)
        self.due = clock + backoff(self.errors)
        if self.state == "running":
            self.state = "crashing"
            self._happened("crashed", now, self.error)
        else:
            self.state, self.updated_wall = "error", now
        self._let_go()

    def stops(self) -> Replication | None:
        """Note that its run is no longer wanted; return the run that has to be cancelled."""
        self.run += 1
        handle = self.handle
        self._let_go()
        return handle

    def _let_go(self) -> None:
        if self.handle is not None and not self.handle.done:
            self.after.append(self.handle)
        self.handle = None

    def free(self) -> bool:
        """Return whether all of its earlier runs are over."""
        self.after = [each for each in self.after if not each.done]
        return not self.after

    def failures(self, clock: float) -> int:
        """Return how often it failed in a row; a healthy run counts for none."""
        return 0 if self.state == "running" and clock - self.since >= HEALTHY else self.errors

    def info(self) -> dict[str, Any] | None:
        """Return the progress of a run, or the error."""
        if self.state in ("crashing", "error"):
            return {"error": self.error}
        return None if self.handle is None else progress(self.handle.replicator)

    def as_job(self, pid: str) -> dict[str, Any]:
        """Return the row of ``_scheduler/jobs``."""
        definition = self.definition
        return {
            "database": self.key[0],
            "id": self.id,
            "pid": pid if self.state == "running" else None,
            "source": definition.source.name,
            "target": definition.target.name,
            "user": self.owner,
            "doc_id": self.key[1],
            "info": self.info(),
            "history": list(self.history),
            "node": NODE,
            "start_time": stamp(self.started_wall),
        }

    def as_doc(self, clock: float) -> dict[str, Any]:
        """Return the row of ``_scheduler/docs``."""
        definition = self.definition
        return {
            "database": self.key[0],
            "doc_id": self.key[1],
            "id": self.id,
            "node": NODE,
            "source": definition.source.name,
            "target": definition.target.name,
            "state": self.state,
            "info": self.info(),
            "error_count": self.failures(clock),
            "last_updated": stamp(self.updated_wall),
            "start_time": stamp(self.started_wall),
            "source_proxy": _proxy(definition.source.options),
            "target_proxy": _proxy(definition.target.options),
        }

    def _happened(self, kind: str, now: float, why: str | None = None) -> None:
        self.updated_wall = now
        entry = {"timestamp": stamp(now), "type": kind}
        if why is not None:
            entry["reason"] = why
        self.history.appendleft(entry)


def progress(replicator: Any) -> dict[str, Any]:
    """Return the progress of a replication, under CouchDB's names."""
    stats = replicator.progress.stats()
    return {
        "revisions_checked": stats["missing_checked"],
        "missing_revisions_found": stats["missing_found"],
        "docs_read": stats["docs_read"],
        "docs_written": stats["docs_written"],
        "doc_write_failures": stats["doc_write_failures"],
        "changes_pending": replicator.pending,
        "source_seq": replicator.last_seq,
        "through_seq": replicator.last_seq,
        "checkpointed_source_seq": replicator.last_seq,
    }


def _proxy(options: Mapping[str, Any]) -> str | None:
    proxy = options.get("proxy")
    return None if proxy is None else without_credentials(proxy)
