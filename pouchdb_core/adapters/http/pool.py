"""What the remote databases of one engine share: connections, cookies, threads, and when to leave a server alone."""

from __future__ import annotations

import threading
import time
import urllib.request
import weakref
from email.message import Message
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any

import urllib3

from pouchdb_core.errors import DatabaseClosed
from pouchdb_core.forks import renew_in_child
from pouchdb_core.runner import Runner
from pouchdb_core.state import Slot

if TYPE_CHECKING:
    from pouchdb_core.adapters.base import Place
    from pouchdb_core.adapters.http.credentials import Login

__all__ = ["HTTP", "Http", "Route"]

CONNECTIONS = 16
"""Connections to one host that are kept open."""
THREADS = 8
"""Requests at the same time for calls that need several."""

Route = tuple[str | None, str | None, str | None]
"""Proxy, CA certificates, client certificate: databases with the same ones share connections."""


class Http:
    """Connections, cookies and threads of one engine; after a fork the child starts with none."""

    def __init__(self) -> None:
        self.logins: weakref.WeakSet[Login] = weakref.WeakSet()
        self.cookies = CookieJar()
        self._ended = threading.Event()
        self._calm: dict[str, float] = {}
        self.requests = Runner("pouchdb-http", threads=THREADS)
        """Makes requests side by side."""
        self._reset()
        renew_in_child(self._reset)

    def _reset(self) -> None:
        # The sockets are the parent's: dropped, never used, nothing is sent to the server.
        self._lock = threading.RLock()
        self._pools: dict[Route, urllib3.PoolManager] = {}

    def pool(self, route: Route) -> urllib3.PoolManager:
        """Return the connections of a route. Raises DatabaseClosed after ``close()``."""
        with self._lock:
            self._check()
            pool = self._pools.get(route)
            if pool is None:
                pool = self._pools[route] = _pool(route)
            return pool

    def _check(self) -> None:
        if self._ended.is_set():
            raise DatabaseClosed("the environment is closed")

    # -- waiting ---------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than the engine lives. Raises DatabaseClosed."""
        if self._ended.wait(seconds):
            raise DatabaseClosed("the environment is closed")

    def calm(self, host: str, seconds: float) -> None:
        """Send no requests to a host for some time, because it said so."""
        self._calm[host] = max(self._calm.get(host, 0.0), time.monotonic() + seconds)

    def wait_calm(self, host: str) -> None:
        """Wait until requests may be sent to a host."""
        until = self._calm.get(host)
        if until is not None:
            if (left := until - time.monotonic()) > 0:
                self.wait(left)
            else:
                self._calm.pop(host, None)

    # -- cookies ---------------------------------------------------------------------------------

    def cookie(self, url: str) -> str | None:
        """Return the Cookie header for a URL, if there are cookies."""
        if not len(self.cookies):
            return None
        request = urllib.request.Request(url)
        self.cookies.add_cookie_header(request)
        return request.get_header("Cookie")

    def keep_cookies(self, url: str, headers: Any) -> None:
        """Store the cookies of a response."""
        given = headers.getlist("set-cookie")
        if given:
            self.cookies.extract_cookies(_Answer(given), urllib.request.Request(url))  # type: ignore[arg-type]

    def clear_cookies(self) -> None:
        """Remove all cookies, those of sessions too."""
        self.cookies.clear()
        for login in tuple(self.logins):
            login.forget()

    def close(self) -> None:
        """Close the connections; waiting threads get an error."""
        self._ended.set()
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.clear()
        self.requests.close()


class _Answer:
    """A response in the form that CookieJar expects."""

    def __init__(self, cookies: list[str]) -> None:
        self._message = Message()
        for cookie in cookies:
            self._message["Set-Cookie"] = cookie

    def info(self) -> Message:
        return self._message


def _pool(route: Route) -> urllib3.PoolManager:
    proxy, ca_certs, certificate = route
    options: dict[str, Any] = {"maxsize": CONNECTIONS, "num_pools": 32, "cert_reqs": "CERT_REQUIRED"}
    if ca_certs is not None:
        options["ca_certs"] = ca_certs
    if certificate is not None:
        options["cert_file"] = certificate
    if proxy is None:
        return urllib3.PoolManager(**options)
    parsed = urllib3.util.parse_url(proxy)
    headers = urllib3.make_headers(proxy_basic_auth=parsed.auth) if parsed.auth else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)


def _build(place: Place) -> Http:
    return Http()


HTTP = Slot("http connections", _build, Http.close)
"""The engine's connections: ``place.slots.get(HTTP, place)``."""
