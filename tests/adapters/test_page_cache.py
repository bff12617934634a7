"""How much of a file its connections keep in memory."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="private memory is read from /proc")
def test_writing_and_reading_much_takes_little_private_memory(tmp_path: Path) -> None:
    program = """
        import os, sys, pouchdb
        def private():
            with open("/proc/self/status") as status:
                return next(int(line.split()[1]) // 1024 for line in status if line.startswith("RssAnon:"))
        with pouchdb.setup(sys.argv[1], durability="normal", plugins=[]) as env:
            db = env["a"]
            db.put({"_id": "first"})
            before = private()
            for batch in range(32):
                db.bulk_docs([{"_id": f"{batch:02} {n:02}", "text": os.urandom(10_000).hex()} for n in range(100)])
            written = private()
            db.replicate_to("b")
            print(written - before, private() - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # 64 MB are written, a batch of 2 MB at a time, and written once more to the other database.
    assert [int(each) < most for each, most in zip(done.stdout.split(), (28, 45), strict=True)] == [True, True], (
        done.stdout
    )
