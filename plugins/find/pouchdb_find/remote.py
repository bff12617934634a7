"""Queries of a database on a server: ``_find``, ``_explain`` and ``_index``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pouchdb_core.results import Record, record

if TYPE_CHECKING:
    from pouchdb_core.database import SyncPouchDB

__all__ = ["create_index", "delete_index", "get", "post"]

_MOVED = ("type", "name", "ddoc")


def post(db: SyncPouchDB, path: str, body: Mapping[str, Any]) -> Record:
    """Send the request to a server. Raises its errors."""
    return record(db.fetch(path, method="POST", json=dict(body)).json())


def get(db: SyncPouchDB, path: str) -> Record:
    """Send the request to a server. Raises its errors."""
    return record(db.fetch(path).json())


def create_index(db: SyncPouchDB, request: Mapping[str, Any]) -> Record:
    """Make an index; the request may have PouchDB's forms, which CouchDB does not accept."""
    asked = dict(request)
    index = dict(asked.get("index") or {})
    for name in _MOVED:
        if index.get(name):
            asked[name] = index.pop(name)
    if "fields" in asked:
        index["fields"] = asked.pop("fields")
    return post(db, "_index", {"type": "json", **asked, "index": index})


def delete_index(db: SyncPouchDB, ddoc: str, kind: str, name: str) -> Record:
    """Delete an index."""
    path = "/".join(["_index", *(quote(part, safe="") for part in (ddoc, kind, name))])
    return record(db.fetch(path, method="DELETE").json())
