"""Mango queries, side by side with pouchdb-find on node, and with reading and parsing every document."""

from __future__ import annotations

import gc
import sqlite3
import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import orjson

from .compare import table
from .contenders import expect
from .documents import Document, batches, documents
from .peers import NodeScript, Unavailable

RESULTS = Path(__file__).parent / "find.md"
INDEXES = [{"fields": ["person.age"]}, {"fields": ["type", "number"]}, {"fields": ["place"]}]
BUILD, FLOOR = "making three indexes", "reading and parsing all (the floor)"
QUERIES: dict[str, dict[str, Any]] = {
    "indexed equality": {"selector": {"person.age": 44}},
    "indexed range, sorted": {
        "selector": {"type": "note", "number": {"$gte": 100, "$lt": 500}},
        "sort": ["type", "number"],
    },
    "$or over two indexes": {"selector": {"$or": [{"person.age": 44}, {"place": "東京", "number": {"$lt": 300}}]}},
    "$in of an index": {"selector": {"person.age": {"$in": [20, 44, 61]}}},
    "unindexed equality": {"selector": {"created": "2024-03-05T12:30:00.000Z"}},
    "unindexed range": {"selector": {"position.accuracy": {"$gt": 49}}},
    "unindexed, two conditions": {"selector": {"tags": {"$elemMatch": {"$eq": "river"}}, "readings.0": {"$gt": 28}}},
}
INDEXED, UNINDEXED = 10, 5
"""How many times faster than pouchdb-find an indexed and an unindexed query shall be."""
ABOVE_FLOOR = 2
"""How many times the floor an unindexed query may take."""

Times = dict[str, float]
"""Milliseconds by workload."""


class Ours:
    name = "ours"

    def __init__(self, directory: Path, docs: list[Document]) -> None:
        import pouchdb

        self.environment = pouchdb.setup(str(directory / "ours"), durability="normal", plugins=["find"])
        self.db: Any = self.environment["find"]
        for batch in batches(docs):
            self.db.bulk_docs(batch)
        start = perf_counter()
        for index in INDEXES:
            self.db.create_index({"index": index})
        self.build = (perf_counter() - start) * 1e3
        self.path = next((directory / "ours").glob("find*"))
        self.expected = {
            name: len(self.db.find({**request, "limit": len(docs)})["docs"]) for name, request in QUERIES.items()
        }
        self.count = len(docs)

    def round(self) -> Times:
        times = {BUILD: self.build, FLOOR: self._floor()}
        for name, request in QUERIES.items():
            start = perf_counter()
            answer = self.db.find({**request, "limit": self.count})
            times[name] = (perf_counter() - start) * 1e3
            expect(len(answer["docs"]) == self.expected[name], name)
        return times

    def _floor(self) -> float:
        """Read all documents from the same file and parse them, with nothing of ours."""
        connection = sqlite3.connect(self.path)
        start = perf_counter()
        for id, rev, body in connection.execute("SELECT id, rev, body FROM documents WHERE deleted = 0 ORDER BY id"):
            doc = orjson.loads(body)
            doc["_id"], doc["_rev"] = id, rev
        took = (perf_counter() - start) * 1e3
        connection.close()
        return took

    def close(self) -> None:
        self.environment.close()


class Node:
    name = "pouchdb-find"

    def __init__(self, directory: Path, docs: list[Document], expected: dict[str, int]) -> None:
        queries = {name: [{**request, "limit": len(docs)}, expected[name]] for name, request in QUERIES.items()}
        data = {"documents": docs, "indexes": INDEXES, "queries": queries}
        self.script = NodeScript("find.js", data, directory, ("pouchdb-find",), "pouchdb-find on node")

    def round(self) -> Times:
        times = self.script.nanoseconds()
        return {BUILD if name == "build" else name: taken / 1e6 for name, taken in times.items()}

    def close(self) -> None:
        self.script.close()


def compare_find(directory: Path, count: int, rounds: int, without: set[str], write: bool) -> int:
    """Measure, print and write find.md; returns how many targets were missed."""
    docs = documents(count)
    ours = Ours(directory, docs)
    contenders: list[Any] = [ours]
    missing = ""
    if "node" not in without:
        try:
            contenders.append(Node(directory, docs, ours.expected))
        except Unavailable as error:
            missing = f"**All rows against pouchdb-find are LEFT OUT: {error}.**"
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
    lines, missed = _report(samples, ours.expected, count, rounds, missing)
    print("\n".join(lines))
    if write:
        RESULTS.write_text("\n".join(lines) + "\n", "utf-8")
    return missed


def _report(
    samples: dict[tuple[str, str], list[float]], found: dict[str, int], count: int, rounds: int, missing: str
) -> tuple[list[str], int]:
    rows, missed = [], 0
    floor = samples[Ours.name, FLOOR]
    for workload in (FLOOR, BUILD, *QUERIES):
        mine, theirs = samples[Ours.name, workload], samples.get((Node.name, workload))
        cells = [workload, str(found.get(workload, "")), f"{median(mine):,.2f}", "", "", "", ""]
        marks = []
        if workload.startswith("unindexed"):
            above = median([a / b for a, b in zip(mine, floor, strict=True)])
            cells[5] = f"{above:.2f}x"
            marks.append((above <= ABOVE_FLOOR, f"within {ABOVE_FLOOR}x of the floor"))
        if theirs:
            ratios = [peer / own for own, peer in zip(mine, theirs, strict=True)]
            ratio = median(ratios)
            cells[3:5] = [f"{median(theirs):,.1f}", f"{ratio:,.1f}x faster ({min(ratios):,.1f} to {max(ratios):,.1f})"]
            if workload in QUERIES:
                wanted = UNINDEXED if workload.startswith("unindexed") else INDEXED
                marks.append((ratio >= wanted, f"at least {wanted}x"))
        missed += sum(not met for met, _ in marks)
        cells[6] = ", ".join(f"{text}: {'yes' if met else '**NO**'}" for met, text in marks)
        rows.append(cells)
    head = ["query", "documents", "ours", "pouchdb-find", "ratio", "above the floor", "targets"]
    return [
        "# Benchmarks of Mango queries",
        "",
        (
            f"Milliseconds; {count:,} documents of about 500 bytes, everything that matches is answered. Medians of "
            f"{rounds} rounds in one run, the contenders in turns, durability normal on both sides; ratios are medians "
            "of the rounds' ratios, with the smallest and the largest. The floor is a loop over the same file with "
            "sqlite3 and orjson. Written by `make bench BENCH=--find`."
        ),
        "",
        *([missing, ""] if missing else []),
        *table(head, rows),
    ], missed
