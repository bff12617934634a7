"""The existing databases: a list in one schema, and a schema for each of them.

The schema of a database is made with it and has a name that is never used again. So a process that has a database open
that was destroyed, and perhaps made again, finds its tables gone instead of those of another database.
"""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import psycopg

from pouchdb_core.errors import DatabaseBusy, NewerSchema, NotADatabase, ReadOnlyStorage
from pouchdb_core.jsontext import dump
from pouchdb_postgres.connections import Connections
from pouchdb_postgres.failures import Undone, lost, storage_error
from pouchdb_postgres.schema import MIGRATIONS, Migration
from pouchdb_postgres.session import Json, Server, Session
from pouchdb_postgres.store import PostgresStore

__all__ = [
    "VERSION",
    "changing",
    "destroy_database",
    "list_databases",
    "listed",
    "make_list",
    "open_database",
    "reading",
]

T = TypeVar("T")

VERSION = 1
"""The version of the list itself."""
MARK = "pouchdb"
TRIES = 5

_LIST = f"""
CREATE TABLE about (mark TEXT NOT NULL, version INTEGER NOT NULL);
INSERT INTO about VALUES ('{MARK}', {VERSION});
CREATE TABLE databases (
  name TEXT COLLATE "C" NOT NULL, digest BYTEA PRIMARY KEY, schema TEXT NOT NULL UNIQUE, version INTEGER NOT NULL
)
"""
# A name may be longer than an index entry.
_DIGEST = "sha256(convert_to(%s, 'UTF8'))"


def list_databases(server: Server) -> list[str]:
    """Return the names of the databases."""

    def ask(session: Session) -> list[str]:
        if not listed(session, server):
            return []
        return [name for (name,) in session.rows.execute("SELECT name FROM databases ORDER BY name").fetchall()]

    return reading(server, ask)


def open_database(
    server: Server, name: str, what: str, migrations: Sequence[Migration] = MIGRATIONS
) -> tuple[PostgresStore, bool]:
    """Open a database, making it if it is missing; return whether it was made.

    Raises NotADatabase where the schema is another program's, NewerSchema if a newer version wrote it.
    """

    def ask(session: Session) -> tuple[str, int] | None:
        return _found(session, name) if listed(session, server) else None

    created = False
    found = reading(server, ask)
    while found is None:
        found, created = _made(server, name, what, migrations)
    schema, version = found
    store = PostgresStore(Connections(server, schema, what))
    if version != len(migrations):
        _upgrade(store, server, name, what, migrations)
    return store, created


def destroy_database(server: Server, name: str, what: str) -> None:
    """Remove a database with its whole schema; a missing one is not an error."""

    def ask(session: Session) -> str | None:
        if not listed(session, server):
            return None
        _lock_list(session, server)
        found = _found(session, name)
        if found is None:
            return None
        schema = found[0]
        # After the current writer, which would otherwise find tables missing.
        session.rows.execute(f'SELECT 1 FROM "{schema}".counters FOR UPDATE')
        session.rows.execute(f"DELETE FROM databases WHERE digest = {_DIGEST}", (name,))
        session.plain.execute(f'DROP SCHEMA "{schema}" CASCADE', prepare=False)
        return schema

    schema = changing(server, what, ask)
    if schema is not None:
        session = server.lend()
        try:
            session.plain.execute(f'NOTIFY "{schema}"', prepare=False)
        except psycopg.Error as error:
            # A listener has lost its connection too, and checks when it has another one.
            if not lost(error, session):
                raise storage_error(error, what) from error
        finally:
            server.give_back(session)


# -- the list ----------------------------------------------------------------------------------------------


def listed(session: Session, server: Server) -> bool:
    """Go to the list; return whether there is one. Raises NotADatabase, NewerSchema."""
    schema, shown = server.address.schema, server.address.shown
    session.go(schema)
    asked = session.rows.execute(
        "SELECT to_regclass('about') IS NOT NULL, (SELECT count(*) FROM pg_class "
        "WHERE relnamespace = to_regnamespace(%s))",
        (schema,),
    ).fetchone()
    if asked == (False, 0):
        return False
    may = "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = %s"
    if session.rows.execute(may, (schema,)).fetchone() == (False,):
        raise ReadOnlyStorage(f"{shown}: permission denied for schema {schema}; the user needs a GRANT of USAGE on it")
    row = None
    if asked is not None and asked[0]:
        columns = (
            "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('about') AND attname IN ('mark', 'version')"
        )
        if session.rows.execute(columns).fetchone() == (2,):
            row = session.rows.execute("SELECT mark, version FROM about").fetchone()
    if row is None or row[0] != MARK:
        raise NotADatabase(
            f"{shown}: the schema {schema!r} belongs to another program; "
            "name another one by ?schema=... at the end of the URL"
        )
    if row[1] > VERSION:
        raise NewerSchema(
            f"{shown}: the list of databases has version {row[1]}, this program knows {VERSION}; "
            "open it with a newer pouchdb"
        )
    return True


def _found(session: Session, name: str) -> tuple[str, int] | None:
    sql = f"SELECT schema, version FROM databases WHERE digest = {_DIGEST} AND name = %s"
    row = session.rows.execute(sql, (name, name)).fetchone()
    return None if row is None else (row[0], row[1])


def _lock_list(session: Session, server: Server) -> None:
    """Allow one process at a time to change the list."""
    session.rows.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"pouchdb {server.address.schema}",))


def make_list(session: Session, server: Server) -> None:
    """Make the list if there is none, and let nobody else change it until the transaction ends."""
    _lock_list(session, server)
    if not listed(session, server):
        there = session.rows.execute("SELECT to_regnamespace(%s) IS NOT NULL", (server.address.schema,)).fetchone()
        if there != (True,):
            session.plain.execute(f'CREATE SCHEMA "{server.address.schema}"', prepare=False)
        session.plain.execute(_LIST, prepare=False)


def _made(server: Server, name: str, what: str, migrations: Sequence[Migration]) -> tuple[tuple[str, int] | None, bool]:
    """Make a database, in one transaction; return also whether this process made it."""
    schema = f"{server.address.schema}_{_slug(name)}_{secrets.token_hex(5)}"

    def ask(session: Session) -> bool:
        make_list(session, server)
        if _found(session, name) is not None:
            return False
        row = (name, name, schema, len(migrations))
        session.rows.execute(f"INSERT INTO databases VALUES (%s, {_DIGEST}, %s, %s)", row)
        session.plain.execute(f'CREATE SCHEMA "{schema}"; SET LOCAL search_path TO "{schema}"', prepare=False)
        _fill(session, server, schema, name, what, migrations)
        return True

    made = changing(server, what, ask)
    if made:
        return (schema, len(migrations)), True

    def again(session: Session) -> tuple[str, int] | None:
        return _found(session, name) if listed(session, server) else None

    return reading(server, again), False


def _fill(session: Session, server: Server, schema: str, name: str, what: str, migrations: Sequence[Migration]) -> None:
    with _in_transaction(session, server, schema, what) as connections:
        for migration in migrations:
            migration(connections)
        for key, value in (("name", name), ("uuid", uuid.uuid4().hex), ("epoch", uuid.uuid4().hex)):
            connections.run("INSERT INTO metadata (key, value) VALUES (?, ?)", (key, Json(dump(value))))


@contextmanager
def _in_transaction(session: Session, server: Server, schema: str, what: str) -> Iterator[Connections]:
    """Use a database in a transaction that a session is in already."""
    connections = Connections(server, schema, what)
    connections.bind(session)
    try:
        yield connections
    finally:
        connections.unbind()


def _upgrade(store: PostgresStore, server: Server, name: str, what: str, migrations: Sequence[Migration]) -> None:
    """Migrate a database to the newest version; each step is one transaction. Raises NewerSchema."""
    table = f'"{server.address.schema}".databases'
    while True:
        with store.write():
            connections = store.connections
            row = connections.one(f"SELECT version FROM {table} WHERE schema = ? FOR UPDATE", (connections.schema,))
            version = len(migrations) if row is None else row[0]
            if version > len(migrations):
                raise NewerSchema(
                    f"{what}: it has schema version {version}, this program knows {len(migrations)}; "
                    "open it with a newer pouchdb"
                )
            if version == len(migrations):
                return
            migrations[version](connections)
            connections.run(f"UPDATE {table} SET version = ? WHERE schema = ?", (version + 1, connections.schema))


def _slug(name: str) -> str:
    """Return the part of a name that is used in its schema's."""
    return re.sub("[^a-z0-9]+", "_", name.lower())[:12].strip("_") or "db"


# -- queries ------------------------------------------------------------------------------------------------


def reading(server: Server, ask: Callable[[Session], T]) -> T:
    """Query on a connection, and on another one if the connection turns out to be dead."""
    while True:
        session = server.lend()
        try:
            return ask(session)
        except psycopg.Error as error:
            broken = lost(error, session)
            if not broken or session.fresh:
                raise storage_error(error, server.address.shown, broken=broken) from error
        finally:
            server.give_back(session)


def changing(server: Server, what: str, ask: Callable[[Session], T]) -> T:
    """Change the list in a transaction; a change can be repeated, so it is retried when the connection breaks."""
    for attempt in range(TRIES):
        session = server.lend()
        try:
            session.go(server.address.schema)
            session.plain.execute("BEGIN", prepare=False)
            answer = ask(session)
            session.plain.execute("COMMIT", prepare=False)
            # The effect of SET LOCAL is over.
            return answer
        except psycopg.Error as error:
            broken = lost(error, session)
            ours = storage_error(error, what, broken=broken)
            if attempt == TRIES - 1 or not (broken or isinstance(ours, Undone)):
                raise ours from error
        finally:
            server.give_back(session)
    raise DatabaseBusy(f"{what}: {DatabaseBusy.default_message}")
