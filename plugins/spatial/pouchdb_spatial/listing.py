"""List functions over spatial indexes, as in GeoCouch; the plug-in couchapp runs them."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import NotSupported
from pouchdb_spatial.options import options_of
from pouchdb_spatial.querying import asked_rows

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["couchapp", "rows_of"]


def rows_of(db: SyncPouchDB, index: str, query: Mapping[str, Any]) -> tuple[dict[str, Any], Iterable[Any]]:
    """Return (head, rows) of an index for the query of a request; see ``asked_rows``."""
    return asked_rows(db, index, {**options_of(query), "format": None, "count": None})


def couchapp() -> Any:
    """Return the plug-in that runs list functions. Raises NotSupported if it is not installed."""
    try:
        return importlib.import_module("pouchdb_couchapp")
    except ImportError as error:
        raise NotSupported("list functions need the plug-in couchapp: pip install 'pouchdb[couchapp]'") from error
