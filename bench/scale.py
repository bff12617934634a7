"""What one document costs while the database grows: time for it, and memory for all.

Every size runs in a process of its own, because a process's peak memory never falls.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from .compare import microseconds, table
from .documents import BATCH, anonymous_batches

SIZES = (10_000, 100_000, 1_000_000)
SAMPLE = 5_000


def memory(field: str) -> float:
    """A field of the process's status in MB; without /proc the peak that the system reports, for any field."""
    try:
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def run(count: int, directory: str) -> dict[str, float]:
    """One size, in this process; ids are made by the database, as for `post`."""
    import pouchdb

    environment = pouchdb.setup(directory, durability="normal")
    db = environment["scale"]
    source = random.Random(4)
    start_memory = memory("VmRSS")
    private = 0.0
    ids: list[str] = []
    batch_times = []
    for batch in anonymous_batches(count):
        start = perf_counter()
        results = db.bulk_docs(batch)
        batch_times.append(perf_counter() - start)
        ids.extend(source.sample([result["id"] for result in results], max(1, SAMPLE * len(batch) // count)))
        private = max(private, memory("RssAnon"))
    tenth = max(1, len(batch_times) // 10)

    source.shuffle(ids)
    start = perf_counter()
    for id in ids:
        db.get(id)
    get = (perf_counter() - start) / len(ids)

    since: Any = 0
    seen = 0
    start = perf_counter()
    while (feed := db.changes(since=since, limit=BATCH))["results"]:
        since = feed["last_seq"]
        seen += len(feed["results"])
    changes = (perf_counter() - start) / count
    if seen != count:
        raise AssertionError(f"{seen} changes of {count}")
    private = max(private, memory("RssAnon"))
    environment.close()
    return {
        "write": sum(batch_times) / count,
        "write, first tenth": median(batch_times[:tenth]) / BATCH,
        "write, last tenth": median(batch_times[-tenth:]) / BATCH,
        "get": get,
        "changes": changes,
        "start": start_memory,
        "peak": memory("VmHWM"),
        "private": private,
    }


def report(sizes: tuple[int, ...], figures: list[dict[str, float]]) -> Iterator[str]:
    yield "Microseconds per document while the database grows; memory of the process in MB. Its peak counts mapped"
    yield "pages of the database file (up to 256 MB, given back when others need them); private memory does not."
    yield ""
    columns = ["write", "write, first tenth", "write, last tenth", "get", "changes"]
    head = ["documents", *columns, "MB at start", "peak MB", "private MB"]
    rows = [
        [f"{size:,}", *(microseconds(found[column]) for column in columns)]
        + [f"{found[name]:,.0f}" for name in ("start", "peak", "private")]
        for size, found in zip(sizes, figures, strict=True)
    ]
    yield from table(head, rows)


def scale(directory: Path, sizes: tuple[int, ...] = SIZES) -> None:
    figures = []
    for size in sizes:
        print(f"{size:,} documents ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            command = [sys.executable, "-m", "bench.scale", str(size), folder]
            figures.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    print("\n".join(report(sizes, figures)))


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), sys.argv[2])))
