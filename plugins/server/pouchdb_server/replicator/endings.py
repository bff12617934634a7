"""How a replication ended, as its document stores it and ``_scheduler/docs`` reports it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, Conflict, NotFound, PouchDBError
from pouchdb_server.replicator.definition import FINAL, definition
from pouchdb_server.replicator.endpoints import without_credentials
from pouchdb_server.replicator.job import NODE, reason, stamp

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB
    from pouchdb_server.replicator.job import Job

__all__ = ["ended", "final_stats", "write_end"]

logger = logging.getLogger("pouchdb.server.replicator")


def final_stats(job: Job, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the counts of a replication, under CouchDB's names."""
    told = None if job.handle is None else job.handle.replicator.progress.stats()
    return {
        "revisions_checked": result["docs_read"] if told is None else told["missing_checked"],
        "missing_revisions_found": result["docs_read"] if told is None else told["missing_found"],
        "docs_read": result["docs_read"],
        "docs_written": result["docs_written"],
        "doc_write_failures": result["doc_write_failures"],
        "checkpointed_source_seq": result["last_seq"],
        "changes_pending": 0,
        "start_time": stamp(job.started_wall),
    }


def write_end(
    database: SyncPouchDB,
    id: str,
    rev: str,
    state: str,
    now: float,
    *,
    replication_id: str | None = None,
    why: str | None = None,
    stats: Mapping[str, Any] | None = None,
) -> None:
    """Write how it ended into a document, unless that was edited: then it defines another replication."""
    told = {
        "_replication_id": replication_id,
        "_replication_state": state,
        "_replication_state_time": stamp(now),
        "_replication_state_reason": None if why is None else without_credentials(why),
        "_replication_stats": stats,
    }
    try:
        doc = database.get(id)
        if doc["_rev"] != rev:
            return
        kept = {name: value for name, value in doc.items() if not name.startswith("_replication_")}
        database.put({**kept, **{name: value for name, value in told.items() if value is not None}})
    except (NotFound, Conflict):
        # The current document comes with the feed.
        return
    except PouchDBError as error:
        logger.error("the end of replication %s of %s could not be written: %s", id, database.name, reason(error))
        return
    if state == "failed":
        logger.warning("replication %s of %s failed: %s", id, database.name, told["_replication_state_reason"])


def ended(database: str, doc: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the row of a document whose replication is over; None for another one."""
    state = doc.get("_replication_state")
    if state not in FINAL:
        return None
    try:
        wanted = definition(doc)
        ends: tuple[str | None, str | None] = (wanted.source.name, wanted.target.name)
    except BadRequest:
        ends = (None, None)
    stats = doc.get("_replication_stats") or {}
    return {
        "database": database,
        "doc_id": doc["_id"],
        "id": doc.get("_replication_id") if state == "completed" else None,
        "node": NODE,
        "source": ends[0],
        "target": ends[1],
        "state": state,
        "info": {"error": doc.get("_replication_state_reason")} if state == "failed" else dict(stats),
        "error_count": 1 if state == "failed" else 0,
        "last_updated": doc.get("_replication_state_time"),
        "start_time": stats.get("start_time", doc.get("_replication_state_time")),
        "source_proxy": None,
        "target_proxy": None,
    }
