"""spatial: geometries, as GeoCouch, geopouch and Cloudant Geo find them (spec: plugins, section 6)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pouchdb_core import hookimpl, operation
from pouchdb_core.methods import Operation
from pouchdb_spatial.answers import FeatureCollection
from pouchdb_spatial.methods import spatial, spatial_list
from pouchdb_spatial.spatial_index import SpatialKind, StKind

if TYPE_CHECKING:
    from pouchdb_core.environment import SyncEnvironment
    from pouchdb_core.views.index import IndexKind

__all__ = ["FeatureCollection", "spatial", "spatial_list"]


@hookimpl
def pouchdb_database_methods() -> Iterable[Operation[..., Any]]:
    return [
        operation(spatial, reads=True, long=True, functions=["fun"]),
        operation(spatial_list, reads=True, long=True),
    ]


@hookimpl
def pouchdb_index_kinds() -> Iterable[IndexKind]:
    return [SpatialKind(), StKind()]


@hookimpl
def pouchdb_commands(group: Any) -> None:
    from pouchdb_spatial.commands import near

    group.add_command(near)


@hookimpl(optionalhook=True)
def pouchdb_http_routes(environment: SyncEnvironment) -> Iterable[Any]:
    # Called by a server only, so it is installed.
    from pouchdb_spatial.endpoints import routes

    return routes()
