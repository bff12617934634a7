"""What goes wrong: killed writers, a killed server, commits without an answer, rights, limits, time-outs."""

from __future__ import annotations

import io
import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pouchdb_core.errors import (
    DatabaseBusy,
    NotFound,
    PouchDBError,
    ReadOnlyStorage,
    ReentrantWrite,
    StorageError,
    TimedOut,
    Unauthorized,
    Unreachable,
)

WRITER = Path(__file__).with_name("writer.py")


def start_writer(url: str, host: str, count: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(WRITER), url, "a", host, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("\n")
    process.stdin.flush()
    return process


def check(db: Any, acknowledged: list[str]) -> None:
    """Nothing that was acknowledged is lost, nothing is there twice."""
    rows = db.all_docs().rows
    assert set(acknowledged) <= {row.id for row in rows}
    assert all(row.value.rev.startswith("1-") for row in rows if row.id not in ("common", "first"))
    seqs = [row.seq for row in db.changes().results]
    assert len(seqs) == len(set(seqs)) == len(rows)
    assert db.integrity_check() == []


def test_killed_writers_lose_nothing(url: str, open_place: Callable[..., Any]) -> None:
    db = open_place(url)["a"]
    acknowledged: list[str] = []
    for round_ in range(4):
        writers = [start_writer(url, f"w{round_}{n}", 100_000) for n in range(3)]
        for number, each in enumerate(writers):
            assert each.stdout is not None
            # After another number of documents each time.
            acknowledged += [each.stdout.readline().strip() for _ in range(3 + 2 * number + round_)]
            each.kill()
            # What was on its way was acknowledged too.
            said = each.communicate()[0].splitlines()
            acknowledged += [line for line in said if line[:1] not in "?!"]
    check(db, [id for id in acknowledged if len(id) == 9])


def test_a_killed_server_loses_nothing(own_postgres: Any, open_place: Callable[..., Any]) -> None:
    url = own_postgres.url()
    db = open_place(url)["a"]
    db.put({"_id": "first"})
    writers = [start_writer(url, f"w{n}", 400) for n in range(3)]
    lines: list[list[str]] = [[] for _ in writers]

    def read(number: int) -> None:
        stdout = writers[number].stdout
        assert stdout is not None
        lines[number] += stdout.read().splitlines()

    readers = [threading.Thread(target=read, args=(n,)) for n in range(3)]
    for each in readers:
        each.start()
    for kill in (own_postgres.kill, own_postgres.stop, own_postgres.kill):
        before = db.info().update_seq
        while db.info().update_seq < before + 60 and any(each.poll() is None for each in writers):
            db.get("first")
        kill()
        own_postgres.start()
    for each in readers:
        each.join(120)
    for process in writers:
        process.communicate()
    said = [line for each in lines for line in each]
    acknowledged = [line for line in said if line[0] not in "?!"]
    assert not [line for line in said if line[0] == "!"], "a write was made twice: it met itself"
    check(db, [*acknowledged, "first"])
    assert len(acknowledged) > 600


class Wire:
    """What stands between a program and the server, and can be cut: before or after the server gets something."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.cut: Callable[[bytes], str | None] = lambda sent: None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            gone = threading.Event()
            for source, target, outward in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._carry, args=(source, target, outward, gone), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, outward: bool, gone: threading.Event) -> None:
        try:
            while data := source.recv(1 << 16):
                if gone.is_set():
                    # The server has what was sent, and its answer does not arrive.
                    break
                when = self.cut(data) if outward else None
                if when == "before":
                    break
                if when == "after":
                    gone.set()
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def wire(postgres: Any) -> Iterator[Wire]:
    wire = Wire(postgres.port)
    yield wire
    wire.close()


@pytest.fixture
def through(wire: Wire, postgres: Any, url: str) -> str:
    return url.replace(f":{postgres.port}/", f":{wire.port}/") + "&sslmode=disable&gssencmode=disable"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", [b"COMMIT", b"BEGIN; SELECT", b"documents_short WHERE id", b"INSERT INTO documents"])
def test_a_connection_that_breaks(
    wire: Wire, through: str, url: str, open_place: Callable[..., Any], what: bytes, when: str
) -> None:
    db, other = open_place(through)["a"], open_place(url)["a"]
    first = db.put({"_id": "first"})
    cuts = itertools.count()
    wire.cut = lambda sent: when if what in sent and next(cuts) == 0 else None
    # Prepared statements do not have their text any more: these connections are new.
    db.adapter.store.connections.server._pool.drain()
    done = db.bulk_docs([{"_id": "mine"}, {"_id": "first", "_rev": first.rev, "v": 2}])
    assert [each.get("ok") for each in done] == [True, True]
    assert next(cuts) > 0, "nothing was cut"
    assert other.get("mine")["_rev"] == done[0].rev
    assert other.get("first").v == 2
    check(other, ["mine", "first"])


def test_marks_of_other_commits_in_between(
    wire: Wire, through: str, url: str, open_place: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks late still finds its own mark, or that of the one before it; if neither, it is not known."""
    from pouchdb_postgres.transactions import KEPT, Transaction

    db, other = open_place(through)["a"], open_place(url)["a"]
    db.put({"_id": "first"})
    settle = Transaction._settle
    between = [0]

    def late(self: Any, *arguments: Any) -> None:
        wire.cut = lambda sent: None
        for _ in range(between[0]):
            other.put({"_id": f"other{time.monotonic_ns()}"})
        settle(self, *arguments)

    monkeypatch.setattr(Transaction, "_settle", late)
    for count, when in itertools.product((KEPT - 2, KEPT + 1), ("before", "after")):
        between[0] = count
        wire.cut = lambda sent, when=when: when if b"COMMIT" in sent else None  # type: ignore[misc]
        id = f"{when}{count}"
        if count < KEPT:
            assert db.put({"_id": id}).ok
        else:
            with pytest.raises(Unreachable, match="it is not known whether it was carried out"):
                db.put({"_id": id})
        assert (id in {row.id for row in other.all_docs().rows}) == (count < KEPT or when == "after")
    check(other, [])


def test_a_stream_is_not_read_twice(wire: Wire, through: str, open_place: Callable[..., Any]) -> None:
    db = open_place(through)["a"]
    db.put({"_id": "first"})
    cuts = itertools.count()
    wire.cut = lambda sent: "before" if b"COMMIT" in sent and next(cuts) == 0 else None
    with pytest.raises(DatabaseBusy, match="nothing was written"):
        db.put({"_id": "a", "_attachments": {"b": {"content_type": "text/plain", "data": io.BytesIO(b"c")}}})
    with pytest.raises(NotFound):
        db.get("a")
    assert db.put_attachment("a", "b", io.BytesIO(b"c"), "text/plain").ok


def test_a_server_that_is_gone(own_postgres: Any, open_place: Callable[..., Any]) -> None:
    place = open_place(own_postgres.url(pool_timeout=1))
    db = place["a"]
    db.put({"_id": "x"})
    own_postgres.stop()
    for use in (lambda: db.get("x"), lambda: db.put({"_id": "y"}), lambda: list(place), lambda: place["b"], db.info):
        with pytest.raises(Unreachable, match="cannot be reached"):
            use()
    own_postgres.start()
    assert db.get("x")["_id"] == "x"
    assert db.put({"_id": "y"}).ok


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"port": 1}, Unreachable, "cannot be reached"),
        ({"name": "nowhere"}, StorageError, "nowhere.* does not exist; make it first: createdb"),
        ({"user": "nobody-such"}, Unauthorized, "nobody-such"),
    ],
)
def test_wrong_addresses(postgres: Any, open_place: Callable[..., Any], change: Any, kind: Any, said: str) -> None:
    parts = {"user": "pouchdb", "port": postgres.port, "name": "postgres", **change}
    place = open_place("postgresql://{user}:secret@127.0.0.1:{port}/{name}".format(**parts))
    with pytest.raises(kind, match=said) as caught:
        place["a"]
    assert "secret" not in str(caught.value)


def test_missing_rights(postgres: Any, url: str, open_place: Callable[..., Any]) -> None:
    open_place(url)["a"].put({"_id": "x"})
    postgres.run("DO $$ BEGIN CREATE ROLE poor LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    poor = url.replace("pouchdb@", "poor@")
    with pytest.raises(ReadOnlyStorage, match=r"permission denied for schema .* the user needs a GRANT of USAGE"):
        open_place(poor)["a"]
    with pytest.raises(ReadOnlyStorage, match="permission denied for database"):
        open_place(poor + "_new")["a"]


def test_too_many_connections(postgres: Any, url: str, open_place: Callable[..., Any]) -> None:
    postgres.run("DO $$ BEGIN CREATE ROLE few LOGIN SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    postgres.run("ALTER ROLE few NOSUPERUSER CONNECTION LIMIT 1")
    taken = psycopg.connect(postgres.url().replace("pouchdb@", "few@"))
    with taken, pytest.raises(DatabaseBusy, match="raise max_connections, or lower pool_size"):
        open_place(url.replace("pouchdb@", "few@"))["a"]


def test_the_pool_is_in_use(url: str, open_place: Callable[..., Any]) -> None:
    db = open_place(url + "&pool_size=2&pool_timeout=1")["a"]
    db.put({"_id": "x"})
    server = db.adapter.store.connections.server
    lent = [server.lend(), server.lend()]
    with pytest.raises(DatabaseBusy, match="no connection became free within 1 seconds; this process has 2"):
        db.get("x")
    for each in lent:
        server.give_back(each)
    assert db.get("x")["_id"] == "x"


def test_a_statement_that_takes_too_long(url: str, open_place: Callable[..., Any]) -> None:
    db = open_place(url + "&options=-c%20statement_timeout%3D500")["a"]
    db.put({"_id": "x"})
    connections = db.adapter.store.connections
    with pytest.raises(TimedOut, match="statement timeout"):
        connections.one("SELECT pg_sleep(5)")
    with pytest.raises(TimedOut, match="statement timeout"), db.adapter.store.write():
        connections.one("SELECT pg_sleep(5)")
    assert db.get("x")["_id"] == "x"


def test_a_database_of_another_encoding(postgres: Any, open_place: Callable[..., Any]) -> None:
    postgres.run("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StorageError, match="the encoding of the database is LATIN1, and documents need UTF8"):
        open_place(postgres.url().replace("/postgres", "/latin"))["a"]


def test_what_cannot_be_serialised_is_done_again(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = database.adapter.store
    save, times = store.save, []

    def failing(changes: Any) -> None:
        times.append(1)
        if len(times) < 3:
            store.connections.run("DO $$ BEGIN RAISE EXCEPTION 'not serialised' USING ERRCODE = '40001'; END $$")
        save(changes)

    monkeypatch.setattr(store, "save", failing)
    assert database.put({"_id": "a"}).ok
    assert len(times) == 3
    assert database.info().update_seq == 1
    monkeypatch.setattr(
        store,
        "save",
        lambda changes: store.connections.run(
            "DO $$ BEGIN RAISE EXCEPTION 'not serialised' USING ERRCODE = '40001'; END $$"
        ),
    )
    with pytest.raises(DatabaseBusy, match="not serialised"):
        database.put({"_id": "b"})


def test_errors_in_the_middle_undo_all_of_it(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = database.adapter.store

    def goes_on() -> None:
        with store.write() as counters:
            store.set_metadata("kept", 1)
            counters.update_seq += 1
            try:
                store.connections.run("SELECT nonsense")
            except PouchDBError:
                pass

    def part() -> None:
        with store.write() as counters:
            store.set_metadata("inner", 1)
            counters.revs_limit = 5
            store.connections.run("SELECT nonsense")

    with pytest.raises(StorageError, match="nonsense"):
        goes_on()
    assert store.metadata("kept") is None
    # A part is undone alone.
    with store.write() as counters:
        store.set_metadata("outer", 1)
        with pytest.raises(StorageError, match="nonsense"):
            part()
        assert counters.revs_limit == 1000
    assert (store.metadata("outer"), store.metadata("inner")) == (1, None)


def test_writing_in_the_middle_of_a_write_is_refused(database: Any) -> None:
    with database.adapter.store.write(), pytest.raises(ReentrantWrite):
        database.put({"_id": "a"})
