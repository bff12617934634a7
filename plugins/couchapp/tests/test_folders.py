"""Folders as design documents, both ways, and the commands."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pouchdb_couchapp.folders import as_document, as_files, pulled, pushed, write

import pouchdb
from pouchdb_core.errors import BadRequest

FILES = {
    "_id": "_design/app\n",
    "language": "javascript\n",
    "views/by_name/map.js": "function (doc) {\n  emit(doc.name);\n}\n",
    "views/by_name/reduce": "_count",
    "lib/m.js": "exports.x = 1;",
    "shows/page.js": "function () { return require('lib/m').x; }",
    "rewrites.json": '[{"from": "/", "to": "_show/page"}]',
    "options.json": '{"include_design": true}',
    "validate_doc_update.js": "function () {}\n\n",
    "text.with.dots.txt": "x",
    ".couchapprc": "{}",
    ".couchappignore": '[\n// comments are allowed\n"~$", "^skipped"]',
    "backup.js~": "no",
    "skipped/x": "no",
    "_attachments/index.html": "<html>",
    "_attachments/img/a.png": "\x89",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path / "app"


def test_a_folder(folder: Path) -> None:
    document = as_document(folder)
    attachments = document.pop("_attachments")
    assert document == {
        "_id": "_design/app",
        "language": "javascript",
        "views": {"by_name": {"map": "function (doc) {\n  emit(doc.name);\n}", "reduce": "_count"}},
        "lib": {"m": "exports.x = 1;"},
        "shows": {"page": "function () { return require('lib/m').x; }"},
        "rewrites": [{"from": "/", "to": "_show/page"}],
        "options": {"include_design": True},
        "validate_doc_update": "function () {}",
        "text.with.dots": "x",
    }
    assert attachments["index.html"] == {"content_type": "text/html", "data": b"<html>"}
    assert attachments["img/a.png"]["content_type"] == "image/png"


def test_pushed_and_pulled(folder: Path, tmp_path: Path) -> None:
    with pouchdb.setup(":memory:", plugins=["couchapp"]) as environment:
        db: Any = environment["a"]
        id, rev, changed = pushed(db, folder)
        assert (id, changed) == ("_design/app", True)
        assert db.show("app/page").body == ""
        assert db.rewrite("app").code == 200
        assert pushed(db, folder) == (id, rev, False)
        write(tmp_path / "again", pulled(db, id))
        assert as_document(tmp_path / "again") == as_document(folder)
        (folder / "lib" / "m.js").write_text("exports.x = '2';")
        assert pushed(db, folder)[2] is True
        assert db.show("app/page").body == "2"
        (folder / "_attachments" / "index.html").write_text("other")
        assert pushed(db, folder)[2] is True


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", b"{", "x.json"),
        ("x.js", b"\xff", "not UTF-8"),
        ("language.js", b"x", "another file"),
        (".couchappignore", b'"x"', "JSON list"),
        (".couchappignore", b'["("]', ".couchappignore"),
        ("_id", b"", "must hold the id"),
    ],
)
def test_folders_that_are_no_design_document(folder: Path, name: str, content: bytes, message: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(BadRequest, match=message):
        as_document(folder)


def test_the_folders_name_is_the_id(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert as_document(tmp_path / "mine") == {"_id": "_design/mine"}
    with pytest.raises(BadRequest, match="is not a folder"):
        as_document(tmp_path / "none")


def test_a_document_cannot_write_outside_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="outside"):
        write(tmp_path / "a", iter([("../b", b"x")]))
    with pytest.raises(BadRequest, match="cannot be files"):
        list(as_files({"_id": "_design/x", "../b": "x"}))
    nested = dict(as_files({"_id": "_design/x", "lib": {"../b": "x"}}))
    assert list(nested) == ["_id", "lib.json"]


NAMES = st.text(min_size=1, max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), VALUES, max_size=5))
def test_any_document_comes_back(members: dict[str, Any]) -> None:
    document = {"_id": "_design/app", **members}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), as_files(document))
        assert as_document(Path(folder)) == document


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pouchdb", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_commands(folder: Path, tmp_path: Path) -> None:
    made = command("--directory", "data", "couchapp", "push", "app", "notes", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("_design/app is stored, revision 1-")
    assert "unchanged" in command("--directory", "data", "couchapp", "push", "app", "notes", cwd=tmp_path).stdout
    pull = command("--directory", "data", "couchapp", "pull", "notes", "app", "copy", cwd=tmp_path)
    assert pull.returncode == 0, pull.stderr
    assert as_document(tmp_path / "copy") == as_document(folder)
    refused = command("--directory", "data", "couchapp", "pull", "notes", "app", "copy", cwd=tmp_path)
    assert refused.returncode == 2
    assert "has files already" in refused.stderr
    missing = command("--directory", "data", "couchapp", "pull", "notes", "none", "x", cwd=tmp_path)
    assert missing.returncode != 0
