"""The conformance suite of adapters, over HTTP with PouchDB Server."""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment
from pouchdb_core.testing import conformance
from pouchdb_core.testing.conformance import Capabilities, Subject

numbers = itertools.count()

CAN = Capabilities(
    atomic_bulk=False,
    purge=False,
    compaction_drops_bodies=True,
    exact_revisions=True,
    reopens=True,
    lists_names=False,
    counts_offsets=False,
    revs_limit=False,
    checks_integrity=False,
    write_guards=False,
)


NON_ASCII = "it lists no documents with ids beyond ASCII (PouchDB on LevelDB does not either)"
ORDER = "it tells leaves in any order"
BODIES = "it calls a revision missing when it has no body of it"
# What PouchDB Server cannot do, and why. Strict: a test that passes all the same fails.
KNOWN = {
    "test_a_destroyed_database_is_empty_when_it_is_made_again": "a server's database is known by server and name",
    "test_a_new_database_is_empty": "it does not count deleted documents",
    "test_deleting_the_winner_shows_the_next": "it does not count deleted documents",
    "test_ids['\\\\u65e5\\\\u672c']": NON_ASCII,
    "test_ids['\\\\U0001f40d']": NON_ASCII,
    "test_odd_ids": NON_ASCII,
    "test_remove_leaves_a_tombstone": "it does not tell a deleted document from one that never was",
    "test_conflicts_are_told_best_first": "it does not know deleted_conflicts",
    "test_style_all_docs_tells_every_leaf": ORDER,
    "test_revs_diff": BODIES,
    "test_history_stays_known": BODIES,
    "test_only_what_is_newer_comes_with_atts_since": "it does not know atts_since",
}


@pytest.fixture
def subject(making_env: SyncEnvironment, pouch_server: Any) -> Subject:
    return Subject(
        making_env,
        CAN,
        lambda: f"{pouch_server.url}/conforms-{os.getpid()}-{next(numbers)}",
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
