"""The operations, done by the adapter of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import PouchDBError
from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.requests import Listing
from pouchdb_core.views.register import indexes
from pouchdb_core.views.view_filters import resolved

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB
    from pouchdb_core.environment import SyncEnvironment
    from pouchdb_core.requests import Administer, Changes, Destroy, Open, Query, Read, Write
    from pouchdb_core.results import Outcome, Record


@hookimpl(trylast=True)
def pouchdb_open(environment: SyncEnvironment, request: Open) -> SyncPouchDB:
    return environment.open_database(request)


@hookimpl(trylast=True)
def pouchdb_destroy(environment: SyncEnvironment, request: Destroy) -> bool:
    environment.destroy_database(request)
    return True


@hookimpl(trylast=True)
def pouchdb_administer(database: SyncPouchDB, request: Administer) -> Any:
    answer = _ACTIONS[request.action](database, **request.arguments)
    if request.action == "conflicts" and (transforms := database.transforms) is not None:
        return transforms.documents(request, answer)
    return True if answer is None else answer


def _view_cleanup(database: SyncPouchDB) -> None:
    if database.remote:
        database.adapter.view_cleanup()
    else:
        indexes(database).cleanup(database)


_ACTIONS: Mapping[str, Callable[..., Any]] = {
    "backup": lambda database, target: database.adapter.backup(target),
    "close": lambda database: database._close(),
    "compact": lambda database, interval=None: database.adapter.compact(interval),
    "conflicts": lambda database: database.adapter.conflicts(),
    "design_documents": lambda database: database.adapter.design_documents(),
    "dump": lambda database, run: run(),
    "get_security": lambda database: database.adapter.security(),
    "id": lambda database: database.adapter.id(),
    "info": lambda database: database.adapter.info(),
    "integrity_check": lambda database, deep=True: database.adapter.problems(deep),
    "load": lambda database, run: run(),
    "purge": lambda database, revs: database.adapter.purge(revs),
    "purged_infos_limit": lambda database, limit=None: database.adapter.purged_infos_limit(limit),
    "put_security": lambda database, security: database.adapter.put_security(security),
    "revs_diff": lambda database, revs: database.adapter.revs_diff(revs),
    "revs_limit": lambda database, limit=None: database.adapter.revs_limit(limit),
    "view_cleanup": _view_cleanup,
}
"""The core's functions by the name in an Administer request, called with the request's arguments."""


@hookimpl(trylast=True)
def pouchdb_write(database: SyncPouchDB, request: Write) -> Sequence[Outcome]:
    adapter, plugins = database.adapter, database.plugins
    guards = plugins.write_guards(database, request) if plugins.judges and not adapter.remote else ()
    transforms = database.transforms if plugins.transforming else None
    if transforms is None or not transforms.writes:
        outcomes: Sequence[Outcome] = adapter.write(request, guards)
    else:
        outcomes = transforms.write(request, database.new_id, lambda request: adapter.write(request, guards))
    if plugins.listens:
        written = [each for each in outcomes if not isinstance(each, PouchDBError)]
        if written:
            plugins.documents_written(database, written)
    return outcomes


@hookimpl(trylast=True)
def pouchdb_read(database: SyncPouchDB, request: Read) -> Any:
    if database.plugins.transforming and (transforms := database.transforms) is not None and transforms.reads:
        return transforms.read(request, database.adapter.read)
    return database.adapter.read(request)


@hookimpl(trylast=True)
def pouchdb_list(database: SyncPouchDB, request: Listing | Query) -> Record | None:
    if not isinstance(request, Listing):
        return None
    transforms = database.transforms
    if transforms is None or not transforms.reads:
        return database.adapter.listing(request)
    return transforms.listing(request, database.adapter.listing)


@hookimpl(trylast=True)
def pouchdb_changes(database: SyncPouchDB, request: Changes) -> Iterator[Record]:
    if isinstance(request.filter, str) and not database.adapter.remote:
        request = resolved(database, request)
    transforms = database.transforms
    if transforms is None or not transforms.reads:
        return database.adapter.changes(request)
    return transforms.changes(request, database.adapter.changes)
