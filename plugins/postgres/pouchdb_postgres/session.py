"""Connections: how values are encoded, the pool, the settings of every session.

Text in PostgreSQL cannot contain NUL, and ids of documents may. So in every string sent or received the first
two characters are written as pairs: U+0000 as 1 1, U+0001 as 1 2. That preserves the order of strings and their
prefixes, so ranges and sorting are unaffected; text without those two is stored unchanged.
"""

from __future__ import annotations

import functools
import logging
import re
import secrets
import selectors
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Protocol

import psycopg
from psycopg import pq
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.types.string import StrBinaryDumper, StrDumper

from pouchdb_core.errors import BadRequest, DatabaseClosed, StorageError
from pouchdb_core.forks import Origin, renew_in_child
from pouchdb_postgres.address import Address
from pouchdb_postgres.failures import connection_failed, lost, storage_error
from pouchdb_postgres.pool import Loan, Pool

__all__ = ["Json", "Reading", "Server", "Session"]

logger = logging.getLogger("pouchdb.adapter")

CONNECT_SECONDS = 10
IDLE_SECONDS = 60.0
"""Seconds after which an unused connection is closed."""
LOCK_SECONDS = 60
"""How long a writer waits for another host before DatabaseBusy; how long a paused host may hold others up."""

_PRESENCE = 0x504F5543
"""The first half of the advisory locks that show which processes are alive ("POUC")."""

SETTINGS = (
    "SET client_min_messages TO warning; "
    # Every statement is written for an index. Plans are cached: one that was made while a table was empty would scan it
    # for ever, and the high cost it is given must not make it JIT-compiled. A page is the next rows in the order of an
    # index: before a table has statistics, a bitmap of all that follow would be made, and sorted, for each page.
    # So would the groups of a page.
    "SET enable_seqscan TO off; SET enable_bitmapscan TO off; SET enable_hashagg TO off; SET jit TO off; "
    f"SET lock_timeout TO '{LOCK_SECONDS}s'; SET idle_in_transaction_session_timeout TO '{LOCK_SECONDS}s'; "
    # A host that lost its power is noticed, and its locks are released.
    "SET tcp_keepalives_idle TO 20; SET tcp_keepalives_interval TO 5; SET tcp_keepalives_count TO 4; "
    # Whether it is read-only is for who keeps the server to say.
    "SET bytea_output TO hex; SET extra_float_digits TO 1; SET standard_conforming_strings TO on; "
    "SET default_transaction_isolation TO 'read committed'"
)


class Json(bytes):
    """Bytes that are text already: JSON in UTF-8, for a column of text."""

    __slots__ = ()


def _dumped(value: Any) -> Buffer:
    if type(value) is Json:
        return value
    text: bytes = value.encode()
    if b"\0" in text or b"\1" in text:
        text = text.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1")
    return text


_PAIR = re.compile("\1(.)", re.DOTALL)


class _Dumper(StrDumper):
    def dump(self, obj: str) -> Buffer:
        return _dumped(obj)


class _BinaryDumper(StrBinaryDumper):
    def dump(self, obj: str) -> Buffer:
        return _dumped(obj)


class _Loader(Loader):
    def load(self, data: Buffer) -> str:
        text = str(data, "utf-8")
        if "\1" in text:
            text = _PAIR.sub(lambda pair: "\0" if pair[1] == "\1" else "\1", text)
        return text


class _BinaryLoader(_Loader):
    format = pq.Format.BINARY


class Reading(Protocol):
    """A snapshot, as far as its connection knows it."""

    def begun(self) -> Session:
        """Return the connection, in a transaction."""

    def moment(self) -> Any:
        """Return what was read at the beginning."""


class Session(psycopg.Connection[tuple[Any, ...]]):
    """A connection."""

    path: str = ""
    """The schema it is at."""
    fresh: bool = True
    """Whether it was made for its current user: an error then is not due to its age."""
    loan: Loan | None = None
    """Who uses it."""
    used: float = 0.0
    """When it was given back."""
    rows: psycopg.Cursor[tuple[Any, ...]]
    """Runs statements with parameters; results come in binary form."""
    plain: psycopg.Cursor[tuple[Any, ...]]
    """Sends several statements at once, which have no parameters."""
    origin: Origin
    """The process that made it."""
    reading: Reading | None = None
    """The snapshot that uses it."""
    ending: bool = False
    """Whether the answer to its last COMMIT was not read yet: see ``end``."""

    def prepared(self) -> None:
        """Set up the session."""
        self.origin = Origin()
        self._kept: dict[str, str] = {}
        self._keeping: dict[str, str] = {}
        self._names = 0
        for kind in (Json, str):
            self.adapters.register_dumper(kind, _Dumper)
            self.adapters.register_dumper(kind, _BinaryDumper)
        for name in ("text", "varchar", "name"):
            self.adapters.register_loader(name, _Loader)
            self.adapters.register_loader(name, _BinaryLoader)
        self.rows, self.plain = self.cursor(binary=True), self.cursor()
        self.plain.execute(SETTINGS, prepare=False)

    def __del__(self, *_: Any) -> None:
        """Say nothing: what an exception took from the call that had it is closed with its last reference."""

    def belongs_to(self, frame: FrameType | None) -> None:
        """Have the loan end with another call."""
        if self.loan is not None:
            self.loan.frame = frame

    def at(self, schema: str) -> str:
        """Return what to send before the first statement for a schema: nothing if the session is there."""
        return "" if self.path == schema else f'SET search_path TO "{schema}"; '

    def kept(self, statements: Sequence[str]) -> str:
        """Return text that executes statements without parameters, which the server parses once for each connection.

        ``has_kept`` is called when it was executed; until then the statements are not counted upon.
        """
        text, self._keeping = "", {}
        for sql in statements:
            name = self._kept.get(sql)
            if name is None:
                self._names += 1
                name = self._keeping[sql] = f"kept_{self._names}"
                text += f"PREPARE {name} AS {sql}; "
            text += f"EXECUTE {name}; "
        return text

    def has_kept(self) -> None:
        """Note that the text of ``kept`` was executed."""
        self._kept.update(self._keeping)
        self._keeping = {}

    def undone(self) -> None:
        """Note that a transaction was rolled back: its search_path went with it, and psycopg deallocates statements."""
        self.path = ""
        self._kept.clear()

    def end(self) -> None:
        """Send COMMIT for a transaction that only read, and do not wait for the answer: there is nothing to know.

        Who uses the connection next calls ``ended`` first.
        """
        try:
            self.pgconn.send_query(b"COMMIT")
            sent = self.pgconn.flush() == 0
        except psycopg.Error:
            sent = False
        if sent:
            self.ending = True
        else:
            self.close()

    def ended(self) -> bool:
        """Read the answer that ``end`` did not wait for; return whether the connection can be used."""
        pgconn = self.pgconn
        try:
            pgconn.consume_input()
            while True:
                while pgconn.is_busy():
                    with selectors.DefaultSelector() as selector:
                        selector.register(pgconn.socket, selectors.EVENT_READ)
                        selector.select()
                    pgconn.consume_input()
                if pgconn.get_result() is None:
                    break
        except psycopg.Error:
            return False
        self.ending = False
        return self.info.transaction_status == TransactionStatus.IDLE

    def go(self, schema: str) -> None:
        """Go to a schema."""
        if self.path != schema:
            self.plain.execute(f'SET search_path TO "{schema}"', prepare=False)
            self.path = schema


class Server:
    """A PostgreSQL server as one process sees it: its pool of connections. Forked children get their own."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._conninfo = _conninfo(address)
        self._closed = False
        self._ends: list[Callable[[], None]] = []
        self.listener: Any = None
        """The ``listening.Listener`` of the process, once something listens."""
        self._reset()
        renew_in_child(self._forked)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._pool: Pool[Session] | None = None
        self._keeper: Session | None = None
        """The connection whose lock shows that this process is alive."""
        self._presence = ""

    def _forked(self) -> None:
        # Inherited connections belong to the parent: they are neither used nor closed here.
        _INHERITED.append((self._pool, self._keeper, self._lock))
        self._reset()

    def lend(self, frame: FrameType | None = None, schema: str | None = None, *, write: bool = False) -> Session:
        """Return an unused connection, for ``give_back``. Raises what ``connect`` does, and DatabaseBusy.

        It is taken back when the call of ``frame`` ends, which is the caller. ``schema`` is that of the database it is
        for: one that is there already is preferred.
        """
        pool = self._pool
        if pool is None:
            pool = self._opened()
        frame = frame or sys._getframe(1)
        while True:
            session = pool.lend(Loan(frame, schema, writes=write))
            if not session.ending or session.ended():
                return session
            session.close()
            self.give_back(session)

    def give_back(self, session: Session) -> None:
        """Take back a connection; a transaction left open is rolled back."""
        session.fresh = False
        if not session.origin.here():
            # It was lent before a fork, and this is the child.
            _INHERITED.append(session)
            return
        if session.loan is not None:
            session.loan.over = True
        if not (session.ending or session.closed) and session.info.transaction_status != TransactionStatus.IDLE:
            try:
                session.plain.execute("ROLLBACK", prepare=False)
            except psycopg.Error:
                # In the middle of a statement, or broken.
                session.close()
            session.undone()
        pool = self._pool
        if pool is None:
            session.close()
            return
        pool.give_back(session)

    def connect(self) -> Session:
        """Make a connection outside of the pool. Raises Unreachable, Unauthorized, DatabaseBusy, StorageError."""
        return _connected(self._conninfo, self.address.shown)

    def _opened(self) -> Pool[Session]:
        with self._lock:
            if self._closed:
                raise DatabaseClosed("the environment is closed")
            if self._pool is None:
                self._check()
                address = self.address
                busy = (
                    f"{address.shown}: no connection became free within {address.pool_timeout:g} seconds; this "
                    f"process has {address.pool_size} (pool_size in the URL)"
                )
                self._pool = pool = Pool(
                    functools.partial(_connected, self._conninfo, address.shown),
                    address.pool_size,
                    address.pool_timeout,
                    IDLE_SECONDS,
                    busy,
                )
                weakref.finalize(self, _close, pool, Origin())
            return self._pool

    def _check(self) -> None:
        """Connect once, since the pool tries again for a while; see what kind of database it is."""
        session = self.connect()
        try:
            encoding = session.info.parameter_status("server_encoding")
            if encoding not in ("UTF8", None):
                raise StorageError(
                    f"{self.address.shown}: the encoding of the database is {encoding}, and documents need UTF8; "
                    "make one with: createdb --encoding=UTF8 --template=template0"
                )
        finally:
            session.close()

    # -- presence ----------------------------------------------------------------------------------------

    def presence(self) -> str:
        """Return the name of this process for others: a lock of the server, released with the connection."""
        with self._lock:
            if self._closed:
                raise DatabaseClosed("the environment is closed")
            keeper = self._keeper
            if keeper is not None:
                try:
                    keeper.plain.execute("SELECT 1", prepare=False)
                except psycopg.Error:
                    keeper.close()
                else:
                    return self._presence
            keeper = self.connect()
            key = secrets.randbelow(2**31)
            keeper.rows.execute("SELECT pg_advisory_lock(%s::int4, %s::int4)", (_PRESENCE, key))
            self._keeper, self._presence = keeper, f"postgresql:{key}"
            return self._presence

    def is_present(self, name: str) -> bool:
        """Return whether the process with this name from ``presence`` has its connection."""
        parts = name.split(":")
        if len(parts) < 2 or parts[0] != "postgresql" or not parts[1].isdecimal():
            return False
        sql = (
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = %s::oid AND objid = %s::oid "
            "AND objsubid = 2 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        session = self.lend()
        try:
            return session.rows.execute(sql, (_PRESENCE, int(parts[1]))).fetchone() is not None
        except psycopg.Error as error:
            raise storage_error(error, self.address.shown, broken=lost(error, session)) from error
        finally:
            self.give_back(session)

    def at_end(self, end: Callable[[], None]) -> None:
        """Call a function when the server is released."""
        self._ends.append(end)

    def close(self) -> None:
        """Close all connections."""
        for end in self._ends:
            end()
        self._closed = True
        if self._keeper is not None:
            self._keeper.close()
        if self._pool is not None:
            self._pool.close()


def _connected(conninfo: str, shown: str) -> Session:
    try:
        session = Session.connect(conninfo, autocommit=True)
    except (psycopg.Error, OSError) as error:
        raise connection_failed(error, shown) from error
    except BaseException as error:
        # The connection that was being made is in the frames of psycopg only, which a kept traceback keeps: closed.
        if error.__traceback__ is not None:
            traceback.clear_frames(error.__traceback__.tb_next)
        raise
    try:
        session.prepared()
    except BaseException as error:
        session.close()
        if isinstance(error, psycopg.Error):
            raise storage_error(error, shown) from error
        raise
    return session


_DEFAULTS: dict[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "application_name": "pouchdb",
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 4,
}


def _conninfo(address: Address) -> str:
    try:
        given = conninfo_to_dict(address.conninfo)
    except psycopg.Error as error:
        raise BadRequest(f"{address.shown}: the URL cannot be read: {' '.join(str(error).split())}") from None
    return make_conninfo(**{**_DEFAULTS, **given, "client_encoding": "utf8"})


_INHERITED: list[object] = []
"""Kept for ever: collecting it in a child would close the parent's connection at the server."""


def _close(pool: Pool[Session], origin: Origin) -> None:
    if origin.here():
        pool.close()
