"""dump and load, and doctor."""

from __future__ import annotations

import contextlib
import gzip
import json
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pouchdb_core import SyncEnvironment
from pouchdb_core.errors import Damaged

Cli = Callable[..., Any]
Process = Callable[..., "subprocess.Popen[str]"]


def filled(env: SyncEnvironment, name: str = "a") -> None:
    env[name].bulk_docs([{"_id": f"{n:03}"} for n in range(50)])


def test_dump_to_a_file_and_load(cli: Cli, env: SyncEnvironment, tmp_path: Path) -> None:
    filled(env)
    assert cli("dump", "a", "a.jsonl", "--json").json["documents"] == 50
    assert cli("dump", "a", "a.jsonl").status == 4
    assert cli("dump", "a", "a.jsonl", "--force").status == 0
    assert cli("dump", "a", "a.jsonl.gz").status == 0
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).count(b"\n") == 53
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []
    assert cli("load", "b", "a.jsonl").out.startswith("b: 50 documents (50 revisions)")
    assert cli("load", "c", "a.jsonl.gz", "--json").json["complete"] is True
    assert env["b"].id() == env["a"].id() == env["c"].id()
    again = cli("load", "b", "a.jsonl")
    assert again.status == 4
    assert "--merge" in again.err
    assert cli("load", "b", "a.jsonl", "--merge").status == 0
    assert cli("load", "d", "a.jsonl", "--new-identity").status == 0
    assert env["d"].id() != env["a"].id()


def test_dump_through_a_pipe(process: Process, env: SyncEnvironment, directory: Path) -> None:
    filled(env)
    dump = process("dump", "a")
    load = process("load", "b", "--json", stdin=dump.stdout)
    out, err = load.communicate(timeout=60)
    assert load.returncode == 0, err
    assert json.loads(out)["documents"] == 50
    assert dump.wait(60) == 0
    assert len(env["b"]) == 50


def test_a_dump_that_breaks_off(cli: Cli, env: SyncEnvironment, tmp_path: Path) -> None:
    filled(env)
    cli("dump", "a", "a.jsonl")
    whole = (tmp_path / "a.jsonl").read_bytes()
    (tmp_path / "cut.jsonl").write_bytes(whole[: len(whole) // 2])
    done = cli("load", "b", "cut.jsonl")
    assert done.status == 1
    assert "breaks off in the middle of line" in done.err
    assert "documents are loaded, without local documents and checkpoints" in done.err
    told = cli("load", "b", "cut.jsonl", "--json").error
    assert told["error"] == "incomplete_dump"
    assert told["result"]["documents"] == len(env["b"])
    assert "loaded in part only" in cli("doctor", "b").out
    assert cli("load", "b", "a.jsonl").status == 0
    assert cli("doctor", "b").status == 0
    assert len(env["b"]) == 50


def test_loading_is_interrupted_and_gone_on_with(
    process: Process, cli: Cli, env: SyncEnvironment, tmp_path: Path
) -> None:
    env["a"].bulk_docs([{"_id": f"{n:04}"} for n in range(2000)])
    cli("dump", "a", "a.jsonl")
    half = (tmp_path / "a.jsonl").read_text().splitlines(keepends=True)[:1500]
    feed = env["b"].live_changes()
    running = process("load", "b", stdin=subprocess.PIPE)
    assert running.stdin is not None
    running.stdin.write("".join(half))
    running.stdin.flush()
    assert next(iter(feed)).id == "0000", "a batch of it is there, the command waits for more"
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "goes on from here" in err
    feed.cancel()
    assert 0 < len(env["b"]) < 2000
    assert env["b"].integrity_check() == []
    assert cli("load", "b", "a.jsonl").status == 0
    assert len(env["b"]) == 2000


def test_what_is_no_dump(cli: Cli, env: SyncEnvironment, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello\n")
    done = cli("load", "b", "x.txt")
    assert done.status == 1
    assert "nothing was loaded" in done.err
    assert cli("load", "b", "nowhere.jsonl").status == 3
    assert cli("dump", "nowhere", "x.jsonl").status == 3


def test_a_refused_document_is_told(cli: Cli, env: SyncEnvironment, tmp_path: Path) -> None:
    rows = [{"docs": [{"_id": "a", "_rev": "1-a"}, {"_id": "b", "_rev": "wrong"}]}]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = cli("load", "b", "x.jsonl")
    assert done.status == 7
    assert "b: bad_request" in done.err
    assert "a" in env["b"]


# -- doctor ----------------------------------------------------------------------------------------


def findings(done: Any) -> list[tuple[str, str]]:
    told = done.json
    return [(each["level"], each["text"]) for each in ([told] if isinstance(told, dict) else told)]


def test_a_healthy_database(cli: Cli, env: SyncEnvironment) -> None:
    filled(env)
    done = cli("doctor", "a", "--json")
    assert done.status == 0
    assert findings(done) == [("ok", "all that is stored fits together")]


def test_a_damaged_attachment(cli: Cli, env: SyncEnvironment) -> None:
    db = env["a"]
    db.put_attachment("bad", "photo", b"x" * 1000, "image/png")
    store = db.adapter.store  # type: ignore[attr-defined]
    with store.connections.write():
        store.connections.run("UPDATE attachment_chunks SET data = CAST('y' || substr(data, 2) AS BLOB)")
    done = cli("doctor", "a", "--json")
    assert done.status == 7
    text = "attachment 'photo' of document 'bad' is damaged: its content is not what was stored"
    assert ("problem", text) in findings(done)
    assert "'photo'" in cli("dump", "a", "a.jsonl").err
    assert "'photo'" in cli("backup", "a", "copy").err


def test_stale_indexes_and_conflicts_and_replications(cli: Cli, env: SyncEnvironment) -> None:
    filled(env)
    db = env["a"]
    view = "function (doc) { emit(doc._id); }"
    db.put({"_id": "_design/d", "views": {"v": {"map": view}}})
    assert ("note", "_design/d (views) is not built yet") in findings(cli("doctor", "a", "--json"))
    db.query("d/v")
    assert ("ok", "_design/d (views) is up to date") in findings(cli("doctor", "a", "--json"))
    env.replicate("a", "b")
    db.put({"_id": "new"})
    there = {"_id": "new", "_rev": "1-x", "_revisions": {"start": 1, "ids": ["x"]}}
    db.bulk_docs([there], new_edits=False)
    told = findings(cli("doctor", "a", "--json"))
    assert ("note", "_design/d (views) is 1 change behind") in told
    assert ("note", "a to b: 1 change not replicated yet") in told
    assert ("note", "1 document in conflict") in told
    db.put({**db.get("_design/d"), "views": {}})
    db.query(view)
    assert any("no design document defines any more" in text for _, text in findings(cli("doctor", "a", "--json")))


def test_a_damaged_database_is_a_problem(cli: Cli, env: SyncEnvironment, directory: Path) -> None:
    import sqlite3

    filled(env)
    env.close()
    with sqlite3.connect(directory / "a.pouchdb") as connection:
        connection.execute("UPDATE counters SET doc_count = 7")
    connection.close()
    done = cli("doctor", "a", "--json")
    assert done.status == 7
    assert ("problem", "doc_count is wrong, documents counted: 50") in findings(done)


def why(cli: Cli, id: str, status: int = 7) -> str:
    done = cli("doctor", "a", "--doc", id, "--with", "b", "--json")
    assert done.status == status, done
    told = [text for level, text in findings(done) if level == "problem"] or [text for _, text in findings(done)]
    return " | ".join(told)


def test_why_a_document_is_not_there(cli: Cli, env: SyncEnvironment) -> None:
    filled(env)
    a, b = env["a"], env["b"]
    assert "nothing was replicated from there to here yet" in why(cli, "000")
    env.replicate("a", "b")
    assert "both have the same revisions" in why(cli, "000", 0)
    a.put({**a.get("000"), "edited": True})
    assert "it changed after the last run" in why(cli, "000")
    env.replicate("a", "b")
    b.purge("001", b.get("001")["_rev"])
    assert "it was purged there" in why(cli, "001")
    assert "does not have it" in why(cli, "nothing", 0)
    assert "local document" in why(cli, "_local/x", 0)
    a.put({"_id": "late"})
    env.replicate("a", "b", doc_ids=["other"])
    assert "it changed after the last run (at " in why(cli, "late")
    there = {"_id": "002", "_rev": "1-0", "_revisions": {"start": 1, "ids": ["0"]}}
    for db in (a, b):
        db.bulk_docs([there], new_edits=False)
    assert "it is in conflict: 1-0 lost against" in why(cli, "002", 0)
    assert cli("doctor", "a", "--with", "b").status == 2


def test_a_filter_that_passed_it_over(cli: Cli, env: SyncEnvironment) -> None:
    filled(env)
    env.replicate("a", "b", doc_ids=["001"])
    assert "by a replication with a filter or other options, which did not choose it" in why(cli, "002")


def test_a_document_that_the_target_refuses(cli: Cli, env: SyncEnvironment, directory: Path) -> None:
    import pouchdb
    from pouchdb_core import hookimpl
    from pouchdb_core.errors import Forbidden

    class Rule:
        @hookimpl
        def pouchdb_write_guards(self, database: Any, request: Any) -> Any:
            if database.name != "b":
                return None
            return lambda proposed: [Forbidden("no") if each.new["_id"] == "007" else None for each in proposed]

    filled(env)
    env.close()
    with pouchdb.setup(directory, plugins=[Rule()]) as ruled:
        assert ruled.replicate("a", "b").doc_write_failures == 1
    assert "the target refused it" in why(cli, "007")
    assert "both have" in why(cli, "008", 0)
    told = findings(cli("doctor", "b", "--json"))
    assert any("the target refused 007" in text for level, text in told if level == "problem")
    assert "refused" in cli("doctor", "a", "--doc", "007").out
    assert [each["refused"] for each in [cli("checkpoints", "a", "--json").json]] == [1]


def test_doctor_tells_of_a_journal_whose_database_was_moved(cli: Cli, env: SyncEnvironment, directory: Path) -> None:
    env["a"].put({"_id": "x"})
    assert cli("doctor", "a").status == 0
    (directory / "gone.pouchdb-wal").write_bytes(b"journal")
    done = cli("doctor", "a", "--json")
    assert ("problem", "gone.pouchdb-wal has no database beside it") in findings(done)
    assert done.status == 7


DAMAGES = {
    "the counters are gone": "DELETE FROM counters",
    "a body is no JSON": "UPDATE documents SET body = x'7b6e6f' WHERE id = '001'",
    "a tree is no tree": "UPDATE documents SET tree = x'ff00ff' WHERE id = '001'",
    "a design document is no JSON": "UPDATE documents SET body = x'7b6e6f' WHERE id = '_design/v'",
    "a checkpoint is no JSON": "UPDATE local_documents SET body = x'7b6e6f'",
}


@pytest.mark.parametrize("sql", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_database_is_diagnosed_and_can_be_removed(
    cli: Cli, env: SyncEnvironment, directory: Path, sql: str
) -> None:
    filled(env)
    env["a"].put({"_id": "_design/v", "views": {"k": {"map": "function (doc) { emit(doc._id); }"}}})
    env["a"].bulk_docs([{"_id": "001", "_rev": "1-a", "x": 1}], new_edits=False)
    env.replicate("a", "b")
    env.close()
    with contextlib.closing(sqlite3.connect(directory / "a.pouchdb")) as file, file:
        assert file.execute(sql).rowcount > 0
    done = cli("doctor", "a", "--json")
    assert done.status == 7, done.err
    told = [text for level, text in findings(done) if level == "problem"]
    assert any("damaged" in text or "row is gone" in text for text in told)
    assert len(told) == len(set(told))
    # What cannot be counted can be removed.
    assert cli("destroy", "a", "--yes").status == 0
    assert "a" not in cli("ls").out.split()


def test_a_call_of_a_database_without_its_counters(env: SyncEnvironment, directory: Path) -> None:
    env["a"].put({"_id": "x"})
    env.close()
    with contextlib.closing(sqlite3.connect(directory / "a.pouchdb")) as file, file:
        file.execute("DELETE FROM counters")
    import pouchdb

    with pouchdb.setup(directory, plugins=[]) as again:
        calls: list[Callable[[], Any]] = [
            again["a"].info,
            again["a"].all_docs,
            again["a"].changes,
            lambda: again["a"].put({"_id": "y"}),
        ]
        for call in calls:
            with pytest.raises(Damaged, match="'a' is damaged: the row of its counters is gone"):
                call()
