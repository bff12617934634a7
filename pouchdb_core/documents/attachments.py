"""Attachments: content that streams in and out, stored once per digest, in chunks.

A file object is copied to a temporary file while its digest is computed, before the write lock is
taken: a slow source never holds up other writers, memory stays constant, and a crash leaves nothing.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import io
import tempfile
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, DiskFull, MissingStub, NotFound, StorageError
from pouchdb_core.results import Record

if TYPE_CHECKING:
    from pouchdb_core.documents.store import Store

__all__ = [
    "CHUNK",
    "AttachmentReader",
    "Blob",
    "Incoming",
    "outgoing",
    "parse_attachments",
    "parse_content",
    "resolve",
]

CHUNK = 256 * 1024
"""Bytes in a stored chunk; all but the last of an attachment have exactly this many."""

SPOOL = 1024 * 1024
"""Bytes of a stream kept in memory before it goes to a temporary file."""

ENTRY = ("digest", "content_type", "length", "revpos", "stub")
DEFAULT_TYPE = "application/octet-stream"


class Blob(Record):
    """Content with its type: ``{"type": str, "data": bytes}``, readable by item and by attribute."""

    __slots__ = ()

    def __init__(self, data: bytes, type: str = DEFAULT_TYPE) -> None:
        super().__init__(type=type, data=data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Blob, (self["data"], self["type"]))


class Incoming:
    """One attachment of an incoming document: new content, or a stub for content the database has."""

    __slots__ = ("content", "digest", "entry", "length", "revpos", "text")

    def __init__(self, entry: dict[str, Any], text: str | None, content: bytes | IO[bytes] | None, digest: str) -> None:
        self.entry = entry
        self.text = text
        """The base64 text when it was given so: PouchDB hashes that."""
        self.content = content
        self.digest = digest
        self.length = _length(content)
        self.revpos: int | None = None
        """The generation it is of, if that is known already: a replicated document says it."""

    @property
    def stub(self) -> bool:
        return self.content is None

    def hashed(self) -> dict[str, Any]:
        """Return the entry as the revision id hashes it: data, digest, content_type, length, revpos, stub.

        Content that did not come as base64 text stands for itself by digest and length, so that
        streams need not be held to be hashed.
        """
        given: dict[str, Any] = {}
        if self.text is not None:
            given["data"] = self.text
        for key in ENTRY:
            if key in self.entry:
                given[key] = self.entry[key]
            elif self.content is not None and self.text is None and key in ("digest", "length"):
                given[key] = self.digest if key == "digest" else self.length
        return given

    def described(self) -> dict[str, Any]:
        """Return the entry as a stub, for whoever judges the document."""
        told = dict(self.entry)
        if self.content is not None:
            told.update(digest=self.digest, length=self.length)
        return {**told, "stub": True}

    def chunks(self) -> Iterator[bytes]:
        """Yield the content in pieces of CHUNK bytes."""
        content = self.content
        if isinstance(content, bytes):
            for start in range(0, len(content), CHUNK):
                yield content[start : start + CHUNK]
        elif content is not None:
            content.seek(0)
            while piece := content.read(CHUNK):
                yield piece

    def close(self) -> None:
        """Remove the temporary file, if there is one."""
        if self.content is not None and not isinstance(self.content, bytes):
            self.content.close()


def _length(content: bytes | IO[bytes] | None) -> int:
    if content is None:
        return 0
    return len(content) if isinstance(content, bytes) else content.tell()


def parse_attachments(given: Any, *, replicated: bool = False) -> dict[str, Incoming]:
    """Check the ``_attachments`` member of a document. Raises BadRequest naming the attachment.

    Only a ``replicated`` document is believed what generation its attachments are of.
    """
    if not isinstance(given, Mapping):
        raise BadRequest(f"_attachments must be an object of attachments by name, not {type(given).__name__}")
    parsed: dict[str, Incoming] = {}
    try:
        for name, entry in given.items():
            # The name first: content that is taken in under a bad one would be closed by nobody.
            check_name(name)
            incoming = parsed[name] = _entry(name, entry)
            if replicated:
                incoming.revpos = incoming.entry.get("revpos")
    except BaseException:
        close_all(parsed)
        raise
    return parsed


def close_all(attachments: Mapping[str, Incoming] | None) -> None:
    """Remove the temporary files of all."""
    for incoming in (attachments or {}).values():
        incoming.close()


def check_name(name: Any) -> str:
    """Return ``name`` if an attachment may be called so. Raises BadRequest."""
    if type(name) is not str or not name:
        raise BadRequest(f"an attachment's name must be text, not {name!r}")
    if name.startswith("_"):
        raise BadRequest(
            f"Attachment name must not start with an underscore: {name!r}. "
            "It is recommended to put attachments into a document that has no such names."
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BadRequest("an attachment's name must not hold a lone surrogate") from None
    return name


def _entry(name: str, entry: Any) -> Incoming:
    if not isinstance(entry, Mapping):
        raise BadRequest(f"attachment {name!r} must be an object with data or stub, not {type(entry).__name__}")
    kept = {key: entry[key] for key in ENTRY if key in entry}
    for key, kind in (("content_type", str), ("digest", str), ("length", int), ("revpos", int), ("stub", bool)):
        if key in kept and not isinstance(kept[key], kind):
            raise BadRequest(f"attachment {name!r}: {key} must be {kind.__name__}, not {kept[key]!r}")
        if kind is int and kept.get(key, 0) >= 2**63:
            raise BadRequest(f"attachment {name!r}: {key} is too large")
    if "data" not in entry:
        if not entry.get("stub"):
            raise BadRequest(f"attachment {name!r} has neither data nor stub")
        return Incoming(kept, None, None, "")
    kept.pop("stub", None)
    return parse_content(name, entry["data"], kept)


def parse_content(name: str, data: Any, entry: dict[str, Any]) -> Incoming:
    """Take in content: bytes, base64 text, a blob or a binary file (read to its end, left open)."""
    if isinstance(data, Mapping) and "data" in data:
        entry = {**entry}
        entry.setdefault("content_type", str(data.get("type") or DEFAULT_TYPE))
        data = data["data"]
    if isinstance(data, Incoming):
        # Taken in already.
        return Incoming(entry, None, data.content, data.digest)
    if isinstance(data, str):
        try:
            content = base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            raise BadRequest(f"attachment {name!r}: data is not valid base64 (give bytes for raw content)") from None
        return Incoming(entry, data, content, _digest(hashlib.md5(content, usedforsecurity=False)))
    if isinstance(data, (bytes, bytearray, memoryview)):
        content = bytes(data)
        return Incoming(entry, None, content, _digest(hashlib.md5(content, usedforsecurity=False)))
    if callable(getattr(data, "read", None)):
        return _spool(name, data, entry)
    raise BadRequest(
        f"attachment {name!r}: data must be bytes, base64 text or a binary file, not {type(data).__name__}"
    )


def _spool(name: str, source: Any, entry: dict[str, Any]) -> Incoming:
    md5 = hashlib.md5(usedforsecurity=False)
    # What comes from a server is hashed where it comes in, to be compared with what the server told of all of it.
    hashed = getattr(source, "hashes", False) and source.tell() == 0
    spool = tempfile.SpooledTemporaryFile(max_size=SPOOL)  # noqa: SIM115  # Incoming closes it
    try:
        while piece := source.read(CHUNK):
            if not isinstance(piece, bytes):
                raise BadRequest(f"attachment {name!r}: the file must be open in binary mode")
            if not hashed:
                md5.update(piece)
            _keep(name, spool, piece)
        # Of content that a server keeps packed, the digest is of the packed bytes: it was compared with those.
        verified = source.verified_digest if hashed else None
        if hashed and verified is None:
            # The server told no digest, or not all of it was read.
            spool.seek(0)
            while piece := spool.read(CHUNK):
                md5.update(piece)
    except BaseException:
        spool.close()
        raise
    return Incoming(entry, None, spool, verified or _digest(md5))


def _keep(name: str, spool: IO[bytes], piece: bytes) -> None:
    try:
        spool.write(piece)
    except OSError as error:
        # Of the temporary directory; what the source itself raises is the caller's.
        kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
        raise kind(f"attachment {name!r} cannot be kept in a temporary file: {error.strerror}") from error


def _digest(md5: Any) -> str:
    return "md5-" + base64.b64encode(md5.digest()).decode("ascii")


def resolve(
    store: Store, incoming: Mapping[str, Incoming], previous: Mapping[str, Any], generation: int
) -> tuple[dict[str, Any], set[int]]:
    """Store what is new and look up what is a stub; inside a write transaction.

    ``previous`` holds the entries of the parent revision. Returns the entries to keep in the body
    and the numbers of the attachments they use. Raises MissingStub.
    """
    entries: dict[str, Any] = {}
    numbers: set[int] = set()
    # Stubs first: a missing one must not leave behind content that nothing uses.
    stubs = {name: _stub(store, name, entry, previous) for name, entry in incoming.items() if entry.stub}
    for name, attachment in incoming.items():
        if name in stubs:
            number, length, entry = stubs[name]
        else:
            entry, length = {"digest": attachment.digest}, attachment.length
            known = store.attachment(attachment.digest)
            number = known[0] if known else store.add_attachment(attachment.digest, length, attachment.chunks())
        given = attachment.entry
        entries[name] = {
            "content_type": given.get("content_type") or entry.get("content_type") or DEFAULT_TYPE,
            "revpos": attachment.revpos or entry.get("revpos") or generation,
            "digest": entry["digest"],
            "length": length,
        }
        numbers.add(number)
    return entries, numbers


def _stub(
    store: Store, name: str, incoming: Incoming, previous: Mapping[str, Any]
) -> tuple[int, int, Mapping[str, Any]]:
    """Find the content a stub stands for: the parent's of that name, else any of that digest.

    What is the parent's stays what it was, its generation included.
    """
    before = previous.get(name, {})
    digest = incoming.entry.get("digest", before.get("digest"))
    known = store.attachment(digest) if digest else None
    if known is None:
        raise MissingStub(f"A pre-existing attachment stub wasn't found: {name!r}")
    return *known, before if before.get("digest") == digest else {"digest": digest}


def outgoing(
    store: Store, entries: dict[str, Any], *, data: bool, binary: bool, since_generation: int = 0
) -> dict[str, Any]:
    """Return stored entries as a reader sees them: stubs, or with their content.

    With ``data``, content is base64 text, or bytes with ``binary``; an attachment whose ``revpos``
    is not above ``since_generation`` stays a stub.
    """
    shown: dict[str, Any] = {}
    for name, entry in entries.items():
        if data and entry["revpos"] > since_generation:
            content = AttachmentReader(store, entry).read()
            members = {key: value for key, value in entry.items() if key != "length"}
            members["data"] = content if binary else base64.b64encode(content).decode("ascii")
            shown[name] = Record(members)
        else:
            shown[name] = Record(entry, stub=True)
    return Record(shown)


class AttachmentReader(io.RawIOBase):
    """A stored attachment as a seekable binary file; at most one chunk is in memory.

    ``content_type`` (str), ``digest`` (str) and ``length`` (bytes) describe it. It holds no
    transaction: reading past the removal of the attachment raises NotFound, never wrong bytes.
    """

    def __init__(self, store: Store, entry: Mapping[str, Any]) -> None:
        super().__init__()
        self.content_type: str = entry["content_type"]
        self.digest: str = entry["digest"]
        self._store = store
        known = store.attachment(self.digest)
        if known is None:
            raise NotFound()
        self._number, self.length = known
        self._position = 0
        self._chunk: tuple[int, bytes] = (-1, b"")

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
            raise ValueError(f"whence must be 0, 1 or 2, not {whence!r}")
        if start + offset < 0:
            raise ValueError(f"cannot seek before the start: {start + offset}")
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer: fewer bytes come at the end only, which readers such as zipfile rely on."""
        self._check_open()
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and self._position < self.length:
            index, offset = divmod(self._position, CHUNK)
            if self._chunk[0] != index:
                data = self._store.attachment_chunk(self._number, index)
                if data is None:
                    raise NotFound("the attachment was removed while it was being read")
                self._chunk = (index, data)
            piece = self._chunk[1][offset : offset + len(view) - done]
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._position += len(piece)
        return done

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
