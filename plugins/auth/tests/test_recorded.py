"""What an Apache CouchDB 3.5.0 answered about users, sessions and rights (couchdb/users.jsonl)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb

pytest.importorskip("pouchdb_server")
from pouchdb_server.recordings import Recording  # of an optional plug-in
from pouchdb_server.testing import couch_server

RECORDING = Recording.load(Path(__file__).parent / "couchdb", "users")
ADMIN = ("admin", "secret")


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    environment = pouchdb.setup(":memory:", plugins=["auth", "server", "all_dbs", "find"])
    environment.auth_settings(iterations=10)
    with couch_server(environment, admins=dict([ADMIN])) as server:
        yield server
    environment.close()


@pytest.mark.parametrize("scenario", RECORDING.scenarios)
def test_recorded(server: Any, scenario: str) -> None:
    differences = RECORDING.play(scenario, server.url, ADMIN)
    assert RECORDING.unexpected(scenario, differences) == []
