"""Local replication, side by side with PouchDB on node: LevelDB to LevelDB there, file to file here."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from .compare import microseconds, table
from .contenders import expect
from .documents import Document, anonymous_batches, batches, documents
from .peers import NodeScript, Unavailable
from .scale import memory

RESULTS = Path(__file__).parent / "replication.md"
CHANGED = 1000
FIRST, TOLD, AGAIN = "into an empty target", "the same, seen by a listener", "into a target that has all"
EDITS, BACK, MEMORY = f"{CHANGED:,} edits", f"{CHANGED:,} edits, and back", "into an empty target, in memory"
WORKLOADS = (FIRST, TOLD, AGAIN, EDITS, BACK, MEMORY)
TARGETS = {FIRST: 5}

Times = dict[str, float]
"""Seconds for one document, by workload."""


class Ours:
    name = "ours"

    def __init__(self, directory: Path, docs: list[Document]) -> None:
        import pouchdb

        self.environment = pouchdb.setup(str(directory / "ours"), durability="normal", plugins=[])
        self.memory = pouchdb.setup(":memory:", plugins=[])
        self.docs, self.number = docs, 0

    def round(self) -> Times:
        self.number += 1
        times: Times = {}
        self._files(times)
        source = self.memory[f"source-{self.number}"]
        for batch in batches(self.docs):
            source.bulk_docs(batch)
        target = self.memory[f"target-{self.number}"]
        self._timed(times, MEMORY, len(self.docs), lambda: source.replicate_to(target))
        source.destroy()
        target.destroy()
        return times

    def _files(self, times: Times) -> None:
        total = len(self.docs)
        source, target, told = (self.environment[f"{name}-{self.number}"] for name in ("source", "target", "told"))
        for batch in batches(self.docs):
            source.bulk_docs(batch)
        target.info()  # opened
        result = self._timed(times, FIRST, total, lambda: source.replicate_to(target))
        expect(result["docs_written"] == total, "the first replication")
        seen: list[int] = []
        self._timed(times, TOLD, total, lambda: source.replicate_to(told, on_change=lambda c: seen.append(len(c.docs))))
        expect(sum(seen) == total, "what the listener saw")
        again = self._timed(times, AGAIN, total, lambda: source.replicate_to(target, checkpoint=False))
        expect(again["docs_written"] == 0, "the replication of nothing new")
        self._edit(source)
        edits = self._timed(times, EDITS, CHANGED, lambda: source.replicate_to(target))
        expect(edits["docs_written"] == CHANGED, "the edits")
        target.replicate_to(source)
        self._edit(target)
        self._timed(times, BACK, CHANGED, lambda: source.sync(target))
        for database in (source, target, told):
            database.destroy()

    def _edit(self, database: Any) -> None:
        docs = [row["doc"] for row in database.all_docs(include_docs=True, limit=CHANGED)["rows"]]
        for doc in docs:
            doc["readings"] = [0.5, *doc["readings"]]
        database.bulk_docs(docs)

    def _timed(self, times: Times, workload: str, count: int, work: Any) -> Any:
        start = perf_counter()
        answer = work()
        times[workload] = (perf_counter() - start) / count
        return answer

    def close(self) -> None:
        self.environment.close()
        self.memory.close()


class Node:
    name = "PouchDB"

    def __init__(self, directory: Path, docs: list[Document]) -> None:
        self.total = len(docs)
        self.script = NodeScript("replication.js", {"documents": docs, "changed": CHANGED}, directory)

    def round(self) -> Times:
        keys = {"first": FIRST, "again": AGAIN, "edits": EDITS, "back": BACK}
        counts = {"first": self.total, "again": self.total, "edits": CHANGED, "back": CHANGED}
        return {keys[name]: taken / 1e9 / counts[name] for name, taken in self.script.nanoseconds().items()}

    def close(self) -> None:
        self.script.close()


def compare_replication(directory: Path, count: int, rounds: int, without: set[str], write: bool) -> int:
    """Measure, print and write replication.md; returns how many targets were missed."""
    docs = documents(count)
    contenders: list[Any] = [Ours(directory, docs)]
    missing = ""
    if "node" not in without:
        try:
            contenders.append(Node(directory, docs))
        except Unavailable as error:
            missing = f"**All rows against PouchDB are LEFT OUT: {error}.**"
    samples: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):
        for contender in contenders if number % 2 else contenders[::-1]:
            gc.collect()
            for workload, seconds in contender.round().items():
                if number:
                    samples.setdefault((contender.name, workload), []).append(seconds)
        if number:
            print(f"round {number} of {rounds} done", file=sys.stderr, flush=True)
    for contender in contenders:
        contender.close()
    lines, missed = _report(samples, count, rounds, missing)
    print("\n".join(lines))
    if write:
        RESULTS.write_text("\n".join(lines) + "\n", "utf-8")
    return missed


def _report(
    samples: dict[tuple[str, str], list[float]], count: int, rounds: int, missing: str
) -> tuple[list[str], int]:
    rows, missed = [], 0
    for workload in WORKLOADS:
        ours, theirs = samples[Ours.name, workload], samples.get((Node.name, workload))
        cells = [workload, microseconds(median(ours)), "", "", "", ""]
        if theirs:
            ratios = [peer / mine for mine, peer in zip(ours, theirs, strict=True)]
            ratio, wanted = median(ratios), TARGETS.get(workload)
            cells[2] = microseconds(median(theirs))
            cells[3] = f"{ratio:,.1f}x faster ({min(ratios):,.1f} to {max(ratios):,.1f})"
            if wanted:
                met = ratio >= wanted
                missed += not met
                cells[4:] = [f"at least {wanted}x", "yes" if met else "**NO**"]
        rows.append(cells)
    head = ["workload", "ours", "PouchDB", "ratio", "target", "met"]
    return [
        "# Benchmarks of replication",
        "",
        (
            f"Microseconds for each document that is moved, or looked at; {count:,} documents of about 500 bytes. "
            f"Medians of {rounds} rounds in one run, the contenders in turns, durability normal on both sides; ratios "
            "are medians of the rounds' ratios, with the smallest and the largest. Written by "
            "`make bench BENCH=--replication`."
        ),
        "",
        *([missing, ""] if missing else []),
        *table(head, rows),
    ], missed


# -- memory and time while the database grows --------------------------------------------------------------


def run(count: int, directory: str) -> dict[str, float]:
    """Replicate one size in this process, then edits."""
    import pouchdb

    environment = pouchdb.setup(directory, durability="normal", plugins=[])
    source, target = environment["source"], environment["target"]
    for batch in anonymous_batches(count):
        source.bulk_docs(batch)
    target.info()
    before = private = memory("RssAnon")

    def look(change: Any) -> None:
        nonlocal private
        private = max(private, memory("RssAnon"))

    start = perf_counter()
    result = source.replicate_to(target)
    first = (perf_counter() - start) / count
    expect(result["docs_written"] == count, "the replication")
    start = perf_counter()
    source.replicate_to(target, checkpoint=False, on_change=look)
    again = (perf_counter() - start) / count
    private = max(private, memory("RssAnon"))
    docs = [row["doc"] for row in source.all_docs(include_docs=True, limit=CHANGED)["rows"]]
    for doc in docs:
        doc["readings"] = [0.5, *doc["readings"]]
    source.bulk_docs(docs)
    start = perf_counter()
    source.replicate_to(target)
    edits = (perf_counter() - start) / CHANGED
    start = perf_counter()
    environment.replicate(source, "told", on_change=look)
    told = (perf_counter() - start) / count
    environment.close()
    return {"first": first, "told": told, "again": again, "edits": edits, "before": before, "private": private}


def scale_replication(directory: Path, sizes: tuple[int, ...]) -> None:
    """Print what a document costs to replicate while the database grows; each size in a process of its own."""
    rows = []
    for size in sizes:
        print(f"{size:,} documents ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            command = [sys.executable, "-m", "bench.replication", str(size), folder]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        times = [microseconds(found[name]) for name in ("first", "told", "again", "edits")]
        rows.append([f"{size:,}", *times, f"{found['before']:,.0f}", f"{found['private']:,.0f}"])
    print("Microseconds per document while the database grows; private memory of the process in MB. SQLite's page")
    print("cache is part of it: it grows with the file until it has 8 MB for each of the three databases.\n")
    head = ["documents", FIRST, TOLD, AGAIN, EDITS, "MB before", "MB while replicating"]
    print("\n".join(table(head, rows)))


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), sys.argv[2])))
