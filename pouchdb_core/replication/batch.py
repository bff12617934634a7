"""One batch of a replication: which revisions the target lacks, fetching them, writing them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from pouchdb_core.documents.packed import Packed
from pouchdb_core.errors import Forbidden, MissingStub, NotFound, PouchDBError, Unauthorized
from pouchdb_core.requests import Read, ReadOptions, Write
from pouchdb_core.results import Record

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["Refusal", "Revision", "Transfer", "revision_of"]

BYTES = 4 * 1024 * 1024
"""About how much of documents is fetched, and written, at once."""
FETCH = 1000
"""Documents fetched at once at most."""
PAUSE = 1000
"""Documents written at once at most: a transaction must not keep other writers out for long."""
SPOOL = 1024 * 1024
"""Bytes of an attachment that are in memory on its way; the rest is in a temporary file."""

Revision = tuple[str, str]
"""(id, rev)."""
Document = Packed | Record

FULL = ReadOptions(revs=True, latest=True)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document the target did not take, and why."""

    id: str
    rev: str
    error: PouchDBError

    @property
    def denied(self) -> bool:
        """Whether the target may take it another time, for somebody else or by other rules."""
        return isinstance(self.error, (Unauthorized, Forbidden))


@dataclass(slots=True)
class Transfer:
    """Moves revisions from source to target; what it did is in its members."""

    source: SyncPouchDB
    target: SyncPouchDB
    read: int = 0
    written: int = 0
    documents: list[Document] = field(default_factory=list)
    """What was written last."""
    refused: list[Refusal] = field(default_factory=list)
    """What was not written last."""
    absent: list[Revision] = field(default_factory=list)
    """What the source itself does not have any more."""
    packs: bool = False
    """Whether stored JSON can travel as it is: nobody changes documents on their way."""

    def __post_init__(self) -> None:
        source, target = self.source, self.target
        both = source.adapter.packs and (target.adapter.packs or target.adapter.takes_packed)
        self.packs = both and source.reads_plainly and target.writes_plainly

    def missing(self, revs: Mapping[str, Sequence[str]]) -> list[Revision]:
        """Return which of the revisions the target lacks."""
        answer = self.target.revs_diff(revs)
        return [(id, rev) for id in revs if id in answer for rev in answer[id]["missing"]]

    def move(self, revisions: Sequence[Revision]) -> Iterator[None]:
        """Fetch and write revisions, yielding after each transaction on the target."""
        self.documents, self.refused, self.absent = [], [], []
        batch: list[Document] = []
        size = 0
        for document in self._fetch(list(dict.fromkeys(revisions))):
            cost = _size(document)
            if batch and (size + cost > BYTES or len(batch) == PAUSE):
                self._write(batch)
                yield
                batch, size, self.absent = [], 0, []
            batch.append(document)
            size += cost
        if batch:
            self._write(batch)
        yield

    def _fetch(self, revisions: list[Revision]) -> Iterator[Document]:
        seen: set[Revision] = set()
        start = 0
        while start < len(revisions):
            part = revisions[start : start + FETCH]
            answers = self._read(part)
            # Fewer than were asked for, when they are big.
            for asked, found in zip(part, answers, strict=False):
                if not found:
                    self.absent.append(asked)
                for document in found:
                    # With `latest` two revisions that were asked for may have the same leaf.
                    key = revision_of(document)
                    if key not in seen:
                        seen.add(key)
                        self.read += 1
                        yield document
            start += len(answers)

    def _read(self, revisions: list[Revision]) -> Sequence[Sequence[Document]]:
        source = self.source
        request = Read(
            "",
            options=FULL,
            items=tuple((id, rev, ()) for id, rev in revisions),
            size=BYTES,
            packed=self.packs,
            user=source.user,
            purpose="replication",
        )
        answer = source.plugins.read(source, request)
        if self.packs:
            return [() if found is None else (found,) for found in answer]
        return [[each["ok"] for each in result["docs"] if "ok" in each] for result in answer["results"]]

    def _write(self, documents: list[Document]) -> None:
        outcomes = self._put(documents, self._with_attachments(documents, send_all=False))
        again = [document for document, error in outcomes if isinstance(error, MissingStub)]
        if again:
            # The target lost the content since it was asked, or the document that brought it was refused.
            outcomes = [pair for pair in outcomes if not isinstance(pair[1], MissingStub)]
            outcomes += self._put(again, self._with_attachments(again, send_all=True))
        self.documents, self.refused = [], []
        for document, error in outcomes:
            if error is None:
                self.documents.append(document)
            else:
                self.refused.append(Refusal(*revision_of(document), error))
        self.written += len(self.documents)

    def _put(self, documents: list[Document], given: Sequence[Any]) -> list[tuple[Document, PouchDBError | None]]:
        target = self.target
        request = Write(given, new_edits=False, user=target.user, purpose="replication")
        outcomes = target.plugins.write(target, request)
        return [
            (document, outcome if isinstance(outcome, PouchDBError) else None)
            for document, outcome in zip(documents, outcomes, strict=True)
        ]

    def _with_attachments(self, documents: list[Document], *, send_all: bool) -> Sequence[Any]:
        """Return the documents with the content of attachments that the target lacks, as open files."""
        entries = [
            entry
            for document in documents
            if isinstance(document, Record)
            for entry in document.get("_attachments", {}).values()
        ]
        if not entries:
            return documents
        digests = {entry["digest"] for entry in entries}
        lacking = digests if send_all else self.target.adapter.lacking(digests)
        given: list[Document] = []
        for document in documents:
            attachments = document.get("_attachments", {}) if isinstance(document, Record) else {}
            here = {entry["digest"] for entry in attachments.values()}
            if here & lacking:
                filled = {name: self._filled(document, name, entry, lacking) for name, entry in attachments.items()}
                document = Record({**document, "_attachments": filled})  # type: ignore[dict-item]  # a packed one has none
                if not send_all:
                    # Once is enough: the others of the batch find it there.
                    lacking = lacking - here
            given.append(document)
        return given

    def _filled(self, document: Any, name: str, entry: Record, lacking: set[str]) -> Mapping[str, Any]:
        if entry["digest"] not in lacking:
            return entry
        try:
            content = self.source.open_attachment(document["_id"], name, document["_rev"])
        except NotFound:
            # Compacted or purged since the document was read: the target says so, and it is tried again.
            return entry
        members = {key: value for key, value in entry.items() if key not in ("stub", "length")}
        return {**members, "data": content}


def revision_of(document: Document) -> Revision:
    """Return (id, rev) of a document on its way."""
    if isinstance(document, Packed):
        return document.id, document.rev
    return document["_id"], document["_rev"]


def _size(document: Document) -> int:
    """Return about how many bytes a document needs in memory on its way."""
    if isinstance(document, Packed):
        return len(document.body) + 40 * len(document.path)
    try:
        size = len(orjson.dumps(document))
    except TypeError:
        # Only for memory: what orjson refuses is refused or kept by the target.
        size = BYTES // 10
    for entry in document.get("_attachments", {}).values():
        size += min(entry.get("length", SPOOL), SPOOL)
    return size
