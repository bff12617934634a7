"""The adapter: databases in PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pouchdb_core.adapters.base import Place
from pouchdb_core.adapters.local import LocalAdapter, check_options
from pouchdb_core.adapters.sqlite.sqlite_index_store import scratch_store
from pouchdb_core.changes.notify import Notifier
from pouchdb_core.errors import BadRequest
from pouchdb_core.requests import Changes, Guard, Write
from pouchdb_core.results import Outcome
from pouchdb_core.state import Slot
from pouchdb_postgres.address import SCHEMES, address_of

if TYPE_CHECKING:
    from pouchdb_core.views.index_store import IndexStore

    # The driver is imported on use: this plug-in may be installed and not used.
    from pouchdb_postgres.index_store import PostgresIndexStore
    from pouchdb_postgres.session import Server
    from pouchdb_postgres.store import PostgresStore

__all__ = ["PostgresAdapter", "is_ours", "server_of"]

T = TypeVar("T")

TRIES = 5
"""How often a write is tried that had no effect because the server went away, or could not serialise it."""


def is_ours(url: str | None) -> bool:
    """Return whether a URL is PostgreSQL's."""
    return url is not None and url.partition("://")[0].lower() in SCHEMES


def _server(place: Place) -> Server:
    from pouchdb_postgres.session import Server

    assert place.url is not None
    return Server(address_of(place.url))


_SERVER: Slot[Server] = Slot("PostgreSQL server", _server, lambda server: server.close())


def server_of(place: Place) -> Server:
    """Return the server of an environment. Raises BadRequest where its databases are elsewhere."""
    if not is_ours(place.url):
        raise BadRequest('this environment keeps its databases elsewhere: setup("postgresql://...") has them there')
    return place.slots.get(_SERVER, place)


class PostgresAdapter(LocalAdapter):
    """Databases in schemas of a PostgreSQL database."""

    name: ClassVar[str] = "postgres"
    store: PostgresStore
    _indexes: PostgresIndexStore | None = None

    @classmethod
    def open(cls, place: Place, name: str, options: Mapping[str, Any]) -> PostgresAdapter:
        from pouchdb_postgres.listening import listener_of
        from pouchdb_postgres.places import open_database

        check_options(options)
        server = server_of(place)
        store, created = open_database(server, name, f"database {name!r}")
        connections = store.connections
        listener = listener_of(server)
        connections.notifier = Notifier(lambda listening: listener.listen(connections, listening))
        adapter = cls(place, name, store, options)
        adapter.created = created
        return adapter

    @classmethod
    def names(cls, place: Place) -> Iterable[str]:
        if not is_ours(place.url):
            return ()
        from pouchdb_postgres.places import list_databases

        return list_databases(server_of(place))

    @classmethod
    def destroy(cls, place: Place, name: str) -> None:
        from pouchdb_postgres.places import destroy_database

        destroy_database(server_of(place), name, f"database {name!r}")

    def changes(self, request: Changes) -> Iterator[Any]:
        if not request.live:
            return super().changes(request)
        from pouchdb_postgres.lasting_feed import lasting

        if request.since in ("now", "latest"):
            request = replace(request, since=self.store.counters().update_seq)
        elif type(request.since) is int:
            # As the feed takes it: there is nothing after the end.
            request = replace(request, since=min(request.since, self.store.counters().update_seq))
        return lasting(super().changes, request, self.store.connections.what)

    # A write is refused at once in code that runs within a write of the same thread. A write that had no
    # effect, for an external reason, is retried.

    def write(self, request: Write, guards: Sequence[Guard]) -> list[Outcome]:
        if any(_flows(doc) for doc in request.docs):
            self.store.alone()
            return super().write(request, guards)
        return self._again(lambda: super(PostgresAdapter, self).write(request, guards))

    def compact(self, interval: float | None = None) -> None:
        self._again(lambda: super(PostgresAdapter, self).compact(interval))

    def purge(self, revs: Mapping[str, Sequence[str]]) -> tuple[int, dict[str, list[str]], set[str]]:
        return self._again(lambda: super(PostgresAdapter, self).purge(revs))

    def purged_infos_limit(self, limit: int | None = None) -> int:
        if limit is None:
            return super().purged_infos_limit()
        return self._again(lambda: super(PostgresAdapter, self).purged_infos_limit(limit))

    def revs_limit(self, limit: int | None = None) -> int:
        if limit is None:
            return super().revs_limit()
        return self._again(lambda: super(PostgresAdapter, self).revs_limit(limit))

    def put_security(self, security: Mapping[str, Any]) -> None:
        self._again(lambda: super(PostgresAdapter, self).put_security(security))

    def _again(self, write: Callable[[], T]) -> T:
        from pouchdb_postgres.failures import Undone

        self.store.alone()
        for _ in range(TRIES - 1):
            try:
                return write()
            except Undone:
                continue
        return write()

    def indexes(self) -> PostgresIndexStore:
        from pouchdb_postgres.index_store import PostgresIndexStore

        if self._indexes is None:
            self._indexes = PostgresIndexStore(self.store)
        return self._indexes

    def scratch(self) -> IndexStore:
        # Of one query: no other process uses it, so it is not on the server.
        return scratch_store()

    def backup(self, target: Path) -> None:
        self.store.backup(target)

    def side_directory(self) -> Path:
        # A forked child has the folder of its parent, whose indexes it must not use.
        return super().side_directory() / str(os.getpid())


def _flows(doc: Any) -> bool:
    """Return whether writing a document reads a stream, which cannot be read again."""
    attachments = doc.get("_attachments") if isinstance(doc, Mapping) else None
    if not isinstance(attachments, Mapping):
        return False
    return any(
        not isinstance(each, Mapping) or not isinstance(each.get("data", ""), (str, bytes, bytearray))
        for each in attachments.values()
    )
