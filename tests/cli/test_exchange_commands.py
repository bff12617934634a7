"""import, export, edit, views, shell."""

from __future__ import annotations

import gzip
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pouchdb_core import SyncEnvironment

Cli = Callable[..., Any]


def test_import_makes_the_database_and_says_what_it_did(cli: Cli, env: SyncEnvironment, tmp_path: Path) -> None:
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps({"_id": f"{n:03}", "n": n}) + "\n" for n in range(700)))
    done = cli("import", "notes", "docs.jsonl")
    assert (done.status, done.out) == (0, "notes: 700 documents read, 700 written\n")
    assert len(env["notes"]) == 700
    again = cli("import", "notes", "docs.jsonl")
    assert again.status == 1
    assert "--replace" in again.err
    assert again.err.count(": conflict: ") == 10
    assert cli("import", "notes", "docs.jsonl", "--skip", "--json").json["skipped"] == 700
    assert cli("import", "notes", "docs.jsonl", "--replace").status == 0
    assert env["notes"]["000"]["_rev"].startswith("2-")
    (tmp_path / "more.jsonl").write_text('{"_id":"000"}\n{"_id":"new"}\n')
    assert cli("import", "notes", "more.jsonl").status == 7
    assert cli("import", "notes", "more.jsonl", "--conflict").status == 0
    assert len(env["notes"].get("000", conflicts=True)["_conflicts"]) == 1


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("empty.jsonl", b"", 0),
        ("text.jsonl", b"hello\n", 1),
        ("number.json", b"3", 1),
        ("cut.json", b'[{"_id":"a"},', 7),
        ("binary.json", b"\x00\xff", 1),
        ("dump.jsonl", b'{"pouchdb_dump":1}\n', 1),
    ],
)
def test_wrong_files(cli: Cli, env: SyncEnvironment, tmp_path: Path, name: str, content: bytes, status: int) -> None:
    (tmp_path / name).write_bytes(content)
    done = cli("import", "notes", name)
    assert "Traceback" not in done.err
    if status == 7:
        # What came before is not known to be wanted alone; the error says where the file ends.
        assert (done.status, "breaks off" in done.err) == (1, True)
    else:
        assert done.status == status
    if status == 1:
        assert env.names() == [], "a file that is wrong from its beginning makes no database"


def test_missing_files_and_wrong_options(cli: Cli, tmp_path: Path) -> None:
    assert cli("import", "notes", "nowhere.jsonl").status == 3
    (tmp_path / "a.jsonl").write_text("{}")
    assert cli("import", "notes", "a.jsonl", "--type", "x=int").status == 2
    assert cli("import", "notes", "a.csv", "--type", "x=date").status == 2


def test_csv(cli: Cli, env: SyncEnvironment, tmp_path: Path) -> None:
    (tmp_path / "people.csv.gz").write_bytes(gzip.compress(b"key;name;zip\n1;Ada;07001\n2;Bob;\n"))
    assert cli("import", "people", "people.csv.gz", "--id-column", "key", "--type", "zip=text").status == 0
    assert {key: value for key, value in env["people"]["1"].items() if key != "_rev"} == {
        "_id": "1",
        "name": "Ada",
        "zip": "07001",
    }
    done = cli("export", "people", "--format", "csv", "--no-rev", "--fields", "_id,name")
    assert done.out == "_id,name\n1,Ada\n2,Bob\n"


@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "out.csv", "out.jsonl.gz", "out.json.gz"])
def test_what_is_exported_is_imported(cli: Cli, env: SyncEnvironment, tmp_path: Path, name: str) -> None:
    env["notes"].bulk_docs([{"_id": f"{n:03}", "n": n, "text": "ä\n,"} for n in range(450)])
    assert cli("export", "notes", name).status == 0
    assert cli("export", "notes", name).status == 4
    assert cli("export", "notes", name, "--force").status == 0
    assert not list(tmp_path.glob("*.part"))
    assert cli("import", "copy", name).status == 0
    assert [env["copy"][id] for id in env["copy"]] == [env["notes"][id] for id in env["notes"]]


def test_what_ls_prints_is_imported(process: Any, env: SyncEnvironment) -> None:
    env["notes"].bulk_docs([{"_id": "a"}, {"_id": "b"}])
    listing = process("ls", "notes", "--docs", "--json").communicate(timeout=60)[0]
    import subprocess

    started = process("import", "copy", "-", stdin=subprocess.PIPE)
    out, err = started.communicate(listing, timeout=60)
    assert (started.returncode, out) == (0, "copy: 2 documents read, 2 written\n"), err
    assert list(env["copy"]) == ["a", "b"]


@pytest.mark.parametrize(
    "listing",
    [
        {"docs": [{"_id": "a"}]},
        {"total_rows": 1, "offset": 0, "rows": [{"id": "a", "key": "a", "value": {"rev": "1-x"}, "doc": {"_id": "a"}}]},
    ],
)
def test_put_refuses_a_listing(cli: Cli, env: SyncEnvironment, listing: Any) -> None:
    env["notes"].close()
    done = cli("put", "notes", json.dumps(listing))
    assert done.status == 2
    assert "pouchdb import" in done.err
    assert cli("put", "notes", json.dumps(listing), "--id", "x").status == 0


def test_put_of_many_is_summed_up(cli: Cli, env: SyncEnvironment) -> None:
    env["notes"].close()
    docs = json.dumps([{"_id": f"{n}"} for n in range(150)])
    done = cli("put", "notes", docs)
    assert (done.status, done.out) == (0, "")
    assert "150 written, 0 refused" in done.err
    assert len(cli("put", "copy", "--create", docs, "--json").lines) == 150


# -- edit ------------------------------------------------------------------------------------------


@pytest.fixture
def editor(tmp_path: Path) -> Callable[[str], str]:
    """Make an editor that replaces a text by another: ``editor("s/a/b/")``."""

    def make(expression: str) -> str:
        path = tmp_path / "editor"
        path.write_text(f"#!/bin/sh\nsed -i '{expression}' \"$1\"\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return make


def test_edit(cli: Cli, env: SyncEnvironment, editor: Callable[[str], str]) -> None:
    env["notes"].put({"_id": "a", "x": 1})
    done = cli("edit", "notes", "a", "--editor", editor('s/"x": 1/"x": 2/'))
    assert done.status == 0
    assert env["notes"]["a"].x == 2
    assert "not changed" in cli("edit", "notes", "a", "--editor", editor("s/nothing//")).err
    assert cli("edit", "notes", "b", "--editor", editor("s/x/x/")).status == 3
    assert cli("edit", "notes", "b", "--create", "--editor", editor('s/"b"/"b", "y": 1/')).status == 0
    assert env["notes"]["b"].y == 1


@pytest.mark.parametrize(
    ("expression", "status"), [('s/"x"/x/', 1), ('s/"a"/"c"/', 2), ('s/"x"/"_x"/', 1), ("s/^.*$//", 1)]
)
def test_what_was_typed_is_kept(
    cli: Cli, env: SyncEnvironment, editor: Callable[[str], str], expression: str, status: int
) -> None:
    env["notes"].put({"_id": "a", "x": 1})
    done = cli("edit", "notes", "a", "--editor", editor(expression))
    assert done.status == status
    path = Path(done.err.split("what you typed is in ")[1].split()[0])
    assert path.exists()
    path.unlink()
    assert env["notes"]["a"].x == 1


def test_an_edit_that_comes_too_late_is_kept(
    cli: Cli, env: SyncEnvironment, monkeypatch: pytest.MonkeyPatch, directory: Path
) -> None:
    db = env["notes"]
    db.put({"_id": "a", "x": 1})

    def edited(text: str, **options: Any) -> str:
        db["a"] = {"x": 5}
        return text.replace('"x": 1', '"x": 2')

    monkeypatch.setattr("click.edit", edited)
    done = cli("edit", "notes", "a")
    assert done.status == 4
    path = Path(done.err.split("what you typed is in ")[1].split()[0])
    assert '"x": 2' in path.read_text()
    path.unlink()
    assert db["a"].x == 5


# -- views, shell ----------------------------------------------------------------------------------


def test_views(cli: Cli, env: SyncEnvironment) -> None:
    db = env["notes"]
    db.put({"_id": "a"})
    db.put({"_id": "_design/d", "views": {"v": {"map": "function (doc) { emit(doc._id); }", "reduce": "_count"}}})
    db.put({"_id": "_design/broken", "views": {"v": {"map": "function ("}}})
    assert cli("views", "ls", "notes").lines == [["broken/v", ""], ["d/v", "_count"]]
    assert cli("views", "build", "notes", "d").out == "built\t_design/d\n"
    assert cli("views", "build", "notes").status == 7
    assert cli("views", "build", "notes", "nowhere").status == 3
    assert cli("views", "cleanup", "notes").status == 0
    assert db.query("d/v", update=False).rows[0].value == 1


def test_shell_runs_what_comes_in(process: Any, env: SyncEnvironment) -> None:
    import subprocess

    env["notes"].put({"_id": "a"})
    started = process("shell", "notes", stdin=subprocess.PIPE)
    out, err = started.communicate("print(list(db), sorted(env.names()), pouchdb.__version__ != '')", timeout=60)
    assert (started.returncode, out) == (0, "['a'] ['notes'] True\n"), err


def test_a_load_that_fails_makes_no_database(cli: Cli, env: SyncEnvironment, tmp_path: Path) -> None:
    (tmp_path / "x").write_text('{"not": "a dump"}\n')
    assert cli("load", "notes", "x").status == 1
    assert env.names() == []


@pytest.mark.parametrize("mark", ["", '{"marker":"@cloudant/couchbackup:resume"}\n'])
def test_a_resumed_backup_is_loaded(cli: Cli, env: SyncEnvironment, tmp_path: Path, mark: str) -> None:
    (tmp_path / "x").write_text(f'[{{"_id":"a","_rev":"1-a"}}]\n[{{"_id":"b","_r\n{mark}[{{"_id":"b","_rev":"1-b"}}]\n')
    assert cli("load", "notes", "x").status == 0
    assert list(env["notes"]) == ["a", "b"]
