"""The format of a dump: one JSON object per line (docs/dump.md).

::

    {"pouchdb_dump": 1, "dump": id, "db_name", "uuid", "epoch", "former_epochs", "revs_limit", ...}   first
    {"security": {...}}
    {"attachment": {"digest"}}                            content that is too long to be in its document,
    {"chunk": base64}                                     as many as it takes,
    {"content": {"digest", "length", "md5"}}              whole now; before the document that uses it
    {"seq": 7, "docs": [{"_id", "_rev", "_revisions", ...}]}   leaves of one document
    {"purge": {"seq", "id", "revs"}}
    {"local": {"_id": "_local/...", "_rev": "0-1", ...}}
    {"end": {"update_seq", "purge_seq", "documents", "revisions", "attachments", "local_documents"}}   last

A dump without its last line was cut off. Lines that depend on others come after them: a checkpoint says
that documents are there, so local documents follow them.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from typing import IO, Any, cast

from pouchdb_core.errors import BadRequest, IncompleteDump, PouchDBError
from pouchdb_core.jsontext import dump, from_text
from pouchdb_core.replication.replication_id import PREFIX

__all__ = ["CHUNK", "INLINE", "VERSION", "LineReader", "LineWriter", "is_checkpoint"]

VERSION = 1
CHUNK = 192 * 1024
"""Bytes of content in one line; a multiple of three, so that base64 has no padding inside."""
INLINE = 64 * 1024
"""Bytes of attachments that are written inside their document; larger ones have separate lines."""
LONGEST = 512 * 1024 * 1024
"""Maximum bytes of a line that is read: a file that is not a dump may be one line."""
GZIP = b"\x1f\x8b"


def is_checkpoint(doc: Mapping[str, Any]) -> bool:
    """Return whether a local document is a replication checkpoint: of this program, CouchDB or PouchDB."""
    id = doc.get("_id")
    if isinstance(id, str) and id.startswith(PREFIX) and "history" in doc:
        return True
    return isinstance(doc.get("session_id"), str) and ("source_last_seq" in doc or "last_seq" in doc)


class LineWriter:
    """Writes lines and counts them."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.bytes = 0

    def write(self, line: Mapping[str, Any]) -> None:
        """Write one line."""
        text = dump(line) + b"\n"
        self._file.write(text)
        self.bytes += len(text)


class LineReader:
    """Reads lines, gzipped or not, and keeps track of the position."""

    def __init__(self, file: IO[bytes]) -> None:
        head = file.read(len(GZIP))
        joined = _Joined(head, file)
        self._file: Any = gzip.GzipFile(fileobj=cast("IO[bytes]", joined)) if head == GZIP else joined
        self._rest = b""
        self._raw = joined
        self.number = 0
        """The number of the line that was read last."""
        self.length = 0
        """Its length in bytes."""

    @property
    def position(self) -> int:
        """Return how many bytes of the file have been read."""
        return self._raw.count

    def read(self) -> Any:
        """Return the next line; None at the end. Raises IncompleteDump where it breaks off, BadRequest if not JSON."""
        try:
            line = self._line()
        except EOFError as error:
            raise IncompleteDump(f"the dump breaks off after line {self.number}: {error}") from error
        except (zlib.error, gzip.BadGzipFile) as error:
            raise BadRequest(f"the dump is damaged after line {self.number}: {error}") from error
        if line is None:
            return None
        self.number += 1
        self.length = len(line)
        if not line.endswith(b"\n"):
            # The last line of another program's file may lack the newline, so JSON decides.
            try:
                return from_text(line)
            except PouchDBError as error:
                raise IncompleteDump(f"the dump breaks off in the middle of line {self.number}") from error
        if not line.strip():
            return self.read()
        try:
            return from_text(line)
        except PouchDBError as error:
            raise BadRequest(f"line {self.number} of the dump is not JSON: {error.message}") from error

    def _line(self) -> bytes | None:
        pieces = [self._rest] if self._rest else []
        size, self._rest = len(self._rest), b""
        while True:
            if pieces:
                head, newline, rest = pieces[-1].partition(b"\n")
                if newline:
                    pieces[-1] = head + newline
                    self._rest = rest
                    return b"".join(pieces)
            piece = self._file.read(64 * 1024)
            if not piece:
                return b"".join(pieces) or None
            size += len(piece)
            if size > LONGEST:
                raise BadRequest(f"line {self.number + 1} is longer than {LONGEST:,} bytes: this is not a dump")
            pieces.append(piece)


class _Joined:
    """A file whose first bytes have been read already; counts the bytes read."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head, self._file = head, file
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        piece = self._head
        if piece:
            self._head = b""
        else:
            piece = self._file.read(size)
        self.count += len(piece)
        return piece
