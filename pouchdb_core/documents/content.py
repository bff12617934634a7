"""Content of attachments and its description: the one place where the two are compared.

A document has the length and the MD5 digest of each attachment. However the content arrives (a
request for one attachment, a multipart body, a dump, another store here), it is checked here before it
is stored. CouchDB stores text and the like gzipped; there the digest is that of the gzipped bytes, and
``length`` that of the plain ones.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import zlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from pouchdb_core.errors import ContentMismatch

__all__ = ["Came", "Digests", "compare", "is_compressible", "md5_text"]

# What CouchDB gzips unless its administrator says otherwise ([attachments] compressible_types), and a little more.
COMPRESSIBLE = ("text/", "application/javascript", "application/json", "application/xml", "image/svg+xml")
LEVELS = (8, 9, 6, 1, 2, 3, 4, 5, 7)
"""zlib's levels: CouchDB's own first, then common settings."""
ERLANG = (zlib.DEFLATED, 16 + zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL)
"""How CouchDB packs: zlib:deflateInit(Z, Level, deflated, 16 + 15, 8, default)."""
SAMPLE = "db1423b682da2fd88f88a1b6ea3fd8d4"
"""MD5 of a sample that zlib packed."""


class Digests:
    """The length and digests of content, computed while it is streamed."""

    __slots__ = ("_md5", "_sha256", "length")

    def __init__(self, content: bytes = b"") -> None:
        self._md5, self._sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        self.length = 0
        if content:
            self.update(content)

    def update(self, piece: bytes) -> None:
        self._md5.update(piece)
        self._sha256.update(piece)
        self.length += len(piece)

    @property
    def md5(self) -> str:
        """``md5-`` and the base64 of the digest: the form that peers see."""
        return md5_text(self._md5)

    @property
    def sha256(self) -> bytes:
        """The key of the content in the store."""
        return self._sha256.digest()


def md5_text(md5: Any) -> str:
    """Return an MD5 as documents have it."""
    return "md5-" + base64.b64encode(md5.digest()).decode("ascii")


class Came(Protocol):
    """Content that came from elsewhere."""

    @property
    def digests(self) -> Digests | None:
        """Length and digests of the content itself."""

    @property
    def known_as(self) -> Collection[str]:
        """Other digests that its source gives it, such as that of the packed bytes that were sent."""

    @property
    def encoded_length(self) -> int | None:
        """The length of the packed bytes, if it was sent so."""


def compare(name: str, entry: Mapping[str, Any], content: Came, pieces: Iterable[bytes]) -> None:
    """Compare content with the ``entry`` of the attachment ``name``; ``pieces`` yields it again.

    Raises ContentMismatch.
    """
    came = content.digests
    assert came is not None
    lengths = [("length", came.length, "bytes")]
    if content.encoded_length is not None:
        lengths.append(("encoded_length", content.encoded_length, "packed bytes"))
    for member, length, what in lengths:
        wanted = entry.get(member)
        if type(wanted) is int and wanted != length:
            raise ContentMismatch(
                f"attachment {name!r} has {length:,} {what}, not {wanted:,} as its document says", attachment=name
            )
    digest = entry.get("digest")
    if not isinstance(digest, str) or not digest.startswith("md5-"):
        return
    if digest == came.md5 or digest in content.known_as or _is_packed(entry, digest, pieces):
        return
    raise ContentMismatch(
        f"attachment {name!r} has the digest {came.md5}, not {digest} as its document says", attachment=name
    )


def is_compressible(entry: Mapping[str, Any]) -> bool:
    """Return whether an attachment is of a type that CouchDB packs."""
    return str(entry.get("content_type") or "").lower().startswith(COMPRESSIBLE)


def _is_packed(entry: Mapping[str, Any], digest: str, pieces: Iterable[bytes]) -> bool:
    """Return whether a digest is that of the content as CouchDB packs it."""
    if entry.get("encoding") != "gzip" and not is_compressible(entry):
        return False
    if not _packs_as_erlang():
        # Packed here, it would have other bytes: there is nothing to compare with.
        return True
    packers = [zlib.compressobj(level, *ERLANG) for level in LEVELS]
    digests = [hashlib.md5(usedforsecurity=False) for _ in packers]
    for piece in pieces:
        for packer, md5 in zip(packers, digests, strict=True):
            md5.update(packer.compress(piece))
    for packer, md5 in zip(packers, digests, strict=True):
        md5.update(packer.flush())
    return any(md5_text(md5) == digest for md5 in digests)


@functools.cache
def _packs_as_erlang() -> bool:
    """Return whether zlib here packs like the one that Erlang is built with: replacements of it pack differently."""
    sample = b"".join(b"%d %d, " % (number, number * number) for number in range(2000))
    packer = zlib.compressobj(8, *ERLANG)
    packed = packer.compress(sample) + packer.flush()
    return hashlib.md5(packed, usedforsecurity=False).hexdigest() == SAMPLE
