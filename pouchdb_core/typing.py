"""Names for the shapes that cross the public interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Union

__all__ = ["AttachmentData", "Document", "DocumentInput", "Json", "Readable", "Revs"]

Json = Union[None, bool, int, float, str, "Sequence[Json]", "Mapping[str, Json]"]
"""Any JSON value."""

Document = Mapping[str, Any]
"""A document: JSON fields, with ``_id``, ``_rev`` and the other reserved ones."""

DocumentInput = Document | str | bytes
"""What every writing call accepts: a mapping, or JSON text of an object."""

Revs = Mapping[str, Sequence[str]]
"""Revisions by document id, as ``revs_diff`` and ``purge`` accept them."""


class Readable(Protocol):
    """A binary file open for reading."""

    def read(self, size: int = ..., /) -> bytes: ...


AttachmentData = bytes | bytearray | memoryview | str | Readable | Mapping[str, Any]
"""Content of an attachment: bytes, base64 text, a binary file, or a blob ``{"type", "data"}``."""
