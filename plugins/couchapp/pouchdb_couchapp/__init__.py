"""couchapp: show, list, update and rewrite functions of design documents (spec: plugins, section 4)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pouchdb_core import hookimpl, operation
from pouchdb_core.methods import Operation
from pouchdb_couchapp.errors import DesignError, NotAcceptable, RewriteError
from pouchdb_couchapp.lists import list_over
from pouchdb_couchapp.methods import list_, rewrite, rewrite_result_request_object, show, update

if TYPE_CHECKING:
    import click

    from pouchdb_core.environment import SyncEnvironment

__all__ = [
    "DesignError",
    "NotAcceptable",
    "RewriteError",
    "list_",
    "list_over",
    "list_response",
    "rewrite",
    "rewrite_result_request_object",
    "show",
    "update",
]


def list_response(request: Any, database: Any, ddoc: str, name: str, source: Any) -> Any:
    """Respond to a server's request with a list function over rows of any kind: see ``list_over``."""
    # Called by a server only, so it is installed.
    from pouchdb_couchapp.endpoints import list_response as response

    return response(request, database, ddoc, name, source)


@hookimpl
def pouchdb_database_methods() -> Iterable[Operation[..., Any]]:
    return [
        operation(show, reads=True, long=True),
        operation(list_, reads=True, long=True, name="list"),
        operation(update),
        operation(rewrite),
        operation(rewrite_result_request_object, reads=True),
    ]


@hookimpl
def pouchdb_commands(group: click.Group) -> None:
    # Imported by the command line only: nothing else needs click.
    from pouchdb_couchapp.commands import couchapp

    group.add_command(couchapp)


@hookimpl(optionalhook=True)
def pouchdb_http_routes(environment: SyncEnvironment) -> Iterable[Any]:
    # Called by a server only, so it is installed.
    from pouchdb_couchapp.endpoints import routes

    return routes()
