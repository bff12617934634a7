"""About this distribution."""

from __future__ import annotations

__all__ = ["__author__", "__copyright__", "__version__", "name"]

name = "pouchdb"
__version__ = "0.1.0"
__author__ = "The pouchdb for Python team"
__copyright__ = "Copyright 2026, the pouchdb for Python team; Apache License 2.0"
