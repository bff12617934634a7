"""Content is what was written: told apart by SHA-256, compared with what its document says, looked at when read."""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.documents.attachment_reader import CHUNK
from pouchdb_core.documents.attachments import Incoming
from pouchdb_core.documents.content import LEVELS, Digests
from pouchdb_core.dump import dump, load
from pouchdb_core.errors import ContentMismatch, Damaged, MissingStub

DATA = Path(__file__).parent / "data"
ONE, OTHER = ((DATA / f"collision_{name}.bin").read_bytes() for name in ("one", "other"))
"""Two contents of one MD5, published by Wang, Feng, Lai and Yu in 2004."""


def md5(content: bytes) -> str:
    return "md5-" + base64.b64encode(hashlib.md5(content).digest()).decode()


def packed(content: bytes, level: int = 8) -> bytes:
    """Pack content as CouchDB does."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(content) + packer.flush()


def replicated(database: SyncPouchDB, id: str, entry: dict[str, Any], rev: str = "1-a") -> Any:
    doc = {"_id": id, "_rev": rev, "_attachments": {"a": {"content_type": "image/png", **entry}}}
    return database.bulk_docs([doc, {"_id": f"{id} good", "_rev": "1-b"}], new_edits=False)


# -- what a document says --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [bytes, lambda text: base64.b64encode(text).decode(), io.BytesIO], ids=["bytes", "base64", "file"]
)
@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"digest": md5(b"another")}, "digest"),
        ({"length": 8}, "8 as its document"),
        ({"length": 0, "digest": md5(b"content")}, "7 bytes, not 0"),
        ({"digest": md5(packed(b"content"))}, "digest"),
        ({"digest": md5(b"another"), "content_type": "text/plain"}, "digest"),
        ({"digest": "md5-"}, "digest"),
    ],
    ids=repr,
)
def test_content_that_is_not_what_its_document_says(
    database: SyncPouchDB, given: Any, entry: dict[str, Any], words: str
) -> None:
    for _ in range(2):
        failed = replicated(database, "x", {"data": given(b"content"), **entry})
        assert [(each["id"], each["name"], each["status"]) for each in failed] == [("x", "content_md5_mismatch", 400)]
        assert "attachment 'a'" in failed[0]["message"]
        assert words in failed[0]["message"]
    assert list(database) == ["x good"]
    assert database.integrity_check() == []


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"digest": md5(b"content")},
        {"length": 7},
        {"digest": md5(b"content"), "length": 7, "revpos": 1},
        {"digest": "sha1-of another kind"},
        {"digest": md5(packed(b"content")), "content_type": "text/plain"},
        {"digest": md5(packed(b"content", 1)), "content_type": "application/json", "length": 7},
        {"digest": md5(packed(b"content")), "encoding": "gzip"},
    ],
    ids=repr,
)
def test_content_that_is_what_its_document_says(database: SyncPouchDB, entry: dict[str, Any]) -> None:
    assert replicated(database, "x", {"data": b"content", **entry}) == []
    assert database.get_attachment("x", "a").data == b"content"
    shown = database.get("x")["_attachments"]["a"]
    # What CouchDB calls packed content is what its other replicas call it.
    assert shown["digest"] == (entry["digest"] if entry.get("digest", "sha1").startswith("md5") else md5(b"content"))
    assert shown["length"] == 7
    assert database.get("x", attachments=True)["_attachments"]["a"]["digest"] == md5(b"content")
    assert database.open_attachment("x", "a").md5 == md5(b"content")


def test_an_edit_may_have_the_digest_of_what_it_replaces(database: SyncPouchDB) -> None:
    database.put({"_id": "x", "_attachments": {"a": {"content_type": "text/plain", "data": b"old"}}})
    doc = database.get("x", attachments=True)
    doc["_attachments"]["a"]["data"] = base64.b64encode(b"newer").decode()
    database.put(doc)
    assert database.get_attachment("x", "a").data == b"newer"
    assert database.get("x")["_attachments"]["a"]["digest"] == md5(b"newer")


@hypothesis.given(content=st.binary(max_size=2000), level=st.sampled_from(LEVELS), change=st.integers(0, 1999))
def test_packed_digests_are_understood(content: bytes, level: int, change: int) -> None:
    entry = {"content_type": "text/plain", "digest": md5(packed(content, level)), "length": len(content)}
    Incoming(entry, content, Digests(content)).check("a")
    if content:
        place = change % len(content)
        other = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        with pytest.raises(ContentMismatch):
            Incoming(entry, other, Digests(other)).check("a")


# -- two contents of one MD5 -----------------------------------------------------------------------


def test_two_contents_of_one_md5_are_two(environment: SyncEnvironment, database: SyncPouchDB) -> None:
    assert md5(ONE) == md5(OTHER)
    database.put({"_id": "planted", "_attachments": {"a": {"data": ONE}}})
    database.put({"_id": "honest", "_attachments": {"a": {"data": OTHER}}})
    database.put({"_id": "both", "_attachments": {"one": {"data": ONE}, "other": {"data": OTHER}}})
    database.put({**database.get("both"), "edited": True})
    other = environment["copy"]
    dumped = io.BytesIO()
    dump(database, dumped)
    database.replicate_to(other)
    back = environment["dumped"]
    load(back, io.BytesIO(dumped.getvalue()))
    for db in (database, other, back):
        assert db.get_attachment("planted", "a").data == ONE
        assert db.get_attachment("honest", "a").data == OTHER
        both = db.get("both", attachments=True, binary=True)["_attachments"]
        assert (both["one"]["data"], both["other"]["data"]) == (ONE, OTHER)
        assert db.integrity_check() == []
    for id, content in (("planted", ONE), ("honest", OTHER)):
        database.remove(database.get(id))
        database.compact()
        both = database.get("both", attachments=True, binary=True)["_attachments"]
        assert (both["one"]["data"], both["other"]["data"]) == (ONE, OTHER), content


def test_into_a_database_that_has_the_other(environment: SyncEnvironment, database: SyncPouchDB) -> None:
    source = environment["source"]
    database.put({"_id": "planted", "_attachments": {"a": {"data": ONE}}})
    source.put({"_id": "honest", "_attachments": {"a": {"data": OTHER}}})
    source.replicate_to(database)
    assert database.get_attachment("honest", "a").data == OTHER


def test_a_stub_that_may_mean_either_is_refused(database: SyncPouchDB) -> None:
    database.put({"_id": "one", "_attachments": {"a": {"data": ONE}}})
    stub = {"stub": True, "digest": md5(ONE), "content_type": "a/b"}
    database.put({"_id": "sure", "_attachments": {"x": stub}})
    database.put({"_id": "other", "_attachments": {"a": {"data": OTHER}}})
    with pytest.raises(MissingStub):
        database.put({"_id": "unsure", "_attachments": {"x": stub}})
    # In what it was made from there is one.
    database.put({"_id": "other", "_rev": database.get("other")["_rev"], "_attachments": {"renamed": stub}})
    assert database.get_attachment("other", "renamed").data == OTHER
    assert database.get_attachment("sure", "x").data == ONE


def test_edits_of_one_batch(database: SyncPouchDB) -> None:
    database.bulk_docs(
        [
            {"_id": "x", "_rev": "1-a", "_attachments": {"a": {"data": ONE}}},
            {"_id": "y", "_rev": "1-a", "_attachments": {"a": {"data": OTHER}}},
            {
                "_id": "y",
                "_rev": "2-b",
                "_revisions": {"start": 2, "ids": ["b", "a"]},
                "_attachments": {"a": {"stub": True, "digest": md5(OTHER)}},
            },
        ],
        new_edits=False,
    )
    assert database.get_attachment("y", "a").data == OTHER
    assert database.get_attachment("y", "a", rev="1-a").data == OTHER


# -- damage ----------------------------------------------------------------------------------------

SIZES = {"small": 100, "a chunk": CHUNK, "chunks": 2 * CHUNK + 100}


def flip(database: SyncPouchDB, sql: str) -> None:
    """Change what is stored behind the store's back."""
    with database.adapter.store.connections.write():  # type: ignore[attr-defined]
        database.adapter.store.connections.run(sql)  # type: ignore[attr-defined]


DAMAGES = {
    "a bit": (
        "UPDATE attachment_chunks SET data = CAST(substr(data, 1, 50) || x'ff' || substr(data, 52) AS BLOB) "
        "WHERE attachment = 1 AND position = (SELECT max(position) FROM attachment_chunks WHERE attachment = 1)"
    ),
    "a bit of what an earlier version stored": (
        "UPDATE attachment_chunks SET checksum = NULL, "
        "data = CAST(substr(data, 1, 50) || x'ff' || substr(data, 52) AS BLOB) WHERE attachment = 1"
    ),
    "cut": "UPDATE attachment_chunks SET data = substr(data, 1, 10) WHERE attachment = 1",
    "a piece is gone": "DELETE FROM attachment_chunks WHERE attachment = 1 AND position = 0",
    "the key": "UPDATE attachments SET sha256 = x'00' WHERE number = 1",
}


@pytest.fixture(params=[(what, size) for what in DAMAGES for size in SIZES], ids=lambda each: " ".join(each))
def damaged(request: pytest.FixtureRequest, environment: SyncEnvironment) -> SyncPouchDB:
    """A database with five documents, of which one has a damaged attachment."""
    what, size = request.param
    db = environment["damaged"]
    db.put({"_id": "bad", "_attachments": {"a.png": {"data": b"\0" * SIZES[size], "content_type": "image/png"}}})
    for number in range(4):
        db.put({"_id": f"good{number}", "_attachments": {"a": {"data": b"%d" % number, "content_type": "a/b"}}})
    flip(db, DAMAGES[what])
    return db


def reading(db: SyncPouchDB, tmp_path: Path) -> dict[str, Callable[[], Any]]:
    return {
        "get_attachment": lambda: db.get_attachment("bad", "a.png"),
        "open_attachment": lambda: db.open_attachment("bad", "a.png").read(),
        "get": lambda: db.get("bad", attachments=True),
        "open_revs": lambda: db.open_revs("bad", attachments=True),
        "dump": lambda: dump(db, io.BytesIO()),
        "backup": lambda: db.backup(tmp_path / "copy.pouchdb"),
    }


def test_damage_is_found_by_whoever_reads_it(damaged: SyncPouchDB, tmp_path: Path) -> None:
    [found, *_] = damaged.integrity_check()
    assert len([each for each in damaged.integrity_check() if "'a.png' of document 'bad'" in each]) <= 1
    for name, read in reading(damaged, tmp_path).items():
        with pytest.raises(Damaged, match=r"'a\.png' of document 'bad'") as caught:
            read()
        assert (caught.value.id, caught.value.attachment, caught.value.status) == ("bad", "a.png", 500), name
    assert not list(tmp_path.glob("*copy*")), found
    result = damaged.bulk_get([{"id": "bad"}, {"id": "good1"}], attachments=True)["results"]
    assert [list(each["docs"][0]) for each in result] == [["error"], ["ok"]]
    assert result[0]["docs"][0]["error"]["error"] == "damaged"
    assert damaged.get_attachment("good1", "a").data == b"1"


def test_damage_is_not_copied_and_stops_nothing(damaged: SyncPouchDB, environment: SyncEnvironment) -> None:
    target = environment["target"]
    for _ in range(2):
        result = damaged.replicate_to(target)
        assert [(each["id"], each["name"]) for each in result["errors"]] == [("bad", "damaged")]
        assert "'a.png'" in result["errors"][0]["message"]
        assert sorted(target) == [f"good{number}" for number in range(4)]
    # Whatever it was, once it is there again it comes.
    rev = damaged.get("bad")["_rev"]
    damaged.purge("bad", rev)
    doc = {"_id": "bad", "_rev": rev, "_attachments": {"a.png": {"data": b"mended", "content_type": "image/png"}}}
    damaged.bulk_docs([doc], new_edits=False)
    assert damaged.replicate_to(target)["ok"]
    assert target.get_attachment("bad", "a.png").data == b"mended"


def test_integrity_check_that_is_not_deep(environment: SyncEnvironment) -> None:
    db = environment["x"]
    db.put({"_id": "a", "_attachments": {"a": {"data": b"x" * 100}}})
    flip(db, DAMAGES["a bit"])
    assert db.integrity_check(deep=False) == []
    assert db.integrity_check(deep=True) == db.integrity_check() != []


@pytest.mark.parametrize("documents", ["body", "tree"])
def test_a_damaged_document_stops_nothing(environment: SyncEnvironment, documents: str) -> None:
    db, target = environment["x"], environment["y"]
    db.bulk_docs([{"_id": f"{number:04}", "n": number} for number in range(1500)])
    db.put({**db.get("0700"), "edited": True})
    flip(db, f"UPDATE documents SET {documents} = CAST('{{' || {documents} AS BLOB) WHERE id = '0700'")
    assert any("'0700'" in each for each in db.integrity_check())
    with pytest.raises(Damaged, match="'0700'"):
        db.get("0700", revs=True)
    result = db.replicate_to(target)
    if documents == "tree":
        assert [(each["id"], each["name"]) for each in result["errors"]] == [("0700", "damaged")]
        assert result["docs_written"] == 1499
        assert "0700" not in target


def test_a_range_of_damaged_content(environment: SyncEnvironment) -> None:
    db = environment["x"]
    db.put_attachment("bad", "a", bytes(3 * CHUNK), "image/png")
    flip(db, DAMAGES["a bit"])
    with db.open_attachment("bad", "a") as file:
        assert file.read(100) == bytes(100)
        file.seek(2 * CHUNK + 10)
        with pytest.raises(Damaged, match="'a' of document 'bad'"):
            file.read(10)


def test_what_cannot_be_read_is_an_error_of_ours(tmp_path: Path) -> None:
    with pouchdb.setup(tmp_path, plugins=[]) as environment:
        db = environment["x"]
        db.put({"_id": "a"})
        flip(db, "UPDATE documents SET body = x'00ff'")
        for read in (lambda: db.get("a"), lambda: db.get("a", revs=True)):
            with pytest.raises(Damaged, match="'a'") as caught:
                read()
            assert caught.value.id == "a"
