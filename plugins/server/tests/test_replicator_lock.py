"""The lock that says which process runs the replications of a directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from pouchdb_server.replicator.lock import Lock

HOLDER = """
import os, sys, time
from pathlib import Path
from pouchdb_server.replicator.lock import Lock

lock = Lock(Path(sys.argv[1]))
assert lock.acquire()
if os.fork() == 0:
    # Here it has run what is registered for forked children. It ends with the pipe of the test.
    print(os.getpid(), flush=True)
    sys.stdin.read()
    os._exit(0)
time.sleep(600)
"""


def test_one_holds_it_until_it_is_released(tmp_path):
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_a_place_nobody_else_sees_needs_none():
    assert Lock(None).acquire()
    assert Lock(None).acquire()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on this platform")
def test_a_forked_child_does_not_keep_it(tmp_path):
    """S15: the server is dead, its child alive, and the next server runs the replications."""
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        mine = Lock(path)
        assert not mine.acquire()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        os.kill(child, 0)
        assert mine.acquire()
        mine.release()
