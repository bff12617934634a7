"""The replicator: one generator that yields events and ``Idle``; the caller decides how to wait."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import (
    BadRequest,
    DatabaseClosed,
    Forbidden,
    NotACouchDB,
    NotADatabase,
    NotFound,
    NotSupported,
    PouchDBError,
    Replaced,
    Unauthorized,
)
from pouchdb_core.replication.background import Background
from pouchdb_core.replication.batch import Revision, Transfer, revision_of
from pouchdb_core.replication.checkpoint import Checkpoints
from pouchdb_core.replication.identity import open_checkpoints
from pouchdb_core.replication.remote import Ahead, ready, transfer_of
from pouchdb_core.replication.replication_progress import Event, Pending, Progress, Refused
from pouchdb_core.replication.seqs import reached, seq_number, went_back
from pouchdb_core.replication.source import check_distinct
from pouchdb_core.replication.tools import Tools
from pouchdb_core.replication.watch import Watch
from pouchdb_core.requests import Replicate
from pouchdb_core.results import Record
from pouchdb_core.runner import Idle

if TYPE_CHECKING:
    from pouchdb_core.interfaces import Database

__all__ = ["Event", "Replicator", "Tools"]

logger = logging.getLogger("pouchdb.replication")

CHECKPOINT_SECONDS = 5.0
"""Seconds between checkpoints: how much work a killed run may have to check again (but never loses)."""

FINAL = (BadRequest, DatabaseClosed, Forbidden, NotADatabase, NotFound, NotSupported, Unauthorized)
"""Errors that every repetition of the same call would raise again."""


RESTARTS = 3
"""How often it starts over without an acknowledged checkpoint in between before that is an error."""
MISSING = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts to find a deleted database made again; after the last its absence is an error."""

Steps = Generator[Event | Idle, None, None]


class Replicator:
    """One replication, with its public state.

    ``state`` is ``pending`` (not started, or waiting to try again), ``active``, ``paused`` (up to
    date, live), ``complete``, ``cancelled`` or ``failed``; ``pending`` the number of changes still
    to come; ``last_seq`` the source's seq up to which it is done; ``attempt`` how often it failed in a row;
    ``next_retry_at`` (seconds since 1970) when it tries again; ``last_error`` why. ``tells`` says
    whether ``change`` events carry documents: parsing them costs as much as moving them.
    """

    def __init__(self, request: Replicate, tools: Tools) -> None:
        self.source = request.source.with_purpose("replication")
        self.target = request.target.with_purpose("replication")
        self.request, self.tools = request, tools
        self.tells = True
        self.state = "pending"
        self.last_seq: Any = 0
        self.attempt = 0
        self.next_retry_at: float | None = None
        self.last_error: BaseException | None = None
        self.progress = Progress()
        self.start_time = formatdate(tools.now(), usegmt=True)
        self.refused = Refused({})
        self.id = ""
        self._pending = Pending(lambda since: self._call(self.source, self.source.adapter.pending, since), tools.clock)
        self._backoff = tools.backoff(request.back_off_function)
        # Refused revisions are tried again on a separate schedule.
        self._again = tools.backoff(None)
        self._again_at: float | None = None
        self._checkpoints: Checkpoints | None = None
        self._checkpoint_time = 0.0
        self._unsaved = False
        self._resume: Any = request.since
        self._kept: dict[str, list[str]] | None = None
        """The revisions refused before an error, if no checkpoint has them."""
        self._background = Background()
        self._ahead: Ahead | None = None
        self._watch = Watch(self.source, self.target, tools.clock)
        self._begun = False
        self._restarts = self._missed = 0
        self.wake: Callable[[], None] = lambda: None
        """Called when a source on a server has something new."""

    @property
    def pending(self) -> int:
        """How many changes of the source are still to be processed.

        While it works, as of the last batch; while it waits for a local source, counted at each access.
        """
        if self.state in ("pending", "paused") and not self.source.remote:
            # A closed source is reported by the error that ends the run.
            with suppress(PouchDBError):
                number: int = self.source.adapter.pending(self.last_seq)
                return number
        return self._pending.number

    @property
    def denied_count(self) -> int:
        """How many revisions refused by the target are still to be tried again."""
        return len(self.refused)

    # -- the run ---------------------------------------------------------------------------------

    def run(self) -> Generator[Event | Idle, None, Record]:
        """Replicate; return the result. Raises the error that ends it, with the result as ``error.result``.

        Closing the generator cancels the replication: the progress so far is saved.
        """
        check_distinct(self.source, self.target)
        live = "continuous " if self.request.live else ""
        name = f"{live}replication from {self.source.name} to {self.target.name}"
        with self._listed(), self.source._engine.tasks.running(name, self.source.name) as task:
            while True:
                try:
                    for event in self._session():
                        task.total_items = self.progress.docs_written + self._pending.number
                        task.progress(self.progress.docs_written - task.completed_items)
                        yield event
                    self.state = "complete"
                    return self.result("complete")
                except BaseException as error:
                    delay = self._start_over(error)
                    if delay is None:
                        self._remember()
                        if isinstance(error, GeneratorExit):
                            self.state = "cancelled"
                            raise
                        self.last_error = error
                        if not (self.request.retry and isinstance(error, PouchDBError)) or isinstance(error, FINAL):
                            self._give_result(error)
                            raise
                try:
                    yield from self._wait() if delay is None else self._sleep(delay)
                except GeneratorExit:
                    self.state = "cancelled"
                    raise

    @contextmanager
    def _listed(self) -> Iterator[None]:
        """Register as running with the engines of both sides."""
        lists = self.source._engine.replicators, self.target._engine.replicators
        for each in lists:
            each.add(self)
        try:
            yield
        finally:
            for each in lists:
                each.discard(self)

    def _call(self, database: Database, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function that queries a database; on a server, until cancelled. Raises Interrupted."""
        return self._background.call(function, *args) if database.remote else function(*args)

    def _give_result(self, error: BaseException) -> None:
        self.state = "failed"
        result = self.result("aborting")
        if isinstance(error, PouchDBError):
            error.details["result"] = result
        else:
            # A user's own exception may not accept the attribute.
            with suppress(AttributeError, TypeError):
                error.result = result  # type: ignore[attr-defined]

    def interrupt(self) -> None:
        """Stop waiting for a server: the run ends with Interrupted. May be called from any thread."""
        if self.source.remote or self.target.remote:
            self._background.interrupt()

    def _remember(self) -> None:
        """Save before an end or a pause, if possible: otherwise the previous checkpoint stays true."""
        if self._ahead is not None:
            self._ahead.close()
        if self._background.interrupted:
            # A server did not answer when the run was cancelled, and would not answer now.
            return
        try:
            self._save()
        except Exception as error:
            logger.info("%s: no checkpoint at the end: %s", self.id, error)

    def _start_over(self, error: BaseException) -> float | None:
        """Forget what was known of the two sides, if a side no longer exists or is another database.

        Returns the seconds after which the next session may check what they really have; None for other errors.
        """
        if isinstance(error, Replaced) and self._restarts < RESTARTS:
            delay = 0.0
            self._restarts += 1
            logger.warning("%s: %s; starting over", self.id, error.message)
        elif isinstance(error, (NotFound, NotACouchDB)) and self._may_come_back():
            # Between being deleted and being made again, when PouchDB Server's answers are arbitrary.
            delay = MISSING[self._missed]
            self._missed += 1
        else:
            return None
        if self._ahead is not None:
            self._ahead.close()
        self._checkpoints = None
        self._watch.forget()
        self._resume, self._kept = self.request.since, None
        for side in (self.source, self.target):
            side.adapter.identify_again()
        self.last_error = error
        return delay

    def _may_come_back(self) -> bool:
        remote = self.source.remote or self.target.remote
        return remote and self._begun and self._missed < len(MISSING)

    def _wait(self) -> Steps:
        if self.request.since is not None or self.request.checkpoint is False:
            # Nothing stored says where to continue, or what was refused.
            self._resume, self._kept = self._done, self.refused.revisions
        self.attempt += 1
        delay = self._backoff.next()
        self.next_retry_at = self.tools.now() + delay
        yield Event("requestError", self.last_error)
        yield Event("paused", self.last_error)
        yield from self._sleep(delay)
        self.next_retry_at = None

    def _sleep(self, delay: float) -> Steps:
        self.state = "pending"
        until = self.tools.clock() + delay
        while (left := until - self.tools.clock()) > 0:
            yield Idle(left)

    def _session(self) -> Steps:
        """Replicate from the last checkpoint to the end; if live, without an end."""
        live = self.request.live
        # A database deleted while it ran is not created again by it.
        create = (False, False) if self._missed else (self.request.create_source, self.request.create_target)
        info = self._call(self.source, ready, self.source, create[0])
        target = self._call(self.target, ready, self.target, create[1])
        self._begin(info, target)
        self._begun = True
        end = info["update_seq"]
        transfer = transfer_of(self.source, self.target, self._background)
        ahead = self._ahead = Ahead(self.source, self.target, self.request, self._background)
        # An empty target lacks everything: asking costs as much as writing.
        fresh = target["doc_count"] + target.get("doc_del_count", 0) == 0 and not seq_number(target["update_seq"])
        self._pending.after(self.last_seq, exact=True)
        if self.refused:
            yield from self._active()
            yield from self._retry(transfer, tell=True)
        while True:
            rows, last_seq = ahead.changes(self.last_seq, transfer, ask=not fresh)
            if ahead.ended or went_back(self.last_seq, last_seq):
                # These may be the seqs of another database.
                ahead.ended = False
                self._watch.look_idly(self._look)
            moved = last_seq != self.last_seq
            if rows:
                yield from self._active()
                if fresh:
                    fresh = not reached(self.last_seq, end) and self._is_alone(target, transfer)
                yield from self._batch(transfer, rows, last_seq, ask=not fresh)
            elif moved:
                self.last_seq = last_seq
                self._pending.after(last_seq)
            if moved and self._is_checkpoint_due():
                yield from self._checkpoint()
            if moved and (live or not reached(last_seq, end)):
                if not rows:
                    # Nothing passed the filter: others get their turn, and it can be cancelled.
                    yield Idle(0.0, last_seq)
                continue
            self._recover()
            if not live:
                yield from self._checkpoint()
                return
            # Changes written while an event was handled are read before waiting for more.
            if self._unsaved:
                yield from self._checkpoint()
                continue
            if self._watch.doubted or (self.state == "paused" and self._watch.is_time):
                doubted, self._watch.doubted = self._watch.doubted, False
                self._watch.look_idly(self._look, asked=doubted)
                continue
            if self.state != "paused":
                self.state = "paused"
                self._watch.rest()
                self._pending.after(self.last_seq, exact=True)
                yield Event("paused", None)
                continue
            ahead.wait(self.last_seq, self.wake)
            yield from self._idle(transfer)

    def _begin(self, info: Mapping[str, Any], target: Mapping[str, Any]) -> None:
        self._checkpoints = None
        remote = self.target if self.target.remote else self.source
        if self._resume is not None and self._watch.sides:
            # Progress before an error is only believed if both sides are the same.
            self._call(remote, self._watch.compare, info, target)
        else:
            self._watch.begin(info, target)
        known = self.source, self.target, self.request, self.tools, (info, target), self._watch.sides, self._background
        self.id, checkpoints = self._call(remote, open_checkpoints, *known)
        checkpoint = self._call(remote, checkpoints.read)
        since = checkpoint.since
        if type(since) is not int and not self.source.remote:
            # Written by a program that does not know our sequence numbers.
            since = 0
        elif type(since) is int and type(info["update_seq"]) is int and since > info["update_seq"]:
            logger.warning("%s: the source has fewer changes than were replicated; starting over", self.id)
            since = 0
        self.refused = Refused(checkpoint.denied if self._kept is None else self._kept)
        self.last_seq = since if self._resume is None else self._resume
        self._checkpoints = checkpoints
        self._checkpoint_time = self.tools.clock()
        self._again_at, self._unsaved = None, False
        self._watch.wait()

    def doubt(self) -> None:
        """Make it check once more that neither side was replaced, before it is idle again."""
        self._watch.doubt()

    @property
    def doubted(self) -> bool:
        """Whether that check is still to be made."""
        return self._watch.doubted

    def _look(self) -> None:
        """Raise Replaced if a side is not the database that was read and written."""
        assert self._checkpoints is not None
        remote = self.target if self.target.remote else self.source
        self._call(remote, self._checkpoints.check)

    def _is_checkpoint_due(self) -> bool:
        return self._watch.full or self.tools.clock() - self._checkpoint_time >= CHECKPOINT_SECONDS

    def _is_alone(self, target: Mapping[str, Any], transfer: Transfer) -> bool:
        """Return whether nothing else has written to a target that was empty."""
        info = self._call(self.target, self.target.info)
        now, before = seq_number(info["update_seq"]), seq_number(target["update_seq"])
        return now is not None and before is not None and now == before + transfer.written

    def _active(self) -> Steps:
        if self.state != "active":
            self.state = "active"
            yield Event("active")

    def _recover(self) -> None:
        """Note a success: reset the failure counters."""
        self.attempt, self.last_error, self._missed = 0, None, 0
        self._backoff.reset()

    def _idle(self, transfer: Transfer) -> Steps:
        now = self.tools.clock()
        # A local database in memory cannot be replaced.
        until = self._watch.look_at if self._watch.replaceable else None
        if not len(self.refused):
            yield Idle(None if until is None else max(0.001, until - now), self.last_seq)
            return
        # The target may accept them later: try refused revisions again, less and less often.
        if self._again_at is None:
            self._again_at = now + max(1.0, self._again.next())
        if now < self._again_at:
            until = self._again_at if until is None else min(until, self._again_at)
            yield Idle(max(0.001, until - now), self.last_seq)
            return
        self._again_at = None
        if self.refused.rest is not None:
            self.last_seq, self.refused.rest = self.refused.rest, None
        yield from self._retry(transfer, tell=False)
        if self._unsaved:
            yield from self._checkpoint()

    # -- parts -----------------------------------------------------------------------------------

    def _batch(self, transfer: Transfer, rows: list[Record], last_seq: Any, *, ask: bool) -> Steps:
        revs = {row["id"]: [change["rev"] for change in row["changes"]] for row in rows}
        wanted = [(id, rev) for id, each in revs.items() for rev in each]
        self.progress.missing_checked += len(wanted)
        # PouchDB emits them for each change, which may be a million events: here once per batch.
        yield Event("checkpoint", Record(pending_batch=last_seq))
        yield Event("checkpoint", Record(start_next_batch=last_seq))
        if ask:
            yield Event("checkpoint", Record(revs_diff=rows[-1]))
            wanted = transfer.missing(revs)
        self.progress.missing_found += len(wanted)
        told: Event | None = None
        absent: set[Revision] = set()
        for _ in self._move(transfer, wanted):
            if told is not None:
                yield told
            yield from self._denied(transfer, tell=True)
            told = self._change(transfer)
            absent.update(transfer.absent)
            if transfer.documents:
                self._watch.sides["target"].saw(*revision_of(transfer.documents[-1]))
        self._watch.witness(rows, absent, self.refused)
        if self._restarts < RESTARTS:
            self._watch.doubt_source(absent, lambda side, revisions: self._call(self.source, side.has, revisions))
        self.last_seq, self._unsaved = last_seq, True
        self._pending.after(last_seq, len(rows))
        self._recover()
        if told is not None:
            # The last transaction is reported when all of the batch is done, with the seq it goes to.
            told.argument.update(last_seq=last_seq, pending=self._pending.number)
            yield told

    def _move(self, transfer: Transfer, wanted: list[Revision]) -> Generator[None, None, None]:
        if not wanted:
            return
        before = transfer.read, transfer.written
        for _ in transfer.move(wanted):
            self.progress.docs_read += transfer.read - before[0]
            self.progress.docs_written += transfer.written - before[1]
            before = transfer.read, transfer.written
            yield

    def _denied(self, transfer: Transfer, *, tell: bool) -> Steps:
        """Remember and report what the target refused."""
        for each in transfer.refused:
            known = (each.id, each.rev) in self.refused
            self.refused.add((each.id, each.rev), self.last_seq)
            if tell or not known:
                error = self.progress.fail(each)
                if each.denied:
                    yield Event("denied", Record(error))

    def _retry(self, transfer: Transfer, *, tell: bool) -> Steps:
        """Try refused revisions again."""
        asked = self.refused.all()
        revs: dict[str, list[str]] = {}
        for id, rev in asked:
            revs.setdefault(id, []).append(rev)
        still: set[Revision] = set()
        for _ in self._move(transfer, transfer.missing(revs)):
            still.update((each.id, each.rev) for each in transfer.refused)
            yield from self._denied(transfer, tell=tell)
            if transfer.documents and (told := self._change(transfer)) is not None:
                self._again.reset()
                yield told
        for revision in asked:
            # Accepted, replaced by a descendant, or gone at the source.
            if revision not in still:
                self.refused.discard(revision)
                self._unsaved = True

    def _checkpoint(self) -> Steps:
        if self._save():
            yield Event("checkpoint", Record(checkpoint=self.last_seq))

    @property
    def _done(self) -> Any:
        """The seq up to which everything is done, or known to be refused."""
        return self.last_seq if self.refused.rest is None else self.refused.rest

    def _save(self) -> bool:
        if self._checkpoints is None:
            return False
        self._checkpoint_time = self.tools.clock()
        remote = self.target if self.target.remote else self.source
        known = self._done, self.refused.revisions, self.progress.stats()
        saved: bool = self._call(remote, self._checkpoints.write, *known)
        self._unsaved = False
        if saved:
            self._restarts = 0
        return saved

    # -- reporting -------------------------------------------------------------------------------

    def _change(self, transfer: Transfer) -> Event | None:
        """Return the argument of the ``change`` event of a transaction; None if there was none."""
        if not (transfer.documents or transfer.refused):
            return None
        told = self.summary()
        documents = transfer.documents if self.tells else []
        told["docs"] = [each if isinstance(each, Record) else each.document() for each in documents]
        told["pending"] = self._pending.number
        return Event("change", told)

    def summary(self) -> Record:
        """Return the counters so far."""
        progress = self.progress
        return Record(
            ok=progress.ok and self.state != "failed",
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
        """Return the entry for ``sync_status()``."""
        return Record(
            id=self.id,
            source=self.source.name,
            target=self.target.name,
            live=self.request.live,
            state=self.state,
            pending=self.pending,
            last_seq=self.last_seq,
            denied=self.denied_count,
            attempt=self.attempt,
            next_retry_at=self.next_retry_at,
            last_error=None if self.last_error is None else str(self.last_error),
        )
