"""How often a call waits for the server: each wait costs what the network takes, and a change of process."""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from pouchdb_postgres.session import Session

COUNT = 300
DESIGN = {
    "_id": "_design/v",
    "views": {
        "k": {"map": "function (doc) { if (doc.n >= 0) emit(doc.n); }"},
        "sum": {"map": "function (doc) { if (doc.n >= 0) emit(doc.n % 10, doc.n); }", "reduce": "_stats"},
    },
    "st_indexes": {"p": "function (doc) { if (doc.place) st_index(doc.place); }"},
    "indexes": {"t": {"index": "function (doc) { if (doc.text) index('default', doc.text); }"}},
}


class Waits:
    """Counts how often this thread waits for a server."""

    def __init__(self) -> None:
        self.count = 0
        self._thread = threading.get_ident()
        self._wait = psycopg.Connection.wait

    def __call__(self, session: Session, *arguments: Any) -> Any:
        if threading.get_ident() == self._thread:
            self.count += 1
        return self._wait(session, *arguments)

    def of(self, call: Callable[[], Any]) -> int:
        before = self.count
        call()
        return self.count - before


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    counted = Waits()
    monkeypatch.setattr(Session, "wait", lambda *arguments: counted(*arguments))
    return counted


def fill(db: Any) -> None:
    db.bulk_docs(
        [
            {"_id": f"d{n:03d}", "n": n, "text": "a word", "place": {"type": "Point", "coordinates": [n % 90, n % 45]}}
            for n in range(COUNT)
        ]
    )
    db.put({"_id": "att", "_attachments": {"a.txt": {"data": b"hello", "content_type": "text/plain"}}})
    db.put({"_id": "_local/x", "a": 1})
    db.put(DESIGN)
    db.create_index({"index": {"fields": ["n"]}})
    db.create_index({"index": {"fields": ["m"]}})


@pytest.fixture(scope="module")
def filled(postgres: Any) -> Iterator[Any]:
    import pouchdb

    environment = pouchdb.setup(
        postgres.url(schema="round_trips"), plugins=["postgres", "find", "gql", "search", "spatial"]
    )
    try:
        fill(environment["test"])
        yield environment["test"]
    finally:
        environment.close()


# The transaction of a call begins with its first statement, and its end is not waited for.
CALLS: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "get": (1, lambda db: db.get("d100")),
    "get with its history": (1, lambda db: db.get("d100", revs=True, conflicts=True, revs_info=True)),
    "get open revisions": (2, lambda db: db.get("d100", open_revs="all")),
    "get a local document": (1, lambda db: db.get("_local/x")),
    "in": (1, lambda db: "d100" in db),
    "get an attachment": (4, lambda db: db.get_attachment("att", "a.txt")),
    "bulk_get": (2, lambda db: db.bulk_get([{"id": "d100"}, {"id": "d101"}])),
    "revs_diff": (1, lambda db: db.revs_diff({"d100": ["1-x"]})),
    "all_docs": (2, lambda db: db.all_docs(limit=10)),
    "all_docs with documents": (2, lambda db: db.all_docs(limit=10, include_docs=True)),
    "all_docs of keys": (2, lambda db: db.all_docs(keys=["d100", "d200"], include_docs=True)),
    "changes": (2, lambda db: db.changes(since=100, limit=10)),
    "changes with documents": (2, lambda db: db.changes(since=100, limit=10, include_docs=True)),
    "info": (4, lambda db: db.info()),
    "security": (1, lambda db: db.get_security()),
    "query": (3, lambda db: db.query("v/k", limit=10)),
    "query of a key": (3, lambda db: db.query("v/k", key=7)),
    "query of no row": (3, lambda db: db.query("v/k", key="none")),
    "query with documents": (4, lambda db: db.query("v/k", key=7, include_docs=True)),
    "query with reduce": (4, lambda db: db.query("v/sum")),
    "query with groups": (3, lambda db: db.query("v/sum", group=True)),
    "query of an index as it is": (3, lambda db: db.query("v/k", key=7, stale="ok")),
    "find": (4, lambda db: db.find(selector={"n": {"$gte": 100}}, limit=25)),
    "find one": (4, lambda db: db.find(selector={"n": 5})),
    "find without updating": (4, lambda db: db.find(selector={"n": 5}, update=False)),
    "find by two indexes": (5, lambda db: db.find(selector={"$or": [{"n": 5}, {"m": 6}]})),
    "explain": (1, lambda db: db.explain(selector={"n": 5})),
    "gql": (5, lambda db: db.gql("select n where n = 5")),
    "search": (1, lambda db: db.search("v/t", q="word", limit=5)),
    "spatial": (2, lambda db: db.spatial("v/p", bbox=[0, 0, 3, 3])),
    "put": (4, lambda db: db.put({"_id": secrets.token_hex(8)})),
    "bulk_docs": (6, lambda db: db.bulk_docs([{"_id": secrets.token_hex(8)} for _ in range(50)])),
}


@pytest.mark.parametrize(("most", "call"), CALLS.values(), ids=CALLS)
def test_waits_of_a_call(filled: Any, waits: Waits, most: int, call: Callable[[Any], Any]) -> None:
    # From the sixth time on a statement is prepared on every connection; before, it takes a wait more.
    for _ in range(8):
        call(filled)
    assert waits.of(lambda: call(filled)) == most


def test_a_transaction_that_read_does_not_stay_open(filled: Any, postgres: Any) -> None:
    """Nobody waits for its end, but it ends: one that stays open would keep the server from cleaning up."""
    for _ in range(3):
        filled.all_docs(limit=1)
        filled.query("v/k", limit=1)
    with filled.adapter.store.snapshot():
        filled.adapter.store.counters()
        assert open_transactions(postgres) == 1
    # The COMMIT is on its way, on another connection than this question.
    for _ in range(1000):
        if not open_transactions(postgres):
            return
    pytest.fail("a transaction is still open")


def open_transactions(postgres: Any) -> int:
    ((count,),) = postgres.run(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pouchdb' AND state LIKE 'idle in transaction%'"
    )
    return int(count)


def end_connections(postgres: Any) -> None:
    """End all connections of ours, as a server does that restarts."""
    postgres.run("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'pouchdb'")


@pytest.mark.parametrize("name", ["all_docs", "query", "find", "get open revisions", "get an attachment"])
def test_a_connection_that_ended_after_its_last_call(filled: Any, postgres: Any, name: str) -> None:
    _, call = CALLS[name]
    expected = call(filled)
    end_connections(postgres)
    assert call(filled) == expected


def test_a_snapshot_whose_connection_ends_before_its_first_statement(filled: Any, postgres: Any) -> None:
    filled.all_docs(limit=1)
    store = filled.adapter.store
    with store.snapshot():
        end_connections(postgres)
        assert store.counters().doc_count >= COUNT
        assert store.row("d100")[1] == "d100"


def test_a_snapshot_shows_one_state(database: Any, url: str, open_place: Callable[..., Any]) -> None:
    """Also of what it did not read again: the counters, and the register of indexes."""
    other = open_place(url)["test"]
    database.put({"_id": "a"})
    database.put({"_id": "_design/v", "views": {"k": {"map": "function (doc) { emit(doc._id); }"}}})
    database.query("v/k")
    indexes = database.adapter.indexes()
    (entry,) = indexes.entries()
    with indexes.snapshot():
        assert indexes.counters().update_seq == 2
        other.put({"_id": "b"})
        assert len(other.query("v/k").rows) == 2
        assert indexes.counters().update_seq == 2
        assert indexes.find(entry[1], entry[2])[3] == 2
        assert database.adapter.store.row("b") is None
    assert indexes.counters().update_seq == 3
    assert indexes.find(entry[1], entry[2])[3] == 3


def test_counters_that_are_asked_for_later_are_of_the_same_state(
    database: Any, url: str, open_place: Callable[..., Any]
) -> None:
    other = open_place(url)["test"]
    database.put({"_id": "a"})
    store = database.adapter.store
    with store.snapshot():
        assert store.row("a") is not None
        other.put({"_id": "b"})
        assert store.counters().update_seq == 1


def test_what_another_host_changed_is_seen_by_the_next_call(
    database: Any, url: str, open_place: Callable[..., Any]
) -> None:
    other = open_place(url, "find")["test"]
    here = open_place(url, "find")["test"]
    other.put({"_id": "a", "n": 1})
    here.create_index({"index": {"fields": ["n"]}, "ddoc": "n", "name": "n"})

    def found() -> list[str]:
        return [doc["_id"] for doc in here.find(selector={"n": {"$gte": 0}}).docs]

    assert found() == ["a"]
    for n in range(2, 8):
        other.put({"_id": f"b{n}", "n": n})
        assert found()[-1] == f"b{n}"
    other.remove("b7", other.get("b7")["_rev"])
    assert found()[-1] == "b6"
    other.purge("b6", other.get("b6")["_rev"])
    assert found()[-1] == "b5"
    # The index is another one now, and then there is none: by another host.
    design = other.get("_design/n")
    design["views"]["n"]["map"]["partial_filter_selector"] = {"n": {"$lt": 3}}
    other.put(design)
    assert [doc["_id"] for doc in here.find(selector={"n": {"$gte": 0}}, use_index="n").docs] == ["a", "b2"]
    other.delete_index({"ddoc": "_design/n", "name": "n"})
    assert sorted(found()) == ["a", "b2", "b3", "b4", "b5"]


def undo(store: Any) -> None:
    """Roll a transaction back."""
    with contextlib.suppress(ZeroDivisionError), store.write():
        store.row("a")
        raise ZeroDivisionError


def test_statements_that_psycopg_deallocates(database: Any) -> None:
    """psycopg deallocates all prepared statements of a connection after a DROP or a ROLLBACK, ours with them."""
    database.put({"_id": "a"})
    database.put({"_id": "_design/v", "views": {"k": {"map": "function (doc) { emit(doc._id); }"}}})
    indexes = database.adapter.indexes()
    for n in range(3):
        for _ in range(8):
            assert len(database.query("v/k").rows) == 1
        (entry,) = indexes.entries()
        with indexes.write():
            indexes.drop(entry[0])
        assert len(database.query("v/k").rows) == 1, n
        undo(database.adapter.store)
        assert database.all_docs().total_rows == 2


def test_more_indexes_than_come_with_a_snapshot(database: Any) -> None:
    from pouchdb_postgres.snapshots import MANY

    indexes = database.adapter.indexes()
    with indexes.write():
        for n in range(MANY + 2):
            indexes.add("other", f"{n}")
    with indexes.snapshot():
        assert indexes.find("other", f"{MANY + 1}")[2] == f"{MANY + 1}"
        assert indexes.find("other", "none") is None
    with indexes.write():
        for row in indexes.entries()[5:]:
            indexes.drop(row[0])
    with indexes.snapshot():
        assert indexes.find("other", "4")[2] == "4"
        assert indexes.find("other", "5") is None


def test_a_destroyed_database_is_missed_by_a_snapshot(database: Any, url: str, open_place: Callable[..., Any]) -> None:
    from pouchdb_core.errors import NotFound

    database.put({"_id": "a"})
    assert database.all_docs().total_rows == 1
    open_place(url).destroy("test")
    for call in (database.all_docs, database.changes, lambda: database.get("a", open_revs="all")):
        with pytest.raises(NotFound):
            call()
    database.close()


def test_calls_of_two_databases_stay_on_connections_of_their_own(place: Any, waits: Waits) -> None:
    """A connection that goes from one database to another waits once more, and its statements are planned again."""
    one, two = place["one"], place["two"]
    one.put({"_id": "a"})
    two.put({"_id": "b"})
    # At the same time, so that there are two connections.
    with one.adapter.store.snapshot(), two.adapter.store.snapshot():
        one.adapter.store.counters()
        two.adapter.store.counters()
    for _ in range(8):
        one.get("a")
        two.get("b")
    assert waits.of(lambda: (one.get("a"), two.get("b"))) == 2


def test_an_entry_of_the_register_is_the_same_in_a_snapshot(url: str, open_place: Callable[..., Any]) -> None:
    """There it comes as text, whatever the server's settings make of numbers and bytes."""
    options = "-cextra_float_digits%3D-15%20-cbytea_output%3Descape"
    database = open_place(f"{url}&options={options}")["test"]
    database.put({"_id": "a\0\1"})
    database.put({"_id": "_design/v", "views": {"k": {"map": "function (doc) { emit(doc._id); }"}}})
    database.query("v/k")
    indexes = database.adapter.indexes()
    (entry,) = indexes.entries()
    assert entry[9] != round(entry[9], -3)
    with indexes.snapshot():
        assert indexes.find(entry[1], entry[2]) == entry
