"""A CouchDB for test suites: on a free port of this machine in milliseconds, with faults on demand."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

import pouchdb
from pouchdb_core.jsontext import dump
from pouchdb_server.app import create_app
from pouchdb_server.incoming import Receive
from pouchdb_server.serve import Running, configured, inner
from pouchdb_server.server import ABORT, Server
from pouchdb_server.streams import Send

if TYPE_CHECKING:
    from typing_extensions import Self

    from pouchdb_core import AbstractEnvironment

__all__ = ["CouchServer", "Fault", "couch_server"]

PATIENCE = 30.0
"""Seconds to wait for the server itself: it takes some milliseconds."""


class Fault:
    """A failure of requests: see the methods of ``CouchServer`` that make one."""

    def __init__(self, method: str, path: str, times: int | None) -> None:
        self._method, self._path, self._times = method, re.compile(path), times
        self._lock = threading.Lock()
        self.count = 0
        """How many requests it has hit."""
        self.hit = threading.Event()
        """Set when it has hit one."""

    def takes(self, method: str, path: str) -> bool:
        """Return whether the fault hits a request, and count it."""
        if self._method not in ("*", method) or self._path.search(path) is None:
            return False
        with self._lock:
            if self._times is not None and self.count >= self._times:
                return False
            self.count += 1
        self.hit.set()
        return True

    def end(self) -> None:
        """End this fault: it hits no more requests."""
        self._times = 0

    async def happen(self, app: Any, scope: Any, receive: Receive, send: Send) -> None:
        """Apply the fault to a request."""
        raise NotImplementedError


class _Status(Fault):
    def __init__(self, *where: Any, status: int, body: Any, headers: MutableMapping[str, str]) -> None:
        super().__init__(*where)
        self._status, self._body, self._headers = status, body, headers

    async def happen(self, app: Any, scope: Any, receive: Receive, send: Send) -> None:
        body = self._body if isinstance(self._body, bytes) else dump(self._body) + b"\n"
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in self._headers.items()]
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class _Cut(Fault):
    def __init__(self, *where: Any, after: int | None) -> None:
        super().__init__(*where)
        self._after = after

    async def happen(self, app: Any, scope: Any, receive: Receive, send: Send) -> None:
        abort = scope["extensions"][ABORT]
        if self._after is None:
            abort()
            # Without it the server logs that there was no response.
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        left = self._after

        async def counting(message: MutableMapping[str, Any]) -> None:
            nonlocal left
            if message["type"] != "http.response.body" or left < 0:
                if left >= 0:
                    await send(message)
                return
            body = message.get("body", b"")
            if len(body) < left:
                left -= len(body)
                await send(message)
                return
            await send({"type": "http.response.body", "body": body[:left], "more_body": True})
            left = -1
            # What was sent reaches the client before the end does.
            asyncio.get_running_loop().call_later(0.01, abort)

        await app(scope, receive, counting)


class _Hold(Fault):
    def __init__(self, *where: Any) -> None:
        super().__init__(*where)
        self._released: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def end(self) -> None:
        super().end()
        for loop, event in self._released:
            loop.call_soon_threadsafe(event.set)

    async def happen(self, app: Any, scope: Any, receive: Receive, send: Send) -> None:
        event = asyncio.Event()
        self._released.append((asyncio.get_running_loop(), event))
        if self._times != 0:
            await event.wait()
        await app(scope, receive, send)


class CouchServer:
    """A running server: ``url``, ``environment``, ``requests``, and faults.

    ``path`` of a fault is a regular expression that is searched in the raw path with its query;
    ``times`` is how many requests it hits, None all. A context manager that stops.
    """

    def __init__(self, environment: AbstractEnvironment | None = None, *, port: int = 0, **settings: Any) -> None:
        self._own = environment is None
        self.environment = pouchdb.setup(":memory:") if environment is None else environment.sync_view
        self._app = create_app(self.environment, **settings)
        self._faults: list[Fault] = []
        self.requests: list[tuple[str, str]] = []
        """Method and raw path, with the query, of every request so far."""
        config = configured(self._called, self.server.settings, "127.0.0.1", port)
        self._ready = threading.Event()
        self._running = Running(config, self.server, self._listens)
        self._thread = threading.Thread(target=self._run, name="couch-server", daemon=True)
        self._error: BaseException | None = None
        self.port = port

    @property
    def server(self) -> Server:
        """The server inside the ASGI application."""
        return inner(self._app)

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start; returns when it listens. Raises OSError when it cannot."""
        self._thread.start()
        if not self._ready.wait(PATIENCE) or self._error is not None:
            raise OSError(f"the server did not start: {self._error!r}")
        return self

    def stop(self) -> None:
        """Stop: held requests continue, requests under way are completed. An environment it made is closed."""
        for fault in self._faults:
            fault.end()
        self._running.should_exit = True
        self._thread.join(PATIENCE)
        if self._own:
            self.environment.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    # -- faults ----------------------------------------------------------------------------------

    def fail(
        self,
        status: int,
        path: str = "",
        method: str = "*",
        *,
        times: int | None = 1,
        error: str = "internal_server_error",
        reason: str = "a fault that was asked for",
        headers: MutableMapping[str, str] | None = None,
    ) -> Fault:
        """Respond with a status instead: 503, 429 with ``headers={"Retry-After": "1"}``, 401, 413..."""
        body = {"error": error, "reason": reason}
        return self._add(_Status(method, path, times, status=status, body=body, headers=headers or {}))

    def garble(self, path: str = "", method: str = "*", *, times: int | None = 1, body: bytes = b"<html>") -> Fault:
        """Respond 200 with something that is not JSON, as proxies do."""
        return self._add(_Status(method, path, times, status=200, body=body, headers={}))

    def drop(self, path: str = "", method: str = "*", *, times: int | None = 1) -> Fault:
        """Close the connection without a response."""
        return self._add(_Cut(method, path, times, after=None))

    def cut(self, after: int, path: str = "", method: str = "*", *, times: int | None = 1) -> Fault:
        """Close the connection when ``after`` bytes of the body were sent."""
        return self._add(_Cut(method, path, times, after=after))

    def hold(self, path: str = "", method: str = "*", *, times: int | None = 1) -> Fault:
        """Keep requests waiting until ``fault.end()``; ``fault.hit`` is set when one waits."""
        return self._add(_Hold(method, path, times))

    def heal(self) -> None:
        """End all faults."""
        for fault in self._faults:
            fault.end()
        self._faults.clear()

    def _add(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    # -- the thread ------------------------------------------------------------------------------

    async def _called(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["raw_path"].decode("latin-1")
            if scope["query_string"]:
                path += "?" + scope["query_string"].decode("latin-1")
            self.requests.append((scope["method"], path))
            for fault in tuple(self._faults):
                if fault.takes(scope["method"], path):
                    await fault.happen(self._app, scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _listens(self, port: int) -> None:
        self.port = port
        self._ready.set()

    def _run(self) -> None:
        try:
            self._running.run()
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()


def couch_server(environment: AbstractEnvironment | None = None, **settings: Any) -> CouchServer:
    """Return a server to be started: ``with couch_server() as server: ... server.url``.

    It serves ``environment``, or a new one in memory. ``settings`` are those of ``create_app``.
    """
    return CouchServer(environment, **settings)
