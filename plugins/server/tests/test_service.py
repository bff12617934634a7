"""The service: the endpoints of an environment without a server."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from pouchdb_server import service

from pouchdb_core.requests import UserContext


@pytest.fixture
def served(environment):
    return service(environment)


def test_documents_without_a_server(environment, served):
    ask = lambda *args, **options: served.answer(served.request(*args, **options))  # noqa: E731
    assert ask("PUT", "/db").status == 201
    put = ask("PUT", "/db/a%2Fb", headers={"Content-Type": "application/json"}, body=b'{"x": 1}')
    assert put.status == 201
    found = ask("GET", "/db/a%2Fb", query={"revs": "true"})
    assert json.loads(found.body)["_revisions"]["start"] == 1
    assert dict(found.headers)["content-type"] == "application/json"
    assert ask("GET", "/db/missing").status == 404
    assert ask("PATCH", "/db").status == 405
    assert ask("HEAD", "/db/a%2Fb").body == b""
    assert len(json.loads(ask("GET", "/db/_changes").body)["results"]) == 1
    assert environment["db"].get("a/b")["x"] == 1
    assert service(environment) is served


def test_on_behalf_of_somebody(environment, served):
    environment["db"].put_security({"members": {"names": ["ann"], "roles": []}})
    for name, status in (("ann", 200), ("eve", 403), (None, 401)):
        assert served.answer(served.request("GET", "/db", user=UserContext(name))).status == status
    eve = service(environment.as_user({"name": "eve", "roles": []}))
    assert eve.answer(eve.request("GET", "/db")).status == 403
    assert served.answer(served.request("GET", "/db")).status == 200


def test_a_body_may_be_a_file(environment, served):
    assert environment["db"].info()["doc_count"] == 0
    request = served.request("GET", "/")
    put = request.at("PUT", "/db/a", headers={"content-type": "application/json"}, body=io.BytesIO(b'{"x": 1}'))
    assert served.answer(put).status == 201
    rev = environment["db"].get("a")["_rev"]
    file = request.at("PUT", "/db/a/file", query={"rev": rev}, headers={}, body=io.BytesIO(b"content"))
    assert served.answer(file).status == 201
    assert served.answer(request.at("GET", "/db/a/file", headers={})).body == b"content"


def test_views_with_a_prefix_have_their_own(environment):
    one = service(environment.defaults(prefix="t1-"))
    assert one.answer(one.request("PUT", "/db")).status == 201
    assert environment.names() == ["t1-db"]
    assert service(environment) is not one


def test_no_code_of_the_network_is_loaded():
    program = (
        "import sys, pouchdb; from pouchdb_server import service\n"
        "env = pouchdb.setup(':memory:', plugins=['server']); it = service(env)\n"
        "assert it.answer(it.request('PUT', '/db')).status == 201\n"
        "network = ('uvicorn', 'starlette', 'httptools', 'anyio', 'pouchdb_server.server')\n"
        "print([name for name in network if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
