"""The roles that mean something to the server itself."""

from __future__ import annotations

__all__ = ["ADMIN", "METRICS"]

ADMIN = "_admin"
METRICS = "_metrics"
"""Of who may read the server's metrics, and nothing else; as in CouchDB an account document may have it."""
