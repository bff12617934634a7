"""server: a CouchDB-compatible HTTP server of any environment.

``app = create_app(environment)`` is an ASGI application; ``pouchdb serve`` runs one. Other
plug-ins add endpoints by ``pouchdb_http_routes``: see ``pouchdb_server.hookspecs``. Without a network,
``service(environment)`` answers the same requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

from pouchdb_core import AbstractEnvironment, Record, Slot, SyncEnvironment, SyncPouchDB, Transform, hookimpl
from pouchdb_core.interfaces import Environment
from pouchdb_core.requests import NEVER, Guard, Never, UserContext, Write
from pouchdb_server import hookspecs
from pouchdb_server.accounts import Account
from pouchdb_server.administrators import Administrators, administrators
from pouchdb_server.messages import Headers, Request, Response
from pouchdb_server.metrics.counters import METRICS
from pouchdb_server.pages.page import Page
from pouchdb_server.passwords import Password
from pouchdb_server.processes.siblings import SIBLINGS
from pouchdb_server.replicator.access import only_own, replication_guard
from pouchdb_server.replicator.definition import is_replicator
from pouchdb_server.replicator.owner import owned
from pouchdb_server.replicator.seat import SEAT
from pouchdb_server.routes import Route
from pouchdb_server.rows import Rows
from pouchdb_server.security import design_guard, every
from pouchdb_server.service import Service, service
from pouchdb_server.settings import Settings
from pouchdb_server.updates import UPDATES
from pouchdb_server.users import users_guard

if TYPE_CHECKING:
    import click

    from pouchdb_server.server import ASGIApp

__all__ = [
    "Account",
    "Administrators",
    "Headers",
    "Page",
    "Password",
    "Request",
    "Response",
    "Route",
    "Rows",
    "Service",
    "Settings",
    "administrators",
    "create_app",
    "service",
]


def create_app(environment: AbstractEnvironment, **settings: Any) -> ASGIApp:
    """Return an ASGI application that serves the databases of an environment as CouchDB does.

    ``environment`` is either view of one that was set up with the plug-in ``server``; ``settings``
    are those of ``Settings``. Run it with ``pouchdb_server.serve``, or mount it in another
    application. Raises PluginError, BadRequest.
    """
    # Imported when it is called: a caller that uses only the service needs no network code.
    from pouchdb_server.app import create_app as make

    return make(environment, **settings)


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
    # Imported when an application is made: an environment without a server needs no handlers.
    from pouchdb_server.table import ROUTES

    return ROUTES


@hookimpl(trylast=True)
def pouchdb_http_authenticate(request: Request) -> UserContext | None:
    return request.server.accounts.authenticate(request)


@hookimpl
def pouchdb_http_authorise(request: Request, database: SyncPouchDB | None) -> None:
    only_own(request, database)


@hookimpl
def pouchdb_write_guards(database: SyncPouchDB, request: Write) -> Guard | Never | None:
    user = request.user
    if user is None and not is_replicator(database.short_name):
        return NEVER
    return every(design_guard(database, user), replication_guard(database, user), users_guard(database, user))


@hookimpl
def pouchdb_transforms(database: SyncPouchDB) -> Transform | None:
    return owned(database)


class _Writes:
    """Reports the writes of a database to feeds and counters, looked up once because every put comes here."""

    def __init__(self, database: SyncPouchDB) -> None:
        self._name, self._remote = database.name, database.remote
        self._updates = database.environment.state(UPDATES)
        self._metrics = database.environment.state(METRICS)
        self._siblings = database.environment.state(SIBLINGS)

    def count(self, documents: int) -> None:
        if not self._remote:
            self._updates.add(self._name, "updated")
            self._metrics.wrote(documents)
            self._siblings.note("written", self._name)


_WRITES: Slot[_Writes] = Slot("writes that are shown", _Writes)


@hookimpl
def pouchdb_documents_written(database: SyncPouchDB, results: Sequence[Record]) -> None:
    database.store_state(_WRITES).count(len(results))


@hookimpl
def pouchdb_database_created(database: SyncPouchDB) -> None:
    if not database.remote:
        _came_or_went(database.environment, database.name, "created")
        database.environment.state(SIBLINGS).send("databases", database.name, "created")


@hookimpl
def pouchdb_database_destroyed(environment: SyncEnvironment, name: str) -> None:
    _came_or_went(environment, name, "deleted")
    # Before the response: the next process that gets a request knows that the database is gone.
    environment.state(SIBLINGS).tell("databases", name, "deleted")


def _came_or_went(environment: Environment, name: str, kind: str) -> None:
    environment.state(UPDATES).add(name, kind)
    environment.state(SEAT).changed(name)


@hookimpl
def pouchdb_environment_closing(environment: SyncEnvironment) -> None:
    environment.state(SEAT).close()
