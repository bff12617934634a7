"""Texts and places, side by side with lunr and geopouch on node, and with the engines, tantivy and SQLite's R*Tree."""

from __future__ import annotations

import gc
import itertools
import math
import random
import sqlite3
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import orjson
import shapely  # type: ignore[import-untyped]  # its stubs are a distribution of their own
import tantivy

from .compare import table
from .contenders import expect
from .documents import BATCH, WORDS, Document
from .peers import NodeScript, Unavailable

RESULTS = Path(__file__).parent / "places.md"
LARGE = Path(__file__).parent / "places-large.md"
"""Of more documents than the peers on node get: these alone."""
NODE_MOST = 30_000
"""Documents that the peers on node get: they keep what they index in memory, or take minutes."""
QUERY, BUILD, NODE = 3, 2, 10
"""Targets: a query within so many times the engine's, a build within so many times reading plus the engine's, a query
so many times faster than node's."""
CHANGED = 100
Times = dict[str, float]
"""Milliseconds by workload."""
DESIGN = {
    "_id": "_design/d",
    "indexes": {"words": {"analyzer": "standard", "index": "function (doc) { index('default', doc.text); }"}},
    "st_indexes": {"places": {"index": "function (doc) { st_index(doc.where); }"}},
}
NUMBERS = itertools.count()
"""Makes the texts of a query differ that has a ``{}``: what is remembered of one does not help the next."""
LON, LAT, RADIUS = 8.57, 50.03, 50_000.0
BOX = (7.0, 49.0, 10.0, 51.0)
POLYGON = "POLYGON((7 49, 10 49, 10 51, 8.5 50.2, 7 51, 7 49))"


def airports() -> list[Document]:
    """The airports of the package airportsdata. Raises Unavailable without it."""
    try:
        import airportsdata
    except ImportError:
        raise Unavailable("airportsdata is not installed: pip install -r examples/requirements.txt") from None
    return [
        {
            "_id": f"airport:{code}",
            "text": f"{each['name']} {each['city']} {each['subd']} {each['country']}",
            "where": {"type": "Point", "coordinates": [each["lon"], each["lat"]]},
        }
        for code, each in airportsdata.load().items()
    ]


def generated(count: int, seed: int = 1) -> Iterator[Document]:
    """Points all over the Earth with twenty words each, of some frequent and many rare ones."""
    source = random.Random(seed)
    for number in range(count):
        words = [*source.choices(WORDS, k=12), *(f"w{int(source.paretovariate(0.4)) % 50_000}" for _ in range(8))]
        at = [round(source.uniform(-180, 180), 6), round(math.degrees(math.asin(source.uniform(-1, 1))), 6)]
        yield {"_id": f"{number:08}", "text": " ".join(words), "where": {"type": "Point", "coordinates": at}}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return (milliseconds, result)."""
    start = perf_counter()
    result = work()
    return (perf_counter() - start) * 1e3, result


def best(work: Callable[[], int]) -> tuple[float, int]:
    """Return (milliseconds of the quickest of five calls, result): a query is short, and other programs run, too."""
    took, result = min((timed(work) for _ in range(5)), key=lambda each: each[0])
    return took, int(result)


class Ours:
    """The plug-ins; a database on disk."""

    name = "ours"

    def __init__(self, directory: Path, docs: list[Document], words: dict[str, tuple[str, str]]) -> None:
        import pouchdb

        self.environment = pouchdb.setup(str(directory / "ours"), durability="normal", plugins=["search", "spatial"])
        self.db: Any = self.environment["places"]
        for start in range(0, len(docs), BATCH):
            self.db.bulk_docs(docs[start : start + BATCH])
        self.db.put(DESIGN)
        self.queries: dict[str, Callable[[], int]] = {
            f"words: {name}": partial(self._words, q) for name, (q, _) in words.items()
        }
        self.queries.update(
            {
                "places: box": lambda: self._places(bbox=list(BOX)),
                "places: box, counted": lambda: self.db.spatial("d/places", bbox=list(BOX), count=True).count,
                "places: 50 km": lambda: self._places(lat=LAT, lon=LON, radius=RADIUS),
                "places: polygon": lambda: self._places(g=POLYGON),
                "places: 10 nearest": lambda: self._places(lat=LAT, lon=LON, nearest=True, limit=10),
            }
        )
        self.built = {
            "words: build": timed(lambda: self.db.search("d/words", q="zzz"))[0],
            "places: build": timed(lambda: self.db.spatial("d/places", limit=1))[0],
        }
        self.read = timed(lambda: sum(len(rows) for rows in self._pages()))[0]

    def _pages(self) -> Iterator[list[Any]]:
        since: Any = 0
        while rows := (page := self.db.changes(since=since, limit=BATCH, include_docs=True)).results:
            yield rows
            since = page.last_seq

    def _words(self, q: str) -> int:
        return int(self.db.search("d/words", q=q.format(next(NUMBERS))).total_rows)

    def _places(self, **where: Any) -> int:
        return len(self.db.spatial("d/places", **{"limit": 200, **where}).rows)

    def round(self) -> Times:
        times = dict(self.built)
        self.found = {}
        for name, query in self.queries.items():
            times[name], self.found[name] = best(query)
        docs = [
            row["doc"] for row in self.db.all_docs(include_docs=True, limit=CHANGED)["rows"] if "text" in row["doc"]
        ]
        for doc in docs:
            doc["edited"] = doc.get("edited", 0) + 1
        self.db.bulk_docs(docs)
        times["words: 100 changes"] = timed(lambda: self.db.search("d/words", q="zzz"))[0]
        times["places: 100 changes"] = timed(lambda: self.db.spatial("d/places", limit=1))[0]
        return times

    def close(self) -> None:
        self.environment.close()


class Engines:
    """Tantivy and SQLite's R*Tree by themselves, on the same texts and points."""

    name = "engine"

    def __init__(self, directory: Path, docs: list[Document], words: dict[str, tuple[str, str]]) -> None:
        (directory / "tantivy").mkdir()
        self.words = words
        schema = tantivy.SchemaBuilder()
        schema.add_text_field("id", stored=True, tokenizer_name="raw")
        schema.add_text_field("text")
        self.index = tantivy.Index(schema.build(), path=str(directory / "tantivy"))
        self.tree = sqlite3.connect(directory / "tree")
        self.tree.execute("CREATE TABLE rows (n INTEGER PRIMARY KEY, id TEXT, x REAL, y REAL, geometry BLOB)")
        self.tree.execute("CREATE VIRTUAL TABLE boxes USING rtree(n, west, east, south, north)")
        self.built = {
            "words: build": timed(lambda: self._words(docs))[0],
            "places: build": timed(lambda: self._tree(docs))[0],
        }
        self.searcher = self.index.searcher()

    def _words(self, docs: list[Document]) -> None:
        writer = self.index.writer(30_000_000, 1)
        for doc in docs:
            writer.add_document(tantivy.Document(id=[doc["_id"]], text=[doc["text"]]))
        writer.commit()
        writer.wait_merging_threads()
        self.index.reload()

    def _tree(self, docs: list[Document]) -> None:
        points = [
            (n, doc["_id"], *doc["where"]["coordinates"], orjson.dumps(doc["where"])) for n, doc in enumerate(docs)
        ]
        self.tree.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", points)
        self.tree.executemany("INSERT INTO boxes VALUES (?, ?, ?, ?, ?)", [(n, x, x, y, y) for n, _, x, y, _ in points])
        self.tree.commit()

    def _box(self, west: float, south: float, east: float, north: float) -> list[Any]:
        return self.tree.execute(
            "SELECT r.id, r.x, r.y, r.geometry FROM boxes AS b CROSS JOIN rows AS r ON r.n = b.n "
            "WHERE b.east >= ? AND b.west <= ? AND b.north >= ? AND b.south <= ?",
            (west, east, south, north),
        ).fetchall()

    def _shown(self, rows: list[Any]) -> int:
        return len([{"id": id, "geometry": orjson.loads(geometry)} for id, _, _, geometry in rows[:200]])

    def _away(self, row: Any) -> float:
        a, b = math.radians(LAT), math.radians(row[2])
        half = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(math.radians(row[1] - LON) / 2) ** 2
        return 2 * 6_371_008.8 * math.asin(math.sqrt(half))

    def _near(self, radius: float) -> list[Any]:
        tall = math.degrees(radius / 6_371_008.8)
        wide = tall / math.cos(math.radians(LAT))
        return [row for row in self._box(LON - wide, LAT - tall, LON + wide, LAT + tall) if self._away(row) <= radius]

    def _nearest(self) -> int:
        radius = 10_000.0
        while len(rows := self._near(radius)) < 10:
            radius *= 2
        return self._shown(sorted(rows, key=self._away)[:10])

    def _polygon(self) -> int:
        area = shapely.from_wkt(POLYGON)
        rows = self._box(*area.bounds)
        within = shapely.intersects(area, shapely.points([row[1:3] for row in rows])) if rows else []
        return self._shown([row for row, inside in zip(rows, within, strict=True) if inside])

    def _search(self, q: str) -> int:
        query = self.index.parse_query(q.format(next(NUMBERS)), ["text"])
        found: Any = self.searcher.search(query, 25)
        for _, address in found.hits:
            self.searcher.doc(address)["id"]
        return int(found.count)

    def round(self) -> Times:
        times, self.found = dict(self.built), {}
        queries: dict[str, Callable[[], int]] = {
            f"words: {name}": partial(self._search, q) for name, (_, q) in self.words.items()
        }
        queries |= {
            "places: box": lambda: self._shown(self._box(*BOX)),
            "places: box, counted": lambda: len(self._box(*BOX)),
            "places: 50 km": lambda: self._shown(self._near(RADIUS)),
            "places: polygon": self._polygon,
            "places: 10 nearest": self._nearest,
        }
        for name, query in queries.items():
            times[name], self.found[name] = best(query)
        return times

    def close(self) -> None:
        self.tree.close()


class Node:
    """lunr and geopouch."""

    name = "node"

    def __init__(
        self, directory: Path, docs: list[Document], words: dict[str, list[Any]], boxes: dict[str, Any]
    ) -> None:
        data = {"documents": docs, "words": words, "boxes": boxes}
        self.script = NodeScript("places.js", data, directory, ("lunr", "geopouch"), "lunr and geopouch on node")

    def round(self) -> Times:
        return {name: nanoseconds / 1e6 for name, nanoseconds in self.script.nanoseconds().items()}

    def close(self) -> None:
        self.script.close()


def compare_places(directory: Path, count: int, rounds: int, without: set[str], write: bool) -> int:
    """Measure, print and write places.md, or places-large.md; returns how many targets were missed."""
    lines = ["# Benchmarks of texts and places", ""]
    lines.append(
        f"Milliseconds; medians of {rounds} rounds in one run, the contenders in turns, of each query the quickest of "
        "five calls (of `varied` each has another text; of node's it is the only one, in a process that has answered "
        "before), and their ratios. The engines are tantivy and SQLite's R*Tree by themselves, answering the same rows "
        "without a database; a build is against reading the documents plus the engine's own build. lunr keeps its "
        "index in memory, and answers every hit. Written by `make bench BENCH=--places`; `--documents` is the number "
        "of generated ones."
    )
    missed = 0
    words = {"one": ("international", "international"), "two": ("+regional +airport", "+regional +airport")}
    words |= {"phrase": ('"regional airport"', '"regional airport"'), "varied": ("regional x{}", "regional x{}")}
    if count <= NODE_MOST:
        try:
            missed += _compare("airports", directory, airports(), words, rounds, without, lines)
        except Unavailable as error:
            lines += ["", f"**The airports are LEFT OUT: {error}.**"]
    words = {"one": ("river", "river"), "rare": ("w4711", "w4711"), "two": ("+river +w7", "+river +w7")}
    words |= {"phrase": ('"river mountain"', '"river mountain"'), "varied": ("river x{}", "river x{}")}
    missed += _compare(f"{count:,} generated", directory, list(generated(count)), words, rounds, without, lines)
    lines += [
        "",
        "A search costs about 20 us that do not depend on what it finds, 6 of them to see that the index is up to",
        "date and 5 to read the query, and a question about places 33 us, 12 of them the snapshot and the same look;",
        "each row costs 2 us. An engine that finds nothing takes 3 to 15 us: such a query is not within 3x.",
    ]
    print("\n".join(lines))
    if write:
        (RESULTS if count <= NODE_MOST else LARGE).write_text("\n".join(lines) + "\n", "utf-8")
    return missed


def _compare(
    title: str,
    directory: Path,
    docs: list[Document],
    words: dict[str, tuple[str, str]],
    rounds: int,
    without: set[str],
    lines: list[str],
) -> int:
    directory = directory / title.replace(" ", "-").replace(",", "")
    directory.mkdir()
    ours, engines = Ours(directory, docs, words), Engines(directory, docs, words)
    contenders: list[Any] = [ours, engines]
    ours.round()
    lines += ["", f"## {title}: {len(docs):,} documents", ""]
    if "node" not in without and len(docs) <= NODE_MOST:
        box = sum(
            BOX[0] <= x <= BOX[2] and BOX[1] <= y <= BOX[3] for x, y in (doc["where"]["coordinates"] for doc in docs)
        )
        asked = {f"words: {name}": [q, 0] for name, (q, _) in words.items() if not set(q) & set('"{')}
        try:
            contenders.append(Node(directory, docs, asked, {"places: box": [list(BOX), box]}))
        except Unavailable as error:
            lines += [f"**lunr and geopouch are LEFT OUT: {error}.**", ""]
    samples: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):
        for contender in contenders if number % 2 else contenders[::-1]:
            gc.collect()
            for workload, milliseconds in contender.round().items():
                if number:
                    samples.setdefault((contender.name, workload), []).append(milliseconds)
        print(f"{title}: round {number} of {rounds} done", file=sys.stderr, flush=True)
    for name, found in engines.found.items():
        # Another analyzer: stop words and underlines; points of the polygon's edge.
        expect(abs(ours.found[name] - found) <= 0.01 * found + 1, f"{name}: {ours.found[name]} and {found}")
    for contender in contenders:
        contender.close()
    rows, missed = [], 0
    for workload in (*ours.built, "words: 100 changes", "places: 100 changes", *ours.queries):
        mine = median(samples[Ours.name, workload])
        marks = []
        cells = [workload, str(ours.found.get(workload, "")), f"{mine:,.2f}", "", "", "", ""]
        if samples.get((Engines.name, workload)):
            engine = median(samples[Engines.name, workload])
            limit = engine + ours.read if workload.endswith("build") else engine
            target = BUILD if workload.endswith("build") else QUERY
            cells[3:5] = [f"{limit:,.2f}", f"{mine / limit:.1f}x"]
            marks.append((mine / limit <= target, f"within {target}x"))
        if theirs := samples.get((Node.name, workload)):
            ratio = median(theirs) / mine
            cells[5] = f"{median(theirs):,.2f} ({ratio:,.1f}x)"
            if not workload.endswith("build"):
                marks.append((ratio >= NODE, f"{NODE}x faster than node"))
        missed += sum(not met for met, _ in marks)
        cells[6] = ", ".join(f"{text}: {'yes' if met else '**NO**'}" for met, text in marks)
        rows.append(cells)
    lines += table(["workload", "found", "ours", "engine", "ours / engine", "node", "targets"], rows)
    return missed
