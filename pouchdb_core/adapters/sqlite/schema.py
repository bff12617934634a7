"""The schema's versions: making it, recognising it, migrating older files."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from pouchdb_core.adapters.sqlite.content_migration import key_content
from pouchdb_core.adapters.sqlite.models import create_tables
from pouchdb_core.adapters.sqlite.transactions import APPLICATION_ID, Connections
from pouchdb_core.errors import NewerSchema, NotADatabase

__all__ = ["MIGRATIONS", "Migration", "identify", "initialise", "upgrade"]

Migration = Callable[[Connections], None]


def _version_1(connections: Connections) -> None:
    create_tables(connections.database)


def _version_2(connections: Connections) -> None:
    """The register of indexes; each has its own tables, named by its number (see index_store)."""
    connections.run(
        "CREATE TABLE indexes (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, signature TEXT NOT NULL, "
        "seq INTEGER NOT NULL DEFAULT 0, purge_seq INTEGER NOT NULL DEFAULT 0, "
        "fresh_until INTEGER NOT NULL DEFAULT 0, state BLOB, mark TEXT, builder TEXT, "
        "heartbeat REAL NOT NULL DEFAULT 0, UNIQUE (kind, signature))"
    )


MIGRATIONS: tuple[Migration, ...] = (_version_1, _version_2, key_content)
"""The step to each version; the newest version is their number."""


def initialise(connections: Connections, name: str, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Make an empty SQLite database one of ours."""
    connections.run(f"PRAGMA application_id = {APPLICATION_ID}")
    with connections.write():
        for migration in migrations:
            migration(connections)
        identify(connections.run, name)
        connections.run(f"PRAGMA user_version = {len(migrations)}")


def identify(run: Callable[[str, tuple[Any, ...]], Any], name: str) -> None:
    """Give an empty database its name, and make it a new one; inside a transaction, if any."""
    rows = [
        (key, orjson.dumps(value))
        for key, value in (("name", name), ("uuid", uuid.uuid4().hex), ("epoch", uuid.uuid4().hex))
    ]
    run("INSERT OR REPLACE INTO metadata (key, value) VALUES (?, ?), (?, ?), (?, ?)", tuple(itertools.chain(*rows)))


def upgrade(connections: Connections, what: str, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Migrate the file to the newest version; each step is one transaction.

    Raises NotADatabase for a file of another program, NewerSchema for one of a newer version.
    """
    if connections.one("PRAGMA application_id")[0] != APPLICATION_ID:
        raise NotADatabase(f"{what}: the file belongs to another program")
    while True:
        version = connections.one("PRAGMA user_version")[0]
        if version > len(migrations):
            raise NewerSchema(
                f"{what}: the file has schema version {version}, this program knows {len(migrations)}; "
                "open it with a newer pouchdb"
            )
        if version == len(migrations):
            return
        with connections.write():
            # Another process may have done this step while we waited for the lock.
            if connections.one("PRAGMA user_version")[0] == version:
                migrations[version](connections)
                connections.run(f"PRAGMA user_version = {version + 1}")
