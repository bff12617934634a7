"""What every adapter must do, through the public API: one class per topic (docs/adapters.md).

An adapter's test file has a fixture ``subject`` and one empty class per class of ``SUITE``.
"""

from __future__ import annotations

from pouchdb_core.testing.conformance.attachments import Attachments
from pouchdb_core.testing.conformance.changes import Changes, LiveChanges
from pouchdb_core.testing.conformance.conflicts import Conflicts
from pouchdb_core.testing.conformance.documents import Bulk, Documents
from pouchdb_core.testing.conformance.events import Events
from pouchdb_core.testing.conformance.local_documents import LocalDocuments
from pouchdb_core.testing.conformance.maintenance import Compaction, Purge
from pouchdb_core.testing.conformance.promises import check_module, differs
from pouchdb_core.testing.conformance.replication import LiveReplication, Replication
from pouchdb_core.testing.conformance.subject import Capabilities, Subject, Suite, needs

__all__ = [
    "SUITE",
    "Attachments",
    "Bulk",
    "Capabilities",
    "Changes",
    "Compaction",
    "Conflicts",
    "Documents",
    "Events",
    "LiveChanges",
    "LiveReplication",
    "LocalDocuments",
    "Purge",
    "Replication",
    "Subject",
    "Suite",
    "check_module",
    "differs",
    "needs",
]

SUITE: tuple[type[Suite], ...] = (
    Documents,
    Bulk,
    Conflicts,
    Changes,
    LiveChanges,
    Attachments,
    LocalDocuments,
    Compaction,
    Purge,
    Replication,
    LiveReplication,
    Events,
)
"""All of it."""
