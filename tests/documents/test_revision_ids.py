"""Revision ids agree with PouchDB's, so that the same edit made in a browser is the same revision.

``pouchdb_revisions.json`` is a session of PouchDB 9.0.0 on node (memory adapter): calls in order, with the
revision each of them answered. ``"@5"`` stands for the revision of step 5. All of it is ASCII, because node drops the
high byte of other characters; the vectors with others are from a browser.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB

SESSION: list[dict[str, Any]] = json.loads((Path(__file__).parent / "pouchdb_revisions.json").read_text())


def test_a_session_of_pouchdb(database: SyncPouchDB) -> None:
    revs: list[str] = []
    for step in SESSION:
        arguments = step["arguments"]
        if step["call"] == "put":
            doc = arguments[0]
            if "_rev" in doc:
                doc = {**doc, "_rev": revs[int(doc["_rev"][1:])]}
            # As text: a number of more than 64 bits is a double there, as in JavaScript.
            answer = database.put(json.dumps(doc))
        elif step["call"] == "put_attachment":
            id, name, rev, data, type = arguments
            answer = database.put_attachment(id, name, data, type, rev and revs[int(rev[1:])])
        else:
            *names, rev = arguments
            call = getattr(database, step["call"])
            answer = call(*names, revs[int(rev[1:])])
        assert (step["name"], answer.rev) == (step["name"], step["rev"])
        revs.append(answer.rev)


@pytest.mark.parametrize(
    ("doc", "rev"),
    [
        ({"_id": "edit2"}, "1-911ea76e7b0a67d85e0ed358108d9aaa"),
        ({"_id": "c", "z": 1, "10": 2, "2": 3, "a": 4}, "1-e12a41c845a2bdefe1d06113b2fe5dab"),
        (
            '{"_id":"d","x":1e21,"y":-0.0,"w":1e-7,"v":0.00001,"u":123456789012345680000}',
            "1-c8c244ea8fc19876327df20737e2c578",
        ),
        ({"_id": "x", "t": "日"}, "1-f5a9e386"),
        ({"_id": "x", "t": "å"}, "1-6fd534d4"),
    ],
    ids=["id only", "integer-like keys", "numbers", "three bytes a character", "two bytes a character"],
)
@pytest.mark.parametrize("as_text", [False, True], ids=["mapping", "text"])
def test_vectors(database: SyncPouchDB, doc: Any, rev: str, as_text: bool) -> None:
    if as_text and not isinstance(doc, str):
        doc = json.dumps(doc)
    assert database.put(doc).rev.startswith(rev)


def test_reading_and_putting_again_is_the_same_on_every_replica(database: SyncPouchDB) -> None:
    """Integer-like keys move to the front in JavaScript; that must not matter for the next revision."""
    database.put({"_id": "c", "z": 1, "10": 2, "2": 3, "a": 4})
    ours = database.get("c")
    theirs = {"2": 3, "10": 2, "z": 1, "a": 4, "_id": "c", "_rev": ours._rev}
    rev = database.put({**ours, "z": 2}).rev
    with pytest.raises(Exception, match="conflict"):
        database.put({**theirs, "z": 2})
    database.purge("c", rev)
    database.bulk_docs([{**theirs}], new_edits=False)
    assert database.put({**theirs, "z": 2}).rev == rev


@pytest.mark.parametrize("id", ["a", 'quoted " and \\', "é 日本", "x}", '"_id":"a"', "a,b"])
@pytest.mark.parametrize("place", ["first", "middle", "last", "only"])
def test_where_the_id_stands_changes_the_revision_but_not_the_body(database: SyncPouchDB, id: str, place: str) -> None:
    doc: dict[str, Any] = {
        "first": {"_id": id, "text": "_", "a": {"id": id}},
        "middle": {"text": f',"_id":{json.dumps(id)}', "_id": id, "a": {"_id": id}},
        "last": {"text": f'"{id}"', "a": {"id": [id, 1.0]}, "_id": id},
        "only": {"_id": id},
    }[place]
    rev = database.put(doc)["rev"]
    text = json.dumps(doc, ensure_ascii=False, separators=(",", ":")).replace("1.0", "1")
    assert rev == f"1-{hashlib.md5(text.encode()).hexdigest()}"
    body = {key: value for key, value in doc.items() if key != "_id"}
    assert list(database.get(id).items()) == [*body.items(), ("_id", id), ("_rev", rev)]
