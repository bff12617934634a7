"""Replications of a server that is killed: the next one goes on from their checkpoints."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest
from pouchdb_server.testing import CouchServer

import pouchdb

PATIENCE = 60
"""Seconds to wait on a busy machine."""


@pytest.fixture
def serving(tmp_path, call):
    """Start the command on one directory; returns the process and a client."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-m", "pouchdb", "serve", str(tmp_path / "data"), "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert url is not None, line

        class Somewhere:
            url = ""

        Somewhere.url = url.group()
        return process, call(Somewhere)

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def changes_since(far: CouchServer) -> list[str]:
    """Return where the feeds that were asked for began."""
    asked = [
        re.search(r"since=([^&]*)", path) for _, path in far.requests if "/_changes" in path and "limit=0" not in path
    ]
    return [each.group(1) for each in asked if each is not None]


def wait_for(client, id: str) -> None:
    """Wait until a document is in the target, by its feed."""
    with client.open(
        "GET", f"/target/_changes?feed=continuous&filter=_doc_ids&doc_ids=%5B%22{id}%22%5D&limit=1&heartbeat=2000"
    ) as feed:
        assert feed.status == 200
        assert f'"{id}"'.encode() in feed.read()


def test_a_killed_server_goes_on(serving, tmp_path):
    with CouchServer() as far:
        far.environment["far"].bulk_docs([{"_id": f"early{n:03}"} for n in range(500)])
        process, client = serving()
        client.put("/_replicator")
        client.put("/target")
        job = {"source": f"{far.url}/far", "target": "target", "continuous": True, "worker_batch_size": 100}
        assert client.put("/_replicator/pull", job).status == 201
        wait_for(client, "early499")
        # The checkpoint of being up to date; then it is killed while it moves more.
        far.environment["far"].put({"_id": "between"})
        wait_for(client, "between")
        held = far.hold("/_bulk_get")
        far.environment["far"].bulk_docs([{"_id": f"late{n:03}"} for n in range(500)])
        assert held.hit.wait(PATIENCE)
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
        held.end()
        far.requests.clear()
        process, client = serving()
        wait_for(client, "late499")
        since = changes_since(far)
        assert since
        assert "0" not in since
        (row,) = client.get("/_scheduler/docs").json["docs"]
        assert (row["state"], row["doc_id"]) == ("running", "pull")
        assert row["info"]["docs_written"] <= 501
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    with pouchdb.setup(tmp_path / "data") as environment:
        assert len(environment["target"]) == 1001
        assert environment["target"].integrity_check() == []
        assert environment["_replicator"].integrity_check() == []
