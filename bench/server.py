"""The HTTP server against npm's pouchdb-server, both asked by wrk over loopback: `python -m bench.server`.

Each is a process of its own with its databases on disk (ours with normal durability, theirs LevelDB; neither syncs
each write). A round asks one after the other, with documents of about 500 bytes: get one document of a thousand,
put new documents, write batches of a hundred, and read the changes feed a hundred rows at a time.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path
from statistics import median
from typing import Any

from .documents import document, documents

MODULES = Path(__file__).parents[1] / "tests" / "interop" / "node" / "node_modules"
TARGET = 3.0
"""How many times the throughput of pouchdb-server is wanted, of each."""
COUNT, BATCH = 1_000, 100
GET, PUT, BULK, CHANGES = "get", "put", "bulk write", "changes"

READ = """
local count = %d
request = function()
  return wrk.format("GET", "/bench/doc" .. math.random(0, count - 1))
end
"""
WRITE = """
local bodies, number = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
local headers = {["Content-Type"] = "application/json"}
request = function()
  number = number + 1
  local body = bodies[number %% #bodies + 1]:gsub("#", "%s-" .. number)
  return wrk.format("%s", "/bench%s", headers, body)
end
"""
"""Every document has a new id; in those of a batch it takes the place of the #."""


class Server:
    """One of the two as a process."""

    def __init__(self, name: str, command: list[str], folder: Path, sign: str) -> None:
        self.name = name
        folder.mkdir()
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if sign in line:
                break
        else:
            raise SystemExit(f"{name} did not start")
        # Nobody reads what it says later; a full pipe would stop it.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def ours(folder: Path, port: int) -> Server:
    command = [sys.executable, "-m", "pouchdb", "serve", "data", "--port", str(port), "--durability", "normal"]
    return Server("ours", command, folder, "http://")


def theirs(folder: Path, port: int) -> Server:
    script = MODULES / "pouchdb-server" / "bin" / "pouchdb-server"
    options = ["--port", str(port), "--host", "127.0.0.1", "--dir", ".", "--no-stdout-logs"]
    return Server("pouchdb-server", ["node", str(script), *options], folder, "started")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def call(url: str, method: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


class Wrk:
    """wrk for a bounded time; what it sends comes from scripts made for the run."""

    def __init__(self, folder: Path, seconds: int, connections: int) -> None:
        self._folder, self._seconds, self._connections = folder, seconds, connections
        source = random.Random(2)
        single, batch = folder / "single.jsonl", folder / "batch.jsonl"
        single.write_text("".join(f"{json.dumps(document(source, n))}\n" for n in range(500)))
        batch.write_text(
            "".join(
                f"{json.dumps({'docs': [{'_id': f'#-{n}', **document(source, n)} for n in range(BATCH)]})}\n"
                for _ in range(20)
            )
        )
        self._files = {PUT: single, BULK: batch}

    def ask(self, port: int, workload: str, run: str) -> float:
        """Return how many requests a second were answered as they should be."""
        command = ["wrk", "--threads", "1", "--connections", str(self._connections)]
        command += ["--duration", f"{self._seconds}s", "--timeout", "30s"]
        path = ""
        if workload == CHANGES:
            path = f"/bench/_changes?limit={BATCH}"
        else:
            script = self._folder / "script.lua"
            if workload == GET:
                script.write_text(READ % COUNT)
            elif workload == PUT:
                script.write_text(WRITE % (self._files[PUT], run, "PUT", f'/" .. "{run}-" .. number .. "'))
            else:
                script.write_text(WRITE % (self._files[BULK], run, "POST", "/_bulk_docs"))
            command += ["--script", str(script)]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{path}"],
            capture_output=True,
            text=True,
            timeout=self._seconds + 60,
            check=True,
        )
        rate = re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)
        failed = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
        if rate is None or failed is not None:
            raise SystemExit(f"{workload}: wrk says\n{done.stdout}{done.stderr}")
        return float(rate[1])


def compare(folder: Path, options: argparse.Namespace) -> dict[tuple[str, str], list[float]]:
    wrk = Wrk(folder, options.seconds, options.connections)
    docs = [{**doc, "_id": f"doc{number}"} for number, doc in enumerate(documents(COUNT))]
    samples: dict[tuple[str, str], list[float]] = {}
    ports = {ours: free_port(), theirs: free_port()}
    servers = {start: start(folder / start.__name__, port) for start, port in ports.items()}
    try:
        for number in range(options.rounds):
            for start in list(servers) if number % 2 else list(reversed(servers)):
                server, port = servers[start], ports[start]
                url = f"http://127.0.0.1:{port}/bench"
                for workload in (GET, CHANGES, PUT, BULK):
                    call(url, "PUT")
                    call(f"{url}/_bulk_docs", "POST", {"docs": docs})
                    rate = wrk.ask(port, workload, f"run{number}")
                    samples.setdefault((server.name, workload), []).append(rate)
                    written = call(url, "GET")["doc_count"] - COUNT
                    if workload in (PUT, BULK) and not written:
                        raise SystemExit(f"{server.name}: {workload} wrote nothing")
                    call(url, "DELETE")
            print(f"round {number + 1} of {options.rounds} done", file=sys.stderr, flush=True)
    finally:
        for server in servers.values():
            server.close()
    return samples


def report(samples: dict[tuple[str, str], list[float]]) -> bool:
    """Print the table; tell whether every target is reached."""
    print("| HTTP, requests a second | ours | pouchdb-server | ratio | target |")
    print("| --- | --- | --- | --- | --- |")
    reached = True
    told = {BULK: f"{BULK}, {BATCH} documents", CHANGES: f"{CHANGES}, {BATCH} rows"}
    for workload in (GET, PUT, BULK, CHANGES):
        mine, other = samples["ours", workload], samples["pouchdb-server", workload]
        ratios = [our / their for our, their in zip(mine, other, strict=True)]
        good = median(ratios) >= TARGET
        reached = reached and good
        spread = f"{median(ratios):.1f} times ({min(ratios):.1f} to {max(ratios):.1f})"
        verdict = f"{TARGET:g} times" + ("" if good else ", MISSED")
        print(f"| {told.get(workload, workload)} | {median(mine):,.0f} | {median(other):,.0f} | {spread} | {verdict} |")
    return reached


def missing() -> str | None:
    """Return what is not installed."""
    if shutil.which("wrk") is None:
        return "wrk is not installed (Debian, Ubuntu: apt-get install wrk)"
    if shutil.which("node") is None or not (MODULES / "pouchdb-server").is_dir():
        return "pouchdb-server is not installed: install node and npm, then call `make peers`"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.server", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is asked (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="how long a request is repeated (default: %(default)s)")
    parser.add_argument("--connections", type=int, default=8, help="how many ask at a time (default: %(default)s)")
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed")
    options = parser.parse_args()
    lacking = missing()
    if lacking is not None:
        print(f"*** {lacking}: NO BENCHMARK of the HTTP server ***", file=sys.stderr)
        return 0
    data = Path(__file__).parent / "data"
    data.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=data) as name:
        reached = report(compare(Path(name), options))
    return int(options.strict and not reached)


if __name__ == "__main__":
    sys.exit(main())
