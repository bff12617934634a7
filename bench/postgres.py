"""PostgreSQL beside SQLite on the same machine, and beside the same rows by hand-written psycopg."""

from __future__ import annotations

import gc
import importlib.util
import os
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
INDEX = {"index": {"fields": ["number"]}}
VIEW = {"_id": "_design/v", "views": {"k": {"map": MAP, "reduce": "_stats"}}}
PYTHON = {"_id": "_design/p", "language": "python", "views": {"k": {"map": "by_type", "reduce": "_stats"}}}
SCHEMA = """
CREATE TABLE docs (
  seq BIGINT PRIMARY KEY, id TEXT COLLATE "C" UNIQUE, rev TEXT, deleted INTEGER, tree BYTEA, body TEXT
);
CREATE TABLE meta (seq BIGINT, docs BIGINT);
INSERT INTO meta VALUES (0, 0);
CREATE TABLE by_type (key TEXT COLLATE "C", id TEXT COLLATE "C", value DOUBLE PRECISION, PRIMARY KEY (key, id));
-- Without it the rows of a document that changes could not be found.
CREATE INDEX ON by_type (id);
"""
LOCK = "SELECT seq, docs FROM meta FOR UPDATE"


class ByHand:
    """What one would write without a database library: no trees, no hooks, one connection; seqs in commit order."""

    def __init__(self, url: str) -> None:
        import psycopg

        self.connection = psycopg.connect(url, autocommit=True)
        self.execute = self.connection.execute

    def make(self) -> None:
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

    def build(self) -> None:
        """Make the rows of the view, by the same function in Python; a batch is one transaction."""
        since, page = 0, None
        while page is None or page:
            with self.connection.transaction():
                sql = "SELECT seq, id, body FROM docs WHERE seq > %s ORDER BY seq LIMIT %s"
                page = self.execute(sql, (since, BATCH)).fetchall()
                with self.connection.cursor().copy("COPY by_type FROM STDIN") as copy:
                    for _, id, body in page:
                        doc = orjson.loads(body)
                        if "type" in doc:
                            copy.write_row((doc["type"], id, doc["number"]))
                since = page[-1][0] if page else since

    def grouped(self) -> list[Any]:
        value = "sum(value), count(*), min(value), max(value), sum(value * value)"
        return self.execute(f"SELECT key, {value} FROM by_type GROUP BY key ORDER BY key").fetchall()

    def close(self) -> None:
        self.connection.close()


class Processors:
    """Processor time of this process, its workers and the server: what others do on the machine is not in it.

    Nor is autovacuum, which the server does at times of its own.
    """

    def __init__(self, server: Any) -> None:
        self._roots = (os.getpid(), server.process.pid)
        self._tick = os.sysconf("SC_CLK_TCK")

    def seconds(self) -> float:
        """Return the seconds so far; of workers that have ended too."""
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                # After the name, which may have spaces: state, parent, ..., utime, stime, cutime, cstime.
                fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
            except OSError:
                continue
            process, (here, server) = int(stat.parent.name), self._roots
            if process in self._roots:
                # The server's children that have ended were autovacuum's: those of the pool are kept.
                ticks += sum(map(int, fields[11 : 15 if process == here else 13]))
            elif int(fields[1]) == here or (int(fields[1]) == server and not _vacuums(stat.parent)):
                ticks += sum(map(int, fields[11:13]))
        return ticks / self._tick

    def of(self, work: Callable[[], Any], count: int) -> float:
        """Return the microseconds that each of ``count`` takes."""
        before = self.seconds()
        work()
        return (self.seconds() - before) / count * 1e6


def _vacuums(process: Path) -> bool:
    try:
        return b"autovacuum" in (process / "cmdline").read_bytes()
    except OSError:
        return True  # It has ended.


def _measure(db: Any, docs: list[list[Document]], view: bool, processors: Processors) -> dict[str, tuple[float, float]]:
    """Return microseconds a document, by what was done: those that went by, and those of processors."""
    count = sum(map(len, docs))
    ids = [doc["_id"] for batch in docs for doc in batch][:: max(1, count // 1000)]
    work: dict[str, tuple[Callable[[], Any], int]] = {
        "bulk write": (lambda: [db.bulk_docs(batch) for batch in docs], count),
        "put": (lambda: [db.put({"_id": f"single-{n}", "n": n}) for n in range(SINGLE)], SINGLE),
        "get": (lambda: [db.get(id) for id in ids], len(ids)),
        "changes": (lambda: [db.changes() for _ in range(CALLS)], CALLS * count),
    }
    if view:
        work["view build, in JavaScript"] = (lambda: db.query("v/k"), count)
        work["view build, in Python"] = (lambda: db.query("p/k"), count)
        work["grouped view"] = (lambda: [db.query("v/k", group=True) for _ in range(CALLS)], CALLS)
        work["find"] = (lambda: [_find(db, n) for n in range(SINGLE)], SINGLE)
    else:
        work["view build, in Python"] = (db.build, count)
        work["grouped view"] = (lambda: [db.grouped() for _ in range(CALLS)], CALLS)
    found = {}
    for what, (call, times) in work.items():
        if what == "view build, in JavaScript":
            db.put(VIEW)
        elif what == "view build, in Python" and view:
            db.environment.register_function("by_type", _by_type)
            db.put(PYTHON)
        elif what == "find":
            db.create_index(INDEX)
        start = perf_counter()
        busy = processors.of(call, times)
        found[what] = (perf_counter() - start) / times * 1e6, busy
    return found


def _by_type(doc: Any) -> Iterator[tuple[Any, Any]]:
    if "type" in doc:
        yield doc["type"], doc["number"]


def _find(db: Any, number: int) -> Any:
    """Find 25 documents by an index."""
    return db.find({"selector": {"number": {"$gte": number}}, "sort": ["number"], "limit": 25})


WRITER = """
import sys, pouchdb
from bench.documents import anonymous_batches
from bench.postgres import ByHand
db = ByHand(sys.argv[1]) if sys.argv[4] else pouchdb.setup(sys.argv[1])["two"]
print("ready", flush=True)
sys.stdin.readline()
for number, batch in enumerate(anonymous_batches(int(sys.argv[3]))):
    db.bulk_docs([{"_id": f"{sys.argv[2]}-{number:05d}-{place:05d}", **doc} for place, doc in enumerate(batch)])
"""


def _two_processes(where: str, count: int, *, by_hand: bool = False) -> float:
    if not by_hand:
        pouchdb.setup(where)["two"].close()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, where, each, str(count // 2), "by hand" if by_hand else ""],
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
        processors = Processors(server)
        rows: dict[str, list[tuple[tuple[float, float], ...]]] = {}
        for number in range(rounds):
            here, there = pouchdb.setup(directory / f"r{number}"), pouchdb.setup(server.url(schema=f"r{number}"))
            server.run(f"CREATE SCHEMA hand{number}")
            hand_url = server.url(options=f"-csearch_path%3Dhand{number}")
            hand = ByHand(hand_url)
            hand.make()
            ours, sqlite = (_measure(place["a"], docs, True, processors) for place in (there, here))
            theirs = _measure(hand, docs, False, processors)
            two = "two processes writing"
            ours[two] = _two_processes(server.url(schema=f"r{number}"), count), 0.0
            sqlite[two] = _two_processes(str(directory / f"r{number}"), count), 0.0
            theirs[two] = _two_processes(hand_url, count, by_hand=True), 0.0
            for what in ours:
                rows.setdefault(what, []).append((ours[what], sqlite[what], theirs.get(what, (0.0, 0.0))))
            hand.close()
            there.close()
            here.close()
        shown = []
        for what, found in rows.items():
            each = [f"{median(round_[n][0] for round_ in found):,.1f}" for n in range(3)]
            ratios = [
                # Steps of 10 ms may be nothing.
                f"{median(round_[0][kind] / round_[2][kind] for round_ in found):.2f}"
                if all(round_[2][kind] for round_ in found)
                else ""
                for kind in (0, 1)
            ]
            shown.append([what, *(text if text != "0.0" else "" for text in each), *ratios])
        contenders = ["PostgreSQL", "SQLite", "psycopg by hand"]
        head = ["microseconds a document", *contenders, "ours / by hand", "of processor time"]
        print("\n".join(table(head, shown)))
    finally:
        server.remove()


def _grow(server: Any, directory: Path, sizes: tuple[int, ...]) -> None:
    """Print the processor time that a document costs while a database grows, in both stores."""
    head = ["documents", "store", "bulk, first tenth", "bulk, last tenth", "put", "get", "changes", "view build"]
    head += ["find's index", "find"]
    processors = Processors(server)
    shown = []
    for size in sizes:
        for store, where in (("PostgreSQL", server.url(schema=f"s{size}")), ("SQLite", directory / f"s{size}")):
            began = perf_counter()
            shown.append([f"{size:,}", store, *_size(where, size, processors)])
            print(*shown[-1], f"{perf_counter() - began:,.0f} s", file=sys.stderr, flush=True)
    print("\n".join(table(head, shown)))


def _size(where: str | Path, size: int, processors: Processors) -> list[str]:
    with pouchdb.setup(where) as environment:
        db = environment["a"]
        tenth, batches = size // 10, _batches(size)

        def bulk(count: int) -> float:
            """Write so many documents; making them is not in it."""
            spent = 0.0
            for batches_left in range(0, count, 10 * BATCH):
                docs = [next(batches) for _ in range(min(10 * BATCH, count - batches_left) // BATCH)]
                spent += processors.of(lambda docs=docs: [db.bulk_docs(each) for each in docs], count)
            return spent

        first, _, last = bulk(tenth), bulk(size - 2 * tenth), bulk(tenth)
        ids = [f"doc-{n:08d}" for n in range(0, size, max(1, size // (5 * BATCH)))]
        got = processors.of(lambda: [db.get(id) for id in ids], len(ids))
        put = processors.of(lambda: [db.put({"_id": f"single-{n}", "n": n}) for n in range(SINGLE)], SINGLE)
        rows = min(size, 10 * BATCH)
        # From the middle: what comes before and after must not matter.
        feed = processors.of(
            lambda: [db.changes(since=(size - rows) // 2, limit=rows) for _ in range(CALLS)], CALLS * rows
        )
        db.put(VIEW)
        view = processors.of(lambda: db.query("v/k"), size)
        index = processors.of(lambda: (db.create_index(INDEX), db.find({"selector": {"number": -1}})), size)
        numbers = [db.get(id)["number"] for id in ids[:SINGLE]]
        found = processors.of(
            lambda: [
                db.find({"selector": {"number": {"$gte": number}}, "sort": ["number"], "limit": 25})
                for number in numbers
            ],
            len(numbers),
        )
        environment.destroy("a")
    return [f"{each:,.1f}" for each in (first, last, put, got, feed, view, index, found)]


def _batches(count: int) -> Iterator[list[Document]]:
    for number, batch in enumerate(anonymous_batches(count)):
        yield [{"_id": f"doc-{number * BATCH + place:08d}", **doc} for place, doc in enumerate(batch)]


if __name__ == "__main__":
    sys.exit("run it by: python -m bench --postgres")
