"""Importing the plug-in writes nothing and prints nothing, whatever ply thinks of luqum's tables."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import luqum
import pytest


@pytest.mark.parametrize("tables", ["as shipped", "stale", "missing"])
def test_nothing_is_written_beside_luqum(tmp_path: Path, tables: str) -> None:
    copy = tmp_path / "luqum"
    shutil.copytree(Path(luqum.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__", "parser.out"))
    kept = copy / "parsetab.py"
    if tables == "missing":
        kept.unlink()
    elif tables == "stale":
        kept.write_text(kept.read_text("utf-8").replace("_lr_signature = ", "_lr_signature = 'x' + "), "utf-8")
    before = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    code = (
        "import luqum; from pouchdb_search.lucene_grammar import parser; print(luqum.__file__, parser.parse('a AND b'))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{copy / '__init__.py'} a AND b\n"
    assert {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()} == before
