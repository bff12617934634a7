"""Fixtures: every test that takes `engine`, `worker` or `sandbox` runs once for each engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pouchdb_core.javascript import Engine, JavaScriptPool, Js2Py, Limits, QuickJS, Sandbox, SandboxKey

Make = Callable[..., Sandbox]


def _installed(engine: Engine) -> Engine:
    if not engine.available():
        pytest.skip(f"JavaScript engine {engine.name} is NOT INSTALLED, nothing of it is tested; run: {engine.install}")
    return engine


@pytest.fixture(scope="session", params=[QuickJS(), Js2Py()], ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Engine:
    return _installed(request.param)


@pytest.fixture(scope="session")
def quickjs() -> Engine:
    return _installed(QuickJS())


@pytest.fixture(scope="session")
def logs() -> list[str]:
    return []


@pytest.fixture(scope="session")
def worker(engine: Engine, logs: list[str]) -> Iterator[JavaScriptPool]:
    """One worker for all tests of an engine: that it goes on after every one of them is part of what they show."""
    worker = JavaScriptPool(engine, Limits(seconds=5.0), on_log=lambda key, message: logs.append(message))
    yield worker
    worker.close()


@pytest.fixture
def make(worker: JavaScriptPool, request: pytest.FixtureRequest) -> Make:
    """Open a sandbox for a design document made of the keyword arguments."""

    def make(limits: Limits | None = None, **members: Any) -> Sandbox:
        name = f"_design/{request.node.name}"
        return worker.open(SandboxKey("db", name, "1-a"), {"_id": name, **members}, limits)

    return make


@pytest.fixture
def sandbox(make: Make) -> Sandbox:
    return make()
