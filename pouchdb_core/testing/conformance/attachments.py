"""Attachments: content of documents, in and out."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.errors import BadRequest, Conflict, MissingStub, NotFound
from pouchdb_core.testing.conformance.conflicts import graft
from pouchdb_core.testing.conformance.subject import Suite, needs

__all__ = ["Attachments"]

HELLO = {"content_type": "text/plain", "data": base64.b64encode(b"hello").decode()}
DIGEST = "md5-XUFAKrxLKna5cZ2REBfFkg=="
NAMES = ["plain.txt", "a/b", "ä ö", "日本.png", "a+b%20?&#", ".."]


class Attachments(Suite):
    """Bytes come back as they were given, under any name, of any length."""

    def test_inline_data_becomes_a_stub(self, database: SyncPouchDB) -> None:
        database.put({"_id": "a", "_attachments": {"t": HELLO}})
        assert database.get("a")["_attachments"]["t"] == {
            "content_type": "text/plain",
            "revpos": 1,
            "digest": DIGEST,
            "length": 5,
            "stub": True,
        }

    def test_content_on_request(self, database: SyncPouchDB) -> None:
        database.put({"_id": "a", "_attachments": {"t": HELLO}})
        entry = database.get("a", attachments=True)["_attachments"]["t"]
        assert entry["data"] == HELLO["data"]
        assert "stub" not in entry
        assert database.get("a", attachments=True, binary=True)["_attachments"]["t"]["data"] == b"hello"
        row = database.all_docs(include_docs=True, attachments=True)["rows"][0]
        assert row["doc"]["_attachments"]["t"]["data"] == HELLO["data"]

    @pytest.mark.parametrize(
        "data",
        [b"hello", bytearray(b"hello"), HELLO["data"], io.BytesIO(b"hello"), {"type": "x/y", "data": b"hello"}],
        ids=["bytes", "bytearray", "base64", "file", "blob"],
    )
    def test_put_attachment_takes(self, database: SyncPouchDB, data: Any) -> None:
        if isinstance(data, io.BytesIO):
            data = io.BytesIO(data.getvalue())
        answer = database.put_attachment("a", "t", data, "text/plain")
        assert answer["rev"].startswith("1-")
        blob = database.get_attachment("a", "t")
        assert (blob["data"], blob["type"]) == (b"hello", "text/plain")

    @pytest.mark.parametrize("name", NAMES)
    def test_names(self, database: SyncPouchDB, name: str) -> None:
        database.put_attachment("a", name, b"hello", "text/plain")
        assert list(database.get("a")["_attachments"]) == [name]
        assert database.get_attachment("a", name)["data"] == b"hello"

    @pytest.mark.parametrize("size", [0, 1, 1000, 256 * 1024, 256 * 1024 + 1, 1_500_000])
    def test_sizes(self, database: SyncPouchDB, size: int) -> None:
        content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        database.put_attachment("a", "t", content, "application/octet-stream")
        assert database.get_attachment("a", "t")["data"] == content
        assert database.get("a")["_attachments"]["t"]["length"] == size

    def test_put_attachment_needs_the_revision(self, database: SyncPouchDB) -> None:
        rev = database.put({"_id": "a", "n": 1})["rev"]
        with pytest.raises(Conflict):
            database.put_attachment("a", "t", b"hello", "text/plain")
        two = database.put_attachment("a", "t", b"hello", "text/plain", rev)["rev"]
        doc = database.get("a")
        assert (doc["_rev"], doc["n"], doc["_attachments"]["t"]["revpos"]) == (two, 1, 2)

    def test_a_stub_keeps_an_attachment(self, database: SyncPouchDB) -> None:
        database.put({"_id": "a", "_attachments": {"t": HELLO, "u": HELLO}})
        doc = database.get("a")
        del doc["_attachments"]["u"]
        database.put({**doc, "n": 1})
        kept = database.get("a")["_attachments"]
        assert list(kept) == ["t"]
        assert kept["t"]["revpos"] == 1
        assert database.get_attachment("a", "t")["data"] == b"hello"

    def test_an_edit_without_them_drops_them(self, database: SyncPouchDB) -> None:
        rev = database.put({"_id": "a", "_attachments": {"t": HELLO}})["rev"]
        database.put({"_id": "a", "_rev": rev})
        with pytest.raises(NotFound):
            database.get_attachment("a", "t")

    def test_a_stub_of_nothing(self, database: SyncPouchDB) -> None:
        with pytest.raises(MissingStub):
            database.put({"_id": "a", "_attachments": {"t": {"stub": True, "digest": DIGEST}}})
        assert "a" not in database

    def test_remove_attachment(self, database: SyncPouchDB) -> None:
        rev = database.put({"_id": "a", "_attachments": {"t": HELLO, "u": HELLO}})["rev"]
        rev = database.remove_attachment("a", "t", rev)["rev"]
        assert list(database.get("a")["_attachments"]) == ["u"]
        database.remove_attachment("a", "u", rev)
        assert "_attachments" not in database.get("a")

    def test_what_is_missing(self, database: SyncPouchDB) -> None:
        database.put({"_id": "a"})
        for id, name in (("a", "t"), ("nobody", "t")):
            with pytest.raises(NotFound):
                database.get_attachment(id, name)

    @pytest.mark.parametrize("given", [{"t": {}}, {"t": {"data": "not base64!"}}, {"_t": HELLO}, "text"], ids=repr)
    def test_attachments_that_cannot_be(self, database: SyncPouchDB, given: Any) -> None:
        with pytest.raises(BadRequest):
            database.put({"_id": "a", "_attachments": given})
        assert "a" not in database

    def test_every_conflict_has_its_own(self, database: SyncPouchDB) -> None:
        for rev, content in (("1-a", b"of a"), ("1-b", b"of b")):
            data = base64.b64encode(content).decode()
            graft(database, rev, _attachments={"t": {"content_type": "text/plain", "revpos": 1, "data": data}})
        assert database.get_attachment("a", "t")["data"] == b"of b"
        assert database.get_attachment("a", "t", "1-a")["data"] == b"of a"
        leaves = database.open_revs("a", attachments=True, binary=True)
        assert [each["ok"]["_attachments"]["t"]["data"] for each in leaves] == [b"of b", b"of a"]

    def test_only_what_is_newer_comes_with_atts_since(self, database: SyncPouchDB) -> None:
        one = database.put({"_id": "a", "_attachments": {"old": HELLO}})["rev"]
        database.put_attachment("a", "new", b"new", "text/plain", one)
        entries = database.get("a", attachments=True, atts_since=[one])["_attachments"]
        assert "data" in entries["new"]
        assert entries["old"]["stub"] is True

    @needs(lambda can: can.streams)
    def test_streams(self, database: SyncPouchDB) -> None:
        content = b"0123456789" * 100_000
        database.put_attachment("a", "t", io.BytesIO(content), "text/plain")
        with database.open_attachment("a", "t") as file:
            assert (file.length, file.content_type) == (len(content), "text/plain")
            assert file.read(10) == b"0123456789"
            file.seek(999_995)
            assert file.read() == b"56789"
            file.seek(0)
            assert file.read() == content
