"""SIGKILL at random moments: what is resumed loses nothing and does not start over.

Two files, a process that writes to both and replicates between them, killed again and again. The
moments come from a seed; ``POUCHDB_KILL_SEED`` repeats one.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pouchdb

from .conftest import same

ROUNDS = int(os.environ.get("POUCHDB_KILLS", "14"))
DOCUMENTS = 3000

CHILD = """
import os, random, sys, threading, traceback, pouchdb
from pouchdb_core.errors import Conflict, NotFound
directory, seed, way = sys.argv[1:]
chance = random.Random(int(seed))
env = pouchdb.setup(directory, plugins=[], durability="normal")
source, target = env["source"], env["target"]

def write():
    number = 0
    while True:
        number += 1
        database = chance.choice([source, target])
        id = f"w{chance.randrange(200):03}"
        try:
            doc = database.get_(id) or {"_id": id}
            doc["seed"], doc["n"] = seed, number
            if chance.random() < 0.2:
                doc["_attachments"] = {"t": {"data": b"hi" * chance.randrange(1, 5000), "content_type": "text/plain"}}
            if chance.random() < 0.1 and "_rev" in doc:
                doc["_deleted"] = True
            database.put(doc)
        except (Conflict, NotFound):
            # Replication was faster.
            pass
        except BaseException:
            traceback.print_exc()
            os._exit(1)

threading.Thread(target=write, daemon=True).start()
print("ready", flush=True)
while True:
    size = chance.choice([10, 50, 200])
    if way == "push":
        env.replicate(source, target, batch_size=size)
    elif way == "sync":
        env.sync(source, target, batch_size=size)
    else:
        handle = env.sync(source, target, live=True, batch_size=size)
        handle.wait()
    print("done", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_at_random_moments(tmp_path: Path) -> None:
    seed = int(os.environ.get("POUCHDB_KILL_SEED") or random.SystemRandom().randrange(10**6))
    chance = random.Random(seed)
    print(f"POUCHDB_KILL_SEED={seed}")
    directory = tmp_path / "databases"
    with pouchdb.setup(directory, plugins=[], durability="normal") as environment:
        source = environment["source"]
        for start in range(0, DOCUMENTS, 1000):
            source.bulk_docs([{"_id": f"{number:05}", "text": "x" * 300} for number in range(start, start + 1000)])
        environment["target"].info()
    for number in range(ROUNDS):
        way = chance.choice(["push", "sync", "live"])
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(directory), str(seed + number), way], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        try:
            child.wait(chance.uniform(0.0, 0.5))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL, f"seed {seed}, round {number}: it ended by itself"
        child.stdout.close()
    with pouchdb.setup(directory, plugins=[], durability="normal") as environment:
        source, target = environment["source"], environment["target"]
        before = source.info().update_seq
        result = environment.sync(source, target)
        assert result.push.ok
        assert result.pull.ok
        environment.replicate(source, target)
        same(source, target)
        written = source.all_docs(startkey="w", include_docs=True).rows
        assert len(written) > 20, f"seed {seed}: the children wrote"
        assert any("_attachments" in row.doc for row in written)
        assert len(set(source) & {f"{number:05}" for number in range(DOCUMENTS)}) == DOCUMENTS
        progress = max(
            (entry["recorded_seq"] for id in source.adapter.local_ids("_local/py") for entry in source.get(id).history),
            default=0,
        )
        assert result.push.docs_read < DOCUMENTS < before, f"seed {seed}: progress was kept"
        assert progress
