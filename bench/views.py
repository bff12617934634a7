"""Views, side by side with PouchDB on node: building, ranges, grouped reductions, following changes."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from .compare import table
from .contenders import expect
from .documents import Document, anonymous_batches, batches, documents
from .peers import NodeScript, Unavailable
from .scale import memory

RESULTS = Path(__file__).parent / "views.md"
CHANGED = 100
MAP = "function (doc) { emit([doc.type, doc.person.age], doc.readings[0]); }"
CUSTOM = "function (keys, values, rereduce) { return sum(values); }"
BUILD, PYTHON, RANGE = "build, JavaScript map", "build, Python map", "range of about 60 rows"
GROUPS, EXACT, REDUCED = "grouped _stats, 4 groups", "_stats by key, 292 groups", "grouped JavaScript reduce, 4 groups"
FOLLOW = f"update after {CHANGED} changes"
TARGETS = {BUILD: 20, GROUPS: 50, EXACT: 50}
WORKLOADS = (BUILD, PYTHON, RANGE, GROUPS, EXACT, REDUCED, FOLLOW)

Times = dict[str, float]
"""Milliseconds by workload."""


def by_age(doc: Any) -> Iterator[tuple[Any, Any]]:
    if "person" in doc:
        yield [doc["type"], doc["person"]["age"]], doc["readings"][0]


class Ours:
    name = "ours"

    def __init__(self, directory: Path, docs: list[Document]) -> None:
        import pouchdb

        self.environment = pouchdb.setup(str(directory / "ours"), durability="normal", plugins=[])
        self.environment.register_function("by age", by_age)
        self.docs, self.number = docs, 0

    def round(self) -> Times:
        self.number += 1
        db = self.environment[f"round-{self.number}"]
        for batch in batches(self.docs):
            db.bulk_docs(batch)
        views = {"age": {"map": MAP, "reduce": "_stats"}}
        db.put({"_id": "_design/javascript", "views": views})
        db.put({"_id": "_design/custom", "views": {"age": {"map": MAP, "reduce": CUSTOM}}})
        db.put({"_id": "_design/python", "language": "python", "views": {"age": {"map": "by age"}}})
        times: Times = {}

        def timed(workload: str, fun: str, **options: Any) -> Any:
            start = perf_counter()
            answer = db.query(fun, **options)
            times[workload] = (perf_counter() - start) * 1e3
            return answer

        total = len(self.docs)
        expect(timed(BUILD, "javascript/age", reduce=False, limit=1)["total_rows"] == total, "the build")
        expect(timed(PYTHON, "python/age", reduce=False, limit=1)["total_rows"] == total, "the Python build")
        timed(RANGE, "javascript/age", reduce=False, startkey=["note", 30], endkey=["note", 31])
        expect(len(timed(GROUPS, "javascript/age", group_level=1)["rows"]) == 4, "the groups")
        timed(EXACT, "javascript/age", group=True)
        # Its index is the first one's: equal map functions share it.
        expect(len(timed(REDUCED, "custom/age", group_level=1)["rows"]) == 4, "the JavaScript reduce")
        changed = [row["doc"] for row in db.all_docs(include_docs=True, limit=CHANGED)["rows"]]
        for doc in changed:
            doc["readings"] = [0.5, *doc["readings"]]
        db.bulk_docs(changed)
        timed(FOLLOW, "javascript/age", reduce=False, limit=1)
        self.environment.destroy(db.name)
        return times

    def close(self) -> None:
        self.environment.close()


class Node:
    name = "PouchDB"

    def __init__(self, directory: Path, docs: list[Document]) -> None:
        data = {"documents": docs, "map": MAP, "custom": CUSTOM, "changed": CHANGED}
        self.script = NodeScript("views.js", data, directory)

    def round(self) -> Times:
        keys = {"build": BUILD, "range": RANGE, "groups": GROUPS, "exact": EXACT, "reduced": REDUCED, "follow": FOLLOW}
        return {keys[name]: nanoseconds / 1e6 for name, nanoseconds in self.script.nanoseconds().items()}

    def close(self) -> None:
        self.script.close()


def compare_views(directory: Path, count: int, rounds: int, without: set[str], write: bool) -> int:
    """Measure, print and write views.md; returns how many targets were missed."""
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
            for workload, milliseconds in contender.round().items():
                if number:
                    samples.setdefault((contender.name, workload), []).append(milliseconds)
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
        cells = [workload, f"{median(ours):,.2f}", "", "", "", ""]
        if theirs:
            ratios = [peer / mine for mine, peer in zip(ours, theirs, strict=True)]
            ratio, wanted = median(ratios), TARGETS.get(workload)
            cells[2:4] = [f"{median(theirs):,.1f}", f"{ratio:,.1f}x faster ({min(ratios):,.1f} to {max(ratios):,.1f})"]
            if wanted:
                met = ratio >= wanted
                missed += not met
                cells[4:] = [f"at least {wanted}x", "yes" if met else "**NO**"]
        rows.append(cells)
    head = ["workload", "ours", "PouchDB", "ratio", "target", "met"]
    return [
        "# Benchmarks of views",
        "",
        (
            f"Milliseconds; {count:,} documents of about 500 bytes, one row each. Medians of {rounds} rounds in one "
            "run, the contenders in turns, durability normal on both sides; ratios are medians of the rounds' ratios, "
            "with the smallest and the largest. Written by `make bench BENCH=--views`."
        ),
        "",
        *([missing, ""] if missing else []),
        *table(head, rows),
    ], missed


# -- memory and time while the database grows --------------------------------------------------------------


def run(count: int, directory: str) -> dict[str, float]:
    """Index one size in this process, then 100 changes."""
    import pouchdb

    environment = pouchdb.setup(directory, durability="normal", plugins=[])
    db = environment["scale"]
    for batch in anonymous_batches(count):
        db.bulk_docs(batch)
    db.put({"_id": "_design/app", "views": {"age": {"map": MAP, "reduce": "_stats"}}})
    before = private = memory("RssAnon")

    def look(event: Any) -> None:
        nonlocal private
        private = max(private, memory("RssAnon"))

    db.on("indexing", look)
    start = perf_counter()
    db.query("app/age", group_level=1)
    build = (perf_counter() - start) * 1e3
    changed = [row["doc"] for row in db.all_docs(include_docs=True, limit=CHANGED)["rows"]]
    for doc in changed:
        doc["readings"] = [0.5, *doc["readings"]]
    db.bulk_docs(changed)
    start = perf_counter()
    db.query("app/age", reduce=False, limit=1)
    follow = (perf_counter() - start) * 1e3
    start = perf_counter()
    db.query("app/age", group_level=1)
    groups = (perf_counter() - start) * 1e3
    environment.close()
    return {"build": build, "follow": follow, "groups": groups, "before": before, "private": private}


def scale_views(directory: Path, sizes: tuple[int, ...]) -> None:
    """Print what an index costs while the database grows; each size in a process of its own."""
    rows = []
    for size in sizes:
        print(f"{size:,} documents ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            command = [sys.executable, "-m", "bench.views", str(size), folder]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        cells = [f"{found['build'] / size * 1e3:,.1f}", f"{found['follow']:,.1f}", f"{found['groups']:,.1f}"]
        rows.append([f"{size:,}", *cells, f"{found['before']:,.0f}", f"{found['private']:,.0f}"])
    head = ["documents", "build, us each", f"{CHANGED} changes, ms", "grouped, ms", "MB before", "MB while building"]
    print("\n".join(table(head, rows)))


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), sys.argv[2])))
