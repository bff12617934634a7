"""Replication over HTTP against PouchDB doing the same with the same server: `make bench BENCH=--http`.

The server is PouchDB Server, then ours, in memory and in a process of its own; the databases here are files of normal
durability, as LevelDB under PouchDB has. A round pushes and pulls documents of about 500 bytes, then documents with
attachments,
into databases that are new each time; the clients take turns.
"""

from __future__ import annotations

import base64
import itertools
import json
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import pouchdb

from .documents import documents

NODE = Path(__file__).parents[1] / "tests" / "interop" / "node"
PUSH, PULL, PUSH_FILES, PULL_FILES = "push", "pull", "push attachments", "pull attachments"
RESULTS = Path(__file__).parent / "http.md"
WORKLOADS = (PUSH, PULL, PUSH_FILES, PULL_FILES)


class PouchServer:
    name = "PouchDB Server"
    sign = "started"

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            self.command(port), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if self.sign in line:
                return
        raise SystemExit(f"{self.name} did not start")

    @staticmethod
    def command(port: int) -> list[str]:
        script = str(NODE / "node_modules" / "pouchdb-server" / "bin" / "pouchdb-server")
        options = ["--port", str(port), "--host", "127.0.0.1", "--in-memory", "--no-stdout-logs"]
        return ["node", "--unhandled-rejections=warn", script, *options]


class OurServer(PouchServer):
    name = "our server"
    sign = "http://"

    @staticmethod
    def command(port: int) -> list[str]:
        return [sys.executable, "-u", "-m", "pouchdb", "serve", "--in-memory", "--port", str(port)]


SERVERS = (PouchServer, OurServer)


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
        folder.mkdir(exist_ok=True)
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


def compare_http(directory: Path, count: int, attachments: int, rounds: int, without: set[str], write: bool) -> int:
    """Measure, print and write http.md; returns how many targets were missed: there are none but to be as fast."""
    if shutil.which("node") is None or not (NODE / "node_modules").is_dir():
        print("LEFT OUT: PouchDB Server is not installed: call `make peers`", file=sys.stderr)
        return 1
    contenders: list[type[Any]] = [Ours] if "node" in without else [Ours, Node]
    docs, files = documents(count), with_attachments(attachments)
    samples: dict[tuple[str, str, str], list[float]] = {}
    numbers = itertools.count()
    clients = [contender(directory / contender.name) for contender in contenders]
    for client in clients:
        client.write("documents", docs)
        client.write("files", files)
    for number, kind in itertools.product(range(rounds + 1), SERVERS):
        for client in clients if number % 2 else reversed(clients):
            # A server each, so that nobody meets what another one left in its memory.
            server = kind(directory)
            try:
                for up, down, here in ((PUSH, PULL, "documents"), (PUSH_FILES, PULL_FILES, "files")):
                    remote, back = f"{server.url}/{here}", f"back-{next(numbers)}"
                    times = {up: client.replicate(here, remote), down: client.replicate(remote, back)}
                    assert client.count(back) == len(docs if here == "documents" else files)
                    if number:
                        for workload, seconds in times.items():
                            samples.setdefault((client.name, server.name, workload), []).append(seconds)
            finally:
                server.process.kill()
                server.process.wait()
        if number and kind is SERVERS[-1]:
            print(f"round {number} of {rounds} done", file=sys.stderr, flush=True)
    for client in clients:
        client.close()
    lines, missed = _report(samples, {PUSH: count, PULL: count}, attachments)
    print("\n".join(lines))
    if write:
        RESULTS.write_text("\n".join(lines) + "\n", "utf-8")
    return missed


def _report(
    samples: dict[tuple[str, str, str], list[float]], counts: dict[str, int], attachments: int
) -> tuple[list[str], int]:
    lines = [
        "# Replication over HTTP",
        "",
        "With a server on this machine, databases in memory there and of normal durability here.",
        "",
        "| server | workload | ours | PouchDB | ratio |",
        "| --- | --- | --- | --- | --- |",
    ]
    missed = 0
    for server, workload in itertools.product((kind.name for kind in SERVERS), WORKLOADS):
        ours, theirs = samples[Ours.name, server, workload], samples.get((Node.name, server, workload))
        kind = "documents" if workload in counts else "documents with 1 MB each"
        cells = [server, f"{workload}, {counts.get(workload, attachments):,} {kind}", f"{median(ours):.2f} s", "", ""]
        if theirs:
            ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
            cells[3] = f"{median(theirs):.2f} s"
            cells[4] = f"{median(ratios):.1f}x faster ({min(ratios):.1f} to {max(ratios):.1f})"
            missed += median(ratios) < 1
        lines.append(f"| {' | '.join(cells)} |")
    return lines, missed
