"""Fixtures for tests of plug-ins: ``pytest_plugins = ["pouchdb_core.testing.fixtures"]`` in your conftest.py.

``environment`` and ``database`` have the plug-ins that your fixture ``plugins`` returns; ``couch_server`` is a running
server and ``run_command`` the command ``pouchdb``, both with what is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.defaults import CORE_PLUGINS
from pouchdb_core.engine import Engine
from pouchdb_core.environment import SyncEnvironment, sync_environment
from pouchdb_core.testing.commands import CommandResult
from pouchdb_core.testing.commands import run_command as run_in
from pouchdb_core.testing.server import couch_server as start_server

__all__ = [
    "couch_server",
    "database",
    "environment",
    "make_environment",
    "open_environment",
    "plugins",
    "run_command",
]


def open_environment(directory: Path | None = None, *plugins: object, **options: Any) -> SyncEnvironment:
    """Open an environment with the core and only these plug-ins: installed ones are ignored.

    ``directory`` is made if it is missing; None keeps everything in memory. ``options`` are
    defaults of database options. Every call makes a new environment, also for a directory
    that another one has open.
    """
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    named = [
        (getattr(each, "__name__", None) or f"{type(each).__name__}-{place}", each)
        for place, each in enumerate(plugins)
    ]
    return sync_environment(Engine(directory, [*CORE_PLUGINS, *named], options=options))


@pytest.fixture
def make_environment() -> Iterator[Callable[..., SyncEnvironment]]:
    """``open_environment``, whose environments are closed after the test."""
    with ExitStack() as closing:

        def make(directory: Path | None = None, *plugins: object, **options: Any) -> SyncEnvironment:
            return closing.enter_context(open_environment(directory, *plugins, **options))

        yield make


@pytest.fixture
def plugins() -> list[object]:
    """The plug-ins of ``environment``: none; override it with yours."""
    return []


@pytest.fixture(params=["file", "memory"])
def environment(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    plugins: list[object],
    make_environment: Callable[..., SyncEnvironment],
) -> SyncEnvironment:
    """A temporary environment with ``plugins``: on SQLite files, and in memory."""
    if request.param == "memory":
        return make_environment(None, *plugins)
    return make_environment(tmp_path / "databases", *plugins, durability="normal")


@pytest.fixture
def database(environment: SyncEnvironment) -> Iterator[SyncPouchDB]:
    """An empty database; at the end of any test, its rows must be consistent."""
    database = environment["test"]
    yield database
    if not database.closed:
        assert database.integrity_check() == []


@pytest.fixture
def couch_server() -> Iterator[Any]:
    """A running server with an empty environment in memory: ``couch_server.url``, ``couch_server.environment``.

    Routes of installed plug-ins work as on any server. See ``pouchdb_core.testing.server``.
    """
    with start_server() as server:
        yield server


@pytest.fixture
def run_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CommandResult]:
    """Run the command on a directory of databases: ``run_command("put", "notes", "{}").status``.

    The directory is ``tmp_path / "data"``. See ``pouchdb_core.testing.commands``.
    """
    for name in ("POUCHDB_DIRECTORY", "POUCHDB_PASSWORD", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    directory = tmp_path / "data"
    directory.mkdir()
    return lambda *words: run_in(directory, *words)
