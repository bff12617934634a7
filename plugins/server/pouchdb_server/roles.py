"""The one role that means something to the server itself."""

from __future__ import annotations

__all__ = ["ADMIN"]

ADMIN = "_admin"
