"""How many documents a view takes at a time: no more than are enough for a transaction, by rows and by seconds."""

from __future__ import annotations

from typing import Any

import pytest

import pouchdb
from pouchdb_core.views import mapreduce, servers
from pouchdb_core.views.register import indexes

JAVASCRIPT = "function (doc) { for (var i = 0; i < doc.rows; i++) { emit([doc._id, i], doc.rows); } }"


def python(doc: Any) -> Any:
    for i in range(doc["rows"]):
        yield [doc["_id"], i], doc["rows"]


def index_of(db: Any) -> Any:
    return indexes(db).follower(db, "views", db.get("_design/d")).index


@pytest.fixture(params=["javascript", "python"])
def db(request: pytest.FixtureRequest) -> Any:
    with pouchdb.setup(":memory:", plugins=[]) as env:
        env.register_function("rows")(python)
        source = JAVASCRIPT if request.param == "javascript" else "rows"
        env["d"].put({"_id": "_design/d", "language": request.param, "views": {"v": {"map": source}}})
        yield env["d"]


def added(db: Any, first: int, count: int, rows: int) -> None:
    db.bulk_docs([{"_id": f"{n:04}", "rows": rows} for n in range(first, first + count)])


def found(db: Any) -> list[Any]:
    return [row.key for row in db.query("d/v").rows]


def test_as_many_documents_as_give_enough_rows(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapreduce, "MOST_ROWS", 50)
    progress: list[int] = []
    db.on("indexing", lambda event: progress.append(event.indexed_docs))
    added(db, 0, 100, 20)
    db.remove(db["0099"])
    assert found(db) == [[f"{n:04}", i] for n in range(99) for i in range(20)]
    # 20, 40, 60 are enough: three documents at a time, and the design document is counted, too.
    assert progress[:3] == [4, 7, 10]
    assert index_of(db).batch_documents == 3
    # Twice as many where there are few rows.
    added(db, 200, 40, 1)
    assert len(found(db)) == 99 * 20 + 40
    assert index_of(db).batch_documents > 6


def test_as_many_documents_as_take_long_enough(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapreduce, "MOST_SECONDS", -1.0)
    added(db, 0, 20, 2)
    assert found(db) == [[f"{n:04}", i] for n in range(20) for i in range(2)]
    assert index_of(db).batch_documents == 1


def test_functions_of_this_process_are_called_for_some_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "CHUNK", 3)
    called: list[int] = []

    class Some:
        def map(self, identifiers: list[str], documents: list[bytes]) -> list[Any]:
            called.append(len(documents))
            return [[[[text, None]]] for text in documents]

    made = servers.mapped(Some(), ["f"], [b"%d" % n for n in range(8)])  # type: ignore[arg-type]  # no more is used
    assert [next(made) for _ in range(4)] == [[[[b"%d" % n, None]]] for n in range(4)]
    assert called == [3, 3]
    assert len(list(made)) == 4
    assert called == [3, 3, 2]
