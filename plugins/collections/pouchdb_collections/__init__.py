"""collections: documents as objects of the program's own classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pouchdb_collections.async_collection import AsyncCollection
from pouchdb_collections.codec import Migration, Misfits
from pouchdb_collections.collection import Collection
from pouchdb_collections.model_errors import ModelError, NewerVersion, OtherKind
from pouchdb_collections.typed_rows import Change, Row
from pouchdb_core import hookimpl
from pouchdb_core.methods import Operation, registering

__all__ = [
    "AsyncCollection",
    "Change",
    "Collection",
    "Migration",
    "Misfits",
    "ModelError",
    "NewerVersion",
    "OtherKind",
    "Row",
]


@hookimpl
def pouchdb_database_methods() -> Iterable[Operation[..., Any]]:
    return [registering(Collection, name="collection", asynchronous=AsyncCollection)]
