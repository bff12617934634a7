"""Content of servers: what is not what its document says, what is damaged or odd, stops nothing and is tried again."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import zlib
from typing import Any

import pytest

from pouchdb_core import SyncEnvironment, SyncPouchDB

Couch = Any
Server = Any

CONTENT = b"x" * 100_000
PAGE = b"<html>Please log in to the hotel's network</html>"


def md5(content: bytes) -> str:
    return "md5-" + base64.b64encode(hashlib.md5(content).digest()).decode()


def packed(content: bytes) -> bytes:
    """Pack content as CouchDB does."""
    packer = zlib.compressobj(8, zlib.DEFLATED, 31)
    return packer.compress(content) + packer.flush()


@pytest.fixture
def couch(server: Server, env: SyncEnvironment, Couch: Any) -> Couch:
    return Couch(server, env["backing"])


@pytest.fixture
def here(env: SyncEnvironment) -> SyncPouchDB:
    return env["here"]


# -- something else in place of an attachment ------------------------------------------------------

ANSWERS: dict[str, Any] = {
    "a page": lambda Told, data: Told(PAGE, headers={"content-type": "text/html"}),
    "a page of that length": lambda Told, data: Told(PAGE.ljust(len(data)), headers={"content-type": "text/html"}),
    "a packed page": lambda Told, data: Told(packed(PAGE), headers={"content-encoding": "gzip"}),
    "a page with an ETag": lambda Told, data: Told(PAGE, headers={"etag": f'"{md5(PAGE)[4:]}"'}),
    "nothing": lambda Told, data: Told(b""),
    "a bit differs": lambda Told, data: Told(b"y" + data[1:], headers={"etag": f'"{md5(data)[4:]}"'}),
    "cut, and its length is so": lambda Told, data: Told(data[:-1], headers={"etag": f'"{md5(data)[4:]}"'}),
    "cut off in the middle": lambda Told, data: Told(data, drop_after=len(data) // 2),
    "packed and cut": lambda Told, data: Told(packed(data)[:-4], headers={"content-encoding": "gzip"}),
    "not packed at all": lambda Told, data: Told(data, headers={"content-encoding": "gzip"}),
    "an error": lambda Told, data: Told({"error": "internal_server_error", "reason": "md5_mismatch"}, 500),
}


@pytest.mark.parametrize("kind", ["image/png", "text/plain"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=list(ANSWERS))
def test_something_else_in_place_of_an_attachment(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, answer: Any, kind: str
) -> None:
    couch.db.put_attachment("bad", "a", CONTENT, kind)
    couch.db.put_attachment("other", "a", b"good", kind)
    couch.db.put({"_id": "plain"})
    good = couch.attachment
    couch.attachment = lambda id, name, asked: answer(couch.Told, CONTENT) if id == "bad" else good(id, name, asked)
    for _ in range(2):
        result = here.replicate_from(db)
        assert [each["id"] for each in result["errors"]] == ["bad"]
        assert (result["ok"], sorted(here)) == (False, ["other", "plain"])
        assert "attachment 'a'" in result["errors"][0]["message"]
    couch.attachment = good
    assert here.replicate_from(db)["docs_written"] == 1
    assert here.get_attachment("bad", "a").data == CONTENT
    assert here.integrity_check() == []


def test_a_server_that_went_away_ends_the_run(couch: Couch, db: SyncPouchDB, here: SyncPouchDB, Answer: Any) -> None:
    """Then every document would be an error of its own."""
    from pouchdb_core.errors import RemoteError

    couch.db.put_attachment("a", "a", CONTENT, "image/png")
    gone: list[bool] = []

    def serve(id: str, name: str, asked: Any) -> Any:
        gone.append(True)
        return couch.Told(CONTENT, drop_after=100)

    couch.attachment = serve
    couch.before = lambda asked: couch.Told({"error": "down"}, 503) if gone and asked.path == "/notes" else None
    with pytest.raises(RemoteError):
        here.replicate_from(db)
    couch.before = lambda asked: None
    del couch.attachment
    assert here.replicate_from(db)["docs_written"] == 1


def test_550_of_551_arrive(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    couch.db.bulk_docs([{"_id": f"{number:03}"} for number in range(550)])
    couch.db.put_attachment("275x", "a", CONTENT, "image/png")
    good = couch.attachment
    couch.attachment = lambda id, name, asked: couch.Told(PAGE)
    result = here.replicate_from(db)
    assert (result["docs_written"], [each["id"] for each in result["errors"]]) == (550, ["275x"])
    couch.attachment = good
    assert here.replicate_from(db)["docs_written"] == 1


# -- content that the server packs -----------------------------------------------------------------


def packs(couch: Couch) -> None:
    """Have the peer store compressible types packed as CouchDB does: its digests are of the packed bytes."""

    def serve(id: str, name: str, asked: Any) -> Any:
        data, kind = couch.db.get_attachment(id, name), couch.db.get(id)["_attachments"][name]["content_type"]
        if not kind.startswith("text/"):
            return couch.Told(data["data"], headers={"etag": f'"{md5(data["data"])[4:]}"', "content-type": kind})
        bytes = packed(data["data"])
        headers = {"etag": f'"{md5(bytes)[4:]}"', "content-type": kind}
        if "gzip" in asked.headers.get("accept-encoding", ""):
            return couch.Told(bytes, headers={**headers, "content-encoding": "gzip"})
        return couch.Told(data["data"], headers=headers)

    def renamed(asked: Any) -> Any:
        if not asked.path.endswith("_bulk_get"):
            return None
        answer = couch.db.bulk_get(asked.json()["docs"], revs=True, latest=True)
        for result in answer["results"]:
            for doc in (each["ok"] for each in result["docs"]):
                for name, entry in doc.get("_attachments", {}).items():
                    if entry["content_type"].startswith("text/"):
                        data = couch.db.get_attachment(doc["_id"], name, rev=doc["_rev"])["data"]
                        entry["digest"] = md5(packed(data))
        return answer

    def put(asked: Any) -> Any:
        """CouchDB compares the digest of what follows with what came: 500."""
        kind = asked.headers["content-type"]
        if kind.startswith("multipart/related"):
            boundary = kind.partition('boundary="')[2].strip('"').encode()
            first, *parts = asked.body.split(b"\r\n--" + boundary)
            doc = json.loads(first.partition(b"\r\n\r\n")[2])
            follows = [name for name, entry in doc["_attachments"].items() if entry.get("follows")]
            for name, part in zip(follows, parts, strict=False):
                entry, data = doc["_attachments"][name], part.partition(b"\r\n\r\n")[2]
                if entry.get("digest", md5(data)) != md5(data):
                    return couch.told(500, "md5_mismatch")
        return couch_put(asked)

    couch_put = couch._put
    couch.attachment, couch.before, couch._put = serve, renamed, put


SIZES = [10, 10_000, 100_000, 300_000]


def test_what_came_from_a_couchdb_that_packs_goes_on(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, env: SyncEnvironment, Couch: Any, server: Server
) -> None:
    for size in SIZES:
        for kind in ("text/plain", "image/png"):
            couch.db.put_attachment(f"{kind[:4]}{size}", "a", b"%d" % size * (size // 2), kind)
    packs(couch)
    assert here.replicate_from(db)["docs_written"] == len(SIZES) * 2
    assert here.integrity_check() == []
    # On to another such server.
    second = Couch(server, env["second"])
    packs(second)
    server.answer = second.answer
    result = here.replicate_to(f"{server.url}/notes")
    assert (result["docs_written"], result["errors"]) == (len(SIZES) * 2, [])
    for size in SIZES:
        for kind in ("text/plain", "image/png"):
            id = f"{kind[:4]}{size}"
            assert second.db.get_attachment(id, "a") == couch.db.get_attachment(id, "a")
    # And by way of a local copy back to where it came from.
    copy = env["copy"]
    here.replicate_to(copy)
    copy.put({**copy.get("text300000"), "edited": True})
    server.answer = couch.answer
    assert copy.replicate_to(db)["errors"] == []
    assert couch.db.get("text300000")["edited"]
    assert couch.db.get_attachment("text300000", "a").data == b"300000" * 150_000
    # What the source calls it stays known: a new revision does not bring it again.
    server.asked.clear()
    couch.db.put({**couch.db.get("text100000"), "edited": True})
    assert here.replicate_from(db)["docs_written"] == 2
    assert [asked.target for asked in server.asked if asked.path.endswith("/a")] == []


# -- names -----------------------------------------------------------------------------------------

NAMES = [
    "/", "//", "/lead", "trail/", "a//b", "a/b", "/a/b/", "///", ".", "..", "./a", "a/../b", "a b", "a+b", "a%2Fb",
    "%", "?", "#", "a?b#c", "ä", "日本", "\\", '"', "a;b", "a\tb", "\x7f", "&=",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("size", [10, 50_000])
def test_odd_names_arrive(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, server: Server, env: SyncEnvironment, name: str, size: int
) -> None:
    from urllib.parse import unquote

    content = name.encode() * size
    couch.db.put_attachment("doc", name, content, "a/b")

    def plain(asked: Any) -> Any:
        """Take the path apart as CouchDB does: at slashes, then each part is decoded; what is empty is nothing."""
        parts = [unquote(part) for part in asked.path.split("/") if part]
        if parts[:2] == ["notes", "doc"] and len(parts) > 2:
            return couch.attachment("doc", "/".join(parts[2:]), asked)
        return None

    couch.before = plain
    assert here.replicate_from(db)["errors"] == []
    assert here.get_attachment("doc", name).data == content
    assert db.get_attachment("doc", name)["data"] == content
    couch.before = lambda asked: None
    other = env["other"]
    couch.db = other
    assert here.replicate_to(db)["errors"] == []
    assert other.get_attachment("doc", name).data == content


# -- documents that cannot be read -----------------------------------------------------------------


@pytest.mark.parametrize("depth", [150, 199, 250, 900, 999, 1000, 1010, 1019, 1020, 1025, 5000, 200_000])
@pytest.mark.parametrize("kind", ["[]", "{}", "mixed"])
def test_a_document_of_any_depth_stops_nothing(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, depth: int, kind: str
) -> None:
    couch.db.bulk_docs([{"_id": f"{number:03}"} for number in range(150)])
    couch.db.put({"_id": "075deep"})
    opened, closed = {"[]": ("[", "]"), "{}": ('{"a":', "}"), "mixed": ('[{"a":', "}]")}[kind]
    count = depth // len(closed)
    value = opened * count + "1" + closed * count

    def deep(asked: Any) -> Any:
        if not asked.path.endswith("_bulk_get"):
            return None
        answer = couch.db.bulk_get(asked.json()["docs"], revs=True, latest=True)
        text = json.dumps(answer).replace('"_id": "075deep"', f'"_id": "075deep", "deep": {value}')
        return couch.Told(text.encode(), headers={"content-type": "application/json"})

    couch.before = deep
    result = here.replicate_from(db)
    if depth < 200:
        assert (result["docs_written"], result["errors"]) == (151, [])
        return
    assert (result["docs_written"], [each["id"] for each in result["errors"]]) == (150, ["075deep"])
    assert "deep" in result["errors"][0]["message"]
    couch.before = lambda asked: None
    assert here.replicate_from(db)["docs_written"] == 1


def test_a_server_that_fails_at_one_document(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    couch.db.bulk_docs([{"_id": f"{number:03}"} for number in range(40)])

    def failing(asked: Any) -> Any:
        if asked.path.endswith("_bulk_get") and any(each["id"] == "020" for each in asked.json()["docs"]):
            return couch.told(500, "unknown_error", "badmatch")
        return None

    couch.before = failing
    result = here.replicate_from(db)
    assert (result["docs_written"], [each["id"] for each in result["errors"]]) == (39, ["020"])
    couch.before = lambda asked: None
    assert here.replicate_from(db)["docs_written"] == 1


def bulk_gets(server: Server) -> list[int]:
    return [len(asked.json()["docs"]) for asked in server.asked if asked.path.endswith("_bulk_get")]


@pytest.mark.parametrize("count", [1, 2, 3, 61, 200])
def test_a_server_that_fails_at_everything_is_not_asked_for_each_document(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, server: Server, count: int
) -> None:
    couch.db.bulk_docs([{"_id": f"{number:03}"} for number in range(count)])
    couch.before = lambda asked: couch.told(500, "unknown_error") if asked.path.endswith("_bulk_get") else None
    result = here.replicate_from(db)
    assert (result["docs_written"], result["doc_write_failures"], result["ok"]) == (0, count, False)
    assert [each["id"] for each in result["errors"]] == [f"{number:03}" for number in range(count)][-100:]
    asked = bulk_gets(server)
    # The whole four times, its halves once each down to a single one, and some others.
    assert asked[:4] == [min(count, 100)] * 4
    assert len(asked) <= 4 + 2 * count.bit_length() + 7
    assert sum(asked) <= 6 * count + 7
    couch.before = lambda asked: None
    assert here.replicate_from(db)["docs_written"] == count


@pytest.mark.parametrize("bad", [[0], [60], [30], [7, 8, 9], list(range(0, 61, 6)), list(range(40))], ids=str)
def test_documents_that_a_server_fails_at_are_found_in_few_requests(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, server: Server, bad: list[int]
) -> None:
    couch.db.bulk_docs([{"_id": f"{number:03}"} for number in range(61)])
    names = {f"{number:03}" for number in bad}

    def failing(asked: Any) -> Any:
        if asked.path.endswith("_bulk_get") and not names.isdisjoint(each["id"] for each in asked.json()["docs"]):
            return couch.told(500, "unknown_error", "badmatch")
        return None

    couch.before = failing
    # Which others are asked for is by chance: of many bad ones they can all be bad.
    for _ in range(20):
        if here.replicate_from(db)["docs_written"]:
            break
    assert {f"{number:03}" for number in range(61)} - set(here) == names
    assert len(bulk_gets(server)) <= 40 + 14 * len(names)
    couch.before = lambda asked: None
    assert here.replicate_from(db)["docs_written"] == len(names)


def test_a_server_without_bulk_get_that_fails_at_one_document(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, server: Server
) -> None:
    couch.db.bulk_docs([{"_id": f"{number:03}"} for number in range(40)])

    def failing(asked: Any) -> Any:
        if asked.path.endswith("_bulk_get"):
            return couch.told(404, "not_found")
        return couch.told(500, "unknown_error", "badmatch") if asked.path.endswith("/020") else None

    couch.before = failing
    result = here.replicate_from(db)
    assert result["docs_written"] == 39
    assert [(each["id"], each["name"], each["message"]) for each in result["errors"]] == [
        ("020", "unknown_error", "badmatch")
    ]
    assert len([asked for asked in server.asked if "open_revs" in asked.query]) == 39 + 4


def test_an_error_in_place_of_a_document(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    couch.db.bulk_docs([{"_id": f"{number}"} for number in range(4)])

    def failing(asked: Any) -> Any:
        if not asked.path.endswith("_bulk_get"):
            return None
        answer = couch.db.bulk_get(asked.json()["docs"], revs=True, latest=True)
        for result in answer["results"]:
            if result["id"] == "2":
                told = {"id": "2", "rev": "1-x", "error": "internal_server_error", "reason": "damaged"}
                result["docs"] = [{"error": told}]
        return answer

    couch.before = failing
    result = here.replicate_from(db)
    [error] = result["errors"]
    assert (error["id"], error["name"], error["message"]) == ("2", "internal_server_error", "damaged")
    assert sorted(here) == ["0", "1", "3"]


# -- ahead -----------------------------------------------------------------------------------------


def test_attachments_of_the_next_batch_come_while_one_is_written(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no more than a few at a time, of both together."""
    from pouchdb_core.replication import batch
    from pouchdb_core.replication.fetching import AT_ONCE

    monkeypatch.setattr(batch, "BYTES", 20_000)
    for number in range(12):
        couch.db.put_attachment(f"doc{number:02}", "a", bytes([number]) * 5000, "image/png")
    good, lock, running, most = couch.attachment, threading.Lock(), [0], [0]
    asked_for = threading.Event()

    def serve(id: str, name: str, asked: Any) -> Any:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        if id >= "doc04":
            asked_for.set()
        answer = good(id, name, asked)
        with lock:
            running[0] -= 1
        return answer

    couch.attachment = serve
    writes: list[bool] = []
    original = batch.Transfer._put

    def put(self: Any, documents: Any, given: Any) -> Any:
        if not writes:
            writes.append(asked_for.wait(10))
        return original(self, documents, given)

    monkeypatch.setattr(batch.Transfer, "_put", put)
    assert here.replicate_from(db)["docs_written"] == 12
    assert writes == [True], "the first batch is not written yet, and the second one is asked for"
    assert most[0] <= AT_ONCE
    assert len([asked for asked in server.asked if asked.path.endswith("/a")]) == 12, "each is fetched once"
    for number in range(12):
        assert here.get_attachment(f"doc{number:02}", "a").data == bytes([number]) * 5000


def test_what_was_fetched_ahead_is_removed_when_the_run_ends(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pouchdb_core.documents.attachments import Incoming
    from pouchdb_core.errors import StorageError
    from pouchdb_core.replication import batch

    monkeypatch.setattr(batch, "BYTES", 20_000)
    for number in range(12):
        couch.db.put_attachment(f"doc{number:02}", "a", bytes([number]) * 5000, "image/png")
    contents: list[Any] = []
    original = Incoming.__init__

    def made(self: Any, entry: Any, content: Any = None, *args: Any, **more: Any) -> None:
        original(self, entry, content, *args, **more)
        if hasattr(content, "closed"):
            contents.append(content)

    def fail(self: Any, documents: Any, given: Any) -> Any:
        raise StorageError("the disk")

    monkeypatch.setattr(Incoming, "__init__", made)
    monkeypatch.setattr(batch.Transfer, "_put", fail)
    with pytest.raises(StorageError):
        here.replicate_from(db)
    for thread in threading.enumerate():
        if thread.name.startswith("pouchdb-"):
            thread.join(10)
    assert contents
    assert all(each.closed for each in contents)
