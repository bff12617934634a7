"""Errors of PostgreSQL as our errors, by SQLSTATE."""

from __future__ import annotations

import psycopg

from pouchdb_core.errors import (
    BadRequest,
    Damaged,
    DatabaseBusy,
    DiskFull,
    NotFound,
    PouchDBError,
    ReadOnlyStorage,
    StorageError,
    TimedOut,
    TooManyOpenFiles,
    Unauthorized,
    Unreachable,
)

__all__ = ["GONE", "Undone", "connection_failed", "lost", "storage_error"]

GONE = "the database was destroyed or replaced while it was open"


class Undone(DatabaseBusy):
    """A transaction that certainly had no effect, and may be retried: it was not at fault."""


# The first match decides: complete states come before classes of states.
_STATES: tuple[tuple[str, type[PouchDBError], str], ...] = (
    ("42501", ReadOnlyStorage, "; the user needs a GRANT of CREATE on the database, and the schemas he made himself"),
    (
        "25006",
        ReadOnlyStorage,
        "; the server is read-only: target_session_attrs=read-write finds the one that a standby follows",
    ),
    ("53100", DiskFull, ""),
    ("53300", DatabaseBusy, "; all of the server's connections are in use: raise max_connections, or lower pool_size"),
    ("57014", TimedOut, "; nothing was written"),
    ("55P03", DatabaseBusy, ": another host kept the database locked for too long"),
    ("40P01", Undone, ""),
    ("40001", Undone, ""),
    ("25P03", Undone, ": the transaction was idle for too long, and undone"),
    ("28", Unauthorized, ""),
    ("3D000", StorageError, "; make it first: createdb"),
    ("57P0", Unreachable, ""),
    ("08", Unreachable, ""),
    ("XX00", Damaged, ""),
)


def lost(error: BaseException | None, connection: psycopg.Connection[object] | None) -> bool:
    """Return whether an error means that the connection broke: the statement may have been executed."""
    if not isinstance(error, psycopg.Error):
        return False
    state = error.sqlstate or ""
    if state.startswith(("57P0", "08")) or state == "25P03":
        return True
    return (
        connection is not None
        and (connection.broken or connection.closed)
        and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
    )


def storage_error(error: Exception, what: str, *, broken: bool = False) -> PouchDBError:
    """Return a driver's error as one of ours; ``what`` names the database."""
    state = getattr(error, "sqlstate", None) or ""
    text = f"{what}: {_text(error)}"
    if state in ("42P01", "3F000"):
        return NotFound(f"{what}: {GONE}")
    for start, kind, cure in _STATES:
        if state.startswith(start):
            return kind(text + cure)
    if broken:
        return Unreachable(text)
    return StorageError(text)


def connection_failed(error: Exception, shown: str) -> PouchDBError:
    """Return the error for a failed connection."""
    text = _text(error)
    state = getattr(error, "sqlstate", None) or ""
    # An error before there is a connection has no state.
    if not state:
        for part, found in (
            ("too many clients", "53300"),
            ("remaining connection slots", "53300"),
            ("too many connections", "53300"),
            ("authentication failed", "28P01"),
            ("no password supplied", "28P01"),
            ("no pg_hba.conf entry", "28000"),
            ("role ", "28000"),
            ("does not exist", "3D000"),
        ):
            if part in text:
                state = found
                break
    if isinstance(error, OSError) and "Too many open files" in text:
        return TooManyOpenFiles(f"{shown}: {text}")
    for start, kind, cure in _STATES:
        if state and state.startswith(start):
            return kind(f"{shown}: {text}{cure}")
    if text.startswith("connection is bad: invalid "):
        # libpq looks at the values of its parameters when it connects.
        return BadRequest(f"{shown}: {text}")
    return Unreachable(f"PostgreSQL at {shown} cannot be reached: {text}")


def _text(error: Exception) -> str:
    # libpq's messages have several lines: what was tried, and why it failed.
    return " ".join(str(error).split()) or type(error).__name__
