"""Notifying feeds of commits on other hosts: one connection of the process listens, for all of its databases."""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
import weakref

import psycopg

from pouchdb_core.errors import PouchDBError
from pouchdb_core.forks import renew_in_child
from pouchdb_postgres.connections import Connections
from pouchdb_postgres.session import Server, Session

__all__ = ["Listener", "listener_of"]

logger = logging.getLogger("pouchdb.live")

LOOK = 30.0
"""Seconds after which a silent connection is checked."""
STANDBY = 0.5
"""Seconds after which feeds of a standby look again: it notifies nobody."""
SHORTEST, LONGEST = 0.05, 5.0
"""Seconds between two attempts to connect again."""


class Listener:
    """Wakes the feeds of databases when the server notifies of a commit.

    A lost connection is opened again, and then all feeds are woken: they may have missed something. It is open
    only as long as a feed listens.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._closed = False
        self._reset()
        renew_in_child(self._forked)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._wanted: dict[str, list[weakref.ref[Connections]]] = {}
        self._thread: threading.Thread | None = None
        self._bell, self._wire = socket.socketpair()
        self._bell.setblocking(False)
        self._wire.setblocking(False)
        weakref.finalize(self, _hang_up, self._bell, self._wire)

    def _forked(self) -> None:
        if not self._closed:
            _hang_up(self._bell, self._wire)
            self._reset()

    def listen(self, connections: Connections, listening: bool) -> None:
        """Start or stop waking the feeds of a database."""
        with self._lock:
            known = [each for each in self._wanted.get(connections.channel, []) if each() not in (None, connections)]
            if listening:
                known.append(weakref.ref(connections))
            if known:
                self._wanted[connections.channel] = known
            else:
                self._wanted.pop(connections.channel, None)
            if self._wanted and self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="pouchdb-postgres-listener", daemon=True)
                self._thread.start()
        self._ring()

    def close(self) -> None:
        """Stop."""
        with self._lock:
            self._closed, thread = True, self._thread
        self._ring()
        if thread is not None and thread is not threading.current_thread():
            thread.join(5.0)
        _hang_up(self._bell, self._wire)

    def _ring(self) -> None:
        try:
            self._bell.send(b"x")
        except OSError:
            # It has not answered the last ones yet, or is closed.
            pass

    # -- the thread --------------------------------------------------------------------------------------

    def _channels(self) -> set[str] | None:
        """Return the channels to listen to; None when there are none, and the thread ends."""
        with self._lock:
            for channel, known in list(self._wanted.items()):
                if all(each() is None for each in known):
                    del self._wanted[channel]
            if self._closed or not self._wanted:
                self._thread = None
                return None
            return set(self._wanted)

    def _wake(self, channel: str | None = None) -> None:
        with self._lock:
            names = list(self._wanted) if channel is None else [channel]
            found = [each() for name in names for each in self._wanted.get(name, [])]
        for connections in found:
            if connections is not None:
                connections.notifier.notify()

    def _run(self) -> None:
        pause = SHORTEST
        while self._channels() is not None:
            try:
                session = self._server.connect()
            except PouchDBError as error:
                logger.warning("feeds cannot be told of other hosts just now: %s", error.message)
                self._pause(pause)
                pause = min(2 * pause, LONGEST)
                continue
            try:
                self._follow(session)
                pause = SHORTEST
            except (psycopg.Error, OSError) as error:
                logger.warning("the connection that listens was lost: %s", " ".join(str(error).split()))
                self._pause(pause)
                pause = min(2 * pause, LONGEST)
            finally:
                session.close()

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._closed and time.monotonic() < deadline:
            select.select([self._wire], [], [], max(0.0, deadline - time.monotonic()))
            self._drain()

    def _drain(self) -> None:
        try:
            while self._wire.recv(4096):
                pass
        except OSError:
            pass

    def _follow(self, session: Session) -> None:
        """Listen until no feed needs it any more. Raises psycopg.Error when the connection is lost."""
        heard: set[str] = set()
        while True:
            wanted = self._channels()
            if wanted is None:
                return
            changed = [f'LISTEN "{name}"' for name in wanted - heard]
            changed += [f'UNLISTEN "{name}"' for name in heard - wanted]
            if changed:
                try:
                    session.plain.execute("; ".join(changed), prepare=False)
                except psycopg.errors.ReadOnlySqlTransaction:
                    # A standby follows another server, and may take its place: then this is a listener again.
                    self._wake()
                    self._pause(STANDBY)
                    continue
                for name in wanted - heard:
                    # The server does not notify of earlier writes.
                    self._wake(name)
                heard = wanted
            readable, _, _ = select.select([session.fileno(), self._wire.fileno()], [], [], LOOK)
            if self._wire.fileno() in readable:
                self._drain()
            if not readable:
                session.plain.execute("SELECT 1", prepare=False)
            for told in session.notifies(timeout=0):
                self._wake(told.channel)


def _hang_up(*ends: socket.socket) -> None:
    for each in ends:
        each.close()


def listener_of(server: Server) -> Listener:
    """Return the listener of a server."""
    found: Listener | None = server.listener
    if found is None:
        found = server.listener = Listener(server)
        server.at_end(found.close)
    return found
