"""Databases on a server, without one: an address that leads to a replica, whichever database is there just now.

What a replication sees of it is what it would see of a server: the identity is the address's, nothing is known of the
database behind it but what it has, and a wait for changes ends when the server says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pouchdb_core.adapters.base import Adapter, Place
from pouchdb_core.errors import NotSupported, Unreachable
from pouchdb_core.replication.background import Background, Task
from pouchdb_core.requests import Changes, Guard, Listing, Read, Write
from pouchdb_core.results import Outcome, Record

if TYPE_CHECKING:
    from replicas.replica import Replica

__all__ = ["AtOnce", "InTurn", "Waiting", "far_adapter"]

SCHEME = "far"


def far_adapter(replicas: Mapping[str, Replica]) -> type[Adapter]:
    """Return the adapter of addresses such as ``far://r1``."""

    class Far(Adapter):
        name = SCHEME
        schemes = (SCHEME,)
        remote = True

        def __init__(self, name: str) -> None:
            self._address = name
            self._replica = replicas[name.partition("://")[2]]

        @property
        def _there(self) -> Any:
            return self._replica.db.adapter

        @classmethod
        def open(cls, place: Place, name: str, options: Mapping[str, Any]) -> Far:
            return cls(name)

        @classmethod
        def destroy(cls, place: Place, name: str) -> None:
            raise NotSupported("not from here")

        def id(self) -> str:
            # As of CouchDB: the server's, and the name.
            return self._address

        def write(self, request: Write, guards: Sequence[Guard]) -> list[Outcome]:
            there = self._replica.db
            return list(there.plugins.write(there, replace(request, user=there.user)))

        def read(self, request: Read) -> Any:
            return self._there.read(request)

        def listing(self, request: Listing) -> Record:
            answer: Record = self._there.listing(request)
            return answer

        def changes(self, request: Changes) -> Iterator[Any]:
            rows: Iterator[Any] = self._there.changes(replace(request, wait=None))
            return rows

        def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
            # It is heard by a wait, which is woken by what is written there.
            return lambda: None

        def pending(self, since: Any) -> int:
            number: int = self._there.pending(since)
            return number

        def lacking(self, keys: Collection[bytes]) -> set[bytes]:
            return set(keys)

        def info(self) -> Record:
            told: Record = self._there.info()
            for member in ("uuid", "former_epochs") if self._replica.says_epoch else ("uuid", "epoch", "former_epochs"):
                del told[member]
            if self._replica.says_epoch:
                told["former_epochs"] = self._there.info()["former_epochs"]
            return told

        def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> Record:
            answer: Record = self._there.revs_diff(revs)
            return answer

        def local_ids(self, prefix: str) -> Sequence[str]:
            ids: Sequence[str] = self._there.local_ids(prefix)
            return ids

        def design_documents(self) -> Sequence[Record]:
            docs: Sequence[Record] = self._there.design_documents()
            return docs

        def ddocs_seq(self) -> int:
            number: int = self._there.ddocs_seq()
            return number

        def conflicts(self) -> Iterator[Record]:
            raise NotSupported("nobody asks this from afar")

        def compact(self, interval: float | None = None) -> None:
            raise NotSupported("nobody asks this from afar")

        def purge(self, revs: Mapping[str, Sequence[str]]) -> Any:
            raise NotSupported("nobody asks this from afar")

        def revs_limit(self, limit: int | None = None) -> int:
            number: int = self._there.revs_limit()
            return number

        def security(self) -> Record:
            raise NotSupported("nobody asks this from afar")

        def put_security(self, security: Mapping[str, Any]) -> None:
            raise NotSupported("nobody asks this from afar")

        def directory(self, plugin: str) -> Path:
            raise NotSupported("nobody asks this from afar")

        def backup(self, target: Path) -> None:
            raise NotSupported("nobody asks this from afar")

        def problems(self, deep: bool = True) -> Sequence[str]:
            raise NotSupported("nobody asks this from afar")

        def close(self) -> None:
            return

    return Far


class Waiting(Task[Any]):
    """A wait for changes: over when something was written there, or when the server ends it."""

    def __init__(self, owner: Background, call: Callable[[], Any], wake: Callable[[], None], replica: Replica) -> None:
        super().__init__(owner, call, wake)
        self._wake, self._broken = wake, False
        replica.waits.append(self)

    def end(self, *, broken: bool) -> None:
        """Have it be over."""
        if not self.done:
            self.done, self._broken = True, broken
            self._wake()

    def result(self) -> Any:
        if self._broken:
            raise Unreachable("injected: the wait for changes broke")
        return self._call()


class AtOnce(Background):
    """Makes every call where it is started: what happens at the same time happens one after the other."""

    source: Replica
    """What the waits of the replication are about."""

    def start(self, call: Callable[[], Any], when_done: Callable[[], None] | None = None) -> Task[Any]:
        if when_done is not None:
            return Waiting(self, call, when_done, self.source)
        task: Task[Any] = Task(self, call, None)
        task.run()
        return task

    def together(self, *calls: Callable[[], object]) -> None:
        for call in calls:
            call()


class InTurn:
    """In the place of a runner: does one thing after the other."""

    def __init__(self, *args: Any, **options: Any) -> None:
        pass

    def map(self, function: Callable[[Any], Any], things: Sequence[Any]) -> list[Any]:
        return [function(thing) for thing in things]

    def close(self, *args: Any) -> None:
        return
