"""The asynchronous interface: promises, callbacks and asyncio over the synchronous implementation."""

from __future__ import annotations

from pouchdb_core.aio.database import AsyncPouchDB
from pouchdb_core.aio.environment import AsyncEnvironment, async_environment
from pouchdb_core.aio.promise import Promise

__all__ = ["AsyncEnvironment", "AsyncPouchDB", "Promise", "async_environment"]
