"""PouchDB on node writes to our server, whose databases validate: the 16 cases of PouchDB's own integration suite.

PouchDB runs these where the server is a CouchDB: validation functions that reject one document or many do not stop a
replication, and every rejected document is told, with its id (PouchDB's issues 2268, 2935, 3070, 3171, 3270).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

import pouchdb
from pouchdb_core.testing.server import couch_server

pytest.importorskip("pouchdb_server")
pytest.importorskip("pouchdb_validation")

numbers = itertools.count()


def needs_foo(kind: str) -> str:
    return f"function (doc) {{ if (doc.foo === undefined) throw({{{kind}: 'Document must have a foo.'}}); }}"


def no_foo(kind: str) -> str:
    return f"function (doc) {{ if (doc.foo) throw({{{kind}: 'go away, no picture'}}); }}"


def by_kind(kind: str) -> str:
    return f"""function (doc) {{
        if (doc.foo === 'object') throw({{{kind}: {{foo: 'is object'}}}});
        if (doc.foo === 'string') throw({{{kind}: 'Document foo is string'}});
    }}"""


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with pouchdb.setup(":memory:") as environment, couch_server(environment) as running:
        yield running


@pytest.fixture(params=["leveldb", "http"])
def source(request: pytest.FixtureRequest, server: Any) -> str:
    """A database of PouchDB's own, or one of the server."""
    name = f"source{next(numbers)}"
    return name if request.param == "leveldb" else f"{server.url}/{name}"


@pytest.fixture
def target(server: Any) -> str:
    return f"{server.url}/target{next(numbers)}"


def guarded(peer: Any, target: str, source: str) -> None:
    peer("bulk", target, [{"_id": "_design/validate", "validate_doc_update": source}])


FOOS = [{"foo": "bar"}, {"foo": "baz"}, {}, {"foo": "quux"}]
MANY = [*FOOS, {}, {}, {"foo": "toto"}, {}]


@pytest.mark.parametrize(
    ("kind", "docs", "refused"),
    [("forbidden", FOOS, 1), ("unauthorized", FOOS, 1), ("unauthorized", MANY, 4)],
    ids=["one forbidden", "one unauthorized", "many unauthorized"],
)
def test_a_rejection_does_not_stop_a_replication(
    peer: Any, source: str, target: str, server: Any, kind: str, docs: list[Any], refused: int
) -> None:
    guarded(peer, target, needs_foo(kind))
    peer("bulk", source, docs)
    result = peer("watched", source, target, "to")["result"]
    assert result["ok"] is True
    assert (result["docs_read"], result["docs_written"]) == (len(docs), len(docs) - refused)
    assert (result["doc_write_failures"], len(result["errors"])) == (refused, refused)
    assert peer("info", target)["doc_count"] == len(docs) - refused + 1
    assert peer("info", source)["doc_count"] == len(docs)


@pytest.mark.parametrize("kind", ["forbidden", "unauthorized"])
def test_what_a_rejection_says(peer: Any, source: str, target: str, kind: str) -> None:
    guarded(peer, target, by_kind(kind))
    peer("bulk", source, [{"foo": "string"}, {}, {"foo": "object"}])
    result = peer("watched", source, target, "to")["result"]
    assert result["ok"] is True
    assert (result["docs_read"], result["docs_written"], result["doc_write_failures"]) == (3, 1, 2)
    assert [error["name"] for error in result["errors"]] == [kind] * 2
    # What a function gives as its message is passed on, an object, too.
    reasons = [error["reason"] for error in result["errors"]]
    assert sorted(reasons, key=str) == ["Document foo is string", {"foo": "is object"}]
    assert peer("info", target)["doc_count"] == 2


def test_every_rejection_names_its_document(peer: Any, source: str, target: str) -> None:
    guarded(peer, target, no_foo("unauthorized"))
    written = peer("bulk", source, [{"foo": "string"}, {}, {"foo": "object"}])
    result = peer("watched", source, target, "to")["result"]
    assert (result["ok"], result["docs_written"], result["doc_write_failures"]) == (True, 1, 2)
    assert {error["id"] for error in result["errors"]} == {written[0]["id"], written[2]["id"]}


DENIED = [{"_id": "foo1", "foo": "string"}, {"_id": "nofoo"}, {"_id": "foo2", "foo": "object"}]


def test_denied_events_of_a_replication(peer: Any, target: str) -> None:
    guarded(peer, target, no_foo("unauthorized"))
    peer("bulk", "local", DENIED)
    denied = peer("watched", "local", target, "to")["denied"]
    assert [(event["id"], event["name"]) for event in denied] == [("foo1", "unauthorized"), ("foo2", "unauthorized")]


@pytest.mark.parametrize("direction", ["push", "pull"])
def test_denied_events_of_a_sync(peer: Any, target: str, direction: str) -> None:
    guarded(peer, target, no_foo("unauthorized"))
    peer("bulk", "local", DENIED)
    ends = ("local", target) if direction == "push" else (target, "local")
    denied = peer("watched", *ends, "sync")["denied"]
    assert [(event["direction"], event["doc"]["name"]) for event in denied] == [(direction, "unauthorized")] * 2


def test_bulk_docs_of_replicators(peer: Any, target: str) -> None:
    guarded(peer, target, needs_foo("unauthorized"))
    docs = [
        {"_id": f"doc{n}", "_rev": "1-x", "_revisions": {"start": 1, "ids": ["x"]}, **({} if n == 1 else {"foo": "b"})}
        for n in range(3)
    ]
    (refused,) = peer("bulk", target, docs, {"new_edits": False})
    assert refused["id"] == "doc1"
    assert refused["error"]
