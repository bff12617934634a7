"""``pouchdb find`` and ``pouchdb index``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PEOPLE

pytest.importorskip("rich", reason="the command needs the extra cli")

import pouchdb
from pouchdb.cli.app import run


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run the command: ``cli("find", "people", "{}")`` returns status, standard output and errors."""
    monkeypatch.setenv("POUCHDB_DIRECTORY", str(tmp_path))
    with pouchdb.setup(str(tmp_path)) as environment:
        environment["people"].bulk_docs(PEOPLE)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run(list(arguments))
        return (int(status), *capsys.readouterr())

    return call


def test_find(cli: Any) -> None:
    status, out, err = cli("find", "people", '{"age": {"$gt": 25}}', "--fields", "_id,age,nest.a.b")
    assert status == 0
    assert out.splitlines() == ["m00\t30\t0", "m02\t41\t2", "m04\t30\t4", "m05\told\t5"]
    assert "No matching index found" in err
    assert "\\n" not in err, "a line for each warning"
    assert "`pouchdb index people FIELD` makes one" in err
    status, out, _ = cli("find", "people", '{"_id": "m01"}')
    assert out.split("\t")[:3] == ["m01", "Bob", "25"]
    out = cli("--json", "find", "people", "{}", "--limit", "2")[1]
    assert [json.loads(line)["_id"] for line in out.splitlines()] == ["m00", "m01"]
    bookmark = cli("find", "people", "{}", "--limit", "2")[2].split("--bookmark ")[1].split()[0]
    status, out, _ = cli("find", "people", "{}", "--limit", "1", "--bookmark", bookmark, "--fields", "_id")
    assert out == "m02\n"
    status, out, _ = cli("find", "people", '{"_id": "m01"}', "--docs")
    assert json.loads(out)["name"] == "Bob"


def test_what_is_wrong(cli: Any) -> None:
    status, _, err = cli("find", "people", '{"a": {"$odd": 1}}')
    assert status != 0
    assert "$odd" in err
    assert cli("find", "people", "nonsense")[0] != 0
    assert cli("index", "people", "a", "--delete", "x/y")[0] != 0
    assert cli("index", "people", "--delete", "x")[0] != 0


def test_indexes(cli: Any) -> None:
    assert (
        cli("index", "people", "city", "age", "--ddoc", "d", "--name", "n", "--partial", '{"age": {"$gt": 1}}')[0] == 0
    )
    _, out, _ = cli("index", "people")
    assert out.splitlines() == ["_all_docs\t_id\t", 'd/n\tcity, age\t{"age": {"$gt": 1}}']
    assert json.loads(cli("--json", "index", "people")[1].splitlines()[1])["name"] == "n"
    _, out, _ = cli("find", "people", '{"city": "Rome", "age": 30}', "--use-index", "d", "--explain")
    assert "reads\tindex d/n" in out
    _, out, _ = cli("find", "people", "{}", "--descending", "--limit", "1", "--fields", "_id")
    assert out == "no\n"
    assert cli("index", "people", "--delete", "d/n")[0] == 0
    assert len(cli("index", "people")[1].splitlines()) == 1
