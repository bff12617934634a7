"""The HTTP server with one process against several, asked by wrk over loopback: `python -m bench.workers`.

Both serve a directory of their own with normal durability. A round asks one after the other: get one document of a
thousand, and put new documents. wrk takes some of the machine, too: a few hundredths of what the server takes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

from .documents import documents
from .server import COUNT, GET, PUT, Server, Wrk, call, free_port

TARGET = 1.6
"""How many times the reads of one process are wanted of two on two cores."""


def serving(folder: Path, workers: int, port: int) -> Server:
    options = ["--port", str(port), "--durability", "normal", "--workers", str(workers)]
    command = [sys.executable, "-m", "pouchdb", "serve", "data", *options]
    return Server(f"{workers}", command, folder / f"workers{workers}", "http://")


def main() -> int:
    parser = argparse.ArgumentParser(description="One process of the server against several.")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2, help="processes (default: the cores)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is asked (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="how long a request is repeated (default: %(default)s)")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("*** wrk is not installed: NO BENCHMARK of several processes ***", file=sys.stderr)
        return 0
    data = Path(__file__).parent / "data"
    data.mkdir(exist_ok=True)
    docs = [{**doc, "_id": f"doc{number}"} for number, doc in enumerate(documents(COUNT))]
    rates: dict[tuple[str, int], list[float]] = {}
    counts = (1, max(2, options.workers))
    with tempfile.TemporaryDirectory(dir=data) as name:
        folder = Path(name)
        ports = {count: free_port() for count in counts}
        # Enough connections that each process has some.
        wrk = Wrk(folder, options.seconds, 8 * counts[1])
        servers = [serving(folder, count, port) for count, port in ports.items()]
        try:
            for number in range(options.rounds):
                for count in counts if number % 2 else reversed(counts):
                    url = f"http://127.0.0.1:{ports[count]}/bench"
                    for workload in (GET, PUT):
                        call(url, "PUT")
                        call(f"{url}/_bulk_docs", "POST", {"docs": docs})
                        rates.setdefault((workload, count), []).append(wrk.ask(ports[count], workload, f"run{number}"))
                        call(url, "DELETE")
        finally:
            for each in servers:
                each.process.terminate()
                each.process.wait()
    print(f"| HTTP, requests a second | 1 process | {counts[1]} processes | ratio |")
    print("| --- | --- | --- | --- |")
    for workload in (GET, PUT):
        one, several = rates[workload, 1], rates[workload, counts[1]]
        ratios = [more / less for less, more in zip(one, several, strict=True)]
        told = f"{median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {workload} | {median(one):,.0f} | {median(several):,.0f} | {told} |")
    print(f"wanted of two processes on two cores: reads {TARGET:g} times, writes no slower")
    return 0


if __name__ == "__main__":
    sys.exit(main())
