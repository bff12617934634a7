"""A plug-in that notes when documents were made and last changed.

    env = pouchdb.setup("data", plugins=[Timestamps("notes")])

Two replicas that make the same edit apart get two revisions for it, which are a conflict: without times in them they
would be one. Documents that were there before have no ``created_at``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from pouchdb_core import Record, SyncPouchDB, Transform, hookimpl
from pouchdb_core.requests import Write

__all__ = ["Timestamps"]


class _Stamping(Transform):
    def incoming(self, doc: Record, request: Write) -> Mapping[str, Any]:
        # What replication brings was stamped where it was written; code is no record of anything.
        if request.purpose == "replication" or not request.new_edits or doc["_id"].startswith("_design/"):
            return doc
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        if "_rev" not in doc:
            doc["created_at"] = now
        doc["updated_at"] = now
        return doc


class Timestamps:
    """The plug-in: stamps the documents of the databases that are named."""

    def __init__(self, *databases: str) -> None:
        self._databases = databases

    @hookimpl
    def pouchdb_transforms(self, database: SyncPouchDB) -> Transform | None:
        return _Stamping() if database.name in self._databases else None
