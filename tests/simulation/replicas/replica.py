"""One replica: a database in an environment of its own (or shared), with a guard, backups and local documents."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replicas.far import Waiting
from replicas.scheduler import InOrder, Turns
from replicas.stores import Store

from pouchdb_core.adapters.base import Storage
from pouchdb_core.database import SyncPouchDB
from pouchdb_core.defaults import CORE_PLUGINS
from pouchdb_core.engine import Engine
from pouchdb_core.environment import SyncEnvironment, sync_environment
from pouchdb_core.errors import Forbidden, PouchDBError, TooLarge, Unauthorized
from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.replication.replicate import Tools
from pouchdb_core.requests import Proposed, Write

__all__ = ["Guarding", "Replica", "environment"]

REFUSALS = (Forbidden, Unauthorized, TooLarge)


class Guarding:
    """A plug-in that refuses some documents that replications bring, for a while."""

    def __init__(self) -> None:
        self.refused: dict[tuple[str, str], type[PouchDBError]] = {}
        """By name of the database and id of the document."""

    @hookimpl
    def pouchdb_write_guards(self, database: SyncPouchDB, request: Write) -> Any:
        if not self.refused or request.purpose != "replication":
            return None

        def guard(proposed: Sequence[Proposed]) -> list[PouchDBError | None]:
            kinds = [self.refused.get((database.name, each.new["_id"])) for each in proposed]
            return [None if kind is None else kind("not now") for kind in kinds]

        return guard


class Watching:
    """A plug-in that wraps reading and writing, and changes nothing."""

    @hookimpl(wrapper=True)
    def pouchdb_read(self) -> Any:
        return (yield)

    @hookimpl(wrapper=True)
    def pouchdb_write(self) -> Any:
        return (yield)


class Adapters:
    """A plug-in with the adapters that fail; one of them opens everything."""

    def __init__(self, adapters: Sequence[type[Any]], usual: str) -> None:
        self._adapters, self._usual = adapters, usual

    @hookimpl
    def pouchdb_adapters(self) -> Any:
        return self._adapters

    @hookimpl
    def pouchdb_choose_adapter(self) -> str:
        return self._usual

    @hookimpl
    def pouchdb_storages(self) -> Storage:
        return Storage(self._usual)


def environment(
    directory: Path | None,
    adapter: type[Any],
    guard: Guarding,
    watched: bool,
    tools: Tools,
    new_id: Callable[[], str],
    workers: Turns,
    events: Turns,
    more: Sequence[type[Any]] = (),
    url: str | None = None,
) -> SyncEnvironment:
    """Make an environment that depends on nothing but its arguments."""
    plugins: list[tuple[str, object]] = [
        *CORE_PLUGINS,
        ("faults", Adapters([adapter, *more], adapter.name)),
        ("guard", guard),
    ]
    if watched:
        plugins.append(("watching", Watching()))
    options = {} if directory is None else {"durability": "normal"}
    engine = Engine(directory, plugins, options=options, new_id=new_id, tools=tools, url=url)
    engine.workers, engine.dispatcher = workers, events
    engine.remote_workers = workers
    ordered: Any = InOrder
    engine.live, engine.replicators = ordered(), ordered()
    return sync_environment(engine)


@dataclass
class Backup:
    """A copy of a replica's database, and what its local documents were."""

    path: Path
    local: dict[str, Any]
    heals: int


@dataclass
class Replica:
    """``local`` is what its own local documents must be: nobody else touches them."""

    name: str
    kind: str
    guard: Guarding
    store: Store
    open: Callable[[], SyncEnvironment]
    options: dict[str, Any]
    env: SyncEnvironment = field(init=False)
    db: SyncPouchDB = field(init=False)
    local: dict[str, Any] = field(default_factory=dict)
    backups: list[Backup] = field(default_factory=list)
    far: Callable[[str], SyncPouchDB] | None = None
    """Opens it by its address; None: it is here."""
    says_epoch: bool = False
    """Of one on a server: whether that says which life of the database it is."""
    office: SyncEnvironment | None = None
    """The environment of those who replicate with a server's."""
    waits: list[Waiting] = field(default_factory=list)
    lives: int = 0
    """How often another database came into its place."""
    _peer: SyncPouchDB | None = None

    def __post_init__(self) -> None:
        self.open_again()

    def open_again(self) -> None:
        """Open the environment and the database, at first or after the environment was closed."""
        self.env = self.open()
        self.db = self.env.PouchDB(self.name, **self.options)
        self._opened()

    def _opened(self) -> None:
        self.db._life.live = InOrder()  # type: ignore[assignment]  # in place of a set
        if self.far is not None:
            self.db.adapter.subscribe(self._heard)

    @property
    def peer(self) -> SyncPouchDB:
        """The database as those who replicate see it."""
        if self.far is None:
            return self.db
        if self._peer is None:
            self._peer = self.far(f"far://{self.name}")
            self._peer._life.live = InOrder()  # type: ignore[assignment]  # in place of a set
        return self._peer

    @property
    def runs_in(self) -> SyncEnvironment:
        """The environment of what replicates with it."""
        return self.env if self.office is None else self.office

    def _heard(self) -> None:
        self.end_waits(broken=False)

    def end_waits(self, *, broken: bool) -> None:
        """Answer those who wait for changes, or break their connections."""
        waits, self.waits[:] = list(self.waits), []
        for each in waits:
            each.end(broken=broken)

    @property
    def refused(self) -> list[str]:
        return [id for name, id in self.guard.refused if name == self.name]

    def refuse(self, chance: random.Random, ids: Sequence[str]) -> None:
        """Begin to refuse some documents, or stop."""
        if self.refused:
            self.accept()
            return
        for id in ids:
            if chance.random() < 0.5:
                self.guard.refused[self.name, id] = chance.choice(REFUSALS)

    def accept(self) -> None:
        """Refuse nothing any more."""
        for id in self.refused:
            del self.guard.refused[self.name, id]

    def backup(self, path: Path, heals: int, *, raw: bool) -> None:
        """Copy the database; ``raw`` behind its back, so that it does not know that it is a copy."""
        self.store.backup(self, path, raw=raw)
        self.backups.append(Backup(path, dict(self.local), heals))

    def restore(self, backup: Backup) -> None:
        """Be what the backup was."""
        self.store.restore(self, backup.path)
        self.local = dict(backup.local)
        self.lives += 1

    def recreate(self) -> None:
        """Be a new database of the same name."""
        self.env.destroy(self.name)
        self.db = self.env.PouchDB(self.name, **self.options)
        self._opened()
        self.local, self.lives = {}, self.lives + 1

    def swap(self, other: Replica) -> None:
        """Have the databases of two addresses change places."""
        self.store.swap(self, other)
        for each in (self, other):
            each.lives += 1
        self.local, other.local = other.local, self.local
        self.backups, other.backups = other.backups, self.backups
