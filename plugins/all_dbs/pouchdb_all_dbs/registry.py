"""Which databases are listed.

The list is read from the storage, so it cannot differ from it. Only what ``reset_all_dbs`` hid is
remembered: an empty file per hidden database, removed when the database is opened again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from pouchdb_core import Slot, SyncEnvironment

__all__ = ["all_dbs", "reset_all_dbs", "show"]

IN_MEMORY: Slot[set[str]] = Slot("marks of hidden databases", lambda env: set())
"""Marks of an environment that stores nothing on disk."""


def all_dbs(env: SyncEnvironment) -> list[str]:
    """Return the names of all local databases in code point order, also of those opened by other processes.

    View databases and remote ones are never listed, nor those that ``reset_all_dbs`` hid.
    """
    hidden = set(_hidden(env))
    return [name for name in env.names() if _mark(env.prefix + name) not in hidden]


def reset_all_dbs(env: SyncEnvironment) -> None:
    """Forget all databases: ``all_dbs()`` lists none of them until it is opened again. Nothing is deleted."""
    marks = [_mark(env.prefix + name) for name in env.names()]
    if env.directory is None:
        env.state(IN_MEMORY).update(marks)
    else:
        for mark in marks:
            (env.plugin_directory("all_dbs") / mark).touch()


def show(env: SyncEnvironment, name: str) -> None:
    """List a database (again); ``name`` is its full name."""
    if env.directory is None:
        env.state(IN_MEMORY).discard(_mark(name))
    else:
        (env.plugin_directory("all_dbs") / _mark(name)).unlink(missing_ok=True)


def _hidden(env: SyncEnvironment) -> Iterable[str]:
    if env.directory is None:
        return env.state(IN_MEMORY)
    return (path.name for path in env.plugin_directory("all_dbs").iterdir())


def _mark(name: str) -> str:
    """Return the name of the file that hides a database: for any database name, safe on any file system."""
    return hashlib.sha256(name.encode()).hexdigest()
