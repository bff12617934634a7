"""The conformance suite of adapters, over HTTP with our own server."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment
from pouchdb_core.testing import conformance
from pouchdb_core.testing.conformance import Capabilities, Subject
from pouchdb_core.testing.server import couch_server as start_server

numbers = itertools.count()
pytest.importorskip("pouchdb_server")

CAN = Capabilities(
    atomic_bulk=False,
    compaction_drops_bodies=True,
    exact_revisions=True,
    reopens=True,
    lists_names=False,
    checks_integrity=False,
    write_guards=False,
)


@pytest.fixture(scope="module")
def couch_server() -> Iterator[Any]:
    with start_server() as server:
        yield server


# What cannot hold, and why. Strict: a test that passes all the same fails.
KNOWN = {
    "test_a_destroyed_database_is_empty_when_it_is_made_again": "a server's database is known by server and name",
}


@pytest.fixture
def subject(making_env: SyncEnvironment, couch_server: Any) -> Subject:
    return Subject(
        making_env,
        CAN,
        lambda: f"{couch_server.url}/conforms-{os.getpid()}-{next(numbers)}",
        new_peer=lambda: making_env.PouchDB(f"peer-{next(numbers)}"),
        reopen=lambda: pouchdb.setup(":memory:", plugins=[]),
    )


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
