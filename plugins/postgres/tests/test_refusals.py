"""What a place may refuse while it is in use: each is a clear error, and the next call works."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from pouchdb_core.errors import DatabaseBusy, NotSupported, ReadOnlyStorage, Unreachable


def role(postgres: Any, name: str, *more: str) -> None:
    postgres.run(f"DO $$ BEGIN CREATE ROLE {name} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    for sql in more:
        postgres.run(sql)


def test_who_may_only_read(postgres: Any, url: str, open_place: Callable[..., Any]) -> None:
    db = open_place(url)["a"]
    db.put({"_id": "x", "_attachments": {"a": {"content_type": "text/plain", "data": "aGk="}}})
    role(postgres, "reader")
    for schema in (db.adapter.store.connections.schema, db.adapter.store.connections.server.address.schema):
        postgres.run(f'GRANT USAGE ON SCHEMA "{schema}" TO reader')
        postgres.run(f'GRANT SELECT ON ALL TABLES IN SCHEMA "{schema}" TO reader')
    place = open_place(url.replace("pouchdb@", "reader@"))
    mine = place["a"]
    assert list(place) == ["a"]
    assert mine.get_attachment("x", "a")["data"] == b"hi"
    assert [row.id for row in mine.changes().results] == ["x"]
    for write in (
        lambda: mine.put({"_id": "y"}),
        lambda: mine.remove("x", mine.get("x")["_rev"]),
        lambda: mine.put_security({"admins": {}}),
        lambda: place["b"],
    ):
        with pytest.raises(ReadOnlyStorage, match=r"permission denied .*the user needs a GRANT"):
            write()
    assert mine.get("x")["_id"] == "x"
    assert db.put({"_id": "y"}).ok


def test_rights_that_are_taken_away(postgres: Any, url: str, open_place: Callable[..., Any]) -> None:
    role(postgres, "guest", "GRANT CREATE ON DATABASE postgres TO guest")
    db = open_place(url.replace("pouchdb@", "guest@"))["a"]
    db.put({"_id": "x"})
    schema = db.adapter.store.connections.schema
    postgres.run(f'REVOKE ALL ON ALL TABLES IN SCHEMA "{schema}" FROM guest')
    for use in (lambda: db.put({"_id": "y"}), lambda: db.get("x"), lambda: db.changes()):
        with pytest.raises(ReadOnlyStorage, match="permission denied for table"):
            use()
    postgres.run(f'GRANT ALL ON ALL TABLES IN SCHEMA "{schema}" TO guest')
    assert db.get("x")["_id"] == "x"
    assert db.put({"_id": "y"}).ok


def test_the_server_has_no_connection_left(postgres: Any, url: str, open_place: Callable[..., Any]) -> None:
    role(postgres, "scarce", "GRANT CREATE ON DATABASE postgres TO scarce", "ALTER ROLE scarce CONNECTION LIMIT 2")
    db = open_place(url.replace("pouchdb@", "scarce@") + "&pool_timeout=1")["a"]
    db.put({"_id": "x"})
    server = db.adapter.store.connections.server
    with psycopg.connect(postgres.url().replace("pouchdb@", "scarce@")):
        lent = server.lend()
        with pytest.raises(DatabaseBusy, match="all of the server's connections are in use: raise max_connections"):
            db.get("x")
        # A thread of this process that waits for a connection gets it.
        got: list[Any] = []
        waiting = threading.Thread(target=lambda: got.append(db.get("x")["_id"]))
        waiting.start()
        server.give_back(lent)
        waiting.join(30)
    assert got == ["x"]
    assert db.get("x")["_id"] == "x"


def test_another_program_keeps_the_lock(
    postgres: Any, url: str, open_place: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pouchdb_postgres import session

    soon = session.SETTINGS.replace("lock_timeout TO '60s'", "lock_timeout TO '99ms'")
    assert soon != session.SETTINGS
    monkeypatch.setattr(session, "SETTINGS", soon)
    db = open_place(url)["a"]
    db.put({"_id": "x"})
    with psycopg.connect(postgres.url()) as other:
        other.execute(f'SELECT * FROM "{db.adapter.store.connections.schema}".counters FOR UPDATE')
        with pytest.raises(DatabaseBusy, match="another host kept the database locked for too long"):
            db.put({"_id": "y"})
        # Nobody waits for a writer to read.
        assert db.get("x")["_id"] == "x"
    assert db.put({"_id": "y"}).ok


def test_what_answers_is_no_postgresql(open_place: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def answer() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    # Closed, at the end.
                    return
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        place = open_place(f"postgresql://pouchdb:secret@127.0.0.1:{port}/db?pool_timeout=1")
        with pytest.raises(Unreachable, match=f"PostgreSQL at .*{port}.* cannot be reached") as caught:
            list(place)
        assert "secret" not in str(caught.value)
        # Which ends the call that waits; closing does not.
        listening.shutdown(socket.SHUT_RDWR)
        answering.join(30)


@pytest.mark.parametrize("wrong", [-400_000.0, 400_000.0])
def test_a_host_whose_clock_is_wrong(
    postgres: Any, url: str, open_place: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    """Whether an index is being built, and by whom, is judged by the server's clock alone; order is not of clocks."""
    view = {"_id": "_design/v", "views": {"k": {"map": "function (doc) { emit(doc.n); }"}}}
    one = open_place(url)["a"]
    one.bulk_docs([{"_id": f"d{n}", "n": n} for n in range(5)])
    one.put(view)
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + wrong)
    other = open_place(url)["a"]
    assert [row.key for row in other.query("v/k").rows] == list(range(5))
    other.put({"_id": "late", "n": 9})
    schema = one.adapter.store.connections.schema
    ((difference,),) = postgres.run(
        f'SELECT extract(epoch FROM clock_timestamp())::float8 - max(heartbeat) FROM "{schema}".indexes'
    )
    assert 0 <= difference < 300
    assert abs(other.adapter.indexes().now() - right()) < 300
    monkeypatch.undo()
    assert [row.key for row in one.query("v/k").rows] == [0, 1, 2, 3, 4, 9]
    assert [row.id for row in one.changes().results][-1] == "late"


def test_a_copy_as_a_file_is_refused(url: str, tmp_path: Any, open_place: Callable[..., Any]) -> None:
    db = open_place(url)["notes"]
    with pytest.raises(NotSupported) as caught:
        db.backup(tmp_path / "copy.pouchdb")
    assert caught.value.status == 501
    for named in ("pg_dump", "pouchdb dump", "replicat"):
        assert named in caught.value.message
    assert list(tmp_path.iterdir()) == []
