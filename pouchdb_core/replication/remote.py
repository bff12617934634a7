"""What is different when a side is on a server: reading ahead, and sending only new attachments."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from pouchdb_core.errors import NotFound, PouchDBError, RemoteError
from pouchdb_core.replication.background import Background, Task
from pouchdb_core.replication.batch import FETCH, Answers, Document, Revision, Transfer
from pouchdb_core.replication.fetching import AT_ONCE, Fetch, Key, open_one
from pouchdb_core.replication.source import read_changes
from pouchdb_core.requests import Listing, Replicate, Wait
from pouchdb_core.results import Record
from pouchdb_core.revisions import generation
from pouchdb_core.runner import Runner

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["Ahead", "Page", "RemoteTransfer", "ready", "transfer_of"]

logger = logging.getLogger("pouchdb.replication")


def transfer_of(source: Database, target: Database, background: Background) -> Transfer:
    """Return the Transfer that moves documents between two databases."""
    if source.remote or target.remote:
        return RemoteTransfer(source, target, background=background)
    return Transfer(source, target)


def ready(database: Database, create: bool | None) -> Record:
    """Return a database's info, creating it on its server if it is missing and that is wanted. Raises NotFound."""
    try:
        return database.info()
    except NotFound:
        adapter = database.adapter
        if create is False or not (adapter.remote and (create or adapter.makes_missing)):
            raise
        adapter.create()
        return database.info()


class Page(NamedTuple):
    """A batch of changes, with the answers that were requested about it already."""

    since: Any
    rows: list[Record]
    last_seq: Any
    revs: Mapping[str, Sequence[str]]
    difference: Record | None
    """The target's answer to ``revs_diff``, if it was asked."""
    asked: list[Revision]
    answers: Answers
    """The documents fetched so far, from the first on."""


class Ahead:
    """Reads the next batch of changes, and its first documents, while this one is being written."""

    def __init__(self, source: Database, target: Database, request: Replicate, background: Background) -> None:
        self._source, self._target, self._request = source, target, request
        self._background = background
        self._fetch: Callable[[list[Revision]], Answers] | None = None
        self._next: tuple[Any, Task[Page]] | None = None
        self._waiting: tuple[Any, Task[tuple[list[Record], Any]], Wait] | None = None
        self.remote = source.remote or target.remote
        self.ended = False
        """Whether the server ended a wait with nothing new: it may have another database now."""

    def changes(self, since: Any, transfer: Transfer, *, ask: bool) -> tuple[list[Record], Any]:
        """Return rows and the seq they go to, as ``read_changes``; begin to read the next rows."""
        if not self.remote:
            return read_changes(self._source, self._request, since)
        if self._waiting is not None:
            # A live feed that was up to date: nothing, unless the server has reported a change.
            known, task, _ = self._waiting
            if known == since and not task.done:
                return [], since
            self._stop_waiting()
            if known == since:
                rows, last_seq = self._heard(task, since)
                if rows:
                    return rows, last_seq
        assert isinstance(transfer, RemoteTransfer)
        if self._next is not None and self._next[0] == since:
            page = self._next[1].result()
        else:
            page = self._background.call(self._load, since, transfer, False, False)
        self._next = None
        transfer.take(page)
        if len(page.rows) >= self._request.batch_size:
            following = self._background.start(lambda: self._load(page.last_seq, transfer, ask, True))
            self._next = (page.last_seq, following)
        return page.rows, page.last_seq

    def _heard(self, task: Task[tuple[list[Record], Any]], since: Any) -> tuple[list[Record], Any]:
        try:
            rows, last_seq = task.result()
        except (RemoteError, NotFound) as error:
            # The wait ends with its connection or its database. The next request shows whether that is an error.
            logger.info("%s: waiting for changes ended: %s", self._source.name, error)
            rows, last_seq = [], since
        self.ended = not rows
        return rows, last_seq

    def _load(self, since: Any, transfer: RemoteTransfer, ask: bool, fetch: bool) -> Page:
        rows, last_seq = read_changes(self._source, self._request, since)
        revs = {row["id"]: [change["rev"] for change in row["changes"]] for row in rows}
        page = Page(since, rows, last_seq, revs, None, [], ())
        if not (fetch and rows):
            return page
        wanted = [(id, rev) for id, each in revs.items() for rev in each]
        if ask:
            difference = self._target.revs_diff(revs)
            wanted = [(id, rev) for id in revs if id in difference for rev in difference[id]["missing"]]
            page = page._replace(difference=difference)
        part = wanted[:FETCH]
        return page._replace(asked=part, answers=transfer.fetch_now(part)) if part else page

    def wait(self, since: Any, wake: Callable[[], None]) -> None:
        """Wait for the server to report the first change after ``since``; ``wake`` is called then."""
        if not self._source.remote or (self._waiting is not None and self._waiting[0] == since):
            return
        self._stop_waiting()
        wait = Wait()
        task = self._background.start(lambda: read_changes(self._source, self._request, since, wait), wake)
        self._waiting = (since, task, wait)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting[2].stop()
            self._waiting = None

    def close(self) -> None:
        """Stop all waiting."""
        self._next = None
        self._stop_waiting()


@dataclass(slots=True)
class RemoteTransfer(Transfer):
    """Moves revisions from or to a server."""

    background: Background = field(default_factory=Background)
    ancestors: dict[str, Sequence[str]] = field(default_factory=dict)
    """For revisions that the target lacks: ancestors that it has."""
    _difference: tuple[Mapping[str, Sequence[str]], Record] | None = None
    _ready: tuple[list[Revision], Task[Answers] | Answers] | None = None
    _asked: list[Revision] = field(default_factory=list)
    _start: int = 0
    _coming: dict[int, Fetch] = field(default_factory=dict)
    """Attachments of batches that are not written yet, by ``id()`` of the batch."""
    _fetching: Runner = field(default_factory=lambda: Runner("pouchdb-attachment", AT_ONCE))
    _in_use: list[Fetch] = field(default_factory=list)
    """Attachments of the batch that is being written."""

    def take(self, page: Page) -> None:
        """Use the answers that were requested ahead for a batch."""
        self._difference = None if page.difference is None else (page.revs, page.difference)
        self._ready = (page.asked, page.answers) if page.asked else None

    def missing(self, revs: Mapping[str, Sequence[str]]) -> list[Revision]:
        if self._difference is not None and self._difference[0] == revs:
            answer = self._difference[1]
        else:
            answer = self.background.call(self.target.revs_diff, revs)
        self.ancestors = {id: each.get("possible_ancestors") or () for id, each in answer.items()}
        return [(id, rev) for id in revs if id in answer for rev in answer[id]["missing"]]

    # -- fetching --------------------------------------------------------------------------------

    def fetch_now(self, revisions: list[Revision]) -> Answers:
        """Fetch the first of these revisions, as many as fit."""
        return Transfer._read(self, revisions)

    def _fetch(self, revisions: list[Revision]) -> Iterator[Document]:
        self._asked, self._start = revisions, 0
        yield from Transfer._fetch(self, revisions)

    def _read(self, revisions: list[Revision]) -> Answers:
        ready, self._ready = self._ready, None
        if ready is not None and ready[0] == revisions:
            answers = ready[1].result() if isinstance(ready[1], Task) else ready[1]
        else:
            answers = self.background.call(self.fetch_now, revisions)
        self._start += len(answers)
        following = self._asked[self._start : self._start + FETCH]
        if following and self.source.remote:
            self._ready = (following, self.background.start(lambda: self.fetch_now(following)))
        return answers

    def _batches(self, revisions: list[Revision]) -> Generator[list[Document], None, None]:
        """Read one batch ahead: its attachments are fetched while this one is written."""
        batches = Transfer._batches(self, revisions)
        if not self.source.remote or self.target.remote:
            yield from batches
            return
        try:
            before: list[Document] | None = None
            for batch in batches:
                self._coming[id(batch)] = self._fetch_of(batch, send_all=False)
                if before is not None:
                    yield before
                before = batch
            if before is not None:
                yield before
        finally:
            for fetch in self._coming.values():
                fetch.close()
            self._coming.clear()

    def _put(self, documents: list[Document], given: Sequence[Any]) -> list[tuple[Document, PouchDBError | None]]:
        if self.target.remote:
            answer: list[tuple[Document, PouchDBError | None]] = self.background.call(
                Transfer._put, self, documents, given
            )
            return answer
        return Transfer._put(self, documents, given)

    def _write(self, documents: list[Document]) -> None:
        try:
            Transfer._write(self, documents)
        finally:
            for fetch in self._in_use:
                fetch.close()
            self._in_use.clear()

    # -- attachments -----------------------------------------------------------------------------

    def _with_attachments(self, documents: list[Document], *, send_all: bool) -> Sequence[Any]:
        with_some = [doc for doc in documents if isinstance(doc, Record) and doc.get("_attachments")]
        if not with_some:
            return documents
        contents = self._contents(documents, with_some, send_all=send_all)
        given: list[Any] = []
        for document in documents:
            entries = document.get("_attachments") if isinstance(document, Record) else None
            if entries:
                key = (document["_id"], document["_rev"])  # type: ignore[index]  # a packed one has none
                its = {name: contents.get((*key, name)) for name in entries}
                failed = next((each for each in its.values() if isinstance(each, PouchDBError)), None)
                if failed is not None:
                    given.append(failed)
                    continue
                filled = {name: _filled(entry, its[name]) for name, entry in entries.items()}
                document = Record({**document, "_attachments": filled})  # type: ignore[dict-item]
            given.append(document)
        return given

    def _wanted(self, documents: list[Record], *, send_all: bool) -> list[tuple[str, str, str]]:
        """Return (id, rev, name) of the attachments to send with their content.

        All except those of a revision that both have: two contents may have one MD5, so a digest does not show
        that the target has the same content.
        """
        known = {} if send_all else self._known(documents)
        return [
            (doc["_id"], doc["_rev"], name)
            for doc in documents
            for name in doc["_attachments"]
            if name not in known.get((doc["_id"], doc["_rev"]), ())
        ]

    def _known(self, documents: list[Record]) -> dict[Revision, set[str]]:
        """Return the names of attachments that have not changed since a revision that the target has."""
        known: dict[Revision, set[str]] = {}
        unclear: list[Record] = []
        for doc in documents:
            path = _path(doc)
            common = [rev for rev in self.ancestors.get(doc["_id"], ()) if rev in path]
            if common:
                newest = max(map(generation, common))
                names = {n for n, entry in doc["_attachments"].items() if entry.get("revpos", newest + 1) <= newest}
                known[doc["_id"], doc["_rev"]] = names
            elif len(path) > 1 and self.target.remote:
                unclear.append(doc)
        if unclear:
            # A server that reports no ancestors: its winners show what it has.
            target = self.target
            keys = tuple(dict.fromkeys(doc["_id"] for doc in unclear))
            request = Listing(keys=keys, include_docs=True, user=target.user, purpose="replication")
            rows = self.background.call(target.plugins.list, target, request)["rows"]
            winners = {row["id"]: row["doc"] for row in rows if row.get("doc")}
            for doc in unclear:
                winner = winners.get(doc["_id"])
                if winner is not None and winner["_rev"] in _path(doc):
                    theirs = winner.get("_attachments", {})
                    known[doc["_id"], doc["_rev"]] = {
                        name
                        for name, entry in doc["_attachments"].items()
                        if theirs.get(name, {}).get("digest") == entry["digest"]
                    }
        return known

    def _fetch_of(self, documents: list[Document], *, send_all: bool) -> Fetch:
        """Begin to fetch the attachments of a batch."""
        with_some = [doc for doc in documents if isinstance(doc, Record) and doc.get("_attachments")]
        wanted = self._wanted(with_some, send_all=send_all) if with_some else []
        return Fetch(self.source, self.background, self._fetching, wanted)

    def _contents(self, documents: list[Document], with_some: list[Record], *, send_all: bool) -> Mapping[Key, Any]:
        """Return attachments: those of a server fetched, local ones open, to be read when they are sent."""
        if not self.source.remote:
            files = {key: open_one(self.source, key) for key in self._wanted(with_some, send_all=send_all)}
            return {key: file for key, file in files.items() if file is not None}
        fetch = self._coming.pop(id(documents), None)
        if fetch is None:
            fetch = self._fetch_of(documents, send_all=send_all)
        self._in_use.append(fetch)
        return fetch.result()


def _filled(entry: Record, content: Any) -> Mapping[str, Any]:
    if content is None:
        return entry
    members = {key: value for key, value in entry.items() if key != "stub"}
    return {**members, "data": content}


def _path(doc: Mapping[str, Any]) -> list[str]:
    history = doc.get("_revisions") or {"start": 0, "ids": []}
    return [f"{history['start'] - index}-{id}" for index, id in enumerate(history["ids"])]
