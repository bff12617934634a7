"""Which databases are listed.

The list is the storage's own, so it cannot drift from it. Only what ``reset_all_dbs`` hid is
remembered: an empty file per hidden database, removed when the database is opened again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from pouchdb_core import SyncEnvironment, SyncPouchDB

__all__ = ["all_dbs", "reset_all_dbs", "show"]


def all_dbs(env: SyncEnvironment) -> list[str]:
    """Return the names of all local databases in code point order, also of those opened by other processes.

    View databases and remote ones are never listed, nor what ``reset_all_dbs`` hid.
    """
    folder = _folder(env)
    hidden = {path.name for path in folder.iterdir()}
    return [name for name in env.names() if _mark(name) not in hidden]


def reset_all_dbs(env: SyncEnvironment) -> None:
    """Forget all databases: ``all_dbs()`` lists none of them until it is opened again. Nothing is deleted."""
    folder = _folder(env)
    for name in env.names():
        (folder / _mark(name)).touch()


def show(database: SyncPouchDB) -> None:
    """List a database again, because it was opened."""
    if not database.remote:
        (_folder(database.environment.sync_view) / _mark(database.name)).unlink(missing_ok=True)


def _folder(env: SyncEnvironment) -> Path:
    return env.plugin_directory("all_dbs")


def _mark(name: str) -> str:
    """Return the file's name that hides a database: any database name, safe on any file system."""
    return hashlib.sha256(name.encode()).hexdigest()
