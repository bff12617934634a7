"""What validated writes cost beside plain ones, and tables of groups beside reading and parsing every document."""

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

RESULTS = Path(__file__).parent / "asking.md"
GROUPED = 100_000
"""Documents that are grouped."""
VALIDATOR = """function (newDoc, oldDoc, userCtx, secObj) {
  if (newDoc._deleted) return;
  if (!newDoc.type) throw({forbidden: 'a document needs a type'});
  if (oldDoc && oldDoc.type !== newDoc.type) throw({forbidden: 'type stays'});
  if (userCtx.roles.indexOf('_admin') < 0 && newDoc.owner !== userCtx.name) throw({unauthorized: 'not yours'});
}"""
PUTS, BULK = 200, 1000
FLOOR = "reading and parsing all (the floor)"
QUERIES = {
    "group by": "select place, count(number), avg(person.age), max(number) group by place",
    "group by with a condition": "select type, sum(number) where number > 500 group by type",
    "pivot": "select type, count(number) group by type pivot place",
    "order by, limit": "select name, number order by number desc limit 10",
}
TARGETS = {"put, durability full": 3, "put, durability normal": 3, f"bulk_docs of {BULK:,}": 2}
"""How many times a plain write a validated one may take."""


def compare_asking(directory: Path, rounds: int, write: bool) -> int:
    """Measure, print and write asking.md; returns how many targets were missed."""
    plain, validated = _writes(directory, rounds)
    rows, missed = [], 0
    for name, limit in TARGETS.items():
        ratios = [mine / theirs for mine, theirs in zip(validated[name], plain[name], strict=True)]
        met = median(ratios) <= limit
        missed += not met
        rows.append(
            [
                name,
                f"{median(plain[name]):,.3f}",
                f"{median(validated[name]):,.3f}",
                f"{median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})",
                f"at most {limit}x: {'yes' if met else '**NO**'}",
            ]
        )
    groups = _groups(directory, rounds)
    floor = groups.pop(FLOOR)
    asked = [[FLOOR, f"{median(floor):,.0f}", ""]]
    for name, times in groups.items():
        ratio = median([mine / low for mine, low in zip(times, floor, strict=True)])
        asked.append([f"{name}: `{QUERIES[name]}`", f"{median(times):,.0f}", f"{ratio:.2f}x"])
    lines = [
        "# Benchmarks of validation and of Google's query language",
        "",
        (
            f"Milliseconds, medians of {rounds} rounds in one run. Written by `make bench BENCH=--asking`. A validated "
            "write asks a JavaScript function in another process: a put waits for its answer once."
        ),
        "",
        *table(["write", "plain", "validated", "ratio", "target"], rows),
        "",
        f"{GROUPED:,} documents of about 500 bytes, without an index.",
        "",
        *table(["query", "ms", "of the floor"], asked),
    ]
    print("\n".join(lines))
    if write:
        RESULTS.write_text("\n".join(lines) + "\n", "utf-8")
    return missed


def _writes(directory: Path, rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    import pouchdb

    docs = documents(BULK)
    times: tuple[dict[str, list[float]], dict[str, list[float]]] = ({}, {})
    for durability in ("full", "normal"):
        folder = directory / f"validated-{durability}"
        with pouchdb.setup(str(folder), durability=durability, plugins=["validation"]) as environment:
            databases: list[Any] = [environment["plain"], environment["validated"]]
            databases[1].put({"_id": "_design/rules", "validate_doc_update": VALIDATOR})
            databases[1].validating_put({"_id": "first", "type": "note"})
            for number in range(rounds + 1):
                for place in (0, 1) if number % 2 else (1, 0):
                    gc.collect()
                    put = databases[place].validating_put if place else databases[place].put
                    bulk = databases[place].validating_bulk_docs if place else databases[place].bulk_docs
                    some = [{**doc, "_id": f"{number}-{doc['_id']}"} for doc in docs[:PUTS]]
                    start = perf_counter()
                    for doc in some:
                        put(doc)
                    taken = (perf_counter() - start) * 1e3 / PUTS
                    if number:
                        times[place].setdefault(f"put, durability {durability}", []).append(taken)
                    if durability == "normal":
                        many = [{**doc, "_id": f"b{number}-{doc['_id']}"} for doc in docs]
                        start = perf_counter()
                        results = bulk(many)
                        taken = (perf_counter() - start) * 1e3
                        expect(all(each.get("ok") for each in results), "every document was written")
                        if number:
                            times[place].setdefault(f"bulk_docs of {BULK:,}", []).append(taken)
    return times


def _groups(directory: Path, rounds: int) -> dict[str, list[float]]:
    import pouchdb

    times: dict[str, list[float]] = {}
    docs: list[Document] = documents(GROUPED)
    with pouchdb.setup(str(directory / "grouped"), durability="normal", plugins=["gql"]) as environment:
        db: Any = environment["grouped"]
        for batch in batches(docs):
            db.bulk_docs(batch)
        path = next((directory / "grouped").glob("grouped*.pouchdb"))
        for number in range(rounds + 1):
            gc.collect()
            taken = {FLOOR: _floor(path)}
            for name, query in QUERIES.items():
                start = perf_counter()
                answer = db.gql(query)
                taken[name] = (perf_counter() - start) * 1e3
                expect(len(answer.rows) > 1, name)
            if number:
                for name, milliseconds in taken.items():
                    times.setdefault(name, []).append(milliseconds)
                print(f"round {number} of {rounds} done", file=sys.stderr, flush=True)
    return times


def _floor(path: Path) -> float:
    """Read all documents from the same file and parse them, with nothing of ours."""
    connection = sqlite3.connect(path)
    start = perf_counter()
    for (body,) in connection.execute("SELECT body FROM documents WHERE deleted = 0 ORDER BY seq"):
        orjson.loads(body)
    taken = (perf_counter() - start) * 1e3
    connection.close()
    return taken
