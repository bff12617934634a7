"""search: full text, as pouchdb-search, Cloudant Search and Nouveau find it (spec: plugins, section 5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pouchdb_core import hookimpl, operation
from pouchdb_core.methods import Operation
from pouchdb_search.searching import search, search_completions, search_suggestions
from pouchdb_search.text_index import NouveauKind, SearchKind

if TYPE_CHECKING:
    from pouchdb_core.environment import SyncEnvironment
    from pouchdb_core.views.index import IndexKind

__all__ = ["search", "search_completions", "search_suggestions"]


@hookimpl
def pouchdb_database_methods() -> Iterable[Operation[..., Any]]:
    return [
        operation(search, reads=True, long=True, functions=["fun"]),
        operation(search_completions, reads=True, long=True),
        operation(search_suggestions, reads=True, long=True),
    ]


@hookimpl
def pouchdb_index_kinds() -> Iterable[IndexKind]:
    return [SearchKind(), NouveauKind()]


@hookimpl
def pouchdb_commands(group: Any) -> None:
    from pouchdb_search.commands import complete, suggest
    from pouchdb_search.commands import search as command

    for each in (command, complete, suggest):
        group.add_command(each)


@hookimpl(optionalhook=True)
def pouchdb_http_routes(environment: SyncEnvironment) -> Iterable[Any]:
    # Called by a server only, so it is installed.
    from pouchdb_search.endpoints import routes

    return routes()


@hookimpl(optionalhook=True)
def pouchdb_http_pages(environment: SyncEnvironment) -> Iterable[Any]:
    from importlib import resources

    from pouchdb_server import Page

    return [Page("search", "Search", resources.files("pouchdb_search") / "pages")]
