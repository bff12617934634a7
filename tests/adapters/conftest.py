"""Fixtures of the storage tests: stores without an engine, and children that can be killed."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.adapters.sqlite.blank_memory import blank_memory
from pouchdb_core.adapters.sqlite.files import file_path, open_file
from pouchdb_core.adapters.sqlite.sqlite_store import SqliteStore
from pouchdb_core.environment import SyncEnvironment


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An empty storage directory."""
    return tmp_path


@pytest.fixture
def environment(directory: Path) -> Iterator[SyncEnvironment]:
    """An environment on files, with full durability."""
    with pouchdb.setup(directory, plugins=[]) as environment:
        yield environment


@pytest.fixture
def open_store(directory: Path) -> Iterator[Callable[..., SqliteStore]]:
    """Open the store of a file database, with no engine around it; each call is another store of it."""
    with ExitStack() as stack:

        def open_store(name: str = "test", durability: Any = "normal") -> SqliteStore:
            file, _ = open_file(directory, name, durability)
            stack.callback(file.close)
            return SqliteStore(file)

        yield open_store


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, open_store: Callable[..., SqliteStore]) -> Iterator[SqliteStore]:
    """An empty store, on a file and in memory."""
    if request.param == "file":
        yield open_store()
        return
    memory = blank_memory("test", "test")
    yield SqliteStore(memory)
    memory.close()


@pytest.fixture
def path(directory: Path) -> Path:
    """Where the file of the database called ``test`` is."""
    return file_path(directory, "test")


class Child:
    """A forked process that runs a function; what it returns or raises comes back by ``result()``.

    The function gets two callables: ``send`` tells the parent something, ``receive`` waits for it.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        down, self._to = os.pipe()
        self._from, up = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                os.close(self._to)
                os.close(self._from)
                reader, writer = os.fdopen(down, "rb"), os.fdopen(up, "wb", buffering=0)
                try:
                    outcome = (
                        True,
                        function(lambda value: writer.write(pickle.dumps((None, value))), lambda: pickle.load(reader)),
                    )
                    status = 0
                except BaseException as error:
                    outcome = (False, error)
                writer.write(pickle.dumps(outcome))
            finally:
                # Not sys.exit: pytest must not go on in the child.
                os._exit(status)
        os.close(down)
        os.close(up)
        self.reader = os.fdopen(self._from, "rb")
        self._ended = False

    def send(self, value: Any) -> None:
        os.write(self._to, pickle.dumps(value))

    def receive(self) -> Any:
        """Wait for what the child sends."""
        kind, value = pickle.load(self.reader)
        if kind is False:
            raise value
        assert kind is None, "the child returned instead of sending"
        return value

    def result(self) -> Any:
        """Wait for the child's end."""
        kind, value = pickle.load(self.reader)
        self.end()
        if kind is False:
            raise value
        assert kind is True, "the child sent instead of returning"
        return value

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            os.waitpid(self.pid, 0)

    def close(self) -> None:
        if not self._ended:
            self.kill()
            self.end()
        self.reader.close()
        os.close(self._to)


@pytest.fixture
def child() -> Iterator[Callable[[Callable[..., Any]], Child]]:
    """Start a child process: ``child(function)``."""
    if not hasattr(os, "fork"):
        pytest.skip("this platform has no fork")
    children: list[Child] = []

    def start(function: Callable[..., Any]) -> Child:
        children.append(Child(function))
        return children[-1]

    yield start
    for each in children:
        each.close()


@pytest.fixture
def unprivileged(child: Callable[..., Child]) -> Callable[[Callable[[], Any]], Any]:
    """Run a function in a process for which permissions count (root may do everything)."""

    def run(function: Callable[[], Any]) -> Any:
        def body(send: Any, receive: Any) -> Any:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            return function()

        return child(body).result()

    return run


@pytest.fixture
def public_directory() -> Iterator[Path]:
    """A storage directory that other users may reach (pytest's own are private)."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o777)
    yield directory
    directory.chmod(0o777)
    shutil.rmtree(directory)
