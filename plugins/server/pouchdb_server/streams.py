"""Bodies on their way: read with a limit, given to a thread as a file, sent while an iterator makes them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import io
import time
from collections.abc import Awaitable, Callable, Generator, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, cast

from pouchdb_core.errors import BadRequest
from pouchdb_core.runner import Idle
from pouchdb_server.http_errors import ClientGone, RequestTooLarge

if TYPE_CHECKING:
    from pouchdb_server.messages import Request, Subscribe
    from pouchdb_server.workers import Workers

__all__ = ["Incoming", "IncomingFile", "Receive", "Send", "Sender", "declared_length"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PIECE = 64 * 1024
"""About how much of a body is made before it is sent."""


def declared_length(headers: Any) -> int | None:
    """Return the length a request says its body has, or None if it is sent in chunks. Raises BadRequest."""
    if "transfer-encoding" in headers:
        return None
    value = headers.get("content-length", "0")
    if not (value.isascii() and value.isdigit()):
        raise BadRequest("Content-Length must be a number")
    return int(value)


class _Started:
    """An awaitable that was begun already, to be gone on with in the same task."""

    def __init__(self, steps: Any, yielded: Any) -> None:
        self._steps, self._yielded = steps, yielded

    def __await__(self) -> Generator[Any, Any, Any]:
        yielded = self._yielded
        while True:
            try:
                sent = yield yielded
            except BaseException as error:
                step, value = self._steps.throw, error
            else:
                step, value = self._steps.send, sent
            try:
                yielded = step(value)
            except StopIteration as stop:
                return stop.value

    def close(self) -> None:
        self._steps.close()


class Incoming:
    """The body of a request that is on its way, read with a limit.

    ``is_here()`` looks whether all of it came with the head, without waiting and without asking the client to go on.
    """

    def __init__(self, request: Request, receive: Receive) -> None:
        self._request, self._receive = request, receive
        self._pieces: list[bytes] = []
        self._ended = False
        self._waiting: _Started | None = None
        self.seconds = 0.0
        """How long it took to come."""

    def is_here(self) -> bool:
        """Return whether nothing has to be waited for: there is no body, or it came with the head."""
        headers = self._request.headers
        if "transfer-encoding" not in headers and headers.get("content-length", "0") == "0":
            self._ended = True
        # A client that waits to be asked for the body is asked behind the gate.
        elif "expect" not in headers:
            self._peek()
        return self._ended

    def _peek(self) -> None:
        size = 0
        while not self._ended and size < PIECE:
            steps = self._receive().__await__()
            try:
                yielded = steps.send(None)
            except StopIteration as stop:
                size += len(self._taken(stop.value))
            else:
                self._waiting = _Started(steps, yielded)
                return

    def _taken(self, message: Message) -> bytes:
        if message["type"] != "http.request":
            raise ClientGone()
        piece: bytes = message.get("body", b"")
        self._pieces.append(piece)
        self._ended = not message.get("more_body", False)
        return piece

    def checked(self, most: int) -> bytes:
        """Return the body that is here. Raises RequestTooLarge, BadRequest."""
        self._check_length(most)
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        if len(body) > most:
            raise RequestTooLarge(f"the body is longer than {most} bytes")
        return body

    def _check_length(self, most: int) -> None:
        length = declared_length(self._request.headers)
        if length is not None and length > most:
            raise RequestTooLarge(f"the body has {length} bytes; at most {most} are taken here")

    async def receive(self) -> Message:
        """Return the next message, first what was looked at already."""
        if self._pieces:
            piece = self._pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(self._pieces) or not self._ended}
        if self._waiting is not None:
            started, self._waiting = self._waiting, None
            return cast("Message", await started)
        return await self._receive()

    async def read(self, most: int) -> bytes:
        """Read it to its end. Raises RequestTooLarge, BadRequest, ClientGone."""
        self._check_length(most)
        began = time.perf_counter()
        pieces: list[bytes] = []
        total, more = 0, True
        while more:
            message = await self.receive()
            if message["type"] != "http.request":
                raise ClientGone()
            pieces.append(message.get("body", b""))
            total += len(pieces[-1])
            if total > most:
                raise RequestTooLarge(f"the body is longer than {most} bytes")
            more = message.get("more_body", False)
        self.seconds = time.perf_counter() - began
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Let go of what was begun."""
        if self._waiting is not None:
            self._waiting.close()


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
