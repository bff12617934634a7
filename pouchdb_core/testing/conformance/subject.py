"""What is tested: an adapter, what it can do, and where to get fresh databases of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.environment import SyncEnvironment

__all__ = ["Capabilities", "Subject", "Suite", "needs"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Capabilities:
    """What an adapter can do beyond what every adapter must.

    A test that needs a False one is skipped with that reason. Everything is True by default:
    an adapter sets what it cannot do to False.
    """

    atomic_bulk: bool = True
    """``bulk_docs(atomic=True)``: all or nothing. Without it, that raises 501."""
    purge: bool = True
    """``purge`` removes revisions."""
    compaction_drops_bodies: bool = True
    """After ``compact`` the bodies of old revisions are gone, when it returns."""
    keeps_old_bodies: bool = True
    """Before it they can be read."""
    exact_revisions: bool = True
    """Revision ids are those that PouchDB computes."""
    integer_seqs: bool = True
    """Sequence numbers are integers that count the writes."""
    live_feeds: bool = True
    """``live_changes`` and live replication."""
    streams: bool = True
    """Attachments are read and written as files, in pieces."""
    reopens: bool = True
    """Written data exists when another environment opens the database: ``Subject.reopen``."""
    lists_names: bool = True
    """The environment lists its databases."""
    counts_offsets: bool = True
    """``all_docs(offset=True)`` returns the true offset."""
    finds_conflicts: bool = True
    """``conflicts()`` finds the documents that have conflicts."""
    revs_limit: bool = True
    """``revs_limit`` can be set."""
    security: bool = True
    """The security object can be written."""
    checks_integrity: bool = True
    """``integrity_check`` looks at what is stored."""
    write_guards: bool = True
    """Plug-ins of this process judge writes; elsewhere their server does."""


@dataclass(frozen=True)
class Subject:
    """What an adapter's fixture ``subject`` returns."""

    environment: SyncEnvironment
    capabilities: Capabilities
    new_name: Callable[[], str]
    """Return a name, or URL, that no database has."""
    new_peer: Callable[[], SyncPouchDB] | None = None
    """Make the empty database to replicate with; None: another one of the adapter."""
    reopen: Callable[[], SyncEnvironment] | None = None
    """Open the same place again, as another process would."""
    guarded: Callable[[object], SyncEnvironment] | None = None
    """Make an environment of the same adapter that has this plug-in too."""


class _Recorder:
    """Stands for capabilities while a test is defined: records which ones it uses."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __getattr__(self, name: str) -> bool:
        if name not in {field.name for field in fields(Capabilities)}:
            raise AttributeError(f"Capabilities has no {name!r}")
        self.names.append(name)
        return True


def needs(*wanted: Callable[[Capabilities], bool]) -> Callable[[F], F]:
    """Mark a test (or class) that needs capabilities: ``@needs(lambda can: can.purge)``."""
    recorder: Any = _Recorder()
    for each in wanted:
        each(recorder)

    def mark(test: F) -> F:
        test.needs = (*getattr(test, "needs", ()), *zip(recorder.names, wanted, strict=True))  # type: ignore[attr-defined]
        return test

    return mark


class Suite:
    """What every class of the suite has: fixtures, and skips for what the adapter cannot do."""

    @pytest.fixture(autouse=True)
    def only_what_it_can(self, request: pytest.FixtureRequest, subject: Subject) -> None:
        """Skip a test that needs what the adapter cannot do."""
        for name, holds in getattr(request.function, "needs", ()):
            if not holds(subject.capabilities):
                pytest.skip(f"the adapter does not have: {name}")

    @pytest.fixture
    def database(self, subject: Subject) -> Iterator[SyncPouchDB]:
        """An empty database of the adapter."""
        yield from _checked(subject, subject.environment.PouchDB(subject.new_name()))

    @pytest.fixture
    def peer(self, subject: Subject) -> Iterator[SyncPouchDB]:
        """The empty database to replicate with."""
        make = subject.new_peer or (lambda: subject.environment.PouchDB(subject.new_name()))
        yield from _checked(subject, make())


def _checked(subject: Subject, database: SyncPouchDB) -> Iterator[SyncPouchDB]:
    yield database
    if database.closed:
        return
    try:
        if subject.capabilities.checks_integrity:
            assert database.integrity_check() == []
    finally:
        database.destroy()
