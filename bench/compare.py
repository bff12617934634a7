"""Side by side: every contender does the same round, in turns, and the table shows medians and ratios."""

from __future__ import annotations

import gc
import os
import platform
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from .contenders import BULK_READ, BULK_WRITE, CHANGES, CHANGES_DOCS, GET, PUT, WORKLOADS, Contender, Ours, Plain, Work
from .documents import documents
from .peers import PouchDBNode, Unavailable

RESULTS = Path(__file__).parent / "results.md"


@dataclass(frozen=True)
class Target:
    """At least `factor` times faster than the best of the peers or, with `within`, at most that many times slower."""

    workload: str
    peers: tuple[str, ...]
    factor: float
    within: bool = False
    ours: str = "ours"


POUCHDB = ("PouchDB", "PouchDB, one core")
PLAIN = ("hand-written",)
TARGETS = (
    Target(BULK_WRITE, POUCHDB, 5),
    Target(BULK_READ, POUCHDB, 5),
    Target(CHANGES, POUCHDB, 5),
    Target(CHANGES_DOCS, POUCHDB, 5),
    Target(PUT, POUCHDB, 2),
    Target(GET, POUCHDB, 2),
    Target(BULK_WRITE, PLAIN, 2.5, within=True),
    Target(BULK_READ, PLAIN, 2.5, within=True),
    Target(GET, PLAIN, 2.5, within=True),
)
# No target, but worth a look.
OTHERS = (
    Target(CHANGES, PLAIN, 0, within=True),
    Target(CHANGES_DOCS, PLAIN, 0, within=True),
    Target(PUT, PLAIN, 0, within=True),
)
# What the default durability costs: a commit is on the disk when the call returns.
FULL = (
    Target(BULK_WRITE, ("hand-written, full",), 0, within=True, ours="ours, full"),
    Target(PUT, ("hand-written, full",), 0, within=True, ours="ours, full"),
    Target(BULK_WRITE, ("ours",), 0, within=True, ours="ours, full"),
    Target(PUT, ("ours",), 0, within=True, ours="ours, full"),
)

EQUAL = (
    'A crash of the program loses nothing, a power cut may lose the last commits: `durability="normal"`, as '
    "LevelDB under PouchDB and SQLite's `synchronous=NORMAL` do. Two PouchDBs take part, node left to itself and node "
    "kept on one core; the row has the faster one."
)
COMPLETE = (
    "A commit is on the disk when the call returns, which LevelDB under PouchDB does not offer. The disk decides these "
    "rows; the last two say what the default costs us."
)

Samples = dict[tuple[str, str], list[float]]
"""Seconds for one document, a value per round, by contender and workload."""


def make_work(count: int) -> Work:
    docs = documents(count)
    source = random.Random(2)
    # So many that the checkpoints of the write-ahead log, which a few puts in a thousand pay for, count fairly.
    singles = documents(max(count // 5, 1), seed=3)
    return Work(docs, singles, [source.choice(docs)["_id"] for _ in range(max(count // 5, 1))])


def assemble(directory: Path, work: Work, without: set[str]) -> tuple[list[Contender], list[str]]:
    """The contenders, and a line for each that cannot take part."""
    contenders: list[Contender] = []
    missing = []
    if "ours" not in without:
        contenders += [Ours(directory, "normal"), Ours(directory, "full")]
    contenders += [Plain(directory, "normal"), Plain(directory, "full")]
    if "node" not in without:
        try:
            contenders.append(PouchDBNode(directory, work))
        except Unavailable as error:
            missing.append(f"All rows against PouchDB are LEFT OUT: {error}.")
        else:
            try:
                contenders.append(PouchDBNode(directory, work, one_core=True))
            except Unavailable as error:
                missing.append(f"PouchDB on one core is LEFT OUT: {error}.")
    return contenders, missing


def measure(contenders: list[Contender], work: Work, rounds: int) -> Samples:
    """`rounds` rounds after one that warms up, the contenders in turns and each time in another order."""
    samples: Samples = {}
    gc.collect()
    gc.freeze()  # the documents are nobody's garbage
    for number in range(rounds + 1):
        shift = number % len(contenders)
        for contender in contenders[shift:] + contenders[:shift]:
            gc.collect()
            times = contender.round(work)
            if number:
                for workload, seconds in times.items():
                    samples.setdefault((contender.name, workload), []).append(seconds)
        if number:
            print(f"round {number} of {rounds} done", file=sys.stderr, flush=True)
    return samples


def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f}"


def row(target: Target, samples: Samples) -> tuple[list[str], bool] | None:
    ours = samples.get((target.ours, target.workload))
    peers = [(name, samples[name, target.workload]) for name in target.peers if (name, target.workload) in samples]
    if ours is None or not peers:
        return None
    name, peer = min(peers, key=lambda found: median(found[1]))
    # Round by round, so that the machine's moods fall on both sides.
    ratios = [mine / theirs if target.within else theirs / mine for mine, theirs in zip(ours, peer, strict=True)]
    ratio = median(ratios)
    met = not target.factor or (ratio <= target.factor if target.within else ratio >= target.factor)
    wanted = f"{'within' if target.within else 'at least'} {target.factor:g}x" if target.factor else ""
    verdict = ("yes" if met else "**NO**") if target.factor else ""
    factor = f"{ratio:.2f}x {'the time' if target.within else 'faster'} ({min(ratios):.2f} to {max(ratios):.2f})"
    cells = [target.workload, microseconds(median(ours)), name, microseconds(median(peer)), factor, wanted]
    return [*cells, verdict], met


def table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    for line in [head, ["-" * width for width in widths], *rows]:
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"


def report(contenders: list[Contender], samples: Samples, work: Work, rounds: int, missing: list[str]) -> Iterator[str]:
    versions = [contender.versions for contender in contenders if contender.versions]
    yield "# Benchmarks"
    yield ""
    yield (
        f"{len(work.documents):,} documents of about 500 bytes in batches of 1,000; {len(work.singles):,} single puts "
        f"and {len(work.gets):,} single gets. Medians of {rounds} rounds in one run, the contenders in turns; ratios "
        "are medians of the rounds' ratios, with the smallest and the largest."
    )
    yield ""
    yield (
        f"{', '.join(dict.fromkeys(versions))}; {platform.system()} {platform.machine()}, {os.cpu_count()} cores. "
        "Written by `make bench`."
    )
    yield ""
    for line in missing:
        yield f"**{line}**"
        yield ""
    yield "## Microseconds per document"
    yield ""
    body = []
    for workload in WORKLOADS:
        cells = [samples.get((contender.name, workload)) for contender in contenders]
        body.append([workload, *(microseconds(median(values)) if values else "" for values in cells)])
    yield from table(["workload", *(contender.name for contender in contenders)], body)
    head = ["workload", "ours", "peer", "peer's", "ratio", "target", "met"]
    sections = (("Equal durability", EQUAL, TARGETS + OTHERS), ("Full durability, the default", COMPLETE, FULL))
    for title, text, targets in sections:
        rows = [found for target in targets if (found := row(target, samples))]
        if rows:
            yield from ("", f"## {title}", "", text, "")
            yield from table(head, [cells for cells, _ in rows])


def missed(samples: Samples) -> list[Target]:
    return [target for target in TARGETS if (found := row(target, samples)) and not found[1]]


def compare(directory: Path, count: int, rounds: int, without: set[str], write: bool) -> int:
    """Measures, prints and writes results.md; returns how many targets were missed."""
    work = make_work(count)
    contenders, missing = assemble(directory, work, without)
    for line in missing:
        print(f"\n*** {line} ***\n", file=sys.stderr)
    try:
        samples = measure(contenders, work, rounds)
    finally:
        for contender in contenders:
            contender.close()
    lines = list(report(contenders, samples, work, rounds, missing))
    print("\n".join(lines))
    if write:
        RESULTS.write_text("\n".join(lines) + "\n", "utf-8")
    failures = missed(samples)
    for target in failures:
        print(f"*** missed: {target.workload} against {target.peers[0]} ***", file=sys.stderr)
    return len(failures)
