"""Request bodies: received on the event loop, with limits of size and of time, into memory or a file.

A client that is slow holds no thread, and little memory: full pieces are handed to a thread that writes them to a
temporary file.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from typing import IO, TYPE_CHECKING, Any, cast

from pouchdb_core.errors import BadRequest
from pouchdb_server.http_errors import ClientGone, RequestTimeout, RequestTooLarge

if TYPE_CHECKING:
    from pouchdb_server.bulkheads import Bulkhead
    from pouchdb_server.messages import Request
    from pouchdb_server.settings import Settings

__all__ = ["Incoming", "Message", "Receive", "Room", "declared_length"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

HERE = 64 * 1024
"""Bytes that are read without waiting."""
PIECE = 128 * 1024
"""Bytes of a body that are kept in memory in any case; a longer one goes to a file, in such pieces, unless ``Room``."""
SMALL = 1024 * 1024
"""Bytes of a body that may be kept in memory while there is room for it."""


def declared_length(headers: Any) -> int | None:
    """Return the length that a request declares for its body, or None if it is sent in chunks. Raises BadRequest."""
    if "transfer-encoding" in headers:
        return None
    value = headers.get("content-length", "0")
    if not (value.isascii() and value.isdigit() and len(value) < 20):
        raise BadRequest("Content-Length must be a number")
    return int(value)


class _Started:
    """An awaitable that was started already, to be continued in the same task."""

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


class Room:
    """Memory for small bodies on their way, all together: a file costs more than to receive them."""

    def __init__(self, size: int = 16 * SMALL) -> None:
        self._left = size

    def take(self, size: int) -> bool:
        """Take memory, if there is so much; on the loop."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Release what was taken."""
        self._left += size


class Incoming:
    """The body of one request.

    ``is_here()`` checks whether all of it came with the head, without waiting and without sending 100 Continue;
    then ``here()`` returns it. Otherwise ``collect()`` waits for it, and ``taken()`` or ``file`` has the body.
    """

    def __init__(self, request: Request, receive: Receive, settings: Settings, room: Room) -> None:
        self._request, self._receive, self._settings, self._room = request, receive, settings, room
        self._taken = 0
        """What it has taken of the room."""
        self._pieces: list[bytes] = []
        self._size = self._total = 0
        self._ended = False
        self._waiting: _Started | None = None
        self._file: IO[bytes] | None = None
        self.seconds = 0.0
        """Seconds it took to arrive."""

    # -- what came with the head -----------------------------------------------------------------

    def is_here(self) -> bool:
        """Return whether there is nothing to wait for: no body, or one that came with the head."""
        headers = self._request.headers
        if "transfer-encoding" not in headers and headers.get("content-length", "0") == "0":
            self._ended = True
        # A client that waits for 100 Continue gets it behind the gate.
        elif "expect" not in headers:
            while not self._ended and self._size < HERE:
                steps = self._receive().__await__()
                try:
                    yielded = steps.send(None)
                except StopIteration as stop:
                    self._take(stop.value)
                else:
                    self._waiting = _Started(steps, yielded)
                    break
        return self._ended

    def here(self, most: int) -> bytes:
        """Return the body that arrived. Raises RequestTooLarge, BadRequest."""
        self._check_length(most)
        if self._size > most:
            raise RequestTooLarge(f"the body is longer than {most} bytes")
        return self._joined()

    # -- what has to be waited for ---------------------------------------------------------------

    async def collect(self, most: int | None, seconds: float | None, disk: Bulkhead) -> None:
        """Wait for the whole body: ``most`` bytes, and ``seconds`` if it must not take longer.

        Raises RequestTooLarge, BadRequest, RequestTimeout for a client that is silent or too slow, ClientGone.
        """
        length = self._check_length(most)
        settings, loop = self._settings, asyncio.get_running_loop()
        began = window = loop.time()
        before = self._total
        try:
            while not self._ended:
                now = loop.time()
                left = settings.patience if seconds is None else min(settings.patience, began + seconds - now)
                if now - window >= settings.patience:
                    if self._total - before < settings.slowest * (now - window):
                        raise RequestTimeout(f"the body comes with less than {settings.slowest} bytes a second")
                    window, before = now, self._total
                try:
                    message = await asyncio.wait_for(self._next(), max(0.0, left))
                except (asyncio.TimeoutError, TimeoutError):
                    raise RequestTimeout(
                        f"the body did not go on for {settings.patience:g} seconds, or takes too long"
                    ) from None
                self._take(message)
                if most is not None and self._total > most:
                    raise RequestTooLarge(f"the body is longer than {most} bytes")
                if self._size >= PIECE and not self._has_room(length):
                    await self._write_out(disk)
        finally:
            self.seconds = loop.time() - began
        if self._file is not None:
            await self._write_out(disk)

    async def _write_out(self, disk: Bulkhead) -> None:
        piece = self._joined()
        self._pieces, self._size = [], 0
        await disk.run(self._write, piece, admitted=True)

    def _write(self, piece: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._file.write(piece)

    def taken(self) -> bytes:
        """Return the body that was collected, on a thread: it may be in a file."""
        if self._file is None:
            return self._joined()
        self._file.seek(0)
        return self._file.read()

    @property
    def length(self) -> int:
        """Bytes that have arrived so far."""
        return self._total

    def file(self) -> IO[bytes] | None:
        """Return the file of a body that was collected, from its start; None for a short one."""
        if self._file is not None:
            self._file.seek(0)
        return self._file

    # -- both ------------------------------------------------------------------------------------

    def _joined(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _take(self, message: Message) -> None:
        if message["type"] != "http.request":
            raise ClientGone()
        piece: bytes = message.get("body", b"")
        self._pieces.append(piece)
        self._size += len(piece)
        self._total += len(piece)
        self._ended = not message.get("more_body", False)

    async def _next(self) -> Message:
        if self._waiting is not None:
            started, self._waiting = self._waiting, None
            return cast("Message", await started)
        return await self._receive()

    def _has_room(self, length: int | None) -> bool:
        """Return whether a body of this length is received into memory."""
        if not self._taken and length is not None and length <= SMALL and self._room.take(length):
            self._taken = length
        return self._taken > 0

    def _check_length(self, most: int | None) -> int | None:
        length = declared_length(self._request.headers)
        if most is not None and length is not None and length > most:
            raise RequestTooLarge(f"the body has {length} bytes; at most {most} are taken here")
        return length

    def close(self) -> None:
        """Release what was started, the file, and its room."""
        self._room.give_back(self._taken)
        self._taken = 0
        if self._waiting is not None:
            self._waiting.close()
            self._waiting = None
        if self._file is not None:
            self._file.close()
            self._file = None
