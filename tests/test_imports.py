"""What is imported when: a command should not wait for libraries it does not use."""

from __future__ import annotations

import subprocess
import sys

LATER = ("babel", "lark", "numpy", "re2", "regex", "shapely", "snowballstemmer", "uvicorn")
"""Libraries of plug-ins that take 30 ms or more; the first call that needs one imports it."""
PROGRAM = """
import contextlib, io, runpy, sys
import pouchdb
with pouchdb.setup(":memory:") as environment:
    db = environment["notes"]
    db.put({"_id": "a"})
    assert "spatial" in dir(db) and "gql" in dir(db) and "search" in dir(db), "the plug-ins are loaded"
sys.argv = ["pouchdb", "--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as shown:
    runpy.run_module("pouchdb", run_name="__main__")
assert "serve" in shown.getvalue() and "near" in shown.getvalue()
print(*sys.modules)
"""


def test_large_libraries_are_imported_when_they_are_used() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) & set(LATER) == set()
