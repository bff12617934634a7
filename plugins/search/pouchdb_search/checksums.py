"""The sums that tantivy writes into its files, and does not look at.

Each file of a segment ends with JSON that has the CRC-32 of what is before it (``{"version": ..., "crc": 123}``), the
length of that JSON and a magic number, both with 32 bits, little-endian (tantivy's ``directory/footer.rs``).
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

__all__ = ["damaged_file"]

MAGIC = 1337
TAIL = struct.Struct("<II")
LONGEST = 10_000
"""Bytes of the JSON: it has about a hundred."""
PIECE = 1 << 20


def damaged_file(directory: Path) -> Path | None:
    """Return a file of a segment that is not what was written; None if all are. Raises OSError.

    All files are read. One that is being removed by a merge is none of them.
    """
    for path in sorted(directory.glob("[!.]*")):
        if path.suffix == ".json" or not path.is_file():
            continue
        try:
            if not _is_whole(path):
                return path
        except FileNotFoundError:
            continue
    return None


def _is_whole(path: Path) -> bool:
    """Return whether a file has the content that its sum was made of."""
    with path.open("rb") as file:
        end = file.seek(0, 2) - TAIL.size
        if end < 0:
            return False
        file.seek(end)
        length, magic = TAIL.unpack(file.read(TAIL.size))
        if magic != MAGIC or length > min(LONGEST, end):
            return False
        file.seek(end - length)
        try:
            wanted = json.loads(file.read(length))["crc"]
        except (ValueError, KeyError, TypeError):
            return False
        file.seek(0)
        left, found = end - length, 0
        while left and (piece := file.read(min(PIECE, left))):
            found = zlib.crc32(piece, found)
            left -= len(piece)
        return not left and found == wanted
