"""Which connection a thread uses, and whose turn it is to write."""

from __future__ import annotations

from threading import get_ident
from types import FrameType

from pouchdb_core.adapters.write_lock import Turns
from pouchdb_core.changes.notify import Notifier
from pouchdb_core.errors import DatabaseClosed, ReentrantWrite
from pouchdb_core.forks import renew_in_child
from pouchdb_postgres.session import Server, Session

__all__ = ["Lending"]


class Lending:
    """The connections that the threads of this process use for one database."""

    def __init__(self, server: Server, schema: str, what: str) -> None:
        self.server, self.schema, self.what = server, schema, what
        self.notifier = Notifier()
        self.channel = schema
        """Its channel for NOTIFY."""
        self._closed = False
        self._reset()
        renew_in_child(self._reset)

    def _reset(self) -> None:
        # In a forked child: transactions under way belong to threads of another process.
        self.turns = Turns()
        self.bound: dict[int, Session] = {}
        """The connection of a thread that is in a transaction or a snapshot."""

    def check_open(self) -> None:
        """Raise DatabaseClosed after ``close()``."""
        if self._closed:
            raise DatabaseClosed()

    def close(self) -> None:
        self._closed = True

    def lend(self, frame: FrameType | None, *, write: bool = False) -> Session:
        """Return an unused connection until a call ends. Raises DatabaseClosed, and what ``Server.lend`` does.

        One to ``write`` ends what another writer of the database left behind, whose call has ended.
        """
        self.check_open()
        return self.server.lend(frame, self.schema, write=write)

    def mine(self) -> Session | None:
        """Return the connection of this thread's transaction or snapshot.

        One that was left without its end, by an asynchronous exception, is none: its connection may be another call's.
        """
        session = self.bound.get(get_ident())
        if session is None:
            return None
        loan = session.loan
        if loan is not None and loan.mine and not loan.lost():
            return session
        self.bound.pop(get_ident(), None)
        return None

    def bind(self, session: Session) -> None:
        """Make this thread use a session that is in its owner's transaction."""
        self.bound[get_ident()] = session

    def unbind(self) -> None:
        """End that."""
        del self.bound[get_ident()]

    def alone(self) -> None:
        """Raise ReentrantWrite if the calling thread is in the middle of a transaction."""
        owner = self.turns.owner
        if owner is not None and owner.mine and not self.turns.recover():
            raise ReentrantWrite(f"{self.what}: {ReentrantWrite.default_message}")
