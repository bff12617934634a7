"""The core's own plug-ins, in order: what every engine has before the user's plug-ins."""

from __future__ import annotations

from pouchdb_core.defaults import (
    filters_hooks,
    http_hooks,
    javascript_hooks,
    mapreduce_hooks,
    operations_hooks,
    replication_hooks,
    sqlite_hooks,
)

__all__ = ["CORE_PLUGINS"]

CORE_PLUGINS: tuple[tuple[str, object], ...] = (
    ("core-filters", filters_hooks),
    ("core-http", http_hooks),
    ("core-javascript", javascript_hooks),
    ("core-mapreduce", mapreduce_hooks),
    ("core-operations", operations_hooks),
    ("core-replication", replication_hooks),
    ("core-sqlite", sqlite_hooks),
)
