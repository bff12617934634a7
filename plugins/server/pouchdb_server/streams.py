"""Response bodies: sent while an iterator makes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from pouchdb_core.runner import Idle
from pouchdb_server.incoming import Message, Receive

if TYPE_CHECKING:
    from pouchdb_server.bulkheads import Bulkhead
    from pouchdb_server.messages import Subscribe

__all__ = ["Send", "Sender"]

Send = Callable[[Message], Awaitable[None]]

PIECE = 64 * 1024
"""About how much of a body is made before it is sent."""


class Sender:
    """Sends the body that an iterator makes. While it waits, it holds no thread.

    Ends when the iterator does, when the client is gone, when it reads nothing for ``patience``
    seconds, and when ``stop()`` is called; the iterator is closed in any case.
    """

    def __init__(self, threads: Bulkhead, of: str | None, receive: Receive, send: Send, patience: float) -> None:
        """``threads`` makes the pieces, ``of`` is the database they come from."""
        self._threads, self._of = threads, of
        self._receive, self._send, self._patience = receive, send, patience
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._woken = False
        self._gone = False
        self.abandoned = False
        """The client reads nothing, and what was sent to it waits in memory."""

    def stop(self) -> None:
        """Wake a feed, which finds that the server is shutting down and ends as usual."""
        self._wake()

    async def send(self, body: Iterator[bytes | Idle], wakes: Subscribe | None) -> bool:
        """Send the body; return whether all of it was sent."""
        unsubscribe = wakes(self._wake_from_thread) if wakes is not None else None
        listening = self._loop.create_task(self._listen())
        try:
            return await self._drive(body)
        finally:
            listening.cancel()
            if unsubscribe is not None:
                unsubscribe()
            close = getattr(body, "close", None)
            if close is not None:
                # It may have to release files and locks: not on the loop.
                await asyncio.shield(self._threads.run(_closed, close, of=self._of, admitted=True))

    async def _drive(self, body: Iterator[bytes | Idle]) -> bool:
        while True:
            self._woken = False
            piece, idle, over = await self._threads.run(_step, body, of=self._of, admitted=True)
            if self._is_gone():
                return False
            if piece:
                message = {"type": "http.response.body", "body": piece, "more_body": True}
                try:
                    await asyncio.wait_for(self._send(message), self._patience)
                except (asyncio.TimeoutError, OSError):
                    self.abandoned = True
                    return False
            if over:
                return True
            if self._is_gone():
                return False
            if idle is not None and idle.timeout != 0 and not self._woken:
                await self._wait(idle.timeout)
            if self._is_gone():
                return False

    async def _wait(self, timeout: float | None) -> None:
        self._waiter = self._loop.create_future()
        timer = None if timeout is None else self._loop.call_later(timeout, self._wake)
        try:
            if not (self._woken or self._gone):
                await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _is_gone(self) -> bool:
        return self._gone

    def _wake(self) -> None:
        self._woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _wake_from_thread(self) -> None:
        # The loop may be closed by now; then no caller waits.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake)

    async def _listen(self) -> None:
        while (await self._receive())["type"] == "http.request":
            # The rest of a body that is not read.
            continue
        self._gone = True
        self._wake()


def _step(body: Iterator[Any]) -> tuple[bytes, Idle | None, bool]:
    """Take pieces until there is enough to send, or the iterator waits or ends."""
    pieces: list[bytes] = []
    size = 0
    for piece in body:
        if isinstance(piece, Idle):
            return b"".join(pieces), piece, False
        pieces.append(piece)
        size += len(piece)
        if size >= PIECE:
            return b"".join(pieces), None, False
    return b"".join(pieces), None, True


def _closed(close: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):
        close()
