"""Dumps: what is in them, what comes back, what breaks."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core import SyncEnvironment, SyncPouchDB, hookimpl
from pouchdb_core.dump import dump, is_checkpoint, load
from pouchdb_core.errors import BadRequest, FileExists, Forbidden, IncompleteDump, NotFound
from pouchdb_core.results import Record


@pytest.fixture
def env(tmp_path: Path) -> Iterator[SyncEnvironment]:
    with pouchdb.setup(tmp_path / "data", plugins=[], durability="normal") as environment:
        yield environment


def dumped(db: SyncPouchDB) -> bytes:
    out = io.BytesIO()
    dump(db, out)
    return out.getvalue()


def loaded(db: SyncPouchDB, text: bytes, **options: Any) -> Record:
    return load(db, io.BytesIO(text), **options)


def lines(text: bytes) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def rich(db: SyncPouchDB) -> SyncPouchDB:
    """Give a database something of everything."""
    db.put({"_id": "plain", "x": 1, "text": "日本"})
    rev = db.put({"_id": "edited", "n": 1}).rev
    for n in range(2, 5):
        rev = db.put({"_id": "edited", "_rev": rev, "n": n}).rev
    db.put({"_id": "conflicted", "who": "here"})
    there = {"_id": "conflicted", "_rev": "2-b", "_revisions": {"start": 2, "ids": ["b", "a"]}, "who": "there"}
    dead = {"_id": "conflicted", "_rev": "3-d", "_revisions": {"start": 3, "ids": ["d", "c", "a"]}, "_deleted": True}
    db.bulk_docs([there, dead], new_edits=False)
    db.put({"_id": "gone", "y": 1})
    db.put({**db.get("gone"), "_deleted": True, "why": "because"})
    db.put({"_id": "_design/d", "views": {"v": {"map": "function (doc) { emit(doc._id); }"}}})
    db.put_attachment("small", "a.txt", b"hello", "text/plain")
    db.put_attachment("large", "b.bin", bytes(range(256)) * 4000, "application/x-thing")
    db.put_attachment("large", "c.bin", bytes(range(256)) * 4000, "application/x-other", rev=db.get("large")["_rev"])
    db.put({"_id": "_local/mine", "z": 1})
    db.put({"_id": "_local/mine", "_rev": "0-1", "z": 2})
    db.put_security({"members": {"names": ["ada"], "roles": []}})
    purged = db.put({"_id": "purged"}).rev
    db.purge("purged", purged)
    db.revs_limit(77)
    return db


def everything(db: SyncPouchDB) -> dict[str, Any]:
    """Return all there is to know of a database, its identity aside."""
    feed = db.changes(style="all_docs")
    docs = {}
    for row in feed["results"]:
        leaves = db.open_revs(row["id"], revs=True, attachments=True)
        docs[row["id"]] = sorted((dict(each["ok"]) for each in leaves), key=lambda doc: str(doc["_rev"]))
    info = db.info()
    return {
        "feed": feed["results"],
        "docs": docs,
        "local": [db.get(id) for id in db.adapter.local_ids("_local/")],
        "security": db.get_security(),
        "revs_limit": db.revs_limit(),
        "purges": list(db.adapter.purges(0)),
        "counts": [info[key] for key in ("doc_count", "doc_del_count", "update_seq", "purge_seq")],
    }


def test_everything_comes_back(env: SyncEnvironment) -> None:
    before = rich(env["a"])
    done = loaded(env["b"], dumped(before))
    after = env["b"]
    assert everything(after) == everything(before)
    assert (done.complete, done.documents, done.doc_write_failures, done.errors) == (True, 7, 0, [])
    assert (done.attachments, done.local_documents) == (2, 1)
    assert after.id() == before.id()
    assert after.info().epoch != before.info().epoch
    assert after.info().former_epochs == [{"epoch": before.info().epoch, "seq": before.info().update_seq}]
    assert after.integrity_check() == []
    assert after.get("conflicted", conflicts=True, deleted_conflicts=True) == before.get(
        "conflicted", conflicts=True, deleted_conflicts=True
    )
    # A second time through: what was loaded says the same.
    again = loaded(env["c"], dumped(after))
    assert everything(env["c"]) == everything(before)
    assert again.complete


def test_the_lines_are_as_documented(env: SyncEnvironment) -> None:
    found = lines(dumped(rich(env["a"])))
    assert found[0]["pouchdb_dump"] == 1
    assert found[-1] == {
        "end": {
            "documents": 7, "revisions": 9, "attachments": 2, "local_documents": 1,
            "update_seq": env["a"].info().update_seq, "purge_seq": 1,
        }
    }  # fmt: skip
    kinds = [next(iter(set(line) & {"security", "docs", "attachment", "chunk", "content", "purge", "local", "end"}), "")
             for line in found]  # fmt: skip
    # What a checkpoint says must be there before it.
    assert kinds.index("local") > max(place for place, kind in enumerate(kinds) if kind == "docs")
    assert [line["seq"] for line in found if "docs" in line] == sorted(line["seq"] for line in found if "docs" in line)


def test_content_of_one_document_is_written_once(env: SyncEnvironment) -> None:
    found = lines(dumped(rich(env["a"])))
    assert sum("attachment" in line for line in found) == 1, "two names, one content"


@pytest.mark.parametrize("packed", [False, True])
def test_a_dump_may_be_packed(env: SyncEnvironment, packed: bool) -> None:
    text = dumped(rich(env["a"]))
    assert loaded(env["b"], gzip.compress(text) if packed else text).complete


def replicated(env: SyncEnvironment, source: Any, target: Any) -> int:
    """Replicate and return how many revisions were looked at: 0 when it went on from a checkpoint."""
    env.replicate(source, target)
    checkpoint = max(
        (target.get(id) for id in target.adapter.local_ids("_local/py")), key=lambda each: len(each["history"])
    )
    checked: int = checkpoint["history"][0]["missing_checked"]
    return checked


def test_as_a_source_it_goes_on_with_its_replications(env: SyncEnvironment) -> None:
    source, target = env["source"], env["target"]
    source.bulk_docs([{"_id": f"{n}"} for n in range(50)])
    assert replicated(env, source, target) == 50
    copy = env["copy"]
    loaded(copy, dumped(source))
    copy.put({"_id": "new"})
    result = env.replicate(copy, target)
    assert (result.docs_read, result.docs_written) == (1, 1)
    history = target.get(target.adapter.local_ids("_local/py")[0])["history"]
    assert [each["missing_checked"] for each in history] == [1, 50], "it did not start over"


def test_as_a_target_it_goes_on_with_its_replications(env: SyncEnvironment) -> None:
    source, target = env["source"], env["target"]
    source.bulk_docs([{"_id": f"{n}"} for n in range(50)])
    env.replicate(source, target)
    copy = env["copy"]
    loaded(copy, dumped(target))
    source.put({"_id": "new"})
    assert env.replicate(source, copy).docs_written == 1
    history = copy.get(copy.adapter.local_ids("_local/py")[0])["history"]
    assert [each["missing_checked"] for each in history] == [1, 50]


def test_what_was_written_after_the_dump_is_not_taken_for_known(env: SyncEnvironment) -> None:
    """The original went on: its later checkpoints say nothing of the copy."""
    source, target, copy = env["source"], env["target"], env["copy"]
    source.bulk_docs([{"_id": f"{n}"} for n in range(5)])
    env.replicate(source, target)
    text = dumped(source)
    source.bulk_docs([{"_id": f"later-{n}"} for n in range(5)])
    env.replicate(source, target)
    loaded(copy, text)
    copy.put({"_id": "of the copy"})
    assert env.replicate(copy, target).docs_written == 1
    assert "of the copy" in target
    assert len(target) == 11


def test_a_new_identity_starts_over(env: SyncEnvironment) -> None:
    source, target, copy = env["source"], env["target"], env["copy"]
    source.put({"_id": "x"})
    source.put({"_id": "_local/mine"})
    env.replicate(source, target)
    done = loaded(copy, dumped(source), identity=False)
    assert copy.id() != source.id()
    assert (done.checkpoints_left_out, done.local_documents) == (1, 1)
    assert list(copy.adapter.local_ids("_local/")) == ["_local/mine"]


def test_a_database_that_is_not_empty_is_refused(env: SyncEnvironment) -> None:
    text = dumped(rich(env["a"]))
    db = env["b"]
    db.put({"_id": "mine"})
    uuid = db.id()
    with pytest.raises(FileExists, match="not empty"):
        loaded(db, text)
    assert (list(db), db.id()) == (["mine"], uuid)
    tombstones = env["c"]
    tombstones.put({"_id": "x", "_deleted": True})
    with pytest.raises(FileExists):
        loaded(tombstones, text)


def test_merging_is_as_replication(env: SyncEnvironment) -> None:
    text = dumped(rich(env["a"]))
    db = env["b"]
    db.put({"_id": "plain", "x": "mine"})
    uuid = db.id()
    done = loaded(db, text, merge=True)
    assert (done.documents, done.doc_write_failures) == (7, 0)
    assert db.id() == uuid
    assert db.get_security() == {}
    assert list(db.adapter.local_ids("_local/")) == []
    assert db.get("plain", conflicts=True)._conflicts
    assert db.get_attachment("large", "c.bin").data == bytes(range(256)) * 4000
    assert loaded(db, text, merge=True).doc_write_failures == 0, "a second time changes nothing"


def test_merging_is_judged(tmp_path: Path) -> None:
    class Rule:
        @hookimpl
        def pouchdb_write_guards(self, database: Any, request: Any) -> Any:
            return lambda proposed: [Forbidden("no x") if "x" in each.new else None for each in proposed]

    with pouchdb.setup(tmp_path / "a", plugins=[]) as plain, pouchdb.setup(tmp_path / "b", plugins=[Rule()]) as ruled:
        text = dumped(rich(plain["a"]))
        done = loaded(ruled["b"], text, merge=True)
        assert done.doc_write_failures == 1
        assert done.errors[0]["id"] == "plain"
        assert "plain" not in ruled["b"]
        # Restoring a database judges nobody: it is the one that took these documents.
        assert loaded(ruled["c"], text).doc_write_failures == 0


# -- what breaks -----------------------------------------------------------------------------------


def many(db: SyncPouchDB, count: int = 1200) -> SyncPouchDB:
    db.bulk_docs([{"_id": f"doc-{n:04}", "n": n} for n in range(count)])
    for n in range(0, count, 7):
        db.put({**db.get(f"doc-{n:04}"), "edited": True})
    db.put({"_id": "_local/mine"})
    return db


@pytest.mark.parametrize("where", ["between lines", "in a line", "in the header", "before the end"])
def test_a_dump_that_breaks_off_is_told_and_gone_on_with(env: SyncEnvironment, where: str) -> None:
    source = many(env["a"])
    text = dumped(source)
    rows = text.splitlines(keepends=True)
    cut = {
        "between lines": b"".join(rows[:700]),
        "in a line": b"".join(rows[:700]) + rows[700][:30],
        "in the header": rows[0][:20],
        "before the end": b"".join(rows[:-1]),
    }[where]
    db = env["b"]
    with pytest.raises(IncompleteDump) as caught:
        loaded(db, cut)
    if where != "in the header":
        result = caught.value.result
        assert result.documents == len(db) == (1200 if where == "before the end" else 698)
        assert not result.complete
        assert db.adapter.loading() is not None
        assert db.id() != source.id(), "half of a database is not taken for it"
        assert list(db.adapter.local_ids("_local/py")) == []
    assert db.integrity_check() == []
    done = loaded(db, text)
    assert done.complete
    assert done.documents == 1200
    assert everything(db) == everything(source)
    assert db.id() == source.id()
    assert db.adapter.loading() is None


def test_a_packed_dump_that_breaks_off(env: SyncEnvironment) -> None:
    text = dumped(many(env["a"]))
    with pytest.raises(IncompleteDump):
        loaded(env["b"], gzip.compress(text)[:-4000])
    assert loaded(env["b"], text).complete


def test_what_was_written_to_meanwhile_cannot_be_gone_on_with(env: SyncEnvironment) -> None:
    text = dumped(many(env["a"]))
    db = env["b"]
    with pytest.raises(IncompleteDump):
        loaded(db, text[: len(text) // 2])
    db.put({"_id": "mine"})
    with pytest.raises(FileExists, match="written to"):
        loaded(db, text)
    assert loaded(db, text, merge=True).documents == 1200
    assert len(db) == 1201


def test_another_dump_cannot_be_gone_on_with(env: SyncEnvironment) -> None:
    text, other = dumped(many(env["a"])), dumped(rich(env["c"]))
    with pytest.raises(IncompleteDump):
        loaded(env["b"], text[: len(text) // 2])
    with pytest.raises(FileExists, match="another dump"):
        loaded(env["b"], other)


HEADER = {
    "pouchdb_dump": 1, "dump": "d", "uuid": "u", "epoch": "e", "former_epochs": [], "update_seq": 9, "revs_limit": 1000,
}  # fmt: skip
DOC = {"_id": "a", "_rev": "1-a", "_revisions": {"start": 1, "ids": ["a"]}}


@pytest.mark.parametrize(
    ("second", "what"),
    [
        ("{", "JSON"),
        ("[1]", "docs must be"),
        ("7", "not an object"),
        ('{"docs": 7, "seq": 1}', "docs must be a list"),
        ('{"docs": [7], "seq": 1}', "docs must be a list"),
        (json.dumps({"docs": [DOC]}), "seq of one document"),
        (json.dumps({"docs": [DOC], "seq": "1"}), "seq of one document"),
        (json.dumps({"docs": [DOC], "seq": -1}), "seq of one document"),
        (json.dumps({"docs": [DOC, {**DOC, "_id": "b"}], "seq": 1}), "seq of one document"),
        ('{"chunk": "aGk="}', "without an attachment"),
        ('{"content": {}}', "without its beginning"),
        ('{"local": {"_id": "no"}}', "local"),
        ('{"local": 7}', "local"),
        ('{"purge": {"seq": "x", "id": "a", "revs": []}}', "purge"),
        ('{"end": 7}', "end"),
        ('{"end": {"documents": 3}}', "3 documents"),
    ],
)
def test_a_damaged_dump_is_refused_by_line(env: SyncEnvironment, second: str, what: str) -> None:
    with pytest.raises(BadRequest, match="line 2") as caught:
        loaded(env["b"], f"{json.dumps(HEADER)}\n{second}\n".encode())
    assert what in caught.value.message
    assert env["b"].id() != "u"


@pytest.mark.parametrize(
    "header",
    [
        {"former_epochs": [7]},
        {"former_epochs": [{"epoch": "x"}]},
        {"former_epochs": [{"epoch": "x", "seq": "1"}]},
        {"uuid": 7},
        {"epoch": None},
        {"update_seq": "5-abc"},
        {"revs_limit": True},
        {"revs_limit": -1},
    ],
)
def test_a_header_that_makes_no_sense_gives_no_identity(env: SyncEnvironment, header: dict[str, Any]) -> None:
    rows = [{**HEADER, **header}, {"docs": [DOC], "seq": 5}, {"end": {"update_seq": 9}}]
    db = env["b"]
    assert loaded(db, "\n".join(map(json.dumps, rows)).encode() + b"\n").complete
    assert db["a"]["_rev"] == "1-a"
    assert db.revs_limit() == 1000
    if "revs_limit" not in header:
        assert db.id() != "u"
    # It can be replicated, whatever the header said.
    assert env.replicate("b", "c").docs_written == 1


def test_seqs_must_go_up(env: SyncEnvironment) -> None:
    rows = [HEADER, {"docs": [DOC], "seq": 5}, {"docs": [{**DOC, "_id": "b"}], "seq": 5}]
    with pytest.raises(BadRequest, match="seq 5 comes after 5"):
        loaded(env["b"], "\n".join(map(json.dumps, rows)).encode() + b"\n")
    rows[2]["seq"] = 4
    with pytest.raises(BadRequest, match="seq 4 comes after 5"):
        loaded(env["c"], "\n".join(map(json.dumps, rows)).encode() + b"\n")


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"hello\n", b"{}\n", b"[7]\n", b"\x1f\x8bnot gzip", b'{"pouchdb_dump": 2}\n']
)
def test_what_is_no_dump_is_refused(env: SyncEnvironment, text: bytes) -> None:
    with pytest.raises(BadRequest):
        loaded(env["b"], text)
    assert env["b"].info().update_seq == 0
    assert env["b"].adapter.loading() is None


@pytest.mark.parametrize("flaw", ["a byte", "the length", "cut"])
def test_damaged_content_is_noticed(env: SyncEnvironment, flaw: str) -> None:
    db = env["a"]
    db.put_attachment("large", "b.bin", bytes(500_000), "application/x-thing")
    rows = lines(dumped(db))
    place = next(place for place, row in enumerate(rows) if "chunk" in row)
    if flaw == "a byte":
        rows[place]["chunk"] = "B" + rows[place]["chunk"][1:]
    elif flaw == "the length":
        next(row for row in rows if "content" in row)["content"]["length"] = 7
    else:
        del rows[place]
    with pytest.raises(BadRequest, match="not what was written"):
        loaded(env["b"], "\n".join(map(json.dumps, rows)).encode() + b"\n")
    assert len(env["b"]) == 0


def test_a_document_that_cannot_be_is_told_and_the_others_go_on(env: SyncEnvironment) -> None:
    rows = [HEADER, {"docs": [DOC], "seq": 2}, {"docs": [{**DOC, "_id": "b", "_wrong": 1}], "seq": 3},
            {"docs": [{**DOC, "_id": "c"}], "seq": 5}, {"end": {"update_seq": 9}}]  # fmt: skip
    done = loaded(env["b"], "\n".join(map(json.dumps, rows)).encode())
    assert (done.doc_write_failures, done.errors[0]["id"], done.errors[0]["name"]) == (1, "b", "doc_validation")
    assert [(row["seq"], row["id"]) for row in env["b"].changes()["results"]] == [(2, "a"), (5, "c")]
    assert env["b"].info().update_seq == 9


# -- others' dumps ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["base64", "buffer"])
def test_a_dump_of_pouchdb_is_read(env: SyncEnvironment, form: str) -> None:
    """As pouchdb-dump (pouchdb-replication-stream 1.2.9) writes them: in browsers, and with PouchDB 9 on node."""
    data: Any = base64.b64encode(b"png").decode() if form == "base64" else {"type": "Buffer", "data": list(b"png")}
    digest = "md5-" + base64.b64encode(hashlib.md5(b"png").digest()).decode()
    attachment = {"content_type": "image/png", "revpos": 1, "digest": digest, "data": data}
    rows = [
        {"version": "1.2.0", "db_type": "leveldb", "start_time": "2026-01-01T00:00:00.000Z",
         "db_info": {"doc_count": 2, "update_seq": 3, "db_name": "x", "adapter": "leveldb"}},
        {"docs": [{**DOC, "x": 1}, {**DOC, "_id": "b", "_attachments": {"a.png": attachment}}]},
        {"seq": 3},
    ]  # fmt: skip
    done = loaded(env["b"], "\n".join(map(json.dumps, rows)).encode())
    assert (done.documents, done.attachments, done.complete) == (2, 1, True)
    assert env["b"]["a"]["_rev"] == "1-a"
    assert env["b"].get_attachment("b", "a.png").data == b"png"


def test_a_backup_of_couchbackup_is_read(env: SyncEnvironment) -> None:
    rows = [{"name": "@cloudant/couchbackup", "version": "2.11.0", "mode": "full"}, [DOC], [{**DOC, "_id": "b"}]]
    assert loaded(env["b"], "\n".join(map(json.dumps, rows)).encode()).documents == 2
    assert loaded(env["c"], "\n".join(map(json.dumps, rows[1:])).encode()).documents == 2


def test_checkpoints_are_told_from_other_local_documents() -> None:
    assert is_checkpoint({"_id": "_local/x", "session_id": "s", "source_last_seq": 1})
    assert is_checkpoint({"_id": "_local/x", "session_id": "s", "last_seq": 1, "replicator": "pouchdb"})
    assert not is_checkpoint({"_id": "_local/x", "settings": 1})


# -- others, at the same time ------------------------------------------------------------------------


def test_a_dump_is_complete_though_others_write(env: SyncEnvironment) -> None:
    db = many(env["a"])
    busy = iter(range(1, 10_000))

    class Slow(io.BytesIO):
        def write(self, text: Any) -> int:
            n = next(busy)
            if n % 100 == 0 and n < 1000:
                # Edits documents that were not dumped yet, and some that were.
                for id in (f"doc-{n:04}", "doc-1199"):
                    db.put({**db.get(id), "busy": n})
            return super().write(text)

    out = Slow()
    dump(db, out)
    loaded(env["b"], out.getvalue())
    assert {doc["_id"]: doc for doc in (row["doc"] for row in env["b"].all_docs(include_docs=True)["rows"])} == {
        doc["_id"]: doc for doc in (row["doc"] for row in db.all_docs(include_docs=True)["rows"])
    }


def test_memory_does_not_grow_with_the_database(env: SyncEnvironment, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        db = env[f"n{count}"]
        for start in range(0, count, 500):
            db.bulk_docs([{"_id": f"{n:06}", "text": "x" * 2000} for n in range(start, start + 500)])
        db.put_attachment("big", "b.bin", io.BytesIO(bytes(count * 2000)), "application/x-thing")
        path = tmp_path / f"{count}.jsonl"
        tracemalloc.start()
        with path.open("wb") as file:
            dump(db, file)
        with path.open("rb") as file:
            load(env[f"copy{count}"], file)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(500)
    small, large = peak(1500), peak(4500)
    assert large < 1.3 * small + 500_000


@pytest.mark.parametrize("remote", ["source", "target"])
def test_a_server_is_dumped_and_loaded(env: SyncEnvironment, remote: str) -> None:
    testing = pytest.importorskip("pouchdb_server.testing")
    with testing.couch_server() as server:
        far = env.PouchDB(f"{server.url}/far")
        source, target = (far, env["near"]) if remote == "source" else (rich(env["near"]), far)
        if remote == "source":
            rich(server.environment["far"])
        done = loaded(target, dumped(source))
        assert (done.documents, done.doc_write_failures) == (7, 0), done.errors
        for row in source.changes(style="all_docs")["results"]:
            mine, theirs = (
                sorted((str(each["ok"]["_rev"]), each["ok"].get("_deleted", False)) for each in db.open_revs(row["id"]))
                for db in (source, target)
            )
            assert mine == theirs
        assert target.get_attachment("large", "c.bin").data == bytes(range(256)) * 4000
        assert target.get("_local/mine").z == 2
        assert target.get_security().members.names == ["ada"]
        if remote == "target":
            with pytest.raises(FileExists):
                loaded(target, dumped(source))


Load = Callable[..., Record]


def test_a_local_document_that_is_gone_is_left_out(env: SyncEnvironment) -> None:
    db = env["a"]
    db.put({"_id": "_local/x"})
    text = dumped(db)
    assert any("local" in line for line in lines(text))
    with pytest.raises(NotFound):
        env["b"].get("_local/x")
    assert loaded(env["b"], text).local_documents == 1
    assert env["b"].get("_local/x")["_rev"] == "0-1"
