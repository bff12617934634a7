"""The supervisor: follows the replicator databases of an environment and runs the replications they define.

One job in slices (see ``runner``) decides everything: it is woken by writes to the databases and by
runs that end, and otherwise sleeps until the next attempt is due. Runs have their own threads.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from pouchdb_core.errors import BadRequest, DatabaseClosed, NotFound, PouchDBError
from pouchdb_core.runner import Idle, Runner
from pouchdb_server.replicator.definition import FINAL, definition, is_replicator, owner_name
from pouchdb_server.replicator.endings import ended, final_stats, write_end
from pouchdb_server.replicator.job import Job, Key
from pouchdb_server.replicator.launch import identify, launch
from pouchdb_server.replicator.lock import Lock

if TYPE_CHECKING:
    from pouchdb_core import SyncEnvironment, SyncPouchDB
    from pouchdb_core.adapters.base import SharedLock
    from pouchdb_core.live import Replication
    from pouchdb_core.requests import UserContext
    from pouchdb_core.results import Record
    from pouchdb_server.replicator.definition import Definition

__all__ = ["Clocks", "Limits", "Supervisor"]

T = TypeVar("T")

logger = logging.getLogger("pouchdb.server.replicator")

PAGE = 200
"""Documents that are read at a time."""
AGAIN = 5.0
"""Seconds until it looks again after its own failure, or while another process runs the replications."""
PATIENCE = 5.0
"""Seconds that runs have to save their checkpoints when the server stops."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clock of the supervisor; tests replace it."""

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Limits:
    """How many replications run at a time, and how waiting ones get their turn."""

    max_jobs: int = 100
    interval: float = 60.0
    """Seconds a continuous replication keeps its place while others wait."""
    max_churn: int = 20
    """How many are paused at a time."""


class _Followed:
    """A replicator database, and how far it was read."""

    def __init__(self, name: str, database: SyncPouchDB, unsubscribe: Callable[[], None]) -> None:
        self.name, self.database, self.unsubscribe = name, database, unsubscribe
        self.since: Any = 0

    def end(self) -> None:
        self.unsubscribe()
        if not self.database.closed:
            self.database.close()


class Supervisor:
    """Runs the replications that the documents of an environment's replicator databases define.

    Documents are validated when they are written; an invalid one that came in another way is
    ``failed``. States: ``initializing``, ``error`` (its replication could not be determined),
    ``pending`` (waits for its turn), ``running``, ``crashing`` (failed, tried again later),
    ``completed``, ``failed``; only the last two are written into the document.
    """

    def __init__(
        self, environment: SyncEnvironment, limits: Limits, clocks: Clocks, nobody: Callable[[], UserContext]
    ) -> None:
        """``nobody()`` returns the rights of documents without an owner."""
        self._environment, self._limits, self.clocks, self._nobody = environment, limits, clocks, nobody
        self._runner = Runner("pouchdb-replicator", threads=1)
        self._runs = Runner("pouchdb-replicator-run", threads=limits.max_jobs + 4)
        self._job = self._runner.job(self._step)
        self._lock = threading.RLock()
        self._stepped = threading.Condition()
        self._inbox: deque[Callable[[], None]] = deque()
        self._followed: dict[str, _Followed] = {}
        self._jobs: dict[Key, Job] = {}
        self._final: dict[Key, tuple[str, str | None]] = {}
        """Finished documents: state and owner."""
        self._by_id: dict[str, Job] = {}
        self._lock_of_all = _lock(environment)
        self._shares = environment.shared is not None
        self._look, self._look_at = True, -math.inf
        self._closed = False
        self.starts = self.crashes = 0

    # -- from outside ----------------------------------------------------------------------------

    def wake(self, *, look: bool = False) -> None:
        """Make it look again; with ``look`` also for databases that were made or destroyed."""
        if look:
            self._look = True
        self._job.wake()

    def close(self) -> None:
        """Stop all replications, which save their checkpoints; returns when they have, or after a short time."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            handles = [handle for job in self._jobs.values() for handle in (job.stops(), *job.after) if handle]
        done = threading.Semaphore(0)
        for handle in handles:
            handle.on_done(done.release)
            self._runs.call(handle.cancel)
        until = time.monotonic() + PATIENCE
        for _ in handles:
            done.acquire(timeout=max(0.0, until - time.monotonic()))
        self._runner.close(PATIENCE)
        self._runs.close()
        for followed in self._followed.values():
            followed.end()
        self._lock_of_all.release()

    def jobs(self) -> list[dict[str, Any]]:
        """Return the rows of ``_scheduler/jobs``: what runs, waits or is tried again, in the order of the ids."""
        with self._lock:
            jobs = [job for job in self._jobs.values() if job.id is not None]
            return [job.as_job(f"<0.{job.run}.0>") for job in sorted(jobs, key=lambda job: job.id or "")]

    def docs(
        self, wanted: Callable[[str, str, str | None], bool], skip: int, limit: int | None
    ) -> tuple[int, list[dict[str, Any]]]:
        """Return how many documents are ``wanted(database, state, owner)``, and rows of some of them.

        Rows are in the order of database and id. Of finished documents only the requested ones
        are read.
        """
        with self._lock:
            known = {**self._final, **{key: (job.state, job.owner) for key, job in self._jobs.items()}}
        keys = sorted(key for key, (state, owner) in known.items() if wanted(key[0], state, owner))
        page = keys[skip:] if limit is None else keys[skip : skip + limit]
        return len(keys), [row for key in page if (row := self.doc(*key)) is not None]

    def doc(self, database: str, id: str) -> dict[str, Any] | None:
        """Return the row of one document, or None when it is not a replication."""
        with self._lock:
            job = self._jobs.get((database, id))
            if job is not None:
                return job.as_doc(self.clocks.clock())
            followed = self._followed.get(database)
            if followed is None or (database, id) not in self._final:
                return None
        try:
            return ended(database, followed.database.get(id))
        except (NotFound, DatabaseClosed):
            return None

    def owner_of(self, database: str, id: str) -> str | None:
        """Return the owner of a job; None for the administrators."""
        with self._lock:
            job = self._jobs.get((database, id))
            return self._final.get((database, id), ("", None))[1] if job is None else job.owner

    def replicators(self) -> set[Any]:
        """Return the replicators that run for documents."""
        with self._lock:
            handles = [handle for job in self._jobs.values() for handle in (job.handle, *job.after) if handle]
            return {handle.replicator for handle in handles}

    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until ``condition()`` is true, which is checked after every event; return whether it is."""
        with self._stepped:
            return self._stepped.wait_for(condition, timeout)

    def follows(self, database: str) -> bool:
        """Return whether it knows of a replicator database: another process may have made it."""
        return database in self._followed

    def counts(self) -> dict[str, int]:
        """Return how many documents are in each state."""
        counts: dict[str, int] = {}
        with self._lock:
            done = [state for state, _ in self._final.values()]
            for state in (*done, *(job.state for job in self._jobs.values())):
                counts[state] = counts.get(state, 0) + 1
        return counts

    # -- the job ---------------------------------------------------------------------------------

    def _step(self) -> Idle | bool:
        try:
            return self._work()
        finally:
            with self._stepped:
                self._stepped.notify_all()

    def _work(self) -> Idle | bool:
        if self._closed:
            return False
        try:
            if not self._lock_of_all.acquire():
                # Another process runs them, until it ends.
                self._leave()
                return Idle(AGAIN)
            if self._shares and self.clocks.clock() >= self._look_at:
                # Another host may have made a replicator database.
                self._look, self._look_at = True, self.clocks.clock() + AGAIN
            while self._inbox:
                with self._lock:
                    self._inbox.popleft()()
            self._discover()
            for followed in tuple(self._followed.values()):
                self._read(followed)
            with self._lock:
                pause = self._schedule()
            # A lock that another host can get is looked after, also while there is nothing to do.
            return Idle(min(AGAIN, AGAIN if pause is None else pause) if self._shares else pause)
        except DatabaseClosed:
            if self._environment.closed:
                return False
            # One was destroyed while it was read.
            self._look = True
            return Idle(0.0)
        except Exception:
            logger.exception("the replicator databases could not be followed; it is tried again")
            return Idle(AGAIN)

    def _leave(self) -> None:
        """Stop everything: the lock was lost with its connection, and another process has it now."""
        if self._followed:
            logger.warning("the replications are run by another process now, since a connection was lost")
        for each in tuple(self._followed.values()):
            each.end()
        self._followed.clear()
        with self._lock:
            for key in (*self._jobs, *self._final):
                self._forget(key)
        self._look = True

    def _tell(self, function: Callable[[], None]) -> None:
        """Make the supervisor run a function, from any thread."""
        self._inbox.append(function)
        self._job.wake()

    def _discover(self) -> None:
        # Destroyed, by another process too, which may have made it again.
        gone = [each for each in self._followed.values() if each.database.closed or not each.database.is_there()]
        if not (self._look or gone):
            return
        self._look = False
        names = {name for name in self._environment.names() if is_replicator(name)}
        for each in tuple(self._followed.values()):
            if each in gone or each.name not in names:
                each.end()
                del self._followed[each.name]
                with self._lock:
                    for key in [key for key in (*self._jobs, *self._final) if key[0] == each.name]:
                        self._forget(key)
        for name in sorted(names - set(self._followed)):
            database = self._environment.PouchDB(name)
            # Before the first read, so that no write falls between.
            self._followed[name] = _Followed(name, database, database.adapter.subscribe(self._job.wake))

    def _read(self, followed: _Followed) -> None:
        while True:
            page = followed.database.changes(since=followed.since, limit=PAGE, include_docs=True)
            for row in page["results"]:
                self._changed(followed, row)
            followed.since = page["last_seq"]
            if len(page["results"]) < PAGE:
                return

    def _changed(self, followed: _Followed, row: Record) -> None:
        key = (followed.name, row["id"])
        if row["id"].startswith("_design/"):
            return
        doc: Record = row["doc"]
        if row.get("deleted"):
            with self._lock:
                self._forget(key)
            return
        state = doc.get("_replication_state")
        if state in FINAL:
            with self._lock:
                self._forget(key)
                self._final[key] = (state, owner_name(doc))
            return
        try:
            wanted = definition(doc)
        except BadRequest as error:
            with self._lock:
                self._forget(key)
            self._write(key, doc["_rev"], "failed", why=error.message)
            return
        with self._lock:
            self._final.pop(key, None)
            job = self._jobs.get(key)
            if job is not None and job.definition == wanted:
                job.rev = doc["_rev"]
                return
            self._forget(key, keep=(new := Job(key, doc["_rev"], wanted, self.clocks.now())))
            self._jobs[key] = new
            self._initialize(new)

    def _forget(self, key: Key, keep: Job | None = None) -> None:
        """Stop the replication of a document; ``keep`` takes over what is still ending."""
        self._final.pop(key, None)
        job = self._jobs.pop(key, None)
        if job is None:
            return
        handle = job.stops()
        if keep is not None:
            keep.after.extend(job.after)
        if job.id is not None and self._by_id.get(job.id) is job:
            del self._by_id[job.id]
        if handle is not None:
            self._cancel(handle)

    def _cancel(self, handle: Replication) -> None:
        # It may have to wait for a server. A job that waits for its place looks again when it is over.
        handle.on_done(self._job.wake)
        self._runs.call(handle.cancel)

    # -- from a document to a run ----------------------------------------------------------------

    def _initialize(self, job: Job) -> None:
        """Find out which replication it is: the filter may have to be read from the source."""
        job.state = "initializing"
        run = job.run

        def find() -> None:
            try:
                id = identify(self._environment, job.definition, self._rights(job.definition))
            except Exception as error:
                self._tell(_later(self._failed, job, run, error))
            else:
                self._tell(_later(self._identified, job, run, id))

        if job.definition.filter is None:
            find()
        else:
            self._runs.call(find)

    def _rights(self, definition: Definition) -> UserContext:
        return self._nobody() if definition.owner is None else definition.owner

    def _current(self, job: Job, run: int) -> bool:
        return job.run == run and self._jobs.get(job.key) is job and not self._closed

    def _identified(self, job: Job, run: int, id: str) -> None:
        if not self._current(job, run):
            return
        other = self._by_id.get(id)
        if other is not None and other is not job:
            known = f"document `{other.key[1]}` from db `{other.key[0]}`"
            why = f"Replication `{id}` specified by document `{job.key[1]}` already started, triggered by {known}"
            self._forget(job.key)
            self._write(job.key, job.rev, "failed", replication_id=id, why=why)
            return
        job.id = id
        self._by_id[id] = job
        job.waits(self.clocks.clock(), self.clocks.now())

    def _schedule(self) -> float | None:
        """Start what may run; return the seconds until there is something to be done."""
        clock, now = self.clocks.clock(), self.clocks.now()
        deadlines = []
        for job in tuple(self._jobs.values()):
            if job.state in ("error", "crashing"):
                if clock < job.due:
                    deadlines.append(job.due)
                elif job.state == "error":
                    self._initialize(job)
                else:
                    job.waits(clock, now)
        waiting = sorted((job for job in self._jobs.values() if job.state == "pending"), key=lambda job: job.since)
        running = sum(job.state == "running" for job in self._jobs.values())
        for job in waiting:
            if running >= self._limits.max_jobs:
                break
            if job.free():
                self._start(job)
                running += 1
        left = [job for job in waiting if job.state == "pending" and job.free()]
        if left:
            deadlines.extend(self._rotate(len(left), clock, now))
        return None if not deadlines else max(0.0, min(deadlines) - clock)

    def _rotate(self, count: int, clock: float, now: float) -> Iterator[float]:
        """Pause the jobs that ran longest for those that wait; yield when that is to be done next."""
        places = [job for job in self._jobs.values() if job.state == "running" and job.definition.continuous]
        places.sort(key=lambda job: job.since)
        for job in places[: min(count, self._limits.max_churn)]:
            end = job.since + self._limits.interval
            if clock < end:
                yield end
                return
            handle = job.handle
            if handle is not None:
                job.run += 1
                job.waits(clock, now)
                self._cancel(handle)
                # It begins once that one is over and it is this one's turn: the next step starts it.
                self._job.wake()

    def _start(self, job: Job) -> None:
        run = job.begins(self.clocks.clock(), self.clocks.now())
        self.starts += 1

        def complete(error: BaseException | None, result: Mapping[str, Any] | None) -> None:
            if error is not None:
                self._tell(_later(self._failed, job, run, error))
            elif result is not None and result["status"] == "complete":
                self._tell(_later(self._completed, job, run, result))
            else:
                # A database was closed meanwhile.
                self._tell(_later(self._failed, job, run, DatabaseClosed("a database of the replication was closed")))

        def start() -> None:
            try:
                wanted, rights = job.definition, _later(self._rights, job.definition)
                handle = launch(self._environment, wanted, rights, self._runs, complete)
            except Exception as error:
                self._tell(_later(self._failed, job, run, error))
                return
            with self._lock:
                is_current = self._current(job, run)
                if is_current:
                    job.handle = handle
                    # Callers that wait for progress are woken when it is up to date.
                    handle.on("paused", lambda error: self._job.wake())
                    self._job.wake()
                elif not self._closed and self._jobs.get(job.key) is not None:
                    self._jobs[job.key].after.append(handle)
            if not is_current:
                self._cancel(handle)

        self._runs.call(start)

    # -- from a run to a document ----------------------------------------------------------------

    def _failed(self, job: Job, run: int, error: BaseException) -> None:
        if not self._current(job, run):
            return
        self.crashes += job.state == "running"
        job.fails(error, self.clocks.clock(), self.clocks.now())
        level = logging.WARNING if isinstance(error, PouchDBError) else logging.ERROR
        trace = None if isinstance(error, PouchDBError) else error
        name = f"{job.key[1]} of {job.key[0]}"
        logger.log(level, "replication %s: %s (failure %d)", name, job.error, job.errors, exc_info=trace)

    def _completed(self, job: Job, run: int, result: Mapping[str, Any]) -> None:
        if not self._current(job, run):
            return
        stats = final_stats(job, result)
        id = job.id
        self._forget(job.key)
        self._final[job.key] = ("completed", job.owner)
        self._write(job.key, job.rev, "completed", replication_id=id, stats=stats)

    def _write(self, key: Key, rev: str, state: str, **told: Any) -> None:
        followed = self._followed.get(key[0])
        if followed is not None:
            write_end(followed.database, key[1], rev, state, self.clocks.now(), **told)


def _lock(environment: SyncEnvironment) -> SharedLock:
    # Views with other prefixes have other replications.
    of = f"-{quote(environment.prefix, safe='')}" if environment.prefix else ""
    if environment.shared is not None:
        return environment.shared.lock(f"server/replicator{of}")
    if environment.directory is None:
        return Lock(None)
    return Lock(environment.plugin_directory("server") / f"replicator{of}.lock")


def _later(function: Callable[..., T], *args: Any) -> Callable[[], T]:
    return lambda: function(*args)
