"""Attachments of documents: inline, stubs, by their own calls, and reading them back.

Rows of the option table and the tests that cover them:

* putAttachment(id, name, data, type, rev): test_put_attachment*, data in every form: test_data
* getAttachment(id, name, rev): test_get_attachment*; removeAttachment(id, name, rev): test_remove_attachment*
* inline `_attachments`: test_inline; entry keys: test_entries_keep_what_is_known; stubs: test_stub*, 412 missing_stub
* names may not start with `_`: test_refuses; digests, stored once: test_stored_once
* get(attachments, binary, atts_since): test_content_with_the_document, test_atts_since
* streams in and out: test_attachment_streams.py
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from hashlib import md5
from types import MappingProxyType
from typing import Any

import pytest

from pouchdb_core.database import SyncPouchDB
from pouchdb_core.documents.attachments import CHUNK, Blob
from pouchdb_core.errors import BadRequest, Conflict, MissingStub, NotFound, PouchDBError


def digest(content: bytes) -> str:
    return "md5-" + base64.b64encode(md5(content).digest()).decode()


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


DATA: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "base64": text,
    "base64 with white space": lambda content: " \n" + "\t\r\n ".join(text(content)) + "\n",
    "blob": lambda content: Blob(content, "text/ignored"),
    "mapping of bytes": lambda content: MappingProxyType({"data": content}),
    "mapping of base64": lambda content: {"data": text(content), "type": "text/ignored"},
    "file": io.BytesIO,
}
CONTENTS = [b"", b"x", b"\0\xff\r\n" * 10, bytes(range(256)) * 100]


@pytest.mark.parametrize("content", CONTENTS, ids=["empty", "a byte", "binary", "25 KiB"])
@pytest.mark.parametrize("form", DATA.values(), ids=DATA)
def test_data(database: SyncPouchDB, form: Callable[[bytes], Any], content: bytes) -> None:
    answer = database.put_attachment("a", "x", form(content), "text/x")
    assert database.get_attachment("a", "x") == {"type": "text/x", "data": content}
    inline = {"_id": "b", "_attachments": {"x": {"content_type": "text/x", "data": form(content)}}}
    database.put(inline)
    for id in "ab":
        assert database.get(id)._attachments == {
            "x": {
                "content_type": "text/x",
                "revpos": 1,
                "digest": digest(content),
                "length": len(content),
                "stub": True,
            }
        }
    assert answer.rev == database.get("a")._rev


@pytest.mark.parametrize("length", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7])
def test_lengths_about_a_chunk(database: SyncPouchDB, length: int) -> None:
    content = bytes(range(251)) * (length // 251 + 1)
    database.put_attachment("a", "x", content[:length])
    assert database.get_attachment("a", "x").data == content[:length]
    assert database.get("a")._attachments.x.length == length


# -- put_attachment, get_attachment, remove_attachment -----------------------------------------------------------------


def test_put_attachment(database: SyncPouchDB) -> None:
    first = database.put_attachment("a", "x", b"one", "text/plain")
    assert first == {"ok": True, "id": "a", "rev": first.rev}
    assert first.rev.startswith("1-")
    second = database.putAttachment("a", "x", b"two", "text/plain", first.rev)
    third = database.put_attachment("a", "y", b"three", rev=second.rev)
    assert third.rev.startswith("3-")
    assert database.get_attachment("a", "x").data == b"two"
    assert database.getAttachment("a", "x", first.rev).data == b"one"
    entries = database.get("a")._attachments
    assert {name: entry.revpos for name, entry in entries.items()} == {"x": 2, "y": 3}
    assert entries.y.content_type == "application/octet-stream"


def test_put_attachment_keeps_the_document(database: SyncPouchDB) -> None:
    rev = database.put({"_id": "a", "n": 1, "items": [1]}).rev
    database.put_attachment("a", "x", b"one", "text/plain", rev)
    doc = database.get("a")
    assert (doc.n, doc["items"]) == (1, [1])


def test_put_attachment_over_a_deleted_document(database: SyncPouchDB) -> None:
    database.remove("a", database.put({"_id": "a", "n": 1}).rev)
    assert database.put_attachment("a", "x", b"one", "text/plain").rev.startswith("3-")
    assert "n" not in database.get("a")


def test_put_attachment_to_a_losing_leaf(database: SyncPouchDB) -> None:
    database.bulk_docs([{"_id": "a", "_rev": "1-b"}, {"_id": "a", "_rev": "1-a", "n": 1}], new_edits=False)
    rev = database.put_attachment("a", "x", b"one", "text/plain", "1-a").rev
    assert database.get("a", conflicts=True) == {**database.get("a", rev=rev), "_conflicts": ["1-b"]}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        pytest.param(lambda db, rev: db.put_attachment("a", "x", b""), Conflict, id="no rev"),
        pytest.param(lambda db, rev: db.put_attachment("a", "x", b"", rev="1-q"), Conflict, id="unknown rev"),
        pytest.param(lambda db, rev: db.put_attachment("a", "x", b"", rev="bad"), BadRequest, id="malformed rev"),
        pytest.param(lambda db, rev: db.put_attachment("new", "x", b"", rev="1-q"), Conflict, id="missing with a rev"),
        pytest.param(lambda db, rev: db.put_attachment("new", "x", b"", rev="bad"), BadRequest, id="missing, bad rev"),
        pytest.param(
            lambda db, rev: db.put_attachment("gone", "x", b"", rev="1-g"), Conflict, id="deleted with its rev"
        ),
        pytest.param(lambda db, rev: db.put_attachment(5, "x", b""), BadRequest, id="id is a number"),
        pytest.param(lambda db, rev: db.put_attachment("_x", "x", b""), BadRequest, id="reserved id"),
        pytest.param(lambda db, rev: db.put_attachment("a", "_x", b"", rev=rev), BadRequest, id="reserved name"),
        pytest.param(lambda db, rev: db.put_attachment("a", "", b"", rev=rev), BadRequest, id="no name"),
        pytest.param(lambda db, rev: db.put_attachment("a", 5, b"", rev=rev), BadRequest, id="name is a number"),
        pytest.param(lambda db, rev: db.put_attachment("a", "\ud800", b"", rev=rev), BadRequest, id="lone surrogate"),
        pytest.param(lambda db, rev: db.put_attachment("a", "x", 5, rev=rev), BadRequest, id="data is a number"),
        pytest.param(lambda db, rev: db.put_attachment("a", "x", None, rev=rev), BadRequest, id="data is None"),
        pytest.param(lambda db, rev: db.put_attachment("a", "x", "no base64!", rev=rev), BadRequest, id="bad base64"),
        pytest.param(lambda db, rev: db.put_attachment("a", "x", "YQ", rev=rev), BadRequest, id="base64 cut short"),
        pytest.param(lambda db, rev: db.put_attachment("a", "x", "é", rev=rev), BadRequest, id="text"),
        pytest.param(
            lambda db, rev: db.put_attachment("a", "x", io.StringIO("t"), rev=rev), BadRequest, id="text file"
        ),
        pytest.param(lambda db, rev: db.put_attachment("a", "x", b"", 5, rev), BadRequest, id="type is a number"),
        pytest.param(lambda db, rev: db.remove_attachment("none", "x", "1-a"), NotFound, id="remove, missing"),
        pytest.param(lambda db, rev: db.remove_attachment("gone", "x", "1-g"), Conflict, id="remove, deleted"),
        pytest.param(lambda db, rev: db.remove_attachment("a", "x", "1-q"), Conflict, id="remove, unknown rev"),
        pytest.param(lambda db, rev: db.remove_attachment("a", "x", None), BadRequest, id="remove, no rev"),
        pytest.param(lambda db, rev: db.get_attachment("none", "x"), NotFound, id="get, missing document"),
        pytest.param(lambda db, rev: db.get_attachment("a", "none"), NotFound, id="get, missing name"),
        pytest.param(lambda db, rev: db.get_attachment("a", "kept", "1-q"), NotFound, id="get, unknown rev"),
        pytest.param(lambda db, rev: db.get_attachment("a", "kept", "bad"), BadRequest, id="get, malformed rev"),
        pytest.param(lambda db, rev: db.get_attachment("gone", "x"), NotFound, id="get, deleted"),
        pytest.param(lambda db, rev: db.get_attachment("a", ["kept"]), BadRequest, id="get, name is a list"),
        pytest.param(lambda db, rev: db.get_attachment("a", "\ud800"), NotFound, id="get, lone surrogate"),
        pytest.param(lambda db, rev: db.open_attachment("a", "none"), NotFound, id="open, missing name"),
    ],
)
def test_refuses(database: SyncPouchDB, call: Callable[[SyncPouchDB, str], Any], error: type[PouchDBError]) -> None:
    rev = database.put_attachment("a", "kept", b"kept").rev
    database.put({"_id": "gone", "_rev": "1-g", "_deleted": True}, new_edits=False)
    with pytest.raises(error):
        call(database, rev)
    assert database.info().update_seq == 2
    assert database.get_attachment("a", "kept").data == b"kept"


def test_remove_attachment(database: SyncPouchDB) -> None:
    rev = database.put({"_id": "a", "_attachments": {"x": {"data": "eA=="}, "y": {"data": "eQ=="}}}).rev
    second = database.remove_attachment("a", "x", rev)
    assert second.ok
    assert list(database.get("a")._attachments) == ["y"]
    # A name it does not have is no error, and nothing is written.
    assert database.removeAttachment("a", "x", second.rev) == {"ok": True, "id": "a", "rev": second.rev}
    third = database.remove_attachment("a", "y", second.rev)
    assert database.get("a") == {"_id": "a", "_rev": third.rev}
    assert database.get_attachment("a", "x", rev).data == b"x"
    assert database.remove_attachment("a", "y", third.rev).rev == third.rev


# -- inline ------------------------------------------------------------------------------------------------------------


def test_inline_in_text(database: SyncPouchDB) -> None:
    database.put(json.dumps({"_id": "a", "_attachments": {"x": {"content_type": "text/x", "data": "eHg="}}}))
    assert database.get_attachment("a", "x") == {"type": "text/x", "data": b"xx"}


def test_entries_keep_what_is_known(database: SyncPouchDB) -> None:
    """Other members of an entry are dropped; digest and length are those of the content, whatever was said."""
    entry = {"data": "eHg=", "digest": "md5-wrong", "length": 99, "follows": True, "encoding": "gzip", "stub": True}
    database.put({"_id": "a", "_attachments": {"x": entry}})
    assert database.get("a")._attachments.x == {
        "content_type": "application/octet-stream",
        "revpos": 1,
        "digest": digest(b"xx"),
        "length": 2,
        "stub": True,
    }


def test_new_content_has_the_generation_of_the_edit(database: SyncPouchDB) -> None:
    """Whatever `revpos` says: a reader that has the old content would not be given the new one."""
    first = database.put_attachment("a", "x", b"one", "text/x").rev
    doc = database.get("a", attachments=True)
    doc._attachments.x["data"] = text(b"two")
    database.put(doc)
    assert database.get("a")._attachments.x.revpos == 2
    assert database.get("a", attachments=True, atts_since=[first])._attachments.x.data == text(b"two")


@pytest.mark.parametrize(
    "attachments",
    [
        pytest.param(None, id="null"),
        pytest.param([], id="a list"),
        pytest.param("x", id="text"),
        pytest.param({"x": None}, id="entry is null"),
        pytest.param({"x": "eA=="}, id="entry is text"),
        pytest.param({"x": {}}, id="neither data nor stub"),
        pytest.param({"x": {"stub": False}}, id="stub is false"),
        pytest.param({"x": {"follows": True}}, id="follows"),
        pytest.param({"x": {"data": "%"}}, id="bad base64"),
        pytest.param({"x": {"data": 1}}, id="data is a number"),
        pytest.param({"x": {"data": "", "content_type": 1}}, id="content_type is a number"),
        pytest.param({"x": {"data": "", "revpos": "1"}}, id="revpos is text"),
        pytest.param({"x": {"stub": True, "digest": 1}}, id="digest is a number"),
        pytest.param({"_x": {"data": ""}}, id="reserved name"),
        pytest.param({5: {"data": ""}}, id="name is a number"),
        pytest.param({"x": {"data": "", "revpos": 10**30}}, id="revpos beyond 64 bits"),
    ],
)
@pytest.mark.parametrize("new_edits", [True, False], ids=["edit", "replicated"])
def test_refuses_inline(database: SyncPouchDB, attachments: Any, new_edits: bool) -> None:
    doc = {"_id": "a", "_attachments": attachments, **({} if new_edits else {"_rev": "1-a"})}
    with pytest.raises(BadRequest):
        database.put(doc, new_edits=new_edits)
    assert database.info().update_seq == 0


@pytest.mark.parametrize("new_edits", [True, False], ids=["edit", "replicated"])
def test_an_empty_name_comes_by_replication(database: SyncPouchDB, new_edits: bool) -> None:
    """CouchDB and PouchDB take it."""
    doc = {"_id": "a", "_attachments": {"": {"data": "eA=="}}, **({} if new_edits else {"_rev": "1-a"})}
    database.put(doc, new_edits=new_edits)
    assert list(database.get("a")._attachments) == [""]
    assert database.get_attachment("a", "").data == b"x"


NAMES = [
    "a.txt",
    "with space",
    "a/b/c",
    "日本語 \U0001f600",
    "nul\0",
    'quote"',
    "%2F",
    "x" * 10_000,
    "items",
    "..",
    "\n",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_names(database: SyncPouchDB, name: str) -> None:
    rev = database.put_attachment("a", name, b"x").rev
    assert database.get_attachment("a", name).data == b"x"
    assert list(database.get("a")._attachments) == [name]
    database.remove_attachment("a", name, rev)
    assert "_attachments" not in database.get("a")


# -- stubs -------------------------------------------------------------------------------------------------------------


def test_stubs_keep_attachments(database: SyncPouchDB) -> None:
    database.put_attachment("a", "x", b"one", "text/x")
    doc = database.get("a")
    doc["n"] = 1
    database.put(doc)
    assert database.get("a")._attachments.x == {**doc._attachments.x, "revpos": 1}
    # A name and `stub` are enough, and what is not told is the parent's.
    database.put({"_id": "a", "_rev": database.get("a")._rev, "_attachments": {"x": {"stub": True}}})
    assert database.get("a")._attachments.x == doc._attachments.x
    # What is left out is gone.
    database.put({"_id": "a", "_rev": database.get("a")._rev})
    assert "_attachments" not in database.get("a")


def test_stub_with_another_type(database: SyncPouchDB) -> None:
    rev = database.put_attachment("a", "x", b"one", "text/x").rev
    database.put({"_id": "a", "_rev": rev, "_attachments": {"x": {"stub": True, "content_type": "text/y"}}})
    assert database.get_attachment("a", "x") == {"type": "text/y", "data": b"one"}


def test_stub_by_digest_under_another_name(database: SyncPouchDB) -> None:
    rev = database.put_attachment("a", "x", b"one", "text/x").rev
    entry = database.get("a")._attachments.x
    database.put({"_id": "a", "_rev": rev, "_attachments": {"renamed": entry}})
    assert database.get_attachment("a", "renamed").data == b"one"
    assert database.get("a")._attachments.renamed.revpos == 2


@pytest.mark.parametrize(
    "entry",
    [{"stub": True}, {"stub": True, "digest": "md5-unknown", "length": 3}],
    ids=["without a digest", "with an unknown digest"],
)
@pytest.mark.parametrize("new_edits", [True, False], ids=["edit", "replicated"])
def test_missing_stub(database: SyncPouchDB, entry: dict[str, Any], new_edits: bool) -> None:
    rev = database.put({"_id": "a", "_rev": "1-a", "n": 0}, new_edits=False).rev
    doc: dict[str, Any] = {"_id": "a", "_attachments": {"new": {"data": "eA=="}, "x": entry}}
    doc.update({"_rev": rev} if new_edits else {"_revisions": {"start": 2, "ids": ["b", "a"]}})
    with pytest.raises(MissingStub) as caught:
        database.put(doc, new_edits=new_edits)
    assert (caught.value.status, caught.value.name, caught.value.id) == (412, "missing_stub", "a")
    assert database.get("a") == {"_id": "a", "_rev": "1-a", "n": 0}
    assert database.info().update_seq == 1


def test_replicated_documents_say_their_revpos(database: SyncPouchDB) -> None:
    path = {"start": 3, "ids": ["c", "b", "a"]}
    entries = {"x": {"data": "eA==", "revpos": 2, "content_type": "text/x"}, "y": {"data": "eQ=="}}
    database.bulk_docs([{"_id": "a", "_revisions": path, "_attachments": entries}], new_edits=False)
    shown = database.get("a")._attachments
    assert (shown.x.revpos, shown.y.revpos) == (2, 3)


# -- reading -----------------------------------------------------------------------------------------------------------


def test_content_with_the_document(database: SyncPouchDB) -> None:
    rev = database.put_attachment("a", "x", b"one", "text/x").rev
    expected = {"content_type": "text/x", "revpos": 1, "digest": digest(b"one")}
    as_text = {"_id": "a", "_rev": rev, "_attachments": {"x": {**expected, "data": text(b"one")}}}
    as_bytes = {"_id": "a", "_rev": rev, "_attachments": {"x": {**expected, "data": b"one"}}}
    assert database.get("a", attachments=True) == as_text
    assert database.get("a", attachments=True, binary=True) == as_bytes
    assert database.open_revs("a", attachments=True) == [{"ok": as_text}]
    assert database.bulk_get([{"id": "a"}], attachments=True).results[0].docs == [{"ok": as_text}]
    assert database.changes(include_docs=True, attachments=True, binary=True).results[0].doc == as_bytes
    # What was read this way can be put again.
    for given in (as_text, as_bytes):
        database.put({**given, "_rev": database.get("a")._rev})
        assert database.get_attachment("a", "x") == {"type": "text/x", "data": b"one"}


@pytest.mark.parametrize(
    ("known", "with_data"),
    [
        pytest.param([], ["x", "y", "z"], id="nothing"),
        pytest.param([0], ["y", "z"], id="the first revision"),
        pytest.param([1], ["z"], id="the second"),
        pytest.param([0, 1], ["z"], id="both"),
        pytest.param([2], [], id="the same"),
        pytest.param(["1-unknown"], ["x", "y", "z"], id="an unknown one"),
        pytest.param(["9-unknown", 0], ["y", "z"], id="an unknown one besides"),
    ],
)
def test_atts_since(database: SyncPouchDB, known: list[Any], with_data: list[str]) -> None:
    revs = [database.put_attachment("a", "x", b"x", "text/x").rev]
    revs.append(database.put_attachment("a", "y", b"y", "text/x", revs[-1]).rev)
    revs.append(database.put_attachment("a", "z", b"z", "text/x", revs[-1]).rev)
    since = [revs[each] if isinstance(each, int) else each for each in known]
    asked = database.get("a", attachments=True, atts_since=since)._attachments
    assert [name for name, entry in asked.items() if "data" in entry] == with_data
    assert [name for name, entry in asked.items() if "stub" in entry] == [n for n in "xyz" if n not in with_data]
    many = database.bulk_get([{"id": "a", "rev": revs[-1], "atts_since": since}], attachments=True, revs=True)
    assert many.results[0].docs[0].ok._attachments == asked
    assert many.results[0].docs[0].ok._revisions.start == 3


def test_stored_once(database: SyncPouchDB) -> None:
    """Content is kept once per digest, until its last use is gone."""
    content = b"x" * 600_000
    first = database.put_attachment("a", "x", content).rev
    size = database.info().sizes.active
    database.put_attachment("a", "y", content, rev=first)
    database.put_attachment("b", "z", content)
    assert database.info().sizes.active - size < 300_000
    database.remove(database.get("b"))
    database.remove(database.get("a"))
    database.compact()
    assert database.info().sizes.active < size - 500_000
    with pytest.raises(NotFound):
        database.get_attachment("a", "x", first)


def test_binary_attachment_is_a_blob(database: SyncPouchDB) -> None:
    database.put_attachment("a", "x", b"one", "text/x")
    blob = database.get_attachment("a", "x")
    assert isinstance(blob, Blob)
    assert (blob.type, blob.data, blob["data"]) == ("text/x", b"one", b"one")
    # A blob is data, too.
    database.put_attachment("b", "x", blob, blob.type)
    assert database.get_attachment("b", "x") == blob
