"""The command on databases in PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pouchdb

pytest.importorskip("click")


def run(url: str, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pouchdb", *arguments],
        env={**os.environ, "POUCHDB_DIRECTORY": url},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_databases_are_named_as_in_a_directory(url: str, tmp_path: Path) -> None:
    secret = url.replace("pouchdb@", "pouchdb:very-secret@")
    assert run(secret, "create", "notes") == (0, "created\tnotes\n")
    with pouchdb.setup(url, plugins=["postgres"]) as place:
        place["notes"].put({"_id": "a"})
    assert run(secret, "ls") == (0, "notes\n")
    assert run(secret, "doctor", "notes") == (0, "ok\tintegrity\tall that is stored fits together\t\n")
    assert "doc_count\t1\n" in run(secret, "info", "notes")[1]
    dump = tmp_path / "notes.dump"
    assert run(secret, "dump", "notes", str(dump))[0] == 0
    assert run(str(tmp_path / "files"), "load", "notes", str(dump))[0] == 0
    with pouchdb.setup(tmp_path / "files") as files:
        assert files["notes"].get("a")["_id"] == "a"
        assert files["notes"].integrity_check() == []
    status, said = run(secret, "doctor", "note")
    assert status != 0
    assert "there is no database 'note' in postgresql://127.0.0.1" in said
    assert "did you mean notes?" in said
    assert "very-secret" not in said + run(secret, "info")[1]


def test_the_option_takes_a_url(url: str) -> None:
    status, said = run("elsewhere", "ls", "--directory", url)
    assert status == 0
    assert said.startswith("no databases in postgresql://127.0.0.1:")
