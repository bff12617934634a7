"""Replicas in PostgreSQL: each environment has a list of databases of its own, on one server.

A copy behind the back of a database is one of its rows, as ``pg_dump`` and a base backup make it; one that knows that
it is a copy is a dump. Some replicas stay in memory, so that rows travel between the two kinds of store too.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

from replicas.seeds import Player
from replicas.stores import SqliteStore, Store

from pouchdb_core.dump import dump, load

if TYPE_CHECKING:
    import psycopg
    from replicas.plan import Setup
    from replicas.replica import Replica

__all__ = ["OPTION", "PostgresStores", "postgres_player", "server"]

OPTION = "--postgres"
_names = itertools.count(1)


def server() -> ModuleType:
    """Return the module of the plug-in's tests that starts a server."""
    path = Path(__file__).parents[3] / "plugins" / "postgres" / "tests" / "server.py"
    spec = importlib.util.spec_from_file_location("simulation_postgres_server", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def postgres_player() -> Iterator[Player]:
    """Have a server, and what plays seeds over it."""
    module = server()
    reason = module.missing()
    if reason is not None:
        raise SystemExit(reason)
    running = module.Postgres()
    try:
        yield Player(functools.partial(PostgresStores, running.url()), f" {OPTION}")
    finally:
        running.remove()


class PostgresStores:
    """Stores on a server, removed with their world."""

    def __init__(self, url: str, setup: Setup, directory: Path) -> None:
        import psycopg
        from pouchdb_postgres.listening import Listener

        self._url = url
        self._chance = random.Random(setup.seed)
        self.name = f"world_{os.getpid()}_{next(_names)}"
        self._shared: Store | None = None
        # Nobody else writes: see ``world``.
        self._deaf = mock.patch.object(Listener, "listen", autospec=True, return_value=None)
        self._deaf.start()
        try:
            self.connection: psycopg.Connection[Any] = psycopg.connect(url, autocommit=True)
        except BaseException:
            self._deaf.stop()
            raise

    def store(self, place: int, kind: str) -> Store:
        if kind == "shared":
            self._shared = self._shared or PostgresStore(self, self._url, f"{self.name}_shared")
            return self._shared
        if kind == "memory" and self._chance.random() < 0.2:
            return SqliteStore(None)
        return PostgresStore(self, self._url, f"{self.name}_r{place}")

    def remove(self) -> None:
        try:
            found = self.connection.execute(
                "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", (f"{self.name}_",)
            ).fetchall()
            for (schema,) in found:
                self.connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
        finally:
            self.connection.close()
            self._deaf.stop()


class PostgresStore:
    """A list of databases in a schema."""

    directory = None

    def __init__(self, stores: PostgresStores, url: str, schema: str) -> None:
        from pouchdb_postgres import PostgresAdapter

        self.adapter: type[Any] = PostgresAdapter
        self.url: str | None = f"{url}?schema={schema}"
        self._stores, self._schema = stores, schema

    def _run(self, sql: str, *params: object) -> list[tuple[Any, ...]]:
        cursor = self._stores.connection.execute(sql, params or None)
        return cursor.fetchall() if cursor.description else []

    def _rows(self, replica: Replica) -> str:
        """Return the schema with the rows of a replica."""
        ((schema,),) = self._run(f'SELECT schema FROM "{self._schema}".databases WHERE name = %s', replica.name)
        return str(schema)

    def _copy(self, path: Path) -> str:
        """Return the schema of a copy of rows: by its path, since a replica may have it that changed places."""
        return f"{self._stores.name}_copy_{path.name}"

    def backup(self, replica: Replica, path: Path, *, raw: bool) -> None:
        if not raw:
            with path.open("xb") as file:
                dump(replica.db, file)
            return
        source, target = self._rows(replica), self._copy(path)
        self._run(f'CREATE SCHEMA "{target}"')
        for table in self._tables(source):
            self._run(f'CREATE TABLE "{target}"."{table}" AS TABLE "{source}"."{table}"')

    def restore(self, replica: Replica, path: Path) -> None:
        if not path.exists():
            replica.env.close()
            source, target = self._copy(path), self._rows(replica)
            with self._stores.connection.transaction():
                for table in self._tables(target):
                    self._run(f'TRUNCATE "{target}"."{table}"')
                    self._run(f'INSERT INTO "{target}"."{table}" TABLE "{source}"."{table}"')
            replica.open_again()
            return
        replica.env.destroy(replica.name)
        replica.env.close()
        replica.open_again()
        with path.open("rb") as file:
            load(replica.db, file)

    def _tables(self, schema: str) -> list[str]:
        sql = (
            "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind = 'r' "
            "AND relname <> 'indexes' ORDER BY 1"
        )
        return [table for (table,) in self._run(sql, schema)]

    def swap(self, left: Replica, right: Replica) -> None:
        schemas = [self._rows(left), right.store._rows(right)]  # type: ignore[attr-defined]  # of one kind
        for each in (left, right):
            each.env.close()
        for each, schema in zip((right, left), schemas, strict=True):
            store: Any = each.store
            self._run(f'UPDATE "{store._schema}".databases SET schema = %s', schema)
        for each in (left, right):
            each.open_again()
