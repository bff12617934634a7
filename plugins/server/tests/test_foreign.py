"""Clients that nobody here wrote: PouchDB on node, and the replicator of npm's pouchdb-server."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULES = ROOT / "tests" / "interop" / "node" / "node_modules"
SCRIPT = Path(__file__).with_name("foreign.js")

pytestmark = pytest.mark.interop


@pytest.fixture(scope="session")
def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not installed: NO TEST of the server with PouchDB was made")
    if not (MODULES / "pouchdb-server").is_dir():
        pytest.skip("call `npm ci` in tests/interop/node: NO TEST of the server with PouchDB was made")
    return found


def test_pouchdb(node, server, tmp_path):
    done = subprocess.run(
        [node, str(SCRIPT), server.url, str(tmp_path)],
        env={**os.environ, "NODE_PATH": str(MODULES)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    names = re.findall(r"^  async '(.*)'", SCRIPT.read_text("utf-8"), re.MULTILINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == names


@pytest.fixture
def pouchdb_server(node, tmp_path):
    """The URL of npm's pouchdb-server, with databases in memory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = MODULES / "pouchdb-server" / "bin" / "pouchdb-server"
    options = ["--port", str(port), "--host", "127.0.0.1", "--in-memory", "--no-stdout-logs"]
    process = subprocess.Popen(
        [node, "--unhandled-rejections=warn", str(script), *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "started" in line:
                break
        else:
            pytest.fail("pouchdb-server did not start")
        # Nobody reads what it says later; a full pipe would stop it.
        reader = threading.Thread(target=process.stdout.read, daemon=True)
        reader.start()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        reader.join(10)
        process.stdout.close()


def test_the_replicator_of_pouchdb_server(pouchdb_server, server, client, call, environment):
    """It pulls from us and pushes to us."""

    class There:
        url = pouchdb_server

    there = call(There())
    environment["db"].bulk_docs([{"_id": f"doc{n}", "n": n} for n in range(50)])
    environment["db"].put_attachment("file", "a/b.txt", b"hello" * 1000, "text/plain")
    assert there.put("/mine").status == 201
    pulled = there.post("/_replicate", {"source": f"{server.url}/db", "target": "mine"})
    assert pulled.json["docs_written"] == 51
    assert there.get("/mine/file/a%2Fb.txt").body == b"hello" * 1000
    assert there.put("/mine/new", {"x": 1}).status == 201
    pushed = there.post("/_replicate", {"source": "mine", "target": f"{server.url}/copy"})
    assert pushed.json["docs_written"] == 52
    assert environment["copy"]["new"].x == 1
    assert environment["copy"].get_attachment("file", "a/b.txt")["data"] == b"hello" * 1000
    # And ours with it.
    answer = client.post("/_replicate", {"source": f"{pouchdb_server}/mine", "target": "db"}).json
    assert answer["history"][0]["docs_written"] == 1
