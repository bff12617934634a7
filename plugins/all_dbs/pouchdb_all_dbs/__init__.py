"""all_dbs: the names of all local databases, and forgetting them (spec: plugins, section 1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pouchdb_all_dbs.registry import all_dbs, reset_all_dbs, show
from pouchdb_core import SyncEnvironment, SyncPouchDB, hookimpl, operation
from pouchdb_core.methods import Operation

__all__ = ["all_dbs", "reset_all_dbs"]


@hookimpl
def pouchdb_environment_methods() -> Iterable[Operation[..., Any]]:
    return [operation(all_dbs, reads=True), operation(reset_all_dbs)]


@hookimpl
def pouchdb_database_opened(database: SyncPouchDB) -> None:
    if not database.remote:
        show(database.environment.sync_view, database.name)


@hookimpl
def pouchdb_database_destroyed(environment: SyncEnvironment, name: str) -> None:
    show(environment, name)


@hookimpl(optionalhook=True)
def pouchdb_http_routes(environment: SyncEnvironment) -> Iterable[Any]:
    # Called by a server only, so it is installed.
    from pouchdb_all_dbs.endpoint import routes

    return routes()
