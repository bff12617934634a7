"""The conformance suite of the core through the asynchronous interface: every call is a promise that is run.

The suite is written for blocking calls, so the objects it gets here make asynchronous ones. In turns they
are awaited on a loop, and made without one and spun until they have an outcome; feeds are iterated one
``asyncio.run`` a row.
"""

from __future__ import annotations

import inspect
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typing_extensions import Self

from pouchdb_core import SyncEnvironment
from pouchdb_core.aio import AsyncEnvironment, AsyncFeed, AsyncPouchDB, AsyncReplication, AsyncSync, Promise
from pouchdb_core.methods import Operation
from pouchdb_core.testing import conformance
from pouchdb_core.testing.conformance import Capabilities, Subject, check_module
from pouchdb_core.testing.fixtures import make_environment, open_environment

__all__ = ["make_environment"]

SECONDS = 30
HANDLES = (AsyncFeed, AsyncReplication, AsyncSync)


class Run:
    """An asynchronous object whose calls block. Counts the promises and handles that were run, and awaited."""

    count = awaited = 0

    def __init__(self, env: AsyncEnvironment, of: Any) -> None:
        self.env, self.of = env, of

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.of, name)
        if not callable(found):
            return self._run(found)

        def call(*args: Any, **kwargs: Any) -> Any:
            args = tuple(each.of if isinstance(each, Run) else each for each in args)
            live = name == "live_changes" or kwargs.get("live")
            if isinstance(inspect.getattr_static(type(self.of), name), Operation) and not live and Run.count % 2:
                Run.count += 1
                Run.awaited += 1
                return self._run(self.env.run(_awaited(found, args, kwargs), SECONDS))
            answer = found(*args, **kwargs)
            return self if answer is self.of else self._run(answer, live=bool(live))

        return call

    def _run(self, answer: Any, *, live: bool = False) -> Any:
        if isinstance(answer, Promise) or (isinstance(answer, HANDLES) and not live):
            Run.count += 1
            try:
                answer = self.env.run(answer, SECONDS)
            finally:
                self._deliver()
        self._deliver()
        return Run(self.env, answer) if isinstance(answer, (*HANDLES, AsyncEnvironment, AsyncPouchDB)) else answer

    def _deliver(self) -> None:
        """Have events delivered, too."""
        if not self.env._asynchronous.order.within():
            self.env.run(timeout=SECONDS)

    def __iter__(self) -> Iterator[Any]:
        if not isinstance(self.of, HANDLES):
            yield from self.of.sync_view
            return
        while True:
            try:
                yield self.env.run(anext(self.of), SECONDS)
            except StopAsyncIteration:
                return

    # Of mappings: they are the synchronous view's alone.

    def __getitem__(self, key: str) -> Any:
        return self.of[key] if isinstance(self.of, HANDLES) else self.of.sync_view[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.of.sync_view[key] = value

    def __delitem__(self, key: str) -> None:
        del self.of.sync_view[key]

    def __contains__(self, key: object) -> bool:
        return key in self.of.sync_view

    def __len__(self) -> int:
        if isinstance(self.of, HANDLES):
            raise TypeError("a handle has no length")
        return len(self.of.sync_view)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.env.run(self.env.close(), SECONDS)


async def _awaited(call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return await call(*args, **kwargs)


def blocking(environment: SyncEnvironment) -> Any:
    env = environment.async_view
    return Run(env, env)


@pytest.fixture
def subject(request: pytest.FixtureRequest, make_environment: Callable[..., SyncEnvironment]) -> Iterator[Subject]:
    numbers = itertools.count(1)
    environment = blocking(make_environment())
    over = threading.Event()
    spinner = None
    if "Live" in request.node.nodeid.split("::")[1]:
        # Somebody delivers the events while the test waits.
        spin = environment.env._asynchronous.delivery.spin
        spinner = threading.Thread(target=lambda: spin(over.is_set))
        spinner.start()
    yield Subject(
        environment,
        Capabilities(reopens=False),
        new_name=lambda: f"database-{next(numbers)}",
        guarded=lambda plugin: blocking(open_environment(None, plugin)),
    )
    if spinner is not None:
        over.set()
        environment.env._asynchronous.delivery.notify()
        spinner.join(SECONDS)
        assert not spinner.is_alive()


class TestDocuments(conformance.Documents):
    pass


class TestBulk(conformance.Bulk):
    pass


class TestConflicts(conformance.Conflicts):
    pass


class TestChanges(conformance.Changes):
    pass


class TestLiveChanges(conformance.LiveChanges):
    pass


class TestAttachments(conformance.Attachments):
    pass


class TestLocalDocuments(conformance.LocalDocuments):
    pass


class TestCompaction(conformance.Compaction):
    pass


class TestPurge(conformance.Purge):
    pass


class TestReplication(conformance.Replication):
    pass


class TestLiveReplication(conformance.LiveReplication):
    pass


class TestEvents(conformance.Events):
    pass


def test_nothing_is_left_out() -> None:
    assert check_module(sys.modules[__name__], conformance.SUITE) == []


def test_calls_are_asynchronous(subject: Subject) -> None:
    before, awaited = Run.count, Run.awaited
    database = subject.environment.PouchDB("x")
    database.put({"_id": "a"})
    assert database.get("a")["_id"] == "a"
    assert (Run.count, Run.awaited) == (before + 2, awaited + 1)
