"""A database as lines of JSON, and back: revision trees, attachments, and the state of its replications."""

from __future__ import annotations

from pouchdb_core.dump.lines import is_checkpoint
from pouchdb_core.dump.loading import load
from pouchdb_core.dump.saving import dump

__all__ = ["dump", "is_checkpoint", "load"]
