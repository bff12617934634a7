"""Databases in PostgreSQL: ``setup("postgresql://user@host/database")["notes"]``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pouchdb_core import hookimpl
from pouchdb_core.adapters.base import Storage
from pouchdb_core.errors import NotSupported
from pouchdb_postgres.adapter import PostgresAdapter, is_ours
from pouchdb_postgres.address import address_of

if TYPE_CHECKING:
    from pouchdb_core.adapters.base import Adapter

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
    return Storage(PostgresAdapter.name)
