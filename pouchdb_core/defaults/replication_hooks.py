"""Replication, done by the core's replicator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.replication.replicate import Replicator

if TYPE_CHECKING:
    from pouchdb_core.environment import SyncEnvironment
    from pouchdb_core.requests import Replicate


@hookimpl(trylast=True)
def pouchdb_replicate(environment: SyncEnvironment, request: Replicate) -> Replicator:
    return Replicator(request, environment.engine.tools)
