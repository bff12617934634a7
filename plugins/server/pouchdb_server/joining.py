"""The head of a response and its body as one write: two take a system call more, and wake the client twice."""

from __future__ import annotations

from typing import Any

__all__ = ["JOIN", "Joining"]

JOIN = "pouchdb.join"
"""The extension of an ASGI server that joins the next message of a response, its head, with the one after it.

Called before the head of a response whose body follows at once and is not empty.
"""
MOST = 64 * 1024
"""Bytes of a body that are copied behind the head; two writes of a longer one take no longer."""


class Joining:
    """What uvicorn's side of one connection writes its responses to."""

    __slots__ = ("_head", "_holds", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._holds = False
        self._head = b""

    def hold(self) -> None:
        """Keep what is written next, until the write after it or the end."""
        self._holds = True

    def write(self, data: bytes) -> None:
        """Write to the connection, or keep it; when it is closed, drop it: uvloop would raise an error instead."""
        if self._transport.is_closing():
            self._holds, self._head = False, b""
            return
        if self._holds:
            self._holds, self._head = False, data
            return
        if self._head:
            head, self._head = self._head, b""
            if len(data) <= MOST:
                data = head + data
            else:
                self._transport.write(head)
        self._transport.write(data)

    def close(self) -> None:
        """Close the connection when everything is written."""
        self._holds = False
        if self._head:
            self.write(b"")
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether the connection is closing or closed."""
        closing: bool = self._transport.is_closing()
        return closing
