"""Two helpers that the original's programs import."""

from __future__ import annotations

from contextlib import suppress

from pouchdb_core.results import Record as AttrAccessDict

__all__ = ["AttrAccessDict", "suppress"]
