"""One batch of a replication: which revisions the target lacks, fetching them, writing them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from pouchdb_core.errors import Forbidden, MissingStub, NotFound, PouchDBError, Unauthorized
from pouchdb_core.requests import Read, ReadOptions, Write
from pouchdb_core.results import Record

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["Refusal", "Revision", "Transfer"]

BYTES = 8 * 1024 * 1024
"""About how much of documents is in memory at once; attachments stream and do not count."""
FETCH = 100
"""Documents asked for at once while their size is unknown."""
PAUSE = 1000
"""Documents written at once at most: a transaction must not keep other writers out for long."""

Revision = tuple[str, str]
"""(id, rev)."""

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
    documents: list[Record] = field(default_factory=list)
    """What was written last, as it was read."""
    refused: list[Refusal] = field(default_factory=list)
    """What was not written last."""
    absent: list[Revision] = field(default_factory=list)
    """What the source itself does not have any more."""
    _per_document: float = 0.0

    def missing(self, revs: Mapping[str, Sequence[str]]) -> list[Revision]:
        """Return which of the revisions the target lacks."""
        answer = self.target.revs_diff(revs)
        return [(id, rev) for id in revs if id in answer for rev in answer[id]["missing"]]

    def move(self, revisions: Sequence[Revision]) -> Iterator[None]:
        """Fetch and write revisions, yielding after each transaction on the target."""
        pending = list(dict.fromkeys(revisions))
        while pending:
            self.documents, self.refused, self.absent = [], [], []
            size = 0
            seen: set[Revision] = set()
            while pending and size < BYTES and len(self.documents) < PAUSE:
                count = self._how_many(BYTES - size)
                part, pending = pending[:count], pending[count:]
                for document in self._fetch(part, seen):
                    # The size is only for memory: what orjson refuses is refused or kept by the target.
                    size += self._measure(document)
                    self.documents.append(document)
            if self.documents:
                self._write(self.documents)
            yield

    def _how_many(self, left: int) -> int:
        if not self._per_document:
            return FETCH
        return max(1, min(PAUSE, int(left / self._per_document)))

    def _measure(self, document: Record) -> int:
        try:
            size = len(orjson.dumps(document))
        except TypeError:
            size = BYTES // FETCH
        self._per_document = max(size, 0.9 * self._per_document + 0.1 * size)
        return size

    def _fetch(self, revisions: Sequence[Revision], seen: set[Revision]) -> Iterator[Record]:
        items = tuple((id, rev, ()) for id, rev in revisions)
        source = self.source
        answer = source.plugins.read(
            source, Read("", options=FULL, items=items, user=source.user, purpose="replication")
        )
        for (id, rev), result in zip(revisions, answer["results"], strict=True):
            for each in result["docs"]:
                if "ok" not in each:
                    self.absent.append((id, rev))
                    continue
                document: Record = each["ok"]
                # With `latest` two revisions that were asked for may have the same leaf.
                if (id, document["_rev"]) not in seen:
                    seen.add((id, document["_rev"]))
                    self.read += 1
                    yield document

    def _write(self, documents: Sequence[Record]) -> None:
        outcomes = self._put(documents, self._with_attachments(documents, send_all=False))
        again = [document for document, error in outcomes if isinstance(error, MissingStub)]
        if again:
            # The target lost the content since it was asked, or the document that brought it was refused.
            outcomes = [pair for pair in outcomes if not isinstance(pair[1], MissingStub)]
            outcomes += self._put(again, self._with_attachments(again, send_all=True))
        for document, error in outcomes:
            if error is None:
                self.written += 1
            else:
                self.refused.append(Refusal(document["_id"], document["_rev"], error))

    def _put(
        self, documents: Sequence[Record], given: Sequence[Mapping[str, Any]]
    ) -> list[tuple[Record, PouchDBError | None]]:
        target = self.target
        request = Write(given, new_edits=False, user=target.user, purpose="replication")
        outcomes = target.plugins.write(target, request)
        return [
            (document, outcome if isinstance(outcome, PouchDBError) else None)
            for document, outcome in zip(documents, outcomes, strict=True)
        ]

    def _with_attachments(self, documents: Iterable[Record], *, send_all: bool) -> list[Mapping[str, Any]]:
        """Return the documents with the content of attachments that the target lacks, as open files."""
        entries = [entry for doc in documents for entry in doc.get("_attachments", {}).values()]
        if not entries:
            return list(documents)
        digests = {entry["digest"] for entry in entries}
        lacking = digests if send_all else self.target.adapter.lacking(digests)
        given: list[Mapping[str, Any]] = []
        for document in documents:
            attachments = document.get("_attachments")
            if attachments and any(entry["digest"] in lacking for entry in attachments.values()):
                filled = {name: self._filled(document, name, entry, lacking) for name, entry in attachments.items()}
                document = Record(document, _attachments=filled)
                if not send_all:
                    lacking = lacking - {entry["digest"] for entry in attachments.values()}
            given.append(document)
        return given

    def _filled(self, document: Record, name: str, entry: Record, lacking: set[str]) -> Mapping[str, Any]:
        if entry["digest"] not in lacking:
            return entry
        try:
            content = self.source.open_attachment(document["_id"], name, document["_rev"])
        except NotFound:
            # Compacted or purged since the document was read: the target says so, and it is tried again.
            return entry
        members = {key: value for key, value in entry.items() if key not in ("stub", "length")}
        return {**members, "data": content}
