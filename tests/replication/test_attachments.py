"""Attachments: only the content that the target lacks travels, in pieces, and each to its own revision."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.documents.attachments import AttachmentReader
from pouchdb_core.errors import Forbidden

from .conftest import leaves, revision, same


def inline(*contents: bytes) -> dict[str, Any]:
    return {
        f"f{number}": {"data": base64.b64encode(content).decode(), "content_type": "text/plain"}
        for number, content in enumerate(contents)
    }


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of attachments that were read from any store."""
    sizes: list[int] = []
    original = AttachmentReader.readinto

    def counted(self: AttachmentReader, buffer: Any) -> int:
        done = original(self, buffer)
        sizes.append(done)
        return done

    monkeypatch.setattr(AttachmentReader, "readinto", counted)
    return sizes


def test_ten_conflicts_with_three_attachments_each(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB
) -> None:
    for number in range(10):
        contents = [f"{number} {place}".encode() * 50 for place in range(3)]
        revision(source, "a", f"2-{number}", "1-a", _attachments=inline(*contents))
    environment.replicate(source, target, batch_size=3)
    same(source, target)
    for number in range(10):
        for place in range(3):
            expected = f"{number} {place}".encode() * 50
            assert target.get_attachment("a", f"f{place}", rev=f"2-{number}").data == expected


def test_an_edit_sends_no_attachment_again(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, read: list[int]
) -> None:
    source.put({"_id": "a", "_attachments": inline(b"x" * 1000, b"y" * 500)})
    environment.replicate(source, target)
    assert sum(read) == 1500
    read.clear()
    for number in range(5):
        source.put({**source.get("a"), "n": number})
        environment.replicate(source, target)
    assert sum(read) == 0
    doc = source.get("a")
    source.put_attachment("a", "f2", b"z" * 10, "text/plain", rev=doc._rev)
    environment.replicate(source, target)
    assert sum(read) == 10
    same(source, target)


def test_the_same_content_travels_once(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, read: list[int]
) -> None:
    source.bulk_docs(
        [{"_id": f"{number:02}", "_attachments": inline(b"x" * 1000, b"x" * 1000)} for number in range(20)]
    )
    environment.replicate(source, target)
    assert sum(read) == 2000, "the first document brings it (under both names), nineteen find it there"
    same(source, target)
    read.clear()
    source.put({"_id": "moved", "_attachments": inline(b"x" * 1000)})
    environment.replicate(source, target)
    assert sum(read) == 0
    same(source, target)


def test_content_the_target_has_of_its_own(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, read: list[int]
) -> None:
    target.put({"_id": "other", "_attachments": inline(b"x" * 1000)})
    source.put({"_id": "a", "_attachments": inline(b"x" * 1000)})
    environment.replicate(source, target)
    assert sum(read) == 0
    assert target.get_attachment("a", "f0").data == b"x" * 1000


def test_a_refused_document_brought_the_content(guard: Any, guarded: SyncEnvironment) -> None:
    """The second document came as a stub, because the first was to bring the content."""
    source, target = guarded["source"], guarded["target"]
    source.bulk_docs([{"_id": id, "_attachments": inline(b"x" * 100)} for id in "ab"])
    guard.judge = lambda doc: Forbidden("no") if doc["_id"] == "a" else None
    result = guarded.replicate(source, target)
    assert (result.docs_written, result.doc_write_failures) == (1, 1)
    assert target.get_attachment("b", "f0").data == b"x" * 100
    guard.judge = lambda doc: None
    guarded.replicate(source, target)
    same(source, target)


def test_the_target_loses_the_content_after_it_was_asked(faults: Any, faulty: SyncEnvironment) -> None:
    source, target = faulty["source"], faulty["target"]
    rev = target.put({"_id": "other", "_attachments": inline(b"x" * 100)})["rev"]
    source.put({"_id": "a", "_attachments": inline(b"x" * 100)})
    lost: list[bool] = []

    def lose(database: Any, request: Any) -> None:
        if database.name == "target" and request.purpose == "replication" and not lost:
            lost.append(True)
            target.purge("other", rev)

    faults.on_write = lose
    assert faulty.replicate(source, target).docs_written == 1
    assert lost
    same(source, target)


def test_the_source_compacts_the_attachment_away(faults: Any, faulty: SyncEnvironment) -> None:
    """It was read as a leaf, and is not one any more when its content is fetched."""
    source, target = faulty["source"], faulty["target"]
    source.put({"_id": "a", "_attachments": inline(b"x" * 100)})
    source.put({"_id": "b"})
    done: list[bool] = []

    def compact(database: Any, request: Any) -> None:
        if database.name == "source" and request.attachment is not None and not done:
            done.append(True)
            source.put({"_id": "a", "_rev": source.get("a")._rev, "without": True})
            source.compact()

    faults.on_read = compact
    first = faulty.replicate(source, target)
    assert done
    assert first.docs_written == 1
    assert [each["name"] for each in first.errors] == ["missing_stub"]
    assert not first.ok
    assert faulty.replicate(source, target).docs_written == 1
    same(source, target)


def test_digest_revpos_and_type_stay(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    source.put({"_id": "a", "n": 1})
    source.put_attachment("a", "t", b"hello", "text/x-mine; charset=utf-8", rev=source.get("a")._rev)
    for _ in range(3):
        source.put({**source.get("a"), "n": 2 + len(source.get("a"))})
    environment.replicate(source, target)
    entry = target.get("a")._attachments.t
    assert entry == source.get("a")._attachments.t
    assert (entry.revpos, entry.content_type) == (2, "text/x-mine; charset=utf-8")
    assert entry.digest == "md5-" + base64.b64encode(hashlib.md5(b"hello").digest()).decode()


def test_empty_and_strangely_named(environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB) -> None:
    source.put({"_id": "a", "_attachments": {}})
    for name in ("empty", "a/b", "ä +%.txt", "日"):
        doc = source.get("a")
        source.put_attachment("a", name, b"" if name == "empty" else name.encode(), "text/plain", rev=doc._rev)
    environment.replicate(source, target)
    same(source, target)


class Zeros(io.RawIOBase):
    """A file of zeros that is nowhere."""

    def __init__(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self._left)
        self._left -= count
        buffer[:count] = bytes(count)
        return count


@pytest.mark.parametrize(("count", "size"), [(1, 30_000_000), (40, 900_000)], ids=["one big", "many"])
def test_memory_does_not_depend_on_attachments(
    environment: SyncEnvironment, source: SyncPouchDB, target: SyncPouchDB, count: int, size: int
) -> None:
    for number in range(count):
        # Different ones, so that each has to travel.
        source.put_attachment(f"{number:02}", "t", Zeros(size + number), "text/plain")
    tracemalloc.start()
    try:
        environment.replicate(source, target)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 14_000_000, "of 30 MB and more"
    assert leaves(source) == leaves(target)


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(["file", "memory"], 2)))
def test_between_kinds(first: str, second: str, tmp_path: Any, run: Callable[..., Any]) -> None:
    with pouchdb.setup(tmp_path, plugins=[]) as environment:
        source = environment.PouchDB("source", adapter="memory" if first == "memory" else "sqlite")
        target = environment.PouchDB("target", adapter="memory" if second == "memory" else "sqlite")
        source.put({"_id": "a", "_attachments": inline(b"x" * 600_000)})
        run(source, target).end()
        same(source, target)
