"""Databases in PostgreSQL: ``setup("postgresql://user@host/database")["notes"]``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pouchdb_core import hookimpl
from pouchdb_core.adapters.base import Storage
from pouchdb_core.errors import NotSupported
from pouchdb_postgres.adapter import PostgresAdapter, is_ours, server_of
from pouchdb_postgres.address import address_of

if TYPE_CHECKING:
    from pouchdb_core.adapters.base import Adapter, Place
    from pouchdb_postgres.shared import PostgresShared

__all__ = ["PostgresAdapter"]


@hookimpl
def pouchdb_adapters() -> Iterable[type[Adapter]]:
    return [PostgresAdapter]


@hookimpl
def pouchdb_storages(url: str) -> Storage | None:
    if url.partition("://")[0].lower() == "cockroachdb":
        raise NotSupported(
            "cockroachdb:// is not supported: CockroachDB has no LISTEN and NOTIFY, and no advisory locks; "
            "use PostgreSQL, or CouchDB's cluster"
        )
    if not is_ours(url):
        return None
    # Errors in the URL are raised at once; nothing is connected yet.
    address_of(url)
    return Storage(PostgresAdapter.name, shared=_shared)


def _shared(place: Place) -> PostgresShared:
    from pouchdb_postgres.shared import PostgresShared

    return PostgresShared(lambda: server_of(place))
