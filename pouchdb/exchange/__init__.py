"""Documents from and to files of other programs: JSON lines, JSON arrays, listings, CSV, backups."""

from __future__ import annotations

from pouchdb.exchange.exporting import export_documents
from pouchdb.exchange.importing import ImportResult, JsonDocuments, import_documents

__all__ = ["ImportResult", "JsonDocuments", "export_documents", "import_documents"]
