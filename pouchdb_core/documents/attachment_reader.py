"""Reading stored content: as a seekable file that detects damage."""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.documents.content import Digests, md5_text
from pouchdb_core.errors import Damaged, NotFound
from pouchdb_core.safe_repr import safe_repr

if TYPE_CHECKING:
    from pouchdb_core.documents.store import Content, Store

__all__ = ["CHUNK", "AttachmentReader", "verify"]

CHUNK = 256 * 1024
"""Bytes in a stored chunk; all but the last of an attachment have exactly this many."""


class _Chunks:
    """The chunks of stored content, each compared with its checksum, all of them with the digest.

    If that fails, the last chunk is not returned: no reader gets the whole of damaged content.
    """

    def __init__(self, store: Store, content: Content) -> None:
        self._store, self._content = store, content
        self._next = 0
        self._hash: Any = None
        self.verified = False
        """Whether all of it was read and matches what was stored."""

    def get(self, index: int) -> bytes:
        """Return one chunk. Raises Damaged without a name, NotFound when the content was removed."""
        content = self._content
        found = self._store.attachment_chunk(content.number, index)
        wanted = min(CHUNK, content.length - index * CHUNK)
        if found is None:
            if self._store.has_content(content.number):
                raise Damaged("a piece of it is gone")
            raise NotFound("the attachment was removed while it was being read")
        data, checksum = found
        if len(data) != wanted:
            raise Damaged(f"a piece of it has {len(data):,} bytes, not {wanted:,}")
        if checksum is not None and zlib.crc32(data) != checksum:
            raise Damaged("its content is not what was stored")
        self._follow(index, data)
        return data

    def _follow(self, index: int, data: bytes) -> None:
        if index == 0:
            # Content that an earlier version stored damaged has no key.
            self._hash = hashlib.md5(usedforsecurity=False) if self._content.sha256 is None else hashlib.sha256()
            self._next = 0
        if index != self._next or self._hash is None or self.verified:
            return
        self._hash.update(data)
        self._next += 1
        if self._next * CHUNK >= self._content.length:
            self.end()

    def end(self) -> None:
        """Compare what was read with the digest. Raises Damaged."""
        content = self._content
        if content.sha256 is None:
            holds = md5_text(self._hash or hashlib.md5(usedforsecurity=False)) == content.md5
        else:
            holds = (self._hash or hashlib.sha256()).digest() == content.sha256
        self._hash = None
        if not holds:
            raise Damaged("its content is not what was stored")
        self.verified = True


def verify(store: Store, content: Content) -> None:
    """Read content to its end. Raises Damaged with the reason."""
    chunks = _Chunks(store, content)
    for index in range(-(-content.length // CHUNK)):
        chunks.get(index)
    if not chunks.verified:
        chunks.end()


class _Verified(Digests):
    """The digests of content that were computed when it was stored."""

    __slots__ = ("_content",)

    def __init__(self, content: Content) -> None:
        self._content, self.length = content, content.length

    @property
    def md5(self) -> str:
        return self._content.md5

    @property
    def sha256(self) -> bytes:
        assert self._content.sha256 is not None
        return self._content.sha256


class AttachmentReader(io.RawIOBase):
    """A stored attachment as a seekable binary file; at most one chunk is in memory.

    ``content_type`` (str), ``digest`` (str: the document's), ``md5`` (str: the content's) and
    ``length`` (bytes) describe it. It holds no transaction: reading past the removal of the attachment
    raises NotFound, never wrong bytes. Raises Damaged if what is stored is not what was written: at once
    for a chunk, at the end for content of an earlier version of the file, which has no checksums of chunks.
    """

    def __init__(self, store: Store, entry: Mapping[str, Any], id: str, rev: str, name: str) -> None:
        super().__init__()
        self.content_type: str = entry["content_type"]
        self.digest: str = entry["digest"]
        self._of = {"id": id, "attachment": name}
        content = store.attachment(id, rev, name)
        if content is None:
            raise NotFound(id=id)
        self.length, self.md5 = content.length, content.md5
        self.known_as = (self.digest,)
        """Digests under which the content is known besides that of its bytes."""
        self.sha256 = content.sha256
        """The key of the content in the store; None for content that was already damaged when it got one."""
        self._content = content
        self._chunks = _Chunks(store, content)
        self._position = 0
        self._chunk: tuple[int, bytes] = (-1, b"")

    @property
    def digests(self) -> Digests:
        """The digests of the whole content; reads what was not read yet. Raises Damaged."""
        if not self._chunks.verified:
            for _ in self._all():
                pass
        if self.sha256 is None:
            raise self._damaged(Damaged("its content is not what was stored"))
        return _Verified(self._content)

    def _all(self) -> Iterator[bytes]:
        for index in range(-(-self.length // CHUNK)):
            yield self._get(index)
        if not self.length and not self._chunks.verified:
            self._chunks.end()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        self._check_open()
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._check_open()
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.length}.get(whence)
        if start is None:
            raise ValueError(f"whence must be 0, 1 or 2, not {safe_repr(whence)}")
        if start + offset < 0:
            raise ValueError(f"cannot seek before the start: {start + offset}")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer: fewer bytes only at the end, which readers such as zipfile rely on."""
        self._check_open()
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and self._position < self.length:
            index, offset = divmod(self._position, CHUNK)
            if self._chunk[0] != index:
                self._chunk = (index, self._get(index))
            piece = self._chunk[1][offset : offset + len(view) - done]
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._position += len(piece)
        return done

    def _get(self, index: int) -> bytes:
        try:
            return self._chunks.get(index)
        except Damaged as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Damaged) -> Damaged:
        id, name = self._of["id"], self._of["attachment"]
        return Damaged(f"attachment {name!r} of document {id!r} is damaged: {error.message}", **self._of)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
