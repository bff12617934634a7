"""Map/reduce views: the index kind, the built-in reduce functions, and queries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pouchdb_core.hookspecs import hookimpl
from pouchdb_core.requests import Query
from pouchdb_core.views.mapreduce import ViewKind
from pouchdb_core.views.python import PythonServer
from pouchdb_core.views.query import query
from pouchdb_core.views.reduce import BUILTINS

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB
    from pouchdb_core.requests import Listing
    from pouchdb_core.results import Record
    from pouchdb_core.views.index import IndexKind
    from pouchdb_core.views.reduce import ReduceFunction
    from pouchdb_core.views.servers import ViewServer


@hookimpl
def pouchdb_index_kinds() -> Iterable[IndexKind]:
    return (ViewKind(),)


@hookimpl
def pouchdb_reduce_functions() -> Iterable[ReduceFunction]:
    return BUILTINS


@hookimpl
def pouchdb_view_servers() -> Iterable[ViewServer]:
    return (PythonServer(),)


@hookimpl(trylast=True)
def pouchdb_list(database: SyncPouchDB, request: Listing | Query) -> Record | None:
    if not isinstance(request, Query):
        return None
    if not database.remote:
        return query(database, request)
    answer = database.adapter.query(request)
    transforms = database.transforms
    return answer if transforms is None or not transforms.reads else transforms.query(request, answer)
