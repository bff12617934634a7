"""Handles of background work: live feeds and replications."""

from __future__ import annotations

from pouchdb_core.live.live_feed import Feed
from pouchdb_core.live.live_handle import LiveHandle
from pouchdb_core.live.live_replication import Replication, Sync
from pouchdb_core.live.starter import Starter

__all__ = ["Feed", "LiveHandle", "Replication", "Starter", "Sync"]
