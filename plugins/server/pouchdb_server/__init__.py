"""server: a CouchDB-compatible HTTP server of any environment.

``app = create_app(environment)`` is an ASGI application; ``pouchdb serve`` runs one. Other
plug-ins add endpoints by ``pouchdb_http_routes``: see ``pouchdb_server.hookspecs``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pluggy

from pouchdb_core import Record, SyncEnvironment, SyncPouchDB, hookimpl
from pouchdb_core.requests import Guard, UserContext, Write
from pouchdb_server import hookspecs
from pouchdb_server.app import Server, create_app
from pouchdb_server.hookspecs import Middleware
from pouchdb_server.messages import Headers, Request, Response
from pouchdb_server.metrics.counters import METRICS
from pouchdb_server.replicator.access import only_own, replication_guard
from pouchdb_server.replicator.definition import is_replicator
from pouchdb_server.replicator.seat import SEAT
from pouchdb_server.routes import Route
from pouchdb_server.security import both, design_guard
from pouchdb_server.settings import Settings
from pouchdb_server.updates import UPDATES

if TYPE_CHECKING:
    import click

__all__ = ["Headers", "Request", "Response", "Route", "Server", "Settings", "create_app"]


@hookimpl
def pouchdb_addhooks(manager: pluggy.PluginManager) -> None:
    manager.add_hookspecs(hookspecs)


@hookimpl
def pouchdb_commands(group: click.Group) -> None:
    # Imported by the command line only: nothing else needs click.
    from pouchdb_server.command import command

    group.add_command(command)


@hookimpl(trylast=True)
def pouchdb_http_routes(environment: SyncEnvironment) -> Iterable[Route]:
    # Imported when an application is made: an environment that serves nobody needs no handlers.
    from pouchdb_server.table import ROUTES

    return ROUTES


@hookimpl(trylast=True)
def pouchdb_http_authenticate(request: Request) -> UserContext | None:
    return request.server.accounts.authenticate(request)


@hookimpl
def pouchdb_http_middleware(environment: SyncEnvironment) -> Middleware:
    return only_own


@hookimpl
def pouchdb_write_guards(database: SyncPouchDB, request: Write) -> Guard | None:
    guards = design_guard(database, request.user), replication_guard(database, request.user)
    return both(*guards)


@hookimpl
def pouchdb_documents_written(database: SyncPouchDB, results: Sequence[Record]) -> None:
    if not database.remote:
        database.environment.state(UPDATES).add(database.name, "updated")
        database.environment.state(METRICS).wrote(len(results))


@hookimpl
def pouchdb_database_created(database: SyncPouchDB) -> None:
    if not database.remote:
        database.environment.state(UPDATES).add(database.name, "created")
        if is_replicator(database.name):
            database.environment.state(SEAT).look()


@hookimpl
def pouchdb_database_destroyed(environment: SyncEnvironment, name: str) -> None:
    environment.state(UPDATES).add(name, "deleted")
    if is_replicator(name):
        environment.state(SEAT).look()


@hookimpl
def pouchdb_environment_closing(environment: SyncEnvironment) -> None:
    environment.state(SEAT).close()
