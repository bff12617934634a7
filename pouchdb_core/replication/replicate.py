"""The replicator: one generator that yields events and ``Idle``; whoever drives it decides how it waits."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, NamedTuple

from pouchdb_core.errors import BadRequest, DatabaseClosed, Forbidden, NotFound, PouchDBError, Unauthorized
from pouchdb_core.replication.backoff import Backoff
from pouchdb_core.replication.batch import Transfer
from pouchdb_core.replication.checkpoint import Checkpoints, Epoch
from pouchdb_core.replication.ids import filter_source, replication_id
from pouchdb_core.requests import Changes, Replicate
from pouchdb_core.results import Record
from pouchdb_core.runner import Idle

if TYPE_CHECKING:
    pass

__all__ = ["Event", "Replicator", "Tools"]

logger = logging.getLogger("pouchdb.replication")

CHECKPOINT_SECONDS = 5.0
"""How much work a killed run may have to look at again (never lose)."""
HELD = 1000
"""Refused revisions a checkpoint remembers; with more it stays before the first that did not fit."""
ERRORS = 100
"""Errors a result lists."""


class Event(NamedTuple):
    """Something a listener may want to know: its name and argument."""

    name: str
    argument: Any = None


@dataclass(frozen=True, slots=True)
class Tools:
    """Where time, chance and names come from; a simulation has its own."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    new_session: Callable[[], str] = lambda: uuid.uuid4().hex
    backoff: Callable[[Any], Backoff] = Backoff


@dataclass(slots=True)
class Progress:
    """The counters of a run."""

    docs_read: int = 0
    docs_written: int = 0
    doc_write_failures: int = 0
    missing_checked: int = 0
    missing_found: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def stats(self) -> dict[str, int]:
        return {
            "missing_checked": self.missing_checked,
            "missing_found": self.missing_found,
            "docs_read": self.docs_read,
            "docs_written": self.docs_written,
            "doc_write_failures": self.doc_write_failures,
        }


class Replicator:
    """One replication, with what can be seen of it from outside.

    ``state`` is ``pending`` (not started, or waiting to try again), ``active``, ``paused`` (up to
    date, live), ``complete``, ``cancelled`` or ``failed``; ``pending`` the number of changes still
    to come, exactly; ``last_seq`` the source's seq that is done; ``attempt`` how often it failed
    in a row; ``next_retry_at`` (seconds since 1970) when it tries again; ``last_error`` why.
    """

    def __init__(self, request: Replicate, tools: Tools) -> None:
        self.source = request.source.with_purpose("replication")
        self.target = request.target.with_purpose("replication")
        self.request, self.tools = request, tools
        self.state = "pending"
        self.pending = 0
        self.last_seq: Any = 0
        self.attempt = 0
        self.next_retry_at: float | None = None
        self.last_error: BaseException | None = None
        self.progress = Progress()
        self.start_time = formatdate(tools.now(), usegmt=True)
        self.denied: dict[str, list[str]] = {}
        self.id = ""
        self._backoff = tools.backoff(request.back_off_function)
        self._checkpoints: Checkpoints | None = None
        self._checkpoint_time = 0.0
        self._believed: Any = None
        """The seq the checkpoint stays at, once more was refused than it can remember."""

    # -- the run ---------------------------------------------------------------------------------

    def run(self) -> Generator[Event | Idle, None, Record]:
        """Replicate; returns the result. Raises what ends it, with the result as ``error.result``.

        Closing the generator cancels: what was done is remembered.
        """
        if self.source.id() == self.target.id():
            raise BadRequest(f"{self.source.name!r} cannot be replicated to itself")
        task = self.source._engine.tasks.running(
            f"{'continuous ' if self.request.live else ''}replication from {self.source.name} to {self.target.name}",
            self.source.name,
        )
        with task as shown:
            while True:
                try:
                    done = self.progress.docs_written
                    for event in self._session():
                        shown.progress(self.progress.docs_written - done)
                        done = self.progress.docs_written
                        yield event
                    self.state = "complete"
                    return self.result("complete")
                except GeneratorExit:
                    self.state = "cancelled"
                    try:
                        self._save()
                    except PouchDBError as error:
                        # It may be cancelled because a side is gone. The checkpoint before stays true.
                        logger.info("%s: no checkpoint at the end: %s", self.id, error)
                    raise
                except PouchDBError as error:
                    self.last_error = error
                    if not self.request.retry or isinstance(error, (BadRequest, DatabaseClosed, NotFound)):
                        self.state = "failed"
                        error.details["result"] = self.result("aborting")
                        raise
                    if isinstance(error, (Unauthorized, Forbidden)):
                        self.state = "failed"
                        error.details["result"] = self.result("aborting")
                        raise
                    yield from self._wait(error)

    def _wait(self, error: PouchDBError) -> Generator[Event | Idle, None, None]:
        self.state = "pending"
        self.attempt += 1
        delay = self._backoff.next()
        self.next_retry_at = self.tools.now() + delay
        yield Event("paused", error)
        until = self.tools.clock() + delay
        while (left := until - self.tools.clock()) > 0:
            yield Idle(left)
        self.next_retry_at = None
        yield Event("active")

    def _session(self) -> Generator[Event | Idle, None, None]:
        """Go from the last checkpoint to the end; live, for ever."""
        request = self.request
        self.state = "active"
        info = self.source.info()
        self._checkpoints = self._open_checkpoints(info)
        checkpoint = self._checkpoints.read()
        self.denied, self._believed = checkpoint.denied, None
        self.last_seq = checkpoint.since if request.since is None else request.since
        self._checkpoint_time = self.tools.clock()
        end = info["update_seq"]
        target = self.target.info()
        # Into an empty target everything is missing: asking costs as much as writing.
        transfer = Transfer(self.source, self.target)
        ask = target["doc_count"] + target.get("doc_del_count", 0) > 0
        self.pending = self.source.adapter.pending(self.last_seq)
        if self.denied:
            yield from self._move(transfer, [(id, rev) for id, revs in self.denied.items() for rev in revs])
        idle = False
        while True:
            rows, last_seq = self._changes(self.last_seq)
            if rows or last_seq != self.last_seq:
                if idle:
                    idle, self.state = False, "active"
                    self.pending = self.source.adapter.pending(self.last_seq)
                    yield Event("active")
                yield from self._batch(transfer, rows, ask)
                self.last_seq = last_seq
                self.pending = max(0, self.pending - len(rows))
                self.attempt = 0
                self._backoff.reset()
                yield self._change(transfer, rows)
                if self.tools.clock() - self._checkpoint_time >= CHECKPOINT_SECONDS:
                    self._save()
                    yield Event("checkpoint", Record(checkpoint=self.last_seq))
            if rows and (request.live or last_seq < end):
                continue
            self._save()
            if not request.live:
                return
            if not idle:
                idle, self.state, self.pending = True, "paused", 0
                yield Event("paused", None)
            yield from self._idle(transfer)

    def _idle(self, transfer: Transfer) -> Generator[Event | Idle, None, None]:
        if not self.denied:
            yield Idle()
            return
        # The target may change its mind: try what it refused again, more and more seldom.
        delay = max(1.0, self._backoff.next())
        until = self.tools.clock() + delay
        yield Idle(delay)
        if self.tools.clock() >= until:
            yield from self._move(transfer, [(id, rev) for id, revs in self.denied.items() for rev in revs])
            self._save()

    # -- parts -----------------------------------------------------------------------------------

    def _open_checkpoints(self, info: Mapping[str, Any]) -> Checkpoints:
        request = self.request
        self.id = replication_id(
            self.source.id(),
            self.target.id(),
            filter=filter_source(request.filter),
            query_params=request.query_params,
            doc_ids=request.doc_ids,
            winning_revs_only=request.winning_revs_only,
        )
        return Checkpoints(
            self.id,
            self.source,
            self.target,
            self.tools.new_session(),
            Epoch(info),
            formatdate(self.tools.now(), usegmt=True),
            sides=request.checkpoint,
            described={
                "source": self.source.name,
                "source_id": self.source.id(),
                "target": self.target.name,
            },
        )

    def _changes(self, since: Any) -> tuple[list[Record], Any]:
        request, source = self.request, self.source
        feed = source.plugins.changes(
            source,
            Changes(
                since=since,
                limit=request.batch_size,
                style="main_only" if request.winning_revs_only else "all_docs",
                filter=request.filter,
                query_params=request.query_params,
                doc_ids=request.doc_ids,
                user=source.user,
                purpose="replication",
            ),
        )
        rows: list[Record] = []
        iterator = iter(feed)
        while True:
            try:
                rows.append(next(iterator))
            except StopIteration as stop:
                if stop.value is not None:
                    return rows, stop.value
                return rows, rows[-1]["seq"] if rows else since

    def _batch(self, transfer: Transfer, rows: list[Record], ask: bool) -> Generator[Event, None, None]:
        revs = {row["id"]: [change["rev"] for change in row["changes"]] for row in rows}
        count = sum(map(len, revs.values()))
        self.progress.missing_checked += count
        if ask:
            wanted = transfer.missing(revs) if revs else []
        else:
            wanted = [(id, rev) for id, each in revs.items() for rev in each]
        self.progress.missing_found += len(wanted)
        transfer.documents = []
        yield from self._move(transfer, wanted)

    def _move(self, transfer: Transfer, wanted: list[tuple[str, str]]) -> Generator[Event, None, None]:
        before = transfer.read, transfer.written
        for _ in transfer.move(wanted):
            progress = self.progress
            progress.docs_read += transfer.read - before[0]
            progress.docs_written += transfer.written - before[1]
            before = transfer.read, transfer.written
            refused = {(each.id, each.rev) for each in transfer.refused}
            for document in transfer.documents:
                if (document["_id"], document["_rev"]) not in refused:
                    self._forget(document["_id"], document["_rev"])
            for id, rev in transfer.absent:
                # Compacted or purged at the source: nobody can have it any more.
                self._forget(id, rev)
            for each in transfer.refused:
                progress.doc_write_failures += 1
                error = {**each.error.as_dict(), "id": each.id, "rev": each.rev}
                del progress.errors[: len(progress.errors) - ERRORS + 1]
                progress.errors.append(error)
                self._hold(each.id, each.rev)
                if each.denied:
                    yield Event("denied", Record(error))

    def _hold(self, id: str, rev: str) -> None:
        revs = self.denied.setdefault(id, [])
        if rev not in revs:
            revs.append(rev)
        if self._believed is None and sum(map(len, self.denied.values())) > HELD:
            self._believed = self.last_seq

    def _forget(self, id: str, rev: str) -> None:
        revs = self.denied.get(id)
        if revs and rev in revs:
            revs.remove(rev)
            if not revs:
                del self.denied[id]

    def _save(self) -> None:
        if self._checkpoints is None:
            return
        self._checkpoint_time = self.tools.clock()
        denied = self.denied
        if self._believed is not None:
            # They come again with the changes after the checkpoint.
            denied = dict(list(denied.items())[:HELD])
        since = self.last_seq if self._believed is None else self._believed
        self._checkpoints.write(since, denied, self.progress.stats())

    # -- what is told ----------------------------------------------------------------------------

    def _change(self, transfer: Transfer, rows: list[Record]) -> Event:
        told = self.summary()
        told["docs"] = transfer.documents if rows else []
        told["pending"] = self.pending
        return Event("change", told)

    def summary(self) -> Record:
        """Return the counters so far."""
        progress = self.progress
        return Record(
            ok=not progress.doc_write_failures or all(each["status"] in (401, 403) for each in progress.errors),
            start_time=self.start_time,
            docs_read=progress.docs_read,
            docs_written=progress.docs_written,
            doc_write_failures=progress.doc_write_failures,
            errors=[Record(error) for error in progress.errors],
            last_seq=self.last_seq,
        )

    def result(self, status: str) -> Record:
        """Return the result of a run that is over."""
        return Record(self.summary(), end_time=formatdate(self.tools.now(), usegmt=True), status=status)

    def status(self) -> Record:
        """Return what ``sync_status()`` tells."""
        return Record(
            id=self.id,
            source=self.source.name,
            target=self.target.name,
            live=self.request.live,
            state=self.state,
            pending=self.pending,
            last_seq=self.last_seq,
            denied=sum(map(len, self.denied.values())),
            attempt=self.attempt,
            next_retry_at=self.next_retry_at,
            last_error=None if self.last_error is None else str(self.last_error),
        )
