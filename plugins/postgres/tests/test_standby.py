"""A server that only reads: what it is asked works, what it is to write is refused and leaves nothing; a failover."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import pouchdb
from pouchdb_core.errors import DatabaseBusy, NotFound, ReadOnlyStorage, Unreachable
from pouchdb_core.requests import Changes
from pouchdb_core.results import Record
from pouchdb_core.runner import Idle

READ_ONLY = "the server is read-only"
VIEW = {"_id": "_design/v", "views": {"k": {"map": "function (doc) { emit(doc.n); }"}}}
FILE = {"a": {"content_type": "text/plain", "data": "aGk="}}


def fill(db: Any) -> None:
    db.bulk_docs([{"_id": f"d{n}", "n": n} for n in range(5)])
    db.put({"_id": "file", "_attachments": FILE})
    db.put(VIEW)
    db.query("v/k")


def check_reads(place: Any) -> None:
    """Everything that reads works, also an index that is up to date."""
    db = place["a"]
    assert list(place) == ["a"]
    assert db.get("d1")["n"] == 1
    assert db.get_attachment("file", "a")["data"] == b"hi"
    assert len(db.all_docs(include_docs=True).rows) == 7
    assert len(db.changes().results) == 7
    assert db.info().doc_count == 7
    assert [row.key for row in db.query("v/k", start_key=0).rows] == [0, 1, 2, 3, 4]
    assert db.integrity_check() == []
    with pouchdb.setup(":memory:", plugins=[]) as here:
        assert here["copy"].replicate_from(db, checkpoint=False).docs_written == 7


def check_writes(place: Any) -> None:
    """Everything that writes is refused, and says why."""
    db = place["a"]
    writes: dict[str, Callable[[], Any]] = {
        "put": lambda: db.put({"_id": "new"}),
        "bulk": lambda: db.bulk_docs([{"_id": "new"}, {"_id": "d1"}]),
        "replicated": lambda: db.bulk_docs([{"_id": "new", "_rev": "1-a"}], new_edits=False),
        "remove": lambda: db.remove(db.get("d1")),
        "attachment": lambda: db.put_attachment("new", "a", b"x", "text/plain"),
        "local": lambda: db.put({"_id": "_local/new"}),
        "security": lambda: db.put_security({"admins": {"names": ["a"]}}),
        "purge": lambda: db.purge("d1", db.get("d1")["_rev"]),
        "compact": db.compact,
        "revs limit": lambda: db.revs_limit(5),
        "clean-up": db.view_cleanup,
        "make": lambda: place["b"],
        "destroy": db.destroy,
    }
    refused = {}
    for name, write in writes.items():
        try:
            write()
        except ReadOnlyStorage as error:
            refused[name] = error.message
    # What there is nothing to do for needs no right to write.
    assert set(writes) - set(refused) <= {"compact", "clean-up"}
    assert all(READ_ONLY in each for each in refused.values()), refused
    assert list(place) == ["a"]
    with pytest.raises(NotFound):
        # To destroy it, the object was closed.
        place["a"].get("new")


def check_late_index(place: Any, other: Any) -> None:
    """An index that others did not bring up to date cannot be; as it is, it can be read."""
    db = place["a"]
    with pytest.raises(ReadOnlyStorage, match=READ_ONLY):
        db.query("v/k")
    assert [row.key for row in db.query("v/k", stale="ok", start_key=0).rows] == [0, 1, 2, 3, 4]
    assert [row.key for row in other.query("v/k", start_key=0).rows][-1] == 9


def test_a_server_that_is_told_to_read_only(postgres: Any, url: str, open_place: Callable[..., Any]) -> None:
    first = open_place(url)
    fill(first["a"])
    place = open_place(url + "&options=-cdefault_transaction_read_only%3Don")
    check_reads(place)
    check_writes(place)
    first["a"].put({"_id": "late", "n": 9})
    check_late_index(place, first["a"])
    mine = place["a"].adapter.store.connections.server.address.schema
    made = postgres.run(f"SELECT nspname::text FROM pg_namespace WHERE nspname LIKE '{mine}\\_%'")
    assert made == [(first["a"].adapter.store.connections.schema,)], "nothing is half made"


def test_a_place_without_databases(url: str, open_place: Callable[..., Any]) -> None:
    place = open_place(url + "&options=-cdefault_transaction_read_only%3Don")
    assert list(place) == []
    with pytest.raises(ReadOnlyStorage, match=READ_ONLY):
        place["a"]
    assert list(open_place(url)) == []


@pytest.fixture
def standby(own_postgres: Any) -> Iterator[Any]:
    """A standby of ``own_postgres``, by streaming replication."""
    follower = type(own_postgres)(follows=own_postgres)
    yield follower
    follower.remove()


def test_a_standby(own_postgres: Any, standby: Any, open_place: Callable[..., Any]) -> None:
    first = open_place(own_postgres.url())
    fill(first["a"])
    standby.follow(own_postgres)
    place = open_place(standby.url())
    check_reads(place)
    check_writes(place)
    first["a"].put({"_id": "late", "n": 9})
    standby.follow(own_postgres)
    assert place["a"].get("late").n == 9
    check_late_index(place, first["a"])
    standby.follow(own_postgres)
    assert [row.key for row in place["a"].query("v/k", start_key=0).rows][-1] == 9


def both(one: Any, other: Any, **more: str) -> str:
    """Return a URL that names two servers."""
    query = "".join(f"&{name}={value}" for name, value in more.items())
    address = one.url().replace(f":{one.port}/", f":{one.port},127.0.0.1:{other.port}/")
    return f"{address}?pool_timeout=5{query}"


def test_a_failover(own_postgres: Any, standby: Any, open_place: Callable[..., Any]) -> None:
    """The standby takes the place of a server that was killed: feeds, replications and writers go on there."""
    place = open_place(both(own_postgres, standby, target_session_attrs="read-write"))
    reader = open_place(standby.url())
    db = place["a"]
    fill(db)
    standby.follow(own_postgres)
    seen: dict[str, set[str]] = {"writer": set(), "reader": set(), "copy": set()}
    arrived = threading.Condition()

    def hear(who: str) -> Callable[[Any], None]:
        def change(row: Any) -> None:
            with arrived:
                seen[who].add(row["id"])
                arrived.notify_all()

        return change

    def wait_for(id: str, *who: str) -> None:
        with arrived:
            assert arrived.wait_for(lambda: all(id in seen[each] for each in who), 60), (id, seen)

    with pouchdb.setup(":memory:", plugins=[]) as here:
        copy: Any = here["copy"]
        feeds = [
            db.changes(live=True).on("change", hear("writer")),
            reader["a"].changes(live=True).on("change", hear("reader")),
            copy.changes(live=True).on("change", hear("copy")),
        ]
        replication = copy.replicate_from(db, live=True, retry=True)
        db.put({"_id": "before"})
        # A standby notifies nobody: its feeds look by themselves.
        wait_for("before", "writer", "reader", "copy")
        standby.follow(own_postgres)
        own_postgres.kill()
        with pytest.raises(ReadOnlyStorage, match=READ_ONLY):
            reader["a"].put({"_id": "too early"})
        standby.promote()
        assert db.put({"_id": "after"}).ok
        wait_for("after", "writer", "reader", "copy")
        # The program that read from the standby now writes to it, too.
        assert reader["a"].put({"_id": "own"}).ok
        wait_for("own", "writer", "reader", "copy")
        replication.cancel()
        for each in feeds:
            each.cancel()
    assert {row.id for row in db.all_docs().rows} == seen["writer"] == seen["reader"]
    assert db.integrity_check() == []


def test_live_feeds_go_on_after_the_server_was_gone(own_postgres: Any, open_place: Callable[..., Any]) -> None:
    """Whatever a feed is at when the server goes, it reads on after its last row; nothing twice, nothing left out."""
    place = open_place(own_postgres.url(pool_timeout=1))
    db = place["a"]
    db.put({"_id": "old"})
    with ExitStack() as ending:

        def follow(**options: Any) -> Iterator[Any]:
            feed = db.changes(live=True, **options)
            ending.callback(feed.cancel)
            return iter(feed)

        rows, limited = follow(include_docs=True), follow(since="now", limit=3)
        filtered = follow(filter=lambda doc, _: doc["_id"].startswith("n"))
        assert next(rows).id == "old"
        for number in range(3):
            # What reads meanwhile waits, as does what begins to read afterwards.
            found: list[Any] = []
            reader = threading.Thread(target=lambda found=found: found.append(next(rows)))
            late: list[Any] = []
            later = threading.Thread(target=lambda late=late: late.append((next(limited).id, next(filtered).id)))
            reader.start()
            if number:
                own_postgres.stop()
            later.start()
            if number:
                # The call before has given up its connection by now.
                with pytest.raises(Unreachable):
                    db.get("old")
                own_postgres.start()
            db.put({"_id": f"n{number}", "n": number})
            reader.join(60)
            later.join(60)
            assert [(row.id, row.doc["n"]) for row in found] == [(f"n{number}", number)]
            assert late == [(f"n{number}", f"n{number}")]
        assert list(limited) == [], "it had as many as were wanted"
    place.destroy("a")
    with pytest.raises(pouchdb.BadRequest, match="cannot be descending"):
        place["a"].changes(live=True, descending=True)


def test_how_a_feed_reads_on() -> None:
    """After the last row or pause that it passed on, for as many rows as are left; other errors end it."""
    from pouchdb_postgres.lasting_feed import lasting

    asked: list[tuple[Any, Any]] = []
    answers: Iterator[list[Any]] = iter(
        [
            [Record(seq=3), Record(seq=4), Unreachable("gone")],
            [DatabaseBusy("no connection")],
            [Idle(0.0, 9), Unreachable("gone")],
            [Record(seq=10), NotFound("destroyed")],
        ]
    )

    def read(request: Changes) -> Iterator[Any]:
        asked.append((request.since, request.limit))
        for each in next(answers):
            if isinstance(each, Exception):
                raise each
            yield each

    feed = lasting(read, Changes(since=2, live=True, limit=7), "database 'a'")
    seen = [next(feed) for _ in range(7)]
    pauses = [row for row in seen if isinstance(row, Idle)]
    assert [row.seq for row in seen] == [3, 4, 4, 4, 9, 9, 10]
    assert [row.timeout for row in pauses] == [0.05, 0.1, 0.0, 0.05], "longer each time, until something was read"
    with pytest.raises(NotFound, match="destroyed"):
        next(feed)
    assert asked == [(2, 7), (4, 5), (4, 5), (9, 5)]
