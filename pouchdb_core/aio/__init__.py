"""The asynchronous interface: promises, callbacks and asyncio over the synchronous implementation."""

from __future__ import annotations

from pouchdb_core.aio.database import AsyncPouchDB
from pouchdb_core.aio.environment import AsyncEnvironment, async_environment
from pouchdb_core.aio.feed import AsyncFeed
from pouchdb_core.aio.handles import AsyncReplication, AsyncSync
from pouchdb_core.aio.promise import Promise
from pouchdb_core.aio.rows import AsyncRows

__all__ = [
    "AsyncEnvironment",
    "AsyncFeed",
    "AsyncPouchDB",
    "AsyncReplication",
    "AsyncRows",
    "AsyncSync",
    "Promise",
    "async_environment",
]
