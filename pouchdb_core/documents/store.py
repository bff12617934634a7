"""The rows that the document algorithms need from a store.

A store keeps one row per document (its sequence number, winner, tree and the winner's body), the
bodies of every other stored revision under pointers, attachments in chunks, local documents and
metadata. It does not know CouchDB's rules; those are in the modules beside this one.

Concurrency: every method may be called from any thread. Outside ``write()`` and ``snapshot()``
each call sees the newest committed state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pouchdb_core.documents.content import Digests

__all__ = ["Announcer", "Content", "Counters", "Head", "LocalRow", "Row", "RowChanges", "Store", "end_of_prefix"]

Head = tuple[int, str, int, "bytes | None"]
"""(seq, winning rev, deleted, tree): a document without its body. A tree of one revision is None."""

Row = tuple[int, str, str, int, "bytes | None", "bytes | None"]
"""(seq, id, winning rev, deleted, tree, body): a document; the body is None unless requested."""

LocalRow = tuple[int, bytes]
"""(revision number, body) of a local document."""


@dataclass(slots=True)
class Counters:
    """The numbers of a database that change with nearly every write."""

    update_seq: int = 0
    doc_count: int = 0
    doc_del_count: int = 0
    purge_seq: int = 0
    ddocs_seq: int = 0
    """Changes when a design document is written or purged: the key of caches of compiled functions."""
    last_pointer: int = 0
    """Pointers of bodies and numbers of attachments are never reused."""
    last_attachment: int = 0
    revs_limit: int = 1000
    """Not a counter, but every write needs it."""

    def next_seq(self) -> int:
        self.update_seq += 1
        return self.update_seq

    def next_pointer(self) -> int:
        self.last_pointer += 1
        return self.last_pointer

    def next_attachment(self) -> int:
        self.last_attachment += 1
        return self.last_attachment

    def values(self) -> tuple[int, ...]:
        """Return all of them, in the order of the fields."""
        return (
            self.update_seq,
            self.doc_count,
            self.doc_del_count,
            self.purge_seq,
            self.ddocs_seq,
            self.last_pointer,
            self.last_attachment,
            self.revs_limit,
        )

    def restore(self, values: Sequence[int]) -> None:
        """Set all of them to what ``values()`` returned."""
        for each, value in zip(fields(self), values, strict=True):
            setattr(self, each.name, value)


@dataclass(slots=True)
class RowChanges:
    """What one write does to the rows; applied in the order of the fields."""

    moved: list[tuple[int, int]] = field(default_factory=list)
    """(pointer, seq): copy the body of the row ``seq`` to ``pointer``."""
    removed: list[tuple[int]] = field(default_factory=list)
    """(seq,) of rows to delete, because the document is purged or comes back under a new seq."""
    touched: list[tuple[int, int, bytes | None, int]] = field(default_factory=list)
    """(new seq, conflicts, tree, seq): the row keeps its winner and body."""
    inserted: list[tuple[int, str, str, int, int, bytes | None, bytes | None]] = field(default_factory=list)
    """(seq, id, rev, deleted, conflicts, tree, body)."""
    bodies: list[tuple[int, str, bytes]] = field(default_factory=list)
    """(pointer, id, body) of revisions that are not winners."""
    dropped: list[tuple[int]] = field(default_factory=list)
    """(pointer,) of bodies to delete."""
    uses: list[tuple[str, str, str, int]] = field(default_factory=list)
    """(id, rev, name, number): the revision's attachment of this name has the content of this number."""
    unused: list[tuple[str, str]] = field(default_factory=list)
    """(id, rev): the revision's body is gone, and so is its use of attachments."""


class Content(NamedTuple):
    """What is known about stored content, which is stored once, however many revisions use it."""

    number: int
    length: int
    md5: str
    """In the form of documents, ``md5-...``; other content may have the same."""
    sha256: bytes | None
    """The key. None for content that was already damaged when it was to get one (see ``schema``)."""


class Announcer(Protocol):
    """Receives commits: a ``changes.notify.Notifier``."""

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call ``wake`` after every commit, until the returned function is called."""

    def notify(self) -> None:
        """Report that something was committed."""


class Store(Protocol):
    """One database's rows."""

    @property
    def notifier(self) -> Announcer:
        """The object that ``write()`` notifies after each commit that changed ``update_seq``, once the lock is free."""

    def version(self) -> int:
        """Return a number that changes with every commit by other processes, if there can be any."""

    def counters(self) -> Counters:
        """Read the counters."""

    def write(self) -> AbstractContextManager[Counters]:
        """Hold the database's one write lock in a transaction.

        Yields the counters, which are saved at the end if they changed. Leaving normally commits
        (durably, if the store is durable); an exception rolls everything back. Nested calls join the
        outermost. Raises StorageError and its kinds.
        """

    def check(self) -> None:
        """Raise DatabaseClosed or NotFound if the database is no longer there."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Make all reads of this thread in the block see one state. Never hold it across a yield."""

    def row(self, id: str) -> Row | None:
        """Return one document with its body."""

    def heads(self, ids: Sequence[str]) -> dict[str, Head]:
        """Return the existing documents among ``ids``, without bodies."""

    def rows(self, ids: Sequence[str]) -> dict[str, Row]:
        """Return the existing documents among ``ids``, with bodies."""

    def lengths(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the bytes of the winners' bodies, by id, for those that exist."""

    def body(self, pointer: int) -> bytes | None:
        """Return the body of a revision that is not the winner."""

    def save(self, changes: RowChanges) -> None:
        """Apply the changes; inside ``write()`` only."""

    def scan_ids(
        self,
        start: str | None,
        end: str | None,
        *,
        include_start: bool = True,
        include_end: bool = True,
        descending: bool = False,
        limit: int,
        skip: int = 0,
        bodies: bool = False,
    ) -> list[Row]:
        """Return documents that are not deleted, in id order between ``start`` and ``end`` in scan direction."""

    def count_before(self, id: str, *, inclusive: bool, descending: bool) -> int:
        """Count the documents that are not deleted and that a scan skips before it starts at ``id``."""

    def scan_seqs(
        self, after: int, before: int, *, limit: int, descending: bool = False, bodies: bool = False
    ) -> list[Row]:
        """Return documents, deleted ones too, with ``after < seq < before`` in seq order."""

    def renumber(self, moves: Sequence[tuple[int, int]]) -> None:
        """Move rows to other places in the feed: (seq, new seq) each; inside ``write()`` only."""

    def count_seqs(self, after: int) -> int:
        """Count the documents with a greater seq."""

    def conflicted(self, after: str, limit: int) -> list[str]:
        """Return ids of documents with live conflicts, in id order, from an index of only those."""

    def bodies_after(self, pointer: int, limit: int) -> list[tuple[int, str]]:
        """Return (pointer, id) of bodies that are not winners: where compaction has work."""

    def attachment(self, id: str, rev: str, name: str) -> Content | None:
        """Return the content of one attachment of a revision."""

    def attachments(self, id: str, rev: str) -> dict[str, Content]:
        """Return the content of a revision's attachments, by name."""

    def content(self, sha256: bytes) -> Content | None:
        """Return stored content by its key."""

    def contents(self, md5: str) -> list[Content]:
        """Return all content that has an MD5, as documents write it."""

    def has_content(self, number: int) -> bool:
        """Return whether there is content with this number."""

    def add_content(self, digests: Digests, chunks: Iterable[bytes]) -> Content:
        """Store content; inside ``write()`` only."""

    def attachment_chunk(self, number: int, index: int) -> tuple[bytes, int | None] | None:
        """Return one chunk of stored content, and its CRC-32 unless an earlier version stored it."""

    def content_after(self, number: int, limit: int) -> list[tuple[Content, str, str]]:
        """Return content with greater numbers, in order, each with (id, name) of an attachment that has it."""

    def local(self, id: str) -> LocalRow | None:
        """Return a local document."""

    def local_ids(self, prefix: str) -> list[str]:
        """Return the ids of local documents that start with ``prefix``, in order."""

    def put_local(self, id: str, rev: int, body: bytes) -> None:
        """Store a local document; inside ``write()`` only."""

    def remove_local(self, id: str) -> None:
        """Remove a local document; inside ``write()`` only."""

    def metadata(self, key: str) -> Any:
        """Return a JSON value stored under ``key``, or None."""

    def set_metadata(self, key: str, value: Any) -> None:
        """Store a JSON value under ``key``; inside ``write()`` only."""

    def add_purge(self, purge_seq: int, id: str, revs: Sequence[str], keep: int) -> None:
        """Log what was purged, keeping the newest ``keep`` entries; inside ``write()`` only."""

    def purges(self, after: int, limit: int) -> list[tuple[int, str, list[str]]]:
        """Return (purge_seq, id, revs) of logged purges."""

    def sizes(self) -> dict[str, int]:
        """Return the size of the database in bytes: ``file`` (on disk) and ``active`` (of them in use)."""

    def shrink(self) -> None:
        """Return free space to the file system."""

    def backup(self, target: Path) -> None:
        """Copy the database to ``target`` while others read and write."""

    def problems(self) -> list[str]:
        """Check the rows, but not their contents; an empty list means no problems."""

    def close(self) -> None:
        """Release the files. Later calls raise DatabaseClosed."""


def end_of_prefix(prefix: str) -> str | None:
    """Return the smallest string after all that begin with ``prefix``, in the order of ids; None if there is none."""
    while prefix:
        point = ord(prefix[-1]) + 1
        if point <= 0x10FFFF:
            # Ids have no surrogates.
            return prefix[:-1] + chr(0xE000 if point == 0xD800 else point)
        prefix = prefix[:-1]
    return None
