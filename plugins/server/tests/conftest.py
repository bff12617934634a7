"""A server for each test, and a small client that shows what goes over the wire."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from pouchdb_server.testing import CouchServer

import pouchdb
from pouchdb_core import SyncEnvironment

JSON = {"Content-Type": "application/json"}


class Answer:
    """Status, headers (in any spelling) and body of an answer."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines() if line.strip()]


class Client:
    """Calls a server: ``client.get("/db")``; dicts and lists are sent as JSON."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.address = (parts.hostname or "", parts.port or 0)

    def open(self, method: str, path: str, body: Any = None, headers: Any = None) -> http.client.HTTPResponse:
        """Return the answer as it comes."""
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        # Then the connection is the answer's, and is closed with it.
        headers = {"Connection": "close", **(headers or {})}
        if isinstance(body, (dict, list)):
            body, headers = json.dumps(body), {**JSON, **headers}
        connection.request(method, path, body, headers)
        return connection.getresponse()

    def call(self, method: str, path: str, body: Any = None, headers: Any = None) -> Answer:
        with self.open(method, path, body, headers) as response:
            return Answer(response)

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def put(self, path: str, body: Any = None, headers: Any = None) -> Answer:
        return self.call("PUT", path, body, headers)

    def post(self, path: str, body: Any = None, headers: Any = None) -> Answer:
        return self.call("POST", path, body, headers)

    def delete(self, path: str) -> Answer:
        return self.call("DELETE", path)


@pytest.fixture
def environment() -> Iterator[SyncEnvironment]:
    with pouchdb.setup(":memory:", plugins=["server", "all_dbs"]) as environment:
        yield environment


@pytest.fixture
def serve(environment: SyncEnvironment) -> Iterator[Callable[..., CouchServer]]:
    """Start servers of the environment with settings; they stop with the test."""
    running: list[CouchServer] = []

    def start(**settings: Any) -> CouchServer:
        running.append(CouchServer(environment, **settings).start())
        return running[-1]

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def server(serve: Callable[..., CouchServer]) -> CouchServer:
    return serve()


@pytest.fixture
def client(server: CouchServer) -> Client:
    client = Client(server.url)
    assert client.put("/db").status == 201
    return client


@pytest.fixture
def call() -> Callable[[CouchServer], Client]:
    """Make a client of a server."""
    return lambda server: Client(server.url)
