"""The one module that speaks HTTP: requests to one database, with its credentials, retries and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import urllib3
from urllib3.exceptions import ConnectTimeoutError as ConnectTimeout
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

from pouchdb_core.adapters.http.address import Address, query_string
from pouchdb_core.adapters.http.credentials import Credentials, Login, credentials
from pouchdb_core.adapters.http.failures import failure
from pouchdb_core.adapters.http.pool import Http, Route
from pouchdb_core.adapters.http.response import Response
from pouchdb_core.errors import BadRequest, NotACouchDB, RemoteError
from pouchdb_core.jsontext import dump

__all__ = ["Body", "HttpSession"]

Body = bytes | Callable[[], Iterable[bytes]] | None
"""A body to send: bytes, or a function that returns the pieces, from the beginning at each call."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that may be sent twice."""
FIRST_DELAY = 0.1
"""Seconds before the second try; twice as long before each further one."""
LONGEST_WAIT = 120.0
"""Seconds that a request waits in total for a server that wants fewer requests."""
CONNECT = 10.0
"""Seconds to make a connection, at most."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PASSING = frozenset({500, 502, 503, 504})
"""Statuses that may be different the next time."""


class HttpSession:
    """Requests to one remote database.

    ``url`` is the database's URL without credentials, ``headers`` go with every request,
    ``timeout`` is how many seconds the server may be silent, ``retries`` how often a request that may be
    sent twice is repeated, ``proxy`` the URL of one. Plug-ins may change them before the first request.
    """

    def __init__(
        self,
        http: Http,
        address: Address,
        *,
        auth: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        retries: int = 3,
        proxy: str | None = None,
        ca_certs: str | None = None,
        client_cert: str | None = None,
    ) -> None:
        self.http = http
        self.url, self.server = address.url, address.server
        self.headers: dict[str, str] = {"accept": "application/json", "accept-encoding": "gzip, deflate"}
        self.headers.update({name.lower(): value for name, value in (headers or {}).items()})
        self.timeout, self.retries = timeout, retries
        self.proxy, self.ca_certs, self.client_cert = proxy, ca_certs, client_cert
        self.credentials: Credentials | None = None
        self._host = "/".join(address.server.split("/")[:3])
        self.set_auth(auth)

    def set_auth(self, auth: Any) -> None:
        """Use other credentials from now on: any value of the option ``auth``. Raises BadRequest."""
        self.credentials = credentials(auth, self._log_in)
        if isinstance(self.credentials, Login):
            self.http.logins.add(self.credentials)

    def request(
        self,
        method: str,
        path: str = "",
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = ...,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        again: bool | None = None,
        timeout: float | None = None,
        check: bool = True,
        credentials: bool = True,
        insist: bool = True,
    ) -> Response:
        """Send a request and return the response; ``path`` is quoted, below the database or, with a slash, the server.

        ``again`` says whether it may be sent twice (so are GET, HEAD and OPTIONS); with ``insist=False`` it is not for
        a response 500, which a server sends if it fails to do what was requested. ``stream`` leaves the body to be
        read by the caller. With ``check=False`` responses of any status are returned; with ``credentials=False`` the
        cookies of the environment identify the user, as a login left them, not the database's credentials. Raises the
        server's error, Unreachable, TimedOut, NotACouchDB, TooManyRequests.
        """
        url = self.server + path if path.startswith("/") else f"{self.url}/{path}" if path else self.url
        url += query_string(query)
        sent = {**self.headers, **{name.lower(): value for name, value in (headers or {}).items()}}
        if json is not ...:
            try:
                body = dump(json)
            except (TypeError, ValueError, RecursionError) as error:
                raise BadRequest(f"the body of a request must be JSON: {error}") from None
            sent.setdefault("content-type", "application/json")
        again = method in SAFE if again is None else again
        waited, tried, renewed = 0.0, 0, 0
        while True:
            self.http.wait_calm(self._host)
            who = self._who(url) if credentials else self._cookies(url)
            try:
                response = self._send(method, url, {**sent, **who}, body, timeout)
                if response.status == 401 and credentials and self._renew(who, renewed):
                    renewed += 1
                    response.close()
                    continue
                if not stream or response.status >= 300:
                    _ = response.data
            except RemoteError as error:
                may = again or isinstance(error.__cause__, (NewConnectionError, ConnectTimeout, NameResolutionError))
                if not may or tried >= self.retries or error.details.get("tls"):
                    raise
                delay = FIRST_DELAY * 2**tried
            else:
                if response.status == 429:
                    delay = response.retry_after() or FIRST_DELAY * 2 ** min(tried, 8)
                    if waited + delay > LONGEST_WAIT or (self.retries == 0 and waited):
                        raise response.told(any_content=True)
                    waited += delay
                    # The limit is for all requests to this host.
                    self.http.calm(self._host, delay)
                    tried += 1
                    continue
                passing = response.status in PASSING and (insist or response.status != 500)
                if not (passing and again and tried < self.retries):
                    if check:
                        _raise_for(response)
                    return response
                delay = response.retry_after() or FIRST_DELAY * 2**tried
                delay = min(delay, self.timeout)
            tried += 1
            self.http.wait(delay)

    def json(self, method: str, path: str = "", **options: Any) -> Any:
        """Send a request as ``request`` does; return the JSON of the response."""
        return self.request(method, path, **options).json()

    def _who(self, url: str) -> dict[str, str]:
        if self.credentials is not None:
            # Not the cookies as well: a session of another user would win over them.
            return dict(self.credentials.headers())
        return {} if "authorization" in self.headers else self._cookies(url)

    def _cookies(self, url: str) -> dict[str, str]:
        cookie = self.http.cookie(url)
        return {} if cookie is None else {"cookie": cookie}

    def _renew(self, refused: Mapping[str, str], times: int) -> bool:
        known = self.credentials
        return known is not None and times < known.renewals and known.renew(refused)

    def _log_in(self, username: str, password: str) -> str | None:
        form = dump({"name": username, "password": password})
        headers = {**self.headers, "content-type": "application/json"}
        response = self._send("POST", self.server + "/_session", headers, form, None, keep=False)
        if response.status in (404, 405):
            return None
        _raise_for(response)
        cookies = [each.partition(";")[0] for each in response.headers.getlist("set-cookie")]  # type: ignore[attr-defined]
        if not cookies:
            raise NotACouchDB(f"{self.server}/_session gave no cookie")
        return "; ".join(cookies)

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body,
        timeout: float | None,
        *,
        keep: bool = True,
    ) -> Response:
        route: Route = (self.proxy, self.ca_certs, self.client_cert)
        silence = self.timeout if timeout is None else timeout
        try:
            raw = self.http.pool(route).request(
                method,
                url,
                headers=dict(headers),
                body=body() if callable(body) else body,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=min(CONNECT, silence), read=silence),
            )
        except (HTTPError, OSError, ValueError) as error:
            raise failure(error, url) from error
        if keep:
            self.http.keep_cookies(url, raw.headers)
        return Response(raw, url)


def _raise_for(response: Response) -> None:
    if response.status < 300 or response.status == 304:
        return
    if response.status in REDIRECTS:
        error = RemoteError(
            f"{response.url} answers with a redirect to {response.headers.get('location')}: use that URL", redirect=True
        )
        error.status, error.name = response.status, "redirect"
        raise error
    raise response.told()
