"""What plug-ins index: the same answers as from SQLite, and one builder at a time, whatever hosts there are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import pouchdb
from pouchdb_core.testing.index_sizes import grown_index

DOCUMENTS = [
    {"_id": f"d{n:03d}", "n": n, "half": n / 2, "text": f"fox {n}", "place": [n % 90, n % 45], "tag": [n % 3, "x"]}
    for n in range(120)
] + [
    {"_id": "nul\0\1", "n": 1000, "text": "a\0b\1", "half": 1e300, "place": [1, 2], "tag": None},
    {"_id": "long" * 1000, "n": 1001, "text": "k" * 6000, "half": -1e300, "place": [3, 4], "tag": "y" * 3000},
    {"_id": "long" * 1000 + "2", "n": 1002, "text": "k" * 6001, "half": 2**60, "place": [3, 4], "tag": "y" * 3001},
    {"_id": "none"},
]
DESIGN = {
    "_id": "_design/all",
    "views": {
        "text": {"map": "function (doc) { if (doc.text) emit(doc.text, doc.n); }", "reduce": "_count"},
        "tag": {"map": "function (doc) { emit(doc.tag, doc.n || null); }", "reduce": "_sum"},
        "half": {"map": "function (doc) { emit([doc.n % 5, doc.n], doc.half); }", "reduce": "_stats"},
        "small": {"map": "function (doc) { if (doc.n < 99) emit([doc.n % 5, doc.n], doc.half); }", "reduce": "_stats"},
        "same": {"map": "function (doc) { emit(null, 1); emit(null, 2); }", "reduce": "_sum"},
    },
    "spatial": {"places": "function (doc) { if (doc.place) emit({type: 'Point', coordinates: doc.place}, doc.n); }"},
    "indexes": {"words": {"index": "function (doc) { if (doc.text) index('default', doc.text); }"}},
}
QUERIES: dict[str, Callable[[Any], Any]] = {
    "rows": lambda db: db.query("all/text", reduce=False, include_docs=True).rows,
    "rows, descending": lambda db: db.query("all/text", reduce=False, descending=True).rows,
    "the same key": lambda db: db.query("all/same", reduce=False, limit=50, skip=7).rows,
    "the same key, descending": lambda db: db.query("all/same", reduce=False, descending=True).rows,
    "a range": lambda db: db.query("all/tag", reduce=False, start_key=[1], end_key=["a"]).rows,
    "long keys": lambda db: db.query("all/text", reduce=False, start_key="k" * 6000).rows,
    "one long key": lambda db: db.query("all/text", reduce=False, key="k" * 6000).rows,
    "from a document": lambda db: db.query("all/tag", reduce=False, start_key=[1, "x"], startkey_docid="d050").rows,
    "keys": lambda db: db.query("all/tag", reduce=False, keys=[[1, "x"], None, "y" * 3000]).rows,
    "sum": lambda db: db.query("all/same").rows,
    "grouped": lambda db: db.query("all/tag", group=True).rows,
    "stats": lambda db: db.query("all/small", group_level=1).rows,
    "stats of all": lambda db: db.query("all/small").rows,
    "numbers that overflow": lambda db: [row.key for row in db.query("all/half", group_level=1).rows],
    "an overflow": lambda db: db.query("all/half").rows,
    "find": lambda db: db.find(selector={"n": {"$gte": 100}, "text": {"$gt": None}}, sort=["n"]).docs,
    "find, descending": lambda db: db.find(selector={"n": {"$gt": 5}}, sort=[{"n": "desc"}], limit=9, skip=2).docs,
    "find by long values": lambda db: db.find(selector={"text": {"$gte": "k" * 6000}}, sort=["text"]).docs,
    "find any of": lambda db: db.find(selector={"n": {"$in": [3, 1000, 77]}}).docs,
    "gql": lambda db: db.gql("select n, half where n > 110 and n < 200 order by n").rows,
    "all places": lambda db: db.spatial("all/places").rows,
    "a box": lambda db: db.spatial("all/places", bbox=[0, 0, 20, 3]).rows,
    "half open": lambda db: db.spatial("all/places", start_range=[None, 2], end_range=[3, None]).rows,
    "words": lambda db: sorted(row.id for row in db.search("all/words", query="fox", limit=200).rows),
}


def fill(db: Any) -> Any:
    db.bulk_docs(DOCUMENTS)
    db.put(DESIGN)
    db.create_index({"index": {"fields": ["n"]}})
    db.create_index({"index": {"fields": ["text"]}})
    return db


@pytest.fixture(scope="module")
def both(postgres: Any) -> Iterator[tuple[Any, Any]]:
    wanted = ["postgres", "find", "gql", "spatial", "search", "validation"]
    here, there = pouchdb.setup(":memory:", plugins=wanted), pouchdb.setup(postgres.url(schema="both"), plugins=wanted)
    with here, there:
        yield fill(here["a"]), fill(there["a"])
        assert there["a"].integrity_check() == []


@pytest.mark.parametrize("name", QUERIES)
def test_answers_are_those_of_sqlite(both: tuple[Any, Any], name: str) -> None:
    here, there = (_answer(db, QUERIES[name]) for db in both)
    assert there == here
    assert there


def test_answers_follow_changes(both: tuple[Any, Any]) -> None:
    for db in both:
        for id in ("d003", "nul\0\1", "long" * 1000):
            db.remove(db.get(id))
        db.bulk_docs([{**db.get("d004"), "n": 4000, "tag": "z" * 4000}, {"_id": "new", "n": 7, "text": "fox"}])
        gone = db.get("d005")
        db.purge("d005", gone["_rev"])
    for ask in QUERIES.values():
        here, there = (_answer(db, ask) for db in both)
        assert there == here


def _answer(db: Any, ask: Callable[[Any], Any]) -> Any:
    try:
        return ask(db)
    except Exception as error:
        return type(error), str(error)


def test_what_no_design_document_names_is_dropped(postgres: Any, url: str, open_place: Callable[..., Any]) -> None:
    db = fill(open_place(url, "find", "gql", "spatial", "search")["a"])
    for ask in QUERIES.values():
        _answer(db, ask)
    ours = f"(SELECT schema FROM {url.partition('schema=')[2]}.databases WHERE name = 'a')::regnamespace"
    tables = f"SELECT count(*) FROM pg_class WHERE relname LIKE 'index\\_%' AND relkind = 'r' AND relnamespace = {ours}"
    assert postgres.run(tables) != [(0,)]
    for row in db.all_docs(start_key="_design/", end_key="_design0").rows:
        db.remove(db.get(row.id))
    db.view_cleanup()
    assert postgres.run(tables) == [(0,)]


def test_a_dead_builder_is_replaced(postgres: Any, url: str, open_place: Callable[..., Any]) -> None:
    db = open_place(url)["a"]
    db.bulk_docs([{"_id": f"d{n}", "n": n} for n in range(50)])
    db.put({"_id": "_design/v", "views": {"n": {"map": "function (doc) { emit(doc.n); }"}}})
    store = db.adapter.indexes()
    assert len(db.query("v/n").rows) == 50
    program = (
        "import sys, pouchdb\n"
        "env = pouchdb.setup(sys.argv[1], plugins=['postgres'])\n"
        "print(env['a'].adapter.indexes().builder(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None
        name = other.stdout.readline().strip()
        assert store.lives(f"{name}:token")
        [row] = store.entries()
        with store.write():
            # It builds, and was seen just now.
            store.save((*row[:8], f"{name}:token", store.now()))
        db.put({"_id": "new", "n": 99})
        follower_waits = db.query("v/n", stale="ok")
        assert len(follower_waits.rows) == 50
        other.kill()
    assert len(db.query("v/n").rows) == 51
    assert not store.lives(f"{name}:token")


def test_validation_and_users(url: str, open_place: Callable[..., Any]) -> None:
    from pouchdb_core.errors import Forbidden

    db = open_place(url, "validation")["a"]
    db.put({"_id": "_design/v", "validate_doc_update": "function (doc) { if (!doc.ok) throw {forbidden: 'not ok'}; }"})
    with pytest.raises(Forbidden, match="not ok"):
        db.validating_put({"_id": "a"})
    assert db.validating_put({"_id": "a", "ok": True}).ok
    db.put_security({"admins": {"names": ["ann"]}})
    assert open_place(url)["a"].get_security()["admins"]["names"] == ["ann"]


def test_the_index_of_a_design_document_grows_with_its_rows(database: Any) -> None:
    seen = grown_index(database)
    assert seen == sorted(seen)
