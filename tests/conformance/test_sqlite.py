"""The SQLite adapter keeps every promise."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from pouchdb_core import SyncEnvironment
from pouchdb_core.testing import conformance
from pouchdb_core.testing.conformance import Capabilities, Subject
from pouchdb_core.testing.fixtures import make_environment, open_environment

__all__ = ["make_environment"]

CAPABILITIES = Capabilities()


@pytest.fixture
def subject(tmp_path: Path, make_environment: Callable[..., SyncEnvironment]) -> Subject:
    numbers = itertools.count(1)

    def reopen(*plugins: object) -> SyncEnvironment:
        return open_environment(tmp_path, *plugins, durability="normal")

    return Subject(
        make_environment(tmp_path, durability="normal"),
        CAPABILITIES,
        new_name=lambda: f"Database {next(numbers)}/ä",
        reopen=reopen,
        guarded=reopen,
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
