"""Copies of databases in PostgreSQL: all of them by pg_dump, one by a dump of ours."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pouchdb
from pouchdb_core.dump import dump, load

VIEW = {"_id": "_design/v", "views": {"k": {"map": "function (doc) { emit(doc.n); }", "reduce": "_sum"}}}
LONG = "long" * 800


def fill(db: Any) -> None:
    db.bulk_docs([{"_id": id, "n": n} for n, id in enumerate([*(f"d{n}" for n in range(30)), LONG, "nul\0\1"])])
    db.put({"_id": "file", "_attachments": {"a": {"content_type": "a/b", "data": b"x" * 300_000}}})
    db.bulk_docs([{"_id": "d1", "_rev": "2-00000000000000000000000000000001", "n": 1000}], new_edits=False)
    db.remove("d2", db.get("d2")["_rev"])
    db.put(VIEW)
    db.put({"_id": "_local/mine", "v": 1})
    db.put_security({"members": {"names": ["ada"], "roles": []}})


def state(db: Any) -> Any:
    info = db.info()
    return (
        [(row.id, row.seq, row.changes) for row in db.changes(style="all_docs").results],
        db.query("v/k").rows,
        db.get_attachment("file", "a")["data"],
        db.get("_local/mine")["v"],
        info.doc_count,
        info.update_seq,
    )


def test_all_databases_by_pg_dump(postgres: Any, url: str, open_place: Callable[..., Any]) -> None:
    place = open_place(url)
    fill(place["a"])
    place["b"].put({"_id": "other"})
    wanted = state(place["a"])
    schema = place["a"].adapter.store.connections.server.address.schema
    text = postgres.tool("pg_dump", "--schema", f"{schema}*", "postgres")
    name = f"copy_of_{schema}"
    postgres.tool("createdb", "--encoding=UTF8", "--template=template0", name)
    postgres.tool("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", name, stdin=text)
    copy = open_place(url.replace("/postgres?", f"/{name}?"))
    assert list(copy) == ["a", "b"]
    assert state(copy["a"]) == wanted
    assert copy["a"].get_security() == place["a"].get_security()
    assert copy["a"].integrity_check() == []
    assert copy["a"].put({"_id": "new"}).ok
    assert [row.value for row in copy["a"].query("v/k").rows] == [row.value for row in place["a"].query("v/k").rows]
    # A replica that is ahead of a copy notices, and starts over.
    with pouchdb.setup(":memory:") as memory:
        result = memory["c"].replicate_from(copy["b"])
        assert result.docs_written == 1


@pytest.mark.parametrize("there", ["postgres", "file"])
def test_one_database_by_a_dump(url: str, tmp_path: Path, open_place: Callable[..., Any], there: str) -> None:
    place = open_place(url)
    fill(place["a"])
    copied = io.BytesIO()
    dump(place["a"], copied)
    copied.seek(0)
    target = open_place(url + "_copy")["a"] if there == "postgres" else open_place(str(tmp_path / "files"))["a"]
    assert load(target, copied).complete
    assert state(target) == state(place["a"])
    # The same database, in another life of it: replications go on where they were.
    assert target.info().uuid == place["a"].info().uuid
    assert target.info().epoch != place["a"].info().epoch
    assert target.integrity_check() == []


def test_by_the_command(url: str, tmp_path: Path, open_place: Callable[..., Any]) -> None:
    pytest.importorskip("click")
    open_place(url)["notes"].put({"_id": "x"})

    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "pouchdb", *arguments]
        done = subprocess.run(
            command, env={**os.environ, "POUCHDB_DIRECTORY": url}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    status, said = run("backup", "notes", str(tmp_path / "copy.pouchdb"))
    assert status != 0
    assert "pg_dump" in said
    assert "pouchdb dump" in said
    assert run("dump", "notes", str(tmp_path / "notes.dump"))[0] == 0
    assert run("load", "again", str(tmp_path / "notes.dump"))[0] == 0
    assert open_place(url)["again"].get("x")["_id"] == "x"
