"""The world: replicas, the replications between them, and what happens, move by move."""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from replicas.actions import Actions, seeded
from replicas.checkpoints import Acknowledged
from replicas.far import AtOnce, InTurn, far_adapter
from replicas.faults import Faults, Killed, faulty
from replicas.healing import heal
from replicas.oracle import Oracle
from replicas.plan import Move, Setup
from replicas.replica import Guarding, Replica, environment
from replicas.scheduler import Clock, Turns
from replicas.stores import MakeStores, SqliteStores, Stores

from pouchdb_core.adapters.sqlite.sqlite_adapter import MemoryAdapter
from pouchdb_core.changes.notify import Watcher
from pouchdb_core.environment import SyncEnvironment
from pouchdb_core.errors import PouchDBError
from pouchdb_core.live import Replication, live_replication
from pouchdb_core.replication import batch, remote, replicate, replication_progress
from pouchdb_core.replication.backoff import Backoff
from pouchdb_core.replication.tools import Tools
from pouchdb_core.requests import Replicate

__all__ = ["Link", "World", "world"]


@dataclass(eq=False)
class Link:
    """A replication under way. ``whole``: it leaves nothing out."""

    number: int
    source: Replica
    target: Replica
    handle: Replication
    whole: bool
    known_checkpoints: Any = None
    doubtful: Any = None
    """The checkpoints it had read when another database came in the place of a side."""

    def __str__(self) -> str:
        kind = "live" if self.handle.replicator.request.live else "once"
        return f"#{self.number} {self.source.name}->{self.target.name} ({kind}{'' if self.whole else ', filtered'})"


def _odd(doc: Any) -> bool:
    """A filter: about half of all documents."""
    return int(doc.get("n", 0)) % 2 == 1


class World:
    """Everything there is. ``trace`` tells what happened, one line each."""

    def __init__(
        self,
        setup: Setup,
        directory: Path,
        stores: Stores,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.setup = setup
        self._stores = stores
        self.trace: list[str] = []
        self._tell = tell
        self.directory = directory
        self.clock = Clock()
        self.workers, self.events = Turns("workers", self.clock), Turns("events", self.clock)
        self.faults = Faults(self.log, self._intrude)
        self.oracle = Oracle()
        self.acknowledged = Acknowledged(self)
        self.faults.on_changes = self.acknowledged.on_changes
        self.faults.on_written = self.acknowledged.on_written
        self.actions = Actions(setup.ids, self.oracle, setup.revs_limit, purges=setup.purges)
        self.links: list[Link] = []
        self.stepped: Link | None = None
        self.weather = 0.05
        self.heals = 0
        self._numbers, self._sessions, self._names = itertools.count(1), itertools.count(1), itertools.count(1)
        chance = random.Random(setup.seed)
        self._tools = Tools(
            clock=self.clock.monotonic,
            now=self.clock.now,
            new_session=lambda: f"session-{next(self._sessions)}",
            backoff=lambda custom: Backoff(custom, chance.random),
        )
        self.by_name: dict[str, Replica] = {}
        self.office = self._office()
        self._shared: SyncEnvironment | None = None
        self._shared_guard = Guarding()
        self.replicas = [self._replica(place, kind) for place, kind in enumerate(setup.kinds)]
        self.by_name.update((replica.name, replica) for replica in self.replicas)
        if setup.revs_limit:
            self._begin_deep(random.Random(setup.seed + 1))

    # -- making ----------------------------------------------------------------------------------

    def _office(self) -> SyncEnvironment:
        """Make the environment from which databases on servers are replicated."""
        far = far_adapter(self.by_name)
        nothing = faulty(MemoryAdapter, self.faults)
        return environment(
            None, nothing, Guarding(), False, self._tools, self._new_id, self.workers, self.events, more=[far]
        )

    def _replica(self, place: int, kind: str) -> Replica:
        guard = self._shared_guard if kind == "shared" else Guarding()
        store = self._stores.store(place, kind)
        adapter = faulty(store.adapter, self.faults)

        def open_it() -> SyncEnvironment:
            if kind == "shared" and self._shared is not None:
                return self._shared
            made = environment(
                store.directory,
                adapter,
                guard,
                self.setup.watched[place],
                self._tools,
                self._new_id,
                self.workers,
                self.events,
                url=store.url,
            )
            if kind == "shared":
                self._shared = made
            return made

        options = {"auto_compaction": True} if self.setup.auto_compaction[place] else {}
        far = kind == "far"
        return Replica(
            f"r{place}",
            kind,
            guard,
            store,
            open_it,
            options,
            far=self.office.PouchDB if far else None,
            says_epoch=self.setup.says_epoch[place],
            office=self.office if far else None,
        )

    def _new_id(self) -> str:
        return f"{next(self._names):032x}"

    def _begin_deep(self, chance: random.Random) -> None:
        docs = seeded(self.setup.ids, chance)
        for replica in self.replicas:
            replica.db.revs_limit(chance.choice([self.setup.revs_limit or 1000, 1000]))
            errors = replica.db.bulk_docs(docs, new_edits=False)
            assert errors == [], errors
            self.oracle.observe(replica.db, self.setup.ids)
        self.oracle.forget_depths()

    # -- telling ---------------------------------------------------------------------------------

    def log(self, text: str) -> None:
        line = f"{self.clock.time:9.2f}  {text}"
        self.trace.append(line)
        if self._tell is not None:
            self._tell(line)

    # -- moves -----------------------------------------------------------------------------------

    def move(self, move: Move) -> None:
        """Do one move of the plan."""
        self.log(f"-- {move.number} {move.kind}")
        chance = move.chance()
        getattr(self, f"_{move.kind}")(chance)
        self._tell_listeners()
        self._sweep()

    def _write(self, chance: random.Random) -> None:
        replica = chance.choice(self.replicas)
        self.log(self.actions.act(replica, chance))

    def _intrude(self, chance: random.Random) -> None:
        self._write(chance)

    def _tick(self, chance: random.Random) -> None:
        self.workers.tick(chance.choice([0.1, 1.0, 5.0, 30.0]))

    def _weather(self, chance: random.Random) -> None:
        self.weather = chance.choice([0.0, 0.02, 0.1, 0.3])
        self.log(f"faults: {self.weather}")

    def _guard(self, chance: random.Random) -> None:
        replica = chance.choice(self.replicas)
        replica.refuse(chance, self.setup.ids)
        self.log(f"{replica.name} refuses {replica.refused}")

    def _backup(self, chance: random.Random) -> None:
        files = [replica for replica in self.replicas if replica.kind in ("file", "far")]
        if files:
            replica, raw = chance.choice(files), self.setup.raw
            replica.backup(self.directory / f"{replica.name}-{len(self.trace)}", self.heals, raw=raw)
            self.log(f"{replica.name} backed up{' as a file' if raw else ''}")

    def _restore(self, chance: random.Random) -> None:
        # Where old revisions are forgotten, a copy from before the last healing is too far behind.
        usable = [
            (replica, backup)
            for replica in self.replicas
            for backup in replica.backups
            if not self.setup.revs_limit or backup.heals == self.heals
        ]
        if usable:
            replica, backup = usable[-1] if chance.random() < 0.5 else chance.choice(usable)
            self.log(f"{replica.name} restored from {backup.path.name}")
            self.oracle.lost = True
            self._replaced(chance, replica)
            replica.restore(backup)
            self.acknowledged.forget(replica)

    def _recreate(self, chance: random.Random) -> None:
        replica = chance.choice(self.replicas)
        self.log(f"{replica.name} is made anew")
        self._replaced(chance, replica)
        replica.recreate()
        self.acknowledged.forget(replica)
        for _ in range(chance.choice([0, 0, 1, 4])):
            self.log(self.actions.act(replica, chance))

    def _swap(self, chance: random.Random) -> None:
        left, right = chance.sample([replica for replica in self.replicas if replica.kind == "far"], 2)
        self.log(f"{left.name} and {right.name} change places")
        for replica in (left, right):
            self._replaced(chance, replica)
        left.swap(right)
        for replica in (left, right):
            self.acknowledged.forget(replica)

    def _replaced(self, chance: random.Random, replica: Replica) -> None:
        """Another database comes in the place of one: what waits there is told, or is not."""
        self.oracle.lost = True
        for link in self.links:
            if replica in (link.source, link.target):
                link.doubtful = link.handle.replicator._checkpoints
        if chance.random() < 0.5:
            replica.end_waits(broken=True)

    def _heal(self, chance: random.Random) -> None:
        heal(self, chance)
        self.heals += 1

    # -- replications ----------------------------------------------------------------------------

    def _start(self, chance: random.Random) -> None:
        left, right = chance.choice(self.setup.edges)
        source, target = self.replicas[left], self.replicas[right]
        if chance.random() < 0.5:
            source, target = target, source
        live = chance.random() < 0.5
        options: dict[str, Any] = {
            "live": live,
            "retry": chance.random() < (0.8 if live else 0.3),
            "batch_size": chance.choice([1, 2, 3, 5, 100]),
        }
        kind = chance.random()
        if kind < 0.05:
            options["doc_ids"] = tuple(chance.sample(self.setup.ids, len(self.setup.ids) // 2))
        elif kind < 0.1:
            options["filter"] = _odd
        elif kind < 0.13:
            options["winning_revs_only"] = True
        elif kind < 0.16:
            options["checkpoint"] = False
        elif kind < 0.24 and not self.setup.raw:
            # One side alone can be believed only if a copy knows that it is one.
            side = chance.choice(["source", "target"])
            # Of a server that does not say which life of a database it has, nobody can know.
            if all(each.far is None or each.says_epoch for each in (source, target)):
                options["checkpoint"] = side
        env = chance.choice([source, target]).runs_in
        if live and chance.random() < 0.3:
            both = env.sync(source.peer, target.peer, **options)
            self._link(source, target, both.push, options)
            self._link(target, source, both.pull, options)
        elif live:
            self._link(source, target, env.replicate(source.peer, target.peer, **options), options)
        else:
            self._link(source, target, self._once(env, source, target, options), options)

    def _once(self, env: SyncEnvironment, source: Replica, target: Replica, options: dict[str, Any]) -> Replication:
        """Start what ``env.replicate`` does, so that it can be stepped."""
        replicator = env.engine.plugins.replicate(env, Replicate(source.peer, target.peer, **options))
        return Replication(replicator, source.peer.adapter.subscribe, env._calls, self.events, self.workers)

    def _link(self, source: Replica, target: Replica, handle: Replication, options: dict[str, Any]) -> None:
        handle.replicator._background.source = source  # type: ignore[attr-defined]  # it is AtOnce
        whole = not options.keys() & {"doc_ids", "filter", "winning_revs_only"}
        link = Link(next(self._numbers), source, target, handle, whole)
        told = {key: value for key, value in options.items() if key not in ("live", "filter")}
        self.log(f"start {link} {told}")
        for event in ("paused", "active", "denied", "complete", "error"):
            handle.on(event, lambda *args, event=event: self._event(link, event, *args))
        self.links.append(link)

    def _event(self, link: Link, event: str, *args: Any) -> None:
        shown = ""
        if event == "error" and isinstance(args[0], Killed):
            # There is nobody to be told.
            return
        if event == "complete":
            shown = f" {args[0]['status']}, read {args[0]['docs_read']}, wrote {args[0]['docs_written']}"
        elif args and args[0] is not None:
            shown = f" {args[0]['name']} {args[0]['message']} {args[0].get('id', '') if event == 'denied' else ''}"
        self.log(f"     {link} {event}{shown}")

    def _cancel(self, chance: random.Random) -> None:
        running = [link for link in self.links if not link.handle.done]
        if running:
            link = chance.choice(running)
            self.log(f"cancel {link}")
            with self._trouble(link, chance):
                link.handle.cancel()

    def _kill(self, chance: random.Random) -> None:
        running = [link for link in self.links if not link.handle.done]
        if running:
            link = chance.choice(running)
            with self._trouble(link, chance):
                self.faults.dead = "between two steps"
                link.handle._run.throw(Killed(self.faults.dead))

    def _bury(self, link: Link) -> None:
        """Forget a replication whose process is no more: nobody cleans up after it, nor is told."""
        self.log(f"{link} was killed")
        handle = link.handle
        # It cannot be cancelled any more: there is nobody to do it.
        handle.cancelled = True
        handle._unsubscribe()
        self.workers.drop(handle._job)
        for each in (link.source, link.target):
            each.peer._engine.live.discard(handle)
            each.peer._engine.going.discard(handle)
            each.peer._engine.replicators.discard(handle.replicator)
            each.peer._life.live.discard(handle)
        self.links.remove(link)

    def _step(self, chance: random.Random, *, safe: bool = False) -> None:
        """Let one replication that is ready go on to its next event."""
        self.workers.tick(chance.random() * 0.5)
        if not self.workers.ready:
            return
        job = chance.choice(self.workers.ready)
        link = next((link for link in self.links if link.handle._job is job), None)
        if link is None:
            # It is over, and was woken nevertheless.
            self.workers.step(job=job)
            return
        self.log(f"step {link}")
        with self._trouble(link, chance, safe=safe):
            self.workers.step(job=job)

    @contextlib.contextmanager
    def _trouble(self, link: Link, chance: random.Random, *, safe: bool = False) -> Iterator[None]:
        """Have faults in what a replication does now, and see what becomes of it."""
        faults = self.faults
        faults.rate, faults.chance = 0.0 if safe else self.weather, chance
        faults.armed, self.stepped = True, link
        try:
            with contextlib.suppress(Killed, StopIteration):
                yield
        finally:
            faults.armed, self.stepped = False, None
            killed, faults.dead = faults.dead is not None, None
        if killed:
            self._bury(link)
        else:
            self._sweep()

    def _sweep(self) -> None:
        """Forget the replications that are over."""
        for link in [link for link in self.links if link.handle.done]:
            self.links.remove(link)
            self._expected_end(link)

    def _expected_end(self, link: Link) -> None:
        """A replication may fail for what was done to it, and for nothing else."""
        error = link.handle._error
        if error is None:
            return
        injected = isinstance(error, PouchDBError) and error.message.startswith("injected")
        # Too often for one that does not wait.
        ended = getattr(error, "name", "") in ("database_closed", "database_replaced")
        if not injected and not ended:
            raise error

    def _tell_listeners(self) -> None:
        while self.events.ready:
            self.events.step()

    # -- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Close every environment."""
        for replica in self.replicas:
            replica.env.close()
        self.office.close()


@contextlib.contextmanager
def world(
    setup: Setup, tell: Callable[[str], None] | None = None, make_stores: MakeStores = SqliteStores
) -> Iterator[World]:
    """Make the world of a setup; with small limits, so that little data reaches every branch."""
    chance = random.Random(setup.seed)
    directory = Path(tempfile.mkdtemp(prefix="simulation-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        patch: Any = mock.patch
        stack.enter_context(patch("uuid.uuid4", lambda: uuid.UUID(int=chance.getrandbits(128), version=4)))
        # Nobody else writes, and a thread that looks for it would wake replications at any time.
        stack.enter_context(patch.object(Watcher, "watch", lambda watcher, store, listening: None))
        stack.enter_context(patch.object(live_replication, "STEPS", 1))
        stack.enter_context(patch.object(replicate, "Background", AtOnce))
        stack.enter_context(patch.object(remote, "Runner", InTurn))
        stack.enter_context(patch.object(replication_progress, "HELD", setup.held))
        stack.enter_context(patch.object(batch, "FETCH", setup.fetch))
        if setup.fetch < 1000:
            stack.enter_context(patch.multiple(batch, PAUSE=2, BYTES=2000))
        stores = make_stores(setup, directory)
        stack.callback(stores.remove)
        made = World(setup, directory, stores, tell)
        stack.callback(made.close)
        yield made
