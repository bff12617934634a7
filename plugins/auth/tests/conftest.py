"""Environments with cheap password hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb

USER = "org.couchdb.user:"


@pytest.fixture(params=["file", "memory"])
def env(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    where = tmp_path / "data" if request.param == "file" else ":memory:"
    with pouchdb.setup(where, plugins=["auth"]) as environment:
        environment.auth_settings(iterations=10)
        yield environment


@pytest.fixture
def db(env: Any) -> Any:
    return env["notes"]


@pytest.fixture
def refused() -> Callable[..., None]:
    """Check what a call is refused with: ``refused(call, status, name, message)``."""

    def check(call: Callable[[], Any], status: int, name: str, message: str) -> None:
        with pytest.raises(pouchdb.PouchDBError) as caught:
            call()
        assert (caught.value.status, caught.value.name, caught.value.message) == (status, name, message)

    return check
