"""One batch of a replication: find the revisions that the target lacks, fetch them, write them."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from pouchdb_core.documents.attachments import Stored
from pouchdb_core.documents.packed import Answer, Packed
from pouchdb_core.errors import (
    BadRequest,
    Forbidden,
    MissingStub,
    NotFound,
    PouchDBError,
    ServerError,
    Unauthorized,
)
from pouchdb_core.replication.isolation import Failed, Isolation, ends_all
from pouchdb_core.requests import Read, ReadOptions, Write
from pouchdb_core.results import Record

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["Answers", "Refusal", "Revision", "Transfer", "revision_of"]

BYTES = 4 * 1024 * 1024
"""Approximate bytes of documents fetched, and written, at once."""
FETCH = 1000
"""Maximum number of documents fetched at once."""
PAUSE = 1000
"""Maximum number of documents written at once: a transaction must not block other writers for long."""
SPOOL = 1024 * 1024
"""Bytes of an attachment held in memory during transfer; the rest is in a temporary file."""

Revision = tuple[str, str]
"""(id, rev)."""
Document = Packed | Record

FULL = ReadOptions(revs=True, latest=True)
KINDS: Mapping[str, type[PouchDBError]] = {
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "bad_request": BadRequest,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A document that could not be read, or that the target refused, and why."""

    id: str
    rev: str
    error: PouchDBError

    @property
    def denied(self) -> bool:
        """Whether the target may accept it later, for another user or by other rules."""
        return isinstance(self.error, (Unauthorized, Forbidden))


Answers = Sequence[Sequence[Document | Refusal]]
"""The documents read for each of the requested revisions."""


@dataclass(slots=True)
class Transfer:
    """Moves revisions from source to target; its fields hold the results."""

    source: Database
    target: Database
    read: int = 0
    written: int = 0
    documents: list[Document] = field(default_factory=list)
    """The documents of the last write that were written."""
    refused: list[Refusal] = field(default_factory=list)
    """The documents of the last write that were refused."""
    absent: list[Revision] = field(default_factory=list)
    """Revisions that the source itself does not have any more."""
    unreadable: list[Refusal] = field(default_factory=list)
    """Documents that could not be read since the last write."""
    packs: bool = False
    """Whether stored JSON can be sent as it is: no plug-in changes documents in between."""
    isolation: Isolation[Revision, Answers] = field(init=False)

    def __post_init__(self) -> None:
        source, target = self.source, self.target
        both = source.adapter.packs and (target.adapter.packs or target.adapter.takes_packed)
        self.packs = both and source.reads_plainly and target.writes_plainly
        self.isolation = Isolation(self._ask, FETCH)

    def missing(self, revs: Mapping[str, Sequence[str]]) -> list[Revision]:
        """Return which of the revisions the target lacks."""
        answer = self.target.revs_diff(revs)
        return [(id, rev) for id in revs if id in answer for rev in answer[id]["missing"]]

    def move(self, revisions: Sequence[Revision]) -> Iterator[None]:
        """Fetch and write revisions, yielding after each transaction on the target."""
        self.documents, self.refused, self.absent = [], [], []
        batches, wrote = self._batches(list(dict.fromkeys(revisions))), False
        with closing(batches):
            for batch in batches:
                self._write(batch)
                yield
                wrote = True
        if self.unreadable or not wrote:
            self.documents, self.refused = [], self._take_unreadable()
            yield

    def _batches(self, revisions: list[Revision]) -> Generator[list[Document], None, None]:
        """Fetch revisions, and yield them in groups that are written at once."""
        batch: list[Document] = []
        size = 0
        for document in self._fetch(revisions):
            cost = _size(document)
            if batch and (size + cost > BYTES or len(batch) == PAUSE):
                yield batch
                batch, size = [], 0
            batch.append(document)
            size += cost
        if batch:
            yield batch

    def _take_unreadable(self) -> list[Refusal]:
        taken, self.unreadable = self.unreadable, []
        return taken

    def _fetch(self, revisions: list[Revision]) -> Iterator[Document]:
        seen: set[Revision] = set()
        start = 0
        while start < len(revisions):
            part = revisions[start : start + FETCH]
            answers = self._read(part)
            # Fewer than requested, if they are big.
            for asked, found in zip(part, answers, strict=False):
                if not found:
                    self.absent.append(asked)
                for document in found:
                    if isinstance(document, Refusal):
                        self.unreadable.append(document)
                        continue
                    # With `latest` two requested revisions may have the same leaf.
                    key = revision_of(document)
                    if key not in seen:
                        seen.add(key)
                        self.read += 1
                        yield document
            start += len(answers)

    def _read(self, revisions: list[Revision]) -> Answers:
        """Read the first of these revisions, as many as fit; an unreadable one has a Refusal in its place."""
        found = self.isolation.read(revisions)
        if isinstance(found, Failed):
            return [(Refusal(*revision, found.error),) for revision in revisions[: found.count]]
        return found

    def _ask(self, revisions: list[Revision], insist: bool) -> Answers:
        source = self.source
        request = Read(
            "",
            options=FULL,
            items=tuple((id, rev, ()) for id, rev in revisions),
            size=BYTES,
            packed=self.packs,
            insist=insist,
            user=source.user,
            purpose="replication",
        )
        answer = source.plugins.read(source, request)
        if self.packs:
            return [_packed(asked, found) for asked, found in zip(revisions, answer, strict=False)]
        return [
            [found for each in result["docs"] if (found := _answered(asked, each)) is not None]
            for asked, result in zip(revisions, answer["results"], strict=False)
        ]

    def _write(self, documents: list[Document]) -> None:
        outcomes = self._send(documents, send_all=False)
        again = [document for document, error in outcomes if isinstance(error, MissingStub)]
        if again:
            # The target lost the content since it was asked, or the document that carried it was refused.
            outcomes = [pair for pair in outcomes if not isinstance(pair[1], MissingStub)]
            outcomes += self._send(again, send_all=True)
        self.documents, self.refused = [], self._take_unreadable()
        for document, error in outcomes:
            if error is None:
                self.documents.append(document)
            else:
                self.refused.append(Refusal(*revision_of(document), error))
        self.written += len(self.documents)

    def _send(self, documents: list[Document], *, send_all: bool) -> list[tuple[Document, PouchDBError | None]]:
        """Write documents with the attachments that the target lacks; return each with its error."""
        given = self._with_attachments(documents, send_all=send_all)
        outcomes: list[tuple[Document, PouchDBError | None]] = []
        kept: list[Document] = []
        sent: list[Any] = []
        for document, each in zip(documents, given, strict=True):
            if isinstance(each, PouchDBError):
                outcomes.append((document, each))
            else:
                kept.append(document)
                sent.append(each)
        if kept:
            outcomes += self._put(kept, sent)
        return outcomes

    def _put(self, documents: list[Document], given: Sequence[Any]) -> list[tuple[Document, PouchDBError | None]]:
        target = self.target
        request = Write(given, new_edits=False, user=target.user, purpose="replication")
        outcomes = target.plugins.write(target, request)
        return [
            (document, outcome if isinstance(outcome, PouchDBError) else None)
            for document, outcome in zip(documents, outcomes, strict=True)
        ]

    def _with_attachments(self, documents: list[Document], *, send_all: bool) -> Sequence[Any]:
        """Return the documents with the content of attachments that the target lacks, as open files.

        If an attachment cannot be read, the error takes the place of its document.
        """
        if not any(isinstance(document, Record) and document.get("_attachments") for document in documents):
            return documents
        files = {
            index: self._open_all(document)
            for index, document in enumerate(documents)
            if isinstance(document, Record) and document.get("_attachments")
        }
        readable = [opened for opened in files.values() if isinstance(opened, dict)]
        keys = {key for opened in readable for key in map(_key, opened.values()) if key}
        lacking = keys if send_all else self.target.adapter.lacking(keys)
        given: list[Any] = list(documents)
        for index, opened in files.items():
            if isinstance(opened, PouchDBError):
                given[index] = opened
                continue
            document = documents[index]
            assert isinstance(document, Record)
            filled = {
                name: _filled(entry, opened.get(name), lacking) for name, entry in document["_attachments"].items()
            }
            given[index] = Record({**document, "_attachments": filled})
            if not send_all:
                # Sending it once is enough: the other documents of the batch find it on the target.
                lacking = lacking - {_key(file) for file in opened.values()}
        return given

    def _open_all(self, document: Record) -> dict[str, Any] | PouchDBError:
        """Open the attachments of a document, by name; removed ones are left out."""
        opened: dict[str, Any] = {}
        for name in document["_attachments"]:
            try:
                opened[name] = self.source.open_attachment(document["_id"], name, document["_rev"])
            except NotFound:
                # Compacted or purged since the document was read: the target reports it, and it is tried again.
                continue
            except PouchDBError as error:
                if ends_all(error):
                    raise
                return error
        return opened


def _key(file: Any) -> bytes | None:
    """Return the key of a stored attachment's content; None if a plug-in reads another one in its place."""
    key: bytes | None = getattr(file, "sha256", None)
    return key


def _filled(entry: Record, file: Any, lacking: Collection[bytes | None]) -> Mapping[str, Any]:
    if file is None:
        return entry
    members = {key: value for key, value in entry.items() if key != "stub"}
    key = _key(file)
    return {**members, "data": file if key is None or key in lacking else Stored(key)}


def _answered(asked: Revision, answer: Record) -> Document | Refusal | None:
    """Return the document of an answer; None if the source does not have it any more."""
    if "ok" in answer:
        document: Record = answer["ok"]
        return document
    told = answer.get("error")
    if not isinstance(told, Mapping):
        return None
    name = told.get("error") if isinstance(told.get("error"), str) else told.get("name")
    if not isinstance(name, str) or name in ("not_found", "missing", "deleted"):
        return None
    error = KINDS.get(name, ServerError)(str(told.get("reason") or told.get("message") or name))
    error.name = name
    return Refusal(*asked, error)


def _packed(asked: Revision, found: Answer) -> Sequence[Document | Refusal]:
    if found is None:
        return ()
    if isinstance(found, PouchDBError):
        return (Refusal(*asked, found),)
    return found if isinstance(found, list) else (found,)


def revision_of(document: Document) -> Revision:
    """Return (id, rev) of a document in transfer."""
    if isinstance(document, Packed):
        return document.id, document.rev
    return document["_id"], document["_rev"]


def _size(document: Document) -> int:
    """Return about how many bytes of memory a document needs in transfer."""
    if isinstance(document, Packed):
        return len(document.body) + 40 * len(document.path)
    try:
        size = len(orjson.dumps(document))
    except TypeError:
        # Only an estimate of memory: a document that orjson refuses is refused or stored by the target.
        size = BYTES // 10
    for entry in document.get("_attachments", {}).values():
        size += min(entry.get("length", SPOOL), SPOOL)
    return size
