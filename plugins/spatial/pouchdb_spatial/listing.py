"""List functions over spatial indexes, as in GeoCouch; the plug-in couchapp runs them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, NotSupported
from pouchdb_core.results import Record
from pouchdb_core.safe_repr import safe_repr
from pouchdb_spatial.querying import asked_rows, options_of

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["couchapp", "rows_of", "spatial_list"]


def spatial_list(db: SyncPouchDB, /, list_path: str, options: Mapping[str, Any] | None = None, **more: Any) -> Record:
    """Run a list function over a spatial index: ``"design/function/name"``, ``"design/function/other design/name"``.

    ``query`` holds the options of ``spatial`` and others that the function reads; the other options and the
    result are those of ``list``. The function's head is the result without its rows. Raises NotFound for an index
    or a function that is missing, NotSupported without the plug-in couchapp, and what ``spatial`` raises.
    """
    parts = list_path.split("/")
    if not 3 <= len(parts) <= 4:
        raise BadRequest(f"a list is 'design/function/name', not {safe_repr(list_path)}")
    ddoc, function, *rest = parts
    index = "/".join(rest if len(rest) == 2 else [ddoc, *rest])
    given = {**(options or {}), **more}
    path = ["_design", ddoc, "_spatial", "_list", function, *rest]
    found: Record = couchapp().list_over(
        db, ddoc, function, lambda query: rows_of(db, index, query), path=path, options=given
    )
    return found


def rows_of(db: SyncPouchDB, index: str, query: Mapping[str, Any]) -> tuple[dict[str, Any], Iterable[Any]]:
    """Return (head, rows) of an index for the query of a request; see ``asked_rows``."""
    return asked_rows(db, index, {**options_of(query), "format": None, "count": None})


def couchapp() -> Any:
    """Return the plug-in that runs list functions. Raises NotSupported if it is not installed."""
    try:
        return importlib.import_module("pouchdb_couchapp")
    except ImportError as error:
        raise NotSupported("list functions are run by the plug-in couchapp: install pouchdb-couchapp") from error
