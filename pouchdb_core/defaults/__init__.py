"""The core's own plug-ins, in order: what every engine has before the user's plug-ins."""

from __future__ import annotations

from pouchdb_core.defaults import filters, http, javascript, mapreduce, operations, replication, sql

__all__ = ["CORE_PLUGINS"]

CORE_PLUGINS: tuple[tuple[str, object], ...] = (
    ("core-filters", filters),
    ("core-http", http),
    ("core-javascript", javascript),
    ("core-mapreduce", mapreduce),
    ("core-operations", operations),
    ("core-replication", replication),
    ("core-sql", sql),
)
