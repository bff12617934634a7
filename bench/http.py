"""Replication over HTTP against PouchDB doing the same with the same server: `python -m bench.http`.

The server is PouchDB Server in memory, in a process of its own; the databases here are files of normal durability,
as LevelDB under PouchDB has. A round pushes and pulls documents of about 500 bytes, then documents with attachments,
into databases that are new each time; the clients take turns.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import random
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import pouchdb

from .documents import documents

NODE = Path(__file__).parents[1] / "tests" / "interop" / "node"
PUSH, PULL, PUSH_FILES, PULL_FILES = "push", "pull", "push attachments", "pull attachments"
WORKLOADS = (PUSH, PULL, PUSH_FILES, PULL_FILES)


class Server:
    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        script = NODE / "node_modules" / "pouchdb-server" / "bin" / "pouchdb-server"
        command = ["node", str(script), "--port", str(port), "--host", "127.0.0.1", "--in-memory", "--no-stdout-logs"]
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "started" in line:
                return
        raise SystemExit("PouchDB Server did not start")


class Ours:
    name = "ours"

    def __init__(self, folder: Path) -> None:
        self.env = pouchdb.setup(folder, durability="normal", plugins=[])

    def write(self, name: str, docs: list[dict[str, Any]]) -> None:
        for start in range(0, len(docs), 1000):
            self.env[name].bulk_docs(docs[start : start + 1000])

    def replicate(self, source: str, target: str) -> float:
        start = perf_counter()
        result = self.env.replicate(source, target)
        seconds = perf_counter() - start
        assert result["ok"], result
        return seconds

    def count(self, name: str) -> int:
        count: int = self.env[name].info()["doc_count"]
        return count

    def close(self) -> None:
        self.env.close()


class Node:
    name = "PouchDB"

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.process = subprocess.Popen(
            ["node", str(NODE / "peer.js"), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, method: str, *args: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([method, *args]) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise SystemExit(answer["error"])
        return answer["ok"]

    def write(self, name: str, docs: list[dict[str, Any]]) -> None:
        for start in range(0, len(docs), 20):
            self.ask("bulk", name, docs[start : start + 20])

    def replicate(self, source: str, target: str) -> float:
        # 1,000 as ours: PouchDB's own 100 is slower.
        result = self.ask("timed", source, target, {"batch_size": 1000})
        assert result["ok"], result
        return float(result["seconds"])

    def count(self, name: str) -> int:
        count: int = self.ask("info", name)["doc_count"]
        return count

    def close(self) -> None:
        self.process.communicate()


def with_attachments(count: int) -> list[dict[str, Any]]:
    chance = random.Random(5)
    return [
        {
            "_id": f"file-{number:04}",
            "_attachments": {
                "content.bin": {
                    "content_type": "application/octet-stream",
                    "data": base64.b64encode(chance.randbytes(1024 * 1024)).decode("ascii"),
                }
            },
        }
        for number in range(count)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.http", description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--attachments", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if shutil.which("node") is None or not (NODE / "node_modules").is_dir():
        raise SystemExit("PouchDB Server is not installed: call `make peers`")
    data = Path(__file__).parent / "data"
    data.mkdir(exist_ok=True)
    docs, files = documents(options.documents), with_attachments(options.attachments)
    samples: dict[tuple[str, str], list[float]] = {}
    numbers = itertools.count()
    with tempfile.TemporaryDirectory(dir=data) as name:
        folder = Path(name)
        clients: list[Any] = [Ours(folder / "ours"), Node(folder / "node")]
        for client in clients:
            client.write("documents", docs)
            client.write("files", files)
        for number in range(options.rounds + 1):
            for client in clients if number % 2 else reversed(clients):
                # A server each, so that nobody meets what another one left in its memory.
                server = Server(folder)
                for up, down, here in ((PUSH, PULL, "documents"), (PUSH_FILES, PULL_FILES, "files")):
                    remote, back = f"{server.url}/{here}", f"back-{next(numbers)}"
                    times = {up: client.replicate(here, remote), down: client.replicate(remote, back)}
                    assert client.count(back) == len(docs if here == "documents" else files)
                    for workload, seconds in times.items():
                        if number:
                            samples.setdefault((client.name, workload), []).append(seconds)
                server.process.kill()
                server.process.wait()
            print(f"round {number} of {options.rounds} done", file=sys.stderr, flush=True)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for client in clients:
            client.close()
    report(samples, options, memory)


def report(samples: dict[tuple[str, str], list[float]], options: argparse.Namespace, memory: float) -> None:
    def show(seconds: float) -> str:
        return f"{seconds:.2f} s"
    counts = {PUSH: options.documents, PULL: options.documents}
    print("| workload | ours | PouchDB | ratio |")
    print("| --- | --- | --- | --- |")
    for workload in WORKLOADS:
        ours, theirs = samples["ours", workload], samples["PouchDB", workload]
        ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
        count = counts.get(workload, options.attachments)
        spread = f"{median(ratios):.1f}x faster ({min(ratios):.1f} to {max(ratios):.1f})"
        kind = "documents" if workload in counts else "documents with 1 MB each"
        print(f"| {workload}, {count:,} {kind} | {show(median(ours))} | {show(median(theirs))} | {spread} |")
    print(f"\nPeak memory of this process, with the documents of the benchmark in it: {memory:.0f} MB")


if __name__ == "__main__":
    main()
