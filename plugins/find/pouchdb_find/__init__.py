"""find: Mango queries and indexes on fields (spec: pouchdb-api, 2.7)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pouchdb_core import hookimpl, operation
from pouchdb_core.methods import Operation
from pouchdb_find.errors import FindError
from pouchdb_find.filter import SelectorFilter
from pouchdb_find.mango_index import MangoKind
from pouchdb_find.matching import matches, predicate
from pouchdb_find.methods import create_index, delete_index, explain, find, get_indexes
from pouchdb_find.pushdown import Selection, select

if TYPE_CHECKING:
    import click

    from pouchdb_core.changes.filters import ChangesFilter
    from pouchdb_core.environment import SyncEnvironment
    from pouchdb_core.views.index import IndexKind

__all__ = [
    "FindError",
    "Selection",
    "create_index",
    "delete_index",
    "explain",
    "find",
    "get_indexes",
    "matches",
    "predicate",
    "select",
]


@hookimpl
def pouchdb_database_methods() -> Iterable[Operation[..., Any]]:
    # In asynchronous calls a mapping for an optional parameter would be unpacked into keywords: these are one argument.
    return [
        operation(create_index),
        operation(delete_index, functions=["index"]),
        operation(get_indexes, reads=True),
        operation(find, reads=True, long=True, functions=["request"]),
        operation(explain, reads=True, functions=["request"]),
    ]


@hookimpl
def pouchdb_index_kinds() -> Iterable[IndexKind]:
    return [MangoKind()]


@hookimpl
def pouchdb_changes_filters() -> Iterable[ChangesFilter]:
    return [SelectorFilter()]


@hookimpl
def pouchdb_commands(group: click.Group) -> None:
    # Imported by the command line only: nothing else needs click.
    from pouchdb_find.commands import find, index

    group.add_command(find)
    group.add_command(index)


@hookimpl(optionalhook=True)
def pouchdb_http_routes(environment: SyncEnvironment) -> Iterable[Any]:
    # Called by a server only, so it is installed.
    from pouchdb_find.endpoints import routes

    return routes()


@hookimpl(optionalhook=True)
def pouchdb_http_pages(environment: SyncEnvironment) -> Iterable[Any]:
    from importlib import resources

    from pouchdb_server import Page

    return [Page("mango", "Mango", resources.files("pouchdb_find") / "pages")]
