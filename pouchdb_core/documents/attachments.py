"""Attachments: content that streams in and out, stored once, in chunks.

A file object is copied to a temporary file while its digest is computed, before the write lock is
taken: a slow source never holds up other writers, memory stays constant, and a crash leaves nothing.
"""

from __future__ import annotations

import base64
import binascii
import errno
import tempfile
from collections.abc import Collection, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from pouchdb_core.documents.attachment_reader import CHUNK, AttachmentReader
from pouchdb_core.documents.content import Digests, compare
from pouchdb_core.errors import BadRequest, DiskFull, MissingStub, StorageError
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr

if TYPE_CHECKING:
    from pouchdb_core.documents.store import Content, Store

__all__ = [
    "CHUNK",
    "AttachmentReader",
    "Blob",
    "Incoming",
    "Stored",
    "outgoing",
    "parse_attachments",
    "parse_content",
    "resolve",
]

SPOOL = 1024 * 1024
"""Bytes of a stream kept in memory before it goes to a temporary file."""

ENTRY = ("digest", "content_type", "length", "revpos", "stub")
KINDS = {
    "content_type": str, "digest": str, "length": int, "encoding": str, "encoded_length": int, "revpos": int,
    "stub": bool,
}  # fmt: skip
DEFAULT_TYPE = "application/octet-stream"


class Blob(Record):
    """Content with its type: ``{"type": str, "data": bytes}``, readable by item and by attribute."""

    __slots__ = ()

    def __init__(self, data: bytes, type: str = DEFAULT_TYPE) -> None:
        super().__init__(type=type, data=data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Blob, (self["data"], self["type"]))


class Stored:
    """A placeholder in a replicated document for content that the database has: its key instead of the bytes."""

    __slots__ = ("sha256",)

    def __init__(self, sha256: bytes) -> None:
        self.sha256 = sha256


class Incoming:
    """One attachment of an incoming document: new content, or a stub for content the database has."""

    __slots__ = ("content", "digests", "encoded_length", "entry", "key", "known_as", "revpos", "text")

    def __init__(
        self,
        entry: dict[str, Any],
        content: bytes | IO[bytes] | None = None,
        digests: Digests | None = None,
        *,
        text: str | None = None,
        known_as: Collection[str] = (),
        encoded_length: int | None = None,
        key: bytes | None = None,
    ) -> None:
        self.entry = entry
        self.text = text
        """The base64 text if it was given that way: PouchDB hashes that."""
        self.content = content
        self.digests = digests
        """The length and digests of the content."""
        self.known_as = known_as
        """Other digests that the source gives the content: see ``compare``."""
        self.encoded_length = encoded_length
        """Number of bytes as it was received, if it was packed."""
        self.key = key
        """For a stub: the SHA-256 of the content it stands for, if that is known."""
        self.revpos: int | None = None
        """Its generation, if that is already known: a replicated document has it."""

    @property
    def digest(self) -> str:
        """The digest that readers of the document are to see.

        That of the content; for content from a CouchDB that packs it, the digest given by that CouchDB.
        """
        assert self.digests is not None
        said = self.entry.get("digest")
        return said if isinstance(said, str) and said in self.known_as else self.digests.md5

    @property
    def length(self) -> int:
        """Bytes of the content, 0 for a stub."""
        return 0 if self.digests is None else self.digests.length

    def check(self, name: str) -> None:
        """Compare the content with its description in the document. Raises ContentMismatch."""
        if self.digests is not None:
            compare(name, self.entry, self, self.chunks())
            said = self.entry.get("digest")
            if isinstance(said, str) and said.startswith("md5-"):
                # It agrees, so the document's digest is another digest of the content.
                self.known_as = {*self.known_as, said}

    @property
    def stub(self) -> bool:
        return self.content is None

    def hashed(self) -> dict[str, Any]:
        """Return the entry as the revision id hashes it: data, digest, content_type, length, revpos, stub.

        Content that was not given as base64 text is hashed by digest and length, so that
        streams need not be kept to be hashed.
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
        """Return the entry as a stub, for the guards."""
        told = {key: value for key, value in self.entry.items() if key in ENTRY}
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


def parse_attachments(given: Any, *, replicated: bool = False) -> dict[str, Incoming]:
    """Check the ``_attachments`` field of a document. Raises BadRequest naming the attachment.

    Only a ``replicated`` document's generations of attachments are trusted, and its content must
    match its description (ContentMismatch): an edit may still have the digest of what it replaces.
    """
    if not isinstance(given, Mapping):
        raise BadRequest(f"_attachments must be an object of attachments by name, not {type(given).__name__}")
    parsed: dict[str, Incoming] = {}
    try:
        for name, entry in given.items():
            # The name first: content that is accepted under a bad one would never be closed.
            check_name(name)
            incoming = parsed[name] = _entry(name, entry)
            if replicated:
                incoming.revpos = incoming.entry.get("revpos")
                incoming.check(name)
    except BaseException:
        close_all(parsed)
        raise
    return parsed


def close_all(attachments: Mapping[str, Incoming] | None) -> None:
    """Remove the temporary files of all."""
    for incoming in (attachments or {}).values():
        incoming.close()


def check_name(name: Any) -> str:
    """Return ``name`` if it is a valid attachment name. Raises BadRequest."""
    # An empty one is odd, but CouchDB and PouchDB accept it, so it arrives by replication.
    if type(name) is not str:
        raise BadRequest(f"an attachment's name must be a string, not {safe_repr(name)}")
    if name.startswith("_"):
        raise BadRequest(f"Attachment name must not start with an underscore: {name!r}")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BadRequest("an attachment's name must not hold a lone surrogate") from None
    return name


def _entry(name: str, entry: Any) -> Incoming:
    if not isinstance(entry, Mapping):
        raise BadRequest(f"attachment {name!r} must be an object with data or stub, not {type(entry).__name__}")
    kept = {key: entry[key] for key in KINDS if key in entry}
    for key, value in kept.items():
        if not isinstance(value, KINDS[key]):
            raise BadRequest(f"attachment {name!r}: {key} must be {KINDS[key].__name__}, not {safe_repr(value)}")
        if isinstance(value, int) and value >= 2**63:
            raise BadRequest(f"attachment {name!r}: {key} is too large")
    if "data" not in entry:
        if not entry.get("stub"):
            raise BadRequest(f"attachment {name!r} has neither data nor stub")
        return Incoming(kept)
    kept.pop("stub", None)
    return parse_content(name, entry["data"], kept)


def parse_content(name: str, data: Any, entry: dict[str, Any]) -> Incoming:
    """Accept content: bytes, base64 text, a blob or a binary file (read to its end, left open)."""
    if isinstance(data, Mapping) and "data" in data:
        entry = {**entry}
        entry.setdefault("content_type", str(data.get("type") or DEFAULT_TYPE))
        data = data["data"]
    if isinstance(data, Incoming):
        # Already accepted.
        known_as, encoded_length = data.known_as, data.encoded_length
        return Incoming(entry, data.content, data.digests, known_as=known_as, encoded_length=encoded_length)
    if isinstance(data, Stored):
        return Incoming(entry, key=data.sha256)
    if isinstance(data, str):
        try:
            content = base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            raise BadRequest(f"attachment {name!r}: data is not valid base64 (give bytes for raw content)") from None
        return Incoming(entry, content, Digests(content), text=data)
    if isinstance(data, (bytes, bytearray, memoryview)):
        content = bytes(data)
        return Incoming(entry, content, Digests(content))
    if callable(getattr(data, "read", None)):
        return _spool(name, data, entry)
    raise BadRequest(
        f"attachment {name!r}: data must be bytes, base64 text or a binary file, not {type(data).__name__}"
    )


def _spool(name: str, source: Any, entry: dict[str, Any]) -> Incoming:
    """Copy a file. One that is an attachment of another database computes digests by itself, where it reads."""
    digests = Digests()
    hashes = hasattr(type(source), "digests") and source.tell() == 0
    spool = tempfile.SpooledTemporaryFile(max_size=SPOOL)  # noqa: SIM115  # Incoming closes it
    try:
        while piece := source.read(CHUNK):
            if not isinstance(piece, bytes):
                raise BadRequest(f"attachment {name!r}: the file must be open in binary mode")
            if not hashes:
                digests.update(piece)
            _keep(name, spool, piece)
        if hashes:
            digests = source.digests
    except BaseException:
        spool.close()
        raise
    known_as, encoded_length = getattr(source, "known_as", ()), getattr(source, "encoded_length", None)
    return Incoming(entry, spool, digests, known_as=known_as, encoded_length=encoded_length)


def _keep(name: str, spool: IO[bytes], piece: bytes) -> None:
    try:
        spool.write(piece)
    except OSError as error:
        # An error of the temporary directory; errors of the source are the caller's.
        kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
        raise kind(f"attachment {name!r} cannot be kept in a temporary file: {error.strerror}") from error


def resolve(
    store: Store, incoming: Mapping[str, Incoming], previous: Mapping[str, tuple[Mapping[str, Any], Content]]
) -> dict[str, tuple[dict[str, Any], Content]]:
    """Store new content and look up that of stubs; inside a write transaction.

    ``previous`` holds the entries of the revision it was made from, with their content. Returns by name
    the entry to keep in the body, with None as its generation if that is not known, and its content.
    Raises MissingStub.
    """
    # Stubs first: a missing one must not leave unused content behind.
    stubs = {name: _stub(store, name, entry, previous) for name, entry in incoming.items() if entry.stub}
    resolved: dict[str, tuple[dict[str, Any], Content]] = {}
    for name, attachment in incoming.items():
        if name in stubs:
            content, entry = stubs[name]
        else:
            digests = attachment.digests
            assert digests is not None
            content = store.content(digests.sha256) or store.add_content(digests, attachment.chunks())
            entry = {"digest": attachment.digest}
        kept = {
            "content_type": attachment.entry.get("content_type") or entry.get("content_type") or DEFAULT_TYPE,
            "revpos": attachment.revpos or entry.get("revpos"),
            "digest": entry["digest"],
            "length": content.length,
        }
        resolved[name] = kept, content
    return resolved


def _stub(
    store: Store, name: str, incoming: Incoming, previous: Mapping[str, tuple[Mapping[str, Any], Content]]
) -> tuple[Content, Mapping[str, Any]]:
    """Find the content of a stub: the parent's of that name, else any with that digest.

    The parent's entry is kept unchanged, including its generation.
    """
    before, content = previous.get(name, ({}, None))
    digest = incoming.entry.get("digest", before.get("digest"))
    if incoming.key is not None:
        known = store.content(incoming.key)
        if known is not None:
            return known, before if content == known else {"digest": digest or known.md5}
    elif content is not None and before.get("digest") == digest:
        return content, before
    elif digest is not None:
        # Of two contents with one MD5 it is unknown which is meant, unless the parent has it under another name.
        ours = {content for entry, content in previous.values() if entry["digest"] == digest}
        found = ours or set(store.contents(digest))
        if len(found) == 1:
            return found.pop(), {"digest": digest}
    raise MissingStub(f"A pre-existing attachment stub wasn't found: {name!r}", attachment=name)


def outgoing(
    store: Store, entries: dict[str, Any], id: str, rev: str, *, data: bool, binary: bool, since_generation: int = 0
) -> dict[str, Any]:
    """Return the stored entries of a revision as a reader sees them: stubs, or with their content.

    With ``data``, content is base64 text, or bytes with ``binary``; an attachment whose ``revpos``
    is not above ``since_generation`` stays a stub.
    """
    shown: dict[str, Any] = {}
    for name, entry in entries.items():
        if data and entry["revpos"] > since_generation:
            reader = AttachmentReader(store, entry, id, rev, name)
            content = reader.read()
            members = {key: value for key, value in entry.items() if key != "length"}
            # The digest sent is that of the content sent, whatever digest a CouchDB that packs it gives.
            members["digest"] = reader.md5
            members["data"] = content if binary else base64.b64encode(content).decode("ascii")
            shown[name] = Record(members)
        else:
            shown[name] = Record(entry, stub=True)
    return Record(shown)
