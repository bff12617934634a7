"""Requests whose JSON is right but for one value or name: none of them is the server's fault.

Random requests seldom come that far: most of them are refused before the code that needs the value.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pouchdb_server import Request, Response, service

import pouchdb
from pouchdb_core.runner import Idle

USER = {"_id": "org.couchdb.user:u", "name": "u", "password": "p", "roles": ["r"], "type": "user"}
ATTACHMENT = {"data": "aGk=", "content_type": "text/plain", "revpos": 1, "digest": "md5-x", "length": 2, "stub": False}
DESIGN = {
    "language": "javascript",
    "views": {"v": {"map": "function (doc) { emit(doc.n) }", "reduce": "_count", "options": {"collation": "raw"}}},
    "options": {"local_seq": True, "include_design": True},
    "filters": {"f": "function (doc) { return true }"},
    "validate_doc_update": "function () {}",
    "autoupdate": False,
}
RANGE = {"startkey": 1, "endkey": 3, "startkey_docid": "a", "endkey_docid": "z", "limit": 2, "skip": 0}
BODIES: dict[str, Any] = {
    "POST /_session": {"name": "ada", "password": "secret"},
    "POST /db": {"_id": "new", "a": {"b": [1]}, "_attachments": {"a b": {"data": "aGk="}}},
    "PUT /db/put": {"a": 1, "_attachments": {"file": ATTACHMENT}},
    "PUT /db/_local/put": {"a": 1, "_rev": "0-1"},
    "PUT /db/_design/put": DESIGN,
    "POST /db/_bulk_docs": {"docs": [{"_id": "bulk", "_rev": "1-a", "_deleted": False}], "new_edits": True},
    "POST /db/_bulk_docs?replicated": {
        "docs": [{"_id": "r", "_revisions": {"start": 2, "ids": ["b", "a"]}, "_attachments": {"x": ATTACHMENT}}],
        "new_edits": False,
    },
    "POST /db/_bulk_get": {"docs": [{"id": "d1", "rev": "1-a", "atts_since": ["1-a"]}], "revs": True},
    "POST /db/_revs_diff": {"d1": ["1-a", "2-b"]},
    "POST /db/_missing_revs": {"d1": ["1-a"]},
    "POST /db/_purge": {"d4": ["1-a"]},
    "POST /db/_all_docs": {"keys": ["d1", "none"], "include_docs": True, "limit": 2, "skip": 0},
    "POST /db/_all_docs?range": {"startkey": "d1", "endkey": "d3", "descending": False, "include_docs": True},
    "POST /db/_all_docs/queries": {"queries": [{"keys": ["d1"]}, {"startkey": "a", "include_docs": True}]},
    "POST /db/_design_docs": {"keys": ["_design/d"], "include_docs": True},
    "POST /db/_local_docs": {"startkey": "_local/a", "endkey": "_local/z", "include_docs": True},
    "POST /db/_changes?filter=_doc_ids": {"doc_ids": ["d1"]},
    "POST /db/_design/d/_view/v": {**RANGE, "reduce": False, "include_docs": True, "update_seq": True},
    "POST /db/_design/d/_view/v?keys": {"keys": [1, [2]], "reduce": False},
    "POST /db/_design/d/_view/v/queries": {"queries": [{"key": 1, "group": True}, {"limit": 1}]},
    "POST /_replicate": {
        "source": "db",
        "target": "copy",
        "create_target": True,
        "doc_ids": ["d1"],
        "query_params": {"a": "b"},
        "since_seq": 0,
        "user_ctx": {"name": "x", "roles": ["r"]},
    },
    "PUT /_replicator/job": {
        "source": "nothing",
        "target": "copy",
        "owner": "x",
        "user_ctx": {"name": "x", "roles": []},
    },
    "PUT /_users/org.couchdb.user:u": USER,
    "PUT /db/_security": {"admins": {"names": ["a"], "roles": ["b"]}, "members": {"names": ["c"], "roles": ["d"]}},
    "PUT /_node/_local/_config/admins/eve": "secret",
    "PUT /_node/_local/_config/couchdb/size": "1",
    "PUT /db/_revs_limit": 5,
    "PUT /db/_purged_infos_limit": 5,
    "POST /_dbs_info": {"keys": ["db"]},
    "POST /_cluster_setup": {"action": "enable_single_node", "username": "a", "password": "b", "port": 5},
}
SURROGATE = "\ud800"
VALUES: list[Any] = [
    *(SURROGATE, "\x00", "", "_design/d", "../..", "%ff", "x" * 70_000),
    *(10**30, -1, 1e308, 0.5, True, None, [], {}, [SURROGATE], {SURROGATE: 1}, [[[[]]]], {"a": {"b": None}}),
]
NAMES = [SURROGATE, "", "_x", "\x00", "x" * 3000]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in items:
        yield from places(member, (*path, key))


def changed(value: Any) -> Iterator[Any]:
    """Yield a value with each of its parts replaced, and each of its names."""
    for path in places(value):
        for other in VALUES:
            copied: Any = [copy.deepcopy(value)]
            inner = copied
            for key in (0, *path)[:-1]:
                inner = inner[key]
            inner[(0, *path)[-1]] = other
            yield copied[0]
        for name in NAMES if path and isinstance(path[-1], str) else ():
            copied = copy.deepcopy(value)
            inner = copied
            for key in path[:-1]:
                inner = inner[key]
            inner[name] = inner.pop(path[-1])
            yield copied


def text_of(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    pieces: list[bytes] = []
    for piece in response.body:
        if isinstance(piece, Idle):
            break
        pieces.append(piece)
    if hasattr(response.body, "close"):
        response.body.close()
    return b"".join(pieces)


@pytest.mark.parametrize("case", BODIES)
def test_one_odd_value_is_not_the_servers_fault(case: str, caplog: pytest.LogCaptureFixture) -> None:
    method, target = case.split(" ")
    with pouchdb.setup(":memory:", plugins=["server", "validation"]) as environment:
        db = environment["db"]
        db.bulk_docs([{"_id": f"d{number}", "n": number, "lone": SURROGATE} for number in range(5)])
        db.put(
            {
                "_id": "_design/d",
                "views": {"v": {"map": "function (doc) { emit(doc.n, doc.lone) }", "reduce": "_count"}},
            }
        )
        environment["_users"], environment["_replicator"]
        served = service(environment)
        with caplog.at_level(logging.ERROR, "pouchdb.server"):
            for body in changed(BODIES[case]):
                text = json.dumps(body).encode()
                request: Request = served.request(
                    method, target, headers={"Content-Type": "application/json"}, body=text
                )
                response = served.answer(request)
                assert response.status < 500, (text[:300], text_of(response))
                text_of(response)
                assert not caplog.records, text[:300]
        served.close()
