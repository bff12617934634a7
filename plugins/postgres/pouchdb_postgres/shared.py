"""What the processes of all hosts share beside databases: short texts in a table beside the list, advisory locks."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import psycopg

from pouchdb_core.forks import renew_in_child
from pouchdb_postgres.failures import storage_error
from pouchdb_postgres.places import changing, listed, make_list, reading

if TYPE_CHECKING:
    from pouchdb_postgres.session import Server, Session

__all__ = ["PostgresLock", "PostgresShared"]

_TABLE = 'CREATE TABLE IF NOT EXISTS shared (name TEXT COLLATE "C" PRIMARY KEY, text TEXT NOT NULL)'


class PostgresShared:
    """A ``Shared``. ``server()`` returns the server, which is connected when something is asked."""

    def __init__(self, server: Callable[[], Server]) -> None:
        self._server = server

    def text(self, name: str) -> str | None:
        server = self._server()

        def ask(session: Session) -> str | None:
            return _text(session, name) if listed(session, server) and _is_there(session) else None

        return reading(server, ask)

    def change(self, name: str, change: Callable[[str | None], str]) -> str:
        server = self._server()

        def ask(session: Session) -> str:
            make_list(session, server)
            # A place that is older than this table gets it now; who does not know of it, does not need it.
            session.plain.execute(_TABLE, prepare=False)
            text = change(_text(session, name))
            session.rows.execute(
                "INSERT INTO shared VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET text = excluded.text", (name, text)
            )
            return text

        return changing(server, f"{name} of {server.address.shown}", ask)

    def lock(self, name: str) -> PostgresLock:
        return PostgresLock(self._server(), name)


def _is_there(session: Session) -> bool:
    return session.rows.execute("SELECT to_regclass('shared') IS NOT NULL").fetchone() == (True,)


def _text(session: Session, name: str) -> str | None:
    row = session.rows.execute("SELECT text FROM shared WHERE name = %s", (name,)).fetchone()
    return None if row is None else row[0]


class PostgresLock:
    """A ``SharedLock``: an advisory lock of a connection of its own, which the server takes back when that is lost.

    Who does not have it keeps no connection. A child that is forked gets a copy of the socket, and the lock would
    last as long as the copy, so the child closes it.
    """

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        digest = hashlib.sha256(f"pouchdb {server.address.schema} {name}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self._session: Session | None = None
        self._lock = threading.Lock()
        renew_in_child(self._forked)

    def acquire(self) -> bool:
        with self._lock:
            if self._session is not None:
                try:
                    # It is ours as long as the connection is.
                    self._session.plain.execute("SELECT 1", prepare=False)
                except psycopg.Error:
                    self._session.close()
                    self._session = None
                else:
                    return True
            session = self._server.connect()
            try:
                taken = session.rows.execute("SELECT pg_try_advisory_lock(%s::int8)", (self._key,)).fetchone()
            except psycopg.Error as error:
                session.close()
                raise storage_error(error, self._server.address.shown, broken=True) from error
            if taken == (True,):
                self._session = session
                return True
            session.close()
            return False

    def release(self) -> None:
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None

    def _forked(self) -> None:
        """Let go of the copy that a forked child has."""
        self._lock = threading.Lock()
        if self._session is not None:
            # Not by the session: that would tell the server that the parent's connection ends.
            os.close(self._session.fileno())
            _inherited.append(self._session)
            self._session = None


# Of the process, as forks are.
_inherited: list[Session] = []
