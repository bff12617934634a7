"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import pouchdb
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# A shell that runs the tests in its background has them ignore SIGINT, and every process inherits that: the commands
# that tests interrupt would never hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not ((ROOT / "plugins").is_dir() and (ROOT / "pouchdb_core").is_dir()):
        skip = pytest.mark.skip(reason="NO TEST of the source of all packages and plug-ins: this is not a checkout")
        for item in items:
            if item.get_closest_marker("checkout") is not None:
                item.add_marker(skip)


def pytest_collection_finish() -> None:
    # Sixteen thousand tests are half a million objects, which each collection of garbage would look at.
    gc.collect()
    gc.freeze()


@pytest.fixture(params=["file", "memory"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SyncEnvironment]:
    """An environment without plug-ins: on SQLite files, and in memory."""
    if request.param == "file":
        environment = pouchdb.setup(tmp_path / "databases", plugins=[], durability="normal")
    else:
        environment = pouchdb.setup(":memory:", plugins=[])
    with environment:
        yield environment


@pytest.fixture
def database(environment: SyncEnvironment) -> Iterator[SyncPouchDB]:
    """An empty database; whatever the test did to it, its rows must agree with each other at the end."""
    database = environment["test"]
    yield database
    if not database.closed:
        assert database.integrity_check() == []
