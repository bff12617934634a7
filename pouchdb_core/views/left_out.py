"""Documents that an index leaves out, and what the user learns of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pouchdb_core.errors import PouchDBError

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["LeftOut"]

logger = logging.getLogger("pouchdb.views")

LOGGED = 10
"""Failing documents that one build logs; all are reported by events."""


class LeftOut:
    """Reports documents that were left out to the user: the first ones in the log, all as ``error`` events."""

    def __init__(self, database: Database, ddoc: str) -> None:
        """``ddoc`` is the design document, or the name of what is built once."""
        self._database, self._ddoc, self._count = database, ddoc, 0

    def __call__(self, id: str, error: Exception) -> None:
        self._count += 1
        if self._count <= LOGGED:
            reason = error.message if isinstance(error, PouchDBError) else error
            logger.warning("%s leaves out document %r: %s", self._ddoc, id, reason)
        self._database.emit("error", error)

    def finish(self) -> None:
        if self._count > LOGGED:
            logger.warning("%s left out %d documents in all", self._ddoc, self._count)
