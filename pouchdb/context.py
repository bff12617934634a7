"""Wrappers that the original's programs import: ``Blob(bytes)`` and ``JSON(text)``."""

from __future__ import annotations

from pouchdb_core.context import JSON, JSError
from pouchdb_core.documents.attachments import Blob

__all__ = ["JSON", "Blob", "JSError"]
