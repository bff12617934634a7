"""``_find``, ``_index`` and ``_explain`` answer as a CouchDB 3.5 did (couchdb/find.jsonl), also to our own client."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PEOPLE

import pouchdb
from pouchdb_core.errors import NotFound, PouchDBError

pytest.importorskip("pouchdb_server")
from pouchdb_server.recordings import Recording  # of an optional plug-in
from pouchdb_server.testing import couch_server

RECORDING = Recording.load(Path(__file__).parent / "couchdb", "find")


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    environment = pouchdb.setup(":memory:", plugins=["find", "server"])
    with couch_server(environment) as server:
        yield server
    environment.close()


class Client:
    def __init__(self, server: Any) -> None:
        self.host, self.port = re.match(r"http://(?:.*@)?([^:/]+):(\d+)", server.url).groups()  # type: ignore[union-attr]

    def __call__(self, method: str, path: str, body: Any = None, raw: bool = False) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.host, int(self.port), timeout=30)
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, text if raw else json.loads(text)


@pytest.fixture(scope="module")
def client(server: Any) -> Client:
    return Client(server)


@pytest.mark.parametrize("scenario", RECORDING.scenarios)
def test_recorded(server: Any, scenario: str) -> None:
    differences = RECORDING.play(scenario, server.url, None)
    assert RECORDING.unexpected(scenario, differences) == []


def test_documents_are_streamed_as_couchdb_formats_them(client: Client) -> None:
    client("PUT", "/streamed")
    client("POST", "/streamed/_bulk_docs", {"docs": [{"_id": f"{i:05d}", "n": i} for i in range(3000)]})
    status, text = client("POST", "/streamed/_find", {"selector": {"n": {"$gte": 0}}, "limit": 3000}, raw=True)
    assert status == 200
    lines = text.split(b"\r\n")
    assert lines[0] == b'{"docs":['
    assert lines[1].startswith(b'{"_id":"00000","_rev":"1-')
    assert len(json.loads(text)["docs"]) == 3000
    status, text = client("POST", "/streamed/_find", {"selector": {"n": -1}}, raw=True)
    assert json.loads(text)["docs"] == []


def test_limit_and_skip_of_indexes(client: Client) -> None:
    client("PUT", "/listed")
    for name in "abc":
        client("POST", "/listed/_index", {"index": {"fields": [name]}, "ddoc": name})
    answer = client("GET", "/listed/_index?limit=2&skip=1")[1]
    assert [each["ddoc"] for each in answer["indexes"]] == ["_design/a", "_design/b"]
    assert answer["total_rows"] == 4
    assert client("GET", "/listed/_index?limit=0")[0] == 500


def test_the_state_and_size_of_an_index(client: Client) -> None:
    client("PUT", "/sized")
    client("POST", "/sized/_index", {"index": {"fields": ["n"]}, "ddoc": "by"})
    client("POST", "/sized/_bulk_docs", {"docs": [{"_id": f"{i:05d}", "n": i} for i in range(500)]})
    before = client("GET", "/sized/_design/by/_info")[1]["view_index"]
    assert before["updates_pending"]["total"] == 500
    client("POST", "/sized/_find", {"selector": {"n": 5}})
    after = client("GET", "/sized/_design/by/_info")[1]["view_index"]
    assert (after["updates_pending"]["total"], after["update_seq"], after["language"]) == (0, 501, "query")
    assert after["signature"]
    assert before["sizes"]["file"] < after["sizes"]["file"]
    assert 0 < after["sizes"]["external"] <= after["sizes"]["active"] <= after["sizes"]["file"]


def test_what_is_below_index_is_no_document(client: Client) -> None:
    """From CouchDB's own tests, 01-index-crud-test.py."""
    client("PUT", "/below")
    for method, path, status in (("GET", "foo", 405), ("PUT", "a/json", 405), ("DELETE", "foo", 404)):
        assert client(method, f"/below/_index/{path}")[0] == status, path
    for member in ("name", "ddoc"):
        status, answer = client("POST", "/below/_index", {"index": {"fields": ["a"]}, member: ""})
        assert (status, answer["error"]) == (400, "invalid_index_name")


def test_a_database_on_a_server(server: Any, tmp_path: Any) -> None:
    environment = pouchdb.setup(str(tmp_path), plugins=["find"])
    db = (
        environment.open(f"{server.url}/remote")
        if hasattr(environment, "open")
        else environment[f"{server.url}/remote"]
    )
    db.bulk_docs(PEOPLE)
    assert db.create_index({"fields": ["age"], "name": "n", "ddoc": "d"}).result == "created"
    assert db.createIndex({"index": {"fields": ["age"], "name": "n", "ddoc": "d"}}).result == "exists"
    answer = db.find(selector={"age": {"$gt": 29}}, sort=["age"], fields=["_id"])
    assert answer.docs == [{"_id": "m00"}, {"_id": "m04"}, {"_id": "m02"}, {"_id": "m05"}]
    assert db.explain(selector={"age": 5}).index.name == "n"
    assert db.get_indexes().total_rows == 2
    with pytest.raises(PouchDBError) as caught:
        db.find(selector={"a": {"$odd": 1}})
    assert (caught.value.status, caught.value.name) == (400, "invalid_operator")
    assert [row["id"] for row in db.changes(selector={"age": 41})["results"]] == ["m02"]
    local = environment["local"]
    local.replicate_from(db, selector={"city": "Rome"})
    assert [row["id"] for row in local.all_docs()["rows"]] == ["m00", "m02", "m05"]
    assert db.delete_index(ddoc="d", name="n") == {"ok": True}
    with pytest.raises(NotFound):
        db.delete_index(ddoc="d", name="n")
    environment.close()
