"""JavaScript: the engines, and the view server that runs design functions in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.javascript import builtin_engines
from pouchdb_core.views.collation import check_collation
from pouchdb_core.views.javascript_maps import JavaScriptServer, check_settings

if TYPE_CHECKING:
    from pouchdb_core.environment import SyncEnvironment
    from pouchdb_core.javascript import Engine
    from pouchdb_core.views.servers import ViewServer


@hookimpl
def pouchdb_javascript_engines() -> Iterable[Engine]:
    return builtin_engines()


@hookimpl
def pouchdb_view_servers() -> Iterable[ViewServer]:
    return (JavaScriptServer(),)


@hookimpl
def pouchdb_environment_opened(environment: SyncEnvironment) -> None:
    check_settings(environment.engine)
    check_collation(environment.engine)
