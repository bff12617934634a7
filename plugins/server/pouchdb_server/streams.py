"""Bodies on their way: read with a limit, given to a thread as a file, sent while an iterator makes them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import io
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from pouchdb_core.errors import BadRequest, PouchDBError
from pouchdb_core.runner import Idle

if TYPE_CHECKING:
    from pouchdb_server.messages import Subscribe
    from pouchdb_server.workers import Workers

__all__ = ["ClientGone", "IncomingFile", "Receive", "RequestTooLarge", "Send", "Sender", "declared_length", "read_body"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PIECE = 64 * 1024
"""About how much of a body is made before it is sent."""


class ClientGone(Exception):
    """The client went away in the middle."""


class RequestTooLarge(PouchDBError):
    status, name, default_message = 413, "too_large", "the request entity is too large"


def declared_length(headers: Any) -> int | None:
    """Return the length a request says its body has, or None if it is sent in chunks. Raises BadRequest."""
    if "transfer-encoding" in headers:
        return None
    value = headers.get("content-length", "0")
    if not (value.isascii() and value.isdigit()):
        raise BadRequest("Content-Length must be a number")
    return int(value)


async def read_body(receive: Receive, length: int | None, most: int) -> bytes:
    """Read a body to its end. Raises RequestTooLarge, ClientGone."""
    if length == 0:
        return b""
    if length is not None and length > most:
        raise RequestTooLarge(f"the body has {length} bytes; at most {most} are taken here")
    pieces: list[bytes] = []
    total = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone()
        piece = message.get("body", b"")
        total += len(piece)
        if total > most:
            raise RequestTooLarge(f"the body is longer than {most} bytes")
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class IncomingFile(io.RawIOBase):
    """The body of a request as a binary file, for a handler on a thread. Read once, from start to end.

    Nothing is read ahead: a client that is faster than the handler waits. Raises ClientGone when it
    went away before the end, BadRequest when it is silent for ``patience`` seconds.
    """

    def __init__(self, receive: Receive, loop: asyncio.AbstractEventLoop, most: int | None, patience: float) -> None:
        super().__init__()
        self._receive, self._loop, self._most, self._patience = receive, loop, most, patience
        self._rest = b""
        self._total = 0
        self.ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return at most ``size`` bytes, fewer when no more came yet; none at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(PIECE), b""))
        while not self._rest and not self.ended:
            self._more()
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def readinto(self, buffer: Any) -> int:
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def _more(self) -> None:
        waiting = asyncio.run_coroutine_threadsafe(self._next(), self._loop)
        try:
            message = waiting.result(self._patience)
        except (concurrent.futures.TimeoutError, TimeoutError):
            waiting.cancel()
            raise BadRequest(f"the body did not go on for {self._patience:g} seconds") from None
        if message["type"] != "http.request":
            raise ClientGone()
        self._rest = message.get("body", b"")
        self._total += len(self._rest)
        if self._most is not None and self._total > self._most:
            raise RequestTooLarge(f"the body is longer than {self._most} bytes")
        self.ended = not message.get("more_body", False)

    async def _next(self) -> Message:
        return await self._receive()


class Sender:
    """Sends the body that an iterator makes. While it waits, it holds no thread.

    Ends when the iterator does, when the client is gone, when it takes nothing for ``patience``
    seconds, and when ``stop()`` is called; the iterator is closed in any case.
    """

    def __init__(self, workers: Workers, receive: Receive, send: Send, patience: float) -> None:
        self._workers, self._receive, self._send, self._patience = workers, receive, send, patience
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._woken = False
        self._gone = False
        self._stopped = False
        self.abandoned = False
        """The client takes nothing, and what was sent to it waits in memory."""

    def stop(self) -> None:
        """End soon: the server is shutting down."""
        self._stopped = True
        self._wake()

    async def send(self, body: Iterator[bytes | Idle], wakes: Subscribe | None) -> bool:
        """Send the body; tell whether all of it was sent."""
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
                # It may have to let go of files and locks: not on the loop. Nobody waits for it.
                self._workers.run(_closed, close)

    async def _drive(self, body: Iterator[bytes | Idle]) -> bool:
        while True:
            self._woken = False
            piece, idle, over = await self._workers.run(_step, body)
            if self._gone:
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
            if self._over():
                return False
            if idle is not None and idle.timeout != 0 and not self._woken:
                await self._wait(idle.timeout)
            if self._over():
                return False

    async def _wait(self, timeout: float | None) -> None:
        self._waiter = self._loop.create_future()
        timer = None if timeout is None else self._loop.call_later(timeout, self._wake)
        try:
            if not (self._woken or self._over()):
                await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _over(self) -> bool:
        return self._gone or self._stopped

    def _wake(self) -> None:
        self._woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _wake_from_thread(self) -> None:
        # The loop may be closed by now; then nobody waits.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake)

    async def _listen(self) -> None:
        while (await self._receive())["type"] == "http.request":
            # Of a body that nobody reads.
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
