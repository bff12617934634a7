"""A store in a dict keeps every promise: the contract of ``Store`` is enough to write one by."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.testing import conformance
from pouchdb_core.testing.conformance import Capabilities, Subject

PATH = Path(__file__).parents[1] / "adapters" / "toy_store.py"
_numbers = itertools.count(1)


def _toy() -> Any:
    spec = importlib.util.spec_from_file_location("toy_store", PATH)
    assert spec is not None
    assert spec.loader is not None
    # Registered, because dataclasses look their module up.
    module = sys.modules["toy_store"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOY = _toy()


@pytest.fixture
def subject() -> Iterator[Subject]:
    made = []

    def environment(*plugins: object, url: str | None = None) -> Any:
        where = url or f"toy://shelf-{next(_numbers)}"
        made.append(pouchdb.setup(where, plugins=[TOY.ToyPlugin(), *plugins]))
        return made[-1]

    url = f"toy://shelf-{next(_numbers)}"
    names = itertools.count(1)
    yield Subject(
        environment(url=url),
        Capabilities(),
        new_name=lambda: f"database-{next(names)}",
        reopen=lambda: environment(url=url),
        guarded=environment,
    )
    for each in made:
        each.close()


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
