"""When an index is brought up to date, and how its rows are read: some at a time, however many there are."""

from __future__ import annotations

import itertools
import random
import threading
from typing import Any

import pytest
from pouchdb_spatial import reading
from pouchdb_spatial.querying import asked_rows

import pouchdb

VIEW = "function (doc) { if (doc.k !== undefined) emit(doc.k, doc.n); }"
DDOC = {
    "_id": "_design/s",
    "spatial": {"k": VIEW},
    "st_indexes": {"g": {"index": "function (doc) { if (doc.g) st_index(doc.g); }"}},
}
HERE = {"type": "Point", "coordinates": [1, 1]}


def ids(answer: Any) -> list[str]:
    return [row["id"] for row in answer.rows]


@pytest.mark.parametrize("index", ["s/k", "s/g"])
@pytest.mark.parametrize("options", [{"stale": "ok"}, {"stale": True}, {"update": False}, {"update": "false"}])
def test_an_index_as_it_is(db: Any, index: str, options: Any) -> None:
    db.put({"_id": "a", "k": [1], "g": HERE})
    assert ids(db.spatial(index, **options)) == [], "it was never built"
    assert db.spatial(index, count=True, **options).count == 0
    assert db.spatial(index, format="geojson", **options).features == []
    assert ids(db.spatial(index)) == ["a"]
    db.put({"_id": "b", "k": [1], "g": HERE})
    assert ids(db.spatial(index, **options)) == ["a"]
    assert ids(db.spatial(index, update=True)) == ["a", "b"]


@pytest.mark.parametrize("index", ["s/k", "s/g"])
@pytest.mark.parametrize("options", [{"stale": "update_after"}, {"update": "lazy"}])
def test_an_index_that_is_brought_up_to_date_afterwards(db: Any, index: str, options: Any) -> None:
    seen: list[Any] = []
    db.on("indexing", seen.append)
    for expected in ([], ["0"], ["0", "1"]):
        db.put({"_id": str(len(expected)), "k": [1], "g": HERE})
        assert ids(db.spatial(index, **options)) == expected
        assert db.environment.context.wait_until_called(seen.append, timeout=10)
    assert [event["view"] for event in seen] == [index] * 3


@pytest.mark.parametrize(
    "options", [{"stale": "maybe"}, {"update": "maybe"}, {"update": 1}, {"stale": "ok", "update": True}]
)
def test_no_way_to_bring_it_up_to_date(db: Any, options: Any) -> None:
    with pytest.raises(pouchdb.BadRequest):
        db.spatial("s/k", **options)


def test_rows_are_read_as_they_are_taken(db: Any) -> None:
    db.bulk_docs([{"_id": f"{n:04}", "k": [n], "n": n} for n in range(3000)])
    for options in ({}, {"start_range": [0]}):
        head, rows = asked_rows(db, "s/k", options)
        assert head == {}
        assert [row["value"] for row in itertools.islice(rows, 600)] == list(range(600))
        gone = [db[f"{n:04}"] for n in range(2500, 3000)]
        db.bulk_docs([{**doc, "_deleted": True} for doc in gone])
        db.spatial("s/k", limit=0)
        assert [row["value"] for row in rows] == list(range(600, 2500)), "those that are gone were not held"
        db.bulk_docs([{"_id": f"{n:04}", "k": [n], "n": n} for n in range(2500, 3000)])


def test_answers_of_any_size_are_those_of_a_scan(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One statement for a few rows, their numbers first for more, all rows in turn for most of them."""
    source = random.Random(7)
    keys = [[source.randint(0, 30) for _ in range(source.choice([1, 2, 2, 3, 7]))] for _ in range(400)]
    db.bulk_docs([{"_id": f"{n:03}", "k": key, "n": n} for n, key in enumerate(keys)])
    monkeypatch.setattr(reading, "CHUNK", 20)
    monkeypatch.setattr(reading, "NUMBERS", 60)
    ways = set()
    for _ in range(150):
        size = source.randint(1, 7)
        start = [source.choice([None, source.randint(0, 30)]) for _ in range(size)]
        end = [None if low is None else low + source.randint(0, 30) for low in start]
        wanted = [
            n
            for n, key in enumerate(keys)
            if len(key) <= size
            and all(
                (low is None or each >= low) and (high is None or each <= high)
                for each, low, high in zip(key, start, end, strict=False)
            )
        ]
        assert [row.value for row in db.spatial("s/k", start_range=start, end_range=end).rows] == wanted
        assert db.spatial("s/k", start_range=start, end_range=end, count=True).count == len(wanted)
        ways.add(sum(len(wanted) > most for most in (20, 60)))
    assert ways == {0, 1, 2}


def test_a_place_in_both_halves_of_a_box_over_the_date_line_is_found_once(db: Any) -> None:
    wide = {"type": "LineString", "coordinates": [[-180, 0], [180, 0]]}
    db.bulk_docs([{"_id": "wide", "g": wide, "k": wide}, {"_id": "here", "g": HERE, "k": HERE}])
    bounds = {"bbox": "170,-10,-170,10", "plane_bounds": "-180,-90,180,90"}
    assert ids(db.spatial("s/k", **bounds)) == ids(db.spatial("s/g", **bounds)) == ["wide"]
    assert db.spatial("s/k", count=True, **bounds).count == db.spatial("s/g", count=True, **bounds).count == 1


def test_one_place_of_a_document_is_shown_once_by_st_indexes(db: Any) -> None:
    twice = "function (doc) { st_index(doc.g); st_index(doc.g); st_index(doc.h); }"
    db.put(
        {"_id": "_design/t", "st_indexes": {"g": {"index": twice}}, "spatial": {"k": twice.replace("st_index", "emit")}}
    )
    db.put({"_id": "a", "g": HERE, "h": {"type": "Point", "coordinates": [2, 2]}})
    assert ids(db.spatial("t/g")) == ["a", "a"]
    assert ids(db.spatial("t/k")) == ["a", "a", "a"], "each emit is a row"


def test_the_nearest_among_many_in_one_place(db: Any) -> None:
    """The first circle gets smaller until it holds few; more in one place than that are compared all the same."""
    crowd = [{"_id": f"c{n:04}", "g": {"type": "Point", "coordinates": [10, 50]}} for n in range(1500)]
    ring = [{"_id": f"r{n:02}", "g": {"type": "Point", "coordinates": [10 + n / 100, 50]}} for n in range(1, 50)]
    db.bulk_docs([*crowd, *ring])
    assert ids(db.spatial("s/g", lat=50, lon=10.5, nearest=True, limit=3)) == ["r49", "r48", "r47"]
    assert ids(db.spatial("s/g", lat=50, lon=10, nearest=True, limit=2)) == ["c0000", "c0001"]
    assert ids(db.spatial("s/g", lat=-50, lon=-170, nearest=True, limit=1)) != []


def test_queries_beside_others_that_look_for_their_index(db: Any) -> None:
    """Finding an index takes a lock and then reads, so a query must not look for its index in the middle of a read."""
    db.bulk_docs([{"_id": f"{n:03}", "k": [n % 9, n % 7]} for n in range(100)])
    db.spatial("s/k")
    over = threading.Event()
    counts: list[int] = []

    def changing() -> None:
        for number in range(300):
            design = db.get("_design/v") if number else {"_id": "_design/v"}
            db.put({**design, "views": {"v": {"map": f"function (doc) {{ emit({number}); }}"}}})
        over.set()

    def looking() -> None:
        while not over.is_set():
            db.query("s/of", limit=1)

    def asking() -> None:
        while not over.is_set():
            counts.append(len(db.spatial("s/k", bbox=[0, 0, 5, 5]).rows))

    design = db.get("_design/s")
    db.put({**design, "views": {"of": {"map": "function (doc) { emit(doc._id); }"}}})
    threads = [threading.Thread(target=work, daemon=True) for work in (changing, asking, asking, looking, looking)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert not any(each.is_alive() for each in threads), "they wait for each other"
    assert set(counts) == {counts[0]}


PAGED: list[dict[str, Any]] = [
    {},
    {"bbox": [-60, -60, 60, 60]},
    {"bbox": [100, -60, -100, 60]},
    {"g": "POLYGON((-90 -50, 90 -60, 60 70, -90 -50))"},
    {"g": "POINT(200 85)", "relation": "disjoint"},
    {"lat": 10, "lon": 170, "radius": 9_000_000},
    {"lat": 10, "lon": 170, "nearest": True},
    {"lat": -80, "lon": 10, "radius": 12_000_000, "nearest": True},
    {"bbox": [100, -60, -100, 60], "nearest": True},
]


@pytest.mark.parametrize("options", PAGED, ids=str)
@pytest.mark.parametrize("shapes", ["points", "points and others"])
@pytest.mark.parametrize("format", ["view", "geojson"])
def test_a_bookmark_goes_on_behind_the_last_row_while_documents_change(
    db: Any, options: dict[str, Any], shapes: str, format: str
) -> None:
    """What nobody writes meanwhile is shown once, in the order of one large page."""
    source = random.Random(f"{options}{shapes}")

    def place() -> Any:
        at = [source.uniform(-180, 180), source.uniform(-80, 80)]
        if shapes == "points" or source.random() < 0.5:
            return {"type": "Point", "coordinates": at}
        return {"type": "MultiPoint", "coordinates": [at, [source.uniform(-180, 180), at[1]]]}

    def shown(answer: Any) -> list[str]:
        return [row.get("id") or row["_id"] for row in (answer.rows if format == "view" else answer.features)]

    names = [f"{n:03}" for n in range(180)]
    db.bulk_docs([{"_id": id, "g": place()} for id in names])
    everything = shown(db.spatial("s/g", limit=200, format=format, **options))
    written: set[str] = set()
    found: list[str] = []
    bookmark = None
    for number in range(400):
        answer = db.spatial("s/g", limit=source.randint(1, 9), format=format, bookmark=bookmark, **options)
        found += shown(answer)
        if not shown(answer):
            assert answer.bookmark == bookmark or bookmark is None
            break
        bookmark = answer.bookmark
        if number < 12:
            # The last ones shown and the newest ones too, whose numbers must not be used again.
            ids_now = {*source.sample(names, 3), found[-1], names[-1 - number]}
            written |= ids_now
            docs = [db.get(id) for id in sorted(ids_now) if id in db]
            db.bulk_docs([{**doc, **({"_deleted": True} if source.random() < 0.5 else {"g": place()})} for doc in docs])
    else:
        pytest.fail("it never ends")
    assert [id for id in found if id not in written] == [id for id in everything if id not in written]
    assert db.spatial("s/g", count=True, bookmark=bookmark, **options).count == db.spatial(
        "s/g", count=True, **options
    ).count


def test_a_bookmark_is_of_one_order(db: Any) -> None:
    db.bulk_docs([{"_id": str(n), "g": HERE} for n in range(3)])
    plain = db.spatial("s/g", lat=1, lon=1, limit=1).bookmark
    nearest = db.spatial("s/g", lat=1, lon=1, limit=1, nearest=True).bookmark
    assert ids(db.spatial("s/g", lat=1, lon=1, bookmark=plain)) == ["1", "2"]
    assert ids(db.spatial("s/g", lat=1, lon=1, nearest=True, bookmark=nearest, skip=1)) == ["2"]
    forged = [("c3BhdGlhbDo1", False), ("c3BhdGlhbDpbMSwgMiwgM10=", False)]
    for bookmark, order in [(plain, True), (nearest, False), *forged]:
        with pytest.raises(pouchdb.BadRequest, match="bookmark"):
            db.spatial("s/g", lat=1, lon=1, nearest=order, bookmark=bookmark)
