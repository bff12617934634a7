"""gql: Google's query language (spec: plugins, section 2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pouchdb_core import hookimpl, operation
from pouchdb_core.methods import Operation
from pouchdb_gql.errors import GqlError
from pouchdb_gql.methods import gql

if TYPE_CHECKING:
    from pouchdb_core.environment import SyncEnvironment

__all__ = ["GqlError", "gql"]


@hookimpl
def pouchdb_database_methods() -> Iterable[Operation[..., Any]]:
    return [operation(gql, reads=True, long=True)]


@hookimpl
def pouchdb_commands(group: Any) -> None:
    from pouchdb_gql.commands import gql as command

    group.add_command(command)


@hookimpl(optionalhook=True)
def pouchdb_http_routes(environment: SyncEnvironment) -> Iterable[Any]:
    # Called by a server only, so it is installed.
    from pouchdb_gql.endpoints import routes

    return routes()


@hookimpl(optionalhook=True)
def pouchdb_http_pages(environment: SyncEnvironment) -> Iterable[Any]:
    from importlib import resources

    from pouchdb_server import Page

    return [Page("gql", "GQL", resources.files("pouchdb_gql") / "pages")]
