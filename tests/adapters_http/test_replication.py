"""Replication with a server as CouchDB is: opaque sequence numbers, limits, rights, packed attachments."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
import threading
from typing import Any

import pytest

from pouchdb_core import SyncEnvironment, SyncPouchDB
from pouchdb_core.errors import BadRequest, Forbidden, NotFound, RemoteError, Unauthorized

Server = Any
Couch = Any


@pytest.fixture
def couch(server: Server, env: SyncEnvironment, Couch: Any) -> Couch:
    return Couch(server, env["backing"])


@pytest.fixture
def here(env: SyncEnvironment) -> SyncPouchDB:
    return env["here"]


def paths(server: Server, method: str, part: str) -> list[str]:
    return [asked.target for asked in server.asked if asked.method == method and part in asked.path]


# -- sequence numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seq", [lambda n: f"{n}-g1AAA", lambda n: [n, "g1AAA"], lambda n: n], ids=["text", "list", "int"]
)
def test_sequence_numbers_mean_nothing_to_us(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, server: Server, seq: Any
) -> None:
    couch.seq = seq
    couch.db.bulk_docs([{"_id": f"d{number:02}"} for number in range(25)])
    result = here.replicate_from(db, batch_size=10)
    assert (result["docs_written"], result["last_seq"]) == (25, seq(25))
    (id,) = here.adapter.local_ids("_local/")
    assert here.get(id)["source_last_seq"] == couch.db.get(id)["source_last_seq"] == seq(25)
    couch.db.put({"_id": "new"})
    server.asked.clear()
    result = here.replicate_from(db)
    assert (result["docs_read"], result["last_seq"]) == (1, seq(26))
    first = next(asked for asked in server.asked if asked.path.endswith("_changes"))
    assert couch.number(first.query["since"]) == 25
    # The other way: they are kept as they come.
    here.put({"_id": "mine"})
    assert here.replicate_to(db)["docs_written"] == 1
    assert "mine" in couch.db


def test_progress_is_counted(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    couch.db.bulk_docs([{"_id": f"d{number:02}"} for number in range(30)])
    told: list[Any] = []
    here.replicate_from(db, batch_size=10, on_change=lambda change: told.append(change["pending"]))
    assert told[-1] == 0
    assert told == sorted(told, reverse=True)


def test_a_fresh_target_is_not_asked_what_it_lacks(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, server: Server
) -> None:
    here.bulk_docs([{"_id": f"d{number:02}"} for number in range(30)])
    here.replicate_to(db, batch_size=10)
    (asked,) = (asked.json() for asked in server.asked if asked.path.endswith("_revs_diff"))
    assert set(asked) >= {"d09", "d19", "d29"}, "whether it still has some of each batch"
    order = [asked.path for asked in server.asked if asked.path.endswith(("_revs_diff", "_bulk_docs"))]
    assert order[-1].endswith("_revs_diff"), "only before the checkpoint"
    assert len(couch.db) == 30
    here.put({"_id": "x"})
    here.replicate_to(db)
    assert len(paths(server, "POST", "_revs_diff")) == 3


# -- rights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404, 405])
@pytest.mark.parametrize("methods", [("PUT",), ("GET", "PUT")])
def test_a_source_that_keeps_no_checkpoints(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, status: int, methods: Any
) -> None:
    names = {401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}

    def refuse(asked: Any) -> Any:
        if "/_local/" in asked.path and asked.method in methods:
            return couch.told(status, names[status], "read only")
        return None

    couch.before = refuse
    couch.db.bulk_docs([{"_id": f"d{number}"} for number in range(5)])
    assert here.replicate_from(db)["docs_read"] == 5
    couch.db.put({"_id": "new"})
    assert here.replicate_from(db)["docs_read"] == 1


def test_what_a_target_denies_is_told_and_tried_again(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    here.bulk_docs([{"_id": "good"}, {"_id": "poison"}, {"_id": "better"}])
    allowed = False

    def refuse(asked: Any) -> Any:
        if asked.path.endswith("_bulk_docs") and not allowed:
            docs = asked.json()["docs"]
            couch.db.bulk_docs([doc for doc in docs if doc["_id"] != "poison"], new_edits=False)
            return [
                {"id": doc["_id"], "rev": doc["_rev"], "error": "forbidden", "reason": "no"}
                for doc in docs
                if doc["_id"] == "poison"
            ]
        return None

    couch.before = refuse
    result = here.replicate_to(db)
    assert (result["docs_written"], result["doc_write_failures"]) == (2, 1)
    assert [(each["id"], each["status"], each["reason"]) for each in result["errors"]] == [("poison", 403, "no")]
    assert here.replicate_to(db)["doc_write_failures"] == 1
    allowed = True
    assert here.replicate_to(db)["docs_written"] == 1
    assert "poison" in couch.db
    assert here.replicate_to(db)["docs_read"] == 0


@pytest.mark.parametrize("status", [400, 413, 500])
def test_one_bad_document_does_not_stop_the_others(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, status: int
) -> None:
    """A server that refuses the whole request because of one: it is found, held, and tried again."""
    here.bulk_docs([{"_id": f"d{number:02}"} for number in range(40)])
    refusing = True

    def refuse(asked: Any) -> Any:
        if asked.path.endswith("_bulk_docs") and b'"d17"' in asked.body and refusing:
            return couch.told(status, {400: "bad_request", 413: "document_too_large", 500: "badmatch"}[status])
        return None

    couch.before = refuse
    result = here.replicate_to(db)
    assert (result["docs_written"], result["doc_write_failures"], result["ok"]) == (39, 1, False)
    assert (result["errors"][0]["id"], result["errors"][0]["status"]) == ("d17", status)
    refusing = False
    assert here.replicate_to(db)["docs_written"] == 1
    assert len(couch.db) == 40


@pytest.mark.parametrize("depth", [201, 900, 1000, 1030, 100_000])
@pytest.mark.parametrize("alone", [False, True], ids=["in a batch", "one by one"])
def test_a_document_that_nests_too_deeply_stops_no_other(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, depth: int, alone: bool
) -> None:
    couch.db.bulk_docs([{"_id": f"d{number:02}", "x": "@" if number == 17 else number} for number in range(40)])

    def deep(asked: Any) -> Any:
        if alone and "_bulk_get" in asked.path:
            return couch.told(404, "not_found", "missing")
        if "_bulk_get" not in asked.path and "d17" not in asked.path:
            return None
        # Not by taking `before` away for a moment: other threads ask meanwhile.
        body = json.dumps(couch.plainly(asked)).encode()
        body = body.replace(b'"@"', b"[" * depth + b"]" * depth)
        return couch.Told(body, headers={"content-type": "application/json"})

    couch.before = deep
    result = here.replicate_from(db)
    assert (result["docs_written"], result["doc_write_failures"], result["ok"]) == (39, 1, False)
    assert (result["errors"][0]["id"], result["errors"][0]["status"]) == ("d17", 400)
    assert "nested deeper than 200 levels" in result["errors"][0]["reason"]
    couch.before = lambda asked: None
    assert here.replicate_from(db)["docs_written"] == 1
    assert len(here) == 40


def test_big_batches_are_split(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    here.bulk_docs([{"_id": f"d{number:02}", "text": "x" * 1000} for number in range(50)])
    couch.before = lambda asked: couch.told(413, "too_large") if len(asked.body) > 9000 else None
    result = here.replicate_to(db)
    assert (result["docs_written"], result["errors"]) == (50, [])


def test_credentials_are_renewed_on_the_way(couch: Couch, env: SyncEnvironment, server: Server) -> None:
    here = env["here"]
    here.bulk_docs([{"_id": f"d{number:02}"} for number in range(40)])
    valid = ["t1", "t2", "t3"]
    served = 0

    def refuse(asked: Any) -> Any:
        nonlocal served
        served += 1
        if served % 6 == 0 and len(valid) > 1:
            del valid[0]
        if asked.headers.get("authorization") != f"Bearer {valid[0]}":
            return couch.told(401, "unauthorized", "expired")
        return None

    couch.before = refuse
    remote = env.PouchDB(f"{server.url}/notes", auth=lambda: valid[0])
    assert here.replicate_to(remote, batch_size=10)["docs_written"] == 40
    assert len(valid) == 1


def test_wrong_credentials_end_it(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    couch.before = lambda asked: couch.told(401, "unauthorized", "Name or password is incorrect.")
    for options in ({}, {"retry": True}):
        with pytest.raises(Unauthorized) as caught:
            here.replicate_from(db, **options)
        assert caught.value.result["status"] == "aborting"
    couch.before = lambda asked: couch.told(403, "forbidden", "You are not a member.")
    with pytest.raises(Forbidden):
        here.replicate_from(db)


def test_a_database_is_not_replicated_to_itself(env: SyncEnvironment, server: Server) -> None:
    url = f"{server.url}/notes"
    with pytest.raises(BadRequest, match="to itself"):
        env.replicate(url, url.replace("//", "//me:secret@"))


# -- what servers cannot do ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 405])
def test_a_server_without_bulk_get(couch: Couch, db: SyncPouchDB, here: SyncPouchDB, status: int) -> None:
    couch.before = lambda asked: couch.told(status, "nope") if asked.path.endswith("_bulk_get") else None
    couch.db.bulk_docs([{"_id": f"d{number}"} for number in range(20)])
    couch.db.bulk_docs([{"_id": "c", "_rev": "1-a"}, {"_id": "c", "_rev": "1-b"}], new_edits=False)
    assert here.replicate_from(db)["docs_written"] == 22
    assert here.get("c", conflicts=True)["_conflicts"] == ["1-a"]


def test_answers_in_another_order_are_sorted_out(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    def shuffled(asked: Any) -> Any:
        if not asked.path.endswith("_bulk_get"):
            return None
        answer = couch.db.bulk_get(asked.json()["docs"], revs=True, latest=True)
        # As PouchDB: a result for each revision, grouped by document.
        random.Random(1).shuffle(answer["results"])
        return answer

    couch.before = shuffled
    couch.db.bulk_docs(
        [{"_id": f"d{number}", "_rev": f"1-{leaf}"} for number in range(20) for leaf in "abc"], new_edits=False
    )
    assert here.replicate_from(db)["docs_written"] == 60
    assert {leaf["ok"]["_rev"] for leaf in here.open_revs("d7")} == {"1-a", "1-b", "1-c"}


def test_a_revision_that_went_meanwhile_is_left_out(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    couch.db.bulk_docs([{"_id": "a"}, {"_id": "b"}])

    def gone(asked: Any) -> Any:
        if not asked.path.endswith("_bulk_get"):
            return None
        answer = couch.db.bulk_get(asked.json()["docs"], revs=True, latest=True)
        # PouchDB Server says nothing at all of what is missing.
        answer["results"][0]["docs"] = [{}]
        return answer

    couch.before = gone
    assert here.replicate_from(db)["docs_written"] == 1
    assert list(here) == ["b"]


# -- attachments -----------------------------------------------------------------------------------

BIG = random.Random(0).randbytes(100_000)


def test_only_new_attachments_are_sent(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    """By the ancestors that ``_revs_diff`` names, as CouchDB does."""
    rev = here.put_attachment("a", "old", BIG)["rev"]
    here.put_attachment("a", "other", BIG[::-1], rev=rev)
    here.replicate_to(db)
    couch.bodies.clear()
    here.put_attachment("a", "new", b"n" * 20_000, rev=here.get("a")["_rev"])
    assert here.replicate_to(db)["docs_written"] == 1
    assert 20_000 < max(size for _, size in couch.bodies) < 30_000
    assert couch.db.get_attachment("a", "old")["data"] == BIG
    assert couch.db.get_attachment("a", "new")["data"] == b"n" * 20_000


def test_a_stub_that_the_target_does_not_know_is_sent_whole(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    here.put_attachment("a", "old", BIG)
    here.replicate_to(db)
    refused: list[str] = []

    def forgetful(asked: Any) -> Any:
        if asked.path.endswith(("_bulk_docs", "/a")) and b'"stub":true' in asked.body and not refused:
            refused.append(asked.path)
            return couch.told(412, "missing_stub", "Invalid attachment stub in a for old")
        return None

    couch.before = forgetful
    here.put({**here.get("a"), "edited": True})
    couch.bodies.clear()
    assert here.replicate_to(db)["docs_written"] == 1
    assert refused
    assert max(size for _, size in couch.bodies) > len(BIG)


def packed_attachments(couch: Couch, content: bytes) -> tuple[bytes, str]:
    """Have the server keep an attachment packed, as CouchDB does with text: its digest is of the packed bytes."""
    packed = gzip.compress(content)
    digest = "md5-" + base64.b64encode(hashlib.md5(packed).digest()).decode()

    def serve(id: str, name: str, asked: Any) -> Any:
        headers = {"etag": f'"{digest[4:]}"', "content-type": "text/plain"}
        if "gzip" in asked.headers.get("accept-encoding", ""):
            return couch.Told(packed, headers={**headers, "content-encoding": "gzip"})
        return couch.Told(content, headers=headers)

    def renamed(asked: Any) -> Any:
        if not asked.path.endswith("_bulk_get"):
            return None
        answer = couch.db.bulk_get(asked.json()["docs"], revs=True, latest=True)
        for result in answer["results"]:
            for entry in result["docs"][0]["ok"].get("_attachments", {}).values():
                entry["digest"] = digest
        return answer

    couch.attachment = serve  # type: ignore[method-assign]
    couch.before = renamed
    return packed, digest


def test_digests_stay_what_the_server_calls_them(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, server: Server
) -> None:
    content = b"text " * 10_000
    couch.db.put_attachment("a", "t.txt", content, "text/plain")
    _, digest = packed_attachments(couch, content)
    here.replicate_from(db)
    assert here.get("a")["_attachments"]["t.txt"]["digest"] == digest
    assert here.get_attachment("a", "t.txt")["data"] == content
    assert here.integrity_check() == []
    # So that the next revision finds the attachment here.
    couch.db.put({**couch.db.get("a"), "edited": True})
    server.asked.clear()
    assert here.replicate_from(db)["docs_written"] == 1
    assert paths(server, "GET", "/t.txt") == []
    assert here.get_attachment("a", "t.txt")["data"] == content


@pytest.mark.parametrize("size", [100_000, 1_500_000], ids=["in memory", "in a file"])
@pytest.mark.parametrize(
    "etag", [None, '"1-0123"', '"AAAAAAAAAAAAAAAAAAAAAA=="'], ids=["none", "a revision", "another"]
)
def test_digests_that_the_server_does_not_tell_are_computed(
    couch: Couch, db: SyncPouchDB, env: SyncEnvironment, etag: str | None, size: int
) -> None:
    content = random.Random(1).randbytes(size)
    couch.db.put_attachment("a", "big", content)
    good = couch.attachment

    def untold(id: str, name: str, asked: Any) -> Any:
        told = good(id, name, asked)
        told.headers = {key: value for key, value in told.headers.items() if key != "etag"}
        told.headers.update({} if etag is None else {"etag": etag})
        return told

    couch.attachment = untold  # type: ignore[method-assign]
    # Read by a program, whoever it gives the file to: it is hashed as it is stored.
    other = env["other"]
    with db.open_attachment("a", "big") as file:
        other.put_attachment("copy", "big", file)
    entry = other.get("copy")["_attachments"]["big"]
    assert entry["digest"] == couch.db.get("a")["_attachments"]["big"]["digest"]
    assert (entry["length"], other.integrity_check()) == (size, [])
    assert other.get_attachment("copy", "big")["data"] == content


def test_a_file_that_was_read_in_part_is_hashed_from_where_it_is(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB
) -> None:
    couch.db.put_attachment("a", "big", BIG)
    with db.open_attachment("a", "big") as file:
        file.read(10)
        here.put_attachment("rest", "big", file)
        file.seek(50_000)
        here.put_attachment("half", "big", file)
        file.seek(0)
        here.put_attachment("all", "big", file)
    assert here.get_attachment("rest", "big")["data"] == BIG[10:]
    assert here.get_attachment("half", "big")["data"] == BIG[50_000:]
    assert here.get_attachment("all", "big")["data"] == BIG
    assert here.integrity_check() == []


def test_a_damaged_attachment_is_not_stored(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    couch.db.put_attachment("a", "big", BIG)
    good = couch.attachment

    def damaged(id: str, name: str, asked: Any) -> Any:
        told = good(id, name, asked)
        told.body = told.body[:-1] + b"!"
        return told

    couch.attachment = damaged  # type: ignore[method-assign]
    couch.db.put({"_id": "b"})
    result = here.replicate_from(db)
    assert [(each["id"], each["name"]) for each in result["errors"]] == [("a", "content_md5_mismatch")]
    assert (result["ok"], list(here)) == (False, ["b"])
    couch.attachment = good  # type: ignore[method-assign]
    assert here.replicate_from(db)["docs_written"] == 1
    assert here.get_attachment("a", "big")["data"] == BIG


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_transfer_is_taken_up_again(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, server: Server, ranges: bool
) -> None:
    couch.db.put_attachment("a", "big", BIG)
    good = couch.attachment
    cuts = [70_000, 20_000, 5_000]

    def cut(id: str, name: str, asked: Any) -> Any:
        told = good(id, name, asked)
        begin = asked.headers.get("range")
        if begin and ranges:
            assert asked.headers["if-range"] == told.headers["etag"]
            told.body, told.status = told.body[int(begin[6:-1]) :], 206
        if cuts:
            told.drop_after = cuts.pop(0)
        return told

    couch.attachment = cut  # type: ignore[method-assign]
    assert here.replicate_from(db)["docs_written"] == 1
    assert here.get_attachment("a", "big")["data"] == BIG
    assert len(paths(server, "GET", "/big")) == 4


def test_many_attachments_are_fetched_a_few_at_a_time(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    for number in range(30):
        couch.db.put_attachment(f"d{number}", "x", bytes([number]) * 1000)
    good = couch.attachment
    lock, now, most = threading.Lock(), 0, 0

    def counted(id: str, name: str, asked: Any) -> Any:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        try:
            return good(id, name, asked)
        finally:
            with lock:
                now -= 1

    couch.attachment = counted  # type: ignore[method-assign]
    assert here.replicate_from(db)["docs_written"] == 30
    assert most <= 6
    assert here.get_attachment("d7", "x")["data"] == b"\7" * 1000


def test_strange_names_travel_as_base64(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    name = 'quo"te\\back%22\n'
    here.put_attachment("a", name, BIG)
    assert here.replicate_to(db)["docs_written"] == 1
    assert couch.db.get_attachment("a", name)["data"] == BIG


def test_a_missing_database_is_no_missing_document(couch: Couch, db: SyncPouchDB, here: SyncPouchDB) -> None:
    couch.before = lambda asked: couch.told(404, "not_found", "Database does not exist.") if asked.path != "/" else None
    with pytest.raises(NotFound, match="Database does not exist"):
        here.replicate_from(db)


def test_what_was_written_is_on_the_disk_before_the_checkpoint(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, server: Server
) -> None:
    """CouchDB before 3.0 waits with writing unless it is asked; a server that does not know the question is let be."""
    here.put({"_id": "a"})
    for answer in (couch.Told({"ok": True}, 201), couch.told(404, "not_found"), couch.told(405, "method_not_allowed")):
        couch.before = lambda asked, answer=answer: answer if asked.path.endswith("_ensure_full_commit") else None
        server.asked.clear()
        here.put({"_id": "a", "_rev": here.get("a")["_rev"]})
        here.replicate_to(db)
        order = [asked.path.rpartition("/")[2][:6] for asked in server.asked if asked.method in ("POST", "PUT")]
        # In between the target is asked whether it still has what was written, at the same time.
        assert (order[-4], {*order[-3:-1]}, order[-1][:4]) == ("_bulk_", {"_ensur", "_revs_"}, "py1-")
    # Nothing new, nothing to keep.
    server.asked.clear()
    here.replicate_to(db)
    assert paths(server, "POST", "_ensure_full_commit") == []


def test_a_live_feed_goes_on_after_the_page_of_a_gateway(couch: Couch, db: SyncPouchDB, server: Server) -> None:
    couch.db.put({"_id": "a"})
    lines = [b'{"seq":1,"id":"a","changes":[{"rev":"1-a"}]}\n']
    later = [b'{"seq":2,"id":"b","changes":[{"rev":"1-b"}]}\n']
    page = couch.Told(b"<html>log in</html>", headers={"content-type": "text/html"})
    answers = [couch.Told(iter(lines)), page, couch.Told(iter(later))]
    couch.before = lambda asked: (
        (answers.pop(0) if answers else couch.told(400, "over")) if asked.query.get("feed") == "continuous" else None
    )
    feed = db.changes(live=True, since=0)
    rows = iter(feed)
    assert [next(rows)["id"], next(rows)["id"]] == ["a", "b"]
    with pytest.raises(BadRequest, match="on purpose"):
        next(rows)


@pytest.mark.parametrize("part", ["", "_changes", "_bulk_get", "_local/"])
@pytest.mark.parametrize("kind", ["page", "redirect", "else"])
def test_a_peer_that_is_no_couchdb_ends_it_and_spoils_nothing(
    couch: Couch, db: SyncPouchDB, here: SyncPouchDB, part: str, kind: str
) -> None:
    """A captive portal, a server that moved, somebody else's API: at the beginning or in the middle."""
    couch.db.bulk_docs([{"_id": f"d{number}"} for number in range(5)])
    answers = {
        "page": couch.Told(b"<html><title>Log in</title>", headers={"content-type": "text/html"}),
        "redirect": couch.Told(b"", 302, {"location": "https://portal.invalid/"}),
        "else": {"hello": "world"},
    }
    wrong = True

    def answer(asked: Any) -> Any:
        there = asked.path == "/notes" if not part else asked.path.startswith(f"/notes/{part}")
        return answers[kind] if there and wrong else None

    couch.before = answer
    with pytest.raises(RemoteError) as caught:
        here.replicate_from(db)
    assert (caught.value.result["status"], caught.value.result["ok"]) == ("aborting", False)
    assert len(here) in (0, 5)
    wrong = False
    assert here.replicate_from(db)["ok"]
    assert len(here) == 5


# -- stored JSON, as it is -------------------------------------------------------------------------


def test_what_is_pushed_is_what_is_stored(couch: Couch, db: SyncPouchDB, here: SyncPouchDB, server: Server) -> None:
    here.bulk_docs(
        [{"_id": "empty"}, {"_id": "gone", "x": 1}, {"_id": "\u00e9\U0001f600", "a": {"b": [{}, None, 1e300]}}]
    )
    here.put({"_id": "text", "s": '"_attachments" {"_id":"x"}\n\\', "n": [2**63, -(2**63), 0.1]})
    here.put({"_id": "lone", "s": "\ud800"})
    here.remove(here.get("gone"))
    rev = here.put({"_id": "long", "n": 0})["rev"]
    for number in range(5):
        rev = here.put({"_id": "long", "_rev": rev, "n": number})["rev"]
    for name in "abc":
        doc = {"_id": "torn", "_rev": f"2-{name * 32}", "_revisions": {"start": 2, "ids": [name * 32, "0" * 32]}}
        here.bulk_docs([{**doc, "from": name, "_deleted": name == "c"}], new_edits=False)
    here.put_attachment("with", "small", b"some")
    assert here.replicate_to(db)["docs_written"] == 10
    sent = {
        (doc["_id"], doc["_rev"]): doc
        for asked in server.asked
        if asked.path.endswith("_bulk_docs")
        for doc in asked.json()["docs"]
    }
    assert len(sent) == 10
    for (id, rev), doc in sent.items():
        if id != "with":
            assert doc == here.get(id, rev=rev, revs=True)
            assert list(doc) == list(here.get(id, rev=rev, revs=True)), "in the order of the document"
    for row in here.changes(style="all_docs")["results"]:
        for change in row["changes"]:
            mine, theirs = (each.get(row["id"], rev=change["rev"], revs=True) for each in (here, couch.db))
            assert mine == theirs
    assert couch.db.integrity_check() == []
    assert here.replicate_to(db)["docs_written"] == 0
