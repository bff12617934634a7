"""PostgreSQL beside SQLite on the same machine, and beside the same rows by hand-written psycopg."""

from __future__ import annotations

import gc
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import md5
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import orjson

import pouchdb

from .compare import table
from .documents import BATCH, Document, anonymous_batches

SERVER = Path(__file__).parents[1] / "plugins" / "postgres" / "tests" / "server.py"
SINGLE = 300
CALLS = 7
MAP = "function (doc) { emit(doc.type, doc.number); }"
VIEW = {"_id": "_design/v", "views": {"k": {"map": MAP, "reduce": "_stats"}}}
SCHEMA = """
CREATE TABLE docs (
  seq BIGINT PRIMARY KEY, id TEXT COLLATE "C" UNIQUE, rev TEXT, deleted INTEGER, tree BYTEA, body TEXT
);
CREATE TABLE meta (seq BIGINT, docs BIGINT);
INSERT INTO meta VALUES (0, 0);
"""
LOCK = "SELECT seq, docs FROM meta FOR UPDATE"


class ByHand:
    """What one would write without a database library: no trees, no hooks, one connection; seqs in commit order."""

    def __init__(self, url: str) -> None:
        import psycopg

        self.connection = psycopg.connect(url, autocommit=True)
        self.execute = self.connection.execute
        self.execute(SCHEMA)

    def bulk_docs(self, docs: list[Document]) -> list[dict[str, Any]]:
        with self.connection.transaction():
            seq, count = self.execute(LOCK).fetchone() or (0, 0)
            known = {
                id for (id,) in self.execute("SELECT id FROM docs WHERE id = ANY(%s)", ([doc["_id"] for doc in docs],))
            }
            results = []
            cursor = self.connection.cursor()
            with cursor.copy("COPY docs (seq, id, rev, deleted, body) FROM STDIN") as copy:
                for doc in docs:
                    if doc["_id"] in known:
                        continue
                    seq += 1
                    body = orjson.dumps(doc)
                    rev = f"1-{md5(body).hexdigest()}"
                    copy.write_row((seq, doc["_id"], rev, 0, body.decode()))
                    results.append({"ok": True, "id": doc["_id"], "rev": rev})
            self.execute("UPDATE meta SET seq = %s, docs = %s", (seq, count + len(results)))
        return results

    def put(self, doc: Document) -> dict[str, Any]:
        with self.connection.transaction():
            seq, count = self.execute(LOCK).fetchone() or (0, 0)
            self.execute("SELECT seq, rev, deleted FROM docs WHERE id = %s", (doc["_id"],)).fetchone()
            body = orjson.dumps(doc)
            rev = f"1-{md5(body).hexdigest()}"
            sql = "INSERT INTO docs (seq, id, rev, deleted, body) VALUES (%s, %s, %s, 0, %s)"
            self.execute(sql, (seq + 1, doc["_id"], rev, body.decode()))
            self.execute("UPDATE meta SET seq = %s, docs = %s", (seq + 1, count + 1))
        return {"ok": True, "id": doc["_id"], "rev": rev}

    def get(self, id: str) -> Document:
        rev, body = self.execute("SELECT rev, body FROM docs WHERE id = %s", (id,)).fetchone() or ("", "{}")
        doc: Document = orjson.loads(body)
        doc["_rev"] = rev
        return doc

    def changes(self) -> list[dict[str, Any]]:
        rows = self.execute("SELECT seq, id, rev FROM docs WHERE seq > 0 ORDER BY seq", binary=True).fetchall()
        return [{"seq": seq, "id": id, "changes": [{"rev": rev}]} for seq, id, rev in rows]

    def close(self) -> None:
        self.connection.close()


def _timed(work: Callable[[], Any], count: int) -> float:
    start = perf_counter()
    work()
    return (perf_counter() - start) / count * 1e6


def _median(work: Callable[[], Any], count: int) -> float:
    """Return what one of several calls takes: a call takes some milliseconds, and other programs run too."""
    return median(_timed(work, count) for _ in range(CALLS))


def _measure(db: Any, docs: list[list[Document]], view: bool) -> dict[str, float]:
    """Return microseconds a document, by what was done."""
    count = sum(map(len, docs))
    ids = [doc["_id"] for batch in docs for doc in batch][:: max(1, count // 1000)]
    found = {
        "bulk write": _timed(lambda: [db.bulk_docs(batch) for batch in docs], count),
        "put": _timed(lambda: [db.put({"_id": f"single-{n}", "n": n}) for n in range(SINGLE)], SINGLE),
        "get": _timed(lambda: [db.get(id) for id in ids], len(ids)),
        "changes": _median(lambda: db.changes(), count),
    }
    if view:
        db.put(VIEW)
        found["view build"] = _timed(lambda: db.query("v/k"), count)
        found["grouped view"] = _timed(lambda: db.query("v/k", group=True), 1)
    return found


WRITER = """
import sys, pouchdb
from bench.documents import anonymous_batches
db = pouchdb.setup(sys.argv[1])["two"]
print("ready", flush=True)
sys.stdin.readline()
for number, batch in enumerate(anonymous_batches(int(sys.argv[3]))):
    db.bulk_docs([{"_id": f"{sys.argv[2]}-{number:05d}-{place:05d}", **doc} for place, doc in enumerate(batch)])
"""


def _two_processes(where: str, count: int) -> float:
    pouchdb.setup(where)["two"].close()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, where, each, str(count // 2)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for each in ("a", "b")
    ]
    for each in writers:
        assert each.stdout is not None
        each.stdout.readline()
    start = perf_counter()
    for each in writers:
        each.communicate("\n")
    return (perf_counter() - start) / count * 1e6


def _server() -> Any:
    spec = importlib.util.spec_from_file_location("postgres_server", SERVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    reason = module.missing()
    if reason is not None:
        raise SystemExit(f"no benchmark of PostgreSQL: {reason}")
    return module.Postgres(durable=True)


def run_postgres(directory: Path, count: int, rounds: int, sizes: tuple[int, ...] | None) -> None:
    """Print the tables: in microseconds a document, everything on the disk when a call returns."""
    server = _server()
    try:
        if sizes is not None:
            _grow(server, directory, sizes)
            return
        docs = list(_batches(count))
        # A collection is not to look through the benchmark's own documents, in the middle of one or the other.
        gc.collect()
        gc.freeze()
        rows: dict[str, list[tuple[float, float, float]]] = {}
        for number in range(rounds):
            here, there = pouchdb.setup(directory / f"r{number}"), pouchdb.setup(server.url(schema=f"r{number}"))
            server.run(f"CREATE SCHEMA hand{number}")
            hand = ByHand(server.url(options=f"-csearch_path%3Dhand{number}"))
            ours, sqlite, theirs = _measure(there["a"], docs, True), _measure(here["a"], docs, True), {}
            theirs = _measure(hand, docs, False)
            two = "two processes writing"
            ours[two] = _two_processes(server.url(schema=f"r{number}"), count)
            sqlite[two] = _two_processes(str(directory / f"r{number}"), count)
            for what in ours:
                rows.setdefault(what, []).append((ours[what], sqlite[what], theirs.get(what, 0.0)))
            hand.close()
            there.close()
            here.close()
        shown = []
        for what, found in rows.items():
            ours, sqlite, theirs = (median(each) for each in zip(*found, strict=True))
            ratio = median(o / t for o, _, t in found) if theirs else 0
            numbers = [f"{each:,.1f}" if each else "" for each in (ours, sqlite, theirs)]
            shown.append([what, *numbers, f"{ratio:.2f}" if ratio else ""])
        head = ["microseconds a document", "PostgreSQL", "SQLite", "psycopg by hand", "ours / by hand"]
        print("\n".join(table(head, shown)))
    finally:
        server.remove()


def _grow(server: Any, directory: Path, sizes: tuple[int, ...]) -> None:
    """Print what a document costs while a database grows, in both stores; each line as soon as it is known."""
    head = ["documents", "store", "bulk, first tenth", "bulk, last tenth", "put", "get", "changes", "view build"]
    shown = []
    for size in sizes:
        for store, where in (("PostgreSQL", server.url(schema=f"s{size}")), ("SQLite", directory / f"s{size}")):
            began = perf_counter()
            shown.append([f"{size:,}", store, *_size(where, size)])
            print(*shown[-1], f"{perf_counter() - began:,.0f} s", file=sys.stderr, flush=True)
    print("\n".join(table(head, shown)))


def _size(where: str | Path, size: int) -> list[str]:
    with pouchdb.setup(where) as environment:
        db = environment["a"]
        times = []
        for batch in _batches(size):
            start = perf_counter()
            db.bulk_docs(batch)
            times.append((perf_counter() - start) / len(batch) * 1e6)
        tenth = max(1, len(times) // 10)
        ids = [f"doc-{n:08d}" for n in range(0, size, max(1, size // BATCH))]
        got = _timed(lambda: [db.get(id) for id in ids], len(ids))
        put = _timed(lambda: [db.put({"_id": f"single-{n}", "n": n}) for n in range(SINGLE)], SINGLE)
        rows = min(size, 10 * BATCH)
        # From the middle: what comes before and after must not matter.
        feed = _median(lambda: db.changes(since=(size - rows) // 2, limit=rows), rows)
        db.put(VIEW)
        view = _timed(lambda: db.query("v/k"), size)
        numbers = (median(times[:tenth]), median(times[-tenth:]), put, got, feed, view)
        environment.destroy("a")
    return [f"{each:,.1f}" for each in numbers]


def _batches(count: int) -> Iterator[list[Document]]:
    for number, batch in enumerate(anonymous_batches(count)):
        yield [{"_id": f"doc-{number * BATCH + place:08d}", **doc} for place, doc in enumerate(batch)]


if __name__ == "__main__":
    sys.exit("run it by: python -m bench --postgres")
