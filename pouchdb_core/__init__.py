"""The engine of pouchdb: what plug-in authors import.

``import pouchdb`` is for users; this package knows no plug-in by name.
"""

from __future__ import annotations

from pouchdb_core.database import AbstractPouchDB, SyncPouchDB
from pouchdb_core.environment import AbstractEnvironment, SyncEnvironment
from pouchdb_core.hookspecs import hookimpl, hookspec
from pouchdb_core.methods import operation, registering
from pouchdb_core.results import Record
from pouchdb_core.state import Slot
from pouchdb_core.tables import Table
from pouchdb_core.transforms import Transform

__all__ = [
    "AbstractEnvironment",
    "AbstractPouchDB",
    "Record",
    "Slot",
    "SyncEnvironment",
    "SyncPouchDB",
    "Table",
    "Transform",
    "hookimpl",
    "hookspec",
    "operation",
    "registering",
]
