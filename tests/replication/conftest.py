"""Pairs of databases, and what makes two databases equal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.replication.replicate import Replicator, Tools
from pouchdb_core.requests import Replicate
from pouchdb_core.runner import Idle

SOON = 20.0


def leaves(database: SyncPouchDB) -> dict[str, Any]:
    """Return every leaf of every document, with its body and the digests of its attachments."""
    found: dict[str, Any] = {}
    for row in database.changes(style="all_docs")["results"]:
        for change in row["changes"]:
            doc = dict(database.get(row["id"], rev=change["rev"]))
            entries = doc.get("_attachments", {})
            doc["_attachments"] = {
                name: (each["digest"], each["revpos"], each["content_type"]) for name, each in entries.items()
            }
            found[f"{row['id']} {change['rev']}"] = doc
    return found


def same(first: SyncPouchDB, second: SyncPouchDB) -> None:
    """Check that two databases are equal, leaf by leaf, and sound."""
    assert leaves(first) == leaves(second)
    assert first.integrity_check() == second.integrity_check() == []


def revision(database: SyncPouchDB, id: str, *path: str, **members: Any) -> None:
    """Write one revision with its history, newest first."""
    start = int(path[0].split("-")[0])
    doc = {"_id": id, "_rev": path[0], "_revisions": {"start": start, "ids": [each.split("-")[1] for each in path]}}
    assert database.bulk_docs([{**doc, **members}], new_edits=False) == []


@pytest.fixture
def source(environment: SyncEnvironment) -> SyncPouchDB:
    return environment["source"]


@pytest.fixture
def target(environment: SyncEnvironment) -> SyncPouchDB:
    return environment["target"]


class Time:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self._sessions = 0

    def now(self) -> float:
        return self.seconds

    def session(self) -> str:
        self._sessions += 1
        return f"session-{self._sessions}"

    @property
    def tools(self) -> Tools:
        from pouchdb_core.replication.backoff import Backoff

        return Tools(self.now, self.now, self.session, lambda custom: Backoff(custom, chance=lambda: 0.5))


@pytest.fixture
def time() -> Time:
    return Time()


class Run:
    """A replication that a test steps by hand, with a clock of its own."""

    def __init__(self, source: SyncPouchDB, target: SyncPouchDB, time: Time, **options: Any) -> None:
        self.replicator = Replicator(Replicate(source, target, **options), time.tools)
        self.steps: Generator[Any, None, Any] = self.replicator.run()
        self.time = time
        self.events: list[tuple[str, Any]] = []
        self.announced: list[Any] = []
        """What ``checkpoint`` told of batches that were about to begin."""
        self.result: Any = None

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    def step(self) -> Any:
        """Go on to the next event or wait; None at the end."""
        try:
            event = next(self.steps)
        except StopIteration as stop:
            self.result = stop.value
            return None
        if not isinstance(event, Idle):
            if event.name == "checkpoint" and "checkpoint" not in event.argument:
                self.announced.append(event.argument)
                return self.step()
            self.events.append((event.name, event.argument))
        return event

    def rest(self) -> float | None:
        """Go on until it has to wait; return for how long, None for a write."""
        while True:
            event = self.step()
            if event is None:
                raise EOFError("it is over")
            if isinstance(event, Idle) and event.timeout != 0:
                return event.timeout

    def end(self) -> Any:
        """Go on to the end, letting the clock go."""
        while (event := self.step()) is not None:
            if isinstance(event, Idle):
                assert event.timeout is not None, "it waits for a write that nobody makes"
                self.time.seconds += event.timeout
        return self.result


@pytest.fixture
def run(time: Time) -> Callable[..., Run]:
    return lambda source, target, **options: Run(source, target, time, **options)


class Faults:
    """A plug-in that fails, counts or looks on where a test wants it."""

    def __init__(self) -> None:
        self.on_write: Callable[[Any, Any], None] = lambda database, request: None
        self.on_read: Callable[[Any, Any], None] = lambda database, request: None
        self.guard: Callable[[Any], Any] | None = None

    @pouchdb.hookimpl(wrapper=True)
    def pouchdb_write(self, database: Any, request: Any) -> Generator[None, Any, Any]:
        self.on_write(database, request)
        return (yield)

    @pouchdb.hookimpl(wrapper=True)
    def pouchdb_read(self, database: Any, request: Any) -> Generator[None, Any, Any]:
        self.on_read(database, request)
        return (yield)

    @pouchdb.hookimpl
    def pouchdb_write_guards(self, database: Any, request: Any) -> Any:
        if self.guard is None or database.name != "target":
            return None
        return lambda proposed: [self.guard(each.new) for each in proposed]  # type: ignore[misc]


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def faulty(faults: Faults, tmp_path: Path) -> Iterator[SyncEnvironment]:
    """An environment whose plug-in fails as the test says."""
    with pouchdb.setup(":memory:", plugins=[faults]) as environment:
        yield environment


class Guard:
    """A plug-in with a write guard only: documents still travel as they are stored."""

    def __init__(self) -> None:
        self.judge: Callable[[Any], Any] = lambda doc: None

    @pouchdb.hookimpl
    def pouchdb_write_guards(self, database: Any, request: Any) -> Any:
        if database.name != "target":
            return None
        return lambda proposed: [self.judge(each.new) for each in proposed]


@pytest.fixture
def guard() -> Guard:
    return Guard()


@pytest.fixture
def guarded(guard: Guard) -> Iterator[SyncEnvironment]:
    """An environment whose ``target`` asks the guard."""
    with pouchdb.setup(":memory:", plugins=[guard]) as environment:
        yield environment


class Heard:
    """A listener that remembers its calls, and wakes who waits for them."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self._condition = threading.Condition()

    def __call__(self, *args: Any) -> None:
        with self._condition:
            self.calls.append(args[0] if len(args) == 1 else args)
            self._condition.notify_all()

    def wait(self, count: int = 1) -> list[Any]:
        return self.until(lambda calls: len(calls) >= count)

    def until(self, predicate: Callable[[list[Any]], object]) -> list[Any]:
        with self._condition:
            assert self._condition.wait_for(lambda: predicate(self.calls), SOON), f"only {self.calls[-3:]}"
            return list(self.calls)


@pytest.fixture
def heard() -> Callable[[], Heard]:
    return Heard
