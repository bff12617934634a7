"""Bulkheads: each kind of work has its own threads, so that no kind can take those of the others.

A call that comes when all are busy waits in a queue, in order, holding no thread. Work on one database gets only
a share of the threads of its kind: calls that wait for its lock leave the rest to other databases. A queue is
bounded: a call that finds it full is refused, to be retried later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio

from pouchdb_server.http_errors import Unavailable
from pouchdb_server.workers import Workers

__all__ = ["Bulkhead", "Bulkheads"]

T = TypeVar("T")

KEPT = 500
"""Databases whose shares are kept while they are not in use."""
RETRY_AFTER = "5"
"""Seconds after which a client that found a queue full may retry."""


@dataclass(slots=True)
class _Share:
    """What the work on one database may take of a bulkhead."""

    limiter: anyio.CapacityLimiter
    users: int = 0
    waiting: int = 0


@dataclass(slots=True)
class Bulkhead:
    """A number of threads for one kind of work, and a queue of bounded length before them."""

    name: str
    workers: Workers
    places: int
    share: int
    """Places for the work on one database at the same time."""
    line: int
    """How many calls may wait, for each database and for all that have their share."""
    hashes: bool = False
    """Passwords are checked here."""
    waiting: int = 0
    _limiter: anyio.CapacityLimiter = field(init=False)
    _shares: dict[str, _Share] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(self.places)

    async def run(self, function: Callable[..., T], *args: Any, of: str | None = None, admitted: bool = False) -> T:
        """Call a function on a thread; ``of`` names the database it works on.

        ``admitted`` work is part of something that has begun, and waits however long the queue is. Raises
        Unavailable when the queue is full.
        """
        # Each call is a separate borrower: a request may have several.
        borrower = object()
        share = None if of is None else self._share_of(of)
        try:
            # What need not wait enters without a coroutine of its own: a tenth of what the hand-off costs.
            if share is not None and not _enters(share.limiter, borrower):
                await self._wait(share.limiter, share, borrower, admitted)
            try:
                if not _enters(self._limiter, borrower):
                    await self._wait(self._limiter, self, borrower, admitted)
            except BaseException:
                if share is not None:
                    share.limiter.release_on_behalf_of(borrower)
                raise
        except BaseException:
            if share is not None:
                share.users -= 1
            raise

        # When the thread is free, which may be after the caller stopped waiting.
        def free() -> None:
            self._limiter.release_on_behalf_of(borrower)
            if share is not None:
                share.limiter.release_on_behalf_of(borrower)
                share.users -= 1

        return await self.workers.run(function, *args, after=free)

    def _share_of(self, database: str) -> _Share:
        share = self._shares.get(database)
        if share is None:
            if len(self._shares) >= KEPT:
                # Kept while there are few: making one takes as long as handing a function to a thread.
                self._shares = {name: each for name, each in self._shares.items() if each.users}
            share = self._shares[database] = _Share(anyio.CapacityLimiter(self.share))
        share.users += 1
        return share

    async def _wait(
        self, limiter: anyio.CapacityLimiter, line: Bulkhead | _Share, borrower: object, admitted: bool
    ) -> None:
        # Each database has its own queue before that of all: filling it keeps no other database out.
        if line.waiting >= self.line and not admitted:
            raise Unavailable(
                f"there is too much to do just now: {line.waiting} requests wait ({self.name})",
                headers={"Retry-After": RETRY_AFTER},
            )
        line.waiting += 1
        try:
            await limiter.acquire_on_behalf_of(borrower)
        finally:
            line.waiting -= 1


def _enters(limiter: anyio.CapacityLimiter, borrower: object) -> bool:
    """Take a place, if one is free."""
    try:
        limiter.acquire_on_behalf_of_nowait(borrower)
    except anyio.WouldBlock:
        return False
    return True


class Bulkheads:
    """The bulkheads of one server, by kind of work."""

    def __init__(self, workers: Workers, readers: int, builders: int, line: int) -> None:
        def bulkhead(name: str, places: int, share: int | None = None) -> Bulkhead:
            return Bulkhead(name, workers, places, share or places, line)

        half = max(1, readers // 2)
        self.quick = bulkhead("quick answers", 2)
        """Work that needs no database."""
        self.reads = bulkhead("reads", readers, half)
        self.writes = bulkhead("writes", half, max(1, readers // 4))
        self.large = bulkhead("large bodies", 2, 1)
        """Bodies that are parsed as a whole and take much memory."""
        self.uploads = bulkhead("uploads", max(2, readers // 4))
        """Full pieces of uploads to their files."""
        self.passwords = Bulkhead("password hashing", workers, 2, 2, line, hashes=True)
        self.builds = bulkhead("view builds", builders, max(1, builders // 2))
        self.feeds = bulkhead("feeds", half)
        """Steps of feeds that were woken."""
