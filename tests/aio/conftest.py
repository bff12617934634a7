"""Fixtures of the asynchronous interface; tests that are coroutine functions run under ``asyncio.run``."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb import AsyncEnvironment, AsyncPouchDB, SyncEnvironment, SyncPouchDB, hookimpl, operation
from pouchdb_core.methods import Operation
from pouchdb_core.requests import Read, Write

LONG = 20
"""Seconds after which something hangs."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), LONG))
    return True


def shout(db: SyncPouchDB, text: str, rev: str | None = None, *, times: int = 1) -> str:
    """Return a text aloud."""
    assert type(db).__name__ == "SyncPouchDB"
    return text.upper() * times


def apply_all(db: SyncPouchDB, how: Callable[[str], Any] | None = None) -> list[Any]:
    """Apply a function to all ids."""
    return [row.id if how is None else how(row.id) for row in db.all_docs().rows]


def count_names(env: SyncEnvironment, beginning: str = "") -> int:
    """Count the databases whose names begin so."""
    return sum(name.startswith(beginning) for name in env.names())


def fall_over(db: SyncPouchDB) -> None:
    """Raise what is no PouchDBError."""
    raise ZeroDivisionError("over")


class Gate:
    """A plug-in with methods, that can hold reads and writes of documents whose ids begin with `held`."""

    def __init__(self) -> None:
        self.together: threading.Barrier | None = None
        """Reads of held documents go on when so many of them run."""
        self.entered = threading.Event()
        self.open = threading.Event()
        """Writes of held documents go on when it is set."""
        self.log: list[str] = []
        self.on_read: Callable[[], None] | None = None

    @hookimpl
    def pouchdb_database_methods(self) -> Iterable[Operation[..., Any]]:
        return [operation(shout, reads=True), operation(apply_all, reads=True, functions=["how"]), operation(fall_over)]

    @hookimpl
    def pouchdb_environment_methods(self) -> Iterable[Operation[..., Any]]:
        return [operation(count_names, reads=True)]

    @hookimpl(wrapper=True)
    def pouchdb_read(self, database: SyncPouchDB, request: Read) -> Generator[None, Any, Any]:
        if str(request.id).startswith("held") and self.together is not None:
            self.together.wait(LONG)
        self.log.append(f"read {request.id}")
        if self.on_read is not None:
            self.on_read()
        return (yield)

    @hookimpl(wrapper=True)
    def pouchdb_write(self, database: SyncPouchDB, request: Write) -> Generator[None, Any, Any]:
        id = dict(request.docs[0]).get("_id", "") if not isinstance(request.docs[0], (str, bytes)) else ""
        if id.startswith("held"):
            self.entered.set()
            assert self.open.wait(LONG)
        answer = yield
        if request.purpose == "api":
            self.log.append(f"write {id}")
        return answer


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def env(request: pytest.FixtureRequest, tmp_path: Path, gate: Gate) -> Iterator[AsyncEnvironment]:
    """An asynchronous environment with the plug-in of the test; nothing may be left of its work at the end.

    In memory, unless a test is parametrised with ``["file", "memory"]``.
    """
    if getattr(request, "param", "memory") == "file":
        env = pouchdb.setup_async(tmp_path / "databases", plugins=[gate], durability="normal")
    else:
        env = pouchdb.setup_async(":memory:", plugins=[gate])
    engine = env.sync_view.engine
    yield env
    gate.open.set()
    env.sync_view.close()
    assert not engine.live
    assert engine.tasks.list() == []


@pytest.fixture
def db(env: AsyncEnvironment) -> AsyncPouchDB:
    return env["test"]


@pytest.fixture
def unhandled(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What was reported to nobody in particular since it was last asked."""

    def found() -> list[str]:
        gc.collect()
        messages = [record.getMessage() for record in caplog.records if record.name.startswith("pouchdb")]
        caplog.clear()
        return messages

    return found
