"""An equal share of the connections for every process.

The system spreads connections over the sockets of one address by a hash, so of a few that stay open one process may
get nearly all, and the other cores have nothing to do. A process that accepts one while another has fewer passes it on:
as it is, before anything is read, over a socket of that process. That is decided once for each connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["AWAY", "Share", "shares"]

MOST = 100
"""Connections that a process passes on in a second: it takes a fifth of the time of a small request. Of more
connections the hash is even, and those that last for one request each need nothing else."""
AWAY = 2**60
"""What a process has that takes no connections: it has not started, or it has died."""


class Share:
    """One place among the processes. It is pickled to the process that has the place, and to the next one that has."""

    def __init__(self, place: int, counts: Any, receiving: socket.socket, sending: Sequence[socket.socket]) -> None:
        self._place, self._receiving, self._sending = place, receiving, sending
        self._counts = counts
        """The connections that the process of each place has open. Each process writes its own."""
        self._others = [each for each in range(len(sending)) if each != place]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._taking: set[asyncio.Task[Any]] = set()
        self._second, self._passed = 0.0, 0
        """When a second began, and how many were passed on in it."""

    def take(self, protocol: Callable[[], Any]) -> None:
        """Begin to take connections that others pass on: ``protocol()`` is made for each. In the event loop."""
        loop = self._loop = asyncio.get_running_loop()
        self._receiving.setblocking(False)
        for each in self._sending:
            # Rather than wait it keeps the connection.
            each.setblocking(False)

        async def taken(connection: socket.socket) -> None:
            # Its client may be gone already.
            with contextlib.suppress(OSError):
                await loop.connect_accepted_socket(protocol, connection)

        def receive() -> None:
            try:
                _, descriptors, _, _ = socket.recv_fds(self._receiving, 1, 1)
            except BlockingIOError:
                # The process that has the place next, or had it before, was faster.
                return
            for descriptor in descriptors:
                connection = socket.socket(fileno=descriptor)
                connection.setblocking(False)
                task = loop.create_task(taken(connection))
                self._taking.add(task)
                task.add_done_callback(self._taking.discard)

        loop.add_reader(self._receiving, receive)
        self.count(0)

    def leave(self) -> None:
        """Take no more connections; the process that has the place next counts from now on."""
        if self._loop is not None:
            self._loop.remove_reader(self._receiving)
            self._loop = None

    def close(self) -> None:
        """Close the place's sockets, in the process that made them."""
        self._receiving.close()
        self._sending[self._place].close()

    def count(self, connections: int) -> None:
        """Note how many connections this process has open."""
        if self._loop is not None:
            self._counts[self._place] = connections

    def is_away(self) -> None:
        """Note that the process of the place has died: it gets none until the next one takes."""
        self._counts[self._place] = AWAY

    def pass_on(self, transport: Any, connections: int) -> bool:
        """Pass a new connection on if another process has fewer than this one without it; return whether it was."""
        if self._loop is None:
            return False
        counts, now = self._counts, self._loop.time()
        least = min(self._others, key=counts.__getitem__)
        if counts[least] >= connections:
            return False
        if now - self._second >= 1:
            self._second, self._passed = now, 0
        if self._passed >= MOST:
            return False
        try:
            socket.send_fds(self._sending[least], [b"\0"], [transport.get_extra_info("socket").fileno()])
        except OSError:
            # It has not taken the last ones yet.
            return False
        self._passed += 1
        # Closing this copy sends nothing to the client, as there is another one.
        transport.set_protocol(asyncio.Protocol())
        transport.abort()
        return True


def shares(count: int) -> list[Share]:
    """Return the shares of so many processes."""
    counts = multiprocessing.get_context("spawn").RawArray("q", [AWAY] * count)
    # Each message is one connection.
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
    sending = [pair[1] for pair in pairs]
    return [Share(place, counts, pairs[place][0], sending) for place in range(count)]
