"""The adapter of remote databases; proxies are those of the machine's settings."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pouchdb_core.adapters.http.http_adapter import HttpAdapter
from pouchdb_core.hookspecs import hookimpl

if TYPE_CHECKING:
    from pouchdb_core.adapters.base import Adapter
    from pouchdb_core.adapters.http.http_session import HttpSession


@hookimpl
def pouchdb_adapters() -> Iterable[type[Adapter]]:
    return (HttpAdapter,)


@hookimpl(tryfirst=True)
def pouchdb_http_session(url: str, session: HttpSession) -> None:
    """Use the proxy of HTTP_PROXY, HTTPS_PROXY and NO_PROXY, unless the database has its own."""
    parts = urlsplit(url)
    if session.proxy is None and parts.hostname and not urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        session.proxy = urllib.request.getproxies().get(parts.scheme) or None
