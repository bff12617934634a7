"""Keeping one index up to date: batches of the changes feed, a checkpoint, one builder at a time."""

from __future__ import annotations

import logging
import sys
import threading
import uuid
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pouchdb_core.changes.raw import RawChange
from pouchdb_core.errors import NotFound, PouchDBError
from pouchdb_core.forks import renew_in_child
from pouchdb_core.requests import Changes, ReadOptions
from pouchdb_core.results import Record
from pouchdb_core.runner import Idle
from pouchdb_core.views.builders import is_alive, process_name
from pouchdb_core.views.index import Batch, Index, IndexPlace, InsideIndex, OutsideIndex
from pouchdb_core.views.index_marks import are_known, marks_of
from pouchdb_core.views.index_store import IndexEntry, IndexStore
from pouchdb_core.views.left_out import LeftOut
from pouchdb_core.whole_files import remove_folder

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database
    from pouchdb_core.tasks import Task

__all__ = ["Follower", "Freshness", "build_once"]

logger = logging.getLogger("pouchdb.views")

Freshness = Literal["true", "false", "lazy"]
"""Whether a query brings its index up to date before it reads it; "lazy": afterwards."""
STALE = 30.0
"""Seconds without a heartbeat after which another process takes over a build (at once if its process is gone)."""
SHORTEST, LONGEST = 0.01, 0.25
"""Seconds between two checks of another process's build: the first pause, and the longest."""
PURGES = 1000
_LOCAL_SEQ = ReadOptions(local_seq=True)


class _Seen(NamedTuple):
    """What a query asks of the store: one read of ``IndexStore.recall``."""

    ddocs_seq: int
    entry: IndexEntry | None
    """The entry of the index, if it holds all documents."""


class _Target(NamedTuple):
    """The state that an index must have reached to be up to date."""

    seq: int
    purge_seq: int

    def reached(self, entry: IndexEntry) -> bool:
        return entry.seq >= self.seq and entry.purge_seq >= self.purge_seq


class _Snapshot(AbstractContextManager[IndexPlace]):
    """Reads one state of an index. No generator: see ``Turn.lost``."""

    __slots__ = ("_follower", "_snapshot")

    def __init__(self, follower: Follower) -> None:
        self._follower, self._snapshot = follower, follower.store.snapshot()

    def __enter__(self) -> IndexPlace:
        self._snapshot.__enter__()
        try:
            place: IndexPlace = self._follower.place
            if self._follower.entry() is None:
                raise NotFound(f"the index of {place.ddoc['_id']!r} was dropped while it was read")
            return place
        except BaseException:
            self._snapshot.__exit__(*sys.exc_info())
            raise

    def __exit__(self, *exception: Any) -> None:  # noqa: PYI036
        self._snapshot.__exit__(*exception)


class _Moved(Exception):
    """Another builder changed the index since we read its entry: read it again."""


def _close(index: Index) -> None:
    try:
        index.close()
    except Exception:
        # The last reference may call it, where an exception would be lost.
        logger.exception("an index could not be closed")


class Follower:
    """One index and its progress. Shared by the threads of an engine."""

    def __init__(self, kind: str, place: IndexPlace, index: Index) -> None:
        self.kind, self.place, self.index = kind, place, index
        store = place.store
        self.store: IndexStore = store.outside() if isinstance(index, OutsideIndex) else store
        # Its users hold a reference: an index whose definition changed is not closed while it is in use.
        self.close: Callable[[], None] = weakref.finalize(self, _close, index)
        """Close the index's files; also done when the last reference to this goes."""
        self.close.atexit = False
        self._files_known = False
        self._key = ("index", kind, place.signature)
        self._reset()
        renew_in_child(self._reset)

    def _reset(self) -> None:
        self._condition = threading.Condition()
        self._building: object | None = None
        """Identifies the call that is building."""
        self._name = uuid.uuid4().hex
        self._token = ""
        """The name of this process as a builder, since it last began to build."""

    def entry(self) -> IndexEntry | None:
        """Return the entry of the index in the register; None if it was never built."""
        row = self.store.find(self.kind, self.place.signature)
        if row is None:
            return None
        entry = IndexEntry(*row)
        self.place.number = entry.number
        return entry

    def snapshot(self) -> AbstractContextManager[IndexPlace]:
        """Read the index: all reads of this thread in the block see one state. Raises NotFound if it was dropped."""
        return _Snapshot(self)

    def update(self, database: Database, name: str | None = None) -> None:
        """Bring the index up to date with the database; ``name`` is its name in events.

        Raises the errors of building; waits while another thread or process builds.
        """
        if self.current() is not None:
            return
        for event in self.steps(database, name):
            if isinstance(event, Idle):
                with self._condition:
                    self._condition.wait(event.timeout)

    def update_later(self, database: Database, name: str | None = None) -> None:
        """Bring the index up to date in the background: errors are logged, and are ``error`` events of the database."""
        database.environment.engine.workers.call(self._updated_later, database, name)

    def _updated_later(self, database: Database, name: str | None) -> None:
        try:
            self.update(database, name)
        except PouchDBError as error:
            if not database.closed:
                logger.error("%s was not brought up to date: %s", name or self.place.ddoc["_id"], error)
                database.emit("error", error)

    def current(self) -> IndexEntry | None:
        """Return the entry of the index if it is up to date, which it stays in a snapshot; None: it needs ``update``.

        Do not change the entry. While nothing is committed, to ask again takes a fifth of the time of reading it.
        """
        return self.seen()[1]

    def seen(self) -> tuple[int, IndexEntry | None]:
        """Return the ``ddocs_seq`` of the database, and the entry as ``current`` does, of one state."""
        ddocs_seq, entry = self.store.recall(self._key, self._read)
        if entry is None:
            return ddocs_seq, None
        self.place.number = entry.number
        return ddocs_seq, entry if self._has_files(entry) else None

    def _read(self) -> _Seen:
        # Another builder may be faster in between: the index then holds more than the counters say.
        counters = self.store.counters()
        row = self.store.find(self.kind, self.place.signature)
        entry = None if row is None else IndexEntry(*row)
        if entry is not None and not _Target(counters.update_seq, counters.purge_seq).reached(entry):
            entry = None
        return _Seen(counters.ddocs_seq, entry)

    @contextmanager
    def fresh(self, database: Database, update: Freshness, name: str | None = None) -> Iterator[IndexEntry | None]:
        """Read the index in the block as a query wants it: brought up to date before, afterwards, or not at all.

        Gives the entry of the index, as ``entry()`` and ``current()`` return it. Raises as ``update`` does.
        """
        entry = self.current() if update == "true" else None
        if update == "true" and entry is None:
            self.update(database, name)
        yield self.entry() if entry is None else entry
        if update == "lazy":
            self.update_later(database, name)

    def steps(self, database: Database, name: str | None = None) -> Generator[Record | Idle, None, None]:
        """Do the work of ``update`` in slices: yields progress, and ``Idle`` when it has to wait.

        Progress is also emitted by the database, as ``indexing``: ``{"view", "indexed_docs", "last_seq"}``.
        """
        counters = self.store.counters()
        target = _Target(counters.update_seq, counters.purge_seq)
        pause = SHORTEST
        while not self._reached(target):
            me = object()
            try:
                # Values only: at an asynchronous exception it is either taken and released below, or not taken.
                with self._condition:
                    if self._building is None:
                        self._building = me
                if self._building is not me:
                    yield Idle(LONGEST)
                    continue
                yield from self._build(database, target, name or self.place.ddoc["_id"].removeprefix("_design/"))
            except _Moved:
                yield Idle(pause)
                pause = min(pause * 2, LONGEST)
            finally:
                if self._building is me:
                    self._building = None
                    with self._condition:
                        self._condition.notify_all()

    def _reached(self, target: _Target) -> IndexEntry | None:
        """Return the entry if the index is up to date and has its files."""
        entry = self.entry()
        if entry is None or not target.reached(entry):
            return None
        return entry if self._has_files(entry) else None

    def _has_files(self, entry: IndexEntry) -> bool:
        """Return whether an index of files has those of its entry; their mark is read until it was the right one."""
        if not isinstance(self.index, OutsideIndex) or (self._files_known and self.index.present()):
            return True
        self._files_known = are_known(entry, self.index.mark())
        return self._files_known

    # -- building ---------------------------------------------------------------------------------

    def _build(self, database: Database, target: _Target, name: str) -> Generator[Record, None, None]:
        self._token = f"{self.store.builder() or process_name()}:{self._name}"
        entry = self.entry()
        self._check_builder(entry)
        claimed = isinstance(self.index, OutsideIndex)
        try:
            if isinstance(self.index, OutsideIndex):
                unfinished = entry is not None and bool(marks_of(entry)[1])
                entry = self._claim(entry, target)
                try:
                    self._check_files(self.index, entry, target, unfinished)
                except OSError as error:
                    raise database.adapter.file_error(error, f"the folder of {name}") from error
            elif entry is not None and self._purges_are_lost(entry):
                with self.store.write():
                    self.store.drop(self._expect(entry).number)
                entry = None
            total = max(target.seq - (entry.seq if entry else 0), 0)
            tasks, ddoc = database.environment.engine.tasks, self.place.ddoc["_id"]
            with tasks.running("view_indexing", database.name, total, ddoc) as task:
                for batch, step in self._batches(database, entry, target, task):
                    while True:
                        self.index.state = entry.state if entry else None
                        work, count = self.index.prepare(batch)
                        part, rest = batch.part(count), batch.changes[count:]
                        now = step if not rest else step.halfway(entry, part.changes[-1].seq)
                        entry = self._save(entry, target, part, work, now)
                        claimed = not now.done
                        task.progress(len(part.changes))
                        progress = Record(view=name, indexed_docs=task.completed_items, last_seq=entry.seq)
                        database.emit("indexing", progress)
                        yield progress
                        if not rest:
                            break
                        batch = Batch(rest, (), batch.fresh, batch.report)
        finally:
            if claimed:
                try:
                    if isinstance(self.index, OutsideIndex):
                        self.index.finish()
                finally:
                    self._release()

    def _batches(
        self, database: Database, entry: IndexEntry | None, target: _Target, task: Task
    ) -> Iterator[tuple[Batch, _Step]]:
        """Yield batches, each with the progress of the index after it."""
        report = LeftOut(database, self.place.ddoc["_id"])
        reader = database.as_user(None).with_purpose("index")
        since = entry.seq if entry else 0
        fresh_until = entry.fresh_until if entry else target.seq
        purge_seq = entry.purge_seq if entry else target.purge_seq
        while purge_seq < target.purge_seq:
            page = self.store.purges(purge_seq, PURGES)
            ids = list(dict.fromkeys(id for _, id, _ in page))
            # Their changes after `since` come with the feed.
            left = [change for change in _raw(reader, self.index, 0, tuple(ids)) if change.seq <= since]
            purge_seq = page[-1][0] if page else target.purge_seq
            done = since >= target.seq and purge_seq >= target.purge_seq
            yield Batch(left, ids, False, report), _Step(since, purge_seq, done, of_feed=False)
        feed = _raw(reader, self.index, since, None)
        # An empty database also gets an index.
        while since < target.seq or entry is None:
            read, last = _some(feed, self.index)
            changes = read if self.index.include_design else [c for c in read if not c.id.startswith("_design/")]
            # Rows beyond `target` were written meanwhile; between the last row and `target` there is nothing.
            until = max(read[-1].seq, target.seq if last else 0) if read else target.seq
            task.progress(len(read) - len(changes))
            if since < fresh_until < until:
                # Documents that were there from the start, then those that may have been indexed already.
                early = [change for change in changes if change.seq <= fresh_until]
                changes = changes[len(early) :]
                yield Batch(early, (), True, report), _Step(fresh_until, purge_seq, False)
            done = last or until >= target.seq
            yield Batch(changes, (), until <= fresh_until, report), _Step(until, purge_seq, done)
            if done:
                break
            since = until
        report.finish()

    def _save(self, entry: IndexEntry | None, target: _Target, batch: Batch, work: Any, step: _Step) -> IndexEntry:
        """Store one batch, and the progress of the index after it, unless another builder did. Raises _Moved."""
        index = self.index
        mark = None
        if isinstance(index, OutsideIndex):
            assert entry is not None
            self._expect(entry)
            index.apply(batch, work)
            claim = marks_of(entry)[1]
            mark = f"{step.seq}:{claim}"
            index.commit(mark)
            if step.done:
                index.finish()
            else:
                mark += f",{claim}"
        with self.store.write():
            current = self._expect(entry) if entry is not None else self._create(target)
            if isinstance(index, InsideIndex):
                index.apply(batch, work)
            current.seq, current.purge_seq, current.state = step.seq, step.purge_seq, index.state
            current.mark = mark
            current.builder, current.heartbeat = (None if step.done else self._token), self.store.now()
            self.store.save(current.row())
        return current

    def _expect(self, known: IndexEntry) -> IndexEntry:
        """Return the entry if it is unchanged. Raises _Moved."""
        current = self.entry()
        self._check_builder(current)
        if current is None or (current.number, current.seq, current.purge_seq) != (
            known.number,
            known.seq,
            known.purge_seq,
        ):
            raise _Moved
        return current

    def _create(self, target: _Target) -> IndexEntry:
        if self.entry() is not None:
            raise _Moved
        entry = IndexEntry(*self.store.add(self.kind, self.place.signature))
        entry.fresh_until, entry.purge_seq = target.seq, target.purge_seq
        self.place.number = entry.number
        if isinstance(self.index, InsideIndex):
            self.index.create()
        return entry

    # -- one builder at a time --------------------------------------------------------------------

    def _check_builder(self, entry: IndexEntry | None) -> None:
        """Raise _Moved while another process builds."""
        if entry is None or entry.builder in (None, self._token):
            return
        lives = self.store.lives(entry.builder)
        if lives is None:
            lives = is_alive(entry.builder)
        if not lives or self.store.now() - entry.heartbeat > STALE:
            return
        raise _Moved

    def _claim(self, entry: IndexEntry | None, target: _Target) -> IndexEntry:
        """Become the builder before any work: an outside index has no transaction that could fail."""
        with self.store.write():
            current = self._expect(entry) if entry is not None else self._create(target)
            current.builder, current.heartbeat = self._token, self.store.now()
            committed, claim = marks_of(current)
            current.mark = f"{committed},{claim or uuid.uuid4().hex}"
            self.store.save(current.row())
        return current

    def _release(self) -> None:
        with self.store.write():
            entry = self.entry()
            if entry is not None and entry.builder == self._token:
                entry.builder = None
                self.store.save(entry.row())

    # -- starting again ---------------------------------------------------------------------------

    def _purges_are_lost(self, entry: IndexEntry) -> bool:
        """Return whether purges that the index has not seen are no longer in the log."""
        if entry.purge_seq >= self.store.counters().purge_seq:
            return False
        oldest = self.store.purges(entry.purge_seq, 1)
        return not oldest or oldest[0][0] > entry.purge_seq + 1

    def _check_files(self, index: OutsideIndex, entry: IndexEntry, target: _Target, unfinished: bool) -> None:
        """Empty the folder if it is not the one that the database knows, or is behind it.

        ``unfinished``: another build that did not come to its end may have made it. Raises OSError.
        """
        directory = None if index.in_memory else self.place.directory
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        found = index.mark()
        if are_known(entry, found) and not self._purges_are_lost(entry):
            if not unfinished:
                return
            entry.mark = f"{found},{uuid.uuid4().hex}"
        else:
            index.close()
            if directory is not None:
                remove_folder(directory)
                directory.mkdir(parents=True, exist_ok=True)
            index.reset()
            entry.seq, entry.purge_seq, entry.fresh_until = 0, target.purge_seq, target.seq
            entry.state, entry.mark = None, f",{uuid.uuid4().hex}"
        with self.store.write():
            self.store.save(entry.row())


def build_once(database: Database, index: InsideIndex, name: str) -> IndexEntry:
    """Build an index of the whole database, in a separate empty store, for one query."""
    store = index.place.store
    counters = database.adapter.indexes().counters()
    report = LeftOut(database, name)
    with store.write():
        entry = IndexEntry(*store.add("temporary", index.place.signature))
        index.place.number = entry.number
        index.create()
    reader = database.as_user(None).with_purpose("index")
    feed = _raw(reader, index, 0, None)
    with database.environment.engine.tasks.running("view_indexing", database.name, counters.update_seq) as task:
        last = False
        while not last:
            read, last = _some(feed, index)
            changes = read if index.include_design else [c for c in read if not c.id.startswith("_design/")]
            task.progress(len(read) - len(changes))
            while changes:
                batch = Batch(changes, (), True, report)
                index.state = entry.state
                work, count = index.prepare(batch)
                with store.write():
                    index.apply(batch.part(count), work)
                entry.state = index.state
                changes = changes[count:]
                task.progress(count)
                database.emit("indexing", Record(view=name, indexed_docs=task.completed_items, last_seq=read[-1].seq))
    report.finish()
    entry.seq = counters.update_seq
    return entry


class _Step(NamedTuple):
    """The progress of an index after a batch."""

    seq: int
    purge_seq: int
    done: bool
    of_feed: bool = True
    """Whether the changes are in the order of the feed, so that a part of them is a part of the way."""

    def halfway(self, entry: IndexEntry | None, seq: int) -> _Step:
        """Return the progress if only the changes up to ``seq`` were processed."""
        if self.of_feed:
            return _Step(seq, self.purge_seq, False)
        assert entry is not None
        return _Step(entry.seq, entry.purge_seq, False)


def _raw(reader: Database, index: Index, since: int, ids: tuple[str, ...] | None) -> Iterator[RawChange]:
    request = Changes(
        since=since,
        raw=True,
        include_docs=True,
        doc_ids=ids,
        options=_LOCAL_SEQ if index.local_seq else ReadOptions(),
        purpose="index",
    )
    return reader.plugins.changes(reader, request)  # type: ignore[return-value]  # raw


def _some(feed: Iterator[RawChange], index: Index) -> tuple[list[RawChange], bool]:
    """Return the next changes of a feed, as many as an index gets at a time, and whether they are the last ones."""
    read: list[RawChange] = []
    size, most, largest = 0, index.batch_documents, index.batch_bytes
    for change in feed:
        read.append(change)
        size += len(change.text)
        if len(read) >= most or size >= largest:
            return read, False
    return read, True
