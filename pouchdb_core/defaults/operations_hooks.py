"""The operations, answered by the adapter of the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import PouchDBError
from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.requests import Listing
from pouchdb_core.views.view_filters import resolved

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB
    from pouchdb_core.environment import SyncEnvironment
    from pouchdb_core.requests import Changes, Destroy, Open, Query, Read, Write
    from pouchdb_core.results import Outcome, Record


@hookimpl(trylast=True)
def pouchdb_open(environment: SyncEnvironment, request: Open) -> SyncPouchDB:
    return environment.open_database(request)


@hookimpl(trylast=True)
def pouchdb_destroy(environment: SyncEnvironment, request: Destroy) -> bool:
    environment.destroy_database(request)
    return True


@hookimpl(trylast=True)
def pouchdb_write(database: SyncPouchDB, request: Write) -> Sequence[Outcome]:
    adapter, plugins = database.adapter, database.plugins
    guards = plugins.write_guards(database, request) if plugins.judges and not adapter.remote else ()
    outcomes = adapter.write(request, guards)
    if plugins.listens:
        written = [each for each in outcomes if not isinstance(each, PouchDBError)]
        if written:
            plugins.documents_written(database, written)
    return outcomes


@hookimpl(trylast=True)
def pouchdb_read(database: SyncPouchDB, request: Read) -> Any:
    return database.adapter.read(request)


@hookimpl(trylast=True)
def pouchdb_list(database: SyncPouchDB, request: Listing | Query) -> Record | None:
    return database.adapter.listing(request) if isinstance(request, Listing) else None


@hookimpl(trylast=True)
def pouchdb_changes(database: SyncPouchDB, request: Changes) -> Iterator[Record]:
    if isinstance(request.filter, str) and not database.adapter.remote:
        request = resolved(database, request)
    return database.adapter.changes(request)
