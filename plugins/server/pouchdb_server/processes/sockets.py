"""The sockets that several processes listen on, all at one address."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack

__all__ = ["SPREADS", "listen"]

SPREADS = sys.platform.startswith("linux")
"""Whether the system spreads connections evenly over sockets of one address: Linux does with SO_REUSEPORT, others give
all of them to one of the sockets."""


def listen(host: str, port: int, count: int, *, spread: bool = SPREADS) -> list[socket.socket]:
    """Return ``count`` sockets, listening at one address; port 0 picks a free one. Raises OSError.

    With ``spread`` each has its own queue, and the system puts a connection into one of them by its address: with
    one queue for all, the process that is awake first would take a whole burst. Without it all are one socket. They are
    held open by the caller while processes come and go, so that no connection is refused in between.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    # Bound alone at first: with SO_REUSEPORT a server that is there already would not be noticed.
    first = _bound(family, kind, protocol, address, shared=False)
    if not spread:
        first.listen(1024)
        return [first] * count
    address = first.getsockname()
    first.close()
    with ExitStack() as opened:
        made = [opened.enter_context(_bound(family, kind, protocol, address, shared=True)) for _ in range(count)]
        for each in made:
            each.listen(1024)
        opened.pop_all()
    return made


def _bound(family: int, kind: int, protocol: int, address: tuple[object, ...], *, shared: bool) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except BaseException:
        made.close()
        raise
    return made
