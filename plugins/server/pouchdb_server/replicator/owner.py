"""The ``owner`` of a replication document: who wrote it first, kept by the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core import Record, Transform
from pouchdb_server.replicator.definition import is_replicator
from pouchdb_server.roles import ADMIN

if TYPE_CHECKING:
    from pouchdb_core import SyncPouchDB
    from pouchdb_core.requests import Write

__all__ = ["Owned", "owned"]

REPLICATOR = "_replicator"
"""The role of users who write documents for others: the ``owner`` is not changed."""


class Owned(Transform):
    """Stores ``owner`` as CouchDB's couch_replicator_docs does before an update.

    A document without an owner gets the name of the user that writes it, null during an admin party; so does one
    whose owner is null when an administrator writes it. The program itself is not a user and does not change
    documents, nor does a write of existing revisions (``new_edits=False``): two replicas of a revision are equal.
    ``owner`` gives no rights: a replication runs with those of ``user_ctx``.
    """

    def incoming(self, doc: Record, request: Write) -> Mapping[str, Any]:
        user = request.user
        if user is None or not request.new_edits or doc["_id"].startswith("_design/") or REPLICATOR in user.roles:
            return doc
        if "owner" not in doc or (doc["owner"] is None and ADMIN in user.roles):
            doc["owner"] = user.name
        return doc


def owned(database: SyncPouchDB) -> Owned | None:
    """Return what keeps the owners of a replicator database; None for other databases."""
    return Owned() if is_replicator(database.short_name) and not database.remote else None
