"""The asynchronous interface: promises, callbacks and asyncio over the synchronous implementation."""

from __future__ import annotations

from pouchdb_core.aio.async_database import AsyncPouchDB
from pouchdb_core.aio.async_environment import AsyncEnvironment, make_async_environment
from pouchdb_core.aio.async_feed import AsyncFeed
from pouchdb_core.aio.async_handles import AsyncReplication, AsyncSync
from pouchdb_core.aio.original.promise import Promise
from pouchdb_core.aio.rows import AsyncRows

__all__ = [
    "AsyncEnvironment",
    "AsyncFeed",
    "AsyncPouchDB",
    "AsyncReplication",
    "AsyncRows",
    "AsyncSync",
    "Promise",
    "make_async_environment",
]
