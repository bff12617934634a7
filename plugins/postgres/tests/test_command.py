"""The command on databases in PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import Damaged

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


def test_a_damaged_database_is_diagnosed_and_can_be_removed(url: str, postgres: Any) -> None:
    with pouchdb.setup(url, plugins=["postgres"]) as place:
        db = place["notes"]
        db.bulk_docs([{"_id": "a", "n": 1}, {"_id": "b", "n": 2}])
        schema = db.adapter.store.connections.schema
        postgres.run(f"UPDATE \"{schema}\".documents SET body = '{{nojson' WHERE id = 'a'")
        status, said = run(url, "doctor", "notes")
        assert status == 7
        assert "document 'a' is damaged" in said
        postgres.run(f'DELETE FROM "{schema}".counters')
        # It was not destroyed, and nobody is to think so.
        calls: list[Callable[[], Any]] = [db.info, db.all_docs, db.changes, lambda: db.put({"_id": "c"})]
        for call in calls:
            with pytest.raises(Damaged, match="'notes' is damaged: the row of its counters is gone"):
                call()
        assert db.get("b").n == 2
    status, said = run(url, "doctor", "notes")
    assert status == 7
    assert "the row of its counters is gone" in said
    assert "document 'a' is damaged" in said
    assert run(url, "destroy", "notes", "--yes")[0] == 0
    assert run(url, "ls")[1].startswith("no databases")
