"""get, put, rm, ls, changes, query: what they print and how they end."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pouchdb_core import SyncEnvironment

Cli = Callable[..., Any]


def test_put_and_get(cli: Cli, env: SyncEnvironment) -> None:
    env["notes"].close()
    done = cli("put", "notes", '{"_id": "a", "x": 1}')
    rev = env["notes"]["a"]["_rev"]
    assert (done.status, done.out) == (0, f"a\t{rev}\n")
    assert json.loads(cli("get", "notes", "a").out) == {"_id": "a", "_rev": rev, "x": 1}
    assert cli("get", "notes", "a", "--json").out.count("\n") == 1
    assert cli("get", "notes", "a", "--revs", "--json").json["_revisions"]["start"] == 1


def test_put_needs_the_database_unless_it_makes_it(cli: Cli, env: SyncEnvironment) -> None:
    done = cli("put", "nots", '{"_id": "a"}')
    assert done.status == 3
    assert "no database 'nots'" in done.err
    assert cli("put", "nots", "--create", '{"_id": "a"}').status == 0
    assert "a" in env["nots"]


def test_a_document_without_an_id_gets_one(cli: Cli, env: SyncEnvironment) -> None:
    env["notes"].close()
    done = cli("put", "notes", '{"x": 1}', "--json")
    assert done.json["id"] in env["notes"]
    assert cli("put", "notes", '{"x": 1}', "--id", "mine", "--json").json["id"] == "mine"


def test_a_conflict_says_what_to_do(cli: Cli, env: SyncEnvironment) -> None:
    env["notes"].put({"_id": "a"})
    done = cli("put", "notes", '{"_id": "a", "x": 2}')
    assert done.status == 4
    assert "pouchdb get" in done.err
    told = cli("put", "notes", '{"_id": "a", "x": 2}', "--json").error
    assert (told["error"], told["status"], told["exit"]) == ("conflict", 409, 4)
    assert cli("put", "notes", "--force", '{"_id": "a", "x": 2}').status == 0
    assert env["notes"]["a"].x == 2
    assert cli("put", "notes", "--force", '{"_id": "b", "_rev": "7-x"}').status == 0, "there is nothing to overwrite"


def test_many_at_once_are_told_one_by_one(
    cli: Cli, env: SyncEnvironment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env["notes"].put({"_id": "a"})
    monkeypatch.setattr("sys.stdin", io.StringIO('[{"_id": "a"}, {"_id": "b"}]'))
    done = cli("put", "notes")
    assert done.status == 7
    assert done.lines[0][0] == "b"
    assert "a: conflict" in done.err
    (tmp_path / "docs.json").write_text('[{"_id": "a"}]')
    assert cli("put", "notes", "@docs.json", "--json").status == 4


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("{", 1),
        ("3", 2),
        ('["a"]', 2),
        ('{"_id": 3}', 1),
        ('{"_wrong": 1}', 1),
        ("@nowhere.json", 3),
        ('{"x": NaN}', 1),
    ],
)
def test_what_is_no_document_is_refused(cli: Cli, env: SyncEnvironment, given: str, status: int) -> None:
    env["notes"].close()
    done = cli("put", "notes", given)
    assert done.status == status
    assert done.err.startswith("pouchdb: ")
    assert "Traceback" not in done.err


def test_attachments_go_in_and_out(cli: Cli, env: SyncEnvironment, tmp_path: Path) -> None:
    env["notes"].close()
    (tmp_path / "a.txt").write_bytes(b"hello")
    (tmp_path / "b.bin").write_bytes(bytes(300_000))
    assert cli("put", "notes", '{"_id": "a"}', "--attach", "a.txt").status == 0
    rev = env["notes"]["a"]["_rev"]
    assert cli("put", "notes", json.dumps({"_id": "a", "_rev": rev}), "--attach", "b.bin").status == 0
    assert sorted(env["notes"]["a"]["_attachments"]) == ["a.txt", "b.bin"]
    assert cli("get", "notes", "a", "--attachment", "a.txt").out == "hello"
    assert cli("get", "notes", "a", "--attachment", "b.bin", "-o", "out.bin").status == 0
    assert (tmp_path / "out.bin").read_bytes() == bytes(300_000)
    assert cli("get", "notes", "a", "--attachment", "c").status == 3


def test_rm(cli: Cli, env: SyncEnvironment) -> None:
    db = env["notes"]
    db.bulk_docs([{"_id": "a"}, {"_id": "b"}, {"_id": "c"}])
    assert cli("rm", "notes", "a", "b").status == 0
    assert list(db) == ["c"]
    assert cli("rm", "notes", "a").status == 3
    assert cli("rm", "notes", "c", "--rev", "1-abc").status == 4
    assert list(db) == ["c"]


def test_ls(cli: Cli, env: SyncEnvironment) -> None:
    db = env["notes"]
    db.bulk_docs([{"_id": f"{kind}-{n:04}"} for kind in "ab" for n in range(1200)])
    env["other"].close()
    assert [line[0] for line in cli("ls").lines] == ["notes", "other"]
    assert cli("ls", "--json").out == '"notes"\n"other"\n'
    assert len(cli("ls", "notes").lines) == 2400
    assert [line[0] for line in cli("ls", "notes", "--prefix", "b", "--limit", "2").lines] == ["b-0000", "b-0001"]
    assert len(cli("ls", "notes", "--prefix", "b", "--limit", "1100", "--docs", "--json").json) == 1100
    assert cli("ls", "notes", "--limit", "0").out == ""


def test_changes(cli: Cli, env: SyncEnvironment) -> None:
    db = env["notes"]
    db.bulk_docs([{"_id": "a"}, {"_id": "b", "type": "x"}])
    db.remove(db["a"])
    assert [line[:2] for line in cli("changes", "notes").lines] == [["2", "b"], ["3", "a"]]
    assert [row["id"] for row in cli("changes", "notes", "--json").json] == ["b", "a"]
    assert cli("changes", "notes", "--since", "2", "--json").json["deleted"] is True
    assert cli("changes", "notes", "--since", "now").out == ""
    assert cli("changes", "notes", "--doc-id", "b", "--docs", "--json").json["doc"]["type"] == "x"
    assert cli("changes", "notes", "--descending", "--limit", "1", "--json").json["id"] == "a"
    assert cli("changes", "notes", "--since", "nonsense").status == 1


def test_query(cli: Cli, env: SyncEnvironment) -> None:
    db = env["notes"]
    db.bulk_docs([{"_id": f"{n}", "n": n, "kind": "even" if n % 2 == 0 else "odd"} for n in range(10)])
    source = "function (doc) { if (doc.kind) emit(doc.kind, doc.n); }"
    db.put({"_id": "_design/d", "views": {"v": {"map": source, "reduce": "_sum"}}})
    assert cli("query", "notes", "d/v").lines == [["null", "45"]]
    assert cli("query", "notes", "d/v", "--group").lines == [['"even"', "20"], ['"odd"', "25"]]
    assert cli("query", "notes", "d/v", "--rows", "--key", "odd", "--limit", "1").lines == [['"odd"', "1", "1"]]
    assert cli("query", "notes", "d/v", "--rows", "--start", '"odd"', "--json").json[0] == {
        "id": "1", "key": "odd", "value": 1,
    }  # fmt: skip
    assert cli("query", "notes", "--map", source, "--reduce", "_count").lines == [["null", "10"]]
    assert cli("query", "notes", "d/none").status == 3
    assert cli("query", "notes").status == 2
    assert cli("query", "notes", "d/v", "--keys", "7").status == 2
    assert cli("query", "notes", "--map", "function (").status == 1


def test_a_row_without_a_value_says_why(cli: Cli, env: SyncEnvironment) -> None:
    db = env["notes"]
    db.put({"_id": "a", "n": 1})
    grows = "function (k, v) { return new Array(600).join('abcdefghij,').split(','); }"
    db.put({"_id": "_design/d", "views": {"v": {"map": "function (doc) { emit(1, 1); }", "reduce": grows}}})
    told = cli("query", "notes", "d/v").out
    assert "reduce_overflow_error" in told
    assert "must shrink" in told
