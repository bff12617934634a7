"""The PostgreSQL adapter keeps every promise."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pouchdb_core.testing import conformance
from pouchdb_core.testing.conformance import Capabilities, Subject

CAPABILITIES = Capabilities()


@pytest.fixture
def subject(url: str, open_place: Callable[..., Any]) -> Subject:
    numbers = itertools.count(1)
    return Subject(
        open_place(url),
        CAPABILITIES,
        new_name=lambda: f"Database {next(numbers)}/ä\0\1",
        reopen=lambda: open_place(url),
        guarded=lambda plugin: open_place(url, plugin),
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


def test_nothing_is_left_out() -> None:
    assert conformance.check_module(sys.modules[__name__], conformance.SUITE) == []
