"""The methods of databases. What they need is imported by the first call: numpy and shapely take 0.2 s."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["spatial", "spatial_list"]


def spatial(db: SyncPouchDB, /, fun: Any, bbox: Any = None, opts: Any = None, **options: Any) -> Record:
    """Query a spatial index: ``"design/name"``, or a function, which reads the whole database and stores nothing.

    ``name`` is in the design document's ``spatial`` (GeoCouch: ``emit(key, value)``) or ``st_indexes`` (Cloudant Geo:
    ``st_index(geometry)``). Where: ``start_range`` and ``end_range``, a number or None for each dimension, one of them
    may be missing; ``bbox`` as (west, south, east, north), or its corners as two arguments, with ``plane_bounds``
    around the date line; ``g``, WKT, GeoJSON or an object with ``__geo_interface__``, and its relation to the results
    (``relation``, "intersects"); ``lat``, ``lon`` and ``radius``, or ``rangex`` and ``rangey`` for an ellipse, in
    metres on the sphere. ``nearest`` orders by the distance from there. ``limit``, ``skip``, ``bookmark``, ``count``,
    ``include_docs``, ``format="geojson"`` for a FeatureCollection; ``update`` False (``stale="ok"``) reads the index as
    it is, "lazy" (``"update_after"``) brings it up to date afterwards.

    Returns ``{"rows": [{"id", "key": [[low, high]], "geometry", "value", "bbox"}]}`` of ``spatial``, in the order of
    writing, and ``{"rows": [{"id", "geometry"}], "bookmark"}`` of ``st_indexes``. Raises NotFound, QueryParseError,
    BadRequest, and FunctionError for a function that does not compile.
    """
    if bbox is not None or opts is not None:
        options = _options(bbox, opts, options)
    return _queried()(db, fun, options)


def _import() -> None:
    # What is wrong is raised again by the thread that asked.
    with suppress(ImportError):
        import_module("pouchdb_spatial.querying")


@cache
def _queried() -> Callable[[SyncPouchDB, Any, Mapping[str, Any]], Record]:
    # An import costs each call as much as checking its options. It is made by a thread, which no Ctrl-C ends in the
    # middle: numpy can be imported once.
    importing = threading.Thread(target=_import, name="pouchdb-spatial-import", daemon=True)
    with suppress(RuntimeError):
        # No thread starts at the end of the interpreter.
        importing.start()
        importing.join()
    from pouchdb_spatial.querying import queried

    return queried


def _options(bbox: Any, opts: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return all options: those by position may be one object of options, as the original takes them."""
    if isinstance(bbox, Mapping):
        options = {**bbox, **options}
    elif bbox is not None:
        options["bbox"] = bbox
    if isinstance(opts, Mapping):
        options = {**opts, **options}
    elif opts is not None:
        # geopouch: the two corners as two arguments.
        options["bbox"] = [bbox, opts]
    return options


def spatial_list(db: SyncPouchDB, /, list_path: str, options: Mapping[str, Any] | None = None, **more: Any) -> Record:
    """Run a list function over a spatial index: ``"design/function/name"``, ``"design/function/other design/name"``.

    ``query`` holds the options of ``spatial`` and others that the function reads; the other options and the
    result are those of ``list``. The function's head is the result without its rows. Raises NotFound for an index
    or a function that is missing, NotSupported without the plug-in couchapp, and what ``spatial`` raises.
    """
    wanted = f"a list must be named as 'design/function/index', not {safe_repr(list_path)}"
    if not isinstance(list_path, str):
        raise BadRequest(wanted)
    parts = list_path.split("/")
    if not 3 <= len(parts) <= 4:
        raise BadRequest(wanted)
    from pouchdb_spatial.listing import couchapp, rows_of

    ddoc, function, *rest = parts
    index = "/".join(rest if len(rest) == 2 else [ddoc, *rest])
    if not (options is None or isinstance(options, Mapping)):
        raise BadRequest(f"options must be a mapping, not {safe_repr(options)}")
    given = {**(options or {}), **more}
    path = ["_design", ddoc, "_spatial", "_list", function, *rest]
    found: Record = couchapp().list_over(
        db, ddoc, function, lambda query: rows_of(db, index, query), path=path, options=given
    )
    return found
