from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pouchdb


def _module(name: str) -> ModuleType:
    """Return a module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"postgres_tests_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A server that is there for all tests: none of them stops it."""
    server = _module("server")
    reason = server.missing()
    if reason is not None:
        pytest.skip(reason)
    running = server.Postgres()
    yield running
    running.remove()


@pytest.fixture
def own_postgres() -> Iterator[Any]:
    """A server that the test may stop and kill."""
    server = _module("server")
    reason = server.missing()
    if reason is not None:
        pytest.skip(reason)
    running = server.Postgres()
    yield running
    running.remove()


@pytest.fixture
def url(postgres: Any) -> str:
    """A place on the server that nobody else has."""
    place: str = postgres.url(schema=f"place_{next(_numbers)}")
    return place


@pytest.fixture
def open_place() -> Iterator[Callable[..., Any]]:
    """Open an environment, each time one of its own: as another process would."""
    opened = []

    def make(url: str, *plugins: object, **options: Any) -> Any:
        # An object is another plug-in each time, so the environment is another one too.
        own = type("Own", (), {})()
        environment = pouchdb.setup(url, plugins=["postgres", own, *plugins], **options)
        opened.append(environment)
        return environment

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def place(url: str, open_place: Callable[..., Any]) -> Any:
    return open_place(url)


@pytest.fixture
def database(place: Any) -> Iterator[Any]:
    """An empty database, whose rows must agree with each other at the end."""
    database = place["test"]
    yield database
    if not database.closed:
        assert database.integrity_check() == []
